//! The statements of a configuration about an unknown instance, or about every instance that a selector matches.
//!
//! An unknown instance is assumed to be dual-stack.
//!
//! **Owns** three answers: the certain access, the access if the instance also belongs to another group, and whether unknown
//! live rules stay. **Does not** compare two configurations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use time::OffsetDateTime;

use super::additive::additive_firewall;
use crate::config::{Config, Statement, TableScope};
use crate::exposure::{DocumentFirewall, Effective};
use crate::model::{
    Absent, DesiredInstance, Family, Firewall, Instance, LiveFirewall, Mode, Rule, Sources,
    Unreadable,
};

/// The rules of a document for an instance.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct InstanceRules {
    /// The certain access.
    pub(in crate::cli) firewall: DocumentFirewall,
    /// The further access if the instance belongs to a group, which is unknown.
    pub(in crate::cli) group_rules: Vec<GroupRules>,
    /// The live rules that stay.
    pub(in crate::cli) retained: Retained,
    /// The live rules that stay if none of the possible groups matches.
    pub(in crate::cli) retained_without_groups: Retained,
    /// The access that is certainly closed, if live rules stay.
    pub(in crate::cli) absent: Effective,
    /// Whether a table matches it.
    pub(in crate::cli) declared: TableMatch,
    /// The desired state of one unknown instance.
    pub(in crate::cli) desired: Option<(Instance, Arc<DesiredInstance>)>,
}

/// Whether a table of a configuration matches an instance. An instance without a table is not changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) enum TableMatch {
    /// One matches, or the document is not a configuration.
    #[default]
    Yes,
    /// A group may match.
    Perhaps,
    /// None matches.
    No,
}

#[derive(Clone, Debug)]
pub(in crate::cli) struct GroupRules {
    /// Its instances.
    pub(in crate::cli) scope: TableScope,
    /// The same for every group with an equal selector.
    pub(in crate::cli) spelling: String,
    /// The access that it allows.
    pub(in crate::cli) firewall: DocumentFirewall,
    /// The access that it closes in additive mode.
    pub(in crate::cli) absent: Effective,
    /// Whether its instances are in additive mode, unless another table sets the mode.
    pub(in crate::cli) is_additive: bool,
    pub(in crate::cli) modes: BTreeSet<Mode>,
}

/// The unknown live rules that stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) enum Retained {
    /// None: there are only the declared rules.
    #[default]
    Nothing,
    /// None or all, because another group may set the mode, or no table may match the instance.
    Perhaps,
    /// All but these, as in additive mode or without a matching table.
    AllBut(Effective),
}

impl Retained {
    /// Declared rules stay, even if they are also named as absent.
    fn without_declared(self, declared: &Effective) -> Self {
        match self {
            Self::AllBut(absent) => Self::AllBut(absent.difference(declared)),
            retained => retained,
        }
    }
}

/// The three-valued answer of a document about an instance.
pub(in crate::cli) type InstanceRulesResult = Result<InstanceRules, Unreadable>;

impl From<DocumentFirewall> for InstanceRules {
    fn from(firewall: DocumentFirewall) -> Self {
        Self {
            firewall,
            ..Self::default()
        }
    }
}

impl InstanceRules {
    /// For an unknown instance without a matching table.
    pub(in crate::cli) fn undeclared() -> Self {
        Self {
            retained: Retained::AllBut(Effective::default()),
            retained_without_groups: Retained::AllBut(Effective::default()),
            declared: TableMatch::No,
            ..Self::default()
        }
    }

    /// The live rules that stay on an instance that belongs to `group`, if given, and to none of `others`.
    pub(in crate::cli) fn retained_in(
        &self,
        group: Option<&str>,
        others: &BTreeSet<String>,
    ) -> Retained {
        if self.declared == TableMatch::Yes {
            return self.retained.clone();
        }
        let open: Vec<&GroupRules> = self
            .group_rules
            .iter()
            .filter(|one| !others.contains(&one.spelling))
            .collect();
        let group = open.iter().find(|one| group == Some(one.spelling.as_str()));
        match (group, open.is_empty()) {
            (None, true) => Retained::AllBut(Effective::default()),
            (None, false) => Retained::Perhaps,
            (Some(group), _) => {
                let agree = open.iter().all(|one| one.is_additive == group.is_additive);
                match (agree, group.is_additive) {
                    (false, _) => Retained::Perhaps,
                    (true, true) => Retained::AllBut(group.absent.clone()),
                    (true, false) => Retained::Nothing,
                }
            }
        }
    }

    /// The same for known live rules of the instance, so that the result is known.
    pub(in crate::cli) fn with_live(mut self, live: &LiveFirewall) -> Self {
        if let (Retained::AllBut(_), Some((instance, desired))) = (&self.retained, &self.desired) {
            self.firewall = additive_firewall(instance, desired, live);
            self.retained = Retained::Nothing;
        }
        self
    }
}

/// All statements of a configuration, indexed for lookups by scope.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Statements {
    mode: Mode,
    /// Groups by the spelling of their selector.
    groups: BTreeMap<String, Vec<Statement>>,
    /// Instance tables by the name of the instance.
    tables: BTreeMap<String, Vec<Statement>>,
}

impl Statements {
    /// The statements of a configuration that are in force at this instant.
    pub(in crate::cli) fn new(config: &Config, as_of: OffsetDateTime) -> Self {
        let mut all = Self {
            mode: config.default_mode(),
            ..Self::default()
        };
        for statement in config.statements(as_of) {
            match &statement.scope.id {
                None => {
                    let spelling = statement.scope.spelling();
                    all.groups.entry(spelling).or_default().push(statement);
                }
                Some(place) => {
                    let name = place.name.clone();
                    all.tables.entry(name).or_default().push(statement);
                }
            }
        }
        all
    }

    /// The selectors of its groups, by their spelling.
    pub(in crate::cli) fn selectors(&self) -> BTreeMap<&str, &TableScope> {
        let groups = self.groups.iter();
        groups
            .map(|(spelling, all)| (spelling.as_str(), &all[0].scope))
            .collect()
    }

    /// The rules of the groups with exactly this selector.
    pub(in crate::cli) fn group_firewall(&self, spelling: &str) -> DocumentFirewall {
        merge_firewall(self.with_selector(spelling))
    }

    /// Whether another configuration has the same statements for exactly this selector.
    pub(in crate::cli) fn has_equal_group(&self, other: &Self, spelling: &str) -> bool {
        let all = [self, other].map(|all| {
            let groups: Vec<&Statement> = all.with_selector(spelling).collect();
            let modes: BTreeSet<Mode> = groups
                .iter()
                .map(|statement| statement.mode.unwrap_or(all.mode))
                .collect();
            let absent = absent_access(groups.iter().flat_map(|statement| &statement.absent));
            (
                groups.is_empty(),
                modes,
                absent,
                all.group_firewall(spelling).reach.certain,
            )
        });
        all[0] == all[1]
    }

    fn with_selector(&self, spelling: &str) -> impl Iterator<Item = &Statement> {
        self.groups.get(spelling).into_iter().flatten()
    }

    /// The rules for the instances of a scope. For a selector, these are the rules of instances without a table of their own.
    pub(in crate::cli) fn rules_for(&self, scope: &TableScope) -> InstanceRules {
        let id = scope.id.as_ref();
        let tables = id.and_then(|place| self.tables.get(&place.name));
        let all = self.groups.values().chain(tables).flatten();
        let (certain, possible): (Vec<&Statement>, Vec<&Statement>) = all
            .filter(|statement| !statement.scope.excludes(scope))
            .partition(|statement| statement.scope.includes(scope));
        let firewall = merge_firewall(certain.iter().copied());
        InstanceRules {
            group_rules: self.collect_group_rules(&possible),
            retained: self
                .retained(&certain, &possible)
                .without_declared(&firewall.reach.certain),
            retained_without_groups: if certain.is_empty() {
                Retained::AllBut(Effective::default())
            } else {
                self.retained(&certain, &[])
                    .without_declared(&firewall.reach.certain)
            },
            absent: absent_access(certain.iter().flat_map(|one| &one.absent)),
            firewall,
            desired: None,
            declared: match (certain.is_empty(), possible.is_empty()) {
                (false, _) => TableMatch::Yes,
                (true, false) => TableMatch::Perhaps,
                (true, true) => TableMatch::No,
            },
        }
    }

    fn collect_group_rules(&self, possible: &[&Statement]) -> Vec<GroupRules> {
        let mut by_spelling: BTreeMap<String, Vec<&Statement>> = BTreeMap::new();
        for statement in possible {
            let spelling = statement.scope.spelling();
            by_spelling.entry(spelling).or_default().push(statement);
        }
        let is_additive =
            |statement: &&Statement| statement.mode.unwrap_or(self.mode) == Mode::Additive;
        let of = |(spelling, all): (String, Vec<&Statement>)| GroupRules {
            scope: all[0].scope.clone(),
            spelling,
            firewall: merge_firewall(all.iter().copied()),
            absent: absent_access(all.iter().flat_map(|statement| &statement.absent)),
            is_additive: all.iter().any(is_additive),
            modes: all.iter().filter_map(|statement| statement.mode).collect(),
        };
        by_spelling.into_iter().map(of).collect()
    }

    /// The mode is that of the instance's own table, or else of its groups, or else the default.
    fn retained(&self, certain: &[&Statement], possible: &[&Statement]) -> Retained {
        let modes = |all: &[&Statement], own: bool| -> BTreeSet<Mode> {
            let of_kind = all.iter().filter(|one| one.scope.id.is_some() == own);
            of_kind.filter_map(|one| one.mode).collect()
        };
        let mut settled = modes(certain, true);
        if settled.is_empty() {
            settled = modes(certain, false);
            if settled.is_empty() {
                settled.insert(self.mode);
                settled.extend(modes(possible, false));
            }
            settled.extend(modes(possible, true));
        }
        if !settled.contains(&Mode::Additive) {
            Retained::Nothing
        } else if settled.len() > 1 {
            Retained::Perhaps
        } else {
            Retained::AllBut(absent_access(certain.iter().flat_map(|one| &one.absent)))
        }
    }
}

/// The rules of these tables together.
fn merge_firewall<'a>(statements: impl Iterator<Item = &'a Statement>) -> DocumentFirewall {
    let mut rules: Vec<Rule> = Vec::new();
    let mut seen = BTreeSet::new();
    for rule in statements.flat_map(|statement| statement.rules.iter()) {
        // Several tables may use one ruleset.
        if seen.insert((&rule.declared.origin, rule.key)) {
            rules.push(rule.clone());
        }
    }
    rules.sort_by(|a, b| (a.key, &a.declared.origin).cmp(&(b.key, &b.declared.origin)));
    DocumentFirewall::of_rules(&rules, Family::default())
}

/// The named access.
fn absent_access<'a>(absent: impl Iterator<Item = &'a Absent>) -> Effective {
    let rules: Firewall = absent
        .map(|absent| {
            let sources = absent.sources.clone();
            (absent.key, sources.unwrap_or_else(Sources::anywhere))
        })
        .collect();
    Effective::of(&rules, Family::default())
}
