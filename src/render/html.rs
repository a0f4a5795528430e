//! A run, or a comparison, as one page: who gets in where, before and after, at a glance.
//!
//! Owns the page as a whole: a single file without scripts that asks nothing of the network, in light and dark, readable
//! without colours and by a screen reader. The templates escape whatever they are given; a text from outside goes through
//! `sanitize` besides, for the characters that nobody sees. Does not let a text from outside be markup.

mod details;
mod difference;
mod level;
mod matrix;
#[cfg(test)]
mod tests;
mod violations;

use std::collections::BTreeSet;

pub(crate) use difference::difference;
use matrix::Row;
use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

use super::finding::{Finding, Level, troubles};
use super::json::{Run, Severity};
use super::text;
use super::words::sanitize;
use crate::model::Key;
use crate::plan::{InstancePlan, Plan, Verdict};

const STYLE: &str = include_str!("html/page.css");

/// Finds the name that people know a key by, such as `ssh`.
pub(crate) type ServiceName<'a> = &'a dyn Fn(Key) -> Option<&'static str>;

/// The page of a run, with what environment variables did to it.
#[must_use]
pub(crate) fn page(run: &Run<'_>, service: ServiceName<'_>, environment: &[String]) -> String {
    let instances = run.plan.map(sorted).unwrap_or_default();
    let rows: Vec<Row<'_>> = instances.iter().map(|plan| matrix::planned(plan)).collect();
    let parts = Parts {
        verb: run.verb,
        headline: &headline(run),
        tiles: &run.plan.map(|plan| of_plan(run, plan)).unwrap_or_default(),
        exit_code: run.exit_code,
        environment,
    };
    parts.page(&[
        &|| found(&troubles(run)),
        &|| violations::list(run.violations),
        &|| matrix::table(&rows, service),
        &|| details::sections(&instances, run),
        &|| run.plan.map(details::rest).unwrap_or_default(),
    ])
}

/// What every page has around its sections.
struct Parts<'a> {
    verb: &'a str,
    headline: &'a str,
    tiles: &'a [Tile],
    exit_code: u8,
    environment: &'a [String],
}

impl Parts<'_> {
    /// Sections are made one by one, so that a long page is in memory about once.
    fn page(&self, sections: &[&dyn Fn() -> Markup]) -> String {
        let title = format!("portward {}", self.verb);
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    title { (title) }
                    // A constant of ours, and a browser takes the text of a style sheet as it is: it knows no escapes there.
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        p.tool { (title) }
                        h1 { (sanitize(self.headline)) }
                        @if !self.tiles.is_empty() { (tiles(self.tiles)) }
                    }
                    main {
                        @for section in sections { (section()) }
                        @if !self.environment.is_empty() { (environment(self.environment)) }
                    }
                    footer { "portward " (env!("CARGO_PKG_VERSION")) ", exit code " (self.exit_code) }
                }
            }
            "\n"
        };
        page.into_string()
    }
}

fn headline(run: &Run<'_>) -> String {
    if let Some(problem) = &run.error {
        return problem.message.clone();
    }
    match run.plan {
        Some(plan) => text::summary(plan, run.asked()),
        None if run.problems.iter().any(|p| p.severity == Severity::Error) => {
            "The configuration is not valid".to_owned()
        }
        None if !run.violations.is_empty() => {
            "The configuration is valid, and breaks its policies".to_owned()
        }
        None => "The configuration is valid".to_owned(),
    }
}

/// A number, what it counts, and how it looks where it is not 0.
type Tile = (usize, &'static str, &'static str);

fn of_plan(run: &Run<'_>, plan: &Plan) -> Vec<Tile> {
    let count = |is: fn(&InstancePlan) -> bool| plan.instances.iter().filter(|i| is(i)).count();
    let unseen =
        plan.unreadable.len() + plan.sites_unreadable.len() + count(|i| i.incomplete.is_some());
    let broken: BTreeSet<&str> = run.violations.iter().map(|v| v.policy.as_str()).collect();
    let refusals = run.refusals.len() + run.violations.iter().filter(|v| v.refuses()).count();
    let mut tiles = vec![
        (count(|i| i.verdict == Verdict::InSync), "in sync", ""),
        (count(|i| i.verdict.differs()), "differ", ""),
        (count(|i| !i.exposure.gained.is_empty()), OPENS, "up"),
        (count(|i| !i.exposure.lost.is_empty()), CLOSES, "down"),
        (refusals, "refusals", "bad"),
        (broken.len(), "policies broken", "bad"),
        (unseen, "unreadable", "bad"),
    ];
    let rare = [
        (plan.undecided.len(), "undecided", "bad"),
        (plan.unplanned.len(), "not part of the plan", ""),
    ];
    tiles.extend(rare.into_iter().filter(|(n, ..)| *n > 0));
    tiles
}

const OPENS: &str = "open something";
const CLOSES: &str = "close something";

/// The numbers that decide whether one has to read on.
fn tiles(tiles: &[Tile]) -> Markup {
    html! {
        ul.tiles {
            @for (n, what, class) in tiles {
                li class=(if *n == 0 { "" } else { class }) { strong { (n) } " " (what) }
            }
        }
    }
}

/// What stands in the way or is odd.
fn found(findings: &[Finding]) -> Markup {
    let entry = |finding: &Finding| {
        let (class, word) = match finding.level {
            Level::Error => ("bad", "error"),
            Level::Warning | Level::Note => ("odd", "warning"),
        };
        html! {
            li class=(class) {
                span.tag { (word) } " " (prose(&finding.message))
                @if let Some(at) = &finding.location {
                    " " code { (sanitize(&at.file)) ":" (at.line) }
                }
                @if let Some(hint) = &finding.hint {
                    br; small { "hint: " (prose(hint)) }
                }
            }
        }
    };
    html! {
        @if !findings.is_empty() {
            section aria-labelledby="found" {
                h2 id="found" { "Look at this first" }
                ul.found { @for finding in findings { (entry(finding)) } }
            }
        }
    }
}

/// What environment variables did to the run.
fn environment(notes: &[String]) -> Markup {
    html! {
        section aria-labelledby="environment" {
            h2 id="environment" { "Environment" }
            ul { @for note in notes { li { "note: " (sanitize(note)) } } }
        }
    }
}

/// What opens the most first, then what differs, then what is in sync.
fn sorted(plan: &Plan) -> Vec<&InstancePlan> {
    let mut instances: Vec<&InstancePlan> = plan.instances.iter().collect();
    instances.sort_by_cached_key(|instance| {
        (
            std::cmp::Reverse(text::severity(&instance.exposure)),
            !instance.verdict.differs(),
            instance.instance.id.clone(),
        )
    });
    instances
}

/// A sentence fragment; what it has in backticks is shown as code.
fn prose(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 && !part.is_empty() {
                code { (sanitize(part)) }
            } @else {
                (sanitize(part))
            }
        }
    }
}

/// Pieces of a page with the same between each two.
fn joined(pieces: impl IntoIterator<Item = impl Render>, between: impl Render) -> Markup {
    html! {
        @for (at, piece) in pieces.into_iter().enumerate() {
            @if at > 0 { (between) }
            (piece)
        }
    }
}
