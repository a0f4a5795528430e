//! Requests that are not right, and requests that are nothing at all.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn code(action: Action, body: &Value) -> String {
    match Request::parse(action, body.to_string().as_bytes()) {
        Ok(_) => "fine".to_owned(),
        Err(fault) => fault.code.trim_end_matches("Exception").to_owned(),
    }
}

fn info() -> Value {
    json!({
        "fromPort": 22, "toPort": 22, "protocol": "TCP", "cidrs": ["192.0.2.1/24"], "ipv6Cidrs": [],
        "cidrListAliases": null, "somethingNew": {"a": 1}
    })
}

#[test]
fn each_member_of_a_rule_is_checked() {
    for (member, value, outcome) in [
        ("fromPort", json!("22"), "Serialization"),
        ("fromPort", json!(22.0), "Serialization"),
        ("toPort", json!(1_u64 << 40), "Serialization"),
        ("protocol", json!(6), "Serialization"),
        ("cidrs", json!("0.0.0.0/0"), "Serialization"),
        ("cidrs", json!([1]), "Serialization"),
        ("protocol", json!("icmp6"), "InvalidInput"),
        ("protocol", json!("-1"), "InvalidInput"),
        ("protocol", json!("all"), "InvalidInput"),
        ("protocol", json!(null), "InvalidInput"),
        ("protocol", json!("iCmP"), "fine"),
        ("fromPort", json!(null), "InvalidInput"),
        ("fromPort", json!(23), "InvalidInput"),
        ("fromPort", json!(-1), "InvalidInput"),
        ("fromPort", json!(-2), "InvalidInput"),
        ("toPort", json!(65535), "fine"),
        ("toPort", json!(65536), "InvalidInput"),
        ("cidrs", json!(["192.0.2.0/33"]), "InvalidInput"),
        ("cidrs", json!(["2001:db8::/32"]), "InvalidInput"),
        ("cidrs", json!(["192.0.2.7"]), "fine"),
        ("ipv6Cidrs", json!(["192.0.2.0/24"]), "InvalidInput"),
        ("ipv6Cidrs", json!(["2001:DB8:0::1"]), "fine"),
        ("cidrListAliases", json!(["office"]), "InvalidInput"),
        ("cidrListAliases", json!(["lightsail-connect"]), "fine"),
    ] {
        let mut info = info();
        info[member] = value.clone();
        let open = json!({"instanceName": "web-1", "portInfo": info});
        let put = json!({"instanceName": "web-1", "portInfos": [info]});
        for (action, body) in [
            (Action::OpenInstancePublicPorts, open.clone()),
            (Action::CloseInstancePublicPorts, open),
            (Action::PutInstancePublicPorts, put),
        ] {
            assert_eq!(code(action, &body), outcome, "{member} {value}");
        }
    }
}

#[test]
fn required_members_are_required() {
    for (action, body, outcome) in [
        (Action::GetInstancePortStates, json!({}), "InvalidInput"),
        (Action::GetInstancePortStates, json!([]), "Serialization"),
        (
            Action::OpenInstancePublicPorts,
            json!({"instanceName": "web-1"}),
            "InvalidInput",
        ),
        (
            Action::OpenInstancePublicPorts,
            json!({"portInfo": info()}),
            "InvalidInput",
        ),
        (
            Action::PutInstancePublicPorts,
            json!({"instanceName": "web-1"}),
            "InvalidInput",
        ),
        (
            Action::PutInstancePublicPorts,
            json!({"instanceName": "web-1", "portInfos": null}),
            "InvalidInput",
        ),
        (
            Action::PutInstancePublicPorts,
            json!({"instanceName": "web-1", "portInfos": []}),
            "fine",
        ),
        (
            Action::GetOperation,
            json!({"operationId": " "}),
            "InvalidInput",
        ),
        (Action::GetInstances, json!({}), "fine"),
        (
            Action::GetInstances,
            json!({"pageToken": 1}),
            "Serialization",
        ),
    ] {
        assert_eq!(code(action, &body), outcome, "{action:?} {body}");
    }
}

#[test]
fn names_are_those_the_service_takes() {
    for (name, outcome) in [
        ("ab", "fine"),
        ("web-1.example_x", "fine"),
        ("a", "InvalidInput"),
        ("", "InvalidInput"),
        ("-web", "InvalidInput"),
        ("web-", "InvalidInput"),
        ("web 1", "InvalidInput"),
        ("wéb", "InvalidInput"),
    ] {
        let body = json!({"instanceName": name});
        assert_eq!(code(Action::GetInstance, &body), outcome, "{name}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        Just(info()),
    ];
    let member = prop_oneof![
        prop::sample::select(vec![
            "instanceName",
            "portInfo",
            "portInfos",
            "fromPort",
            "toPort",
            "protocol",
            "cidrs",
            "pageToken",
            "operationId",
        ])
        .prop_map(str::to_owned),
        "[a-z]{0,4}",
    ];
    leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(member.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), value in any_json()) {
        for action in Action::ALL {
            for body in [&bytes[..], value.to_string().as_bytes()] {
                if let Err(fault) = Request::parse(action, body) {
                    prop_assert!(["SerializationException", "InvalidInputException"].contains(&fault.code));
                }
            }
        }
    }
}
