//! A comparison of two documents as the same page, with each instance's lines and their causes.
//!
//! Owns the details of a comparison. Does not leave out an instance, and one that could not be compared.

use std::cmp::Reverse;

use maud::{Markup, html};

use super::matrix::{Instances, Row};
use super::{DiffLabels, Page, ServiceName, code, prose};
use crate::exposure::{Compared, Direction, DocumentFirewall};
use crate::model::{Firewall, Key};
use crate::render::access::of_comparison;
use crate::render::difference::{Clause, Comparison, Effect, clauses, summary};
use crate::render::formats::{format_minute, sanitize};
use crate::render::text::severity;

/// The page.
pub(crate) fn difference(
    comparison: &Comparison<'_>,
    service: ServiceName<'_>,
    environment: &[String],
) -> String {
    let mut all: Vec<&Compared> = comparison.all.iter().collect();
    all.sort_by_cached_key(|c| {
        let key = (c.subject.clone(), c.condition.clone());
        (Reverse(severity(&c.diff.gained)), c.is_equal(), key)
    });
    let rows: Vec<Row<'_>> = all.iter().map(|compared| row(compared)).collect();
    let details_of = |at: usize| instance_details(all[at], comparison);
    let [old, new] = comparison.documents;
    Page {
        run: &comparison.run(),
        headline: summary(comparison),
        origin: vec![
            ("at", html! { (format_minute(comparison.at)) }),
            ("before", code(old)),
            ("after", code(new)),
        ],
        parts: of_comparison(comparison),
        instances: Instances::of(&rows, DiffLabels::COMPARISON, service, &details_of),
        rest: &|| notes(comparison),
        environment,
    }
    .render()
}

fn row(compared: &Compared) -> Row<'_> {
    let firewall = |side: &DocumentFirewall| -> Firewall {
        let rules = side.rules.iter();
        rules.map(|rule| (rule.key, rule.sources.clone())).collect()
    };
    let (before, after) = (firewall(&compared.before), firewall(&compared.after));
    let keys = before.keys().chain(after.keys());
    let mut keys: Vec<(Key, bool)> = keys
        .map(|key| (key, before.get(key) != after.get(key)))
        .collect();
    keys.extend(compared.doubts().map(|(_, doubt)| (doubt.key, false)));
    let direction = match compared.direction() {
        None => "in doubt".to_owned(),
        Some(Direction::Equal) if !compared.is_equal() => "not declared on one side".to_owned(),
        Some(direction) => direction.to_string(),
    };
    let condition = compared.condition.as_deref();
    let condition = condition.map(|condition| format!(", {}", sanitize(condition)));
    Row {
        subject: compared.subject.clone(),
        state: direction + &condition.unwrap_or_default(),
        is_quiet: compared.is_equal(),
        diff: &compared.diff,
        before: compared.before.reach.clone(),
        after: compared.after.reach.clone(),
        keys,
        against: Vec::new(),
    }
}

fn instance_details(compared: &Compared, comparison: &Comparison<'_>) -> Markup {
    let clauses = clauses(compared, comparison.names);
    html! {
        @for what in &compared.undecided { p { "Not known: " (prose(what)) "." } }
        @if let Some(which) = compared.undeclared {
            p { "Not declared on the " (which.as_str()) " side." }
        }
        @if compared.direction() == Some(Direction::Equal) {
            p { "Both let in the same." }
        }
        @for clause in &clauses { (line(clause)) }
    }
}

fn line(clause: &Clause) -> Markup {
    let (class, mark) = match clause.effect {
        Effect::Opens => ("wider", DiffLabels::CHANGE.gained.mark),
        Effect::Closes => ("narrower", DiffLabels::CHANGE.lost.mark),
        Effect::Doubt => ("doubt", "perhaps "),
    };
    html! {
        p.clause {
            span.source.(class) { (mark) (sanitize(&clause.ports.join(", "))) " from " (sanitize(&clause.sources_name)) }
            @for cause in &clause.causes { " " (code(cause)) }
        }
    }
}

fn notes(comparison: &Comparison<'_>) -> Markup {
    html! {
        @if !comparison.notes.is_empty() {
            section aria-labelledby="notes" {
                h2 id="notes" { "Notes" }
                ul.notes { @for note in comparison.notes { li { (sanitize(note)) } } }
            }
        }
    }
}
