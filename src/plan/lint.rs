//! Every way in which a finished plan can be wrong, looked for in the plan alone.
//!
//! Owns a second opinion. It shares the meaning of rules with the planner and none of its reasoning: it runs the calls on
//! a model of the service, under every reading of what Open and Close may do, and compares what comes out with what the
//! plan says. Does not know the configuration, and to repair anything. A plan with a defect comes from a mistake in
//! this program or from somebody's hand, and must not be carried out.

mod service;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fmt;

use super::{Action, Call, Change, InstancePlan, Plan, StillOpen, Verdict};
use crate::exposure::{self, Diff, Doubtful, Effective, Reach};
use crate::model::{Counts, Firewall, InstanceId, Key, Mode, SOURCES_PER_FAMILY, Sources};
use service::READINGS;

pub use service::Guess;

/// One thing that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// Where; `None` is the plan as a whole.
    pub instance: Option<InstanceId>,
    /// What.
    pub fault: Fault,
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Instances are not in strict order of region and name, or one is there twice.
    #[error("the instances are not in order, or one is there twice")]
    Order,
    /// Two instances have one ARN.
    #[error("another instance of the plan has the same ARN")]
    SharedArn,
    /// There are calls, or a fallback, though the verdict is not to change anything.
    #[error("there are calls though nothing is to be changed")]
    UnwantedCalls,
    /// It is to be changed and there is no call.
    #[error("it is to be changed and there is no call")]
    NoCalls,
    /// It is to be changed though before and after mean the same, and are spelled alike where that counts.
    #[error("it is to be changed though before and after mean the same")]
    Needless,
    /// It is called in sync though before and after differ.
    #[error("it is called in sync though before and after differ")]
    NotInSync,
    /// The mode is to look only, and the verdict is to change it; or it is another mode that was only looked at.
    #[error("its verdict does not fit the mode `{}`", .0.as_str())]
    Mode(Mode),
    /// A call that opens or closes names nobody, which the service may take for everybody.
    #[error("the call for {0} names no sources")]
    NoSources(Key),
    /// What a call does depends on what nobody knows of the service.
    #[error("what the call for {0} does cannot be known: {1}")]
    Guess(Key, Guess),
    /// A call that changes nothing where it stands: a write to the service for nothing.
    #[error("the call for {0} changes nothing")]
    Idle(Key),
    /// A Put is not the only call.
    #[error("a put is not the only call")]
    PutAmongOthers,
    /// A Put would drop entries that must stay.
    #[error("a put would drop entries that it cannot send back")]
    PutDrops,
    /// Entries that cannot be read would stay although the whole firewall is ours.
    #[error("doubtful entries would stay")]
    DoubtStays,
    /// Calls are not opens by key and then closes by key, each key once.
    #[error("the calls are not in order, or one key has two")]
    CallOrder,
    /// The calls do not lead to `after`.
    #[error("the calls do not lead to the rules that must result")]
    Result,
    /// On the way something is shut that both sides allow.
    #[error("on the way, what both sides allow is shut")]
    Gap,
    /// On the way something is open that neither side allows.
    #[error("on the way, something is open that neither side allows")]
    Excess,
    /// The fallback is not a Put of `after`, or stands where none may.
    #[error("the fallback is not the rules that must result, or none is permitted")]
    Fallback,
    /// More sources than the service takes, in the end or on the way, and not fewer than now.
    #[error("{0} sources of one family are more than an instance takes")]
    TooManySources(usize),
    /// The list of changes is not the difference of before and after.
    #[error("the list of changes is not what differs")]
    Changes,
    /// The exposure is not the difference of before and after.
    #[error("the exposure is not what before and after give")]
    Exposure,
    /// Access is said to stay open that the rule it names does not give, or in a mode that leaves nothing open.
    #[error("what it says stays open is wrong")]
    StillOpen,
    /// It is called complete though entries stay unread, or the reverse.
    #[error("what it says of unread entries is wrong")]
    Incomplete,
}

/// `region/name: what is wrong`.
impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, fault } = self;
        match instance {
            Some(id) => write!(f, "{id}: {fault}"),
            None => fault.fmt(f),
        }
    }
}

/// Looks for defects. A sound plan has none.
pub fn lint(plan: &Plan) -> Vec<Defect> {
    let mut defects = Vec::new();
    let ids = plan.instances.iter().map(|plan| &plan.instance.id);
    let unread: Vec<&InstanceId> = plan.unreadable.iter().map(|(id, _)| id).collect();
    let known: BTreeSet<&InstanceId> = ids.clone().collect();
    if !ids.is_sorted_by(|a, b| a < b)
        || !unread.is_sorted_by(|a, b| a < b)
        || unread.iter().any(|id| known.contains(id))
    {
        defects.push(Defect {
            instance: None,
            fault: Fault::Order,
        });
    }
    let mut arns = BTreeSet::new();
    for plan in &plan.instances {
        let mut faults = Vec::new();
        if !arns.insert(plan.instance.arn.as_str()) {
            faults.push(Fault::SharedArn);
        }
        instance(plan, &mut faults);
        defects.extend(faults.into_iter().map(|fault| Defect {
            instance: Some(plan.instance.id.clone()),
            fault,
        }));
    }
    defects
}

fn instance(plan: &InstancePlan, faults: &mut Vec<Fault>) {
    let changes = plan.verdict == Verdict::Change;
    let stays = !plan.before.unknown().is_empty()
        || (plan.mode == Mode::Additive && !plan.before.uncertain().is_empty());
    let mut check = |sound: bool, fault: Fault| {
        if !sound {
            faults.push(fault);
        }
    };
    let said = match plan.verdict {
        Verdict::InSync => !stays,
        Verdict::Incomplete => stays,
        _ => true,
    };
    check(
        said && plan.incomplete.is_some() == stays,
        Fault::Incomplete,
    );
    check(
        changes || (plan.calls.is_empty() && plan.fallback.is_none()),
        Fault::UnwantedCalls,
    );
    let fits = match plan.verdict {
        Verdict::InSync | Verdict::Incomplete => true,
        Verdict::StillOpen => plan.mode == Mode::Additive,
        Verdict::Observed => plan.mode == Mode::Observe,
        Verdict::Change | Verdict::Refused { .. } => plan.mode != Mode::Observe,
    };
    let ours = plan.mode != Mode::Additive || !plan.strict_spelling;
    check(fits && ours, Fault::Mode(plan.mode));
    let doubtful = plan.mode != Mode::Additive && !plan.before.uncertain().is_empty();
    check(still_open_is_true(plan), Fault::StillOpen);
    if matches!(
        plan.verdict,
        Verdict::InSync | Verdict::Incomplete | Verdict::StillOpen
    ) {
        let same = *plan.before.firewall() == plan.after && !doubtful;
        check(same, Fault::NotInSync);
        check(plan.changes.is_empty(), Fault::Changes);
        check(plan.exposure.is_empty(), Fault::Exposure);
        let open = !plan.still_open.is_empty();
        check(
            open == (plan.verdict == Verdict::StillOpen),
            Fault::StillOpen,
        );
        return;
    }

    let family = plan.family();
    let staying = if stays {
        Doubtful::all(&plan.before)
    } else {
        Vec::new()
    };
    let after = Reach::with_doubts(&plan.after, &staying, family);
    let before = Reach::of_live(&plan.before, family);
    check(
        plan.exposure == Diff::between(&before, &after),
        Fault::Exposure,
    );
    let (certain, after) = (before.certain, after.certain);
    check(changes_are_complete(plan), Fault::Changes);
    let respelled = plan.strict_spelling && *plan.before.firewall() != plan.after;
    check(certain != after || doubtful || respelled, Fault::Needless);
    if !changes {
        return;
    }
    check(!plan.calls.is_empty(), Fault::NoCalls);
    for (now, then) in counts(plan, &plan.after) {
        check(
            then <= SOURCES_PER_FAMILY || then < now,
            Fault::TooManySources(then),
        );
    }
    shape_of_calls(plan, stays, doubtful, faults);
    effect_of_calls(plan, &certain, &after, faults);
}

/// Whether each rule that something is said to stay open through is there and gives it, each once and in order.
fn still_open_is_true(plan: &InstancePlan) -> bool {
    let gives = |open: &StillOpen| {
        let rule = plan.after.get(open.through);
        let rule = rule.map(|sources| (open.through, sources.clone()));
        let all = Effective::of(&rule.into_iter().collect(), plan.family());
        !open.access.is_empty()
            && !open.causes.is_empty()
            && all.is_superset(&Effective::of_boxes(&open.access))
    };
    let in_order = plan.still_open.is_sorted_by(|a, b| a.through < b.through);
    let has_any = plan.mode == Mode::Additive || plan.still_open.is_empty();
    in_order && has_any && plan.still_open.iter().all(gives)
}

/// Whether the list holds exactly the keys whose sources mean something else after, in order and with both sides. Where
/// the spelling counts, those belong to it too that only mean the same.
fn changes_are_complete(plan: &InstancePlan) -> bool {
    let (before, after) = (plan.before.firewall(), &plan.after);
    let none = Sources::new();
    let of = |firewall: &Firewall, key: Key| firewall.get(key).unwrap_or(&none).clone();
    let keys: BTreeSet<Key> = before.keys().chain(after.keys()).collect();
    let differing = keys
        .into_iter()
        .map(|key| (key, of(before, key), of(after, key)))
        .filter(|(_, before, after)| {
            if plan.strict_spelling {
                before != after
            } else {
                !exposure::means_same(before, after, plan.family())
            }
        });
    let listed = plan
        .changes
        .iter()
        .map(|change| (change.key, change.before.clone(), change.after.clone()));
    let named =
        |change: &Change| change.action == Action::of(&change.before, &change.after, plan.family());
    differing.eq(listed) && plan.changes.iter().all(named)
}

/// The sources of IPv4 and of IPv6, now and with these rules. Entries that cannot be read count too, until a Put drops them.
fn counts(plan: &InstancePlan, rules: &Firewall) -> [(usize, usize); 2] {
    let (unread, certain, then) = (
        plan.before.unread_counts(),
        plan.before.firewall().counts(),
        rules.counts(),
    );
    let put = plan
        .calls
        .iter()
        .any(|call| matches!(call, Call::Put { .. }));
    let stay = if put { Counts::default() } else { unread };
    [
        (certain.ipv4 + unread.ipv4, then.ipv4 + stay.ipv4),
        (certain.ipv6 + unread.ipv6, then.ipv6 + stay.ipv6),
    ]
}

/// What can be seen without running them.
fn shape_of_calls(plan: &InstancePlan, stays: bool, doubtful: bool, faults: &mut Vec<Fault>) {
    let mut places = Vec::new();
    let mut puts = 0;
    for call in &plan.calls {
        match call {
            Call::Open { key, sources } | Call::Close { key, sources } => {
                if sources.is_empty() {
                    faults.push(Fault::NoSources(*key));
                }
                places.push((matches!(call, Call::Close { .. }), *key));
            }
            Call::Put { .. } => puts += 1,
        }
    }
    if puts > 0 && plan.calls.len() > 1 {
        faults.push(Fault::PutAmongOthers);
    }
    if puts > 0 && stays {
        faults.push(Fault::PutDrops);
    }
    if puts == 0 && doubtful {
        faults.push(Fault::DoubtStays);
    }
    let keys: BTreeSet<Key> = places.iter().map(|(_, key)| *key).collect();
    if !places.is_sorted() || keys.len() < places.len() {
        faults.push(Fault::CallOrder);
    }
    // Consent to a Put makes a plan that is a Put, so in additive mode calls that are none have no fallback.
    let permitted = puts == 0 && !stays && plan.mode != Mode::Additive;
    if let Some(fallback) = &plan.fallback
        && (!permitted || *fallback != plan.after)
    {
        faults.push(Fault::Fallback);
    }
}

/// What comes of them, under every reading of the service.
fn effect_of_calls(
    plan: &InstancePlan,
    before: &Effective,
    after: &Effective,
    faults: &mut Vec<Fault>,
) {
    let mut found = Vec::new();
    // What must stay open, and all that may be: needed only where there is something in between.
    let corridor = OnceCell::new();
    for reading in READINGS {
        let mut state = plan.before.firewall().clone();
        for call in &plan.calls {
            if let Err((key, guess)) = service::is_certain(call, &state, &plan.before) {
                found.push(Fault::Guess(key, guess));
            }
            if let Some(key) = reading.is_idle(call, &state, plan.strict_spelling, plan.family()) {
                found.push(Fault::Idle(key));
            }
            reading.run(&mut state, call);
            for (now, then) in counts(plan, &state) {
                if then > SOURCES_PER_FAMILY && then > now {
                    found.push(Fault::TooManySources(then));
                }
            }
            // Both ends lie between themselves, so that a plan of one call costs no comparison.
            if state == plan.after || state == *plan.before.firewall() {
                continue;
            }
            let now = Effective::of(&state, plan.family());
            let (least, most) = corridor.get_or_init(|| {
                let most = before.joined(after, plan.family());
                (before.intersection(after), most)
            });
            if !now.is_superset(least) {
                found.push(Fault::Gap);
            }
            if !most.is_superset(&now) {
                found.push(Fault::Excess);
            }
        }
        if state != plan.after {
            found.push(Fault::Result);
        }
    }
    // The same fault under several readings is one.
    for fault in found {
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
}
