//! The vocabulary of the whole crate: rules, sources, firewalls, instances, what is desired and what is live.
//!
//! Owns the canonical form of a firewall and the parser of every spelling that the service may return. Each type has one JSON
//! form, and checks its invariants when it is deserialized. Does not do I/O, use AWS types, read a clock, or know how a firewall
//! is changed.

#[cfg(test)]
pub(crate) mod arbitrary;
mod calls;
mod code;
mod desired;
mod fingerprint;
mod firewall;
mod guard;
mod instance;
pub mod instant;
mod key;
mod live;
pub(crate) mod pairs;
mod policy;
mod region;
mod rule;
mod sanitize;
mod shard;
mod sources;
mod special;
mod tag;

pub use calls::Calls;
pub use code::Code;
pub use desired::{
    Absent, Desired, DesiredInstance, EXPIRY_NOTICE, Expiry, Missing, Mode, Note, Strategy,
    Undeclared,
};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use firewall::{
    Firewall, MAX_PAIRS_PER_INSTANCE, MAX_SOURCES_PER_FAMILY, PortInfo, SourceCounts,
};
pub use guard::Guard;
pub use instance::{AddressType, Family, Instance, InstanceId, InstanceState, Site};
pub use key::{Key, KeyError, Protocol};
pub use live::{Live, LiveFirewall, PortState, Uncertain, Unreadable};
pub use policy::{Cells, DeclaredTable, Demand, Policies, Policy, PolicySeverity, Waiver};
pub use region::{REGIONS, Region};
pub use rule::{Declaration, Origin, Rule};
pub use sanitize::{begins_command, is_unsafe, sanitize_json, sanitize_line, sanitize_lines};
pub use shard::{Shard, ShardError};
pub use sources::{LIGHTSAIL_CONNECT, Sources, V4_ANYWHERE, V6_ANYWHERE};
pub use special::{GLOBALLY_REACHABLE, SPECIAL_PURPOSE, Special};
pub use tag::{
    MAX_TAG_KEY_LENGTH, MAX_TAG_VALUE_LENGTH, MAX_TAGS_PER_RESOURCE, TagError, check_tag_key,
    check_tag_value,
};
