//! Valid, invalid and arbitrary requests.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn code(action: Action, body: &Value) -> String {
    code_with(action, body, &Quirks::default())
}

fn code_with(action: Action, body: &Value, quirks: &Quirks) -> String {
    match Request::parse(action, body.to_string().as_bytes(), quirks) {
        Ok(_) => "valid".to_owned(),
        Err(error) => error.code.trim_end_matches("Exception").to_owned(),
    }
}

fn info() -> Value {
    json!({
        "fromPort": 22, "toPort": 22, "protocol": "TCP", "cidrs": ["192.0.2.1/24"], "ipv6Cidrs": [],
        "cidrListAliases": null, "somethingNew": {"a": 1}
    })
}

#[test]
fn members_of_a_rule_are_validated() {
    for (member, value, outcome) in [
        ("fromPort", json!("22"), "Serialization"),
        ("fromPort", json!(22.0), "Serialization"),
        ("toPort", json!(1_u64 << 40), "Serialization"),
        ("protocol", json!(6), "valid"),
        ("protocol", json!("6"), "valid"),
        ("protocol", json!(17), "valid"),
        ("protocol", json!("58"), "valid"),
        ("protocol", json!(1), "valid"),
        // `-1` is `all`, which has no single ports.
        ("protocol", json!(-1), "InvalidInput"),
        ("protocol", json!(132), "InvalidInput"),
        ("protocol", json!("06"), "InvalidInput"),
        ("protocol", json!(6.0), "Serialization"),
        ("protocol", json!(true), "Serialization"),
        ("cidrs", json!("0.0.0.0/0"), "Serialization"),
        ("cidrs", json!([1]), "Serialization"),
        ("protocol", json!("icmp6"), "InvalidInput"),
        ("protocol", json!("-1"), "InvalidInput"),
        ("protocol", json!("all"), "InvalidInput"),
        ("protocol", json!(null), "InvalidInput"),
        ("protocol", json!("iCmP"), "valid"),
        ("fromPort", json!(null), "valid"),
        ("toPort", json!(null), "InvalidInput"),
        ("fromPort", json!(23), "InvalidInput"),
        ("fromPort", json!(-1), "InvalidInput"),
        ("fromPort", json!(-2), "InvalidInput"),
        ("toPort", json!(65535), "valid"),
        ("toPort", json!(65536), "InvalidInput"),
        ("cidrs", json!(["192.0.2.0/33"]), "InvalidInput"),
        ("cidrs", json!(["2001:db8::/32"]), "InvalidInput"),
        ("cidrs", json!(["192.0.2.7"]), "valid"),
        ("ipv6Cidrs", json!(["192.0.2.0/24"]), "InvalidInput"),
        ("ipv6Cidrs", json!(["2001:DB8:0::1"]), "valid"),
        ("cidrListAliases", json!(["office"]), "InvalidInput"),
        ("cidrListAliases", json!(["lightsail-connect"]), "valid"),
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
fn documentation_lists_all_actions() {
    let page = include_str!("../../../docs/src/emulator.md");
    let (_, rest) = page.split_once("<!-- served -->").expect("a beginning");
    let (listed, _) = rest.split_once("<!-- end -->").expect("an end");
    let listed: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
    let lightsail: Vec<&str> = Action::VARIANTS
        .iter()
        .map(|action| action.name())
        .collect();
    let sts = <super::super::sts::StsAction as strum::VariantNames>::VARIANTS;
    assert_eq!(listed, [&lightsail, sts].concat());
}

/// The key of the rule in an Open with these members.
fn key_of(members: &Value, quirks: &Quirks) -> Result<String, &'static str> {
    let body = json!({"instanceName": "web-1", "portInfo": members}).to_string();
    let action = Action::OpenInstancePublicPorts;
    match Request::parse(action, body.as_bytes(), quirks) {
        Ok(Request::Instance(_, InstanceRequest::Write(write))) => match *write {
            RuleWrite::Open(rule) => Ok(rule.key.to_string()),
            other => panic!("{other:?}"),
        },
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.code),
    }
}

#[test]
fn absent_port_is_zero_by_default() {
    let mut refuse = Quirks::default();
    refuse.set("absent-port=refuse").expect("a quirk");
    // The Go SDK omits members that are 0.
    for (members, key) in [
        (json!({"protocol": "icmp", "fromPort": 8}), "icmp/8:0"),
        (
            json!({"protocol": "icmpv6", "fromPort": 128}),
            "icmpv6/128:0",
        ),
        (json!({"protocol": "icmp"}), "icmp/0:0"),
        (json!({"protocol": "all", "toPort": 65535}), "all"),
        (
            json!({"protocol": "tcp", "fromPort": null, "toPort": 22}),
            "tcp/0-22",
        ),
        (json!({"protocol": "udp"}), "udp/0"),
    ] {
        assert_eq!(key_of(&members, &Quirks::default()).as_deref(), Ok(key));
        assert_eq!(key_of(&members, &refuse), Err("InvalidInputException"));
    }
    for members in [
        json!({"protocol": "tcp", "fromPort": 22}),
        json!({"protocol": "all", "fromPort": 0}),
        json!({"fromPort": 22, "toPort": 22}),
    ] {
        assert_eq!(
            key_of(&members, &Quirks::default()),
            Err("InvalidInputException")
        );
    }
}

#[test]
fn protocol_may_be_a_number() {
    let default = Quirks::default();
    for (number, from, to, key) in [
        (-1, 0, 65535, "all"),
        (1, 8, -1, "icmp/8:-1"),
        (6, 22, 22, "tcp/22"),
        (17, 53, 54, "udp/53-54"),
        (58, 128, 0, "icmpv6/128:0"),
    ] {
        for protocol in [json!(number), json!(number.to_string())] {
            let members = json!({"protocol": protocol, "fromPort": from, "toPort": to});
            assert_eq!(key_of(&members, &default).as_deref(), Ok(key));
        }
    }
}

#[test]
fn missing_required_member_is_an_error() {
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
            "valid",
        ),
        (
            Action::GetOperation,
            json!({"operationId": " "}),
            "InvalidInput",
        ),
        (Action::GetInstances, json!({}), "valid"),
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
fn names_are_validated_like_the_service() {
    for (name, outcome) in [
        ("ab", "valid"),
        ("web-1.example_x", "valid"),
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
            "resourceName",
            "resourceArn",
            "tags",
            "tagKeys",
            "key",
            "value",
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
    fn body_parser_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), value in any_json()) {
        for action in Action::VARIANTS.iter().copied() {
            for body in [&bytes[..], value.to_string().as_bytes()] {
                if let Err(error) = Request::parse(action, body, &Quirks::default()) {
                    prop_assert!(["SerializationException", "InvalidInputException"].contains(&error.code));
                }
            }
        }
    }
}
