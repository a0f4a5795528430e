//! Policies: who may reach what at most, and who must, whatever the rules are.
//!
//! Owns the shape of a policy and of a waiver. Does not judge a firewall by them; `policy` does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{InstanceId, Key, Origin, Rule, Sources};

/// What follows from a violation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum PolicySeverity {
    /// A change that brings it about is refused.
    Deny,
    /// It is reported.
    Warn,
}

impl PolicySeverity {
    /// As the configuration spells it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a policy speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cells {
    /// The ports, or ICMP types and codes, of these keys.
    Of(Vec<Key>),
    /// Every protocol that has no rule of its own: only `all` opens them.
    OnlyAll,
}

/// What a policy asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nobody else reaches these cells.
    OnlyFrom {
        /// The cells.
        cells: Cells,
        /// Who may.
        sources: Sources,
        /// As the configuration calls them.
        from: Vec<String>,
    },
    /// No cell is reached by more addresses than a network of this prefix length holds.
    AtMost {
        /// The cells.
        cells: Cells,
        /// For IPv4; `None` is no limit.
        ipv4: Option<u8>,
        /// For IPv6; `None` is no limit.
        ipv6: Option<u8>,
    },
    /// These sources reach these keys, as far as the instance has their family.
    Require(Vec<Rule>),
}

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub id: String,
    /// What follows from a violation.
    pub severity: PolicySeverity,
    /// What it asks for; all of it.
    pub demands: Vec<Demand>,
    /// The instances it speaks of; `None` is every one.
    pub instances: Option<BTreeSet<InstanceId>>,
    /// Where it is declared; `None` for a built-in one.
    pub origin: Option<Origin>,
    /// Why it exists.
    pub why: Option<String>,
}

/// Access that some policies are told to overlook, because a rule says so, as far as no rule without the waiver gives it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The policies.
    pub policies: Vec<String>,
    /// What the rule opens.
    pub key: Key,
    /// To whom.
    pub sources: Sources,
    /// The rule.
    pub origin: Origin,
    /// Whether the rule is in force. One that is over excepts nothing, and what it excepted is no precedent.
    pub in_force: bool,
}

/// Every policy that is not off, and what they are told to overlook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// The policies, those of the configuration first.
    pub list: Vec<Policy>,
    /// By instance, those of rules that are in force or over.
    pub waivers: BTreeMap<InstanceId, Vec<Waiver>>,
}

impl Policies {
    /// The places in [`Policies::list`] of those that speak of an instance, in order.
    pub fn concerning(&self, id: &InstanceId) -> impl Iterator<Item = usize> {
        let concerns = |policy: &Policy| {
            let instances = policy.instances.as_ref();
            instances.is_none_or(|instances| instances.contains(id))
        };
        let policies = self.list.iter().enumerate();
        policies
            .filter(move |(_, policy)| concerns(policy))
            .map(|(place, _)| place)
    }
}

/// A table of the configuration with what it gives to every instance that it takes, whichever those are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredTable {
    /// Its name, such as `groups.web`.
    pub name: String,
    /// What is open for certain; tables of the same rules share them.
    pub rules: Arc<[Rule]>,
    /// What may be open on some instance: these rules and those of other tables. `None` where live rules may be too, or
    /// where it is too much to say. Tables beside the same others share it.
    pub possible: Option<Arc<[Rule]>>,
    /// What policies are told to overlook.
    pub waivers: Vec<Waiver>,
    /// Those of [`Policies::list`] that speak of every such instance, in order.
    pub policies: Vec<usize>,
    /// Those that may speak of some of them, in order.
    pub perhaps: Vec<usize>,
}
