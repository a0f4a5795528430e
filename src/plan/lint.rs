//! Lint: checks a finished plan for every defect that can be found in the plan alone.
//!
//! Owns a check that is independent of the planner. It shares only the meaning of rules with it: it runs the calls on a model of the
//! service, under every reading of the undocumented behaviour of Open and Close, and compares the result with the plan. Does
//! not know the configuration, and repairs nothing. A defect comes from a bug in this program or from an edited file; such a
//! plan must not be carried out.

mod service;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fmt;

use super::{Call, Change, ChangeKind, InstancePlan, Plan, StillOpen, Verdict};
use crate::exposure::{self, Diff, Doubtful, Effective, Reach};
use crate::model::{Firewall, InstanceId, Key, MAX_SOURCES_PER_FAMILY, Mode, SourceCounts};

pub use service::Uncertainty;

/// A defect of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// The instance with the defect; `None` for the plan as a whole.
    pub instance: Option<InstanceId>,
    /// The kind of defect.
    pub kind: DefectKind,
}

/// The kinds of defects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefectKind {
    /// Instances are not in strict order, or one is listed twice.
    #[error("the instances are not in order, or one is listed twice")]
    Order,
    /// Two instances have the same ARN.
    #[error("another instance of the plan has the same ARN")]
    SharedArn,
    /// There are calls or a fallback although the verdict is not `change`.
    #[error("there are calls although nothing is to be changed")]
    UnwantedCalls,
    /// The verdict is `change` but there is no call.
    #[error("it is to be changed but there is no call")]
    NoCalls,
    /// The verdict is `change` although before and after mean the same, and have the same spelling if that counts.
    #[error("it is to be changed although before and after mean the same")]
    Needless,
    /// The verdict is `in-sync` although before and after differ.
    #[error("it is called in sync although before and after differ")]
    NotInSync,
    /// The verdict is impossible in this mode, such as `change` in the mode `observe`.
    #[error("its verdict does not fit the mode `{0}`")]
    Mode(Mode),
    /// An Open or Close without sources, which the service may interpret as everyone.
    #[error("the call for {0} names no sources")]
    NoSources(Key),
    /// The effect of a call depends on undocumented behaviour of the service.
    #[error("the effect of the call for {0} is uncertain: {1}")]
    Uncertainty(Key, Uncertainty),
    /// A call that changes nothing.
    #[error("the call for {0} changes nothing")]
    Idle(Key),
    /// There is a Put among other calls.
    #[error("a Put is not the only call")]
    PutAmongOthers,
    /// A Put would drop entries that must stay.
    #[error("a Put would drop entries that it cannot send back")]
    PutDrops,
    /// Uncertain entries would stay although the configuration manages the whole firewall.
    #[error("doubtful entries would stay")]
    DoubtStays,
    /// The calls are not Opens by key and then Closes by key, each key once.
    #[error("the calls are not in order, or one key has two calls")]
    CallOrder,
    /// The calls do not lead to `after`.
    #[error("the calls do not lead to the rules that must result")]
    Result,
    /// An intermediate state closes access that both before and after allow.
    #[error("an intermediate state closes access that is allowed before and after")]
    Gap,
    /// An intermediate state opens access that neither before nor after allows.
    #[error("an intermediate state opens access that is allowed neither before nor after")]
    Excess,
    /// The fallback is not a Put of `after`, or is not permitted.
    #[error("the fallback is not the rules that must result, or none is permitted")]
    Fallback,
    /// More sources than the service accepts, in the end or in an intermediate state, and not fewer than now.
    #[error("{0} sources of one family are more than an instance can have")]
    TooManySources(usize),
    /// The list of changes is not the difference of before and after.
    #[error("the list of changes is not the difference of before and after")]
    Changes,
    /// The exposure is not the difference of before and after.
    #[error("the exposure is not the difference of before and after")]
    Exposure,
    /// The plan says that access stays open, but the named rule does not give it, or the mode leaves nothing open.
    #[error("the list of access that stays open is wrong")]
    StillOpen,
    /// The plan is marked complete although unreadable entries stay, or the reverse.
    #[error("the note about unreadable entries is wrong")]
    Incomplete,
}

/// `region/name: defect`.
impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, kind } = self;
        match instance {
            Some(id) => write!(f, "{id}: {kind}"),
            None => kind.fmt(f),
        }
    }
}

/// Finds all defects. A sound plan has none.
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
            kind: DefectKind::Order,
        });
    }
    let mut arns = BTreeSet::new();
    for plan in &plan.instances {
        let mut kinds = Vec::new();
        if !arns.insert(plan.instance.arn.as_str()) {
            kinds.push(DefectKind::SharedArn);
        }
        check_instance(plan, &mut kinds);
        defects.extend(kinds.into_iter().map(|kind| Defect {
            instance: Some(plan.instance.id.clone()),
            kind,
        }));
    }
    defects
}

fn check_instance(plan: &InstancePlan, kinds: &mut Vec<DefectKind>) {
    let is_change = plan.verdict == Verdict::Change;
    let has_staying_entries = !plan.before.unknown().is_empty()
        || (plan.mode == Mode::Additive && !plan.before.uncertain().is_empty());
    let mut check = |sound: bool, kind: DefectKind| {
        if !sound {
            kinds.push(kind);
        }
    };
    let is_verdict_correct = match plan.verdict {
        Verdict::InSync => !has_staying_entries,
        Verdict::Incomplete => has_staying_entries,
        _ => true,
    };
    check(
        is_verdict_correct && plan.incomplete.is_some() == has_staying_entries,
        DefectKind::Incomplete,
    );
    check(
        is_change || (plan.calls.is_empty() && plan.fallback.is_none()),
        DefectKind::UnwantedCalls,
    );
    let fits_mode = match plan.verdict {
        Verdict::InSync | Verdict::Incomplete => true,
        Verdict::StillOpen => plan.mode == Mode::Additive,
        Verdict::Observed => plan.mode == Mode::Observe,
        Verdict::Change | Verdict::Refused { .. } => plan.mode != Mode::Observe,
    };
    let may_be_strict = plan.mode != Mode::Additive || !plan.strict_spelling;
    check(fits_mode && may_be_strict, DefectKind::Mode(plan.mode));
    let has_replaced_entries = plan.mode != Mode::Additive && !plan.before.uncertain().is_empty();
    check(is_still_open_correct(plan), DefectKind::StillOpen);
    if matches!(
        plan.verdict,
        Verdict::InSync | Verdict::Incomplete | Verdict::StillOpen
    ) {
        let is_same = *plan.before.firewall() == plan.after && !has_replaced_entries;
        check(is_same, DefectKind::NotInSync);
        check(plan.changes.is_empty(), DefectKind::Changes);
        check(plan.exposure.is_empty(), DefectKind::Exposure);
        let is_still_open = !plan.still_open.is_empty();
        check(
            is_still_open == (plan.verdict == Verdict::StillOpen),
            DefectKind::StillOpen,
        );
        return;
    }

    let family = plan.family();
    let staying = if has_staying_entries {
        Doubtful::all(&plan.before)
    } else {
        Vec::new()
    };
    let after = Reach::with_doubts(&plan.after, &staying, family);
    let before = Reach::of_live(&plan.before, family);
    check(
        plan.exposure == Diff::between(&before, &after),
        DefectKind::Exposure,
    );
    let (certain, after) = (before.certain, after.certain);
    check(are_changes_complete(plan), DefectKind::Changes);
    let is_respelled = plan.strict_spelling && *plan.before.firewall() != plan.after;
    check(
        certain != after || has_replaced_entries || is_respelled,
        DefectKind::Needless,
    );
    if !is_change {
        return;
    }
    check(!plan.calls.is_empty(), DefectKind::NoCalls);
    for (now, then) in counts(plan, &plan.after) {
        check(
            then <= MAX_SOURCES_PER_FAMILY || then < now,
            DefectKind::TooManySources(then),
        );
    }
    check_form(plan, has_staying_entries, has_replaced_entries, kinds);
    check_effect(plan, &certain, &after, kinds);
}

/// Whether each rule of `still_open` exists and gives the access, each once and in order.
fn is_still_open_correct(plan: &InstancePlan) -> bool {
    let gives = |open: &StillOpen| {
        let rule = plan.after.get(open.through);
        let rule = rule.map(|sources| (&open.through, sources));
        let all = Effective::of_rules(rule, plan.family());
        !open.access.is_empty()
            && !open.causes.is_empty()
            && all.is_superset(&Effective::of_boxes(&open.access))
    };
    let in_order = plan.still_open.is_sorted_by(|a, b| a.through < b.through);
    let has_any = plan.mode == Mode::Additive || plan.still_open.is_empty();
    in_order && has_any && plan.still_open.iter().all(gives)
}

/// Whether the list has exactly the keys whose sources differ in meaning or, if the spelling counts, in spelling, in order and with
/// the sources before and after.
fn are_changes_complete(plan: &InstancePlan) -> bool {
    let (before, after) = (plan.before.firewall(), &plan.after);
    let keys: BTreeSet<Key> = before.keys().chain(after.keys()).collect();
    let differing = keys
        .into_iter()
        .map(|key| (key, before.sources(key), after.sources(key)))
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
    let is_named_correctly = |change: &Change| {
        change.action == ChangeKind::of(&change.before, &change.after, plan.family())
    };
    differing.eq(listed) && plan.changes.iter().all(is_named_correctly)
}

/// The numbers of IPv4 and of IPv6 sources, now and with these rules. Unreadable entries count until a Put drops them.
fn counts(plan: &InstancePlan, rules: &Firewall) -> [(usize, usize); 2] {
    let (unread, certain, then) = (
        plan.before.unread_counts(),
        plan.before.firewall().counts(),
        rules.counts(),
    );
    let put = plan.calls.iter().any(Call::replaces);
    let stay = if put { SourceCounts::default() } else { unread };
    [
        (certain.ipv4 + unread.ipv4, then.ipv4 + stay.ipv4),
        (certain.ipv6 + unread.ipv6, then.ipv6 + stay.ipv6),
    ]
}

/// Checks the calls without running them.
fn check_form(
    plan: &InstancePlan,
    has_staying_entries: bool,
    has_replaced_entries: bool,
    kinds: &mut Vec<DefectKind>,
) {
    let mut places = Vec::new();
    let mut puts = 0;
    for call in &plan.calls {
        match call {
            Call::Open { key, sources } | Call::Close { key, sources } => {
                if sources.is_empty() {
                    kinds.push(DefectKind::NoSources(*key));
                }
                places.push((matches!(call, Call::Close { .. }), *key));
            }
            Call::Put { .. } => puts += 1,
        }
    }
    if puts > 0 && plan.calls.len() > 1 {
        kinds.push(DefectKind::PutAmongOthers);
    }
    if puts > 0 && has_staying_entries {
        kinds.push(DefectKind::PutDrops);
    }
    if puts == 0 && has_replaced_entries {
        kinds.push(DefectKind::DoubtStays);
    }
    let keys: BTreeSet<Key> = places.iter().map(|(_, key)| *key).collect();
    if !places.is_sorted() || keys.len() < places.len() {
        kinds.push(DefectKind::CallOrder);
    }
    // In additive mode, consent to a Put leads to a plan with a Put, so other calls have no fallback.
    let permitted = puts == 0 && !has_staying_entries && plan.mode != Mode::Additive;
    if let Some(fallback) = &plan.fallback
        && (!permitted || *fallback != plan.after)
    {
        kinds.push(DefectKind::Fallback);
    }
}

/// Runs the calls under every reading of the service.
fn check_effect(
    plan: &InstancePlan,
    before: &Effective,
    after: &Effective,
    kinds: &mut Vec<DefectKind>,
) {
    // Report a defect once that exists under several readings.
    let mut found = |kind: DefectKind| {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    };
    // The access that must stay open, and the access that may be open. Computed only for intermediate states.
    let bounds = OnceCell::new();
    for reading in service::readings() {
        let mut state = plan.before.firewall().clone();
        for call in &plan.calls {
            if let Some((key, guess)) = service::uncertainty(call, &state, &plan.before) {
                found(DefectKind::Uncertainty(key, guess));
            }
            if let Some(key) = reading.idle_key(call, &state, plan.strict_spelling, plan.family()) {
                found(DefectKind::Idle(key));
            }
            reading.run(&mut state, call);
            for (now, then) in counts(plan, &state) {
                if then > MAX_SOURCES_PER_FAMILY && then > now {
                    found(DefectKind::TooManySources(then));
                }
            }
            // Not an intermediate state. A plan of one call has none.
            if state == plan.after || state == *plan.before.firewall() {
                continue;
            }
            let now = Effective::of(&state, plan.family());
            let (least, most) = bounds.get_or_init(|| {
                let most = before.joined(after, plan.family());
                (before.intersection(after), most)
            });
            if !now.is_superset(least) {
                found(DefectKind::Gap);
            }
            if !most.is_superset(&now) {
                found(DefectKind::Excess);
            }
        }
        if state != plan.after {
            found(DefectKind::Result);
        }
    }
}
