//! The example fleet and its configuration: planned, applied, and in sync.

use std::fs;
use std::path::Path;

use crate::stage::Done;

/// A copy of the example in a folder of its own.
pub(crate) struct Example {
    pub(crate) folder: tempfile::TempDir,
}

impl Example {
    pub(crate) fn new() -> Self {
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

    pub(crate) fn run(&self, verb: &[&str]) -> Done {
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

pub(crate) fn copy(from: &Path, to: &Path) {
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
fn example_is_in_sync_after_apply() {
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
fn edit_of_one_address_is_one_call() {
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
fn narrower_source_list_is_one_put() {
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
fn manual_change_is_drift() {
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
