//! `--strict-spelling` as a user meets it: another spelling differs, is mended, and then is no more.

use portward::emulator::Quirks;
use portward::inventory::Inventory;

use crate::served_emulator::Server;
use crate::stage::{Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[instances.web-1]
rules = [
  { allow = "tcp/8080-8081", from = "192.0.2.0/24" },
  { allow = "ssh", from = ["203.0.113.7", "2001:db8::7"] },
]
"#;

/// The declared rules in other words: ports apart, networks apart, host bits, capitals, and a key that comes twice.
fn otherwise() -> Inventory {
    fleet(vec![instance(
        "web-1",
        vec![
            rule("TCP", 8080, 8080, &["192.0.2.0/25", "192.0.2.128/25"]),
            rule("tcp", 8081, 8081, &["192.0.2.77/24"]),
            rule("tcp", 22, 22, &["203.0.113.7/32"]),
            rule("tcp", 22, 22, &["2001:DB8::7/128"]),
        ],
    )])
}

#[test]
fn spelling_differs_only_on_request() {
    let stage = Stage::new(CONFIG, &otherwise());
    let loose = stage.on_fleet(&["drift"]);
    assert_eq!(loose.code, Some(0), "{}", loose.shown());
    let before = stage.read("fleet.json");
    let strict = stage.on_fleet(&["drift", "--strict-spelling"]);
    assert_eq!(strict.code, Some(2), "{}", strict.shown());
    insta::assert_snapshot!(stage.on_fleet(&["plan", "--strict-spelling"]).shown());
    assert_eq!(stage.read("fleet.json"), before);
    let plan = stage.json(&["plan", "--strict-spelling"]);
    let actions: Vec<&str> = plan["instances"][0]["changes"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|change| change["action"].as_str())
        .collect();
    assert_eq!(actions, ["remove", "add", "remove"]);

    let apply = stage.on_fleet(&["apply", "--strict-spelling", "--yes"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    assert!(!apply.says("note: the rules mean"), "{}", apply.stdout);
    let again = stage.on_fleet(&["drift", "--strict-spelling"]);
    assert_eq!(again.code, Some(0), "{}", again.shown());
    stage.assert_in_sync();
}

#[test]
fn plan_file_records_respelling() {
    let stage = Stage::new(CONFIG, &otherwise());
    let plan = stage.on_fleet(&["plan", "--strict-spelling", "--out", "plan.json"]);
    assert_eq!(plan.code, Some(0), "{}", plan.shown());
    let apply = stage.on_fleet(&["apply", "plan.json", "--yes"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    assert_eq!(
        stage.on_fleet(&["drift", "--strict-spelling"]).code,
        Some(0)
    );
    let again = stage.on_fleet(&["apply", "plan.json", "--yes"]);
    assert!(
        again.stdout.contains("already applied"),
        "{}",
        again.shown()
    );
    for wrong in [
        &["apply", "plan.json", "--strict-spelling"][..],
        &["drift", "--adopt", "--strict-spelling"],
    ] {
        assert_eq!(stage.on_fleet(wrong).code, Some(64));
    }
    stage.assert_in_sync();
}

/// The declared rules with each kind of source, and with what the service is known to spell in its own way.
const EVERY_KIND: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[instances.web-1]
rules = [
  { allow = "ssh", from = ["203.0.113.7", "2001:db8::ab", "lightsail-connect"] },
  { allow = "all", from = ["192.0.2.9", "2001:db8:cd::/48"] },
  { allow = "ping", from = "anywhere" },
  { allow = ["http", "https"], from = ["198.51.100.0/25", "198.51.100.128/25"] },
]
"#;

/// Every setting that says how rules are told in a reply.
pub(crate) fn echoes() -> Vec<(&'static str, &'static str)> {
    let names = ["all", "address", "ipv6", "order", "lists", "keys"];
    let quirks = Quirks::catalogue().iter();
    let quirks = quirks.filter(|quirk| names.contains(&quirk.name));
    let echoes: Vec<(&str, &str)> = quirks
        .flat_map(|quirk| quirk.values.iter().map(|value| (quirk.name, *value)))
        // Whom a rule lets in is not told at all.
        .filter(|echo| *echo != ("lists", "absent"))
        .collect();
    assert!(echoes.len() >= 12, "{echoes:?}");
    echoes
}

#[test]
fn respelling_settles_with_every_quirk() {
    for (name, value) in echoes() {
        let quirk = format!("{name}={value}");
        let mut quirks = Quirks::default();
        quirks
            .set(&quirk)
            .unwrap_or_else(|error| panic!("{quirk}: {error}"));
        let stage = Stage::new(EVERY_KIND, &fleet(vec![]));
        let server = Server::start(otherwise(), quirks);
        for writes in [", 1 write\n", "nothing to do on 1 instance"] {
            let apply = server.run(&stage, &["apply", "--strict-spelling", "--yes"]);
            assert_eq!(apply.code, Some(0), "{quirk}: {}", apply.shown());
            assert!(apply.stdout.contains(writes), "{quirk}: {}", apply.shown());
        }
        for more in [&[][..], &["--strict-spelling"]] {
            let drift = server.run(&stage, &[&["drift"], more].concat());
            assert_eq!(drift.code, Some(0), "{quirk}: {}", drift.shown());
        }
    }
}
