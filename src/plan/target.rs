//! Which firewall must result: the desired rules, or, in additive mode, the live ones with ours added and ours removed.
//!
//! Owns the meaning of the modes. Refuses to choose calls.

use crate::exposure;
use crate::model::{DesiredInstance, Family, Firewall, Mode, Sources};

/// The rules that must result, spelled as they would be sent in a Put.
pub(super) fn target(desired: &DesiredInstance, live: &Firewall, family: Family) -> Firewall {
    let declared: Firewall = desired
        .rules
        .iter()
        .map(|rule| (rule.key, rule.sources.clone()))
        .collect();
    match desired.mode {
        Mode::Authoritative | Mode::Observe => declared,
        Mode::Additive => additive(desired, &declared, live, family),
    }
}

/// live + declared - absent, key by key.
///
/// Sources that are live already are not added again under another spelling, so that nothing is sent that adds nothing.
fn additive(
    desired: &DesiredInstance,
    declared: &Firewall,
    live: &Firewall,
    family: Family,
) -> Firewall {
    let mut target = live.clone();
    for absent in &desired.absent {
        let Some(now) = target.get(absent.key) else {
            continue;
        };
        let left = match &absent.sources {
            None => Sources::new(),
            Some(sources) => exposure::subtract(now, sources, family),
        };
        target.set(absent.key, left);
    }
    for rule in &desired.expired {
        let Some(now) = target.get(rule.key) else {
            continue;
        };
        let ours = match declared.get(rule.key) {
            None => rule.sources.clone(),
            Some(still) => exposure::subtract(&rule.sources, still, family),
        };
        target.set(rule.key, exposure::subtract(now, &ours, family));
    }
    for (key, sources) in declared {
        let new = match target.get(*key) {
            None => sources.clone(),
            Some(now) => exposure::uncovered(sources, now, family),
        };
        target.add(*key, &new);
    }
    target
}
