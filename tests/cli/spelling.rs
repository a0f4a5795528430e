//! `--strict-spelling` as a user meets it: another spelling differs, is mended, and then is no more.

use portward::emulator::Quirks;
use portward::inventory::Inventory;

use crate::served::Server;
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
fn a_spelling_differs_only_where_it_is_asked_for() {
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
    assert_eq!(actions, ["respell", "remove", "add", "remove"]);

    let apply = stage.on_fleet(&["apply", "--strict-spelling", "--yes"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    assert!(
        !apply.stdout.contains("note: the rules mean"),
        "{}",
        apply.stdout
    );
    let again = stage.on_fleet(&["drift", "--strict-spelling"]);
    assert_eq!(again.code, Some(0), "{}", again.shown());
    stage.assert_in_sync();
}

#[test]
fn a_plan_file_carries_it() {
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

#[test]
fn a_service_that_spells_in_its_own_way_is_no_failure() {
    for (quirk, own) in [
        ("order=shuffled", false),
        ("lists=not-empty", false),
        ("address=bare", true),
        ("ipv6=upper", true),
        ("keys=twice", true),
    ] {
        let mut quirks = Quirks::default();
        quirks
            .set(quirk)
            .unwrap_or_else(|error| panic!("{quirk}: {error}"));
        let stage = Stage::new(CONFIG, &fleet(vec![]));
        let server = Server::start(otherwise(), quirks);
        let apply = server.run(&stage, &["apply", "--strict-spelling", "--yes"]);
        assert_eq!(apply.code, Some(0), "{quirk}: {}", apply.shown());
        let told = apply.stdout.contains("the service spells them otherwise");
        assert_eq!(told, own, "{quirk}: {}", apply.shown());
        assert!(
            apply.stdout.contains(", 1 write\n"),
            "{quirk}: {}",
            apply.shown()
        );
        let drift = server.run(&stage, &["drift"]);
        assert_eq!(drift.code, Some(0), "{quirk}: {}", drift.shown());
    }
}
