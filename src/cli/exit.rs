//! The exit codes of every verb.
//!
//! **Owns** the numbers, their meaning, and their precedence where several apply.

use std::process::ExitCode;

use crate::plan::{InstanceResult, Outcome, Plan, Report, Verdict};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or in sync, or the plan was shown.
    Done,
    /// Could not do the job.
    Failed,
    /// There are differences (`drift`, `plan --detailed-exitcode`), or some that `apply` may not mend stay.
    Differs,
    /// Refused by a guard or a policy, so nothing was written; `check`: what is declared breaks a policy.
    Refused,
    /// The plan was wrong or no longer true; nothing was written.
    Stale,
    /// Partly applied: read the report.
    Partial,
    /// Some instances could not be read, so no claim of sync is made.
    Incomplete,
    /// The command line is not valid.
    Usage,
    /// The configuration is not valid.
    Config,
    /// SIGINT: what was in flight is finished and reported.
    Interrupted,
    /// SIGTERM: what was in flight is finished and reported.
    Terminated,
    /// The command that `with` ran ended with this code, which is not 0.
    Command(u8),
}

impl Exit {
    /// The codes, the highest precedence first.
    const PRECEDENCE: [Self; 11] = [
        Self::Interrupted,
        Self::Terminated,
        Self::Usage,
        Self::Config,
        Self::Failed,
        Self::Partial,
        Self::Stale,
        Self::Refused,
        Self::Incomplete,
        Self::Differs,
        Self::Done,
    ];

    /// The exit status of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Differs => 2,
            Self::Refused => 3,
            Self::Stale => 4,
            Self::Partial => 5,
            Self::Incomplete => 6,
            Self::Usage => 64,
            Self::Config => 65,
            Self::Interrupted => 130,
            Self::Terminated => 143,
            Self::Command(code) => code,
        }
    }

    /// The exit with this number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::PRECEDENCE
            .into_iter()
            .find(|exit| exit.code() == code)
    }

    /// The exit with the highest precedence; `Done` for an empty list.
    pub fn highest(exits: &[Self]) -> Self {
        Self::PRECEDENCE
            .into_iter()
            .find(|exit| exits.contains(exit))
            .unwrap_or(Self::Done)
    }

    /// The exits that apply to a plan before a write. `Differs` is left to the verb.
    pub fn of_plan(plan: &Plan) -> Vec<Self> {
        let mut exits = Vec::new();
        if !plan.missing.is_empty() {
            exits.push(Self::Failed);
        }
        let blind = [
            plan.unreadable.len(),
            plan.undecided.len(),
            plan.sites_unreadable.len(),
        ];
        if blind != [0; 3] {
            exits.push(Self::Incomplete);
        }
        for instance in &plan.instances {
            if instance.incomplete.is_some() {
                exits.push(Self::Incomplete);
            }
            if let Verdict::Refused { .. } = instance.verdict {
                exits.push(Self::Failed);
            }
        }
        exits
    }

    /// The exits that apply to a run that wrote, or tried to.
    pub fn of_report(report: &Report) -> Vec<Self> {
        // A reverted write counts as none.
        let stays = |result: &InstanceResult| {
            result.writes > 0 && !matches!(result.outcome, Outcome::Reverted(_))
        };
        let wrote = report.results.iter().any(stays);
        report
            .results
            .iter()
            .filter_map(|result| match &result.outcome {
                Outcome::Applied { .. } | Outcome::AlreadyApplied => None,
                _ if wrote => Some(Self::Partial),
                Outcome::Stale(_) | Outcome::ForeignWriter(_) => Some(Self::Stale),
                Outcome::Failed(_) | Outcome::NotStarted(_) | Outcome::Reverted(_) => {
                    Some(Self::Failed)
                }
            })
            .collect()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::InstanceId;
    use crate::plan::Failure;

    fn report(results: &[(usize, Outcome)]) -> Report {
        let result = |(writes, outcome): &(usize, Outcome)| InstanceResult {
            id: InstanceId {
                account: None,
                region: "eu-central-1".into(),
                name: "web-1".into(),
            },
            outcome: outcome.clone(),
            writes: *writes,
            operations: Vec::new(),
            steps: Vec::new(),
            note: None,
        };
        Report {
            results: results.iter().map(result).collect(),
            interrupted: false,
        }
    }

    #[test]
    fn worst_outcome_wins_and_partial_needs_a_write() {
        let applied = (1, Outcome::Applied { repaired: None });
        let failure = Failure {
            message: "no".into(),
            code: None,
            request_id: None,
            hint: None,
        };
        let failed = (0, Outcome::Failed(failure));
        let stale = (0, Outcome::Stale("changed".into()));
        for (results, exit) in [
            (vec![applied.clone()], Exit::Done),
            (vec![applied.clone(), failed.clone()], Exit::Partial),
            (vec![applied, stale.clone()], Exit::Partial),
            (vec![failed.clone(), stale.clone()], Exit::Failed),
            (vec![stale, (0, Outcome::AlreadyApplied)], Exit::Stale),
        ] {
            assert_eq!(
                Exit::highest(&Exit::of_report(&report(&results))),
                exit,
                "{results:?}"
            );
        }
    }

    #[test]
    fn every_exit_status_has_one_rank() {
        let mut codes: Vec<u8> = Exit::PRECEDENCE.into_iter().map(Exit::code).collect();
        assert_eq!(codes[2..], [64, 65, 1, 5, 4, 3, 6, 2, 0]);
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Exit::PRECEDENCE.len());
    }
}
