//! `portward emulate` as a process: what it refuses, what it says, and that quirks get through.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use super::FLEET;

fn command(directory: &tempfile::TempDir, args: &[&str]) -> Command {
    let state = directory.path().join("fleet.json");
    std::fs::write(&state, FLEET).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portward"));
    command.arg("emulate").arg("--state").arg(state).args(args);
    command
}

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let Output {
        status,
        stdout,
        stderr,
    } = command(&directory, args).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn other_hosts_are_refused_by_default() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let (code, stdout, stderr) = run(&["--listen", address]);
        assert_eq!((code, stdout.as_str()), (Some(64), ""));
        assert!(
            stderr.contains("can be reached from other machines"),
            "{stderr}"
        );
        assert!(stderr.contains("--allow-remote"), "{stderr}");
    }
}

#[test]
fn quirks_are_listed_and_unknown_ones_are_explained() {
    // Without a state file, too.
    let listed = Command::new(env!("CARGO_BIN_EXE_portward"))
        .args(["emulate", "--quirk", "help"])
        .output()
        .expect("it runs");
    assert_eq!(listed.status.code(), Some(0));
    let text = String::from_utf8(listed.stdout).expect("text");
    assert!(text.starts_with("Quirks, each with its values"), "{text}");
    for quirk in portward::emulator::Quirks::catalogue() {
        let line = format!("  {}={}\n", quirk.name, quirk.values.join("|"));
        assert!(text.contains(&line), "{line}");
    }
    let (code, stdout, stderr) = run(&["--quirk", "open=mrege"]);
    assert_eq!((code, stdout.as_str()), (Some(64), ""));
    assert!(
        stderr.contains("quirk `open` has no value `mrege`"),
        "{stderr}"
    );
    assert!(stderr.contains("did you mean `merge`?"), "{stderr}");
}

#[test]
fn invalid_state_file_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let state = directory.path().join("fleet.json");
    let log = directory.path().join("fleet.json.operations");
    let config = directory.path().join("firewall.toml");
    std::fs::write(
        &config,
        "version = 1\ndefaults = { region = \"eu-central-1\" }\n",
    )
    .expect("written");
    let shown = |path: &std::path::Path| path.display().to_string();
    let open = format!("cannot open `{}`", shown(&state));
    let read = format!("cannot read `{}`", shown(&state));
    let operations = format!("cannot read `{}`", shown(&log));
    for (text, log_text, message) in [
        (None, None, format!("{open}: No such file")),
        (
            Some("{"),
            None,
            format!("{read}: not a portward inventory: EOF while"),
        ),
        (
            Some(r#"{"format": "portward.inventory", "version": 2, "regions": {}}"#),
            None,
            format!("{read}: inventory version 2 is not known"),
        ),
        (
            Some(FLEET),
            Some("what is this\n"),
            format!("{operations}: line 1 is not the header"),
        ),
    ] {
        for (path, text) in [(&state, text), (&log, log_text)] {
            match text {
                Some(text) => std::fs::write(path, text).expect("written"),
                None => drop(std::fs::remove_file(path)),
            }
        }
        let state = shown(&state);
        for args in [
            &["emulate", "--state", &state][..],
            &["emulate", "--in-memory", "--state", &state],
            &["plan", "--config", &shown(&config), "--emulator", &state],
            &[
                "apply",
                "--yes",
                "--config",
                &shown(&config),
                "--emulator",
                &state,
            ],
        ] {
            let output = Command::new(env!("CARGO_BIN_EXE_portward"))
                .args(args)
                .output()
                .expect("it runs");
            let stderr = String::from_utf8(output.stderr).expect("text");
            assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
            let (said, message) = (joined(&stderr), joined(&message));
            assert!(said.contains(&message), "{args:?}: {stderr}");
        }
    }
}

/// A text wherever its lines are broken.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Ends the process also where an assertion does not hold.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn quirks_and_seed_are_applied_and_remote_access_is_warned_of() {
    let directory = tempfile::tempdir().expect("a directory");
    let args = [
        "--listen",
        "0.0.0.0:0",
        "--allow-remote",
        "--quirk",
        "port-states=null",
        "--quirk",
        "instances-per-page=1",
    ];
    let child = command(&directory, &args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut running = Running(child);
    let mut url = String::new();
    let stdout = running.0.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut url).expect("a line");
    let mut warning = String::new();
    let stderr = running.0.stderr.take().expect("a pipe");
    BufReader::new(stderr)
        .read_line(&mut warning)
        .expect("a line");
    assert!(warning.starts_with("warning: http://0.0.0.0:"), "{warning}");
    assert!(
        warning.contains("can be reached from other machines"),
        "{warning}"
    );

    let port = url.trim().rsplit(':').next().expect("a port").to_owned();
    let client = super::client(
        &format!("http://127.0.0.1:{port}"),
        "eu-central-1",
        "test",
        "test",
        None,
    );
    assert_eq!(super::read_rules(&client).await.port_states, None);
    let page = client.get_instances().send().await.expect("a page");
    assert_eq!(page.instances().len(), 1);
}

#[tokio::test]
async fn replies_are_delayed_changes_stay_in_memory_and_calls_are_logged() {
    let directory = tempfile::tempdir().expect("a directory");
    let args = [
        "--in-memory",
        "--latency",
        "30ms",
        "-vv",
        "--log-format",
        "json",
    ];
    let log = directory.path().join("log");
    let child = command(&directory, &args)
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&log).expect("a file"))
        .spawn()
        .expect("it runs");
    let mut running = Running(child);
    let mut url = String::new();
    let stdout = running.0.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut url).expect("a line");

    let client = super::client(url.trim(), "eu-central-1", "test", "test", None);
    let begun = std::time::Instant::now();
    let put = client
        .put_instance_public_ports()
        .instance_name("web-1")
        .set_port_infos(Some(Vec::new()));
    put.send().await.expect("accepted");
    assert!(begun.elapsed() >= std::time::Duration::from_millis(30));
    assert!(super::read_rules(&client).await.port_states().is_empty());
    let tag = aws_sdk_lightsail::types::Tag::builder()
        .key("a:1")
        .value("secret");
    let tagged = client
        .tag_resource()
        .resource_name("web-1")
        .tags(tag.build());
    tagged.send().await.expect("accepted");
    let file = std::fs::read_to_string(directory.path().join("fleet.json")).expect("a file");
    assert_eq!(file, FLEET);

    let told: Vec<serde_json::Value> = std::fs::read_to_string(&log)
        .expect("a log")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .map(|line: serde_json::Value| line["fields"].clone())
        // The first line names the program.
        .filter(|fields| fields["action"].is_string())
        .collect();
    let request =
        |action| serde_json::json!({"message": "request", "action": action, "status": 200});
    let change = serde_json::json!({
        "message": "rules changed", "action": "PutInstancePublicPorts", "instance": "eu-central-1/web-1", "open": "",
    });
    let tags = serde_json::json!({
        "message": "tags changed", "action": "TagResource", "instance": "eu-central-1/web-1", "keys": "a:1 role",
    });
    assert_eq!(
        told,
        [
            request("PutInstancePublicPorts"),
            change,
            request("GetInstancePortStates"),
            request("TagResource"),
            tags,
        ]
    );
}
