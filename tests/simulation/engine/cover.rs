//! Rows of values such that any two values of two quirks meet in at least one row.
//!
//! Owns the greedy choice of rows. Most that goes wrong between two features goes wrong for two values of them, so a few
//! dozen rows stand for an astronomical number. Does not know what a quirk does.

use std::collections::BTreeSet;

use portward::emulator::{Quirk, Quirks};

/// One value, as its place, for each quirk of the catalogue.
pub(crate) type Row = Vec<usize>;

/// Two values that have to meet: quirk and value, twice.
pub(crate) type Pair = ((usize, usize), (usize, usize));

/// Rows that cover every pair; always the same ones.
pub(crate) fn rows() -> Vec<Row> {
    rows_of(&sizes())
}

/// How many values each quirk has.
pub(crate) fn sizes() -> Vec<usize> {
    let quirks = Quirks::catalogue().iter();
    quirks.map(|quirk| quirk.values.len()).collect()
}

fn rows_of(sizes: &[usize]) -> Vec<Row> {
    let mut open = pairs(sizes);
    let mut rows = Vec::new();
    while let Some(&(first, second)) = open.first() {
        // Every row begins with a pair that has not met, so each one brings the end nearer.
        let mut row: Vec<Option<usize>> = vec![None; sizes.len()];
        for (quirk, value) in [first, second] {
            row[quirk] = Some(value);
        }
        for (quirk, size) in sizes.iter().enumerate() {
            if row[quirk].is_none() {
                let met = |value: &usize| gain(&open, &row, (quirk, *value));
                // Values take turns where it makes no difference.
                let turn = (0..*size).map(|value| (value + rows.len()) % size);
                row[quirk] = turn.max_by_key(met);
            }
        }
        let row: Row = row.into_iter().map(Option::unwrap_or_default).collect();
        for one in 0..row.len() {
            for other in one + 1..row.len() {
                open.remove(&((one, row[one]), (other, row[other])));
            }
        }
        rows.push(row);
    }
    rows
}

/// Every pair of values of two quirks.
pub(crate) fn pairs(sizes: &[usize]) -> BTreeSet<Pair> {
    let mut pairs = BTreeSet::new();
    for (one, values) in sizes.iter().enumerate() {
        for (other, others) in sizes.iter().enumerate().skip(one + 1) {
            for value in 0..*values {
                pairs.extend((0..*others).map(|second| ((one, value), (other, second))));
            }
        }
    }
    pairs
}

/// How many pairs that have not met would meet if this value joined the row.
fn gain(open: &BTreeSet<Pair>, row: &[Option<usize>], (quirk, value): (usize, usize)) -> usize {
    let chosen = row.iter().enumerate();
    chosen
        .filter_map(|(other, chosen)| Some((other, (*chosen)?)))
        .filter(|there| {
            let (low, high) = if there.0 < quirk {
                (*there, (quirk, value))
            } else {
                ((quirk, value), *there)
            };
            open.contains(&(low, high))
        })
        .count()
}

/// The quirks of a row.
pub(crate) fn quirks(row: &[usize]) -> Quirks {
    let mut quirks = Quirks::default();
    for (quirk, value) in Quirks::catalogue().iter().zip(row) {
        let text = setting(quirk, *value);
        quirks.set(&text).expect("a value of the catalogue");
    }
    quirks
}

/// A value by its place, as the catalogue spells it.
pub(crate) fn setting(quirk: &Quirk, value: usize) -> String {
    format!("{}={}", quirk.name, quirk.values[value])
}
