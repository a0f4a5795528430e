//! A run, or a comparison, as one page: who gains and who loses access, then what stands in the way, then every instance.
//!
//! Owns the page as a whole: a single file without scripts that asks nothing of the network, in light and dark, on a phone
//! and on paper, readable without colours and by a screen reader. The templates escape whatever they are given; a text from
//! outside goes through `sanitize` besides, for the characters that nobody sees. Does not let a text from outside be markup.

mod access;
mod details;
mod difference;
mod findings;
mod head;
mod matrix;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
pub(crate) use difference::difference;
use head::{Fact, Head};
use matrix::Instances;
use maud::{DOCTYPE, Markup, PreEscaped, Render, html};
use sha2::{Digest as _, Sha256};

use super::access::{AccessSection, Weight, of_plan};
use super::formats::sanitize;
use super::json::{ProblemSeverity, RunReport};
use super::metadata::PlanView;
use super::text;
use crate::exposure::{ComparisonSubject, Diff};
use crate::model::Key;
use crate::plan::{InstancePlan, Plan};

const STYLE: &str = include_str!("html/page.css");

/// Finds the name that people know a key by, such as `ssh`.
pub(crate) type ServiceName<'a> = &'a dyn Fn(Key) -> Option<&'static str>;

/// The page of a run, with what environment variables did to it.
pub(crate) fn page(
    run: &RunReport<'_>,
    service: ServiceName<'_>,
    environment: &[String],
) -> String {
    let labels = DiffLabels::of(run.plan_view());
    let parts = run
        .plan
        .map(|plan| of_plan(plan, run.plan_view()))
        .unwrap_or_default();
    let plans = run
        .plan
        .map(|plan| sorted(plan, labels))
        .unwrap_or_default();
    let rows = details::rows(&plans, run);
    let details_of = |at: usize| details::instance_details(plans[at], labels, run);
    Page {
        run,
        headline: headline(run),
        origin: head::origin_facts(run),
        parts,
        instances: Instances::of(&rows, labels, service, &details_of),
        rest: &|| {
            run.plan
                .map(details::undeclared_and_notes)
                .unwrap_or_default()
        },
        environment,
    }
    .render()
}

/// The content of a page.
struct Page<'a> {
    run: &'a RunReport<'a>,
    headline: String,
    origin: Vec<Fact>,
    /// The gained and the lost access.
    parts: Vec<AccessSection>,
    instances: Instances,
    /// The sections below the instances.
    rest: &'a dyn Fn() -> Markup,
    environment: &'a [String],
}

impl Page<'_> {
    /// Sections are made one by one, so that a long page is in memory about once.
    fn render(&self) -> String {
        let (run, parts, instances) = (self.run, &self.parts, &self.instances);
        let found = findings::FoundSections::of(run);
        let head = Head {
            verb: run.verb,
            headline: &self.headline,
            is_refused: findings::is_refused(run),
            tiles: [access::tiles(parts), found.tiles(), instances.tiles()].concat(),
            origin: &self.origin,
        };
        // Only this style sheet is applied, to the letter.
        let hash = STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'"
        );
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    title { (head.title()) }
                    // A constant of ours, and a browser takes the text of a style sheet as it is: it knows no escapes there.
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    (head.markup())
                    main {
                        (access::parts(parts))
                        (found.section())
                        (instances.section())
                        ((self.rest)())
                        (details::environment(self.environment))
                    }
                    footer { "portward " (env!("CARGO_PKG_VERSION")) ", exit code " (run.exit_code) }
                }
            }
            "\n"
        };
        page.into_string()
    }
}

fn headline(run: &RunReport<'_>) -> String {
    if run.error.is_some() {
        return "Could not do the job".to_owned();
    }
    match (run.plan, run.report) {
        (Some(plan), Some(report)) => text::outcome(report, plan),
        (Some(plan), None) => text::summary(plan, run.plan_view()),
        (None, _)
            if run
                .problems
                .iter()
                .any(|p| p.severity == ProblemSeverity::Error) =>
        {
            "The configuration is not valid".to_owned()
        }
        (None, _) if !run.violations.is_empty() => {
            "The configuration is valid, and breaks its policies".to_owned()
        }
        (None, _) => "The configuration is valid".to_owned(),
    }
}

/// The labels of a difference.
#[derive(Clone, Copy)]
struct DiffLabels {
    /// The access in the second document only.
    gained: Direction,
    /// The access in the first document only.
    lost: Direction,
    /// The access in both documents.
    both: &'static str,
    sides: [&'static str; 2],
    /// The label of equal instances.
    quiet: &'static str,
}

/// One of the two ways in which two sides differ.
#[derive(Clone, Copy)]
struct Direction {
    /// The text before a source, with a space.
    mark: &'static str,
    weight: Weight,
    /// The labels of instances.
    verb: &'static str,
}

impl DiffLabels {
    /// From what is to what will be.
    const CHANGE: Self = Self {
        gained: Direction {
            mark: "+\u{a0}",
            weight: Weight::Wider,
            verb: "opens",
        },
        lost: Direction {
            mark: "\u{2212}\u{a0}",
            weight: Weight::Narrower,
            verb: "closes",
        },
        both: "keeps",
        sides: ["before", "after"],
        quiet: "In sync",
    };

    /// From one document to another.
    const COMPARISON: Self = Self {
        quiet: "Equal",
        ..Self::CHANGE
    };

    /// From what is live to what is declared.
    const DRIFT: Self = Self {
        gained: Direction {
            mark: "missing ",
            weight: Weight::Lacks,
            verb: "lacks",
        },
        lost: Direction {
            mark: "extra ",
            weight: Weight::Wider,
            verb: "allows more",
        },
        both: "beside",
        sides: ["live", "declared"],
        quiet: "In sync",
    };

    fn of(view: PlanView<'_>) -> Self {
        match view {
            PlanView::Plan => Self::CHANGE,
            PlanView::Drift | PlanView::InventoryDrift(_) => Self::DRIFT,
        }
    }

    /// Both directions, the one to look at first in front, with something that there is for both.
    fn directions<T>(self, gained: T, lost: T) -> [(Direction, T); 2] {
        let (gained, lost) = ((self.gained, gained), (self.lost, lost));
        if self.gained.weight < self.lost.weight {
            [gained, lost]
        } else {
            [lost, gained]
        }
    }

    /// The classes of a difference.
    fn class(self, diff: &Diff) -> String {
        let both = self.directions(&diff.gained, &diff.lost);
        let classes = both.iter().filter(|(_, boxes)| !boxes.is_empty());
        let classes: Vec<&str> = classes.map(|(way, _)| way.weight.class()).collect();
        classes.join(" ")
    }
}

/// Sorts by opened access, or by undeclared open access; then differences, then instances in sync.
fn sorted(plan: &Plan, labels: DiffLabels) -> Vec<&InstancePlan> {
    let mut instances: Vec<&InstancePlan> = plan.instances.iter().collect();
    instances.sort_by_cached_key(|instance| {
        let [(_, first), _] = labels.directions(&instance.exposure.gained, &instance.exposure.lost);
        (
            Reverse(text::severity(first)),
            !instance.verdict.differs(),
            instance.instance.id.clone(),
        )
    });
    instances
}

/// Names that are shown where there are more than fit.
const NAMED: usize = 6;

/// Instances by name, the region behind the last of each, and how many more there are.
fn names(subjects: &[ComparisonSubject]) -> Markup {
    let named = if subjects.len() > NAMED {
        NAMED / 2
    } else {
        subjects.len()
    };
    html! {
        (listed(&subjects[..named]))
        @if named < subjects.len() { " and " (subjects.len() - named) " more" }
    }
}

/// The same with the others one click away.
fn all_names(subjects: &[ComparisonSubject]) -> Markup {
    html! {
        @if subjects.len() > NAMED {
            details.more {
                summary { (names(subjects)) }
                p { (listed(subjects)) }
            }
        } @else { (listed(subjects)) }
    }
}

fn listed(subjects: &[ComparisonSubject]) -> Markup {
    html! {
        @for (at, subject) in subjects.iter().enumerate() {
            @if at > 0 { ", " }
            @match subject {
                ComparisonSubject::Unnamed => "the firewall",
                ComparisonSubject::Every(instances) => (prose(instances)),
                ComparisonSubject::Instance(id) => {
                    span.name { (sanitize(&id.name)) }
                    @let next = subjects.get(at + 1).and_then(ComparisonSubject::id);
                    @if !id.region.is_empty() && next.is_none_or(|next| next.site() != id.site()) {
                        " " small { (sanitize(&id.site().to_string())) }
                    }
                }
            }
        }
    }
}

/// A sentence fragment; what it has in backticks is shown as code.
fn prose(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 && !part.is_empty() {
                (code(part))
            } @else {
                (sanitize(part))
            }
        }
    }
}

fn code(text: &str) -> Markup {
    html! { code { (sanitize(text)) } }
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
