//! What is printed, to the letter.

use std::io::Read as _;
use std::process::Stdio;

use insta::assert_snapshot;

use crate::stage::{Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1

[defaults]
region = "eu-central-1"

[addresses]
office = ["203.0.113.0/24", "2001:db8:10::/48"]

[groups.web]
match = { name = "web-*" }
rules = [
  { allow = "https", from = "anywhere" },
  { allow = "ssh", from = "office", why = "operators" },
]

[instances.db-1]
rules = [{ allow = "postgres", from = "192.0.2.44", until = 2099-12-31, owner = "data" }]

[instances.job-1]
mode = "additive"
rules = [{ allow = "ssh", from = "office" }]
absent = [{ allow = "tcp/8080" }]
"#;

/// Two instances that change alike, one that closes something, one in additive mode, one in sync, one undeclared.
fn stage() -> Stage {
    let office = ["203.0.113.0/24", "2001:db8:10::/48"];
    let everyone = ["0.0.0.0/0", "::/0"];
    let loose = || {
        vec![
            rule("tcp", 22, 22, &everyone),
            rule("tcp", 8080, 8080, &everyone),
        ]
    };
    let synced = vec![
        rule("tcp", 22, 22, &office),
        rule("tcp", 443, 443, &everyone),
    ];
    Stage::new(
        CONFIG,
        &fleet(vec![
            instance("web-1", loose()),
            instance("web-2", loose()),
            instance("web-3", synced),
            instance(
                "db-1",
                vec![
                    rule("tcp", 5432, 5432, &["192.0.2.44/32"]),
                    rule("tcp", 3306, 3306, &["192.0.2.44/32"]),
                ],
            ),
            instance(
                "job-1",
                vec![
                    rule("tcp", 8080, 8080, &["198.51.100.0/24"]),
                    rule("udp", 53, 53, &everyone),
                ],
            ),
            instance("old-1", vec![rule("tcp", 22, 22, &everyone)]),
        ]),
    )
}

#[test]
fn a_plan() {
    assert_snapshot!(stage().on_fleet(&["plan", "--as-of", "2026-01-01"]).shown(), @"");
}

#[test]
fn a_plan_of_one_instance_with_a_unified_diff() {
    assert_snapshot!(stage().on_fleet(&["plan", "-t", "db-1", "--diff"]).shown(), @"");
}

#[test]
fn an_apply_and_what_is_left() {
    let stage = stage();
    let apply = stage.on_fleet(&["apply", "--yes"]);
    let (_, report) = apply
        .stdout
        .split_once("Plan:")
        .expect("a plan before the report");
    assert_snapshot!(format!("Plan:{report}--- exit code {:?}", apply.code), @"");
    assert_snapshot!(stage.on_fleet(&["drift"]).shown(), @"");
    stage.assert_in_sync();
}

#[test]
fn a_configuration_with_mistakes() {
    let stage = stage();
    stage.configure("version = 1\n\n[instances.web-1]\nrules = [{ alow = \"ssh\", from = \"203.0.113.7/24\" }]\n");
    assert_snapshot!(stage.run(&["check"]).shown(), @"");
}

#[test]
fn a_valid_configuration_says_what_ends_soon() {
    assert_snapshot!(stage().run(&["check", "--as-of", "2099-12-24"]).shown(), @"");
}

#[test]
fn lines_fit_a_terminal_of_80_columns() {
    let done = stage().on_fleet(&["plan"]);
    for line in done.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn foreign_text_cannot_reach_the_terminal() {
    let stage = stage();
    let spiteful = rule("\u{1b}[2Jgone\n::error::x", 1, 1, &["192.0.2.1/32"]);
    stage.populate(&fleet(vec![
        instance("db-1", vec![spiteful]),
        instance("job-1", vec![]),
    ]));
    let done = stage.run(&["plan", "--inventory", "fleet.json"]);
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    assert!(
        done.stdout.contains("\\u{1b}[2Jgone\\u{a}::error::x"),
        "{}",
        done.stdout
    );
    assert!(!done.stdout.contains('\u{1b}'));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let stage = stage();
    let mut child = stage
        .command(&["plan", "--diff", "--emulator", "fleet.json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut stderr)
        .expect("UTF-8");
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{stderr}");
    assert_eq!(stderr, "");
}

#[test]
fn the_json_document_says_all_of_it() {
    let stage = stage();
    let plan = stage.json(&["plan"]);
    assert_eq!(
        (plan["format"].as_str(), plan["version"].as_u64()),
        (Some("portward.report"), Some(1))
    );
    let summary = serde_json::json!({
        "declared": 5, "inSync": 1, "toChange": 4, "observed": 0, "refused": 0, "incomplete": 0, "unreadable": 0,
        "missing": 0, "undeclared": 1, "calls": 5, "writes": null,
    });
    assert_eq!(plan["summary"], summary);
    let db = &plan["instances"][0];
    assert_eq!(db["name"], "db-1");
    assert_eq!(
        db["calls"],
        serde_json::json!([{
            "action": "CloseInstancePublicPorts",
            "request": {
                "instanceName": "db-1",
                "portInfo": {
                    "protocol": "tcp", "fromPort": 3306, "toPort": 3306,
                    "cidrs": ["192.0.2.44/32"], "ipv6Cidrs": [], "cidrListAliases": [],
                },
            },
        }])
    );
    assert_eq!(
        db["exposure"]["lost"],
        serde_json::json!([{
            "protocol": "tcp", "from": 3306, "to": 3306,
            "cidrs": ["192.0.2.44/32"], "ipv6Cidrs": [], "cidrListAliases": [],
        }])
    );
    let apply = stage.json(&["apply", "--yes"]);
    assert_eq!(apply["summary"]["writes"], 5);
    assert_eq!(apply["instances"][0]["outcome"]["status"], "applied");
    stage.assert_in_sync();
}
