//! What became of a plan: one result an instance, as data for reports and exit codes.
//!
//! Owns the words for an ending. Refuses to know how it was reached.

use crate::model::InstanceId;

/// A failure as people need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, as a sentence fragment.
    pub message: String,
    /// The service's error code, where it gave one.
    pub code: Option<String>,
    /// The service's request id, where it gave one.
    pub request_id: Option<String>,
    /// What a person can do.
    pub hint: Option<String>,
}

/// How it ended for one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The calls were made and the read-back means `after`.
    Applied {
        /// Whether the fallback Put was needed, and why.
        repaired: Option<String>,
    },
    /// Live was `after` already, so nothing was written.
    AlreadyApplied,
    /// Live was neither `before` nor `after`, so nothing was written. Says what is different.
    Stale(String),
    /// Somebody else wrote while we did; left alone. Says who and when, as far as known.
    ForeignWriter(String),
    /// It failed; `written` calls had been accepted by then.
    Failed(Failure),
    /// Not begun: interrupted, or too much had failed before.
    NotStarted(String),
}

/// One instance that had calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceResult {
    /// Which.
    pub id: InstanceId,
    /// How it ended.
    pub outcome: Outcome,
    /// How many writes were sent that were, or may have been, accepted.
    pub writes: usize,
    /// The operations the service gave, in order.
    pub operations: Vec<String>,
}

/// What became of a plan, in its order.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One entry for each instance of the plan that had calls.
    pub results: Vec<InstanceResult>,
    /// Whether a signal cut the run short.
    pub interrupted: bool,
}
