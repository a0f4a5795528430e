//! Revert: undoes the writes of an unconfirmed run on one instance.
//!
//! **Owns** the repetition until nothing of the run is left, because somebody else may write between a read and a write. **Does
//! not** decide what is undone (`plan::undo`), when (`confirm`), or how a write is made and verified (`instance`).

use super::Tools;
use super::failure_limit::FailureLimit;
use super::instance::Worker;
use super::outcomes::{failure, foreign_change, plain};
use super::receipt::entries;
use super::rules::result_of;
use crate::lightsail::{Reader, Writer};
use crate::model::{LiveFirewall, Strategy, Uncertain};
use crate::plan::undo::{Step, Undo, undo};
use crate::plan::{Failure, InstancePlan, InstanceResult, Outcome, Verdict};

/// How often the revert of one instance is tried if somebody else writes meanwhile. Each attempt takes a second or two, so a writer
/// that is faster is a program that will not stop.
const ATTEMPTS: u32 = 3;

/// Undoes the writes to one instance that may have been carried out. Returns the new result.
pub(super) async fn revert<R: Reader, W: Writer>(
    plan: &InstancePlan,
    earlier: &InstanceResult,
    tools: &Tools<'_, R, W>,
    why: &str,
) -> InstanceResult {
    let mut result = earlier.clone();
    let undone = undo_writes(plan, &mut result, tools).await;
    let undone = undone.map(|undo| (undo, result.writes - earlier.writes));
    if let Some(outcome) = outcome(&earlier.outcome, undone, why) {
        result.outcome = outcome;
    }
    tools.journal.result(&result);
    result
}

/// Writes until nothing of the run is left, and adds these writes to the result.
///
/// # Errors
/// It is not known whether anything is left, somebody else keeps writing, or it is another instance.
async fn undo_writes<R: Reader, W: Writer>(
    plan: &InstancePlan,
    result: &mut InstanceResult,
    tools: &Tools<'_, R, W>,
) -> Result<Undo, Outcome> {
    let failure_limit = FailureLimit::new(tools.stop, None);
    let mut backoff = tools.backoff(tools.settings.proof_timeout);
    // After a verified write, one read is enough. Otherwise it may be an old read, and must come twice.
    let mut is_verified = result.outcome.status().is_success();
    let mut last = None;
    let mut attempts = 0;
    loop {
        // The instance must be the one that was written to.
        let mut worker = Worker::new(plan, tools, &failure_limit);
        worker.settle().await?;
        let live = worker.read().await;
        let live = live.map_err(|error| Outcome::Failed(failure(&error)))?;
        let steps = &result.steps;
        let undo = undo(&plan.instance, &live, &plan.before, steps, Strategy::Auto);
        match &undo.plan.verdict {
            Verdict::Change => {}
            Verdict::Refused { reason, hint } => {
                return Err(Outcome::Failed(Failure {
                    hint: hint.clone(),
                    ..plain(reason.clone())
                }));
            }
            Verdict::InSync | Verdict::Incomplete | Verdict::Observed | Verdict::StillOpen => {
                if is_verified || last.as_ref() == Some(&live) || backoff.is_expired() {
                    return Ok(undo);
                }
                last = Some(live);
                backoff.pause().await;
                continue;
            }
        }
        last = None;
        attempts += 1;
        let worker = Worker::new(&undo.plan, tools, &failure_limit);
        let back = worker.run().await;
        result.writes += back.writes;
        result.operations.extend(back.operations);
        result.steps.extend(back.steps);
        result.note = back.note;
        match back.outcome {
            Outcome::Applied { .. } | Outcome::AlreadyApplied => return Ok(undo),
            outcome if attempts >= ATTEMPTS || matches!(outcome, Outcome::Failed(_)) => {
                return Err(outcome);
            }
            _ => is_verified = false,
        }
    }
}

/// The outcome after a revert with so many additional writes; `None` if the earlier outcome remains.
fn outcome(
    earlier: &Outcome,
    undone: Result<(Undo, usize), Outcome>,
    why: &str,
) -> Option<Outcome> {
    // The failure says more than the missing confirmation.
    let why = match earlier {
        Outcome::Failed(failure) => format!("{}; {why}", failure.message),
        _ => why.to_owned(),
    };
    let outcome = match undone {
        // A failure without any effect remains a failure.
        Ok((_, 0)) if earlier.is_failure() => return None,
        Ok((undo, writes)) => return Some(reverted_outcome(undo, writes, why)),
        Err(outcome) => outcome,
    };
    let reason = outcome.reason().unwrap_or_default();
    let not_undone = format!("{why}, and it was not put back: {reason}");
    Some(match (outcome, earlier) {
        (Outcome::Failed(failure), _) => Outcome::Failed(Failure {
            message: format!("{why}, and putting it back failed: {}", failure.message),
            ..failure
        }),
        (_, Outcome::Failed(failure)) => Outcome::Failed(Failure {
            message: not_undone,
            ..failure.clone()
        }),
        _ => foreign_change(not_undone),
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
        return foreign_change(format!(
            "{why}, and what was opened stays open through rules of somebody else: {open} ({theirs})"
        ));
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
    for call in plan.calls.iter().chain(&plan.fallback_call()) {
        let replaced = call.replaces();
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
