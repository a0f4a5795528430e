//! What changed, for whoever keeps it.
//!
//! Owns the words between the state machine and a file. Does not keep anything.

use crate::inventory::Inventory;

use super::fault::Fault;
use super::operation::Operation;

/// What happened to the inventory, for whoever keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A client changed rules.
    Written,
    /// It changed without a client: a pending instance turned running, or somebody else was at work.
    Happened,
}

/// What changed, for whoever keeps it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Changed<'a> {
    /// The inventory is now this one, after such an event.
    Inventory(&'a Inventory, Event),
    /// An operation began, or moved on to this.
    Operation(&'a Operation),
}

/// Keeps what changed. Where that fails, the change is undone and the fault is the answer; but the rules stay changed where
/// only the operation of a write cannot be kept.
pub(super) type Keep<'a> = &'a mut dyn FnMut(Changed<'_>) -> Result<(), Fault>;
