//! `check` on an inventory: groups, tags, `expect` and who is missing, decided offline; and what it says without one.

use std::collections::BTreeMap;

use portward::inventory::{Entry, Inventory};

use crate::stage::{Stage, fleet, instance};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[addresses]
office = ["203.0.113.0/24"]
[groups.web]
match = { name = "web-*" }
expect = "EXPECT"
rules = [{ allow = "https", from = "anywhere-v4" }]
[groups.database]
match = { tags = { role = "db" } }
rules = [{ allow = "postgres", from = "anywhere-v4" }]
[[policy]]
id = "private-data"
match = { name = "db-*" }
services = "postgres"
only-from = ["office"]
[[policy]]
id = "admin-open-to-world"
severity = "off"
[[policy]]
id = "database-open-to-world"
severity = "off"
"#;

fn tagged(name: &str) -> Entry {
    Entry {
        tags: BTreeMap::from([("role".to_owned(), "db".to_owned())]),
        ..instance(name, vec![])
    }
}

fn stage(expect: &str, more: &str, entries: Vec<Entry>) -> Stage {
    let config = CONFIG.replace("EXPECT", expect) + more;
    Stage::new(&config, &fleet(entries))
}

#[test]
fn check_without_an_inventory_names_undecided_policies() {
    let stage = stage("1..9", "", vec![]);
    let done = stage.run(&["check"]);
    insta::assert_snapshot!(done.shown(), @"
    firewall.toml: valid; 2 rules, 2 groups, 0 instance tables
    --- stderr
    note: 1 policy could not be decided without an inventory: `private-data`
    --- exit code 0
    ");
}

#[test]
fn inventory_decides_a_policy_that_depends_on_tags() {
    let web = || instance("web-1", vec![]);
    let stage = stage(
        "1..9",
        "",
        vec![web(), tagged("db-1"), instance("old-1", vec![])],
    );
    let done = stage.run(&["check", "--inventory", "fleet.json"]);
    insta::assert_snapshot!(done.shown(), @r#"
    firewall.toml: valid; 2 rules, 2 groups, 0 instance tables
    fleet.json: 3 instances, 2 declared
    not in the configuration: old-1 (eu-central-1)
    against policy `private-data` (as declared) [PW-305]: 1.1.1.1 gets in at
      tcp/5432, and only `office` may
      on db-1 (eu-central-1)
      open: tcp/5432 from everyone (IPv4) but 203.0.113.0/24
      hint: narrow firewall.toml:12, or except a rule with
            `waive = ["private-data"]`, `why`, `owner` and `until`
    --- exit code 3
    "#);
    // The tag alone does it.
    stage.populate(&fleet(vec![web(), instance("db-1", vec![])]));
    let done = stage.run(&["check", "--inventory", "fleet.json"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_eq!(done.stderr, "", "everything is decided");
}

#[test]
fn inventory_checks_expectations_and_names() {
    let more = "[instances.db-7]\nrules = [{ allow = \"ssh\", from = \"office\" }]\n";
    let stage = stage("2..9", more, vec![instance("web-1", vec![])]);
    let done = stage.run(&["check", "--inventory", "fleet.json"]);
    assert_eq!(done.code, Some(65), "{}", done.shown());
    assert!(
        done.stderr
            .contains("matches 1 instances, but 2 to 9 are expected"),
        "{}",
        done.shown()
    );
    assert_eq!(stage.run(&["check"]).code, Some(0));

    stage.configure(&(CONFIG.replace("EXPECT", "1") + more));
    let done = stage.run(&["check", "--inventory", "fleet.json"]);
    assert_eq!(done.code, Some(1), "{}", done.shown());
    let said = "db-7: declared at firewall.toml:24 and does not exist";
    assert!(done.stdout.contains(said), "{}", done.shown());
    let done = stage.run(&["check", "--inventory", "fleet.json", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(json["problems"][0]["line"], 24, "{json}");
    assert_eq!(json["exitCode"], 1, "{json}");
}

#[test]
fn unread_region_is_not_empty() {
    let stage = stage("1..9", "", vec![]);
    let elsewhere = Inventory::new([("eu-west-1".to_owned(), vec![tagged("db-1")])].into());
    stage.populate(&elsewhere);
    let done = stage.run(&["check", "--inventory", "fleet.json"]);
    assert_eq!(done.code, Some(6), "{}", done.shown());
    for said in [
        "cannot list the instances of `eu-central-1`",
        "does not cover this region",
    ] {
        assert!(done.says(said), "{}", done.shown());
    }
    let none = stage.run(&["check", "--inventory", "nowhere.json"]);
    assert_eq!(none.code, Some(1), "{}", none.shown());
}

#[test]
fn kept_live_rules_may_satisfy_a_requirement() {
    let config = r#"version = 1
[defaults]
region = "eu-central-1"
mode = "additive"
[instances.web-1]
rules = [{ allow = "https", from = "anywhere" }]
[[policy]]
id = "operators"
require = { allow = "ssh", from = "203.0.113.7" }
"#;
    let ssh = crate::stage::rule("tcp", 22, 22, &["203.0.113.0/24"]);
    for (rules, code) in [(vec![ssh], 0), (vec![], 3)] {
        let stage = Stage::new(config, &fleet(vec![instance("web-1", rules)]));
        let done = stage.run(&["check", "--inventory", "fleet.json"]);
        assert_eq!(done.code, Some(code), "{}", done.shown());
        let blind = stage.run(&["check"]);
        assert_eq!(blind.code, Some(0), "{}", blind.shown());
        assert!(blind.stderr.contains("`operators`"), "{}", blind.shown());
    }
}

#[test]
fn redundant_rule_is_reported_once_for_all_instances() {
    let config = r#"version = 1
[groups.web]
match = { name = "web-*" }
rules = [
  { allow = ["http", "https"], from = "anywhere" },
  { allow = "https", from = "203.0.113.7" },
]
"#;
    let all = (0..25).map(|n| instance(&format!("web-{n}"), vec![]));
    let stage = Stage::new(config, &fleet(all.collect()));
    let region = ["--region", "eu-central-1"];
    for verb in [
        &["check"][..],
        &[&["plan", "--emulator", "fleet.json"], &region[..]].concat(),
    ] {
        let done = stage.run(verb);
        let warning = "warning[PW-154]: what this rule allows is already allowed by line 5";
        assert_eq!(done.stderr.matches(warning).count(), 1, "{}", done.shown());
        assert!(done.says("--> firewall.toml:6:3"), "{}", done.shown());
    }
    let done = stage.run(&["check", "--format", "github"]);
    let annotation = "::warning file=firewall.toml,line=6,col=3,endColumn=44,title=portward PW-154::\
                      what this rule allows is already allowed by line 5%0Ahint: leave it out\n";
    assert!(done.stdout.contains(annotation), "{}", done.shown());
}
