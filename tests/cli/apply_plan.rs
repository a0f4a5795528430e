//! `apply PLAN`: what it says of instances that the plan does not change, and which flags it takes.

use serde_json::json;

use crate::stage::{Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[groups.web]
match = { name = "web-*" }
rules = [{ allow = "ssh", from = "203.0.113.0/24" }]
[instances.db-1]
mode = "observe"
rules = []
"#;

#[test]
fn instances_that_were_not_read_are_not_reported() {
    let ssh = |from: &str| vec![rule("tcp", 22, 22, &[from])];
    let whole = |second: &str| {
        fleet(vec![
            instance("web-1", ssh("198.51.100.0/24")),
            instance("web-2", ssh(second)),
            instance("db-1", ssh("0.0.0.0/0")),
        ])
    };
    let stage = Stage::new(CONFIG, &whole("203.0.113.0/24"));
    let allow = ["--allow", "lockout", "--reason", "moved"];
    let plan = stage.on_fleet(&[&["plan", "--out", "plan.json"], &allow[..]].concat());
    assert_eq!(plan.code, Some(0), "{}", plan.shown());
    let nothing = Stage::new(CONFIG, &whole("203.0.113.0/24"));
    nothing.on_fleet(&[&["apply", "--yes"], &allow[..]].concat());
    let done = nothing.on_fleet(&["plan", "--out", "plan.json"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    let done = nothing.on_fleet(&["apply", "plan.json", "--yes"]);
    let says = "Plan: nothing to do; 3 not part of the plan.\n";
    assert!(done.stdout.contains(says), "{}", done.shown());
    // Somebody opens what was in sync, and the plan does not know.
    stage.populate(&whole("0.0.0.0/0"));
    let formats = [
        "text",
        "markdown",
        "html",
        "github",
        "sarif",
        "codequality",
        "prometheus",
        "json",
    ];
    let reports: Vec<String> = formats
        .iter()
        .map(|format| format!("{format}=report.{format}"))
        .collect();
    let reports: Vec<&str> = reports
        .iter()
        .flat_map(|report| ["--report", report])
        .collect();
    let done = stage.on_fleet(&[&["apply", "plan.json", "--yes"], &reports[..]].concat());
    assert_eq!(done.code, Some(0), "{}", done.shown());
    let named = "not part of the plan: db-1, web-2 (eu-central-1)\n";
    assert!(done.stdout.contains(named), "{}", done.shown());
    assert!(
        done.stdout
            .contains("Plan: 1 of 1 instance to change, 1 call; 2 not part of the plan.\n"),
        "{}",
        done.shown()
    );
    let ending = "Apply: 1 changed, 0 failed, 0 in sync before, 2 not part of the plan; 1 write.\n";
    assert!(done.stdout.ends_with(ending), "{}", done.shown());
    for format in formats {
        let report = stage.read(&format!("report.{format}"));
        for claim in [
            "in sync: ",
            "differs, mode observe",
            "in_sync{config=\"firewall.toml\",verb=\"apply\"} 2",
        ] {
            assert!(!report.contains(claim), "{format}: {report}");
        }
    }
    let report: serde_json::Value = serde_json::from_str(&stage.read("report.json")).expect("JSON");
    let summary = &report["summary"];
    assert_eq!(
        [
            &summary["declared"],
            &summary["inSync"],
            &summary["observed"],
            &summary["notPlanned"]
        ],
        [&json!(3), &json!(0), &json!(0), &json!(2)]
    );
    assert_eq!(
        report["notPlanned"][1],
        json!({"region": "eu-central-1", "name": "web-2"})
    );
    // Whoever wants to know asks.
    let drift = stage.on_fleet(&["drift"]);
    assert_eq!(drift.code, Some(2), "{}", drift.shown());
    let again = stage.on_fleet(&["apply", "plan.json", "--yes"]);
    assert!(
        again.stdout.contains(named) && again.code == Some(0),
        "{}",
        again.shown()
    );
    assert_eq!(stage.on_fleet(&["apply", "--yes"]).code, Some(0));
    let plan = stage.json(&["plan"]);
    assert_eq!(plan["summary"]["calls"], 0, "{plan}");
}
