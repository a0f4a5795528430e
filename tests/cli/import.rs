//! `import`: what it writes plans to nothing.

use portward::emulator::Quirks;
use portward::inventory::Inventory;

use crate::served_emulator::Server;
use crate::spelling::echoes;
use crate::stage::{REGION, Stage, fleet, instance, rule};

fn stage() -> Stage {
    let web = || {
        vec![
            rule("tcp", 22, 22, &["203.0.113.0/24", "lightsail-connect"]),
            rule("tcp", 443, 443, &["0.0.0.0/0", "::/0"]),
        ]
    };
    Stage::new(
        "",
        &fleet(vec![
            instance("web-1", web()),
            instance("web-2", web()),
            instance("old-1", vec![]),
        ]),
    )
}

#[test]
fn imported_fleet_is_in_sync() {
    let stage = stage();
    let done = stage.on_fleet(&["import", "--out", "firewall.toml"]);
    assert_eq!(done.shown(), "--- exit code 0\n");
    stage.assert_in_sync();
    let undeclared = stage.on_fleet(&["drift", "--fail-on-undeclared"]);
    assert_eq!(undeclared.code, Some(0), "{}", undeclared.shown());
    let text = stage.read("firewall.toml");
    let (line, rest) = text.split_once('\n').expect("two lines");
    let hint = stage.run(&["check", "--schema-hint"]).stdout;
    assert_eq!(
        hint.lines().last(),
        Some(line),
        "editors know it by its first line"
    );
    assert!(
        line.starts_with("#:schema https://") && line.ends_with("/schemas/config.v1.json"),
        "{line}"
    );
    insta::assert_snapshot!(rest, @r#"
    # Made by `portward import` from what was live.
    version = 1

    [defaults]
    region = "eu-central-1"
    mode = "authoritative" # what is not declared is closed

    [rulesets]
    web = [
      { allow = "ssh", from = ["203.0.113.0/24", "lightsail-connect"] },
      { allow = "https", from = "anywhere" },
    ]

    [instances.old-1]
    rules = []

    [instances.web-1]
    use = ["web"]

    [instances.web-2]
    use = ["web"]
    "#);
}

#[test]
fn redundant_live_rules_are_kept_and_counted() {
    let stage = stage();
    let mut odd = stage.fleet();
    let entry = &mut odd.regions.values_mut().next().expect("a region")[2];
    entry.port_states = Some(
        [
            rule("tcp", 22, 22, &["203.0.113.7/32"]),
            rule("tcp", 0, 1023, &["203.0.113.0/24"]),
        ]
        .into(),
    );
    stage.populate(&odd);
    let done = stage.on_fleet(&["import", "--out", "firewall.toml"]);
    assert_eq!(done.shown(), "--- exit code 0\n");
    let text = stage.read("firewall.toml");
    let remark =
        "# 1 rule that opens nothing is kept, as live has it: `portward check` names each.";
    assert_eq!(text.lines().nth(2), Some(remark), "{text}");
    let check = stage.run(&["check"]);
    assert!(
        check.stderr.contains("warning[PW-154]"),
        "{}",
        check.shown()
    );
    stage.assert_in_sync();
    let strict = stage.on_fleet(&["plan", "--detailed-exitcode", "--strict-spelling"]);
    assert_eq!(strict.code, Some(0), "{}", strict.shown());
}

/// `check` warns of both, and neither is a rule that another one makes superfluous.
#[test]
fn unknown_regions_and_private_sources_are_not_counted_as_redundant() {
    let ssh = rule("tcp", 22, 22, &["203.0.113.0/24", "10.0.0.0/8"]);
    let mut web = instance("web-1", vec![ssh]);
    web.arn = web.arn.replace(REGION, "eu-central-9");
    let regions = [("eu-central-9".to_owned(), vec![web])].into();
    let stage = Stage::new("", &Inventory::new(regions));
    let done = stage.on_fleet(&[
        "import",
        "--region",
        "eu-central-9",
        "--out",
        "firewall.toml",
    ]);
    assert_eq!(done.shown(), "--- exit code 0\n");
    let text = stage.read("firewall.toml");
    assert!(!text.contains("nothing"), "{text}");
    let check = stage.run(&["check"]);
    assert_eq!(
        check.stderr.matches("warning[PW-152]").count(),
        2,
        "{}",
        check.shown()
    );
    stage.assert_in_sync();
}

#[test]
fn target_imports_one_instance() {
    let stage = stage();
    let done = stage.on_fleet(&["import", "old-1"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert!(!done.stdout.contains("web"), "{}", done.stdout);
    stage.configure(&done.stdout);
    stage.assert_in_sync();
}

#[test]
fn sources_of_a_missing_address_family_are_declared() {
    let stage = stage();
    let mut odd = stage.fleet();
    for entry in odd.regions.values_mut().flatten() {
        "ipv4".clone_into(&mut entry.ip_address_type);
    }
    stage.populate(&odd);
    let done = stage.on_fleet(&["import", "--out", "firewall.toml"]);
    assert_eq!(done.shown(), "--- exit code 0\n");
    let text = stage.read("firewall.toml");
    assert!(
        text.contains(r#"{ allow = "https", from = "anywhere", any-family = true }"#),
        "{text}"
    );
    stage.assert_in_sync();
}

#[test]
fn inexpressible_rules_are_reported_as_differences() {
    let stage = stage();
    let mut odd = stage.fleet();
    let [web, ..] = &mut odd.regions.values_mut().next().expect("a region")[..] else {
        panic!("no instance");
    };
    web.port_states = Some([rule("tcp", 22, 22, &["partners", "203.0.113.0/24"])].into());
    stage.populate(&odd);
    let done = stage.on_fleet(&["import", "--out", "firewall.toml"]);
    assert_eq!(
        done.shown(),
        "--- stderr\n\
         not written: eu-central-1/web-1: tcp/22 from `partners`: the language has no\n             \
         word for this alias\n\
         --- exit code 2\n"
    );
    assert!(!stage.read("firewall.toml").contains("additive"));
    let drift = stage.on_fleet(&["drift"]);
    assert_eq!(drift.code, Some(2), "{}", drift.shown());
    insta::assert_snapshot!(drift.stdout, @r"
    web-1 (eu-central-1)                                                     differs
      live allows more than declared: tcp/22 from partners
      extra   tcp 22       from partners                firewall.toml:16

    in sync: old-1, web-2 (eu-central-1)
    Drift: 1 of 3 instances differs.
    ");
}

/// What the service, the console, and tools that know nothing of families leave on an instance.
fn odd_fleet() -> Inventory {
    let mut ipv4 = instance(
        "old-1",
        vec![
            rule("tcp", 22, 22, &["203.0.113.7/32"]),
            rule("tcp", 443, 443, &["0.0.0.0/0", "::/0"]),
        ],
    );
    "ipv4".clone_into(&mut ipv4.ip_address_type);
    fleet(vec![
        instance(
            "web-1",
            vec![
                rule("icmp", 8, -1, &["0.0.0.0/0", "::/0"]),
                rule(
                    "tcp",
                    22,
                    22,
                    &["203.0.113.7/32", "2001:db8::ab/128", "lightsail-connect"],
                ),
                rule("tcp", 80, 89, &["198.51.100.0/25", "198.51.100.128/25"]),
            ],
        ),
        instance(
            "web-2",
            vec![
                rule("all", 0, 65535, &["192.0.2.9/32", "2001:db8:cd::/48"]),
                rule("icmpv6", 128, 0, &["0.0.0.0/0", "::/0"]),
            ],
        ),
        ipv4,
    ])
}

/// Whatever a reply looks like, what is imported is all there is, and one rule more is a difference.
#[test]
fn import_never_widens_access() {
    for (name, value) in echoes() {
        let quirk = format!("{name}={value}");
        let quirks = || {
            let mut quirks = Quirks::default();
            quirks
                .set(&quirk)
                .unwrap_or_else(|error| panic!("{quirk}: {error}"));
            quirks
        };
        let stage = Stage::new(
            "version = 1\ndefaults = { region = \"eu-central-1\" }\n",
            &fleet(vec![]),
        );
        let server = Server::start(odd_fleet(), quirks());
        let done = server.run(
            &stage,
            &["import", "--region", REGION, "--out", "firewall.toml"],
        );
        assert_eq!(done.code, Some(0), "{quirk}: {}", done.shown());
        let text = stage.read("firewall.toml");
        assert!(!text.contains("additive"), "{quirk}: {text}");
        let plan = server.run(&stage, &["plan", "--detailed-exitcode"]);
        assert_eq!(plan.code, Some(0), "{quirk}: {}", plan.shown());
        drop(server);
        for (at, name) in ["web-1", "web-2", "old-1"].into_iter().enumerate() {
            let mut more = odd_fleet();
            let entry = &mut more.regions.values_mut().next().expect("a region")[at];
            let rules = entry.port_states.as_deref().unwrap_or_default();
            let new = [rule("tcp", 5432, 5432, &["198.51.100.7/32"])];
            entry.port_states = Some([rules, &new].concat().into());
            let server = Server::start(more, quirks());
            let drift = server.run(&stage, &["drift"]);
            assert_eq!(drift.code, Some(2), "{quirk}: {}", drift.shown());
            assert!(drift.says("extra tcp 5432"), "{quirk}: {}", drift.shown());
            assert!(drift.stdout.contains(name), "{quirk}: {}", drift.shown());
        }
    }
}

/// Where no reply says whom a rule lets in, nothing is declared, and nothing is in sync.
#[test]
fn rules_without_sources_are_never_in_sync() {
    let mut quirks = Quirks::default();
    quirks.set("lists=absent").expect("a quirk");
    let stage = stage();
    let server = Server::start(odd_fleet(), quirks);
    let import = ["import", "--region", REGION, "--out", "firewall.toml"];
    let done = server.run(&stage, &import);
    assert_eq!(done.code, Some(6), "{}", done.shown());
    let told = done.stderr.matches("it names no source").count();
    assert_eq!(told, 7, "{}", done.shown());
    let text = stage.read("firewall.toml");
    assert!(!text.contains("additive"), "{text}");
    let drift = server.run(&stage, &["drift"]);
    assert!(matches!(drift.code, Some(2 | 6)), "{}", drift.shown());
}

#[test]
fn unreadable_rules_are_not_declared() {
    let stage = stage();
    let mut blind = stage.fleet();
    for entry in blind.regions.values_mut().flatten().take(1) {
        entry.port_states = None;
    }
    stage.populate(&blind);
    let done = stage.run(&[
        "import",
        "--inventory",
        "fleet.json",
        "--out",
        "firewall.toml",
    ]);
    assert_eq!(done.code, Some(6), "{}", done.shown());
    let text = stage.read("firewall.toml");
    assert!(!text.contains("[instances.web-1]"), "{text}");
    assert!(
        text.contains("# eu-central-1/web-1: its rules could not be read"),
        "{text}"
    );
}
