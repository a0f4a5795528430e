//! What holds for every pair of firewalls, every way of writing and every fault: the run ends in `after`, or in a failure
//! that is named, and nobody else is touched.

use std::time::Duration;

use proptest::prelude::*;

use super::service::{
    Behaviour, DENIED, FINE, Fault, IGNORED, LOST_AFTER, LOST_BEFORE, REJECTED, Service, THROTTLED,
    UNSENT, from, plan, rules, tcp,
};
use super::tools;
use crate::apply::{Settings, Stop, run};
use crate::emulator::{OperationProgress, ReadConsistency};
use crate::exposure;
use crate::model::{Family, Firewall, Sources};
use crate::plan::{Call, InstancePlan, Outcome};

const PORTS: [i32; 3] = [22, 80, 443];
const NETS: [&str; 4] = ["192.0.2.1/32", "198.51.100.0/24", "0.0.0.0/0", "::/0"];

fn sources() -> impl Strategy<Value = Sources> {
    prop::sample::subsequence(NETS.to_vec(), 1..=3).prop_map(|texts| from(&texts))
}

fn firewall() -> impl Strategy<Value = Firewall> {
    prop::collection::btree_map(prop::sample::select(PORTS.to_vec()), sources(), 0..=3).prop_map(
        |rules| {
            rules
                .into_iter()
                .map(|(port, sources)| (tcp(port), sources))
                .collect()
        },
    )
}

/// Rules before and after, and calls that lead from one to the other under every reading of the service.
fn change() -> impl Strategy<Value = (Firewall, Firewall, Vec<Call>)> {
    let put = (firewall(), firewall()).prop_map(|(before, after)| {
        let calls = vec![Call::Put {
            firewall: after.clone(),
        }];
        (before, after, calls)
    });
    let open = (firewall(), prop::sample::select(PORTS.to_vec()), sources()).prop_map(
        |(before, port, sources)| {
            let mut after = before.clone();
            after.add(tcp(port), &sources);
            let sources = after.get(tcp(port)).cloned().unwrap_or_default();
            (
                before,
                after,
                vec![Call::Open {
                    key: tcp(port),
                    sources,
                }],
            )
        },
    );
    let close = (firewall(), prop::sample::select(PORTS.to_vec()), sources()).prop_map(
        |(after, port, sources)| {
            let (mut before, mut after) = (after.clone(), after);
            before.set(tcp(port), sources.clone());
            after.remove(tcp(port));
            (
                before,
                after,
                vec![Call::Close {
                    key: tcp(port),
                    sources,
                }],
            )
        },
    );
    prop_oneof![put, open, close].prop_filter("something changes", |(before, after, _)| {
        !exposure::equivalent(before, after, Family::V4)
    })
}

fn fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(vec![
        FINE,
        FINE,
        IGNORED,
        THROTTLED,
        REJECTED,
        DENIED,
        LOST_AFTER,
        LOST_BEFORE,
        UNSENT,
    ])
}

/// Anything the service may do by its documents and by what was seen of it, and nothing that is a fault.
fn calm() -> impl Strategy<Value = Behaviour> {
    (
        any::<bool>(),
        any::<bool>(),
        0..3_u32,
        prop::sample::select(vec![
            OperationProgress::Immediate,
            OperationProgress::AfterReads(0),
            OperationProgress::AfterReads(1),
        ]),
        prop::sample::select(vec![
            ReadConsistency::Fresh,
            ReadConsistency::Lag,
            ReadConsistency::Flicker,
        ]),
    )
        .prop_map(
            |(open_replaces, close_by_key, invisible, operations, reads)| Behaviour {
                open_replaces,
                close_by_key,
                invisible,
                operations,
                reads,
                ..Behaviour::default()
            },
        )
}

fn stormy() -> impl Strategy<Value = Behaviour> {
    let foreign = prop::option::of((0..8_usize, firewall(), any::<bool>()));
    let faults = prop::collection::vec(fault(), 0..5);
    (calm(), faults, foreign, prop::bool::weighted(0.2)).prop_map(
        |(calm, faults, foreign, fails)| Behaviour {
            faults,
            foreign,
            operations: if fails {
                OperationProgress::Fails(0)
            } else {
                calm.operations
            },
            ..calm
        },
    )
}

fn settings(timeout: Duration) -> Settings {
    Settings {
        timeout,
        operation_timeout: timeout,
        proof_timeout: timeout,
        first_pause: Duration::ZERO,
        ..Settings::default()
    }
}

struct Ending {
    outcome: Outcome,
    live: Firewall,
    writes: usize,
}

/// Runs the change on one instance beside another one, which must not even be asked about.
fn ending(
    (before, after, calls): &(Firewall, Firewall, Vec<Call>),
    behaviour: Behaviour,
    timeout: Duration,
) -> Ending {
    let service = Service::default();
    let bystander = rules(&[(25, &["203.0.113.0/24"])]);
    let idle = service.add("idle", &bystander, &bystander, Behaviour::default());
    let web = service.add("web", before, after, behaviour);
    let web = InstancePlan {
        calls: calls.clone(),
        fallback: Some(after.clone()),
        ..web
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let (plan, settings, stop) = (plan(vec![idle, web]), settings(timeout), Stop::new());
    let report = runtime.block_on(run(&plan, &tools(&service, &settings, &stop)));
    service.host("idle", |host| {
        assert!(host.requests.is_empty() && host.rules == bystander);
    });
    assert_eq!(report.results.len(), 1);
    let outcome = report.results[0].outcome.clone();
    service.host("web", |host| Ending {
        outcome,
        live: host.rules.clone(),
        writes: host.writes.len(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_succeeds_without_faults(change in change(), behaviour in calm()) {
        let Ending { outcome, live, writes } = ending(&change, behaviour, Duration::from_secs(20));
        prop_assert_eq!(outcome, Outcome::Applied { repaired: None });
        prop_assert_eq!((live, writes), (change.1, 1));
    }

    #[test]
    fn outcome_is_true_with_any_fault(change in change(), behaviour in stormy()) {
        let foreign = behaviour.foreign.clone();
        // A Put is proved by its rules alone, so that a read from before another write is taken for its effect.
        let is_read_late = matches!(change.2[..], [Call::Put { .. }]) && behaviour.reads != ReadConsistency::Fresh;
        let Ending { outcome, live, writes } = ending(&change, behaviour, Duration::ZERO);
        prop_assert!(writes <= 2 * 3 + 1, "{writes} writes");
        match outcome {
            Outcome::Applied { .. } | Outcome::AlreadyApplied => {
                // Another writer may have spelled it differently, or have come after the proof without leaving a trace.
                let later = foreign.is_some_and(|(_, rules, shown)| (!shown || is_read_late) && live == rules);
                prop_assert!(later || exposure::equivalent(&live, &change.1, Family::V4), "{live:?}");
            }
            Outcome::Stale(text) => {
                prop_assert!(foreign.is_some() && !text.is_empty());
                prop_assert_eq!(writes, 0);
            }
            Outcome::ForeignWriter(found) => prop_assert!(foreign.is_some() && !found.to_string().is_empty(), "{found}"),
            Outcome::Failed(failure) => prop_assert!(!failure.message.is_empty()),
            Outcome::NotStarted(text) | Outcome::Reverted(text) => prop_assert!(false, "{text}"),
        }
    }
}
