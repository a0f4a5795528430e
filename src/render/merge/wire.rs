//! The members of a report as they are read back, and of the joined one.
//!
//! Owns the names. What is only passed on stays JSON. Refuses members that it does not know: they would be lost on the way.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What every version has.
#[derive(Deserialize)]
pub(super) struct Head {
    pub(super) format: String,
    pub(super) version: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Document {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "version")]
    _version: u32,
    #[serde(rename = "tool")]
    _tool: String,
    #[serde(default)]
    pub(super) environment: Vec<String>,
    pub(super) verb: String,
    #[serde(default)]
    pub(super) shard: Option<ShardDoc>,
    #[serde(default)]
    pub(super) config: Option<String>,
    pub(super) exit_code: u8,
    pub(super) interrupted: bool,
    pub(super) error: Option<ProblemDoc>,
    pub(super) problems: Vec<ProblemDoc>,
    pub(super) refusals: Vec<Value>,
    pub(super) violations: Vec<Value>,
    pub(super) overrides: Vec<Value>,
    pub(super) summary: Summary,
    pub(super) instances: Vec<Value>,
    pub(super) unreadable: Vec<Value>,
    pub(super) undecided: Vec<Value>,
    pub(super) regions_unreadable: Vec<Value>,
    pub(super) missing: Vec<Value>,
    pub(super) not_planned: Vec<Value>,
    pub(super) undeclared: Vec<Value>,
    pub(super) expiring: Vec<Value>,
    pub(super) api_calls: Vec<CallsDoc>,
    pub(super) notes: Vec<Value>,
    pub(super) needed: Option<NeededDoc>,
    pub(super) seen_in_bulk: Vec<Value>,
}

impl Document {
    /// The first number of the summary that is not that of what is listed: what it counts, the right one, and the one that
    /// is there.
    pub(super) fn wrong_sum(&self) -> Option<(&'static str, usize, usize)> {
        let Summary {
            declared,
            in_sync,
            to_change,
            observed,
            refused,
            still_open,
            incomplete,
            unreadable,
            undecided,
            missing,
            not_planned,
            undeclared,
            calls,
            writes,
        } = self.summary;
        let verdict = |verdict: &str| {
            let instances = self.instances.iter();
            instances.filter(|i| i["verdict"] == verdict).count()
        };
        let incompletes = self.instances.iter().filter(|i| !i["incomplete"].is_null());
        let opens = self.instances.iter().filter(|i| !i["stillOpen"].is_null());
        let calls_of = |instance: &Value| instance["calls"].as_array().map_or(0, Vec::len);
        let writes_of = |instance: &Value| {
            let writes = instance["outcome"]["writes"].as_u64().unwrap_or(0);
            usize::try_from(writes).unwrap_or(usize::MAX)
        };
        let written = self
            .instances
            .iter()
            .map(writes_of)
            .fold(0, usize::saturating_add);
        let unread = self.unreadable.len();
        [
            (
                "declared",
                self.instances.len()
                    + unread
                    + self.undecided.len()
                    + self.missing.len()
                    + self.not_planned.len(),
                declared,
            ),
            ("in sync", verdict("in-sync"), in_sync),
            ("to change", verdict("change"), to_change),
            ("observed", verdict("observed"), observed),
            ("refused", verdict("refused"), refused),
            ("still open", opens.count(), still_open),
            ("not fully readable", incompletes.count(), incomplete),
            (
                "unreadable",
                unread + self.regions_unreadable.len(),
                unreadable,
            ),
            ("undecided", self.undecided.len(), undecided),
            ("missing", self.missing.len(), missing),
            ("not part of the plan", self.not_planned.len(), not_planned),
            ("undeclared", self.undeclared.len(), undeclared),
            ("calls", self.instances.iter().map(calls_of).sum(), calls),
            ("writes", written, writes.unwrap_or(0)),
        ]
        .into_iter()
        .find(|(_, listed, said)| listed != said)
    }
}

/// The reports of all shards as one.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Merged {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) environment: Vec<String>,
    pub(super) format: String,
    pub(super) version: u32,
    pub(super) tool: String,
    pub(super) verb: String,
    pub(super) shards: Vec<ShardEnd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) config: Option<String>,
    pub(super) exit_code: u8,
    pub(super) interrupted: bool,
    pub(super) error: Option<ProblemDoc>,
    pub(super) problems: Vec<ProblemDoc>,
    pub(super) refusals: Vec<Value>,
    pub(super) violations: Vec<Value>,
    pub(super) overrides: Vec<Value>,
    pub(super) summary: Summary,
    pub(super) instances: Vec<Value>,
    pub(super) unreadable: Vec<Value>,
    pub(super) undecided: Vec<Value>,
    pub(super) regions_unreadable: Vec<Value>,
    pub(super) missing: Vec<Value>,
    pub(super) not_planned: Vec<Value>,
    pub(super) undeclared: Vec<Value>,
    pub(super) expiring: Vec<Value>,
    pub(super) api_calls: Vec<CallsDoc>,
    pub(super) notes: Vec<Value>,
    pub(super) needed: Option<NeededDoc>,
    pub(super) seen_in_bulk: Vec<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShardDoc {
    pub(super) index: u16,
    pub(super) of: u16,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShardEnd {
    pub(super) index: u16,
    pub(super) exit_code: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ProblemDoc {
    pub(super) severity: String,
    pub(super) message: String,
    pub(super) file: Option<String>,
    pub(super) line: Option<usize>,
    pub(super) column: Option<usize>,
    pub(super) end_line: Option<usize>,
    pub(super) end_column: Option<usize>,
    pub(super) hint: Option<String>,
}

impl ProblemDoc {
    pub(super) fn error(message: String) -> Self {
        Self {
            severity: "error".to_owned(),
            message,
            file: None,
            line: None,
            column: None,
            end_line: None,
            end_column: None,
            hint: None,
        }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallsDoc {
    pub(super) action: String,
    pub(super) answered: u64,
    pub(super) throttled: u64,
    pub(super) failed: u64,
}

impl CallsDoc {
    pub(super) fn add(&mut self, other: &Self) {
        self.answered = self.answered.saturating_add(other.answered);
        self.throttled = self.throttled.saturating_add(other.throttled);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NeededDoc {
    pub(super) writes: u64,
    pub(super) reads: u64,
    pub(super) least_seconds: u64,
}

impl NeededDoc {
    /// Shards work side by side, each with its share of the rates, so that the slowest says how long it takes.
    pub(super) fn add(&mut self, other: &Self) {
        self.writes = self.writes.saturating_add(other.writes);
        self.reads = self.reads.saturating_add(other.reads);
        self.least_seconds = self.least_seconds.max(other.least_seconds);
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Summary {
    pub(super) declared: usize,
    pub(super) in_sync: usize,
    pub(super) to_change: usize,
    pub(super) observed: usize,
    pub(super) refused: usize,
    #[serde(default)]
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

impl Summary {
    pub(super) fn add(&mut self, other: &Self) {
        let Self {
            declared,
            in_sync,
            to_change,
            observed,
            refused,
            still_open,
            incomplete,
            unreadable,
            undecided,
            missing,
            not_planned,
            undeclared,
            calls,
            writes,
        } = other;
        for (mine, theirs) in [
            (&mut self.declared, declared),
            (&mut self.in_sync, in_sync),
            (&mut self.to_change, to_change),
            (&mut self.observed, observed),
            (&mut self.refused, refused),
            (&mut self.still_open, still_open),
            (&mut self.incomplete, incomplete),
            (&mut self.unreadable, unreadable),
            (&mut self.undecided, undecided),
            (&mut self.missing, missing),
            (&mut self.not_planned, not_planned),
            (&mut self.undeclared, undeclared),
            (&mut self.calls, calls),
        ] {
            *mine = mine.saturating_add(*theirs);
        }
        self.writes = match (self.writes, writes) {
            (None, other) => *other,
            (mine, None) => mine,
            (Some(mine), Some(theirs)) => Some(mine.saturating_add(*theirs)),
        };
    }
}
