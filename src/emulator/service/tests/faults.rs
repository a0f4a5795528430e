//! Each fault as a client meets it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::faults::{Change, ScriptedEvent, Trigger};
use super::super::super::state::Author;
use super::*;
use crate::model::PortState;

fn faulty(faults: Faults) -> InProcess {
    let options = Options {
        faults,
        ..Options::default()
    };
    InProcess::new(fleet(), options, START)
}

/// This happens at that request for `web-1`.
fn scripted(action: Option<&'static str>, nth: u64, what: ScriptedEvent) -> Faults {
    let instance = InstanceId {
        account: None,
        region: REGION.to_owned(),
        name: "web-1".to_owned(),
    };
    Faults {
        script: vec![Trigger {
            instance,
            action,
            nth,
            what,
        }],
        ..Faults::default()
    }
}

#[test]
fn rates_are_enforced_with_the_clock_of_the_caller() {
    for (quirk, status) in [("throttle-status=403", 403), ("throttle-status=400", 400)] {
        let mut options = Options {
            faults: Faults {
                throttle: true,
                ..Faults::default()
            },
            ..Options::default()
        };
        options.quirks.set(quirk).expect("a quirk");
        let service = InProcess::new(fleet(), options, START);
        for _ in 0..20 {
            put(&service, &[]).expect("within the burst");
        }
        let Err(Failure::Error {
            status: found,
            codes,
            ..
        }) = put(&service, &[])
        else {
            panic!("throttled")
        };
        assert_eq!(
            (found, codes),
            (status, vec!["ThrottlingException".to_owned()])
        );
        read(&service).expect("another bucket");
        service.advance(Duration::from_millis(200));
        put(&service, &[]).expect("one token");
        assert_eq!(code(put(&service, &[])), "ThrottlingException");
        assert_eq!(service.emulator().journal().len(), 21);
    }
}

#[test]
fn each_scripted_failure_occurs_once() {
    let lost = |applied| Some(Failure::Lost { applied });
    for (trouble, failure, applied) in [
        (Trouble::Refused, Some(Failure::Refused), false),
        (Trouble::LostRequest, lost(false), false),
        (Trouble::LostReply, lost(true), true),
        (
            Trouble::SilentBefore,
            Some(Failure::Never { applied: false }),
            false,
        ),
        (
            Trouble::SilentAfter,
            Some(Failure::Never { applied: true }),
            true,
        ),
        (Trouble::Slow(Duration::from_secs(3)), None, true),
    ] {
        let service = faulty(scripted(
            Some("PutInstancePublicPorts"),
            2,
            ScriptedEvent::Goes(trouble),
        ));
        put(&service, &[rule(80, "10.0.0.0/8")]).expect("the first is fine");
        let second = put(&service, &[rule(81, "10.0.0.0/8")]);
        assert_eq!(second.err(), failure);
        assert_eq!(
            truth(&service),
            [if applied { 81 } else { 80 }],
            "{trouble:?}"
        );
        let seconds = if let Trouble::Slow(_) = trouble { 3 } else { 0 };
        assert_eq!(service.now(), START + Duration::from_secs(seconds));
        put(&service, &[rule(82, "10.0.0.0/8")]).expect("the third is fine");
    }
    for (trouble, applied) in [
        (Trouble::ServerError, false),
        (Trouble::ServerErrorAfter, true),
    ] {
        let service = faulty(scripted(None, 1, ScriptedEvent::Goes(trouble)));
        let status = match put(&service, &[]) {
            Err(Failure::Error { status, .. } | Failure::Garbled { status, .. }) => status,
            other => panic!("{other:?}"),
        };
        assert!(status >= 500);
        assert_eq!(truth(&service).is_empty(), applied);
    }
    // A lost reply to a refusal, or to a read, applied nothing.
    let service = faulty(scripted(None, 1, ScriptedEvent::Goes(Trouble::LostReply)));
    assert_eq!(read(&service), Err(Failure::Lost { applied: false }));
}

/// What is scripted while the emulator runs: trouble for the next request, and changes that leave no trace.
#[test]
fn events_can_be_scripted_at_run_time() {
    let service = faulty(Faults::default());
    let id = InstanceId {
        account: None,
        region: REGION.to_owned(),
        name: "web-1".to_owned(),
    };
    for (trouble, refusal) in [
        (Trouble::Throttled, "ThrottlingException"),
        (Trouble::Rejected, "InvalidInputException"),
        (Trouble::Denied, "AccessDeniedException"),
    ] {
        service.script(&id, &ScriptedEvent::Goes(trouble));
        assert_eq!(code(put(&service, &[rule(80, "10.0.0.0/8")])), refusal);
        assert_eq!(truth(&service), [22], "{trouble:?}");
    }
    let ignored = ScriptedEvent::Goes(Trouble::Ignored);
    service.script(&id, &ignored);
    put(&service, &[rule(80, "10.0.0.0/8")]).expect("accepted");
    assert_eq!(truth(&service), [22]);
    put(&service, &[rule(80, "10.0.0.0/8")]).expect("accepted");
    assert_eq!(truth(&service), [80]);

    let writes = service.emulator().journal().len();
    let rules = serde_json::from_value(json!([rule(443, "10.0.0.0/8")])).expect("rules");
    let change = Change {
        state: Some("stopping".to_owned()),
        port_states: Some(rules),
        ..Change::default()
    };
    service.script(&id, &ScriptedEvent::Changes(change));
    assert_eq!(truth(&service), [443]);
    assert_eq!(service.emulator().journal().len(), writes);
    assert_eq!(
        code(put(&service, &[])),
        "OperationFailureException",
        "it is not settled"
    );
}

#[test]
fn random_faults_are_repeatable_by_instance() {
    let faults = Faults {
        seed: 11,
        server_errors: 200,
        server_errors_after: 100,
        lost_requests: 100,
        lost_replies: 100,
        silent: 100,
        ..Faults::default()
    };
    let once = |names: &[&str]| {
        let service = faulty(faults.clone());
        let mut seen = BTreeMap::<String, Vec<_>>::new();
        for name in names {
            let body = json!({"instanceName": name, "portInfos": []});
            let reply = ask(&service, "PutInstancePublicPorts", &body);
            let what = match reply {
                Err(Failure::Error { .. } | Failure::Garbled { .. }) => "5xx".to_owned(),
                Err(other) => other.to_string(),
                Ok(_) => "fine".to_owned(),
            };
            seen.entry((*name).to_owned()).or_default().push(what);
        }
        seen
    };
    let together: Vec<&str> = ["web-1", "web-2"].repeat(40);
    let one_by_one: Vec<&str> = [["web-1"; 40], ["web-2"; 40]].concat();
    let seen = once(&together);
    assert_eq!(
        seen,
        once(&one_by_one),
        "the order of arrival does not matter"
    );
    assert_ne!(seen["web-1"], seen["web-2"]);
    let kinds: BTreeSet<&String> = seen.values().flatten().collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
}

#[test]
fn connections_are_refused_at_random() {
    let service = faulty(Faults {
        refused: 300,
        ..Faults::default()
    });
    let refused = (0..200)
        .filter(|_| read(&service) == Err(Failure::Refused))
        .count();
    assert!((30..90).contains(&refused), "{refused}");
}

#[test]
fn credentials_expire_and_actions_are_denied() {
    let service = faulty(Faults {
        expire_after: Some(2),
        denied: ["PutInstancePublicPorts".to_owned()].into(),
        ..Faults::default()
    });
    read(&service).expect("good so far");
    assert_eq!(code(put(&service, &[])), "AccessDeniedException");
    assert_eq!(code(read(&service)), "ExpiredTokenException");
    assert!(service.emulator().journal().is_empty());
}

#[test]
fn second_writer_creates_operations() {
    let theirs: Vec<PortState> =
        serde_json::from_value(json!([rule(443, "10.0.0.0/8")])).expect("rules");
    let service = faulty(scripted(
        Some("GetInstancePortStates"),
        2,
        ScriptedEvent::Writes(theirs),
    ));
    assert_eq!(ports(&service), [22]);
    put(&service, &[rule(80, "10.0.0.0/8")]).expect("accepted");
    service.advance(Duration::from_secs(5));
    assert_eq!(ports(&service), [443], "between the write and the read");
    let authors: Vec<Author> = service
        .emulator()
        .journal()
        .iter()
        .map(|write| write.by)
        .collect();
    assert_eq!(authors, [Author::Client, Author::SecondWriter]);
    let reply = ask(
        &service,
        "GetOperationsForResource",
        &json!({"resourceName": "web-1"}),
    )
    .expect("read");
    let times: Vec<_> = reply["operations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|operation| {
            (
                operation["operationType"].clone(),
                operation["createdAt"].clone(),
            )
        })
        .collect();
    let put = json!("PutInstancePublicPorts");
    assert_eq!(times, [(put.clone(), json!(0.0)), (put, json!(5.0))]);
}

#[test]
fn random_second_writer_makes_all_kinds_of_changes() {
    let service = faulty(Faults {
        second_writer: 1000,
        ..Faults::default()
    });
    for _ in 0..60 {
        read(&service).expect("read");
    }
    let journal = service.emulator().journal();
    let actions: BTreeSet<&str> = journal.iter().map(|write| write.action).collect();
    assert_eq!(actions.len(), 3);
    for two in journal.windows(2) {
        assert_eq!(two[0].after, two[1].before, "a whole chain");
        assert_ne!(two[1].before, two[1].after);
    }
    // New instances are left alone until they are settled.
    ask(&service, "GetInstance", &json!({"instanceName": "new-1"})).expect("read");
    assert_eq!(service.emulator().journal().len(), 60);
}

#[test]
fn instances_are_deleted_and_replaced() {
    let service = faulty(scripted(None, 2, ScriptedEvent::Deleted));
    read(&service).expect("still there");
    assert_eq!(code(read(&service)), "NotFoundException");
    let page = ask(&service, "GetInstances", &json!({})).expect("a page");
    assert_eq!(page["instances"].as_array().map(Vec::len), Some(3));
    // The others are found where they are now.
    let other = ask(&service, "GetInstance", &json!({"instanceName": "web-2"})).expect("read");
    assert_eq!(other["instance"]["name"], "web-2");

    let service = faulty(scripted(None, 2, ScriptedEvent::Replaced));
    let arn = |service: &InProcess| {
        let reply = ask(service, "GetInstance", &json!({"instanceName": "web-1"}));
        reply.expect("read")["instance"]["arn"].clone()
    };
    let before = arn(&service);
    let after = arn(&service);
    assert_ne!(before, after);
    assert!(after.as_str().is_some_and(|arn| {
        arn.starts_with("arn:aws:lightsail:eu-central-1:123456789012:Instance/")
    }));
    assert_eq!(ports(&service), [80, 22]);
}

#[test]
fn other_actions_and_bodies_are_errors() {
    let service = with(&[]);
    assert_eq!(
        code(ask(&service, "DeleteInstance", &json!({}))),
        "UnknownOperationException"
    );
    assert_eq!(
        code(ask(&service, "GetInstance", &json!([]))),
        "SerializationException"
    );
    assert_eq!(service.emulator().requests().len(), 1);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    /// Whatever is chosen and whatever goes wrong: the journal tells the whole story of each instance.
    #[test]
    fn journal_records_are_consistent(seed: u64, picks: u64) {
        let mut options = Options {
            faults: Faults { deleted: 5, replaced: 20, ..Faults::seeded(seed) },
            ..Options::default()
        };
        for (place, quirk) in (0..).zip(Quirks::catalogue()) {
            let value = super::super::super::dice::pick(quirk.values.len(), picks >> (place % 60));
            options.quirks.set(&format!("{}={}", quirk.name, quirk.values[value])).expect("a quirk");
        }
        let service = InProcess::new(fleet(), options, START);
        for n in 0..30 {
            for (action, member) in [("OpenInstancePublicPorts", "portInfo"), ("PutInstancePublicPorts", "portInfos"), ("CloseInstancePublicPorts", "portInfo")] {
                let info = rule(n % 7, "10.0.0.0/8");
                let info = if member == "portInfos" { json!([info, rule(22, "192.0.2.0/24")]) } else { info };
                let _ = ask(&service, action, &json!({"instanceName": "web-1", member: info}));
                let _ = read(&service);
                let key = format!("tag-{}", n % 7);
                let _ = ask(&service, "TagResource", &json!({"resourceName": "web-1", "tags": [{"key": key}]}));
                let _ = ask(&service, "UntagResource", &json!({"resourceName": "web-1", "tagKeys": [key]}));
                let _ = ask(&service, "TagResource", &json!({"resourceName": "web-1", "tags": [{"key": key}]}));
                service.advance(Duration::from_millis(300));
            }
        }
        let mut rules = BTreeMap::new();
        for write in service.emulator().journal() {
            if let Some(before) = rules.insert(write.arn.clone(), write.after.clone()) {
                proptest::prop_assert_eq!(&before, &write.before);
            }
        }
        let mut tags = BTreeMap::new();
        for write in service.emulator().tag_journal() {
            if let Some(before) = tags.insert(write.arn, write.after) {
                proptest::prop_assert_eq!(before, write.before);
            }
        }
        for entry in &service.emulator().inventory().regions[REGION] {
            if let Some(last) = tags.get(&entry.arn) {
                proptest::prop_assert_eq!(last, &entry.tags);
            }
            if let Some(last) = rules.get(&entry.arn) {
                proptest::prop_assert_eq!(Some(last.as_slice()), entry.port_states.as_deref());
            }
        }
    }
}
