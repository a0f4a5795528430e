//! The packet space: atoms, and runs of cells with their access.
//!
//! Owns the number of cells of each atom. Does not know rules.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Access;
use crate::model::{Key, Protocol, Sources};

/// A kind of packet. Every packet belongs to exactly one atom.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Atom {
    /// TCP; a cell is a port.
    Tcp,
    /// UDP; a cell is a port.
    Udp,
    /// ICMP for IPv4; a cell is type × 256 + code.
    Icmp,
    /// ICMP for IPv6; a cell is type × 256 + code.
    Icmpv6,
    /// Every other protocol; it has only the cell 0, and only `all` opens it.
    Other,
}

impl Atom {
    /// Every atom, in order.
    pub const ALL: [Self; 5] = [Self::Tcp, Self::Udp, Self::Icmp, Self::Icmpv6, Self::Other];

    /// The packets of a protocol; `None` for `all`, which are those of every atom.
    pub fn of(protocol: Protocol) -> Option<Self> {
        match protocol {
            Protocol::Tcp => Some(Self::Tcp),
            Protocol::Udp => Some(Self::Udp),
            Protocol::Icmp => Some(Self::Icmp),
            Protocol::Icmpv6 => Some(Self::Icmpv6),
            Protocol::All => None,
        }
    }

    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Its last cell; the first is 0.
    pub fn last_cell(self) -> u16 {
        if self == Self::Other { 0 } else { u16::MAX }
    }
}

/// Neighbouring cells that the same sources reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellRun {
    /// The first cell.
    pub from: u16,
    /// The last cell.
    pub to: u16,
    /// The sources that reach them; never empty.
    pub access: Arc<Access>,
}

/// Neighbouring cells and the sources that reach them.
///
/// In a list from [`Effective::boxes`](super::Effective::boxes) the cells are maximal runs, boxes of one atom do not overlap, and
/// the sources are the shortest exact ones in address order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Exposed {
    /// The kind of packet.
    #[serde(rename = "protocol")]
    pub atom: Atom,
    /// The first cell: a port, or ICMP type × 256 + code.
    pub from: u16,
    /// The last cell.
    pub to: u16,
    /// The sources that reach them; never empty.
    #[serde(flatten)]
    pub sources: Sources,
}

/// The cells that a key opens, as atom, first cell and last cell.
pub(crate) fn cells_of(key: Key) -> Vec<(Atom, u16, u16)> {
    let Some(atom) = Atom::of(key.protocol()) else {
        return Atom::ALL.map(|atom| (atom, 0, atom.last_cell())).into();
    };
    if !key.protocol().is_icmp() {
        // A valid key has ports within 0-65535.
        let ports = u16::try_from(key.from())
            .ok()
            .zip(u16::try_from(key.to()).ok());
        return ports
            .map(|(from, to)| (atom, from, to))
            .into_iter()
            .collect();
    }
    let cell = |kind: u8, code: u8| u16::from_be_bytes([kind, code]);
    // A number outside 0-255 is -1, which means any.
    match (u8::try_from(key.from()).ok(), u8::try_from(key.to()).ok()) {
        (None, None) => vec![(atom, 0, u16::MAX)],
        (Some(kind), None) => vec![(atom, cell(kind, 0), cell(kind, u8::MAX))],
        (Some(kind), Some(code)) => vec![(atom, cell(kind, code), cell(kind, code))],
        (None, Some(code)) => {
            let kinds = 0..=u8::MAX;
            kinds
                .map(|kind| (atom, cell(kind, code), cell(kind, code)))
                .collect()
        }
    }
}
