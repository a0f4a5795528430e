//! Exposure: the exact effective access of firewalls, and the exact difference of two of them.
//!
//! Owns the meaning of rules. The packet space is divided into five protocol atoms and each atom into cells (a port, or an
//! ICMP type and code); every cell has a set of sources that get in. Splitting a port range or a network changes the spelling and not
//! the meaning, so spelling cannot evade a check. Does not know how a firewall is changed, or which access is acceptable.

mod access;
mod atom;
mod compare;
mod describe;
mod diff;
mod effective;
#[cfg(test)]
mod laws;
mod range_set;
mod reach;
mod spelling;
mod sweep;

pub use access::Access;
pub(crate) use atom::cells_of;
pub use atom::{Atom, CellRun, Exposed};
pub(crate) use compare::{
    Compared, ComparedDocument, ComparisonSubject, DocumentFirewall, RuleRef,
};
pub(crate) use describe::{Line, count_addresses, format_sources, group_thousands, lines};
pub use diff::{Diff, Direction, equivalent};
pub use effective::Effective;
pub use range_set::{Address, Count, RangeSet};
pub use reach::{Doubtful, Reach};
pub(crate) use spelling::uncovered;
pub use spelling::{means_same, subtract};
