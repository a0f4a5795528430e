//! The lines of a receipt, in their spelling.
//!
//! Owns names and order. Refuses unknown members, and to interpret anything.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::entries;
use crate::apply::{Intent, Stage};
use crate::lightsail::{Error, Kind, Operation};
use crate::model::{Key, PortState, Sources};
use crate::plan::{Call, InstanceResult};

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(super) enum Line {
    Header(Header),
    Intent(IntentLine),
    Outcome(OutcomeLine),
    Result(ResultLine),
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
    /// When the run began, RFC 3339.
    pub started: String,
    /// The process.
    pub pid: u32,
    /// The digest of the plan file that is applied, where there is one.
    pub plan_digest: Option<String>,
    /// What the run was told to look at.
    pub scope: Scope,
    /// In how many seconds the run has to be confirmed, where it has to be.
    pub confirm_within: Option<u64>,
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
    #[must_use]
    pub fn new(started: OffsetDateTime, scope: Scope) -> Self {
        Self {
            format: super::FORMAT.to_owned(),
            version: super::VERSION,
            tool: concat!("portward ", env!("CARGO_PKG_VERSION")).to_owned(),
            started: text(started),
            pid: std::process::id(),
            plan_digest: None,
            scope,
            confirm_within: None,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IntentLine {
    pub(super) at: String,
    pub(super) write: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<String>,
    pub(super) region: String,
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) before: Vec<PortState>,
    pub(super) call: CallLine,
    pub(super) after: Vec<PortState>,
}

/// A call as it is sent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CallLine {
    pub(super) action: String,
    pub(super) request: Request,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Request {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) port_info: Option<PortInfo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) port_infos: Option<Vec<PortInfo>>,
    pub(super) instance_name: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PortInfo {
    pub(super) from_port: i32,
    pub(super) to_port: i32,
    pub(super) protocol: String,
    pub(super) cidrs: Vec<String>,
    pub(super) ipv6_cidrs: Vec<String>,
    pub(super) cidr_list_aliases: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OutcomeLine {
    pub(super) at: String,
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
pub(super) struct ResultLine {
    pub(super) at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<String>,
    pub(super) region: String,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) reason: Option<String>,
    pub(super) writes: usize,
    pub(super) operations: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ConfirmationLine {
    pub(super) at: String,
    pub(super) state: Confirming,
    pub(super) until: Option<String>,
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
    pub(super) at: String,
    pub(super) interrupted: bool,
}

pub(super) fn intent(write: usize, intent: &Intent<'_>) -> Line {
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
        account: instance.id.account.clone(),
        region: instance.id.region.clone(),
        name: instance.id.name.clone(),
        arn: instance.arn.clone(),
        before: entries(before, known, false),
        call: CallLine {
            action: call.action().to_owned(),
            request: request(call, &instance.id.name),
        },
        after: entries(after, known, replaced),
    })
}

pub(super) fn outcome(write: usize, answer: Result<&Operation, &Error>) -> Line {
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

pub(super) fn result(result: &InstanceResult) -> Line {
    let InstanceResult {
        id,
        outcome,
        writes,
        operations,
        steps: _,
        note,
    } = result;
    Line::Result(ResultLine {
        at: now(),
        account: id.account.clone(),
        region: id.region.clone(),
        name: id.name.clone(),
        status: outcome.status().to_owned(),
        reason: outcome.reason().map(Into::into).or_else(|| note.clone()),
        writes: *writes,
        operations: operations.clone(),
    })
}

pub(super) fn confirmation(stage: Stage<'_>) -> Line {
    let (state, until, why) = match stage {
        Stage::Unconfirmed { until } => (Confirming::Unconfirmed, Some(text(until)), None),
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

pub(super) fn end(interrupted: bool) -> Line {
    Line::End(EndLine {
        at: now(),
        interrupted,
    })
}

fn request(call: &Call, name: &str) -> Request {
    let (port_info, port_infos) = match call {
        Call::Open { key, sources } | Call::Close { key, sources } => {
            (Some(self::port_info(*key, sources)), None)
        }
        Call::Put { firewall } => {
            let rules = firewall.iter();
            let rules = rules.map(|(key, sources)| self::port_info(*key, sources));
            (None, Some(rules.collect()))
        }
    };
    Request {
        port_info,
        port_infos,
        instance_name: name.to_owned(),
    }
}

fn port_info(key: Key, sources: &Sources) -> PortInfo {
    PortInfo {
        from_port: key.from(),
        to_port: key.to(),
        protocol: key.protocol().as_str().to_owned(),
        cidrs: sources.cidrs().collect(),
        ipv6_cidrs: sources.ipv6_cidrs().collect(),
        cidr_list_aliases: sources.aliases().iter().cloned().collect(),
    }
}

fn now() -> String {
    text(OffsetDateTime::now_utc())
}

fn text(at: OffsetDateTime) -> String {
    at.format(&Rfc3339)
        .unwrap_or_else(|_| at.unix_timestamp().to_string())
}
