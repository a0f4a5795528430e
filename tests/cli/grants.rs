//! Access for a time, as a user meets it: granted, listed, honoured, revoked, and closed when its time is over even if
//! everybody forgets.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::thread;

use portward::emulator::{
    Faults, OnClose, OnOpen, Options, Progress, Quirks, ScriptedEvent, Trigger, Trouble,
};
use portward::inventory::Inventory;
use portward::model::{InstanceId, PortState};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::served::Server;
use crate::stage::{Done, REGION, Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[grants]
services = ["ssh", "tcp/8000-8100"]
max = "8h"
[instances.web-1]
rules = [
  { allow = "https", from = "anywhere" },
  { allow = "ssh", from = "198.51.100.0/24" },
]
"#;

/// Nothing else opens SSH, so that a grant is the whole rule.
const CLOSED: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[grants]
services = ["ssh"]
max = "8h"
[instances.web-1]
rules = [{ allow = "https", from = "anywhere" }]
"#;

const GRANT: [&str; 7] = [
    "grant",
    "web-1",
    "ssh",
    "--from",
    "203.0.113.7",
    "--for",
    "30m",
];

fn https() -> PortState {
    rule("tcp", 443, 443, &["0.0.0.0/0", "::/0"])
}

fn declared() -> Inventory {
    fleet(vec![instance(
        "web-1",
        vec![https(), rule("tcp", 22, 22, &["198.51.100.0/24"])],
    )])
}

fn closed() -> Inventory {
    fleet(vec![instance("web-1", vec![https()])])
}

/// An instant so many minutes from now, as `--as-of` takes it.
fn later(minutes: i64) -> String {
    let at = OffsetDateTime::now_utc() + time::Duration::minutes(minutes);
    at.format(&Rfc3339).expect("an instant")
}

/// The sources of SSH, and the tags.
fn state(fleet: &Inventory) -> (BTreeSet<String>, BTreeSet<String>) {
    let (_, entry) = fleet.entries().next().expect("an instance");
    let rules = entry.port_states.iter().flat_map(|rules| rules.iter());
    let ssh = rules.filter(|rule| rule.from_port == 22);
    let sources = ssh.flat_map(|rule| rule.cidrs.iter().chain(&rule.ipv6_cidrs).cloned());
    (sources.collect(), entry.tags.keys().cloned().collect())
}

fn assert_ssh(fleet: &Inventory, sources: &[&str], tags: usize, situation: &str) {
    let (found, there) = state(fleet);
    let expected: BTreeSet<String> = sources.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{situation}");
    assert_eq!(there.len(), tags, "{situation}: {there:?}");
}

#[test]
fn a_grant_is_honoured_until_its_end_and_closed_then() {
    let stage = Stage::new(CONFIG, &declared());
    let done = stage.on_fleet(&[&GRANT[..], &["--reason", "deploy 4711"]].concat());
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert!(
        done.says("tcp/22 from 203.0.113.7/32 is open on eu-central-1/web-1 until 20"),
        "{}",
        done.shown()
    );
    assert_ssh(
        &stage.fleet(),
        &["198.51.100.0/24", "203.0.113.7/32"],
        1,
        "granted",
    );
    // It is declared, and named with its end.
    stage.assert_in_sync();
    let plan = stage.on_fleet(&["plan"]);
    assert!(plan.says("is granted to "), "{}", plan.shown());
    assert!(plan.says(": deploy 4711"), "{}", plan.shown());
    let listed = stage.json(&["grants"]);
    let one = &listed["grants"][0];
    assert_eq!(one["state"], "live", "{listed}");
    assert_eq!(one["instance"]["name"], "web-1");
    assert_eq!(one["lease"]["why"], "deploy 4711");
    assert_eq!(one["lease"]["cidrs"], serde_json::json!(["203.0.113.7/32"]));
    // Before its end nothing is over.
    let before = stage.read("fleet.json");
    let none = stage.on_fleet(&["apply", "--only-expired", "--yes", "--as-of", &later(29)]);
    assert_eq!(none.code, Some(0), "{}", none.shown());
    assert_eq!(stage.read("fleet.json"), before);
    // After it the rule is a difference, and only that is closed.
    let over = later(31);
    let drift = stage.on_fleet(&["drift", "--as-of", &over]);
    assert_eq!(drift.code, Some(2), "{}", drift.shown());
    let listed = stage.on_fleet(&["grants", "--as-of", &over]);
    assert!(listed.stdout.starts_with("expired "), "{}", listed.shown());
    let metrics = stage.on_fleet(&["grants", "--as-of", &over, "--format", "prometheus"]);
    assert!(
        metrics.says("portward_grants{state=\"expired\"} 1\n"),
        "{}",
        metrics.shown()
    );
    let done = stage.on_fleet(&["apply", "--only-expired", "--yes", "--as-of", &over]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_ssh(&stage.fleet(), &["198.51.100.0/24"], 0, "over");
    stage.assert_in_sync();
}

#[test]
fn the_next_apply_ends_what_is_over_without_consent() {
    let stage = Stage::new(CLOSED, &closed());
    let done = stage.on_fleet(&GRANT);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    // Nobody gets in by SSH but by the grant, and that it ends is no lock-out.
    let done = stage.on_fleet(&["apply", "--yes", "--as-of", &later(31)]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_ssh(&stage.fleet(), &[], 0, "over");
    stage.assert_in_sync();
}

#[test]
fn only_expired_changes_nothing_else() {
    let stage = Stage::new(CONFIG, &declared());
    assert_eq!(stage.on_fleet(&GRANT).code, Some(0));
    // Somebody opens a port by hand, and closes a declared one.
    let mut fleet = stage.fleet();
    let entries = fleet.regions.get_mut(REGION).expect("a region");
    let rules = entries[0].port_states.clone().expect("rules");
    let mut rules: Vec<PortState> = rules.iter().cloned().collect();
    rules.retain(|rule| rule.from_port != 443);
    rules.push(rule("tcp", 8080, 8080, &["0.0.0.0/0"]));
    entries[0].port_states = Some(rules.into());
    stage.populate(&fleet);
    let done = stage.on_fleet(&["apply", "--only-expired", "--yes", "--as-of", &later(31)]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_ssh(&stage.fleet(), &["198.51.100.0/24"], 0, "over");
    let ports: Vec<i32> = stage
        .fleet()
        .entries()
        .filter_map(|(_, entry)| entry.port_states.clone())
        .flat_map(|rules| rules.iter().map(|rule| rule.from_port).collect::<Vec<_>>())
        .collect();
    assert!(ports.contains(&8080) && !ports.contains(&443), "{ports:?}");
    assert_eq!(stage.on_fleet(&["apply", "--yes"]).code, Some(0));
    stage.assert_in_sync();
}

#[test]
fn what_grants_does_not_permit_is_refused_before_anything_is_written() {
    let stage = Stage::new(CONFIG, &declared());
    let before = stage.read("fleet.json");
    let refused = |args: &[&str], why: &str, code: i32| {
        let done = stage.on_fleet(args);
        assert_eq!(done.code, Some(code), "{}", done.shown());
        assert!(done.says(why), "{}", done.shown());
        assert_eq!(stage.read("fleet.json"), before, "{args:?}");
    };
    let of = |service, from, time| ["grant", "web-1", service, "--from", from, "--for", time];
    refused(&of("postgres", "203.0.113.7", "30m"), "and not tcp/5432", 3);
    refused(
        &of("ssh", "203.0.113.0/24", "30m"),
        "203.0.113.0/24 is wider",
        3,
    );
    refused(&of("ssh", "203.0.113.7", "9h"), "permits 8h at most", 3);
    refused(
        &of("ssh", "lightsail-connect", "1h"),
        "is not an address",
        64,
    );
    refused(
        &[
            "grant",
            "web-9",
            "ssh",
            "--from",
            "203.0.113.7",
            "--for",
            "1h",
        ],
        "there is no instance `web-9`",
        1,
    );
    let reason = CONFIG.replace("max = ", "reason = \"required\"\nmax = ");
    stage.configure(&reason);
    refused(&GRANT, "`[grants]` requires a reason", 3);
    stage.configure(&CONFIG.replace("max = ", "match = { name = \"db-*\" }\nmax = "));
    refused(
        &GRANT,
        "`match` of `[grants]` does not take the instance",
        3,
    );
    stage.configure(&CONFIG.replace("rules = [", "mode = \"observe\"\nrules = ["));
    refused(&GRANT, "is in observe mode", 3);
    let policy = "[[policy]]\nid = \"ssh-from-home\"\nservices = \"ssh\"\nonly-from = \"198.51.100.0/24\"\n[instances.web-1]";
    stage.configure(&CONFIG.replace("[instances.web-1]", policy));
    refused(&GRANT, "policy `ssh-from-home`", 3);
    let (top, rest) = CONFIG.split_once("[grants]").expect("a table");
    let (_, rest) = rest.split_once("[instances").expect("a table");
    stage.configure(&format!("{top}[instances{rest}"));
    refused(
        &GRANT,
        "the configuration has no `[grants]`, so nobody may grant anything",
        3,
    );
}

#[test]
fn additive_mode_keeps_what_is_not_ours() {
    let config = CLOSED.replace("rules = [", "mode = \"additive\"\nrules = [");
    // Somebody's own rule, of which a grant would be a part.
    let stage = Stage::new(
        &config,
        &fleet(vec![instance(
            "web-1",
            vec![https(), rule("tcp", 22, 22, &["203.0.113.0/24"])],
        )]),
    );
    let done = stage.on_fleet(&GRANT);
    assert_eq!(done.code, Some(3), "{}", done.shown());
    assert!(
        done.says("open already by a rule that nothing declares"),
        "{}",
        done.shown()
    );
    // Beside it a grant comes and goes.
    let from = [
        "grant",
        "web-1",
        "ssh",
        "--from",
        "192.0.2.7",
        "--for",
        "30m",
    ];
    let done = stage.on_fleet(&from);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_ssh(
        &stage.fleet(),
        &["192.0.2.7/32", "203.0.113.0/24"],
        1,
        "granted",
    );
    stage.assert_in_sync();
    for only in [true, false] {
        let copy = Stage::new(&config, &stage.fleet());
        let mut apply = vec!["apply", "--yes", "--as-of"];
        let over = later(31);
        apply.push(&over);
        apply.extend(only.then_some("--only-expired"));
        let done = copy.on_fleet(&apply);
        assert_eq!(done.code, Some(0), "{}", done.shown());
        assert_ssh(&copy.fleet(), &["203.0.113.0/24"], 0, "over");
        copy.assert_in_sync();
    }
}

#[test]
fn a_grant_is_revoked_by_its_access_its_id_or_its_owner() {
    let stage = Stage::new(CONFIG, &declared());
    for how in 0..3 {
        assert_eq!(stage.on_fleet(&GRANT).code, Some(0));
        let id = stage.json(&["grants"])["grants"][0]["lease"]["id"].clone();
        let id = id.as_str().expect("an id").to_owned();
        let revoke = match how {
            0 => vec!["revoke", "web-1", "ssh", "--from", "203.0.113.7"],
            1 => vec!["revoke", &id],
            _ => vec!["revoke", "--all", "--mine"],
        };
        let done = stage.on_fleet(&revoke);
        assert_eq!(done.code, Some(0), "{}", done.shown());
        assert!(done.says("is no longer granted"), "{}", done.shown());
        assert_ssh(&stage.fleet(), &["198.51.100.0/24"], 0, "revoked");
        stage.assert_in_sync();
    }
    let none = stage.on_fleet(&["revoke", "abcd"]);
    assert_eq!(none.code, Some(1), "{}", none.shown());
    let none = stage.on_fleet(&["revoke", "--all"]);
    assert_eq!(
        (none.code, none.stdout.as_str()),
        (Some(0), "Nothing was granted.\n")
    );
}

#[test]
fn a_revoke_leaves_what_is_declared_and_what_others_have() {
    let stage = Stage::new(CONFIG, &declared());
    // The declared network holds one of them, and two have the same.
    let of = |from| ["grant", "web-1", "ssh", "--from", from, "--for", "30m"];
    for from in ["198.51.100.7", "203.0.113.7", "203.0.113.7", "203.0.113.8"] {
        let done = stage.on_fleet(&of(from));
        assert_eq!(done.code, Some(0), "{}", done.shown());
    }
    let grants = stage.json(&["grants"]);
    let twice = grants["grants"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|grant| grant["lease"]["cidrs"] == serde_json::json!(["203.0.113.7/32"]));
    let id = twice.expect("a grant")["lease"]["id"]
        .as_str()
        .expect("an id");
    assert_eq!(stage.on_fleet(&["revoke", id]).code, Some(0));
    let (sources, tags) = state(&stage.fleet());
    assert!(
        sources.contains("203.0.113.7/32") && sources.contains("203.0.113.8/32"),
        "{sources:?}"
    );
    assert_eq!(tags.len(), 3);
    stage.assert_in_sync();
    let done = stage.on_fleet(&["revoke", "web-1", "ssh", "--from", "198.51.100.7"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert!(state(&stage.fleet()).0.contains("198.51.100.0/24"));
    stage.assert_in_sync();
    assert_eq!(stage.on_fleet(&["revoke", "--all"]).code, Some(0));
    assert_ssh(&stage.fleet(), &["198.51.100.0/24"], 0, "all");
    stage.assert_in_sync();
}

#[test]
fn an_address_that_changed_takes_the_place_of_the_old_one() {
    let stage = Stage::new(CLOSED, &closed());
    assert_eq!(stage.on_fleet(&GRANT).code, Some(0));
    let new = [
        "grant",
        "web-1",
        "ssh",
        "--from",
        "203.0.113.8",
        "--for",
        "1h",
        "--replace",
    ];
    let done = stage.on_fleet(&new);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_ssh(&stage.fleet(), &["203.0.113.8/32"], 1, "replaced");
    // The same address again only gets more time.
    let done = stage.on_fleet(&new);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_ssh(&stage.fleet(), &["203.0.113.8/32"], 1, "renewed");
    stage.assert_in_sync();
}

#[test]
fn tags_that_are_no_valid_grants_open_nothing_and_are_named() {
    let mut fleet = declared();
    let entries = fleet.regions.get_mut(REGION).expect("a region");
    let over = "1 20990102T031500Z tcp/22 203.0.113.9/32 by=x";
    for (key, value) in [
        ("portward:grant:aaaa", "what"),
        ("portward:grant:bbbb", over),
    ] {
        entries[0].tags.insert(key.to_owned(), value.to_owned());
    }
    let stage = Stage::new(CONFIG, &fleet);
    stage.assert_in_sync();
    let plan = stage.on_fleet(&["plan"]);
    for said in [
        "this tag is not a valid grant",
        "`[grants]` permits 8h at most",
        "portward:grant:aaaa",
    ] {
        assert!(plan.says(said), "{said}: {}", plan.shown());
    }
    let listed = stage.on_fleet(&["grants"]);
    assert!(
        listed.says("unreadable") && listed.says("not-honoured"),
        "{}",
        listed.shown()
    );
    for id in ["aaaa", "bbbb"] {
        let done = stage.on_fleet(&["revoke", id]);
        assert_eq!(done.code, Some(0), "{}", done.shown());
    }
    assert_ssh(&stage.fleet(), &["198.51.100.0/24"], 0, "removed");
    stage.assert_in_sync();
}

#[cfg(unix)]
#[test]
fn a_command_has_access_for_as_long_as_it_runs() {
    let stage = Stage::new(CLOSED, &closed());
    let with = |script: &str| {
        let with = [
            "with",
            "web-1",
            "ssh",
            "--from",
            "203.0.113.7",
            "--for",
            "20m",
        ];
        let emulated = ["--emulator", "fleet.json", "--", "sh", "-c", script];
        stage.run(&[&with[..], &emulated].concat())
    };
    let done = with("echo $PORTWARD_GRANT_ID $PORTWARD_GRANT_UNTIL; exit 7");
    assert_eq!(done.code, Some(7), "{}", done.shown());
    let words: Vec<&str> = done.stdout.split_whitespace().collect();
    assert!(
        matches!(words[..], [id, until] if id.len() == 8 && until.ends_with('Z')),
        "{}",
        done.shown()
    );
    assert_ssh(&stage.fleet(), &[], 0, "failed");
    // Killed itself, as a shell would say it.
    let done = with("kill -TERM $$");
    assert_eq!(done.code, Some(143), "{}", done.shown());
    // A signal to this program is passed on, and the command ends as it likes.
    for (signal, code) in [("TERM", 11), ("HUP", 12), ("INT", 13)] {
        let script = format!(
            "trap 'exit {code}' {signal}; kill -{signal} $PPID; while :; do sleep 0.01; done"
        );
        let done = with(&script);
        assert_eq!(done.code, Some(code), "{}", done.shown());
        assert!(done.says("is no longer granted"), "{}", done.shown());
        assert_ssh(&stage.fleet(), &[], 0, signal);
    }
    let emulated = ["--emulator", "fleet.json", "--", "./there-is-none"];
    let with = [
        "with",
        "web-1",
        "ssh",
        "--from",
        "203.0.113.7",
        "--for",
        "20m",
    ];
    let done = stage.run(&[&with[..], &emulated].concat());
    assert_eq!(done.code, Some(127), "{}", done.shown());
    assert_ssh(&stage.fleet(), &[], 0, "not found");
    stage.assert_in_sync();
}

fn served(quirks: Quirks, script: Vec<Trigger>, fleet: Inventory) -> Server {
    let faults = Faults {
        script,
        ..Faults::default()
    };
    Server::with(
        fleet,
        Options {
            quirks,
            faults,
            ..Options::default()
        },
    )
}

fn command(server: &Server, stage: &Stage, args: &[&str]) -> Command {
    let mut command = stage.command(args);
    server.point(&mut command);
    command.env("AWS_ENDPOINT_URL_STS", server.url());
    command
}

/// The four readings of Open and Close.
fn readings() -> Vec<Quirks> {
    let mut all = Vec::new();
    for open in [OnOpen::Merge, OnOpen::Replace] {
        for close in [OnClose::Sources, OnClose::Key] {
            all.push(Quirks {
                open,
                close,
                ..Quirks::default()
            });
        }
    }
    all
}

/// Sends a signal to a command once it has come so far, and gives how it ended.
#[cfg(unix)]
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
    // It says that it heard it.
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

#[cfg(unix)]
const SIGNALS: [(&str, i32); 3] = [("TERM", 143), ("INT", 130), ("HUP", 143)];

/// An operation that is under way is finished, so that there is a whole grant, or none any more.
#[cfg(unix)]
#[test]
fn a_signal_lets_what_is_in_flight_come_to_its_end() {
    for (signal, code) in SIGNALS {
        let quirks = Quirks {
            operations: Progress::Explicit,
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

/// Where nothing was opened yet, nothing is, and no tag is left; where nothing was closed yet, all is as it was.
#[cfg(unix)]
#[test]
fn a_signal_before_the_first_write_leaves_all_as_it_was() {
    for (signal, code) in SIGNALS {
        // An instance that never comes up takes no writes.
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

/// What is only observed is never written to, and a grant that would end before it could be opened safely is refused.
#[test]
fn what_cannot_be_ended_is_not_begun() {
    let stage = Stage::new(CLOSED, &closed());
    let short = [
        "grant",
        "web-1",
        "ssh",
        "--from",
        "203.0.113.7",
        "--for",
        "59s",
    ];
    let done = stage.on_fleet(&short);
    assert_eq!(done.code, Some(3), "{}", done.shown());
    assert!(
        done.says("a grant lasts for at least 60 s"),
        "{}",
        done.shown()
    );
    assert_eq!(stage.on_fleet(&GRANT).code, Some(0));
    stage.configure(&CLOSED.replace("rules = [", "mode = \"observe\"\nrules = ["));
    let before = stage.read("fleet.json");
    let done = stage.on_fleet(&["revoke", "--all"]);
    assert_eq!(done.code, Some(3), "{}", done.shown());
    assert!(
        done.says("is in observe mode, and is never written to"),
        "{}",
        done.shown()
    );
    assert_eq!(stage.read("fleet.json"), before);
}

/// Whatever is left on a server when all is over: closed by one run, and nothing else touched.
fn ends(server: &Server, config: &str, expected: &[&str], situation: &str) {
    let stage = Stage::new(config, &server.emulator.inventory());
    let over = later(500);
    let done = stage.on_fleet(&["apply", "--only-expired", "--yes", "--as-of", &over]);
    assert_eq!(done.code, Some(0), "{situation}: {}", done.shown());
    assert_ssh(&stage.fleet(), expected, 0, situation);
    stage.assert_in_sync();
}

#[test]
fn two_that_grant_at_once_both_get_in_and_expire_apart() {
    for quirks in readings() {
        let situation = format!("{:?} {:?}", quirks.open, quirks.close);
        let server = served(quirks, Vec::new(), closed());
        let stage = Stage::new(CLOSED, &closed());
        let grant = |address: &str| {
            let grant = ["grant", "web-1", "ssh", "--from", address, "--for", "1h"];
            command(&server, &stage, &grant)
        };
        let both = ["203.0.113.7", "203.0.113.8"].map(grant);
        let running = both.map(|mut command| thread::spawn(move || Done::of(&mut command)));
        for done in running.map(|thread| thread.join().expect("it ends")) {
            assert_eq!(done.code, Some(0), "{situation}: {}", done.shown());
        }
        assert_ssh(
            &server.emulator.inventory(),
            &["203.0.113.7/32", "203.0.113.8/32"],
            2,
            &situation,
        );
        // One ends, and the other has what it had.
        let revoke = ["revoke", "web-1", "ssh", "--from", "203.0.113.7"];
        let done = Done::of(&mut command(&server, &stage, &revoke));
        assert_eq!(done.code, Some(0), "{situation}: {}", done.shown());
        assert_ssh(
            &server.emulator.inventory(),
            &["203.0.113.8/32"],
            1,
            &situation,
        );
        ends(&server, CLOSED, &[], &situation);
    }
}

#[test]
fn a_grant_and_a_revoke_at_once_do_not_undo_each_other() {
    for quirks in readings() {
        let situation = format!("{:?} {:?}", quirks.open, quirks.close);
        let server = served(quirks, Vec::new(), declared());
        let stage = Stage::new(CONFIG, &declared());
        let first = Done::of(&mut command(&server, &stage, &GRANT));
        assert_eq!(first.code, Some(0), "{situation}: {}", first.shown());
        let grant = [
            "grant",
            "web-1",
            "ssh",
            "--from",
            "203.0.113.8",
            "--for",
            "1h",
        ];
        let revoke = ["revoke", "web-1", "ssh", "--from", "203.0.113.7"];
        let both = [&grant[..], &revoke].map(|args| command(&server, &stage, args));
        let running = both.map(|mut command| thread::spawn(move || Done::of(&mut command)));
        for done in running.map(|thread| thread.join().expect("it ends")) {
            assert_eq!(done.code, Some(0), "{situation}: {}", done.shown());
        }
        let inventory = server.emulator.inventory();
        assert_ssh(
            &inventory,
            &["198.51.100.0/24", "203.0.113.8/32"],
            1,
            &situation,
        );
        ends(&server, CONFIG, &["198.51.100.0/24"], &situation);
    }
}

/// Killed before and after every request of a grant and of a revoke: what is declared is open, nothing but the grant is
/// open besides, and one run after its end closes it.
#[test]
fn killed_around_every_request() {
    let id = InstanceId {
        account: None,
        region: REGION.to_owned(),
        name: "web-1".to_owned(),
    };
    let revoke = ["revoke", "web-1", "ssh", "--from", "203.0.113.7"];
    for (args, begun) in [(&GRANT[..], false), (&revoke, true)] {
        let mut nth = 0;
        let mut places = 0;
        loop {
            nth += 1;
            let mut finished = false;
            for trouble in [Trouble::SilentBefore, Trouble::SilentAfter] {
                let situation = format!("{args:?}: {trouble:?} at request {nth}");
                let inventory = if begun {
                    let stage = Stage::new(CONFIG, &declared());
                    assert_eq!(stage.on_fleet(&GRANT).code, Some(0));
                    stage.fleet()
                } else {
                    declared()
                };
                let trigger = Trigger {
                    instance: id.clone(),
                    action: None,
                    nth,
                    what: ScriptedEvent::Goes(trouble),
                };
                let server = served(Quirks::default(), vec![trigger], inventory);
                let stage = Stage::new(CONFIG, &declared());
                // The list and STS come before the first request that names the instance.
                let before = if begun { 1 } else { 2 };
                let mut child = command(&server, &stage, args)
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .expect("the command runs");
                let reached = usize::try_from(nth).expect("a few") + before;
                let asked = || server.emulator.requests().values().sum::<usize>();
                loop {
                    if asked() >= reached {
                        break;
                    }
                    if child.try_wait().expect("a child").is_some() {
                        finished = true;
                        break;
                    }
                    thread::yield_now();
                }
                let _ = child.kill();
                let _ = child.wait();
                if !finished {
                    places += 1;
                }
                let (sources, _) = state(&server.emulator.inventory());
                assert!(
                    sources.contains("198.51.100.0/24"),
                    "{situation}: {sources:?}"
                );
                assert!(sources.len() <= 2, "{situation}: {sources:?}");
                ends(&server, CONFIG, &["198.51.100.0/24"], &situation);
            }
            if finished {
                break;
            }
        }
        assert!(places > 8, "{args:?}: only {places}");
    }
}

/// Answers every request with a text, as a server does that says who is asking.
fn echo(answer: &'static str) -> String {
    use std::io::{Read as _, Write as _};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut seen = Vec::new();
            let mut byte = [0];
            while !seen.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|n| n == 1) {
                seen.push(byte[0]);
            }
            assert!(seen.starts_with(b"GET / HTTP/1.1\r\n"), "{seen:?}");
            let length = answer.len();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = client.write_all((head + answer).as_bytes());
        }
    });
    url
}

#[test]
fn me_is_the_address_that_two_servers_agree_upon() {
    let (one, other) = (echo("203.0.113.7\n"), echo("203.0.113.7"));
    let (odd, private) = (echo("203.0.113.8"), echo("10.0.0.7"));
    let (page, six) = (echo("<html>"), echo("2001:db8::7"));
    let me = ["grant", "web-1", "ssh", "--from", "me", "--for", "30m"];
    for (urls, said, code) in [
        (vec![&one, &other], "tcp/22 from 203.0.113.7/32 is open", 0),
        (
            vec![&one, &odd],
            "is not certain: it is 203.0.113.7 or 203.0.113.8",
            1,
        ),
        (
            vec![&private, &private],
            "10.0.0.7 cannot be granted: it is not a public address",
            1,
        ),
        (
            vec![&one, &page],
            "only one says that the IPv4 address is 203.0.113.7",
            1,
        ),
        (vec![&page], "the answer is not an address", 1),
        // IPv6 is apart, and what only one says is left out.
        (
            vec![&one, &other, &six],
            "tcp/22 from 203.0.113.7/32 is open",
            0,
        ),
    ] {
        let list: Vec<String> = urls.iter().map(|url| format!("\"{url}\"")).collect();
        let stage = Stage::new(
            &CLOSED.replace("max = ", &format!("whoami = [{}]\nmax = ", list.join(", "))),
            &closed(),
        );
        let before = stage.read("fleet.json");
        let done = stage.on_fleet(&me);
        assert_eq!(done.code, Some(code), "{}", done.shown());
        assert!(done.says(said), "{}", done.shown());
        if code == 0 {
            let revoke = stage.on_fleet(&["revoke", "web-1", "ssh", "--from", "me"]);
            assert_eq!(revoke.code, Some(0), "{}", revoke.shown());
            stage.assert_in_sync();
        } else {
            assert_eq!(stage.read("fleet.json"), before);
        }
    }
}

#[test]
fn the_reason_is_in_the_receipt_in_full() {
    let stage = Stage::new(CLOSED, &closed());
    let reason = "because ".repeat(40);
    let done = stage.on_fleet(&[&GRANT[..], &["--reason", &reason]].concat());
    assert_eq!(done.code, Some(0), "{}", done.shown());
    let (_, entry) = stage
        .fleet()
        .entries()
        .next()
        .map(|(region, entry)| (region.clone(), entry.clone()))
        .expect("an instance");
    assert!(entry.tags.values().all(|value| value.len() <= 256));
    let receipts = std::fs::read_dir(stage.path(".portward/receipts")).expect("a folder");
    let texts: Vec<String> = receipts
        .map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("a receipt"))
        .collect();
    assert!(texts.iter().any(|text| text.contains(&reason)), "{texts:?}");
    stage.assert_in_sync();
}

/// What somebody was granted, in minutes since the beginning.
#[derive(Clone, Debug)]
struct Granted {
    address: String,
    until: i64,
}

/// Granters, revokers, a clock and two kinds of `apply`, one after the other by chance, beside what each should lead to.
struct Crowd {
    stage: Stage,
    dice: fastrand::Rng,
    minute: i64,
    granted: Vec<Granted>,
    /// What was done, for whoever reads a failure.
    story: Vec<String>,
}

impl Crowd {
    fn run(&mut self, args: &[&str]) -> Done {
        let start = time::macros::datetime!(2031-01-01 00:00 UTC);
        let now = start + time::Duration::minutes(self.minute);
        let now = now.format(&Rfc3339).expect("an instant");
        self.story.push(format!("{now} {}", args.join(" ")));
        self.stage.on_fleet(&[args, &["--as-of", &now]].concat())
    }

    fn succeed(&mut self, args: &[&str]) {
        let done = self.run(args);
        assert_eq!(done.code, Some(0), "{:#?}\n{}", self.story, done.shown());
    }

    fn step(&mut self) {
        let address = format!("203.0.113.{}", self.dice.u8(1..=3));
        match self.dice.u8(0..8) {
            0..3 => {
                let minutes = self.dice.i64(5..=60);
                let length = format!("{minutes}m");
                self.succeed(&[
                    "grant", "web-1", "ssh", "--from", &address, "--for", &length,
                ]);
                let until = self.minute + minutes;
                self.granted.push(Granted { address, until });
            }
            3 => {
                self.succeed(&["revoke", "web-1", "ssh", "--from", &address]);
                self.granted.retain(|one| one.address != address);
            }
            4 | 5 => self.minute += self.dice.i64(1..=40),
            kind => {
                let only = ["apply", "--yes", "--only-expired"];
                self.succeed(if kind == 6 { &only } else { &only[..2] });
                let now = self.minute;
                self.granted.retain(|one| one.until > now);
                // Nothing outlives its end by more than this one run.
                self.check(true);
            }
        }
        self.check(false);
    }

    /// What is declared and what is granted is open, and nothing else; `exactly`: nor what is over.
    fn check(&mut self, exactly: bool) {
        let (open, tags) = state(&self.stage.fleet());
        let story = &self.story;
        assert_eq!(tags.len(), self.granted.len(), "{story:#?}");
        let net = |one: &Granted| format!("{}/32", one.address);
        let now = self.minute;
        let live = self.granted.iter().filter(|one| one.until > now).map(net);
        let live: BTreeSet<String> = live.chain(["198.51.100.0/24".to_owned()]).collect();
        assert!(open.is_superset(&live), "{open:?}: {story:#?}");
        let all: BTreeSet<String> = live
            .iter()
            .cloned()
            .chain(self.granted.iter().map(net))
            .collect();
        assert!(all.is_superset(&open), "{open:?}: {story:#?}");
        assert!(!exactly || open == live, "{open:?}: {story:#?}");
    }
}

#[test]
fn whatever_people_do_grants_end_and_what_is_declared_stays() {
    for seed in 1..=4_u64 {
        let additive = CONFIG.replace("rules = [\n", "mode = \"additive\"\nrules = [\n");
        let config = if seed % 2 == 0 { CONFIG } else { &additive };
        let mut crowd = Crowd {
            stage: Stage::new(config, &declared()),
            dice: fastrand::Rng::with_seed(seed),
            minute: 0,
            granted: Vec::new(),
            story: vec![format!("seed {seed}")],
        };
        for _ in 0..18 {
            crowd.step();
        }
        crowd.minute += 100;
        crowd.succeed(&["apply", "--yes", "--only-expired"]);
        crowd.granted.clear();
        crowd.check(true);
        crowd.stage.assert_in_sync();
    }
}

#[test]
fn a_forged_tag_takes_no_guard_away() {
    let config = CLOSED.split("[grants]").next().expect("a beginning");
    let rest = CLOSED.split_once("[instances").expect("an instance").1;
    let config = format!("{config}[instances{rest}");
    for config in [config.as_str(), CLOSED] {
        let mut fleet = declared();
        let entry = &mut fleet.regions.get_mut(REGION).expect("a region")[0];
        let forged = "1 20200102T031500Z tcp/22 0.0.0.0/0 ::/0 by=x";
        entry
            .tags
            .insert("portward:grant:aaaa".to_owned(), forged.to_owned());
        let stage = Stage::new(config, &fleet);
        let plan = stage.on_fleet(&["plan"]);
        assert_eq!(plan.code, Some(3), "{config}: {}", plan.shown());
        assert!(plan.says("refused by lockout on web-1"), "{}", plan.shown());
        assert!(plan.says("is not ended as a grant"), "{}", plan.shown());
        let ended = stage.on_fleet(&["apply", "--only-expired", "--yes"]);
        assert_eq!(ended.code, Some(0), "{}", ended.shown());
        assert_ssh(&stage.fleet(), &["198.51.100.0/24"], 1, "forged");
    }
}
