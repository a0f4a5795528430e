//! The example fleet and its configuration, used as the README and the page about fleets say.

use std::fs;
use std::path::Path;

use crate::stage::Done;

/// A copy of the example in a folder of its own.
struct Example {
    folder: tempfile::TempDir,
}

impl Example {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = tempfile::tempdir().expect("a folder");
        copy(&root.join("examples"), &folder.path().join("examples"));
        fs::copy(
            root.join("firewall.example.toml"),
            folder.path().join("firewall.example.toml"),
        )
        .expect("a copy");
        Self { folder }
    }

    fn run(&self, verb: &[&str]) -> Done {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_portward"));
        command
            .args(verb)
            .args([
                "-c",
                "firewall.example.toml",
                "--emulator",
                "examples/fleet.json",
                "--as-of",
                "2026-01-01",
            ])
            .current_dir(self.folder.path())
            .env_clear();
        Done::of(&mut command)
    }

    fn json(&self, verb: &[&str]) -> serde_json::Value {
        let done = self.run(&[verb, &["--format", "json"]].concat());
        serde_json::from_str(&done.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", done.stderr))
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.path().join(file);
        let text = fs::read_to_string(&path).expect("a file");
        assert_eq!(text.matches(from).count(), 1, "`{from}` once in {file}");
        fs::write(&path, text.replace(from, to)).expect("a file");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// The calls of the instances that have some.
fn calls(plan: &serde_json::Value) -> Vec<String> {
    let instances = plan["instances"].as_array().expect("a list");
    let of = |instance: &serde_json::Value| {
        let calls = instance["calls"].as_array().expect("a list");
        let name = instance["name"].as_str().unwrap_or_default().to_owned();
        calls
            .iter()
            .map(move |call| format!("{name} {}", call["action"].as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    instances.iter().flat_map(of).collect()
}

#[test]
fn the_example_is_planned_applied_and_then_in_sync() {
    let example = Example::new();
    let plan = example.json(&["plan"]);
    let changing = plan["summary"]["toChange"].as_u64().expect("a number");
    assert!((1..=5).contains(&changing), "{plan}");
    let apply = example.run(&["apply", "--yes"]);
    assert_eq!(apply.code, Some(0), "{}{}", apply.stdout, apply.stderr);
    let drift = example.run(&["drift"]);
    assert_eq!(drift.code, Some(0), "{}{}", drift.stdout, drift.stderr);
    assert!(calls(&example.json(&["plan"])).is_empty());
}

/// The example after `apply`.
fn applied() -> Example {
    let example = Example::new();
    assert_eq!(example.run(&["apply", "--yes"]).code, Some(0));
    example
}

#[test]
fn one_edited_address_is_one_call() {
    let example = applied();
    example.edit(
        "firewall.example.toml",
        "from = \"192.0.2.44\"",
        "from = \"192.0.2.45\"",
    );
    assert_eq!(
        calls(&example.json(&["plan"])),
        ["db-1 PutInstancePublicPorts"]
    );
    assert_eq!(example.run(&["apply", "--yes"]).code, Some(0));
    assert_eq!(example.run(&["drift"]).code, Some(0));
    example.edit(
        "firewall.example.toml",
        "from = \"192.0.2.45\"",
        "from = [\"192.0.2.45\", \"192.0.2.46\"]",
    );
    assert_eq!(
        calls(&example.json(&["plan"])),
        ["db-1 OpenInstancePublicPorts"]
    );
    assert_eq!(example.run(&["apply", "--yes"]).code, Some(0));
    assert_eq!(example.run(&["drift"]).code, Some(0));
}

#[test]
fn a_narrower_source_list_is_one_put() {
    let example = applied();
    let line = "{ allow = \"app\", from = \"office\" }";
    example.edit(
        "firewall.example.toml",
        line,
        &line.replace("office", "203.0.113.0/25"),
    );
    assert_eq!(
        calls(&example.json(&["plan"])),
        ["batch-1 PutInstancePublicPorts"]
    );
    assert_eq!(example.run(&["apply", "--yes"]).code, Some(0));
    assert_eq!(example.run(&["drift"]).code, Some(0));
}

#[test]
fn a_rule_changed_by_hand_is_drift_and_named() {
    let example = applied();
    example.edit(
        "examples/fleet.json",
        "\"192.0.2.44/32\"",
        "\"192.0.2.99/32\"",
    );
    let drift = example.run(&["drift"]);
    assert_eq!(drift.code, Some(2), "{}", drift.stderr);
    assert!(
        drift.stdout.contains("db-1 (eu-central-1)") && drift.stdout.contains("tcp 5432"),
        "{}",
        drift.stdout
    );
    assert_eq!(example.run(&["apply", "--yes"]).code, Some(0));
    assert_eq!(example.run(&["drift"]).code, Some(0));
}

#[test]
fn what_the_readme_shows_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("a file");
    let example = Example::new();
    let blocks = readme
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let whole: Vec<&str> = blocks
        .filter(|block| block.starts_with("version = 1"))
        .collect();
    assert_eq!(whole.len(), 2, "configurations that stand for themselves");
    for block in whole {
        fs::write(example.folder.path().join("firewall.toml"), block).expect("a file");
        let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_portward"));
        let done = Done::of(
            check
                .arg("check")
                .current_dir(example.folder.path())
                .env_clear(),
        );
        assert_eq!(done.code, Some(0), "{block}\n{}", done.stderr);
    }
    let plan = example.run(&["plan", "-t", "web-1,web-2,db-1"]);
    assert!(
        readme.contains(&plan.stdout),
        "the README shows another plan than\n{}",
        plan.stdout
    );
}

#[test]
fn what_the_page_about_fleets_shows_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/fleets.md")).expect("a file");
    let example = Example::new();
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_portward"));
        command.args(args).current_dir(example.folder.path());
        Done::of(command.env_clear())
    };
    let mut merge = vec!["report".to_owned(), "merge".to_owned()];
    for k in 1..=3 {
        let (shard, report) = (format!("{k}/3"), format!("r{k}.json"));
        example.run(&[
            "drift",
            "--shard",
            &shard,
            "--report",
            &format!("json={report}"),
        ]);
        merge.push(report);
    }
    let merge: Vec<&str> = merge.iter().map(String::as_str).collect();
    let merged = run(&merge);
    assert!(page.contains(&merged.stdout), "{}", merged.shown());

    let typed = "doctor -c firewall.example.toml --emulator examples/fleet.json";
    let (_, shown) = page
        .split_once(&format!("$ portward {typed}\n"))
        .expect("the command");
    let (shown, _) = shown.split_once("\n```").expect("the end of a fence");
    let doctor = run(&typed.split(' ').collect::<Vec<_>>());
    let mut lines = doctor.stdout.lines();
    for line in shown.lines().filter(|line| *line != "…") {
        assert!(
            lines.any(|said| said == line),
            "{line:?}: {}",
            doctor.shown()
        );
    }

    let examples = fs::read_to_string(root.join("examples/accounts.toml")).expect("a file");
    let (_, toml) = page.split_once("```toml\n").expect("a configuration");
    let (toml, _) = toml.split_once("```").expect("its end");
    for line in toml.lines() {
        assert!(examples.lines().any(|known| known == line), "{line}");
    }
}
