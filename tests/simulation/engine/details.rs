//! A description of a run with a violation, for debugging.
//!
//! Owns the text, which may be long. Does not check anything.

use std::fmt::Write as _;

use portward::render::text;

use super::act::RunRecord;
use super::scene::Scene;

/// The scene, the plan, the report and the journal.
pub(crate) fn details(scene: &Scene, act: &RunRecord) -> String {
    let mut told = String::new();
    let _ = writeln!(told, "quirks: {}", scene.quirks.changed().join(" "));
    let _ = writeln!(told, "faults: {:?}", scene.faults);
    for (id, entry) in act.first.entries() {
        let (family, state) = (&entry.ip_address_type, &entry.state);
        let _ = writeln!(told, "{id} was {state}, {family}: {:?}", entry.port_states);
    }
    for (id, wanted) in &act.desired.instances {
        let _ = writeln!(told, "{id} wanted: {wanted:?}");
    }
    told.push_str(&text::plan(&act.plan, text::PlanView::Plan, 80));
    for plan in &act.plan.instances {
        let _ = writeln!(told, "{}: {:?}", plan.instance.id, plan.calls);
    }
    told.push_str(&text::report(&act.report, &act.plan));
    for told_write in &act.intents {
        let _ = writeln!(told, "intent: {told_write:?}");
    }
    let (begin, planned, applied) = (act.begin, act.planned, act.applied);
    let _ = writeln!(
        told,
        "journal from {begin}, planned at {planned}, applied at {applied}:"
    );
    for (place, write) in act.journal.iter().enumerate().skip(act.begin) {
        let _ = writeln!(told, "{place}: {write:?}");
    }
    for look in act.plan_reads.iter().chain(&act.rule_reads) {
        let _ = writeln!(told, "look: {look:?}");
    }
    told
}
