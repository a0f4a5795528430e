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

/// What one run may spend: two or three hundredths of a second, and enough for 2,500 tables of ten rules. A look at the ports
/// of one rule beside another, or at one group beside another, counts once.
const EFFORT: usize = 250_000;

/// A look at the sources of two rules with common ports.
const SOURCES: usize = 20;

/// A comparison of all that two rules let in.
const EXACT: usize = 500;

/// Families that an instance can have.
const KINDS: [AddressType; 3] = [AddressType::Ipv4, AddressType::Ipv6, AddressType::Dualstack];

/// Warns of every rule that opens nothing.
pub(super) fn warn(linked: &Linked, report: &mut Report) {
    let mut search = Search {
        linked,
        left: EFFORT,
    };
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
                Code::Redundant,
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
    /// What may still be spent.
    left: usize,
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
        let known = self.afford(groups.len()).map_or(0, |()| groups.len());
        let beside = (0..known).filter(|other| takes(*other));
        Table {
            settings,
            beside: beside.map(|other| &groups[other].settings).collect(),
        }
    }

    /// Spends some of the effort; `None` where it is more than is left, and then nothing is affordable any more.
    fn afford(&mut self, effort: usize) -> Option<()> {
        let left = self.left.checked_sub(effort);
        self.left = left.unwrap_or(0);
        left.map(|_| ())
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
        for settings in own.chain(table.beside.iter().copied()) {
            self.afford(1)?;
            if let Some(by) = self.in_settings(rule, settings) {
                return Some(by);
            }
        }
        None
    }

    fn in_settings(&mut self, rule: &Rule, settings: &'a Settings) -> Option<&'a Rule> {
        if let Some(by) = self.among(rule, &settings.rules) {
            return Some(by);
        }
        let rulesets = &self.linked.rulesets;
        for id in &settings.uses {
            self.afford(1)?;
            if let Some(by) = self.among(rule, &rulesets[*id]) {
                return Some(by);
            }
        }
        None
    }

    fn among(&mut self, rule: &Rule, others: &'a [Rule]) -> Option<&'a Rule> {
        for other in others {
            self.afford(1)?;
            if other.span == rule.span || !may_share_ports(other, rule) {
                continue;
            }
            self.afford(SOURCES)?;
            if !may_share_sources(other, rule) {
                continue;
            }
            self.afford(EXACT)?;
            if covers(other, rule) {
                return Some(other);
            }
        }
        None
    }
}

/// Whether `by` opens whatever `rule` opens, wherever there are both. Of two that open the same, the first one does.
fn covers(by: &Rule, rule: &Rule) -> bool {
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
fn may_share_ports(by: &Rule, rule: &Rule) -> bool {
    let overlap = |one: &Key, other: &Key| {
        one.protocol() == Protocol::All
            || one.protocol() == other.protocol()
                && one.from() <= other.to()
                && other.from() <= one.to()
    };
    let Some((key, _)) = rule.keys().next() else {
        return false;
    };
    by.until() == rule.until()
        && by.waive == rule.waive
        && by.any_family == rule.any_family
        && by.keys().any(|(other, _)| overlap(other, key))
}

/// A look at one source of each family.
fn may_share_sources(by: &Rule, rule: &Rule) -> bool {
    let (ours, theirs) = (&by.sources, &rule.sources);
    theirs.ipv4().first().is_none_or(|net| {
        let mut outer = std::iter::successors(Some(*net), ipnet::Ipv4Net::supernet);
        outer.any(|net| ours.ipv4().contains(&net)) || ours.ipv4().range(net..).next().is_some()
    }) && theirs.ipv6().first().is_none_or(|net| {
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
