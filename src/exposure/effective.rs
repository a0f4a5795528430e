//! Effective access: for each cell of each protocol atom, the sources that get in.
//!
//! Owns its canonical form, so that two firewalls that let in the same packets are equal as data: a set that covers the whole family
//! of the browser client contains the client, whether it is named or not. Set operations work point by point, so a difference
//! may be everyone but the browser client. Does not judge access, and does not know doubtful entries.

use std::net::IpAddr;
use std::sync::Arc;

use super::atom::cells_of;
use super::sweep::{self, Stretch};
use super::{Access, Atom, CellRun, Exposed};
use crate::model::{AddressType, Family, Firewall, Key, Sources};

/// Effective access.
///
/// Two values are equal exactly if they let in the same packets: runs are maximal, and sets have a canonical form. A clone shares
/// the runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    atoms: [Arc<[CellRun]>; 5],
}

static NOBODY: Access = Access::nobody();

impl Effective {
    /// The access of a firewall on an instance that the browser client reaches over this family.
    pub fn of(firewall: &Firewall, family: Family) -> Self {
        Self::of_rules(firewall.iter(), family)
    }

    /// The access of these rules together.
    pub fn of_rules<'a>(
        rules: impl IntoIterator<Item = (&'a Key, &'a Sources)>,
        family: Family,
    ) -> Self {
        let rules = rules.into_iter();
        let rules = rules.map(|(key, sources)| (cells_of(*key), sources));
        Self::of_cells(rules, Some(family))
    }

    /// The exact access of boxes, with the browser client only where it is named. Boxes may overlap. Cells that do not exist in the
    /// atom are ignored.
    pub fn of_boxes(boxes: &[Exposed]) -> Self {
        let boxes = boxes.iter().map(|exposed| {
            let last = exposed.to.min(exposed.atom.last_cell());
            (vec![(exposed.atom, exposed.from, last)], &exposed.sources)
        });
        Self::of_cells(boxes, None)
    }

    /// The access of these sources to these cells. If `client` is given, sources that cover this whole family also let in the browser
    /// client.
    pub(super) fn of_cells<'a>(
        rules: impl Iterator<Item = (Vec<(Atom, u16, u16)>, &'a Sources)>,
        client: Option<Family>,
    ) -> Self {
        let mut stretches: [Vec<Stretch>; 5] = Default::default();
        let mut accesses = Vec::new();
        for (cells, sources) in rules {
            let access = accesses.len();
            for (atom, from, to) in cells.into_iter().filter(|(_, from, to)| from <= to) {
                stretches[atom as usize].push(Stretch { from, to, access });
            }
            accesses.push(Arc::new(Access::from(sources).with_client(client)));
        }
        Self {
            atoms: stretches.map(|stretches| sweep::runs(stretches, &accesses, client).into()),
        }
    }

    /// The same access on every cell of every atom, as an `all` rule gives it.
    pub fn everywhere(access: &Access) -> Self {
        let access = Arc::new(access.clone());
        let of_atom = |atom: Atom| {
            let mut runs = Vec::new();
            sweep::push(&mut runs, 0, atom.last_cell(), &access);
            Arc::from(runs)
        };
        Self {
            atoms: Atom::ALL.map(of_atom),
        }
    }

    /// The runs of an atom: ascending, disjoint, maximal, and never with empty access.
    pub fn runs(&self, atom: Atom) -> &[CellRun] {
        &self.atoms[atom as usize]
    }

    /// Every run of every atom, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Atom, &CellRun)> {
        Atom::ALL
            .into_iter()
            .flat_map(|atom| self.runs(atom).iter().map(move |run| (atom, run)))
    }

    /// Every run as a box with the shortest sources, in order; exact except for the browser client, see [`Access::to_sources`].
    pub fn boxes(&self, family: Family) -> Vec<Exposed> {
        let exposed = |(atom, run): (Atom, &CellRun)| Exposed {
            atom,
            from: run.from,
            to: run.to,
            sources: run.access.to_exact_sources(),
        };
        let named = self.map(|access| access.clone().without_implied_client(family));
        named.iter().map(exposed).collect()
    }

    /// The part of the access in the address families that an instance has.
    pub fn on(&self, kind: &AddressType) -> Self {
        self.map(|access| access.on(kind))
    }

    /// The cells that at least one globally reachable source reaches, with all of their sources.
    pub fn on_publicly_reachable_cells(&self) -> Self {
        self.map(|access| {
            if access.publicly_reachable().is_empty() {
                Access::nobody()
            } else {
                access.clone()
            }
        })
    }

    /// Replaces the access of every cell.
    pub fn map(&self, change: impl Fn(&Access) -> Access) -> Self {
        let of_atom = |atom| {
            let mut runs = Vec::new();
            for run in self.runs(atom) {
                sweep::push(&mut runs, run.from, run.to, &Arc::new(change(&run.access)));
            }
            Arc::from(runs)
        };
        Self {
            atoms: Atom::ALL.map(of_atom),
        }
    }

    /// The sources that reach this cell.
    pub fn access(&self, atom: Atom, cell: u16) -> &Access {
        let runs = self.runs(atom);
        let next = runs.partition_point(|run| run.to < cell);
        runs.get(next)
            .filter(|run| run.from <= cell)
            .map_or(&NOBODY, |run| &run.access)
    }

    /// Whether this address reaches this cell.
    pub fn contains(&self, atom: Atom, cell: u16, address: IpAddr) -> bool {
        self.access(atom, cell).contains(address)
    }

    /// Whether no packet gets in.
    pub fn is_empty(&self) -> bool {
        self.atoms.iter().all(|runs| runs.is_empty())
    }

    /// Whether every packet that `other` lets in gets in here too.
    pub fn is_superset(&self, other: &Self) -> bool {
        other.difference(self).is_empty()
    }

    /// The packets that either lets in, point by point; for the rules of both, see [`Effective::joined`].
    pub fn union(&self, other: &Self) -> Self {
        self.overlay(other, |a, b| match (a, b) {
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => Some(Arc::clone(a)),
            (Some(a), Some(b)) => Some(Arc::new(a.union(b))),
            (a, b) => a.or(b).cloned(),
        })
    }

    /// The access of the rules of both together: the union, and the browser client where both together cover its family.
    pub fn joined(&self, other: &Self, family: Family) -> Self {
        self.union(other)
            .map(|access| access.clone().with_client(Some(family)))
    }

    /// The packets that both let in.
    pub fn intersection(&self, other: &Self) -> Self {
        self.overlay(other, |a, b| match (a, b) {
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => Some(Arc::clone(a)),
            (Some(a), Some(b)) => Some(Arc::new(a.intersection(b))),
            _ => None,
        })
    }

    /// The packets that this lets in and `other` does not.
    pub fn difference(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        self.overlay(other, |a, b| match (a, b) {
            (Some(a), Some(b)) if a == b => None,
            (Some(a), Some(b)) => Some(Arc::new(a.difference(b))),
            (a, _) => a.cloned(),
        })
    }

    /// This access, restricted to the cells that are open to anybody in `cells`.
    pub fn within(&self, cells: &Self) -> Self {
        self.overlay(cells, |a, cell| a.filter(|_| cell.is_some()).cloned())
    }

    fn overlay(
        &self,
        other: &Self,
        combine: impl Fn(Option<&Arc<Access>>, Option<&Arc<Access>>) -> Option<Arc<Access>>,
    ) -> Self {
        Self {
            atoms: Atom::ALL
                .map(|atom| sweep::overlay(self.runs(atom), other.runs(atom), &combine).into()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
