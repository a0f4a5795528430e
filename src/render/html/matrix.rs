//! The table of instances and services.
//!
//! Owns the choice of columns and what a cell says. Does not show more columns than a screen can hold: the rest is one
//! column, and nothing is left out of it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::level::Openness;
use super::{ServiceName, prose};
use crate::exposure::{
    Access, Atom, Compared, ComparisonSubject, Direction, Doubtful, Effective, Reach, Side, who,
};
use crate::model::{Family, Firewall, Key, LiveFirewall, Protocol, Sources};
use crate::plan::{InstancePlan, Verdict};
use crate::render::words::{count, sanitize};

/// Columns with a heading of their own.
const COLUMNS: usize = 14;

/// Some cells of the space of packets, under one heading.
struct Column {
    name: String,
    /// The keys, where the name does not say them.
    keys: String,
    /// Disjoint ranges of cells.
    area: Vec<(Atom, u16, u16)>,
}

/// How much a service is spoken of.
#[derive(Default)]
struct Use {
    keys: BTreeSet<Key>,
    changes: usize,
    uses: usize,
}

/// Two firewalls of one instance, as they let in.
pub(super) struct Row<'a> {
    pub(super) subject: Cow<'a, ComparisonSubject>,
    /// What is said below the name, behind the region.
    state: Markup,
    /// Whether anything opens.
    pub(super) gains: bool,
    pub(super) before: Reach,
    pub(super) after: Reach,
    /// Every use of a key on either side, and whether its sources change.
    pub(super) keys: Vec<(Key, bool)>,
}

impl Row<'_> {
    /// The name of the instance.
    pub(super) fn name(&self) -> Markup {
        html! {
            @match &*self.subject {
                ComparisonSubject::Instance(id) => (sanitize(&id.name)),
                ComparisonSubject::Unnamed => "the firewall",
                ComparisonSubject::Every(instances) => (prose(instances)),
            }
        }
    }

    /// Its region, and what is said of it.
    pub(super) fn below(&self) -> Markup {
        html! {
            @if let ComparisonSubject::Instance(id) = &*self.subject { (sanitize(&id.site().to_string())) ", " }
            (self.state)
        }
    }
}

/// The whole table with its legend; nothing where there is no instance. The name in each row leads to its details.
pub(super) fn table(rows: &[Row<'_>], service: ServiceName<'_>) -> Markup {
    let columns = columns(rows, service);
    html! {
        @if !rows.is_empty() {
            section aria-labelledby="matrix" {
                h2 id="matrix" { "Who gets in" }
                (legend())
                div.scroll role="region" aria-labelledby="matrix" tabindex="0" {
                    table {
                        thead {
                            tr {
                                th scope="col" { "instance" }
                                @for Column { name, keys, .. } in &columns {
                                    th scope="col" { (sanitize(name)) small { (sanitize(keys)) } }
                                }
                            }
                        }
                        tbody {
                            @for (at, row) in rows.iter().enumerate() {
                                tr {
                                    th scope="row" { a href={ "#i" (at) } { (row.name()) } small { (row.below()) } }
                                    @for column in &columns { (cell(row, column)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// An instance of a plan: its live firewall, and the one that results.
pub(super) fn planned(plan: &InstancePlan) -> Row<'_> {
    let (before, after) = (plan.reach_before(), plan.reach_after());
    let changes = |key: Key| plan.before.firewall().get(key) != plan.after.get(key);
    let keys = live_keys(&plan.before).into_iter().chain(plan.after.keys());
    Row {
        subject: Cow::Owned(ComparisonSubject::Instance(plan.instance.id.clone())),
        state: html! { (state(plan)) },
        gains: !plan.exposure.gained.is_empty(),
        before,
        after,
        keys: keys.map(|key| (key, changes(key))).collect(),
    }
}

/// An instance in two documents.
pub(super) fn compared(compared: &Compared) -> Row<'_> {
    let firewall = |side: &Side| -> Firewall {
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
        None => "in doubt",
        Some(Direction::Equal) if compared.is_equal() => "equal",
        Some(Direction::Equal) => "not declared on one side",
        Some(Direction::Wider) => "wider",
        Some(Direction::Narrower) => "narrower",
        Some(Direction::Mixed) => "mixed",
    };
    Row {
        subject: Cow::Borrowed(&compared.subject),
        state: html! {
            (direction)
            @if let Some(condition) = &compared.condition { ", " (prose(condition)) }
        },
        gains: !compared.diff.gained.is_empty(),
        before: compared.before.reach.clone(),
        after: compared.after.reach.clone(),
        keys,
    }
}

/// What becomes of an instance.
pub(super) fn state(plan: &InstancePlan) -> &'static str {
    match plan.verdict {
        _ if plan.incomplete.is_some() => "not fully readable",
        Verdict::InSync => "in sync",
        Verdict::Incomplete => "not fully readable",
        Verdict::Change => "to change",
        Verdict::Observed => "only observed",
        Verdict::Refused { .. } => "refused",
        Verdict::StillOpen => "still open through other rules",
    }
}

fn legend() -> Markup {
    html! {
        ul.legend {
            @for openness in Openness::ALL { li { (openness.badge()) " " (openness.about()) } }
            li { span.marked { "framed" } " changes: before " span aria-hidden="true" { "→" } " after" }
        }
    }
}

fn cell(row: &Row<'_>, column: &Column) -> Markup {
    let (before, after) = (
        CellState::of(&row.before, column),
        CellState::of(&row.after, column),
    );
    let (from, to) = (
        Openness::of(&before.possible),
        Openness::of(&after.possible),
    );
    let doubt = html! {
        @if before.is_doubtful() || after.is_doubtful() { small { "in doubt" } }
    };
    let loses = loses(&before.certain, &after.certain);
    if before.possible == after.possible && before.certain == after.certain {
        return html! {
            @if to == Openness::Nobody {
                td.quiet { span aria-hidden="true" { "–" } span.sr { "nobody" } }
            } @else {
                td title=(sanitize(&after.words(row.after.family))) { (to.badge()) (doubt) }
            }
        };
    }
    let gains = row.gains && self::loses(&after.certain, &before.certain);
    let class = if gains { "gains" } else { "loses" };
    let title = format!(
        "before: {}; after: {}",
        before.words(row.before.family),
        after.words(row.after.family)
    );
    html! {
        td class={ "change " (class) } title=(sanitize(&title)) {
            (from.badge()) " " span.arrow aria-hidden="true" { "→" } span.sr { " becomes " } " " (to.badge())
            @if gains { small { "opens" } } @else if loses { small { "closes" } }
            (doubt)
        }
    }
}

/// Some of the space of packets, and who reaches it.
type Here<'a> = Vec<(Atom, u16, u16, &'a Access)>;

/// Who reaches the cells of a column.
struct CellState<'a> {
    certain: Here<'a>,
    /// Whoever certainly reaches any of them.
    surely: Access,
    /// Whoever may reach any of them.
    possible: Access,
}

impl<'a> CellState<'a> {
    fn of(reach: &'a Reach, column: &Column) -> Self {
        let certain = clipped(&reach.certain, &column.area);
        Self {
            surely: reached(&certain),
            possible: reached(&clipped(&reach.possible, &column.area)),
            certain,
        }
    }

    fn is_doubtful(&self) -> bool {
        self.surely != self.possible
    }

    fn words(&self, family: Family) -> String {
        let surely = who(&self.surely.to_sources(family));
        if !self.is_doubtful() {
            return surely;
        }
        let perhaps = self.possible.difference(&self.surely);
        format!("{surely}; perhaps {}", who(&perhaps.to_sources(family)))
    }
}

/// Whether somebody reaches a cell who does not after.
fn loses(was: &Here<'_>, will: &Here<'_>) -> bool {
    was.iter().any(|(atom, from, to, access)| {
        let mut next = Some(*from);
        for (a, first, last, others) in will {
            if a != atom || last < from || first > to {
                continue;
            }
            if next.is_some_and(|next| *first > next) || !others.is_superset(access) {
                return true;
            }
            next = last.checked_add(1);
        }
        next.is_some_and(|next| next <= *to)
    })
}

/// What is let in on these cells: ranges with the same access, clipped to the area.
fn clipped<'a>(effective: &'a Effective, area: &[(Atom, u16, u16)]) -> Here<'a> {
    let mut here = Vec::new();
    for &(atom, first, last) in area {
        let runs = effective.runs(atom);
        let begin = runs.partition_point(|run| run.to < first);
        for run in runs[begin..].iter().take_while(|run| run.from <= last) {
            here.push((atom, run.from.max(first), run.to.min(last), &*run.access));
        }
    }
    here
}

/// Whoever reaches any of these cells.
fn reached(here: &Here<'_>) -> Access {
    Access::union_of(here.iter().map(|(.., access)| *access))
}

/// A column for each service that is open or will be. Those that change come first in the choice, then the common ones;
/// they also stand first, where no screen is too narrow to see them.
fn columns(rows: &[Row<'_>], service: ServiceName<'_>) -> Vec<Column> {
    let mut named: BTreeMap<String, Use> = BTreeMap::new();
    for row in rows {
        for (key, changes) in row.keys.iter().copied() {
            let name = service(key).map_or_else(|| key.to_string(), str::to_owned);
            let used = named.entry(name).or_default();
            used.keys.insert(key);
            used.uses += 1;
            used.changes += usize::from(changes);
        }
    }
    let mut chosen: Vec<(String, Use)> = named.into_iter().collect();
    chosen.sort_by_key(|(_, used)| std::cmp::Reverse((used.changes, used.uses)));
    let rest = chosen.split_off(chosen.len().min(COLUMNS));
    chosen.sort_by_cached_key(|(_, used)| (used.changes == 0, used.keys.clone()));
    let mut columns: Vec<Column> = chosen
        .into_iter()
        .map(|(name, used)| column(name, &used.keys))
        .collect();
    if !rest.is_empty() {
        let keys = rest.iter().flat_map(|(_, used)| &used.keys);
        let keys: BTreeSet<Key> = keys.copied().collect();
        columns.push(Column {
            keys: "any of them".to_owned(),
            ..column(format!("{} more", count(rest.len(), "service")), &keys)
        });
    }
    columns
}

/// The keys of a live firewall, with those that its doubtful entries may be about.
fn live_keys(live: &LiveFirewall) -> Vec<Key> {
    let doubtful = Doubtful::all(live).into_iter().map(|doubt| doubt.key);
    live.firewall().keys().chain(doubtful).collect()
}

fn column(name: String, keys: &BTreeSet<Key>) -> Column {
    let everyone = |key: &Key| (*key, Sources::anywhere());
    let only_all = keys.iter().all(|key| key.protocol() == Protocol::All);
    let firewall: Firewall = keys.iter().map(everyone).collect();
    let area = Effective::of(&firewall, Family::default())
        .iter()
        // Only a rule for all opens the other protocols; whoever gets in through it gets in there.
        .filter(|(atom, _)| !only_all || *atom == Atom::Other)
        .map(|(atom, run)| (atom, run.from, run.to))
        .collect();
    let texts: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let keys = texts.join(", ");
    Column {
        keys: if keys == name { String::new() } else { keys },
        name,
        area,
    }
}
