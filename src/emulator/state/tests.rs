//! Requests to the state machine, in AWS JSON.

use proptest::prelude::*;
use time::OffsetDateTime;

use super::super::context::Persist;
use super::super::request::Action;
use super::*;

const REGION: &str = "eu-central-1";

fn entry(name: &str, state: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        arn: format!("arn:aws:lightsail:{REGION}:123456789012:Instance/{name}"),
        tags: [("role".to_owned(), "web".to_owned())].into(),
        state: state.to_owned(),
        ip_address_type: "dualstack".to_owned(),
        port_states: Some([].into()),
    }
}

fn state_of(entries: Vec<Entry>, quirks: Quirks) -> ServiceState {
    ServiceState::new(
        Inventory::new([(REGION.to_owned(), entries)].into()),
        quirks,
        0,
    )
}

fn handle(
    state: &mut ServiceState,
    region: &str,
    request: Request,
    persist: Persist<'_>,
) -> Result<Value, ErrorResponse> {
    let mut context = Context {
        site: &Site::of_region(region),
        now: OffsetDateTime::UNIX_EPOCH,
        persist,
    };
    state.handle(request, &mut context)
}

fn call(state: &mut ServiceState, action: Action, body: &Value) -> Result<Value, ErrorResponse> {
    let request = Request::parse(action, body.to_string().as_bytes(), &Quirks::default())?;
    handle(state, REGION, request, &mut |_| Ok(()))
}

fn name(name: &str) -> Value {
    json!({"instanceName": name})
}

fn put(count: u8) -> Value {
    let cidrs: Vec<String> = (0..count).map(|n| format!("192.0.2.{n}/32")).collect();
    let info = json!({"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrs": cidrs});
    json!({"instanceName": "web-1", "portInfos": [info]})
}

#[test]
fn write_changes_rules_operations_and_journal() {
    let mut state = state_of(vec![entry("web-1", "running")], Quirks::default());
    let info = json!({"fromPort": 8080, "toPort": 8081, "protocol": "TCP", "cidrs": ["192.0.2.7"]});
    let body = json!({"instanceName": "web-1", "portInfo": info});
    let response = call(&mut state, Action::OpenInstancePublicPorts, &body).expect("accepted");
    let operation = &response["operation"];
    assert_eq!(
        operation.to_string(),
        json!({
            "id": operation["id"], "resourceName": "web-1", "resourceType": "Instance", "createdAt": 0.0,
            "location": {"availabilityZone": "eu-central-1a", "regionName": REGION}, "isTerminal": true,
            "operationDetails": "8080-8081/tcp", "operationType": "OpenInstancePublicPorts",
            "status": "Succeeded", "statusChangedAt": 0.0
        })
        .to_string()
    );
    let stored = json!({
        "fromPort": 8080, "toPort": 8081, "protocol": "tcp", "state": "open", "cidrs": ["192.0.2.7/32"],
        "ipv6Cidrs": [], "cidrListAliases": []
    });
    let states = call(&mut state, Action::GetInstancePortStates, &name("web-1")).expect("read");
    assert_eq!(states, json!({"portStates": [stored]}));
    let instance = call(&mut state, Action::GetInstance, &name("web-1")).expect("read");
    let port = &instance["instance"]["networking"]["ports"][0];
    assert_eq!(
        (&port["cidrs"], &port["accessType"]),
        (&stored["cidrs"], &json!("public"))
    );

    let id = json!({"operationId": operation["id"]});
    let again = call(&mut state, Action::GetOperation, &id).expect("read");
    assert_eq!(&again["operation"], operation);
    let resource = json!({"resourceName": "web-1"});
    for (action, body) in [
        (Action::GetOperations, json!({})),
        (Action::GetOperationsForResource, resource),
    ] {
        let list = call(&mut state, action, &body).expect("read");
        assert_eq!(list, json!({"operations": [operation]}));
    }
    let [write] = &state.journal[..] else {
        panic!("one write")
    };
    assert_eq!(
        (write.action, write.before.len(), write.after.len()),
        ("OpenInstancePublicPorts", 0, 1)
    );
    assert_eq!(write.request[0].protocol, "TCP");
}

#[test]
fn unknown_names_are_not_found() {
    let mut state = state_of(vec![entry("web-1", "running")], Quirks::default());
    for (action, body, message) in [
        (
            Action::GetInstancePortStates,
            name("web-2"),
            "The Instance does not exist: web-2",
        ),
        (
            Action::GetInstance,
            name("web-2"),
            "The Instance does not exist: web-2",
        ),
        (
            Action::GetOperation,
            json!({"operationId": "x"}),
            "The Operation does not exist: x",
        ),
        (
            Action::GetOperationsForResource,
            json!({"resourceName": "web-2"}),
            "The Instance does not exist: web-2",
        ),
    ] {
        let error = call(&mut state, action, &body).expect_err("refused");
        assert_eq!((error.code, error.status), ("NotFoundException", 400));
        assert_eq!(error.message, message);
    }
}

#[test]
fn pending_instance_starts_running_after_some_reads() {
    let quirks = Quirks {
        pending_reads: 2,
        ..Quirks::default()
    };
    let mut state = state_of(vec![entry("web-1", "pending")], quirks);
    for (state_name, code) in [("pending", 0), ("pending", 0), ("running", 16)] {
        let accepted = call(&mut state, Action::PutInstancePublicPorts, &put(1));
        assert_eq!(
            accepted.expect_err("not settled").code,
            "OperationFailureException"
        );
        let response = call(&mut state, Action::GetInstanceState, &name("web-1")).expect("read");
        assert_eq!(response["state"], json!({"code": code, "name": state_name}));
    }
    call(&mut state, Action::PutInstancePublicPorts, &put(1)).expect("accepted");
}

#[test]
fn stopped_instance_accepts_writes_and_stopping_does_not() {
    for (name, accepted) in [("stopped", true), ("stopping", false), ("rebooting", false)] {
        let mut state = state_of(vec![entry("web-1", name)], Quirks::default());
        let outcome = call(&mut state, Action::PutInstancePublicPorts, &put(1));
        assert_eq!(outcome.is_ok(), accepted, "{name}");
        assert_eq!(state.journal.len(), usize::from(accepted));
    }
}

#[test]
fn source_limit_does_not_prevent_a_decrease() {
    let mut state = state_of(vec![entry("web-1", "running")], Quirks::default());
    call(&mut state, Action::PutInstancePublicPorts, &put(60)).expect("accepted");
    let error = call(&mut state, Action::PutInstancePublicPorts, &put(61)).expect_err("refused");
    assert_eq!(error.code, "InvalidInputException");
    let mut large = entry("web-1", "running");
    large.port_states = serde_json::from_value(put(80)["portInfos"].clone()).ok();
    let mut state = state_of(vec![large], Quirks::default());
    call(&mut state, Action::PutInstancePublicPorts, &put(80)).expect_err("refused");
    call(&mut state, Action::PutInstancePublicPorts, &put(70)).expect("accepted");
}

#[test]
fn unreadable_rules_are_an_error() {
    let mut broken = entry("web-1", "running");
    broken.port_states = None;
    let mut state = state_of(vec![broken], Quirks::default());
    for (action, body) in [
        (Action::GetInstancePortStates, name("web-1")),
        (Action::PutInstancePublicPorts, put(1)),
    ] {
        let error = call(&mut state, action, &body).expect_err("unreadable");
        assert_eq!((error.code, error.status), ("ServiceException", 500));
    }
    let response = call(&mut state, Action::GetInstances, &json!({})).expect("read");
    let networking = &response["instances"][0]["networking"];
    assert!(networking.is_object() && networking.get("ports").is_none());
}

#[test]
fn change_that_cannot_be_stored_is_undone() {
    let entries = vec![entry("web-1", "running"), entry("new-1", "pending")];
    let quirks = Quirks {
        pending_reads: 0,
        ..Quirks::default()
    };
    let mut state = state_of(entries, quirks);
    let before = state.inventory().clone();
    for (action, body) in [
        (Action::PutInstancePublicPorts, put(1)),
        (Action::GetInstance, name("new-1")),
        (
            Action::TagResource,
            json!({"resourceName": "web-1", "tags": [{"key": "x"}]}),
        ),
        (
            Action::UntagResource,
            json!({"resourceName": "web-1", "tagKeys": ["role"]}),
        ),
    ] {
        let request = Request::parse(action, body.to_string().as_bytes(), &Quirks::default())
            .expect("a request");
        let mut persist = |_: StateChange<'_>| Err(ErrorResponse::service("disk full"));
        let error = handle(&mut state, REGION, request, &mut persist);
        assert_eq!(error.expect_err("not stored").message, "disk full");
    }
    assert_eq!(state.inventory(), &before);
    assert!(state.journal.is_empty() && state.tag_journal.is_empty());
}

#[test]
fn regions_are_separate_and_listed() {
    let mut state = state_of(vec![entry("web-1", "running")], Quirks::default());
    let request = Request::Instances(None);
    let response = handle(&mut state, "us-east-1", request, &mut |_| Ok(()));
    assert_eq!(response, Ok(json!({"instances": []})));
    let response = call(&mut state, Action::GetRegions, &json!({})).expect("read");
    let names: Vec<&str> = response["regions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|region| region["name"].as_str())
        .collect();
    assert!(names.is_sorted() && names.contains(&REGION) && names.contains(&"us-east-1"));
}

proptest! {
    #[test]
    fn pages_contain_every_instance_once(count in 0_usize..40, size in 0_usize..12) {
        let entries: Vec<Entry> = (0..count).map(|n| entry(&format!("web-{n}"), "running")).collect();
        let quirks = Quirks { instances_per_page: size, ..Quirks::default() };
        let mut state = state_of(entries, quirks);
        let (mut seen, mut token) = (Vec::new(), Value::Null);
        loop {
            let response = call(&mut state, Action::GetInstances, &json!({"pageToken": token})).expect("a page");
            let page = response["instances"].as_array().expect("a list");
            prop_assert!(page.len() <= size.max(1));
            seen.extend(page.iter().map(|instance| instance["name"].clone()));
            token = response["nextPageToken"].clone();
            if token.is_null() {
                break;
            }
        }
        let all: Vec<Value> = (0..count).map(|n| format!("web-{n}").into()).collect();
        prop_assert_eq!(seen, all);
    }

    #[test]
    fn invalid_page_tokens_are_refused(token in "(instances|operations)?-?[0-9a-z]{0,22}") {
        let mut state = state_of(vec![entry("web-1", "running")], Quirks::default());
        let response = call(&mut state, Action::GetInstances, &json!({"pageToken": token}));
        let valid = token.strip_prefix("instances-").and_then(|n| n.parse::<usize>().ok()).is_some_and(|n| n <= 1);
        prop_assert_eq!(response.is_ok(), valid);
    }
}
