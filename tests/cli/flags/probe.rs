//! For each pair of a verb and a flag: two runs that differ in the flag alone, and how its effect shows.
//!
//! Owns the table of probes and the running of a command in a stage that has something to do for every flag. Does not decide
//! which pairs there are.

use super::*;

/// What a command did.
pub(super) struct Seen {
    pub(super) done: Done,
    pub(super) stage: Stage,
    pub(super) took: Duration,
    /// What a served emulator was asked, and over how many connections at once.
    pub(super) requests: Vec<String>,
    pub(super) connections: usize,
}

impl Seen {
    /// Everything that does not depend on when it was run.
    pub(super) fn shown(&self) -> String {
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

    pub(super) fn brief(&self) -> String {
        self.shown().chars().take(1_000).collect()
    }
}

/// How the effect of a flag shows.
pub(super) enum Look {
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
pub(super) enum Where {
    /// Wherever its arguments say.
    Nowhere,
    Emulator(&'static str),
    /// Served, with so many instances a page, each late by so many milliseconds.
    Served(usize, u64),
}

pub(super) struct Probe {
    pub(super) base: Vec<String>,
    pub(super) without: Vec<String>,
    pub(super) with: Vec<String>,
    pub(super) at: Where,
    pub(super) look: Look,
    /// Set in both runs.
    pub(super) env: Vec<(String, String)>,
}

pub(super) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A verb that has something to do with any flag.
pub(super) fn base(verb: &str) -> &str {
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

pub(super) fn place(verb: &str) -> Where {
    match verb {
        "rollback" => Where::Emulator("after.json"),
        "grants" | "revoke" => Where::Emulator("granted.json"),
        "check" | "diff" | "report merge" | "schema" | "completions" | "man" => Where::Nowhere,
        _ => Where::Emulator("fleet.json"),
    }
}

impl Probe {
    pub(super) fn new(verb: &str, without: &str, with: &str) -> Self {
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
    pub(super) fn noted(self) -> Self {
        let day = ("PORTWARD_AS_OF".to_owned(), "2026-01-01".to_owned());
        Self {
            env: vec![day],
            ..self
        }
    }

    pub(super) fn look(self, look: Look) -> Self {
        Self { look, ..self }
    }

    pub(super) fn at(self, at: Where) -> Self {
        Self { at, ..self }
    }
}

/// How to show the effect of a flag of a verb; `None` is a pair that nobody has thought of.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn probe(verb: &str, flag: &str) -> Option<Probe> {
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
pub(super) const THEN: &str = "--as-of 2098-12-31T20:00:00Z";

/// Those of the verbs about grants that are not shown as for other verbs. An id is made by chance, so that what `grant` and
/// `with` print is never the same twice.
pub(super) fn of_grants(verb: &str, flag: &str) -> Option<Probe> {
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
pub(super) fn proxy(to: &Server) -> (String, Arc<AtomicUsize>) {
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

pub(super) fn run(at: Where, args: &[String], env: &[(String, String)]) -> Seen {
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
            let options = EmulatorOptions {
                quirks: Quirks {
                    instances_per_page: page,
                    ..Quirks::default()
                },
                latency: Duration::from_millis(latency),
                ..EmulatorOptions::default()
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
pub(super) fn content(stage: &Stage, name: &str) -> Option<String> {
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
pub(super) fn validity(stage: &Stage) -> time::Duration {
    let plan: serde_json::Value = serde_json::from_str(&stage.read("written")).expect("JSON");
    let at = |member: &str| {
        let text = plan[member].as_str().expect("an instant");
        time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339)
            .expect("an instant")
    };
    at("validUntil") - at("madeAt")
}

pub(super) fn differs(look: &Look, without: &Seen, with: &Seen) -> bool {
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
pub(super) fn says(seen: &Seen, text: &str) -> bool {
    seen.shown().contains(text) || (text.trim() == text && seen.done.says(text))
}
