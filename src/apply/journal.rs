//! What an executor tells before and after each write, so that a run that dies can be understood and undone.
//!
//! Owns the words between the executor and whoever keeps them. Does not know where they are kept.

use std::io;

use time::OffsetDateTime;

use crate::lightsail::{Error, Operation};
use crate::model::{Firewall, Instance, LiveFirewall};
use crate::plan::{Call, InstanceResult};

/// A write that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Intent<'a> {
    /// To which instance.
    pub instance: &'a Instance,
    /// What was read when the plan was made. Entries that are no certain rules are found here only.
    pub known: &'a LiveFirewall,
    /// The certain rules right before this write.
    pub before: &'a Firewall,
    /// The write.
    pub call: &'a Call,
    /// The rules that it leads to.
    pub after: &'a Firewall,
}

/// How far a run is that has to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage<'a> {
    /// Everything is written and proved; without a confirmation it is put back then.
    Unconfirmed {
        /// When.
        until: OffsetDateTime,
    },
    /// It stays.
    Confirmed,
    /// It is being put back.
    Reverting {
        /// Why.
        why: &'a str,
    },
}

/// Keeps what it is told. A write whose intent cannot be kept is not sent.
pub trait Journal {
    /// A write is about to be sent. When this returns, it must be known even after a power cut. Gives the write a number.
    ///
    /// # Errors
    /// Whatever kept it from being kept.
    fn intent(&self, intent: &Intent<'_>) -> io::Result<usize>;

    /// What came back of the write with this number. Failing to keep it keeps nobody from going on: the intent is known.
    fn outcome(&self, write: usize, answer: Result<&Operation, &Error>);

    /// An instance is done with.
    fn result(&self, result: &InstanceResult);

    /// The whole run has come this far.
    fn stage(&self, stage: Stage<'_>);
}

/// Nothing is kept.
impl Journal for () {
    fn intent(&self, _: &Intent<'_>) -> io::Result<usize> {
        Ok(0)
    }

    fn outcome(&self, _: usize, _: Result<&Operation, &Error>) {}

    fn result(&self, _: &InstanceResult) {}

    fn stage(&self, _: Stage<'_>) {}
}
