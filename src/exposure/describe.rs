//! A difference of access as lines for people.
//!
//! Owns the words for boxes and sources. The exact boxes are right but long: one `all` rule beside one port comes as
//! seven of them. So what is common to every protocol is said once, and port ranges may overlap where that is shorter.
//! Every line is still exact, and together they say neither more nor less than the boxes. Does not colour, to sort by
//! weight, and to say why.

use std::fmt;

use super::{Access, Atom, Effective, Exposed, Run};
use crate::model::Sources;

mod cells;
mod people;

pub(crate) use people::{addresses, thousands, who};

/// One sentence about access. Displays as `tcp/22 from 203.0.113.0/24 (256 addresses)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Ports or ICMP messages as people write them: `tcp/80-89`, `icmp/8:-1`, `all protocols`.
    pub what: String,
    /// Who, in the fewest networks.
    pub sources: Sources,
    /// The cells that `what` names, as atom, first and last.
    pub cells: Vec<(Atom, u16, u16)>,
}

impl Line {
    /// What the line says, exactly.
    pub fn effective(&self) -> Effective {
        let exposed = |(atom, from, to): &(Atom, u16, u16)| Exposed {
            atom: *atom,
            from: *from,
            to: *to,
            sources: self.sources.clone(),
        };
        Effective::of_boxes(&self.cells.iter().map(exposed).collect::<Vec<_>>())
    }
}

/// The lines of a [`Diff`](super::Diff).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// What opens.
    pub gained: Vec<Line>,
    /// What closes.
    pub lost: Vec<Line>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            sources,
            cells: _,
        } = self;
        write!(f, "{what} from {}", who(sources))
    }
}

/// The lines for boxes, widest first: all protocols, then atom by atom in order of cells.
pub(super) fn lines(boxes: &[Exposed]) -> Vec<Line> {
    let exposed = Effective::of_boxes(boxes);
    let common = everywhere(&exposed);
    let rest = exposed.difference(&Effective::everywhere(&common));
    let mut lines = Vec::new();
    if !common.is_empty() {
        lines.push(Line {
            what: "all protocols".to_owned(),
            sources: common.to_the_letter(),
            cells: Atom::ALL.map(|atom| (atom, 0, atom.last_cell())).into(),
        });
    }
    for atom in Atom::ALL {
        lines.extend(cells::lines(atom, rest.runs(atom)));
    }
    lines
}

/// Who reaches every cell of every atom.
fn everywhere(exposed: &Effective) -> Access {
    Atom::ALL
        .into_iter()
        .fold(exposed.access(Atom::Other, 0).clone(), |common, atom| {
            if common.is_empty() {
                common
            } else {
                throughout(&common, atom, exposed.runs(atom))
            }
        })
}

/// Those of `among` who reach every cell of the atom.
fn throughout(among: &Access, atom: Atom, runs: &[Run]) -> Access {
    let mut next = Some(0);
    let mut common = among.clone();
    for run in runs {
        if next != Some(run.from) || common.is_empty() {
            return Access::nobody();
        }
        common = common.intersection(&run.access);
        next = run.to.checked_add(1);
    }
    let complete = runs.last().is_some_and(|run| run.to == atom.last_cell());
    if complete { common } else { Access::nobody() }
}

#[cfg(test)]
mod tests;
