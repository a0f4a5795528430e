//! A comparison of two documents as the same page, with each instance's lines and their causes.
//!
//! Owns the details of a comparison. Does not leave out an instance, and one that could not be compared.

use std::cmp::Reverse;

use maud::{Markup, html};

use super::head::{Fact, Head};
use super::matrix::{Instances, Row};
use super::{Sense, ServiceName, answer, code, details, found, prose, whole};
use crate::exposure::{Compared, Direction, DocumentFirewall};
use crate::model::{Firewall, Key};
use crate::render::access::of_comparison;
use crate::render::difference::{Clause, Comparison, Way, clauses, summary};
use crate::render::text::severity;
use crate::render::words::{minute, sanitize};

/// The page.
pub(crate) fn difference(
    of: &Comparison<'_>,
    service: ServiceName<'_>,
    environment: &[String],
) -> String {
    let mut all: Vec<&Compared> = of.all.iter().collect();
    all.sort_by_cached_key(|c| {
        let key = (c.subject.clone(), c.condition.clone());
        (Reverse(severity(&c.diff)), c.is_equal(), key)
    });
    let parts = of_comparison(of);
    let run = of.run();
    let found = found::Found::of(&run);
    let rows: Vec<Row<'_>> = all.iter().map(|compared| row(compared)).collect();
    let inside = |at: usize| inside(all[at], of);
    let instances = Instances::of(&rows, Sense::COMPARISON, service, &inside);
    let head = Head {
        verb: "diff",
        headline: &summary(of),
        is_refused: false,
        tiles: [answer::tiles(&parts), found.tiles(), instances.tiles()].concat(),
        origin: origin(of),
    };
    whole(
        &head,
        of.exit_code,
        &[
            &|| answer::parts(&parts),
            &|| found.section(),
            &|| instances.section(),
            &|| notes(of),
            &|| details::environment(environment),
        ],
    )
}

fn origin(of: &Comparison<'_>) -> Vec<Fact> {
    let [old, new] = of.documents;
    vec![
        ("at", html! { (minute(of.at)) }),
        ("before", code(old)),
        ("after", code(new)),
    ]
}

fn row(compared: &Compared) -> Row<'_> {
    let firewall = |side: &DocumentFirewall| -> Firewall {
        let rules = side.rules.iter();
        rules.map(|said| (said.key, said.sources.clone())).collect()
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
    let condition = compared.condition.as_deref().map(sanitize);
    Row {
        subject: compared.subject.clone(),
        state: [Some(direction), condition]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", "),
        is_quiet: compared.is_equal(),
        diff: &compared.diff,
        before: compared.before.reach.clone(),
        after: compared.after.reach.clone(),
        keys,
        against: Vec::new(),
    }
}

fn inside(compared: &Compared, of: &Comparison<'_>) -> Markup {
    let clauses = clauses(compared, of.words);
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
    let Clause {
        way,
        whats,
        who,
        causes,
    } = clause;
    let (class, mark) = match way {
        Way::Opens => ("wider", Sense::CHANGE.gained.mark),
        Way::Closes => ("narrower", Sense::CHANGE.lost.mark),
        Way::Doubt => ("doubt", "perhaps "),
    };
    html! {
        p.clause {
            span.source.(class) { (mark) (sanitize(&whats.join(", "))) " from " (sanitize(who)) }
            @for cause in causes { " " (code(cause)) }
        }
    }
}

fn notes(of: &Comparison<'_>) -> Markup {
    html! {
        @if !of.notes.is_empty() {
            section aria-labelledby="notes" {
                h2 id="notes" { "Notes" }
                ul.notes { @for note in of.notes { li { (sanitize(note)) } } }
            }
        }
    }
}
