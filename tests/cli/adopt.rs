//! `drift --adopt`: the file says what is live afterwards, and everything else in it stays.

use std::fs;

use crate::stage::{Stage, fleet, instance, rule};

const CONFIG: &str = r#"# ours
version = 1
include = ["more.toml"]
[defaults]
region = "eu-central-1"

[groups.web]
match = { name = "web-*" }
rules = [{ allow = "https", from = "anywhere" }]
"#;

const MORE: &str = r#"[instances.db-1]
rules = [
  # the application
  { allow = "postgres", from = ["203.0.113.0/24", "192.0.2.44"], why = "app" },
  { allow = "ssh", from = "203.0.113.0/24" },
]
"#;

fn stage() -> Stage {
    let stage = Stage::new(
        CONFIG,
        &fleet(vec![
            instance(
                "web-1",
                vec![
                    rule("tcp", 443, 443, &["0.0.0.0/0", "::/0"]),
                    rule("tcp", 22, 22, &["lightsail-connect"]),
                ],
            ),
            instance(
                "db-1",
                vec![
                    rule("tcp", 5432, 5432, &["203.0.113.0/24"]),
                    rule("tcp", 80, 80, &["0.0.0.0/0", "::/0"]),
                ],
            ),
        ]),
    );
    fs::write(stage.path("more.toml"), MORE).expect("a file");
    stage
}

#[test]
fn live_rules_are_written_into_their_table() {
    let stage = stage();
    let done = stage.on_fleet(&["drift", "--adopt"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_eq!(done.stderr, "edited: firewall.toml\nedited: more.toml\n");
    stage.assert_in_sync();
    let own = "\n[instances.\"eu-central-1/web-1\"]\nrules = [\n  { allow = \"ssh\", from = \"lightsail-connect\" },\n]\n";
    assert_eq!(stage.read("firewall.toml"), format!("{CONFIG}{own}"));
    insta::assert_snapshot!(stage.read("more.toml"), @r#"
    [instances.db-1]
    rules = [
      # the application
      { allow = "postgres", from = "203.0.113.0/24", why = "app" },
      { allow = "http", from = "anywhere" },
    ]
    "#);
    // There is nothing left to edit.
    let again = stage.on_fleet(&["drift", "--adopt"]);
    assert_eq!(again.code, Some(0), "{}", again.shown());
    assert_eq!(again.stderr, "");
}

#[test]
fn dry_run_prints_the_edits_and_writes_nothing() {
    let stage = stage();
    let before = stage.read("firewall.toml");
    let tried = stage.on_fleet(&["drift", "--adopt", "--dry-run"]);
    assert_eq!(tried.code, Some(2), "{}", tried.shown());
    assert!(
        tried
            .stdout
            .starts_with("--- firewall.toml\n+++ firewall.toml\n@@ "),
        "{}",
        tried.shown()
    );
    assert!(!tried.says("Drift:"), "{}", tried.shown());
    assert_eq!(stage.read("firewall.toml"), before);
    let done = stage.on_fleet(&["drift", "--adopt"]);
    assert!(done.stdout.starts_with(&tried.stdout), "{}", done.shown());
    assert_ne!(stage.read("firewall.toml"), before);
    assert_eq!(stage.on_fleet(&["drift"]).code, Some(0));
}

#[test]
fn shared_rules_are_kept_and_reported() {
    let stage = stage();
    stage.populate(&fleet(vec![
        instance("web-1", vec![]),
        instance("db-1", vec![rule("tcp", 22, 22, &["203.0.113.0/24"])]),
    ]));
    let done = stage.on_fleet(&["drift", "--adopt"]);
    assert_eq!(done.code, Some(2), "{}", done.shown());
    assert_eq!(
        done.stderr,
        "edited: more.toml\n\
         not adopted: eu-central-1/web-1: tcp/443 from 0.0.0.0/0, ::/0 is not live, but\n             \
         is declared at firewall.toml:9, which is not the instance's own\n             \
         line\n"
    );
    assert_eq!(stage.read("firewall.toml"), CONFIG);
    assert!(!stage.read("more.toml").contains("postgres"));
}

#[test]
fn unreadable_instance_is_not_adopted() {
    let stage = stage();
    let mut blind = stage.fleet();
    for entry in blind.regions.values_mut().flatten() {
        entry.port_states = None;
    }
    stage.populate(&blind);
    let done = stage.run(&["drift", "--adopt", "--inventory", "fleet.json"]);
    assert_eq!(done.code, Some(6), "{}", done.shown());
    assert_eq!(stage.read("firewall.toml"), CONFIG);
    assert_eq!(stage.read("more.toml"), MORE);
}
