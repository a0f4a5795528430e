//! What the planner promises, tried on random pairs of firewalls and on a model of the service.
//!
//! The model runs calls under all four readings of the service: Open merges or replaces, Close subtracts sources or
//! removes the key. Universes are small, so that rules collide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::collection::{btree_map, btree_set};
use proptest::prelude::{TestCaseError, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;
use proptest::strategy::Strategy as Strategy_;

use super::*;
use crate::exposure::{self, Effective};
use crate::model::{
    Absent, AddressType, DesiredInstance, Firewall, Instance, InstanceId, InstanceState, Key,
    LiveFirewall, Mode, Origin, PortState, Protocol, Rule, Sources, Strategy,
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

fn sources(texts: &[&str]) -> Sources {
    let mut sources = Sources::new();
    for text in texts {
        match Sources::parse_live(text) {
            Some(net) => sources.insert(net),
            None => sources.insert_alias(*text),
        }
    }
    sources
}

fn firewall(rules: &[(Key, &[&str])]) -> Firewall {
    rules
        .iter()
        .map(|(key, texts)| (*key, sources(texts)))
        .collect()
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
        .prop_map(|texts| sources(&texts.into_iter().collect::<Vec<_>>()))
}

fn any_firewall() -> impl Strategy_<Value = Firewall> {
    btree_map(keys(), any_sources(), 0..5)
        .prop_map(|rules: BTreeMap<_, _>| rules.into_iter().collect())
}

/// A pair that is often alike: one of the two, with a few keys taken from the other.
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
    Instance {
        id: InstanceId {
            region: "eu-central-1".into(),
            name: "web-1".into(),
        },
        arn: "arn:aws:lightsail:eu-central-1:123456789012:Instance/1".into(),
        tags: BTreeMap::new(),
        state: InstanceState::Running,
        address_type: AddressType::Dualstack,
    }
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
        allow: key.to_string(),
        from: Vec::new(),
        origin: origin(line + 1),
        why: None,
        owner: None,
        until: None,
    };
    firewall.iter().enumerate().map(rule).collect()
}

fn desired(mode: Mode, wanted: &Firewall) -> DesiredInstance {
    DesiredInstance {
        mode,
        strategy: Strategy::Auto,
        rules: rules(wanted),
        absent: Vec::new(),
        expired: Vec::new(),
        notes: Vec::new(),
    }
}

fn planned(desired: &DesiredInstance, before: &Firewall) -> InstancePlan {
    plan_instance(
        &instance(),
        desired,
        &LiveFirewall::from(before),
        Options::default(),
    )
}

/// Runs the calls under every reading and checks every state on the way, the end, and that a second plan is empty.
fn check(
    plan: &InstancePlan,
    desired: &DesiredInstance,
    before: &Firewall,
) -> Result<(), TestCaseError> {
    let (from, to) = (Effective::of(before), Effective::of(&plan.after));
    let (kept, either) = (from.intersection(&to), from.union(&to));
    for semantics in ALL_SEMANTICS {
        let mut state = before.clone();
        for call in &plan.calls {
            semantics.run(&mut state, call);
            let now = Effective::of(&state);
            prop_assert!(
                kept.difference(&now).is_empty(),
                "{semantics:?} {call:?} cuts off what both sides allow"
            );
            prop_assert!(
                now.difference(&either).is_empty(),
                "{semantics:?} {call:?} allows what neither side allows"
            );
        }
        prop_assert_eq!(&state, &plan.after, "{:?}", semantics);
        let again = planned(desired, &state);
        prop_assert!(matches!(again.verdict, Verdict::InSync), "{again:?}");
        prop_assert!(again.calls.is_empty());
    }
    Ok(())
}

/// Keys whose address sets differ between two firewalls.
fn differing(a: &Firewall, b: &Firewall) -> BTreeSet<Key> {
    let none = Sources::new();
    let keys = a.keys().chain(b.keys());
    keys.filter(|key| {
        !exposure::means_same(a.get(*key).unwrap_or(&none), b.get(*key).unwrap_or(&none))
    })
    .collect()
}

/// The fewest calls of the allowed class that lead from one to the other without Put, by search; `None` above `most`.
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

proptest! {
    #[test]
    fn authoritative_plans_are_safe_and_least((before, wanted) in near_pair()) {
        let desired = desired(Mode::Authoritative, &wanted);
        let plan = planned(&desired, &before);
        check(&plan, &desired, &before)?;
        let same = Effective::of(&before) == Effective::of(&wanted);
        prop_assert_eq!(plan.calls.len(), usize::from(!same));
        prop_assert_eq!(Effective::of(&plan.after), Effective::of(&wanted));
        if let [Call::Put { .. }] = plan.calls[..] {
            prop_assert!(fewest(&before, &wanted, 1).is_none(), "one safe call would have done");
        }
    }

    #[test]
    fn unrelated_firewalls_are_no_harder(before in any_firewall(), wanted in any_firewall()) {
        let desired = desired(Mode::Authoritative, &wanted);
        let plan = planned(&desired, &before);
        check(&plan, &desired, &before)?;
        prop_assert!(plan.calls.len() <= 1);
    }

    #[test]
    fn additive_plans_are_safe_least_and_leave_the_rest_alone(
        (before, wanted) in near_pair(), gone in btree_set(keys(), 0..3),
    ) {
        let mut desired = desired(Mode::Additive, &wanted);
        let closed = gone.iter().filter(|key| wanted.get(**key).is_none());
        desired.absent = closed.map(|key| Absent { key: *key, sources: None, origin: origin(9) }).collect();
        let plan = planned(&desired, &before);
        prop_assert!(!matches!(plan.verdict, Verdict::Refused { .. }), "growing and closing is always safe: {plan:?}");
        check(&plan, &desired, &before)?;
        prop_assert!(!plan.calls.iter().any(|call| call.verb() == "put"), "a put without consent");
        if let Verdict::Change = plan.verdict {
            prop_assert_eq!(plan.calls.len(), differing(&before, &plan.after).len());
            if (1..=3).contains(&plan.calls.len()) {
                prop_assert_eq!(fewest(&before, &plan.after, plan.calls.len()), Some(plan.calls.len()));
            }
        }
        for (key, sources) in &before {
            if wanted.get(*key).is_none() && !gone.contains(key) {
                prop_assert_eq!(plan.after.get(*key), Some(sources), "a rule that is not ours was touched");
            }
        }
        prop_assert!(Effective::of(&wanted).difference(&Effective::of(&plan.after)).is_empty());
    }

    #[test]
    fn absent_sources_go_and_no_others(
        before in any_firewall(), key in keys(), absent in any_sources(), consent in any::<bool>(),
    ) {
        let mut desired = desired(Mode::Additive, &Firewall::new());
        desired.absent = vec![Absent { key, sources: Some(absent.clone()), origin: origin(9) }];
        if consent {
            desired.strategy = Strategy::Put;
        }
        let plan = planned(&desired, &before);
        let none = Sources::new();
        let now = before.get(key).unwrap_or(&none);
        let left = exposure::subtract(now, &absent);
        match &plan.verdict {
            Verdict::Refused { .. } => {
                prop_assert!(!consent && !left.is_empty() && !exposure::means_same(&left, now));
            }
            _ => {
                check(&plan, &desired, &before)?;
                if plan.verdict == Verdict::Change {
                    prop_assert!(exposure::means_same(plan.after.get(key).unwrap_or(&none), &left));
                }
            }
        }
    }

    #[test]
    fn put_and_incremental_do_as_they_are_told((before, wanted) in near_pair()) {
        for strategy in [Strategy::Put, Strategy::Incremental] {
            let mut desired = desired(Mode::Authoritative, &wanted);
            desired.strategy = strategy;
            let plan = planned(&desired, &before);
            let puts = plan.calls.iter().filter(|call| matches!(call, Call::Put { .. })).count();
            match plan.verdict {
                Verdict::Change => {
                    check(&plan, &desired, &before)?;
                    prop_assert_eq!(puts, usize::from(strategy == Strategy::Put));
                }
                Verdict::Refused { .. } => prop_assert_eq!(strategy, Strategy::Incremental),
                _ => prop_assert!(plan.calls.is_empty()),
            }
        }
    }

    #[test]
    fn observed_instances_are_never_written((before, wanted) in near_pair()) {
        let plan = planned(&desired(Mode::Observe, &wanted), &before);
        prop_assert!(plan.calls.is_empty() && plan.fallback.is_none());
        let same = Effective::of(&before) == Effective::of(&wanted);
        prop_assert_eq!(plan.verdict == Verdict::InSync, same);
    }
}

const SSH: (Protocol, i32, i32) = (Protocol::Tcp, 22, 22);
const HTTPS: (Protocol, i32, i32) = (Protocol::Tcp, 443, 443);

fn k((protocol, from, to): (Protocol, i32, i32)) -> Key {
    key(protocol, from, to)
}

fn verbs(plan: &InstancePlan) -> Vec<&str> {
    plan.calls.iter().map(Call::verb).collect()
}

#[test]
fn one_kind_of_change_is_one_kind_of_call() {
    let ssh = |texts: &'static [&'static str]| firewall(&[(k(SSH), texts)]);
    for (before, wanted, call) in [
        (firewall(&[]), ssh(&["10.0.0.0/8"]), "open"),
        (
            ssh(&["10.0.0.0/8"]),
            ssh(&["10.0.0.0/8", "11.0.0.0/8"]),
            "open",
        ),
        (ssh(&["10.0.0.0/8"]), firewall(&[]), "close"),
        (
            ssh(&["10.0.0.0/8", "11.0.0.0/8"]),
            ssh(&["10.0.0.0/8"]),
            "put",
        ),
        (ssh(&["10.0.0.0/25"]), ssh(&["10.0.0.0/24"]), "put"),
        (
            ssh(&["10.0.0.0/8"]),
            firewall(&[(k(HTTPS), &["10.0.0.0/8"])]),
            "put",
        ),
    ] {
        let plan = planned(&desired(Mode::Authoritative, &wanted), &before);
        assert_eq!(verbs(&plan), [call], "{before:?} -> {wanted:?}");
        assert_eq!(plan.fallback.is_some(), call != "put");
    }
}

#[test]
fn another_spelling_is_in_sync_and_says_so() {
    let before = firewall(&[(k(SSH), &["10.0.0.0/9", "10.128.0.0/9"])]);
    let wanted = firewall(&[(k(SSH), &["10.0.0.0/8"])]);
    let plan = planned(&desired(Mode::Authoritative, &wanted), &before);
    assert_eq!(plan.verdict, Verdict::InSync);
    assert_eq!(
        plan.notes[0].text,
        "live means the same in another spelling"
    );
}

#[test]
fn an_odd_spelling_is_changed_by_put_only() {
    let odd = PortState {
        cidrs: vec!["10.0.0.1".into()],
        ..PortState::canonical(k(SSH), &Sources::new())
    };
    let live = LiveFirewall::read(&[odd]);
    let close = plan_instance(
        &instance(),
        &desired(Mode::Authoritative, &Firewall::new()),
        &live,
        Options::default(),
    );
    assert_eq!(verbs(&close), ["put"]);
    let wanted = firewall(&[(k(SSH), &["10.0.0.1", "10.0.0.2"])]);
    let grow = plan_instance(
        &instance(),
        &desired(Mode::Additive, &wanted),
        &live,
        Options::default(),
    );
    let Verdict::Refused { reason, .. } = grow.verdict else {
        panic!("{grow:?}")
    };
    assert!(reason.contains("tcp/22 has no safe call"), "{reason}");
}

#[test]
fn what_is_uncertain_is_replaced_or_left_and_named() {
    let wanted = firewall(&[(k(HTTPS), &["0.0.0.0/0"])]);
    let entries = [
        PortState::canonical(k(HTTPS), &sources(&["0.0.0.0/0"])),
        PortState::canonical(k(SSH), &Sources::new()),
    ];
    let live = LiveFirewall::read(&entries);
    let ours = plan_instance(
        &instance(),
        &desired(Mode::Authoritative, &wanted),
        &live,
        Options::default(),
    );
    assert_eq!((verbs(&ours), &ours.incomplete), (vec!["put"], &None));
    let theirs = plan_instance(
        &instance(),
        &desired(Mode::Additive, &wanted),
        &live,
        Options::default(),
    );
    assert!(theirs.calls.is_empty() && theirs.incomplete.is_some());
}

#[test]
fn an_unknown_protocol_forbids_put_and_nothing_else() {
    let unknown = PortState {
        protocol: "sctp".into(),
        ..PortState::canonical(k(SSH), &sources(&["10.0.0.0/8"]))
    };
    let live = LiveFirewall::read(&[
        unknown,
        PortState::canonical(k(SSH), &sources(&["10.0.0.0/8", "11.0.0.0/8"])),
    ]);
    let wanted = firewall(&[
        (k(SSH), &["10.0.0.0/8", "11.0.0.0/8"]),
        (k(HTTPS), &["::/0"]),
        (key(Protocol::Udp, 53, 53), &["::/0"]),
    ]);
    let safe = plan_instance(
        &instance(),
        &desired(Mode::Authoritative, &wanted),
        &live,
        Options::default(),
    );
    assert_eq!(verbs(&safe), ["open", "open"]);
    assert!(safe.fallback.is_none() && safe.incomplete.is_some());
    let narrower = firewall(&[(k(SSH), &["10.0.0.0/8"])]);
    let refused = plan_instance(
        &instance(),
        &desired(Mode::Authoritative, &narrower),
        &live,
        Options::default(),
    );
    assert!(
        matches!(refused.verdict, Verdict::Refused { .. }),
        "{refused:?}"
    );
}

#[test]
fn more_than_sixty_sources_are_refused_unless_they_get_fewer() {
    let many = |n: u8| -> Firewall {
        let texts: Vec<String> = (0..n).map(|i| format!("10.0.{i}.0/24")).collect();
        [(
            k(SSH),
            sources(&texts.iter().map(String::as_str).collect::<Vec<_>>()),
        )]
        .into_iter()
        .collect()
    };
    let verdict = |before, wanted| planned(&desired(Mode::Authoritative, &wanted), &before).verdict;
    assert_eq!(verdict(Firewall::new(), many(60)), Verdict::Change);
    let Verdict::Refused { reason, .. } = verdict(many(3), many(61)) else {
        panic!("61 sources")
    };
    assert_eq!(
        reason,
        "61 IPv4 sources over all rules, and an instance takes 60 (now 3)"
    );
    assert_eq!(verdict(many(70), many(65)), Verdict::Change);
}

#[test]
fn an_expired_rule_is_taken_back_unless_it_is_declared_otherwise() {
    let before = firewall(&[
        (k(SSH), &["10.0.0.1", "10.0.0.2"]),
        (k(HTTPS), &["10.0.0.1"]),
    ]);
    let mut wanted = desired(Mode::Additive, &firewall(&[(k(SSH), &["10.0.0.2"])]));
    wanted.strategy = Strategy::Put;
    wanted.expired = rules(&firewall(&[
        (k(SSH), &["10.0.0.1", "10.0.0.2"]),
        (k(HTTPS), &["10.0.0.1"]),
    ]));
    let plan = planned(&wanted, &before);
    assert_eq!(plan.after, firewall(&[(k(SSH), &["10.0.0.2"])]));
    assert_eq!(
        plan.changes[0]
            .causes
            .iter()
            .map(|c| c.kind)
            .collect::<Vec<_>>(),
        [CauseKind::Declared, CauseKind::Expired]
    );
}
