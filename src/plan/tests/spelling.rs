//! Tests of strict spelling: a rule in another spelling is changed, safely, and a second plan is empty.

use proptest::prelude::{ProptestConfig, any, proptest};
use proptest::sample::Index;

use super::*;
use crate::plan::lint::lint;
use crate::plan::{Plan, plan_instance};

const STRICT: PlanOptions = PlanOptions {
    strategy: None,
    strict_spelling: true,
};

fn strictly(desired: &DesiredInstance, live: &LiveFirewall) -> InstancePlan {
    plan_instance(&instance(), desired, live, STRICT)
}

fn canonical(firewall: &Firewall) -> Vec<PortState> {
    firewall
        .iter()
        .map(|(key, sources)| PortState::canonical(*key, sources))
        .collect()
}

/// A live firewall with these rules, some of them in another spelling.
fn disguised(firewall: &Firewall, odd: &[(Index, u8)]) -> LiveFirewall {
    let mut entries = canonical(firewall);
    for (at, kind) in odd.iter().filter(|_| !firewall.is_empty()) {
        let at = at.index(entries.len());
        let entry = &mut entries[at];
        match kind {
            0 => entry.protocol.make_ascii_uppercase(),
            1 => entry.cidrs.extend(entry.cidrs.clone()),
            2 => entry
                .ipv6_cidrs
                .iter_mut()
                .for_each(|text| text.make_ascii_uppercase()),
            3 => {
                for text in &mut entry.cidrs {
                    *text = text.replace("10.0.0.0/", "10.0.0.5/");
                }
            }
            _ => {
                let again = entry.clone();
                entries.push(again);
            }
        }
    }
    LiveFirewall::read(&entries)
}

#[test]
fn each_differently_spelled_rule_is_one_change() {
    let wanted = firewall(&[
        (tcp(22, 22), &["10.0.0.0/8"]),
        (tcp(80, 81), &["0.0.0.0/0"]),
    ]);
    let ranges = firewall(&[
        (tcp(22, 22), &["10.0.0.0/8"]),
        (tcp(80, 80), &["0.0.0.0/0"]),
        (tcp(81, 81), &["0.0.0.0/0"]),
    ]);
    let networks = firewall(&[
        (tcp(22, 22), &["10.0.0.0/9", "10.128.0.0/9"]),
        (tcp(80, 81), &["0.0.0.0/0"]),
    ]);
    let more = firewall(&[
        (tcp(22, 22), &["10.0.0.0/8"]),
        (tcp(80, 80), &["0.0.0.0/0"]),
        (tcp(80, 81), &["0.0.0.0/0"]),
    ]);
    for (live, call, changed) in [
        (LiveFirewall::from(&ranges), "put", 3),
        (LiveFirewall::from(&networks), "put", 1),
        (LiveFirewall::from(&more), "close", 1),
    ] {
        let desired = desired(Mode::Authoritative, &wanted);
        let plan = strictly(&desired, &live);
        assert_eq!(plan.verdict, Verdict::Change, "{live:?}");
        assert_eq!(
            plan.calls.iter().map(Call::verb).collect::<Vec<_>>(),
            [call]
        );
        assert_eq!((plan.changes.len(), &plan.after), (changed, &wanted));
        assert!(plan.exposure.is_empty() && !plan.has_desired_spelling(&live));
        assert_eq!(
            plan.notes[0].text,
            "only the spelling differs: the same sources get in"
        );
        let loosely = plan_instance(&instance(), &desired, &live, PlanOptions::default());
        assert_eq!(loosely.verdict, Verdict::InSync);
        assert!(loosely.has_desired_spelling(&live));
        let observed = DesiredInstance {
            mode: Mode::Observe,
            ..desired
        };
        assert_eq!(strictly(&observed, &live).verdict, Verdict::Observed);
    }
}

/// The service decides the spelling of a response.
#[test]
fn spelling_of_a_response_is_not_a_change() {
    let wanted = firewall(&[(tcp(22, 22), &["10.0.0.0/8"])]);
    for change in [
        |rules: &mut Vec<PortState>| rules[0].protocol = "TCP".into(),
        |rules: &mut Vec<PortState>| rules[0].cidrs = vec!["10.1.2.3/8".into()],
        |rules: &mut Vec<PortState>| rules.push(rules[0].clone()),
    ] {
        let mut entries = canonical(&wanted);
        change(&mut entries);
        let live = LiveFirewall::read(&entries);
        assert!(!live.is_canonical());
        let plan = strictly(&desired(Mode::Authoritative, &wanted), &live);
        assert_eq!(plan.verdict, Verdict::InSync);
        assert!(plan.calls.is_empty() && plan.has_desired_spelling(&live));
        assert_eq!(
            plan.notes[0].text,
            "the rules are as declared, and the service spells them differently"
        );
    }
}

#[test]
fn spelling_of_unmanaged_rules_is_kept() {
    let twice = firewall(&[(tcp(22, 22), &["10.0.0.0/8"])]);
    let live = disguised(&twice, &[]);
    let mut entries = canonical(&twice);
    entries.extend(canonical(&twice));
    for live in [live, LiveFirewall::read(&entries)] {
        let plan = strictly(&desired(Mode::Additive, &twice), &live);
        assert_eq!(
            (plan.verdict, plan.strict_spelling),
            (Verdict::InSync, false)
        );
    }
}

#[test]
fn entry_that_a_put_would_drop_keeps_its_spelling() {
    let wanted = firewall(&[(tcp(22, 22), &["10.0.0.0/8"])]);
    let halves = firewall(&[(tcp(22, 22), &["10.0.0.0/9", "10.128.0.0/9"])]);
    let mut entries = canonical(&halves);
    entries.push(PortState {
        protocol: "sctp".into(),
        ..entries[0].clone()
    });
    let plan = strictly(
        &desired(Mode::Authoritative, &wanted),
        &LiveFirewall::read(&entries),
    );
    assert!(matches!(plan.verdict, Verdict::Refused { .. }), "{plan:?}");
    assert!(plan.calls.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn live_rules_have_the_declared_spelling_afterwards(
        (before, wanted) in near_pair(), odd in proptest::collection::vec((any::<Index>(), 0..5_u8), 0..3),
    ) {
        let desired = desired(Mode::Authoritative, &wanted);
        let live = disguised(&before, &odd);
        prop_assert_eq!(live.firewall(), &before);
        let plan = strictly(&desired, &live);
        prop_assert_eq!(lint(&Plan { instances: vec![plan.clone()], ..Plan::default() }), []);
        prop_assert_eq!(plan.calls.len(), usize::from(before != wanted));
        let (kept, either) = {
            let (from, to) = (Effective::of(&before, Family::V4), Effective::of(&wanted, Family::V4));
            (from.intersection(&to), from.joined(&to, Family::V4))
        };
        for semantics in ALL_SEMANTICS {
            let mut state = before.clone();
            for call in &plan.calls {
                semantics.run(&mut state, call);
                let now = Effective::of(&state, Family::V4);
                prop_assert!(kept.difference(&now).is_empty() && now.difference(&either).is_empty());
            }
            prop_assert_eq!(&state, &wanted);
            let again = strictly(&desired, &LiveFirewall::from(&state));
            prop_assert_eq!(again.verdict, Verdict::InSync);
        }
    }
}
