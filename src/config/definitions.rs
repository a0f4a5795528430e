//! The definitions of the files, with names not yet resolved.
//!
//! Owns the types between `read`, which creates them, and `link`, which consumes them. Does not check anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use time::OffsetDateTime;

use super::expected_count::ExpectedCount;
use super::partial_id::PartialInstanceId;
use super::selector::Selector;
use super::source::{Span, SpannedString};
use crate::model::{Mode, PolicySeverity, Strategy};

/// The definitions of all files.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    pub(super) defaults: Defaults,
    pub(super) accounts: NamedDefinitions<Account>,
    pub(super) addresses: NamedDefinitions<Vec<SpannedString>>,
    pub(super) services: NamedDefinitions<Vec<SpannedString>>,
    pub(super) rulesets: NamedDefinitions<Vec<RuleDef>>,
    pub(super) groups: NamedDefinitions<GroupDef>,
    pub(super) instances: NamedDefinitions<InstanceDef>,
    pub(super) guard: GuardDef,
    pub(super) grants: Option<GrantsDef>,
    pub(super) policies: NamedDefinitions<PolicyDef>,
    /// Whether a part of the files could not be read, so that undefined or unused names are not reported.
    pub(super) is_incomplete: bool,
}

/// `[defaults]`.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    pub(super) regions: Vec<String>,
    /// Whether the list `regions` was given.
    pub(super) has_list: bool,
    pub(super) mode: Option<Mode>,
    pub(super) strategy: Option<Strategy>,
}

/// `[accounts.NAME]`. It names a profile or a role, and cannot contain secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account ID, twelve digits.
    pub id: String,
    /// The ARN of the role to assume; `None` to use the credentials directly.
    pub role: Option<String>,
    /// Its regions; empty for those of the defaults.
    pub regions: BTreeSet<String>,
    /// The profile of the shared AWS configuration for the credentials; `None` for the default credential chain.
    pub profile: Option<String>,
}

/// `[guard]`.
#[derive(Debug, Default)]
pub(super) struct GuardDef {
    pub(super) keep: Vec<RuleDef>,
    pub(super) max_instances: Option<usize>,
    pub(super) max_closed: Option<usize>,
}

/// `[grants]`.
#[derive(Debug)]
pub(super) struct GrantsDef {
    pub(super) span: Span,
    /// The services that may be granted, as the `allow` of a rule.
    pub(super) services: RuleDef,
    /// `None` if it is missing or not valid, which was reported.
    pub(super) max: Option<Duration>,
    pub(super) ipv4: Option<u8>,
    pub(super) ipv6: Option<u8>,
    /// `None` is every instance.
    pub(super) selector: Option<Selector>,
    pub(super) reason_required: bool,
    pub(super) whoami: Vec<String>,
}

/// A rule with names not yet resolved.
#[derive(Debug)]
pub(super) struct RuleDef {
    pub(super) span: Span,
    pub(super) allow: Vec<SpannedString>,
    /// `None` if `absent` names the whole key.
    pub(super) from: Option<Vec<SpannedString>>,
    pub(super) until: Option<OffsetDateTime>,
    pub(super) owner: Option<String>,
    pub(super) why: Option<String>,
    /// The policies that it is exempt from.
    pub(super) waive: Vec<SpannedString>,
    /// Whether sources are kept of an address family that the protocol or the instance does not have.
    pub(super) any_family: bool,
}

/// A `[[policy]]`; one for a built-in policy has only a severity.
#[derive(Debug, Default)]
pub(super) struct PolicyDef {
    pub(super) severity: Option<SeverityDef>,
    /// The services and the sources that may reach them.
    pub(super) only_from: Option<RuleDef>,
    pub(super) at_most: Option<AtMost>,
    pub(super) require: Option<RuleDef>,
    pub(super) selector: Option<Selector>,
    pub(super) why: Option<String>,
}

/// The services, and the prefix lengths that limit the number of addresses.
#[derive(Debug)]
pub(super) struct AtMost {
    pub(super) services: RuleDef,
    pub(super) ipv4: Option<u8>,
    pub(super) ipv6: Option<u8>,
}

/// `severity` of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeverityDef {
    On(PolicySeverity),
    Off,
}

/// The common part of a group and an instance.
#[derive(Debug, Default)]
pub(super) struct BodyDef {
    pub(super) uses: Vec<SpannedString>,
    pub(super) rules: Vec<RuleDef>,
    pub(super) absent: Vec<RuleDef>,
    pub(super) mode: Option<(Mode, Span)>,
    pub(super) strategy: Option<(Strategy, Span)>,
}

/// `[groups.NAME]`.
#[derive(Debug)]
pub(super) struct GroupDef {
    pub(super) selector: Selector,
    pub(super) expect: Option<(ExpectedCount, Span)>,
    /// A region that is a pattern.
    pub(super) region_glob: Option<Span>,
    pub(super) body: BodyDef,
}

/// `[instances.NAME]`.
#[derive(Debug)]
pub(super) struct InstanceDef {
    pub(super) id: PartialInstanceId,
    pub(super) body: BodyDef,
}

/// Definitions by name, each with the span of its name.
pub(super) type NamedDefinitions<T> = BTreeMap<String, (Span, T)>;
