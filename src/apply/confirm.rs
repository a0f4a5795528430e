//! The second half of a run that has to be confirmed: what it wrote stays, or is put back.
//!
//! Owns the deadline and the way back, which is an ordinary run over the reversed plan: one Put of `before` for each
//! instance, where live still means `after`. Refuses to know who confirms. It needs this process alive; what becomes of a run
//! that died here stands in its receipt.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::timeout;

use super::endings::plain;
use super::instance::{Expect, replaces};
use super::receipt::entries;
use super::{Journal, Progress, Settings, Stage, Stop, Tools, carry_out};
use crate::lightsail::{Reader, Writer};
use crate::model::{InstanceId, LiveFirewall, SOURCES_PER_FAMILY};
use crate::plan::{
    Call, Failure, Foreign, InstancePlan, InstanceResult, Outcome, Plan, Report, Verdict,
};

/// An answer to the question whether all is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// It stays.
    Given,
    /// It is put back at once. Says why, as a fragment.
    Denied(String),
}

/// The changed instances that one Put could not bring back to what they are, with the reason. To be asked before a run that
/// has to be confirmed: it should not begin.
#[must_use]
pub fn irreversible(plan: &Plan) -> Vec<(InstanceId, String)> {
    let changed = plan.instances.iter().filter(|i| !i.calls.is_empty());
    changed
        .filter_map(|instance| Some((instance.instance.id.clone(), why_not(instance)?)))
        .collect()
}

fn why_not(plan: &InstancePlan) -> Option<String> {
    let before = &plan.before;
    if let Some(entry) = before.unknown().first() {
        return Some(format!(
            "a Put would drop its entry `{entry}`, whose protocol this program does not know"
        ));
    }
    if let Some(uncertain) = before.uncertain().first() {
        return Some(format!(
            "its entry `{}` could not be written again: {}",
            uncertain.entry, uncertain.doubt
        ));
    }
    let counts = before.firewall().counts();
    (counts.ipv4.max(counts.ipv6) > SOURCES_PER_FAMILY)
        .then(|| format!("it has more than the {SOURCES_PER_FAMILY} sources that can be written"))
}

/// Waits for the confirmation of what a run wrote, for at most `within`. Without one (denied, too late, or `tools.stop` set
/// before it came) every instance that the run wrote to is put back to what it was, and the report says so.
///
/// A run that wrote nothing has nothing to confirm and is not waited for.
pub async fn confirm<R: Reader, W: Writer, J: Journal, P: Progress>(
    plan: &Plan,
    report: Report,
    tools: &Tools<'_, R, W, J, P>,
    within: Duration,
    confirmation: impl Future<Output = Confirmation>,
) -> Report {
    if !report.results.iter().any(|result| result.writes > 0) {
        return report;
    }
    let until = OffsetDateTime::now_utc()
        .saturating_add(time::Duration::try_from(within).unwrap_or(time::Duration::MAX));
    tools.journal.stage(Stage::Unconfirmed { until });
    let why = tokio::select! {
        biased;
        () = tools.stop.wait() => "interrupted before it was confirmed".to_owned(),
        answer = timeout(within, confirmation) => match answer {
            Ok(Confirmation::Given) => {
                tools.journal.stage(Stage::Confirmed);
                return report;
            }
            Ok(Confirmation::Denied(why)) => why,
            Err(_) => format!("nobody confirmed it within {} s", within.as_secs()),
        },
    };
    tools.journal.stage(Stage::Reverting { why: &why });
    revert(plan, report, tools, &why).await
}

async fn revert<R: Reader, W: Writer, J: Journal, P: Progress>(
    plan: &Plan,
    mut report: Report,
    tools: &Tools<'_, R, W, J, P>,
    why: &str,
) -> Report {
    let mut back = Plan::default();
    for instance in &plan.instances {
        let mut results = report.results.iter_mut();
        let Some(result) =
            results.find(|result| result.id == instance.instance.id && result.writes > 0)
        else {
            continue;
        };
        match why_not(instance) {
            None => back.instances.push(reversed(instance)),
            Some(reason) => {
                result.outcome =
                    Outcome::Failed(plain(format!("{why}, and it cannot be put back: {reason}")));
            }
        }
    }
    // The way back is in flight already: nothing stops it but the end of the process. An instance may have been replaced
    // while the confirmation was waited for.
    let settings = Settings {
        recheck: true,
        max_failures: None,
        ..*tools.settings
    };
    let tools = Tools {
        settings: &settings,
        stop: &Stop::new(),
        ..*tools
    };
    for put_back in carry_out(&back, &tools, Expect::InMeaning).await.results {
        let mut results = report.results.iter_mut();
        if let Some(result) = results.find(|result| result.id == put_back.id) {
            take_back(result, put_back, why);
        }
    }
    report
}

/// The plan from `after` to `before`.
fn reversed(plan: &InstancePlan) -> InstancePlan {
    let replaced = plan.calls.iter().any(replaces);
    let before = plan.before.firewall();
    InstancePlan {
        before: LiveFirewall::read(&entries(&plan.after, &plan.before, replaced)),
        after: before.clone(),
        calls: vec![Call::Put {
            firewall: before.clone(),
        }],
        fallback: None,
        changes: Vec::new(),
        verdict: Verdict::Change,
        ..plan.clone()
    }
}

/// What became of an instance, from what became of the change and of putting it back.
fn take_back(result: &mut InstanceResult, put_back: InstanceResult, why: &str) {
    let InstanceResult {
        id: _,
        outcome,
        writes,
        operations,
        note,
    } = put_back;
    result.writes += writes;
    result.note = note;
    result.operations.extend(operations);
    let failed = |failure: Failure| {
        Outcome::Failed(Failure {
            message: format!("{why}, and putting it back failed: {}", failure.message),
            ..failure
        })
    };
    result.outcome = match outcome {
        // What failed without an effect is still a failure.
        Outcome::AlreadyApplied if result.outcome.is_failure() => return,
        Outcome::AlreadyApplied => Outcome::Reverted(format!("{why}; it was as before already")),
        Outcome::Applied { .. } | Outcome::Reverted(_) => Outcome::Reverted(why.to_owned()),
        Outcome::ForeignWriter(foreign) => Outcome::ForeignWriter(foreign),
        Outcome::Failed(failure) => failed(failure),
        Outcome::Stale(difference) | Outcome::NotStarted(difference) => match &result.outcome {
            Outcome::Failed(failure) => Outcome::Failed(Failure {
                message: format!(
                    "{}; {why}, and it was not put back: {difference}",
                    failure.message
                ),
                ..failure.clone()
            }),
            _ => Outcome::ForeignWriter(Foreign {
                difference: Some(format!("{why}, and it was not put back: {difference}")),
                ..Foreign::default()
            }),
        },
    };
}
