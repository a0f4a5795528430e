//! Resolution of the names in rules.
//!
//! Owns the checks of a rule that need more than its own text. Does not know groups or instances; `link` does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use ipnet::IpNet;

use super::definitions::{BodyDef, NamedDefinitions, RuleDef};
use super::diagnostic::DiagnosticsBuilder;
use super::named_lists::{Element, ListKind, NamedLists};
use super::rule::{AbsentRule, AllowItem, Families, LinkedRule, Literals};
use super::size_limits::PairBudget;
use super::source::{Span, SpannedString, quote};
use super::source_expr::{self, SourceExpr, SourceItem};
use super::special_sources::{self, SpecialSource, special_sources};
use super::table::TableSettings;
use super::{hints, port_expr, services};
use crate::model::{Code, Declaration, Key, Mode, Sources, Special};

/// The names that rules can use, and the state of their resolution.
pub(super) struct NameResolver<'r> {
    pub(super) report: &'r mut DiagnosticsBuilder,
    pub(super) addresses: NamedLists<SourceItem>,
    pub(super) services: NamedLists<Key>,
    /// In the order of [`LinkedConfig::rulesets`](super::link::LinkedConfig::rulesets).
    rulesets: Vec<(String, Span)>,
    /// The number of pairs of port and source of each resolved ruleset, in the same order.
    pub(super) ruleset_pairs: Vec<usize>,
    /// The number of pairs of port and source so far.
    budget: PairBudget,
    used_rulesets: BTreeSet<usize>,
    /// Cache of resolved sources, by the texts of `from`. Many rules have the same sources.
    sources: HashMap<Arc<[String]>, Rc<ResolvedSources>>,
    /// Cache of resolved keys, by the texts of `allow`.
    keys: HashMap<Arc<str>, Arc<[Key]>>,
    is_incomplete: bool,
    /// The policies, and whether a rule can have a waiver from them.
    policies: BTreeMap<String, bool>,
    /// Whether the defaults or a group have the mode `additive`.
    pub(super) has_additive: bool,
}

/// The resolved texts of one `from`.
#[derive(Default)]
struct ResolvedSources {
    sources: Sources,
    /// The addresses that are written out.
    literals: Vec<Literal>,
}

/// An address or a network that is written out.
struct Literal {
    /// The index of its text.
    index: usize,
    net: IpNet,
    /// Why it cannot reach a public address. It is kept, because the search through the registry takes longer than the rest of a rule.
    special: Option<&'static Special>,
}

impl<'r> NameResolver<'r> {
    /// Resolves the names in sets and services. `rulesets` are sorted; `name_hints` are the hints for names of instances and groups
    /// that are used as a source; `policies` are those that a rule can have a waiver from, or not.
    pub(super) fn new(
        addresses: NamedDefinitions<Vec<SpannedString>>,
        services: NamedDefinitions<Vec<SpannedString>>,
        rulesets: Vec<(String, Span)>,
        name_hints: BTreeMap<String, fn(&str) -> String>,
        policies: BTreeMap<String, bool>,
        is_incomplete: bool,
        report: &'r mut DiagnosticsBuilder,
    ) -> Self {
        for (_, texts) in addresses.values() {
            special_sources::warn(report, &special_sources(texts));
        }
        let address_set = ListKind {
            name: "address set",
            keywords: source_expr::KEYWORDS.to_vec(),
            hint: hints::for_from,
            name_hints,
        };
        let service = ListKind {
            name: "service",
            keywords: services::service_names()
                .chain(["all", "icmp", "icmpv6"])
                .collect(),
            hint: hints::for_allow,
            name_hints: BTreeMap::new(),
        };
        Self {
            addresses: NamedLists::new(address_set, addresses, is_incomplete, report, parse_source),
            services: NamedLists::new(service, services, is_incomplete, report, parse_port),
            report,
            rulesets,
            ruleset_pairs: Vec::new(),
            budget: PairBudget::new(policies.len()),
            used_rulesets: BTreeSet::new(),
            sources: HashMap::new(),
            keys: HashMap::new(),
            is_incomplete,
            policies,
            has_additive: false,
        }
    }

    /// Resolves the names of a ruleset. Rulesets come first, in order.
    pub(super) fn resolve_ruleset(&mut self, rules: Vec<RuleDef>, span: Span) -> Box<[LinkedRule]> {
        self.begin_table(0, span);
        let rules = rules.into_iter().map(|rule| self.resolve_rule(rule));
        let rules = rules.collect();
        // The excess was reported, and is not reported again for each table that uses the ruleset.
        self.ruleset_pairs.push(if self.budget.is_exceeded() {
            0
        } else {
            self.budget.table
        });
        rules
    }

    /// Starts counting for a table whose rulesets have this many pairs.
    pub(super) fn begin_table(&mut self, pairs: usize, span: Span) {
        let begun = self.budget.begin(pairs, "the rulesets that it uses come");
        if let Err(error) = begun {
            error.report(self.report, Code::TooLarge, span);
        }
    }

    /// Resolves the names of a group or an instance.
    pub(super) fn resolve_settings(&mut self, body: BodyDef, span: Span) -> TableSettings {
        let mode = body.mode;
        // If no group and no default is additive, only the table itself can be.
        let may_be_additive = mode.map_or(self.has_additive, |(mode, _)| mode == Mode::Additive);
        if let Some(first) = body.absent.first().filter(|_| !may_be_additive) {
            let mode = mode.map_or("this", |(mode, _)| mode.into());
            let message = format!("`absent` has no meaning in {mode} mode");
            self.report.error(Code::Misplaced, first.span, message).hint(
                "in additive mode (`mode = \"additive\"`) it names access to close; in authoritative mode remove it, because rules that are not declared are closed",
            );
        }
        let uses: BTreeSet<usize> = body
            .uses
            .iter()
            .filter_map(|name| self.find_ruleset(name))
            .collect();
        let ruleset_pairs = uses.iter().map(|id| self.ruleset_pairs[*id]).sum();
        self.begin_table(ruleset_pairs, span);
        let rules = body.rules.into_iter().map(|rule| self.resolve_rule(rule));
        let rules = rules.collect();
        let absent = body.absent.into_iter().map(|rule| AbsentRule {
            has_all_sources: rule.from.is_none(),
            // No warning: access of unreachable networks may be closed.
            rule: self.resolve_rule_and_special(rule).0,
        });
        TableSettings {
            uses,
            rules,
            absent: absent.collect(),
            own_pairs: self.budget.table.saturating_sub(ruleset_pairs),
            mode,
            strategy: body.strategy,
        }
    }

    fn find_ruleset(&mut self, name: &SpannedString) -> Option<usize> {
        let found = self
            .rulesets
            .binary_search_by(|(known, _)| known.as_str().cmp(&name.text));
        if let Ok(id) = found {
            self.used_rulesets.insert(id);
            return Some(id);
        }
        if !self.is_incomplete {
            let known = self.rulesets.iter().map(|(name, _)| name.as_str());
            let message = format!("there is no ruleset {}", quote(&name.text));
            self.report
                .unknown(Code::UnknownName, name.span, message, &name.text, known);
        }
        None
    }

    /// Resolves the names of a rule, and warns of sources that cannot reach a public address.
    pub(super) fn resolve_rule(&mut self, def: RuleDef) -> LinkedRule {
        let (rule, special) = self.resolve_rule_and_special(def);
        special_sources::warn(self.report, &special);
        rule
    }

    /// Resolves the names of a rule. Also returns its literal sources that cannot reach a public address.
    fn resolve_rule_and_special(&mut self, def: RuleDef) -> (LinkedRule, Vec<SpecialSource>) {
        let span = def.span;
        for id in &def.waive {
            self.check_waiver(id);
        }
        // The excess was reported. Do not spend the effort that the limit exists to avoid.
        let (allow, from) = if self.budget.is_exceeded() {
            (Vec::new(), None)
        } else {
            (def.allow, def.from)
        };
        let (from, spans, resolved) = self.resolve_from(from.unwrap_or_default());
        let origin = self.report.origin(span);
        let mut seen = BTreeSet::new();
        let has_several = allow.len() > 1;
        let items: Box<[AllowItem]> = allow
            .into_iter()
            .map(|text| {
                let (allow, mut keys) = self.resolve_allow(text);
                if has_several {
                    let first = keys.iter().copied().filter(|key| seen.insert(*key));
                    keys = first.collect();
                }
                let declared = Declaration {
                    allow,
                    from: Arc::clone(&from),
                    origin: origin.clone(),
                    why: def.why.clone(),
                    owner: def.owner.clone(),
                    until: def.until,
                };
                AllowItem {
                    declared: Arc::new(declared),
                    keys,
                }
            })
            .collect();
        // One message for each address is enough, about the first element that does not accept its family.
        let first_without = |has_family: fn(Families) -> bool| {
            let mut items = items.iter().filter(|item| !item.keys.is_empty());
            items.find(|item| !has_family(item.families()))
        };
        let without_ipv4 = first_without(|families| families.ipv4);
        let without_ipv6 = first_without(|families| families.ipv6);
        let mut literals = Literals::default();
        let mut special = Vec::new();
        for literal in &resolved.literals {
            let (text, span) = (&from[literal.index], spans[literal.index]);
            special.extend(literal.special.map(|special| (span, text.clone(), special)));
            let is_ipv4 = literal.net.addr().is_ipv4();
            let (first_literal, without_family) = if is_ipv4 {
                (&mut literals.ipv4, without_ipv4)
            } else {
                (&mut literals.ipv6, without_ipv6)
            };
            first_literal.get_or_insert(span);
            // This depends on `allow`, so it is not cached.
            if let Some(item) = without_family.filter(|_| !def.any_family) {
                self.report_wrong_family(text, span, is_ipv4, item);
            }
        }
        let ports = items.iter().map(|item| item.keys.len()).sum();
        if let Err(error) = self.budget.add_rule(ports, resolved.sources.len()) {
            error.report(self.report, Code::TooLarge, span);
        }
        let rule = LinkedRule {
            span,
            items,
            sources: resolved.sources.clone(),
            literals,
            waive: def.waive.into_iter().map(|id| id.text).collect(),
            any_family: def.any_family,
        };
        (rule, special)
    }

    /// Reports a literal address of a family that `allow` does not accept.
    fn report_wrong_family(&mut self, text: &str, span: Span, is_ipv4: bool, item: &AllowItem) {
        let (family, protocol) = if is_ipv4 {
            ("IPv4", "icmp")
        } else {
            ("IPv6", "icmpv6")
        };
        let message = format!(
            "{} is an {family} address, which {} does not take",
            quote(text),
            quote(item.text())
        );
        let hint = format!("the protocol for {family} is `{protocol}`; `ping` is both");
        self.report
            .error(Code::InvalidSource, span, message)
            .hint(hint);
    }

    fn check_waiver(&mut self, id: &SpannedString) {
        match self.policies.get(&id.text) {
            Some(true) => {}
            Some(false) => {
                let message = format!("policy {} forbids nothing to waive", quote(&id.text));
                self.report
                    .error(Code::Misplaced, id.span, message)
                    .hint("it only requires access: a rule that opens something cannot break it");
            }
            None if self.is_incomplete => {}
            None => {
                let known = self.policies.keys().map(String::as_str);
                let message = format!("there is no policy {}", quote(&id.text));
                self.report
                    .unknown(Code::UnknownName, id.span, message, &id.text, known);
            }
        }
    }

    fn resolve_allow(&mut self, text: SpannedString) -> (Arc<str>, Arc<[Key]>) {
        if let Some((text, keys)) = self.keys.get_key_value(text.text.as_str()) {
            return (Arc::clone(text), Arc::clone(keys));
        }
        let keys = match parse_port(&text, self.report) {
            Element::Items(keys) => Some(keys.into()),
            Element::Name => self
                .services
                .expand(&text.text, text.span, self.report)
                .map(|keys| keys.iter().copied().collect()),
            Element::Invalid => None,
        };
        let text: Arc<str> = text.text.into();
        // Problems are reported for each rule.
        let Some(keys) = keys else {
            return (text, Arc::default());
        };
        self.keys.insert(Arc::clone(&text), Arc::clone(&keys));
        (text, keys)
    }

    /// The texts of `from`, their spans, and the resolved sources.
    fn resolve_from(
        &mut self,
        from: Vec<SpannedString>,
    ) -> (Arc<[String]>, Vec<Span>, Rc<ResolvedSources>) {
        let texts = from.into_iter().map(|text| (text.text, text.span));
        let (texts, spans): (Vec<String>, Vec<Span>) = texts.unzip();
        if let Some((from, resolved)) = self.sources.get_key_value(texts.as_slice()) {
            return (Arc::clone(from), spans, Rc::clone(resolved));
        }
        let mut resolved = ResolvedSources::default();
        let mut is_valid = true;
        for (index, text) in texts.iter().enumerate() {
            is_valid &= self.add_source(text, spans[index], index, &mut resolved);
        }
        let from: Arc<[String]> = texts.into();
        let resolved = Rc::new(resolved);
        // Problems are reported for each rule.
        if is_valid {
            self.sources.insert(Arc::clone(&from), Rc::clone(&resolved));
        }
        (from, spans, resolved)
    }

    /// Adds the sources of one text. Returns whether it is valid.
    fn add_source(
        &mut self,
        text: &str,
        span: Span,
        index: usize,
        resolved: &mut ResolvedSources,
    ) -> bool {
        match source_expr::parse(text) {
            SourceExpr::Keyword(items) => SourceItem::add_all(items, &mut resolved.sources),
            SourceExpr::Literal(net) => {
                resolved.sources.insert(net);
                let special = Special::of(net);
                resolved.literals.push(Literal {
                    index,
                    net,
                    special,
                });
            }
            SourceExpr::Name => match self.addresses.expand(text, span, self.report) {
                Some(items) => SourceItem::add_all(&items, &mut resolved.sources),
                None => return false,
            },
            SourceExpr::Invalid(error) => {
                error.report(self.report, Code::InvalidSource, span);
                return false;
            }
        }
        true
    }

    /// Warns of unused names. Where access may be granted, `grant --from` may name any address set.
    pub(super) fn report_unused(&mut self, may_grant: bool) {
        if !may_grant {
            self.addresses.report_unused(self.report);
        }
        self.services.report_unused(self.report);
        for (id, (name, span)) in self.rulesets.iter().enumerate() {
            if !self.used_rulesets.contains(&id) {
                let message = format!("ruleset {} is not used", quote(name));
                self.report.warning(Code::Unused, *span, message);
            }
        }
    }
}

/// Parses an element of an address set.
fn parse_source(text: &SpannedString, report: &mut DiagnosticsBuilder) -> Element<SourceItem> {
    match source_expr::parse(&text.text) {
        SourceExpr::Keyword(items) => Element::Items(items.to_vec()),
        SourceExpr::Literal(net) => Element::Items(vec![SourceItem::Net(net)]),
        SourceExpr::Name => Element::Name,
        SourceExpr::Invalid(error) => {
            error.report(report, Code::InvalidSource, text.span);
            Element::Invalid
        }
    }
}

/// Parses an element of a service or of `allow`.
fn parse_port(text: &SpannedString, report: &mut DiagnosticsBuilder) -> Element<Key> {
    match port_expr::parse(&text.text) {
        Some(Ok(key)) => Element::Items(vec![key]),
        Some(Err(error)) => {
            error.report(report, Code::InvalidPort, text.span);
            Element::Invalid
        }
        None => match services::service_keys(&text.text) {
            Some(keys) => Element::Items(keys.to_vec()),
            None => Element::Name,
        },
    }
}
