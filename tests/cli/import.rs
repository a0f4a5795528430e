//! `import`: what it writes plans to nothing.

use crate::stage::{Stage, fleet, instance, rule};

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
fn an_imported_fleet_is_in_sync() {
    let stage = stage();
    let done = stage.on_fleet(&["import", "--out", "firewall.toml"]);
    assert_eq!(done.shown(), "--- exit code 0\n");
    stage.assert_in_sync();
    let undeclared = stage.on_fleet(&["drift", "--fail-on-undeclared"]);
    assert_eq!(undeclared.code, Some(0), "{}", undeclared.shown());
    insta::assert_snapshot!(stage.read("firewall.toml"), @r#"
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
fn one_instance_can_be_imported() {
    let stage = stage();
    let done = stage.on_fleet(&["import", "old-1"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert!(!done.stdout.contains("web"), "{}", done.stdout);
    stage.configure(&done.stdout);
    stage.assert_in_sync();
}

#[test]
fn what_has_no_words_is_told_and_stays() {
    let stage = stage();
    let mut odd = stage.fleet();
    for entry in odd.regions.values_mut().flatten() {
        "ipv4".clone_into(&mut entry.ip_address_type);
    }
    stage.populate(&odd);
    let done = stage.on_fleet(&["import", "--out", "firewall.toml"]);
    assert_eq!(
        done.shown(),
        "--- stderr\n\
         not written: eu-central-1/web-1: tcp/443 from ::/0: the instance has no addresses of this family\n\
         not written: eu-central-1/web-2: tcp/443 from ::/0: the instance has no addresses of this family\n\
         --- exit code 0\n"
    );
    assert!(stage.read("firewall.toml").contains("mode = \"additive\""));
    stage.assert_in_sync();
}

#[test]
fn what_cannot_be_read_is_not_declared() {
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
