//! Sweep over the cells of one protocol atom.
//!
//! Owns the two sweeps that effective access is built from: from many stretches to a list of runs, and from two lists of runs to
//! one. The set of stretches that cover a cell changes only at a cut, so the first cell between two cuts represents all cells
//! between them. Does not know the atom.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Access, CellRun};
use crate::model::Family;

/// Cells `from..=to` with the access that one rule gives them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) from: u16,
    pub(super) to: u16,
    /// An index into the list of accesses. Stretches with the same index do not overlap.
    pub(super) access: usize,
}

/// The runs of one atom: maximal, ascending, never with empty access. If `client` is given, stretches that together cover this
/// whole family also let in the browser client.
pub(super) fn runs(
    mut stretches: Vec<Stretch>,
    accesses: &[Arc<Access>],
    client: Option<Family>,
) -> Vec<CellRun> {
    let mut runs = Vec::with_capacity(stretches.len());
    stretches.sort_unstable_by_key(|stretch| (stretch.from, stretch.to));
    if stretches.windows(2).all(|pair| pair[0].to < pair[1].from) {
        // Fast path: most firewalls have no overlaps.
        for Stretch { from, to, access } in stretches {
            push(&mut runs, from, to, &accesses[access]);
        }
        return runs;
    }

    // The first cell of a stretch, and the cell after its last, which may be one past the last cell of the atom.
    let mut cuts: Vec<(u32, bool, usize)> = Vec::with_capacity(stretches.len() * 2);
    for Stretch { from, to, access } in stretches {
        cuts.push((u32::from(from), true, access));
        cuts.push((u32::from(to) + 1, false, access));
    }
    // At one cell, ends sort before beginnings, so that an index that does both stays active.
    cuts.sort_unstable();

    let mut unions: BTreeMap<Vec<usize>, Arc<Access>> = BTreeMap::new();
    let mut active: Vec<usize> = Vec::new();
    let mut cuts = cuts.into_iter().peekable();
    while let Some((cell, begins, access)) = cuts.next() {
        match (active.binary_search(&access), begins) {
            (Err(place), true) => active.insert(place, access),
            (Ok(place), false) => drop(active.remove(place)),
            // Not possible, because stretches with the same index do not overlap.
            _ => {}
        }
        let Some(&(next, ..)) = cuts.peek() else {
            break;
        };
        let (Ok(from), Ok(to)) = (u16::try_from(cell), u16::try_from(next.saturating_sub(1)))
        else {
            continue;
        };
        if next == cell {
            continue;
        }
        match active.as_slice() {
            [] => {}
            [only] => push(&mut runs, from, to, &accesses[*only]),
            several => {
                if let Some(union) = unions.get(several) {
                    push(&mut runs, from, to, union);
                } else {
                    let parts = several.iter().map(|access| &*accesses[*access]);
                    let union = Arc::new(Access::union_of(parts).with_client(client));
                    push(&mut runs, from, to, &union);
                    unions.insert(active.clone(), union);
                }
            }
        }
    }
    runs
}

/// Combines two lists of runs cell by cell. A cell that is in neither list is not in the result.
pub(super) fn overlay(
    left: &[CellRun],
    right: &[CellRun],
    combine: impl Fn(Option<&Arc<Access>>, Option<&Arc<Access>>) -> Option<Arc<Access>>,
) -> Vec<CellRun> {
    let mut runs = Vec::new();
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    let mut from = 0u16;
    loop {
        let ahead = [left.peek().copied(), right.peek().copied()];
        // Both lists ascend, so no run covers the cells before the nearest one.
        let Some(nearest) = ahead.iter().flatten().map(|run| run.from).min() else {
            break;
        };
        from = from.max(nearest);
        let end = |run: &CellRun| {
            if run.from <= from {
                run.to
            } else {
                run.from - 1
            }
        };
        let to = ahead
            .into_iter()
            .flatten()
            .map(end)
            .min()
            .unwrap_or(u16::MAX);
        let here = ahead.map(|run| run.filter(|run| run.from <= from).map(|run| &run.access));
        if let Some(access) = combine(here[0], here[1]) {
            push(&mut runs, from, to, &access);
        }
        left.next_if(|run| run.to == to);
        right.next_if(|run| run.to == to);
        let Some(next) = to.checked_add(1) else { break };
        from = next;
    }
    runs
}

/// Adds a run, or extends the last one.
pub(super) fn push(runs: &mut Vec<CellRun>, from: u16, to: u16, access: &Arc<Access>) {
    if access.is_empty() {
        return;
    }
    if let Some(last) = runs.last_mut()
        && last.to.checked_add(1) == Some(from)
        && (Arc::ptr_eq(&last.access, access) || last.access == *access)
    {
        last.to = to;
        return;
    }
    runs.push(CellRun {
        from,
        to,
        access: Arc::clone(access),
    });
}
