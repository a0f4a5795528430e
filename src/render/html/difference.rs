//! A comparison of two documents as the same page: the table before and after, and each instance's lines with their causes.
//!
//! Owns the details of a comparison. Does not leave out an instance, and one that could not be compared.

use std::cmp::Reverse;

use maud::{Markup, html};

use super::matrix::{self, Row};
use super::{CLOSES, OPENS, Parts, ServiceName, found, prose};
use crate::exposure::Compared;
use crate::render::difference::{Clause, Comparison, Way, clauses, summary, undecided};
use crate::render::finding::findings;
use crate::render::json::Severity;
use crate::render::text::severity;
use crate::render::words::sanitize;

/// The page.
#[must_use]
pub(crate) fn difference(
    of: &Comparison<'_>,
    service: ServiceName<'_>,
    environment: &[String],
) -> String {
    let count = |is: fn(&Compared) -> bool| of.all.iter().filter(|c| is(c)).count();
    let doubts: usize = of.all.iter().map(|c| c.doubts().count()).sum();
    let errors = of
        .problems
        .iter()
        .filter(|p| p.severity == Severity::Error)
        .count();
    let unseen = errors.saturating_sub(doubts + undecided(of.all).len());
    let numbers = [
        (count(Compared::is_equal), "equal", ""),
        (count(|c| !c.is_equal() && !c.is_doubtful()), "differ", ""),
        (count(|c| !c.diff.gained.is_empty()), OPENS, "up"),
        (count(|c| !c.diff.lost.is_empty()), CLOSES, "down"),
        (count(Compared::is_doubtful), "in doubt", "bad"),
        (unseen, "not compared", "bad"),
    ];
    let mut all: Vec<&Compared> = of.all.iter().collect();
    all.sort_by_cached_key(|c| {
        let key = (c.subject.clone(), c.condition.clone());
        (Reverse(severity(&c.diff)), c.is_equal(), key)
    });
    let rows: Vec<Row<'_>> = all.iter().map(|c| matrix::compared(c)).collect();
    let parts = Parts {
        verb: "diff",
        headline: &summary(of),
        tiles: &numbers,
        exit_code: of.exit_code,
        environment,
    };
    parts.page(&[
        &|| found(&findings(&of.run())),
        &|| matrix::table(&rows, service),
        &|| details(&all, &rows, of),
        &|| notes(of),
    ])
}

fn details(all: &[&Compared], rows: &[Row<'_>], of: &Comparison<'_>) -> Markup {
    html! {
        @if !all.is_empty() {
            section aria-labelledby="details" {
                h2 id="details" { "Details" }
                @for (at, (compared, row)) in all.iter().zip(rows).enumerate() {
                    details {
                        summary { strong { (row.name()) } " " (row.below()) }
                        div id={ "i" (at) } tabindex="-1" { (inside(compared, of)) }
                    }
                }
            }
        }
    }
}

fn inside(compared: &Compared, of: &Comparison<'_>) -> Markup {
    let clauses = clauses(compared, of.words);
    html! {
        @for what in &compared.undecided { p { "Not known: " (prose(what)) "." } }
        @if compared.is_equal() {
            p { "Both let in the same." }
        } @else if !clauses.is_empty() {
            ul.access { @for clause in &clauses { (line(clause)) } }
        }
    }
}

fn line(clause: &Clause) -> Markup {
    let Clause {
        way,
        whats,
        who,
        causes,
    } = clause;
    let (class, word) = match way {
        Way::Opens => ("gains", "opens"),
        Way::Closes => ("loses", "closes"),
        Way::Doubt => ("doubt", "perhaps"),
    };
    html! {
        li class=(class) {
            span.tag { (word) } " " (sanitize(&whats.join(", "))) " from " (sanitize(who))
            @for cause in causes { " " code { (sanitize(cause)) } }
        }
    }
}

fn notes(of: &Comparison<'_>) -> Markup {
    html! {
        @if !of.notes.is_empty() {
            section aria-labelledby="notes" {
                h2 id="notes" { "Notes" }
                ul { @for note in of.notes { li { (sanitize(note)) } } }
            }
        }
    }
}
