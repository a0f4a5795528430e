//! A comparison of two documents as the same page: the table before and after, and each instance's lines with their causes.
//!
//! Owns the details of a comparison. Does not leave out an instance, and one that could not be compared.

use std::cmp::Reverse;
use std::fmt::Write as _;

use super::matrix::{self, Row, named};
use super::{CLOSES, OPENS, ServiceName, begin, end, escaped, found, prose, tiles};
use crate::exposure::Compared;
use crate::render::difference::{Clause, Comparison, Way, clauses, summary, undecided};
use crate::render::finding::findings;
use crate::render::json::Severity;
use crate::render::text::severity;

/// The page.
#[must_use]
pub(crate) fn difference(of: &Comparison<'_>, service: ServiceName<'_>) -> String {
    let mut out = String::new();
    begin(&mut out, "diff", &summary(of));
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
    tiles(&mut out, &numbers);
    out.push_str("</header>\n<main>\n");
    found(&mut out, &findings(&of.run()));
    let mut all: Vec<&Compared> = of.all.iter().collect();
    all.sort_by_cached_key(|c| {
        let key = (c.subject.clone(), c.condition.clone());
        (Reverse(severity(&c.diff)), c.is_equal(), key)
    });
    let rows: Vec<Row<'_>> = all.iter().map(|c| matrix::compared(c)).collect();
    matrix::table(&mut out, &rows, service);
    details(&mut out, &all, &rows, of);
    notes(&mut out, of);
    end(&mut out, of.exit_code);
    out
}

fn details(out: &mut String, all: &[&Compared], rows: &[Row<'_>], of: &Comparison<'_>) {
    if all.is_empty() {
        return;
    }
    out.push_str("<section aria-labelledby=\"details\">\n<h2 id=\"details\">Details</h2>\n");
    for (at, (compared, row)) in all.iter().zip(rows).enumerate() {
        let (name, region) = named(&row.subject);
        let below = format!("{region}{}", row.state);
        let _ = write!(
            out,
            "<details><summary><strong>{name}</strong> {}</summary>\n<div id=\"i{at}\" tabindex=\"-1\">\n",
            below.trim_start_matches(", ")
        );
        let clauses = clauses(compared, of.words);
        for what in &compared.undecided {
            let _ = writeln!(out, "<p>Not known: {}.</p>", prose(what));
        }
        if compared.is_equal() {
            out.push_str("<p>Both let in the same.</p>\n");
        } else if !clauses.is_empty() {
            out.push_str("<ul class=\"access\">\n");
            for clause in &clauses {
                line(out, clause);
            }
            out.push_str("</ul>\n");
        }
        out.push_str("</div></details>\n");
    }
    out.push_str("</section>\n");
}

fn line(out: &mut String, clause: &Clause) {
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
    let _ = write!(
        out,
        "<li class=\"{class}\"><span class=\"tag\">{word}</span> {} from {}",
        escaped(&whats.join(", ")),
        escaped(who)
    );
    for cause in causes {
        let _ = write!(out, " <code>{}</code>", escaped(cause));
    }
    out.push_str("</li>\n");
}

fn notes(out: &mut String, of: &Comparison<'_>) {
    if of.notes.is_empty() {
        return;
    }
    out.push_str("<section aria-labelledby=\"notes\">\n<h2 id=\"notes\">Notes</h2>\n<ul>\n");
    for note in of.notes {
        let _ = writeln!(out, "<li>{}</li>", escaped(note));
    }
    out.push_str("</ul>\n</section>\n");
}
