//! Undo: the plan that reverts the writes of a run to one instance and keeps all changes of others.
//!
//! **Owns** the comparison of three states: the rules before the writes, the rules that they lead to, and the rules that are live
//! now. Access that the writes opened is closed if it is open, access that they closed is opened if it is closed, and everything
//! else stays and is reported. So for each key, a source that was live before and is live now keeps its access, and a source that
//! neither was nor is gets none. The calls are safe ones, or else one Put of the live rules with these changes.
//!
//! **Does not** know why the writes are undone, or whether they were carried out: its input is all writes that may have been. It
//! does no harm to undo a write that was not carried out.

use std::collections::BTreeSet;

use super::planner::keys;
use super::{Call, InstancePlan, surgical};
use crate::exposure::{self, Effective, Line};
use crate::model::{
    Family, Firewall, Instance, Key, LiveFirewall, Note, PortState, Sources, Strategy, Uncertain,
};

/// A write that may have been carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The certain rules before the write.
    pub before: Firewall,
    /// The rules after the write.
    pub after: Firewall,
}

/// The plan to undo the writes to one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Undo {
    /// The plan. It is refused if no permitted call can undo the writes, and in sync if there is nothing to undo.
    pub plan: InstancePlan,
    /// The differences that remain to the rules before the writes, which somebody else made. In order of keys.
    pub foreign_differences: Vec<String>,
    /// Access that the writes opened and that stays open through rules of somebody else.
    pub still_open: Vec<Line>,
}

/// Plans to undo `steps`, which are in the order in which they were sent.
///
/// `before` is the live firewall before the first of them; its uncertain entries are not from this run.
pub fn undo(
    instance: &Instance,
    live: &LiveFirewall,
    before: &LiveFirewall,
    steps: &[Step],
    strategy: Strategy,
) -> Undo {
    let family = instance.address_type.client_family();
    let first_rules = steps.first().map_or(live.firewall(), |step| &step.before);
    let own = OwnChanges::of(steps, family);
    let target = if is_undisturbed(live.firewall(), steps, family) {
        first_rules.clone()
    } else {
        own.undo(live.firewall(), first_rules, family)
    };
    // An uncertain entry with a key that the writes opened is their own rule, returned in an unreadable form. Only a Put removes it.
    let is_own = |entry: &Uncertain| {
        let opened = entry.key.is_some_and(|key| own.opened.get(key).is_some());
        opened && !before.uncertain().contains(entry)
    };
    let mut plan = surgical::plan(instance, live, &target, strategy, is_own);
    let result = &plan.after;
    let access = |firewall: &Firewall| Effective::of(firewall, family);
    let opened = access(&own.opened).difference(&access(first_rules));
    let still_open = opened.intersection(&access(result));
    let still_open = exposure::lines(&still_open.boxes(family));
    let mut foreign_differences = differences(result, first_rules, family);
    foreign_differences.extend(doubtful_differences(&plan, before));
    if !foreign_differences.is_empty() {
        let text = format!(
            "changed by somebody else, and kept: {}",
            foreign_differences.join("; ")
        );
        plan.notes.push(Note { text, origin: None });
    }
    plan.notes.extend(still_open.iter().map(|line| Note {
        text: format!("{line} stays open through rules that are not undone"),
        origin: None,
    }));
    Undo {
        plan,
        foreign_differences,
        still_open,
    }
}

/// The uncertain and unknown entries that were added or removed.
fn doubtful_differences(plan: &InstancePlan, before: &LiveFirewall) -> Vec<String> {
    let entries = |live: &LiveFirewall| -> BTreeSet<PortState> {
        let uncertain = live.uncertain().iter();
        let uncertain = uncertain.map(|uncertain| uncertain.entry.clone());
        uncertain.chain(live.unknown().iter().cloned()).collect()
    };
    let (now, before) = (entries(&plan.before), entries(before));
    let removed = before.difference(&now);
    let removed = removed.map(|entry| format!("`{entry}` is gone, and cannot be written again"));
    // A Put is planned only if the entries that it drops are from this run.
    let has_put = plan.calls.iter().any(Call::replaces);
    let added = now.difference(&before).filter(|_| !has_put);
    let added = added.map(|entry| format!("`{entry}` is open, and cannot be read for certain"));
    removed.chain(added).collect()
}

/// The differences between the rules and the wanted rules, one fragment for each key whose sources differ in meaning.
pub fn differences(actual: &Firewall, wanted: &Firewall, family: Family) -> Vec<String> {
    let fragment = |key: Key| {
        let (actual, wanted) = (actual.sources(key), wanted.sources(key));
        if exposure::means_same(&actual, &wanted, family) {
            return None;
        }
        Some(match (actual.is_empty(), wanted.is_empty()) {
            (false, true) => format!("{key} is open to {actual}"),
            (true, _) => format!("{key} is not open to {wanted}"),
            (false, false) => format!("{key} is open to {actual}, not to {wanted}"),
        })
    };
    keys(actual, wanted)
        .into_iter()
        .filter_map(fragment)
        .collect()
}

/// The access that the writes opened and closed, by key. No source of a key is in both.
#[derive(Default)]
struct OwnChanges {
    opened: Firewall,
    closed: Firewall,
}

impl OwnChanges {
    /// The first write that changes a source of a key decides whether the source was open before all writes.
    fn of(steps: &[Step], family: Family) -> Self {
        let mut own = Self::default();
        for Step { before, after } in steps {
            for key in keys(before, after) {
                let (before, after) = (before.sources(key), after.sources(key));
                let minus = |one: &Sources, other: &Sources| exposure::subtract(one, other, family);
                let opens = minus(&minus(&after, &before), &own.closed.sources(key));
                let closes = minus(&minus(&before, &after), &own.opened.sources(key));
                own.opened.add(key, &opens);
                own.closed.add(key, &closes);
            }
        }
        own
    }

    /// The live rules without the sources that were opened and with those that were closed.
    fn undo(&self, live: &Firewall, first_rules: &Firewall, family: Family) -> Firewall {
        let mut target = live.clone();
        for key in keys(&self.opened, &self.closed) {
            let now = live.sources(key);
            let mut wanted = exposure::subtract(&now, &self.opened.sources(key), family);
            wanted.extend(&self.closed.sources(key));
            let spelled = keep_spelling(&wanted, &now, &first_rules.sources(key), family);
            target.set(key, spelled);
        }
        target
    }
}

/// The same sources, as far as possible in the spelling that is live or was live before.
fn keep_spelling(
    wanted: &Sources,
    now: &Sources,
    first_rules: &Sources,
    family: Family,
) -> Sources {
    for known in [now, first_rules] {
        if exposure::means_same(wanted, known, family) {
            return known.clone();
        }
    }
    let mut known = now.clone();
    known.extend(first_rules);
    let outside = exposure::uncovered(&known, wanted, family);
    let mut result = known.without(&outside);
    result.extend(&exposure::subtract(wanted, &result, family));
    result
}

/// Whether the live rules are a state that only the writes lead to, in any spelling. Then everything is restored.
fn is_undisturbed(live: &Firewall, steps: &[Step], family: Family) -> bool {
    let Some(first) = steps.first() else {
        return false;
    };
    let mut states = vec![&first.before];
    for Step { before, after } in steps {
        let is_before = |state: &&Firewall| exposure::equivalent(state, before, family);
        if !states.iter().any(is_before) {
            // Somebody else wrote between two steps.
            return false;
        }
        states.push(after);
    }
    states
        .into_iter()
        .any(|state| exposure::equivalent(state, live, family))
}

#[cfg(test)]
mod tests;
