//! The vocabulary of the whole crate: rules, sources, firewalls, instances, what is desired and what is live.
//!
//! Owns the canonical form of a firewall and the reading of every spelling the service may return. Its types are written
//! to JSON and read from it as they are: what they check is checked on reading too. Does not do I/O,
//! to name an AWS type, to look at a clock, or to know how a firewall is changed.

#[cfg(test)]
pub(crate) mod arbitrary;
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

pub use code::Code;
pub use desired::{
    Absent, Desired, DesiredInstance, Expiry, Missing, Mode, NOTICE, Note, Strategy, Undeclared,
};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use firewall::{Counts, Firewall, PAIRS_OF_AN_INSTANCE, PortInfo, SOURCES_PER_FAMILY};
pub use guard::Guard;
pub use instance::{AddressType, Family, Instance, InstanceId, InstanceState, Site};
pub use key::{Key, KeyError, Protocol};
pub use live::{Doubt, Live, LiveFirewall, PortState, Uncertain, Unreadable};
pub use policy::{Cells, DeclaredTable, Demand, Policies, Policy, PolicySeverity, Waiver};
pub use region::{REGIONS, Region};
pub use rule::{Declaration, Origin, Rule};
pub use sanitize::{begins_command, is_unsafe, sanitize_json, sanitize_line, sanitize_lines};
pub use shard::{Shard, ShardError};
pub use sources::{LIGHTSAIL_CONNECT, Sources, V4_ANYWHERE, V6_ANYWHERE};
pub use special::{ARRIVING, SPECIAL, Special};
pub use tag::{
    TAG_KEY_LENGTH, TAG_VALUE_LENGTH, TAGS_OF_A_RESOURCE, TagError, check_tag_key, check_tag_value,
};
