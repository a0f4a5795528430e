//! The members of the JSON document, in their order and spelling.
//!
//! Owns the names. Does not compute anything.

use std::borrow::Cow;

use serde::Serialize;

use super::Problem;
use crate::model::PortState;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    pub(super) format: &'static str,
    pub(super) version: u32,
    pub(super) tool: &'static str,
    pub(super) verb: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) shard: Option<ShardDoc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) config: Option<String>,
    pub(super) exit_code: u8,
    pub(super) interrupted: bool,
    pub(super) error: Option<&'a Problem>,
    pub(super) problems: &'a [Problem],
    pub(super) refusals: Vec<RefusalDoc<'a>>,
    pub(super) violations: Vec<ViolationDoc<'a>>,
    pub(super) overrides: Vec<OverrideDoc<'a>>,
    pub(super) summary: Summary,
    pub(super) instances: Vec<InstanceDoc<'a>>,
    pub(super) unreadable: Vec<UnreadableDoc<'a>>,
    pub(super) undecided: Vec<UnreadableDoc<'a>>,
    pub(super) regions_unreadable: Vec<UnreadableDoc<'a>>,
    pub(super) missing: Vec<MissingDoc<'a>>,
    pub(super) not_planned: Vec<IdDoc<'a>>,
    pub(super) undeclared: Vec<IdDoc<'a>>,
    pub(super) expiring: Vec<ExpiringDoc<'a>>,
    pub(super) api_calls: Vec<CallsDoc<'a>>,
    pub(super) notes: Vec<NoteDoc<'a>>,
    pub(super) needed: Option<NeededDoc>,
    pub(super) seen_in_bulk: Vec<IdDoc<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NeededDoc {
    pub(super) writes: u64,
    pub(super) reads: u64,
    pub(super) least_seconds: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShardDoc {
    pub(super) index: u16,
    pub(super) of: u16,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExpiringDoc<'a> {
    pub(super) file: &'a str,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) until: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallsDoc<'a> {
    pub(super) action: &'a str,
    pub(super) answered: u64,
    pub(super) throttled: u64,
    pub(super) failed: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LastChangeDoc<'a> {
    pub(super) action: Option<&'a str>,
    pub(super) at: Option<String>,
    pub(super) unreadable: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) declared: usize,
    pub(super) in_sync: usize,
    pub(super) to_change: usize,
    pub(super) observed: usize,
    pub(super) refused: usize,
    pub(super) still_open: usize,
    pub(super) incomplete: usize,
    pub(super) unreadable: usize,
    pub(super) undecided: usize,
    pub(super) missing: usize,
    pub(super) not_planned: usize,
    pub(super) undeclared: usize,
    pub(super) calls: usize,
    pub(super) writes: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IdDoc<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<&'a str>,
    pub(super) region: &'a str,
    pub(super) name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnreadableDoc<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<&'a str>,
    pub(super) region: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    pub(super) reason: &'a str,
    pub(super) hint: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MissingDoc<'a> {
    pub(super) name: &'a str,
    pub(super) file: &'a str,
    pub(super) line: usize,
    pub(super) hint: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NoteDoc<'a> {
    pub(super) text: &'a str,
    pub(super) file: Option<&'a str>,
    pub(super) line: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstanceDoc<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<&'a str>,
    pub(super) region: &'a str,
    pub(super) name: &'a str,
    pub(super) arn: &'a str,
    pub(super) state: &'a str,
    pub(super) ip_address_type: &'a str,
    pub(super) mode: &'static str,
    pub(super) verdict: &'static str,
    pub(super) reason: Option<&'a str>,
    pub(super) hint: Option<&'a str>,
    pub(super) incomplete: Option<&'a str>,
    pub(super) changes: Vec<ChangeDoc<'a>>,
    pub(super) calls: Vec<CallDoc<'a>>,
    pub(super) exposure: ExposureDoc,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) still_open: Vec<StillOpenDoc<'a>>,
    pub(super) before: Vec<PortInfo>,
    pub(super) uncertain: Vec<UncertainDoc<'a>>,
    pub(super) after: Vec<PortInfo>,
    pub(super) notes: Vec<NoteDoc<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_change: Option<LastChangeDoc<'a>>,
    pub(super) outcome: Option<OutcomeDoc<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangeDoc<'a> {
    pub(super) action: &'static str,
    pub(super) protocol: &'static str,
    pub(super) from_port: i32,
    pub(super) to_port: i32,
    pub(super) before: SourcesDoc,
    pub(super) after: SourcesDoc,
    pub(super) causes: Vec<CauseDoc<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CauseDoc<'a> {
    pub(super) kind: &'static str,
    pub(super) file: &'a str,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) why: Option<&'a str>,
    pub(super) owner: Option<&'a str>,
    pub(super) until: Option<String>,
}

/// The members of the API, in its spelling.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SourcesDoc {
    pub(super) cidrs: Vec<String>,
    pub(super) ipv6_cidrs: Vec<String>,
    pub(super) cidr_list_aliases: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PortInfo {
    pub(super) protocol: &'static str,
    pub(super) from_port: i32,
    pub(super) to_port: i32,
    #[serde(flatten)]
    pub(super) sources: SourcesDoc,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UncertainDoc<'a> {
    pub(super) entry: &'a PortState,
    pub(super) reason: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallDoc<'a> {
    pub(super) action: &'static str,
    pub(super) request: RequestDoc<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestDoc<'a> {
    pub(super) instance_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port_info: Option<PortInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port_infos: Option<Vec<PortInfo>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExposureDoc {
    pub(super) gained: Vec<BoxDoc>,
    pub(super) lost: Vec<BoxDoc>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StillOpenDoc<'a> {
    pub(super) protocol: &'static str,
    pub(super) from_port: i32,
    pub(super) to_port: i32,
    pub(super) access: Vec<BoxDoc>,
    pub(super) causes: Vec<CauseDoc<'a>>,
    pub(super) hint: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BoxDoc {
    pub(super) protocol: &'static str,
    pub(super) from: u16,
    pub(super) to: u16,
    #[serde(flatten)]
    pub(super) sources: SourcesDoc,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutcomeDoc<'a> {
    pub(super) status: &'static str,
    pub(super) reason: Option<Cow<'a, str>>,
    pub(super) code: Option<&'a str>,
    pub(super) request_id: Option<&'a str>,
    pub(super) hint: Option<&'a str>,
    pub(super) writes: usize,
    pub(super) operations: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RefusalDoc<'a> {
    pub(super) guard: &'static str,
    pub(super) instance: Option<IdDoc<'a>>,
    pub(super) reason: &'a str,
    pub(super) hint: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ViolationDoc<'a> {
    pub(super) policy: &'a str,
    pub(super) severity: &'static str,
    pub(super) seen: &'static str,
    pub(super) refuses: bool,
    pub(super) instance: Option<IdDoc<'a>>,
    pub(super) table: Option<&'a str>,
    pub(super) kind: &'static str,
    pub(super) reason: &'a str,
    pub(super) witness: WitnessDoc<'a>,
    pub(super) access: Vec<BoxDoc>,
    pub(super) lines: Vec<PlaceDoc<'a>>,
    pub(super) declared: Option<PlaceDoc<'a>>,
    pub(super) hint: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WitnessDoc<'a> {
    pub(super) source: &'a str,
    pub(super) what: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlaceDoc<'a> {
    pub(super) file: &'a str,
    pub(super) line: usize,
    pub(super) column: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OverrideDoc<'a> {
    pub(super) guard: &'static str,
    pub(super) selector: Option<&'a str>,
    pub(super) reason: &'a str,
}
