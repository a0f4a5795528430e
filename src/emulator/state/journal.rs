//! The journal: every change of rules that was accepted, one record for each moment at which they changed.
//!
//! Owns the shape of a record. Does not judge one.

use time::OffsetDateTime;

use crate::model::{InstanceId, PortState};

/// A write that was accepted, or one step of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// When.
    pub at: OffsetDateTime,
    /// Who wrote.
    pub by: Author,
    /// The API action, such as `PutInstancePublicPorts`.
    pub action: &'static str,
    /// Whose rules.
    pub instance: InstanceId,
    /// The ARN that the instance had, which tells it from another one with the same name.
    pub arn: String,
    /// The rules in the request, to the letter and without a state; none for a Put that closes everything.
    pub request: Vec<PortState>,
    /// The rules before.
    pub before: Vec<PortState>,
    /// The rules after; equal to `before` where the write changed nothing.
    pub after: Vec<PortState>,
    /// Which step of the request this is, from 1.
    pub step: u8,
    /// Of how many: 2 for a Put that takes effect in two steps, else 1.
    pub steps: u8,
}

/// Who wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// A client of this emulator.
    Client,
    /// Somebody else, whom the faults sent.
    SecondWriter,
}
