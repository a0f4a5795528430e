//! The rules that a table gives to its instances, without knowing the instances.
//!
//! Owns the rules that every instance of a table has, and those that it may have. Does not guess: rules that depend on tags
//! or on an unknown region are only possible.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;

use super::Config;
use super::link::LinkedConfig;
use super::rule::LinkedRule;
use super::selector::Selector;
use super::table::{TableSettings, used_rulesets};
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
        let (groups, instances) = (&self.linked.groups, &self.linked.instances);
        let mut rules = TableRules::new(&self.linked, as_of);
        // An instance of a group may be in any other group and have any table.
        let settings = groups.iter().map(|group| &group.settings);
        let settings = settings.chain(instances.iter().map(|table| &table.settings));
        let possible = rules.possible(&settings.collect::<Vec<_>>());
        let mut declared = Vec::with_capacity(groups.len() + instances.len());
        for group in groups {
            let policies = self.policies_for(&group.selector);
            let name = format!("groups.{}", group.name);
            let certain = [&group.settings];
            declared.push(rules.declared_table(name, &certain, possible.clone(), policies));
        }
        for table in instances {
            let selector = self.completed_id(table).selector();
            let (mut certain, mut possible) = (vec![&table.settings], vec![&table.settings]);
            for group in groups {
                let includes = group.selector.includes(&selector);
                let excludes = group.selector.excludes(&selector);
                possible.extend((!excludes).then_some(&group.settings));
                certain.extend(includes.then_some(&group.settings));
            }
            let policies = self.policies_for(&selector);
            let name = format!("instances.{}", table.key);
            let possible = rules.possible(&possible);
            declared.push(rules.declared_table(name, &certain, possible, policies));
        }
        declared
    }

    /// The policies that apply to every instance that a selector matches, and those that may apply to some.
    fn policies_for(&self, table: &Selector) -> (Vec<usize>, Vec<usize>) {
        let (mut policies, mut possible_policies) = (Vec::new(), Vec::new());
        for (index, policy) in self.linked.policies.iter().enumerate() {
            match &policy.selector {
                Some(selector) if !selector.includes(table) => {
                    possible_policies.extend((!selector.excludes(table)).then_some(index));
                }
                _ => policies.push(index),
            }
        }
        (policies, possible_policies)
    }
}

/// The rules of tables at one instant. Equal lists of rules are shared.
pub(super) struct TableRules<'a> {
    linked: &'a LinkedConfig,
    as_of: OffsetDateTime,
    /// By the lines that the rules come from.
    shared: BTreeMap<Vec<*const LinkedRule>, RulesInForce>,
}

/// The rules of some lines, with their waivers.
#[derive(Clone)]
pub(super) struct RulesInForce {
    pub(super) rules: Arc<[model::Rule]>,
    waivers: Vec<Waiver>,
}

impl<'a> TableRules<'a> {
    pub(super) fn new(linked: &'a LinkedConfig, as_of: OffsetDateTime) -> Self {
        Self {
            linked,
            as_of,
            shared: BTreeMap::new(),
        }
    }

    fn declared_table(
        &mut self,
        name: String,
        certain: &[&TableSettings],
        possible: Option<Arc<[model::Rule]>>,
        (policies, possible_policies): (Vec<usize>, Vec<usize>),
    ) -> DeclaredTable {
        let RulesInForce { rules, waivers } = self.in_force(certain);
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
    fn possible(&mut self, tables: &[&TableSettings]) -> Option<Arc<[model::Rule]>> {
        // In other modes than authoritative, undeclared rules may be live.
        let is_authoritative = |settings: &&TableSettings| {
            let mode = settings.mode.map_or(self.linked.mode, |(mode, _)| mode);
            mode == Mode::Authoritative
        };
        if !tables.iter().all(is_authoritative) {
            return None;
        }
        let pairs = self.linked.pairs(tables);
        (pairs <= MAX_PAIRS_PER_INSTANCE).then(|| self.in_force(tables).rules)
    }

    /// The rules of these tables in force, each line once.
    pub(super) fn in_force(&mut self, tables: &[&TableSettings]) -> RulesInForce {
        let lines = self.linked.lines(tables);
        let lines: Vec<&LinkedRule> = lines.filter(|line| !line.is_expired(self.as_of)).collect();
        let key: Vec<*const LinkedRule> = lines.iter().map(|line| &raw const **line).collect();
        let rules_of_lines = || {
            let (mut rules, mut waivers) = (Vec::new(), Vec::new());
            for line in lines {
                let first = rules.len();
                rules.extend(line.rules_of_any_instance());
                waivers.extend(line.waivers(&rules[first..], true));
            }
            RulesInForce {
                rules: rules.into(),
                waivers,
            }
        };
        self.shared
            .entry(key)
            .or_insert_with(rules_of_lines)
            .clone()
    }

    /// The rules of a table that have ended.
    pub(super) fn expired(&self, table: &TableSettings) -> Vec<model::Rule> {
        self.linked
            .lines(&[table])
            .filter(|line| line.is_expired(self.as_of))
            .flat_map(LinkedRule::rules_of_any_instance)
            .collect()
    }
}

impl LinkedConfig {
    /// Every line of these tables and of the rulesets that they use, each once.
    pub(super) fn lines<'a>(
        &'a self,
        tables: &[&'a TableSettings],
    ) -> impl Iterator<Item = &'a LinkedRule> {
        let rulesets = used_rulesets(tables).into_iter();
        let shared = rulesets.flat_map(|id| &self.rulesets[id]);
        let own = tables.iter().flat_map(|settings| &settings.rules);
        shared.chain(own)
    }

    /// The number of pairs of port and source of these tables and of the rulesets that they use.
    pub(super) fn pairs(&self, tables: &[&TableSettings]) -> usize {
        let rulesets = used_rulesets(tables).into_iter();
        let shared = rulesets.map(|id| self.ruleset_pairs[id]);
        let own = tables.iter().map(|settings| settings.own_pairs);
        shared.chain(own).sum()
    }
}
