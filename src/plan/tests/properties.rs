//! Properties of plans between random firewalls: they are safe under all four readings, have the fewest calls, and lead to the target.

use proptest::collection::btree_set;
use proptest::prelude::{ProptestConfig, any, proptest};

use super::*;

fn call_key(call: &Call) -> Option<Key> {
    match call {
        Call::Open { key, .. } | Call::Close { key, .. } => Some(*key),
        Call::Put { .. } => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// If rules are split or joined, the new rules must be opened before the old ones are closed.
    #[test]
    fn split_or_joined_port_ranges_stay_open(
        apart in any_sources(), both in any_sources(), more in any_sources(), join in any::<bool>(),
    ) {
        let mut joined = both.clone();
        joined.extend(&more);
        let single: Firewall = [(tcp(80, 80), both.clone()), (tcp(81, 81), apart)].into_iter().collect();
        let range: Firewall = [(tcp(80, 81), joined)].into_iter().collect();
        let (before, wanted) = if join { (single, range) } else { (range, single) };
        let mut desired = desired(Mode::Additive, &wanted);
        desired.absent = before.keys().map(|key| Absent { key, sources: None, origin: origin(9), why: None, owner: None }).collect();
        let plan = planned(&desired, &before);
        check(&plan, &desired, &before)?;
        prop_assert!(exposure::equivalent(&plan.after, &wanted, Family::V4));
    }

    #[test]
    fn authoritative_plans_are_safe_and_minimal((before, wanted) in near_pair()) {
        let desired = desired(Mode::Authoritative, &wanted);
        let plan = planned(&desired, &before);
        check(&plan, &desired, &before)?;
        let same = Effective::of(&before, Family::V4) == Effective::of(&wanted, Family::V4);
        prop_assert_eq!(plan.calls.len(), usize::from(!same));
        prop_assert_eq!(Effective::of(&plan.after, Family::V4), Effective::of(&wanted, Family::V4));
        if let [Call::Put { .. }] = plan.calls[..] {
            prop_assert!(fewest(&before, &wanted, 1).is_none(), "one safe call would have done");
        }
    }

    #[test]
    fn plans_between_unrelated_firewalls_are_safe(before in any_firewall(), wanted in any_firewall()) {
        let desired = desired(Mode::Authoritative, &wanted);
        let plan = planned(&desired, &before);
        check(&plan, &desired, &before)?;
        prop_assert!(plan.calls.len() <= 1);
    }

    #[test]
    fn additive_plans_are_safe_and_minimal_and_keep_other_rules(
        (before, wanted) in near_pair(), gone in btree_set(keys(), 0..3),
    ) {
        let mut desired = desired(Mode::Additive, &wanted);
        let closed = gone.iter().filter(|key| wanted.get(**key).is_none());
        desired.absent = closed.map(|key| Absent { key: *key, sources: None, origin: origin(9), why: None, owner: None }).collect();
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
        for call in &plan.calls {
            let (Call::Open { key, sources }, Some(now)) = (call, call_key(call).and_then(|key| before.get(key))) else {
                continue;
            };
            let mut needed = now.clone();
            needed.extend(&exposure::uncovered(sources, now, Family::V4));
            prop_assert_eq!(sources, &needed, "{} is opened to who is in already", key);
        }
        for (key, sources) in &before {
            if wanted.get(*key).is_none() && !gone.contains(key) {
                prop_assert_eq!(plan.after.get(*key), Some(sources), "a rule that is not ours was touched");
            }
        }
        prop_assert!(Effective::of(&wanted, Family::V4).difference(&Effective::of(&plan.after, Family::V4)).is_empty());
    }

    #[test]
    fn only_absent_sources_are_removed(
        before in any_firewall(), key in keys(), absent in any_sources(),
    ) {
        let mut desired = desired(Mode::Additive, &Firewall::new());
        desired.absent = vec![Absent { key, sources: Some(absent.clone()), origin: origin(9), why: None, owner: None }];
        let plan = planned(&desired, &before);
        let none = Sources::new();
        let now = before.get(key).unwrap_or(&none);
        let left = exposure::subtract(now, &absent, Family::V4);
        if let Verdict::Refused { .. } = plan.verdict {
            prop_assert!(!left.is_empty() && !exposure::means_same(&left, now, Family::V4));
            return Ok(());
        }
        check(&plan, &desired, &before)?;
        if plan.verdict == Verdict::Change {
            prop_assert!(exposure::means_same(plan.after.get(key).unwrap_or(&none), &left, Family::V4));
        }
    }

    #[test]
    fn put_and_incremental_strategies_are_respected((before, wanted) in near_pair()) {
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

    /// So many rules change that not all of them fit at once.
    #[test]
    fn every_intermediate_state_is_within_the_source_limit(
        stay in 40..=60_u8, go in 0..=20_u8, come in 0..=20_u8, unread in 0..=2_u8,
        strategy in select(vec![Strategy::Auto, Strategy::Put, Strategy::Incremental]),
        additive in any::<bool>(),
    ) {
        let (go, stay) = (go.min(stay - 5), stay - go.min(stay - 5));
        let many = |port: i32, n: u8| (tcp(port, port), many(port, n));
        let before: Firewall = [many(22, stay), many(80, go)].into_iter().collect();
        let wanted: Firewall = [many(22, stay), many(443, come)].into_iter().collect();
        let mode = if additive { Mode::Additive } else { Mode::Authoritative };
        let mut desired = desired(mode, &wanted);
        desired.strategy = strategy;
        if additive {
            desired.absent = vec![Absent { key: tcp(80, 80), sources: None, origin: origin(9), why: None, owner: None }];
        }
        let mut entries: Vec<PortState> = before.iter().map(|(key, sources)| PortState::canonical(*key, sources)).collect();
        entries.extend((0..unread).map(|n| PortState {
            from_port: n.into(), to_port: n.into(), protocol: "sctp".into(), cidrs: vec!["10.0.0.0/8".into()],
            ..PortState::default()
        }));
        let live = LiveFirewall::read(&entries);
        let plan = plan_instance(&instance(), &desired, &live, PlanOptions::default());
        let unread = usize::from(unread);
        for semantics in ALL_SEMANTICS {
            let mut state = before.clone();
            for call in &plan.calls {
                semantics.run(&mut state, call);
                prop_assert!(fits(&state, &before, unread), "{semantics:?} {call:?}: {:?}", state.counts());
            }
        }
        let whole = Plan { instances: vec![plan.clone()], ..Plan::default() };
        prop_assert_eq!(crate::plan::lint::lint(&whole), []);
        if let Verdict::Refused { reason, .. } = &plan.verdict {
            let in_steps = usize::from(stay + go + come) + unread;
            prop_assert!(in_steps > 60 || strategy == Strategy::Put && unread > 0, "{reason}");
        }
    }

    #[test]
    fn observed_instances_have_no_calls((before, wanted) in near_pair()) {
        let plan = planned(&desired(Mode::Observe, &wanted), &before);
        prop_assert!(plan.calls.is_empty() && plan.fallback.is_none());
        let same = Effective::of(&before, Family::V4) == Effective::of(&wanted, Family::V4);
        prop_assert_eq!(plan.verdict == Verdict::InSync, same);
    }
}
