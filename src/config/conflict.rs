//! Conflicts between parts of the configuration on an instance.
//!
//! Owns the precedence of mode and strategy, and the validation of `absent`. Does not guess: a conflict is an error.

use super::diagnostic::DiagnosticsBuilder;
use super::rule::AbsentRule;
use super::source::{Span, quote};
use super::table::{Group, TableSettings};
use super::write::toml_key;
use crate::exposure::Access;
use crate::model::{Code, DesiredInstance, Instance, Mode, Sources};

/// Resolves a setting of an instance: its own value, or the common value of its groups. `get` returns the value of `key`.
pub(super) fn resolve_setting<T: Copy + PartialEq>(
    report: &mut DiagnosticsBuilder,
    instance: &Instance,
    own: Option<&TableSettings>,
    groups: &[&Group],
    key: &str,
    get: impl Fn(&TableSettings) -> Option<(T, Span)>,
) -> Option<T> {
    if let Some((own, _)) = own.and_then(&get) {
        return Some(own);
    }
    let mut values = groups
        .iter()
        .filter_map(|group| get(&group.settings).map(|(value, span)| (group, value, span)));
    let (first, value, first_span) = values.next()?;
    for (group, other, span) in values {
        if other != value && report.is_first_for(first_span, span) {
            let message = format!(
                "groups {} and {} give {} different values of `{key}`",
                quote(&first.name),
                quote(&group.name),
                quote(&instance.id.to_string())
            );
            let table = toml_key(&instance.id.name);
            report
                .error(Code::Conflict, span, message)
                .hint(format!(
                    "let them agree, or set `{key}` in `[instances.{table}]`"
                ))
                .related(first_span, "the other one is here");
        }
    }
    Some(value)
}

/// Adds the access that must not exist.
pub(super) fn add_absent(
    report: &mut DiagnosticsBuilder,
    instance: &Instance,
    tables: &[&TableSettings],
    desired: &mut DesiredInstance,
) {
    for absent in tables.iter().flat_map(|settings| &settings.absent) {
        let span = absent.rule.span;
        if desired.mode != Mode::Additive {
            if report.is_first_for(span, span) {
                let name = quote(&instance.id.to_string());
                let message = format!(
                    "`absent` has no meaning for {name}, which is in {} mode",
                    desired.mode
                );
                report
                    .error(Code::Misplaced, span, message)
                    .hint("it belongs to additive mode");
            }
            continue;
        }
        desired.absent.extend(absent.absent());
        report_contradictions(report, instance, absent, desired);
    }
    desired
        .absent
        .sort_by(|a, b| (a.key, &a.origin).cmp(&(b.key, &b.origin)));
}

/// Reports access that is both absent and declared.
fn report_contradictions(
    report: &mut DiagnosticsBuilder,
    instance: &Instance,
    line: &AbsentRule,
    desired: &DesiredInstance,
) {
    let span = line.rule.span;
    let origin = report.origin(span);
    let absent = desired.absent.iter();
    for absent in absent.filter(|absent| absent.origin == origin) {
        let sources = absent.sources.as_ref();
        let contradiction = desired.rules.iter().find(|rule| {
            rule.key == absent.key && sources.is_none_or(|sources| overlap(sources, &rule.sources))
        });
        let Some(rule) = contradiction else { continue };
        if report.is_first_for(span, Span::new(span.file(), span.start()..span.start())) {
            let name = quote(&instance.id.to_string());
            let sources = if line.has_all_sources {
                ""
            } else {
                " from some of these sources"
            };
            let message = format!(
                "`{}`{sources} is both absent and declared for {name}",
                absent.key
            );
            report
                .error(Code::Conflict, span, message)
                .hint(format!("it is declared at {}", rule.declared.origin));
        }
    }
}

/// Whether the two have a source in common.
fn overlap(a: &Sources, b: &Sources) -> bool {
    !Access::from(a).intersection(&Access::from(b)).is_empty()
}
