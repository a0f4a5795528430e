//! The details below the table: the rules of each instance with their reasons, and data of no single instance.
//!
//! Owns the sections below the table. Does not leave out an instance of the plan.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::matrix::Row;
use super::{DiffLabels, all_names, code, joined, prose};
use crate::exposure::{ComparisonSubject, Exposed};
use crate::model::{InstanceId, Key, LiveFirewall, Note};
use crate::plan::{Cause, CauseKind, Change, InstancePlan, InstanceResult, Plan, Verdict};
use crate::policy::Subject;
use crate::render::formats::{count, format_key, format_last_day, sanitize, source_words};
use crate::render::json::RunReport;
use crate::render::text::{calls_text, group_notes, missing_from};

pub(super) fn rows<'a>(plans: &[&'a InstancePlan], run: &RunReport<'a>) -> Vec<Row<'a>> {
    let mut against: BTreeMap<&InstanceId, Vec<(&str, &[Exposed])>> = BTreeMap::new();
    for violation in run.violations {
        if let Subject::Instance(id) = &violation.subject {
            let all = against.entry(id).or_default();
            all.push((&violation.policy, &violation.access));
        }
    }
    let row = |plan: &&'a InstancePlan| {
        let changes = |key: Key| plan.before.firewall().get(key) != plan.after.get(key);
        let keys = live_keys(&plan.before).into_iter().chain(plan.after.keys());
        let id = &plan.instance.id;
        let before = plan.reach_before();
        let stays = plan.after == *plan.before.firewall() && plan.before.is_certain();
        let after = if stays {
            before.clone()
        } else {
            plan.reach_after()
        };
        Row {
            subject: ComparisonSubject::Instance(id.clone()),
            state: state_text(plan, run),
            is_quiet: plan.verdict == Verdict::InSync && plan.incomplete.is_none(),
            diff: &plan.exposure,
            before,
            after,
            keys: keys.map(|key| (key, changes(key))).collect(),
            against: against.remove(id).unwrap_or_default(),
        }
    };
    plans.iter().map(row).collect()
}

/// The keys of a live firewall, with those that its doubtful entries may be about.
fn live_keys(live: &LiveFirewall) -> Vec<Key> {
    let doubtful = crate::exposure::Doubtful::all(live)
        .into_iter()
        .map(|doubt| doubt.key);
    live.firewall().keys().chain(doubtful).collect()
}

/// The planned change of an instance, or its result.
fn state_text(plan: &InstancePlan, run: &RunReport<'_>) -> String {
    if let Some(result) = result(plan, run) {
        let status = result.outcome.status().to_string();
        return format!("{status}, {}", count(result.writes, "write"));
    }
    let words = match &plan.verdict {
        _ if plan.incomplete.is_some() => "not fully readable",
        Verdict::InSync => "in sync",
        Verdict::Incomplete => "not fully readable",
        Verdict::Change if run.verb == "drift" => "differs",
        Verdict::Change => return calls_text(&plan.calls, ""),
        Verdict::Observed => "only observed",
        Verdict::Refused { .. } => "refused",
        Verdict::StillOpen => "still open through other rules",
    };
    words.to_owned()
}

fn result<'a>(plan: &InstancePlan, run: &RunReport<'a>) -> Option<&'a InstanceResult> {
    let mut results = run.report?.results.iter();
    results.find(|result| result.id == plan.instance.id)
}

/// Everything about an instance but its name and its state.
pub(super) fn instance_details(
    plan: &InstancePlan,
    labels: DiffLabels,
    run: &RunReport<'_>,
) -> Markup {
    let reason = result(plan, run).and_then(|result| result.outcome.reason());
    html! {
        @if let Verdict::Refused { reason, hint } = &plan.verdict {
            p.bad {
                "refused: " (prose(reason))
                @if let Some(hint) = hint { " (" (prose(hint)) ")" }
            }
        }
        @if let Some(reason) = &plan.incomplete { p.bad { "not fully readable: " (prose(reason)) } }
        @if let Some(reason) = &reason { p { (prose(reason)) } }
        @for open in &plan.still_open {
            p.bad {
                "still open: " (sanitize(&open.to_string())) " (" (joined(open.causes.iter().map(cause), ", ")) ")"
            }
            p.hint { "hint: " (prose(&open.hint)) }
        }
        (rules(plan, labels))
        (uncertain_entries(plan))
    }
}

/// The rules that change, or all of them where none does.
fn rules(plan: &InstancePlan, labels: DiffLabels) -> Markup {
    html! {
        @if !plan.changes.is_empty() {
            table.rules {
                thead.sr { tr { th scope="col" { "rule" } th scope="col" { "from" } th scope="col" { "because" } } }
                tbody { @for change in &plan.changes { (rule(change, labels)) } }
            }
        } @else if matches!(plan.verdict, Verdict::InSync | Verdict::Incomplete | Verdict::StillOpen) {
            table.rules {
                thead.sr { tr { th scope="col" { "rule" } th scope="col" { "from" } } }
                tbody {
                    @for (rule, sources) in &plan.after {
                        tr { th scope="row" { (format_key(*rule)) } td { (source_words(sources).join(", ")) } }
                    }
                }
            }
        }
    }
}

fn rule(change: &Change, labels: DiffLabels) -> Markup {
    let (before, after) = (source_words(&change.before), source_words(&change.after));
    let (gained, lost) = (missing_from(&before, &after), missing_from(&after, &before));
    let mut both = before;
    both.retain(|word| after.contains(word));
    html! {
        tr {
            th scope="row" { (format_key(change.key)) }
            td {
                @for (way, words) in labels.directions(gained, lost) {
                    @if !words.is_empty() {
                        span.source.(way.weight.class()) { (way.mark) (words.join(", ")) }
                    }
                }
                @if !both.is_empty() { small { (labels.both) " " (both.join(", ")) } }
            }
            td {
                @if change.causes.is_empty() { "not in the configuration" }
                (joined(change.causes.iter().map(cause), html! { br; }))
            }
        }
    }
}

fn cause(cause: &Cause) -> Markup {
    html! {
        (code(&cause.origin.to_string()))
        @match cause.kind {
            CauseKind::Declared => {},
            CauseKind::Absent => " absent",
            CauseKind::Expired => " expired",
        }
        @if let Some(why) = &cause.why {
            @if cause.kind != CauseKind::Declared { ":" }
            " " (sanitize(why))
        }
        @if let Some(owner) = &cause.owner { ", owner " (sanitize(owner)) }
        @if let Some(end) = cause.until { " until " span.whole { (format_last_day(end)) } }
    }
}

/// Live entries that are not understood, and the notes on the instance.
fn uncertain_entries(plan: &InstancePlan) -> Markup {
    let doubtful = plan.before.uncertain().iter();
    let doubtful = doubtful.map(|u| format!("uncertain live entry {}: {}", u.entry, u.doubt));
    let unknown = plan.before.unknown().iter();
    let unknown = unknown.map(|entry| format!("live entry {entry} of an unknown protocol"));
    html! {
        @for text in doubtful.chain(unknown) { p.bad { (prose(&text)) } }
        @if !plan.notes.is_empty() { ul.notes { (notes(&plan.notes)) } }
    }
}

fn notes(notes: &[Note]) -> Markup {
    html! {
        @for (text, origins) in group_notes(notes) {
            li {
                (sanitize(text))
                @if !origins.is_empty() {
                    " (" (joined(origins.iter().map(|origin| code(origin)), ", ")) ")"
                }
            }
        }
    }
}

/// The undeclared instances, and the notes about all instances.
pub(super) fn undeclared_and_notes(plan: &Plan) -> Markup {
    let undeclared = plan.undeclared.iter().map(|undeclared| &undeclared.id);
    html! {
        @for (id, title, ids) in [
            ("undeclared", "Not in the configuration", undeclared.collect::<Vec<_>>()),
            ("unplanned", "Not part of the plan", plan.unplanned.iter().collect()),
        ] {
            @let all: Vec<_> = ids.into_iter().cloned().map(ComparisonSubject::Instance).collect();
            @if !all.is_empty() {
                section aria-labelledby=(id) {
                    h2 id=(id) { (title) " " small { (count(all.len(), "instance")) } }
                    div { (all_names(&all)) }
                }
            }
        }
        @if !plan.notes.is_empty() || !plan.overrides.is_empty() {
            section aria-labelledby="notes" {
                h2 id="notes" { "Notes" }
                ul.notes {
                    @for allowed in &plan.overrides {
                        li {
                            "allowed: " (allowed.guard.as_str())
                            @if let Some(on) = &allowed.selector { " on " (code(on)) }
                            ": " (sanitize(&allowed.reason))
                        }
                    }
                    (notes(&plan.notes))
                }
            }
        }
    }
}

/// The effects of environment variables.
pub(super) fn environment(notes: &[String]) -> Markup {
    html! {
        @if !notes.is_empty() {
            section aria-labelledby="environment" {
                h2 id="environment" { "Environment" }
                ul.notes { @for note in notes { li { "note: " (sanitize(note)) } } }
            }
        }
    }
}
