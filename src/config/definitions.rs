//! What the files define, before names are followed.
//!
//! Owns the shapes between `read`, which fills them, and `link`, which consumes them. Does not check anything but
//! that a name is defined once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use time::OffsetDateTime;

use super::diagnostic::Report;
use super::expect::Expect;
use super::place::Place;
use super::selector::Selector;
use super::source::{Span, quote};
use super::tree::Text;
use crate::model::{Code, Mode, PolicySeverity, Strategy};

/// Everything, from all files.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    pub(super) defaults: Defaults,
    pub(super) accounts: Named<Account>,
    pub(super) addresses: Named<Vec<Text>>,
    pub(super) services: Named<Vec<Text>>,
    pub(super) rulesets: Named<Vec<RuleDef>>,
    pub(super) groups: Named<GroupDef>,
    pub(super) instances: Named<InstanceDef>,
    pub(super) guard: GuardDef,
    pub(super) grants: Option<GrantsDef>,
    pub(super) policies: Named<PolicyDef>,
    /// Whether a part of the files could not be read, so that what is undefined or unused may only be lost.
    pub(super) incomplete: bool,
}

/// `[defaults]`.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    pub(super) regions: Vec<String>,
    /// Whether `regions`, the list, was given.
    pub(super) has_list: bool,
    pub(super) mode: Option<Mode>,
    pub(super) strategy: Option<Strategy>,
}

/// `[accounts.NAME]`. There is no place for a secret: an account says which profile or role to use, never with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The twelve digits.
    pub id: String,
    /// The ARN of the role to assume there; without one the credentials are used as they are.
    pub role: Option<String>,
    /// Its regions; none are those of the defaults.
    pub regions: BTreeSet<String>,
    /// The profile of the shared AWS configuration to take credentials from, in place of the standard chain.
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
    /// What may be granted, as the `allow` of a rule.
    pub(super) services: RuleDef,
    /// `None` where it is missing or wrong, which was reported.
    pub(super) max: Option<Duration>,
    pub(super) ipv4: Option<u8>,
    pub(super) ipv6: Option<u8>,
    /// `None` is every instance.
    pub(super) selector: Option<Selector>,
    pub(super) reason_required: bool,
    pub(super) whoami: Vec<String>,
}

/// One rule as it stands there.
#[derive(Debug)]
pub(super) struct RuleDef {
    pub(super) span: Span,
    pub(super) allow: Vec<Text>,
    /// `None` where `absent` means the whole key.
    pub(super) from: Option<Vec<Text>>,
    pub(super) until: Option<OffsetDateTime>,
    pub(super) owner: Option<String>,
    pub(super) why: Option<String>,
    /// The policies that are to overlook it.
    pub(super) waive: Vec<Text>,
    /// Whether sources of a family that the protocol or the instance lacks are kept.
    pub(super) any_family: bool,
}

/// One `[[policy]]`; a built-in one has nothing but a severity.
#[derive(Debug)]
pub(super) struct PolicyDef {
    pub(super) severity: Option<Severity>,
    /// Services and who may reach them; `None` where nothing is said of it.
    pub(super) only_from: Option<RuleDef>,
    pub(super) at_most: Option<AtMost>,
    pub(super) require: Option<RuleDef>,
    pub(super) selector: Option<Selector>,
    pub(super) why: Option<String>,
}

/// Services, and the prefix lengths that say how many addresses may reach them.
#[derive(Debug)]
pub(super) struct AtMost {
    pub(super) services: RuleDef,
    pub(super) ipv4: Option<u8>,
    pub(super) ipv6: Option<u8>,
}

/// `severity` of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    On(PolicySeverity),
    Off,
}

/// What a group and an instance have in common.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) uses: Vec<Text>,
    pub(super) rules: Vec<RuleDef>,
    pub(super) absent: Vec<RuleDef>,
    pub(super) mode: Option<(Mode, Span)>,
    pub(super) strategy: Option<(Strategy, Span)>,
}

/// `[groups.NAME]`.
#[derive(Debug)]
pub(super) struct GroupDef {
    pub(super) selector: Selector,
    pub(super) expect: Option<(Expect, Span)>,
    /// A region that is a pattern.
    pub(super) region_glob: Option<Span>,
    pub(super) body: Body,
}

/// `[instances.NAME]`.
#[derive(Debug)]
pub(super) struct InstanceDef {
    pub(super) place: Place,
    pub(super) body: Body,
}

/// Definitions by name, each with the place of its name.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) BTreeMap<String, (Span, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Named<T> {
    /// Adds a definition; a second one of the same name is an error.
    pub(super) fn define(&mut self, report: &mut Report, kind: &str, name: Text, item: T) {
        match self.0.entry(name.text) {
            Entry::Vacant(entry) => {
                entry.insert((name.span, item));
            }
            Entry::Occupied(entry) => {
                let message = format!("{kind} {} is defined twice", quote(entry.key()));
                report
                    .error(Code::InvalidName, name.span, message)
                    .related(entry.get().0, "first defined here");
            }
        }
    }
}
