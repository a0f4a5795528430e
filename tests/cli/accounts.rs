//! Several accounts as one fleet: roles, names that repeat, and an account that cannot be reached beside one that can.

use portward::emulator::EmulatorOptions;
use portward::inventory::{Entry, Inventory};

use crate::served_emulator::Server;
use crate::stage::{Done, REGION, Stage, instance, rule};

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
        of(
            TEST,
            "db-1",
            vec![rule("tcp", 9000, 9000, &["10.0.0.1/32"])],
        ),
    ])
}

fn rules_of(fleet: &Inventory, account: &str, name: &str) -> String {
    let entries = fleet.regions[REGION].iter();
    let mut found = entries.filter(|entry| entry.account() == account && entry.name == name);
    let entry = found.next().expect("the instance");
    serde_json::to_string(&entry.port_states).expect("JSON")
}

#[test]
fn equal_instance_names_in_two_accounts_are_distinct() {
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

/// The two accounts, and a third one whose role nobody may assume.
fn with_a_refused_role() -> String {
    let gone = "[accounts.gone]\nid = \"333333333333\"\nrole = \"arn:aws:iam::333333333333:role/portward\"\n";
    CONFIG.replacen("[groups.web]", &format!("{gone}[groups.web]"), 1)
}

#[test]
fn account_with_a_refused_role_does_not_stop_others() {
    let stage = Stage::new(&with_a_refused_role(), &two_accounts());
    let applied = stage.on_fleet(&["apply", "--yes"]);
    assert_eq!(applied.code, Some(6), "{}", applied.shown());
    let told = &applied.stdout;
    assert!(
        applied.says("region gone/eu-central-1: could not be read"),
        "{told}"
    );
    assert!(
        applied.says("not authorized to perform: sts:AssumeRole"),
        "{told}"
    );
    assert!(applied.says("hint: the trust policy of the role"), "{told}");
    assert!(rules_of(&stage.fleet(), TEST, "db-1").contains("5432"));
    // The others are as they should be, and no claim is made of this one.
    let drift = stage.on_fleet(&["drift"]);
    assert_eq!(drift.code, Some(6), "{}", drift.shown());
    let narrowed = stage.on_fleet(&["drift", "--account", "prod,test"]);
    assert_eq!(narrowed.code, Some(0), "{}", narrowed.shown());
}

#[test]
fn instance_of_an_unread_account_is_not_missing() {
    let stage = Stage::new(&with_a_refused_role(), &two_accounts());
    let config = ["-c", "firewall.toml"];
    for (verb, code) in [
        (vec!["explain", "db-9"], 6),
        (vec!["explain", "gone/eu-central-1/web-1"], 6),
        (vec!["explain", "db-1"], 6),
        (vec!["explain", "test/eu-central-1/db-1"], 0),
        (vec!["explain", "test/eu-central-1/db-9"], 1),
        (vec!["inventory", "db-9", config[0], config[1]], 6),
        (vec!["import", "db-9", config[0], config[1]], 6),
        (vec!["plan", "--target", "db-9"], 6),
        (vec!["drift", "--target", "db-9"], 6),
        (vec!["drift", "--adopt", "--target", "db-9"], 6),
        (vec!["apply", "--yes", "--target", "db-9"], 6),
    ] {
        let done = stage.on_fleet(&verb);
        let shown = done.shown();
        assert_eq!(done.code, Some(code), "{verb:?}: {shown}");
        let named = shown.contains("gone/eu-central-1") && shown.contains("sts:AssumeRole");
        assert_eq!(named, code == 6, "{verb:?}: {shown}");
    }
    // Where everything was seen, a name that nothing has is a mistake.
    for verb in ["plan", "drift", "apply"] {
        let done = stage.on_fleet(&[verb, "--target", "db-9", "--account", "prod,test"]);
        assert_eq!(done.code, Some(1), "{}", done.shown());
    }
}

#[test]
fn consent_and_differences_are_scoped_to_an_account() {
    let closing = CONFIG.replace("{ allow = \"postgres\", from = \"10.0.0.0/8\" }", "");
    let stage = Stage::new(&closing, &two_accounts());
    for name in [
        "db-1",
        "eu-central-1/db-1",
        "test/eu-central-1/db-1",
        "test/*",
    ] {
        let allow = format!("empty={name}");
        let planned = stage.on_fleet(&["plan", "--allow", &allow, "--reason", "meant"]);
        assert_eq!(planned.code, Some(0), "{name}: {}", planned.shown());
    }
    let refused = stage.on_fleet(&["plan", "--allow", "empty=prod/*", "--reason", "meant"]);
    assert_eq!(refused.code, Some(3), "{}", refused.shown());

    let tables = "[instances.\"test/eu-central-1/db-1\"]\nrules = [";
    stage.configure(&CONFIG.replace(tables, "[rulesets]\nunused = ["));
    let diff = stage.run(&["diff", "fleet.json", "firewall.toml"]);
    assert_eq!(diff.code, Some(2), "{}", diff.shown());
    let note = "not declared on the new side, so what is live there stays:\n      db-1 (test/eu-central-1)\n";
    assert!(diff.stdout.contains(note), "{}", diff.shown());
}

#[test]
fn credentials_of_another_account_send_no_lightsail_call() {
    // The credentials are those of `prod`, and no role leads elsewhere.
    let config = CONFIG.replacen(
        "role = \"arn:aws:iam::222222222222:role/ops/portward\"\n",
        "",
        1,
    );
    let stage = Stage::new(&config, &two_accounts());
    let before = rules_of(&stage.fleet(), TEST, "web-1");
    let applied = stage.on_fleet(&["apply", "--yes"]);
    assert_eq!(applied.code, Some(6), "{}", applied.shown());
    let why =
        "these credentials belong to account 111111111111, and `test` is account 222222222222";
    assert!(applied.says(why), "{}", applied.stdout);
    let fleet = stage.fleet();
    assert_eq!(rules_of(&fleet, TEST, "web-1"), before);
    assert!(rules_of(&fleet, PROD, "web-1").contains("443"));
    let narrowed = stage.on_fleet(&["drift", "--account", "prod"]);
    assert_eq!(narrowed.code, Some(0), "{}", narrowed.shown());
}

#[test]
fn plan_file_is_bound_to_its_accounts() {
    let stage = Stage::new(CONFIG, &two_accounts());
    let planned = stage.on_fleet(&["plan", "--out", "plan.json"]);
    assert_eq!(planned.code, Some(0), "{}", planned.shown());
    let file: serde_json::Value = serde_json::from_str(&stage.read("plan.json")).expect("JSON");
    let accounts = serde_json::json!({"prod": PROD, "test": TEST});
    assert_eq!(file["scope"]["accounts"], accounts);
    let before = stage.read("fleet.json");
    for (from, to, why) in [
        (
            "id = \"111111111111\"",
            "id = \"444444444444\"",
            "was made for account `prod`, 111111111111, and `firewall.toml` says that it is 444444444444",
        ),
        (
            "accounts.prod",
            "accounts.prd",
            "`firewall.toml` does not name it",
        ),
    ] {
        let other = CONFIG.replacen(from, to, 1).replacen("pr*", "p*", 1);
        stage.configure(&other);
        let refused = stage.on_fleet(&["apply", "plan.json", "--yes"]);
        assert_eq!(refused.code, Some(4), "{}", refused.shown());
        assert!(refused.says(why), "{}", refused.stderr);
        assert_eq!(stage.read("fleet.json"), before);
    }
    stage.configure(CONFIG);
    let applied = stage.on_fleet(&["apply", "plan.json", "--yes"]);
    assert_eq!(applied.code, Some(0), "{}", applied.shown());
    stage.assert_in_sync();
    // The way back needs the accounts too.
    let receipts = std::fs::read_dir(stage.path(".portward/receipts")).expect("receipts");
    let receipt = receipts.last().expect("one").expect("one").path();
    let receipt = receipt.to_str().expect("UTF-8");
    let back = stage.on_fleet(&["rollback", receipt, "--detailed-exitcode"]);
    assert_eq!(back.code, Some(2), "{}", back.shown());
    assert!(
        back.stdout.contains("web-1 (test/eu-central-1)"),
        "{}",
        back.stdout
    );
}

#[test]
fn selector_chooses_one_of_two_accounts() {
    let stage = Stage::new(CONFIG, &two_accounts());
    let before = rules_of(&stage.fleet(), PROD, "web-1");
    let applied = stage.on_fleet(&["apply", "--yes", "-t", "test/*/web-1"]);
    assert_eq!(applied.code, Some(0), "{}", applied.shown());
    assert_eq!(rules_of(&stage.fleet(), PROD, "web-1"), before);
    let rest = stage.on_fleet(&["apply", "--yes"]);
    assert_eq!(rest.code, Some(0), "{}", rest.shown());
    stage.assert_in_sync();
    for (args, code) in [
        (["drift", "--account", "prd"], 64),
        (["drift", "--region", "us-east-1"], 64),
        (["drift", "-t", "prod/*/db-1"], 1),
    ] {
        let done = stage.on_fleet(&args);
        assert_eq!(done.code, Some(code), "{}", done.shown());
    }
}

#[test]
fn missing_renamed_and_undecided_instances_are_reported() {
    let config = CONFIG.replacen("test/eu-central-1/db-1", "prod/eu-central-1/db-1", 1);
    let stage = Stage::new(&config, &two_accounts());
    let plan = stage.on_fleet(&["plan"]);
    assert_eq!(plan.code, Some(1), "{}", plan.shown());
    assert!(
        plan.stdout.contains("prod/eu-central-1/db-1"),
        "{}",
        plan.stdout
    );
    assert!(
        plan.stdout
            .contains("did you mean `test/eu-central-1/db-1`"),
        "{}",
        plan.stdout
    );
    assert!(
        plan.stdout.contains("test/eu-central-1/db-1"),
        "{}",
        plan.stdout
    );
    stage.configure(&CONFIG.replacen("test/eu-central-1/db-1", "web-1", 1));
    let plan = stage.on_fleet(&["plan"]);
    assert_eq!(plan.code, Some(65), "{}", plan.shown());
    assert!(
        plan.stderr.contains("`web-1` exists in several accounts"),
        "{}",
        plan.stderr
    );
}

#[test]
fn inventory_of_all_accounts_replaces_the_api() {
    let stage = Stage::new(CONFIG, &two_accounts());
    let taken = stage.on_fleet(&["inventory", "-c", "firewall.toml", "--out", "all.json"]);
    assert_eq!(taken.code, Some(0), "{}", taken.shown());
    let mut snapshot = Inventory::parse(&stage.read("all.json")).expect("an inventory");
    let mut expected = two_accounts();
    for inventory in [&mut snapshot, &mut expected] {
        let entries = inventory.regions.values_mut();
        entries.for_each(|entries| entries.sort_by(|a, b| a.arn.cmp(&b.arn)));
    }
    assert_eq!(snapshot, expected);
    // Offline and online agree.
    let offline = stage.run(&["plan", "--inventory", "all.json"]);
    assert_eq!(offline.shown(), stage.on_fleet(&["plan"]).shown());
    // By their keys alone only the first account is seen.
    let one = stage.on_fleet(&["inventory"]);
    assert!(
        one.stdout.contains(PROD) && !one.stdout.contains(TEST),
        "{}",
        one.stdout
    );
    // Without names for the accounts nobody can tell which is which.
    stage.configure("version = 1\n[defaults]\nregion = \"eu-central-1\"\n[instances.web-1]\nmode = \"observe\"\n");
    let plan = stage.run(&["plan", "--inventory", "all.json"]);
    assert_eq!(plan.code, Some(6), "{}", plan.shown());
    assert!(
        plan.stdout.contains("`web-1` in several accounts"),
        "{}",
        plan.stdout
    );
}

#[test]
fn import_of_several_accounts_is_in_sync() {
    let stage = Stage::new(CONFIG, &two_accounts());
    let imported = stage.on_fleet(&["import", "-c", "firewall.toml"]);
    assert_eq!(imported.code, Some(0), "{}", imported.shown());
    assert!(
        imported.stdout.contains("role/ops/portward"),
        "{}",
        imported.stdout
    );
    stage.configure(&imported.stdout);
    stage.assert_in_sync();
    // Adopted tables are for the instance of this account too.
    stage.configure(CONFIG);
    let adopted = stage.on_fleet(&["drift", "--adopt"]);
    assert!(
        stage
            .read("firewall.toml")
            .contains("test/eu-central-1/db-1"),
        "{}",
        adopted.shown()
    );
}

/// The plan was made for both accounts; when it is applied, one of them is out of reach.
#[test]
fn apply_of_a_plan_file_continues_in_reachable_accounts() {
    let stage = Stage::new(CONFIG, &two_accounts());
    let planned = stage.on_fleet(&["plan", "--out", "plan.json"]);
    assert_eq!(planned.code, Some(0), "{}", planned.shown());
    // The role is gone since then, so that the credentials are those of the other account.
    let config = CONFIG.replacen(
        "role = \"arn:aws:iam::222222222222:role/ops/portward\"\n",
        "",
        1,
    );
    stage.configure(&config);
    let before = rules_of(&stage.fleet(), TEST, "web-1");
    let applied = stage.on_fleet(&["apply", "plan.json", "--yes"]);
    assert_eq!(applied.code, Some(6), "{}", applied.shown());
    assert_eq!(rules_of(&stage.fleet(), TEST, "web-1"), before);
    stage.configure(CONFIG);
    let rest = stage.on_fleet(&["apply", "--yes"]);
    assert_eq!(rest.code, Some(0), "{}", rest.shown());
    stage.assert_in_sync();
}

#[test]
fn unlisted_account_is_unknown_in_an_inventory() {
    let stage = Stage::new(&with_a_refused_role(), &two_accounts());
    let taken = stage.on_fleet(&["inventory", "-c", "firewall.toml", "--out", "all.json"]);
    assert_eq!(taken.code, Some(6), "{}", taken.shown());
    let plan = stage.run(&["plan", "--inventory", "all.json"]);
    assert_eq!(plan.code, Some(6), "{}", plan.shown());
    let why = "could not be listed when the snapshot was taken";
    assert!(plan.stdout.contains(why), "{}", plan.stdout);
}

/// As in CI: no keys at all, a token in a file, and a role in each account.
#[test]
fn web_identity_assumes_the_role_of_every_account() {
    let server = Server::with(two_accounts(), EmulatorOptions::default());
    let role = "role = \"arn:aws:iam::111111111111:role/portward\"\n[accounts.test]";
    let stage = Stage::new(
        &CONFIG.replacen("[accounts.test]", role, 1),
        &two_accounts(),
    );
    std::fs::write(stage.path("token"), "e30.e30.c2ln").expect("a file");
    let run = |args: &[&str]| {
        let mut command = stage.command(args);
        server.point(&mut command);
        command
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .env("AWS_ENDPOINT_URL_STS", server.url())
            .env("AWS_ROLE_ARN", "arn:aws:iam::111111111111:role/ci")
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", stage.path("token"));
        Done::of(&mut command)
    };
    let applied = run(&["apply", "--yes"]);
    assert_eq!(applied.code, Some(0), "{}", applied.shown());
    let requests = server.emulator.requests();
    // One of each for an account: nobody asks again while a session is good.
    let count = |action: &str| requests.get(action).copied();
    assert_eq!(count("AssumeRole"), Some(2), "{requests:?}");
    assert_eq!(count("GetCallerIdentity"), Some(2), "{requests:?}");
    let rules = rules_of(&server.emulator.inventory(), TEST, "db-1");
    assert!(rules.contains("5432"), "{rules}");
    let drift = run(&["drift"]);
    assert_eq!(drift.code, Some(0), "{}", drift.shown());
    std::fs::write(stage.path("token"), "no token").expect("a file");
    let refused = run(&["drift"]);
    assert_eq!(refused.code, Some(6), "{}", refused.shown());
    assert!(
        refused.stdout.contains("not a valid JWT"),
        "{}",
        refused.stdout
    );
}
