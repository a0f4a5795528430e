//! Resolution of the names in rules.
//!
//! Owns the checks of a rule that need more than its own text. Does not know groups or instances; `link` does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use ipnet::IpNet;

use super::catalogue::Catalogue;
use super::definitions::{Body, Named, RuleDef};
use super::diagnostic::Report;
use super::limits::Budget;
use super::nested::{Element, Habit, Nested};
use super::rule::{Absence, Families, Item, Literals, Rule};
use super::source::{Span, quote};
use super::source_expr::{self, Parsed, SourceExpr};
use super::table::Settings;
use super::tree::Text;
use super::{habits, port_expr, services};
use crate::model::{Code, Declaration, Key, Mode, Sources, Special};

/// The names that rules can use.
pub(super) struct Names {
    addresses: Nested<SourceExpr>,
    services: Nested<Key>,
    /// In the order of [`Linked::rulesets`].
    rulesets: Vec<(String, Span)>,
    /// The number of pairs of port and source of each resolved ruleset, in the same order.
    ruleset_pairs: Vec<usize>,
    /// The number of pairs of port and source so far.
    budget: Budget,
    used_rulesets: BTreeSet<usize>,
    /// Cache of resolved sources, by the texts of `from`. Many rules have the same sources.
    followed: HashMap<Arc<[String]>, Rc<Followed>>,
    /// Cache of resolved keys, by the texts of `allow`.
    allowed: HashMap<Arc<str>, Arc<[Key]>>,
    incomplete: bool,
    /// The policies, and whether a rule can have a waiver from them.
    pub(super) policies: BTreeMap<String, bool>,
    /// Whether the defaults or a group have the mode `additive`.
    pub(super) additive: bool,
}

/// The resolved texts of one `from`.
#[derive(Default)]
struct Followed {
    sources: Sources,
    /// The addresses that are written out.
    literals: Vec<Literal>,
}

/// An address or a network that is written out.
struct Literal {
    /// The index of its text.
    place: usize,
    net: IpNet,
    /// Why it cannot reach a public address. Kept, because the search through the registry is the dearest part of a rule.
    special: Option<&'static Special>,
}

impl Names {
    /// Resolves the names in sets and services. `rulesets` are sorted; `instances` are the hints for names of instances that are
    /// used as a source.
    pub(super) fn new(
        addresses: Named<Vec<Text>>,
        services: Named<Vec<Text>>,
        rulesets: Vec<(String, Span)>,
        instances: BTreeMap<String, fn(&str) -> String>,
        incomplete: bool,
        report: &mut Report,
    ) -> Self {
        for (_, texts) in addresses.0.values() {
            warn_of_special(report, &special_sources(texts));
        }
        let words = source_expr::KEYWORDS.to_vec();
        let built_in = services::service_names()
            .chain(["all", "icmp", "icmpv6"])
            .collect();
        Self {
            addresses: Nested::new(
                (
                    "address set",
                    Habit {
                        of: habits::from,
                        others: instances,
                    },
                ),
                words,
                addresses,
                incomplete,
                report,
                member,
            ),
            services: Nested::new(
                (
                    "service",
                    Habit {
                        of: habits::allow,
                        others: BTreeMap::new(),
                    },
                ),
                built_in,
                services,
                incomplete,
                report,
                port,
            ),
            rulesets,
            ruleset_pairs: Vec::new(),
            budget: Budget::new(0),
            used_rulesets: BTreeSet::new(),
            followed: HashMap::new(),
            allowed: HashMap::new(),
            incomplete,
            policies: BTreeMap::new(),
            additive: false,
        }
    }

    /// Resolves the names of a ruleset. Rulesets come first, in order.
    pub(super) fn rules_of_ruleset(
        &mut self,
        rules: Vec<RuleDef>,
        span: Span,
        report: &mut Report,
    ) -> Box<[Rule]> {
        self.begin_table(0, span, report);
        let rules = rules.into_iter().map(|rule| self.rule(rule, report));
        let rules = rules.collect();
        // The excess was reported, and is not reported again for each table that uses the ruleset.
        let too_much = self.budget.is_full();
        self.ruleset_pairs
            .push(if too_much { 0 } else { self.budget.table() });
        rules
    }

    /// Sets the number of policies that the budget counts for.
    pub(super) fn count_for(&mut self, policies: usize) {
        self.budget = Budget::new(policies);
    }

    /// Starts counting for a table whose rulesets have this many pairs.
    pub(super) fn begin_table(&mut self, used: usize, span: Span, report: &mut Report) {
        if let Err(too_much) = self.budget.begin(used) {
            too_much.report(report, span);
        }
    }

    /// The number of pairs of port and source of each ruleset.
    pub(super) fn ruleset_pairs(&self) -> &[usize] {
        &self.ruleset_pairs
    }

    /// Resolves the names of a group or an instance.
    pub(super) fn settings(&mut self, body: Body, span: Span, report: &mut Report) -> Settings {
        let Body {
            uses,
            rules,
            absent,
            mode,
            strategy,
        } = body;
        // If no group and no default is additive, only the table itself can be.
        let possible = mode.map_or(self.additive, |(mode, _)| mode == Mode::Additive);
        if let Some(first) = absent.first().filter(|_| !possible) {
            let mode = mode.map_or("this", |(mode, _)| mode.as_str());
            report.error(Code::Misplaced, first.span, format!("`absent` has no meaning in {mode} mode")).hint(
                "in additive mode (`mode = \"additive\"`) it names access to close; in authoritative mode remove it, because rules that are not declared are closed",
            );
        }
        let uses: BTreeSet<usize> = uses
            .iter()
            .filter_map(|name| self.ruleset(name, report))
            .collect();
        let used = uses.iter().map(|id| self.ruleset_pairs[*id]).sum();
        self.begin_table(used, span, report);
        let rules = rules.into_iter().map(|rule| self.rule(rule, report));
        let rules = rules.collect();
        let absent = absent.into_iter().map(|rule| Absence {
            whole: rule.from.is_none(),
            // No warning: access of unreachable networks may be closed.
            rule: self.any_rule(rule, report).0,
        });
        Settings {
            uses,
            rules,
            absent: absent.collect(),
            own_pairs: self.budget.table().saturating_sub(used),
            mode,
            strategy,
        }
    }

    fn ruleset(&mut self, name: &Text, report: &mut Report) -> Option<usize> {
        let found = self
            .rulesets
            .binary_search_by(|(known, _)| known.as_str().cmp(&name.text));
        if let Ok(id) = found {
            self.used_rulesets.insert(id);
            return Some(id);
        }
        if !self.incomplete {
            let known = self.rulesets.iter().map(|(name, _)| name.as_str());
            report.unknown(
                Code::UnknownName,
                name.span,
                format!("there is no ruleset {}", quote(&name.text)),
                &name.text,
                known,
            );
        }
        None
    }

    /// Resolves the names of a rule, and warns of sources that cannot reach a public address.
    pub(super) fn rule(&mut self, def: RuleDef, report: &mut Report) -> Rule {
        let (rule, special) = self.any_rule(def, report);
        warn_of_special(report, &special);
        rule
    }

    /// Resolves the names of a rule. Also returns its literal sources that cannot reach a public address.
    fn any_rule(&mut self, def: RuleDef, report: &mut Report) -> (Rule, Vec<SpecialSource>) {
        let RuleDef {
            span,
            allow,
            from,
            until,
            owner,
            why,
            waive,
            any_family,
        } = def;
        for id in &waive {
            self.check_waiver(id, report);
        }
        // The excess was reported. Do not spend the effort that the limit exists to avoid.
        let (allow, from) = if self.budget.is_full() {
            (Vec::new(), None)
        } else {
            (allow, from)
        };
        let (from, spans, followed) = self.from(from.unwrap_or_default(), report);
        let origin = report.origin(span);
        let mut seen = BTreeSet::new();
        let several = allow.len() > 1;
        let items: Box<[Item]> = allow
            .into_iter()
            .map(|text| {
                let (allow, mut keys) = self.keys(text, report);
                if several {
                    let first = keys.iter().copied().filter(|key| seen.insert(*key));
                    keys = first.collect();
                }
                let declared = Declaration {
                    allow,
                    from: Arc::clone(&from),
                    origin: origin.clone(),
                    why: why.clone(),
                    owner: owner.clone(),
                    until,
                };
                Item {
                    declared: Arc::new(declared),
                    keys,
                }
            })
            .collect();
        let mut literals = Literals::default();
        // One message for each address is enough, about the first element that does not accept its family.
        let refuses = |family: fn(Families) -> bool| {
            let mut items = items.iter().filter(|item| !item.keys.is_empty());
            items.find(|item| !family(item.families()))
        };
        let (no_ipv4, no_ipv6) = (
            refuses(|families| families.ipv4),
            refuses(|families| families.ipv6),
        );
        let mut special = Vec::new();
        for literal in &followed.literals {
            let (place, is_ipv4) = (literal.place, literal.net.addr().is_ipv4());
            let why = literal.special;
            special.extend(why.map(|why| (spans[place], from[place].clone(), why)));
            let family = if is_ipv4 {
                &mut literals.ipv4
            } else {
                &mut literals.ipv6
            };
            family.get_or_insert(spans[place]);
            // This depends on `allow`, so it is not cached.
            if let Some(item) = if is_ipv4 { no_ipv4 } else { no_ipv6 }
                && !any_family
            {
                wrong_family(&from[place], spans[place], is_ipv4, item, report);
            }
        }
        let ports = items.iter().map(|item| item.keys.len()).sum();
        if let Err(too_much) = self.budget.rule(ports, followed.sources.len()) {
            too_much.report(report, span);
        }
        let rule = Rule {
            span,
            items,
            sources: followed.sources.clone(),
            literals,
            waive: waive.into_iter().map(|id| id.text).collect(),
            any_family,
        };
        (rule, special)
    }

    fn check_waiver(&self, id: &Text, report: &mut Report) {
        match self.policies.get(&id.text) {
            Some(true) => {}
            Some(false) => {
                let message = format!("policy {} forbids nothing to waive", quote(&id.text));
                report
                    .error(Code::Misplaced, id.span, message)
                    .hint("it only requires access: a rule that opens something cannot break it");
            }
            None if self.incomplete => {}
            None => {
                report.unknown(
                    Code::UnknownName,
                    id.span,
                    format!("there is no policy {}", quote(&id.text)),
                    &id.text,
                    self.policies.keys().map(String::as_str),
                );
            }
        }
    }

    /// A text of `allow` with its keys.
    fn keys(&mut self, text: Text, report: &mut Report) -> (Arc<str>, Arc<[Key]>) {
        if let Some((text, keys)) = self.allowed.get_key_value(text.text.as_str()) {
            return (Arc::clone(text), Arc::clone(keys));
        }
        let keys = match port(&text, report) {
            Element::Items(keys) => Some(keys.into()),
            Element::Name => self
                .services
                .expand(&text.text, text.span, report)
                .map(|keys| keys.iter().copied().collect()),
            Element::Wrong => None,
        };
        let text: Arc<str> = text.text.into();
        // Problems are reported for each rule.
        let Some(keys) = keys else {
            return (text, Arc::default());
        };
        self.allowed.insert(Arc::clone(&text), Arc::clone(&keys));
        (text, keys)
    }

    /// The texts of `from`, their spans, and the resolved sources.
    fn from(
        &mut self,
        from: Vec<Text>,
        report: &mut Report,
    ) -> (Arc<[String]>, Vec<Span>, Rc<Followed>) {
        let texts = from.into_iter().map(|text| (text.text, text.span));
        let (texts, spans): (Vec<String>, Vec<Span>) = texts.unzip();
        if let Some((from, followed)) = self.followed.get_key_value(texts.as_slice()) {
            return (Arc::clone(from), spans, Rc::clone(followed));
        }
        let mut followed = Followed::default();
        let mut is_valid = true;
        for (place, text) in texts.iter().enumerate() {
            is_valid &= self.source(text, spans[place], place, &mut followed, report);
        }
        let from: Arc<[String]> = texts.into();
        let followed = Rc::new(followed);
        // Problems are reported for each rule.
        if is_valid {
            self.followed
                .insert(Arc::clone(&from), Rc::clone(&followed));
        }
        (from, spans, followed)
    }

    /// Adds the sources of one text. Returns whether it is valid.
    fn source(
        &mut self,
        text: &str,
        span: Span,
        place: usize,
        followed: &mut Followed,
        report: &mut Report,
    ) -> bool {
        let mut add = |sources: &[SourceExpr]| {
            for source in sources {
                match source {
                    SourceExpr::Net(net) => followed.sources.insert(*net),
                    SourceExpr::LightsailConnect => {
                        followed
                            .sources
                            .insert_alias(crate::model::LIGHTSAIL_CONNECT);
                    }
                }
            }
        };
        match source_expr::parse(text) {
            Parsed::Keyword(sources) => add(sources),
            Parsed::Literal(net) => {
                add(&[SourceExpr::Net(net)]);
                followed.literals.push(Literal {
                    place,
                    net,
                    special: Special::of(net),
                });
            }
            Parsed::Name => match self.addresses.expand(text, span, report) {
                Some(sources) => add(&sources),
                None => return false,
            },
            Parsed::Wrong(wrong) => {
                report_wrong(report, Code::InvalidSource, span, wrong);
                return false;
            }
        }
        true
    }

    /// The user's names, for lookups.
    pub(super) fn into_catalogue(self) -> Catalogue {
        Catalogue {
            addresses: self.addresses,
            services: self.services,
        }
    }

    /// Warns of unused names. Where access may be granted, `grant --from` may name any address set.
    pub(super) fn report_unused(&self, may_grant: bool, report: &mut Report) {
        if !may_grant {
            self.addresses.report_unused(report);
        }
        self.services.report_unused(report);
        for (id, (name, span)) in self.rulesets.iter().enumerate() {
            if !self.used_rulesets.contains(&id) {
                report.warning(
                    Code::Unused,
                    *span,
                    format!("ruleset {} is not used", quote(name)),
                );
            }
        }
    }
}

/// Parses an element of an address set.
fn member(text: &Text, report: &mut Report) -> Element<SourceExpr> {
    match source_expr::parse(&text.text) {
        Parsed::Keyword(sources) => Element::Items(sources.to_vec()),
        Parsed::Literal(net) => Element::Items(vec![SourceExpr::Net(net)]),
        Parsed::Name => Element::Name,
        Parsed::Wrong(wrong) => {
            report_wrong(report, Code::InvalidSource, text.span, wrong);
            Element::Wrong
        }
    }
}

/// Parses an element of a service or of `allow`.
fn port(text: &Text, report: &mut Report) -> Element<Key> {
    match port_expr::parse(&text.text) {
        Some(Ok(key)) => Element::Items(vec![key]),
        Some(Err(wrong)) => {
            report_wrong(report, Code::InvalidPort, text.span, wrong);
            Element::Wrong
        }
        None => match services::service_keys(&text.text) {
            Some(keys) => Element::Items(keys.to_vec()),
            None => Element::Name,
        },
    }
}

/// A literal source, with the special-purpose network that it is in.
type SpecialSource = (Span, String, &'static Special);

/// Warns once for a list, at its first special source.
fn warn_of_special(report: &mut Report, found: &[SpecialSource]) {
    let [(span, text, special), more @ ..] = found else {
        return;
    };
    let more = match more.len() {
        0 => String::new(),
        1 => ", nor from 1 more source of this list".to_owned(),
        more => format!(", nor from {more} more sources of this list"),
    };
    let message = format!(
        "nobody arrives at a public address from {}, which is {special}{more}",
        quote(text)
    );
    report
        .warning(Code::Suspicious, *span, message)
        .hint("name the public addresses that they come from");
}

/// The literal sources of a set that cannot reach a public address.
fn special_sources(texts: &[Text]) -> Vec<SpecialSource> {
    let special = |text: &Text| match source_expr::parse(&text.text) {
        Parsed::Literal(net) => Some((text.span, text.text.clone(), Special::of(net)?)),
        Parsed::Keyword(_) | Parsed::Name | Parsed::Wrong(_) => None,
    };
    texts.iter().filter_map(special).collect()
}

fn report_wrong(report: &mut Report, code: Code, span: Span, wrong: port_expr::Wrong) {
    let problem = report.error(code, span, wrong.message);
    if let Some(hint) = wrong.hint {
        problem.hint(hint);
    }
}

/// Reports a literal address of a family that `allow` does not accept.
fn wrong_family(text: &str, span: Span, is_ipv4: bool, item: &Item, report: &mut Report) {
    let (family, other) = if is_ipv4 {
        ("IPv4", "icmp")
    } else {
        ("IPv6", "icmpv6")
    };
    report
        .error(
            Code::InvalidSource,
            span,
            format!(
                "{} is an {family} address, which {} does not take",
                quote(text),
                quote(item.text())
            ),
        )
        .hint(format!(
            "the protocol for {family} is `{other}`; `ping` is both"
        ));
}
