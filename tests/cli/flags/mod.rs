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

use portward::emulator::{EmulatorOptions, Quirks};
use portward::inventory::{Entry, Inventory};

use crate::served_emulator::Server;
use crate::stage::{Done, REGION, Stage, fleet, instance, rule};
use probe::{Look, Probe, Seen, Where, base, differs, place, probe, run, words};
use template::{CONFIG, OFFICE, live, template};

mod emulate;
mod environment;
mod probe;
mod template;

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
    let text = include_str!("../../../docs/src/flags.md");
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

/// A run in a folder with everything that a verb may need.
fn in_template(args: &str, env: &[(&str, &str)]) -> Seen {
    let env: Vec<(String, String)> = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    run(Where::Nowhere, &words(args), &env)
}

#[test]
fn ignored_flags_are_refused() {
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
fn plan_file_conflicts_with_scope_flags() {
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
fn rollback_honours_its_scope_flags() {
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

#[test]
fn apply_refuses_a_date_from_flag_or_environment() {
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
fn drift_of_an_inventory_names_the_inventory() {
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
