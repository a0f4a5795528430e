//! Every exit code, and the report that is written with each.

use std::fs;

use crate::stage::{Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[instances.web-1]
rules = [{ allow = "ssh", from = "203.0.113.0/24" }]
"#;

fn stage() -> Stage {
    Stage::new(
        CONFIG,
        &fleet(vec![instance(
            "web-1",
            vec![rule("tcp", 22, 22, &["203.0.113.0/24"])],
        )]),
    )
}

fn differing() -> Stage {
    let stage = stage();
    stage.populate(&fleet(vec![instance(
        "web-1",
        vec![rule("tcp", 80, 80, &["203.0.113.0/24"])],
    )]));
    stage
}

/// Runs with a report and checks the exit code in both places.
#[track_caller]
fn ends(stage: &Stage, args: &[&str], code: i32) -> serde_json::Value {
    let done = stage.run(&[args, &["--report", "json=report.json"]].concat());
    assert_eq!(
        done.code,
        Some(code),
        "{args:?}\n{}{}",
        done.stdout,
        done.stderr
    );
    let report: serde_json::Value = serde_json::from_str(&stage.read("report.json")).expect("JSON");
    assert_eq!(report["exitCode"], code);
    report
}

#[test]
fn exit_status_is_0_in_sync_and_2_for_differences_on_request() {
    ends(&stage(), &["drift", "--emulator", "fleet.json"], 0);
    ends(&differing(), &["plan", "--emulator", "fleet.json"], 0);
    ends(
        &differing(),
        &["plan", "--detailed-exitcode", "--emulator", "fleet.json"],
        2,
    );
    ends(&differing(), &["drift", "--emulator", "fleet.json"], 2);
    ends(&differing(), &["drift", "--inventory", "fleet.json"], 2);
}

#[test]
fn undeclared_instances_count_on_request() {
    let stage = stage();
    let mut two = stage.fleet();
    two.regions
        .values_mut()
        .for_each(|entries| entries.push(instance("old-1", vec![])));
    stage.populate(&two);
    ends(&stage, &["drift", "--emulator", "fleet.json"], 0);
    ends(
        &stage,
        &["drift", "--emulator", "fleet.json", "--fail-on-undeclared"],
        2,
    );
    for (target, code) in [
        ("*-1", 2),
        ("web-1", 0),
        // It names no instance that a plan could be about.
        ("old-1", 1),
    ] {
        let verb = ["drift", "--fail-on-undeclared", "-t", target];
        let done = stage.on_fleet(&verb);
        assert_eq!(done.code, Some(code), "{target} {}", done.shown());
        assert_eq!(
            code == 0,
            !done.shown().contains("old-1"),
            "{}",
            done.shown()
        );
    }
}

#[test]
fn configuration_without_instances_is_not_in_sync() {
    let stage = stage();
    stage.configure(
        "version = 1\n[defaults]\nregion = \"eu-central-1\"\n[groups.web]\nmatch = { name = \"web-*\" }\n",
    );
    stage.populate(&fleet(Vec::new()));
    for (verb, label) in [("plan", "Plan"), ("drift", "Drift")] {
        for world in ["--emulator", "--inventory"] {
            let done = stage.run(&[verb, world, "fleet.json"]);
            assert_eq!(done.code, Some(0), "{}", done.shown());
            assert_eq!(
                done.stdout,
                format!(
                    "note: group `web` matches no instance (firewall.toml:4)\n\
                     {label}: no instance that exists is declared, so nothing was compared.\n"
                )
            );
        }
    }
    let files = ["diff", "firewall.toml", "firewall.toml"];
    for (args, code) in [
        (&["--inventory", "fleet.json"][..], 0),
        (&["--inventory", "fleet.json", "--format", "markdown"], 0),
    ] {
        let done = stage.run(&[&files, args].concat());
        assert_eq!(done.code, Some(code), "{}", done.shown());
        let says = "neither side says anything of an instance that could be compared";
        assert!(done.stdout.contains(says), "{}", done.shown());
        assert!(!done.says("no difference"), "{}", done.shown());
    }
}

#[test]
fn undecided_instance_is_not_undeclared() {
    let stage = stage();
    stage.configure(
        "version = 1\n[defaults]\nregions = [\"eu-central-1\", \"us-east-1\"]\n[instances.web-1]\nrules = []\n",
    );
    let done = stage.run(&[
        "plan",
        "--inventory",
        "fleet.json",
        "--region",
        "eu-central-1",
    ]);
    assert_eq!(done.code, Some(6), "{}", done.shown());
    let says = "Plan: no instance could be looked at; 1 undecided.";
    assert!(done.stdout.contains(says), "{}", done.shown());
    // The same is wrong with both sides, and said once.
    let args = [
        "diff",
        "firewall.toml",
        "firewall.toml",
        "--inventory",
        "fleet.json",
    ];
    let done = stage.run(&args);
    assert_eq!(done.code, Some(6), "{}", done.shown());
    let times = done
        .stderr
        .matches("`eu-central-1/web-1` cannot be compared");
    assert_eq!(times.count(), 1, "{}", done.shown());
    assert!(!done.says("no difference"), "{}", done.shown());
}

#[test]
fn refused_plan_is_not_empty() {
    let stage = stage();
    let networks: Vec<String> = (0..61).map(|n| format!("\"198.51.{n}.7\"")).collect();
    stage.configure(&format!(
        "version = 1\n[defaults]\nregion = \"eu-central-1\"\n[instances.web-1]\n\
         rules = [{{ allow = \"ssh\", from = [{}] }}]\n",
        networks.join(", ")
    ));
    let done = stage.run(&["plan", "--inventory", "fleet.json"]);
    assert_eq!(done.code, Some(1), "{}", done.shown());
    let says = "Plan: 0 of 1 instance to change, 0 calls; 1 refused.";
    assert!(done.stdout.contains(says), "{}", done.shown());
    let report = stage.json(&["plan"]);
    let web = &report["instances"][0];
    assert_eq!(web["verdict"], "refused", "{web}");
    assert_eq!(web["code"], "PW-306", "{web}");
}

#[test]
fn unknown_outcomes_have_codes_in_json() {
    let stage = stage();
    let mut fleet = stage.fleet();
    fleet
        .regions
        .values_mut()
        .flatten()
        .for_each(|entry| entry.port_states = None);
    stage.populate(&fleet);
    let plan = ["plan", "--inventory", "fleet.json", "--format", "json"];
    let done = stage.run(&plan);
    assert_eq!(done.code, Some(6), "{}", done.shown());
    let report: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(report["unreadable"][0]["code"], "PW-601", "{report}");
    let two = stage.read("firewall.toml").replace(
        "region = \"eu-central-1\"",
        "regions = [\"eu-central-1\", \"us-east-1\"]",
    );
    stage.configure(&two);
    let done = stage.run(&plan);
    let report: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(report["regionsUnreadable"][0]["code"], "PW-601", "{report}");
    assert_eq!(report["undecided"][0]["code"], "PW-602", "{report}");
}

#[test]
fn failures_with_different_remedies_have_different_codes() {
    let stage = stage();
    std::fs::write(stage.path("bad.json"), "{}").expect("a file");
    let mut served = std::net::TcpListener::bind("127.0.0.1:0");
    let port = served
        .as_mut()
        .map(|one| one.local_addr().expect("an address"));
    let taken = port.expect("a listener").to_string();
    for (args, code) in [
        (&["plan", "--inventory", "nowhere.json"][..], "PW-802"),
        (&["plan", "--inventory", "bad.json"], "PW-807"),
        (&["plan", "--emulator", "bad.json"], "PW-807"),
        (&["diff", "bad.json", "firewall.toml"], "PW-807"),
        (&["plan", "--inventory", "fleet.json", "-t", "x"], "PW-805"),
        (&["report", "merge", "bad.json"], "PW-403"),
        (
            &["rollback", "bad.json", "--emulator", "fleet.json"],
            "PW-402",
        ),
        (
            &["rollback", "nowhere", "--emulator", "fleet.json"],
            "PW-802",
        ),
        (&["emulate", "--state", "bad.json"], "PW-807"),
        (
            &["emulate", "--state", "fleet.json", "--listen", &taken],
            "PW-808",
        ),
    ] {
        let done = stage.run(args);
        assert_eq!(done.code, Some(1), "{args:?}: {}", done.shown());
        let said = format!("error[{code}]: ");
        assert!(done.stderr.contains(&said), "{args:?}: {}", done.shown());
    }
}

#[test]
fn missing_instance_exits_with_1_and_does_not_stop_others() {
    let stage = differing();
    stage.configure(&format!(
        "{CONFIG}[instances.wbe-1]\nrules = [{{ allow = \"ssh\", from = \"anywhere\" }}]\n"
    ));
    let report = ends(&stage, &["apply", "--yes", "--emulator", "fleet.json"], 1);
    assert_eq!(report["missing"][0]["name"], "wbe-1");
    assert_eq!(report["missing"][0]["hint"], "web-1");
    assert_eq!(report["instances"][0]["outcome"]["status"], "applied");
    stage.configure(CONFIG);
    stage.assert_in_sync();
}

#[test]
fn unreadable_instance_exits_with_6() {
    let stage = stage();
    let mut blind = stage.fleet();
    blind
        .regions
        .values_mut()
        .flatten()
        .for_each(|entry| entry.port_states = None);
    stage.populate(&blind);
    let report = ends(&stage, &["drift", "--emulator", "fleet.json"], 6);
    assert_eq!(report["summary"]["inSync"], 0);
    assert_eq!(report["summary"]["unreadable"], 1);
    ends(&stage, &["drift", "--inventory", "fleet.json"], 6);
    ends(&stage, &["apply", "--yes", "--emulator", "fleet.json"], 6);
}

#[test]
fn unknown_protocol_exits_with_6() {
    let stage = stage();
    let rules = vec![
        rule("tcp", 22, 22, &["203.0.113.0/24"]),
        rule("sctp", 5, 5, &["203.0.113.0/24"]),
    ];
    stage.populate(&fleet(vec![instance("web-1", rules)]));
    let report = ends(&stage, &["drift", "--inventory", "fleet.json"], 6);
    assert_eq!(report["instances"][0]["verdict"], "incomplete");
}

#[test]
fn apply_without_a_terminal_does_not_prompt() {
    let stage = differing();
    let before = stage.read("fleet.json");
    ends(&stage, &["apply", "--emulator", "fleet.json"], 64);
    assert_eq!(stage.read("fleet.json"), before);
    let synced = self::stage();
    ends(&synced, &["apply", "--emulator", "fleet.json"], 0);
}

#[test]
fn usage_error_exits_with_64_and_invalid_configuration_with_65() {
    let stage = stage();
    assert_eq!(stage.run(&["plan", "--no-such-flag"]).code, Some(64));
    assert_eq!(stage.run(&[]).code, Some(64));
    assert_eq!(stage.run(&["--help"]).code, Some(0));
    assert_eq!(stage.run(&["--version"]).code, Some(0));
    ends(&stage, &["apply", "--yes", "--as-of", "2030-01-01"], 64);
    stage.configure("version = 1\n[instances.web-1]\nrules = [{ allow = \"ssh\" }]\n");
    let report = ends(&stage, &["plan", "--emulator", "fleet.json"], 65);
    assert_eq!(report["problems"][0]["line"], 3);
    ends(&stage, &["check", "--config", "nowhere.toml"], 65);
}

#[test]
fn missing_region_and_credentials_are_reported_at_once() {
    let stage = stage();
    stage.configure(
        "version = 1\n[instances.web-1]\nrules = [{ allow = \"ssh\", from = \"anywhere\" }]\n",
    );
    let done = stage.run(&["plan"]);
    assert_eq!(done.code, Some(64), "{}", done.stderr);
    assert!(
        done.stderr.contains("no region to look at"),
        "{}",
        done.stderr
    );
    stage.configure(CONFIG);
    let done = stage.run(&["plan", "--endpoint-url", "http://127.0.0.1:9"]);
    assert_eq!(done.code, Some(6), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("credentials"), "{}", done.stdout);
}

#[test]
fn refused_instance_exits_with_1_and_writes_nothing() {
    let stage = stage();
    stage.configure(&CONFIG.replace("rules", "mode = \"additive\"\nabsent = [{ allow = \"ssh\", from = \"203.0.113.9\" }]\nrules").replace("ssh\", from = \"203.0.113.0/24", "http\", from = \"anywhere"));
    let before = stage.read("fleet.json");
    let report = ends(&stage, &["apply", "--yes", "--emulator", "fleet.json"], 1);
    assert_eq!(report["instances"][0]["verdict"], "refused");
    assert_eq!(stage.read("fleet.json"), before);
    ends(
        &stage,
        &[
            "apply",
            "--yes",
            "--strategy",
            "put",
            "--emulator",
            "fleet.json",
        ],
        0,
    );
}

#[test]
fn observed_difference_counts_for_drift_only() {
    let stage = differing();
    stage.configure(&CONFIG.replace("[instances.web-1]", "[instances.web-1]\nmode = \"observe\""));
    let before = stage.read("fleet.json");
    ends(&stage, &["apply", "--yes", "--emulator", "fleet.json"], 0);
    ends(&stage, &["drift", "--emulator", "fleet.json"], 2);
    assert_eq!(stage.read("fleet.json"), before);
}

#[test]
fn unwritable_report_exits_with_1() {
    let stage = stage();
    let done = stage.on_fleet(&["plan", "--report", "json=no/such/folder/report.json"]);
    assert_eq!(done.code, Some(1));
    assert!(
        done.stderr.contains("cannot write the report"),
        "{}",
        done.stderr
    );
}

/// Everything that a flag has written: reports, a plan, an inventory, a configuration.
#[cfg(unix)]
#[test]
fn output_files_are_private_and_do_not_follow_links() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let formats = [
        "text",
        "json",
        "markdown",
        "github",
        "sarif",
        "codequality",
        "html",
        "prometheus",
    ];
    let reports = formats.map(|format| format!("{format}=written"));
    let mut ways: Vec<Vec<&str>> = reports
        .iter()
        .map(|report| vec!["plan", "--report", report])
        .collect();
    ways.push(vec!["plan", "--out", "written"]);
    ways.push(vec!["inventory", "-o", "written"]);
    ways.push(vec!["import", "-o", "written"]);
    for way in ways {
        let stage = differing();
        fs::write(stage.path(".written.Ab3456.portward-tmp"), "half").expect("a file");
        let written = stage.path("written");
        let mode = || {
            let metadata = fs::metadata(&written).expect("a file");
            metadata.permissions().mode() & 0o777
        };
        let done = stage.on_fleet(&way);
        assert_eq!(done.code, Some(0), "{way:?} {}", done.shown());
        assert_eq!(mode(), 0o600, "{way:?}");
        assert!(!stage.path(".written.Ab3456.portward-tmp").exists());
        fs::set_permissions(&written, fs::Permissions::from_mode(0o644)).expect("a mode");
        stage.on_fleet(&way);
        assert_eq!(mode(), 0o644, "{way:?}");

        fs::rename(&written, stage.path("other")).expect("another name");
        fs::write(stage.path("other"), "other").expect("a file");
        symlink("other", &written).expect("a link");
        let done = stage.on_fleet(&way);
        assert_eq!(done.code, Some(1), "{way:?} {}", done.shown());
        assert!(done.stderr.contains("it is a link"), "{}", done.stderr);
        assert_eq!(stage.read("other"), "other", "{way:?}");
    }
}

#[test]
fn read_only_verbs_do_not_change_the_emulator_file() {
    let stage = differing();
    let mut pending = stage.fleet();
    pending
        .regions
        .values_mut()
        .flatten()
        .for_each(|entry| entry.state = "pending".to_owned());
    stage.populate(&pending);
    let (text, changed) = (stage.read("fleet.json"), modified(&stage));
    for verb in ["plan", "drift"] {
        for _ in 0..4 {
            stage.on_fleet(&[verb]);
        }
    }
    assert_eq!(stage.read("fleet.json"), text);
    assert_eq!(modified(&stage), changed);
    let names: Vec<_> = fs::read_dir(stage.path("."))
        .expect("a folder")
        .map(|e| e.expect("an entry").file_name())
        .collect();
    assert_eq!(names.len(), 2, "litter: {names:?}");
}

fn modified(stage: &Stage) -> std::time::SystemTime {
    fs::metadata(stage.path("fleet.json"))
        .and_then(|data| data.modified())
        .expect("a time")
}

#[test]
fn target_limits_the_run_and_must_match() {
    let stage = differing();
    ends(
        &stage,
        &["plan", "--emulator", "fleet.json", "-t", "web-*"],
        0,
    );
    let report = ends(
        &stage,
        &["plan", "--emulator", "fleet.json", "-t", "wbe-1"],
        1,
    );
    assert_eq!(report["error"]["hint"], "did you mean `web-1`?");
}

/// What somebody sees who begins.
#[test]
fn first_mistakes_have_a_hint() {
    let stage = Stage::new(CONFIG, &fleet(Vec::new()));
    let missing = stage.on_fleet(&["plan", "-c", "nowhere.toml"]);
    assert_eq!(missing.code, Some(65), "{}", missing.shown());
    for said in [
        "there is no such file",
        "`portward import > nowhere.toml` writes one",
        "`-c FILE` names another",
    ] {
        assert!(missing.stderr.contains(said), "{}", missing.shown());
    }
    let config = stage.on_fleet(&["apply", "firewall.toml"]);
    assert_eq!(config.code, Some(4), "{}", config.shown());
    let hint = "a configuration is named with `-c`: `portward apply -c firewall.toml`";
    assert!(config.stderr.contains(hint), "{}", config.shown());
}
