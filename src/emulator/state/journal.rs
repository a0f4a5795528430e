//! The journal: every accepted change of rules, with one record for each step.

use time::OffsetDateTime;

use crate::model::{InstanceId, PortState};

/// An accepted write, or one step of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The time of the change.
    pub at: OffsetDateTime,
    /// The author.
    pub by: Author,
    /// The API action, such as `PutInstancePublicPorts`.
    pub action: &'static str,
    /// The instance whose rules changed.
    pub instance: InstanceId,
    /// The ARN of the instance, which distinguishes instances with the same name.
    pub arn: String,
    /// The rules in the request, unchanged and without a state; none for a Put that closes everything.
    pub request: Vec<PortState>,
    /// The rules before.
    pub before: Vec<PortState>,
    /// The rules after; equal to `before` if the write changed nothing.
    pub after: Vec<PortState>,
    /// The step of the request, from 1.
    pub step: u8,
    /// The number of steps: 2 for a Put that takes effect in two steps, otherwise 1.
    pub steps: u8,
}

/// The author of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// A client of this emulator.
    Client,
    /// A foreign writer, which a fault simulates.
    ForeignWriter,
}
