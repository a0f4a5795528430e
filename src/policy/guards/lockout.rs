//! The lockout guard.
//!
//! Owns the definition of administrative access. Does not know consent.

use super::ended_leases::without_ended_leases;
use crate::exposure::{self, Atom, Effective, format_sources};
use crate::model::Guard;
use crate::plan::InstancePlan;

/// The ports of administrative access: SSH and Windows Remote Desktop.
const ADMIN_PORTS: [u16; 2] = [22, 3389];

/// The reasons why a plan locks out administrators, one fragment for each port and for each kept rule.
pub(super) fn reasons(plan: &InstancePlan, guard: &Guard) -> Vec<String> {
    let address_type = &plan.instance.address_type;
    let family = plan.family();
    let before = Effective::of(&without_ended_leases(plan), family);
    let after = Effective::of(&plan.after, family);
    let mut reasons = Vec::new();
    for port in ADMIN_PORTS {
        let access = |effective: &Effective| effective.access(Atom::Tcp, port).on(address_type);
        let (old, new) = (access(&before), access(&after));
        let reachable = old.publicly_reachable();
        if reachable.is_empty() || !reachable.intersection(&new).is_empty() {
            continue;
        }
        let sources = format_sources(&new.to_sources(family));
        let now = if new.is_empty() {
            "nobody".to_owned()
        } else if new.publicly_reachable().is_empty() {
            format!("only {sources}, from where nobody arrives,")
        } else {
            format!("only {sources}")
        };
        reasons.push(format!(
            "nobody who could reach tcp/{port} still could: {} got in before, and {now} would after",
            format_sources(&old.to_sources(family))
        ));
    }
    for rule in &guard.keep {
        let kept = Effective::of_rules([(&rule.key, &rule.sources)], family).on(address_type);
        let lost = kept.intersection(&before).difference(&after);
        let lost = lost.on_publicly_reachable_cells();
        if lost.is_empty() {
            continue;
        }
        let lines = exposure::lines(&lost.boxes(family));
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        reasons.push(format!(
            "`keep` of {} would no longer hold: it closes {}",
            rule.declared.origin,
            lines.join("; ")
        ));
    }
    reasons
}
