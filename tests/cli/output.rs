//! What is printed, to the letter.

use std::fmt::Write as _;
use std::io::Read as _;
use std::process::Stdio;

use insta::assert_snapshot;

use crate::stage::{Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1

[defaults]
region = "eu-central-1"

[addresses]
office = ["203.0.113.0/24", "2001:db8:10::/48"]

[groups.web]
match = { name = "web-*" }
rules = [
  { allow = "https", from = "anywhere" },
  { allow = "ssh", from = "office", why = "operators" },
]

[instances.db-1]
rules = [{ allow = "postgres", from = "192.0.2.44", until = 2099-12-31, owner = "data" }]

[instances.job-1]
mode = "additive"
rules = [{ allow = "ssh", from = "office" }]
absent = [{ allow = "tcp/8080" }]
"#;

/// Two instances that change alike, one that closes something, one in additive mode, one in sync, one undeclared.
fn stage() -> Stage {
    let office = ["203.0.113.0/24", "2001:db8:10::/48"];
    let everyone = ["0.0.0.0/0", "::/0"];
    let loose = || {
        vec![
            rule("tcp", 22, 22, &everyone),
            rule("tcp", 8080, 8080, &everyone),
        ]
    };
    let synced = vec![
        rule("tcp", 22, 22, &office),
        rule("tcp", 443, 443, &everyone),
    ];
    Stage::new(
        CONFIG,
        &fleet(vec![
            instance("web-1", loose()),
            instance("web-2", loose()),
            instance("web-3", synced),
            instance(
                "db-1",
                vec![
                    rule("tcp", 5432, 5432, &["192.0.2.44/32"]),
                    rule("tcp", 3306, 3306, &["192.0.2.44/32"]),
                ],
            ),
            instance(
                "job-1",
                vec![
                    rule("tcp", 8080, 8080, &["198.51.100.0/24"]),
                    rule("udp", 53, 53, &everyone),
                ],
            ),
            instance("old-1", vec![rule("tcp", 22, 22, &everyone)]),
        ]),
    )
}

#[test]
fn plan_as_text() {
    assert_snapshot!(stage().on_fleet(&["plan", "--as-of", "2026-01-01"]).shown(), @r"
    web-1, web-2 (eu-central-1)                                     1 call each: put
      + tcp 443      from anywhere                      firewall.toml:12
      ~ tcp 22       from anywhere -> 203.0.113.0/24, 2001:db8:10::/48
                     firewall.toml:13  operators
      - tcp 8080     from anywhere
      access: + tcp/443 from everyone
              - tcp/22 from everyone but 203.0.113.0/24, 2001:db8:10::/48
              - tcp/8080 from everyone

    job-1 (eu-central-1)                             2 calls: open, close (additive)
      + tcp 22       from 203.0.113.0/24, 2001:db8:10::/48
                     firewall.toml:21
      - tcp 8080     from 198.51.100.0/24               firewall.toml:22  absent
      access: + tcp/22 from 203.0.113.0/24 (256 addresses), 2001:db8:10::/48 (2^80
                addresses)
              - tcp/8080 from 198.51.100.0/24 (256 addresses)

    db-1 (eu-central-1)                                                1 call: close
      - tcp 3306     from 192.0.2.44/32
      access: - tcp/3306 from 192.0.2.44/32

    in sync: web-3 (eu-central-1)
    not in the configuration: old-1 (eu-central-1)
    Plan: 4 of 5 instances to change, 5 calls; 1 undeclared.
    --- exit code 0
    ");
}

#[test]
fn plan_of_one_instance_as_a_unified_diff() {
    assert_snapshot!(stage().on_fleet(&["plan", "-t", "db-1", "--diff"]).shown(), @"
    db-1 (eu-central-1)                                                1 call: close
      - tcp 3306     from 192.0.2.44/32
      access: - tcp/3306 from 192.0.2.44/32

    Plan: 1 of 1 instance to change, 1 call.

    --- live/eu-central-1/db-1
    +++ desired/eu-central-1/db-1
    @@ -1,2 +1 @@
    -tcp 3306       from 192.0.2.44/32
     tcp 5432       from 192.0.2.44/32
    --- exit code 0
    ");
}

#[test]
fn apply_as_text() {
    let stage = stage();
    let apply = stage.on_fleet(&["apply", "--yes"]);
    let (_, report) = apply
        .stdout
        .split_once("Plan:")
        .expect("a plan before the report");
    assert_snapshot!(format!("Plan:{report}--- exit code {:?}", apply.code), @r"
    Plan: 4 of 5 instances to change, 5 calls; 1 undeclared.
    db-1, web-1, web-2 (eu-central-1): applied and read back, 1 write each
    job-1 (eu-central-1): applied and read back, 2 writes
    Apply: 4 changed, 0 failed, 1 in sync before; 5 writes.
    --- exit code Some(0)
    ");
    assert_snapshot!(stage.on_fleet(&["drift"]).shown(), @"
    in sync: db-1, job-1, web-1, web-2, web-3 (eu-central-1)
    not in the configuration: old-1 (eu-central-1)
    Drift: no difference seen on 5 instances; 1 undeclared.
    --- exit code 0
    ");
    stage.assert_in_sync();
}

#[test]
fn invalid_configuration_as_text() {
    let stage = stage();
    stage.configure("version = 1\n\n[instances.web-1]\nrules = [{ alow = \"ssh\", from = \"203.0.113.7/24\" }]\n");
    assert_snapshot!(stage.run(&["check"]).shown(), @r#"
    --- stderr
    error[PW-104]: the rule has no `allow`
     --> firewall.toml:4:10
      |
    4 | rules = [{ alow = "ssh", from = "203.0.113.7/24" }]
      |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: add what it opens, as in `allow = "ssh"`

    error[PW-103]: unknown key `alow` in a rule
     --> firewall.toml:4:12
      |
    4 | rules = [{ alow = "ssh", from = "203.0.113.7/24" }]
      |            ^^^^
      |
      = help: did you mean `allow`?

    error[PW-107]: `203.0.113.7/24` has host bits set
     --> firewall.toml:4:33
      |
    4 | rules = [{ alow = "ssh", from = "203.0.113.7/24" }]
      |                                 ^^^^^^^^^^^^^^^^
      |
      = help: the network is `203.0.113.0/24`; for the one address write
              `203.0.113.7`

    3 errors
    --- exit code 65
    "#);
}

#[test]
fn valid_configuration_lists_rules_that_end_soon() {
    assert_snapshot!(stage().run(&["check", "--as-of", "2099-12-24"]).shown(), @"
    firewall.toml: valid; 4 rules, 1 group, 2 instance tables
    note: `postgres` expires: valid until 2099-12-31 (firewall.toml:17)
    --- exit code 0
    ");
}

#[test]
fn plan_repeats_nothing() {
    let rules = || vec![rule("tcp", 22, 22, &["203.0.113.0/24"])];
    let solo = (1..8).map(|n| format!("solo-{n}"));
    let names: Vec<String> = ["web-1", "web-2"]
        .map(str::to_owned)
        .into_iter()
        .chain(solo)
        .collect();
    let mut config = r#"version = 1
defaults = { region = "eu-central-1" }
[groups.web]
match = { name = "web-*" }
rules = [
  { allow = "ssh", from = "203.0.113.0/24" },
  { allow = ["http", "https"], from = "198.51.100.0/24", why = "the website", owner = "web-team" },
  { allow = "https", from = "lightsail-connect" },
  { allow = "ping", from = "anywhere", why = "monitoring" },
]
"#
    .to_owned();
    for name in &names[2..] {
        let _ = writeln!(
            config,
            "[instances.{name}]\nrules = [{{ allow = \"smtp\", from = \"anywhere\" }}, \
             {{ allow = \"ssh\", from = \"203.0.113.0/24\" }}]"
        );
    }
    let all = names.iter().map(|name| instance(name, rules()));
    let stage = Stage::new(&config, &fleet(all.collect()));
    assert_snapshot!(stage.on_fleet(&["plan", "--allow", "blast-radius", "--reason", "all"]).shown(), @r"
    web-1, web-2 (eu-central-1)                                     1 call each: put
      + tcp 80       from 198.51.100.0/24
                     firewall.toml:7  the website (web-team)
      + tcp 443      from 198.51.100.0/24, lightsail-connect
                     firewall.toml:7, firewall.toml:8
      + icmp 8:-1    from anywhere-v4
      + icmpv6 128:0 from anywhere-v6
                     firewall.toml:9  monitoring
      access: + tcp/80 from 198.51.100.0/24 (256 addresses)
              + tcp/443 from 198.51.100.0/24 (256 addresses), lightsail-connect
              + icmp/8:-1 from everyone (IPv4)
              + icmpv6/128:0 from everyone (IPv6)

    solo-1, solo-2, solo-3, solo-4, solo-5, solo-6, solo-7 (eu-central-1)
                                                                   1 call each: open
      + tcp 25       from anywhere
                     firewall.toml:12, firewall.toml:14, firewall.toml:16,
                       firewall.toml:18
                     and 3 more places
      access: + tcp/25 from everyone

    Plan: 9 of 9 instances to change, 9 calls.
    allowed: blast-radius: all
    --- exit code 0
    ");
}

#[test]
fn quiet_prints_changes_and_problems_only() {
    let stage = stage();
    let plan = stage.on_fleet(&["plan", "-q", "-t", "db-1,web-3"]);
    assert_snapshot!(plan.shown(), @r"
    db-1 (eu-central-1)                                                1 call: close
      - tcp 3306     from 192.0.2.44/32
      access: - tcp/3306 from 192.0.2.44/32

    Plan: 1 of 2 instances to change, 1 call.
    --- exit code 0
    ");
    let refused = stage.on_fleet(&["plan", "-q", "-t", "nope"]);
    assert_eq!(refused.code, Some(1), "{}", refused.shown());
    assert!(
        refused.says("names no declared instance"),
        "{}",
        refused.shown()
    );
    let synced = stage.on_fleet(&["drift", "-q", "-t", "web-3"]);
    assert_eq!(synced.shown(), "--- exit code 0\n");
    let check = stage.run(&["check", "--quiet", "--as-of", "2099-12-24"]);
    assert_eq!(check.shown(), "--- exit code 0\n");
    let doctor = stage.on_fleet(&["doctor", "-q"]);
    assert_eq!(doctor.shown(), "--- exit code 0\n");
    stage.configure("version = 1\n[defaults]\nregion = \"eu-nowhere-1\"\n");
    let doctor = stage.on_fleet(&["doctor", "-q"]);
    assert!(!doctor.stdout.contains("ok  "), "{}", doctor.shown());
    assert!(doctor.says("warn  configuration"), "{}", doctor.shown());
}

#[test]
fn lines_fit_a_terminal_of_80_columns() {
    let done = stage().on_fleet(&["plan"]);
    for line in done.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn text_from_outside_is_escaped() {
    let stage = stage();
    let spiteful = rule("\u{1b}[2Jgone\n::error::x", 1, 1, &["192.0.2.1/32"]);
    stage.populate(&fleet(vec![
        instance("db-1", vec![spiteful]),
        instance("job-1", vec![]),
    ]));
    let done = stage.run(&["plan", "--inventory", "fleet.json"]);
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    assert!(
        done.stdout
            .contains("\\u{1b}[2Jgone\\u{a}\\u{3a}:error\\u{3a}:x"),
        "{}",
        done.stdout
    );
    assert!(!done.stdout.contains('\u{1b}'));
}

#[test]
fn closed_pipe_is_not_an_error() {
    let stage = stage();
    let mut child = stage
        .command(&["plan", "--diff", "--emulator", "fleet.json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command runs");
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut stderr)
        .expect("UTF-8");
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{stderr}");
    assert_eq!(stderr, "");
}

#[test]
fn json_report_has_everything() {
    let stage = stage();
    let plan = stage.json(&["plan"]);
    assert_eq!(
        (plan["format"].as_str(), plan["version"].as_u64()),
        (Some("portward.report"), Some(1))
    );
    let summary = serde_json::json!({
        "declared": 5, "inSync": 1, "toChange": 4, "observed": 0, "refused": 0, "stillOpen": 0, "incomplete": 0, "unreadable": 0, "undecided": 0, "notPlanned": 0,
        "missing": 0, "undeclared": 1, "calls": 5, "writes": null,
    });
    assert_eq!(plan["summary"], summary);
    let db = &plan["instances"][0];
    assert_eq!(db["name"], "db-1");
    assert_eq!(
        db["calls"],
        serde_json::json!([{
            "action": "CloseInstancePublicPorts",
            "request": {
                "portInfo": {
                    "protocol": "tcp", "fromPort": 3306, "toPort": 3306,
                    "cidrs": ["192.0.2.44/32"], "ipv6Cidrs": [], "cidrListAliases": [],
                },
            },
        }])
    );
    assert_eq!(
        db["exposure"]["lost"],
        serde_json::json!([{
            "protocol": "tcp", "from": 3306, "to": 3306,
            "cidrs": ["192.0.2.44/32"], "ipv6Cidrs": [], "cidrListAliases": [],
        }])
    );
    let apply = stage.json(&["apply", "--yes"]);
    assert_eq!(apply["summary"]["writes"], 5);
    assert_eq!(apply["instances"][0]["outcome"]["status"], "applied");
    stage.assert_in_sync();
}
