//! Trouble where somebody else writes too, or may have.
//!
//! **Owns** the tests of what is kept of theirs, and of when they are noticed. **Does not** test a service that fails on its own.

use super::*;

#[tokio::test(flavor = "current_thread")]
async fn changes_of_another_writer_are_kept() {
    for fault in [FINE, LOST_AFTER, LOST_BEFORE, REJECTED, IGNORED] {
        for step in 0..4 {
            for shown in [true, false] {
                let service = Service::default();
                let foreign = Some((step, elsewhere(), shown));
                let plan = opening(
                    &service,
                    Behaviour {
                        foreign,
                        ..faults(&[fault, FINE])
                    },
                );
                let result = go(&service, vec![plan], hasty()).await.results.remove(0);
                let situation =
                    format!("{fault:?}, before request {step}, shown {shown}: {result:?}");
                let (requests, writes, live) = service.host("web", |host| {
                    (host.requests.len(), host.writes.clone(), host.rules.clone())
                });
                if requests <= step {
                    assert_eq!(result.outcome, APPLIED, "over before: {situation}");
                } else if step == 0 {
                    assert!(matches!(result.outcome, Outcome::Stale(_)), "{situation}");
                    assert!(writes.is_empty(), "{situation}");
                } else if shown {
                    assert!(
                        matches!(result.outcome, Outcome::ForeignWriter(_)),
                        "{situation}"
                    );
                    assert!(!writes.contains(&put()), "{situation}");
                    assert!(live.get(tcp(8080)).is_some(), "{situation}");
                } else {
                    // Nothing but the rules can tell: the end is named, or it is what was planned.
                    let planned =
                        matches!(result.outcome, Outcome::Applied { .. }) && live == after();
                    assert!(
                        planned || !message(&result.outcome).is_empty(),
                        "{situation}"
                    );
                }
            }
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn operation_of_a_lost_own_call_is_not_foreign() {
    // The reply is lost, the operation shows, and the rules are not as planned: there is nobody but us.
    let service = Service::default();
    let plan = opening(&service, faults(&[LOST_AFTER, IGNORED]));
    let calls = vec![
        open(),
        Call::Open {
            key: tcp(80),
            sources: from(&["0.0.0.0/0"]),
        },
    ];
    let wanted = rules(&[
        (22, &["192.0.2.1/32"]),
        (80, &["0.0.0.0/0"]),
        (443, &["0.0.0.0/0"]),
    ]);
    let plan = InstancePlan {
        calls,
        after: wanted,
        fallback: None,
        ..plan
    };
    let result = go(&service, vec![plan], hasty()).await.results.remove(0);
    assert!(
        message(&result.outcome).contains("tcp/80 is not open"),
        "{result:?}"
    );
}

/// Who else wrote is asked before anything of theirs could be overwritten, and not where nothing was written.
#[tokio::test(flavor = "current_thread")]
async fn failure_without_writes_does_not_report_a_foreign_writer() {
    let second = Call::Open {
        key: tcp(80),
        sources: from(&["0.0.0.0/0"]),
    };
    let mut both = after();
    both.set(tcp(80), from(&["0.0.0.0/0"]));
    for (behaviour, asked) in [
        (faults(&[REJECTED]), false),
        (faults(&[FINE, REJECTED]), true),
    ] {
        let service = Service::default();
        let plan = InstancePlan {
            calls: vec![open(), second.clone()],
            after: both.clone(),
            fallback: None,
            ..opening(&service, behaviour)
        };
        let result = go(&service, vec![plan], hasty()).await.results.remove(0);
        assert!(matches!(result.outcome, Outcome::Failed(_)), "{result:?}");
        let requests = service.host("web", |host| host.requests.clone());
        let operations = requests.contains(&"GetOperationsForResource");
        assert_eq!(operations, asked, "{requests:?}");
    }
}

/// Where our call was refused, only the rules can show another writer whose operation is not listed.
#[tokio::test(flavor = "current_thread")]
async fn fallback_after_a_refusal_keeps_changes_of_others() {
    let mut last = 0;
    for step in 3.. {
        let service = Service::default();
        let behaviour = Behaviour {
            foreign: Some((step, elsewhere(), false)),
            ..faults(&[REJECTED, FINE])
        };
        let plan = opening(&service, behaviour);
        let result = go(&service, vec![plan], hasty()).await.results.remove(0);
        let (requests, writes) =
            service.host("web", |host| (host.requests.clone(), host.writes.clone()));
        if writes.contains(&put()) {
            // After the last read of the rules before the Put nothing can show it.
            let reads = requests.iter().enumerate();
            let before = reads.take_while(|(_, action)| **action != "PutInstancePublicPorts");
            let reads = before.filter(|(_, action)| **action == "GetInstancePortStates");
            let read = reads.last();
            assert!(
                read.is_some_and(|(at, _)| at < step),
                "{step}: {requests:?}"
            );
            break;
        }
        let foreign = matches!(result.outcome, Outcome::ForeignWriter(_));
        assert!(foreign, "{step}: {result:?}");
        assert_eq!(writes, [open()], "{step}");
        last = step;
    }
    assert!(last > 4, "the rules were read before the Put");
}

/// An old view passes by itself, and what somebody else wrote does not.
#[tokio::test(flavor = "current_thread")]
async fn visible_foreign_writer_ends_the_waiting() {
    let service = Service::default();
    let behaviour = Behaviour {
        foreign: Some((3, elsewhere(), true)),
        ..Behaviour::default()
    };
    let plan = InstancePlan {
        calls: vec![put()],
        ..opening(&service, behaviour)
    };
    let settings = Settings {
        first_pause: Duration::from_millis(500),
        ..patient()
    };
    let begun = service.elapsed();
    let result = go(&service, vec![plan], settings).await.results.remove(0);
    let Outcome::ForeignWriter(foreign) = &result.outcome else {
        panic!("{result:?}")
    };
    assert!(foreign.action.is_some(), "{foreign}");
    let waited = service.elapsed().saturating_sub(begun);
    assert!(waited < Duration::from_secs(2), "{waited:?}");
}
