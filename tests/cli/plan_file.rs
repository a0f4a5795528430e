//! What was reviewed is what is applied; what is refused is not; and there is a way back.

use std::fs;

use crate::stage::{Done, Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[instances.web-1]
rules = [{ allow = "ssh", from = "203.0.113.0/24" }, { allow = "https", from = "anywhere" }]
[instances.web-2]
mode = "additive"
rules = [{ allow = "https", from = "anywhere" }]
absent = [{ allow = "tcp/8080" }]
"#;

/// One instance that takes a Put, and one that takes an Open and a Close.
fn stage() -> Stage {
    let office = ["203.0.113.0/24"];
    Stage::new(
        CONFIG,
        &fleet(vec![
            instance(
                "web-1",
                vec![rule("tcp", 22, 22, &["203.0.113.0/24", "198.51.100.7/32"])],
            ),
            instance(
                "web-2",
                vec![
                    rule("tcp", 22, 22, &office),
                    rule("tcp", 8080, 8080, &office),
                ],
            ),
        ]),
    )
}

/// The plan of the stage as a file, and its digest.
fn planned(stage: &Stage) -> String {
    let done = stage.on_fleet(&["plan", "--out", "plan.json"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let digest = done
        .stderr
        .trim()
        .rsplit(' ')
        .next()
        .expect("a digest")
        .to_owned();
    assert!(digest.starts_with("sha256:"), "{}", done.stderr);
    digest
}

#[track_caller]
fn refused(stage: &Stage, args: &[&str], code: i32, says: &str) {
    let before = stage.read("fleet.json");
    let done = stage.on_fleet(args);
    assert_eq!(done.code, Some(code), "{}{}", done.stdout, done.stderr);
    assert!(done.says(says), "{}", done.shown());
    assert_eq!(stage.read("fleet.json"), before, "something was written");
}

fn apply(stage: &Stage, args: &[&str]) -> Done {
    stage.on_fleet(&[&["apply", "--yes"], args].concat())
}

#[test]
fn reviewed_plan_is_applied_exactly_once() {
    let stage = stage();
    let digest = planned(&stage);
    // What the configuration says by now does not matter.
    stage.configure("version = 1\n");
    let done = apply(&stage, &["plan.json", "--digest", &digest]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let again = apply(
        &stage,
        &[
            "plan.json",
            "--digest",
            digest.trim_start_matches("sha256:"),
        ],
    );
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(
        again.stdout.contains("already applied, nothing written"),
        "{}",
        again.stdout
    );
    stage.configure(CONFIG);
    stage.assert_in_sync();
}

#[test]
fn modified_or_foreign_plan_file_is_refused() {
    let stage = stage();
    let digest = planned(&stage);
    let text = stage.read("plan.json");
    let apply = ["apply", "--yes", "plan.json"];
    let with = |text: &str| fs::write(stage.path("plan.json"), text).expect("a file");

    let other = format!("sha256:{}", "0".repeat(64));
    refused(
        &stage,
        &[&apply[..], &["--digest", &other]].concat(),
        4,
        "not the expected plan",
    );
    with(&text.replacen("198.51.100.7/32", "198.51.100.8/32", 1));
    refused(&stage, &apply, 4, "was changed after it was made");
    with(&text.replacen("\"version\": 1", "\"version\": 9", 1));
    refused(&stage, &apply, 4, "unknown plan version 9");
    with("{}");
    refused(&stage, &apply, 4, "not a portward plan");
    with(&text);

    let mut changed = stage.fleet();
    for entry in changed.regions.values_mut().flatten() {
        if entry.name == "web-1" {
            entry.port_states = Some([rule("tcp", 22, 22, &["0.0.0.0/0"])].into());
        }
    }
    let fleet = stage.fleet();
    stage.populate(&changed);
    refused(
        &stage,
        &apply,
        4,
        "the rules of eu-central-1/web-1 have changed since",
    );
    let mut replaced = fleet.clone();
    replaced
        .regions
        .values_mut()
        .flatten()
        .for_each(|entry| entry.arn.push_str("-new"));
    stage.populate(&replaced);
    refused(&stage, &apply, 4, "is another instance now");
    let mut elsewhere = fleet.clone();
    elsewhere
        .regions
        .values_mut()
        .flatten()
        .for_each(|entry| entry.arn = entry.arn.replace("123456789012", "210987654321"));
    stage.populate(&elsewhere);
    refused(&stage, &apply, 4, "made for account 123456789012");
    let mut gone = fleet.clone();
    gone.regions
        .values_mut()
        .for_each(|entries| entries.truncate(1));
    stage.populate(&gone);
    refused(
        &stage,
        &apply,
        4,
        "eu-central-1/web-2 does not exist any more",
    );
    stage.populate(&fleet);

    let late = stage.on_fleet(&["plan", "--out", "plan.json", "--valid-for", "0s"]);
    assert_eq!(late.code, Some(0));
    refused(&stage, &apply, 4, "the plan was valid until");
    refused(
        &stage,
        &[&apply[..], &["--allow", "empty", "--reason", "x"]].concat(),
        64,
        "cannot be used with",
    );

    with(&text);
    let done = stage.on_fleet(&[&apply[..], &["--digest", &digest]].concat());
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    stage.assert_in_sync();
}

#[test]
fn preview_of_another_day_expires_that_day() {
    let stage = stage();
    let preview = ["plan", "--as-of", "2098-01-01", "--out", "plan.json"];
    let done = stage.run(&[&preview[..], &["--inventory", "fleet.json"]].concat());
    assert_eq!(done.code, Some(64), "{}", done.stderr);
    assert!(!stage.path("plan.json").exists());
    // Against the emulator it may be kept, and is good from now on for as long as any other.
    assert_eq!(stage.on_fleet(&preview).code, Some(0));
    let plan: serde_json::Value = serde_json::from_str(&stage.read("plan.json")).expect("JSON");
    assert!(
        plan["validUntil"]
            .as_str()
            .is_some_and(|until| !until.starts_with("2098")),
        "{plan}"
    );
}

/// One nanosecond after the time that the plan is for.
const SOON: &str = "2031-12-31T17:00:00.000000001Z";

#[test]
fn rule_that_ends_before_its_write_is_omitted() {
    let stage = stage();
    let until = format!(r#""anywhere", until = {SOON} }}"#);
    stage.configure(&CONFIG.replacen(r#""anywhere" }"#, &until, 1));
    let done = apply(&stage, &["--as-of", "2031-12-31T17:00:00Z"]);
    // The other instance is written.
    assert_eq!(done.code, Some(5), "{}", done.shown());
    let said = format!(
        "web-1 (eu-central-1): stale, nothing written: the rule at firewall.toml:5 ended at {SOON}"
    );
    assert!(done.says(&said), "{}", done.stdout);
    let report = stage.json(&["plan", "--as-of", "2031-12-31T17:00:01Z"]);
    let of = |name: &str| {
        let instances = report["instances"].as_array().expect("a list");
        let found = instances.iter().find(|instance| instance["name"] == name);
        found.expect("an instance")["verdict"].clone()
    };
    assert_eq!(
        (of("web-1"), of("web-2")),
        ("change".into(), "in-sync".into())
    );
}

#[test]
fn expired_plan_is_not_saved() {
    let stage = stage();
    let until = r#""anywhere", until = 2020-01-01T00:00:00.000000001Z }"#;
    stage.configure(&CONFIG.replacen(r#""anywhere" }"#, until, 1));
    let preview = ["plan", "--as-of", "2020-01-01", "--out", "plan.json"];
    let done = stage.on_fleet(&preview);
    assert_eq!(done.code, Some(1), "{}", done.shown());
    assert!(
        done.stderr.contains("a rule ended at 2020-01-01"),
        "{}",
        done.stderr
    );
    assert!(!stage.path("plan.json").exists());
}

#[test]
fn guards_exit_with_3_and_accept_a_reason() {
    let stage = stage();
    stage.configure(&CONFIG.replace("203.0.113.0/24\" }, {", "192.0.2.1\" }, {"));
    refused(
        &stage,
        &["plan", "--out", "plan.json"],
        3,
        "refused by lockout on web-1 (eu-central-1)",
    );
    assert!(
        !stage.path("plan.json").exists(),
        "a refused plan must not lie around"
    );
    refused(&stage, &["apply", "--yes"], 3, "refused by lockout");
    refused(&stage, &["plan", "--allow", "lockout"], 64, "--reason");
    refused(
        &stage,
        &["plan", "--allow", "lokout", "--reason", "x"],
        64,
        "did you mean `lockout`?",
    );
    refused(
        &stage,
        &[
            "apply",
            "--yes",
            "--allow",
            "lockout=web-2",
            "--reason",
            "x",
        ],
        3,
        "refused by lockout on web-1",
    );

    let allow = ["--allow", "lockout=web-1", "--reason", "the office moved"];
    let plan = stage.on_fleet(&[&["plan", "--out", "plan.json"][..], &allow].concat());
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    assert!(
        plan.stdout
            .contains("allowed: lockout on web-1: the office moved"),
        "{}",
        plan.stdout
    );
    assert!(stage.read("plan.json").contains("the office moved"));
    let done = apply(&stage, &["plan.json"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    stage.assert_in_sync();
}

#[test]
fn emptied_instance_needs_consent() {
    let stage = stage();
    let none =
        "version = 1\ndefaults = { region = \"eu-central-1\" }\n[instances.web-1]\nrules = []\n";
    stage.configure(none);
    refused(&stage, &["apply", "--yes"], 3, "refused by empty on web-1");
    let allow = [
        "--allow",
        "empty",
        "--allow",
        "lockout",
        "--reason",
        "it is being retired",
    ];
    let done = apply(&stage, &allow);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    stage.assert_in_sync();
}

/// The receipts of the stage, oldest first, with their text.
fn receipts(stage: &Stage) -> Vec<(String, String)> {
    let mut names: Vec<String> = fs::read_dir(stage.path(".portward/receipts"))
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|name| format!(".portward/receipts/{name}"))
        .map(|path| (path.clone(), stage.read(&path)))
        .collect()
}

#[test]
fn rollback_restores_the_rules_of_a_receipt() {
    let stage = stage();
    let before = stage.fleet();
    assert_eq!(apply(&stage, &[]).code, Some(0));
    stage.assert_in_sync();
    let (path, text) = receipts(&stage).pop().expect("a receipt");
    let kinds: Vec<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["type"]
                .as_str()
                .expect("a type")
                .to_owned()
        })
        .collect();
    assert_eq!(kinds.first().map(String::as_str), Some("header"));
    assert_eq!(kinds.last().map(String::as_str), Some("end"));
    assert_eq!(kinds.iter().filter(|kind| *kind == "intent").count(), 3);
    assert_eq!(kinds.iter().filter(|kind| *kind == "outcome").count(), 3);

    let back = stage.on_fleet(&["rollback", &path, "--detailed-exitcode"]);
    assert_eq!(back.code, Some(2), "{}{}", back.stdout, back.stderr);
    let back = stage.on_fleet(&["rollback", &path, "--out", "back.json"]);
    assert_eq!(back.code, Some(0), "{}{}", back.stdout, back.stderr);
    let done = apply(&stage, &["back.json"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let rules = |fleet: &portward::inventory::Inventory| -> Vec<_> {
        fleet
            .entries()
            .map(|(_, entry)| {
                portward::model::LiveFirewall::read(
                    entry.port_states.as_deref().unwrap_or_default(),
                )
            })
            .collect()
    };
    assert_eq!(rules(&stage.fleet()), rules(&before));
    let again = stage.on_fleet(&["rollback", &path, "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
}

#[test]
#[cfg(unix)]
fn unconfirmed_change_is_reverted() {
    let stage = stage();
    let before = stage.fleet();
    refused(
        &stage,
        &["apply", "--yes", "--confirm-within", "9s"],
        64,
        "nobody can confirm",
    );
    let done = apply(
        &stage,
        &[
            "--confirm-within",
            "0s",
            "--probe",
            "false",
            "--report",
            "json=report.json",
        ],
    );
    assert_eq!(done.code, Some(1), "{}{}", done.stdout, done.stderr);
    assert!(
        stage.read("report.json").contains("\"reverted\""),
        "{}",
        done.stdout
    );
    let rules = |fleet: &portward::inventory::Inventory| -> Vec<_> {
        fleet
            .entries()
            .map(|(_, entry)| {
                portward::model::LiveFirewall::read(
                    entry.port_states.as_deref().unwrap_or_default(),
                )
            })
            .collect()
    };
    assert_eq!(rules(&stage.fleet()), rules(&before));

    let done = apply(&stage, &["--confirm-within", "60s", "--probe", "true"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    stage.assert_in_sync();
}

#[test]
fn apply_without_a_receipt_writes_nothing() {
    let stage = stage();
    fs::write(stage.path("taken"), "a file, not a folder").expect("a file");
    refused(
        &stage,
        &["apply", "--yes", "--receipts", "taken"],
        1,
        "cannot write a receipt",
    );
}

#[test]
fn schema_verb_prints_every_schema() {
    let stage = stage();
    for document in ["plan", "report"] {
        let done = stage.run(&["schema", document]);
        assert_eq!(done.code, Some(0));
        let schema: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
        assert_eq!(schema["type"], "object");
    }
}
