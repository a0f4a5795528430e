//! Access as lines for people.
//!
//! Owns the wording of boxes and sources. The exact boxes are long: one `all` rule beside one port has seven of them. So access
//! that is common to every protocol becomes one line, and port ranges may overlap if that is shorter. The lines together give
//! exactly the access of the boxes. Does not colour, sort by severity, or explain causes.

use std::fmt;

use super::{Access, Atom, Effective, Exposed, cells_of};
use crate::model::{Key, Sources};

mod cells;
mod sources;

pub(crate) use sources::{count_addresses, format_sources, group_thousands};

/// A line about access. Displays as `tcp/22 from 203.0.113.0/24 (256 addresses)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The ports or ICMP messages: `tcp/80-89`, `icmp/8:-1`, `all protocols`.
    pub ports: String,
    /// The sources, in the fewest networks.
    pub sources: Sources,
    /// The cells that `ports` names, as atom, first cell and last cell.
    pub cells: Vec<(Atom, u16, u16)>,
}

impl Line {
    /// The exact access that the line describes.
    pub fn effective(&self) -> Effective {
        let cells = (self.cells.clone(), &self.sources);
        Effective::of_cells([cells].into_iter(), None)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ports,
            sources,
            cells: _,
        } = self;
        write!(f, "{ports} from {}", format_sources(sources))
    }
}

/// The lines for boxes: first all protocols, then atom by atom in order of cells.
pub(crate) fn lines(boxes: &[Exposed]) -> Vec<Line> {
    let exposed = Effective::of_boxes(boxes);
    let common = everywhere(&exposed);
    let rest = exposed.difference(&Effective::everywhere(&common));
    let mut lines = Vec::new();
    if !common.is_empty() {
        lines.push(Line {
            ports: "all protocols".to_owned(),
            sources: common.to_exact_sources(),
            cells: cells_of(Key::ALL),
        });
    }
    for atom in Atom::ALL {
        lines.extend(cells::lines(atom, rest.runs(atom)));
    }
    lines
}

/// The sources that reach every cell of every atom.
fn everywhere(exposed: &Effective) -> Access {
    let is_whole = |atom: Atom| {
        let runs = exposed.runs(atom).iter();
        let cells = runs.map(|run| u32::from(run.to - run.from) + 1);
        cells.sum::<u32>() > u32::from(atom.last_cell())
    };
    if !Atom::ALL.into_iter().all(is_whole) {
        return Access::nobody();
    }
    let accesses = exposed.iter().map(|(_, run)| (*run.access).clone());
    let common = accesses.reduce(|common, access| common.intersection(&access));
    common.unwrap_or_default()
}

#[cfg(test)]
mod tests;
