//! `with`, and signals to whatever grants or revokes.

use std::process::{Command, Stdio};
use std::thread;

use portward::emulator::{OperationProgress, Quirks};
use portward::inventory::Inventory;

use super::{CLOSED, GRANT, assert_ssh, closed, command, served};
use crate::stage::{Done, REGION, Stage};

#[test]
fn with_grants_access_while_its_command_runs() {
    let stage = Stage::new(CLOSED, &closed());
    let run = |command: &[&str]| {
        let with = [
            "with",
            "web-1",
            "ssh",
            "--from",
            "203.0.113.7",
            "--for",
            "20m",
        ];
        stage.run(&[&with[..], &["--emulator", "fleet.json", "--"], command].concat())
    };
    let with = |script: &str| run(&["sh", "-c", script]);
    let done = with("echo $PORTWARD_GRANT_ID $PORTWARD_GRANT_UNTIL; exit 7");
    assert_eq!(done.code, Some(7), "{}", done.shown());
    let words: Vec<&str> = done.stdout.split_whitespace().collect();
    assert!(
        matches!(words[..], [id, until] if id.len() == 8 && until.ends_with('Z')),
        "{}",
        done.shown()
    );
    assert_ssh(&stage.fleet(), &[], 0, "failed");
    // The exit code of a shell for a command that a signal ended.
    let done = with("kill -TERM $$");
    assert_eq!(done.code, Some(143), "{}", done.shown());
    // A signal to this program is forwarded, and the exit code is that of the command.
    for (signal, code) in [("TERM", 11), ("HUP", 12), ("INT", 13)] {
        let script = format!(
            "trap 'exit {code}' {signal}; kill -{signal} $PPID; while :; do sleep 0.01; done"
        );
        let done = with(&script);
        assert_eq!(done.code, Some(code), "{}", done.shown());
        assert!(done.says("is no longer granted"), "{}", done.shown());
        assert_ssh(&stage.fleet(), &[], 0, signal);
    }
    let done = run(&["./missing"]);
    assert_eq!(done.code, Some(127), "{}", done.shown());
    assert_ssh(&stage.fleet(), &[], 0, "not found");
    stage.assert_in_sync();
}

/// Sends a signal to a command as soon as `is_there` holds, calls `then` when the command has reported the signal, and
/// waits for its end.
fn signalled(
    mut command: Command,
    signal: &str,
    is_there: impl Fn() -> bool,
    then: impl FnOnce(),
) -> Done {
    use std::io::Read as _;

    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    while !is_there() {
        assert!(child.try_wait().expect("a child").is_none(), "it has ended");
        thread::yield_now();
    }
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &child.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
    let mut stderr = child.stderr.take().expect("a pipe");
    let (mut heard, mut byte) = (Vec::new(), [0]);
    while !heard.ends_with(b"again to quit now") {
        assert_eq!(stderr.read(&mut byte).expect("a byte"), 1, "{heard:?}");
        heard.push(byte[0]);
    }
    then();
    stderr.read_to_end(&mut heard).expect("the rest");
    let output = child.wait_with_output().expect("it ends");
    Done {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&heard).into_owned(),
    }
}

const SIGNALS: [(&str, i32); 3] = [("TERM", 143), ("INT", 130), ("HUP", 143)];

#[test]
fn signal_after_the_first_write_waits_for_its_operation() {
    for (signal, code) in SIGNALS {
        let quirks = Quirks {
            operations: OperationProgress::Explicit,
            ..Quirks::default()
        };
        let server = served(quirks, Vec::new(), closed());
        let stage = Stage::new(CLOSED, &closed());
        let writes = |number: usize| server.emulator.journal().len() >= number;
        let grant = command(&server, &stage, &GRANT);
        let finish = || server.emulator.finish_operations();
        let done = signalled(grant, signal, || writes(1), finish);
        assert_eq!(done.code, Some(code), "{}", done.shown());
        assert!(done.says("is complete, and ends at 20"), "{}", done.shown());
        let inventory = server.emulator.inventory();
        assert_ssh(&inventory, &["203.0.113.7/32"], 1, signal);

        let revoke = ["revoke", "web-1", "ssh", "--from", "203.0.113.7"];
        let revoke = command(&server, &stage, &revoke);
        let done = signalled(revoke, signal, || writes(2), finish);
        assert_eq!(done.code, Some(code), "{}", done.shown());
        assert!(done.says("is no longer granted"), "{}", done.shown());
        assert_ssh(&server.emulator.inventory(), &[], 0, signal);
    }
}

#[test]
fn signal_before_the_first_write_changes_no_rule() {
    for (signal, code) in SIGNALS {
        // An instance that stays pending accepts no writes.
        let quirks = Quirks {
            pending_reads: u32::MAX,
            ..Quirks::default()
        };
        let pending = |mut fleet: Inventory| {
            let entries = fleet.regions.get_mut(REGION).expect("a region");
            "pending".clone_into(&mut entries[0].state);
            fleet
        };
        let server = served(quirks.clone(), Vec::new(), pending(closed()));
        let stage = Stage::new(CLOSED, &closed());
        let tagged = || !server.emulator.tag_journal().is_empty();
        let done = signalled(command(&server, &stage, &GRANT), signal, tagged, || ());
        assert_eq!(done.code, Some(code), "{}", done.shown());
        assert!(
            done.says("interrupted: nothing is granted or revoked on"),
            "{}",
            done.shown()
        );
        assert_ssh(&server.emulator.inventory(), &[], 0, signal);
        assert!(server.emulator.journal().is_empty());

        let stage = Stage::new(CLOSED, &closed());
        assert_eq!(stage.on_fleet(&GRANT).code, Some(0));
        let server = served(quirks, Vec::new(), pending(stage.fleet()));
        let revoke = ["revoke", "--all"];
        let asked = || {
            server
                .emulator
                .requests()
                .contains_key("GetInstancePortStates")
        };
        let done = signalled(command(&server, &stage, &revoke), signal, asked, || ());
        assert_eq!(done.code, Some(code), "{}", done.shown());
        let inventory = server.emulator.inventory();
        assert_ssh(&inventory, &["203.0.113.7/32"], 1, signal);
    }
}
