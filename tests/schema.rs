//! What the program writes is what its JSON Schemas say, and they say no more than that.
//!
//! Owns a validator for the few keywords that the schemas use; it stops at any other, so that no promise of a schema goes
//! unchecked.

#[expect(dead_code, reason = "the stage has more than is needed here")]
#[path = "cli/stage.rs"]
mod stage;

use std::collections::{BTreeMap, BTreeSet};

use portward::config;
use portward::inventory::Inventory;
use portward::model::{Desired, Fingerprint, Live, LiveFirewall, Unreadable};
use portward::plan::file::{self, PlanFile, Scope};
use portward::plan::{self, GuardName, Options, Override};
use portward::render::schema;
use serde_json::{Map, Value, json};
use stage::{Stage, fleet, instance, rule};
use time::OffsetDateTime;

/// Keywords that say something to people only.
const ANNOTATIONS: [&str; 5] = ["$schema", "$id", "$defs", "title", "description"];

/// What is wrong with a value, at its path; nothing where it is valid.
fn errors(root: &Value, schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let keywords = schema.as_object().expect("a schema is an object");
    let mut found = Vec::new();
    for (keyword, of) in keywords {
        let wrong = match keyword.as_str() {
            known if ANNOTATIONS.contains(&known) => false,
            // What a property may be is said beside what else there may be.
            "properties" => false,
            "additionalProperties" => {
                found.extend(members(root, keywords, of, value, path));
                false
            }
            "$ref" => {
                found.extend(errors(root, definition(root, of), value, path));
                false
            }
            "items" => {
                for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(errors(root, of, item, &format!("{path}/{at}")));
                }
                false
            }
            "type" => !words(of).any(|kind| is(value, kind)),
            "const" => value != of,
            "enum" => !of.as_array().expect("a list").contains(value),
            "required" => value
                .as_object()
                .is_some_and(|object| words(of).any(|name| !object.contains_key(name))),
            "anyOf" => matching(root, of, value) == 0,
            "oneOf" => matching(root, of, value) != 1,
            "minimum" => value
                .as_i64()
                .is_some_and(|n| n < of.as_i64().expect("a limit")),
            "maximum" => value
                .as_i64()
                .is_some_and(|n| n > of.as_i64().expect("a limit")),
            "pattern" => value.as_str().is_some_and(|text| !matches(of, text)),
            other => panic!("the validator does not know `{other}`"),
        };
        if wrong {
            found.push(format!("{path}: {keyword} {of}: {value}"));
        }
    }
    found
}

fn members(
    root: &Value,
    keywords: &Map<String, Value>,
    others: &Value,
    value: &Value,
    path: &str,
) -> Vec<String> {
    let none = Map::new();
    let known = keywords.get("properties").map_or(&none, |known| {
        known.as_object().expect("properties are an object")
    });
    let mut found = Vec::new();
    for (name, member) in value.as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        match known.get(name) {
            Some(schema) => found.extend(errors(root, schema, member, &path)),
            None if *others == json!(false) => found.push(format!("{path}: is not known")),
            None => found.extend(errors(root, others, member, &path)),
        }
    }
    found
}

fn definition<'a>(root: &'a Value, reference: &Value) -> &'a Value {
    let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
    root.pointer(pointer.expect("a reference into the same file"))
        .expect("a definition")
}

fn matching(root: &Value, schemas: &Value, value: &Value) -> usize {
    let schemas = schemas.as_array().expect("a list of schemas").iter();
    schemas
        .filter(|schema| errors(root, schema, value, "").is_empty())
        .count()
}

/// One text, or a list of them.
fn words(value: &Value) -> impl Iterator<Item = &str> {
    let list = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().map(|word| word.as_str().expect("a text"))
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the validator does not know the type `{other}`"),
    }
}

/// The two patterns that there are.
fn matches(pattern: &Value, text: &str) -> bool {
    match pattern.as_str() {
        Some("^sha256:[0-9a-f]{64}$") => text.strip_prefix("sha256:").is_some_and(|digits| {
            digits.len() == 64
                && digits
                    .bytes()
                    .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        }),
        Some(pattern) if pattern.contains("[0-9]{4}-[0-9]{2}-[0-9]{2}T") => {
            text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T')
        }
        other => panic!("the validator does not know the pattern {other:?}"),
    }
}

fn check(schema: &str, document: &str) -> Value {
    let root: Value = serde_json::from_str(schema).expect("a schema");
    let document =
        serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"));
    let found = errors(&root, &root, &document, "");
    assert!(found.is_empty(), "{}", found.join("\n"));
    document
}

/// Whatever is left out of a valid document, put into it, or exchanged for something of another type makes it invalid.
fn check_tight(schema: &str, document: &Value, free: &[&str], optional: &[&str], least: usize) {
    let root: Value = serde_json::from_str(schema).expect("a schema");
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
            assert!(
                !errors(&root, &root, &changed, "").is_empty(),
                "{path}: {what} goes unseen"
            );
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
            3 => Err(Unreadable {
                reason: "no answer".into(),
                hint: None,
            }),
            _ => Ok(LiveFirewall::read(&entries)),
        };
        live.instances
            .insert(id.clone(), entry.instance(&id.region));
        live.firewalls.insert(id, read);
    }
    let desired = config
        .resolve(&live.instances, &config.sites(), OffsetDateTime::UNIX_EPOCH)
        .unwrap_or_else(|errors| panic!("{errors}"));
    (desired, live, config.fingerprint())
}

#[test]
fn plan_files_are_as_their_schema_says() {
    let (desired, mut live, fingerprint) = example();
    let away = Unreadable {
        reason: "no answer".into(),
        hint: Some("look again".into()),
    };
    live.sites_unreadable
        .insert(portward::model::Site::of_region("eu-west-1"), away);
    let mut plan = plan::plan(&desired, &live, Options::default());
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
    };
    let until = file::valid_until(desired.ends_next(), now, file::VALID_FOR);
    let file = PlanFile::new(plan, scope, desired.guard.clone(), fingerprint, now, until);
    let document = check(schema::PLAN, &file::write(&file));
    for member in [
        "instances",
        "unreadable",
        "regionsUnreadable",
        "undeclared",
        "notes",
    ] {
        assert_ne!(document[member], json!([]), "{member}");
    }
    check_tight(
        schema::PLAN,
        &document,
        &["tags", "accounts"],
        &["shard", "asOf", "accounts"],
        100,
    );
    let strict = Options {
        strict_spelling: true,
        ..Options::default()
    };
    let file = PlanFile {
        plan: plan::plan(&desired, &live, strict),
        ..file
    };
    let document = check(schema::PLAN, &file::write(&file));
    let all = document["instances"].as_array().expect("a list");
    assert!(all.iter().any(|one| one["strictSpelling"] == true));
    check_tight(
        schema::PLAN,
        &document,
        &["tags", "accounts"],
        &["strictSpelling", "shard", "asOf", "accounts"],
        100,
    );
}

#[test]
fn reports_of_every_verb_are_as_their_schema_says() {
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
        plan["instances"][1]["uncertain"][0]["entry"]["protocol"],
        "sctp"
    );
    check_tight(
        schema::REPORT,
        &plan,
        &[],
        &["state", "config", "lastChange"],
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
        &[],
        &["state", "config", "lastChange"],
        100,
    );
    stage.configure("version = 1\ncolour = 1\n");
    assert_ne!(document(&["check"])["problems"], json!([]));
}

#[test]
fn access_that_stays_open_is_as_the_schemas_say() {
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
    for document in [&report, &file] {
        let instance = &document["instances"][0];
        assert_eq!(instance["verdict"], "still-open", "{instance}");
        assert_ne!(instance["stillOpen"], Value::Null);
    }
    let optional = ["state", "config", "lastChange", "stillOpen"];
    check_tight(schema::REPORT, &report, &[], &optional, 50);
    let optional = ["stillOpen", "shard", "accounts"];
    check_tight(schema::PLAN, &file, &["tags", "accounts"], &optional, 50);
}

#[test]
fn answers_are_as_their_schemas_say() {
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
    assert_eq!(everything["live"]["allowed"], "partly");
    check_tight(schema::EXPLAIN, &everything, &[], &[], 30);
    let plain = stage.fleet();
    let mut odd = plain.clone();
    let entries = odd.regions.values_mut().flatten();
    entries.for_each(|entry| entry.port_states = Some([rule("tcp", 22, 22, &[])].into()));
    stage.populate(&odd);
    let perhaps = explain(&[]);
    assert_eq!(perhaps["live"]["perhaps"][0]["entry"], "tcp 22-22");
    stage.populate(&plain);
    let one = explain(&["--from", "192.0.2.1", "--to", "ssh"]);
    assert_eq!(
        (&one["desired"]["allowed"], &one["to"]),
        (&json!("no"), &json!("ssh"))
    );
    let undeclared = answer(
        &["explain", "web-2", "--inventory", "fleet.json"],
        schema::EXPLAIN,
    );
    assert_eq!(undeclared["desired"], Value::Null);

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
fn reports_of_shards_and_joined_ones_are_as_their_schema_says() {
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
        &[],
        &["state", "config", "lastChange", "shards"],
        100,
    );
}

#[test]
fn every_definition_is_used() {
    for text in [schema::PLAN, schema::REPORT, schema::DIFF, schema::EXPLAIN] {
        let root: Value = serde_json::from_str(text).expect("a schema");
        let definitions: BTreeMap<&String, &Value> = root["$defs"]
            .as_object()
            .expect("definitions")
            .iter()
            .collect();
        for name in definitions.keys() {
            assert!(text.contains(&format!("\"#/$defs/{name}\"")), "{name}");
        }
    }
}
