//! When a fleet has settled, and why some never do.
//!
//! Owns the list of reasons for which a fleet may stay as it is, and holds each of them against the emulator: a reason that
//! is not true is no reason. Does not accept a failure that nothing explains.

use portward::emulator::{
    Acceptance, AliasCount, OpenEffect, OperationProgress, Paging, PortStatesResponse, Quirks,
    SourceLists, UnsupportedFamily, WriteResponse,
};
use portward::model::{InstanceId, InstanceState, LiveFirewall, Mode};
use portward::plan::{InstancePlan, Outcome, Verdict};

use super::act::RunRecord;
use super::judge::rules;
use super::scene::Scene;

/// `None` while there is more to do; the reasons, none where everything is as wanted, once there is not.
///
/// # Errors
/// It was the last round and something is still to be done for no reason that holds, or a reason is not true.
pub(crate) fn verdict(
    scene: &Scene,
    act: &RunRecord,
    last: bool,
) -> Result<Option<Vec<&'static str>>, String> {
    let mut excuses = Vec::new();
    for (region, why) in &act.plan.sites_unreadable {
        let pages = scene.quirks.pages != Paging::Whole && scene.quirks.instances_per_page == 1;
        if !pages {
            return Err(format!(
                "it settles: {region} cannot be listed: {}",
                why.reason
            ));
        }
        excuses.push("a region cannot be listed");
    }
    for (id, why) in &act.plan.unreadable {
        if !is_unreadable(scene, act, id) {
            return Err(format!("it settles: {id} cannot be read: {}", why.reason));
        }
        excuses.push("rules cannot be read");
    }
    let mut moving = false;
    for plan in &act.plan.instances {
        match &plan.verdict {
            Verdict::InSync | Verdict::Incomplete => {}
            Verdict::Observed => excuses.push("only observed"),
            Verdict::StillOpen if is_open_elsewhere(act, plan) => {
                excuses.push("still open through other rules");
            }
            Verdict::StillOpen => {
                let id = &plan.instance.id;
                return Err(format!("it settles: nothing is still open on {id}"));
            }
            Verdict::Refused { reason, .. } => excuses.push(refusal(scene, act, plan, reason)?),
            Verdict::Change => match stuck(scene, act, plan) {
                Some(excuse) => excuses.push(excuse),
                None if last => {
                    return Err(format!("it settles: {} changes again", plan.instance.id));
                }
                None => moving = true,
            },
        }
    }
    Ok((!moving).then_some(excuses))
}

/// Whether the rules that something is said to be open through are there, and lines say that it must go.
fn is_open_elsewhere(act: &RunRecord, plan: &InstancePlan) -> bool {
    let there = rules(&act.first, &plan.instance.id).unwrap_or_default();
    let live = LiveFirewall::read(&there);
    let wanted = act.desired.instances.get(&plan.instance.id);
    let gone = wanted.is_some_and(|wanted| {
        wanted.mode == Mode::Additive && !(wanted.absent.is_empty() && wanted.expired.is_empty())
    });
    let mut open = plan.still_open.iter();
    gone && open.all(|open| live.firewall().get(open.through).is_some())
}

fn is_unreadable(scene: &Scene, act: &RunRecord, id: &InstanceId) -> bool {
    scene.quirks.port_states != PortStatesResponse::Whole || rules(&act.first, id).is_none()
}

/// Why the planner refuses, if that is true.
fn refusal(
    scene: &Scene,
    act: &RunRecord,
    plan: &InstancePlan,
    reason: &str,
) -> Result<&'static str, String> {
    let there = rules(&act.first, &plan.instance.id).unwrap_or_default();
    let wanted = act.desired.instances.get(&plan.instance.id);
    let strategy = wanted.map(|wanted| wanted.strategy);
    let counts = plan.after.counts();
    let odd = scene.quirks.lists == SourceLists::Absent;
    let (excuse, holds) = if reason.contains("is unknown to this program") {
        let unknown = there.iter().any(|entry| entry.protocol == "sctp");
        ("refused: unknown protocol", unknown)
    } else if reason.contains("an instance can have") {
        let too_many = counts.ipv4.max(counts.ipv6) > portward::model::MAX_SOURCES_PER_FAMILY;
        ("refused: too many sources", too_many)
    } else if reason.contains("has no safe call") {
        let consented = plan.mode != Mode::Additive
            && strategy != Some(portward::model::Strategy::Incremental)
            && !there.iter().any(|entry| entry.protocol == "sctp");
        ("refused: no safe call", !consented)
    } else if reason.contains("cannot be closed for certain") || reason.contains("would drop") {
        let doubtful = odd
            || there
                .iter()
                .any(|entry| entry.cidrs.is_empty() || entry.protocol == "all");
        ("refused: doubtful entries", doubtful)
    } else {
        ("", false)
    };
    if holds {
        return Ok(excuse);
    }
    Err(format!(
        "it settles: {} is refused: {reason}",
        plan.instance.id
    ))
}

/// Why an instance will not change, if that is true.
fn stuck(scene: &Scene, act: &RunRecord, plan: &InstancePlan) -> Option<&'static str> {
    let mut results = act.report.results.iter();
    let result = results.find(|result| result.id == plan.instance.id)?;
    let Outcome::Failed(failure) = &result.outcome else {
        return None;
    };
    let says = |text: &str| failure.message.contains(text);
    let Quirks {
        source_limit,
        aliases_count,
        operations,
        empty_put,
        other_family,
        open,
        port_states,
        lists,
        stopped,
        write_reply,
        ..
    } = &scene.quirks;
    // What the response to a write should have told is told by reading only.
    let unanswered = *write_reply != WriteResponse::Whole
        && (says("cannot be read") || says("has no `operation`"));
    let narrow = *source_limit < portward::model::MAX_SOURCES_PER_FAMILY
        || *aliases_count == AliasCount::Counted;
    let state = act
        .live
        .instances
        .get(&plan.instance.id)
        .map(|instance| &instance.state);
    let reasons = [
        (
            "failed: the service takes fewer sources",
            says("at most") && narrow,
        ),
        (
            "failed: operations fail",
            (says("accepted and then failed") || unanswered)
                && matches!(
                    operations,
                    OperationProgress::Fails(_) | OperationProgress::FailsApplied(_)
                ),
        ),
        (
            "failed: an empty firewall is not taken",
            says("At least one rule") && *empty_put == Acceptance::Refuse && plan.after.is_empty(),
        ),
        (
            "failed: a family is not taken",
            says("IP address type") && *other_family == UnsupportedFamily::Refuse,
        ),
        (
            "failed: Open is refused and no Put is permitted",
            says("already open") && *open == OpenEffect::Refuse && plan.fallback.is_none(),
        ),
        (
            "failed: rules cannot be read",
            *port_states != PortStatesResponse::Whole,
        ),
        (
            "failed: replies do not say who gets in",
            *lists == SourceLists::Absent
                && (unanswered || says("not as planned") || says("rules are as they were")),
        ),
        (
            "failed: it takes no writes while it is stopped",
            says("cannot be changed while")
                && state == Some(&InstanceState::Stopped)
                && *stopped == Acceptance::Refuse,
        ),
        (
            "failed: it does not settle",
            says("was still") && state.is_some_and(|state| !state.is_settled()),
        ),
    ];
    let found = reasons.into_iter().find(|(_, holds)| *holds);
    found.map(|(excuse, _)| excuse)
}
