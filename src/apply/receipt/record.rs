//! The records of a receipt, one for each line.
//!
//! **Owns** their JSON form; instances, calls and outcomes have their own. Unknown members are refused. **Does not** interpret them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::entries;
use crate::apply::{Intent, Stage};
use crate::lightsail::{Error, ErrorKind, Operation};
use crate::model::{InstanceId, PortState, instant};
use crate::plan::file::TOOL;
use crate::plan::{Call, Ending, InstanceResult};

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(super) enum Record<'a> {
    Header(Header),
    Intent(IntentRecord<'a>),
    Outcome(OutcomeRecord),
    Result(ResultRecord<'a>),
    Confirmation(ConfirmationRecord),
    End(EndRecord),
}

/// The facts about a run, written before it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    pub(super) format: String,
    pub(super) version: u32,
    /// The name and version of the program.
    pub tool: String,
    /// The start of the run.
    #[serde(with = "instant")]
    pub started: OffsetDateTime,
    /// The process ID.
    pub pid: u32,
    /// The digest of the plan file that is applied, if there is one.
    pub plan_digest: Option<String>,
    /// The part of the fleet that the run is for.
    pub scope: RunScope,
    /// The number of seconds within which the run has to be confirmed, if it has to be.
    pub confirm_within: Option<u64>,
    /// The grant that the run opens or closes, with its full reason, which a tag may truncate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
}

/// The part of the fleet that a run is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunScope {
    /// The account, if it is known.
    pub account: Option<String>,
    /// The regions.
    pub regions: Vec<String>,
    /// The selectors; empty for all declared instances.
    pub targets: Vec<String>,
}

impl Header {
    /// The header of a run of this process.
    pub fn new(started: OffsetDateTime, scope: RunScope) -> Self {
        Self {
            format: super::FORMAT.to_owned(),
            version: super::VERSION,
            tool: TOOL.to_owned(),
            started,
            pid: std::process::id(),
            plan_digest: None,
            scope,
            confirm_within: None,
            grant: None,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IntentRecord<'a> {
    #[serde(with = "instant")]
    pub(super) at: OffsetDateTime,
    pub(super) write: usize,
    #[serde(flatten)]
    pub(super) id: Cow<'a, InstanceId>,
    pub(super) arn: Cow<'a, str>,
    pub(super) before: Vec<PortState>,
    pub(super) call: Cow<'a, Call>,
    pub(super) after: Vec<PortState>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OutcomeRecord {
    #[serde(with = "instant")]
    pub(super) at: OffsetDateTime,
    pub(super) write: usize,
    pub(super) status: WriteStatus,
    pub(super) operation: Option<String>,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) request_id: Option<String>,
}

/// The response to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum WriteStatus {
    /// The service returned an operation.
    Accepted,
    /// The service returned an error that says that the write was not carried out.
    Refused,
    /// It is not known whether the write was carried out.
    Unanswered,
    /// The request was not sent.
    Unsent,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ResultRecord<'a> {
    #[serde(with = "instant")]
    pub(super) at: OffsetDateTime,
    #[serde(flatten)]
    pub(super) id: Cow<'a, InstanceId>,
    #[serde(flatten)]
    pub(super) ending: Ending<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ConfirmationRecord {
    #[serde(with = "instant")]
    pub(super) at: OffsetDateTime,
    pub(super) state: ConfirmationState,
    #[serde(with = "instant::option")]
    pub(super) until: Option<OffsetDateTime>,
    pub(super) why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ConfirmationState {
    Unconfirmed,
    Confirmed,
    Reverting,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EndRecord {
    #[serde(with = "instant")]
    pub(super) at: OffsetDateTime,
    pub(super) interrupted: bool,
}

pub(super) fn intent<'a>(write: usize, intent: &Intent<'a>) -> Record<'a> {
    let Intent {
        instance,
        known,
        before,
        call,
        after,
    } = intent;
    Record::Intent(IntentRecord {
        at: now(),
        write,
        id: Cow::Borrowed(&instance.id),
        arn: instance.arn.as_str().into(),
        before: entries(before, known, false),
        call: Cow::Borrowed(call),
        after: entries(after, known, call.replaces()),
    })
}

pub(super) fn outcome(write: usize, response: Result<&Operation, &Error>) -> Record<'static> {
    let mut line = OutcomeRecord {
        at: now(),
        write,
        status: WriteStatus::Accepted,
        operation: None,
        code: None,
        message: None,
        request_id: None,
    };
    match response {
        Ok(operation) => line.operation = Some(operation.id.clone()),
        Err(error) => {
            line.status = match error.kind() {
                _ if error.is_outcome_unknown() => WriteStatus::Unanswered,
                ErrorKind::Connection | ErrorKind::Timeout => WriteStatus::Unsent,
                _ => WriteStatus::Refused,
            };
            line.code = error.code().map(str::to_owned);
            line.message = Some(error.message().to_owned());
            line.request_id = error.request_id().map(str::to_owned);
        }
    }
    Record::Outcome(line)
}

pub(super) fn result(result: &InstanceResult) -> Record<'_> {
    Record::Result(ResultRecord {
        at: now(),
        id: Cow::Borrowed(&result.id),
        ending: result.ending(),
    })
}

pub(super) fn confirmation(stage: Stage<'_>) -> Record<'static> {
    let (state, until, why) = match stage {
        Stage::Unconfirmed { until } => (ConfirmationState::Unconfirmed, Some(until), None),
        Stage::Confirmed => (ConfirmationState::Confirmed, None, None),
        Stage::Reverting { why } => (ConfirmationState::Reverting, None, Some(why.to_owned())),
    };
    Record::Confirmation(ConfirmationRecord {
        at: now(),
        state,
        until,
        why,
    })
}

pub(super) fn end(interrupted: bool) -> Record<'static> {
    Record::End(EndRecord {
        at: now(),
        interrupted,
    })
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
