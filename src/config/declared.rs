//! The rules that a table gives to its instances, without knowing the instances.
//!
//! Owns the rules that every instance of a table has, and those that it may have. Does not guess: rules that depend on tags
//! or on an unknown region are only possible.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use time::OffsetDateTime;

use super::Config;
use super::link::Linked;
use super::rule::Rule;
use super::selector::Selector;
use super::table::{Declared, Group, Settings};
use crate::model::{self, DeclaredTable, MAX_PAIRS_PER_INSTANCE, Mode, Policies, Waiver};

impl Config {
    /// The policies for the tables of [`Config::declared`], without their instances.
    pub fn policies(&self) -> Policies {
        let list = self.linked.policies.iter();
        Policies {
            list: list.map(|linked| linked.policy.clone()).collect(),
            ..Policies::default()
        }
    }

    /// Every group and every instance table, with the rules in force at this instant.
    pub fn declared(&self, as_of: OffsetDateTime) -> Vec<DeclaredTable> {
        let mut lines = Lines::new(&self.linked, as_of);
        // An instance of a group may be in any other group and have any table.
        let groups = self.linked.groups.iter().map(|group| &group.settings);
        let tables = self.linked.instances.iter();
        let all: Vec<&Settings> = groups
            .chain(tables.map(|declared| &declared.settings))
            .collect();
        let everything = lines.possible(&all);
        let groups = self.linked.groups.iter();
        let mut declared: Vec<DeclaredTable> = groups
            .map(|group| self.group(group, everything.clone(), &mut lines))
            .collect();
        let tables = self.linked.instances.iter();
        declared.extend(tables.map(|declared| self.table(declared, &mut lines)));
        declared
    }

    fn group(
        &self,
        group: &Group,
        possible: Option<Arc<[model::Rule]>>,
        lines: &mut Lines<'_>,
    ) -> DeclaredTable {
        let policies = self.concerning(|selector| {
            let possible = !selector.excludes(&group.selector);
            (possible, selector.includes(&group.selector))
        });
        let name = format!("groups.{}", group.name);
        lines.table(name, &[&group.settings], possible, policies)
    }

    fn table(&self, declared: &Declared, lines: &mut Lines<'_>) -> DeclaredTable {
        let linked = &self.linked;
        let place = self.place(declared);
        let (mut certain, mut possible) = (vec![&declared.settings], vec![&declared.settings]);
        for group in &linked.groups {
            let (may, does) = group.selector.takes(&place);
            possible.extend(may.then_some(&group.settings));
            certain.extend(does.then_some(&group.settings));
        }
        let policies = self.concerning(|selector| selector.takes(&place));
        let name = format!("instances.{}", declared.key);
        let possible = lines.possible(&possible);
        lines.table(name, &certain, possible, policies)
    }

    /// The policies that apply to every instance of a table, and those that may apply to some. `takes` returns, for a selector,
    /// whether it may match some, and whether it matches all.
    fn concerning(&self, takes: impl Fn(&Selector) -> (bool, bool)) -> (Vec<usize>, Vec<usize>) {
        let (mut policies, mut possible_policies) = (Vec::new(), Vec::new());
        for (at, policy) in self.linked.policies.iter().enumerate() {
            match policy.selector.as_ref().map_or((true, true), &takes) {
                (_, true) => policies.push(at),
                (true, false) => possible_policies.push(at),
                (false, false) => {}
            }
        }
        (policies, possible_policies)
    }
}

/// The rules of tables at one instant. Equal lists of rules are shared.
pub(super) struct Lines<'a> {
    linked: &'a Linked,
    as_of: OffsetDateTime,
    /// By the lines that the rules come from.
    shared: BTreeMap<Vec<*const Rule>, Made>,
}

/// The rules of some lines, with their waivers.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) rules: Arc<[model::Rule]>,
    waivers: Vec<Waiver>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(linked: &'a Linked, as_of: OffsetDateTime) -> Self {
        Self {
            linked,
            as_of,
            shared: BTreeMap::new(),
        }
    }

    fn table(
        &mut self,
        name: String,
        certain: &[&Settings],
        possible: Option<Arc<[model::Rule]>>,
        (policies, possible_policies): (Vec<usize>, Vec<usize>),
    ) -> DeclaredTable {
        let Made { rules, waivers } = self.make(certain);
        DeclaredTable {
            name,
            rules,
            possible,
            waivers,
            policies,
            possible_policies,
        }
    }

    /// The rules of these tables together; `None` if other rules may be live, or if there are more than an instance can have.
    fn possible(&mut self, tables: &[&Settings]) -> Option<Arc<[model::Rule]>> {
        // In other modes than authoritative, undeclared rules may be live.
        let authoritative = |settings: &&Settings| {
            let mode = settings.mode.map_or(self.linked.mode, |(mode, _)| mode);
            mode == Mode::Authoritative
        };
        if !tables.iter().all(authoritative) {
            return None;
        }
        let used: BTreeSet<usize> = uses(tables);
        let used = used.iter().map(|id| self.linked.ruleset_pairs[*id]);
        let own = tables.iter().map(|settings| settings.own_pairs);
        let pairs: usize = used.chain(own).sum();
        (pairs <= MAX_PAIRS_PER_INSTANCE).then(|| self.make(tables).rules)
    }

    /// The rules of these tables in force, each line once.
    pub(super) fn make(&mut self, tables: &[&Settings]) -> Made {
        // Expiring rules are reported elsewhere.
        let mut ignored = Vec::new();
        let in_force = |line: &&Rule| !line.is_expired(self.as_of, &mut ignored);
        let lines: Vec<&Rule> = lines(self.linked, tables).filter(in_force).collect();
        let known: Vec<*const Rule> = lines.iter().map(|line| &raw const **line).collect();
        let make = || {
            let (mut rules, mut waivers) = (Vec::new(), Vec::new());
            for line in lines {
                let known = rules.len();
                line.literally(&mut rules);
                waivers.extend(line.waivers(&rules[known..], true));
            }
            Made {
                rules: rules.into(),
                waivers,
            }
        };
        self.shared.entry(known).or_insert_with(make).clone()
    }

    /// The rules of a table that have ended.
    pub(super) fn ended(&self, table: &Settings) -> Vec<model::Rule> {
        let mut ended = Vec::new();
        // Expiring rules are reported elsewhere.
        let mut ignored = Vec::new();
        for line in lines(self.linked, &[table]) {
            if line.is_expired(self.as_of, &mut ignored) {
                line.literally(&mut ended);
            }
        }
        ended
    }
}

/// Every line of these tables and of the rulesets that they use, each once.
fn lines<'a>(linked: &'a Linked, tables: &[&'a Settings]) -> impl Iterator<Item = &'a Rule> {
    let shared = uses(tables).into_iter();
    let shared = shared.flat_map(|id| &linked.rulesets[id]);
    let own = tables.iter().flat_map(|settings| &settings.rules);
    shared.chain(own)
}

/// The rulesets that these tables use.
fn uses(tables: &[&Settings]) -> BTreeSet<usize> {
    let uses = tables.iter().flat_map(|settings| &settings.uses);
    uses.copied().collect()
}
