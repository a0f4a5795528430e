//! Redundant rules, which open nothing because another rule opens all of it on every instance that has them.
//!
//! Owns the warning, once for the place of a rule, however many instances have it. Does not warn where that depends on tags
//! or on a region that is not known, where it takes several rules together, or of rules that end or have a waiver
//! unlike the rule that covers them. Its effort is limited.

use crate::exposure::Effective;
use crate::model::{AddressType, Code, Key, Protocol, Sources};

use super::diagnostic::DiagnosticsBuilder;
use super::link::LinkedConfig;
use super::rule::{Families, LinkedRule};
use super::source::{Span, quote};
use super::table::TableSettings;

/// The limit of the effort of one run: two or three hundredths of a second, and enough for 2,500 tables of ten rules. Comparing the
/// ports of two rules costs 1, and so does comparing two groups.
const MAX_EFFORT: usize = 250_000;

/// The cost of comparing the sources of two rules with common ports.
const SOURCES_COST: usize = 20;

/// The cost of comparing the access of two rules.
const ACCESS_COST: usize = 500;

/// The address types that an instance can have.
const ADDRESS_TYPES: [AddressType; 3] =
    [AddressType::Ipv4, AddressType::Ipv6, AddressType::Dualstack];

/// Warns of every redundant rule.
pub(super) fn warn(linked: &LinkedConfig, report: &mut DiagnosticsBuilder) {
    let mut search = Search {
        linked,
        remaining_effort: MAX_EFFORT,
    };
    let tables = search.tables();
    let mut users: Vec<Vec<&Table<'_>>> = vec![Vec::new(); linked.rulesets.len()];
    for table in &tables {
        for id in &table.settings.uses {
            users[*id].push(table);
        }
    }
    let mut redundant = Vec::new();
    for (rules, users) in linked.rulesets.iter().zip(users) {
        for rule in rules {
            let covering = search.find_for_ruleset(rule, rules, &users);
            redundant.extend(covering.map(|covering| (rule, covering)));
        }
    }
    for table in &tables {
        for rule in &table.settings.rules {
            let covering = search.find_in_table(rule, table);
            redundant.extend(covering.map(|covering| (rule, covering)));
        }
    }
    for (rule, covering) in redundant {
        let origin = relative_origin(rule.span, covering.span, report);
        report
            .warning(
                Code::Redundant,
                rule.span,
                format!("what this rule allows is already allowed by {origin}"),
            )
            .related(covering.span, "already allowed here")
            .hint("leave it out");
    }
}

/// The origin of `other` in a message about `span`.
fn relative_origin(span: Span, other: Span, report: &DiagnosticsBuilder) -> String {
    let (origin, other) = (report.origin(span), report.origin(other));
    match (origin.file == other.file, origin.line == other.line) {
        (true, true) => "another rule of this line".to_owned(),
        (true, false) => format!("line {}", other.line),
        (false, _) => quote(&other.to_string()),
    }
}

/// A group or an instance table.
struct Table<'a> {
    settings: &'a TableSettings,
    /// The other groups that match every instance of it.
    groups: Vec<&'a TableSettings>,
}

/// The search for rules that cover another.
struct Search<'a> {
    linked: &'a LinkedConfig,
    remaining_effort: usize,
}

impl<'a> Search<'a> {
    fn tables(&mut self) -> Vec<Table<'a>> {
        let (groups, instances) = (&self.linked.groups, &self.linked.instances);
        let mut tables = Vec::new();
        for (index, group) in groups.iter().enumerate() {
            let matches_all =
                |other: usize| other != index && groups[other].selector.includes(&group.selector);
            tables.push(self.table(&group.settings, matches_all));
        }
        for table in instances {
            let selector = table.id.selector();
            let matches_all = |other: usize| groups[other].selector.includes(&selector);
            tables.push(self.table(&table.settings, matches_all));
        }
        tables
    }

    fn table(
        &mut self,
        settings: &'a TableSettings,
        matches_all: impl Fn(usize) -> bool,
    ) -> Table<'a> {
        let groups = &self.linked.groups;
        let is_affordable = self.spend(groups.len()).is_some();
        let matching = (0..groups.len()).filter(|group| is_affordable && matches_all(*group));
        Table {
            settings,
            groups: matching.map(|group| &groups[group].settings).collect(),
        }
    }

    /// Spends effort. `None` if it is more than what remains; then nothing remains.
    fn spend(&mut self, effort: usize) -> Option<()> {
        let remaining = self.remaining_effort.checked_sub(effort);
        self.remaining_effort = remaining.unwrap_or(0);
        remaining.map(|_| ())
    }

    /// A rule that covers a rule of a ruleset: another rule of the ruleset, or one in every table that uses it.
    fn find_for_ruleset(
        &mut self,
        rule: &LinkedRule,
        rules: &'a [LinkedRule],
        users: &[&Table<'a>],
    ) -> Option<&'a LinkedRule> {
        if let Some(covering) = self.find(rule, rules) {
            return Some(covering);
        }
        let mut covering = users.iter().map(|user| self.find_in_table(rule, user));
        let first = covering.next()??;
        covering.all(|other| other.is_some()).then_some(first)
    }

    /// A rule that covers a rule on every instance of a table.
    fn find_in_table(&mut self, rule: &LinkedRule, table: &Table<'a>) -> Option<&'a LinkedRule> {
        let own = std::iter::once(table.settings);
        for settings in own.chain(table.groups.iter().copied()) {
            self.spend(1)?;
            if let Some(covering) = self.find_in_settings(rule, settings) {
                return Some(covering);
            }
        }
        None
    }

    fn find_in_settings(
        &mut self,
        rule: &LinkedRule,
        settings: &'a TableSettings,
    ) -> Option<&'a LinkedRule> {
        if let Some(covering) = self.find(rule, &settings.rules) {
            return Some(covering);
        }
        let rulesets = &self.linked.rulesets;
        for id in &settings.uses {
            self.spend(1)?;
            if let Some(covering) = self.find(rule, &rulesets[*id]) {
                return Some(covering);
            }
        }
        None
    }

    fn find(&mut self, rule: &LinkedRule, others: &'a [LinkedRule]) -> Option<&'a LinkedRule> {
        for other in others {
            self.spend(1)?;
            if other.span == rule.span || !may_share_ports(other, rule) {
                continue;
            }
            self.spend(SOURCES_COST)?;
            if !may_share_sources(other, rule) {
                continue;
            }
            self.spend(ACCESS_COST)?;
            if covers(other, rule) {
                return Some(other);
            }
        }
        None
    }
}

/// Whether `other` opens all that `rule` opens, on any instance. Of two rules that open the same, the first covers the second.
fn covers(other: &LinkedRule, rule: &LinkedRule) -> bool {
    let is_superset = |one: &LinkedRule, other: &LinkedRule| {
        ADDRESS_TYPES
            .iter()
            .all(|address_type| access(one, address_type).is_superset(&access(other, address_type)))
    };
    let opens = !access(rule, &AddressType::Dualstack).is_empty();
    opens && is_superset(other, rule) && (other.span < rule.span || !is_superset(rule, other))
}

/// A fast comparison that excludes most rules.
fn may_share_ports(other: &LinkedRule, rule: &LinkedRule) -> bool {
    let overlap = |one: &Key, other: &Key| {
        one.protocol() == Protocol::All
            || one.protocol() == other.protocol()
                && one.from() <= other.to()
                && other.from() <= one.to()
    };
    let Some((key, _)) = rule.keys().next() else {
        return false;
    };
    other.until() == rule.until()
        && other.waive == rule.waive
        && other.any_family == rule.any_family
        && other.keys().any(|(other, _)| overlap(other, key))
}

/// A comparison of one source of each family.
fn may_share_sources(other: &LinkedRule, rule: &LinkedRule) -> bool {
    let (ipv4, ipv6) = (other.sources.ipv4(), other.sources.ipv6());
    rule.sources.ipv4().first().is_none_or(|net| {
        let mut supernets = std::iter::successors(Some(*net), ipnet::Ipv4Net::supernet);
        supernets.any(|net| ipv4.contains(&net)) || ipv4.range(net..).next().is_some()
    }) && rule.sources.ipv6().first().is_none_or(|net| {
        let mut supernets = std::iter::successors(Some(*net), ipnet::Ipv6Net::supernet);
        supernets.any(|net| ipv6.contains(&net)) || ipv6.range(net..).next().is_some()
    })
}

/// The access that a rule gives on an instance of this address type.
fn access(rule: &LinkedRule, address_type: &AddressType) -> Effective {
    let available = Families::from(address_type);
    let rules: Vec<(&Key, Sources)> = rule
        .keys()
        .map(|(key, _)| (key, rule.families(*key, available).filter(&rule.sources)))
        .collect();
    let rules = rules.iter().map(|(key, sources)| (*key, sources));
    Effective::of_rules(rules, address_type.client_family())
}
