//! The cells of one atom: which boxes to show, and what to call them.
//!
//! Owns the choice between ways of cutting the same area into boxes: the one with the fewest lines wins. Does not
//! look for the least cover of all, which costs more than a reader gains.

use super::super::{Access, Atom, Run};
use super::Line;

/// Above this many runs overlapping boxes are not tried: the search may be quadratic, and nobody reads such a list.
const RUNS_TRIED: usize = 1024;

/// ICMP types, and codes of a type.
const ICMP_NUMBERS: u16 = 256;

/// The lines of one atom.
pub(super) fn lines(atom: Atom, runs: &[Run]) -> Vec<Line> {
    let plain = runs
        .iter()
        .map(|run| line(atom, run.from, run.to, &run.access))
        .collect();
    let mut ways: Vec<Vec<Line>> = vec![plain];
    if runs.len() <= RUNS_TRIED {
        ways.push(by_interval(atom, runs));
    }
    // A code open for every type is one rule and 256 runs.
    if matches!(atom, Atom::Icmp | Atom::Icmpv6) && runs.len() >= usize::from(ICMP_NUMBERS) {
        ways.push(by_code(atom, runs));
    }
    ways.into_iter().min_by_key(Vec::len).unwrap_or_default()
}

/// Each source on the longest intervals it has: `tcp/0-65535 from a` and `tcp/22 from b` where runs need three boxes.
/// A cell and a source are in one line only.
fn by_interval(atom: Atom, runs: &[Run]) -> Vec<Line> {
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

/// First the codes that are open for every type, then what is left by runs.
fn by_code(atom: Atom, runs: &[Run]) -> Vec<Line> {
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
            let what = format!("{atom}/-1:{}", numbers(code, next - 1));
            let of_kind = |kind| {
                let first = kind * ICMP_NUMBERS;
                (atom, first + code, first + (next - 1))
            };
            lines.push(Line {
                what,
                sources: access.to_the_letter(),
                cells: (0..ICMP_NUMBERS).map(of_kind).collect(),
            });
        }
        code = next;
    }
    // What the columns leave, in pieces that keep to one column or to columns alike.
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
        what: name(atom, from, to),
        sources: access.to_the_letter(),
        cells: vec![(atom, from, to)],
    }
}

/// What people call these cells.
pub(super) fn name(atom: Atom, from: u16, to: u16) -> String {
    match atom {
        Atom::Other => "other protocols".to_owned(),
        Atom::Tcp | Atom::Udp => format!("{atom}/{}", numbers(from, to)),
        Atom::Icmp | Atom::Icmpv6 => icmp(atom, from, to),
    }
}

/// ICMP cells as types and codes. A box that begins or ends inside a type is named in up to three pieces.
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
    // One past the last type that is whole.
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
