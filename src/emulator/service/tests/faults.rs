//! Faults from the point of view of a client without HTTP.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::faults::{InstanceChange, ScriptedEvent, Trigger};
use super::super::super::state::Author;
use super::*;
use crate::model::PortState;

pub(super) fn with_faults(faults: Faults) -> InProcess {
    let options = EmulatorOptions {
        faults,
        ..EmulatorOptions::default()
    };
    InProcess::new(inventory(), options, START)
}

/// Faults with an event at the nth request for `web-1`.
pub(super) fn scripted(action: Option<&'static str>, nth: u64, event: ScriptedEvent) -> Faults {
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
            event,
        }],
        ..Faults::default()
    }
}

#[test]
fn rates_are_enforced_by_the_clock_of_the_caller() {
    for (quirk, status) in [("throttle-status=403", 403), ("throttle-status=400", 400)] {
        let mut options = EmulatorOptions {
            faults: Faults {
                throttle: true,
                ..Faults::default()
            },
            ..EmulatorOptions::default()
        };
        options.quirks.set(quirk).expect("a quirk");
        let service = InProcess::new(inventory(), options, START);
        for _ in 0..20 {
            put(&service, &[]).expect("within the burst");
        }
        let Err(CallError::Response {
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
fn each_scripted_fault_occurs_once() {
    let lost = |applied| Some(CallError::ConnectionLost { applied });
    for (fault, error, applied) in [
        (
            RequestFault::Refused,
            Some(CallError::ConnectionRefused),
            false,
        ),
        (RequestFault::LostRequest, lost(false), false),
        (RequestFault::LostResponse, lost(true), true),
        (
            RequestFault::SilentBefore,
            Some(CallError::NoResponse { applied: false }),
            false,
        ),
        (
            RequestFault::SilentAfter,
            Some(CallError::NoResponse { applied: true }),
            true,
        ),
        (RequestFault::Slow(Duration::from_secs(3)), None, true),
    ] {
        let service = with_faults(scripted(
            Some("PutInstancePublicPorts"),
            2,
            ScriptedEvent::RequestFault(fault),
        ));
        put(&service, &[rule(80, "10.0.0.0/8")]).expect("the first is fine");
        let second = put(&service, &[rule(81, "10.0.0.0/8")]);
        assert_eq!(second.err(), error);
        assert_eq!(
            stored_ports(&service),
            [if applied { 81 } else { 80 }],
            "{fault:?}"
        );
        let seconds = if let RequestFault::Slow(_) = fault {
            3
        } else {
            0
        };
        assert_eq!(service.now(), START + Duration::from_secs(seconds));
        put(&service, &[rule(82, "10.0.0.0/8")]).expect("the third is fine");
    }
    for (fault, applied) in [
        (RequestFault::ServerError, false),
        (RequestFault::ServerErrorAfter, true),
    ] {
        let service = with_faults(scripted(None, 1, ScriptedEvent::RequestFault(fault)));
        let status = match put(&service, &[]) {
            Err(CallError::Response { status, .. } | CallError::InvalidResponse { status, .. }) => {
                status
            }
            other => panic!("{other:?}"),
        };
        assert!(status >= 500);
        assert_eq!(stored_ports(&service).is_empty(), applied);
    }
    // A lost response to a refusal, or to a read, applied nothing.
    let service = with_faults(scripted(
        None,
        1,
        ScriptedEvent::RequestFault(RequestFault::LostResponse),
    ));
    assert_eq!(
        read(&service),
        Err(CallError::ConnectionLost { applied: false })
    );
}

#[test]
fn events_can_be_scripted_at_run_time() {
    let service = with_faults(Faults::default());
    let id = InstanceId {
        account: None,
        region: REGION.to_owned(),
        name: "web-1".to_owned(),
    };
    for (fault, refusal) in [
        (RequestFault::Throttled, "ThrottlingException"),
        (RequestFault::Rejected, "InvalidInputException"),
        (RequestFault::Denied, "AccessDeniedException"),
    ] {
        service.script(&id, &ScriptedEvent::RequestFault(fault));
        assert_eq!(code(put(&service, &[rule(80, "10.0.0.0/8")])), refusal);
        assert_eq!(stored_ports(&service), [22], "{fault:?}");
    }
    let ignored = ScriptedEvent::RequestFault(RequestFault::Ignored);
    service.script(&id, &ignored);
    put(&service, &[rule(80, "10.0.0.0/8")]).expect("accepted");
    assert_eq!(stored_ports(&service), [22]);
    put(&service, &[rule(80, "10.0.0.0/8")]).expect("accepted");
    assert_eq!(stored_ports(&service), [80]);

    let writes = service.emulator().journal().len();
    let rules = serde_json::from_value(json!([rule(443, "10.0.0.0/8")])).expect("rules");
    let change = InstanceChange {
        state: Some("stopping".to_owned()),
        port_states: Some(rules),
        ..InstanceChange::default()
    };
    service.script(&id, &ScriptedEvent::Change(change));
    assert_eq!(stored_ports(&service), [443]);
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
        lost_responses: 100,
        silent: 100,
        ..Faults::default()
    };
    let run = |names: &[&str]| {
        let service = with_faults(faults.clone());
        let mut seen = BTreeMap::<String, Vec<_>>::new();
        for name in names {
            let body = json!({"instanceName": name, "portInfos": []});
            let response = call(&service, "PutInstancePublicPorts", &body);
            let result = match response {
                Err(CallError::Response { .. } | CallError::InvalidResponse { .. }) => {
                    "5xx".to_owned()
                }
                Err(other) => other.to_string(),
                Ok(_) => "ok".to_owned(),
            };
            seen.entry((*name).to_owned()).or_default().push(result);
        }
        seen
    };
    let interleaved: Vec<&str> = ["web-1", "web-2"].repeat(40);
    let one_by_one: Vec<&str> = [["web-1"; 40], ["web-2"; 40]].concat();
    let seen = run(&interleaved);
    assert_eq!(
        seen,
        run(&one_by_one),
        "the order of arrival does not matter"
    );
    assert_ne!(seen["web-1"], seen["web-2"]);
    let kinds: BTreeSet<&String> = seen.values().flatten().collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
}

#[test]
fn connections_are_refused_at_random() {
    let service = with_faults(Faults {
        refused: 300,
        ..Faults::default()
    });
    let refused = (0..200)
        .filter(|_| read(&service) == Err(CallError::ConnectionRefused))
        .count();
    assert!((30..90).contains(&refused), "{refused}");
}

#[test]
fn credentials_expire_and_actions_are_denied() {
    let service = with_faults(Faults {
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
fn foreign_writer_creates_operations() {
    let rules: Vec<PortState> =
        serde_json::from_value(json!([rule(443, "10.0.0.0/8")])).expect("rules");
    let service = with_faults(scripted(
        Some("GetInstancePortStates"),
        2,
        ScriptedEvent::ForeignPut(rules),
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
    assert_eq!(authors, [Author::Client, Author::ForeignWriter]);
    let response = call(
        &service,
        "GetOperationsForResource",
        &json!({"resourceName": "web-1"}),
    )
    .expect("read");
    let times: Vec<_> = response["operations"]
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
fn random_foreign_writes_are_of_all_kinds() {
    let service = with_faults(Faults {
        foreign_write: 1000,
        ..Faults::default()
    });
    for _ in 0..60 {
        read(&service).expect("read");
    }
    let journal = service.emulator().journal();
    let actions: BTreeSet<&str> = journal.iter().map(|write| write.action).collect();
    assert_eq!(actions.len(), 3);
    for pair in journal.windows(2) {
        assert_eq!(pair[0].after, pair[1].before);
        assert_ne!(pair[1].before, pair[1].after);
    }
    // A pending instance refuses the foreign writer.
    call(&service, "GetInstance", &json!({"instanceName": "new-1"})).expect("read");
    assert_eq!(service.emulator().journal().len(), 60);
}

#[test]
fn instances_are_deleted_and_replaced() {
    let service = with_faults(scripted(None, 2, ScriptedEvent::Deletion));
    read(&service).expect("still there");
    assert_eq!(code(read(&service)), "NotFoundException");
    let page = call(&service, "GetInstances", &json!({})).expect("a page");
    assert_eq!(page["instances"].as_array().map(Vec::len), Some(3));
    // The indices of other instances change.
    let other = call(&service, "GetInstance", &json!({"instanceName": "web-2"})).expect("read");
    assert_eq!(other["instance"]["name"], "web-2");

    let service = with_faults(scripted(None, 2, ScriptedEvent::Replacement));
    let arn = |service: &InProcess| {
        let response = call(service, "GetInstance", &json!({"instanceName": "web-1"}));
        response.expect("read")["instance"]["arn"].clone()
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
    let service = emulator(&[]);
    assert_eq!(
        code(call(&service, "DeleteInstance", &json!({}))),
        "UnknownOperationException"
    );
    assert_eq!(
        code(call(&service, "GetInstance", &json!([]))),
        "SerializationException"
    );
    assert_eq!(service.emulator().requests().len(), 1);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn journal_records_are_consistent(seed: u64, picks: u64) {
        let mut options = EmulatorOptions {
            faults: Faults { deleted: 5, replaced: 20, ..Faults::seeded(seed) },
            ..EmulatorOptions::default()
        };
        for (index, quirk) in (0..).zip(Quirks::catalogue()) {
            let value = super::super::super::random::index(quirk.values.len(), picks >> (index % 60));
            options.quirks.set(&format!("{}={}", quirk.name, quirk.values[value])).expect("a quirk");
        }
        let service = InProcess::new(inventory(), options, START);
        for n in 0..30 {
            for (action, member) in [("OpenInstancePublicPorts", "portInfo"), ("PutInstancePublicPorts", "portInfos"), ("CloseInstancePublicPorts", "portInfo")] {
                let info = rule(n % 7, "10.0.0.0/8");
                let info = if member == "portInfos" { json!([info, rule(22, "192.0.2.0/24")]) } else { info };
                let _ = call(&service, action, &json!({"instanceName": "web-1", member: info}));
                let _ = read(&service);
                let key = format!("tag-{}", n % 7);
                let _ = call(&service, "TagResource", &json!({"resourceName": "web-1", "tags": [{"key": key}]}));
                let _ = call(&service, "UntagResource", &json!({"resourceName": "web-1", "tagKeys": [key]}));
                let _ = call(&service, "TagResource", &json!({"resourceName": "web-1", "tags": [{"key": key}]}));
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
