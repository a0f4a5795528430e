//! From definitions to a configuration: every name followed, every text read.
//!
//! Owns the checks that need more than one definition. Refuses to look at instances; `resolve` does.

use std::collections::BTreeSet;

use super::definitions::{Body, Definitions, RuleDef};
use super::diagnostic::Report;
use super::expect::Expect;
use super::names::looks_like_address;
use super::nested::{Element, Nested};
use super::rule::{Absence, Families, Item, Literals, Rule};
use super::selector::Selector;
use super::source::{Span, quote};
use super::tree::Text;
use super::who::{self, Said, Who};
use super::{services, what};
use crate::model::{InstanceId, Key, Mode, Sources, Strategy};

/// The configuration without its texts.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) regions: BTreeSet<String>,
    pub(super) mode: Mode,
    pub(super) strategy: Strategy,
    pub(super) rulesets: Vec<Vec<Rule>>,
    pub(super) groups: Vec<Group>,
    pub(super) instances: Vec<Declared>,
}

/// Rules and settings, of a group or an instance.
#[derive(Debug)]
pub(super) struct Settings {
    /// Places in [`Linked::rulesets`].
    pub(super) uses: BTreeSet<usize>,
    pub(super) rules: Vec<Rule>,
    pub(super) absent: Vec<Absence>,
    pub(super) mode: Option<(Mode, Span)>,
    pub(super) strategy: Option<(Strategy, Span)>,
}

/// `[groups.NAME]`.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) selector: Selector,
    pub(super) expect: Option<(Expect, Span)>,
    pub(super) settings: Settings,
}

/// `[instances.NAME]`.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) key: String,
    pub(super) span: Span,
    /// With the region, where it was named with one.
    pub(super) id: Result<InstanceId, String>,
    pub(super) settings: Settings,
}

/// Follows every name.
pub(super) fn link(defs: Definitions, report: &mut Report) -> Linked {
    let Definitions {
        defaults,
        addresses,
        services,
        rulesets,
        groups,
        instances,
        incomplete,
    } = defs;
    let built_in = services::service_names()
        .chain(["all", "icmp", "icmpv6"])
        .collect();
    let mut names = Names {
        addresses: Nested::new(
            "address set",
            who::KEYWORDS.to_vec(),
            addresses,
            incomplete,
            report,
            member,
        ),
        services: Nested::new("service", built_in, services, incomplete, report, port),
        rulesets: rulesets
            .0
            .iter()
            .map(|(name, (span, _))| (name.clone(), *span))
            .collect(),
        used_rulesets: BTreeSet::new(),
        incomplete,
    };
    let mode = defaults.mode.unwrap_or_default();
    let additive = mode == Mode::Additive
        || groups
            .0
            .values()
            .any(|(_, group)| matches!(group.body.mode, Some((Mode::Additive, _))));
    let mut regions: BTreeSet<String> = defaults.regions.into_iter().collect();
    let rulesets = rulesets
        .0
        .into_values()
        .map(|(_, rules)| rules.into_iter().map(|r| names.rule(r, report)).collect())
        .collect();
    let mut linked = Linked {
        regions: BTreeSet::new(),
        mode,
        strategy: defaults.strategy.unwrap_or_default(),
        rulesets,
        groups: Vec::new(),
        instances: Vec::new(),
    };
    for (name, (span, group)) in groups.0 {
        if let Some(place) = group
            .region_glob
            .filter(|_| !defaults.has_list && !incomplete)
        {
            let problem = report.error(
                place,
                "a pattern of regions needs the list of regions to look at",
            );
            problem.hint("add it, as in `[defaults] regions = [\"eu-central-1\"]`");
        }
        regions.extend(
            group
                .selector
                .regions
                .iter()
                .filter_map(|glob| glob.literal().map(str::to_owned)),
        );
        let settings = names.settings(group.body, additive, report);
        if settings.is_empty() {
            report.warning(
                span,
                format!(
                    "group {} changes nothing: it has no rules and no settings",
                    quote(&name)
                ),
            );
        }
        linked.groups.push(Group {
            name,
            span,
            selector: group.selector,
            expect: group.expect,
            settings,
        });
    }
    for (key, (span, instance)) in instances.0 {
        regions.extend(instance.region.clone());
        let name = instance.name;
        let id = match instance.region {
            Some(region) => Ok(InstanceId { region, name }),
            None => Err(name),
        };
        let settings = names.settings(instance.body, additive, report);
        linked.instances.push(Declared {
            key,
            span,
            id,
            settings,
        });
    }
    linked.regions = regions;
    if !report.has_errors() {
        names.report_unused(report);
    }
    linked
}

impl Settings {
    fn is_empty(&self) -> bool {
        let Self {
            uses,
            rules,
            absent,
            mode,
            strategy,
        } = self;
        uses.is_empty()
            && rules.is_empty()
            && absent.is_empty()
            && mode.is_none()
            && strategy.is_none()
    }
}

/// One element of an address set.
fn member(text: &Text, report: &mut Report) -> Element<Who> {
    match who::parse(&text.text) {
        Said::Keyword(who) => Element::Items(who.to_vec()),
        Said::Literal(net) => Element::Items(vec![Who::Net(net)]),
        Said::Name => Element::Name,
        Said::Wrong(wrong) => {
            report_wrong(report, text.span, wrong);
            Element::Wrong
        }
    }
}

/// One element of a service, or of `allow`.
fn port(text: &Text, report: &mut Report) -> Element<Key> {
    match what::parse(&text.text) {
        Some(Ok(key)) => Element::Items(vec![key]),
        Some(Err(wrong)) => {
            report_wrong(report, text.span, wrong);
            Element::Wrong
        }
        None => match services::service_keys(&text.text) {
            Some(keys) => Element::Items(keys.to_vec()),
            None => Element::Name,
        },
    }
}

fn report_wrong(report: &mut Report, span: Span, wrong: what::Wrong) {
    let problem = report.error(span, wrong.message);
    if let Some(hint) = wrong.hint {
        problem.hint(hint);
    }
}

/// What can be named.
struct Names {
    addresses: Nested<Who>,
    services: Nested<Key>,
    /// In the order of [`Linked::rulesets`].
    rulesets: Vec<(String, Span)>,
    used_rulesets: BTreeSet<usize>,
    incomplete: bool,
}

impl Names {
    fn settings(&mut self, body: Body, additive: bool, report: &mut Report) -> Settings {
        let Body {
            uses,
            rules,
            absent,
            mode,
            strategy,
        } = body;
        // Where no group and no default says additive, only the table itself can.
        let possible = mode.map_or(additive, |(mode, _)| mode == Mode::Additive);
        if let Some(first) = absent.first().filter(|_| !possible) {
            let mode = mode.map_or("this", |(mode, _)| mode.as_str());
            report.error(first.span, format!("`absent` has no meaning in {mode} mode")).hint(
                "in additive mode it names what must go (`mode = \"additive\"`); in authoritative mode leave it out, since what is not declared is closed",
            );
        }
        Settings {
            uses: uses
                .iter()
                .filter_map(|name| self.ruleset(name, report))
                .collect(),
            rules: rules
                .into_iter()
                .map(|rule| self.rule(rule, report))
                .collect(),
            absent: absent
                .into_iter()
                .map(|rule| Absence {
                    whole: rule.from.is_none(),
                    rule: self.rule(rule, report),
                })
                .collect(),
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
                name.span,
                format!("there is no ruleset {}", quote(&name.text)),
                &name.text,
                known,
            );
        }
        None
    }

    fn rule(&mut self, def: RuleDef, report: &mut Report) -> Rule {
        let RuleDef {
            span,
            allow,
            from,
            until,
            owner,
            why,
        } = def;
        let mut seen = BTreeSet::new();
        let items: Vec<Item> = allow
            .into_iter()
            .map(|text| {
                let mut keys = self.keys(&text, report);
                keys.retain(|key| seen.insert(*key));
                Item {
                    text: text.text,
                    keys,
                }
            })
            .collect();
        let mut sources = Sources::new();
        let mut literals = Literals::default();
        let from = from.unwrap_or_default();
        for text in &from {
            self.source(text, &items, &mut sources, &mut literals, report);
        }
        let from = from.into_iter().map(|text| text.text).collect();
        Rule {
            span,
            origin: report.origin(span),
            items,
            from,
            sources,
            literals,
            until,
            owner,
            why,
        }
    }

    fn keys(&mut self, text: &Text, report: &mut Report) -> Vec<Key> {
        match port(text, report) {
            Element::Items(keys) => keys,
            Element::Name => self
                .services
                .expand(text, report)
                .map(|keys| keys.to_vec())
                .unwrap_or_default(),
            Element::Wrong => Vec::new(),
        }
    }

    fn source(
        &mut self,
        text: &Text,
        items: &[Item],
        sources: &mut Sources,
        literals: &mut Literals,
        report: &mut Report,
    ) {
        let mut add = |who: &[Who]| {
            for who in who {
                match who {
                    Who::Net(net) => sources.insert(*net),
                    Who::LightsailConnect => sources.insert_alias(crate::model::LIGHTSAIL_CONNECT),
                }
            }
        };
        match who::parse(&text.text) {
            Said::Keyword(who) => add(who),
            Said::Literal(net) => {
                add(&[Who::Net(net)]);
                let is_ipv4 = net.addr().is_ipv4();
                let place = if is_ipv4 {
                    &mut literals.ipv4
                } else {
                    &mut literals.ipv6
                };
                place.get_or_insert(text.span);
                check_family(text, is_ipv4, items, report);
            }
            Said::Name => {
                if let Some(who) = self.addresses.expand(text, report) {
                    add(&who);
                }
            }
            Said::Wrong(wrong) => {
                debug_assert!(looks_like_address(&text.text));
                report_wrong(report, text.span, wrong);
            }
        }
    }

    fn report_unused(&self, report: &mut Report) {
        self.addresses.report_unused(report);
        self.services.report_unused(report);
        for (id, (name, span)) in self.rulesets.iter().enumerate() {
            if !self.used_rulesets.contains(&id) {
                report.warning(*span, format!("ruleset {} is not used", quote(name)));
            }
        }
    }
}

/// An address that is written out must fit everything that the rule allows.
fn check_family(text: &Text, is_ipv4: bool, items: &[Item], report: &mut Report) {
    for item in items.iter().filter(|item| !item.keys.is_empty()) {
        let Families { ipv4, ipv6 } = item.families();
        if is_ipv4 && ipv4 || !is_ipv4 && ipv6 {
            continue;
        }
        let (family, other) = if is_ipv4 {
            ("IPv4", "icmp")
        } else {
            ("IPv6", "icmpv6")
        };
        report
            .error(
                text.span,
                format!(
                    "{} is an {family} address, which {} does not take",
                    quote(&text.text),
                    quote(&item.text)
                ),
            )
            .hint(format!(
                "the protocol for {family} is `{other}`; `ping` is both"
            ));
    }
}
