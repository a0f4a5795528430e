//! Confirmation: the second half of a run that has to be confirmed, after which its writes stay or are reverted.
//!
//! **Owns** the deadline; `revert` reverts an instance. **Does not** know who confirms. It needs this process to stay alive; the
//! receipt tells how far a run came that died.

use std::collections::BTreeMap;
use std::time::Duration;

use super::revert::{reason_irreversible, revert};
use super::{Stage, Stop, Tools, Validity, at_once};
use crate::lightsail::{Reader, Writer};
use crate::model::InstanceId;
use crate::plan::{InstancePlan, InstanceResult, Plan, Report};

/// The answer to the request for confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The writes stay.
    Given,
    /// The writes are reverted at once, for this reason (a fragment).
    Denied(String),
}

/// The instances that the plan changes and that could not be reverted, with the reason. A run that has to be confirmed must not
/// start if there are any.
pub fn irreversible(plan: &Plan) -> Vec<(InstanceId, String)> {
    let changed = plan.instances.iter().filter(|i| !i.calls.is_empty());
    changed
        .filter_map(|instance| Some((instance.instance.id.clone(), reason_irreversible(instance)?)))
        .collect()
}

/// Waits at most `within` for the confirmation of the writes of a run. If it is denied, does not come in time, or `tools.stop` is
/// set, the writes are reverted on every instance; changes of others stay. The report says so.
///
/// Does not wait if the run wrote nothing.
pub async fn confirm<R: Reader, W: Writer>(
    plan: &Plan,
    report: Report,
    tools: &Tools<'_, R, W>,
    within: Duration,
    confirmation: impl Future<Output = Confirmation>,
) -> Report {
    if !report.results.iter().any(|result| !result.steps.is_empty()) {
        return report;
    }
    let until = tools
        .clock
        .now()
        .saturating_add(time::Duration::try_from(within).unwrap_or(time::Duration::MAX));
    tools.journal.stage(Stage::Unconfirmed { until });
    let why = tokio::select! {
        biased;
        () = tools.stop.wait() => "interrupted before it was confirmed".to_owned(),
        answer = confirmation => match answer {
            Confirmation::Given => {
                tools.journal.stage(Stage::Confirmed);
                return report;
            }
            Confirmation::Denied(why) => why,
        },
        () = tools.clock.sleep(within) => format!("nobody confirmed it within {} s", within.as_secs()),
    };
    tools.journal.stage(Stage::Reverting { why: &why });
    revert_all(plan, report, tools, &why).await
}

/// Reverts the writes, on as many instances at once as a run works on.
async fn revert_all<R: Reader, W: Writer>(
    plan: &Plan,
    mut report: Report,
    tools: &Tools<'_, R, W>,
    why: &str,
) -> Report {
    // Only the end of the process stops the revert.
    let tools = &Tools {
        stop: &Stop::new(),
        validity: Validity::UNLIMITED,
        ..*tools
    };
    let by_id: BTreeMap<&InstanceId, &InstancePlan> = plan
        .instances
        .iter()
        .map(|instance| (&instance.instance.id, instance))
        .collect();
    let work = async |result: InstanceResult| match by_id.get(&result.id) {
        Some(instance) if !result.steps.is_empty() => revert(instance, &result, tools, why).await,
        _ => result,
    };
    report.results = at_once(report.results, tools.settings, work).await;
    report
}
