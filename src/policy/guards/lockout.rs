//! Who is locked out.
//!
//! Owns what counts as a way in. Refuses to say whether it is meant.

use crate::exposure::{Access, Atom, Diff, Effective, who};
use crate::model::{AddressType, Guard, Sources};
use crate::plan::InstancePlan;

/// The ports by which people administer a machine: SSH, and the remote desktop of Windows.
const WAYS_IN: [u16; 2] = [22, 3389];

/// Why a plan locks somebody out, one fragment a way in and one a kept rule.
pub(super) fn reasons(plan: &InstancePlan, guard: &Guard) -> Vec<String> {
    let kind = &plan.instance.address_type;
    let before = Effective::certain(&plan.before);
    let after = Effective::of(&plan.after);
    let mut reasons = Vec::new();
    for port in WAYS_IN {
        let reaches =
            |effective: &Effective| reachable(effective.access(Atom::Tcp, port).to_sources(), kind);
        let (had, has) = (reaches(&before), reaches(&after));
        let still = Access::from(&had).intersection(&Access::from(&has));
        if had.is_empty() || !still.is_empty() {
            continue;
        }
        let now = if has.is_empty() {
            "nobody".to_owned()
        } else {
            format!("only {}", who(&has))
        };
        reasons.push(format!(
            "nobody who could reach tcp/{port} still could: {} got in before, and {now} would after",
            who(&had)
        ));
    }
    for rule in &guard.keep {
        let sources = reachable(rule.sources.clone(), kind);
        let kept = Effective::of(&[(rule.key, sources)].into_iter().collect());
        let lost = kept.intersection(&before).difference(&after);
        if lost.is_empty() {
            continue;
        }
        let diff = Diff {
            gained: Vec::new(),
            lost: lost.boxes(),
        };
        let lines: Vec<String> = diff.lines().lost.iter().map(ToString::to_string).collect();
        reasons.push(format!(
            "`keep` of {} would no longer hold: it closes {}",
            rule.origin,
            lines.join("; ")
        ));
    }
    reasons
}

/// Those of the sources that an instance of these families can be reached by.
fn reachable(mut sources: Sources, kind: &AddressType) -> Sources {
    if !kind.has_ipv4() {
        sources.clear_ipv4();
    }
    if !kind.has_ipv6() {
        sources.clear_ipv6();
    }
    sources
}
