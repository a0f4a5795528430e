//! A cell of the table: the sources that gain or lose access to a service, or else those that have access.
//!
//! Owns its words and their length; the exact sources are in its title and in the details. Does not know columns and rows.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{Column, NamedService, Row};
use crate::exposure::{self, Access, Atom, Effective, Exposed, Line, Reach, format_sources};
use crate::model::{Family, Sources};
use crate::render::formats::{count, sanitize, source_words};
use crate::render::html::DiffLabels;

/// Sources that a cell names; of more it tells the number.
const NAMED: usize = 2;

pub(super) fn cell(row: &Row<'_>, kept: &[Exposed], column: &Column, labels: DiffLabels) -> Markup {
    let entries = column
        .services
        .iter()
        .map(|service| ServiceEntry::of(row, kept, service));
    let entries: Vec<ServiceEntry<'_>> = entries.filter(|entry| !entry.is_empty()).collect();
    let is_one = column.services.len() == 1;
    let against = entries.iter().any(|entry| !entry.against.is_empty());
    let title = |entry: &ServiceEntry<'_>| match (entry.before.text(), entry.after.text()) {
        (same, other) if same == other => same,
        (before, after) => format!(
            "{}: {before}; {}: {after}",
            labels.sides[0], labels.sides[1]
        ),
    };
    html! {
        @if entries.is_empty() {
            td.nobody { span aria-hidden="true" { "\u{2013}" } span.sr { "nobody" } }
        } @else if let (true, [entry]) = (is_one, &entries[..]) {
            td.against[against] title=(sanitize(&title(entry))) { (entry.markup(labels)) }
        } @else {
            td.against[against] {
                @for entry in entries.iter().filter(|entry| entry.needs_own_line()) {
                    span { (sanitize(&entry.service.name)) ":" } (entry.markup(labels))
                }
                @for (who, services) in group_by_sources(&entries) { span { (who) ": " (services.join(", ")) } }
            }
        }
    }
}

/// A source that may be broken behind a colon, so that long addresses of IPv6 do not make a column wide.
fn breakable(text: &str) -> Markup {
    html! {
        @for (at, piece) in text.split_inclusive(':').enumerate() {
            @if at > 0 && !piece.starts_with([':', '/']) { wbr; }
            (piece)
        }
    }
}

/// Services to which the same people got and get in, with these.
fn group_by_sources(entries: &[ServiceEntry<'_>]) -> BTreeMap<String, Vec<String>> {
    let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !entry.needs_own_line()) {
        let doubt = entry.is_doubtful().then(|| "in doubt".to_owned());
        let who: Vec<String> = entry.kept.iter().cloned().chain(doubt).collect();
        let services = alike.entry(who.join(", ")).or_default();
        services.push(sanitize(&entry.service.name));
    }
    alike
}

/// The content of a cell for one service.
struct ServiceEntry<'a> {
    service: &'a NamedService,
    gained: Vec<String>,
    lost: Vec<String>,
    kept: Vec<String>,
    before: CellReach,
    after: CellReach,
    /// The policies.
    against: Vec<&'a str>,
}

impl<'a> ServiceEntry<'a> {
    fn of(row: &Row<'a>, kept: &[Exposed], service: &'a NamedService) -> Self {
        let area = &service.area;
        let against = row.against.iter();
        let against = against.filter(|(_, access)| !clip(access, area).is_empty());
        let mut against: Vec<&str> = against.map(|(policy, _)| *policy).collect();
        against.sort_unstable();
        against.dedup();
        Self {
            service,
            gained: source_texts(&row.diff.gained, service, NAMED),
            lost: source_texts(&row.diff.lost, service, NAMED),
            kept: source_texts(kept, service, 1),
            before: CellReach::of(&row.before, area),
            after: CellReach::of(&row.after, area),
            against,
        }
    }

    fn changes(&self) -> bool {
        !(self.gained.is_empty() && self.lost.is_empty())
    }

    fn is_doubtful(&self) -> bool {
        self.before.is_doubtful() || self.after.is_doubtful()
    }

    /// Whether it is worth a line of its own.
    fn needs_own_line(&self) -> bool {
        self.changes() || !self.against.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.kept.is_empty() && !self.is_doubtful() && !self.needs_own_line()
    }

    fn markup(&self, labels: DiffLabels) -> Markup {
        html! {
            @for (way, all) in labels.directions(&self.gained, &self.lost) {
                @for text in all { span.source.(way.weight.class()) { (way.mark) (breakable(text)) } }
            }
            @if self.changes() && !self.kept.is_empty() {
                small { (labels.both) " " (self.kept.join(", ")) }
            } @else {
                @for text in &self.kept { span { (text) } }
            }
            @if self.is_doubtful() { small.doubt { "in doubt" } }
            @for policy in &self.against { small.policy { "against " (sanitize(policy)) } }
        }
    }
}

/// The sources with access, a limited number by name; with the ports, if these are not all of the service.
fn source_texts(boxes: &[Exposed], service: &NamedService, named: usize) -> Vec<String> {
    let lines = exposure::lines(&clip(boxes, &service.area));
    let is_icmp = |atom: Atom| matches!(atom, Atom::Icmp | Atom::Icmpv6);
    let is_on = |(atom, from, to): &(Atom, u16, u16)| {
        let mut cells = lines.iter().flat_map(|line| &line.cells);
        cells.any(|(other, first, last)| match other {
            // `ping` is one thing to people, of which an instance may have the half.
            _ if other != atom => is_icmp(*other) && is_icmp(*atom),
            _ => first <= from && to <= last,
        })
    };
    if service.area.iter().all(is_on) {
        let sources = lines.iter().map(|line| Access::from(&line.sources));
        let sources = Access::union_of(sources.collect::<Vec<_>>().iter());
        return source_summary(&sources.to_sources(Family::default()), named);
    }
    let with_ports = |line: &Line| {
        let sources = source_summary(&line.sources, named).join(", ");
        format!("{sources} at {}", sanitize(&line.ports))
    };
    lines.iter().map(with_ports).collect()
}

/// Sources in a few words: one by one where they are no more than `named`.
fn source_summary(sources: &Sources, named: usize) -> Vec<String> {
    let all = format_sources(sources);
    let words = source_words(sources);
    if all.contains("everyone") && all.contains(" but ") {
        vec!["everyone but a few".to_owned()]
    } else if all.starts_with("everyone") {
        vec![all]
    } else if words.len() <= named {
        words
    } else {
        vec![count(words.len(), "source")]
    }
}

/// The sources that reach these cells.
struct CellReach {
    certain: Access,
    possible: Access,
    family: Family,
}

impl CellReach {
    fn of(reach: &Reach, area: &[(Atom, u16, u16)]) -> Self {
        Self {
            certain: access_to(&reach.certain, area),
            possible: access_to(&reach.possible, area),
            family: reach.family,
        }
    }

    fn is_doubtful(&self) -> bool {
        self.certain != self.possible
    }

    fn text(&self) -> String {
        let surely = format_sources(&self.certain.to_sources(self.family));
        if !self.is_doubtful() {
            return surely;
        }
        let perhaps = self.possible.difference(&self.certain);
        format!(
            "{surely}; perhaps {}",
            format_sources(&perhaps.to_sources(self.family))
        )
    }
}

/// Whoever reaches any of these cells.
fn access_to(effective: &Effective, area: &[(Atom, u16, u16)]) -> Access {
    let runs_in_area = area.iter().flat_map(|&(atom, first, last)| {
        let runs = effective.runs(atom);
        let begin = runs.partition_point(|run| run.to < first);
        runs[begin..].iter().take_while(move |run| run.from <= last)
    });
    Access::union_of(runs_in_area.map(|run| &*run.access))
}

/// The parts of these boxes on these cells.
fn clip(boxes: &[Exposed], area: &[(Atom, u16, u16)]) -> Vec<Exposed> {
    let clipped = |exposed: &Exposed| {
        let overlapping = area.iter().filter(|(atom, from, to)| {
            *atom == exposed.atom && *from <= exposed.to && exposed.from <= *to
        });
        let parts = overlapping.map(|(_, from, to)| Exposed {
            from: exposed.from.max(*from),
            to: exposed.to.min(*to),
            ..exposed.clone()
        });
        parts.collect::<Vec<_>>()
    };
    boxes.iter().flat_map(clipped).collect()
}
