//! What the table has no room for: each instance's changes, reasons, calls and ending, one click away.
//!
//! Owns the folded sections below the table. Does not leave out an instance of the plan.

use maud::{Markup, html};

use super::joined;
use super::matrix::state;
use crate::exposure::Line;
use crate::model::Note;
use crate::plan::{Call, Cause, CauseKind, Change, InstancePlan, InstanceResult, Plan, Verdict};
use crate::render::json::Run;
use crate::render::text::in_doubt;
use crate::render::words::{count, key, sanitize, source_words, until};

/// A section for each instance, in the order of the table, which links to them.
pub(super) fn sections(instances: &[&InstancePlan], run: &Run<'_>) -> Markup {
    let results = run.report.map(|report| report.results.as_slice());
    let results = results.unwrap_or_default();
    html! {
        @if !instances.is_empty() {
            section aria-labelledby="details" {
                h2 id="details" { "Details" }
                @for (at, plan) in instances.iter().enumerate() {
                    @let id = &plan.instance.id;
                    details {
                        summary {
                            strong { (sanitize(&id.name)) } " " (sanitize(&id.site().to_string())) ", " (state(plan))
                            (calls(plan))
                        }
                        // The target is inside: a browser that is led there opens the section.
                        div id={ "i" (at) } tabindex="-1" {
                            (inside(plan, results.iter().find(|result| result.id == *id)))
                        }
                    }
                }
            }
        }
    }
}

fn calls(plan: &InstancePlan) -> String {
    let mut verbs: Vec<&str> = plan.calls.iter().map(Call::verb).collect();
    verbs.dedup();
    match plan.calls.len() {
        0 => String::new(),
        n => format!(", {}: {}", count(n, "call"), verbs.join(", ")),
    }
}

/// What has no firewall to show: missing, undeclared and unreadable instances are told apart, never left out.
pub(super) fn rest(plan: &Plan) -> Markup {
    html! {
        @if !plan.undeclared.is_empty() {
            section aria-labelledby="undeclared" {
                h2 id="undeclared" { "Not in the configuration" }
                p { @for undeclared in &plan.undeclared { code { (sanitize(&undeclared.id.to_string())) } " " } }
            }
        }
        @if !plan.notes.is_empty() || !plan.overrides.is_empty() {
            section aria-labelledby="notes" {
                h2 id="notes" { "Notes" }
                ul {
                    @for allowed in &plan.overrides {
                        li {
                            "allowed: " (allowed.guard.as_str())
                            @if let Some(on) = &allowed.selector { " on " code { (sanitize(on)) } }
                            ": " (sanitize(&allowed.reason))
                        }
                    }
                    (notes(&plan.notes))
                }
            }
        }
    }
}

fn inside(plan: &InstancePlan, result: Option<&InstanceResult>) -> Markup {
    html! {
        @if let Verdict::Refused { reason, hint } = &plan.verdict {
            p.bad {
                "refused: " (sanitize(reason))
                @if let Some(hint) = hint { " (" (sanitize(hint)) ")" }
            }
        }
        @if let Some(why) = &plan.incomplete { p.bad { "not fully readable: " (sanitize(why)) } }
        @if let Some(result) = result { (ending(result)) }
        (exposure(plan))
        @if !plan.still_open.is_empty() {
            ul {
                @for open in &plan.still_open {
                    li.bad {
                        "still open: " (sanitize(&open.to_string())) " (" (joined(open.causes.iter().map(cause), ", ")) ")"
                        br; small { "hint: " (sanitize(&open.hint)) }
                    }
                }
            }
        }
        (rules(plan))
        (oddities(plan))
    }
}

fn ending(result: &InstanceResult) -> Markup {
    let why = result.outcome.reason().unwrap_or_default();
    html! {
        p {
            "what became of it: " strong { (result.outcome.status()) }
            @if !why.is_empty() { ": " (sanitize(&why)) }
            ", " (count(result.writes, "write"))
        }
    }
}

fn exposure(plan: &InstancePlan) -> Markup {
    let lines = plan.exposure.lines();
    let doubts = in_doubt(plan);
    let access = |class: &str, word: &str, lines: &[Line]| {
        html! {
            @for line in lines { li class=(class) { span.tag { (word) } " " (sanitize(&line.to_string())) } }
        }
    };
    html! {
        @if !plan.exposure.is_empty() || !doubts.is_empty() {
            ul.access {
                (access("gains", "opens", &lines.gained))
                (access("loses", "closes", &lines.lost))
                (access("doubt", "perhaps open now", &doubts))
            }
        }
    }
}

/// The rules that change, or all of them where none does.
fn rules(plan: &InstancePlan) -> Markup {
    html! {
        @if !plan.changes.is_empty() {
            table.rules {
                thead {
                    tr {
                        th scope="col" { "rule" }
                        th scope="col" { "from, before" }
                        th scope="col" { "from, after" }
                        th scope="col" { "because" }
                    }
                }
                tbody { @for change in &plan.changes { (rule(change)) } }
            }
        } @else if matches!(plan.verdict, Verdict::InSync | Verdict::Incomplete | Verdict::StillOpen) {
            table.rules {
                thead { tr { th scope="col" { "rule" } th scope="col" { "from" } } }
                tbody {
                    @for (rule, sources) in &plan.after {
                        tr { th scope="row" { (key(*rule)) } td { (source_words(sources).join(", ")) } }
                    }
                }
            }
        }
    }
}

fn rule(change: &Change) -> Markup {
    let words = |sources| match source_words(sources).join(", ") {
        words if words.is_empty() => "nobody".to_owned(),
        words => words,
    };
    html! {
        tr {
            th scope="row" { (key(change.key)) }
            td { (words(&change.before)) }
            td { (words(&change.after)) }
            td {
                @if change.causes.is_empty() { "not in the configuration" }
                (joined(change.causes.iter().map(cause), html! { br; }))
            }
        }
    }
}

fn cause(cause: &Cause) -> Markup {
    html! {
        code { (sanitize(&cause.origin.to_string())) }
        @match cause.kind {
            CauseKind::Declared => {},
            CauseKind::Absent => " absent",
            CauseKind::Expired => " expired",
        }
        @if let Some(why) = &cause.why { " " (sanitize(why)) }
        @if let Some(owner) = &cause.owner { ", owner " (sanitize(owner)) }
        @if let Some(end) = cause.until { ", until " (until(end)) }
    }
}

/// Live entries that are not understood, and the notes on the instance.
fn oddities(plan: &InstancePlan) -> Markup {
    let doubtful = plan.before.uncertain().iter();
    let doubtful = doubtful.map(|u| format!("uncertain live entry {}: {}", u.entry, u.doubt));
    let unknown = plan.before.unknown().iter();
    let unknown = unknown.map(|entry| format!("live entry {entry} of an unknown protocol"));
    let odd: Vec<String> = doubtful.chain(unknown).collect();
    html! {
        @if !odd.is_empty() || !plan.notes.is_empty() {
            ul {
                @for text in &odd { li.bad { (sanitize(text)) } }
                (notes(&plan.notes))
            }
        }
    }
}

fn notes(notes: &[Note]) -> Markup {
    html! {
        @for Note { text, origin } in notes {
            li {
                (sanitize(text))
                @if let Some(origin) = origin { " " code { (sanitize(&origin.to_string())) } }
            }
        }
    }
}
