//! Context of a request: its site, its time, and the storage of its changes.
//!
//! Owns the types between the state machine and the files. Does not store anything.

use time::OffsetDateTime;

use crate::inventory::Inventory;
use crate::model::Site;

use super::error_response::Result;
use super::operation::Operation;

/// The context of a request or of an event.
pub(super) struct Context<'a> {
    pub(super) site: &'a Site,
    pub(super) now: OffsetDateTime,
    pub(super) persist: Persist<'a>,
}

/// Stores a change. If that fails, the change is undone and the error is the response, except that the rules stay changed if only
/// the operation of a write cannot be stored.
pub(super) type Persist<'a> = &'a mut dyn FnMut(StateChange<'_>) -> Result<()>;

/// A change to be stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum StateChange<'a> {
    /// The new inventory, and the cause of the change.
    Inventory(&'a Inventory, ChangeCause),
    /// A new operation, or its new status.
    Operation(&'a Operation),
}

/// The cause of a change of the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeCause {
    ClientWrite,
    /// An event: a pending instance started running, or a scripted event.
    Event,
}
