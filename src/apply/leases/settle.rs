//! From leases to the rules: opened, closed, and proved, however many others write at the same time.
//!
//! **Owns** beginning again from what is live where somebody else wrote meanwhile. **Does not** touch what no lease of the aim
//! names, but for the leases of others that its own writes may have overwritten.

use std::time::Duration;

use super::{Aim, Declared, Obstacle, Unsettled, cannot_read, holds, live_leases, look};
use crate::apply::outcomes::plain;
use crate::apply::{self, Journal, Progress, Tools, Validity};
use crate::lease::Lease;
use crate::lightsail::{Reader, Writer};
use crate::model::{DesiredInstance, InstanceId, Mode, Strategy};
use crate::plan::lint::lint;
use crate::plan::{Call, InstancePlan, InstanceResult, Outcome, Plan, Verdict};

/// How often it begins again from what is live. Each time somebody else has written, and got on by it.
const ROUNDS: u32 = 12;

/// Makes it so. Answers with whether anything was written.
///
/// # Errors
/// It could not be done; `wrote` says whether something may have been opened or closed all the same.
pub async fn settle<R: Reader, W: Writer, J: Journal, P: Progress, D: Declared>(
    id: &InstanceId,
    aim: &Aim<'_>,
    declared: &mut D,
    tools: &Tools<'_, R, W, J, P>,
) -> Result<bool, Unsettled<D::Error>> {
    let mut wrote = false;
    let mut last = String::new();
    // Once the whole firewall was replaced, or somebody else wrote meanwhile, everybody's leases are looked after, in case
    // one was overwritten.
    let mut everybody = false;
    for round in 0..ROUNDS {
        if round > 0 {
            let most = 200 * u64::from(round);
            let pause = Duration::from_millis(fastrand::u64(1..=most));
            tools.clock.sleep(pause).await;
        }
        let unsettled = |why| Unsettled { wrote, why };
        let failed = |failure| unsettled(Obstacle::Failed(failure));
        let instance = look(id, tools).await.map_err(failed)?;
        let live = tools.reader.rules(id).await;
        let live = live.map_err(|error| failed(cannot_read(&error)))?;
        let now = tools.validity.now(tools.clock.now());
        let wanted = declared.wanted(&instance, now);
        let wanted = wanted.map_err(|error| unsettled(Obstacle::Declared(error)))?;
        let wanted = wanted.as_deref().cloned().unwrap_or_else(nothing);
        let is_declared = |lease: &&Lease| wanted.rules.iter().any(|rule| holds(&[lease], rule));
        if let Some(gone) = aim.open.iter().find(|lease| !is_declared(lease)) {
            return Err(unsettled(Obstacle::Over(gone.id.clone())));
        }
        let all = if everybody {
            live_leases(&instance, &wanted)
        } else {
            Vec::new()
        };
        let others = all.iter();
        let others = others.filter(|lease| aim.close.iter().all(|closed| closed.id != lease.id));
        let open = aim.open.iter().copied().chain(others);
        let aim = Aim {
            open: open.collect(),
            close: aim.close.clone(),
        };
        let plan = aim.plan(&instance, &wanted, &live);
        let puts = match &plan.verdict {
            Verdict::Refused { reason, hint } => {
                let mut failure = plain(reason.clone());
                failure.hint.clone_from(hint);
                return Err(failed(failure));
            }
            Verdict::Change => plan
                .calls
                .iter()
                .any(|call| matches!(call, Call::Put { .. })),
            _ => return Ok(wrote),
        };
        let InstanceResult {
            outcome, writes, ..
        } = carry_out(plan, tools).await.map_err(failed)?;
        wrote |= writes > 0;
        match outcome {
            Outcome::Applied { repaired } => {
                if !puts && repaired.is_none() && aim.close.is_empty() {
                    return Ok(true);
                }
                everybody |= puts || repaired.is_some();
            }
            Outcome::AlreadyApplied => {}
            Outcome::Stale(why) => last = why,
            Outcome::ForeignWriter(foreign) => {
                last = foreign.to_string();
                // An Open or a Close that crossed with another writer may have taken away what that one had opened.
                everybody = true;
            }
            Outcome::Failed(failure) => {
                return Err(Unsettled {
                    wrote,
                    why: Obstacle::Failed(failure),
                });
            }
            Outcome::NotStarted(why) | Outcome::Reverted(why) => {
                return Err(Unsettled {
                    wrote,
                    why: Obstacle::Failed(plain(why)),
                });
            }
        }
    }
    Err(Unsettled {
        wrote,
        why: Obstacle::Contended(last),
    })
}

/// Carries out a plan for one instance.
async fn carry_out<R: Reader, W: Writer, J: Journal, P: Progress>(
    one: InstancePlan,
    tools: &Tools<'_, R, W, J, P>,
) -> Result<InstanceResult, crate::plan::Failure> {
    let plan = Plan {
        instances: vec![one],
        ..Plan::default()
    };
    if let Some(defect) = lint(&plan).first() {
        return Err(plain(format!(
            "internal error: invalid plan: {defect}; please report this bug"
        )));
    }
    let validity = &Validity {
        ahead: tools.validity.ahead,
        ..Validity::default()
    };
    let report = apply::run(&plan, &Tools { validity, ..*tools }).await;
    let result = report.results.into_iter().next();
    result.ok_or_else(|| {
        plain("internal error: nothing became of a plan; please report this bug".to_owned())
    })
}

/// What is wanted where nothing declares the instance any more: what was granted is closed, and all else is left alone.
fn nothing() -> DesiredInstance {
    DesiredInstance {
        mode: Mode::Additive,
        strategy: Strategy::Auto,
        rules: Vec::new(),
        absent: Vec::new(),
        expired: Vec::new(),
        notes: Vec::new(),
    }
}
