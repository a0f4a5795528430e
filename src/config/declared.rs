//! What a table gives to every instance that it takes, without a look at any instance.
//!
//! Owns what can be said before the instances are known: the rules that an instance has for certain, and those that it
//! may have besides. Does not guess: what depends on tags or on an unknown region is only possible.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use time::OffsetDateTime;

use super::Config;
use super::link::Linked;
use super::rule::Rule;
use super::selector::Selector;
use super::table::{Declared, Group, Settings};
use crate::model::{self, DeclaredTable, Mode, PAIRS_OF_AN_INSTANCE, Policies, Waiver};

impl Config {
    /// The policies, for the tables of [`Config::declared`]; of no use with instances.
    pub fn policies(&self) -> Policies {
        let list = self.linked.policies.iter();
        Policies {
            list: list.map(|linked| linked.policy.clone()).collect(),
            ..Policies::default()
        }
    }

    /// Every group and every instance table, with the rules that are in force as of this instant.
    pub fn declared(&self, as_of: OffsetDateTime) -> Vec<DeclaredTable> {
        let mut lines = Lines::new(&self.linked, as_of);
        // An instance of a group may be in any other group, and may have any table.
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

    /// The policies that speak of every instance of a table, and those that may speak of some; `takes` tells both of a
    /// selector.
    fn concerning(&self, takes: impl Fn(&Selector) -> (bool, bool)) -> (Vec<usize>, Vec<usize>) {
        let (mut policies, mut perhaps) = (Vec::new(), Vec::new());
        for (at, policy) in self.linked.policies.iter().enumerate() {
            match policy.selector.as_ref().map_or((true, true), &takes) {
                (_, true) => policies.push(at),
                (true, false) => perhaps.push(at),
                (false, false) => {}
            }
        }
        (policies, perhaps)
    }
}

/// The rules of tables as of one instant. Those that are the same are made once.
pub(super) struct Lines<'a> {
    linked: &'a Linked,
    as_of: OffsetDateTime,
    /// By the lines that they come from.
    shared: BTreeMap<Vec<*const Rule>, Made>,
}

/// The rules that lines come to, and what they except from policies.
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
        (policies, perhaps): (Vec<usize>, Vec<usize>),
    ) -> DeclaredTable {
        let Made { rules, waivers } = self.make(certain);
        DeclaredTable {
            name,
            rules,
            possible,
            waivers,
            policies,
            perhaps,
        }
    }

    /// What these tables may open together; `None` where more may be open, or where it is more than an instance can have.
    fn possible(&mut self, tables: &[&Settings]) -> Option<Arc<[model::Rule]>> {
        // Outside authoritative mode rules may be live that nobody declared.
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
        (pairs <= PAIRS_OF_AN_INSTANCE).then(|| self.make(tables).rules)
    }

    /// The rules of these tables that are in force, each line once.
    pub(super) fn make(&mut self, tables: &[&Settings]) -> Made {
        // Those that expire soon are told elsewhere.
        let mut told = Vec::new();
        let in_force = |line: &&Rule| !line.is_expired(self.as_of, &mut told);
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
        // They are told elsewhere.
        let mut told = Vec::new();
        for line in lines(self.linked, &[table]) {
            if line.is_expired(self.as_of, &mut told) {
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

/// The rulesets that any of these tables uses.
fn uses(tables: &[&Settings]) -> BTreeSet<usize> {
    let uses = tables.iter().flat_map(|settings| &settings.uses);
    uses.copied().collect()
}
