//! What goes wrong, one situation at a time: what may be sent after it and how it must end.

mod other_writers;

use std::time::Duration;

use super::service::{
    Behaviour, DENIED, FINE, Fault, IGNORED, LOST_AFTER, LOST_BEFORE, Moment, REJECTED, Service,
    THROTTLED, UNSENT, from, rules, tcp,
};
use super::{
    APPLIED, after, before, elsewhere, go, hasty, message, open, opened, opening, patient, put,
};
use crate::apply::outcomes::unverified;
use crate::apply::{Clock as _, Settings};
use crate::lightsail::{Error, ErrorKind};
use crate::model::{Firewall, InstanceState, Key, Protocol};
use crate::plan::{Call, InstancePlan, Outcome};

fn faults(faults: &[Fault]) -> Behaviour {
    Behaviour {
        faults: faults.to_vec(),
        ..Behaviour::default()
    }
}

#[tokio::test(flavor = "current_thread")]
async fn rejected_call_is_followed_by_the_fallback() {
    let (result, writes) = opened(faults(&[REJECTED, FINE]), patient()).await;
    let Outcome::Applied {
        repaired: Some(why),
    } = result.outcome
    else {
        panic!("{result:?}")
    };
    assert!(why.contains("InvalidInputException"), "{why}");
    assert_eq!(writes, [open(), put()]);

    let (result, writes) = opened(faults(&[REJECTED]), patient()).await;
    assert!(matches!(result.outcome, Outcome::Failed(_)), "{result:?}");
    assert_eq!((writes, result.writes), (vec![open(), put()], 0));

    let service = Service::default();
    let plan = InstancePlan {
        fallback: None,
        ..opening(&service, faults(&[REJECTED]))
    };
    let result = go(&service, vec![plan], patient()).await.results.remove(0);
    assert!(
        message(&result.outcome).contains("InvalidInputException"),
        "{result:?}"
    );
    assert_eq!(service.host("web", |host| host.writes.len()), 1);
}

#[tokio::test(flavor = "current_thread")]
async fn access_denied_is_not_retried() {
    let (result, writes) = opened(faults(&[DENIED]), patient()).await;
    let Outcome::Failed(failure) = result.outcome else {
        panic!("{result:?}")
    };
    assert!(
        failure
            .hint
            .is_some_and(|hint| hint.contains("lightsail:OpenInstancePublicPorts"))
    );
    assert_eq!(writes, [open()]);
}

#[tokio::test(flavor = "current_thread")]
async fn throttled_write_is_retried() {
    let (result, writes) = opened(faults(&[THROTTLED, THROTTLED, FINE]), patient()).await;
    assert_eq!(
        (result.outcome, result.writes, writes.len()),
        (APPLIED, 1, 3)
    );
    let (result, _) = opened(faults(&[THROTTLED]), hasty()).await;
    assert!(
        message(&result.outcome).contains("ThrottlingException"),
        "{result:?}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn rules_decide_after_a_lost_response() {
    let (result, writes) = opened(faults(&[LOST_AFTER]), patient()).await;
    assert_eq!(
        (result.outcome, result.writes, writes.len()),
        (APPLIED, 1, 1)
    );
    let (result, writes) = opened(faults(&[LOST_BEFORE, FINE]), patient()).await;
    assert_eq!(
        (result.outcome, result.writes, writes.len()),
        (APPLIED, 2, 2)
    );
    for lost in [LOST_BEFORE, UNSENT] {
        let (result, writes) = opened(faults(&[lost]), patient()).await;
        assert!(matches!(result.outcome, Outcome::Failed(_)), "{result:?}");
        assert_eq!(writes.len(), 3, "tried a bounded number of times");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn wrong_result_is_repaired_once() {
    let (result, writes) = opened(faults(&[IGNORED, FINE]), hasty()).await;
    let Outcome::Applied {
        repaired: Some(why),
    } = result.outcome
    else {
        panic!("{result:?}")
    };
    assert!(why.contains("tcp/443 is not open to 0.0.0.0/0"), "{why}");
    assert_eq!(writes, [open(), put()]);

    let (result, writes) = opened(faults(&[IGNORED]), hasty()).await;
    assert!(
        message(&result.outcome).contains("tcp/443 is not open to 0.0.0.0/0"),
        "{result:?}"
    );
    assert_eq!(writes, [open(), put()]);
}

#[tokio::test(flavor = "current_thread")]
async fn failure_of_one_instance_does_not_stop_others() {
    let service = Service::default();
    let blind = opening(
        &service,
        Behaviour {
            unreadable: true,
            ..Behaviour::default()
        },
    );
    let other = service.add("other", &before(), &after(), Behaviour::default());
    let idle = service.add("idle", &before(), &before(), Behaviour::default());
    let other = InstancePlan {
        calls: vec![put()],
        ..other
    };
    let report = go(
        &service,
        vec![blind, idle, other],
        Settings {
            concurrency: 1,
            ..patient()
        },
    )
    .await;
    assert_eq!(report.results.len(), 2);
    assert!(
        message(&report.results[0].outcome).contains("has no `portStates`"),
        "{report:?}"
    );
    assert_eq!(report.results[1].outcome, APPLIED);
    assert!(service.host("idle", |host| host.requests.is_empty()));
}

#[tokio::test(flavor = "current_thread")]
async fn stopping_instance_is_waited_for() {
    // Before the write, and between the look at the instance and the write.
    for (begins, sent) in [(Moment::Look(0), 1), (Moment::Write(0), 2)] {
        let states = vec![
            (begins, InstanceState::Stopping),
            (Moment::Look(3), InstanceState::Running),
        ];
        let (result, writes) = opened(
            Behaviour {
                states,
                ..Behaviour::default()
            },
            patient(),
        )
        .await;
        assert_eq!((result.outcome, writes), (APPLIED, vec![open(); sent]));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn refused_open_hidden_by_another_rule_is_not_verified() {
    let all = Key::new(Protocol::Tcp, 0, 65535).expect("a range");
    let (key, some, everybody) = (tcp(22), from(&["192.0.2.1/32"]), from(&["0.0.0.0/0"]));
    let before: Firewall = [(all, everybody.clone())].into_iter().collect();
    let after: Firewall = [(key, some.clone())].into_iter().collect();
    let open = Call::Open { key, sources: some };
    let close = Call::Close {
        key: all,
        sources: everybody,
    };
    let service = Service::default();
    let behaviour = faults(&[REJECTED, FINE]);
    let plan = InstancePlan {
        calls: vec![open.clone(), close],
        ..service.add("web", &before, &after, behaviour)
    };
    let result = go(&service, vec![plan], patient()).await.results.remove(0);
    assert!(matches!(result.outcome, Outcome::Failed(_)), "{result:?}");
    assert_eq!(service.host("web", |host| host.writes.clone()), [open]);
}

#[tokio::test(flavor = "current_thread")]
async fn fallback_is_not_sent_to_a_replaced_instance() {
    let service = Service::default();
    let behaviour = Behaviour {
        // Right after the first write.
        replaced: Some(3),
        ..faults(&[IGNORED, FINE])
    };
    let plan = opening(&service, behaviour);
    let result = go(&service, vec![plan], hasty()).await.results.remove(0);
    let Outcome::ForeignWriter(foreign) = &result.outcome else {
        panic!("{result:?}")
    };
    assert!(
        foreign.to_string().contains("another instance"),
        "{foreign}"
    );
    assert_eq!(service.host("web", |host| host.writes.clone()), [open()]);
}

/// A Put that was refused is not sent again under the name of a fallback, and one that had no effect is.
#[tokio::test(flavor = "current_thread")]
async fn put_is_repeated_as_fallback_only_if_it_was_accepted() {
    for (fault, sent) in [(REJECTED, 1), (IGNORED, 2)] {
        let service = Service::default();
        let plan = InstancePlan {
            calls: vec![put()],
            ..opening(&service, faults(&[fault]))
        };
        let result = go(&service, vec![plan], hasty()).await.results.remove(0);
        assert!(matches!(result.outcome, Outcome::Failed(_)), "{result:?}");
        let writes = service.host("web", |host| host.writes.clone());
        assert_eq!(writes, vec![put(); sent], "{fault:?}");
    }
}

/// What our own first call did is no sign of somebody else.
#[tokio::test(flavor = "current_thread")]
async fn fallback_is_sent_after_a_call_that_had_its_effect() {
    let service = Service::default();
    let mut both = after();
    both.set(tcp(80), from(&["0.0.0.0/0"]));
    let second = Call::Open {
        key: tcp(80),
        sources: from(&["0.0.0.0/0"]),
    };
    let plan = InstancePlan {
        calls: vec![open(), second],
        after: both.clone(),
        fallback: Some(both.clone()),
        ..opening(&service, faults(&[FINE, REJECTED, FINE]))
    };
    let result = go(&service, vec![plan], patient()).await.results.remove(0);
    assert_eq!(result.outcome.status().as_str(), "repaired", "{result:?}");
    assert_eq!(service.host("web", |host| host.rules.clone()), both);
}

/// Where no operation shows who it was, the difference says what happened.
#[tokio::test(flavor = "current_thread")]
async fn unexpected_rules_are_described() {
    for fault in [LOST_BEFORE, REJECTED] {
        let service = Service::default();
        let behaviour = Behaviour {
            foreign: Some((3, elsewhere(), false)),
            ..faults(&[fault, FINE])
        };
        let plan = opening(&service, behaviour);
        let result = go(&service, vec![plan], hasty()).await.results.remove(0);
        let Outcome::ForeignWriter(foreign) = &result.outcome else {
            panic!("{result:?}")
        };
        let difference = "tcp/443 is not open to 0.0.0.0/0; tcp/8080 is open to 198.51.100.0/24";
        assert_eq!(foreign.difference.as_deref(), Some(difference));
    }
}

#[test]
fn unverified_result_is_reported_with_its_reason() {
    let error = Error::new(
        ErrorKind::AccessDenied,
        "GetInstancePortStates",
        "web",
        "no",
    );
    let failure = unverified(&error);
    let message = format!("what was written could not be proved: {error}");
    assert_eq!((failure.message, failure.hint), (message, error.hint()));
}

/// Where another rule lets the same people in, the key of an Open tells that it had its effect.
#[tokio::test(flavor = "current_thread")]
async fn lost_open_hidden_by_another_rule_is_not_sent_twice() {
    let all = Key::new(Protocol::Tcp, 0, 65535).expect("a range");
    let (key, some, everybody) = (tcp(22), from(&["192.0.2.1/32"]), from(&["0.0.0.0/0"]));
    let before: Firewall = [(all, everybody)].into_iter().collect();
    let mut after = before.clone();
    after.set(key, some.clone());
    let open = Call::Open { key, sources: some };
    let service = Service::default();
    let plan = InstancePlan {
        calls: vec![open.clone()],
        ..service.add("web", &before, &after, faults(&[LOST_AFTER]))
    };
    let result = go(&service, vec![plan], patient()).await.results.remove(0);
    assert_eq!(result.outcome, APPLIED);
    assert_eq!(service.host("web", |host| host.writes.clone()), [open]);
}

/// After trouble it is asked again which instance it is, and who else wrote. To be asked for fewer requests is no trouble.
#[tokio::test(flavor = "current_thread")]
async fn anomaly_costs_two_more_reads() {
    for (fault, instances, operations) in [
        (FINE, 1, 0),
        (THROTTLED, 1, 0),
        (UNSENT, 2, 1),
        (LOST_BEFORE, 2, 1),
    ] {
        let service = Service::default();
        let plan = InstancePlan {
            calls: vec![put()],
            ..opening(&service, faults(&[fault, FINE]))
        };
        let result = go(&service, vec![plan], patient()).await.results.remove(0);
        assert_eq!(result.outcome, APPLIED, "{fault:?}");
        let requests = service.host("web", |host| host.requests.clone());
        let count = |action| {
            requests
                .iter()
                .filter(|request| **request == action)
                .count()
        };
        let found = (count("GetInstance"), count("GetOperationsForResource"));
        assert_eq!(found, (instances, operations), "{fault:?}: {requests:?}");
    }
}

/// An instance that starts and stops again and again is not written to for ever.
#[tokio::test(flavor = "current_thread")]
async fn call_is_sent_three_times_to_an_unsettled_instance() {
    use InstanceState::{Running, Stopping};
    // It is asked for right before a write, after the write was refused, and until it is settled.
    let states = (0..10).flat_map(|nth| {
        [
            (Moment::Write(nth), Stopping),
            (Moment::Look(3 * nth + 2), Running),
        ]
    });
    let behaviour = Behaviour {
        states: states.collect(),
        ..Behaviour::default()
    };
    let (_, writes) = opened(behaviour, patient()).await;
    let opens = writes.iter().filter(|call| **call == open());
    assert_eq!(opens.count(), 3, "{writes:?}");
}
