//! What is asked on a terminal, and what becomes of a run that has to be confirmed: confirmed, denied, cut off, killed.

use std::fs;

use rustix::process::Signal;

use crate::stage::{Stage, fleet, instance, rule};
use crate::terminal::{Session, Terminal};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[instances.web-1]
rules = [{ allow = "https", from = "203.0.113.0/24" }]
"#;

const QUESTION: &str = "Type \"yes\" to apply: ";
const ENTER: &str = "Press Enter within";

fn stage() -> Stage {
    let before = vec![rule("tcp", 80, 80, &["203.0.113.0/24"])];
    Stage::new(CONFIG, &fleet(vec![instance("web-1", before)]))
}

/// The only rule of the only instance.
fn port(stage: &Stage) -> i32 {
    let fleet = stage.fleet();
    let entry = fleet.regions["eu-central-1"].first().expect("an instance");
    let [rule] = &entry.port_states.as_ref().expect("rules")[..] else {
        panic!("{entry:?}")
    };
    rule.from_port
}

fn apply(stage: &Stage, terminal: Terminal, flags: &[&str]) -> Session {
    let args = [&["apply", "--emulator", "fleet.json"], flags].concat();
    terminal.run(stage.command(&args))
}

#[test]
fn only_yes_after_the_prompt_is_consent() {
    for (ahead, answer, code, after) in [
        ("yes\n", "no\n", 1, 80),
        ("yes\nyes\n\n", "\n", 1, 80),
        ("no\n", "yes\n", 0, 443),
        ("", "\u{4}", 1, 80),
    ] {
        let stage = stage();
        let mut terminal = Terminal::open();
        terminal.types(ahead);
        let mut session = apply(&stage, terminal, &[]);
        session.sees(QUESTION);
        session.types(answer);
        let done = session.ends();
        assert_eq!(done.code, Some(code), "{ahead:?} {}", done.shown());
        assert_eq!(port(&stage), after, "{ahead:?}");
    }
}

#[test]
fn signal_ends_the_prompt_at_once() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 143)] {
        let stage = stage();
        let mut session = apply(&stage, Terminal::open(), &["--report", "json=report.json"]);
        session.sees(QUESTION);
        session.signal(signal);
        let done = session.ends();
        assert_eq!(done.code, Some(code), "{signal:?} {}", done.shown());
        assert_eq!(port(&stage), 80);
        assert!(!stage.path(".portward").exists());
        let report: serde_json::Value =
            serde_json::from_str(&stage.read("report.json")).expect("JSON");
        assert_eq!(report["exitCode"], code);
    }
}

#[test]
fn only_enter_after_the_prompt_confirms() {
    let within = ["--yes", "--confirm-within", "10m"];
    for (signal, code) in [
        (None, 0),
        (Some(Signal::INT), 130),
        (Some(Signal::TERM), 143),
        (Some(Signal::HUP), 143),
    ] {
        let stage = stage();
        let mut terminal = Terminal::open();
        terminal.types("\n\ny\n");
        let mut session = apply(&stage, terminal, &within);
        session.sees(ENTER);
        match signal {
            None => session.types("\n"),
            Some(signal) => session.signal(signal),
        }
        let done = session.ends();
        assert_eq!(done.code, Some(code), "{signal:?} {}", done.shown());
        let after = if signal.is_none() { 443 } else { 80 };
        assert_eq!(port(&stage), after, "{}", done.shown());
    }
}

#[test]
fn closed_terminal_does_not_confirm() {
    let stage = stage();
    // With every line that may be logged, none of which can be written any more.
    let within = ["--yes", "--confirm-within", "10m", "-vvv"];
    let mut session = apply(&stage, Terminal::open(), &within);
    session.sees(ENTER);
    let done = session.hangs_up();
    assert_eq!(done.code, Some(143), "{}", done.shown());
    assert_eq!(port(&stage), 80);
    assert!(done.stdout.contains("put back"), "{}", done.shown());
}

#[test]
fn repeated_hang_ups_do_not_stop_the_revert() {
    let stage = stage();
    let within = ["--yes", "--confirm-within", "10m"];
    let mut session = apply(&stage, Terminal::open(), &within);
    session.sees(ENTER);
    session.signal(Signal::STOP);
    for signal in [Signal::HUP, Signal::TERM, Signal::HUP, Signal::CONT] {
        session.signal(signal);
    }
    let done = session.ends();
    assert_eq!(done.code, Some(143), "{}", done.shown());
    assert_eq!(port(&stage), 80);
}

/// A run that was killed while it waited for its confirmation.
fn killed() -> Stage {
    let stage = stage();
    let within = ["--yes", "--confirm-within", "10m"];
    let mut session = apply(&stage, Terminal::open(), &within);
    session.sees(ENTER);
    let going = stage.run(&["plan", "--inventory", "fleet.json"]);
    let said = "is not confirmed yet, and goes on: its receipt is .portward/receipts/";
    assert!(going.says(said), "{}", going.shown());
    session.kill();
    assert_eq!(port(&stage), 443);
    stage
}

/// The command that a warning about an unconfirmed run names, as arguments.
fn command(stderr: &str) -> Vec<String> {
    let said = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, command) = said
        .split_once("was cut off before it was confirmed")
        .and_then(|(_, rest)| rest.split_once("`portward "))
        .expect("a warning with a command");
    let (command, _) = command.split_once('`').expect("its end");
    command.split(' ').map(str::to_owned).collect()
}

#[test]
fn unconfirmed_run_is_reported_until_it_is_rolled_back() {
    let stage = killed();
    for verb in [
        &["plan"][..],
        &["drift"],
        &["apply", "--yes"],
        &["drift", "--adopt"],
    ] {
        let done = stage.on_fleet(&[verb, &["--report", "json=report.json"]].concat());
        assert_eq!(done.code, Some(0), "{verb:?} {}", done.shown());
        assert_eq!(command(&done.stderr)[0], "rollback", "{verb:?}");
        let report: serde_json::Value =
            serde_json::from_str(&stage.read("report.json")).expect("JSON");
        let problem = report["problems"][0]["message"].as_str();
        let named = problem.is_some_and(|problem| problem.contains("portward rollback"));
        assert!(named, "{verb:?} {report}");
    }
    let plan = stage.on_fleet(&["plan"]);
    let command = command(&plan.stderr);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let back = stage.on_fleet(&command);
    assert_eq!(back.code, Some(0), "{}", back.shown());
    let apply = stage.on_fleet(&["apply", "back.json", "--yes"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    assert_eq!(port(&stage), 80);
    let plan = stage.on_fleet(&["plan"]);
    assert!(!plan.says("cut off"), "{}", plan.shown());
}

#[test]
fn unconfirmed_run_is_reported_until_its_receipt_is_removed() {
    let stage = killed();
    // A run on something else that came to its end has not undone it.
    let mut fleet = stage.fleet();
    let others = fleet.regions.values_mut();
    others.for_each(|entries| entries.push(instance("web-2", vec![])));
    stage.populate(&fleet);
    stage.configure(&format!(
        "{CONFIG}[instances.web-2]\nrules = [{{ allow = \"https\", from = \"203.0.113.0/24\" }}]\n"
    ));
    let apply = stage.on_fleet(&["apply", "--yes"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    let elsewhere = stage.on_fleet(&["plan", "--receipts", "elsewhere"]);
    assert!(!elsewhere.says("cut off"), "{}", elsewhere.shown());
    let plan = stage.on_fleet(&["plan"]);
    let path = command(&plan.stderr)[1].clone();
    // A damaged one is named too, because it may be of such a run.
    let text = stage.read(&path);
    let damaged = text.replacen("\"type\":\"intent\"", "\"type\":\"wish\"", 1);
    fs::write(stage.path(&path), damaged).expect("a file");
    let plan = stage.on_fleet(&["plan"]);
    let said = format!("its receipt {path} cannot be read: line 2 of the receipt is damaged");
    assert!(plan.says(&said), "{}", plan.shown());
    fs::remove_file(stage.path(&path)).expect("a receipt");
    let plan = stage.on_fleet(&["plan"]);
    assert!(!plan.says("cut off"), "{}", plan.shown());
}

#[test]
fn probe_gets_no_secrets_and_leaves_no_process() {
    let stage = stage();
    let probe = "env > env.txt; sleep 1000 & echo $! > pid; kill -TERM $PPID; wait";
    let mut command = stage.command(&["apply", "--yes", "--emulator", "fleet.json"]);
    command
        .args(["--confirm-within", "10m", "--probe", probe])
        .env("AWS_SECRET_ACCESS_KEY", "a-secret")
        .env("AWS_SESSION_TOKEN", "a-secret")
        .env("PORTWARD_NOTIFY_TOKEN", "a-secret")
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "a-secret")
        .env("GITHUB_TOKEN", "a-secret")
        .env("HARMLESS", "harmless");
    let done = crate::stage::Done::of(&mut command);
    assert_eq!(done.code, Some(143), "{}", done.shown());
    assert_eq!(port(&stage), 80);
    let env = stage.read("env.txt");
    assert!(
        !env.contains("a-secret") && env.contains("HARMLESS=harmless"),
        "{env}"
    );
    let pid = stage.read("pid").trim().parse().expect("a number");
    assert!(is_gone(pid), "{pid} is still there");
}

/// Whether a process has ended, which it does at once after it was killed. One that nobody has waited for is over too.
fn is_gone(pid: i32) -> bool {
    let id = rustix::process::Pid::from_raw(pid).expect("not 0");
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while std::time::Instant::now() < until {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let is_over = state
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z'));
        if is_over || rustix::process::test_kill_process(id).is_err() {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

#[cfg(target_os = "linux")]
#[test]
fn nohup_run_survives_its_terminal() {
    let stage = stage();
    let mut command = std::process::Command::new("sh");
    let inner = stage.command(&[
        "apply",
        "--yes",
        "--emulator",
        "fleet.json",
        "--confirm-within",
        "10m",
        "--probe",
        "kill -HUP $PPID",
    ]);
    command
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir(inner.get_current_dir().expect("a folder"));
    let done = crate::stage::Done::of(&mut command);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_eq!(port(&stage), 443);
}

#[test]
fn signal_ends_the_wait_for_a_notification() {
    let stage = stage();
    let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", server.local_addr().expect("an address"));
    let args = ["drift", "--emulator", "fleet.json", "--notify-url", &url];
    let session = Terminal::open().run(stage.command(&args));
    // It never gets an answer.
    let _connection = server.accept().expect("a notification");
    session.signal(Signal::TERM);
    let done = session.ends();
    assert_eq!(done.code, Some(143), "{}", done.shown());
}
