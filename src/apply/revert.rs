//! The way back of a run that was not confirmed: what it did is undone, instance by instance, from what is live by then.
//!
//! **Owns** the repetition until nothing of ours is left: somebody else may write between our read and our write. **Does
//! not** decide what is undone (`plan::undo`), when (`confirm`), and how a write is made and proved (`instance`).

use super::failure_limit::FailureLimit;
use super::instance::Worker;
use super::outcomes::{failure, plain};
use super::receipt::entries;
use super::rules::result_of;
use super::wait::Backoff;
use super::{Journal, Progress, Tools};
use crate::lightsail::{Reader, Writer};
use crate::model::{LiveFirewall, Strategy, Uncertain};
use crate::plan::undo::{Step, Undo, undo};
use crate::plan::{Call, Failure, Foreign, InstancePlan, InstanceResult, Outcome, Verdict};

/// How often the way back of one instance is begun anew because somebody else wrote meanwhile. Each time takes a second or
/// two, so that whoever changes the rules faster than that is another program, and will not stop.
const ATTEMPTS: u32 = 3;

/// Undoes what was written to one instance and may have been carried out. Gives the result that is true by then.
pub(super) async fn revert<R: Reader, W: Writer, J: Journal, P: Progress>(
    plan: &InstancePlan,
    result: &InstanceResult,
    tools: &Tools<'_, R, W, J, P>,
    why: &str,
) -> InstanceResult {
    let mut back = Back {
        plan,
        tools,
        failure_limit: &FailureLimit::new(tools.stop, None),
        result: result.clone(),
    };
    let ending = back.until_undone().await;
    if let Some(outcome) = outcome(&result.outcome, ending, why) {
        back.result.outcome = outcome;
    }
    tools.journal.result(&back.result);
    back.result
}

/// How the way back ended.
enum Ending {
    /// Nothing of ours is left, after so many more writes.
    Undone(Box<Undo>, usize),
    /// It is not known whether anything is left.
    Failed(Failure),
    /// Somebody else is at work, or it is another instance.
    Foreign(String),
}

struct Back<'a, R, W, J, P> {
    plan: &'a InstancePlan,
    tools: &'a Tools<'a, R, W, J, P>,
    failure_limit: &'a FailureLimit<'a>,
    /// With everything that is written on the way back.
    result: InstanceResult,
}

impl<R: Reader, W: Writer, J: Journal, P: Progress> Back<'_, R, W, J, P> {
    async fn until_undone(&mut self) -> Ending {
        let settings = self.tools.settings;
        let mut backoff = Backoff::new(self.tools.clock, settings, settings.proof_timeout);
        let already = self.result.writes;
        // What was proved is what a read shows. What was not may be an old view, unless it comes twice.
        let mut proved = matches!(
            self.result.outcome,
            Outcome::Applied { .. } | Outcome::AlreadyApplied
        );
        let mut last = None;
        let mut attempts = 0;
        loop {
            let live = match self.look().await {
                Ok(live) => live,
                Err(Outcome::Failed(failure)) => return Ending::Failed(failure),
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
                    return Ending::Failed(Failure {
                        hint: hint.clone(),
                        ..plain(reason.clone())
                    });
                }
                Verdict::InSync | Verdict::Incomplete | Verdict::Observed | Verdict::StillOpen => {
                    if proved || last.as_ref() == Some(&live) || backoff.is_over() {
                        return Ending::Undone(Box::new(undo), self.result.writes - already);
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
                    return Ending::Undone(Box::new(undo), self.result.writes - already);
                }
                Outcome::Failed(failure) => return Ending::Failed(failure),
                outcome if attempts >= ATTEMPTS => return foreign(&outcome),
                _ => proved = false,
            }
        }
    }

    /// The rules now, once the instance takes writes. It must still be the one that was written to.
    async fn look(&self) -> Result<LiveFirewall, Outcome> {
        let mut worker = Worker::new(self.plan, self.tools, self.failure_limit);
        worker.settle().await?;
        let live = worker.read().await;
        live.map_err(|error| Outcome::Failed(failure(&error)))
    }
}

fn foreign(outcome: &Outcome) -> Ending {
    Ending::Foreign(outcome.reason().unwrap_or_default().into_owned())
}

/// What became of an instance, from what became of the change and of the way back; `None` where nothing is new.
fn outcome(earlier: &Outcome, ending: Ending, why: &str) -> Option<Outcome> {
    // What failed says more than that nobody confirmed it.
    let why = match earlier {
        Outcome::Failed(failure) => format!("{}; {why}", failure.message),
        _ => why.to_owned(),
    };
    Some(match ending {
        // What failed without an effect is still a failure.
        Ending::Undone(_, 0) if earlier.is_failure() => return None,
        Ending::Undone(undo, writes) => undone(*undo, writes, why),
        Ending::Failed(failure) => Outcome::Failed(Failure {
            message: format!("{why}, and putting it back failed: {}", failure.message),
            ..failure
        }),
        Ending::Foreign(difference) => match earlier {
            Outcome::Failed(failure) => Outcome::Failed(Failure {
                message: format!("{why}, and it was not put back: {difference}"),
                ..failure.clone()
            }),
            _ => Outcome::ForeignWriter(Foreign {
                difference: Some(format!("{why}, and it was not put back: {difference}")),
                ..Foreign::default()
            }),
        },
    })
}

/// Nothing of what was written is left, unless others let the same sources in.
fn undone(undo: Undo, writes: usize, mut why: String) -> Outcome {
    let Undo { remains, left, .. } = undo;
    if !remains.is_empty() {
        let lines: Vec<String> = remains.iter().map(ToString::to_string).collect();
        let (open, theirs) = (lines.join(", "), left.join("; "));
        return Outcome::ForeignWriter(Foreign {
            difference: Some(format!(
                "{why}, and what was opened stays open through rules of somebody else: {open} ({theirs})"
            )),
            ..Foreign::default()
        });
    }
    if writes == 0 {
        why.push_str("; nothing of it was left");
    }
    if !left.is_empty() {
        why.push_str("; changed by somebody else, and left so: ");
        why.push_str(&left.join("; "));
    }
    Outcome::Reverted(why)
}

/// Why a run of this plan could not be undone, should nobody confirm it: every state that it may stop in is tried.
pub(super) fn why_not(plan: &InstancePlan) -> Option<String> {
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

/// What a Put would drop that nobody could write again.
fn dropped(before: &LiveFirewall) -> Option<String> {
    if let Some(entry) = before.unknown().first() {
        return Some(format!(
            "a Put would drop its entry `{entry}`, whose protocol this program does not know"
        ));
    }
    let Uncertain { entry, doubt, .. } = before.uncertain().first()?;
    Some(format!(
        "its entry `{entry}` could not be written again: {doubt}"
    ))
}
