//! `TagResource` and `UntagResource`: limits, errors, quirks and faults.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::super::faults::{InstanceChange, ScriptedEvent};
use super::faults::{scripted, with_faults};
use super::*;

type Tags = BTreeMap<String, String>;

fn tag(service: &InProcess, key: &str, value: &str) -> Result<Value, CallError> {
    tag_all(service, &json!([{"key": key, "value": value}]))
}

fn tag_all(service: &InProcess, tags: &Value) -> Result<Value, CallError> {
    let body = json!({"resourceName": "web-1", "tags": tags});
    call(service, "TagResource", &body)
}

fn untag(service: &InProcess, keys: &[&str]) -> Result<Value, CallError> {
    let body = json!({"resourceName": "web-1", "tagKeys": keys});
    call(service, "UntagResource", &body)
}

/// The tags that a read returns.
fn read_tags(service: &InProcess) -> Tags {
    let response = call(service, "GetInstance", &json!({"instanceName": "web-1"}));
    tags_of(&response.expect("read")["instance"])
}

fn tags_of(instance: &Value) -> Tags {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let tags = instance["tags"].as_array().expect("a list");
    tags.iter()
        .map(|tag| (text(&tag["key"]), text(&tag["value"])))
        .collect()
}

/// The stored tags.
fn stored(service: &InProcess) -> Tags {
    service.emulator().inventory().regions[REGION][0]
        .tags
        .clone()
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn tag_is_visible_at_once_with_an_operation() {
    let service = emulator(&[]);
    let response = tag(&service, "portward:grant:1", "v1 22/tcp").expect("accepted");
    let operation = &response["operations"][0];
    assert_eq!(
        operation,
        &json!({
            "id": operation["id"], "resourceName": "web-1", "resourceType": "Instance", "createdAt": 0.0,
            "location": {"availabilityZone": "eu-central-1a", "regionName": REGION}, "isTerminal": true,
            "operationDetails": "", "status": "Succeeded", "statusChangedAt": 0.0
        })
    );
    let id = json!({"operationId": operation["id"]});
    let found = call(&service, "GetOperation", &id).expect("found");
    assert_eq!(&found["operation"], operation);

    let expected = tags(&[("portward:grant:1", "v1 22/tcp")]);
    assert_eq!(read_tags(&service), expected);
    let list = call(&service, "GetInstances", &json!({})).expect("a list");
    assert_eq!(tags_of(&list["instances"][0]), expected);
    assert_eq!(tags_of(&list["instances"][1]), tags(&[]));

    tag_all(&service, &json!([{"key": "bare"}])).expect("accepted");
    untag(&service, &["portward:grant:1"]).expect("accepted");
    assert_eq!(read_tags(&service), tags(&[("bare", "")]));

    let journal = service.emulator().tag_journal();
    let seen: Vec<_> = journal
        .iter()
        .map(|write| (write.action, write.before.len(), write.after.len()))
        .collect();
    assert_eq!(
        seen,
        [
            ("TagResource", 0, 1),
            ("TagResource", 1, 2),
            ("UntagResource", 2, 1)
        ]
    );
    assert!(service.emulator().journal().is_empty(), "no rule changed");
}

#[test]
fn invalid_tags_are_refused_without_effect() {
    let service = emulator(&[]);
    tag(&service, "role", "web").expect("accepted");
    let long = |count: usize| "x".repeat(count);
    for refused in [
        json!([]),
        json!([{"value": "x"}]),
        json!([{"key": "", "value": "x"}]),
        json!([{"key": long(129), "value": "x"}]),
        json!([{"key": "x", "value": long(257)}]),
        json!([{"key": "aws:x", "value": "x"}]),
        json!([{"key": "a\"b", "value": "x"}]),
        json!([{"key": "x", "value": "a\nb"}]),
        json!([{"key": "x", "value": "1"}, {"key": "x", "value": "2"}]),
        json!([{"key": "fine", "value": "1"}, {"key": "a;b", "value": "2"}]),
    ] {
        let found = code(tag_all(&service, &refused));
        assert_eq!(found, "InvalidInputException", "{refused}");
    }
    for refused in [&[][..], &[""], &["aws:x"], &["a;b"], &["role", "role"]] {
        assert_eq!(code(untag(&service, refused)), "InvalidInputException");
    }
    for refused in [json!("x"), json!([1]), json!([{"key": 1}])] {
        let found = code(tag_all(&service, &refused));
        assert_eq!(found, "SerializationException", "{refused}");
    }
    assert_eq!(stored(&service), tags(&[("role", "web")]));
    tag(&service, &long(128), &long(256)).expect("the longest");

    let unknown = json!({"resourceName": "nobody", "tags": [{"key": "x"}], "tagKeys": ["x"]});
    for action in ["TagResource", "UntagResource"] {
        assert_eq!(code(call(&service, action, &unknown)), "NotFoundException");
        let found = service.call(
            action,
            "us-east-1",
            &json!({"resourceName": "web-1", "tags": [{"key": "x"}], "tagKeys": ["x"]}),
        );
        assert_eq!(code(found), "NotFoundException", "another region");
        for missing in [
            json!({"resourceName": "web-1"}),
            json!({"tags": [{"key": "x"}], "tagKeys": ["x"]}),
        ] {
            let found = code(call(&service, action, &missing));
            assert_eq!(found, "InvalidInputException", "{missing}");
        }
    }
}

#[test]
fn tag_limit_refuses_growth() {
    for (quirks, limit, expected) in [
        (&[][..], 50, "InvalidInputException"),
        (&["tag-limit=5"], 5, "InvalidInputException"),
        (
            &["tag-limit=5", "tag-limit-error=operation-failure"],
            5,
            "OperationFailureException",
        ),
    ] {
        let service = emulator(quirks);
        for n in 0..limit {
            tag(&service, &format!("tag-{n}"), "x").expect("within the limit");
        }
        assert_eq!(code(tag(&service, "more", "x")), expected);
        assert_eq!(stored(&service).len(), limit);
        tag(&service, "tag-0", "y").expect("a key that is there");
        untag(&service, &["tag-1"]).expect("accepted");
        tag(&service, "more", "x").expect("one was free");
    }
}

#[test]
fn tag_quirks_for_existing_and_missing_keys() {
    for (quirk, outcome, value) in [
        ("tag-existing=overwrite", None, "new"),
        ("tag-existing=keep", None, "old"),
        ("tag-existing=refuse", Some("InvalidInputException"), "old"),
    ] {
        let service = emulator(&[quirk]);
        tag(&service, "role", "old").expect("accepted");
        let again = tag(&service, "role", "new");
        assert_eq!(again.err().as_ref().and_then(CallError::code), outcome);
        assert_eq!(stored(&service), tags(&[("role", value)]), "{quirk}");
    }
    for (quirk, outcome) in [
        ("untag-missing=succeed", None),
        ("untag-missing=invalid-input", Some("InvalidInputException")),
        ("untag-missing=not-found", Some("NotFoundException")),
    ] {
        let service = emulator(&[quirk]);
        tag(&service, "role", "web").expect("accepted");
        let result = untag(&service, &["role", "owner"]);
        assert_eq!(result.as_ref().err().and_then(CallError::code), outcome);
        // A request that is refused is refused as a whole.
        assert_eq!(stored(&service).is_empty(), result.is_ok(), "{quirk}");
    }
}

#[test]
fn tag_read_and_operation_quirks_are_applied() {
    for (quirk, seen) in [
        ("tag-reads=fresh", [1, 1, 1, 1]),
        ("tag-reads=lag", [0, 0, 1, 1]),
        ("tag-reads=flicker", [0, 1, 0, 1]),
    ] {
        let service = emulator(&[quirk]);
        tag(&service, "role", "web").expect("accepted");
        assert_eq!([(); 4].map(|()| read_tags(&service).len()), seen, "{quirk}");
        assert_eq!(ports(&service), [22], "rules are not late for that");
    }
    let service = emulator(&["tag-operations=typed"]);
    tag(&service, "role", "web").expect("accepted");
    untag(&service, &["role"]).expect("accepted");
    put(&service, &[]).expect("accepted");
    let all = call(&service, "GetOperations", &json!({})).expect("a list");
    let kind = |n: usize| all["operations"][n]["operationType"].as_str();
    assert_eq!(
        [0, 1, 2].map(kind),
        ["TagResource", "UntagResource", "PutInstancePublicPorts"].map(Some)
    );
    let service = emulator(&["tag-operations=none"]);
    let response = tag(&service, "role", "web").expect("accepted");
    assert_eq!(response, json!({"operations": []}));
    let body = json!({"resourceName": "web-1"});
    let all = call(&service, "GetOperationsForResource", &body).expect("a list");
    assert_eq!(all["operations"], json!([]));
    for (quirk, changed) in [
        ("operations=later", true),
        ("operations=fail", false),
        ("operations=fail-applied", true),
    ] {
        let service = emulator(&[quirk]);
        let response = tag(&service, "role", "web").expect("accepted");
        assert_eq!(response["operations"][0]["status"], "NotStarted", "{quirk}");
        assert_eq!(!stored(&service).is_empty(), changed, "{quirk}");
    }
    for (quirk, readable) in [
        ("write-reply=no-operation", true),
        ("write-reply=truncated", false),
        ("write-reply=html", false),
        ("write-reply=empty", false),
    ] {
        let service = emulator(&[quirk]);
        assert_eq!(tag(&service, "role", "web").is_ok(), readable, "{quirk}");
        assert_eq!(stored(&service).len(), 1, "accepted all the same");
    }
}

#[test]
fn resource_arn_quirk_is_applied() {
    let own = stored_arn(&emulator(&[]));
    let other = own.replace("web-1", "web-2");
    for (quirk, arn, outcome) in [
        ("other-arn=ignore", &own, None),
        ("other-arn=ignore", &other, None),
        ("other-arn=refuse", &own, None),
        ("other-arn=refuse", &other, Some("NotFoundException")),
        (
            "other-arn=ignore",
            &"web-1".to_owned(),
            Some("InvalidInputException"),
        ),
        (
            "other-arn=ignore",
            &own.replace("Instance/", "Instance:"),
            Some("InvalidInputException"),
        ),
    ] {
        let service = emulator(&[quirk]);
        let body = json!({"resourceName": "web-1", "resourceArn": arn, "tags": [{"key": "x"}]});
        let response = call(&service, "TagResource", &body);
        let found = response.as_ref().err().and_then(CallError::code);
        assert_eq!(found, outcome, "{quirk} {arn}");
        assert_eq!(stored(&service).len(), usize::from(response.is_ok()));
    }
}

fn stored_arn(service: &InProcess) -> String {
    service.emulator().inventory().regions[REGION][0]
        .arn
        .clone()
}

fn with_event(action: &'static str, event: ScriptedEvent) -> InProcess {
    with_faults(scripted(Some(action), 1, event))
}

#[test]
fn every_fault_can_occur_for_tag_changes() {
    for (fault, applied) in [
        (RequestFault::Refused, false),
        (RequestFault::LostRequest, false),
        (RequestFault::LostResponse, true),
        (RequestFault::SilentBefore, false),
        (RequestFault::SilentAfter, true),
        (RequestFault::ServerError, false),
        (RequestFault::ServerErrorAfter, true),
        (RequestFault::Throttled, false),
        (RequestFault::Rejected, false),
        (RequestFault::Denied, false),
        (RequestFault::Ignored, false),
        (RequestFault::Slow(Duration::from_secs(3)), true),
    ] {
        let service = with_event("TagResource", ScriptedEvent::RequestFault(fault));
        let response = tag(&service, "role", "web");
        let accepted = matches!(fault, RequestFault::Ignored | RequestFault::Slow(_));
        assert_eq!(response.is_ok(), accepted, "{fault:?}");
        assert_eq!(stored(&service).len(), usize::from(applied), "{fault:?}");
        if let Err(
            CallError::ConnectionLost { applied: reported }
            | CallError::NoResponse { applied: reported },
        ) = response
        {
            assert_eq!(reported, applied, "{fault:?}");
        }
        tag(&service, "role", "web").expect("the second is fine");
        untag(&service, &["role"]).expect("another action");
    }
    // The tags are changed, or the instance is deleted or replaced.
    let other = tags(&[("other", "x")]);
    let change = InstanceChange {
        tags: Some(other.clone()),
        ..InstanceChange::default()
    };
    let service = with_event("UntagResource", ScriptedEvent::Change(change));
    tag(&service, "role", "web").expect("accepted");
    untag(&service, &["role"]).expect("accepted");
    assert_eq!(stored(&service), other);
    for (event, exists) in [
        (ScriptedEvent::Deletion, false),
        (ScriptedEvent::Replacement, true),
    ] {
        let service = with_event("TagResource", event);
        assert_eq!(tag(&service, "role", "web").is_ok(), exists);
    }
}

#[test]
fn permissions_for_rules_and_tags_are_separate() {
    let denied = |actions: &[&str]| {
        with_faults(Faults {
            denied: actions.iter().map(ToString::to_string).collect(),
            ..Faults::default()
        })
    };
    let service = denied(&["TagResource"]);
    assert_eq!(code(tag(&service, "x", "")), "AccessDeniedException");
    untag(&service, &["x"]).expect("allowed");
    put(&service, &[]).expect("allowed");
    let service = denied(&["PutInstancePublicPorts", "UntagResource"]);
    tag(&service, "x", "").expect("allowed");
    assert_eq!(code(untag(&service, &["x"])), "AccessDeniedException");
    assert_eq!(code(put(&service, &[])), "AccessDeniedException");
}

#[test]
fn tag_actions_have_separate_rates() {
    let service = with_faults(Faults {
        throttle: true,
        ..Faults::default()
    });
    for _ in 0..40 {
        tag(&service, "x", "").expect("within the burst");
    }
    assert_eq!(code(tag(&service, "x", "")), "ThrottlingException");
    untag(&service, &["x"]).expect("another bucket");
    put(&service, &[]).expect("another bucket");
    service.advance(Duration::from_millis(100));
    tag(&service, "x", "").expect("one token");
}

/// A request.
#[derive(Clone, Debug)]
enum Step {
    Tag(Tags),
    Untag(BTreeSet<String>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few keys, so that some are equal.
    let key = || "[a-c]:[0-3]";
    let step = prop_oneof![
        prop::collection::btree_map(key(), "[a-z0-9 /=+@._:-]{0,6}", 1..5).prop_map(Step::Tag),
        prop::collection::btree_set(key(), 1..5).prop_map(Step::Untag),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn tags_are_a_map_with_a_limit(steps in steps()) {
        let service = emulator(&["tag-limit=5"]);
        let mut model = Tags::new();
        for step in steps {
            let mut next = model.clone();
            let response = match &step {
                Step::Tag(tags) => {
                    next.extend(tags.clone());
                    let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
                    tag_all(&service, &tags.into())
                }
                Step::Untag(keys) => {
                    next.retain(|key, _| !keys.contains(key));
                    untag(&service, &keys.iter().map(String::as_str).collect::<Vec<_>>())
                }
            };
            prop_assert_eq!(response.is_ok(), next.len() <= 5, "{:?}", step);
            if response.is_ok() {
                model = next;
            }
            prop_assert_eq!(&read_tags(&service), &model);
            prop_assert_eq!(&stored(&service), &model);
        }
        let writes = service.emulator().tag_journal();
        for pair in writes.windows(2) {
            prop_assert_eq!(&pair[0].after, &pair[1].before);
        }
    }
}
