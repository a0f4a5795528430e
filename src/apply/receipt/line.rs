//! The lines of a receipt, in their spelling.
//!
//! Owns names and order; instances, calls and endings are spelled by their own types. Refuses unknown members, and to
//! interpret anything.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::entries;
use crate::apply::{Intent, Stage};
use crate::lightsail::{Error, Kind, Operation};
use crate::model::{InstanceId, PortState, instant};
use crate::plan::{Call, Ending, InstanceResult};

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(super) enum Line<'a> {
    Header(Header),
    Intent(IntentLine<'a>),
    Outcome(OutcomeLine),
    Result(ResultLine<'a>),
    Confirmation(ConfirmationLine),
    End(EndLine),
}

/// What a run is, told before it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    pub(super) format: String,
    pub(super) version: u32,
    /// Name and version of the program.
    pub tool: String,
    /// When the run began.
    #[serde(with = "instant")]
    pub started: OffsetDateTime,
    /// The process.
    pub pid: u32,
    /// The digest of the plan file that is applied, where there is one.
    pub plan_digest: Option<String>,
    /// What the run was told to look at.
    pub scope: Scope,
    /// In how many seconds the run has to be confirmed, where it has to be.
    pub confirm_within: Option<u64>,
    /// The grant that the run opens or closes, and why it was made, in full; a tag holds what fits into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
}

/// What a run was told to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scope {
    /// The account, where it is known.
    pub account: Option<String>,
    /// The regions.
    pub regions: Vec<String>,
    /// The selectors; none is everything that is declared.
    pub targets: Vec<String>,
}

impl Header {
    /// The header of a run of this process that begins now.
    pub fn new(started: OffsetDateTime, scope: Scope) -> Self {
        Self {
            format: super::FORMAT.to_owned(),
            version: super::VERSION,
            tool: concat!("portward ", env!("CARGO_PKG_VERSION")).to_owned(),
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
pub(super) struct IntentLine<'a> {
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
pub(super) struct OutcomeLine {
    #[serde(with = "instant")]
    pub(super) at: OffsetDateTime,
    pub(super) write: usize,
    pub(super) status: Answered,
    pub(super) operation: Option<String>,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) request_id: Option<String>,
}

/// What came back of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Answered {
    /// An operation.
    Accepted,
    /// An error that says it was not carried out.
    Refused,
    /// Nothing that tells whether it was carried out.
    Unanswered,
    /// It never left.
    Unsent,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ResultLine<'a> {
    #[serde(with = "instant")]
    pub(super) at: OffsetDateTime,
    #[serde(flatten)]
    pub(super) id: Cow<'a, InstanceId>,
    #[serde(flatten)]
    pub(super) ending: Ending<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ConfirmationLine {
    #[serde(with = "instant")]
    pub(super) at: OffsetDateTime,
    pub(super) state: Confirming,
    #[serde(with = "instant::option")]
    pub(super) until: Option<OffsetDateTime>,
    pub(super) why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Confirming {
    Unconfirmed,
    Confirmed,
    Reverting,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EndLine {
    #[serde(with = "instant")]
    pub(super) at: OffsetDateTime,
    pub(super) interrupted: bool,
}

pub(super) fn intent<'a>(write: usize, intent: &Intent<'a>) -> Line<'a> {
    let Intent {
        instance,
        known,
        before,
        call,
        after,
    } = intent;
    let replaced = matches!(call, Call::Put { .. });
    Line::Intent(IntentLine {
        at: now(),
        write,
        id: Cow::Borrowed(&instance.id),
        arn: instance.arn.as_str().into(),
        before: entries(before, known, false),
        call: Cow::Borrowed(call),
        after: entries(after, known, replaced),
    })
}

pub(super) fn outcome(write: usize, answer: Result<&Operation, &Error>) -> Line<'static> {
    let mut line = OutcomeLine {
        at: now(),
        write,
        status: Answered::Accepted,
        operation: None,
        code: None,
        message: None,
        request_id: None,
    };
    match answer {
        Ok(operation) => line.operation = Some(operation.id.clone()),
        Err(error) => {
            line.status = match error.kind() {
                _ if error.is_outcome_unknown() => Answered::Unanswered,
                Kind::Connection | Kind::Timeout => Answered::Unsent,
                _ => Answered::Refused,
            };
            line.code = error.code().map(str::to_owned);
            line.message = Some(error.message().to_owned());
            line.request_id = error.request_id().map(str::to_owned);
        }
    }
    Line::Outcome(line)
}

pub(super) fn result(result: &InstanceResult) -> Line<'_> {
    Line::Result(ResultLine {
        at: now(),
        id: Cow::Borrowed(&result.id),
        ending: result.ending(),
    })
}

pub(super) fn confirmation(stage: Stage<'_>) -> Line<'static> {
    let (state, until, why) = match stage {
        Stage::Unconfirmed { until } => (Confirming::Unconfirmed, Some(until), None),
        Stage::Confirmed => (Confirming::Confirmed, None, None),
        Stage::Reverting { why } => (Confirming::Reverting, None, Some(why.to_owned())),
    };
    Line::Confirmation(ConfirmationLine {
        at: now(),
        state,
        until,
        why,
    })
}

pub(super) fn end(interrupted: bool) -> Line<'static> {
    Line::End(EndLine {
        at: now(),
        interrupted,
    })
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}
