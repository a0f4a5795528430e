//! A fleet worked on by several processes: together they are one run, no more and no less.

use std::collections::BTreeMap;
use std::process::Stdio;

use portward::emulator::{EmulatorOptions, Faults};
use portward::inventory::{Entry, Inventory};
use portward::model::{InstanceId, Shard};
use serde_json::{Value, json};

use crate::served_emulator::Server;
use crate::stage::{Done, REGION, Stage, fleet, instance, rule};

const OFFICE: &str = "203.0.113.0/24";

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[groups.web]
match = { name = "web-*" }
expect = "40"
rules = [{ allow = "ssh", from = "203.0.113.0/24" }]
[instances.gone-1]
rules = []
[instances.gone-2]
rules = []
"#;

/// Forty instances of which each fourth differs, and six that nothing declares.
fn forty() -> Inventory {
    let rules = |n: usize| match n % 4 {
        0 => vec![rule("tcp", 22, 22, &["198.51.100.0/24", OFFICE])],
        _ => vec![rule("tcp", 22, 22, &[OFFICE])],
    };
    let web = (0..40).map(|n| instance(&format!("web-{n}"), rules(n)));
    let old = (0..6).map(|n| instance(&format!("old-{n}"), Vec::new()));
    fleet(web.chain(old).collect::<Vec<Entry>>())
}

/// The report of one run, without what says how it was made.
fn essence(report: &Value) -> Value {
    let mut report = report.clone();
    let members = report.as_object_mut().expect("an object");
    for how in ["apiCalls", "environment", "shard", "shards", "tool"] {
        members.remove(how);
    }
    // The bursts that the service allows are shared out, so the time is not that of one run.
    if let Some(needed) = members
        .get_mut("needed")
        .and_then(|needed| needed.as_object_mut())
    {
        needed.remove("leastSeconds");
    }
    report
}

fn parsed(done: &Done) -> Value {
    serde_json::from_str(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr))
}

/// Runs a verb as eight processes and joins their reports.
fn sharded(stage: &Stage, verb: &[&str]) -> Done {
    for k in 1..=8 {
        let (shard, report) = (format!("{k}/8"), format!("json=r{k}.json"));
        stage.on_fleet(&[verb, &["--shard", &shard, "--report", &report]].concat());
    }
    merge(stage, &["1", "2", "3", "4", "5", "6", "7", "8"])
}

fn merge(stage: &Stage, shards: &[&str]) -> Done {
    let files: Vec<String> = shards.iter().map(|k| format!("r{k}.json")).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    stage.run(&[&["report", "merge", "--format", "json"], &files[..]].concat())
}

#[test]
fn merged_shard_reports_equal_the_report_of_one_run() {
    // The limit of a shard is its own, so it would speak where that of one run does, but not in the same words.
    // Findings of all kinds, and rules that end soon on instances of several shards.
    let soon = time::OffsetDateTime::now_utc().date() + time::Duration::days(3);
    let config = format!(
        "{CONFIG}[guard]\nmax-instances = 40\n\
         [[policy]]\nid = \"ssh\"\nservices = [\"ssh\"]\nonly-from = [\"198.51.100.0/24\"]\nseverity = \"warn\"\n\
         [[policy]]\nid = \"closed\"\nservices = [\"http\"]\nonly-from = []\n\
         [groups.soon]\nmatch = {{ name = \"web-1*\" }}\n\
         rules = [{{ allow = \"http\", from = \"192.0.2.1\", until = {soon} }}, {{ allow = \"ping\", from = \"192.0.2.1\", until = {soon} }}]\n\
         [groups.nobody]\nmatch = {{ name = \"no-*\" }}\nrules = []\n"
    );
    let stage = Stage::new(&config, &forty());
    for verb in ["plan", "drift"] {
        let one = stage.on_fleet(&[verb, "--format", "json"]);
        let all = sharded(&stage, &[verb]);
        assert_eq!(all.code, one.code, "{}", all.shown());
        let (one, all) = (parsed(&one), parsed(&all));
        let (whole, joined) = (essence(&one), essence(&all));
        let members = |of: &Value| {
            of.as_object()
                .expect("an object")
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(members(&joined), members(&whole));
        for member in members(&whole) {
            assert_eq!(joined[&member], whole[&member], "{verb}: {member}");
        }
        assert_eq!(all["missing"].as_array().map(Vec::len), Some(2));
        assert_eq!(all["undeclared"].as_array().map(Vec::len), Some(6));
        assert_eq!(
            all["shards"][7],
            json!({"index": 8, "exitCode": parsed_code(&stage, 8)})
        );
    }
    let merged = [
        "report", "merge", "r1.json", "r2.json", "r3.json", "r4.json",
    ];
    let rest = ["r5.json", "r6.json", "r7.json", "r8.json"];
    let text = stage.run(&[&merged[..], &rest].concat());
    let last = "drift, 8 shards: 21 of 42 instances in sync, 19 differ, 2 missing, 6 undeclared,\n  40 policy violations.\n";
    assert!(text.stdout.ends_with(last), "{}", text.shown());
    assert!(
        text.stdout.contains("missing: gone-1, gone-2\n"),
        "{}",
        text.shown()
    );
    assert!(
        text.stdout.lines().all(|line| line.len() <= 80),
        "{}",
        text.shown()
    );
    let comment = stage.run(&[&merged[..], &["--format", "markdown"], &rest].concat());
    assert!(comment.stdout.contains("| 3/8 |"), "{}", comment.shown());
}

fn parsed_code(stage: &Stage, k: usize) -> Value {
    let report: Value = serde_json::from_str(&stage.read(&format!("r{k}.json"))).expect("JSON");
    report["exitCode"].clone()
}

#[test]
fn apply_in_shards_leaves_no_differences() {
    let stage = Stage::new(CONFIG, &forty());
    let config = CONFIG.split("[instances.gone-1]").next().expect("a part");
    let guarded = format!("{config}[guard]\nmax-instances = 40\n");
    stage.configure(&guarded);
    let all = parsed(&sharded(&stage, &["apply", "--yes"]));
    assert_eq!(
        (&all["exitCode"], &all["summary"]["writes"]),
        (&json!(0), &json!(10))
    );
    let files: Vec<String> = (1..=8).map(|k| format!("r{k}.json")).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let text = stage.run(&[&["report", "merge"], &files[..]].concat());
    let headline =
        "apply, 8 shards: 30 of 40 instances in sync, 10 changed, 6 undeclared, 10\n  writes.\n";
    assert!(text.stdout.ends_with(headline), "{}", text.shown());
    stage.assert_in_sync();
}

/// Also where an instance was changed and still has an entry that cannot be read.
#[test]
fn metrics_of_a_merge_are_the_sum_of_those_of_its_shards() {
    let config = "version = 1\n[defaults]\nregion = \"eu-central-1\"\nmode = \"additive\"\n\
        [groups.web]\nmatch = { name = \"web-*\" }\nrules = [{ allow = \"ssh\", from = \"203.0.113.0/24\" }]\n";
    let rules = |n: usize| match n {
        0..4 => vec![rule("tcp", 99, 98, &[OFFICE])],
        _ => vec![rule("tcp", 22, 22, &[OFFICE])],
    };
    let web = (0..8).map(|n| instance(&format!("web-{n}"), rules(n)));
    let stage = Stage::new(config, &fleet(web.collect::<Vec<Entry>>()));
    for k in 1..=2 {
        let (shard, json) = (format!("{k}/2"), format!("json=r{k}.json"));
        let metrics = format!("prometheus=m{k}.prom");
        let reports = ["--report", &json, "--report", &metrics];
        stage.on_fleet(&[&["apply", "--yes", "--shard", &shard], &reports[..]].concat());
    }
    let merged = stage.run(&[
        "report",
        "merge",
        "--format",
        "prometheus",
        "r1.json",
        "r2.json",
    ]);
    let counts = |text: &str| -> BTreeMap<String, u64> {
        let counts = text
            .lines()
            .filter(|line| line.starts_with("portward_instances_"));
        let counts = counts.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.split('{').next()?.to_owned(), value.parse().ok()?))
        });
        counts.collect()
    };
    let mut sum = BTreeMap::new();
    for k in 1..=2 {
        for (name, value) in counts(&stage.read(&format!("m{k}.prom"))) {
            *sum.entry(name).or_default() += value;
        }
    }
    assert_eq!(counts(&merged.stdout), sum, "{}", merged.shown());
    assert_eq!(
        (
            sum["portward_instances_in_sync"],
            sum["portward_instances_incomplete"]
        ),
        (4, 4)
    );
    // Only the entry that cannot be read is left.
    assert_eq!(stage.json(&["plan"])["summary"]["calls"], 0);
}

#[test]
fn reports_of_different_runs_are_not_merged() {
    let stage = Stage::new(CONFIG, &forty());
    let report = |shard: &str, name: &str, verb: &str| {
        let report = format!("json={name}");
        stage.on_fleet(&[verb, "--shard", shard, "--report", &report]);
    };
    report("1/2", "a", "plan");
    report("2/2", "b", "plan");
    report("2/3", "c", "plan");
    report("2/2", "d", "drift");
    stage.on_fleet(&["plan", "--report", "json=whole"]);
    stage.configure(&CONFIG.replace("gone-2", "gone-3"));
    report("2/2", "e", "plan");
    let merge = |files: &[&str]| stage.run(&[&["report", "merge"], files].concat());
    for (other, why) in [
        ("a", "both are of shard 1/2"),
        ("c", "one of 2 shards, and one of 3"),
        ("d", "`plan` made one, and `drift` the other"),
        ("e", "their configurations differ"),
        ("whole", "is not the report of a shard"),
        ("fleet.json", "is not a report of this program"),
        ("nowhere", "cannot read the report"),
    ] {
        let done = merge(&["a", other]);
        assert_eq!(done.code, Some(1), "{}", done.shown());
        assert!(done.says(why), "{why}: {}", done.shown());
    }
    let newer = stage.read("b").replace("\"version\": 1", "\"version\": 2");
    std::fs::write(stage.path("b2"), newer).expect("a file");
    let done = merge(&["a", "b2"]);
    assert!(done.says("is of version 2"), "{}", done.shown());
    let odd = stage
        .read("b")
        .replacen("\"verb\"", "\"colour\": 1, \"verb\"", 1);
    std::fs::write(stage.path("b3"), odd).expect("a file");
    assert_eq!(merge(&["a", "b3"]).code, Some(1));
    // What is not known would be lost on the way, and a word that is not known could not be counted.
    for (from, to, why) in [
        (
            "\"mode\":",
            "\"colour\": 1, \"mode\":",
            "unknown field `colour`",
        ),
        (
            "\"verdict\": \"",
            "\"verdict\": \"\\u001b",
            "unknown variant `\\u{1b}",
        ),
        ("\"fromPort\": 22", "\"fromPort\": 23", "the range 23-22"),
    ] {
        let text = stage.read("b");
        assert!(text.contains(from), "{from}");
        std::fs::write(stage.path("b4"), text.replacen(from, to, 1)).expect("a file");
        let done = merge(&["a", "b4"]);
        assert_eq!(done.code, Some(1), "{}", done.shown());
        assert!(done.says(why), "{why}: {}", done.stderr);
    }
    // Missing instances make each of them 1, which wins over the view that is incomplete.
    let done = merge(&["a"]);
    assert!(
        done.stdout.starts_with("shard 2/2 has no report\n"),
        "{}",
        done.shown()
    );
    assert_eq!(merge(&["b", "a"]).code, Some(1));
}

#[test]
fn report_with_inconsistent_counts_is_not_merged() {
    let stage = Stage::new(CONFIG, &forty());
    let allow = ["--allow", "blast-radius", "--reason", "a test"];
    let run = ["apply", "--yes", "--shard", "1/1", "--report", "json=a"];
    stage.on_fleet(&[&run[..], &allow].concat());
    let report: Value = serde_json::from_str(&stage.read("a")).expect("JSON");
    let merge = || stage.run(&["report", "merge", "b", "--format", "json"]);
    let write = |report: &Value| {
        std::fs::write(stage.path("b"), report.to_string()).expect("a file");
    };
    write(&report);
    let summary = report["summary"].as_object().expect("numbers");
    let whole = parsed(&merge());
    assert_eq!(whole["summary"], report["summary"]);
    assert!(summary["writes"].as_u64() > Some(0), "{summary:?}");
    for (name, number) in summary {
        let number = number.as_u64().unwrap_or(0);
        for wrong in [number + 1, u64::MAX]
            .into_iter()
            .chain(number.checked_sub(1))
        {
            let mut edited = report.clone();
            edited["summary"][name] = json!(wrong);
            write(&edited);
            let done = merge();
            assert_eq!(done.code, Some(1), "{name}={wrong} {}", done.shown());
            let said = format!("and its summary says {wrong}");
            assert!(done.says(&said), "{name} {}", done.stderr);
        }
    }
    for list in ["instances", "missing", "undeclared"] {
        let mut edited = report.clone();
        edited[list].as_array_mut().expect("a list").pop();
        write(&edited);
        assert_eq!(merge().code, Some(1), "{list}");
    }
}

#[test]
fn missing_shard_report_makes_the_merge_incomplete() {
    let config = "version = 1\ndefaults = { region = \"eu-central-1\" }\n[groups.a]\nmatch = { name = \"*\" }\nrules = []\n";
    let stage = Stage::new(config, &fleet(vec![instance("web-1", Vec::new())]));
    let done = sharded(&stage, &["drift"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    let done = merge(&stage, &["1", "2", "3", "4", "6", "7", "8"]);
    assert_eq!(done.code, Some(6), "{}", done.shown());
    assert_eq!(
        parsed(&done)["shards"][4],
        json!({"index": 5, "exitCode": null})
    );
    // One that failed before it had read anything has a report all the same.
    stage.run(&[
        "drift",
        "--inventory",
        "nowhere",
        "--shard",
        "5/8",
        "--report",
        "json=r5.json",
    ]);
    let done = merge(&stage, &["1", "2", "3", "4", "5", "6", "7", "8"]);
    assert_eq!(done.code, Some(1), "{}", done.shown());
    let error = &parsed(&done)["error"]["message"];
    let error = error.as_str().expect("a text");
    assert!(
        error.starts_with("shard 5/8: cannot read the inventory"),
        "{error}"
    );
}

#[test]
fn guards_and_expectations_apply_to_all_shards_together() {
    let config = CONFIG.split("[instances.gone-1]").next().expect("a part");
    let stage = Stage::new(&format!("{config}[guard]\nmax-instances = 8\n"), &forty());
    // One instance in each of eight shards may change, and some shard has two of the ten.
    let reports: Vec<Value> = (1..=8)
        .map(|k| stage.json(&["plan", "--shard", &format!("{k}/8")]))
        .collect();
    for report in &reports {
        let changing = report["summary"]["toChange"].as_u64().expect("a number");
        let refused = !report["refusals"].as_array().expect("a list").is_empty();
        assert_eq!(refused, changing > 1, "{report}");
        if refused {
            let reason = report["refusals"][0]["reason"].as_str().expect("a text");
            let shard = &report["shard"]["index"];
            assert!(
                reason.ends_with(&format!("is 1 (the part of shard {shard}/8)")),
                "{reason}"
            );
        }
    }
    assert!(reports.iter().any(|report| report["exitCode"] == 3));
    stage.configure(&config.replace("expect = \"40\"", "expect = \"5\""));
    let done = stage.on_fleet(&["plan", "--shard", "1/8"]);
    assert_eq!(done.code, Some(65), "{}", done.shown());
}

#[test]
fn limit_holds_for_more_shards_than_changes() {
    let web = (0..10).map(|n| instance(&format!("web-{n}"), Vec::new()));
    let config = "version = 1\ndefaults = { region = \"eu-central-1\" }\n[groups.web]\nmatch = { name = \"web-*\" }\n\
                  rules = [{ allow = \"ssh\", from = \"203.0.113.0/24\" }]\n[guard]\nmax-instances = 5\n";
    let stage = Stage::new(config, &fleet(web.collect()));
    for k in 1..=40 {
        let done = stage.on_fleet(&["apply", "--yes", "--shard", &format!("{k}/40")]);
        assert!(matches!(done.code, Some(0 | 3)), "{}", done.shown());
    }
    let fleet = stage.fleet();
    let rules = fleet.regions[REGION]
        .iter()
        .filter_map(|entry| entry.port_states.as_ref());
    let changed = rules.filter(|rules| !rules.is_empty()).count();
    assert!(changed <= 5, "{changed} changed");
}

#[test]
fn plan_file_is_bound_to_its_shard() {
    let stage = Stage::new(CONFIG, &forty());
    let out = |shard: &str| {
        let consent = ["--allow", "blast-radius", "--reason", "it is a test"];
        stage.on_fleet(
            &[
                &["plan", "--shard", shard, "--out", "plan.json"][..],
                &consent,
            ]
            .concat(),
        )
    };
    out("2/2");
    let plan: Value = serde_json::from_str(&stage.read("plan.json")).expect("JSON");
    assert_eq!(plan["scope"]["shard"], json!({"index": 2, "of": 2}));
    let wrong = stage.on_fleet(&["apply", "plan.json", "--yes", "--shard", "1/2"]);
    assert_eq!(wrong.code, Some(4), "{}", wrong.shown());
    let right = stage.json(&["apply", "plan.json", "--yes"]);
    assert_eq!(right["shard"], json!({"index": 2, "of": 2}), "{right}");
    assert!(right["config"].is_string() && right["summary"]["writes"].as_u64() > Some(0));
    out("1/2");
    stage.on_fleet(&["apply", "plan.json", "--yes", "--shard", "1/2"]);
    let plan = stage.json(&["plan"]);
    assert_eq!(plan["summary"]["calls"], 0, "{plan}");
}

#[test]
fn shard_is_set_by_flag_or_ci_variables() {
    let stage = Stage::new(CONFIG, &forty());
    let args = ["plan", "--inventory", "fleet.json", "--format", "json"];
    let run = |more: &[&str], env: &[(&str, &str)]| {
        let mut command = stage.command(&[&args[..], more].concat());
        Done::of(command.envs(env.iter().copied()))
    };
    // But for what says where the shard came from.
    let report = |more: &[&str], env: &[(&str, &str)]| essence(&parsed(&run(more, env)));
    let typed = run(&["--shard", "3/8"], &[]);
    let expected = essence(&parsed(&typed));
    assert_eq!(report(&[], &[("PORTWARD_SHARD", "3/8")]), expected);
    let index = ("JOB_COMPLETION_INDEX", "2");
    assert_eq!(report(&["--shards", "8"], &[index]), expected);
    assert_eq!(report(&[], &[("PORTWARD_SHARDS", "8"), index]), expected);
    assert_eq!(parsed(&typed)["shard"], json!({"index": 3, "of": 8}));
    for (more, env) in [
        (&["--shard", "9/8"][..], &[][..]),
        (&["--shard", "0/8"], &[]),
        (&["--shards", "8"], &[]),
        (&["--shards", "2"], &[index]),
        (&["--shards", "8", "--shard", "1/8"], &[index]),
    ] {
        let done = run(more, env);
        assert_eq!(done.code, Some(64), "{more:?}: {}", done.shown());
    }
    let adopt = stage.run(&[
        "drift",
        "--adopt",
        "--shard",
        "1/8",
        "--inventory",
        "fleet.json",
    ]);
    assert_eq!(adopt.code, Some(64), "{}", adopt.shown());
}

/// Eight processes at once against one service that holds them to its documented rates. Each takes an eighth of the burst
/// and of what comes back, so nobody is turned away, though they know nothing of each other; a single share for each of
/// them would be more than the service takes at once.
#[test]
fn eight_processes_share_one_rate_limit() {
    let mut left = [4; 8];
    let even = (0..).map(|n| format!("web-{n}")).filter(|name| {
        let id = InstanceId {
            account: None,
            region: REGION.to_owned(),
            name: name.clone(),
        };
        let mut indices = 0..8_u16;
        let holds = |index: &u16| Shard::new(index + 1, 8).is_some_and(|shard| shard.holds(&id));
        let index = indices.find(holds).expect("a shard");
        let left = &mut left[usize::from(index)];
        *left -= 1;
        *left >= 0
    });
    let web = even
        .take(32)
        .map(|name| instance(&name, vec![rule("tcp", 22, 22, &[OFFICE])]));
    let config = CONFIG.split("expect").next().expect("a part");
    let config = format!("{config}rules = [{{ allow = \"ssh\", from = \"{OFFICE}\" }}]\n");
    let stage = Stage::new(&config, &fleet(Vec::new()));
    let options = EmulatorOptions {
        faults: Faults {
            throttle: true,
            ..Faults::default()
        },
        ..EmulatorOptions::default()
    };
    let server = Server::with(fleet(web.collect()), options);
    let running: Vec<_> = (1..=8)
        .map(|k| {
            let (shard, report) = (format!("{k}/8"), format!("json=r{k}.json"));
            let mut command = stage.command(&["drift", "--shard", &shard, "--report", &report]);
            server.point(&mut command);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().expect("it starts")
        })
        .collect();
    for mut child in running {
        child.wait().expect("it ends");
    }
    let done = merge(&stage, &["1", "2", "3", "4", "5", "6", "7", "8"]);
    let all = parsed(&done);
    assert_eq!(
        (done.code, &all["summary"]["inSync"]),
        (Some(0), &json!(32)),
        "{all}"
    );
    let calls = all["apiCalls"].as_array().expect("a list");
    let sum = |member: &str| calls.iter().filter_map(|c| c[member].as_u64()).sum::<u64>();
    // Two pages for each of the eight, and the rules of each instance once. One in fifty may be turned away.
    assert_eq!((sum("answered"), sum("failed")), (16 + 32, 0), "{calls:?}");
    assert!(sum("throttled") * 50 <= 48, "{calls:?}");
}
