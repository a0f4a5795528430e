//! A run as one versioned JSON document, the same for `--format json` and `--report json=FILE`.
//!
//! Owns the shape and its version. Does not leave a field out because it is empty, and does not contain a credential or
//! a raw response.

mod access;
mod document;

use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(super) use access::ComparisonDoc;
pub(crate) use access::comparison;
pub(super) use document::{ReportDocument, Reported, ShardEnd, Summary};

use super::cost::Cost;
use super::formats::to_json;
use super::metadata::{Metadata, PlanView};
use crate::model::Code;
use crate::plan::{Plan, Report};
use crate::policy::{Refusal, Violation};

/// The value of `format`.
pub(crate) const FORMAT: &str = "portward.report";

/// The version of the shape.
pub(crate) const VERSION: u32 = 1;

/// Everything a run has to say.
#[derive(Clone, Debug, Default)]
pub struct RunReport<'a> {
    /// The verb, such as `plan`.
    pub verb: &'a str,
    /// The configuration, as it was named; empty where the verb has none.
    pub config: &'a str,
    /// The exit code of the process.
    pub exit_code: u8,
    /// Why it could not go on, where it could not.
    pub error: Option<Problem>,
    /// The problems of the configuration.
    pub problems: Vec<Problem>,
    /// The refusals of guards.
    pub refusals: &'a [Refusal],
    /// Policies that do not hold.
    pub violations: &'a [Violation],
    /// The plan, where there is one.
    pub plan: Option<&'a Plan>,
    /// The calls, where there were any.
    pub cost: Option<&'a Cost>,
    /// The result, if something was applied.
    pub report: Option<&'a Report>,
    /// Further facts about the run.
    pub metadata: Option<&'a Metadata>,
}

impl RunReport<'_> {
    /// The way in which its plan is presented.
    pub(super) fn plan_view(&self) -> PlanView<'_> {
        match self
            .metadata
            .and_then(|metadata| metadata.inventory.as_deref())
        {
            Some(inventory) if self.verb == "drift" => PlanView::InventoryDrift(inventory),
            None if self.verb == "drift" => PlanView::Drift,
            _ => PlanView::Plan,
        }
    }
}

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ProblemSeverity {
    /// The run could not do what it was asked.
    Error,
    /// Something to look at.
    Warning,
}

/// An error or a warning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Problem {
    /// Error or warning.
    pub severity: ProblemSeverity,
    /// The code, such as `PW-101`.
    #[cfg_attr(test, schemars(with = "String"))]
    pub code: Code,
    /// A sentence fragment.
    pub message: String,
    /// The file it is about.
    pub file: Option<String>,
    /// From 1.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    /// The line in which it ends.
    pub end_line: Option<usize>,
    /// The column right behind its last character.
    pub end_column: Option<usize>,
    /// The hint.
    pub hint: Option<String>,
}

impl Problem {
    /// A warning that no file is to blame for.
    pub(crate) fn warning(code: Code, message: impl Into<String>) -> Self {
        Self {
            severity: ProblemSeverity::Warning,
            ..Self::error(code, message, None)
        }
    }

    /// An error that no file is to blame for.
    pub(crate) fn error(code: Code, message: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            severity: ProblemSeverity::Error,
            code,
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
pub fn document(run: &RunReport<'_>) -> String {
    text(&ReportDocument::of(run))
}

/// A report as text.
pub(super) fn text(document: &ReportDocument<'_>) -> String {
    to_json(document)
}
