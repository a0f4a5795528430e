//! The report as a document: what a run writes, and what is read again to join the reports of shards.
//!
//! Owns the members that are the report's own, and the sums over what it lists; everything that is listed is spelled by its
//! own type. Does not leave a member out because it is empty. Refuses members that it does not know: they would be lost on
//! the way.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{FORMAT, Problem, RunReport, VERSION};
use crate::model::{
    Calls, Fingerprint, InstanceId, Missing, Note, Shard, Site, Undeclared, Unreadable, pairs,
};
use crate::plan::file::TOOL;
use crate::plan::{Ending, InstancePlan, InstanceResult, Override, Verdict};
use crate::policy::{Refusal, Violation};
use crate::render::cost::Cost;
use crate::render::metadata::{Expiring, LastChange};

/// A report. A report of this run borrows from its plan; a report that is read owns its data.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::render) struct ReportDocument<'a> {
    /// Environment variables that took effect, or that the verb does not take; left out where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::render) environment: Vec<String>,
    #[cfg_attr(test, schemars(extend("const" = FORMAT)))]
    pub(in crate::render) format: Cow<'a, str>,
    #[cfg_attr(test, schemars(extend("const" = VERSION)))]
    pub(in crate::render) version: u32,
    pub(in crate::render) tool: Cow<'a, str>,
    pub(in crate::render) verb: Cow<'a, str>,
    /// The shard of the fleet; left out if it is the whole fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::render) shard: Option<Shard>,
    /// In a report that was joined from those of shards: how each of them ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::render) shards: Vec<ShardEnd>,
    /// SHA-256 over the texts of the configuration; left out where it was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::render) config: Option<Fingerprint>,
    pub(in crate::render) exit_code: u8,
    pub(in crate::render) interrupted: bool,
    /// Why the run could not go on.
    pub(in crate::render) error: Option<Cow<'a, Problem>>,
    pub(in crate::render) problems: Cow<'a, [Problem]>,
    /// The refusals of guards; if there are any, nothing is written.
    pub(in crate::render) refusals: Cow<'a, [Refusal]>,
    /// Policies that do not hold. One of severity `deny` that is `introduced` stands in the way of the plan; then nothing is
    /// written.
    pub(in crate::render) violations: Cow<'a, [Violation]>,
    /// Consent that was given when the plan was made, and that was needed.
    pub(in crate::render) overrides: Cow<'a, [Override]>,
    pub(in crate::render) summary: Summary,
    pub(in crate::render) instances: Vec<Reported<'a>>,
    #[serde(with = "pairs")]
    #[cfg_attr(test, schemars(with = "Vec<pairs::Pair<InstanceId, Unreadable>>"))]
    pub(in crate::render) unreadable: Cow<'a, [(InstanceId, Unreadable)]>,
    /// Instances of which it is not known what is declared: a name or a group could mean others, which could not be listed.
    #[serde(with = "pairs")]
    #[cfg_attr(test, schemars(with = "Vec<pairs::Pair<InstanceId, Unreadable>>"))]
    pub(in crate::render) undecided: Cow<'a, [(InstanceId, Unreadable)]>,
    #[serde(with = "pairs")]
    #[cfg_attr(test, schemars(with = "Vec<pairs::Pair<Site, Unreadable>>"))]
    pub(in crate::render) regions_unreadable: Cow<'a, [(Site, Unreadable)]>,
    pub(in crate::render) missing: Cow<'a, [Missing]>,
    /// Instances of a plan file that it does not change, which were not read when it was applied.
    pub(in crate::render) not_planned: Cow<'a, [InstanceId]>,
    pub(in crate::render) undeclared: Cow<'a, [Undeclared]>,
    /// Rules that end within 14 days, each once.
    pub(in crate::render) expiring: Cow<'a, [Expiring]>,
    /// The calls that were made, by action; each attempt counts.
    pub(in crate::render) api_calls: Cow<'a, [Calls]>,
    /// Problems that concern no single instance.
    pub(in crate::render) notes: Cow<'a, [Note]>,
    /// The cost of applying the plan; null if it is unknown.
    pub(in crate::render) needed: Option<Needed>,
    /// Instances whose rules were seen in a list and nowhere else.
    pub(in crate::render) seen_in_bulk: Vec<Cow<'a, InstanceId>>,
}

impl<'a> ReportDocument<'a> {
    /// One of this program, without anything to list.
    pub(in crate::render) fn empty() -> Self {
        Self {
            format: FORMAT.into(),
            version: VERSION,
            tool: TOOL.into(),
            ..Self::default()
        }
    }

    /// The report of a run.
    pub(in crate::render) fn of(run: &'a RunReport<'a>) -> Self {
        let mut document = Self {
            verb: run.verb.into(),
            exit_code: run.exit_code,
            interrupted: run.report.is_some_and(|report| report.interrupted),
            error: run.error.as_ref().map(Cow::Borrowed),
            problems: (&run.problems).into(),
            refusals: run.refusals.into(),
            violations: run.violations.into(),
            needed: run.cost.map(Needed::of),
            ..Self::empty()
        };
        let results = run.report.iter().flat_map(|report| &report.results);
        let results: HashMap<&InstanceId, &InstanceResult> =
            results.map(|result| (&result.id, result)).collect();
        if let Some(metadata) = run.metadata {
            document.shard = metadata.shard;
            document.config = metadata.config;
            document.expiring = (&metadata.expiring).into();
            document.api_calls = (&metadata.calls).into();
        }
        if let Some(plan) = run.plan {
            document.overrides = (&plan.overrides).into();
            document.unreadable = (&plan.unreadable).into();
            document.undecided = (&plan.undecided).into();
            document.regions_unreadable = (&plan.sites_unreadable).into();
            document.missing = (&plan.missing).into();
            document.not_planned = (&plan.unplanned).into();
            document.undeclared = (&plan.undeclared).into();
            document.notes = (&plan.notes).into();
            let instances = plan.instances.iter().map(|plan| {
                let id = &plan.instance.id;
                let last_change = run.metadata.and_then(|it| it.last_changes.get(id));
                Reported {
                    plan: Cow::Borrowed(plan),
                    last_change: last_change.map(Cow::Borrowed),
                    outcome: results.get(id).map(|result| result.ending()),
                }
            });
            document.instances = instances.collect();
        }
        let listed = run.cost.iter().flat_map(|cost| &cost.only_listed);
        let was_begun = |id: &InstanceId| results.get(id).is_some_and(|it| it.was_begun());
        let listed = listed.filter(|id| !was_begun(id));
        document.seen_in_bulk = listed.map(Cow::Borrowed).collect();
        document.summary = Summary::of(&document, run.report.is_some());
        document
    }
}

/// An instance of the plan, and what is known of it besides.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(in crate::render) struct Reported<'a> {
    #[serde(flatten)]
    pub(in crate::render) plan: Cow<'a, InstancePlan>,
    /// The last operation on its rules; left out where that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::render) last_change: Option<Cow<'a, LastChange>>,
    /// Null where nothing was tried.
    pub(in crate::render) outcome: Option<Ending<'a>>,
}

impl Reported<'_> {
    /// Whether the plan finds a difference.
    pub(in crate::render) fn differs(&self) -> bool {
        self.plan.verdict.differs()
    }
}

/// The outcome of a shard.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::render) struct ShardEnd {
    /// Its index, from 1.
    pub(in crate::render) index: u16,
    /// Null where there is no report.
    pub(in crate::render) exit_code: Option<u8>,
}

/// The cost of applying a plan.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::render) struct Needed {
    /// Calls that write.
    writes: u64,
    /// Calls that read, before the writes and after them.
    reads: u64,
    /// The least time in which they get through, rounded up.
    least_seconds: u64,
}

impl Needed {
    pub(super) fn of(cost: &Cost) -> Self {
        let needed = &cost.needed;
        Self {
            writes: needed.writes,
            reads: needed.reads,
            least_seconds: needed.least.as_secs() + u64::from(needed.least.subsec_nanos() > 0),
        }
    }

    /// Shards run concurrently, each with its share of the rates, so the slowest determines the time.
    pub(in crate::render) fn add(&mut self, other: Self) {
        self.writes = self.writes.saturating_add(other.writes);
        self.reads = self.reads.saturating_add(other.reads);
        self.least_seconds = self.least_seconds.max(other.least_seconds);
    }
}

/// The number of each kind in a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::render) struct Summary {
    pub(in crate::render) declared: usize,
    pub(in crate::render) in_sync: usize,
    pub(in crate::render) to_change: usize,
    pub(in crate::render) observed: usize,
    pub(in crate::render) refused: usize,
    /// Instances on which access that must go is open through rules that are not ours.
    pub(in crate::render) still_open: usize,
    /// Instances of which some live entries could not be read.
    pub(in crate::render) incomplete: usize,
    pub(in crate::render) unreadable: usize,
    pub(in crate::render) undecided: usize,
    pub(in crate::render) missing: usize,
    pub(in crate::render) not_planned: usize,
    pub(in crate::render) undeclared: usize,
    pub(in crate::render) calls: usize,
    /// The number of writes that were or may have been accepted; null if nothing was applied.
    pub(in crate::render) writes: Option<usize>,
}

impl Summary {
    /// Of what a report lists; of its writes only where it has `tried` any.
    pub(in crate::render) fn of(document: &ReportDocument<'_>, tried: bool) -> Self {
        let plans = || document.instances.iter().map(|instance| &*instance.plan);
        let count = |is: fn(&InstancePlan) -> bool| plans().filter(|plan| is(plan)).count();
        let outcomes = document.instances.iter().flat_map(|i| &i.outcome);
        let writes = outcomes
            .map(|outcome| outcome.writes)
            .fold(0, usize::saturating_add);
        Self {
            declared: document.instances.len()
                + document.unreadable.len()
                + document.undecided.len()
                + document.missing.len()
                + document.not_planned.len(),
            in_sync: count(|i| i.verdict == Verdict::InSync),
            to_change: count(|i| i.verdict == Verdict::Change),
            observed: count(|i| i.verdict == Verdict::Observed),
            refused: count(|i| matches!(i.verdict, Verdict::Refused { .. })),
            still_open: count(|i| !i.still_open.is_empty()),
            incomplete: count(|i| i.incomplete.is_some()),
            unreadable: document.unreadable.len() + document.regions_unreadable.len(),
            undecided: document.undecided.len(),
            missing: document.missing.len(),
            not_planned: document.not_planned.len(),
            undeclared: document.undeclared.len(),
            calls: plans().map(|plan| plan.calls.len()).sum(),
            writes: tried.then_some(writes),
        }
    }

    /// The numbers, by what they count.
    pub(in crate::render) fn numbers(&self) -> [(&'static str, usize); 14] {
        [
            ("declared", self.declared),
            ("in sync", self.in_sync),
            ("to change", self.to_change),
            ("observed", self.observed),
            ("refused", self.refused),
            ("still open", self.still_open),
            ("not fully readable", self.incomplete),
            ("unreadable", self.unreadable),
            ("undecided", self.undecided),
            ("missing", self.missing),
            ("not part of the plan", self.not_planned),
            ("undeclared", self.undeclared),
            ("calls", self.calls),
            ("writes", self.writes.unwrap_or(0)),
        ]
    }
}
