//! Effective access: what a firewall really lets in, and how two of them differ, exactly.
//!
//! Owns the meaning of rules. The space of packets is cut into five protocol atoms, each atom into cells (a port, or an
//! ICMP type and code), and every cell has the set of sources that get in. Splitting a port range or a network changes
//! the spelling and not the meaning, so nothing that is decided here can be evaded by spelling. Does not know how a
//! firewall is changed, and what is wise to open.

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
pub use atom::{Atom, Exposed, Run};
pub(crate) use compare::{Compared, ComparisonSubject, RuleRef, Side, Which};
pub(crate) use describe::{Line, Lines, addresses, thousands, who};
pub use diff::{Diff, Direction, equivalent};
pub use effective::Effective;
pub use range_set::{Address, Count, RangeSet};
pub use reach::{Doubtful, Reach};
pub(crate) use spelling::uncovered;
pub use spelling::{means_same, subtract};
