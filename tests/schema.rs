//! What the program writes is what its JSON Schemas say, and they say no more than that.
//!
//! That the schemas are those of the types is held where these are; here real documents are held against them.

#[expect(dead_code, reason = "the stage has more than is needed here")]
#[path = "cli/stage.rs"]
mod stage;

use std::collections::BTreeSet;

use jsonschema::Validator;
use portward::config;
use portward::inventory::Inventory;
use portward::model::{Desired, Fingerprint, Live, LiveFirewall, Unreadable};
use portward::plan::file::{self, PlanFile, Scope};
use portward::plan::{self, GuardName, Override, PlanOptions};
use portward::render::schema;
use serde_json::{Value, json};
use stage::{Stage, fleet, instance, rule};
use time::{Duration, OffsetDateTime};

fn validator(schema: &str) -> Validator {
    let schema = serde_json::from_str(schema).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
}

/// A document that is as its schema says.
fn check(schema: &str, document: &str) -> Value {
    let document =
        serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"));
    let found: Vec<String> = validator(schema)
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    document
}

/// Whatever is left out of a valid document, put into it, or exchanged for something of another type makes it invalid.
fn check_tight(schema: &str, document: &Value, free: &[&str], optional: &[&str], least: usize) {
    let validator = validator(schema);
    let mut paths = Vec::new();
    walk(document, String::new(), &mut paths);
    let mut tried = 0;
    let mut seen = BTreeSet::new();
    for path in paths {
        // One place of each kind is enough: the elements of a list share a schema.
        let places = path
            .split('/')
            .map(|part| part.trim_matches(|c: char| c.is_ascii_digit()));
        if !seen.insert(places.collect::<Vec<_>>().join("/")) {
            continue;
        }
        let is_free = free.iter().any(|name| path.ends_with(&format!("/{name}")));
        let mut refused = |what: &str, change: &dyn Fn(&mut Value)| {
            let mut changed = document.clone();
            change(changed.pointer_mut(&path).expect("a path"));
            tried += 1;
            assert!(!validator.is_valid(&changed), "{path}: {what} goes unseen");
        };
        let value = document.pointer(&path).expect("a path");
        match value {
            Value::Object(_) if is_free => {}
            Value::Object(object) => {
                refused("a new member", &|value| value["colour"] = json!("red"));
                for name in object
                    .keys()
                    .filter(|name| !optional.contains(&name.as_str()))
                {
                    refused(name, &|value| {
                        value.as_object_mut().and_then(|object| object.remove(name));
                    });
                }
            }
            Value::Array(_) => refused("an object for a list", &|value| *value = json!({})),
            Value::Bool(_) => refused("a text", &|value| *value = json!("x")),
            _ => refused("another type", &|value| *value = json!(true)),
        }
    }
    assert!(tried > least, "only {tried} changes were tried");
}

fn walk(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, member) in object {
                walk(member, format!("{path}/{}", name.replace('/', "~1")), paths);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                walk(item, format!("{path}/{at}"), paths);
            }
        }
        _ => {}
    }
    paths.push(path);
}

/// The example configuration on the example fleet, with some of it unreadable or odd.
fn example() -> (Desired, Live, Fingerprint) {
    let config = config::load(std::path::Path::new("firewall.example.toml")).expect("valid");
    let text = std::fs::read_to_string("examples/fleet.json").expect("the fleet");
    let inventory = Inventory::parse(&text).expect("an inventory");
    let mut live = Live::default();
    for (at, (id, entry)) in inventory.entries().enumerate() {
        let mut entries = entry.port_states.as_deref().expect("rules").to_vec();
        match at {
            0 => entries.push(rule("sctp", 1, 1, &["192.0.2.1"])),
            1 => entries.push(rule("tcp", 99, 99, &[])),
            2 => entries.push(entries[0].clone()),
            _ => {}
        }
        let read = match at {
            3 => Err(Unreadable::new("no answer")),
            _ => Ok(LiveFirewall::read(&entries)),
        };
        live.instances
            .insert(id.clone(), entry.instance(&id.site()));
        live.firewalls.insert(id, read);
    }
    let desired = config
        .resolve(&live.instances, &config.sites(), OffsetDateTime::UNIX_EPOCH)
        .unwrap_or_else(|errors| panic!("{errors}"));
    (desired, live, config.fingerprint())
}

#[test]
fn plan_files_match_their_schema() {
    let (desired, mut live, fingerprint) = example();
    let away = Unreadable::new("no answer").with_hint(Some("look again".into()));
    live.sites_unreadable
        .insert(portward::model::Site::of_region("eu-west-1"), away);
    let mut plan = plan::plan(&desired, &live, PlanOptions::default());
    plan.overrides.push(Override {
        guard: GuardName::BlastRadius,
        selector: None,
        reason: "a new office".into(),
    });
    plan.notes.push(portward::model::Note {
        text: "a note".into(),
        origin: None,
    });
    let now = OffsetDateTime::UNIX_EPOCH;
    let scope = Scope {
        accounts: [("prod".to_owned(), "123456789012".to_owned())].into(),
        account: Some("123456789012".into()),
        regions: vec!["eu-central-1".into()],
        targets: vec!["*".into()],
        declared: 9,
        shard: portward::model::Shard::new(3, 8),
        as_of: Some(now),
        leases: true,
    };
    let file = PlanFile {
        tool: file::TOOL.to_owned(),
        made_at: now,
        valid_until: file::valid_until(desired.next_expiry(), now, Duration::hours(24)),
        config: fingerprint,
        scope,
        guard: desired.guard.clone(),
        plan,
    };
    let document = check(schema::PLAN, &file::write(&file));
    for member in [
        "instances",
        "unreadable",
        "regionsUnreadable",
        "undeclared",
        "notes",
    ] {
        assert_ne!(document["plan"][member], json!([]), "{member}");
    }
    check_tight(
        schema::PLAN,
        &document,
        &["tags", "accounts"],
        &["shard", "asOf", "accounts", "leases"],
        100,
    );
    let strict = PlanOptions {
        strict_spelling: true,
        ..PlanOptions::default()
    };
    let file = PlanFile {
        plan: plan::plan(&desired, &live, strict),
        ..file
    };
    let document = check(schema::PLAN, &file::write(&file));
    let all = document["plan"]["instances"].as_array();
    let all = all.expect("a list");
    assert!(all.iter().any(|one| one["strictSpelling"] == true));
    check_tight(
        schema::PLAN,
        &document,
        &["tags", "accounts"],
        &["shard", "asOf", "accounts", "leases"],
        100,
    );
}

#[test]
fn reports_of_every_verb_match_their_schema() {
    let config = "version = 1\ndefaults = { region = \"eu-central-1\" }\n\
        [instances.web-1]\nrules = [{ allow = \"https\", from = \"anywhere\", why = \"the site\" }, { allow = \"ssh\", from = \"192.0.2.1\", until = 2001-01-01 }]\n\
        [instances.web-2]\nmode = \"observe\"\nrules = [{ allow = \"https\", from = \"anywhere\" }]\n\
        [instances.web-9]\nrules = [{ allow = \"https\", from = \"anywhere\" }]\n\
        [[policy]]\nid = \"site\"\nservices = \"https\"\nonly-from = []\nseverity = \"warn\"\n";
    let odd = vec![
        rule("tcp", 22, 22, &["192.0.2.1"]),
        rule("sctp", 9, 9, &["192.0.2.1"]),
    ];
    let stage = Stage::new(
        config,
        &fleet(vec![
            instance("web-1", vec![rule("tcp", 22, 22, &["192.0.2.1"])]),
            instance("web-2", odd),
            instance("old-1", Vec::new()),
        ]),
    );
    let document = |args: &[&str]| {
        let done = stage.run(&[args, &["--format", "json"]].concat());
        check(schema::REPORT, &done.stdout)
    };
    let emulated = |verb| document(&[verb, "--emulator", "fleet.json"]);
    let plan = emulated("plan");
    assert_eq!(
        plan["instances"][1]["before"]["unknown"][0]["protocol"],
        "sctp"
    );
    check_tight(
        schema::REPORT,
        &plan,
        &["tags"],
        &["config", "lastChange"],
        100,
    );
    let violation = &plan["violations"][0];
    assert_eq!(violation["seen"], "introduced");
    assert_ne!(
        (&violation["lines"], &violation["declared"]),
        (&json!([]), &Value::Null)
    );
    assert_eq!(emulated("drift")["violations"][0]["seen"], "live");
    assert_eq!(
        document(&["check"])["violations"][0]["table"],
        "instances.web-1"
    );
    document(&["plan", "--emulator", "nowhere.json"]);
    let refused = document(&["apply", "--emulator", "fleet.json", "--yes"]);
    assert_eq!(refused["refusals"][0]["guard"], "lockout");
    let consent = ["--allow", "lockout", "--reason", "it moved"];
    let apply = ["apply", "--emulator", "fleet.json", "--yes"];
    let applied = document(&[&apply[..], &consent].concat());
    assert_eq!(applied["overrides"][0]["reason"], "it moved");
    assert_ne!(applied["instances"][0]["outcome"], Value::Null);
    check_tight(
        schema::REPORT,
        &applied,
        &["tags"],
        &["config", "lastChange"],
        100,
    );
    stage.configure("version = 1\ncolour = 1\n");
    assert_ne!(document(&["check"])["problems"], json!([]));
}

#[test]
fn still_open_access_matches_the_schemas() {
    let config = "version = 1\ndefaults = { region = \"eu-central-1\" }\n\
        [instances.web-1]\nmode = \"additive\"\nrules = []\n\
        absent = [{ allow = \"ssh\", why = \"the bastion\", owner = \"platform\" }]\n";
    let wide = rule("tcp", 0, 65535, &["192.0.2.1/32"]);
    let stage = Stage::new(config, &fleet(vec![instance("web-1", vec![wide])]));
    let plan = [
        "plan",
        "--emulator",
        "fleet.json",
        "--format",
        "json",
        "--out",
        "plan.json",
    ];
    let report = check(schema::REPORT, &stage.run(&plan).stdout);
    let file = check(schema::PLAN, &stage.read("plan.json"));
    for plan in [&report, &file["plan"]] {
        let instance = &plan["instances"][0];
        assert_eq!(instance["verdict"], "still-open", "{instance}");
        assert_ne!(instance["stillOpen"], json!([]));
    }
    let optional = ["config", "lastChange"];
    check_tight(schema::REPORT, &report, &["tags"], &optional, 50);
    let optional = ["shard", "accounts"];
    check_tight(schema::PLAN, &file, &["tags", "accounts"], &optional, 50);
}

#[test]
fn answers_match_their_schemas() {
    let config = "version = 1\ndefaults = { region = \"eu-central-1\" }\n[instances.web-1]\n\
        rules = [{ allow = \"https\", from = \"anywhere\", why = \"the site\" }, { allow = \"ssh\", from = \"lightsail-connect\" }]\n";
    let stage = Stage::new(
        config,
        &fleet(vec![
            instance(
                "web-1",
                vec![rule("tcp", 22, 22, &["192.0.2.1", "lightsail-connect"])],
            ),
            instance(
                "web-2",
                vec![rule("icmp", 8, -1, &["2001:db8::/64", "192.0.2.1"])],
            ),
        ]),
    );
    let answer = |args: &[&str], schema: &str| {
        let done = stage.run(&[args, &["--format", "json"]].concat());
        check(schema, &done.stdout)
    };
    let diff = answer(&["diff", "fleet.json", "firewall.toml"], schema::DIFF);
    let web = &diff["instances"][0];
    assert_ne!((&web["gained"], &web["lost"]), (&json!([]), &json!([])));
    check_tight(schema::DIFF, &diff, &[], &[], 20);
    let ports = stage.path("ports.json");
    std::fs::write(ports, r#"{"portStates": []}"#).expect("a file");
    let unnamed = answer(&["diff", "ports.json", "ports.json"], schema::DIFF);
    assert_eq!(unnamed["instances"][0]["name"], Value::Null);

    std::fs::write(
        stage.path("odd.json"),
        r#"[{"fromPort": 22, "toPort": 22, "protocol": "tcp"}]"#,
    )
    .expect("a file");
    let doubtful = answer(&["diff", "ports.json", "odd.json"], schema::DIFF);
    let doubtful = &doubtful["instances"][0];
    assert_eq!(
        (&doubtful["equal"], &doubtful["doubts"][0]["side"]),
        (&Value::Null, &json!("new"))
    );

    let explain = |more: &[&str]| {
        let of = ["explain", "web-1", "--inventory", "fleet.json"];
        answer(&[&of[..], more].concat(), schema::EXPLAIN)
    };
    let everything = explain(&[]);
    assert_eq!(everything["instances"][0]["live"]["allowed"], "partly");
    check_tight(schema::EXPLAIN, &everything, &[], &[], 30);
    let plain = stage.fleet();
    let mut odd = plain.clone();
    let entries = odd.regions.values_mut().flatten();
    entries.for_each(|entry| entry.port_states = Some([rule("tcp", 22, 22, &[])].into()));
    stage.populate(&odd);
    let perhaps = explain(&[]);
    let entry = &perhaps["instances"][0]["live"]["perhaps"][0]["entry"];
    assert_eq!(entry, "tcp 22-22");
    stage.populate(&plain);
    let one = explain(&["--from", "192.0.2.1", "--to", "ssh"]);
    assert_eq!(
        (&one["instances"][0]["desired"]["allowed"], &one["to"]),
        (&json!("no"), &json!("ssh"))
    );
    let undeclared = answer(
        &["explain", "web-2", "--inventory", "fleet.json"],
        schema::EXPLAIN,
    );
    assert_eq!(undeclared["instances"][0]["desired"], Value::Null);
    // Over the fleet, with what could not be read and what could not be listed.
    let mut blind = stage.fleet();
    let entries = blind.regions.values_mut().flatten();
    entries.for_each(|entry| entry.port_states = None);
    let bare = config.replace(
        "region = \"eu-central-1\"",
        "regions = [\"eu-central-1\", \"us-east-1\"]",
    );
    stage.configure(&bare);
    stage.populate(&blind);
    let fleet = ["explain", "--inventory", "fleet.json", "--to", "ssh"];
    let fleet = answer(&fleet, schema::EXPLAIN);
    let lengths = ["instances", "unlisted"].map(|name| fleet[name].as_array().map(Vec::len));
    assert_eq!(lengths, [Some(2), Some(1)], "{fleet}");
    let undecided = &fleet["instances"][0]["undecided"]["reason"];
    assert!(undecided.is_string(), "{fleet}");
    check_tight(schema::EXPLAIN, &fleet, &[], &["hint"], 20);
    stage.configure(config);
    stage.populate(&plain);

    // Each says which variables took effect.
    for (args, schema) in [
        ("diff fleet.json firewall.toml", schema::DIFF),
        ("explain web-1 --inventory fleet.json", schema::EXPLAIN),
        ("plan --inventory fleet.json", schema::REPORT),
    ] {
        let args: Vec<&str> = args.split(' ').chain(["--format", "json"]).collect();
        let mut command = stage.command(&args);
        command.env("PORTWARD_AS_OF", "2026-01-01");
        let document = check(schema, &stage::Done::of(&mut command).stdout);
        let note = "PORTWARD_AS_OF=2026-01-01 sets the day of this run";
        assert_eq!(document["environment"], json!([note]));
    }
}

#[test]
fn shard_and_merged_reports_match_their_schema() {
    let config = "version = 1\ndefaults = { region = \"eu-central-1\" }\n\
        [groups.web]\nmatch = { name = \"web-*\" }\nrules = [{ allow = \"https\", from = \"anywhere\" }]\n";
    let web = |name| instance(name, Vec::new());
    let stage = Stage::new(
        config,
        &fleet(vec![web("web-1"), web("web-2"), web("web-3")]),
    );
    for name in ["1/3", "2/3"] {
        let report = format!("json={}", name.replace('/', "-"));
        let args = ["drift", "--emulator", "fleet.json", "--format", "json"];
        let done = stage.run(&[&args[..], &["--shard", name, "--report", &report]].concat());
        let document = check(schema::REPORT, &done.stdout);
        assert_eq!(document["shard"]["of"], 3);
    }
    let done = stage.run(&["report", "merge", "1-3", "2-3", "--format", "json"]);
    let joined = check(schema::REPORT, &done.stdout);
    assert_eq!(joined["shards"][2]["exitCode"], Value::Null, "{joined}");
    assert_ne!(joined["error"], Value::Null);
    check_tight(
        schema::REPORT,
        &joined,
        &["tags"],
        &["config", "lastChange", "shards"],
        100,
    );
}

#[test]
fn grants_match_their_schema() {
    let config = "version = 1\n[defaults]\nregion = \"eu-central-1\"\n[grants]\nservices = \"ssh\"\nmax = \"8h\"\n\
        [instances.web-1]\nrules = [{ allow = \"https\", from = \"anywhere\" }]\n";
    let mut web = instance("web-1", Vec::new());
    for (id, value) in [
        (
            "aaaa",
            "1 20310102T030000Z tcp/22 203.0.113.7/32 by=a why=b",
        ),
        ("bbbb", "1 20310102T010000Z tcp/22 2001:db8::/64 by=a"),
        ("cccc", "1 20310102T030000Z tcp/443 203.0.113.7/32 by=a"),
        ("dddd", "2"),
    ] {
        web.tags
            .insert(format!("portward:grant:{id}"), value.to_owned());
    }
    let stage = Stage::new(config, &fleet(vec![web]));
    let args = [
        "grants",
        "--emulator",
        "fleet.json",
        "--as-of",
        "2031-01-02T02:00:00Z",
    ];
    let done = stage.run(&[&args[..], &["--format", "json"]].concat());
    let document = check(schema::GRANTS, &done.stdout);
    let grants = document["grants"].as_array().expect("a list");
    let states: Vec<&Value> = grants.iter().map(|grant| &grant["state"]).collect();
    assert_eq!(states, ["expired", "unreadable", "not-honoured", "live"]);
    assert_eq!(grants[1]["lease"], Value::Null);
    for format in ["text", "markdown", "prometheus"] {
        let done = stage.run(&[&args[..], &["--format", format]].concat());
        assert_eq!(done.code, Some(0), "{}", done.shown());
        for state in ["expired", "unreadable", "not-honoured", "live"] {
            assert!(done.stdout.contains(state), "{format}: {}", done.shown());
        }
    }
}
