//! The lines of one atom.
//!
//! Owns the choice between several ways to divide the same cells into lines: the fewest lines win. Does not search for the
//! optimal cover, which would cost more than a reader gains.

use super::super::{Access, Atom, CellRun};
use super::Line;

/// The most runs for which overlapping boxes are tried: the search may be quadratic, and nobody reads a longer list.
const MAX_RUNS_FOR_OVERLAP: usize = 1024;

/// The number of ICMP types, and of codes of each type.
const ICMP_NUMBERS: u16 = 256;

pub(super) fn lines(atom: Atom, runs: &[CellRun]) -> Vec<Line> {
    let plain = runs
        .iter()
        .map(|run| line(atom, run.from, run.to, &run.access))
        .collect();
    let mut ways: Vec<Vec<Line>> = vec![plain];
    if runs.len() <= MAX_RUNS_FOR_OVERLAP {
        ways.push(by_interval(atom, runs));
    }
    // A code that is open for every type is one rule, but 256 runs.
    if matches!(atom, Atom::Icmp | Atom::Icmpv6) && runs.len() >= usize::from(ICMP_NUMBERS) {
        ways.push(by_code(atom, runs));
    }
    ways.into_iter().min_by_key(Vec::len).unwrap_or_default()
}

/// Each source with the longest intervals that it reaches: `tcp/0-65535 from a` and `tcp/22 from b` instead of three runs.
/// No two lines contain the same cell and source.
fn by_interval(atom: Atom, runs: &[CellRun]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (first, run) in runs.iter().enumerate() {
        let before = first.checked_sub(1).and_then(|before| runs.get(before));
        let mut here = match before.filter(|before| before.to.checked_add(1) == Some(run.from)) {
            Some(before) => run.access.difference(&before.access),
            None => (*run.access).clone(),
        };
        for (last, run_at_end) in runs.iter().enumerate().skip(first) {
            if here.is_empty() {
                break;
            }
            let next = runs
                .get(last + 1)
                .filter(|next| run_at_end.to.checked_add(1) == Some(next.from));
            let ends = next.map_or_else(|| here.clone(), |next| here.difference(&next.access));
            if !ends.is_empty() {
                lines.push(line(atom, run.from, run_at_end.to, &ends));
            }
            here = next.map_or_else(Access::nobody, |next| here.intersection(&next.access));
        }
    }
    lines
}

/// The codes that are open for every type, then the rest by runs.
fn by_code(atom: Atom, runs: &[CellRun]) -> Vec<Line> {
    let at = |cell: u16| {
        let next = runs.partition_point(|run| run.to < cell);
        runs.get(next).filter(|run| run.from <= cell)
    };
    let columns: Vec<Access> = (0..ICMP_NUMBERS)
        .map(|code| {
            let mut cells = (0..ICMP_NUMBERS).map(|kind| at(kind * ICMP_NUMBERS + code));
            let Some(Some(first)) = cells.next() else {
                return Access::nobody();
            };
            let common = cells.try_fold((*first.access).clone(), |common, run| {
                let common = if *run?.access == common {
                    common
                } else {
                    common.intersection(&run?.access)
                };
                Some(common).filter(|common| !common.is_empty())
            });
            common.unwrap_or_default()
        })
        .collect();
    let mut lines = Vec::new();
    let mut code = 0u16;
    for same in columns.chunk_by(PartialEq::eq) {
        let next = code + u16::try_from(same.len()).unwrap_or(ICMP_NUMBERS);
        if let Some(access) = same.first().filter(|access| !access.is_empty()) {
            let ports = format!("{atom}/-1:{}", numbers(code, next - 1));
            let of_kind = |kind| {
                let first = kind * ICMP_NUMBERS;
                (atom, first + code, first + (next - 1))
            };
            lines.push(Line {
                ports,
                sources: access.to_exact_sources(),
                cells: (0..ICMP_NUMBERS).map(of_kind).collect(),
            });
        }
        code = next;
    }
    // The rest, in runs of cells with equal access.
    let mut rest: Vec<(u16, u16, Access)> = Vec::new();
    for run in runs {
        for cell in run.from..=run.to {
            let column = &columns[usize::from(cell % ICMP_NUMBERS)];
            let left = run.access.difference(column);
            match rest.last_mut() {
                _ if left.is_empty() => {}
                Some((_, to, access)) if to.checked_add(1) == Some(cell) && *access == left => {
                    *to = cell;
                }
                _ => rest.push((cell, cell, left)),
            }
        }
    }
    lines.extend(
        rest.iter()
            .map(|(from, to, access)| line(atom, *from, *to, access)),
    );
    lines
}

fn line(atom: Atom, from: u16, to: u16, access: &Access) -> Line {
    Line {
        ports: name(atom, from, to),
        sources: access.to_exact_sources(),
        cells: vec![(atom, from, to)],
    }
}

/// The name of these cells.
pub(super) fn name(atom: Atom, from: u16, to: u16) -> String {
    match atom {
        Atom::Other => "other protocols".to_owned(),
        Atom::Tcp | Atom::Udp => format!("{atom}/{}", numbers(from, to)),
        Atom::Icmp | Atom::Icmpv6 => icmp(atom, from, to),
    }
}

/// ICMP cells as types and codes. A range that begins or ends inside a type has a name of up to three parts.
fn icmp(atom: Atom, from: u16, to: u16) -> String {
    const LAST: u16 = ICMP_NUMBERS - 1;
    if (from, to) == (0, u16::MAX) {
        return atom.to_string();
    }
    let (mut kind, code) = (from / ICMP_NUMBERS, from % ICMP_NUMBERS);
    let (last_kind, last_code) = (to / ICMP_NUMBERS, to % ICMP_NUMBERS);
    if kind == last_kind {
        let codes = if (code, last_code) == (0, LAST) {
            "-1".to_owned()
        } else {
            numbers(code, last_code)
        };
        return format!("{atom}/{kind}:{codes}");
    }
    let mut pieces = Vec::new();
    if code != 0 {
        pieces.push(format!("{atom}/{kind}:{}", numbers(code, LAST)));
        kind += 1;
    }
    // One past the last type of which all codes are in the range.
    let whole = if last_code == LAST {
        last_kind + 1
    } else {
        last_kind
    };
    if kind < whole {
        pieces.push(format!("{atom}/{}:-1", numbers(kind, whole - 1)));
    }
    if last_code != LAST {
        pieces.push(format!("{atom}/{last_kind}:{}", numbers(0, last_code)));
    }
    pieces.join(", ")
}

fn numbers(from: u16, to: u16) -> String {
    if from == to {
        from.to_string()
    } else {
        format!("{from}-{to}")
    }
}
