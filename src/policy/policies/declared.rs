//! Policies on the declared rules, without a plan: by table for any possible fleet, or by instance for a known fleet.
//!
//! Owns the checks that need no live rules. Does not guess: a table has a violation only if every fleet has it, and a policy that
//! holds on some fleets only is reported as undecided.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::demand::{CompiledDemand, CompiledPolicy};
use super::{
    CheckTarget, Comparison, Findings, Occurrence, Subject, UndeclaredAccess, WaiverUse,
    waived_access,
};
use crate::exposure::{Access, Effective, Reach};
use crate::model::{
    AddressType, DeclaredTable, Demand, Desired, Family, Instance, InstanceId, Key, Policies,
    Policy, Rule, Sources, Waiver,
};

/// Checks the declared tables for any possible fleet. Reports only violations that every fleet has.
pub fn check_declared_tables(tables: &[DeclaredTable], policies: &Policies) -> Findings {
    let mut findings = Findings::default();
    let mut waiver_use = WaiverUse::default();
    // Instances that are not known are required to give access to both families.
    let compiled_policies = CompiledPolicy::all(policies, &AddressType::Dualstack);
    let checked = CheckedTable::all(tables);
    // The violations of tables with the same rules that were checked before.
    let mut known: BTreeMap<_, Range<usize>> = BTreeMap::new();
    // Tables whose access has none, wherever their rules are written.
    let mut clean = BTreeSet::new();
    for checked in &checked {
        let table = checked.table;
        let has_waivers = !table.waivers.is_empty();
        if !has_waivers && clean.contains(&checked.access_key()) {
            continue;
        }
        if !has_waivers && let Some(earlier) = known.get(&checked.cache_key()) {
            findings.repeat(earlier.clone(), &Subject::Table(table.name.clone()));
            continue;
        }
        let first = findings.violations.len();
        let target = CheckTarget {
            subject: Subject::Table(table.name.clone()),
            rules: &table.rules,
            waivers: &table.waivers,
            mode: None,
            plan: None,
        };
        let comparison = comparison(
            checked.own.access.clone(),
            checked.possible.access.clone(),
            Family::default(),
        );
        let applying = table.policies.iter();
        let compiled = applying.filter_map(|at| compiled_policies.get(*at));
        target.check(compiled, &comparison, &mut findings, &mut waiver_use);
        if has_waivers {
            continue;
        }
        if first == findings.violations.len() {
            clean.insert(checked.access_key());
        } else {
            known.insert(checked.cache_key(), first..findings.violations.len());
        }
    }
    let undecided_waivers = tables.iter().flat_map(|table| {
        let is_undecided = |waiver: &&Waiver| {
            let mut ids = waiver.policies.iter();
            ids.any(|id| !is_decided_by_rule(id, table, policies))
        };
        table.waivers.iter().filter(is_undecided)
    });
    let undecided_lines = undecided_waivers.map(|waiver| &waiver.origin).collect();
    findings.unused_waivers = waiver_use.unused(&undecided_lines);
    findings.undecided = undecided(&checked, &compiled_policies);
    findings.sort();
    findings
}

/// Checks the declared rules of each of these instances. `live` is the certain access of live rules that an instance keeps; `None`
/// if it is not known.
///
/// Live rules do not cause violations here, but may satisfy requirements.
pub fn check_declared_rules(
    desired: &Desired,
    instances: &BTreeMap<InstanceId, Instance>,
    live: impl Fn(&InstanceId) -> Option<Effective>,
) -> Findings {
    let policies = &desired.policies;
    let mut findings = Findings::default();
    let mut waiver_use = WaiverUse::default();
    let mut compiled_policies = BTreeMap::new();
    for (id, wanted) in &desired.instances {
        let Some(instance) = instances.get(id) else {
            continue;
        };
        let target = CheckTarget::of_instance(id, wanted, policies, None);
        let families = &instance.address_type;
        let family = families.client_family();
        let own = access_of(&wanted.rules, family);
        let possible = live(id).map_or_else(everything, |live| live.joined(&own, family));
        let comparison = comparison(own, possible, family);
        let compiled_policies = compiled_policies
            .entry(families)
            .or_insert_with(|| CompiledPolicy::all(policies, families));
        let applying = policies.concerning(id);
        let compiled = applying.map(|policy| &compiled_policies[policy]);
        target.check(compiled, &comparison, &mut findings, &mut waiver_use);
    }
    findings.unused_waivers = waiver_use.unused(&BTreeSet::new());
    findings.sort();
    findings
}

/// `own` is the declared access, and `possible` all access that there may be, outside of which access is certainly missing.
fn comparison(own: Effective, possible: Effective, family: Family) -> Comparison {
    Comparison {
        before: Effective::default(),
        after: Reach::of_certain(own, family),
        satisfying: Some(possible),
        undeclared: UndeclaredAccess::default(),
        occurrence: (Occurrence::Declared, Occurrence::Declared),
    }
}

fn access_of(rules: &[Rule], family: Family) -> Effective {
    let rules = rules.iter().map(|rule| (&rule.key, &rule.sources));
    Effective::of_rules(rules, family)
}

fn everything() -> Effective {
    Effective::everywhere(&Access::everyone())
}

/// The access of a list of rules.
#[derive(Clone)]
struct SharedAccess {
    access: Effective,
    /// The same for lists that allow the same ports to the same sources; 0 is all access.
    id: usize,
}

/// A table with the access of its own rules, and with the access that there may be on its instances.
struct CheckedTable<'a> {
    table: &'a DeclaredTable,
    own: SharedAccess,
    possible: SharedAccess,
}

impl<'a> CheckedTable<'a> {
    /// Tables whose rules are the same, or allow the same ports to the same sources, share their access.
    fn all(tables: &'a [DeclaredTable]) -> Vec<Self> {
        let mut known: BTreeMap<*const Rule, SharedAccess> = BTreeMap::new();
        let mut equal: HashMap<Vec<(Key, &Sources)>, SharedAccess> = HashMap::new();
        let mut shared_access = |rules: &'a Arc<[Rule]>| {
            let access = || {
                let key = rules.iter().map(|rule| (rule.key, &rule.sources));
                let id = equal.len() + 1;
                let access = || SharedAccess {
                    access: access_of(rules, Family::default()),
                    id,
                };
                let equal = equal.entry(key.collect()).or_insert_with(access);
                equal.clone()
            };
            known.entry(rules.as_ptr()).or_insert_with(access).clone()
        };
        let checked = |table: &'a DeclaredTable| Self {
            table,
            own: shared_access(&table.rules),
            possible: match &table.possible {
                Some(rules) => shared_access(rules),
                None => SharedAccess {
                    access: everything(),
                    id: 0,
                },
            },
        };
        tables.iter().map(checked).collect()
    }

    /// Tables without waivers that have the same key have the same violations.
    fn cache_key(&self) -> (*const Rule, Option<*const Rule>, &'a [usize]) {
        let table = self.table;
        let possible = table.possible.as_ref().map(|rules| rules.as_ptr());
        (table.rules.as_ptr(), possible, &table.policies)
    }

    /// Tables without waivers that have the same key violate the same policies, in rules of their own.
    fn access_key(&self) -> (usize, usize, &'a [usize]) {
        (self.own.id, self.possible.id, &self.table.policies)
    }

    /// Whether a policy applies to all instances of the table (`true`), or may apply to some (`false`); `None` if to none.
    fn applies_to_all(&self, at: usize) -> Option<bool> {
        let DeclaredTable {
            policies,
            possible_policies,
            ..
        } = self.table;
        match policies.binary_search(&at) {
            Ok(_) => Some(true),
            Err(_) => possible_policies.binary_search(&at).ok().map(|_| false),
        }
    }

    /// Whether its own rules violate a demand, so that no other table is to blame.
    fn is_to_blame(&self, at: usize, policy: &Policy, compiled: &CompiledDemand) -> bool {
        let mut waivers = self.table.waivers.iter();
        let applies = self.applies_to_all(at).is_some()
            || waivers.any(|waiver| waiver.policies.contains(&policy.id));
        applies && !compiled.violating(&self.own.access).is_empty()
    }
}

/// The policies that hold on some fleets and not on others, by id.
fn undecided(tables: &[CheckedTable<'_>], compiled_policies: &[CompiledPolicy<'_>]) -> Vec<String> {
    let undecided =
        compiled_policies
            .iter()
            .enumerate()
            .filter(|(at, CompiledPolicy { policy, demands })| {
                let mut demands = demands.iter();
                demands.any(|(demand, compiled)| {
                    depends_on_fleet(*at, policy, demand, compiled, tables)
                })
            });
    let ids: BTreeSet<&String> = undecided.map(|(_, compiled)| &compiled.policy.id).collect();
    ids.into_iter().cloned().collect()
}

/// Whether this demand of a policy holds on some fleets only.
fn depends_on_fleet(
    at: usize,
    policy: &Policy,
    demand: &Demand,
    compiled: &CompiledDemand,
    tables: &[CheckedTable<'_>],
) -> bool {
    let is_any_to_blame = LazyCell::new(|| {
        tables
            .iter()
            .any(|one| one.is_to_blame(at, policy, compiled))
    });
    // Whether an access violates the demand, by its number.
    let mut known: BTreeMap<usize, bool> = BTreeMap::new();
    tables.iter().any(|checked| {
        let CheckedTable {
            table,
            own,
            possible,
        } = checked;
        let Some(applies_to_all) = checked.applies_to_all(at) else {
            return false;
        };
        let waived = waived(table, policy);
        let mut is_violated = |SharedAccess { access, id }: &SharedAccess| {
            if compiled.is_required() || waived.is_empty() {
                let is_violating = || !compiled.violating(access).is_empty();
                *known.entry(*id).or_insert_with(is_violating)
            } else {
                !compiled.violating(&access.difference(&waived)).is_empty()
            }
        };
        let is_violated_alone = is_violated(own);
        let mut is_violated_together = || is_violated(possible);
        match demand {
            Demand::Require(_) => is_violated_alone && (!applies_to_all || !is_violated_together()),
            Demand::OnlyFrom { .. } => is_violated_alone && !applies_to_all,
            Demand::AtMost { .. } if is_violated_alone => !applies_to_all,
            // Tables that do not exceed the limit alone may exceed it together.
            Demand::AtMost { .. } => {
                table.possible.is_some() && is_violated_together() && !*is_any_to_blame
            }
        }
    })
}

/// The access that the waivers of a table exempt from a policy.
fn waived(table: &DeclaredTable, policy: &Policy) -> Effective {
    let waivers = table.waivers.iter();
    let waivers = waivers.filter(|waiver| waiver.policies.contains(&policy.id));
    let waivers: Vec<&Waiver> = waivers.collect();
    waived_access(&table.rules, &waivers, Family::default())
}

/// Whether each rule of this table violates or satisfies this policy independently of other rules.
fn is_decided_by_rule(id: &str, table: &DeclaredTable, policies: &Policies) -> bool {
    let mut all = policies.list.iter().enumerate();
    all.find(|(_, policy)| policy.id == id)
        .is_none_or(|(at, policy)| {
            let is_cumulative = |demand: &Demand| matches!(demand, Demand::AtMost { .. });
            table.policies.contains(&at) && !policy.demands.iter().any(is_cumulative)
        })
}
