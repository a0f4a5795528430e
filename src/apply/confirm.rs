//! The second half of a run that has to be confirmed: what it wrote stays, or is undone.
//!
//! Owns the deadline. How an instance is taken back is in `revert`. Does not know who confirms. It needs this process
//! alive; what becomes of a run that died here stands in its receipt.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use super::revert::{revert, why_not};
use super::{Journal, Progress, Stage, Stop, Tools, Validity};
use crate::lightsail::{Reader, Writer};
use crate::model::InstanceId;
use crate::plan::{InstancePlan, Plan, Report};

/// An answer to the question whether all is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// It stays.
    Given,
    /// It is put back at once. Says why, as a fragment.
    Denied(String),
}

/// The changed instances that could not be brought back to what they are, with the reason. To be asked before a run that has
/// to be confirmed: it should not begin.
pub fn irreversible(plan: &Plan) -> Vec<(InstanceId, String)> {
    let changed = plan.instances.iter().filter(|i| !i.calls.is_empty());
    changed
        .filter_map(|instance| Some((instance.instance.id.clone(), why_not(instance)?)))
        .collect()
}

/// Waits for the confirmation of what a run wrote, for at most `within`. Without one (denied, too late, or `tools.stop` set
/// before it came) what the run wrote is undone on every instance, from what is live by then: what somebody else changed
/// meanwhile stays. The report says so.
///
/// A run that wrote nothing has nothing to confirm and is not waited for.
pub async fn confirm<R: Reader, W: Writer, J: Journal, P: Progress>(
    plan: &Plan,
    report: Report,
    tools: &Tools<'_, R, W, J, P>,
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
    put_back(plan, report, tools, &why).await
}

/// Undoes what was written, on as many instances at once as a run works on.
async fn put_back<R: Reader, W: Writer, J: Journal, P: Progress>(
    plan: &Plan,
    mut report: Report,
    tools: &Tools<'_, R, W, J, P>,
    why: &str,
) -> Report {
    // The way back is in flight already: nothing stops it but the end of the process.
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
    let work = report
        .results
        .iter()
        .enumerate()
        .filter_map(|(place, result)| {
            let instance = by_id.get(&result.id).filter(|_| !result.steps.is_empty())?;
            Some((place, *instance, result))
        });
    let work = stream::iter(work)
        .map(async |(place, instance, result)| (place, revert(instance, result, tools, why).await));
    let back: Vec<_> = work
        .buffer_unordered(tools.settings.concurrency.max(1))
        .collect()
        .await;
    for (place, result) in back {
        report.results[place] = result;
    }
    report
}
