//! A run as one versioned JSON document, the same for `--format json` and `--report json=FILE`.
//!
//! Owns the shape and its version. Does not leave a field out because it is empty, and to hold a credential or
//! a raw reply.

mod access;
mod encode;
mod wire;

use serde::Serialize;

pub use access::comparison;
use encode::{
    blind, calls, consent, expiring, id, instance, needed, note, refusal, shard, unreadable,
    violation,
};
use wire::{Document, MissingDoc, Summary};

use super::cost::Cost;
use super::facts::{Asked, Facts};
use crate::plan::{InstancePlan, Plan, Report, Verdict};
use crate::policy::{Refusal, Violation};

/// What `format` says.
pub const FORMAT: &str = "portward.report";

/// The version of the shape.
pub const VERSION: u32 = 1;

/// Everything a run has to say.
#[derive(Clone, Debug, Default)]
pub struct Run<'a> {
    /// The verb, such as `plan`.
    pub verb: &'a str,
    /// The configuration, as it was named; empty where the verb has none.
    pub config: &'a str,
    /// The exit code of the process.
    pub exit_code: u8,
    /// Why it could not go on, where it could not.
    pub error: Option<Problem>,
    /// What the configuration's reader has to say.
    pub problems: Vec<Problem>,
    /// What the guards refuse.
    pub refusals: &'a [Refusal],
    /// Policies that do not hold.
    pub violations: &'a [Violation],
    /// The plan, where there is one.
    pub plan: Option<&'a Plan>,
    /// The calls, where there were any.
    pub cost: Option<&'a Cost>,
    /// What became of it, where something was tried.
    pub report: Option<&'a Report>,
    /// What else is known of it.
    pub facts: Option<&'a Facts>,
}

impl Run<'_> {
    /// Which question its plan answers.
    pub(super) fn asked(&self) -> Asked<'_> {
        match self.facts.and_then(|facts| facts.inventory.as_deref()) {
            Some(inventory) if self.verb == "drift" => Asked::DriftOf(inventory),
            None if self.verb == "drift" => Asked::Drift,
            _ => Asked::Plan,
        }
    }
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
    /// Where it ends.
    pub end_line: Option<usize>,
    /// The column right behind its last character.
    pub end_column: Option<usize>,
    /// What would help.
    pub hint: Option<String>,
}

impl Problem {
    /// A warning that no file is to blame for.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: "warning",
            ..Self::error(message, None)
        }
    }

    /// An error that no file is to blame for.
    #[must_use]
    pub fn error(message: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            severity: "error",
            message: message.into(),
            file: None,
            line: None,
            column: None,
            end_line: None,
            end_column: None,
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
    let nothing = Facts::default();
    let facts = run.facts.unwrap_or(&nothing);
    let document = Document {
        format: FORMAT,
        version: VERSION,
        tool: concat!("portward ", env!("CARGO_PKG_VERSION")),
        verb: run.verb,
        shard: facts.shard.map(shard),
        config: facts.config.map(|config| config.to_string()),
        exit_code: run.exit_code,
        interrupted: run.report.is_some_and(|report| report.interrupted),
        error: run.error.as_ref(),
        problems: &run.problems,
        refusals: run.refusals.iter().map(refusal).collect(),
        violations: run.violations.iter().map(violation).collect(),
        overrides: plan.overrides.iter().map(consent).collect(),
        summary: Summary {
            declared: plan.instances.len()
                + plan.unreadable.len()
                + plan.undecided.len()
                + plan.missing.len()
                + plan.unplanned.len(),
            in_sync: count(|i| i.verdict == Verdict::InSync && i.incomplete.is_none()),
            to_change: count(|i| i.verdict == Verdict::Change),
            observed: count(|i| i.verdict == Verdict::Observed),
            refused: count(|i| matches!(i.verdict, Verdict::Refused { .. })),
            still_open: count(|i| !i.still_open.is_empty()),
            incomplete: count(|i| i.incomplete.is_some()),
            unreadable: plan.unreadable.len() + plan.sites_unreadable.len(),
            undecided: plan.undecided.len(),
            missing: plan.missing.len(),
            not_planned: plan.unplanned.len(),
            undeclared: plan.undeclared.len(),
            calls: plan.instances.iter().map(|i| i.calls.len()).sum(),
            writes: run
                .report
                .map(|report| report.results.iter().map(|result| result.writes).sum()),
        },
        instances: plan
            .instances
            .iter()
            .map(|i| {
                let id = &i.instance.id;
                let result = results.iter().find(|r| r.id == *id);
                instance(i, result, facts.last_changes.get(id))
            })
            .collect(),
        unreadable: plan.unreadable.iter().map(blind).collect(),
        undecided: plan.undecided.iter().map(blind).collect(),
        regions_unreadable: plan
            .sites_unreadable
            .iter()
            .map(|(site, why)| unreadable(site.account.as_deref(), &site.region, None, why))
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
        not_planned: plan.unplanned.iter().map(id).collect(),
        undeclared: plan
            .undeclared
            .iter()
            .map(|undeclared| id(&undeclared.id))
            .collect(),
        expiring: facts.expiring.iter().map(expiring).collect(),
        api_calls: facts.calls.iter().map(calls).collect(),
        notes: plan.notes.iter().map(note).collect(),
        needed: run.cost.map(needed),
        seen_in_bulk: run
            .cost
            .iter()
            .flat_map(|cost| &cost.only_listed)
            .filter(|id| !results.iter().any(|r| r.id == **id && r.was_begun()))
            .map(id)
            .collect(),
    };
    let mut text =
        serde_json::to_string_pretty(&document).expect("strings and numbers are always JSON");
    text.push('\n');
    text
}
