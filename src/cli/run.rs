//! The state of a run.
//!
//! **Owns** the data that the steps of a verb collect and that every format is rendered from. **Does not** print anything.

use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use time::OffsetDateTime;

use super::error::{RunError, problems};
use super::exit::Exit;
use super::output::Output;
use crate::plan::file::Scope;
use crate::plan::{Plan, Report};
use crate::policy::{Findings, Refusal};
use crate::render::cost::Cost;
use crate::render::json::{self, Problem};
use crate::render::metadata::{Metadata, Provenance};
use crate::render::notification::Notification;

/// One run of a verb.
pub(super) struct Run {
    pub(super) verb: String,
    /// The path of the configuration; empty where the verb has none.
    config: String,
    /// Where its result goes.
    pub(super) output: Rc<Output>,
    pub(super) started: Instant,
    pub(super) metadata: Metadata,
    /// The error that ended it.
    error: Option<Problem>,
    pub(super) problems: Vec<Problem>,
    /// The refusals of the guards.
    pub(super) refusals: Vec<Refusal>,
    /// The findings of the policies, some of which may refuse the plan.
    pub(super) findings: Findings,
    pub(super) plan: Option<Plan>,
    /// The calls of the run and of its plan.
    pub(super) cost: Option<Cost>,
    /// The results, if the plan was executed.
    pub(super) report: Option<Report>,
    /// The exit so far.
    pub(super) exit: Exit,
    /// The notification, once the result was shown.
    pub(super) notification: Option<Notification>,
}

impl Run {
    pub(super) fn new(verb: &str, config: Option<&Path>, output: Output) -> Self {
        Self {
            verb: verb.to_owned(),
            config: config.map_or_else(String::new, |path| path.to_string_lossy().into_owned()),
            output: Rc::new(output),
            started: Instant::now(),
            metadata: Metadata {
                provenance: Provenance {
                    commit: ci_commit(),
                    ..Provenance::default()
                },
                ..Metadata::default()
            },
            error: None,
            problems: Vec::new(),
            refusals: Vec::new(),
            findings: Findings::default(),
            plan: None,
            cost: None,
            report: None,
            exit: Exit::Done,
            notification: None,
        }
    }

    /// Records when a plan was made, and its scope.
    pub(super) fn set_provenance(&mut self, at: OffsetDateTime, scope: &Scope) {
        let named = scope
            .accounts
            .iter()
            .map(|(name, id)| format!("{name} {id}"));
        let origin = &mut self.metadata.provenance;
        origin.at = Some(at);
        origin.as_of = scope.as_of;
        origin.accounts = scope.account.iter().cloned().chain(named).collect();
        origin.regions.clone_from(&scope.regions);
    }

    /// Whether a guard or a policy refuses the plan.
    pub(super) fn is_refused(&self) -> bool {
        !self.refusals.is_empty() || self.findings.has_refusal()
    }

    /// Ends the run with an error. Its plan and findings are discarded, so that no report presents them as a result.
    pub(super) fn fail(&mut self, error: &RunError) {
        (self.exit, self.error, self.problems) = match error {
            RunError::Invalid(diagnostics) => (Exit::Config, None, problems(&diagnostics.problems)),
            RunError::Command(error) => {
                let problem = Problem::error(error.code, &error.message, error.hint.clone());
                (error.exit, Some(problem), Vec::new())
            }
        };
        self.refusals.clear();
        self.findings = Findings::default();
        (self.plan, self.cost, self.report) = (None, None, None);
    }

    /// Adds an exit; the one with the highest precedence remains.
    pub(super) fn add_exit(&mut self, exit: Exit) {
        self.exit = Exit::highest(&[self.exit, exit]);
    }

    /// The data for the formats.
    pub(super) fn view(&self) -> json::RunReport<'_> {
        json::RunReport {
            verb: &self.verb,
            config: &self.config,
            exit_code: self.exit.code(),
            error: self.error.clone(),
            problems: self.problems.clone(),
            refusals: &self.refusals,
            violations: &self.findings.violations,
            plan: self.plan.as_ref(),
            cost: self.cost.as_ref(),
            report: self.report.as_ref(),
            metadata: Some(&self.metadata),
        }
    }
}

/// The commit of a job of GitHub or GitLab.
fn ci_commit() -> Option<String> {
    let variables = ["GITHUB_SHA", "CI_COMMIT_SHA"];
    let mut values = variables.iter().filter_map(|name| std::env::var(name).ok());
    values.find(|value| !value.is_empty())
}
