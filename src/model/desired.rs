//! The desired state: the configuration, resolved against the instances that exist.
//!
//! Owns the types; `config` builds them and `plan` reads them. Does not know how the desired state is reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};
use time::{Duration, OffsetDateTime};

use super::{Guard, InstanceId, Key, Origin, Policies, Rule, Sources, Unreadable};

/// How long before its end a rule is reported as expiring: two weeks, so that somebody who looks weekly sees it twice.
pub const EXPIRY_NOTICE: Duration = Duration::days(14);

/// How much of an instance's firewall the configuration manages. Displays as the configuration spells it.
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
    Display,
    IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Mode {
    /// The whole firewall: rules that are not declared are closed.
    #[default]
    Authoritative,
    /// The declared rules only: other rules stay.
    Additive,
    /// Nothing: the firewall is compared and reported, never written.
    Observe,
}

/// The calls that a plan may use. Parsed as the command line spells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "kebab-case")]
pub enum Strategy {
    /// The planner chooses; in additive mode it never chooses a Put.
    #[default]
    Auto,
    /// One Put; in additive mode this is the consent to send rules again that the configuration does not manage.
    Put,
    /// Open and Close only; refused where no safe sequence exists.
    Incremental,
}

/// The end of a declared rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The first instant at which the rule is not in force.
    pub at: OffsetDateTime,
    /// The line or tag that declares the rule.
    pub origin: Origin,
}

/// Access that must not exist, in additive mode: from a line with `absent`, or from a rule that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// The protocol and ports.
    pub key: Key,
    /// The sources to remove; `None` removes the whole key.
    pub sources: Option<Sources>,
    /// The line or tag that declares it.
    pub origin: Origin,
    /// The reason, from `why`.
    pub why: Option<String>,
    /// The team or person in charge, from `owner`.
    pub owner: Option<String>,
}

/// A rule that has ended must not exist any more.
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

/// Something that a reader of the plan should know and that is not a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// One sentence fragment.
    pub text: String,
    /// The line it is about.
    pub origin: Option<Origin>,
}

/// The desired state of one instance that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DesiredInstance {
    /// How much of the firewall the configuration manages.
    pub mode: Mode,
    /// The calls that a plan may use.
    pub strategy: Strategy,
    /// The rules that are in force, in order of key and origin.
    pub rules: Vec<Rule>,
    /// Access that must not exist (additive mode).
    pub absent: Vec<Absent>,
    /// Rules whose `until` has passed.
    pub expired: Vec<Rule>,
    /// Notes about rules that were left out or are about to expire.
    pub notes: Vec<Note>,
}

impl DesiredInstance {
    /// The first end of a rule that is in force; the desired state changes at that instant.
    pub fn next_expiry(&self) -> Option<Expiry> {
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
    /// The name in the configuration: `name` or `region/name`.
    pub name: String,
    /// The line that declares it.
    pub origin: Origin,
    /// A suggestion: the most similar name that exists, if any.
    pub hint: Option<String>,
}

/// An instance that exists and is not in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Undeclared {
    /// Its account, region and name.
    pub id: InstanceId,
}

/// The configuration, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// The declared instances that exist. Instances with an equal desired state share it.
    pub instances: BTreeMap<InstanceId, Arc<DesiredInstance>>,
    /// Instances whose desired state is not known, because a site that a name or a group may refer to could not be listed, each with
    /// the reason. Nothing may be written to them.
    pub undecided: BTreeMap<InstanceId, Unreadable>,
    /// Declared instances that do not exist in a site that was listed in full.
    pub missing: Vec<Missing>,
    /// Instances that exist and are not in the configuration, in order.
    pub undeclared: Vec<Undeclared>,
    /// Notes that are not about a single instance.
    pub notes: Vec<Note>,
    /// The limits of what one run may change.
    pub guard: Guard,
    /// The policies of the configuration, and the built-in ones.
    pub policies: Policies,
}

impl Desired {
    /// The first instant at which a rule that is in force ends, and the desired state changes. It may be in the past.
    pub fn next_expiry(&self) -> Option<OffsetDateTime> {
        let rules = self.instances.values().flat_map(|instance| &instance.rules);
        rules.filter_map(|rule| rule.declared.until).min()
    }

    /// The rules that are in force at `as_of` and end within [`EXPIRY_NOTICE`]: the origin of each, once, with its end.
    pub fn expiring(&self, as_of: OffsetDateTime) -> BTreeSet<(&Origin, OffsetDateTime)> {
        let rules = self.instances.values().flat_map(|instance| &instance.rules);
        rules
            .filter_map(|rule| Some((&rule.declared.origin, rule.declared.until?)))
            .filter(|(_, until)| *until > as_of && *until - as_of <= EXPIRY_NOTICE)
            .collect()
    }
}
