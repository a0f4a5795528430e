//! Undo: the plan that takes back what some writes did to one instance, and leaves what anybody else did.
//!
//! **Owns** the comparison of three states: the rules before the writes, the rules they lead to, and the rules that are live
//! now. What the writes opened and is open is closed; what they closed and is closed is opened again; everything else stays
//! and is named. So for each key, a source that is both live now and was live before keeps its access, and one that is
//! neither gets none. The calls are those whose result is certain, else one Put of the live rules with our part undone.
//!
//! **Does not** know who wrote, why it is undone, and whether the writes were carried out: it is given those that may have
//! been. A write that was not carried out left nothing to undo, so that it does no harm to name it.

use std::collections::BTreeSet;

use super::surgical::{self, Wanted, keys};
use super::{Call, InstancePlan};
use crate::exposure::{self, Diff, Effective, Line};
use crate::model::{
    Family, Firewall, Instance, Key, LiveFirewall, Mode, Note, PortState, Sources, Strategy,
    Uncertain,
};

/// One write that may have been carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The certain rules right before it.
    pub before: Firewall,
    /// The rules that it leads to.
    pub after: Firewall,
}

/// How to undo the writes to one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    /// The calls from what is live now, as an ordinary plan. It is refused where no permitted call can do it, and in sync
    /// where nothing is left to undo.
    pub plan: InstancePlan,
    /// How the rules then differ from those before the writes: somebody else did that, and it stays. In order of the keys.
    pub left: Vec<String>,
    /// What the writes opened and what stays open all the same, because rules of somebody else let the same sources in.
    pub remains: Vec<Line>,
}

/// Undoes `steps`, in the order in which they were sent.
///
/// `before` is what was live before the first of them; its doubtful entries are not ours.
pub fn undo(
    instance: &Instance,
    live: &LiveFirewall,
    before: &LiveFirewall,
    steps: &[Step],
    strategy: Strategy,
) -> Undo {
    let family = instance.address_type.client_family();
    let origin = steps.first().map_or(live.firewall(), |step| &step.before);
    let ours = Ours::of(steps, family);
    let target = if undisturbed(live.firewall(), steps, family) {
        origin.clone()
    } else {
        ours.undone(live.firewall(), origin, family)
    };
    let mut plan = plan(instance, live, before, &ours, &target, strategy);
    let result = &plan.after;
    let means = |firewall: &Firewall| Effective::of(firewall, family);
    let opened = means(&ours.opened).difference(&means(origin));
    let remains = Diff::gaining(&opened.intersection(&means(result)), family);
    let remains = remains.lines().gained;
    let mut left = differences(result, origin, family);
    left.extend(doubtful(&plan, before));
    if !left.is_empty() {
        let text = format!("changed by somebody else, and left so: {}", left.join("; "));
        plan.notes.push(Note { text, origin: None });
    }
    plan.notes.extend(remains.iter().map(|line| Note {
        text: format!("{line} stays open through rules that are not undone"),
        origin: None,
    }));
    Undo {
        plan,
        left,
        remains,
    }
}

/// Entries that are no certain rules, and that came or went.
fn doubtful(plan: &InstancePlan, before: &LiveFirewall) -> Vec<String> {
    let entries = |live: &LiveFirewall| -> BTreeSet<PortState> {
        let uncertain = live.uncertain().iter();
        let uncertain = uncertain.map(|uncertain| uncertain.entry.clone());
        uncertain.chain(live.unknown().iter().cloned()).collect()
    };
    let (is, was) = (entries(&plan.before), entries(before));
    let gone = was.difference(&is);
    let gone = gone.map(|entry| format!("`{entry}` is gone, and cannot be written again"));
    // A Put is only planned where it drops nothing but what is ours.
    let puts = matches!(plan.calls.first(), Some(Call::Put { .. }));
    let new = is.difference(&was).filter(|_| !puts);
    let new = new.map(|entry| format!("`{entry}` is open, and cannot be read for certain"));
    gone.chain(new).collect()
}

/// What the rules are, where they are not what is wanted, as fragments: one for each key whose sources mean something else.
pub fn differences(is: &Firewall, wanted: &Firewall, family: Family) -> Vec<String> {
    let none = Sources::new();
    let fragment = |key: Key| {
        let (is, wanted) = (
            is.get(key).unwrap_or(&none),
            wanted.get(key).unwrap_or(&none),
        );
        if exposure::means_same(is, wanted, family) {
            return None;
        }
        Some(match (is.is_empty(), wanted.is_empty()) {
            (false, true) => format!("{key} is open to {is}"),
            (true, _) => format!("{key} is not open to {wanted}"),
            (false, false) => format!("{key} is open to {is}, not to {wanted}"),
        })
    };
    keys(is, wanted).into_iter().filter_map(fragment).collect()
}

/// What the writes did, key by key. No source of a key is in both.
struct Ours {
    opened: Firewall,
    closed: Firewall,
}

impl Ours {
    /// The first write that touches a source of a key tells whether it was open before: what was opened and closed again
    /// was closed, and the reverse.
    fn of(steps: &[Step], family: Family) -> Self {
        let mut ours = Self {
            opened: Firewall::new(),
            closed: Firewall::new(),
        };
        let none = Sources::new();
        for Step { before, after } in steps {
            for key in keys(before, after) {
                let (before, after) = (
                    before.get(key).unwrap_or(&none),
                    after.get(key).unwrap_or(&none),
                );
                let known = |firewall: &Firewall| firewall.get(key).unwrap_or(&none).clone();
                let (opened, closed) = (known(&ours.opened), known(&ours.closed));
                let less = |one: &Sources, other: &Sources| exposure::subtract(one, other, family);
                let opens = less(&less(after, before), &closed);
                let closes = less(&less(before, after), &opened);
                ours.opened.add(key, &opens);
                ours.closed.add(key, &closes);
            }
        }
        ours
    }

    /// The live rules without what was opened and with what was closed.
    fn undone(&self, live: &Firewall, origin: &Firewall, family: Family) -> Firewall {
        let mut target = live.clone();
        let none = Sources::new();
        for key in keys(&self.opened, &self.closed) {
            let of = |firewall: &Firewall| firewall.get(key).unwrap_or(&none).clone();
            let now = of(live);
            let mut wanted = exposure::subtract(&now, &of(&self.opened), family);
            wanted.extend(&of(&self.closed));
            target.set(key, spelled(&wanted, &now, &of(origin), family));
        }
        target
    }
}

/// The same sources, in the spelling of what is live or was live before wherever that is possible.
fn spelled(wanted: &Sources, now: &Sources, origin: &Sources, family: Family) -> Sources {
    for known in [now, origin] {
        if exposure::means_same(wanted, known, family) {
            return known.clone();
        }
    }
    let mut known = now.clone();
    known.extend(origin);
    let outside = exposure::uncovered(&known, wanted, family);
    let mut result = known.without(&outside);
    result.extend(&exposure::subtract(wanted, &result, family));
    result
}

/// Whether the live rules mean a state that the writes alone lead through: then everything goes back to what it was, in
/// whatever spelling it is now.
fn undisturbed(live: &Firewall, steps: &[Step], family: Family) -> bool {
    let Some(first) = steps.first() else {
        return false;
    };
    let mut states = vec![&first.before];
    for Step { before, after } in steps {
        let known = |state: &&Firewall| exposure::equivalent(state, before, family);
        if !states.iter().any(known) {
            // Somebody wrote between two of ours.
            return false;
        }
        states.push(after);
    }
    states
        .into_iter()
        .any(|state| exposure::equivalent(state, live, family))
}

fn plan(
    instance: &Instance,
    live: &LiveFirewall,
    before: &LiveFirewall,
    ours: &Ours,
    target: &Firewall,
    strategy: Strategy,
) -> InstancePlan {
    // A doubtful entry for what we opened is our own, echoed in a way that cannot be read: only a Put takes it away.
    let is_ours = |entry: &&Uncertain| {
        let opened = entry.key.is_some_and(|key| ours.opened.get(key).is_some());
        opened && !before.uncertain().contains(*entry)
    };
    surgical::plan(&Wanted {
        instance,
        live,
        target,
        doubt: live.uncertain().iter().find(is_ours),
        mode: if live.uncertain().iter().all(|entry| is_ours(&entry)) {
            Mode::Authoritative
        } else {
            Mode::Additive
        },
        strategy,
        causes: &|_| Vec::new(),
    })
}

#[cfg(test)]
mod tests;
