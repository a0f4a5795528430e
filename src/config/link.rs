//! Linking: resolves every name of the definitions.
//!
//! Owns the checks that need more than one definition. Does not know instances; `resolve` does.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts;
use super::catalogue::Catalogue;
use super::definitions::{Account, Definitions, GroupDef, GuardDef, InstanceDef, Named};
use super::diagnostic::Report;
use super::follow::Names;
use super::grants;
use super::habits;
use super::policy;
use super::rule::Rule;
use super::selector::Glob;
use super::source::{Span, quote};
use super::table::{Declared, Group};
use crate::model::{Code, Guard, Mode, Site, Strategy};

/// The configuration without its texts.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) regions: BTreeSet<String>,
    /// The sites to read, as far as they are known.
    pub(super) sites: BTreeSet<Site>,
    pub(super) mode: Mode,
    pub(super) strategy: Strategy,
    pub(super) rulesets: Vec<Box<[Rule]>>,
    /// The number of pairs of port and source of each ruleset.
    pub(super) ruleset_pairs: Vec<usize>,
    pub(super) groups: Vec<Group>,
    pub(super) instances: Vec<Declared>,
    pub(super) guard: Guard,
    pub(super) grants: Option<grants::Linked>,
    pub(super) policies: Vec<policy::Linked>,
    pub(super) catalogue: Catalogue,
}

/// Resolves every name.
pub(super) fn link(defs: Definitions, report: &mut Report) -> Linked {
    let Definitions {
        defaults,
        accounts,
        addresses,
        services,
        rulesets,
        groups,
        instances,
        guard,
        grants,
        policies,
        incomplete,
    } = defs;
    let accounts = accounts::link(accounts, report);
    if !incomplete {
        let selectors = groups.0.values().map(|(_, group)| &group.selector);
        let policies = policies.0.values();
        let selectors = selectors.chain(policies.filter_map(|(_, def)| def.selector.as_ref()));
        let selectors = selectors.chain(grants.iter().filter_map(|def| def.selector.as_ref()));
        accounts::check_matches(&accounts, selectors, report);
        let places = instances.0.iter();
        let places = places.map(|(key, (span, def))| (key.as_str(), *span, &def.place));
        accounts::check_places(&accounts, places, report);
    }
    let known: Vec<(String, Span)> = rulesets
        .0
        .iter()
        .map(|(name, (span, _))| (name.clone(), *span))
        .collect();
    let others = no_sources(&groups, &instances);
    let mut names = Names::new(addresses, services, known, others, incomplete, report);
    let mode = defaults.mode.unwrap_or_default();
    names.policies = policy::waivable(&policies);
    names.count_for(names.policies.len());
    names.additive = mode == Mode::Additive
        || groups
            .0
            .values()
            .any(|(_, group)| matches!(group.body.mode, Some((Mode::Additive, _))));
    let has_list =
        defaults.has_list || accounts.values().any(|account| !account.regions.is_empty());
    if !has_list && !incomplete {
        for place in groups.0.values().filter_map(|(_, group)| group.region_glob) {
            let message = "a pattern of regions needs the list of regions to look at";
            report
                .error(Code::WrongType, place, message)
                .hint("add it, as in `[defaults] regions = [\"eu-central-1\"]`");
        }
    }
    let literal = groups
        .0
        .values()
        .flat_map(|(_, group)| &group.selector.regions)
        .filter_map(Glob::literal);
    let own = instances
        .0
        .values()
        // A region that is named with an account is read only in that account.
        .filter(|(_, instance)| instance.place.account.is_none())
        .filter_map(|(_, instance)| instance.place.region.as_deref());
    let mut regions: BTreeSet<String> = literal.chain(own).map(str::to_owned).collect();
    regions.extend(defaults.regions);
    let places = instances.0.values().map(|(_, instance)| &instance.place);
    let sites = accounts::sites(&accounts, &regions, places);
    let rulesets = rulesets
        .0
        .into_values()
        .map(|(span, rules)| names.rules_of_ruleset(rules, span, report))
        .collect();
    let groups = groups
        .0
        .into_iter()
        .map(|(name, (span, def))| group(&mut names, name, span, def, report))
        .collect();
    let instances = instances
        .0
        .into_iter()
        .map(|(key, (span, def))| instance(&mut names, key, span, def, report))
        .collect();
    let guard = self::guard(&mut names, guard, report);
    let policies = policy::link(&mut names, policies, report);
    let grants = grants::link(&mut names, grants, report);
    if !report.has_errors() {
        names.report_unused(grants.is_some(), report);
    }
    Linked {
        accounts,
        regions,
        sites,
        mode,
        strategy: defaults.strategy.unwrap_or_default(),
        rulesets,
        ruleset_pairs: names.ruleset_pairs().to_vec(),
        groups,
        instances,
        guard,
        grants,
        policies,
        catalogue: names.into_catalogue(),
    }
}

/// The hints for names of instances and groups that are used as a source.
fn no_sources(
    groups: &Named<GroupDef>,
    instances: &Named<InstanceDef>,
) -> BTreeMap<String, fn(&str) -> String> {
    let instances = instances.0.values().map(|(_, instance)| &instance.place);
    let instances = instances.map(|place| (place.name.clone(), habits::instance as fn(&str) -> _));
    let groups = groups.0.keys();
    let groups = groups.map(|name| (name.clone(), habits::group as fn(&str) -> _));
    groups.chain(instances).collect()
}

fn group(names: &mut Names, name: String, span: Span, def: GroupDef, report: &mut Report) -> Group {
    let GroupDef {
        selector,
        expect,
        region_glob: _,
        body,
    } = def;
    let settings = names.settings(body, span, report);
    if settings.is_empty() {
        report.warning(
            Code::Unused,
            span,
            format!(
                "group {} declares instances, and neither rules nor settings",
                quote(&name)
            ),
        );
    }
    Group {
        name,
        span,
        selector,
        expect,
        settings,
    }
}

fn instance(
    names: &mut Names,
    key: String,
    span: Span,
    def: InstanceDef,
    report: &mut Report,
) -> Declared {
    let InstanceDef { place, body } = def;
    Declared {
        key,
        span,
        place,
        settings: names.settings(body, span, report),
    }
}

fn guard(names: &mut Names, def: GuardDef, report: &mut Report) -> Guard {
    let GuardDef {
        keep: lines,
        max_instances,
        max_closed,
    } = def;
    let mut keep = Vec::new();
    for line in lines {
        names.begin_table(0, line.span, report);
        names.rule(line, report).literally(&mut keep);
    }
    Guard {
        keep,
        max_instances,
        max_closed: max_closed.unwrap_or(Guard::default().max_closed),
    }
}
