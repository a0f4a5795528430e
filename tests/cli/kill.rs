//! The command, really killed: around every request and in the midst of its receipt. The next run gets there, the receipt
//! says what happened, and the way back is open.
//!
//! Does not wait: a request is held by the emulator for ever, and the process is killed as soon as the emulator has it.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use portward::apply::receipt::{FOLDER, Receipt, ReceiptError};
use portward::emulator::{EmulatorOptions, Faults, RequestFault, ScriptedEvent, Trigger, Write};
use portward::exposure::Effective;
use portward::inventory::Inventory;
use portward::model::{Family, InstanceId, LiveFirewall, PortState};

use crate::served_emulator::Server;
use crate::stage::{Done, REGION, Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[instances.web-1]
rules = [{ allow = "ssh", from = "203.0.113.0/24" }]
[instances.db-1]
mode = "additive"
rules = [{ allow = "postgres", from = "203.0.113.0/24" }]
absent = [{ allow = "tcp/8080" }]
"#;

/// One thing after the other, so that the requests come in one order.
const APPLY: [&str; 4] = ["apply", "--yes", "--concurrency", "1"];

/// The instances that the requests name, after the one that lists them: a read of each for the plan, then for each the
/// read before the writes, which instance it is, the writes, and the proof; for the Open and the Close also who else wrote.
const REQUESTS: [&str; 12] = [
    "db-1", "web-1", "db-1", "db-1", "db-1", "db-1", "db-1", "db-1", "web-1", "web-1", "web-1",
    "web-1",
];

/// The receipt is cut off at every so many bytes.
const STEP: u64 = 60;

fn before() -> Inventory {
    fleet(vec![
        instance(
            "web-1",
            vec![
                rule("tcp", 22, 22, &["203.0.113.0/25"]),
                rule("tcp", 80, 80, &["0.0.0.0/0"]),
            ],
        ),
        instance(
            "db-1",
            vec![
                rule("tcp", 22, 22, &["198.51.100.0/24"]),
                rule("tcp", 8080, 8080, &["203.0.113.0/24"]),
            ],
        ),
    ])
}

fn after() -> Inventory {
    fleet(vec![
        instance("web-1", vec![rule("tcp", 22, 22, &["203.0.113.0/24"])]),
        instance(
            "db-1",
            vec![
                rule("tcp", 22, 22, &["198.51.100.0/24"]),
                rule("tcp", 5432, 5432, &["203.0.113.0/24"]),
            ],
        ),
    ])
}

fn id(name: &str) -> InstanceId {
    InstanceId {
        account: None,
        region: REGION.to_owned(),
        name: name.to_owned(),
    }
}

#[test]
fn apply_killed_around_any_request_is_completed_by_the_next_run() {
    for (place, name) in REQUESTS.iter().enumerate() {
        for trouble in [RequestFault::SilentBefore, RequestFault::SilentAfter] {
            let situation = format!("{trouble:?} at request {place}");
            let nth = REQUESTS[..=place].iter().filter(|of| *of == name).count();
            let server = serve(vec![Trigger {
                instance: id(name),
                action: None,
                nth: u64::try_from(nth).expect("a few"),
                event: ScriptedEvent::RequestFault(trouble),
            }]);
            let stage = Stage::new(CONFIG, &before());
            let mut command = stage.command(&APPLY);
            server.point(&mut command);
            let mut child = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the command runs");
            // The listing comes first.
            while server.emulator.requests().values().sum::<usize>() < place + 2 {
                let ended = child.try_wait().expect("a child");
                assert!(
                    ended.is_none(),
                    "{situation}: it ended by itself: {ended:?}"
                );
                thread::yield_now();
            }
            child.kill().expect("it still runs");
            child.wait().expect("it ends");
            judge(&server, &stage, &situation);
        }
    }
    // The table above is the whole run: it ends by itself with these requests and no more.
    let server = serve(Vec::new());
    let stage = Stage::new(CONFIG, &before());
    assert_eq!(server.run(&stage, &APPLY).code, Some(0));
    let requests: usize = server.emulator.requests().values().sum();
    assert_eq!(requests, REQUESTS.len() + 1);
}

/// The kernel kills a process that makes a file larger than it may: in the midst of a line, or right before it.
#[cfg(target_os = "linux")]
#[test]
fn apply_killed_while_writing_its_receipt_is_completed_by_the_next_run() {
    let there = Command::new("prlimit").arg("--version").output();
    if !there.is_ok_and(|output| output.status.success()) {
        let _ = writeln!(std::io::stderr(), "skipped: there is no `prlimit` here");
        return;
    }
    let (mut torn, mut killed) = (0, 0);
    for bytes in (0..).step_by(usize::try_from(STEP).expect("small")) {
        let situation = format!("a receipt of {bytes} bytes at most");
        let server = serve(Vec::new());
        let stage = Stage::new(CONFIG, &before());
        let mut command = limited(&stage.command(&APPLY), bytes);
        server.point(&mut command);
        let done = Done::of(&mut command);
        let receipt = judge(&server, &stage, &situation);
        torn += usize::from(receipt.is_none_or(|receipt| receipt.torn.is_some()));
        match done.code {
            None => killed += 1,
            Some(code) => {
                assert_eq!(code, 0, "{situation}: {}", done.stderr);
                break;
            }
        }
    }
    assert!(killed > 20 && torn > 20, "{killed} killed, {torn} torn");
}

/// The same command under a limit to the size of files.
fn limited(command: &Command, bytes: u64) -> Command {
    let mut limited = Command::new("prlimit");
    limited
        .args([&format!("--fsize={bytes}"), "--"])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            limited.env(name, value);
        }
    }
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited
}

fn serve(script: Vec<Trigger>) -> Server {
    let faults = Faults {
        script,
        ..Faults::default()
    };
    let options = EmulatorOptions {
        faults,
        ..EmulatorOptions::default()
    };
    Server::with(before(), options)
}

/// What must hold after a run that died here; gives its receipt, where it has a whole header.
fn judge(server: &Server, stage: &Stage, situation: &str) -> Option<Receipt> {
    let journal: Vec<_> = server.emulator.journal();
    for write in &journal {
        nothing_but_what_is_planned(write, situation);
    }
    let path = receipt(stage);
    let receipt = path.as_ref().and_then(|path| match Receipt::read(path) {
        Ok(receipt) => Some(receipt),
        Err(ReceiptError::NoHeader) => None,
        Err(damage) => panic!("{situation}: {damage}"),
    });
    let mut intents = receipt.iter().flat_map(|receipt| &receipt.writes);
    for write in &journal {
        let told = intents.any(|intent| {
            (&intent.id, intent.call.action()) == (&write.instance, write.action)
                && intent.arn == write.arn
                && intent.before == LiveFirewall::read(&write.before)
                && intent.after == LiveFirewall::read(&write.after)
                && intent.may_have_happened()
        });
        assert!(told, "{situation}: {write:?} is not in {receipt:?}");
    }
    if let (Some(path), Some(_)) = (&path, &receipt) {
        the_way_back_is_open(server, stage, path, situation);
    }
    for verb in [&APPLY[..], &["drift"]] {
        let done = server.run(stage, verb);
        assert_eq!(
            done.code,
            Some(0),
            "{situation}: {verb:?}: {}",
            done.shown()
        );
    }
    same_access(&server.emulator.inventory(), &after(), situation);
    receipt
}

/// Nothing that is allowed before and after is shut, and nothing is open that neither allows.
fn nothing_but_what_is_planned(write: &Write, situation: &str) {
    let end = |inventory| effective(&rules(&inventory, &write.instance));
    let (before, after) = (end(before()), end(after()));
    let now = effective(&write.after);
    assert!(
        now.is_superset(&before.intersection(&after)) && before.union(&after).is_superset(&now),
        "{situation}: {write:?}"
    );
}

/// A rollback of the run that died brings everything back to what it was.
fn the_way_back_is_open(server: &Server, stage: &Stage, path: &std::path::Path, situation: &str) {
    let copy = Server::with(server.emulator.inventory(), EmulatorOptions::default());
    let path = path.to_str().expect("UTF-8");
    for verb in [
        &["rollback", path, "--out", "back.json"][..],
        &["apply", "back.json", "--yes", "--receipts", "back"],
    ] {
        let done = copy.run(stage, verb);
        assert_eq!(
            done.code,
            Some(0),
            "{situation}: {verb:?}: {}",
            done.shown()
        );
    }
    same_access(&copy.emulator.inventory(), &before(), situation);
}

fn same_access(is: &Inventory, wanted: &Inventory, situation: &str) {
    for (id, _) in wanted.entries() {
        let (is, wanted) = (rules(is, &id), rules(wanted, &id));
        assert_eq!(
            effective(&is),
            effective(&wanted),
            "{situation}: {id}: {is:?}"
        );
    }
}

fn rules(inventory: &Inventory, id: &InstanceId) -> Vec<PortState> {
    let mut entries = inventory.entries();
    let found = entries.find(|(of, _)| of == id);
    let rules = found.and_then(|(_, entry)| entry.port_states.as_deref());
    rules.expect("an instance of this test").to_vec()
}

fn effective(rules: &[PortState]) -> Effective {
    Effective::of(LiveFirewall::read(rules).firewall(), Family::V4)
}

/// The receipt of the only run so far.
fn receipt(stage: &Stage) -> Option<PathBuf> {
    let folder = fs::read_dir(stage.path(FOLDER)).ok()?;
    let mut paths: Vec<PathBuf> = folder
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert!(paths.len() <= 1, "{paths:?}");
    paths.pop()
}
