//! Pairwise coverage: rows of quirk values in which any two values of two quirks occur together.
//!
//! Owns the greedy choice of rows. Most interactions are between two values, so a few dozen rows replace an astronomical number. Does
//! not know the meaning of a quirk.

use std::collections::BTreeSet;

use portward::emulator::{Quirk, Quirks};

/// The index of a value for each quirk of the catalogue.
pub(crate) type Row = Vec<usize>;

/// Two values that must occur together: quirk and value, twice.
pub(crate) type Pair = ((usize, usize), (usize, usize));

/// The rows that cover every pair; deterministic.
pub(crate) fn rows() -> Vec<Row> {
    rows_of(&sizes())
}

/// The number of values of each quirk.
pub(crate) fn sizes() -> Vec<usize> {
    let quirks = Quirks::catalogue().iter();
    quirks.map(|quirk| quirk.values.len()).collect()
}

fn rows_of(sizes: &[usize]) -> Vec<Row> {
    let mut open = pairs(sizes);
    let mut rows = Vec::new();
    while let Some(&(first, second)) = open.first() {
        // Every row begins with a pair that is not covered, so the loop ends.
        let mut row: Vec<Option<usize>> = vec![None; sizes.len()];
        for (quirk, value) in [first, second] {
            row[quirk] = Some(value);
        }
        for (quirk, size) in sizes.iter().enumerate() {
            if row[quirk].is_none() {
                let met = |value: &usize| gain(&open, &row, (quirk, *value));
                // Ties are broken in turn.
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

/// The number of new pairs that this value would cover in the row.
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

/// The spelling of a value in the catalogue.
pub(crate) fn setting(quirk: &Quirk, value: usize) -> String {
    format!("{}={}", quirk.name, quirk.values[value])
}
