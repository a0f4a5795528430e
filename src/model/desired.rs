//! What the configuration asks for, resolved against the instances that exist.
//!
//! Owns the shape of the answer; `config` makes it, `plan` reads it. Does not say how it is reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::{Guard, InstanceId, Key, Origin, Policies, Rule, Sources, Unreadable};

/// How long before its end a rule is announced: two weeks, so that a weekly look sees it twice.
pub const NOTICE: Duration = Duration::days(14);

/// How much of an instance's firewall the configuration owns.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Mode {
    /// All of it: what is not declared is closed.
    #[default]
    Authoritative,
    /// What it declares: the rest stays.
    Additive,
    /// Nothing: compared and reported, never written.
    Observe,
}

impl Mode {
    /// As the configuration spells it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Which calls a plan may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strategy {
    /// The planner's choice; in additive mode never a Put.
    #[default]
    Auto,
    /// One Put; in additive mode this is the consent to re-send rules that are not ours.
    Put,
    /// Open and Close only; refused where no safe sequence exists.
    Incremental,
}

impl Strategy {
    /// As the configuration and the command line spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Put => "put",
            Self::Incremental => "incremental",
        }
    }
}

/// The end of a declared rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The first instant at which the rule is no longer wanted.
    pub at: OffsetDateTime,
    /// The rule.
    pub origin: Origin,
}

/// What must go, in additive mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// The key.
    pub key: Key,
    /// These sources of it; `None` is the whole key.
    pub sources: Option<Sources>,
    /// Where it is declared.
    pub origin: Origin,
    /// Why it must go.
    pub why: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
}

/// A rule that has ended is access that must go.
impl From<Rule> for Absent {
    fn from(rule: Rule) -> Self {
        Self {
            key: rule.key,
            sources: Some(rule.sources),
            origin: rule.declared.origin.clone(),
            why: rule.declared.why.clone(),
            owner: rule.declared.owner.clone(),
        }
    }
}

/// Something a reader of the plan should know that is no change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// One sentence fragment.
    pub text: String,
    /// The line it is about.
    pub origin: Option<Origin>,
}

/// What is wanted of one instance that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredInstance {
    /// How much of the firewall is ours.
    pub mode: Mode,
    /// Which calls may be used.
    pub strategy: Strategy,
    /// Rules that are in force, in order of key and origin.
    pub rules: Vec<Rule>,
    /// What must go (additive mode).
    pub absent: Vec<Absent>,
    /// Rules whose `until` is over.
    pub expired: Vec<Rule>,
    /// What was left out or is about to expire.
    pub notes: Vec<Note>,
}

impl DesiredInstance {
    /// The first end of a rule that is in force: from then on something else is wanted.
    pub fn ends_next(&self) -> Option<Expiry> {
        let ends = self
            .rules
            .iter()
            .filter_map(|rule| Some((rule.declared.until?, rule)));
        let (at, rule) = ends.min_by_key(|(until, _)| *until)?;
        Some(Expiry {
            at,
            origin: rule.declared.origin.clone(),
        })
    }
}

/// An instance that the configuration names and that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// As it was named: `name` or `region/name`.
    pub name: String,
    /// Where.
    pub origin: Origin,
    /// A name that exists and is near, where there is one.
    pub hint: Option<String>,
}

/// An instance that exists and that nothing declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Undeclared {
    /// Which one.
    pub id: InstanceId,
}

/// The configuration, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// Declared instances that exist. Those that want the same share it.
    pub instances: BTreeMap<InstanceId, Arc<DesiredInstance>>,
    /// Instances of which it is not known what is wanted, since not every site could be listed that a name or a group might
    /// mean: why, for each. Nothing may be written to them.
    pub undecided: BTreeMap<InstanceId, Unreadable>,
    /// Declared instances that do not exist in a region that was listed in full.
    pub missing: Vec<Missing>,
    /// Instances that exist and are not in the configuration, in order.
    pub undeclared: Vec<Undeclared>,
    /// What concerns no single instance.
    pub notes: Vec<Note>,
    /// How much a run may change.
    pub guard: Guard,
    /// Who may reach what at most, and who must.
    pub policies: Policies,
}

impl Desired {
    /// The first instant at which a rule that is in force ends, and with it what is desired. It may be over by now.
    pub fn ends_next(&self) -> Option<OffsetDateTime> {
        let rules = self.instances.values().flat_map(|instance| &instance.rules);
        rules.filter_map(|rule| rule.declared.until).min()
    }

    /// The rules that are in force at `as_of` and end within [`NOTICE`]: where each is, once, and its end.
    pub fn expiring(&self, as_of: OffsetDateTime) -> BTreeSet<(&Origin, OffsetDateTime)> {
        let rules = self.instances.values().flat_map(|instance| &instance.rules);
        rules
            .filter_map(|rule| Some((&rule.declared.origin, rule.declared.until?)))
            .filter(|(_, until)| *until > as_of && *until - as_of <= NOTICE)
            .collect()
    }
}
