//! Outcomes: the result of carrying out a plan, for reports and exit codes.
//!
//! Owns the kinds of outcomes and their names. Does not know how an outcome is reached.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::undo::Step;
use crate::model::InstanceId;

/// A failed request or check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The error, as a sentence fragment.
    pub message: String,
    /// The service's error code, if it returned one.
    pub code: Option<String>,
    /// The service's request ID, if it returned one.
    pub request_id: Option<String>,
    /// What a person can do about it.
    pub hint: Option<String>,
}

/// The evidence that somebody else wrote to the same firewall.
///
/// Displays as a fragment with the action, its time and the difference, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignWrite {
    /// The action of an operation that this run did not start, such as `PutInstancePublicPorts`.
    pub action: Option<String>,
    /// The details of that operation from the service, such as `22/tcp`; may be empty.
    pub details: String,
    /// The time at which the operation began, by the service's clock.
    pub at: Option<OffsetDateTime>,
    /// The difference between the live rules and the plan, as a fragment; `None` if there is none, or if they were not compared.
    pub difference: Option<String>,
}

impl fmt::Display for ForeignWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            action,
            details,
            at,
            difference,
        } = self;
        match action {
            None => f.write_str("the rules changed during the run")?,
            Some(action) => {
                write!(f, "`{action}`")?;
                if !details.is_empty() {
                    write!(f, " ({details})")?;
                }
                if let Some(at) = at.and_then(|at| at.format(&Rfc3339).ok()) {
                    write!(f, " at {at}")?;
                }
                f.write_str(" is not from this run")?;
            }
        }
        match (difference, action) {
            (Some(difference), Some(_)) => write!(f, "; {difference}"),
            (Some(difference), None) => write!(f, ": {difference}"),
            (None, _) => Ok(()),
        }
    }
}

/// The name of an outcome.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::Display, strum::IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum OutcomeStatus {
    /// The calls were sent and the result was verified.
    Applied,
    /// The calls were sent, and the fallback Put was needed.
    Repaired,
    /// The live rules were as planned before any call.
    AlreadyApplied,
    /// The live rules were not those that the plan was made for.
    Stale,
    /// Somebody else wrote during the run.
    ForeignWriter,
    /// A request or the verification failed.
    Failed,
    /// The instance was not started.
    NotStarted,
    /// The change was undone.
    Reverted,
}

impl OutcomeStatus {
    /// Its name in documents.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the rules are as planned.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Applied | Self::Repaired | Self::AlreadyApplied)
    }
}

/// The result for one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The calls were sent and the rules that were read back mean `after`.
    Applied {
        /// Why the fallback Put was needed; `None` if it was not.
        repaired: Option<String>,
    },
    /// The live rules were `after` already, so nothing was written.
    AlreadyApplied,
    /// The live rules were neither `before` nor `after`, so nothing was written. Contains the difference.
    Stale(String),
    /// Somebody else wrote during the run; their change was kept.
    ForeignWriter(ForeignWrite),
    /// A request or the verification failed.
    Failed(Failure),
    /// The instance was not started, because the run was interrupted or too many instances had failed. Contains the reason.
    NotStarted(String),
    /// The change was undone because nobody confirmed it. Contains the reason, and the changes of others.
    Reverted(String),
}

impl Outcome {
    /// Its name in documents.
    pub fn status(&self) -> OutcomeStatus {
        match self {
            Self::Applied { repaired: None } => OutcomeStatus::Applied,
            Self::Applied { repaired: Some(_) } => OutcomeStatus::Repaired,
            Self::AlreadyApplied => OutcomeStatus::AlreadyApplied,
            Self::Stale(_) => OutcomeStatus::Stale,
            Self::ForeignWriter(_) => OutcomeStatus::ForeignWriter,
            Self::Failed(_) => OutcomeStatus::Failed,
            Self::NotStarted(_) => OutcomeStatus::NotStarted,
            Self::Reverted(_) => OutcomeStatus::Reverted,
        }
    }

    /// Why it is so, where there is more to say than the status.
    pub fn reason(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Applied { repaired: None } | Self::AlreadyApplied => return None,
            Self::Applied {
                repaired: Some(why),
            }
            | Self::Stale(why)
            | Self::NotStarted(why)
            | Self::Reverted(why) => Cow::Borrowed(why),
            Self::ForeignWriter(foreign) => Cow::Owned(foreign.to_string()),
            Self::Failed(failure) => Cow::Borrowed(&failure.message),
        })
    }

    /// Whether the instance was started and the rules are not as planned.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Applied { .. } | Self::AlreadyApplied | Self::NotStarted(_) => false,
            Self::Stale(_) | Self::ForeignWriter(_) | Self::Failed(_) | Self::Reverted(_) => true,
        }
    }
}

/// The result for one instance that had calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceResult {
    /// The instance.
    pub id: InstanceId,
    /// The outcome.
    pub outcome: Outcome,
    /// The number of writes that were, or may have been, accepted.
    pub writes: usize,
    /// The IDs of the operations that the service returned, in order.
    pub operations: Vec<String>,
    /// These writes, in order, for an undo.
    pub steps: Vec<Step>,
    /// A note on an outcome that is not a failure, as a fragment.
    pub note: Option<String>,
}

/// The JSON form of an outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ending<'a> {
    /// The name of the outcome.
    pub status: OutcomeStatus,
    /// The reason, if there is more to say than the status.
    pub reason: Option<Cow<'a, str>>,
    /// The service's error code, if it returned one.
    pub code: Option<Cow<'a, str>>,
    /// The service's request ID, if it returned one.
    pub request_id: Option<Cow<'a, str>>,
    /// What a person can do about it.
    pub hint: Option<Cow<'a, str>>,
    /// The number of writes that were, or may have been, accepted.
    pub writes: usize,
    /// The IDs of the operations that the service returned, in order.
    pub operations: Cow<'a, [String]>,
}

impl InstanceResult {
    /// The JSON form.
    pub fn ending(&self) -> Ending<'_> {
        let Self {
            id: _,
            outcome,
            writes,
            operations,
            steps: _,
            note,
        } = self;
        let failure = match outcome {
            Outcome::Failed(failure) => Some(failure),
            _ => None,
        };
        let text = |of: fn(&Failure) -> &Option<String>| {
            failure.and_then(|failure| of(failure).as_deref().map(Cow::Borrowed))
        };
        let note = note.as_deref().map(Cow::Borrowed);
        Ending {
            status: outcome.status(),
            reason: outcome.reason().or(note),
            code: text(|failure| &failure.code),
            request_id: text(|failure| &failure.request_id),
            hint: text(|failure| &failure.hint),
            writes: *writes,
            operations: operations.into(),
        }
    }

    /// Whether the instance was started.
    pub fn was_begun(&self) -> bool {
        !matches!(self.outcome, Outcome::NotStarted(_))
    }
}

/// The results of a plan, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Report {
    /// One result for each instance of the plan that had calls.
    pub results: Vec<InstanceResult>,
    /// Whether a signal interrupted the run.
    pub interrupted: bool,
}
