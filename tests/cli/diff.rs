//! `diff`: every kind of side, and what is said of the difference.

use std::fs;
use std::process::Command;

use crate::stage::{Done, REGION, Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[addresses]
office = ["203.0.113.0/24", "2001:db8:10::/48"]
[groups.web]
match = { name = "web-*" }
rules = [{ allow = ["http", "https"], from = "anywhere" }]
[instances.web-1]
rules = [{ allow = "ssh", from = "office", why = "operators" }]
[instances.db-1]
rules = [{ allow = "ssh", from = "office" }]
"#;

fn stage() -> Stage {
    let web = vec![
        rule("tcp", 22, 22, &["203.0.113.0/24", "2001:db8:10::/48"]),
        rule("tcp", 80, 80, &["0.0.0.0/0", "::/0"]),
        rule("tcp", 443, 443, &["0.0.0.0/0", "::/0"]),
    ];
    let db = vec![rule("tcp", 22, 22, &["203.0.113.0/24", "2001:db8:10::/48"])];
    Stage::new(
        CONFIG,
        &fleet(vec![
            instance("web-1", web.clone()),
            instance("web-2", web[1..].to_vec()),
            instance("db-1", db),
        ]),
    )
}

fn write(stage: &Stage, name: &str, text: &str) {
    fs::write(stage.path(name), text).expect("a file");
}

fn diff(stage: &Stage, args: &[&str]) -> Done {
    stage.run(&[&["diff"], args].concat())
}

#[track_caller]
fn json(stage: &Stage, args: &[&str], code: i32) -> serde_json::Value {
    let done = diff(stage, &[args, &["--format", "json"]].concat());
    assert_eq!(done.code, Some(code), "{}{}", done.stdout, done.stderr);
    serde_json::from_str(&done.stdout).expect("JSON")
}

/// Runs git in the folder of the stage, apart from whatever the machine configures.
fn git(stage: &Stage, args: &[&str]) {
    let mut command = Command::new("git");
    let done = Done::of(
        command
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@example.org",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(args)
            .current_dir(stage.path(""))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null"),
    );
    assert_eq!(
        done.code,
        Some(0),
        "{args:?} {}{}",
        done.stdout,
        done.stderr
    );
}

fn commit(stage: &Stage) {
    git(stage, &["add", "-A"]);
    git(stage, &["commit", "-q", "--no-gpg-sign", "-m", "x"]);
}

#[test]
fn every_kind_of_document_with_the_same_rules_is_equal() {
    let stage = stage();
    let plan = stage.on_fleet(&["plan", "--out", "plan.json"]);
    assert_eq!(plan.code, Some(0), "{}{}", plan.stdout, plan.stderr);
    git(&stage, &["init", "-q"]);
    commit(&stage);
    let sides = [
        "firewall.toml",
        "git:HEAD:firewall.toml",
        "git:HEAD:./firewall.toml",
        "fleet.json",
        "git:HEAD:fleet.json",
        "plan.json",
        "plan.json#before",
        "plan.json#after",
    ];
    for old in sides {
        for new in sides {
            let found = json(&stage, &[old, new, "--inventory", "fleet.json"], 0);
            let equal = found["instances"]
                .as_array()
                .expect("a list")
                .iter()
                .filter(|i| i["equal"] == true);
            assert_eq!(equal.count(), 3, "{old} {new}: {found}");
        }
    }
}

#[test]
fn change_of_one_line_is_one_sentence() {
    let stage = stage();
    git(&stage, &["init", "-q"]);
    commit(&stage);
    let line = "rules = [{ allow = \"ssh\", from = \"office\" }]\n";
    let changed = CONFIG.replace(
        line,
        "rules = [{ allow = [\"ssh\", \"postgres\"], from = \"office\" }]\n",
    );
    stage.configure(&changed);
    commit(&stage);
    let done = diff(&stage, &["git:HEAD~1:firewall.toml", "firewall.toml"]);
    insta::assert_snapshot!(done.shown(), @r"
    db-1 (eu-central-1) is wider: tcp/5432 (postgres) opens to office (256 IPv4 and
      2^80 IPv6 addresses), by firewall.toml:12; the other instance is equal.
    --- stderr
    note: no inventory is given: groups are compared by what they say of every
          instance that they take, and instances are taken to be dual-stack
    --- exit code 2
    ");
    let back = diff(
        &stage,
        &[
            "firewall.toml",
            "git:HEAD~1:firewall.toml",
            "--inventory",
            "fleet.json",
        ],
    );
    insta::assert_snapshot!(back.shown(), @r"
    db-1 (eu-central-1) is narrower: tcp/5432 (postgres) closes to office (256 IPv4
      and 2^80 IPv6 addresses), by firewall.toml:12; the 2 other instances are
      equal.
    --- exit code 2
    ");
}

#[test]
fn group_is_reported_once_for_all_its_instances() {
    let stage = stage();
    write(&stage, "old.toml", CONFIG);
    stage.configure(&CONFIG.replace(
        "[\"http\", \"https\"], from = \"anywhere\"",
        "[\"https\", \"rdp\"], from = \"anywhere-v4\"",
    ));
    let done = diff(
        &stage,
        &["old.toml", "firewall.toml", "--inventory", "fleet.json"],
    );
    insta::assert_snapshot!(done.shown(), @r"
    web-1 and web-2 (eu-central-1) are mixed: tcp/3389 (rdp) opens to
      everyone (IPv4), by firewall.toml:8; tcp/80 (http) closes to everyone;
      tcp/443 (https) closes to everyone (IPv6), by old.toml:8; the other instance
      is equal.
    --- exit code 2
    ");
    let found = json(
        &stage,
        &[
            "old.toml",
            "firewall.toml",
            "--inventory",
            "fleet.json",
            "-t",
            "web-2",
        ],
        2,
    );
    assert_eq!(
        found,
        serde_json::json!({"instances": [{"name": "web-2", "region": REGION, "equal": false, "gained": [
            {"protocol": "tcp", "from": 3389, "to": 3389, "cidrs": ["0.0.0.0/0"], "ipv6Cidrs": [], "cidrListAliases": []}
        ], "lost": [
            {"protocol": "tcp", "from": 80, "to": 80, "cidrs": ["0.0.0.0/0"], "ipv6Cidrs": ["::/0"], "cidrListAliases": []},
            {"protocol": "tcp", "from": 443, "to": 443, "cidrs": [], "ipv6Cidrs": ["::/0"], "cidrListAliases": []}
        ]}]})
    );
}

#[test]
fn output_of_the_aws_cli_is_one_unnamed_instance() {
    let stage = stage();
    let rule = r#"{"fromPort": 22, "toPort": 22, "protocol": "TCP", "cidrs": ["203.0.113.0/25", "203.0.113.128/25"], "ipv6Cidrs": ["2001:db8:10::/48"], "state": "open"}"#;
    write(
        &stage,
        "reply.json",
        &format!("{{\"portStates\": [{rule}]}}"),
    );
    write(
        &stage,
        "request.json",
        &format!(
            "{{\"portInfos\": [{}]}}",
            rule.replace(", \"state\": \"open\"", "")
        ),
    );
    write(&stage, "list.json", &format!("[{rule}]"));
    write(&stage, "none.json", "[]");
    for other in ["request.json", "list.json"] {
        let found = json(&stage, &["reply.json", other], 0);
        assert_eq!(
            found,
            serde_json::json!({"instances": [{"name": null, "region": null, "equal": true, "gained": [], "lost": []}]})
        );
    }
    json(&stage, &["reply.json", "firewall.toml", "-t", "db-1"], 0);
    let none = diff(&stage, &["reply.json", "none.json"]);
    insta::assert_snapshot!(none.shown(), @r"
    the firewall is narrower: tcp/22 (ssh) closes to 203.0.113.0/24 (256 addresses),
      2001:db8:10::/48 (2^80 addresses).
    --- exit code 2
    ");
    let many = diff(&stage, &["reply.json", "fleet.json"]);
    insta::assert_snapshot!(many.shown(), @r"
    --- stderr
    error[PW-901]: `reply.json` is the rules of one instance, and `fleet.json` has 3
    hint: say with --target which one is meant
    --- exit code 64
    ");
}

#[test]
fn instance_of_one_document_is_compared_with_no_access() {
    let stage = stage();
    let mut less = stage.fleet();
    less.regions
        .values_mut()
        .for_each(|entries| entries.retain(|entry| entry.name != "db-1"));
    write(&stage, "less.json", &less.to_json());
    let found = json(&stage, &["less.json", "fleet.json"], 2);
    let db = &found["instances"][0];
    assert_eq!(
        (&db["name"], &db["equal"]),
        (&"db-1".into(), &false.into()),
        "{found}"
    );
    assert_eq!(db["gained"][0]["from"], 22);
    assert_eq!(
        json(&stage, &["fleet.json", "less.json"], 2)["instances"][0]["lost"],
        db["gained"]
    );
}

#[test]
fn undeclared_instance_is_named() {
    let stage = stage();
    let config = "version = 1\n[defaults]\nregion = \"eu-central-1\"\n[groups.web]\nmatch = { name = \"web-*\" }\n";
    write(&stage, "less.toml", config);
    let found = json(&stage, &["fleet.json", "less.toml"], 2);
    let of = |found: &serde_json::Value, name: &str| {
        let all = found["instances"].as_array().cloned().unwrap_or_default();
        let mut named = all.into_iter().filter(|one| one["name"] == name);
        named.next().expect("it is compared")
    };
    assert_eq!(of(&found, "db-1")["undeclared"], "new", "{found}");
    assert!(of(&found, "web-1").get("undeclared").is_none(), "{found}");
    let found = json(&stage, &["less.toml", "fleet.json"], 2);
    assert_eq!(of(&found, "db-1")["undeclared"], "old", "{found}");
    let done = diff(&stage, &["fleet.json", "less.toml", "-t", "db-1"]);
    let said = "note: not declared on the new side, so what is live there stays:\n      db-1 (eu-central-1)\n";
    assert!(done.stdout.contains(said), "{}", done.stdout);
    // What a plan shows of an instance is enough to know that no group takes it.
    let plan = stage.run(&["plan", "--emulator", "fleet.json", "--out", "plan.json"]);
    assert!(stage.path("plan.json").exists(), "{}", plan.shown());
    let found = json(&stage, &["plan.json", "less.toml"], 2);
    assert_eq!(of(&found, "db-1")["undeclared"], "new", "{found}");
    // What is live stays, and is closed where the configuration begins to declare the instance.
    assert_eq!(of(&found, "db-1")["lost"], serde_json::json!([]), "{found}");
    write(
        &stage,
        "more.toml",
        &format!("{config}[instances.db-1]\nrules = []\n"),
    );
    let known = ["--inventory", "fleet.json"];
    let found = json(
        &stage,
        &[&["less.toml", "more.toml"], &known[..]].concat(),
        2,
    );
    assert_eq!(of(&found, "db-1")["undeclared"], "old", "{found}");
    assert_eq!(of(&found, "db-1")["lost"][0]["from"], 22, "{found}");
    let found = json(
        &stage,
        &[&["more.toml", "less.toml"], &known[..]].concat(),
        2,
    );
    assert_eq!(of(&found, "db-1")["undeclared"], "new", "{found}");
    assert_eq!(of(&found, "db-1")["gained"][0]["from"], 22, "{found}");
}

#[test]
fn includes_are_read_from_the_same_revision() {
    let stage = stage();
    fs::create_dir_all(stage.path("conf/fleet")).expect("a folder");
    let head = "version = 1\ninclude = [\"fleet/*.toml\"]\n[defaults]\nregion = \"eu-central-1\"\n";
    let part = |from: &str| {
        format!("[instances.db-1]\nrules = [{{ allow = \"ssh\", from = \"{from}\" }}]\n")
    };
    write(&stage, "conf/firewall.toml", head);
    write(&stage, "conf/fleet/db.toml", &part("192.0.2.1"));
    git(&stage, &["init", "-q"]);
    commit(&stage);
    write(&stage, "conf/fleet/db.toml", &part("192.0.2.2"));
    let done = diff(
        &stage,
        &["git:HEAD:conf/firewall.toml", "conf/firewall.toml"],
    );
    insta::assert_snapshot!(done.shown(), @r"
    db-1 (eu-central-1) is mixed: tcp/22 (ssh) opens to 192.0.2.2/32, by
      conf/fleet/db.toml:2; tcp/22 (ssh) closes to 192.0.2.1/32, by
      HEAD:conf/fleet/db.toml:2.
    --- stderr
    note: no inventory is given: groups are compared by what they say of every
          instance that they take, and instances are taken to be dual-stack
    --- exit code 2
    ");
    // From within, as git has it: from the top, or from here.
    for (path, code) in [
        ("git:HEAD:./firewall.toml", 2),
        ("git:HEAD:../conf/firewall.toml", 2),
        ("git:HEAD:firewall.toml", 6),
        ("git:HEAD:../../x", 64),
    ] {
        let mut command = stage.command(&["diff", path, "firewall.toml"]);
        let done = Done::of(command.current_dir(stage.path("conf")));
        assert_eq!(
            done.code,
            Some(code),
            "{path} {}{}",
            done.stdout,
            done.stderr
        );
    }
}

#[cfg(unix)]
#[test]
fn includes_of_a_revision_stay_inside_it() {
    let stage = stage();
    write(&stage, "secret", "version = 1\n");
    fs::create_dir(stage.path("conf")).expect("a folder");
    std::os::unix::fs::symlink("../secret", stage.path("conf/link.toml")).expect("a link");
    for (name, include) in [("out.toml", "../secret"), ("link-in.toml", "link.toml")] {
        write(
            &stage,
            &format!("conf/{name}"),
            &format!("version = 1\ninclude = [\"{include}\"]\n"),
        );
    }
    git(&stage, &["init", "-q"]);
    commit(&stage);
    for (side, code) in [
        ("git:HEAD:conf/out.toml", 65),
        ("git:HEAD:conf/link-in.toml", 65),
        ("git:HEAD:conf/link.toml", 1),
        ("git:HEAD:conf", 1),
        ("git:HEAD:nowhere.toml", 1),
        ("git:nowhere:firewall.toml", 1),
        ("git:--output=x:firewall.toml", 64),
        ("git:HEAD", 64),
        ("git::firewall.toml", 64),
    ] {
        let done = diff(&stage, &[side, "firewall.toml"]);
        assert_eq!(
            done.code,
            Some(code),
            "{side} {}{}",
            done.stdout,
            done.stderr
        );
        assert_eq!(done.stdout, "", "{side}");
    }
}

#[test]
fn unreadable_rules_are_never_equal() {
    let stage = stage();
    write(&stage, "empty.json", "{}");
    write(&stage, "cut.json", "{\"portStates\": [");
    write(&stage, "bad.toml", "version = 1\nrules = 3\n");
    write(
        &stage,
        "plan.json",
        "{\"format\": \"portward.plan\", \"version\": 1}",
    );
    for (side, code) in [
        ("empty.json", 1),
        ("cut.json", 1),
        ("plan.json", 1),
        ("gone.json", 1),
        ("bad.toml", 65),
        ("firewall.toml#before", 64),
    ] {
        for args in [[side, "fleet.json"], ["fleet.json", side]] {
            let done = diff(&stage, &args);
            assert_eq!(
                done.code,
                Some(code),
                "{args:?} {}{}",
                done.stdout,
                done.stderr
            );
        }
    }
    let mut blind = stage.fleet();
    if let Some(entry) = blind.regions.values_mut().flatten().next() {
        entry.port_states = None;
    }
    write(&stage, "blind.json", &blind.to_json());
    let done = diff(&stage, &["blind.json", "fleet.json"]);
    assert_eq!(done.code, Some(6), "{}{}", done.stdout, done.stderr);
    assert!(
        done.stderr.contains("web-1") && !done.stdout.contains("web-1"),
        "{}{}",
        done.stdout,
        done.stderr
    );
}

#[test]
fn additive_instance_keeps_live_rules() {
    let stage = stage();
    stage.configure("version = 1\n[defaults]\nregion = \"eu-central-1\"\nmode = \"additive\"\n[instances.db-1]\nrules = [{ allow = \"postgres\", from = \"192.0.2.1\" }]\n");
    let found = json(&stage, &["fleet.json", "firewall.toml", "-t", "db-1"], 2);
    assert_eq!(
        found["instances"][0]["lost"],
        serde_json::json!([]),
        "{found}"
    );
    assert_eq!(found["instances"][0]["gained"][0]["from"], 5432, "{found}");
    // Whatever is live stays on both sides.
    json(&stage, &["firewall.toml", "firewall.toml"], 0);
}

#[test]
fn names_from_outside_are_escaped() {
    let stage = stage();
    let mut odd = rule("tcp", 22, 22, &["192.0.2.1"]);
    odd.cidr_list_aliases
        .push("a\u{1b}[2J::error::x".to_owned());
    write(
        &stage,
        "odd.json",
        &serde_json::to_string(&vec![odd]).expect("JSON"),
    );
    write(&stage, "none.json", "[]");
    let done = diff(&stage, &["none.json", "odd.json"]);
    assert!(
        !done.stdout.contains('\u{1b}') && !done.stdout.contains("::error::"),
        "{}",
        done.stdout
    );
}

#[test]
fn change_of_grants_is_a_difference() {
    let stage = stage();
    let grants = "[grants]\nservices = \"ssh\"\nmax = \"8h\"\n[groups.web]";
    write(&stage, "new.toml", &CONFIG.replace("[groups.web]", grants));
    let same = stage.run(&["diff", "new.toml", "new.toml"]);
    assert_eq!(same.code, Some(0), "{}", same.shown());
    assert!(!same.stdout.contains("grants"), "{}", same.shown());
    let done = stage.run(&["diff", "firewall.toml", "new.toml"]);
    assert_eq!(done.code, Some(2), "{}", done.shown());
    let told = "`[grants]` permitted nothing, and now permits match every instance; max 8h;";
    assert!(done.says(told), "{}", done.shown());
    for format in ["json", "markdown", "html"] {
        let done = stage.run(&["diff", "firewall.toml", "new.toml", "--format", format]);
        assert!(done.stdout.contains("max 8h"), "{format}: {}", done.shown());
    }
}
