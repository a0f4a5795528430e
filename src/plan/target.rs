//! The target: the firewall that must result.
//!
//! Owns the meaning of the modes, and of `absent`, which names access and not a spelling: a live rule with another key that gives
//! the same access is found too. Does not choose calls.

use std::collections::BTreeMap;

use super::{Cause, CauseKind, StillOpen};
use crate::exposure::{self, Atom, Effective};
use crate::model::{
    Absent, DesiredInstance, Family, Firewall, Key, MAX_SOURCES_PER_FAMILY, Mode, Protocol, Rule,
    Sources, Strategy,
};

/// The firewall that must result, and the access in it that should not exist.
#[derive(Debug, Default)]
pub(super) struct Target {
    /// The rules, in the spelling of a Put.
    pub(super) firewall: Firewall,
    /// Access that must not exist and is still open.
    pub(super) still_open: Vec<StillOpen>,
    /// The lines for which unmanaged rules are cut, by the keys that are removed and the keys that replace them.
    pub(super) cut: BTreeMap<Key, Vec<Cause>>,
}

/// The target of one instance. Unmanaged rules are cut only if `strategy` is the consent to send them again.
pub(super) fn compute_target(
    desired: &DesiredInstance,
    live: &Firewall,
    strategy: Strategy,
    family: Family,
) -> Target {
    let declared: Firewall = desired.rules.iter().collect();
    match desired.mode {
        Mode::Authoritative | Mode::Observe => Target {
            firewall: declared,
            ..Target::default()
        },
        Mode::Additive => {
            let mut target = Target {
                firewall: change_by_key(desired, &declared, live, family),
                ..Target::default()
            };
            remove_by_meaning(desired, &declared, strategy, family, &mut target);
            target
        }
    }
}

/// Live + declared - absent - expired, key by key.
///
/// Sources that are live in another spelling are not added again, so that no call is sent for nothing.
fn change_by_key(
    desired: &DesiredInstance,
    declared: &Firewall,
    live: &Firewall,
    family: Family,
) -> Firewall {
    let mut target = live.clone();
    for absent in &desired.absent {
        let left = match &absent.sources {
            None => Sources::new(),
            Some(sources) => exposure::subtract(&target.sources(absent.key), sources, family),
        };
        target.set(absent.key, left);
    }
    for rule in &desired.expired {
        let now = target.sources(rule.key);
        let closing = exposure::subtract(&rule.sources, &declared.sources(rule.key), family);
        let left = if rule.declared.origin.tag().is_some() {
            // A lease opened exactly these networks, so a wider network is not from the lease.
            now.without(&closing)
        } else {
            exposure::subtract(&now, &closing, family)
        };
        target.set(rule.key, left);
    }
    for (key, sources) in declared {
        let new = exposure::uncovered(sources, &target.sources(*key), family);
        target.add(*key, &new);
    }
    target
}

/// Finds access that must not exist but is open through other rules, and cuts it out of these rules if there is consent.
fn remove_by_meaning(
    desired: &DesiredInstance,
    declared: &Firewall,
    strategy: Strategy,
    family: Family,
    target: &mut Target,
) {
    let lines = removals(desired);
    if lines.is_empty() {
        return;
    }
    let named = NamedAccess::of(lines.iter(), family);
    let declared = Effective::of(declared, family);
    let open =
        |access: &Effective, named: &NamedAccess| named.part_of(access).difference(&declared);
    let too_much = open(&Effective::of(&target.firewall, family), &named);
    if too_much.is_empty() {
        return;
    }
    let mut result = Firewall::new();
    for (key, sources) in &target.firewall {
        let given = Effective::of_rules([(key, sources)], family);
        let access = given.intersection(&too_much);
        if access.is_empty() {
            result.add(*key, sources);
            continue;
        }
        // Several lines may together name access that none names alone: two halves of the internet name the browser client.
        let alone = lines.iter();
        let alone = alone.map(|line| open(&given, &NamedAccess::of([line].into_iter(), family)));
        let alone: Vec<Effective> = alone.collect();
        let together = alone
            .iter()
            .fold(access.clone(), |left, named| left.difference(named));
        let causes: Vec<Cause> = lines
            .iter()
            .zip(&alone)
            .filter(|(line, named)| {
                !named.is_empty() || !together.within(&line.cells(family)).is_empty()
            })
            .map(|(line, _)| line.cause.clone())
            .collect();
        match cut_out(*key, sources, &access, family) {
            Some(rest) if strategy == Strategy::Put => {
                target.cut.entry(*key).or_default().extend(causes.clone());
                for (key, sources) in rest {
                    target.cut.entry(key).or_default().extend(causes.clone());
                    result.add(key, &sources);
                }
            }
            rest => {
                result.add(*key, sources);
                target.still_open.push(StillOpen {
                    through: *key,
                    access: access.boxes(family),
                    causes,
                    hint: hint(*key, rest.is_some()).to_owned(),
                });
            }
        }
    }
    target.firewall = result;
}

fn hint(through: Key, can_be_cut: bool) -> &'static str {
    match (can_be_cut, through.protocol()) {
        (true, _) => {
            "this file does not manage the rule: `--strategy put`, or `strategy = \"put\"` on the instance, permits cutting it"
        }
        (false, Protocol::All) => {
            "nothing can be cut out of `all`, because no other rule opens every protocol: replace it in the console"
        }
        (false, _) => "it cannot be cut out of the rule exactly: replace the rule in the console",
    }
}

/// A line of the configuration that names access that must not exist.
struct Removal {
    key: Key,
    /// `None` is every source, including every alias.
    sources: Option<Sources>,
    cause: Cause,
}

impl Removal {
    /// Its cells, open to everyone.
    fn cells(&self, family: Family) -> Effective {
        Effective::of_rules([(&self.key, &Sources::anywhere())], family)
    }
}

fn removals(desired: &DesiredInstance) -> Vec<Removal> {
    let absent = desired.absent.iter().map(|absent| Removal {
        key: absent.key,
        sources: absent.sources.clone(),
        cause: Cause::of_absent(absent),
    });
    let expired = desired.expired.iter().map(|rule| Removal {
        key: rule.key,
        sources: Some(rule.sources.clone()),
        cause: Cause::of_rule(CauseKind::Expired, rule),
    });
    absent.chain(expired).collect()
}

/// The access that some lines name.
struct NamedAccess {
    /// Cells that no source may reach.
    closed: Effective,
    /// Cells that these sources may not reach.
    for_some: Effective,
}

impl NamedAccess {
    fn of<'a>(lines: impl Iterator<Item = &'a Removal>, family: Family) -> Self {
        let (mut closed, mut for_some) = (Firewall::new(), Firewall::new());
        for line in lines {
            match &line.sources {
                None => closed.add(line.key, &Sources::anywhere()),
                Some(sources) => for_some.add(line.key, sources),
            }
        }
        Self {
            closed: Effective::of(&closed, family),
            for_some: Effective::of(&for_some, family),
        }
    }

    fn part_of(&self, access: &Effective) -> Effective {
        let closed = access.within(&self.closed);
        closed.union(&access.intersection(&self.for_some))
    }
}

/// The rules that give the access of this rule except `without`, which is a part of it; `None` if no rules can.
fn cut_out(
    key: Key,
    sources: &Sources,
    without: &Effective,
    family: Family,
) -> Option<Vec<(Key, Sources)>> {
    // Nothing can be cut out of `all`, which opens every atom.
    Atom::of(key.protocol())?;
    let mut rest: Vec<((u16, u16), Sources)> = Vec::new();
    for (atom, first, last) in exposure::cells_of(key) {
        // The first remaining cell; `None` after the last cell of the atom.
        let mut next = Some(first);
        for run in without.runs(atom) {
            let (from, to) = (run.from.max(first), run.to.min(last));
            let Some(start) = next.filter(|_| from <= to) else {
                continue;
            };
            if start < from {
                rest.push(((start, from - 1), sources.clone()));
            }
            let left = exposure::subtract(sources, &run.access.to_sources(family), family);
            rest.push(((from, to), left));
            next = to.checked_add(1);
        }
        if let Some(start) = next.filter(|start| *start <= last) {
            rest.push(((start, last), sources.clone()));
        }
    }
    rest.retain(|(_, sources)| !sources.is_empty());
    rest.dedup_by(|next, kept| {
        let joins = kept.0.1.checked_add(1) == Some(next.0.0) && kept.1 == next.1;
        if joins {
            kept.0.1 = next.0.1;
        }
        joins
    });
    let rest: Vec<(Key, Sources)> = rest
        .into_iter()
        .flat_map(|(cells, sources)| {
            let keys = keys_of(key.protocol(), cells).into_iter();
            keys.map(move |key| (key, sources.clone()))
        })
        .take(MAX_SOURCES_PER_FAMILY + 1)
        .collect();
    // Each rule has at least one source, so the service would not accept more rules.
    if rest.len() > MAX_SOURCES_PER_FAMILY {
        return None;
    }
    // Some access cannot be excluded by networks, such as only the browser client from everyone.
    let result = Effective::of(&rest.iter().cloned().collect(), family);
    result.intersection(without).is_empty().then_some(rest)
}

/// The fewest keys of a protocol that open exactly these cells.
fn keys_of(protocol: Protocol, (from, to): (u16, u16)) -> Vec<Key> {
    let key = |from: i32, to: i32| Key::new(protocol, from, to).ok();
    if !protocol.is_icmp() {
        return key(from.into(), to.into()).into_iter().collect();
    }
    if (from, to) == (0, u16::MAX) {
        return key(-1, -1).into_iter().collect();
    }
    let [first, _] = from.to_be_bytes();
    let [last, _] = to.to_be_bytes();
    let mut keys = Vec::new();
    for kind in first..=last {
        let whole = (
            u16::from_be_bytes([kind, 0]),
            u16::from_be_bytes([kind, u8::MAX]),
        );
        let (low, high) = (from.max(whole.0), to.min(whole.1));
        if (low, high) == whole {
            keys.extend(key(kind.into(), -1));
        } else {
            keys.extend((low..=high).filter_map(|cell| {
                let [_, code] = cell.to_be_bytes();
                key(kind.into(), code.into())
            }));
        }
    }
    keys
}

impl Cause {
    pub(super) fn of_rule(kind: CauseKind, rule: &Rule) -> Self {
        Self {
            kind,
            origin: rule.declared.origin.clone(),
            why: rule.declared.why.clone(),
            owner: rule.declared.owner.clone(),
            until: rule.declared.until,
        }
    }

    pub(super) fn of_absent(absent: &Absent) -> Self {
        Self {
            kind: CauseKind::Absent,
            origin: absent.origin.clone(),
            why: absent.why.clone(),
            owner: absent.owner.clone(),
            until: None,
        }
    }
}
