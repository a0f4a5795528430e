//! Policies: the most and the least access that firewalls may give, whatever the rules are.
//!
//! Owns the types of a policy and of a waiver. Does not check firewalls against them; `policy` does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::{InstanceId, Key, Origin, Rule, Sources};

/// The consequence of a violation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum PolicySeverity {
    /// A change that causes the violation is refused.
    Deny,
    /// The violation is reported.
    Warn,
}

/// The part of the packet space that a policy restricts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cells {
    /// The ports, or ICMP types and codes, of these keys.
    Of(Vec<Key>),
    /// Every protocol for which there are no rules of its own, so that only `all` opens it.
    OnlyAll,
}

/// A requirement of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Only these sources may reach these cells.
    OnlyFrom {
        /// The restricted cells.
        cells: Cells,
        /// The sources that may reach them.
        sources: Sources,
        /// The names of these sources in the configuration.
        from: Vec<String>,
    },
    /// No cell may be reached by more addresses than a network of this prefix length contains.
    AtMost {
        /// The restricted cells.
        cells: Cells,
        /// The IPv4 prefix length; `None` is no limit.
        ipv4: Option<u8>,
        /// The IPv6 prefix length; `None` is no limit.
        ipv6: Option<u8>,
    },
    /// These sources must reach these keys, as far as the instance has their address family.
    Require(Vec<Rule>),
}

/// A policy of the configuration, or a built-in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub id: String,
    /// The consequence of a violation.
    pub severity: PolicySeverity,
    /// The requirements, all of which must hold.
    pub demands: Vec<Demand>,
    /// The instances that it applies to; `None` is every instance.
    pub instances: Option<BTreeSet<InstanceId>>,
    /// The line that declares it; `None` for a built-in policy.
    pub origin: Option<Origin>,
    /// The reason, from `why`.
    pub why: Option<String>,
}

/// Access that a rule exempts from some policies, as far as no rule without this waiver gives the same access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The names of the policies.
    pub policies: Vec<String>,
    /// The key of the rule.
    pub key: Key,
    /// The sources of the rule.
    pub sources: Sources,
    /// The line that declares the rule.
    pub origin: Origin,
    /// Whether the rule is in force. An expired waiver exempts nothing, and access that it exempted before does not count as existing.
    pub in_force: bool,
}

/// Every policy that is not switched off, and the waivers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// The policies of the configuration, then the built-in ones.
    pub list: Vec<Policy>,
    /// The waivers of each instance, of rules that are in force or have ended.
    pub waivers: BTreeMap<InstanceId, Vec<Waiver>>,
}

impl Policies {
    /// The indices into [`Policies::list`] of the policies that apply to an instance, in order.
    pub fn concerning(&self, id: &InstanceId) -> impl Iterator<Item = usize> {
        let concerns = |policy: &Policy| {
            let instances = policy.instances.as_ref();
            instances.is_none_or(|instances| instances.contains(id))
        };
        let policies = self.list.iter().enumerate();
        policies
            .filter(move |(_, policy)| concerns(policy))
            .map(|(index, _)| index)
    }
}

/// A table of the configuration with the access that it gives to each of its instances, whichever instances exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredTable {
    /// The name of the table, such as `groups.web`.
    pub name: String,
    /// The rules that every such instance has. Tables with equal rules share them.
    pub rules: Arc<[Rule]>,
    /// The rules that some such instance may have: these and those of other tables. `None` if live rules may stay, or if there are
    /// too many combinations. Tables that combine with the same others share it.
    pub possible: Option<Arc<[Rule]>>,
    /// The waivers of its rules.
    pub waivers: Vec<Waiver>,
    /// The indices into [`Policies::list`] of the policies that apply to every such instance, in order.
    pub policies: Vec<usize>,
    /// The indices of the policies that may apply to some of them, in order.
    pub possible_policies: Vec<usize>,
}
