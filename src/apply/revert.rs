//! Revert: undoes the writes of an unconfirmed run on one instance.
//!
//! **Owns** the repetition until nothing of the run is left, because somebody else may write between a read and a write. **Does
//! not** decide what is undone (`plan::undo`), when (`confirm`), or how a write is made and verified (`instance`).

use super::Tools;
use super::failure_limit::FailureLimit;
use super::instance::Worker;
use super::outcomes::{failure, plain};
use super::receipt::entries;
use super::rules::result_of;
use super::wait::Backoff;
use crate::lightsail::{Reader, Writer};
use crate::model::{LiveFirewall, Strategy, Uncertain};
use crate::plan::undo::{Step, Undo, undo};
use crate::plan::{Call, Failure, ForeignWrite, InstancePlan, InstanceResult, Outcome, Verdict};

/// How often the revert of one instance is tried if somebody else writes meanwhile. Each attempt takes a second or two, so a writer
/// that is faster is a program that will not stop.
const ATTEMPTS: u32 = 3;

/// Undoes the writes to one instance that may have been carried out. Returns the new result.
pub(super) async fn revert<R: Reader, W: Writer>(
    plan: &InstancePlan,
    result: &InstanceResult,
    tools: &Tools<'_, R, W>,
    why: &str,
) -> InstanceResult {
    let mut reverter = Reverter {
        plan,
        tools,
        failure_limit: &FailureLimit::new(tools.stop, None),
        result: result.clone(),
    };
    let reverted = reverter.run().await;
    if let Some(outcome) = outcome(&result.outcome, reverted, why) {
        reverter.result.outcome = outcome;
    }
    tools.journal.result(&reverter.result);
    reverter.result
}

/// The result of a revert.
enum RevertResult {
    /// Nothing of the run is left, after this number of additional writes.
    Undone(Box<Undo>, usize),
    /// It is not known whether anything of the run is left.
    Failed(Failure),
    /// Somebody else keeps writing, or it is another instance.
    Foreign(String),
}

struct Reverter<'a, R, W> {
    plan: &'a InstancePlan,
    tools: &'a Tools<'a, R, W>,
    failure_limit: &'a FailureLimit<'a>,
    /// The result of the run, extended by the writes of the revert.
    result: InstanceResult,
}

impl<R: Reader, W: Writer> Reverter<'_, R, W> {
    async fn run(&mut self) -> RevertResult {
        let settings = self.tools.settings;
        let mut backoff = Backoff::new(self.tools.clock, settings, settings.proof_timeout);
        let already = self.result.writes;
        // After a verified write, one read is enough. Otherwise it may be an old read, and must come twice.
        let mut is_verified = matches!(
            self.result.outcome,
            Outcome::Applied { .. } | Outcome::AlreadyApplied
        );
        let mut last = None;
        let mut attempts = 0;
        loop {
            let live = match self.read_settled().await {
                Ok(live) => live,
                Err(Outcome::Failed(failure)) => return RevertResult::Failed(failure),
                Err(outcome) => return foreign(&outcome),
            };
            let undo = undo(
                &self.plan.instance,
                &live,
                &self.plan.before,
                &self.result.steps,
                Strategy::Auto,
            );
            match &undo.plan.verdict {
                Verdict::Change => {}
                Verdict::Refused { reason, hint } => {
                    return RevertResult::Failed(Failure {
                        hint: hint.clone(),
                        ..plain(reason.clone())
                    });
                }
                Verdict::InSync | Verdict::Incomplete | Verdict::Observed | Verdict::StillOpen => {
                    if is_verified || last.as_ref() == Some(&live) || backoff.is_expired() {
                        return RevertResult::Undone(Box::new(undo), self.result.writes - already);
                    }
                    last = Some(live);
                    backoff.pause().await;
                    continue;
                }
            }
            last = None;
            attempts += 1;
            let back = Worker::new(&undo.plan, self.tools, self.failure_limit)
                .run()
                .await;
            self.result.writes += back.writes;
            self.result.operations.extend(back.operations);
            self.result.steps.extend(back.steps);
            self.result.note = back.note;
            match back.outcome {
                Outcome::Applied { .. } | Outcome::AlreadyApplied => {
                    return RevertResult::Undone(Box::new(undo), self.result.writes - already);
                }
                Outcome::Failed(failure) => return RevertResult::Failed(failure),
                outcome if attempts >= ATTEMPTS => return foreign(&outcome),
                _ => is_verified = false,
            }
        }
    }

    /// The live rules, once the instance accepts writes. It must be the one that was written to.
    async fn read_settled(&self) -> Result<LiveFirewall, Outcome> {
        let mut worker = Worker::new(self.plan, self.tools, self.failure_limit);
        worker.settle().await?;
        let live = worker.read().await;
        live.map_err(|error| Outcome::Failed(failure(&error)))
    }
}

fn foreign(outcome: &Outcome) -> RevertResult {
    RevertResult::Foreign(outcome.reason().unwrap_or_default().into_owned())
}

/// The outcome after a revert; `None` if the earlier outcome remains.
fn outcome(earlier: &Outcome, reverted: RevertResult, why: &str) -> Option<Outcome> {
    // The failure says more than the missing confirmation.
    let why = match earlier {
        Outcome::Failed(failure) => format!("{}; {why}", failure.message),
        _ => why.to_owned(),
    };
    Some(match reverted {
        // A failure without any effect remains a failure.
        RevertResult::Undone(_, 0) if earlier.is_failure() => return None,
        RevertResult::Undone(undo, writes) => reverted_outcome(*undo, writes, why),
        RevertResult::Failed(failure) => Outcome::Failed(Failure {
            message: format!("{why}, and putting it back failed: {}", failure.message),
            ..failure
        }),
        RevertResult::Foreign(difference) => match earlier {
            Outcome::Failed(failure) => Outcome::Failed(Failure {
                message: format!("{why}, and it was not put back: {difference}"),
                ..failure.clone()
            }),
            _ => Outcome::ForeignWriter(ForeignWrite {
                difference: Some(format!("{why}, and it was not put back: {difference}")),
                ..ForeignWrite::default()
            }),
        },
    })
}

/// The outcome if nothing of the run is left.
fn reverted_outcome(undo: Undo, writes: usize, mut why: String) -> Outcome {
    let Undo {
        still_open,
        foreign_differences,
        ..
    } = undo;
    if !still_open.is_empty() {
        let lines: Vec<String> = still_open.iter().map(ToString::to_string).collect();
        let (open, theirs) = (lines.join(", "), foreign_differences.join("; "));
        return Outcome::ForeignWriter(ForeignWrite {
            difference: Some(format!(
                "{why}, and what was opened stays open through rules of somebody else: {open} ({theirs})"
            )),
            ..ForeignWrite::default()
        });
    }
    if writes == 0 {
        why.push_str("; nothing of it was left");
    }
    if !foreign_differences.is_empty() {
        why.push_str("; changed by somebody else, and kept: ");
        why.push_str(&foreign_differences.join("; "));
    }
    Outcome::Reverted(why)
}

/// Why a run of this plan could not be reverted, if so. Tries every state in which the run may stop.
pub(super) fn reason_irreversible(plan: &InstancePlan) -> Option<String> {
    let mut steps = Vec::new();
    let mut state = plan.before.firewall().clone();
    let fallback = plan.fallback.clone();
    let puts = fallback.map(|firewall| Call::Put { firewall });
    for call in plan.calls.iter().chain(&puts) {
        let replaced = matches!(call, Call::Put { .. });
        if replaced && let Some(reason) = dropped(&plan.before) {
            return Some(reason);
        }
        let after = result_of(call, &state);
        steps.push(Step {
            before: state,
            after: after.clone(),
        });
        state = after;
        let live = LiveFirewall::read(&entries(&state, &plan.before, replaced));
        let undo = undo(&plan.instance, &live, &plan.before, &steps, Strategy::Auto);
        if let Verdict::Refused { reason, .. } = undo.plan.verdict {
            return Some(reason);
        }
    }
    None
}

/// Why a Put would drop an entry that cannot be written again, if so.
fn dropped(before: &LiveFirewall) -> Option<String> {
    if let Some(entry) = before.unknown().first() {
        return Some(format!(
            "a Put would drop its entry `{entry}`, whose protocol is unknown to this program"
        ));
    }
    let Uncertain { entry, doubt, .. } = before.uncertain().first()?;
    Some(format!(
        "its entry `{entry}` could not be written again: {doubt}"
    ))
}
