//! The command against a served emulator: what it sends, how it stops, and what it never tells.

use std::io::Read as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use portward::emulator::{
    Emulator, EmulatorOptions, Faults, OperationProgress, Quirks, RequestFault, ScriptedEvent,
    Trigger,
};
use portward::inventory::Inventory;
use tokio::sync::oneshot;

use crate::stage::{Done, Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[groups.web]
match = { name = "web-*" }
rules = [{ allow = "ssh", from = "203.0.113.0/24" }]
"#;

const SECRET: &str = "the-secret-of-this-test";

/// An emulator on a thread of its own.
pub(crate) struct Server {
    pub(crate) emulator: Emulator,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(inventory: Inventory, quirks: Quirks) -> Self {
        Self::with(
            inventory,
            EmulatorOptions {
                quirks,
                ..EmulatorOptions::default()
            },
        )
    }

    pub(crate) fn with_faults(inventory: Inventory, quirks: Quirks, script: Vec<Trigger>) -> Self {
        let faults = Faults {
            script,
            ..Faults::default()
        };
        Self::with(
            inventory,
            EmulatorOptions {
                quirks,
                faults,
                ..EmulatorOptions::default()
            },
        )
    }

    /// An emulator with these options, but with the secret of these tests.
    pub(crate) fn with(inventory: Inventory, options: EmulatorOptions) -> Self {
        let options = EmulatorOptions {
            secret_key: SECRET.to_owned(),
            ..options
        };
        let emulator = Emulator::new(inventory, options);
        let (stop, stopped) = oneshot::channel();
        let (ready, address) = mpsc::channel();
        let serving = emulator.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
                    .await
                    .expect("a port");
                ready
                    .send(listener.local_addr().expect("an address"))
                    .expect("somebody waits");
                let shutdown = async {
                    let _ = stopped.await;
                };
                serving.serve(listener, shutdown).await.expect("it serves");
            });
        });
        Self {
            emulator,
            address: address.recv().expect("it starts"),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn command(&self, stage: &Stage, args: &[&str]) -> Command {
        let mut command = stage.command(args);
        self.point(&mut command);
        command
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets a command find this emulator.
    pub(crate) fn point(&self, command: &mut Command) {
        command
            .env(
                "AWS_ENDPOINT_URL_LIGHTSAIL",
                format!("http://{}", self.address),
            )
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", SECRET);
    }

    pub(crate) fn run(&self, stage: &Stage, args: &[&str]) -> Done {
        Done::of(&mut self.command(stage, args))
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.emulator
            .requests()
            .into_iter()
            .map(|(action, count)| format!("{action} {count}"))
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn synced() -> Inventory {
    fleet(vec![instance(
        "web-1",
        vec![rule("tcp", 22, 22, &["203.0.113.0/24"])],
    )])
}

fn differing(n: usize) -> Inventory {
    let one = |i| {
        instance(
            &format!("web-{i}"),
            vec![rule("tcp", 22, 22, &["203.0.113.0/25"])],
        )
    };
    fleet((1..=n).map(one).collect())
}

#[test]
fn plan_in_sync_costs_one_read_and_no_write() {
    let server = Server::start(synced(), Quirks::default());
    let stage = Stage::new(CONFIG, &synced());
    let done = server.run(&stage, &["plan"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert_eq!(
        server.requests(),
        ["GetInstancePortStates 1", "GetInstances 1"]
    );
}

#[test]
fn change_costs_one_write_and_three_reads() {
    let server = Server::start(differing(1), Quirks::default());
    let stage = Stage::new(CONFIG, &differing(1));
    let done = server.run(&stage, &["apply", "--yes"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    // One read is the plan's own.
    assert_eq!(
        server.requests(),
        [
            "GetInstance 1",
            "GetInstancePortStates 3",
            "GetInstances 1",
            "PutInstancePublicPorts 1"
        ]
    );
    assert_eq!(server.run(&stage, &["drift"]).code, Some(0));
}

pub(crate) fn on(name: &str, action: &'static str, nth: u64, event: ScriptedEvent) -> Trigger {
    let id = portward::model::InstanceId {
        account: None,
        region: crate::stage::REGION.to_owned(),
        name: name.to_owned(),
    };
    Trigger {
        instance: id,
        action: Some(action),
        nth,
        event,
    }
}

#[test]
fn failure_of_one_instance_exits_with_5_and_does_not_stop_others() {
    let broken: Vec<Trigger> = (1..=9)
        .map(|nth| {
            on(
                "web-2",
                "PutInstancePublicPorts",
                nth,
                ScriptedEvent::RequestFault(RequestFault::ServerError),
            )
        })
        .collect();
    let server = Server::with_faults(differing(3), Quirks::default(), broken);
    let stage = Stage::new(CONFIG, &differing(3));
    let done = server.run(
        &stage,
        &[
            "apply",
            "--yes",
            "--timeout",
            "2s",
            "--report",
            "json=report.json",
        ],
    );
    assert_eq!(done.code, Some(5), "{}{}", done.stdout, done.stderr);
    let report: serde_json::Value = serde_json::from_str(&stage.read("report.json")).expect("JSON");
    let statuses: Vec<_> = (0..3)
        .map(|i| report["instances"][i]["outcome"]["status"].as_str())
        .collect();
    assert_eq!(statuses, [Some("applied"), Some("failed"), Some("applied")]);

    let rest = Server::start(server.emulator.inventory(), Quirks::default());
    assert_eq!(rest.run(&stage, &["apply", "--yes"]).code, Some(0));
    assert_eq!(rest.run(&stage, &["drift"]).code, Some(0));
}

#[test]
fn lost_response_is_resolved_by_reading() {
    let lost = vec![on(
        "web-1",
        "PutInstancePublicPorts",
        1,
        ScriptedEvent::RequestFault(RequestFault::LostResponse),
    )];
    let server = Server::with_faults(differing(1), Quirks::default(), lost);
    let stage = Stage::new(CONFIG, &differing(1));
    let done = server.run(&stage, &["apply", "--yes"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert_eq!(server.emulator.journal().len(), 1, "it was sent again");
    assert_eq!(server.run(&stage, &["drift"]).code, Some(0));
}

#[test]
fn write_of_others_makes_the_plan_stale() {
    // The plan's own read is the first; the second comes right before the write.
    let theirs = vec![on(
        "web-1",
        "GetInstancePortStates",
        2,
        ScriptedEvent::RandomForeignWrite,
    )];
    let server = Server::with_faults(differing(1), Quirks::default(), theirs);
    let stage = Stage::new(CONFIG, &differing(1));
    let done = server.run(&stage, &["apply", "--yes"]);
    assert_eq!(done.code, Some(4), "{}{}", done.stdout, done.stderr);
    assert!(
        done.stdout.contains("stale, nothing written"),
        "{}",
        done.stdout
    );
    assert_eq!(server.run(&stage, &["apply", "--yes"]).code, Some(0));
    assert_eq!(server.run(&stage, &["drift"]).code, Some(0));
}

/// The list was made in this very run, and is old by the time of the write all the same.
#[test]
fn instance_replaced_before_the_write_is_not_written() {
    for confirmed in [&[][..], &["--confirm-within", "1m", "--probe", "true"]] {
        let theirs = vec![on("web-1", "GetInstance", 1, ScriptedEvent::Replacement)];
        let server = Server::with_faults(differing(1), Quirks::default(), theirs);
        let stage = Stage::new(CONFIG, &differing(1));
        let done = server.run(&stage, &[&["apply", "--yes"], confirmed].concat());
        assert_eq!(done.code, Some(4), "{}", done.shown());
        let said = "stale, nothing written: another instance has the name now";
        assert!(done.stdout.contains(said), "{}", done.stdout);
        assert!(server.emulator.journal().is_empty(), "it was written");
    }
}

#[test]
fn credentials_are_never_printed() {
    let server = Server::start(differing(1), Quirks::default());
    let stage = Stage::new(CONFIG, &differing(1));
    for format in ["text", "json"] {
        let args = [
            "apply",
            "--yes",
            "-vvvv",
            "--log-format",
            format,
            "--report",
            "json=r.json",
        ];
        // A token beside permanent keys is refused, and a refusal tells none either.
        let token = ("AWS_SESSION_TOKEN", "the-token-of-this-test");
        let refused = Done::of(server.command(&stage, &args).env(token.0, token.1));
        let asked = "GetInstances";
        let accepted = Done::of(&mut server.command(&stage, &args));
        for (done, code) in [(refused, 6), (accepted, 0)] {
            assert_eq!(done.code, Some(code), "{}{}", done.stdout, done.stderr);
            assert!(
                done.stderr.contains(asked),
                "nothing was logged: {}",
                done.stderr
            );
            for text in [&done.stdout, &done.stderr, &stage.read("r.json")] {
                assert!(
                    !text.contains(SECRET) && !text.contains("the-token-of-this-test"),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn invalid_credentials_make_the_run_incomplete() {
    let server = Server::start(synced(), Quirks::default());
    let stage = Stage::new(CONFIG, &synced());
    let done = Done::of(
        server
            .command(&stage, &["drift"])
            .env("AWS_SECRET_ACCESS_KEY", "another"),
    );
    assert_eq!(done.code, Some(6), "{}{}", done.stdout, done.stderr);
    assert!(
        done.stdout.contains("InvalidSignatureException") && done.stdout.contains("hint:"),
        "{}",
        done.stdout
    );
}

#[test]
fn interrupt_finishes_calls_in_flight_and_reports() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let quirks = Quirks {
            operations: OperationProgress::Explicit,
            ..Quirks::default()
        };
        let server = Server::start(differing(2), quirks);
        let stage = Stage::new(CONFIG, &differing(2));
        let args = [
            "apply",
            "--yes",
            "--concurrency",
            "1",
            "--report",
            "json=report.json",
        ];
        let child = server
            .command(&stage, &args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command runs");
        // The first write is accepted, and its operation stays open until the command knows that it shall stop.
        while server.emulator.journal().is_empty() {
            thread::yield_now();
        }
        let child = interrupted(child, signal);
        server.emulator.finish_operations();
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(
            output.status.code(),
            Some(code),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let report: serde_json::Value =
            serde_json::from_str(&stage.read("report.json")).expect("JSON");
        assert_eq!(report["interrupted"], true);
        assert_eq!(report["instances"][0]["outcome"]["status"], "applied");
        assert_eq!(report["instances"][1]["outcome"]["status"], "not-started");
        assert_eq!(
            server.emulator.journal().len(),
            1,
            "nothing was begun after the signal"
        );

        server.emulator.finish_operations();
        let rest = Server::start(server.emulator.inventory(), Quirks::default());
        assert_eq!(rest.run(&stage, &["apply", "--yes"]).code, Some(0));
        assert_eq!(rest.run(&stage, &["drift"]).code, Some(0));
    }
}

/// Sends the signal and waits until the command says that it heard it.
fn interrupted(mut child: Child, signal: &str) -> Child {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &child.id().to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
    let stderr = child.stderr.as_mut().expect("a pipe");
    let mut heard = Vec::new();
    let mut byte = [0];
    while !heard.ends_with(b"again to quit now") {
        assert_eq!(
            stderr.read(&mut byte).expect("a byte"),
            1,
            "{}",
            String::from_utf8_lossy(&heard)
        );
        heard.push(byte[0]);
    }
    child
}
