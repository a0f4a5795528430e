//! Journal: the record of each write before and after it is sent, so that a run that dies can be understood and undone.
//!
//! **Owns** the trait and its types. **Does not** know where records are stored.

use std::io;

use time::OffsetDateTime;

use crate::lightsail::{Error, Operation};
use crate::model::{Firewall, Instance, LiveFirewall};
use crate::plan::{Call, InstanceResult};

/// A write that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Intent<'a> {
    /// The instance.
    pub instance: &'a Instance,
    /// The live firewall when the plan was made. Only this contains the uncertain entries.
    pub known: &'a LiveFirewall,
    /// The certain rules before the write.
    pub before: &'a Firewall,
    /// The call.
    pub call: &'a Call,
    /// The rules after the write.
    pub after: &'a Firewall,
}

/// The stage of a run that has to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage<'a> {
    /// Everything is written and verified, and waits for confirmation.
    Unconfirmed {
        /// The time at which the writes are reverted without a confirmation.
        until: OffsetDateTime,
    },
    /// The run was confirmed.
    Confirmed,
    /// The writes are being reverted.
    Reverting {
        /// The reason, as a fragment.
        why: &'a str,
    },
}

/// Records the writes of a run. A write whose intent cannot be recorded is not sent.
pub trait Journal {
    /// Records a write that is about to be sent, durably. Returns the number of the write.
    ///
    /// # Errors
    /// The record could not be written.
    fn intent(&self, intent: &Intent<'_>) -> io::Result<usize>;

    /// Records the response to the write with this number. A failure to do so does not stop the run, because the intent is recorded.
    fn outcome(&self, _write: usize, _response: Result<&Operation, &Error>) {}

    /// Records the result for an instance.
    fn result(&self, _: &InstanceResult) {}

    /// Records the stage of the run.
    fn stage(&self, _: Stage<'_>) {}
}

/// Records nothing.
impl Journal for () {
    fn intent(&self, _: &Intent<'_>) -> io::Result<usize> {
        Ok(0)
    }
}
