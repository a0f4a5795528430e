//! `diff` of configurations on instances that nobody has seen: by selectors, on conditions, and never as if it were known.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::stage::{Done, Stage, fleet, instance, rule};

const OLD: &str = r#"version = 1
[defaults]
regions = ["eu-central-1", "us-east-1"]
[addresses]
office = ["203.0.113.0/24"]
[rulesets]
web = [{ allow = "https", from = "anywhere" }]
[groups.web]
match = { name = "web-*", region = "eu-*" }
use = ["web"]
rules = [{ allow = "ssh", from = "office" }]
[groups.prod]
match = { tags = { env = "prod" } }
rules = [{ allow = "tcp/9100", from = "office" }]
"#;

const TABLE: &str =
    "[instances.\"eu-central-1/db-1\"]\nrules = [{ allow = \"postgres\", from = \"office\" }]\n";

fn stage(old: &str, new: &str) -> Stage {
    let stage = Stage::new(new, &fleet(Vec::new()));
    write(&stage, "old.toml", old);
    stage
}

fn write(stage: &Stage, name: &str, text: &str) {
    fs::write(stage.path(name), text).expect("a file");
}

fn diff(stage: &Stage, args: &[&str]) -> Done {
    stage.run(&[&["diff", "old.toml", "firewall.toml"], args].concat())
}

#[track_caller]
fn json(stage: &Stage, args: &[&str], code: i32) -> Vec<Value> {
    let done = diff(stage, &[args, &["--format", "json"]].concat());
    assert_eq!(done.code, Some(code), "{}", done.shown());
    let found: Value = serde_json::from_str(&done.stdout).expect("JSON");
    found["instances"].as_array().expect("a list").clone()
}

/// Changes one text of the configuration that the others are compared with.
fn changed(from: &str, to: &str) -> String {
    assert!(OLD.contains(from), "{from}");
    OLD.replace(from, to)
}

#[test]
fn group_that_opens_access_is_in_every_format() {
    let new = changed("\"https\", from", "[\"https\", \"tcp/8443\"], from");
    let stage = stage(OLD, &new);
    let done = diff(&stage, &[]);
    insta::assert_snapshot!(done.shown(), @r"
    every instance that matches `web-*` in `eu-*` is wider: tcp/8443 (plesk) opens
      to everyone, by firewall.toml:7.
    --- stderr
    note: no inventory is given: groups are compared by what they say of every
          instance that they take, and instances are taken to be dual-stack
    --- exit code 2
    ");
    let who = "every instance that matches `web-*` in `eu-*`";
    assert_eq!(
        json(&stage, &[], 2),
        [
            json!({"name": null, "region": null, "every": who, "equal": false, "lost": [], "gained": [
                {"protocol": "tcp", "from": 8443, "to": 8443, "cidrs": ["0.0.0.0/0"], "ipv6Cidrs": ["::/0"], "cidrListAliases": []}
            ]})
        ]
    );
    let markdown = diff(&stage, &["--format", "markdown"]);
    insta::assert_snapshot!(markdown.stdout, @r"
    <!-- portward:diff -->
    ### portward diff: 1 of 2 groups differs: 1 wider. Opens something on 1 group.

    🌐 every instance that matches <code>web-&#42;</code> in <code>eu-&#42;</code> is wider: tcp/8443 (plesk) opens to everyone, by firewall.toml:7.

    <details><summary>1 note</summary>

    - no inventory is given: groups are compared by what they say of every instance that they take, and instances are taken to be dual-stack

    </details>
    ");
    let html = diff(&stage, &["--format", "html"]).stdout;
    for text in [
        "every instance that matches <code>web-*</code> in <code>eu-*</code>",
        "tcp/8443 (plesk) from everyone",
        "<span class=\"source wider\">+\u{a0}everyone</span>",
    ] {
        assert!(html.contains(text), "{text} {html}");
    }
    let mut command = stage.command(&["diff", "old.toml", "firewall.toml", "--format", "github"]);
    command.env("GITHUB_OUTPUT", stage.path("output"));
    let github = Done::of(&mut command);
    assert_eq!(github.code, Some(2), "{}", github.shown());
    assert_eq!(
        stage.read("output"),
        "exit-code=2\ndiffer=1\nopens=true\ncloses=false\n"
    );
    let notice = "::notice file=firewall.toml,line=7,col=8,title=portward PW-201::\
        opens tcp/8443 to everyone on every instance that matches `web-*` in `eu-*`";
    assert!(github.stdout.contains(notice), "{}", github.stdout);
}

#[test]
fn equivalent_configurations_are_equal() {
    for new in [
        OLD.to_owned(),
        // Another name, and another spelling.
        changed("groups.web]", "groups.frontends]"),
        changed(
            "use = [\"web\"]\nrules = [",
            "rules = [{ allow = \"https\", from = \"anywhere\" }, ",
        ),
        changed("region = \"eu-*\"", "region = [\"eu-*\"]"),
        // A group that takes at least as many gives it too.
        changed(
            "[groups.prod]",
            "[groups.more]\nmatch = { name = \"web-1*\", region = \"eu-central-1\" }\nuse = [\"web\"]\n[groups.prod]",
        ),
    ] {
        let stage = stage(OLD, &new);
        let done = diff(&stage, &[]);
        assert_eq!(done.code, Some(0), "{new}{}", done.shown());
        assert!(
            done.stdout
                .starts_with("Diff: no difference in meaning on 0 instances and "),
            "{}",
            done.stdout
        );
    }
}

#[test]
fn different_selectors_are_different_statements() {
    // Of those that the new selector does not take, nobody knows whether the other group declares them.
    let narrow = stage(OLD, &changed("name = \"web-*\"", "name = \"web-1*\""));
    let done = diff(&narrow, &[]);
    insta::assert_snapshot!(done.shown(), @r"
    every instance that matches `web-*` in `eu-*`, unless the instance matches
      `web-1*` in `eu-*`: in doubt
    undecided: every instance that matches `web-*` in `eu-*`: not known whether it
               is live, and so closes or stays: tcp/22 from 203.0.113.0/24 (256
               addresses); tcp/443 from everyone
    Diff: 1 of 3 groups in doubt.
    --- stderr
    note: no inventory is given: groups are compared by what they say of every
          instance that they take, and instances are taken to be dual-stack
    hint: give the instances with `--inventory`: a file, or git:REV:PATH for that of
          another revision
    --- exit code 6
    ");
    let wide = stage(OLD, &changed("name = \"web-*\"", "name = \"*\""));
    let done = diff(&wide, &[]);
    insta::assert_snapshot!(done.shown(), @r"
    every instance that matches `*` in `eu-*`, unless the instance matches `web-*`
      in `eu-*`: in doubt
      + tcp/22 (ssh) from office (256 addresses)  firewall.toml:11
      + tcp/443 (https) from everyone  firewall.toml:7
    undecided: every instance that matches `*` in `eu-*`: not known whether both
               sides keep what is live and not declared
    Diff: 1 of 3 groups in doubt.
    --- stderr
    note: no inventory is given: groups are compared by what they say of every
          instance that they take, and instances are taken to be dual-stack
    hint: give the instances with `--inventory`: a file, or git:REV:PATH for that of
          another revision
    --- exit code 6
    ");
}

#[test]
fn rule_moved_to_a_wider_group_opens_other_instances_only() {
    let ssh = "rules = [{ allow = \"ssh\", from = \"office\" }]\n";
    let new = OLD.replace(ssh, "") + "[groups.all]\nmatch = { name = \"*\" }\n" + ssh;
    let old = OLD.to_owned() + "[groups.all]\nmatch = { name = \"*\" }\n";
    let done = diff(&stage(&old, &new), &[]);
    insta::assert_snapshot!(done.shown(), @r"
    every instance that matches `*` is wider, unless the instance matches `web-*` in
      `eu-*`: tcp/22 (ssh) opens to office (256 addresses), by firewall.toml:16.
    --- stderr
    note: no inventory is given: groups are compared by what they say of every
          instance that they take, and instances are taken to be dual-stack
    --- exit code 2
    ");
}

#[test]
fn statement_that_depends_on_unknown_tags_is_undecided() {
    let old = OLD.to_owned() + TABLE;
    let new = old.replace("tcp/9100", "tcp/9101");
    let stage = stage(&old, &new);
    let done = diff(&stage, &[]);
    insta::assert_snapshot!(done.shown(), @r"
    db-1 (eu-central-1), if the instance has the tag `env=prod`: in doubt
      + tcp/9101 from office (256 addresses)  firewall.toml:14
      - tcp/9100 (node-exporter) from office (256 addresses)  old.toml:14
    every other instance that has the tag `env=prod`: mixed
      + tcp/9101 from office (256 addresses)  firewall.toml:14
      - tcp/9100 (node-exporter) from office (256 addresses)  old.toml:14
    undecided: db-1 (eu-central-1): not known whether the instance has the tag
               `env=prod`
    Diff: 1 of 2 groups differs: 1 mixed, 1 in doubt.
    --- stderr
    note: no inventory is given: groups are compared by what they say of every
          instance that they take, and instances are taken to be dual-stack
    hint: give the instances with `--inventory`: a file, or git:REV:PATH for that of
          another revision
    --- exit code 6
    ");
    let found = json(&stage, &[], 6);
    assert_eq!(
        (
            &found[0]["name"],
            &found[0]["condition"],
            &found[0]["equal"]
        ),
        (
            &"db-1".into(),
            &"if the instance has the tag `env=prod`".into(),
            &Value::Null
        )
    );
    assert_eq!(
        found[0]["undecided"],
        json!(["whether the instance has the tag `env=prod`"])
    );
    // Whoever asks for one instance is not told of groups.
    let found = json(&stage, &["-t", "db-1"], 6);
    assert_eq!(found.len(), 1, "{found:?}");
    let found = json(&stage, &["-t", "db-*"], 6);
    assert_eq!(found.len(), 2, "{found:?}");
    // A group that it cannot be in changes nothing for it.
    stage.configure(&old.replace("\"ssh\"", "\"rdp\""));
    let found = json(&stage, &["-t", "db-1"], 0);
    assert_eq!(found[0]["equal"], true, "{found:?}");
    // Where its tags are known, there is no doubt.
    stage.configure(&new);
    for (tags, code) in [(None, 0), (Some("prod"), 2), (Some("test"), 0)] {
        let mut db = instance("db-1", vec![rule("tcp", 5432, 5432, &["203.0.113.0/24"])]);
        db.tags = tags
            .iter()
            .map(|value| ("env".to_owned(), (*value).to_owned()))
            .collect();
        let mut all = fleet(vec![db]);
        all.regions.insert("us-east-1".to_owned(), Vec::new());
        stage.populate(&all);
        json(&stage, &["--inventory", "fleet.json"], code);
    }
}

#[test]
fn target_names_an_instance_or_a_selector() {
    let new = changed("\"ssh\"", "[\"ssh\", \"rdp\"]");
    let stage = stage(OLD, &new);
    let every = json(&stage, &["-t", "web-*"], 2);
    assert_eq!(every.len(), 1, "{every:?}");
    for (target, code) in [
        // One that no table names, as far as its name and region say.
        ("eu-central-1/web-7", 2),
        ("us-east-1/web-7", 0),
        // Nobody knows in which region it is.
        ("web-7", 6),
        ("eu-*/web-*", 2),
        ("eu-*", 2),
        ("us-*/web-*", 0),
        ("db-*", 0),
    ] {
        let done = diff(&stage, &["-t", target]);
        assert_eq!(done.code, Some(code), "{target} {}", done.shown());
    }
    stage.configure(&new.replace(
        "[groups.prod]\nmatch = { tags = { env = \"prod\" } }\n",
        "[groups.web2]\nmatch = { name = \"web-2\" }\n",
    ));
    write(&stage, "old.toml", &stage.read("firewall.toml"));
    for target in ["db-1", "db-*"] {
        let done = diff(&stage, &["-t", target]);
        assert_eq!(done.code, Some(1), "{target} {}", done.shown());
        assert!(
            done.stderr.contains("names no instance of either side"),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn groups_outside_the_inventory_are_compared() {
    let new = changed(
        "match = { name = \"web-*\", region = \"eu-*\" }",
        "match = { name = \"web-*\" }",
    );
    let old = new.clone();
    let stage = stage(&old, &new.replace("tcp/9100", "tcp/9101"));
    // It has eu-central-1 only.
    let found = json(&stage, &["--inventory", "fleet.json"], 2);
    assert_eq!(
        found[0]["every"], "every other instance that has the tag `env=prod`",
        "{found:?}"
    );
    let mut all = fleet(Vec::new());
    all.regions.insert("us-east-1".to_owned(), Vec::new());
    stage.populate(&all);
    assert_eq!(
        json(&stage, &["--inventory", "fleet.json"], 0),
        [] as [Value; 0]
    );
    // Nobody knows what is in a region that only one side looks at.
    stage.configure(&new.replace("\"us-east-1\"]", "\"us-west-2\"]"));
    let done = diff(&stage, &[]);
    assert_eq!(done.code, Some(6), "{}", done.shown());
    for (side, region) in [("old", "us-east-1"), ("new", "us-west-2")] {
        let said = format!("only the {side} side looks at `{region}`");
        assert!(done.stderr.contains(&said), "{}", done.stderr);
    }
}

#[test]
fn groups_are_worded_as_in_a_plan() {
    let expect = changed(
        "match = { name = \"web-*\"",
        "expect = \"2\"\nmatch = { name = \"web-*\"",
    );
    let stage = stage(OLD, &expect);
    let mut all = fleet(vec![instance("web-1", Vec::new())]);
    all.regions.insert("us-east-1".to_owned(), Vec::new());
    stage.populate(&all);
    let known = ["--inventory", "fleet.json"];
    // As a plan of the new side would end.
    let done = diff(&stage, &known);
    assert_eq!(done.code, Some(65), "{}", done.shown());
    assert!(
        done.stderr
            .contains("group `web` matches 1 instances, but 2 are expected"),
        "{}",
        done.stderr
    );
    // What was expected is past.
    write(&stage, "old.toml", &expect);
    stage.configure(OLD);
    let done = diff(&stage, &known);
    insta::assert_snapshot!(done.shown(), @r"
    equal: web-1 (eu-central-1)
    Diff: no difference in meaning on 1 instance.
    --- stderr
    note: group `prod` matches no instance (firewall.toml:12)
    note: on the old side, group `web` matches 1 instances, but 2 are
          expected (old.toml:9)
    --- exit code 0
    ");
    let done = stage.run(&[&["diff", "old.toml", "fleet.json"], &known[..]].concat());
    assert_eq!(done.code, Some(65), "{}", done.shown());
}

#[test]
fn additive_mode_leaves_live_rules_open() {
    let old = changed("[defaults]\n", "[defaults]\nmode = \"additive\"\n");
    // The same live rules stay on both sides, whatever they are.
    assert_eq!(json(&stage(&old, &old), &[], 0), [] as [Value; 0]);
    let done = diff(&stage(&old, &old.replace("\"ssh\"", "\"rdp\"")), &[]);
    insta::assert_snapshot!(done.shown(), @r"
    every instance that matches `web-*` in `eu-*`: in doubt
      + tcp/3389 (rdp) from office (256 addresses)  firewall.toml:12
    undecided: every instance that matches `web-*` in `eu-*`: not known whether it
               is live, and so stays: tcp/22 from 203.0.113.0/24 (256 addresses)
    Diff: 1 of 2 groups in doubt.
    --- stderr
    note: no inventory is given: groups are compared by what they say of every
          instance that they take, and instances are taken to be dual-stack
    hint: give the instances with `--inventory`: a file, or git:REV:PATH for that of
          another revision
    --- exit code 6
    ");
    // What must go goes, but where a live rule that is not ours gives more than this.
    let gone = old.replace(
        "rules = [{ allow = \"ssh\", from = \"office\" }]",
        "absent = [{ allow = \"ssh\" }]",
    );
    let found = json(&stage(&old, &gone), &[], 6);
    assert_eq!(found[0]["lost"], json!([]), "{found:?}");
    assert_eq!(
        found[0]["undecided"],
        json!([
            "whether a live rule of more than this keeps it open: tcp/22 from 203.0.113.0/24 (256 addresses)",
            "whether it is live, and so closes, unless a live rule of more than this keeps it open: tcp/22 from everyone"
        ])
    );
    for (old, new) in [(OLD, &*old), (&old, OLD)] {
        let found = json(&stage(old, new), &[], 6);
        assert!(
            found.iter().all(|one| one["equal"] == Value::Null),
            "{found:?}"
        );
        assert_eq!(found.len(), 2, "{found:?}");
    }
}

#[test]
fn possibly_live_access_is_not_opened() {
    let old = changed("[defaults]\n", "[defaults]\nmode = \"additive\"\n");
    let new = old.replace("\"https\", from", "[\"https\", \"tcp/8443\"], from");
    let found = json(&stage(&old, &new), &[], 6);
    assert_eq!(
        (&found[0]["gained"][0]["from"], &found[0]["undecided"]),
        (
            &8443.into(),
            &json!(["whether it is open already, by a live rule: tcp/8443 from everyone"])
        )
    );
}

#[test]
fn expired_rule_is_closed_in_additive_mode() {
    let ended = "[defaults]\nmode = \"additive\"\nregion = \"eu-central-1\"\n[instances.db-1]\n\
        rules = [{ allow = \"ssh\", from = \"192.0.2.1\", until = 2020-01-01, owner = \"o\", why = \"w\" }]\n";
    let ended = format!("version = 1\n{ended}");
    let left_out = ended.split("rules").next().expect("a part");
    for (old, new, word) in [(&*ended, left_out, "stays"), (left_out, &ended, "closes")] {
        let found = json(&stage(old, new), &[], 6);
        let undecided = found[0]["undecided"].to_string();
        assert!(undecided.contains(word), "{undecided}");
    }
    // Where the rules are known, it is known what becomes of them.
    let stage = stage(&ended, &ended);
    for (rules, code, says) in [
        (
            rule("tcp", 22, 22, &["192.0.2.1"]),
            2,
            "closes to 192.0.2.1/32",
        ),
        (rule("tcp", 20, 30, &["192.0.2.1"]), 0, "no difference"),
    ] {
        let text = serde_json::to_string(&[rules]).expect("JSON");
        write(&stage, "reply.json", &text);
        let done = stage.run(&["diff", "reply.json", "firewall.toml"]);
        assert_eq!(done.code, Some(code), "{}", done.shown());
        assert!(done.stdout.contains(says), "{}", done.shown());
    }
}

#[test]
fn access_closed_by_a_possible_group_is_undecided() {
    let without = "version = 1\n[defaults]\nregion = \"eu-central-1\"\nmode = \"additive\"\n[instances.db-1]\n\
        rules = [{ allow = \"https\", from = \"anywhere\" }]\n";
    let group = |name: &str, says: &str| {
        format!("{without}[groups.{name}]\nmatch = {{ tags = {{ role = \"{name}\" }} }}\n{says}\n")
    };
    let absent = group("a", "absent = [{ allow = \"ssh\" }]");
    let mode = |name: &str| group(name, "mode = \"authoritative\"");
    for (old, new) in [
        (without, &*absent),
        (&absent, without),
        (&mode("a"), &mode("b")),
        (&mode("a"), without),
    ] {
        let found = json(&stage(old, new), &["-t", "db-1"], 6);
        assert_eq!(found[0]["equal"], Value::Null, "{old} {new} {found:?}");
    }
}

#[test]
fn change_of_mode_is_a_difference() {
    // Those that match are in both groups, so what is live and not declared stays from now on.
    let tagged = "[groups.own]\nmatch = { tags = { own = \"*\" } }\nmode = \"additive\"\n";
    let new = OLD.to_owned() + tagged;
    for (old, new) in [(OLD, &*new), (&new, OLD)] {
        let found = json(&stage(old, new), &[], 6);
        assert!(!found.is_empty());
    }
}

#[test]
fn live_rules_are_the_base_of_an_additive_configuration() {
    let additive = OLD.replace("[defaults]\n", "[defaults]\nmode = \"additive\"\n");
    let additive = additive
        .split("[groups.prod]")
        .next()
        .expect("a part")
        .to_owned()
        + TABLE;
    let stage = stage(&additive, &additive);
    let rules = [
        rule("tcp", 22, 22, &["192.0.2.1"]),
        rule("tcp", 5432, 5432, &["203.0.113.0/24"]),
    ];
    write(
        &stage,
        "reply.json",
        &serde_json::to_string(&rules).expect("JSON"),
    );
    let done = stage.run(&["diff", "reply.json", "firewall.toml"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    // Nor does `absent` cut rules that are not ours, unless a Put may.
    let wide = serde_json::to_string(&[rule("tcp", 1, 1023, &["192.0.2.1"])]).expect("JSON");
    write(&stage, "wide.json", &wide);
    for (strategy, code) in [("auto", 0), ("put", 2)] {
        let absent = format!(
            "version = 1\n[defaults]\nregion = \"eu-central-1\"\nmode = \"additive\"\n[instances.db-1]\n\
             strategy = \"{strategy}\"\nabsent = [{{ allow = \"ssh\" }}]\n"
        );
        write(&stage, "absent.toml", &absent);
        let done = stage.run(&["diff", "wide.json", "absent.toml"]);
        assert_eq!(done.code, Some(code), "{}", done.shown());
    }
    write(&stage, "none.json", "[]");
    let done = stage.run(&["diff", "none.json", "firewall.toml"]);
    assert!(
        done.stdout.contains("tcp/5432 (postgres) opens to office"),
        "{}",
        done.shown()
    );
}

#[test]
fn new_group_or_instance_may_close_live_access() {
    for (table, who) in [
        (
            "[groups.api]\nmatch = { name = \"api-*\", region = \"us-*\" }\n",
            "every instance that matches `api-*` in `us-*`",
        ),
        (TABLE, "db-1 (eu-central-1)"),
    ] {
        let old = OLD.split("[groups.prod]").next().expect("a part");
        let new = old.to_owned() + table;
        for (old, new, side, what) in [
            (
                old,
                &*new,
                "old",
                "which the new side closes and the old one keeps",
            ),
            (&new, old, "new", "stays"),
        ] {
            let done = diff(&stage(old, new), &[]);
            assert_eq!(done.code, Some(6), "{}", done.shown());
            let note = format!("note: not declared on the {side} side");
            for text in [&note, who, what] {
                assert!(done.says(text), "{text} {}", done.shown());
            }
        }
    }
}

#[test]
fn base_inventory_decides_what_the_other_cannot() {
    let new = changed("tcp/9100", "tcp/9101");
    let stage = stage(OLD, &new);
    let tagged = |value: &str| {
        let mut web = instance("web-1", Vec::new());
        web.tags.insert("env".to_owned(), value.to_owned());
        let mut all = fleet(vec![web]);
        all.regions.insert("us-east-1".to_owned(), Vec::new());
        all
    };
    stage.populate(&tagged("prod"));
    for args in [
        &["init", "-q"][..],
        &["add", "-A"],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "commit",
            "-q",
            "--no-gpg-sign",
            "-m",
            "x",
        ],
    ] {
        let mut command = Command::new("git");
        command.args(args).current_dir(stage.path(""));
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        let done = Done::of(&mut command);
        assert_eq!(done.code, Some(0), "{}", done.shown());
    }
    stage.populate(&tagged("none"));
    json(&stage, &["--inventory", "fleet.json"], 0);
    let found = json(&stage, &["--inventory", "git:HEAD:fleet.json"], 2);
    assert_eq!(found[0]["gained"][0]["from"], 9101, "{found:?}");
    for (inventory, code) in [
        ("git:HEAD:gone.json", 1),
        ("git:nowhere:fleet.json", 1),
        ("git:HEAD", 64),
        ("git:HEAD:firewall.toml", 1),
    ] {
        let done = diff(&stage, &["--inventory", inventory]);
        assert_eq!(done.code, Some(code), "{inventory} {}", done.shown());
    }
    // Every verb that takes an inventory takes it from there.
    let done = stage.run(&["check", "--inventory", "git:HEAD:fleet.json"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
}
