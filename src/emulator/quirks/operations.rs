//! Values of the quirks of operations, and of reads after a write.
//!
//! Does not apply them; `operations` and `state` do.

use strum::{Display, EnumString, VariantNames};

/// Whether a read returns the last write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum ReadConsistency {
    /// At once.
    #[default]
    Fresh,
    /// The next two reads of the instance return the previous value.
    Lag,
    /// The next three return the previous, the current, and the previous value.
    Flicker,
}

/// The final status of a successful operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum SuccessStatus {
    /// `Succeeded`.
    #[default]
    Succeeded,
    /// `Completed`.
    Completed,
}

/// How operations end. Unless stated otherwise, the rules change at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum OperationProgress {
    /// They have ended in the response to the write.
    #[default]
    Immediate,
    /// They are `NotStarted` in the response to the write, `Started` for this many `GetOperation` reads, and then end.
    #[strum(serialize = "later", default_with = "default_reads")]
    AfterReads(u32),
    /// They stay `Started` until [`finish_operations`](crate::emulator::Emulator::finish_operations) is called.
    #[strum(serialize = "never")]
    Explicit,
    /// As `AfterReads`, but they end as `Failed`, and the rules do not change.
    #[strum(serialize = "fail", default_with = "default_reads")]
    Fails(u32),
    /// As `Fails`, but the rules change.
    #[strum(serialize = "fail-applied", default_with = "default_reads")]
    FailsApplied(u32),
}

/// The number of reads for a value by name.
fn default_reads() -> u32 {
    2
}
