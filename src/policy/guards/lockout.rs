//! The lockout guard.
//!
//! Owns the definition of administrative access. Does not know consent.

use super::granted::without_ended;
use crate::exposure::{Atom, Diff, Effective, format_sources};
use crate::model::Guard;
use crate::plan::InstancePlan;

/// The ports of administrative access: SSH and Windows Remote Desktop.
const ADMIN_PORTS: [u16; 2] = [22, 3389];

/// The reasons why a plan locks out administrators, one fragment for each port and for each kept rule.
pub(super) fn reasons(plan: &InstancePlan, guard: &Guard) -> Vec<String> {
    let kind = &plan.instance.address_type;
    let family = plan.family();
    let before = Effective::of(&without_ended(plan), family);
    let after = Effective::of(&plan.after, family);
    let mut reasons = Vec::new();
    for port in ADMIN_PORTS {
        let reaches = |effective: &Effective| effective.access(Atom::Tcp, port).on(kind);
        let (had, has) = (reaches(&before), reaches(&after));
        let arrived = had.publicly_reachable();
        if arrived.is_empty() || !arrived.intersection(&has).is_empty() {
            continue;
        }
        let named = format_sources(&has.to_sources(family));
        let now = if has.is_empty() {
            "nobody".to_owned()
        } else if has.publicly_reachable().is_empty() {
            format!("only {named}, from where nobody arrives,")
        } else {
            format!("only {named}")
        };
        reasons.push(format!(
            "nobody who could reach tcp/{port} still could: {} got in before, and {now} would after",
            format_sources(&had.to_sources(family))
        ));
    }
    for rule in &guard.keep {
        let kept = Effective::of_rules([(&rule.key, &rule.sources)], family).on(kind);
        let lost = kept.intersection(&before).difference(&after);
        let lost = lost.on_publicly_reachable_cells();
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
