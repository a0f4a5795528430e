//! What a table gives to every instance that it takes, without a look at any instance.
//!
//! Owns what can be said before the instances are known: the rules that an instance has for certain, and those that it
//! may have besides. Refuses to guess: what depends on tags or on an unknown region is only possible.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::Config;
use super::link::{Declared, Group, Settings};
use super::rule::Rule;
use super::selector::Selector;
use crate::model::{DeclaredTable, Mode, Policies};

impl Config {
    /// The policies, for the tables of [`Config::declared`]; of no use with instances.
    #[must_use]
    pub fn policies(&self) -> Policies {
        let list = self.linked.policies.iter();
        Policies {
            list: list.map(|linked| linked.policy.clone()).collect(),
            ..Policies::default()
        }
    }

    /// Every group and every instance table, with the rules that are in force as of this instant.
    #[must_use]
    pub fn declared(&self, as_of: OffsetDateTime) -> Vec<DeclaredTable> {
        let groups = self
            .linked
            .groups
            .iter()
            .map(|group| self.group(group, as_of));
        let instances = self.linked.instances.iter();
        groups
            .chain(instances.map(|declared| self.table(declared, as_of)))
            .collect()
    }

    fn group(&self, group: &Group, as_of: OffsetDateTime) -> DeclaredTable {
        let linked = &self.linked;
        // An instance of the group may be in any other group, and may have any table.
        let others = linked.groups.iter().map(|group| &group.settings);
        let tables = linked.instances.iter().map(|declared| &declared.settings);
        let all: Vec<&Settings> = others.chain(tables).collect();
        let policies = self.concerning(|selector| {
            let possible = !selector.excludes(&group.selector);
            (possible, selector.includes(&group.selector))
        });
        let name = format!("groups.{}", group.name);
        self.of(name, &[&group.settings], &all, policies, as_of)
    }

    fn table(&self, declared: &Declared, as_of: OffsetDateTime) -> DeclaredTable {
        let linked = &self.linked;
        // Where there is only one account or region to look at, it is there.
        let mut place = declared.place.clone();
        let accounts = linked.accounts.keys();
        let only = accounts.take(2).collect::<Vec<_>>();
        if let ([only], None) = (&only[..], &place.account) {
            place.account = Some((*only).clone());
        }
        let regions: BTreeSet<&String> = linked.sites.iter().map(|site| &site.region).collect();
        if let (Some(only), 1, None) = (regions.first(), regions.len(), &place.region) {
            place.region = Some((*only).clone());
        }
        let (mut certain, mut possible) = (vec![&declared.settings], vec![&declared.settings]);
        for group in &linked.groups {
            let (may, does) = group.selector.takes(&place);
            possible.extend(may.then_some(&group.settings));
            certain.extend(does.then_some(&group.settings));
        }
        let policies = self.concerning(|selector| selector.takes(&place));
        let name = format!("instances.{}", declared.key);
        self.of(name, &certain, &possible, policies, as_of)
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

    fn of(
        &self,
        name: String,
        certain: &[&Settings],
        possible: &[&Settings],
        (policies, perhaps): (Vec<usize>, Vec<usize>),
        as_of: OffsetDateTime,
    ) -> DeclaredTable {
        let mut waivers = Vec::new();
        let mut rules = Vec::new();
        for line in self.lines(certain, as_of) {
            let known = rules.len();
            line.literally(&mut rules);
            waivers.extend(line.waivers(&rules[known..]));
        }
        // Outside authoritative mode rules may be live that nobody declared.
        let authoritative = |settings: &&Settings| {
            let mode = settings.mode.map_or(self.linked.mode, |(mode, _)| mode);
            mode == Mode::Authoritative
        };
        let possible = possible.iter().all(authoritative).then(|| {
            let mut rules = Vec::new();
            for line in self.lines(possible, as_of) {
                line.literally(&mut rules);
            }
            rules
        });
        DeclaredTable {
            name,
            rules,
            possible,
            waivers,
            policies,
            perhaps,
        }
    }

    /// The lines of these tables that are in force, each once.
    fn lines<'a>(&'a self, tables: &[&'a Settings], as_of: OffsetDateTime) -> Vec<&'a Rule> {
        let shared: BTreeSet<usize> = tables
            .iter()
            .flat_map(|settings| settings.uses.iter().copied())
            .collect();
        let shared = shared.into_iter().flat_map(|id| &self.linked.rulesets[id]);
        let own = tables.iter().flat_map(|settings| &settings.rules);
        // Those that expire soon are told elsewhere.
        let mut told = Vec::new();
        let in_force = |line: &&Rule| !line.is_expired(as_of, &mut told);
        shared.chain(own).filter(in_force).collect()
    }
}
