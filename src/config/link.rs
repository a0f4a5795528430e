//! From definitions to a configuration: every name followed, every text read.
//!
//! Owns the checks that need more than one definition. Refuses to look at instances; `resolve` does.

use std::collections::BTreeSet;

use super::catalogue::Catalogue;
use super::definitions::{Definitions, GroupDef, GuardDef, InstanceDef};
use super::diagnostic::Report;
use super::expect::Expect;
use super::follow::Names;
use super::policy;
use super::rule::{Absence, Rule};
use super::selector::{Glob, Selector};
use super::source::{Span, quote};
use crate::model::{Guard, InstanceId, Mode, Strategy};

/// The configuration without its texts.
#[derive(Debug)]
pub(super) struct Linked {
    pub(super) regions: BTreeSet<String>,
    pub(super) mode: Mode,
    pub(super) strategy: Strategy,
    pub(super) rulesets: Vec<Vec<Rule>>,
    pub(super) groups: Vec<Group>,
    pub(super) instances: Vec<Declared>,
    pub(super) guard: Guard,
    pub(super) policies: Vec<policy::Linked>,
    pub(super) catalogue: Catalogue,
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
        guard,
        policies,
        incomplete,
    } = defs;
    let known: Vec<(String, Span)> = rulesets
        .0
        .iter()
        .map(|(name, (span, _))| (name.clone(), *span))
        .collect();
    let mut names = Names::new(addresses, services, known, incomplete, report);
    let mode = defaults.mode.unwrap_or_default();
    names.policies = policy::waivable(&policies);
    names.additive = mode == Mode::Additive
        || groups
            .0
            .values()
            .any(|(_, group)| matches!(group.body.mode, Some((Mode::Additive, _))));
    if !defaults.has_list && !incomplete {
        for place in groups.0.values().filter_map(|(_, group)| group.region_glob) {
            report
                .error(
                    place,
                    "a pattern of regions needs the list of regions to look at",
                )
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
        .filter_map(|(_, instance)| instance.region.as_deref());
    let mut regions: BTreeSet<String> = literal.chain(own).map(str::to_owned).collect();
    regions.extend(defaults.regions);
    let rulesets = rulesets
        .0
        .into_values()
        .map(|(_, rules)| {
            rules
                .into_iter()
                .map(|rule| names.rule(rule, report))
                .collect()
        })
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
    if !report.has_errors() {
        names.report_unused(report);
    }
    Linked {
        regions,
        mode,
        strategy: defaults.strategy.unwrap_or_default(),
        rulesets,
        groups,
        instances,
        guard,
        policies,
        catalogue: names.into_catalogue(),
    }
}

fn group(names: &mut Names, name: String, span: Span, def: GroupDef, report: &mut Report) -> Group {
    let GroupDef {
        selector,
        expect,
        region_glob: _,
        body,
    } = def;
    let settings = names.settings(body, report);
    if settings.is_empty() {
        report.warning(
            span,
            format!(
                "group {} changes nothing: it has no rules and no settings",
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
    let InstanceDef { region, name, body } = def;
    let id = match region {
        Some(region) => Ok(InstanceId {
            account: None,
            region,
            name,
        }),
        None => Err(name),
    };
    Declared {
        key,
        span,
        id,
        settings: names.settings(body, report),
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
        names.rule(line, report).literally(&mut keep);
    }
    Guard {
        keep,
        max_instances,
        max_closed: max_closed.unwrap_or(Guard::default().max_closed),
    }
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
