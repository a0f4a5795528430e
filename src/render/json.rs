//! A run as one versioned JSON document, the same for `--format json` and `--report json=FILE`.
//!
//! Owns the shape and its version. Refuses to leave a field out because it is empty, and to hold a credential, an
//! environment or a raw reply.

use serde::Serialize;

use super::words::until;
use crate::exposure::Exposed;
use crate::model::{Firewall, InstanceId, Note, PortState, Sources, Unreadable};
use crate::plan::{
    Call, Cause, CauseKind, Change, InstancePlan, InstanceResult, Outcome, Plan, Report, Verdict,
};

/// What `format` says.
pub const FORMAT: &str = "portward.report";

/// The version of the shape.
pub const VERSION: u32 = 1;

/// Everything a run has to say.
#[derive(Clone, Debug, Default)]
pub struct Run<'a> {
    /// The verb, such as `plan`.
    pub verb: &'a str,
    /// The exit code of the process.
    pub exit_code: u8,
    /// Why it could not go on, where it could not.
    pub error: Option<Problem>,
    /// What the configuration's reader has to say.
    pub problems: Vec<Problem>,
    /// The plan, where there is one.
    pub plan: Option<&'a Plan>,
    /// What became of it, where something was tried.
    pub report: Option<&'a Report>,
}

/// An error or a warning.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `error` or `warning`.
    pub severity: &'static str,
    /// A sentence fragment.
    pub message: String,
    /// The file it is about.
    pub file: Option<String>,
    /// From 1.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    /// What would help.
    pub hint: Option<String>,
}

impl Problem {
    /// An error that no file is to blame for.
    #[must_use]
    pub fn error(message: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            severity: "error",
            message: message.into(),
            file: None,
            line: None,
            column: None,
            hint,
        }
    }
}

/// The document, indented, with a final newline.
///
/// # Panics
/// Never: the shape has no map with keys that are not strings.
#[must_use]
pub fn document(run: &Run<'_>) -> String {
    let empty = Plan::default();
    let plan = run.plan.unwrap_or(&empty);
    let results = run
        .report
        .map(|report| report.results.as_slice())
        .unwrap_or_default();
    let count = |is: fn(&InstancePlan) -> bool| {
        plan.instances
            .iter()
            .filter(|instance| is(instance))
            .count()
    };
    let document = Document {
        format: FORMAT,
        version: VERSION,
        tool: concat!("portward ", env!("CARGO_PKG_VERSION")),
        verb: run.verb,
        exit_code: run.exit_code,
        interrupted: run.report.is_some_and(|report| report.interrupted),
        error: run.error.as_ref(),
        problems: &run.problems,
        summary: Summary {
            declared: plan.instances.len() + plan.unreadable.len() + plan.missing.len(),
            in_sync: count(|i| i.verdict == Verdict::InSync && i.incomplete.is_none()),
            to_change: count(|i| i.verdict == Verdict::Change),
            observed: count(|i| i.verdict == Verdict::Observed),
            refused: count(|i| matches!(i.verdict, Verdict::Refused { .. })),
            incomplete: count(|i| i.incomplete.is_some()),
            unreadable: plan.unreadable.len() + plan.regions_unreadable.len(),
            missing: plan.missing.len(),
            undeclared: plan.undeclared.len(),
            calls: plan.instances.iter().map(|i| i.calls.len()).sum(),
            writes: run
                .report
                .map(|report| report.results.iter().map(|result| result.writes).sum()),
        },
        instances: plan
            .instances
            .iter()
            .map(|i| instance(i, results.iter().find(|r| r.id == i.instance.id)))
            .collect(),
        unreadable: plan
            .unreadable
            .iter()
            .map(|(id, why)| unreadable(&id.region, Some(&id.name), why))
            .collect(),
        regions_unreadable: plan
            .regions_unreadable
            .iter()
            .map(|(region, why)| unreadable(region, None, why))
            .collect(),
        missing: plan
            .missing
            .iter()
            .map(|missing| MissingDoc {
                name: &missing.name,
                file: &missing.origin.file,
                line: missing.origin.line,
                hint: missing.hint.as_deref(),
            })
            .collect(),
        undeclared: plan
            .undeclared
            .iter()
            .map(|undeclared| id(&undeclared.id))
            .collect(),
        notes: plan.notes.iter().map(note).collect(),
    };
    let mut text =
        serde_json::to_string_pretty(&document).expect("strings and numbers are always JSON");
    text.push('\n');
    text
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    format: &'static str,
    version: u32,
    tool: &'static str,
    verb: &'a str,
    exit_code: u8,
    interrupted: bool,
    error: Option<&'a Problem>,
    problems: &'a [Problem],
    summary: Summary,
    instances: Vec<InstanceDoc<'a>>,
    unreadable: Vec<UnreadableDoc<'a>>,
    regions_unreadable: Vec<UnreadableDoc<'a>>,
    missing: Vec<MissingDoc<'a>>,
    undeclared: Vec<IdDoc<'a>>,
    notes: Vec<NoteDoc<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    declared: usize,
    in_sync: usize,
    to_change: usize,
    observed: usize,
    refused: usize,
    incomplete: usize,
    unreadable: usize,
    missing: usize,
    undeclared: usize,
    calls: usize,
    writes: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IdDoc<'a> {
    region: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UnreadableDoc<'a> {
    region: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    reason: &'a str,
    hint: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MissingDoc<'a> {
    name: &'a str,
    file: &'a str,
    line: usize,
    hint: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NoteDoc<'a> {
    text: &'a str,
    file: Option<&'a str>,
    line: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InstanceDoc<'a> {
    region: &'a str,
    name: &'a str,
    arn: &'a str,
    state: &'a str,
    ip_address_type: &'a str,
    mode: &'static str,
    verdict: &'static str,
    reason: Option<&'a str>,
    hint: Option<&'a str>,
    incomplete: Option<&'a str>,
    changes: Vec<ChangeDoc<'a>>,
    calls: Vec<CallDoc<'a>>,
    exposure: ExposureDoc,
    before: Vec<PortInfo>,
    uncertain: Vec<UncertainDoc<'a>>,
    after: Vec<PortInfo>,
    notes: Vec<NoteDoc<'a>>,
    outcome: Option<OutcomeDoc<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeDoc<'a> {
    action: &'static str,
    protocol: &'static str,
    from_port: i32,
    to_port: i32,
    before: SourcesDoc,
    after: SourcesDoc,
    causes: Vec<CauseDoc<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CauseDoc<'a> {
    kind: &'static str,
    file: &'a str,
    line: usize,
    column: usize,
    why: Option<&'a str>,
    owner: Option<&'a str>,
    until: Option<String>,
}

/// The members of the API, in its spelling.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourcesDoc {
    cidrs: Vec<String>,
    ipv6_cidrs: Vec<String>,
    cidr_list_aliases: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PortInfo {
    protocol: &'static str,
    from_port: i32,
    to_port: i32,
    #[serde(flatten)]
    sources: SourcesDoc,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UncertainDoc<'a> {
    entry: &'a PortState,
    reason: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallDoc<'a> {
    action: &'static str,
    request: RequestDoc<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestDoc<'a> {
    instance_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    port_info: Option<PortInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port_infos: Option<Vec<PortInfo>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExposureDoc {
    gained: Vec<BoxDoc>,
    lost: Vec<BoxDoc>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BoxDoc {
    protocol: &'static str,
    from: u16,
    to: u16,
    #[serde(flatten)]
    sources: SourcesDoc,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutcomeDoc<'a> {
    status: &'static str,
    reason: Option<&'a str>,
    code: Option<&'a str>,
    request_id: Option<&'a str>,
    hint: Option<&'a str>,
    writes: usize,
    operations: &'a [String],
}

fn id(id: &InstanceId) -> IdDoc<'_> {
    IdDoc {
        region: &id.region,
        name: &id.name,
    }
}

fn unreadable<'a>(
    region: &'a str,
    name: Option<&'a str>,
    why: &'a Unreadable,
) -> UnreadableDoc<'a> {
    UnreadableDoc {
        region,
        name,
        reason: &why.reason,
        hint: why.hint.as_deref(),
    }
}

fn note(note: &Note) -> NoteDoc<'_> {
    let Note { text, origin } = note;
    NoteDoc {
        text,
        file: origin.as_ref().map(|origin| &*origin.file),
        line: origin.as_ref().map(|origin| origin.line),
    }
}

fn instance<'a>(plan: &'a InstancePlan, result: Option<&'a InstanceResult>) -> InstanceDoc<'a> {
    let InstancePlan {
        instance,
        mode,
        before,
        after,
        changes,
        calls,
        fallback: _,
        verdict,
        exposure,
        incomplete,
        notes,
    } = plan;
    let (verdict, reason, hint) = match verdict {
        Verdict::InSync if incomplete.is_some() => ("incomplete", None, None),
        Verdict::InSync => ("in-sync", None, None),
        Verdict::Change => ("change", None, None),
        Verdict::Observed => ("observed", None, None),
        Verdict::Refused { reason, hint } => ("refused", Some(reason.as_str()), hint.as_deref()),
    };
    InstanceDoc {
        region: &instance.id.region,
        name: &instance.id.name,
        arn: &instance.arn,
        state: instance.state.name(),
        ip_address_type: instance.address_type.name(),
        mode: mode.as_str(),
        verdict,
        reason,
        hint,
        incomplete: incomplete.as_deref(),
        changes: changes.iter().map(change).collect(),
        calls: calls
            .iter()
            .map(|call| self::call(call, &instance.id.name))
            .collect(),
        exposure: ExposureDoc {
            gained: exposure.gained.iter().map(exposed).collect(),
            lost: exposure.lost.iter().map(exposed).collect(),
        },
        before: port_infos(before.firewall()),
        uncertain: before
            .uncertain()
            .iter()
            .map(|u| UncertainDoc {
                entry: &u.entry,
                reason: u.doubt.to_string(),
            })
            .chain(before.unknown().iter().map(|entry| UncertainDoc {
                entry,
                reason: "unknown protocol".to_owned(),
            }))
            .collect(),
        after: port_infos(after),
        notes: notes.iter().map(note).collect(),
        outcome: result.map(outcome),
    }
}

fn change(change: &Change) -> ChangeDoc<'_> {
    let Change {
        key,
        before,
        after,
        causes,
    } = change;
    let gains = !crate::exposure::subtract(after, before).is_empty();
    let loses = !crate::exposure::subtract(before, after).is_empty();
    ChangeDoc {
        action: match (before.is_empty(), after.is_empty()) {
            (true, _) => "add",
            (_, true) => "remove",
            _ if gains && loses => "replace",
            _ if gains => "widen",
            _ => "narrow",
        },
        protocol: key.protocol().as_str(),
        from_port: key.from(),
        to_port: key.to(),
        before: sources(before),
        after: sources(after),
        causes: causes.iter().map(cause).collect(),
    }
}

fn cause(cause: &Cause) -> CauseDoc<'_> {
    let Cause {
        kind,
        origin,
        why,
        owner,
        until: end,
    } = cause;
    CauseDoc {
        kind: match kind {
            CauseKind::Declared => "declared",
            CauseKind::Absent => "absent",
            CauseKind::Expired => "expired",
        },
        file: &origin.file,
        line: origin.line,
        column: origin.column,
        why: why.as_deref(),
        owner: owner.as_deref(),
        until: end.map(until),
    }
}

fn sources(sources: &Sources) -> SourcesDoc {
    SourcesDoc {
        cidrs: sources.cidrs().collect(),
        ipv6_cidrs: sources.ipv6_cidrs().collect(),
        cidr_list_aliases: sources.aliases().iter().cloned().collect(),
    }
}

fn port_infos(firewall: &Firewall) -> Vec<PortInfo> {
    firewall
        .iter()
        .map(|(key, sources)| port_info(*key, sources))
        .collect()
}

fn port_info(key: crate::model::Key, sources: &Sources) -> PortInfo {
    PortInfo {
        protocol: key.protocol().as_str(),
        from_port: key.from(),
        to_port: key.to(),
        sources: self::sources(sources),
    }
}

fn call<'a>(call: &Call, name: &'a str) -> CallDoc<'a> {
    let (port_info, port_infos) = match call {
        Call::Open { key, sources } | Call::Close { key, sources } => {
            (Some(port_info(*key, sources)), None)
        }
        Call::Put { firewall } => (None, Some(port_infos(firewall))),
    };
    CallDoc {
        action: call.action(),
        request: RequestDoc {
            instance_name: name,
            port_info,
            port_infos,
        },
    }
}

fn exposed(exposed: &Exposed) -> BoxDoc {
    BoxDoc {
        protocol: exposed.atom.as_str(),
        from: exposed.from,
        to: exposed.to,
        sources: sources(&exposed.sources),
    }
}

fn outcome(result: &InstanceResult) -> OutcomeDoc<'_> {
    let InstanceResult {
        id: _,
        outcome,
        writes,
        operations,
    } = result;
    let (status, reason) = match outcome {
        Outcome::Applied { repaired: None } => ("applied", None),
        Outcome::Applied {
            repaired: Some(why),
        } => ("repaired", Some(why.as_str())),
        Outcome::AlreadyApplied => ("already-applied", None),
        Outcome::Stale(why) => ("stale", Some(why.as_str())),
        Outcome::ForeignWriter(why) => ("foreign-writer", Some(why.as_str())),
        Outcome::Failed(failure) => ("failed", Some(failure.message.as_str())),
        Outcome::NotStarted(why) => ("not-started", Some(why.as_str())),
    };
    let failure = match outcome {
        Outcome::Failed(failure) => Some(failure),
        _ => None,
    };
    OutcomeDoc {
        status,
        reason,
        code: failure.and_then(|failure| failure.code.as_deref()),
        request_id: failure.and_then(|failure| failure.request_id.as_deref()),
        hint: failure.and_then(|failure| failure.hint.as_deref()),
        writes: *writes,
        operations,
    }
}
