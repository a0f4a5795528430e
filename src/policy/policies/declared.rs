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
    CheckTarget, Comparison, Findings, Occurrence, Subject, UndeclaredAccess, Violation, WaiverUse,
    excepted,
};
use crate::exposure::{Access, Effective, Reach};
use crate::model::{
    AddressType, DeclaredTable, Demand, Desired, Family, Instance, InstanceId, Key, Policies,
    Policy, Rule, Sources, Waiver,
};

/// Checks the declared tables for any possible fleet. Reports only violations that every fleet has.
pub fn declared(tables: &[DeclaredTable], policies: &Policies) -> Findings {
    let mut found = Findings::default();
    let mut waived = WaiverUse::default();
    let compiled_policies = compiled_policies(policies);
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
            for at in earlier.clone() {
                let on = Subject::Table(table.name.clone());
                let violation = found.violations[at].clone();
                found.violations.push(Violation { on, ..violation });
            }
            continue;
        }
        waived.add(&table.waivers);
        let from = found.violations.len();
        let place = place(table);
        let comparison = comparison(
            checked.own.access.clone(),
            checked.possible.access.clone(),
            Family::default(),
        );
        for compiled in table
            .policies
            .iter()
            .filter_map(|at| compiled_policies.get(*at))
        {
            place.judge(compiled, &comparison, &mut found.violations, &mut waived);
        }
        if has_waivers {
            continue;
        }
        if from == found.violations.len() {
            clean.insert(checked.access_key());
        } else {
            known.insert(checked.cache_key(), from..found.violations.len());
        }
    }
    let doubtful = tables.iter().flat_map(|table| {
        let doubtful = |waiver: &&Waiver| {
            let mut ids = waiver.policies.iter();
            ids.any(|id| !is_plain(id, table, policies))
        };
        table.waivers.iter().filter(doubtful)
    });
    found.unused = waived.unused(&doubtful.map(|waiver| &waiver.origin).collect());
    found.undecided = undecided(&checked, &compiled_policies);
    found.sort();
    found
}

/// Checks the declared rules of each of these instances. `live` is the certain access of live rules that an instance keeps; `None`
/// if it is not known.
///
/// Live rules do not cause violations here, but may satisfy requirements.
pub fn declared_on(
    desired: &Desired,
    instances: &BTreeMap<InstanceId, Instance>,
    live: impl Fn(&InstanceId) -> Option<Effective>,
) -> Findings {
    let policies = &desired.policies;
    let mut found = Findings::default();
    let mut waived = WaiverUse::default();
    let mut compiled_policies = BTreeMap::new();
    for (id, wanted) in &desired.instances {
        let Some(instance) = instances.get(id) else {
            continue;
        };
        let waivers = policies.waivers.get(id).map_or(&[][..], Vec::as_slice);
        waived.add(waivers);
        let place = CheckTarget {
            on: Subject::Instance(id.clone()),
            rules: &wanted.rules,
            waivers,
            mode: Some(wanted.mode),
            plan: None,
        };
        let families = &instance.address_type;
        let family = families.client_family();
        let own = open(&wanted.rules, family);
        let possible = live(id).map_or_else(everything, |live| live.joined(&own, family));
        let comparison = comparison(own, possible, family);
        let compiled_policies = compiled_policies
            .entry(families)
            .or_insert_with(|| CompiledPolicy::all(policies, families));
        for compiled in policies
            .concerning(id)
            .map(|policy| &compiled_policies[policy])
        {
            place.judge(compiled, &comparison, &mut found.violations, &mut waived);
        }
    }
    found.unused = waived.unused(&BTreeSet::new());
    found.sort();
    found
}

fn place(table: &DeclaredTable) -> CheckTarget<'_> {
    CheckTarget {
        on: Subject::Table(table.name.clone()),
        rules: &table.rules,
        waivers: &table.waivers,
        mode: None,
        plan: None,
    }
}

/// The policies for unknown instances, which require access for both families.
fn compiled_policies(policies: &Policies) -> Vec<CompiledPolicy<'_>> {
    CompiledPolicy::all(policies, &AddressType::Dualstack)
}

/// `own` is the declared access, and `possible` all access that there may be, outside of which access is certainly missing.
fn comparison(own: Effective, possible: Effective, family: Family) -> Comparison {
    Comparison {
        before: Effective::default(),
        after: Reach::of_certain(own, family),
        satisfying: Some(possible),
        undeclared: UndeclaredAccess::default(),
        seen: (Occurrence::Declared, Occurrence::Declared),
    }
}

fn open(rules: &[Rule], family: Family) -> Effective {
    let rules = rules.iter().map(|rule| (&rule.key, &rule.sources));
    Effective::of_rules(rules, family)
}

fn everything() -> Effective {
    Effective::everywhere(&Access::everyone())
}

/// The access of a list of rules.
#[derive(Clone)]
struct Opened {
    access: Effective,
    /// The same for lists that allow the same ports to the same sources; 0 is all access.
    id: usize,
}

/// A table with the access of its own rules, and with the access that there may be on its instances.
struct CheckedTable<'a> {
    table: &'a DeclaredTable,
    own: Opened,
    possible: Opened,
}

impl<'a> CheckedTable<'a> {
    /// Tables whose rules are the same, or allow the same ports to the same sources, share their access.
    fn all(tables: &'a [DeclaredTable]) -> Vec<Self> {
        let mut known: BTreeMap<*const Rule, Opened> = BTreeMap::new();
        let mut equal: HashMap<Vec<(Key, &Sources)>, Opened> = HashMap::new();
        let mut open = |rules: &'a Arc<[Rule]>| {
            let opened = || {
                let opens = rules.iter().map(|rule| (rule.key, &rule.sources));
                let id = equal.len() + 1;
                let access = || open(rules, Family::default());
                let opened = || Opened {
                    access: access(),
                    id,
                };
                let equal = equal.entry(opens.collect()).or_insert_with(opened);
                equal.clone()
            };
            known.entry(rules.as_ptr()).or_insert_with(opened).clone()
        };
        let checked = |table: &'a DeclaredTable| Self {
            table,
            own: open(&table.rules),
            possible: match &table.possible {
                Some(rules) => open(rules),
                None => Opened {
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

    /// Whether a policy applies to all instances of the table (`true`), or may apply to some; `None` if to none.
    fn is_concerned(&self, at: usize) -> Option<bool> {
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
        let about = self.is_concerned(at).is_some()
            || waivers.any(|waiver| waiver.policies.contains(&policy.id));
        about && !compiled.broken(&self.own.access).is_empty()
    }
}

/// The policies that hold on some fleets and not on others, by id.
fn undecided(tables: &[CheckedTable<'_>], compiled_policies: &[CompiledPolicy<'_>]) -> Vec<String> {
    let open =
        compiled_policies
            .iter()
            .enumerate()
            .filter(|(at, CompiledPolicy { policy, demands })| {
                let mut demands = demands.iter();
                demands.any(|(demand, compiled)| depends(*at, policy, demand, compiled, tables))
            });
    let ids: BTreeSet<&String> = open.map(|(_, compiled)| &compiled.policy.id).collect();
    ids.into_iter().cloned().collect()
}

/// Whether this demand of a policy holds on some fleets only.
fn depends(
    at: usize,
    policy: &Policy,
    demand: &Demand,
    compiled: &CompiledDemand,
    tables: &[CheckedTable<'_>],
) -> bool {
    let is_blamed = LazyCell::new(|| {
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
        let Some(concerned) = checked.is_concerned(at) else {
            return false;
        };
        let overlooked = overlooked(table, policy);
        let mut breaks = |Opened { access, id }: &Opened| {
            if compiled.is_required() || overlooked.is_empty() {
                let breaks = || !compiled.broken(access).is_empty();
                *known.entry(*id).or_insert_with(breaks)
            } else {
                !compiled.broken(&access.difference(&overlooked)).is_empty()
            }
        };
        let alone = breaks(own);
        let mut together = || breaks(possible);
        match demand {
            Demand::Require(_) => alone && (!concerned || !together()),
            Demand::OnlyFrom { .. } => alone && !concerned,
            Demand::AtMost { .. } if alone => !concerned,
            // Tables that do not exceed the limit alone may exceed it together.
            Demand::AtMost { .. } => table.possible.is_some() && together() && !*is_blamed,
        }
    })
}

/// The access that the waivers of a table exempt from a policy.
fn overlooked(table: &DeclaredTable, policy: &Policy) -> Effective {
    let waivers = table.waivers.iter();
    let of_this = waivers.filter(|waiver| waiver.policies.contains(&policy.id));
    let of_this: Vec<&Waiver> = of_this.collect();
    excepted(&table.rules, &of_this, Family::default())
}

/// Whether each rule of this table violates or satisfies this policy independently of other rules.
fn is_plain(id: &str, table: &DeclaredTable, policies: &Policies) -> bool {
    let mut all = policies.list.iter().enumerate();
    all.find(|(_, policy)| policy.id == id)
        .is_none_or(|(at, policy)| {
            let adds_up = |demand: &Demand| matches!(demand, Demand::AtMost { .. });
            table.policies.contains(&at) && !policy.demands.iter().any(adds_up)
        })
}
