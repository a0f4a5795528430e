//! Quirks from the point of view of a client without HTTP. `faults` has the faults, and `tags` the tags.

mod faults;
mod tags;

use serde_json::{Value, json};

use super::super::in_process::{CallError, InProcess};
use super::super::options::EmulatorOptions;
use super::*;
use crate::inventory::Entry;

const REGION: &str = "eu-central-1";
const START: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn inventory() -> Inventory {
    let entry = |name: &str, state: &str| Entry {
        name: name.to_owned(),
        arn: format!("arn:aws:lightsail:{REGION}:123456789012:Instance/{name}"),
        tags: std::collections::BTreeMap::new(),
        state: state.to_owned(),
        ip_address_type: "dualstack".to_owned(),
        port_states: serde_json::from_value(json!([rule(22, "10.0.0.0/8")])).ok(),
    };
    let entries = vec![
        entry("web-1", "running"),
        entry("web-2", "running"),
        entry("new-1", "pending"),
        entry("off-1", "stopped"),
    ];
    Inventory::new([(REGION.to_owned(), entries)].into())
}

fn rule(port: u16, cidr: &str) -> Value {
    json!({
        "fromPort": port, "toPort": port, "protocol": "tcp", "cidrs": [cidr], "ipv6Cidrs": [], "cidrListAliases": []
    })
}

fn emulator(quirks: &[&str]) -> InProcess {
    let mut options = EmulatorOptions::default();
    for quirk in quirks {
        options.quirks.set(quirk).expect("a quirk");
    }
    InProcess::new(inventory(), options, START)
}

fn call(service: &InProcess, action: &str, body: &Value) -> Result<Value, CallError> {
    service.call(action, REGION, body)
}

fn put(service: &InProcess, rules: &[Value]) -> Result<Value, CallError> {
    let body = json!({"instanceName": "web-1", "portInfos": rules});
    call(service, "PutInstancePublicPorts", &body)
}

fn read(service: &InProcess) -> Result<Value, CallError> {
    call(
        service,
        "GetInstancePortStates",
        &json!({"instanceName": "web-1"}),
    )
}

/// The ports that a read returns.
fn ports(service: &InProcess) -> Vec<i64> {
    let response = read(service).expect("read");
    let states = response["portStates"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    states
        .iter()
        .filter_map(|state| state["fromPort"].as_i64())
        .collect()
}

/// The ports of the stored rules.
fn stored_ports(service: &InProcess) -> Vec<i32> {
    let inventory = service.emulator().inventory();
    let rules = inventory.regions[REGION][0].port_states.clone();
    rules
        .unwrap_or_default()
        .iter()
        .map(|entry| entry.from_port)
        .collect()
}

fn code<T: std::fmt::Debug>(result: Result<T, CallError>) -> String {
    let failure = result.expect_err("a failure");
    failure.code().unwrap_or("none").to_owned()
}

#[test]
fn stale_read_quirks_are_applied() {
    for (quirk, seen) in [
        ("reads=fresh", [80, 80, 80, 80]),
        ("reads=lag", [22, 22, 80, 80]),
        ("reads=flicker", [22, 80, 22, 80]),
    ] {
        let service = emulator(&[quirk]);
        assert_eq!(ports(&service), [22]);
        put(&service, &[rule(80, "10.0.0.0/8")]).expect("accepted");
        for port in seen {
            assert_eq!(ports(&service), [port], "{quirk}");
        }
    }
}

#[test]
fn two_step_put_shows_an_intermediate_state() {
    let service = emulator(&["put=two-steps"]);
    let new = [rule(22, "192.0.2.0/24"), rule(80, "10.0.0.0/8")];
    put(&service, &new).expect("accepted");
    assert_eq!(ports(&service), [0; 0]);
    assert_eq!(ports(&service), [22, 80]);
    // A write finishes what is left, and one that only adds needs no second step.
    put(&service, &[rule(80, "10.0.0.0/8"), rule(443, "10.0.0.0/8")]).expect("accepted");
    put(&service, &[rule(80, "10.0.0.0/8")]).expect("accepted");
    assert_eq!(stored_ports(&service), [80]);
    let steps: Vec<_> = service
        .emulator()
        .journal()
        .iter()
        .map(|write| {
            (
                write.step,
                write.steps,
                write.before.len(),
                write.after.len(),
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            (1, 2, 1, 0),
            (2, 2, 0, 2),
            (1, 2, 2, 1),
            (2, 2, 1, 2),
            (1, 1, 2, 1)
        ]
    );
}

#[test]
fn operation_quirks_are_applied() {
    for (quirk, statuses, port) in [
        (
            "operations=later",
            &["NotStarted", "Started", "Started", "Succeeded"][..],
            80,
        ),
        (
            "operations=never",
            &["Started", "Started", "Started", "Started"],
            80,
        ),
        (
            "operations=fail",
            &["NotStarted", "Started", "Started", "Failed"],
            22,
        ),
        (
            "operations=fail-applied",
            &["NotStarted", "Started", "Started", "Failed"],
            80,
        ),
        (
            "operation-unseen=2",
            &["Succeeded", "none", "none", "Succeeded"],
            80,
        ),
        (
            "done=completed",
            &["Completed", "Completed", "Completed", "Completed"],
            80,
        ),
    ] {
        let service = emulator(&[quirk]);
        let written = put(&service, &[rule(80, "10.0.0.0/8")]).expect("accepted");
        let id = json!({"operationId": written["operation"]["id"]});
        let mut seen = vec![written["operation"]["status"].clone()];
        for _ in 0..3 {
            let operation = call(&service, "GetOperation", &id).unwrap_or_default();
            let status = operation["operation"]["status"].clone();
            seen.push(if status.is_null() {
                "none".into()
            } else {
                status
            });
        }
        assert_eq!(seen, statuses, "{quirk}");
        assert_eq!(stored_ports(&service), [port], "{quirk}");
    }
}

#[test]
fn unsettled_state_refuses_writes_with_the_chosen_code() {
    for (quirk, pending, stopped) in [
        (
            "pending-error=operation-failure",
            "OperationFailureException",
            None,
        ),
        ("pending-error=invalid-input", "InvalidInputException", None),
        (
            "stopped=refuse",
            "OperationFailureException",
            Some("OperationFailureException"),
        ),
    ] {
        let service = emulator(&[quirk]);
        let close = |name: &str| {
            let body = json!({"instanceName": name, "portInfo": rule(22, "10.0.0.0/8")});
            call(&service, "CloseInstancePublicPorts", &body)
        };
        assert_eq!(code(close("new-1")), pending);
        match stopped {
            None => assert!(close("off-1").is_ok()),
            Some(expected) => assert_eq!(code(close("off-1")), expected),
        }
    }
}

#[test]
fn source_limit_quirks_are_applied() {
    for (quirks, expected) in [
        (&["source-limit=1"][..], "InvalidInputException"),
        (
            &["source-limit=1", "source-limit-error=operation-failure"],
            "OperationFailureException",
        ),
    ] {
        let service = emulator(quirks);
        let two = [rule(80, "10.0.0.0/8"), rule(81, "10.0.0.0/8")];
        assert_eq!(code(put(&service, &two)), expected);
        put(&service, &two[..1]).expect("accepted");
    }
    let mut alias = rule(22, "10.0.0.0/8");
    alias["cidrListAliases"] = json!(["lightsail-connect"]);
    assert!(put(&emulator(&["source-limit=1"]), &[alias.clone()]).is_ok());
    assert!(
        put(
            &emulator(&["source-limit=1", "aliases-count=counted"]),
            &[alias]
        )
        .is_err()
    );
}

#[test]
fn error_quirks_are_applied() {
    for (quirk, codes) in [
        (
            "error-type=bare",
            &["NotFoundException", "NotFoundException"][..],
        ),
        (
            "error-type=prefixed",
            &["NotFoundException", "NotFoundException"],
        ),
        (
            "error-type=suffixed",
            &["NotFoundException", "NotFoundException"],
        ),
        ("error-code=absent", &["NotFoundException"]),
        ("error-code=null", &["NotFoundException"]),
        ("error-code=different", &["400", "NotFoundException"]),
        ("error-header=present", &["NotFoundException"; 3]),
    ] {
        let service = emulator(&[quirk]);
        let response = call(&service, "GetInstance", &json!({"instanceName": "nobody"}));
        let Err(CallError::Response {
            status,
            codes: found,
            message,
        }) = response
        else {
            panic!("{response:?}")
        };
        assert_eq!(
            (status, message.as_str()),
            (400, "The Instance does not exist: nobody")
        );
        assert_eq!(found, codes, "{quirk}");
    }
    let service = Service::new(
        inventory(),
        Quirks {
            error_type: super::super::quirks::ErrorType::Prefixed,
            ..Quirks::default()
        },
        Faults::default(),
    );
    let body = service.error(&ErrorResponse::unknown_operation()).body;
    assert!(
        body.contains("\"com.amazonaws.lightsail#UnknownOperationException\""),
        "{body}"
    );
}

#[test]
fn paging_quirks_are_applied() {
    let list = |service: &InProcess, token: Value| {
        call(service, "GetInstances", &json!({"pageToken": token}))
    };
    for (quirk, second) in [
        ("pages=whole", Some("instances-2")),
        ("pages=repeat-token", Some("instances-1")),
        ("pages=fail", None),
    ] {
        let service = emulator(&["instances-per-page=1", quirk]);
        let first = list(&service, Value::Null).expect("a page");
        assert_eq!(first["instances"].as_array().map(Vec::len), Some(1));
        let next = list(&service, first["nextPageToken"].clone());
        match second {
            Some(token) => assert_eq!(next.expect("a page")["nextPageToken"], token),
            None => assert_eq!(code(next), "ServiceException"),
        }
    }
    let service = emulator(&["operations-per-page=1"]);
    for _ in 0..2 {
        put(&service, &[]).expect("accepted");
    }
    let page = call(
        &service,
        "GetOperationsForResource",
        &json!({"resourceName": "web-1"}),
    )
    .expect("a page");
    assert_eq!(page["nextPageToken"], "operations-1");
}

#[test]
fn unreadable_response_quirks_are_applied() {
    let member =
        |service: &InProcess| read(service).map(|response| response.get("portStates").cloned());
    assert_eq!(member(&emulator(&["port-states=missing"])), Ok(None));
    assert_eq!(
        member(&emulator(&["port-states=null"])),
        Ok(Some(Value::Null))
    );
    let invalid_body = |result: Result<_, CallError>| match result {
        Err(CallError::InvalidResponse { status: 200, body }) => body,
        other => panic!("{other:?}"),
    };
    assert!(
        invalid_body(member(&emulator(&["port-states=truncated"])))
            .starts_with("{\"portStates\":[{")
    );
    assert!(invalid_body(member(&emulator(&["port-states=html"]))).starts_with("<html>"));
    assert_eq!(invalid_body(member(&emulator(&["port-states=empty"]))), "");

    let service = emulator(&["port-states=empty", "port-states-every=3"]);
    let readable: Vec<bool> = (0..5).map(|_| read(&service).is_ok()).collect();
    assert_eq!(readable, [false, true, true, false, true]);

    for (quirk, readable) in [
        ("write-reply=no-operation", true),
        ("write-reply=truncated", false),
        ("write-reply=html", false),
        ("write-reply=empty", false),
    ] {
        let service = emulator(&[quirk]);
        match put(&service, &[]) {
            Ok(response) => assert!(readable && response == json!({}), "{quirk}"),
            Err(CallError::InvalidResponse { status, .. }) => {
                assert!(!readable && status == 200, "{quirk}");
            }
            Err(other) => panic!("{quirk}: {other}"),
        }
        assert_eq!(stored_ports(&service), [0; 0], "accepted all the same");
    }
}
