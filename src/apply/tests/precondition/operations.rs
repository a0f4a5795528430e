//! Own and foreign operations.
//!
//! **Owns** the tests that distinguish the operations of a run from those of others. **Does not** test identity or validity.

use super::*;

fn operation(action: &str, details: &str, at: Option<OffsetDateTime>) -> Operation {
    Operation {
        id: format!("{action} {details} {at:?}"),
        action: action.into(),
        details: details.into(),
        status: OperationStatus::Succeeded,
        created_at: at,
        error: None,
    }
}

/// By the clock of the service, however far it is from ours.
#[test]
fn only_operations_after_the_read_are_foreign() {
    let put = "PutInstancePublicPorts";
    let ms = Duration::from_millis;
    let hour = Duration::from_hours(1);
    for service in [NOON, NOON + hour] {
        let clock = Service::default();
        let mut own = OwnOperations::new(&clock);
        clock.pass(MINUTE);
        let accepted = operation(put, "", Some(service + MINUTE));
        own.accepted(&accepted);
        clock.pass(MINUTE);
        own.accepted(&operation(put, "second", Some(service + 2 * MINUTE)));
        let foreign = |kind: &str, at| own.first_foreign(&[operation(kind, "theirs", at)]);
        for (at, is_foreign) in [
            (service - ms(11), false),
            (service - ms(10), true),
            (service + ms(30_000), true),
        ] {
            assert_eq!(foreign(put, Some(at)).is_some(), is_foreign, "{at}");
        }
        assert!(foreign(put, None).is_some());
        // What changes no firewall is nobody's write.
        for at in [None, Some(service + MINUTE)] {
            assert_eq!(foreign("RebootInstance", at), None);
        }
        assert_eq!(own.first_foreign(&[accepted]), None);
        let found = foreign(put, Some(service)).expect("another writer");
        let expected = ForeignWrite {
            action: Some(put.into()),
            details: "theirs".into(),
            at: Some(service),
            difference: None,
        };
        assert_eq!(found, expected);
    }
    // Nothing was accepted: the clocks are at most five minutes apart.
    let clock = Service::default();
    let own = OwnOperations::new(&clock);
    clock.pass(MINUTE);
    let start = NOON - 5 * MINUTE;
    for (at, is_foreign) in [(start - ms(1), false), (start, true)] {
        let found = own.first_foreign(&[operation(put, "", Some(at))]);
        assert_eq!(found.is_some(), is_foreign, "{at}");
    }
}

/// A write whose reply is lost may have become any operation of its kind and port; one that was refused, only one that failed.
#[test]
fn operation_that_may_be_from_a_lost_call_is_not_foreign() {
    use OperationStatus::{Failed, Pending, Succeeded};
    let call = |protocol, from, to| Call::Open {
        key: Key::new(protocol, from, to).expect("a key"),
        sources: self::from(&["192.0.2.1/32"]),
    };
    let single = call(Protocol::Tcp, 443, 443);
    let close = Call::Close {
        key: tcp(443),
        sources: self::from(&["192.0.2.1/32"]),
    };
    let range = call(Protocol::Tcp, 80, 81);
    let icmp = call(Protocol::Icmp, 0, 0);
    let (opens, closes) = ("OpenInstancePublicPorts", "CloseInstancePublicPorts");
    let puts = "PutInstancePublicPorts";
    for (call, refused, kind, status, details, is_ours) in [
        (&single, false, opens, Succeeded, "443/tcp", true),
        (&single, false, opens, Failed, "443/tcp", true),
        (&single, false, opens, Pending, "", true),
        (&single, false, opens, Succeeded, "80/tcp", false),
        (&single, false, closes, Succeeded, "443/tcp", false),
        (&single, false, puts, Succeeded, "", false),
        (&single, true, opens, Failed, "443/tcp", true),
        (&single, true, opens, Succeeded, "443/tcp", false),
        (&single, true, opens, Pending, "443/tcp", false),
        (&single, true, closes, Failed, "443/tcp", false),
        (&close, false, closes, Succeeded, "443/tcp", true),
        (&close, false, closes, Succeeded, "22/tcp", false),
        (&range, false, opens, Succeeded, "80-81/tcp", true),
        (&icmp, false, opens, Succeeded, "icmp", true),
        (&put(), false, puts, Succeeded, "anything", true),
        (&put(), true, puts, Succeeded, "", false),
        (&put(), false, opens, Succeeded, "", false),
    ] {
        let clock = Service::default();
        let mut own = OwnOperations::new(&clock);
        own.unclaimed(call, refused);
        let seen = Operation {
            status,
            ..operation(kind, details, Some(NOON))
        };
        let case = format!("{call:?} {refused} {seen:?}");
        let alone = own.first_foreign(std::slice::from_ref(&seen));
        assert_eq!(alone.is_none(), is_ours, "{case}");
        // One call became one operation.
        let another = Operation {
            id: "another".into(),
            ..seen.clone()
        };
        assert!(own.first_foreign(&[seen, another]).is_some(), "{case}");
    }
}

/// Somebody adds a source to the key after it was read: where Open replaces, and where Close removes the key, it is gone and
/// the rules are just as planned.
#[tokio::test(flavor = "current_thread")]
async fn source_removed_by_a_call_is_detected() {
    let key = |texts: &[&str]| rules(&[(22, texts)]);
    let mine = key(&["192.0.2.1/32"]);
    let grown = key(&["192.0.2.1/32", "192.0.2.2/32"]);
    let theirs = key(&["192.0.2.1/32", "198.51.100.0/24"]);
    let open = Call::Open {
        key: tcp(22),
        sources: from(&["192.0.2.1/32", "192.0.2.2/32"]),
    };
    let close = Call::Close {
        key: tcp(22),
        sources: from(&["192.0.2.1/32"]),
    };
    for (call, to) in [(open, grown), (close, Firewall::new())] {
        let service = Service::default();
        let behaviour = Behaviour {
            open_replaces: true,
            close_by_key: true,
            // Right before the write.
            foreign: Some((2, theirs.clone(), true)),
            ..Behaviour::default()
        };
        let web = InstancePlan {
            calls: vec![call],
            ..service.add("web", &mine, &to, behaviour)
        };
        let report = ran(&service, vec![web], Validity::UNLIMITED, (false, false)).await;
        let outcome = &report.results[0].outcome;
        assert!(matches!(outcome, Outcome::ForeignWriter(_)), "{outcome:?}");
        let said = message(outcome);
        assert!(said.contains("what it changed may be undone"), "{said}");
        assert_eq!(service.host("web", |host| host.rules.clone()), to);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn missing_permission_to_read_operations_is_noted() {
    let service = Service::default();
    let behaviour = Behaviour {
        denied: Some((0, "GetOperationsForResource")),
        ..Behaviour::default()
    };
    let web = opening(&service, behaviour);
    let report = ran(&service, vec![web], Validity::UNLIMITED, (false, false)).await;
    let result = &report.results[0];
    assert_eq!(result.outcome, APPLIED);
    let note = result.note.as_deref().unwrap_or_default();
    assert!(
        note.contains("whether somebody else wrote meanwhile is not known"),
        "{note}"
    );
}

/// An operation that is not visible yet is asked for again, and one that may not be asked for is left to the read-back.
#[tokio::test(flavor = "current_thread")]
async fn operation_is_polled_until_it_is_visible() {
    let denied = Some((0, "GetOperation"));
    for (invisible, operations, denied, asked) in [
        (2, OperationProgress::AfterReads(0), None, 3),
        (0, OperationProgress::AfterReads(1), None, 2),
        (0, OperationProgress::AfterReads(8), denied, 1),
    ] {
        let service = Service::default();
        let behaviour = Behaviour {
            invisible,
            operations,
            denied,
            ..Behaviour::default()
        };
        let plan = plan(vec![opening(&service, behaviour)]);
        let settings = Settings {
            first_pause: Duration::from_secs(1),
            ..patient()
        };
        let tools = Tools {
            reader: &service,
            writer: &service,
            journal: &(),
            progress: &(),
            settings: &settings,
            stop: &Stop::new(),
            validity: Validity::UNLIMITED,
            clock: &service,
        };
        let report = run(&plan, &tools).await;
        let requests = service.host("web", |host| host.requests.clone());
        let case = format!("{invisible} {operations:?}: {requests:?} {report:?}");
        let times = requests
            .iter()
            .filter(|request| **request == "GetOperation");
        assert_eq!(times.count(), asked, "{case}");
        assert_eq!(report.results[0].writes, 1, "{case}");
        assert_eq!(
            service.host("web", |host| host.rules.clone()),
            after(),
            "{case}"
        );
    }
}
