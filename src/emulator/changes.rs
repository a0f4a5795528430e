//! The changes that are stored in files.
//!
//! Owns the types between the state machine and the files. Does not store anything.

use crate::inventory::Inventory;

use super::fault::Fault;
use super::operation::Operation;

/// The cause of a change of the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A write of a client.
    Written,
    /// A change without a client: a pending instance started running, or a scripted event.
    Happened,
}

/// A change to be stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Changed<'a> {
    /// The new inventory, and the cause.
    Inventory(&'a Inventory, Event),
    /// A new operation, or its new status.
    Operation(&'a Operation),
}

/// Stores a change. If that fails, the change is undone and the fault is the response, except that the rules stay changed if only
/// the operation of a write cannot be stored.
pub(super) type Keep<'a> = &'a mut dyn FnMut(Changed<'_>) -> Result<(), Fault>;
