//! Policies on what is declared, before any plan: by table, for every fleet that there may be, or by instance, for one.
//!
//! Owns what can be said without live rules. Does not guess: by table only what is wrong on any fleet is said, and a
//! policy that holds on some and not on others is named as undecided.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use super::demand::{CompiledDemand, CompiledPolicy};
use super::{Findings, Occurrence, Place, Sides, Subject, Undeclared, Violation, Waived, excepted};
use crate::exposure::{Access, Effective, Reach};
use crate::model::{
    AddressType, DeclaredTable, Demand, Desired, Family, Instance, InstanceId, Key, Policies,
    Policy, Rule, Sources, Waiver,
};

/// Judges what is declared, for every fleet that there may be: only what is wrong on any of them is said.
pub fn declared(tables: &[DeclaredTable], policies: &Policies) -> Findings {
    let mut found = Findings::default();
    let mut waived = Waived::default();
    let trials = trials(policies);
    let judged = Judged::all(tables);
    // Where an equal table was judged before: what was said of it.
    let mut known: BTreeMap<_, Range<usize>> = BTreeMap::new();
    for judged in &judged {
        let table = judged.table;
        if table.waivers.is_empty()
            && let Some(said) = known.get(&judged.judged_by())
        {
            for at in said.clone() {
                let on = Subject::Table(table.name.clone());
                let violation = found.violations[at].clone();
                found.violations.push(Violation { on, ..violation });
            }
            continue;
        }
        waived.judged(&table.waivers);
        let from = found.violations.len();
        let place = place(table);
        let sides = sides(
            judged.own.clone(),
            judged.possible.clone(),
            Family::default(),
        );
        for trial in table.policies.iter().filter_map(|at| trials.get(*at)) {
            place.judge(trial, &sides, &mut found.violations, &mut waived);
        }
        if table.waivers.is_empty() {
            known.insert(judged.judged_by(), from..found.violations.len());
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
    found.undecided = undecided(&judged, &trials);
    found.sort();
    found
}

/// Judges what is declared of each of these instances. `live` is what gets in for certain beside it, by the live rules of an
/// instance that keeps them; `None` where that is not known.
///
/// What somebody else opened is no fault of what is declared, but it may let in who must get in.
pub fn declared_on(
    desired: &Desired,
    instances: &BTreeMap<InstanceId, Instance>,
    live: impl Fn(&InstanceId) -> Option<Effective>,
) -> Findings {
    let policies = &desired.policies;
    let mut found = Findings::default();
    let mut waived = Waived::default();
    let mut trials = BTreeMap::new();
    for (id, wanted) in &desired.instances {
        let Some(instance) = instances.get(id) else {
            continue;
        };
        let waivers = policies.waivers.get(id).map_or(&[][..], Vec::as_slice);
        waived.judged(waivers);
        let place = Place {
            on: Subject::Instance(id.clone()),
            rules: &wanted.rules,
            waivers,
            mode: Some(wanted.mode),
            plan: None,
        };
        let families = &instance.address_type;
        let family = families.client_family();
        let own = open(&wanted.rules, family);
        let beside = live(id).map_or_else(everything, |live| live.joined(&own, family));
        let sides = sides(own, beside, family);
        let trials = trials
            .entry(families)
            .or_insert_with(|| CompiledPolicy::all(policies, families));
        for trial in policies.concerning(id).map(|policy| &trials[policy]) {
            place.judge(trial, &sides, &mut found.violations, &mut waived);
        }
    }
    found.unused = waived.unused(&BTreeSet::new());
    found.sort();
    found
}

fn place(table: &DeclaredTable) -> Place<'_> {
    Place {
        on: Subject::Table(table.name.clone()),
        rules: &table.rules,
        waivers: &table.waivers,
        mode: None,
        plan: None,
    }
}

/// The policies where nothing is known of the instances: whatever is required is required of both families.
fn trials(policies: &Policies) -> Vec<CompiledPolicy<'_>> {
    CompiledPolicy::all(policies, &AddressType::Dualstack)
}

/// `own` is what is declared, and `beside` all that may be open in the end: only what lacks there is missing for certain.
fn sides(own: Effective, beside: Effective, family: Family) -> Sides {
    Sides {
        before: Effective::default(),
        after: Reach::of_certain(own, family),
        beside: Some(beside),
        undeclared: Undeclared::default(),
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

/// A table with what it opens by itself, and what may be open beside it.
struct Judged<'a> {
    table: &'a DeclaredTable,
    own: Effective,
    possible: Effective,
}

impl<'a> Judged<'a> {
    /// Tables whose rules are the same, or open the same to the same, share what these open.
    fn all(tables: &'a [DeclaredTable]) -> Vec<Self> {
        let mut known: BTreeMap<*const Rule, Effective> = BTreeMap::new();
        let mut equal: HashMap<Vec<(Key, &Sources)>, Effective> = HashMap::new();
        let mut open = |rules: &'a Arc<[Rule]>| {
            let opened = || {
                let opens = rules.iter().map(|rule| (rule.key, &rule.sources));
                let opened = || open(rules, Family::default());
                let equal = equal.entry(opens.collect()).or_insert_with(opened);
                equal.clone()
            };
            known.entry(rules.as_ptr()).or_insert_with(opened).clone()
        };
        let judged = |table: &'a DeclaredTable| Self {
            table,
            own: open(&table.rules),
            possible: table.possible.as_ref().map_or_else(everything, &mut open),
        };
        tables.iter().map(judged).collect()
    }

    /// Tables that agree in this and have no waivers are judged alike.
    fn judged_by(&self) -> (*const Rule, Option<*const Rule>, &'a [usize]) {
        let table = self.table;
        let possible = table.possible.as_ref().map(|rules| rules.as_ptr());
        (table.rules.as_ptr(), possible, &table.policies)
    }

    /// Whether a policy speaks of all of its instances, or at most of some; `None` where it speaks of none.
    fn is_concerned(&self, at: usize) -> Option<bool> {
        let DeclaredTable {
            policies, perhaps, ..
        } = self.table;
        match policies.binary_search(&at) {
            Ok(_) => Some(true),
            Err(_) => perhaps.binary_search(&at).ok().map(|_| false),
        }
    }

    /// Whether its own rules break a demand, which then are to blame wherever they meet others.
    fn is_to_blame(&self, at: usize, policy: &Policy, tried: &CompiledDemand) -> bool {
        let mut waivers = self.table.waivers.iter();
        let about = self.is_concerned(at).is_some()
            || waivers.any(|waiver| waiver.policies.contains(&policy.id));
        about && !tried.broken(&self.own).is_empty()
    }
}

/// The policies that hold on some fleets and not on others, by id.
fn undecided(tables: &[Judged<'_>], trials: &[CompiledPolicy<'_>]) -> Vec<String> {
    let open = trials.iter().enumerate().filter(|(at, trial)| {
        let mut demands = trial.demands.iter();
        demands.any(|(demand, tried)| depends(*at, trial.policy, demand, tried, tables))
    });
    let ids: BTreeSet<&String> = open.map(|(_, trial)| &trial.policy.id).collect();
    ids.into_iter().cloned().collect()
}

/// Whether this demand of a policy holds on some fleets and not on others.
fn depends(
    at: usize,
    policy: &Policy,
    demand: &Demand,
    tried: &CompiledDemand,
    tables: &[Judged<'_>],
) -> bool {
    let is_blamed = LazyCell::new(|| tables.iter().any(|one| one.is_to_blame(at, policy, tried)));
    // Whether what these rules open breaks it; `None` is everything.
    let mut known: BTreeMap<Option<*const Rule>, bool> = BTreeMap::new();
    tables.iter().any(|judged| {
        let Judged {
            table,
            own,
            possible,
        } = judged;
        let Some(concerned) = judged.is_concerned(at) else {
            return false;
        };
        let overlooked = overlooked(table, policy);
        let mut breaks = |rules: Option<&Arc<[Rule]>>, access: &Effective| {
            let rules = rules.map(|rules| rules.as_ptr());
            if tried.is_required() || overlooked.is_empty() {
                let breaks = || !tried.broken(access).is_empty();
                *known.entry(rules).or_insert_with(breaks)
            } else {
                !tried.broken(&access.difference(&overlooked)).is_empty()
            }
        };
        let alone = breaks(Some(&table.rules), own);
        let mut together = || breaks(table.possible.as_ref(), possible);
        match demand {
            Demand::Require(_) => alone && (!concerned || !together()),
            Demand::OnlyFrom { .. } => alone && !concerned,
            Demand::AtMost { .. } if alone => !concerned,
            // Tables that are narrow each by itself may be wide together.
            Demand::AtMost { .. } => table.possible.is_some() && together() && !*is_blamed,
        }
    })
}

/// What the waivers of a table excuse of a policy.
fn overlooked(table: &DeclaredTable, policy: &Policy) -> Effective {
    let waivers = table.waivers.iter();
    let of_this = waivers.filter(|waiver| waiver.policies.contains(&policy.id));
    let of_this: Vec<&Waiver> = of_this.collect();
    excepted(&table.rules, &of_this, Family::default())
}

/// Whether one rule of this table breaks this policy or not, whatever other rules there are.
fn is_plain(id: &str, table: &DeclaredTable, policies: &Policies) -> bool {
    let mut all = policies.list.iter().enumerate();
    all.find(|(_, policy)| policy.id == id)
        .is_none_or(|(at, policy)| {
            let adds_up = |demand: &Demand| matches!(demand, Demand::AtMost { .. });
            table.policies.contains(&at) && !policy.demands.iter().any(adds_up)
        })
}
