//! Linking: resolves every name of the definitions.
//!
//! Owns the checks that need more than one definition. Does not know instances; `resolve` does.

use std::collections::{BTreeMap, BTreeSet};

use super::accounts;
use super::catalogue::Catalogue;
use super::definitions::{
    Account, Defaults, Definitions, GroupDef, GuardDef, InstanceDef, NamedDefinitions,
};
use super::diagnostic::DiagnosticsBuilder;
use super::grants;
use super::hints;
use super::name_resolver::NameResolver;
use super::policy;
use super::rule::LinkedRule;
use super::selector::Glob;
use super::source::{Span, quote};
use super::table::{Group, InstanceTable};
use crate::model::{Code, Guard, Mode, Site, Strategy};

/// The configuration without its texts.
#[derive(Debug)]
pub(super) struct LinkedConfig {
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) regions: BTreeSet<String>,
    /// The sites to read, as far as they are known.
    pub(super) sites: BTreeSet<Site>,
    pub(super) mode: Mode,
    pub(super) strategy: Strategy,
    pub(super) rulesets: Vec<Box<[LinkedRule]>>,
    /// The number of pairs of port and source of each ruleset.
    pub(super) ruleset_pairs: Vec<usize>,
    pub(super) groups: Vec<Group>,
    pub(super) instances: Vec<InstanceTable>,
    pub(super) guard: Guard,
    pub(super) grants: Option<grants::LinkedGrants>,
    pub(super) policies: Vec<policy::LinkedPolicy>,
    pub(super) catalogue: Catalogue,
}

/// Resolves every name.
pub(super) fn link(defs: Definitions, report: &mut DiagnosticsBuilder) -> LinkedConfig {
    let accounts = accounts::link(defs.accounts, report);
    let (groups, instances, policies) = (defs.groups, defs.instances, defs.policies);
    if !defs.is_incomplete {
        let selectors = groups.values().map(|(_, group)| &group.selector);
        let of_policies = policies
            .values()
            .filter_map(|(_, def)| def.selector.as_ref());
        let of_grants = defs.grants.iter().filter_map(|def| def.selector.as_ref());
        let selectors = selectors.chain(of_policies).chain(of_grants);
        accounts::check_selectors(&accounts, selectors, report);
        let ids = instances.values().map(|(span, def)| (*span, &def.id));
        accounts::check_instances(&accounts, ids, report);
        check_region_patterns(&defs.defaults, &accounts, &groups, report);
    }
    let regions = named_regions(&defs.defaults, &groups, &instances);
    let ids = instances.values().map(|(_, instance)| &instance.id);
    let sites = accounts::sites(&accounts, &regions, ids);
    let ruleset_names = defs.rulesets.iter();
    let ruleset_names = ruleset_names.map(|(name, (span, _))| (name.clone(), *span));
    let mut names = NameResolver::new(
        defs.addresses,
        defs.services,
        ruleset_names.collect(),
        name_hints(&groups, &instances),
        policy::waivable_policies(&policies),
        defs.is_incomplete,
        report,
    );
    let mode = defs.defaults.mode.unwrap_or_default();
    let mut modes = groups.values().map(|(_, group)| group.body.mode);
    names.has_additive =
        mode == Mode::Additive || modes.any(|mode| matches!(mode, Some((Mode::Additive, _))));
    let rulesets = defs.rulesets.into_values();
    let rulesets = rulesets
        .map(|(span, rules)| names.resolve_ruleset(rules, span))
        .collect();
    let groups = groups
        .into_iter()
        .map(|(name, (span, def))| link_group(&mut names, name, span, def))
        .collect();
    let instances = instances
        .into_iter()
        .map(|(key, (span, def))| InstanceTable {
            key,
            span,
            id: def.id,
            settings: names.resolve_settings(def.body, span),
        })
        .collect();
    let guard = link_guard(&mut names, defs.guard);
    let policies = policy::link(&mut names, policies);
    let grants = grants::link(&mut names, defs.grants);
    if !names.report.has_errors() {
        names.report_unused(grants.is_some());
    }
    LinkedConfig {
        accounts,
        regions,
        sites,
        mode,
        strategy: defs.defaults.strategy.unwrap_or_default(),
        rulesets,
        ruleset_pairs: names.ruleset_pairs,
        groups,
        instances,
        guard,
        grants,
        policies,
        catalogue: Catalogue {
            addresses: names.addresses,
            services: names.services,
        },
    }
}

/// Reports patterns of regions for which there is no list of regions.
fn check_region_patterns(
    defaults: &Defaults,
    accounts: &BTreeMap<String, Account>,
    groups: &NamedDefinitions<GroupDef>,
    report: &mut DiagnosticsBuilder,
) {
    let mut lists = accounts.values().map(|account| &account.regions);
    if defaults.has_list || lists.any(|regions| !regions.is_empty()) {
        return;
    }
    for span in groups.values().filter_map(|(_, group)| group.region_glob) {
        let message = "a pattern of regions needs the list of regions to look at";
        report
            .error(Code::WrongType, span, message)
            .hint("add it, as in `[defaults] regions = [\"eu-central-1\"]`");
    }
}

/// The regions that the defaults, groups and instances name.
fn named_regions(
    defaults: &Defaults,
    groups: &NamedDefinitions<GroupDef>,
    instances: &NamedDefinitions<InstanceDef>,
) -> BTreeSet<String> {
    let groups = groups.values();
    let of_groups = groups
        .flat_map(|(_, group)| &group.selector.regions)
        .filter_map(Glob::literal);
    let ids = instances.values().map(|(_, instance)| &instance.id);
    // A region that is named with an account is read only in that account.
    let of_instances = ids
        .filter(|id| id.account.is_none())
        .filter_map(|id| id.region.as_deref());
    let named = of_groups.chain(of_instances).map(str::to_owned);
    named.chain(defaults.regions.iter().cloned()).collect()
}

/// The hints for names of instances and groups that are used as a source.
fn name_hints(
    groups: &NamedDefinitions<GroupDef>,
    instances: &NamedDefinitions<InstanceDef>,
) -> BTreeMap<String, fn(&str) -> String> {
    let instances = instances.values().map(|(_, instance)| {
        let name = instance.id.name.clone();
        (name, hints::for_instance_name as fn(&str) -> _)
    });
    let groups = groups.keys();
    let groups = groups.map(|name| (name.clone(), hints::for_group_name as fn(&str) -> _));
    groups.chain(instances).collect()
}

fn link_group(names: &mut NameResolver<'_>, name: String, span: Span, def: GroupDef) -> Group {
    let settings = names.resolve_settings(def.body, span);
    if settings.is_empty() {
        let message = format!(
            "group {} declares instances, and neither rules nor settings",
            quote(&name)
        );
        names.report.warning(Code::Unused, span, message);
    }
    Group {
        name,
        span,
        selector: def.selector,
        expect: def.expect,
        settings,
    }
}

fn link_guard(names: &mut NameResolver<'_>, def: GuardDef) -> Guard {
    let mut keep = Vec::new();
    for line in def.keep {
        names.begin_table(0, line.span);
        keep.extend(names.resolve_rule(line).rules_of_any_instance());
    }
    Guard {
        keep,
        max_instances: def.max_instances,
        max_closed: def.max_closed.unwrap_or(Guard::default().max_closed),
    }
}
