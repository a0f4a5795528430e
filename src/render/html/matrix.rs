//! The tables of instances and services: those that differ in the open, those that do not folded, each with its details.
//!
//! Owns the choice of columns, and that instances of which all is the same share a row. Does not show more columns than a
//! screen can hold: the rest is one column, and nothing is left out of it.

mod cell;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use cell::cell;
use maud::{Markup, html};

use super::head::Tile;
use super::{DiffLabels, ServiceName, code, joined, names};
use crate::exposure::{Atom, ComparisonSubject, Diff, Effective, Exposed, Reach};
use crate::model::{Family, Firewall, Key, Protocol, Sources};
use crate::render::formats::{count, sanitize};

/// Columns with a heading of their own: what a screen of 1,280 pixels has room for.
const COLUMNS: usize = 7;

/// With more rows than this they can be chosen by what happens.
const CHOICE: usize = 5;

/// One service, or all for which there is no room.
pub(super) struct Column {
    name: String,
    pub(super) services: Vec<NamedService>,
}

/// The name of a service, and its part of the space of packets.
pub(super) struct NamedService {
    pub(super) name: String,
    /// The keys, where the name does not say them.
    keys: String,
    /// Disjoint ranges of cells.
    pub(super) area: Vec<(Atom, u16, u16)>,
}

/// The number of mentions of a service.
#[derive(Default)]
struct ServiceUsage {
    keys: BTreeSet<Key>,
    changes: usize,
    uses: usize,
}

/// An instance, with what is on both sides.
pub(super) struct Row<'a> {
    pub(super) subject: ComparisonSubject,
    /// The change of the instance, or its state.
    pub(super) state: String,
    /// Whether there is nothing to see.
    pub(super) is_quiet: bool,
    pub(super) diff: &'a Diff,
    pub(super) before: Reach,
    pub(super) after: Reach,
    /// Every use of a key on either side, and whether its sources change.
    pub(super) keys: Vec<(Key, bool)>,
    /// The policy violations of this cell.
    pub(super) against: Vec<(&'a str, &'a [Exposed])>,
}

impl Row<'_> {
    /// The sources with certain access on both sides.
    fn kept(&self) -> Vec<Exposed> {
        let both = self.before.certain.intersection(&self.after.certain);
        both.boxes(self.after.family)
    }

    /// Whether both have the same row.
    fn has_same_cells(&self, other: &Self) -> bool {
        self.before == other.before
            && self.after == other.after
            && self.against == other.against
            && self.diff == other.diff
    }
}

/// Instances of which all is the same.
struct RowGroup {
    members: Vec<ComparisonSubject>,
    state: String,
    class: String,
    /// The policies that do not hold.
    against: Vec<String>,
    cells: Markup,
    details: Markup,
}

/// Groups below one another, under the same columns.
#[derive(Default)]
struct Table {
    columns: Vec<Column>,
    groups: Vec<RowGroup>,
}

/// Every instance.
pub(super) struct Instances {
    differing: Table,
    quiet: Table,
    labels: DiffLabels,
}

impl Instances {
    /// `details_of` gives the details of a row.
    pub(super) fn of(
        rows: &[Row<'_>],
        labels: DiffLabels,
        service: ServiceName<'_>,
        details_of: &dyn Fn(usize) -> Markup,
    ) -> Self {
        let table = |quiet: bool| {
            let rows = rows
                .iter()
                .enumerate()
                .filter(|(_, row)| row.is_quiet == quiet);
            Table::of(&rows.collect::<Vec<_>>(), labels, service, details_of)
        };
        Self {
            differing: table(false),
            quiet: table(true),
            labels,
        }
    }

    pub(super) fn tiles(&self) -> Vec<Tile> {
        let quiet = self.quiet.instances();
        let tile = ("in-sync", self.labels.quiet, count(quiet, "instance"), "");
        (quiet > 0).then_some(tile).into_iter().collect()
    }

    pub(super) fn section(&self) -> Markup {
        let quiet = self.quiet.instances();
        html! {
            @if !self.differing.groups.is_empty() {
                section aria-labelledby="instances" {
                    h2 id="instances" { "Instance by instance" }
                    (self.filter_controls())
                    (self.differing.markup("i", true))
                }
            }
            @if quiet > 0 {
                section aria-labelledby="in-sync" {
                    details.fold {
                        summary {
                            h2 id="in-sync" { (self.labels.quiet) " " small { (count(quiet, "instance")) } }
                        }
                        (self.quiet.markup("s", false))
                    }
                }
            }
        }
    }

    /// The choice of rows, which needs only a style sheet.
    fn filter_controls(&self) -> Markup {
        let groups = &self.differing.groups;
        let ways = self.labels.directions((), ());
        let mut choices = ways
            .map(|(way, ())| (way.weight.class(), way.verb))
            .to_vec();
        choices.retain(|(class, _)| groups.iter().any(|group| group.class.contains(class)));
        html! {
            @if groups.len() > CHOICE && choices.len() > 1 {
                fieldset.filter_controls {
                    legend.sr { "Which instances are shown" }
                    label { input type="radio" name="shown" id="only-all" checked; " all" }
                    @for (class, verb) in &choices {
                        label { input type="radio" name="shown" id={ "only-" (class) }; " " (verb) }
                    }
                }
            }
        }
    }
}

impl Table {
    fn of(
        rows: &[(usize, &Row<'_>)],
        labels: DiffLabels,
        service: ServiceName<'_>,
        details_of: &dyn Fn(usize) -> Markup,
    ) -> Self {
        let columns = columns(rows, service);
        let mut groups: Vec<(&Row<'_>, RowGroup)> = Vec::new();
        // Those that read alike below the table; the table has rules that do not change, too.
        let mut known: HashMap<(&str, String), Vec<usize>> = HashMap::new();
        for (at, row) in rows {
            let details = details_of(*at);
            let alike = known.entry((&row.state, details.0.clone())).or_default();
            let same = alike
                .iter()
                .find(|group| groups[**group].0.has_same_cells(row));
            let group = same.copied().unwrap_or_else(|| {
                let kept = row.kept();
                let cells = columns
                    .iter()
                    .map(|column| cell(row, &kept, column, labels));
                let against: BTreeSet<&str> =
                    row.against.iter().map(|(policy, _)| *policy).collect();
                let group = RowGroup {
                    members: Vec::new(),
                    state: row.state.clone(),
                    class: labels.class(row.diff),
                    against: against.into_iter().map(str::to_owned).collect(),
                    cells: joined(cells, ""),
                    details,
                };
                groups.push((row, group));
                alike.push(groups.len() - 1);
                groups.len() - 1
            });
            groups[group].1.members.push(row.subject.clone());
        }
        let groups = groups.into_iter().map(|(_, group)| group).collect();
        Self { columns, groups }
    }

    fn instances(&self) -> usize {
        self.groups.iter().map(|group| group.members.len()).sum()
    }

    /// The table, and below it a section for each row, to which the names in it lead.
    fn markup(&self, anchor: &str, is_open: bool) -> Markup {
        html! {
            table.matrix {
                thead {
                    tr {
                        th scope="col" { "instance" }
                        @for Column { name, services } in &self.columns {
                            th scope="col" {
                                (sanitize(name))
                                @if let [NamedService { keys, .. }] = &services[..] { small { (sanitize(keys)) } }
                            }
                        }
                    }
                }
                tbody {
                    @for (at, group) in self.groups.iter().enumerate() {
                        tr.one.(&group.class) {
                            th scope="row" {
                                a href={ "#" (anchor) (at) } { (names(&group.members)) }
                                small.state { (group.state) }
                            }
                            (group.cells)
                        }
                    }
                }
            }
            div.sections {
                @for (at, group) in self.groups.iter().enumerate() {
                    details.one.(&group.class) open[is_open] {
                        summary { strong { (names(&group.members)) } " " (group.state) }
                        // The target is inside: a browser that is led there opens the section.
                        div id={ (anchor) (at) } tabindex="-1" {
                            @for policy in &group.against { p.policy { "against policy " (code(policy)) } }
                            @if group.members.len() > super::NAMED { p { (super::listed(&group.members)) } }
                            (group.details)
                        }
                    }
                }
            }
        }
    }
}

/// A column for each service that changes; where none does, for the most common ones. The others share a column.
fn columns(rows: &[(usize, &Row<'_>)], name: ServiceName<'_>) -> Vec<Column> {
    let mut named: BTreeMap<String, ServiceUsage> = BTreeMap::new();
    for (key, changes) in rows.iter().flat_map(|(_, row)| row.keys.iter().copied()) {
        let name = name(key).map_or_else(|| key.to_string(), str::to_owned);
        let used = named.entry(name).or_default();
        used.keys.insert(key);
        used.uses += 1;
        used.changes += usize::from(changes);
    }
    let mut chosen: Vec<(String, ServiceUsage)> = named.into_iter().collect();
    chosen.sort_by_key(|(_, used)| Reverse((used.changes, used.uses)));
    let changing = chosen.iter().filter(|(_, used)| used.changes > 0).count();
    let own = if changing > 0 { changing } else { chosen.len() };
    let own = own.min(COLUMNS);
    // A column of its own takes no more room than one for the rest.
    let own = own + usize::from(chosen.len() == own + 1);
    let mut rest = chosen.split_off(own);
    chosen.sort_by_cached_key(|(_, used)| used.keys.clone());
    rest.sort_by_cached_key(|(_, used)| used.keys.clone());
    let one = |(name, used): (String, ServiceUsage)| Column {
        name: name.clone(),
        services: vec![service(name, &used.keys)],
    };
    let mut columns: Vec<Column> = chosen.into_iter().map(one).collect();
    if !rest.is_empty() {
        columns.push(Column {
            name: "other services".to_owned(),
            services: rest
                .into_iter()
                .map(|(name, used)| service(name, &used.keys))
                .collect(),
        });
    }
    columns
}

fn service(name: String, keys: &BTreeSet<Key>) -> NamedService {
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
    NamedService {
        keys: if keys == name { String::new() } else { keys },
        name,
        area,
    }
}
