//! What GitLab gets is a Code Quality report as GitLab documents it, from every run, and says the same thing twice for the same
//! finding.
//!
//! Owns the shape, which GitLab publishes in words only. Does not repeat what a finding is; SARIF has the same ones.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::stage::{Done, Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
defaults = { region = "eu-central-1" }

[instances.web-1]
rules = [{ allow = "mysql", from = "anywhere" }]

[instances.gone]
rules = []

[[policy]]
id = "private"
services = "mysql"
only-from = []

[[policy]]
id = "quiet"
severity = "warn"
services = "mysql"
only-from = []
"#;

fn stage(config: &str) -> Stage {
    let open = vec![rule("tcp", 22, 22, &["0.0.0.0/0"])];
    Stage::new(config, &fleet(vec![instance("web-1", open)]))
}

/// `docs.gitlab.com/ci/testing/code_quality`, "Code Quality report format".
fn shape() -> Value {
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["description", "check_name", "fingerprint", "severity", "location"],
            "properties": {
                "description": {"type": "string", "minLength": 1},
                "check_name": {"type": "string", "pattern": "^(PW-[0-9]{3}(/.+)?|environment)$"},
                "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
                "location": {
                    "type": "object",
                    "required": ["path", "lines"],
                    "properties": {
                        "path": {"type": "string", "pattern": "^(?!/|\\./).+"},
                        "lines": {
                            "type": "object",
                            "required": ["begin"],
                            "properties": {"begin": {"type": "integer", "minimum": 1}},
                            "additionalProperties": false,
                        },
                    },
                    "additionalProperties": false,
                },
            },
            "additionalProperties": false,
        },
    })
}

/// The issues of a report, which is in the shape, and in which no two are one.
fn issues(done: &Done) -> Vec<Value> {
    let report: Value = serde_json::from_str(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", done.shown()));
    let validator = jsonschema::validator_for(&shape()).expect("a schema");
    let wrong: Vec<String> = validator
        .iter_errors(&report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), done.shown());
    let issues = report.as_array().expect("a list").clone();
    let known: BTreeSet<&str> = issues
        .iter()
        .filter_map(|issue| issue["fingerprint"].as_str())
        .collect();
    assert_eq!(known.len(), issues.len(), "{}", done.shown());
    issues
}

#[test]
fn every_verb_writes_a_valid_report() {
    let stage = stage(CONFIG);
    let here = stage.path("firewall.toml");
    let here = here.to_str().expect("a path");
    for (run, at_least) in [
        (&["check"][..], 0),
        (&["plan", "--inventory", "fleet.json"], 4),
        (&["plan", "--inventory", "fleet.json", "-c", here], 4),
        (
            &["plan", "--inventory", "fleet.json", "-c", "./firewall.toml"],
            4,
        ),
        (&["drift", "--inventory", "fleet.json"], 1),
        (&["plan", "--inventory", "nowhere.json"], 1),
        (&["inventory", "--inventory", "fleet.json"], 0),
    ] {
        let done = stage.run(&[run, &["--format", "codequality"]].concat());
        let issues = issues(&done);
        assert!(issues.len() >= at_least, "{run:?}: {}", done.shown());
        for issue in issues {
            assert_eq!(issue["location"]["path"], "firewall.toml", "{run:?}");
        }
    }
    stage.configure("version = 1\n[nonsense]\n[instances.web-9]\nrules = [{ allow = \"sssh\", from = \"x\" }, { allow = \"sssh\", from = \"x\" }]\n");
    let done = stage.run(&["check", "--format", "codequality"]);
    assert!(issues(&done).len() >= 3, "{}", done.shown());
    let mut narrowed = stage.command(&["plan", "--inventory", "fleet.json"]);
    stage.configure(CONFIG);
    narrowed
        .args(["--format", "codequality"])
        .env("PORTWARD_TARGET", "web-1");
    let done = Done::of(&mut narrowed);
    let noted = issues(&done);
    assert_eq!(noted.last().expect("a note")["check_name"], "environment");
}

#[test]
fn finding_has_code_location_and_severity() {
    let done = stage(CONFIG).run(&[
        "plan",
        "--inventory",
        "fleet.json",
        "--format",
        "codequality",
    ]);
    let found = issues(&done);
    for (name, severity, line) in [
        ("PW-305/private", "blocker", 5),
        ("PW-305/quiet", "major", 5),
        ("PW-804", "blocker", 7),
    ] {
        let issue = found.iter().find(|issue| issue["check_name"] == name);
        let issue = issue.unwrap_or_else(|| panic!("no {name}: {}", done.shown()));
        assert_eq!(issue["severity"], severity, "{issue}");
        assert_eq!(issue["location"]["lines"]["begin"], line, "{issue}");
    }
}

#[test]
fn fingerprint_does_not_depend_on_the_line() {
    let fingerprints = |config: &str| {
        let done = stage(config).run(&[
            "plan",
            "--inventory",
            "fleet.json",
            "--format",
            "codequality",
        ]);
        let issues = issues(&done);
        let all = issues.iter().map(|issue| issue["fingerprint"].to_string());
        all.collect::<BTreeSet<_>>()
    };
    let first = fingerprints(CONFIG);
    let moved = CONFIG.replacen("\n\n", "\n# one\n# two\n\n", 1);
    assert_eq!(first, fingerprints(&moved));
    let mended = CONFIG.replace("[instances.gone]\nrules = []\n", "");
    let fewer = fingerprints(&mended);
    assert!(fewer.len() < first.len() && fewer.is_subset(&first));
}

#[test]
fn report_file_equals_standard_output() {
    let stage = stage(CONFIG);
    let flags = ["--format", "codequality", "--report", "codequality=q.json"];
    let done = stage.run(&[&["plan", "--inventory", "fleet.json"], &flags[..]].concat());
    assert_eq!(done.stdout, stage.read("q.json"), "{}", done.shown());
}
