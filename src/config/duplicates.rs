//! Rules that open nothing, because another rule opens all of it on every instance that has them.
//!
//! Owns the warning, once for the place of a rule, however many instances have it. Does not warn where that depends on tags
//! or on a region that is not known, where it takes several rules together, or of rules that end or are excepted from a
//! policy otherwise than the one that covers them. Does not spend more than a bounded effort.

use crate::exposure::Effective;
use crate::model::{AddressType, Code, Key, Protocol, Sources};

use super::diagnostic::Report;
use super::link::Linked;
use super::rule::{Families, Rule};
use super::source::{Span, quote};
use super::table::Settings;

/// Looks at one rule, or at one group, beside another in one run: some hundredths of a second.
const EFFORT: usize = 1_000_000;

/// Families that an instance can have.
const KINDS: [AddressType; 3] = [AddressType::Ipv4, AddressType::Ipv6, AddressType::Dualstack];

/// Warns of every rule that opens nothing.
pub(super) fn warn(linked: &Linked, report: &mut Report) {
    let mut search = Search { linked, effort: 0 };
    let tables = search.tables();
    let mut users: Vec<Vec<&Table<'_>>> = vec![Vec::new(); linked.rulesets.len()];
    for table in &tables {
        for id in &table.settings.uses {
            users[*id].push(table);
        }
    }
    let mut found = Vec::new();
    for (rules, users) in linked.rulesets.iter().zip(users) {
        for rule in rules {
            found.extend(search.in_ruleset(rule, rules, &users).map(|by| (rule, by)));
        }
    }
    for table in &tables {
        for rule in &table.settings.rules {
            found.extend(search.in_table(rule, table).map(|by| (rule, by)));
        }
    }
    for (rule, by) in found {
        let place = place(rule.span, by.span, report);
        report
            .warning(
                Code::Suspicious,
                rule.span,
                format!("what this rule allows is already allowed by {place}"),
            )
            .related(by.span, "already allowed here")
            .hint("leave it out");
    }
}

/// The place of a rule, as seen from another.
fn place(from: Span, of: Span, report: &Report) -> String {
    let (from, of) = (report.origin(from), report.origin(of));
    match (from.file == of.file, from.line == of.line) {
        (true, true) => "another rule of this line".to_owned(),
        (true, false) => format!("line {}", of.line),
        (false, _) => quote(&of.to_string()),
    }
}

/// A group or an instance table.
struct Table<'a> {
    settings: &'a Settings,
    /// The groups that take every instance of it.
    beside: Vec<&'a Settings>,
}

struct Search<'a> {
    linked: &'a Linked,
    /// What was spent so far.
    effort: usize,
}

impl<'a> Search<'a> {
    fn tables(&mut self) -> Vec<Table<'a>> {
        let Linked {
            groups, instances, ..
        } = self.linked;
        let mut tables = Vec::new();
        for (at, group) in groups.iter().enumerate() {
            let takes =
                |other: usize| other != at && groups[other].selector.includes(&group.selector);
            tables.push(self.table(&group.settings, takes));
        }
        for instance in instances {
            let takes = |other: usize| groups[other].selector.takes(&instance.place).1;
            tables.push(self.table(&instance.settings, takes));
        }
        tables
    }

    fn table(&mut self, settings: &'a Settings, takes: impl Fn(usize) -> bool) -> Table<'a> {
        let groups = &self.linked.groups;
        self.effort += groups.len();
        let known = if self.effort > EFFORT {
            0
        } else {
            groups.len()
        };
        let beside = (0..known).filter(|other| takes(*other));
        Table {
            settings,
            beside: beside.map(|other| &groups[other].settings).collect(),
        }
    }

    /// What covers a rule of a ruleset: another rule of it, or one in every table that uses it.
    fn in_ruleset(
        &mut self,
        rule: &Rule,
        rules: &'a [Rule],
        users: &[&Table<'a>],
    ) -> Option<&'a Rule> {
        if let Some(by) = self.among(rule, rules) {
            return Some(by);
        }
        let mut covers = users.iter().map(|user| self.in_table(rule, user));
        let first = covers.next()??;
        covers.all(|by| by.is_some()).then_some(first)
    }

    /// What covers a rule on every instance of a table.
    fn in_table(&mut self, rule: &Rule, table: &Table<'a>) -> Option<&'a Rule> {
        let own = std::iter::once(table.settings);
        let mut all = own.chain(table.beside.iter().copied());
        all.find_map(|settings| self.in_settings(rule, settings))
    }

    fn in_settings(&mut self, rule: &Rule, settings: &'a Settings) -> Option<&'a Rule> {
        if let Some(by) = self.among(rule, &settings.rules) {
            return Some(by);
        }
        let rulesets = &self.linked.rulesets;
        let mut used = settings.uses.iter();
        used.find_map(|id| self.among(rule, &rulesets[*id]))
    }

    fn among(&mut self, rule: &Rule, others: &'a [Rule]) -> Option<&'a Rule> {
        others.iter().find(|other| {
            self.effort += 1;
            self.effort <= EFFORT && covers(other, rule)
        })
    }
}

/// Whether `by` opens whatever `rule` opens, wherever there are both. Of two that open the same, the first one does.
fn covers(by: &Rule, rule: &Rule) -> bool {
    if by.span == rule.span || !may_cover(by, rule) {
        return false;
    }
    let is_superset = |by: &Rule, rule: &Rule| {
        KINDS.iter().all(|kind| {
            let (by, rule) = (access(by, kind), access(rule, kind));
            by.is_superset(&rule)
        })
    };
    let opens = !access(rule, &AddressType::Dualstack).is_empty();
    opens && is_superset(by, rule) && (by.span < rule.span || !is_superset(rule, by))
}

/// A quick look that tells most rules apart.
fn may_cover(by: &Rule, rule: &Rule) -> bool {
    let overlap = |one: &Key, other: &Key| {
        one.protocol() == Protocol::All
            || one.protocol() == other.protocol()
                && one.from() <= other.to()
                && other.from() <= one.to()
    };
    let Some((key, _)) = rule.keys().next() else {
        return false;
    };
    let (ours, theirs) = (&by.sources, &rule.sources);
    by.until() == rule.until()
        && by.waive == rule.waive
        && by.any_family == rule.any_family
        && by.keys().any(|(other, _)| overlap(other, key))
        && theirs.ipv4().first().is_none_or(|net| {
            let mut outer = std::iter::successors(Some(*net), ipnet::Ipv4Net::supernet);
            outer.any(|net| ours.ipv4().contains(&net)) || ours.ipv4().range(net..).next().is_some()
        })
        && theirs.ipv6().first().is_none_or(|net| {
            let mut outer = std::iter::successors(Some(*net), ipnet::Ipv6Net::supernet);
            outer.any(|net| ours.ipv6().contains(&net)) || ours.ipv6().range(net..).next().is_some()
        })
}

/// What a rule opens on an instance of this kind.
fn access(rule: &Rule, kind: &AddressType) -> Effective {
    let there = Families::from(kind);
    let rules: Vec<(&Key, Sources)> = rule
        .keys()
        .map(|(key, _)| (key, rule.takes(*key, there).trim(&rule.sources)))
        .collect();
    let rules = rules.iter().map(|(key, sources)| (*key, sources));
    Effective::of_rules(rules, kind.client_family())
}
