//! A run, from its first step to its answer.
//!
//! **Owns** what is known of it: each step adds its part, and what is shown in the end, in whatever format, is taken from
//! here. **Does not** show anything.

use std::path::Path;
use std::time::Instant;

use time::OffsetDateTime;

use super::error::{RunError, problems};
use super::exit::Exit;
use crate::lightsail::CallCounts;
use crate::plan::file::Scope;
use crate::plan::{Plan, Report};
use crate::policy::{Findings, Refusal};
use crate::render::cost::Cost;
use crate::render::facts::{Calls, Facts, Provenance};
use crate::render::json::{self, Problem};
use crate::render::notification::Message;

/// One run of a verb.
pub(super) struct Run {
    /// As it is typed.
    pub(super) verb: String,
    /// The configuration, as it was named; empty where the verb has none.
    config: String,
    /// When the work began.
    pub(super) began: Instant,
    pub(super) facts: Facts,
    /// Why it could not go on, where it could not.
    error: Option<Problem>,
    pub(super) problems: Vec<Problem>,
    /// What the guards refuse. None: the plan may be carried out.
    pub(super) refusals: Vec<Refusal>,
    /// What the policies say; some of it may refuse the plan.
    pub(super) findings: Findings,
    pub(super) plan: Option<Plan>,
    /// The calls, where there were any.
    pub(super) cost: Option<Cost>,
    /// What became of the plan, where it was carried out.
    pub(super) report: Option<Report>,
    /// How it ends, as far as that is known.
    pub(super) exit: Exit,
    /// What a notification would say, once the answer was shown.
    pub(super) message: Option<Message>,
}

impl Run {
    pub(super) fn new(verb: &str, config: Option<&Path>) -> Self {
        Self {
            verb: verb.to_owned(),
            config: config.map_or_else(String::new, |path| path.to_string_lossy().into_owned()),
            began: Instant::now(),
            facts: Facts {
                provenance: Provenance {
                    commit: commit(),
                    ..Provenance::default()
                },
                ..Facts::default()
            },
            error: None,
            problems: Vec::new(),
            refusals: Vec::new(),
            findings: Findings::default(),
            plan: None,
            cost: None,
            report: None,
            exit: Exit::Done,
            message: None,
        }
    }

    /// Takes when a plan was made, and for what.
    pub(super) fn made(&mut self, at: OffsetDateTime, scope: &Scope) {
        let named = scope
            .accounts
            .iter()
            .map(|(name, id)| format!("{name} {id}"));
        let origin = &mut self.facts.provenance;
        origin.at = Some(at);
        origin.as_of = scope.as_of;
        origin.accounts = scope.account.iter().cloned().chain(named).collect();
        origin.regions.clone_from(&scope.regions);
    }

    /// Takes the calls that a connection counted.
    pub(super) fn count(&mut self, counts: &CallCounts) {
        let calls = counts.iter().map(|(action, answers)| Calls {
            action: action.to_owned(),
            answered: answers.answered,
            throttled: answers.throttled,
            failed: answers.failed,
        });
        self.facts.calls = calls.collect();
    }

    /// Whether a guard or a policy stands in the way.
    pub(super) fn is_refused(&self) -> bool {
        !self.refusals.is_empty() || self.findings.has_refusal()
    }

    /// It ends without an answer. What it had found until then is none, and is not reported as one.
    pub(super) fn fail(&mut self, error: &RunError) {
        (self.exit, self.error, self.problems) = match error {
            RunError::Invalid(diagnostics) => (Exit::Config, None, problems(diagnostics)),
            RunError::Command(error) => {
                let problem = Problem::error(error.code, &error.message, error.hint.clone());
                (error.exit, Some(problem), Vec::new())
            }
        };
        self.refusals.clear();
        self.findings = Findings::default();
        (self.plan, self.cost, self.report) = (None, None, None);
    }

    /// This holds as well of how it ends.
    pub(super) fn end(&mut self, exit: Exit) {
        self.exit = Exit::first_of(&[self.exit, exit]);
    }

    /// What there is to show.
    pub(super) fn view(&self) -> json::Run<'_> {
        json::Run {
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
            facts: Some(&self.facts),
        }
    }
}

/// The commit that GitHub or GitLab runs a job for.
fn commit() -> Option<String> {
    let variables = ["GITHUB_SHA", "CI_COMMIT_SHA"];
    let mut values = variables.iter().filter_map(|name| std::env::var(name).ok());
    values.find(|value| !value.is_empty())
}
