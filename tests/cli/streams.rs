//! Data that cannot be written: a full disk is a failure of every verb, and a reader who has seen enough is none of any.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::process::Stdio;

use crate::stage::{Done, Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[instances.web-1]
rules = [{ allow = "https", from = "203.0.113.0/24" }]
[grants]
services = ["ssh"]
max = "8h"
"#;

/// A device on which no byte can be written.
const FULL: &str = "/dev/full";

/// Every verb with what it needs, and how it ends where its data is taken. `RECEIPT` stands for a receipt.
const VERBS: [(&[&str], i32); 29] = [
    (&["check"], 0),
    (&["plan", "--emulator", "fleet.json"], 0),
    (&["plan", "--emulator", "fleet.json", "--diff"], 0),
    (&["plan", "--emulator", "fleet.json", "--format", "json"], 0),
    (
        &["plan", "--emulator", "fleet.json", "--format", "markdown"],
        0,
    ),
    (
        &["plan", "--emulator", "fleet.json", "--format", "github"],
        0,
    ),
    (
        &["plan", "--emulator", "fleet.json", "--format", "sarif"],
        0,
    ),
    (
        &[
            "plan",
            "--emulator",
            "fleet.json",
            "--format",
            "codequality",
        ],
        0,
    ),
    (&["plan", "--emulator", "fleet.json", "--format", "html"], 0),
    (
        &["plan", "--emulator", "fleet.json", "--format", "prometheus"],
        0,
    ),
    (&["apply", "--emulator", "fleet.json", "--yes"], 0),
    (
        &[
            "apply",
            "--emulator",
            "fleet.json",
            "--yes",
            "--format",
            "json",
        ],
        0,
    ),
    (&["drift", "--emulator", "fleet.json"], 2),
    (&["diff", "fleet.json", "firewall.toml"], 2),
    (
        &[
            "grant",
            "web-1",
            "ssh",
            "--from",
            "192.0.2.7",
            "--for",
            "30m",
            "--emulator",
            "fleet.json",
        ],
        0,
    ),
    (&["grants", "--emulator", "fleet.json"], 0),
    (&["revoke", "--all", "--emulator", "fleet.json"], 0),
    (&["explain", "web-1", "--emulator", "fleet.json"], 0),
    (&["rollback", "RECEIPT", "--emulator", "fleet.json"], 0),
    (&["import", "--emulator", "fleet.json"], 0),
    (&["inventory", "--emulator", "fleet.json"], 0),
    (&["doctor", "--emulator", "fleet.json"], 0),
    (&["doctor", "--iam-policy", "read"], 0),
    (&["report", "merge", "shard.json"], 2),
    (&["schema", "config"], 0),
    (&["completions", "bash"], 0),
    (&["man"], 0),
    (&["plan", "--help"], 0),
    (&["--version"], 0),
];

/// A fleet that differs from its configuration, the receipt of an earlier run and the report of a shard.
fn stage() -> (Stage, String) {
    let fleet = || {
        fleet(vec![instance(
            "web-1",
            vec![rule("tcp", 80, 80, &["203.0.113.0/24"])],
        )])
    };
    let stage = Stage::new(CONFIG, &fleet());
    let apply = stage.on_fleet(&["apply", "--yes"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    let mut receipts = std::fs::read_dir(stage.path(".portward/receipts")).expect("a folder");
    let receipt = receipts
        .next()
        .expect("a receipt")
        .expect("an entry")
        .path();
    stage.populate(&fleet());
    let shard = ["drift", "--shard", "1/1", "--report", "json=shard.json"];
    assert_eq!(stage.on_fleet(&shard).code, Some(2));
    (stage, receipt.to_string_lossy().into_owned())
}

/// Runs a verb with this for stdout; what comes there is not seen.
fn run(stage: &Stage, verb: &[&str], receipt: &str, stdout: Option<Stdio>) -> Done {
    let args: Vec<&str> = verb
        .iter()
        .map(|arg| if *arg == "RECEIPT" { receipt } else { arg })
        .collect();
    let mut command = stage.command(&args);
    let Some(stdout) = stdout else {
        return Done::of(&mut command);
    };
    let child = command.stdout(stdout).stderr(Stdio::piped()).spawn();
    drop(command);
    let output = child.and_then(std::process::Child::wait_with_output);
    let output = output.expect("the command runs");
    Done {
        code: output.status.code(),
        stdout: String::new(),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Somewhere that nothing can be written to, where the system has such a place.
fn full() -> Option<Stdio> {
    let file = File::options().write(true).open(FULL).ok();
    if file.is_none() {
        let _ = writeln!(std::io::stderr(), "skipped: there is no `{FULL}` here");
    }
    file.map(Stdio::from)
}

#[test]
fn full_disk_is_a_failure_of_every_verb() {
    for (verb, code) in VERBS {
        let (stage, receipt) = stage();
        let Some(full) = full() else {
            return;
        };
        let before = stage.read("fleet.json");
        let done = run(&stage, verb, &receipt, Some(full));
        assert_eq!(done.code, Some(1), "{verb:?} {}", done.shown());
        let said = "cannot write to stdout: ";
        assert!(done.says(said), "{verb:?} {}", done.shown());
        let is_text = !verb.contains(&"json");
        if verb[0] == "apply" && is_text {
            // What nobody could see is not applied.
            assert_eq!(stage.read("fleet.json"), before);
            stage.populate(&stage.fleet());
        }
        let again = run(&stage, verb, &receipt, None);
        let code = if verb[0] == "apply" { 0 } else { code };
        assert_eq!(again.code, Some(code), "{verb:?} {}", again.shown());
        assert!(!again.stdout.is_empty(), "{verb:?}");
    }
}

#[test]
fn closed_pipe_is_not_an_error_of_any_verb() {
    for (verb, code) in VERBS {
        let (stage, receipt) = stage();
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let done = run(&stage, verb, &receipt, Some(writer.into()));
        assert_eq!(done.code, Some(code), "{verb:?} {}", done.shown());
        assert!(!done.stderr.contains("error"), "{verb:?} {}", done.shown());
    }
}

#[test]
fn emulate_fails_if_its_address_cannot_be_printed() {
    let (stage, receipt) = stage();
    let Some(full) = full() else {
        return;
    };
    let verb = [
        "emulate",
        "--state",
        "fleet.json",
        "--listen",
        "127.0.0.1:0",
    ];
    let done = run(&stage, &verb, &receipt, Some(full));
    assert_eq!(done.code, Some(1), "{}", done.shown());
}

#[test]
fn report_has_the_final_exit_status() {
    let (stage, receipt) = stage();
    let Some(full) = full() else {
        return;
    };
    let verb = [
        "plan",
        "--emulator",
        "fleet.json",
        "--report",
        "json=report.json",
    ];
    assert_eq!(run(&stage, &verb, &receipt, Some(full)).code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&stage.read("report.json")).expect("JSON");
    assert_eq!(report["exitCode"], 1);
}

#[test]
fn every_verb_is_tested() {
    let (stage, _) = stage();
    let help = stage.run(&["--help"]).stdout;
    let (_, verbs) = help.split_once("Commands:\n").expect("a list of verbs");
    let verbs: BTreeSet<&str> = verbs
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|word| !word.is_empty() && *word != "help")
        .collect();
    let tried: BTreeSet<&str> = VERBS.iter().map(|(verb, _)| verb[0]).collect();
    let left: Vec<_> = verbs.difference(&tried).collect();
    // One goes on until it is stopped, and stdout of the other is that of its command.
    assert_eq!(left, [&"emulate", &"with"], "{help}");
}
