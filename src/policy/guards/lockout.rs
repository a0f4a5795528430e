//! Who is locked out.
//!
//! Owns what counts as a way in. Does not say whether it is meant.

use super::granted::without_ended;
use crate::exposure::{Atom, Diff, Effective, who};
use crate::model::Guard;
use crate::plan::InstancePlan;

/// The ports by which people administer a machine: SSH, and the remote desktop of Windows.
const WAYS_IN: [u16; 2] = [22, 3389];

/// Why a plan locks somebody out, one fragment a way in and one a kept rule.
pub(super) fn reasons(plan: &InstancePlan, guard: &Guard) -> Vec<String> {
    let kind = &plan.instance.address_type;
    let family = plan.family();
    let before = Effective::of(&without_ended(plan), family);
    let after = Effective::of(&plan.after, family);
    let mut reasons = Vec::new();
    for port in WAYS_IN {
        let reaches = |effective: &Effective| effective.access(Atom::Tcp, port).on(kind);
        let (had, has) = (reaches(&before), reaches(&after));
        let arrived = had.arriving();
        if arrived.is_empty() || !arrived.intersection(&has).is_empty() {
            continue;
        }
        let named = who(&has.to_sources(family));
        let now = if has.is_empty() {
            "nobody".to_owned()
        } else if has.arriving().is_empty() {
            format!("only {named}, from where nobody arrives,")
        } else {
            format!("only {named}")
        };
        reasons.push(format!(
            "nobody who could reach tcp/{port} still could: {} got in before, and {now} would after",
            who(&had.to_sources(family))
        ));
    }
    for rule in &guard.keep {
        let kept = Effective::of_rules([(&rule.key, &rule.sources)], family).on(kind);
        let lost = kept.intersection(&before).difference(&after);
        let lost = lost.where_somebody_arrives();
        if lost.is_empty() {
            continue;
        }
        let diff = Diff::losing(&lost, family);
        let lines: Vec<String> = diff.lines().lost.iter().map(ToString::to_string).collect();
        reasons.push(format!(
            "`keep` of {} would no longer hold: it closes {}",
            rule.declared.origin,
            lines.join("; ")
        ));
    }
    reasons
}
