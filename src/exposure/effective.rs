//! Effective access: for each cell of each protocol atom, the sources that get in.
//!
//! Owns its canonical form, so that two firewalls that let in the same packets are equal as data: a set that covers the whole family
//! of the browser client contains the client, whether it is named or not. Set operations work point by point, so a difference
//! may be everyone but the browser client. Does not judge access, and does not know doubtful entries.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

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
        let mut sweep = Sweep::new(Some(family));
        for (key, sources) in rules {
            sweep.add_rule(*key, sources);
        }
        sweep.finish()
    }

    /// The exact access of boxes, with the browser client only where it is named. Boxes may overlap. Cells that do not exist in the
    /// atom are ignored.
    pub fn of_boxes(boxes: &[Exposed]) -> Self {
        let mut sweep = Sweep::new(None);
        for Exposed {
            atom,
            from,
            to,
            sources,
        } in boxes
        {
            let to = (*to).min(atom.last_cell());
            if *from <= to {
                let access = sweep.access(sources);
                sweep.stretches[*atom as usize].push(Stretch {
                    from: *from,
                    to,
                    access,
                });
            }
        }
        sweep.finish()
    }

    /// The same access on every cell of every atom, as an `all` rule gives it.
    pub fn everywhere(access: &Access) -> Self {
        if access.is_empty() {
            return Self::default();
        }
        let access = Arc::new(access.clone());
        Self {
            atoms: Atom::ALL.map(|atom| {
                Arc::from([CellRun {
                    from: 0,
                    to: atom.last_cell(),
                    access: Arc::clone(&access),
                }])
            }),
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
            .map(|access| access.clone().with_client(family))
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
        self.overlay(other, |a, b| match (a, b) {
            (Some(a), Some(b)) if a == b => None,
            (Some(a), Some(b)) => Some(Arc::new(a.difference(b))),
            (a, _) => a.cloned(),
        })
    }

    /// Like [`Effective::difference`], without a copy if `other` is empty.
    pub fn without(&self, other: &Self) -> Cow<'_, Self> {
        if other.is_empty() {
            Cow::Borrowed(self)
        } else {
            Cow::Owned(self.difference(other))
        }
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

/// Collects the rules of a firewall by atom.
struct Sweep {
    /// The family whose whole contains the browser client; `None` if only its alias does.
    client: Option<Family>,
    stretches: [Vec<Stretch>; 5],
    accesses: Vec<Arc<Access>>,
}

impl Sweep {
    fn new(client: Option<Family>) -> Self {
        Self {
            client,
            stretches: Default::default(),
            accesses: Vec::new(),
        }
    }

    fn access(&mut self, sources: &Sources) -> usize {
        self.accesses.push(Arc::new(match self.client {
            Some(family) => Access::of(sources, family),
            None => Access::from(sources),
        }));
        self.accesses.len() - 1
    }

    fn add_rule(&mut self, key: Key, sources: &Sources) {
        let access = self.access(sources);
        let mut open = |atom: Atom, from: u16, to: u16| {
            self.stretches[atom as usize].push(Stretch { from, to, access });
        };
        let Some(atom) = Atom::of(key.protocol()) else {
            for atom in Atom::ALL {
                open(atom, 0, atom.last_cell());
            }
            return;
        };
        if !key.protocol().is_icmp() {
            // A valid key has ports within 0-65535.
            if let (Ok(from), Ok(to)) = (u16::try_from(key.from()), u16::try_from(key.to())) {
                open(atom, from, to);
            }
            return;
        }
        // A number outside 0-255 is -1, which means any.
        match (u8::try_from(key.from()).ok(), u8::try_from(key.to()).ok()) {
            (None, None) => open(atom, 0, u16::MAX),
            (Some(kind), None) => open(atom, cell(kind, 0), cell(kind, u8::MAX)),
            (Some(kind), Some(code)) => open(atom, cell(kind, code), cell(kind, code)),
            (None, Some(code)) => {
                (0..=u8::MAX).for_each(|kind| open(atom, cell(kind, code), cell(kind, code)));
            }
        }
    }

    fn finish(self) -> Effective {
        let Self {
            client,
            stretches,
            accesses,
        } = self;
        Effective {
            atoms: stretches.map(|stretches| sweep::runs(stretches, &accesses, client).into()),
        }
    }
}

/// The cell of an ICMP type and code.
fn cell(kind: u8, code: u8) -> u16 {
    u16::from_be_bytes([kind, code])
}

#[cfg(test)]
pub(super) mod tests;
