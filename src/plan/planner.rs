//! The planner: which calls turn what is live into what must result, safely and in the fewest steps.
//!
//! Owns the choice of calls. Only calls that come out the same under every reading of the service's uncertain semantics
//! are ever planned (does Open merge or replace? does Close with sources subtract them or remove the key?):
//!
//! | change to a key | call |
//! |---|---|
//! | it is new | Open with all its sources |
//! | its sources grow, and the new texts contain every live text | Open with the complete new sources |
//! | it goes away, and its live entry is canonical and came once | Close with the complete live sources |
//! | anything else | none but Put, which replaces the whole firewall in one step |
//!
//! So every state on the way keeps what is allowed both before and after, and allows nothing that neither allows. Nor does
//! any of them hold more sources than the service takes. It refuses to look at a clock, to read anything, and to plan a call whose result depends on a guess.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::target::{Target, target};
use super::{Action, Call, Cause, CauseKind, Change, InstancePlan, Plan, Verdict};
use crate::exposure::{self, Diff, Doubtful, Reach};
use crate::model::{
    Desired, DesiredInstance, Family, Firewall, Instance, Key, Live, LiveFirewall, Mode, Note,
    SOURCES_PER_FAMILY, Sources, Strategy, Unreadable,
};

/// What helps against too many sources.
const FEWER_SOURCES: &str = "name fewer, wider networks, or open fewer ports to each of them";

/// What the command line may override.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Instead of the configuration's strategy.
    pub strategy: Option<Strategy>,
    /// Whether rules that mean what is wanted must have its keys and networks too. In additive mode that is left to
    /// whoever made them.
    pub strict_spelling: bool,
}

/// Plans every declared instance.
pub fn plan(desired: &Desired, live: &Live, options: Options) -> Plan {
    let mut plan = Plan {
        sites_unreadable: live.sites_unreadable.clone().into_iter().collect(),
        undecided: desired.undecided.clone().into_iter().collect(),
        missing: desired.missing.clone(),
        undeclared: desired.undeclared.clone(),
        notes: desired.notes.clone(),
        ..Plan::default()
    };
    // Of each that several instances share, where the last of them is in the plan: the next is mostly just like it.
    let mut latest = BTreeMap::new();
    for (id, wanted) in &desired.instances {
        let instance = live.instances.get(id);
        match (instance, live.firewalls.get(id)) {
            (Some(instance), Some(Ok(firewall))) => {
                let earlier = latest.insert(Arc::as_ptr(wanted), plan.instances.len());
                let earlier = earlier.map(|place| &plan.instances[place]);
                let next = match earlier.filter(|earlier| {
                    let kind = &earlier.instance.address_type;
                    earlier.before == *firewall && *kind == instance.address_type
                }) {
                    Some(earlier) => InstancePlan {
                        instance: instance.clone(),
                        ..earlier.clone()
                    },
                    None => plan_instance(instance, wanted, firewall, options),
                };
                plan.instances.push(next);
            }
            (_, Some(Err(unreadable))) => plan.unreadable.push((id.clone(), unreadable.clone())),
            _ => {
                let reason = "its rules were not read".to_owned();
                plan.unreadable.push((id.clone(), Unreadable::new(reason)));
            }
        }
    }
    plan
}

/// Plans one instance.
pub fn plan_instance(
    instance: &Instance,
    desired: &DesiredInstance,
    live: &LiveFirewall,
    options: Options,
) -> InstancePlan {
    let family = instance.address_type.client_family();
    let strategy = options.strategy.unwrap_or(desired.strategy);
    let Target {
        firewall: target,
        still_open,
        cut,
    } = target(desired, live.firewall(), strategy, family);
    let strict = options.strict_spelling && desired.mode != Mode::Additive;
    let incomplete = incomplete(desired.mode, live);
    let certain = Diff::of_change(live.firewall(), &target, family);
    // What cannot be read is only ever replaced where the whole firewall is ours.
    let doubtful = !live.uncertain().is_empty() && desired.mode != Mode::Additive;
    let same = !doubtful && certain.is_empty();

    let mut plan = InstancePlan {
        instance: instance.clone(),
        mode: desired.mode,
        strict_spelling: strict,
        before: live.clone(),
        after: target.clone(),
        changes: Vec::new(),
        calls: Vec::new(),
        fallback: None,
        verdict: Verdict::of_equal(incomplete.as_ref()),
        exposure: Diff::default(),
        still_open,
        incomplete,
        notes: desired.notes.clone(),
    };
    let respelled = *live.firewall() != target;
    if same && (respelled || !live.is_canonical()) {
        let text = match (strict, respelled) {
            (true, true) => "only the spelling differs: the same sources get in",
            (true, false) => "the rules are as declared, and the service spells them differently",
            (false, _) => "live means the same in another spelling",
        };
        let text = text.to_owned();
        plan.notes.push(Note { text, origin: None });
    }
    if same && !(strict && respelled) {
        plan.after = live.firewall().clone();
        if !plan.still_open.is_empty() {
            plan.verdict = Verdict::StillOpen;
        }
        return plan;
    }
    plan.changes = changes(desired, live, &target, strict, &cut, family);
    plan.exposure = match plan.incomplete {
        None => certain,
        // The doubtful entries stay as they are, and what they may let in is not closed for certain.
        Some(_) => Diff::between(
            &Reach::of_live(live, family),
            &Reach::with_doubts(&target, &Doubtful::all(live), family),
        ),
    };
    if desired.mode == Mode::Observe {
        plan.verdict = Verdict::Observed;
        return plan;
    }
    let chosen = choose(&plan.changes, live, &target, desired.mode, strategy);
    // Who lets access be granted wants it to end, and in additive mode too there may be no other way.
    let chosen = match chosen {
        Err(_)
            if strategy == Strategy::Auto
                && desired.mode == Mode::Additive
                && has_ended_grant(desired) =>
        {
            put(live, &target, desired.mode, Strategy::Put)
        }
        chosen => chosen,
    };
    match chosen.and_then(|chosen| within_limit(&chosen.after, live.firewall()).map(|()| chosen)) {
        Ok(Chosen {
            calls,
            after,
            fallback,
        }) => {
            plan.verdict = Verdict::Change;
            plan.calls = calls;
            plan.after = after;
            plan.fallback = fallback;
        }
        Err(PlannerRefusal { reason, hint }) => plan.verdict = Verdict::Refused { reason, hint },
    }
    plan
}

fn has_ended_grant(desired: &DesiredInstance) -> bool {
    let mut expired = desired.expired.iter();
    expired.any(|rule| rule.declared.origin.tag().is_some())
}

/// Calls that lead to `after`.
pub(super) struct Chosen {
    pub(super) calls: Vec<Call>,
    pub(super) after: Firewall,
    pub(super) fallback: Option<Firewall>,
}

/// Why there are none.
pub(super) struct PlannerRefusal {
    pub(super) reason: String,
    pub(super) hint: Option<String>,
}

impl PlannerRefusal {
    fn new(reason: impl Into<String>, hint: &str) -> Self {
        Self {
            reason: reason.into(),
            hint: Some(hint.to_owned()),
        }
    }
}

fn choose(
    changes: &[Change],
    live: &LiveFirewall,
    target: &Firewall,
    mode: Mode,
    strategy: Strategy,
) -> Result<Chosen, PlannerRefusal> {
    let put = || put(live, target, mode, strategy);
    let incremental = || incremental(changes, live, mode, strategy);
    match (mode, strategy) {
        (_, Strategy::Put) => put(),
        (_, Strategy::Incremental) | (Mode::Additive, Strategy::Auto) => incremental(),
        (Mode::Authoritative | Mode::Observe, Strategy::Auto) => match incremental() {
            Ok(chosen) if chosen.calls.len() == 1 => Ok(chosen),
            // Where a Put is not possible, several safe calls still are.
            Ok(chosen) => put().or(Ok(chosen)),
            Err(_) => put(),
        },
    }
}

/// One Put of all that must result.
pub(super) fn put(
    live: &LiveFirewall,
    target: &Firewall,
    mode: Mode,
    strategy: Strategy,
) -> Result<Chosen, PlannerRefusal> {
    put_permitted(live, mode, strategy)?;
    Ok(Chosen {
        calls: vec![Call::Put {
            firewall: target.clone(),
        }],
        after: target.clone(),
        fallback: None,
    })
}

/// One safe call for every key that changes, Opens before Closes. So once everything is opened there are more sources than
/// at any other time.
pub(super) fn incremental(
    changes: &[Change],
    live: &LiveFirewall,
    mode: Mode,
    strategy: Strategy,
) -> Result<Chosen, PlannerRefusal> {
    if let Some(entry) = live.uncertain().first().filter(|_| mode != Mode::Additive) {
        return Err(PlannerRefusal::new(
            format!(
                "the live entry `{}` cannot be closed for certain: {}",
                entry.entry, entry.doubt
            ),
            "a Put replaces it: use `--strategy put`",
        ));
    }
    let mut after = live.firewall().clone();
    let mut opened = after.clone();
    let mut opens = Vec::new();
    let mut closes = Vec::new();
    for change in changes {
        match safe_call(change, live) {
            Ok(call @ Call::Close { .. }) => closes.push(call),
            Ok(call) => {
                opens.push(call);
                opened.set(change.key, change.after.clone());
            }
            Err(why) => {
                return Err(PlannerRefusal::new(
                    format!("{} has no safe call: {why}", change.key),
                    put_instead(mode),
                ));
            }
        }
        after.set(change.key, change.after.clone());
    }
    if !opens.is_empty() {
        let in_steps = !closes.is_empty();
        within_limit_on_the_way(&opened, live, in_steps, mode)?;
    }
    let fallback = put_permitted(live, mode, strategy)
        .is_ok()
        .then(|| after.clone());
    opens.append(&mut closes);
    Ok(Chosen {
        calls: opens,
        after,
        fallback,
    })
}

/// What helps where one key after the other cannot be changed.
fn put_instead(mode: Mode) -> &'static str {
    if mode == Mode::Additive {
        "a Put can do it, but would also re-send rules that this file does not own: `--strategy put`, or \
         `strategy = \"put\"` on the instance, consents"
    } else {
        "a Put can do it in one step: use `--strategy put`"
    }
}

/// The call whose result is the same under every reading of the service, or why there is none.
fn safe_call(change: &Change, live: &LiveFirewall) -> Result<Call, &'static str> {
    let Change {
        action: _,
        key,
        before,
        after,
        causes: _,
    } = change;
    if live.is_put_only(*key) {
        return Err(
            "its live rule came more than once or in a spelling that a call might not match",
        );
    }
    if after.is_empty() {
        return Ok(Call::Close {
            key: *key,
            sources: before.clone(),
        });
    }
    if after.names_all_of(before) {
        return Ok(Call::Open {
            key: *key,
            sources: after.clone(),
        });
    }
    Err("some of its sources go away or are respelled while the rule stays")
}

/// Whether the whole firewall may be replaced.
fn put_permitted(
    live: &LiveFirewall,
    mode: Mode,
    strategy: Strategy,
) -> Result<(), PlannerRefusal> {
    if let Some(entry) = live.unknown().first() {
        return Err(PlannerRefusal::new(
            format!(
                "a Put would drop the live entry `{entry}`, whose protocol this program does not know"
            ),
            "close it in the console, or update this program",
        ));
    }
    if mode != Mode::Additive {
        return Ok(());
    }
    if let Some(entry) = live.uncertain().first() {
        return Err(PlannerRefusal::new(
            format!(
                "a Put would drop the live entry `{}`, which this file does not own ({})",
                entry.entry, entry.doubt
            ),
            "give the rule certain sources and ports in the console",
        ));
    }
    if strategy == Strategy::Put {
        return Ok(());
    }
    Err(PlannerRefusal {
        reason: "a Put would re-send rules that this file does not own".into(),
        hint: None,
    })
}

/// Refuses more sources than the service takes, unless there are fewer than now.
pub(super) fn within_limit(after: &Firewall, live: &Firewall) -> Result<(), PlannerRefusal> {
    let (wanted, now) = (after.counts(), live.counts());
    for (family, wanted, now) in [
        ("IPv4", wanted.ipv4, now.ipv4),
        ("IPv6", wanted.ipv6, now.ipv6),
    ] {
        if wanted > SOURCES_PER_FAMILY && wanted >= now {
            return Err(PlannerRefusal::new(
                format!(
                    "{wanted} {family} sources over all rules, and an instance takes {SOURCES_PER_FAMILY} (now {now})"
                ),
                FEWER_SOURCES,
            ));
        }
    }
    Ok(())
}

/// Refuses what needs more sources than the service takes once everything is opened, and before anything is closed where
/// that comes `in_steps`. Entries that cannot be read stay, and count too.
fn within_limit_on_the_way(
    opened: &Firewall,
    live: &LiveFirewall,
    in_steps: bool,
    mode: Mode,
) -> Result<(), PlannerRefusal> {
    let (opened, unread) = (opened.counts(), live.unread_counts());
    for (family, opened, unread) in [
        ("IPv4", opened.ipv4, unread.ipv4),
        ("IPv6", opened.ipv6, unread.ipv6),
    ] {
        let needed = opened + unread;
        if needed <= SOURCES_PER_FAMILY {
            continue;
        }
        if in_steps {
            return Err(PlannerRefusal::new(
                format!(
                    "rules are opened before others are closed, which needs {needed} {family} sources at once, and an \
                     instance takes {SOURCES_PER_FAMILY}"
                ),
                put_instead(mode),
            ));
        }
        if unread > 0 {
            return Err(PlannerRefusal::new(
                format!(
                    "{needed} {family} sources over all rules, {unread} of them in entries that cannot be read, and an \
                     instance takes {SOURCES_PER_FAMILY}"
                ),
                FEWER_SOURCES,
            ));
        }
    }
    Ok(())
}

/// The keys whose address sets or aliases differ, in order; where the spelling counts, those that differ in it too.
fn changes(
    desired: &DesiredInstance,
    live: &LiveFirewall,
    target: &Firewall,
    strict: bool,
    cut: &BTreeMap<Key, Vec<Cause>>,
    family: Family,
) -> Vec<Change> {
    let now = live.firewall();
    let keys: BTreeSet<Key> = now.keys().chain(target.keys()).collect();
    let none = Sources::new();
    keys.into_iter()
        .filter_map(|key| {
            let (before, after) = (
                now.get(key).unwrap_or(&none),
                target.get(key).unwrap_or(&none),
            );
            let same = if strict {
                before == after
            } else {
                exposure::means_same(before, after, family)
            };
            if same {
                return None;
            }
            let mut causes = causes(desired, key);
            for cause in cut.get(&key).into_iter().flatten() {
                if !causes.contains(cause) {
                    causes.push(cause.clone());
                }
            }
            Some(Change {
                action: Action::of(before, after, family),
                key,
                before: before.clone(),
                after: after.clone(),
                causes,
            })
        })
        .collect()
}

/// The lines that concern this very key.
fn causes(desired: &DesiredInstance, key: Key) -> Vec<Cause> {
    let declared = desired.rules.iter().filter(|rule| rule.key == key);
    let absent = desired.absent.iter().filter(|absent| absent.key == key);
    let expired = desired.expired.iter().filter(|rule| rule.key == key);
    declared
        .map(|rule| Cause::of_rule(CauseKind::Declared, rule))
        .chain(absent.map(Cause::of_absent))
        .chain(expired.map(|rule| Cause::of_rule(CauseKind::Expired, rule)))
        .collect()
}

/// What is live and will stay unread: never to be called in sync.
pub(super) fn incomplete(mode: Mode, live: &LiveFirewall) -> Option<String> {
    if let Some(entry) = live.unknown().first() {
        return Some(format!(
            "the live entry `{entry}` is of a protocol that this program does not know"
        ));
    }
    let entry = live
        .uncertain()
        .first()
        .filter(|_| mode == Mode::Additive)?;
    Some(format!(
        "the live entry `{}` cannot be read for certain: {}",
        entry.entry, entry.doubt
    ))
}
