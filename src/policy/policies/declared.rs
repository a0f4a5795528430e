//! Policies on what is declared, before any plan: by table, for every fleet that there may be, or by instance, for one.
//!
//! Owns what can be said without live rules. Refuses to guess: by table only what is wrong on any fleet is said, and a
//! policy that holds on some and not on others is named as undecided.

use std::collections::{BTreeMap, BTreeSet};

use super::demand::{Trial, Tried};
use super::{Findings, On, Place, Seen, Sides, Undeclared, Waived, excepted};
use crate::exposure::{Access, Effective, Reach};
use crate::model::{
    AddressType, DeclaredTable, Demand, Desired, Family, Instance, InstanceId, Policies, Policy,
    Rule, Waiver,
};

/// Judges what is declared, for every fleet that there may be: only what is wrong on any of them is said.
pub fn declared(tables: &[DeclaredTable], policies: &Policies) -> Findings {
    let mut found = Findings::default();
    let mut waived = Waived::default();
    let trials = trials(policies);
    let judged: Vec<Judged> = tables.iter().map(Judged::new).collect();
    for Judged {
        table,
        own,
        possible,
    } in &judged
    {
        waived.judged(&table.waivers);
        let place = place(table);
        let sides = sides(own.clone(), possible.clone(), Family::default());
        for trial in table.policies.iter().filter_map(|at| trials.get(*at)) {
            place.judge(trial, &sides, &mut found.violations, &mut waived);
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
            on: On::Instance(id.clone()),
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
            .or_insert_with(|| Trial::all(policies, families));
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
        on: On::Table(table.name.clone()),
        rules: &table.rules,
        waivers: &table.waivers,
        mode: None,
        plan: None,
    }
}

/// The policies where nothing is known of the instances: whatever is required is required of both families.
fn trials(policies: &Policies) -> Vec<Trial<'_>> {
    Trial::all(policies, &AddressType::Dualstack)
}

/// `own` is what is declared, and `beside` all that may be open in the end: only what lacks there is missing for certain.
fn sides(own: Effective, beside: Effective, family: Family) -> Sides {
    Sides {
        before: Effective::default(),
        after: Reach::of_certain(own, family),
        beside: Some(beside),
        undeclared: Undeclared::default(),
        seen: (Seen::Declared, Seen::Declared),
    }
}

fn open(rules: &[Rule], family: Family) -> Effective {
    let rules = rules.iter().map(|rule| (&rule.key, &rule.sources));
    Effective::of_rules(rules, family)
}

/// What other tables may let in besides, or live rules.
fn possible(table: &DeclaredTable) -> Effective {
    let rules = table.possible.as_deref();
    rules.map_or_else(everything, |rules| open(rules, Family::default()))
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
    fn new(table: &'a DeclaredTable) -> Self {
        let own = open(&table.rules, Family::default());
        // Mostly nothing can be added.
        let alone = table.possible.as_ref() == Some(&table.rules);
        Self {
            table,
            possible: if alone { own.clone() } else { possible(table) },
            own,
        }
    }

    /// Whether its own rules break a demand, which then are to blame wherever they meet others.
    fn is_to_blame(&self, at: usize, policy: &Policy, tried: &Tried) -> bool {
        let Self { table, own, .. } = self;
        let concerned = table.policies.contains(&at) || table.perhaps.contains(&at);
        let mut waivers = table.waivers.iter();
        let about = concerned || waivers.any(|waiver| waiver.policies.contains(&policy.id));
        about && !tried.broken(own).is_empty()
    }
}

/// The policies that hold on some fleets and not on others, by id.
fn undecided(tables: &[Judged<'_>], trials: &[Trial<'_>]) -> Vec<String> {
    let mut ids = BTreeSet::new();
    for Judged {
        table,
        own,
        possible,
    } in tables
    {
        let certain = table.policies.iter().map(|at| (*at, true));
        for (at, concerned) in certain.chain(table.perhaps.iter().map(|at| (*at, false))) {
            let Some(Trial { policy, demands }) = trials.get(at) else {
                continue;
            };
            let overlooked = overlooked(table, policy);
            let depends = |(demand, tried): &(&Demand, Tried)| {
                let broken = |access: &Effective| {
                    let judged = if tried.is_required() {
                        tried.broken(access)
                    } else {
                        tried.broken(&access.without(&overlooked))
                    };
                    !judged.is_empty()
                };
                let alone = broken(own);
                match demand {
                    Demand::Require(_) => alone && (!concerned || !broken(possible)),
                    Demand::OnlyFrom { .. } => alone && !concerned,
                    // Tables that are narrow each by itself may be wide together.
                    Demand::AtMost { .. } => {
                        let together = || table.possible.is_some() && broken(possible);
                        let blamed = || {
                            tables
                                .iter()
                                .any(|table| table.is_to_blame(at, policy, tried))
                        };
                        (alone && !concerned) || (!alone && together() && !blamed())
                    }
                }
            };
            if !ids.contains(&policy.id) && demands.iter().any(depends) {
                ids.insert(policy.id.clone());
            }
        }
    }
    ids.into_iter().collect()
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
