//! Tests of the planner on random pairs of firewalls and a model of the service.
//!
//! The model runs calls under all four readings of the service: Open merges or replaces, Close subtracts sources or
//! removes the key. The universes are small, so that rules often overlap.

mod absent;
mod causes;
mod fleet;
mod grants;
mod properties;
mod scenarios;
mod spelling;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::collection::{btree_map, btree_set};
use proptest::prelude::{TestCaseError, prop_assert, prop_assert_eq};
use proptest::sample::select;
use proptest::strategy::Strategy as Strategy_;

use super::*;
use crate::exposure::{self, Effective};
use crate::model::arbitrary::named;
use crate::model::{
    Absent, Declaration, Desired, DesiredInstance, Family, Firewall, Instance, InstanceId, Key,
    Live, LiveFirewall, Missing, Mode, Note, Origin, PortState, Protocol, Rule, Site, Sources,
    Strategy, Undeclared, Unreadable,
};

#[derive(Clone, Copy, Debug)]
struct Semantics {
    open_merges: bool,
    close_subtracts: bool,
}

const ALL_SEMANTICS: [Semantics; 4] = [
    Semantics {
        open_merges: true,
        close_subtracts: true,
    },
    Semantics {
        open_merges: true,
        close_subtracts: false,
    },
    Semantics {
        open_merges: false,
        close_subtracts: true,
    },
    Semantics {
        open_merges: false,
        close_subtracts: false,
    },
];

impl Semantics {
    fn run(self, firewall: &mut Firewall, call: &Call) {
        match call {
            Call::Put { firewall: all } => *firewall = all.clone(),
            Call::Open { key, sources } if self.open_merges => firewall.add(*key, sources),
            Call::Open { key, sources } => firewall.set(*key, sources.clone()),
            Call::Close { key, sources } if self.close_subtracts => {
                let now = firewall.remove(*key).unwrap_or_default();
                let mut left = Sources::new();
                now.ipv4()
                    .difference(sources.ipv4())
                    .for_each(|net| left.insert((*net).into()));
                now.ipv6()
                    .difference(sources.ipv6())
                    .for_each(|net| left.insert((*net).into()));
                now.aliases()
                    .difference(sources.aliases())
                    .for_each(|alias| left.insert_alias(alias));
                firewall.set(*key, left);
            }
            Call::Close { key, sources: _ } => {
                firewall.remove(*key);
            }
        }
    }
}

fn key(protocol: Protocol, from: i32, to: i32) -> Key {
    Key::new(protocol, from, to).expect("a key")
}

fn tcp(from: i32, to: i32) -> Key {
    key(Protocol::Tcp, from, to)
}

fn firewall(rules: &[(Key, &[&str])]) -> Firewall {
    rules
        .iter()
        .map(|(key, texts)| (*key, named(texts)))
        .collect()
}

/// This many single addresses, different ones for each port.
fn many(port: i32, n: u8) -> Sources {
    let texts: Vec<String> = (0..n)
        .map(|i| format!("10.{}.{i}.1/32", port % 256))
        .collect();
    named(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

fn keys() -> impl Strategy_<Value = Key> {
    select(vec![
        key(Protocol::Tcp, 80, 80),
        key(Protocol::Tcp, 81, 81),
        key(Protocol::Tcp, 80, 81),
        key(Protocol::Udp, 0, 65535),
        key(Protocol::Icmp, 8, -1),
        key(Protocol::Icmp, -1, -1),
        Key::ALL,
    ])
}

fn any_sources() -> impl Strategy_<Value = Sources> {
    let texts = [
        "10.0.0.0/8",
        "10.0.0.0/9",
        "10.128.0.0/9",
        "10.0.0.1/32",
        "::/0",
        "2001:db8::/32",
        "lightsail-connect",
    ];
    btree_set(select(texts.to_vec()), 1..4)
        .prop_map(|texts| named(&texts.into_iter().collect::<Vec<_>>()))
}

fn any_firewall() -> impl Strategy_<Value = Firewall> {
    btree_map(keys(), any_sources(), 0..5)
        .prop_map(|rules: BTreeMap<_, _>| rules.into_iter().collect())
}

/// Two firewalls that are often similar: the second is the first with a few keys from another.
fn near_pair() -> impl Strategy_<Value = (Firewall, Firewall)> {
    (any_firewall(), any_firewall(), btree_set(keys(), 0..3)).prop_map(
        |(before, other, swapped)| {
            let mut after = before.clone();
            for key in swapped {
                after.set(key, other.get(key).cloned().unwrap_or_default());
            }
            (before, after)
        },
    )
}

fn instance() -> Instance {
    arbitrary::instance("web-1", "dualstack")
}

fn origin(line: usize) -> Origin {
    Origin {
        file: Arc::from("firewall.toml"),
        line,
        column: 1,
    }
}

fn rules(firewall: &Firewall) -> Vec<Rule> {
    let rule = |(line, (key, sources)): (usize, (&Key, &Sources))| Rule {
        key: *key,
        sources: sources.clone(),
        declared: Arc::new(Declaration {
            allow: key.to_string().into(),
            from: [].into(),
            origin: origin(line + 1),
            why: None,
            owner: None,
            until: None,
        }),
    };
    firewall.iter().enumerate().map(rule).collect()
}

fn desired(mode: Mode, wanted: &Firewall) -> DesiredInstance {
    arbitrary::desired_instance(mode, rules(wanted))
}

fn planned(desired: &DesiredInstance, before: &Firewall) -> InstancePlan {
    plan_instance(
        &instance(),
        desired,
        &LiveFirewall::from(before),
        PlanOptions::default(),
    )
}

/// Whether an instance can have these rules: at most sixty sources of each family, or not more than it has.
fn fits(rules: &Firewall, before: &Firewall, unread: usize) -> bool {
    let (is, was) = (rules.counts(), before.counts());
    [(is.ipv4 + unread, was.ipv4 + unread), (is.ipv6, was.ipv6)]
        .into_iter()
        .all(|(is, was)| is <= 60 || is <= was)
}

/// Runs the calls under every reading. Checks every intermediate state, the result, and that a second plan is empty.
fn check(
    plan: &InstancePlan,
    desired: &DesiredInstance,
    before: &Firewall,
) -> Result<(), TestCaseError> {
    let (from, to) = (
        Effective::of(before, Family::V4),
        Effective::of(&plan.after, Family::V4),
    );
    let (kept, either) = (from.intersection(&to), from.joined(&to, Family::V4));
    for semantics in ALL_SEMANTICS {
        let mut state = before.clone();
        for call in &plan.calls {
            semantics.run(&mut state, call);
            let now = Effective::of(&state, Family::V4);
            prop_assert!(
                kept.difference(&now).is_empty(),
                "{semantics:?} {call:?} cuts off what both sides allow"
            );
            prop_assert!(
                now.difference(&either).is_empty(),
                "{semantics:?} {call:?} allows what neither side allows"
            );
            prop_assert!(
                fits(&state, before, 0),
                "{semantics:?} {call:?} needs more sources than an instance takes"
            );
        }
        prop_assert_eq!(&state, &plan.after, "{:?}", semantics);
        let again = planned(desired, &state);
        let settled = if plan.still_open.is_empty() {
            Verdict::InSync
        } else {
            Verdict::StillOpen
        };
        prop_assert_eq!(&again.verdict, &settled, "{:?}", again);
        prop_assert_eq!(&again.still_open, &plan.still_open);
        prop_assert!(again.calls.is_empty());
    }
    Ok(())
}

/// Keys whose address sets differ between two firewalls.
fn differing(a: &Firewall, b: &Firewall) -> BTreeSet<Key> {
    let none = Sources::new();
    let keys = a.keys().chain(b.keys());
    keys.filter(|key| {
        !exposure::means_same(
            a.get(*key).unwrap_or(&none),
            b.get(*key).unwrap_or(&none),
            Family::V4,
        )
    })
    .collect()
}

/// The fewest safe calls without a Put that lead from one firewall to the other, by search; `None` if there are more than `most`.
fn fewest(before: &Firewall, after: &Firewall, most: usize) -> Option<usize> {
    let mut states = vec![before.clone()];
    for calls in 0..=most {
        if states
            .iter()
            .any(|state| differing(state, after).is_empty())
        {
            return Some(calls);
        }
        let mut next = Vec::new();
        for state in &states {
            for key in state.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
                if let Some(wanted) = after.get(key)
                    && state.get(key).is_none_or(|now| wanted.names_all_of(now))
                {
                    let mut opened = state.clone();
                    opened.set(key, wanted.clone());
                    next.push(opened);
                }
                let mut closed = state.clone();
                closed.remove(key);
                next.push(closed);
            }
        }
        next.sort();
        next.dedup();
        states = next;
    }
    None
}
