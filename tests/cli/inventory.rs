//! `inventory`: what it writes can stand for the fleet that it was taken of.

use crate::stage::{Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[instances.web-1]
rules = [{ allow = "ssh", from = "203.0.113.0/24" }]
"#;

fn stage() -> Stage {
    let mut odd = instance("db-1", vec![rule("TCP", 5432, 5432, &["10.0.0.1"])]);
    odd.tags = [("role".to_owned(), "db".to_owned())].into();
    "ipv4".clone_into(&mut odd.ip_address_type);
    let web = instance("web-1", vec![rule("tcp", 22, 22, &["203.0.113.0/24"])]);
    Stage::new(CONFIG, &fleet(vec![odd, web]))
}

#[test]
fn inventory_of_the_emulator_equals_its_file() {
    let stage = stage();
    let done = stage.on_fleet(&["inventory", "--out", "snapshot.json"]);
    assert_eq!(done.shown(), "--- exit code 0\n");
    let expected = stage.read("fleet.json");
    assert_eq!(stage.read("snapshot.json"), expected);
    let offline = stage.run(&["inventory", "--inventory", "snapshot.json"]);
    assert_eq!(offline.shown(), format!("{expected}--- exit code 0\n"));
    for args in [
        ["drift", "--inventory", "snapshot.json"],
        ["drift", "--emulator", "snapshot.json"],
    ] {
        let drift = stage.run(&args);
        assert_eq!(drift.code, Some(0), "{}", drift.shown());
    }
}

#[test]
fn unreadable_instance_is_null_and_exits_with_6() {
    let stage = stage();
    let mut blind = stage.fleet();
    for entry in blind.regions.values_mut().flatten() {
        entry.port_states = None;
    }
    stage.populate(&blind);
    let done = stage.run(&["inventory", "--inventory", "fleet.json", "db-*"]);
    assert_eq!(done.code, Some(6), "{}", done.shown());
    assert!(
        done.stdout.contains("\"portStates\": null"),
        "{}",
        done.stdout
    );
    assert!(!done.stdout.contains("web-1"), "{}", done.stdout);
    assert!(
        done.stderr
            .contains("cannot read the rules of `eu-central-1/db-1`"),
        "{}",
        done.stderr
    );
    // A region that did not answer is left out, not empty.
    let done = stage.run(&[
        "inventory",
        "--inventory",
        "fleet.json",
        "--region",
        "eu-west-1",
    ]);
    assert_eq!(done.code, Some(6), "{}", done.shown());
    assert!(done.stdout.contains("\"regions\": {}"), "{}", done.stdout);
}

#[test]
fn selector_without_a_match_is_an_error() {
    let done = stage().on_fleet(&["inventory", "wbe-*"]);
    assert_eq!(
        done.shown(),
        "--- stderr\nerror[PW-805]: `wbe-*` names no instance\nhint: looked at: eu-central-1\n--- exit code 1\n"
    );
}

#[test]
fn standard_output_holds_the_inventory_only() {
    let stage = stage();
    let both = stage.on_fleet(&["inventory", "--format", "json"]);
    assert_eq!(both.code, Some(64), "{}", both.shown());
    let report = stage.json(&["inventory", "--out", "snapshot.json"]);
    assert_eq!(report["verb"], "inventory");
    assert_eq!(report["exitCode"], 0);
}
