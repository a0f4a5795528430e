//! Several accounts as one fleet: roles, names that repeat, and an account that cannot be reached beside one that can.

use portward::inventory::{Entry, Inventory};

use crate::stage::{REGION, Stage, instance, rule};

const PROD: &str = "111111111111";
const TEST: &str = "222222222222";

/// Two accounts, each with a `web-1`; the keys of the emulator belong to the first.
const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[accounts.prod]
id = "111111111111"
[accounts.test]
id = "222222222222"
role = "arn:aws:iam::222222222222:role/ops/portward"
[groups.web]
match = { name = "web-*" }
rules = [{ allow = "ssh", from = "203.0.113.0/24" }]
[groups.prod]
match = { account = "pr*" }
rules = [{ allow = "https", from = "anywhere" }]
[instances."test/eu-central-1/db-1"]
rules = [{ allow = "postgres", from = "10.0.0.0/8" }]
"#;

fn of(account: &str, name: &str, rules: Vec<portward::model::PortState>) -> Entry {
    Entry {
        arn: format!("arn:aws:lightsail:{REGION}:{account}:Instance/{account}-{name}"),
        ..instance(name, rules)
    }
}

fn two_accounts() -> Inventory {
    let open = || vec![rule("tcp", 22, 22, &["0.0.0.0/0"])];
    crate::stage::fleet(vec![
        of(PROD, "web-1", open()),
        of(TEST, "web-1", open()),
        of(TEST, "db-1", vec![]),
    ])
}

fn rules_of(fleet: &Inventory, account: &str, name: &str) -> String {
    let entries = fleet.regions[REGION].iter();
    let mut found = entries.filter(|entry| entry.account() == account && entry.name == name);
    let entry = found.next().expect("the instance");
    serde_json::to_string(&entry.port_states).expect("JSON")
}

#[test]
fn two_accounts_with_the_same_name_are_one_fleet() {
    let stage = Stage::new(CONFIG, &two_accounts());
    let applied = stage.on_fleet(&["apply", "--yes"]);
    assert_eq!(applied.code, Some(0), "{}", applied.shown());
    let fleet = stage.fleet();
    assert!(rules_of(&fleet, PROD, "web-1").contains("443"));
    assert!(!rules_of(&fleet, TEST, "web-1").contains("443"));
    assert!(rules_of(&fleet, TEST, "web-1").contains("203.0.113.0/24"));
    assert!(rules_of(&fleet, TEST, "db-1").contains("5432"));
    stage.assert_in_sync();
}
