//! `rollback` with a configuration: its guards and its policies judge the way back, and nothing else of it counts.

use crate::stage::{Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[addresses]
office = ["203.0.113.0/24"]
[guard]
GUARD
[[policy]]
id = "database-is-private"
services = ["postgres"]
only-from = ["office"]
[instances.web-1]
rules = [
  { allow = "postgres", from = "office" },
  { allow = "https", from = "office" },
]
"#;

/// A fleet that was changed by a run, and the receipt of that run.
fn changed(guard: &str) -> (Stage, String) {
    let live = vec![rule("tcp", 5432, 5432, &["0.0.0.0/0"])];
    let config = CONFIG.replace("GUARD", guard);
    let stage = Stage::new(&config, &fleet(vec![instance("web-1", live)]));
    let apply = stage.on_fleet(&["apply", "--yes"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    let mut receipts = std::fs::read_dir(stage.path(".portward/receipts")).expect("a folder");
    let receipt = receipts.next().expect("a receipt").expect("an entry");
    let path = receipt.path().to_string_lossy().into_owned();
    (stage, path)
}

#[test]
fn a_policy_judges_the_way_back_where_a_configuration_is_given() {
    let (stage, receipt) = changed("");
    let judged = [
        "rollback",
        &receipt,
        "-c",
        "firewall.toml",
        "--out",
        "back.json",
    ];
    let back = stage.on_fleet(&judged);
    assert_eq!(back.code, Some(3), "{}", back.shown());
    let said = "refused by policy `database-is-private` (introduced by this plan)";
    assert!(back.stdout.contains(said), "{}", back.shown());
    assert!(!stage.path("back.json").exists());

    let back = stage.on_fleet(&["rollback", &receipt, "--out", "back.json"]);
    assert_eq!(back.code, Some(0), "{}", back.shown());
    let apply = stage.on_fleet(&["apply", "back.json", "--yes"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    let again = stage.on_fleet(&["rollback", &receipt, "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.shown());
}

#[test]
fn a_guard_judges_the_way_back_where_a_configuration_is_given() {
    for (guard, name) in [
        (
            "keep = [{ allow = \"https\", from = \"203.0.113.7\" }]",
            "lockout",
        ),
        ("max-closed = 0", "blast-radius"),
        ("max-instances = 0", "blast-radius"),
    ] {
        let (stage, receipt) = changed("");
        // The run itself would have been stopped by the last of them.
        let config = CONFIG.replace("GUARD", guard).replace(
            "id = \"database-is-private\"",
            "id = \"x\"\nseverity = \"off\"",
        );
        stage.configure(&config);
        let back = stage.on_fleet(&["rollback", &receipt, "-c", "firewall.toml"]);
        assert_eq!(back.code, Some(3), "{guard}: {}", back.shown());
        let said = format!("refused by {name}");
        assert!(back.stdout.contains(&said), "{guard}: {}", back.shown());
        let plain = stage.on_fleet(&["rollback", &receipt]);
        assert_eq!(plain.code, Some(0), "{guard}: {}", plain.shown());
        let allow = [
            "rollback",
            &receipt,
            "-c",
            "firewall.toml",
            "--allow",
            name,
            "--reason",
            "it is worse now",
            "--out",
            "back.json",
        ];
        let meant = stage.on_fleet(&allow);
        assert_eq!(meant.code, Some(0), "{guard}: {}", meant.shown());
        let apply = stage.on_fleet(&["apply", "back.json", "--yes"]);
        assert_eq!(apply.code, Some(0), "{guard}: {}", apply.shown());
        let again = stage.on_fleet(&["rollback", &receipt, "--detailed-exitcode"]);
        assert_eq!(again.code, Some(0), "{}", again.shown());
    }
}

#[test]
fn a_configuration_that_is_not_valid_judges_nothing() {
    let (stage, receipt) = changed("");
    stage.configure("version = 2\n");
    let back = stage.on_fleet(&["rollback", &receipt, "-c", "firewall.toml"]);
    assert_eq!(back.code, Some(65), "{}", back.shown());
    let none = stage.on_fleet(&["rollback", &receipt, "-c", "nowhere.toml"]);
    assert_eq!(none.code, Some(65), "{}", none.shown());
}
