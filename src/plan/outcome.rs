//! What became of a plan: one result an instance, as data for reports and exit codes.
//!
//! Owns the words for an ending. Does not know how it was reached.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::undo::Step;
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

/// What shows that somebody else wrote.
///
/// Displays as a fragment with the kind of the operation and its time, and what is different, as far as known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// The action of an operation that is not ours, such as `PutInstancePublicPorts`.
    pub what: Option<String>,
    /// What the service says it was about, such as `22/tcp`; may be empty.
    pub details: String,
    /// When it began, by the service's clock.
    pub at: Option<OffsetDateTime>,
    /// How the rules differ from what was planned, as a fragment; `None` where they do not, or were not looked at.
    pub difference: Option<String>,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            details,
            at,
            difference,
        } = self;
        match what {
            None => f.write_str("the rules changed while we wrote")?,
            Some(what) => {
                write!(f, "`{what}`")?;
                if !details.is_empty() {
                    write!(f, " ({details})")?;
                }
                if let Some(at) = at.and_then(|at| at.format(&Rfc3339).ok()) {
                    write!(f, " at {at}")?;
                }
                f.write_str(" is not ours")?;
            }
        }
        match (difference, what) {
            (Some(difference), Some(_)) => write!(f, "; {difference}"),
            (Some(difference), None) => write!(f, ": {difference}"),
            (None, _) => Ok(()),
        }
    }
}

/// How it ended for one instance, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Status {
    /// The calls were made.
    Applied,
    /// The calls were made, and the fallback Put was needed.
    Repaired,
    /// Nothing had to be written any more.
    AlreadyApplied,
    /// The rules were others than the plan is for.
    Stale,
    /// Somebody else wrote meanwhile.
    ForeignWriter,
    /// It failed.
    Failed,
    /// It was not begun.
    NotStarted,
    /// It was undone.
    Reverted,
}

impl Status {
    /// The word.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the rules are what the plan wanted.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Applied | Self::Repaired | Self::AlreadyApplied)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
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
    /// Somebody else wrote while we did; left alone.
    ForeignWriter(Foreign),
    /// It failed; `written` calls had been accepted by then.
    Failed(Failure),
    /// Not begun: interrupted, or too much had failed before.
    NotStarted(String),
    /// Written, and undone because nobody confirmed. Says why, and what somebody else changed meanwhile.
    Reverted(String),
}

impl Outcome {
    /// The one word for it in documents.
    pub fn status(&self) -> Status {
        match self {
            Self::Applied { repaired: None } => Status::Applied,
            Self::Applied { repaired: Some(_) } => Status::Repaired,
            Self::AlreadyApplied => Status::AlreadyApplied,
            Self::Stale(_) => Status::Stale,
            Self::ForeignWriter(_) => Status::ForeignWriter,
            Self::Failed(_) => Status::Failed,
            Self::NotStarted(_) => Status::NotStarted,
            Self::Reverted(_) => Status::Reverted,
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

    /// Whether the rules are not what the plan wanted, for whatever reason but that nothing was begun.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Applied { .. } | Self::AlreadyApplied | Self::NotStarted(_) => false,
            Self::Stale(_) | Self::ForeignWriter(_) | Self::Failed(_) | Self::Reverted(_) => true,
        }
    }
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
    /// Those writes, in order: what an undo begins from.
    pub steps: Vec<Step>,
    /// What should be known of an ending that is no failure, as a fragment.
    pub note: Option<String>,
}

/// How it ended for one instance, as documents have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ending<'a> {
    /// In one word.
    pub status: Status,
    /// Why it is so, where there is more to say than the status.
    pub reason: Option<Cow<'a, str>>,
    /// The service's error code, where it gave one.
    pub code: Option<Cow<'a, str>>,
    /// The service's request id, where it gave one.
    pub request_id: Option<Cow<'a, str>>,
    /// What a person can do.
    pub hint: Option<Cow<'a, str>>,
    /// How many writes were sent that were, or may have been, accepted.
    pub writes: usize,
    /// The operations the service gave, in order.
    pub operations: Cow<'a, [String]>,
}

impl InstanceResult {
    /// What documents tell of it.
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

    /// Whether anything was asked about the instance.
    pub fn was_begun(&self) -> bool {
        !matches!(self.outcome, Outcome::NotStarted(_))
    }
}

/// What became of a plan, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One entry for each instance of the plan that had calls.
    pub results: Vec<InstanceResult>,
    /// Whether a signal cut the run short.
    pub interrupted: bool,
}
