//! What became of a plan: one result an instance, as data for reports and exit codes.
//!
//! Owns the words for an ending. Does not know how it was reached.

use std::borrow::Cow;
use std::fmt;

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
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            Self::Applied { repaired: None } => "applied",
            Self::Applied { repaired: Some(_) } => "repaired",
            Self::AlreadyApplied => "already-applied",
            Self::Stale(_) => "stale",
            Self::ForeignWriter(_) => "foreign-writer",
            Self::Failed(_) => "failed",
            Self::NotStarted(_) => "not-started",
            Self::Reverted(_) => "reverted",
        }
    }

    /// Why it is so, where there is more to say than the status.
    #[must_use]
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
    #[must_use]
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

impl InstanceResult {
    /// Whether anything was asked about the instance.
    #[must_use]
    pub fn was_begun(&self) -> bool {
        !matches!(self.outcome, Outcome::NotStarted(_))
    }
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
