//! `explain`: allowed or not, by which rule and line, live and as declared.

use crate::stage::{Done, Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[addresses]
office = ["203.0.113.0/24"]
[instances.web-1]
rules = [{ allow = "ssh", from = "office", why = "operators" }]
"#;

fn stage() -> Stage {
    let rules = vec![
        rule("tcp", 0, 100, &["203.0.113.0/24"]),
        rule("tcp", 80, 80, &["0.0.0.0/0"]),
    ];
    Stage::new(
        CONFIG,
        &fleet(vec![instance("web-1", rules), instance("old-1", vec![])]),
    )
}

#[track_caller]
fn json(stage: &Stage, args: &[&str]) -> serde_json::Value {
    let all = [
        &["explain"],
        args,
        &["--inventory", "fleet.json", "--format", "json"],
    ]
    .concat();
    let done = stage.run(&all);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let mut document: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    let instances = document["instances"].as_array_mut().expect("a list");
    assert_eq!(instances.len(), 1, "{}", done.stdout);
    instances.remove(0)
}

#[test]
fn hint_for_a_bare_port_names_tcp() {
    let done = stage().on_fleet(&["explain", "web-1", "--from", "192.0.2.1", "--to", "80"]);
    insta::assert_snapshot!(done.shown(), @r#"
    eu-central-1/web-1: tcp/80 from 192.0.2.1
      live: allowed
        tcp/80 (http) from 192.0.2.1/32, by rule tcp/80
      desired: not allowed
      to let all of it in: add { allow = "tcp/80", from = "192.0.2.1" } to the rules
        of `eu-central-1/web-1`
    --- stderr
    note: `--to 80` is taken as `--to tcp/80`
    --- exit code 0
    "#);
}

#[test]
fn answer_names_the_rule_and_its_line() {
    let done = stage().on_fleet(&["explain", "web-1", "--from", "203.0.113.7", "--to", "ssh"]);
    insta::assert_snapshot!(done.shown(), @r#"
    eu-central-1/web-1: ssh from 203.0.113.7
      live: allowed
        tcp/22 (ssh) from 203.0.113.7/32, by rule tcp/0-100
      desired: allowed
        tcp/22 (ssh) from 203.0.113.7/32, by firewall.toml:7 (operators)
    --- exit code 0
    "#);
    let done = stage().on_fleet(&["explain", "web-1", "--from", "192.0.2.1", "--to", "tcp/80"]);
    insta::assert_snapshot!(done.shown(), @r#"
    eu-central-1/web-1: tcp/80 from 192.0.2.1
      live: allowed
        tcp/80 (http) from 192.0.2.1/32, by rule tcp/80
      desired: not allowed
      to let all of it in: add { allow = "tcp/80", from = "192.0.2.1" } to the rules
        of `eu-central-1/web-1`
    --- exit code 0
    "#);
}

#[test]
fn json_has_the_same_answer() {
    let stage = stage();
    let found = json(&stage, &["web-1", "--from", "office", "--to", "tcp/22"]);
    assert_eq!(found["live"]["allowed"], "yes", "{found}");
    assert_eq!(
        found["live"]["access"][0]["causes"][0]["rule"], "tcp/0-100",
        "{found}"
    );
    assert_eq!(
        found["desired"]["access"][0]["causes"][0]["origin"]["line"], 7,
        "{found}"
    );
    assert_eq!(found["change"], serde_json::Value::Null, "{found}");
    let found = json(
        &stage,
        &["web-1", "--from", "203.0.112.0/23", "--to", "tcp/22"],
    );
    assert_eq!(
        (&found["live"]["allowed"], &found["desired"]["allowed"]),
        (&"partly".into(), &"partly".into())
    );
    let found = json(&stage, &["web-1", "--from", "lightsail-connect"]);
    // Where all of IPv4 gets in, so does the browser client.
    let live = &found["live"];
    assert_eq!(
        (&live["allowed"], &live["access"][0]["ports"]),
        (&"partly".into(), &"tcp/80".into()),
        "{found}"
    );
    assert_eq!(found["desired"]["allowed"], "no", "{found}");
    let found = json(&stage, &["old-1", "--to", "ssh"]);
    assert_eq!(found["desired"], serde_json::Value::Null, "{found}");
}

#[test]
fn unknown_rules_give_no_answer() {
    let stage = stage();
    for (args, code) in [
        (&["explain", "web-2"][..], 1),
        (&["explain", "web-1", "--to", "nothing"], 64),
        (&["explain", "web-1", "--from", "10.0.0.0/33"], 64),
    ] {
        let done = stage.on_fleet(args);
        assert_eq!(
            done.code,
            Some(code),
            "{args:?} {}{}",
            done.stdout,
            done.stderr
        );
        assert_eq!(done.stdout, "");
    }
    let doubtful = rule("tcp", 22, 22, &[]);
    stage.populate(&fleet(vec![instance("web-1", vec![doubtful])]));
    let found = json(&stage, &["web-1", "--to", "ssh"]);
    assert_eq!(found["live"]["allowed"], "perhaps", "{found}");
    let mut blind = stage.fleet();
    blind
        .regions
        .values_mut()
        .flatten()
        .for_each(|entry| entry.port_states = None);
    stage.populate(&blind);
    let done = stage.run(&["explain", "web-1", "--inventory", "fleet.json"]);
    assert_eq!(done.code, Some(6), "{}{}", done.stdout, done.stderr);
}

#[test]
fn additive_mode_includes_kept_live_rules() {
    let stage = stage();
    stage.configure(&CONFIG.replace(
        "rules =",
        "mode = \"additive\"\nabsent = [{ allow = \"http\", from = \"anywhere-v4\" }]\nrules =",
    ));
    let done = stage.on_fleet(&[
        "explain",
        "web-1",
        "--from",
        "203.0.113.7",
        "--to",
        "tcp/22-23",
    ]);
    insta::assert_snapshot!(done.shown());
    let done = stage.on_fleet(&["explain", "web-1", "--from", "192.0.2.1", "--to", "http"]);
    insta::assert_snapshot!(done.shown());
    let found = json(&stage, &["web-1", "--from", "office", "--to", "tcp/99"]);
    assert_eq!(found["mode"], "additive", "{found}");
    assert_eq!(found["desired"]["allowed"], "yes", "{found}");
    let cause = &found["desired"]["access"][0]["causes"][0];
    assert_eq!(
        (&cause["rule"], &cause["origin"]),
        (&"tcp/0-100".into(), &serde_json::Value::Null)
    );
    assert!(
        found["note"]
            .as_str()
            .is_some_and(|note| note.contains("`absent`")),
        "{found}"
    );
    // Declared too, so nothing of it hangs on the live rule alone, but for the other rule that names it.
    stage.populate(&fleet(vec![instance(
        "web-1",
        vec![rule("tcp", 22, 22, &["203.0.113.0/24", "192.0.2.7/32"])],
    )]));
    let found = json(&stage, &["web-1", "--from", "office", "--to", "ssh"]);
    assert_eq!(found["note"], serde_json::Value::Null, "{found}");
    let found = json(&stage, &["web-1", "--from", "192.0.2.7", "--to", "ssh"]);
    assert_eq!(
        found["desired"]["access"][0]["causes"][0]["origin"],
        serde_json::Value::Null,
        "{found}"
    );
    let doubtful = rule("tcp", 22, 22, &[]);
    stage.populate(&fleet(vec![instance("web-1", vec![doubtful])]));
    let found = json(&stage, &["web-1", "--from", "192.0.2.7", "--to", "ssh"]);
    assert_eq!(found["desired"]["allowed"], "perhaps", "{found}");
}

#[test]
fn undeclared_instance_has_no_answer() {
    let stage = stage();
    let open = vec![rule("tcp", 3389, 3389, &["0.0.0.0/0"])];
    stage.populate(&fleet(vec![instance("old-1", open)]));
    let args = ["explain", "old-1", "--from", "192.0.2.1", "--to", "rdp"];
    let done = stage.on_fleet(&args);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert!(done.stdout.contains("live: allowed"), "{}", done.shown());
    assert!(!done.says("to let"), "{}", done.shown());
}

#[test]
fn hint_needs_a_source_and_a_service() {
    let stage = stage();
    for instance in ["web-1", "old-1"] {
        for (question, advised) in [
            (&[][..], false),
            (&["--to", "rdp"], false),
            (&["--from", "192.0.2.1"], false),
            (&["--from", "192.0.2.1", "--to", "rdp"], true),
        ] {
            let args = [&["explain", instance], question].concat();
            let done = stage.on_fleet(&args);
            assert_eq!(done.code, Some(0), "{}", done.shown());
            assert_eq!(
                done.stdout.contains("to let all of it in"),
                advised,
                "{args:?} {}",
                done.stdout
            );
            let found = json(&stage, &args[1..]);
            assert_eq!(found["change"].is_string(), advised, "{args:?} {found}");
            let markdown = stage.on_fleet(&[&args, &["--format", "markdown"][..]].concat());
            let said = markdown.stdout.contains("To let all of it in");
            assert_eq!(said, advised, "{args:?} {}", markdown.stdout);
        }
    }
}

#[test]
fn misspelt_instance_has_a_suggestion() {
    let stage = stage();
    for (text, hint) in [
        ("wbe-1", Some("web-1")),
        ("eu-central-1/wbe-1", Some("eu-central-1/web-1")),
        ("old1", Some("old-1")),
        ("something-else", None),
    ] {
        let done = stage.on_fleet(&["explain", text]);
        assert_eq!(done.code, Some(1), "{}", done.shown());
        let said = done.stderr.lines().find(|line| line.starts_with("hint: "));
        let expected = hint.map(|name| format!("hint: did you mean `{name}`?"));
        assert_eq!(said, expected.as_deref(), "{}", done.stderr);
    }
}

#[test]
fn bare_port_is_tcp() {
    let stage = stage();
    let bare = stage.on_fleet(&["explain", "web-1", "--to", "80"]);
    let full = stage.on_fleet(&["explain", "web-1", "--to", "tcp/80"]);
    assert_eq!(bare.code, full.code);
    let answer = |done: &Done| {
        done.stdout
            .split_once('\n')
            .map(|(_, rest)| rest.to_owned())
    };
    assert_eq!(answer(&bare), answer(&full));
    assert!(
        bare.says("`--to 80` is taken as `--to tcp/80`"),
        "{}",
        bare.shown()
    );
    let wrong = stage.on_fleet(&["explain", "web-1", "--to", "65536"]);
    assert_eq!(wrong.code, Some(64), "{}", wrong.shown());
}

/// Three that say the same in two tables, one that is open beside them, one in doubt, one unreadable and one undeclared.
fn many() -> Stage {
    let config = r#"version = 1
[defaults]
region = "eu-central-1"
[addresses]
office = ["203.0.113.0/24"]
[groups.web]
match = { name = "web-*" }
rules = [{ allow = "ssh", from = "office", why = "operators" }]
[instances.db-1]
rules = [{ allow = "ssh", from = "office" }, { allow = "postgres", from = "office" }]
[instances.new-1]
rules = [{ allow = "ssh", from = "office" }]
[instances.shut-1]
rules = []
"#;
    let ssh = || vec![rule("tcp", 22, 22, &["203.0.113.0/24"])];
    let mut dead = instance("dead-1", vec![]);
    dead.port_states = None;
    let all = vec![
        instance("web-1", ssh()),
        instance("web-2", ssh()),
        instance("db-1", ssh()),
        instance("new-1", vec![]),
        instance("shut-1", vec![]),
        instance("odd-1", vec![rule("tcp", 22, 22, &[])]),
        instance("old-1", ssh()),
        dead,
    ];
    Stage::new(config, &fleet(all))
}

#[test]
fn equal_answers_of_a_fleet_are_grouped_and_unknown_is_not_no() {
    let stage = many();
    let question = ["--from", "203.0.113.7", "--to", "ssh"];
    let offline = ["--inventory", "fleet.json"];
    let done = stage.run(&[&["explain"], &question[..], &offline].concat());
    insta::assert_snapshot!(done.shown(), @r"
    ssh from 203.0.113.7
    db-1, web-1, web-2 (eu-central-1)
      live: allowed
        tcp/22 (ssh) from 203.0.113.7/32, by rule tcp/22
      desired: allowed
        tcp/22 (ssh) from 203.0.113.7/32, by firewall.toml:10,
          firewall.toml:8 (operators)
    old-1 (eu-central-1)
      live: allowed
        tcp/22 (ssh) from 203.0.113.7/32, by rule tcp/22
      desired: not in the configuration
    odd-1 (eu-central-1)
      live: perhaps allowed: an entry cannot be read for certain
        perhaps tcp/22 (ssh) from 203.0.113.7/32, by `tcp 22-22`: it names no source
      desired: not in the configuration
    dead-1 (eu-central-1)
      live: not known: `GetInstancePortStates` for `eu-central-1/dead-1` failed: the
            rules could not be read when the snapshot was taken
      desired: not in the configuration
    new-1 (eu-central-1)
      live: not allowed
      desired: allowed
        tcp/22 (ssh) from 203.0.113.7/32, by firewall.toml:12
    shut-1 (eu-central-1)
      live: not allowed
      desired: not allowed
    Explain: allowed on 4 of 8 instances, perhaps allowed on 1, not known on 1, not
             allowed on 2.
    --- stderr
    error[PW-601]: `eu-central-1/dead-1` could not be read: `GetInstancePortStates`
                   for `eu-central-1/dead-1` failed: the rules could not be read
                   when the snapshot was taken
    hint: take a new snapshot
    --- exit code 6
    ");
    let done = stage.run(&[&["explain", "-t", "web-*,db-1"], &offline[..]].concat());
    insta::assert_snapshot!(done.shown(), @r"
    who gets in
    web-1, web-2 (eu-central-1)
      live:
        tcp/22 (ssh) from office (256 addresses), by rule tcp/22
      desired:
        tcp/22 (ssh) from office (256 addresses), by firewall.toml:8 (operators)
    db-1 (eu-central-1)
      live:
        tcp/22 (ssh) from office (256 addresses), by rule tcp/22
      desired:
        tcp/22 (ssh) from office (256 addresses), by firewall.toml:10
        tcp/5432 (postgres) from office (256 addresses), by firewall.toml:10
    Explain: somebody gets in on 3 of 3 instances.
    --- exit code 0
    ");
    let done = stage.run(
        &[
            &["explain", "--format", "markdown"],
            &question[..],
            &offline,
        ]
        .concat(),
    );
    insta::assert_snapshot!(done.shown(), @r"
    <!-- portward:explain -->
    ### portward explain: <code>ssh</code> from <code>203.0.113.7</code>

    allowed on 4 of 8 instances, perhaps allowed on 1, not known on 1, not allowed on 2

    | instances | live | desired |
    |---|---|---|
    | <code>db-1, web-1, web-2 (eu-central-1)</code> | **allowed** | allowed |
    | <code>old-1 (eu-central-1)</code> | **allowed** | not in the configuration |
    | <code>odd-1 (eu-central-1)</code> | **perhaps allowed: an entry cannot be read for certain** | not in the configuration |
    | <code>dead-1 (eu-central-1)</code> | **not known** | not in the configuration |
    | <code>new-1 (eu-central-1)</code> | **not allowed** | allowed |
    | <code>shut-1 (eu-central-1)</code> | **not allowed** | not allowed |
    --- stderr
    error[PW-601]: `eu-central-1/dead-1` could not be read: `GetInstancePortStates`
                   for `eu-central-1/dead-1` failed: the rules could not be read
                   when the snapshot was taken
    hint: take a new snapshot
    --- exit code 6
    ");
    let done = stage.run(&[&["explain", "--format", "json"], &question[..], &offline].concat());
    assert_eq!(done.code, Some(6), "{}", done.shown());
    let document: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    let instances = document["instances"].as_array().expect("a list").iter();
    let live = instances.map(|one| {
        let allowed = one["live"]["allowed"].as_str().unwrap_or("unreadable");
        format!(
            "{} {allowed}",
            one["instance"]["name"].as_str().expect("a name")
        )
    });
    assert_eq!(
        live.collect::<Vec<_>>().join(", "),
        "db-1 yes, dead-1 unreadable, new-1 no, odd-1 perhaps, old-1 yes, shut-1 no, web-1 yes, web-2 yes"
    );
}

#[test]
fn selector_of_explain_must_match() {
    let stage = many();
    for (args, code, says) in [
        (&["explain", "-t", "nope-*"][..], 1, "names no instance"),
        (&["explain", "-t", "wbe-1"], 1, "did you mean `web-1`?"),
        (
            &["explain", "web-1", "-t", "db-*"],
            64,
            "is not among the instances",
        ),
        (
            &["explain", "web-1", "-t", "web-*"],
            0,
            "eu-central-1/web-1: who gets in",
        ),
    ] {
        let done = stage.on_fleet(args);
        assert_eq!(done.code, Some(code), "{args:?} {}", done.shown());
        assert!(done.says(says), "{args:?} {}", done.shown());
    }
    // What it names may be where nobody could look.
    let elsewhere = [
        "--region",
        "eu-central-1,us-east-1",
        "--inventory",
        "fleet.json",
    ];
    // A bare name could be there too: what is declared is not known, and what is live is.
    let open = ["explain", "-t", "db-1", "--to", "ssh"];
    let done = stage.run(&[&open, &elsewhere[..]].concat());
    assert_eq!(done.code, Some(6), "{}", done.shown());
    assert!(done.says("live: partly allowed"), "{}", done.shown());
    assert!(
        done.says("desired: not known: `db-1` could also mean"),
        "{}",
        done.shown()
    );
    let done = stage.run(&[&["explain", "-t", "nope-*"], &elsewhere[..]].concat());
    assert_eq!(done.code, Some(6), "{}", done.shown());
    assert!(
        done.says("region us-east-1: could not be listed"),
        "{}",
        done.shown()
    );
    let json = [&open, &elsewhere[..], &["--format", "json"]].concat();
    let answer: serde_json::Value = serde_json::from_str(&stage.run(&json).stdout).expect("JSON");
    let unlisted = answer["unlisted"].as_array().expect("a list");
    assert_eq!(unlisted.len(), 1, "{answer}");
    assert_eq!(unlisted[0]["region"], "us-east-1");
    assert!(unlisted[0]["reason"].is_string(), "{answer}");
}
