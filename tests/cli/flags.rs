//! Every verb and every flag of the command line: each has an effect or is refused, typed or given by a variable.
//!
//! The list is the table of `docs/src/flags.md`, which a unit test compares with the command itself. A pair without a probe fails.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use portward::emulator::{Options, Quirks};
use portward::inventory::{Entry, Inventory};

use crate::served::Server;
use crate::stage::{Done, REGION, Stage, fleet, instance, rule};

const OFFICE: &str = "203.0.113.0/24";
const FAR: &str = "us-east-1";

/// Who the emulator says is asking.
const CALLER: &str = "123456789012:user/emulator";

const CONFIG: &str = r#"version = 1
[defaults]
regions = ["eu-central-1", "us-east-1"]
[guard]
max-instances = 50
[grants]
services = ["tcp/8080"]
max = "8h"
[groups.web]
match = { name = "web-*" }
rules = [
  { allow = "ssh", from = "203.0.113.0/24" },
  { allow = "https", from = "203.0.113.0/24", until = 2099-01-01 },
]
"#;

/// The accounts are those of the instances in [`live`].
const ACCOUNTS: &str = r#"
[accounts.prod]
id = "123456789012"
[accounts.test]
id = "222222222222"
role = "arn:aws:iam::222222222222:role/portward"
"#;

fn far(name: &str, rules: Vec<portward::model::PortState>) -> Entry {
    let mut entry = instance(name, rules);
    entry.arn = entry.arn.replace(REGION, FAR);
    entry
}

/// `web-1` and `web-4` to `web-7` differ, `web-2` is spelled otherwise, `old-1` is not in the configuration, and `web-9` is in another account.
fn live() -> Inventory {
    let tcp = |port: i32, from: &[&str]| rule("tcp", port, port, from);
    let upper = |port: i32| rule("TCP", port, port, &[OFFICE]);
    let differs = || {
        vec![
            tcp(22, &["203.0.113.0/24", "198.51.100.7/32"]),
            tcp(443, &[OFFICE]),
        ]
    };
    let mut other = instance("web-9", differs());
    other.arn = other.arn.replace("123456789012", "222222222222");
    let mut fleet = fleet(vec![
        instance("web-1", differs()),
        instance("web-2", vec![upper(22), upper(443)]),
        instance("web-3", vec![tcp(22, &[OFFICE]), tcp(443, &[OFFICE])]),
        instance("old-1", Vec::new()),
        // The account of the first one is that of the emulator's keys.
        other,
    ]);
    let eu = fleet.regions.get_mut(REGION).expect("a region");
    eu.extend((5..8).map(|n| instance(&format!("web-{n}"), differs())));
    fleet
        .regions
        .insert(FAR.to_owned(), vec![far("web-4", differs())]);
    fleet
}

/// What every run begins with, by file name.
fn template() -> &'static BTreeMap<String, String> {
    static TEMPLATE: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let stage = Stage::new(CONFIG, &live());
        let mut files = BTreeMap::new();
        let mut keep = |name: &str, text: String| {
            std::fs::write(stage.path(name), &text).expect("a file");
            files.insert(name.to_owned(), text);
        };
        keep("firewall.toml", CONFIG.to_owned());
        keep("fleet.json", live().to_json());
        let odd = CONFIG
            .replace("198.51.100.7", "x")
            .replace("\"https\"", "\"postgres\"");
        keep("other.toml", odd);
        keep(
            "lockout.toml",
            CONFIG.replace("203.0.113.0/24", "192.0.2.0/24"),
        );
        keep(
            "accounts.toml",
            CONFIG.replacen("[groups", &format!("{ACCOUNTS}[groups"), 1),
        );
        let guard = "version = 1\n[guard]\nmax-instances = 0\n";
        keep("strict.toml", guard.to_owned());
        let mut few = live();
        few.regions
            .values_mut()
            .for_each(|entries| entries.truncate(1));
        few.regions
            .values_mut()
            .flatten()
            .for_each(|entry| entry.port_states = Some([].into()));
        keep("few.json", few.to_json());
        let mut granted = live();
        let web = &mut granted.regions.get_mut(REGION).expect("a region")[0];
        let lease = format!("1 20990101T000000Z tcp/8080 192.0.2.9/32 by={CALLER}");
        web.tags.insert("portward:grant:abcd".to_owned(), lease);
        let rules = web.port_states.clone().expect("rules");
        let open = rule("tcp", 8080, 8080, &["192.0.2.9/32"]);
        let rules: Vec<_> = rules.iter().cloned().chain([open]).collect();
        web.port_states = Some(rules.into());
        keep("granted.json", granted.to_json());
        let other = granted.to_json().replace(CALLER, "somebody");
        keep("others.json", other);
        let mut pending = live();
        let all = pending.regions.values_mut().flatten();
        all.for_each(|entry| "pending".clone_into(&mut entry.state));
        keep("pending.json", pending.to_json());
        let mut synced = live();
        synced.regions.remove(FAR);
        let entries = synced.regions.get_mut(REGION).expect("a region");
        entries.retain(|entry| matches!(entry.name.as_str(), "web-3" | "old-1"));
        synced.regions.insert(FAR.to_owned(), Vec::new());
        keep("synced.json", synced.to_json());
        let plan = stage.on_fleet(&["plan", "--out", "plan.json"]);
        assert_eq!(plan.code, Some(0), "{}", plan.shown());
        keep("plan.json", stage.read("plan.json"));
        for k in ["1", "2"] {
            let (shard, report) = (format!("{k}/2"), format!("json=r{k}.json"));
            stage.on_fleet(&["drift", "--shard", &shard, "--report", &report]);
            keep(&format!("r{k}.json"), stage.read(&format!("r{k}.json")));
        }
        let mut clean = synced.clone();
        let entries = clean.regions.get_mut(REGION).expect("a region");
        entries.retain(|entry| entry.name == "web-3");
        std::fs::write(stage.path("clean.json"), clean.to_json()).expect("a file");
        for k in ["1", "2"] {
            let (shard, report) = (format!("{k}/2"), format!("json=c{k}.json"));
            let clean = ["--inventory", "clean.json"];
            stage.run(
                &[
                    &["drift", "--shard", &shard, "--report", &report],
                    &clean[..],
                ]
                .concat(),
            );
            keep(&format!("c{k}.json"), stage.read(&format!("c{k}.json")));
        }
        let apply = stage.on_fleet(&["apply", "--yes"]);
        assert_eq!(apply.code, Some(0), "{}", apply.shown());
        keep("after.json", stage.read("fleet.json"));
        let mut receipts = std::fs::read_dir(stage.path(".portward/receipts")).expect("a folder");
        let receipt = receipts.next().expect("a receipt").expect("an entry");
        keep(
            "receipt",
            std::fs::read_to_string(receipt.path()).expect("a receipt"),
        );
        files
    })
}

/// What a command did.
struct Seen {
    done: Done,
    stage: Stage,
    took: Duration,
    /// What a served emulator was asked, and over how many connections at once.
    requests: Vec<String>,
    connections: usize,
}

impl Seen {
    /// Everything that does not depend on when it was run.
    fn shown(&self) -> String {
        let mut text = self.done.shown();
        // The name of a receipt, and a key of a role.
        for mark in [".portward/receipts/", "written/", "ASIA"] {
            let parts: Vec<&str> = text.split(mark).collect();
            let rest = parts[1..].iter();
            let rest = rest.map(|part| {
                part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "-.".contains(c))
            });
            text = [parts[0]]
                .into_iter()
                .chain(rest)
                .collect::<Vec<_>>()
                .join(mark);
        }
        text
    }

    fn brief(&self) -> String {
        self.shown().chars().take(1_000).collect()
    }
}

/// How the effect of a flag shows.
enum Look {
    /// Anything is other than without it.
    Shown,
    /// Something is said that is not said without it.
    Says(&'static str),
    /// Something is not said that is said without it.
    Silent(&'static str),
    /// A file that is not there, or is another, without it.
    File(&'static str),
    /// A plan file is good for another time.
    Validity,
    /// It takes so long at least.
    Slow(Duration),
    /// The service is asked something else.
    Requests,
    /// Fewer connections are open.
    Connections,
}

/// Where a run looks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Where {
    /// Wherever its arguments say.
    Nowhere,
    Emulator(&'static str),
    /// Served, with so many instances a page, each late by so many milliseconds.
    Served(usize, u64),
}

struct Probe {
    base: Vec<String>,
    without: Vec<String>,
    with: Vec<String>,
    at: Where,
    look: Look,
    /// Set in both runs.
    env: Vec<(String, String)>,
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A verb that has something to do with any flag.
fn base(verb: &str) -> &str {
    match verb {
        "diff" => "diff fleet.json firewall.toml",
        "explain" => "explain web-1",
        "explain ALL" => "explain",
        "grant" => "grant web-1 tcp/8080 --from 192.0.2.7 --for 30m",
        "with" => "with web-1 tcp/8080 --from 192.0.2.7 --for 30m",
        "revoke" => "revoke abcd",
        "rollback" => "rollback receipt",
        "report merge" => "report merge r1.json r2.json",
        "schema" => "schema config",
        "completions" => "completions bash",
        "apply PLAN" => "apply plan.json",
        verb => verb,
    }
}

fn place(verb: &str) -> Where {
    match verb {
        "rollback" => Where::Emulator("after.json"),
        "grants" | "revoke" => Where::Emulator("granted.json"),
        "check" | "diff" | "report merge" | "schema" | "completions" | "man" => Where::Nowhere,
        _ => Where::Emulator("fleet.json"),
    }
}

impl Probe {
    fn new(verb: &str, without: &str, with: &str) -> Self {
        Self {
            base: words(base(verb)),
            without: words(without),
            with: words(with),
            at: place(verb),
            look: Look::Shown,
            env: Vec::new(),
        }
    }

    /// With a variable of which every verb that looks at a fleet says something.
    fn noted(self) -> Self {
        let day = ("PORTWARD_AS_OF".to_owned(), "2026-01-01".to_owned());
        Self {
            env: vec![day],
            ..self
        }
    }

    fn look(self, look: Look) -> Self {
        Self { look, ..self }
    }

    fn at(self, at: Where) -> Self {
        Self { at, ..self }
    }
}

/// How to show the effect of a flag of a verb; `None` is a pair that nobody has thought of.
#[expect(clippy::too_many_lines, reason = "a table")]
fn probe(verb: &str, flag: &str) -> Option<Probe> {
    let of = |without: &str, with: &str| Probe::new(verb, without, with);
    if matches!(verb, "grant" | "grants" | "revoke" | "with")
        && let Some(probe) = of_grants(verb, flag)
    {
        return Some(probe);
    }
    // Verbs whose stdout is the result itself.
    let result = matches!(verb, "import" | "inventory");
    Some(match flag {
        "--account" if matches!(verb, "rollback") => of("", "--account prod"),
        "--account" => of("-c accounts.toml", "-c accounts.toml --account test"),
        "--adopt" => of("", "--adopt").look(Look::File("firewall.toml")),
        "--dry-run" => of("--adopt", "--adopt --dry-run").look(Look::File("firewall.toml")),
        "--allow" if verb == "rollback" => of(
            "-c strict.toml",
            "-c strict.toml --allow blast-radius --reason x",
        ),
        "--allow" => of(
            "-c lockout.toml",
            "-c lockout.toml --allow lockout --reason x",
        ),
        "--as-of" if verb == "check" => of("", "--as-of 2098-12-31"),
        "--as-of" => of("", "--as-of 2100-01-01"),
        "--color" => {
            let wrong = match verb {
                "diff" => "--inventory nowhere.json",
                "report merge" => "nowhere.json",
                "doctor" => "--report json=nowhere/x",
                _ => "-c nowhere.toml",
            };
            of(wrong, &format!("{wrong} --color always")).look(Look::Says("\u{1b}["))
        }
        "--quiet" if verb == "report merge" => {
            let mut probe = of("", "--quiet").look(Look::Silent("in sync"));
            probe.base = words("report merge c1.json c2.json");
            probe
        }
        "--quiet" => of("", "--quiet")
            .noted()
            .look(Look::Silent("note: PORTWARD_AS_OF=2026-01-01 ")),
        "--concurrency" if verb == "explain" => Probe::new("explain ALL", "", "--concurrency 1")
            .at(Where::Served(20, 40))
            .look(Look::Connections),
        "--concurrency" => {
            let yes = if verb == "apply" { "--yes" } else { "" };
            of(yes, &format!("{yes} --concurrency 1"))
                .at(Where::Served(20, 40))
                .look(Look::Connections)
        }
        "--config" if verb == "rollback" => of("", "--config strict.toml"),
        "--config" if result => of(
            "--region us-east-1",
            "--region us-east-1 --config nowhere.toml",
        ),
        "--config" => of("", "--config other.toml"),
        "--confirm-within" => of("--yes", "--yes --confirm-within 1s"),
        "--detailed-exitcode" => of("", "--detailed-exitcode"),
        "--diff" => of("", "--diff"),
        "--digest" => of(
            "plan.json",
            &format!("plan.json --digest {}", "0".repeat(64)),
        ),
        "--emulator" => of("--emulator few.json", "--emulator synced.json").at(Where::Nowhere),
        "--endpoint-url" => of("", "--endpoint-url http://127.0.0.1:1/").at(Where::Served(20, 0)),
        "--fail-on-undeclared" => of("", "--fail-on-undeclared").at(Where::Emulator("synced.json")),
        "--format" if result => of("--out x", "--out x --format json"),
        "--format" if verb == "doctor" => of("", "--format json"),
        "--format" => of("", "--format markdown"),
        "--from" => of("--to ssh", "--to ssh --from 198.51.100.7"),
        "--iam-policy" => of("", "--iam-policy read").at(Where::Nowhere),
        "--schema-hint" => of("", "--schema-hint"),
        "--inventory" if verb == "check" => of("", "--inventory fleet.json"),
        "--inventory" if verb == "diff" => {
            let mut probe = of("", "--inventory few.json");
            probe.base = words("diff other.toml firewall.toml");
            probe
        }
        "--inventory" => of("--inventory fleet.json", "--inventory few.json").at(Where::Nowhere),
        "--jitter" => of("-v", "-v --jitter 20ms").look(Look::Says("waiting a random time")),
        "--log-format" => of("-v", "-v --log-format json").look(Look::Says("\"level\":\"INFO\"")),
        "--max-failures" => of(
            "--yes --timeout 0s --concurrency 1",
            "--yes --timeout 0s --concurrency 1 --max-failures 1",
        )
        .at(Where::Emulator("pending.json"))
        .look(Look::Says("not started")),
        "--notify-url" => {
            of("", "--notify-url http://127.0.0.1:1/x").look(Look::Says("was not taken"))
        }
        "--notify" => of(
            "--notify-url http://127.0.0.1:1/x",
            "--notify-url http://127.0.0.1:1/x --notify always",
        )
        .at(Where::Emulator("synced.json"))
        .look(Look::Says("was not taken")),
        "--only-expired" => of("--yes", "--yes --only-expired").look(Look::File("fleet.json")),
        "--out" => of("", "--out written").look(Look::File("written")),
        "--probe" => of(
            "--yes --confirm-within 1s --probe true",
            "--yes --confirm-within 1s --probe false",
        )
        .look(Look::File("fleet.json")),
        "--profile" => of("", "--profile nobody").at(Where::Served(20, 0)),
        "--rate" => {
            let yes = if verb == "apply" { "--yes" } else { "" };
            of(
                &format!("{yes} --rate unlimited"),
                &format!("{yes} --rate 0.4"),
            )
            .at(Where::Served(2, 0))
            .look(Look::Slow(Duration::from_millis(300)))
        }
        "--read" => {
            let yes = if verb == "apply" { "--yes" } else { "" };
            of(yes, &format!("{yes} --read bulk"))
                .at(Where::Served(20, 0))
                .look(Look::Requests)
        }
        "--reason" if verb == "rollback" => of(
            "-c strict.toml --allow blast-radius",
            "-c strict.toml --allow blast-radius --reason x",
        ),
        "--reason" => of(
            "-c lockout.toml --allow lockout",
            "-c lockout.toml --allow lockout --reason x",
        ),
        "--receipts" if verb == "apply" => {
            of("--yes", "--yes --receipts written").look(Look::File("written"))
        }
        // A folder that cannot be listed is named.
        "--receipts" => of("", "--receipts firewall.toml"),
        "--region" => of("", "--region us-east-1"),
        "--report" if matches!(verb, "import" | "inventory") => {
            of("", "--report json=written").look(Look::File("written"))
        }
        "--report" => of("", "--report json=written").look(Look::File("written")),
        "--shard" => of("", "--shard 2/3"),
        "--shards" => of("", "--shards 3"),
        "--strategy" if verb == "rollback" => of("", "--strategy put"),
        "--strategy" => of("", "--strategy incremental"),
        "--strict-spelling" => of("", "--strict-spelling"),
        "--target" if verb == "explain" => Probe::new("explain ALL", "", "--target web-4"),
        "--target" => of("", "--target web-4"),
        "--timeout" => of("--yes", "--yes --timeout 0s")
            .at(Where::Emulator("pending.json"))
            .look(Look::File("pending.json")),
        "--to" => of("", "--to ssh"),
        "--valid-for" => of("--out written", "--out written --valid-for 90s").look(Look::Validity),
        "--verbose" => of("", "--verbose").look(Look::Says(" INFO portward ")),
        "--yes" => of("", "--yes").look(Look::File("fleet.json")),
        _ => return None,
    })
}

/// The instant at which the lease of `granted.json` is permitted.
const THEN: &str = "--as-of 2098-12-31T20:00:00Z";

/// Those of the verbs about grants that are not shown as for other verbs. An id is made by chance, so that what `grant` and
/// `with` print is never the same twice.
fn of_grants(verb: &str, flag: &str) -> Option<Probe> {
    let of = |without: &str, with: &str| Probe::new(verb, without, with);
    let of_base = |base: &str, without: &str, with: &str| Probe {
        base: words(base),
        ..of(without, with)
    };
    let makes = matches!(verb, "grant" | "with");
    Some(match flag {
        "--account" if makes => of("-c accounts.toml", "-c accounts.toml --account test")
            .look(Look::Says("there is no instance")),
        "--all" => of_base("revoke", "", "--all"),
        "--as-of" if makes => {
            of("", "--as-of 2100-01-01").look(Look::Says("until 2100-01-01T00:30:00Z"))
        }
        "--as-of" => of("", THEN),
        "--config" if makes => {
            of("", "--config strict.toml").look(Look::Says("no region to look at"))
        }
        "--config" => of("", "--config strict.toml"),
        "--emulator" if makes => of("--emulator few.json", "--emulator synced.json")
            .at(Where::Nowhere)
            .look(Look::Says("there is no instance")),
        "--emulator" => of("--emulator few.json", "--emulator granted.json").at(Where::Nowhere),
        "--endpoint-url" if makes => of("", "--endpoint-url http://127.0.0.1:1/")
            .at(Where::Served(20, 0))
            .look(Look::Says("cannot be listed")),
        "--for" => of_base(
            &format!("{verb} web-1 tcp/8080 --from 192.0.2.7"),
            "",
            "--for 30m",
        )
        .look(Look::Says("is open on")),
        "--format" if makes => of("", "--format json").look(Look::Says("\"grants\": [")),
        "--from" if makes => of("", "--from 192.0.2.8").look(Look::Says("192.0.2.8/32")),
        "--from" => of("", "--from 192.0.2.8"),
        "--mine" => of_base("revoke", "--all", "--all --mine").at(Where::Emulator("others.json")),
        "--profile" if makes => of("", "--profile nobody")
            .at(Where::Served(20, 0))
            .look(Look::Says("cannot be listed")),
        "--reason" => of("", "--reason because").look(Look::Says("because")),
        "--receipts" if makes => of("", "--receipts written").look(Look::File("written")),
        "--receipts" => of(THEN, &format!("{THEN} --receipts written")).look(Look::File("written")),
        "--region" if makes => {
            of("", "--region us-east-1").look(Look::Says("there is no instance"))
        }
        "--replace" => of(THEN, &format!("{THEN} --replace"))
            .at(Where::Emulator("granted.json"))
            .look(if verb == "grant" {
                Look::Says("in place of abcd")
            } else {
                Look::File("granted.json")
            }),
        "--scheduler-json" => of("", "--scheduler-json arn:aws:iam::123456789012:role/x")
            .look(Look::Says("ScheduleExpression")),
        "--wait-port" => of("", "--wait-port nowhere").look(Look::Says("expected HOST:PORT")),
        _ => return None,
    })
}

/// Passes on every byte to an emulator, and counts the connections that are open at once.
fn proxy(to: &Server) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let target = to.url().trim_start_matches("http://").to_owned();
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(&target)) else {
                return;
            };
            counting.fetch_add(1, Ordering::Relaxed);
            let halves = [
                (client.try_clone(), server.try_clone()),
                (Ok(server), Ok(client)),
            ];
            for (from, to) in halves {
                let (Ok(mut from), Ok(mut to)) = (from, to) else {
                    return;
                };
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (url, count)
}

fn run(at: Where, args: &[String], env: &[(String, String)]) -> Seen {
    let stage = Stage::new(CONFIG, &live());
    for (name, text) in template() {
        std::fs::write(stage.path(name), text).expect("a file");
    }
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut server = None;
    let mut count = None;
    match at {
        Where::Nowhere => {}
        Where::Emulator(file) => args.extend(["--emulator", file]),
        Where::Served(page, latency) => {
            let options = Options {
                quirks: Quirks {
                    instances_per_page: page,
                    ..Quirks::default()
                },
                latency: Duration::from_millis(latency),
                ..Options::default()
            };
            let mut inventory = live();
            let many = (10..22).map(|n| {
                let rules = [22, 443].map(|port| rule("tcp", port, port, &[OFFICE]));
                instance(&format!("web-{n}"), rules.into())
            });
            inventory
                .regions
                .get_mut(REGION)
                .expect("a region")
                .extend(many);
            server = Some(Server::with(inventory, options));
        }
    }
    if args.first() == Some(&"with") {
        args.extend(["--", "true"]);
    }
    let mut command = stage.command(&args);
    if let Some(server) = server
        .as_ref()
        .filter(|_| matches!(args[0], "grant" | "with" | "revoke"))
    {
        command.env("AWS_ENDPOINT_URL_STS", server.url());
    }
    if let Some(server) = &server {
        let (url, counted) = proxy(server);
        server.point(&mut command);
        command.env("AWS_ENDPOINT_URL_LIGHTSAIL", url);
        command.env("AWS_REGION", REGION);
        count = Some(counted);
    }
    command.env("JOB_COMPLETION_INDEX", "1");
    command.envs(env.iter().map(|(name, value)| (name, value)));
    let began = Instant::now();
    let done = Done::of(&mut command);
    Seen {
        done,
        took: began.elapsed(),
        requests: server.map_or_else(Vec::new, |server| server.requests()),
        connections: count.map_or(0, |count| count.load(Ordering::Relaxed)),
        stage,
    }
}

/// Everything in a file or in the files of a folder.
fn content(stage: &Stage, name: &str) -> Option<String> {
    let path = stage.path(name);
    if path.is_dir() {
        let files = std::fs::read_dir(&path).ok()?;
        let names: Vec<String> = files
            .filter_map(|file| Some(file.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
        return Some(names.join("\n"));
    }
    std::fs::read_to_string(path).ok()
}

/// How long a plan file is good.
fn validity(stage: &Stage) -> time::Duration {
    let plan: serde_json::Value = serde_json::from_str(&stage.read("written")).expect("JSON");
    let at = |member: &str| {
        let text = plan[member].as_str().expect("an instant");
        time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339)
            .expect("an instant")
    };
    at("validUntil") - at("madeAt")
}

fn differs(look: &Look, without: &Seen, with: &Seen) -> bool {
    match look {
        Look::Shown => without.shown() != with.shown(),
        Look::Silent(text) => says(without, text) && !says(with, text),
        Look::Says(text) => !says(without, text) && says(with, text),
        Look::File(name) => content(&without.stage, name) != content(&with.stage, name),
        Look::Validity => validity(&without.stage) != validity(&with.stage),
        Look::Slow(least) => with.took >= *least && with.done.code.is_some_and(|code| code < 64),
        Look::Requests => without.requests != with.requests,
        Look::Connections => without.connections > with.connections,
    }
}

/// Whether it says so, wherever its lines are broken; spaces at the ends of the text count.
fn says(seen: &Seen, text: &str) -> bool {
    seen.shown().contains(text) || (text.trim() == text && seen.done.says(text))
}

/// The same arguments with a variable in place of a flag.
fn by_variable(
    args: &[String],
    flag: &str,
    variable: &str,
) -> (Vec<String>, Vec<(String, String)>) {
    let short = match flag {
        "--config" => "-c",
        "--target" => "-t",
        _ => flag,
    };
    let mut args = args.to_vec();
    let at = args.iter().rposition(|arg| arg == flag || arg == short);
    let at = at.unwrap_or_else(|| panic!("{flag} in {args:?}"));
    let value = args.remove(at + 1);
    args.remove(at);
    (args, vec![(variable.to_owned(), value)])
}

/// The rows of the documented table: flag, variable, verbs.
fn table() -> Vec<(String, Option<String>, Vec<String>)> {
    let text = include_str!("../../docs/src/flags.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `--"));
    rows.map(|row| {
        let cells: Vec<&str> = row
            .trim_end_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        let flag = format!("--{}", cells[0].trim_end_matches('`'));
        let variable = cells[1].trim_matches('`');
        let verbs = match cells[2] {
            "all" => ALL.to_vec(),
            verbs => verbs.split(", ").collect(),
        };
        let variable = (!variable.is_empty()).then(|| variable.to_owned());
        (
            flag,
            variable,
            verbs.into_iter().map(str::to_owned).collect(),
        )
    })
    .collect()
}

const ALL: [&str; 19] = [
    "check",
    "plan",
    "apply",
    "drift",
    "diff",
    "grant",
    "grants",
    "revoke",
    "with",
    "explain",
    "rollback",
    "import",
    "inventory",
    "doctor",
    "report merge",
    "schema",
    "completions",
    "man",
    "emulate",
];

/// Tries every flag of a verb, typed and as a variable.
fn walk(verb: &str) {
    let mut known: BTreeMap<(Where, Vec<String>, bool), Arc<Seen>> = BTreeMap::new();
    let mut twice = BTreeSet::new();
    let mut walked = 0;
    let mut idle = Vec::new();
    for (flag, variable, verbs) in table() {
        if !verbs.iter().any(|one| one == verb) {
            continue;
        }
        let Probe {
            base,
            without,
            with,
            at,
            look,
            env: both,
        } = probe(verb, &flag).unwrap_or_else(|| panic!("no probe for {verb} {flag}"));
        let args = |more: &[String]| [&base[..], more].concat();
        let (without, with) = (args(&without), args(&with));
        let key = (at, without.clone(), both.is_empty());
        let quiet = known
            .entry(key)
            .or_insert_with(|| Arc::new(run(at, &without, &both)));
        if matches!(look, Look::Shown) && twice.insert(without.clone()) {
            let again = run(at, &without, &both);
            assert_eq!(
                quiet.shown(),
                again.shown(),
                "{without:?} is not the same twice"
            );
        }
        let seen = run(at, &with, &both);
        if !differs(&look, quiet, &seen) {
            idle.push(format!("{with:?}: {}", seen.brief()));
        }
        if let Some(variable) = &variable {
            let (args, env) = by_variable(&with, &flag, variable);
            let by_variable = run(at, &args, &env);
            if !differs(&look, quiet, &by_variable) {
                idle.push(format!("{env:?} {args:?}: {}", by_variable.brief()));
            }
        }
        walked += 1;
    }
    assert!(idle.is_empty(), "no effect:\n{}", idle.join("\n"));
    assert!(walked > 1, "{verb} has more flags than that");
}

macro_rules! walks {
    ($($name:ident: $verb:literal,)*) => {$(
        #[test]
        fn $name() {
            walk($verb);
        }
    )*};
}

walks! {
    every_flag_of_check: "check",
    every_flag_of_plan: "plan",
    every_flag_of_apply: "apply",
    every_flag_of_drift: "drift",
    every_flag_of_diff: "diff",
    every_flag_of_explain: "explain",
    every_flag_of_grant: "grant",
    every_flag_of_grants: "grants",
    every_flag_of_revoke: "revoke",
    every_flag_of_with: "with",
    every_flag_of_rollback: "rollback",
    every_flag_of_import: "import",
    every_flag_of_inventory: "inventory",
    every_flag_of_doctor: "doctor",
    every_flag_of_report: "report merge",
    every_flag_of_schema: "schema",
    every_flag_of_completions: "completions",
    every_flag_of_man: "man",
}

/// A running `portward emulate`, which ends with this value.
struct Served(std::process::Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a client sees of `emulate` with these flags, and how long that took: whether it serves, how a verb ends, what became of
/// the state, and what it said itself.
fn emulated(flags: &str, client: &str) -> (String, Duration) {
    let stage = Stage::new(CONFIG, &live());
    for (name, text) in template() {
        std::fs::write(stage.path(name), text).expect("a file");
    }
    let many = (0..40).map(|n| instance(&format!("n-{n}"), Vec::new()));
    let mut inventory = live();
    inventory
        .regions
        .get_mut(REGION)
        .expect("a region")
        .extend(many);
    std::fs::write(stage.path("many.json"), inventory.to_json()).expect("a file");
    let args = words(&format!("emulate {flags}"));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = stage.command(&args);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut served = Served(child.expect("it starts"));
    let mut url = String::new();
    let stdout = served.0.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut url).expect("a line");
    let Some((_, port)) = url.trim().rsplit_once(':') else {
        return ("it ended".to_owned(), Duration::ZERO);
    };
    // Wherever it listens, it is reached on loopback.
    let url = format!("http://127.0.0.1:{port}");
    let args = words(&format!(
        "{client} --endpoint-url {url} --rate unlimited --report json=report"
    ));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = stage.command(&args);
    command
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    let began = Instant::now();
    let done = Done::of(&mut command);
    let took = began.elapsed();
    let report: serde_json::Value = serde_json::from_str(&stage.read("report")).expect("JSON");
    let calls = report["apiCalls"].as_array().expect("a list");
    let throttled = calls.iter().any(|call| call["throttled"] != 0);
    let _ = served.0.kill();
    let mut said = String::new();
    let mut stderr = served.0.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut said).expect("UTF-8");
    let seen = format!(
        "{:?} throttled {throttled} free {} {said} {}",
        done.code,
        port == FREE,
        stage.read("fleet.json")
    );
    (seen, took)
}

/// A port that nothing else is likely to use; what matters is that it is not the one that would be taken.
const FREE: &str = "47391";

#[test]
fn every_flag_of_emulate() {
    let mut flags: Vec<String> = table()
        .into_iter()
        .filter(|(.., verbs)| verbs.iter().any(|verb| verb == "emulate"))
        .map(|(flag, ..)| flag)
        .collect();
    // How a run is logged is the same for every verb.
    flags.retain(|flag| !matches!(flag.as_str(), "--verbose" | "--log-format"));
    for flag in flags {
        let (without, more, client) = match flag.as_str() {
            "--state" => ("--state few.json", "", "apply --yes"),
            "--access-key" => ("--state fleet.json", "--access-key other", "drift"),
            "--secret-key" => ("--state fleet.json", "--secret-key other", "drift"),
            "--listen" => ("--state fleet.json", "--listen 127.0.0.1:47391", "drift"),
            "--allow-remote" => (
                "--state fleet.json --listen 0.0.0.0:0",
                "--allow-remote",
                "drift",
            ),
            "--quirk" => (
                "--state fleet.json",
                "--quirk operations=fail",
                "apply --yes",
            ),
            "--in-memory" => ("--state fleet.json", "--in-memory", "apply --yes"),
            "--seed" => ("--state fleet.json", "--seed 7", "drift"),
            "--throttle" => (
                "--state many.json --quirk instances-per-page=1",
                "--throttle",
                "drift",
            ),
            "--latency" => {
                // The list and the rules, one after the other.
                let (_, took) = emulated("--state fleet.json --latency 200ms", "drift");
                assert!(took >= Duration::from_millis(400), "{took:?}");
                continue;
            }
            flag => panic!("no probe for emulate {flag}"),
        };
        let with = match flag.as_str() {
            "--state" => "--state fleet.json".to_owned(),
            _ => format!("{without} {more}"),
        };
        let (quiet, again) = (emulated(without, client).0, emulated(without, client).0);
        assert_eq!(quiet, again, "{without} is not the same twice");
        assert_ne!(quiet, emulated(&with, client).0, "{flag}");
    }
    // Both variables at once; what cannot be served ends.
    for (state, listen, why) in [
        ("fleet.json", "0.0.0.0:0", "0.0.0.0:0 can be reached"),
        ("nowhere.json", "127.0.0.1:0", "nowhere.json"),
    ] {
        let stage = Stage::new(CONFIG, &live());
        let mut command = stage.command(&["emulate"]);
        command
            .env("PORTWARD_STATE", state)
            .env("PORTWARD_LISTEN", listen);
        let done = Done::of(&mut command);
        assert!(done.stderr.contains(why), "{}", done.shown());
    }
}

/// A run in a folder with everything that a verb may need.
fn in_template(args: &str, env: &[(&str, &str)]) -> Seen {
    let env: Vec<(String, String)> = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    run(Where::Nowhere, &words(args), &env)
}

#[test]
fn flags_that_would_be_ignored_are_refused() {
    for (args, why) in [
        // What a verb does not have.
        (
            "doctor --target web-1",
            "`--target` belongs to `plan`, `apply`",
        ),
        ("explain web-1 --strategy put", "unexpected argument"),
        ("explain web-1 --fail-on-undeclared", "unexpected argument"),
        ("rollback receipt --read bulk", "unexpected argument"),
        ("inventory --strict-spelling", "unexpected argument"),
        ("apply --inventory fleet.json", "unexpected argument"),
        // What has no effect beside the others.
        (
            "schema config --format json",
            "`--format` belongs to `check`",
        ),
        ("completions bash --report json=x", "`--report` belongs to"),
        ("man --quiet", "`--quiet` belongs to"),
        (
            "emulate --state fleet.json --color never",
            "`--color` belongs to",
        ),
        (
            "plan --quiet --verbose --emulator fleet.json",
            "cannot be used with",
        ),
        // What a verb has, and what it does not.
        (
            "explain web-1 --format sarif",
            "[possible values: text, json, markdown, github]",
        ),
        ("doctor --format html", "[possible values: text, json]"),
        (
            "report merge r1.json --report html=x",
            "`html` is none of text, json, markdown, prometheus",
        ),
        (
            "plan --emulator fleet.json --valid-for 1h",
            "`--valid-for` has no effect without `--out`",
        ),
        (
            "rollback receipt --emulator after.json --valid-for 1h",
            "`--valid-for` has no effect without `--out`",
        ),
        (
            "drift --emulator fleet.json --notify always",
            "`--notify` has no effect without `--notify-url`",
        ),
        (
            "doctor --iam-policy read --region eu-central-1",
            "`--region` has no effect beside `--iam-policy`",
        ),
        (
            "doctor --iam-policy read --format json",
            "`--format` has no effect beside `--iam-policy`",
        ),
        (
            "doctor --iam-policy read --report json=x",
            "`--report` has no effect beside `--iam-policy`",
        ),
        (
            "plan --inventory fleet.json --emulator fleet.json",
            "cannot be used with",
        ),
        (
            "drift --adopt --read bulk --emulator fleet.json",
            "cannot be used with",
        ),
        (
            "drift --adopt --shard 1/2 --emulator fleet.json",
            "edits the configuration of the whole fleet",
        ),
        (
            "apply plan.json --as-of 2031-01-01 --emulator fleet.json",
            "cannot be used with",
        ),
        (
            "apply plan.json --strategy put --emulator fleet.json",
            "cannot be used with",
        ),
        (
            "apply plan.json --strict-spelling --emulator fleet.json",
            "cannot be used with",
        ),
        ("apply --digest x --emulator fleet.json", "required"),
        ("apply --probe true --emulator fleet.json", "required"),
    ] {
        let seen = in_template(args, &[]);
        assert_eq!(seen.done.code, Some(64), "{args}: {}", seen.brief());
        assert!(seen.done.says(why), "{args}: {}", seen.brief());
        assert_eq!(
            seen.stage.read("fleet.json"),
            template()["fleet.json"],
            "{args}"
        );
    }
    let seen = in_template(
        "doctor --iam-policy read -v",
        &[("PORTWARD_REGION", "eu-central-1")],
    );
    assert_eq!(seen.done.code, Some(0), "{}", seen.brief());
}

#[test]
fn a_plan_file_is_held_against_what_narrows_a_run() {
    let apply = "apply plan.json --yes --emulator fleet.json";
    for (flag, variable, wrong, right) in [
        ("--target", "PORTWARD_TARGET", "web-1", "web-*"),
        (
            "--region",
            "PORTWARD_REGION",
            "us-east-1",
            "us-east-1,eu-central-1",
        ),
        ("--shard", "PORTWARD_SHARD", "1/2", ""),
        ("--account", "PORTWARD_ACCOUNT", "prod", ""),
    ] {
        let typed = format!("{apply} {flag} {wrong}");
        for (args, env) in [(typed.as_str(), &[][..]), (apply, &[(variable, wrong)])] {
            let seen = in_template(args, env);
            assert_eq!(seen.done.code, Some(4), "{args} {env:?}: {}", seen.brief());
            assert_eq!(
                seen.stage.read("fleet.json"),
                template()["fleet.json"],
                "{args} {env:?}"
            );
        }
        if !right.is_empty() {
            let seen = in_template(apply, &[(variable, right)]);
            assert_eq!(seen.done.code, Some(0), "{}", seen.brief());
            let note = format!("note: {variable}={right} limits what the plan may be for\n");
            assert!(seen.done.stderr.starts_with(&note), "{}", seen.brief());
        }
    }
    let seen = in_template(apply, &[("PORTWARD_STRATEGY", "put")]);
    assert_eq!(seen.done.code, Some(64), "{}", seen.brief());
    let hint = "hint: `--strategy` may come from PORTWARD_STRATEGY=put\n";
    assert!(seen.done.stderr.contains(hint), "{}", seen.brief());
}

#[test]
fn rollback_takes_what_it_is_asked_for() {
    let back = "rollback receipt --emulator after.json --format json";
    let names = |seen: &Seen| -> Vec<String> {
        let plan: serde_json::Value = serde_json::from_str(&seen.done.stdout).expect("JSON");
        let instances = plan["instances"].as_array().expect("a list").iter();
        instances
            .map(|one| one["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    assert_eq!(
        names(&in_template(back, &[])),
        ["web-1", "web-5", "web-6", "web-7", "web-4"]
    );
    for (more, expected) in [
        ("--target us-*/*", &["web-4"][..]),
        ("--target web-5,web-6", &["web-5", "web-6"]),
        ("--region us-east-1", &["web-4"]),
    ] {
        let seen = in_template(&format!("{back} {more}"), &[]);
        assert_eq!(names(&seen), expected, "{more}");
    }
    for more in [
        "--target db-1",
        "--region eu-west-1",
        "--account prod",
        "--target web-4 --region eu-central-1",
    ] {
        let seen = in_template(&format!("{back} {more}"), &[]);
        assert_eq!(seen.done.code, Some(1), "{more}: {}", seen.brief());
    }
    // Half of the way back, and then the rest.
    let one = in_template(
        "rollback receipt --emulator after.json --target web-4 --out back.json",
        &[],
    );
    assert_eq!(one.done.code, Some(0), "{}", one.brief());
    let apply = one
        .stage
        .run(&["apply", "back.json", "--yes", "--emulator", "after.json"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    let left = one.stage.run(&[
        "rollback",
        "receipt",
        "--emulator",
        "after.json",
        "--detailed-exitcode",
        "-t",
        "web-4",
    ]);
    assert_eq!(left.code, Some(0), "{}", left.shown());
    let left = one.stage.run(&[
        "rollback",
        "receipt",
        "--emulator",
        "after.json",
        "--detailed-exitcode",
    ]);
    assert_eq!(left.code, Some(2), "{}", left.shown());
}

/// The variables that change what a run means, with a value for each, and what they do.
const VARIABLES: [(&str, &str, &str); 8] = [
    ("PORTWARD_AS_OF", "2098-01-01", "sets the day of this run"),
    (
        "PORTWARD_EMULATOR",
        "fleet.json",
        "puts an emulator in place of the service",
    ),
    (
        "PORTWARD_INVENTORY",
        "fleet.json",
        "puts a snapshot in place of the service",
    ),
    ("PORTWARD_TARGET", "web-4", "narrows this run"),
    ("PORTWARD_SHARD", "1/2", "narrows this run"),
    ("PORTWARD_SHARDS", "3", "narrows this run"),
    ("PORTWARD_REGION", "us-east-1", "narrows this run"),
    ("PORTWARD_ACCOUNT", "prod", "narrows this run"),
];

#[test]
fn a_variable_that_changes_a_run_is_named_or_refused() {
    let table = table();
    for (variable, value, effect) in VARIABLES {
        let row = table
            .iter()
            .find(|(_, name, _)| name.as_deref() == Some(variable));
        let (flag, _, takers) = row.expect("a row");
        for verb in [
            "check",
            "plan",
            "apply",
            "drift",
            "diff",
            "explain",
            "rollback",
            "import",
            "inventory",
            "doctor",
        ] {
            let takes = takers.iter().any(|taker| taker == verb);
            let mut args = base(verb).to_owned();
            if matches!(flag.as_str(), "--account") && takes && verb != "rollback" {
                args += " -c accounts.toml";
            }
            let at = if matches!(variable, "PORTWARD_EMULATOR" | "PORTWARD_INVENTORY") && takes {
                Where::Nowhere
            } else {
                place(verb)
            };
            let seen = run(
                at,
                &words(&args),
                &[(variable.to_owned(), value.to_owned())],
            );
            let stderr = &seen.done.stderr;
            let named = format!("note: {variable}={value} ");
            if takes {
                assert!(
                    stderr.contains(&format!("{named}{effect}\n")),
                    "{verb}: {}",
                    seen.brief()
                );
            } else if matches!(verb, "apply" | "rollback") && variable != "PORTWARD_AS_OF" {
                assert_eq!(seen.done.code, Some(64), "{verb}: {}", seen.brief());
                let why = format!("{variable}={value} has no effect on `{verb}`");
                assert!(stderr.contains(&why), "{verb}: {}", seen.brief());
            } else {
                assert!(
                    stderr.contains(&format!("{named}has no effect on `{verb}`\n")),
                    "{verb}: {}",
                    seen.brief()
                );
            }
            // A flag of the same name wins, and there is nothing to say.
            if takes
                && !matches!(
                    flag.as_str(),
                    "--emulator" | "--inventory" | "--shard" | "--shards"
                )
            {
                let args = format!("{args} {flag} {value}");
                let seen = run(
                    place(verb),
                    &words(&args),
                    &[(variable.to_owned(), value.to_owned())],
                );
                assert!(
                    !seen.done.stderr.contains("note: PORTWARD"),
                    "{verb}: {}",
                    seen.brief()
                );
            }
        }
    }
}

#[test]
fn a_variable_that_took_effect_is_in_every_report() {
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
    let note = "PORTWARD_TARGET=web-4 narrows this run";
    let reports: Vec<String> = formats
        .iter()
        .map(|format| format!("--report {format}=r.{format}"))
        .collect();
    let plan = format!("plan --emulator fleet.json {}", reports.join(" "));
    let seen = in_template(&plan, &[("PORTWARD_TARGET", "web-4")]);
    assert_eq!(seen.done.code, Some(0), "{}", seen.brief());
    for format in formats {
        let report = seen.stage.read(&format!("r.{format}"));
        let plain = report.replace("&#95;", "_").replace("&#61;", "=");
        assert!(plain.contains(note), "{format}: {report}");
    }
    let report: serde_json::Value = serde_json::from_str(&seen.stage.read("r.json")).expect("JSON");
    assert_eq!(report["environment"], serde_json::json!([note]));
    // Of a run that failed too, and of the verbs that answer in a form of their own.
    for args in [
        "plan -c nowhere.toml --emulator fleet.json",
        "diff fleet.json firewall.toml",
    ] {
        let args = format!("{args} --report json=r.json --report markdown=r.md");
        let seen = in_template(&args, &[("PORTWARD_TARGET", "web-4")]);
        assert!(
            seen.stage.read("r.json").contains(note),
            "{args}: {}",
            seen.brief()
        );
    }
    for format in ["json", "markdown", "github"] {
        let args = format!("explain web-4 --emulator fleet.json --report {format}=r");
        let seen = in_template(&args, &[("PORTWARD_REGION", "us-east-1")]);
        let report = seen
            .stage
            .read("r")
            .replace("&#95;", "_")
            .replace("&#61;", "=");
        assert!(
            report.contains("PORTWARD_REGION=us-east-1 narrows this run"),
            "{format}: {report}"
        );
    }
}

#[test]
fn apply_refuses_another_day_however_it_came() {
    let day = ("PORTWARD_AS_OF", "2098-01-01");
    let server = Server::start(live(), Quirks::default());
    let stage = Stage::new(CONFIG, &live());
    let mut preview = stage.command(&["plan", "--emulator", "fleet.json", "--out", "preview.json"]);
    let preview = Done::of(preview.env(day.0, day.1));
    assert_eq!(preview.code, Some(0), "{}", preview.shown());
    for (args, env) in [
        (&["apply", "--yes", "--as-of", day.1][..], &[][..]),
        (&["apply", "--yes"], &[day]),
        (&["apply", "preview.json", "--yes"], &[]),
        (&["apply", "preview.json", "--yes"], &[day]),
    ] {
        let mut command = stage.command(args);
        server.point(&mut command);
        let done = Done::of(command.envs(env.iter().copied()));
        assert!(
            matches!(done.code, Some(64 | 4)),
            "{args:?}: {}",
            done.shown()
        );
        assert!(server.emulator.journal().is_empty(), "{args:?}");
    }
    // On the emulator it is what it was made for.
    let done = stage.on_fleet(&["apply", "preview.json", "--yes"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
}

#[test]
fn drift_of_an_inventory_says_that_it_is_one() {
    for (file, sentence, code) in [
        (
            "synced.json",
            "no difference seen on 1 instance of the inventory `synced.json`",
            0,
        ),
        (
            "fleet.json",
            "6 of 8 instances of the inventory `fleet.json` differ",
            2,
        ),
    ] {
        for format in ["text", "markdown", "html"] {
            let seen = in_template(
                &format!("drift --inventory {file} --report {format}=r"),
                &[],
            );
            assert_eq!(seen.done.code, Some(code), "{}", seen.brief());
            let report = seen
                .stage
                .read("r")
                .replace("<code>", "`")
                .replace("</code>", "`");
            // Where it stands alone it begins with a capital.
            assert!(
                report.replace("&#96;", "`").contains(&sentence[1..]),
                "{format}: {report}"
            );
        }
    }
    let seen = in_template("drift --emulator synced.json", &[]);
    assert!(
        seen.done
            .stdout
            .ends_with("Drift: no difference seen on 1 instance; 1 undeclared.\n"),
        "{}",
        seen.brief()
    );
}
