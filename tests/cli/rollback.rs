//! `rollback` with a configuration: its guards and its policies judge the way back, and nothing else of it counts.

use portward::model::PortState;

use crate::stage::{Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[addresses]
office = ["203.0.113.0/24"]
[guard]
GUARD
[[policy]]
id = "database-is-private"
services = ["postgres"]
only-from = ["office"]
[instances.web-1]
rules = [
  { allow = "postgres", from = "office" },
  { allow = "https", from = "office" },
]
"#;

/// A fleet that was changed by a run, and the receipt of that run.
fn changed(guard: &str) -> (Stage, String) {
    let live = vec![rule("tcp", 5432, 5432, &["0.0.0.0/0"])];
    let config = CONFIG.replace("GUARD", guard);
    let stage = Stage::new(&config, &fleet(vec![instance("web-1", live)]));
    let apply = stage.on_fleet(&["apply", "--yes"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    let mut receipts = std::fs::read_dir(stage.path(".portward/receipts")).expect("a folder");
    let receipt = receipts.next().expect("a receipt").expect("an entry");
    let path = receipt.path().to_string_lossy().into_owned();
    (stage, path)
}

#[test]
fn rollback_with_a_configuration_obeys_its_policies() {
    let (stage, receipt) = changed("");
    let judged = [
        "rollback",
        &receipt,
        "-c",
        "firewall.toml",
        "--out",
        "back.json",
    ];
    let back = stage.on_fleet(&judged);
    assert_eq!(back.code, Some(3), "{}", back.shown());
    let said = "refused by policy `database-is-private` (introduced by this plan)";
    assert!(back.stdout.contains(said), "{}", back.shown());
    assert!(!stage.path("back.json").exists());

    let back = stage.on_fleet(&["rollback", &receipt, "--out", "back.json"]);
    assert_eq!(back.code, Some(0), "{}", back.shown());
    let apply = stage.on_fleet(&["apply", "back.json", "--yes"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    let again = stage.on_fleet(&["rollback", &receipt, "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.shown());
}

#[test]
fn rollback_with_a_configuration_obeys_its_guards() {
    for (guard, name) in [
        (
            "keep = [{ allow = \"https\", from = \"203.0.113.7\" }]",
            "lockout",
        ),
        ("max-closed = 0", "blast-radius"),
        ("max-instances = 0", "blast-radius"),
    ] {
        let (stage, receipt) = changed("");
        // The run itself would have been stopped by the last of them.
        let config = CONFIG.replace("GUARD", guard).replace(
            "id = \"database-is-private\"",
            "id = \"x\"\nseverity = \"off\"",
        );
        stage.configure(&config);
        let back = stage.on_fleet(&["rollback", &receipt, "-c", "firewall.toml"]);
        assert_eq!(back.code, Some(3), "{guard}: {}", back.shown());
        let said = format!("refused by {name}");
        assert!(back.stdout.contains(&said), "{guard}: {}", back.shown());
        let plain = stage.on_fleet(&["rollback", &receipt]);
        assert_eq!(plain.code, Some(0), "{guard}: {}", plain.shown());
        let allow = [
            "rollback",
            &receipt,
            "-c",
            "firewall.toml",
            "--allow",
            name,
            "--reason",
            "it is worse now",
            "--out",
            "back.json",
        ];
        let meant = stage.on_fleet(&allow);
        assert_eq!(meant.code, Some(0), "{guard}: {}", meant.shown());
        let apply = stage.on_fleet(&["apply", "back.json", "--yes"]);
        assert_eq!(apply.code, Some(0), "{guard}: {}", apply.shown());
        let again = stage.on_fleet(&["rollback", &receipt, "--detailed-exitcode"]);
        assert_eq!(again.code, Some(0), "{}", again.shown());
    }
}

#[test]
fn rollback_with_an_invalid_configuration_exits_with_65() {
    let (stage, receipt) = changed("");
    stage.configure("version = 2\n");
    let back = stage.on_fleet(&["rollback", &receipt, "-c", "firewall.toml"]);
    assert_eq!(back.code, Some(65), "{}", back.shown());
    let none = stage.on_fleet(&["rollback", &receipt, "-c", "nowhere.toml"]);
    assert_eq!(none.code, Some(65), "{}", none.shown());
}

const TWO: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[instances.web-1]
rules = [{ allow = "https", from = "203.0.113.0/24" }]
[instances.db-1]
rules = [{ allow = "https", from = "203.0.113.0/24" }]
"#;

/// A run over two instances, its receipt, and the rules that they have since.
fn since(web: Vec<PortState>, db: Vec<PortState>) -> (Stage, String) {
    let before = || vec![rule("tcp", 80, 80, &["203.0.113.0/24"])];
    let fleet = |web, db| fleet(vec![instance("web-1", web), instance("db-1", db)]);
    let stage = Stage::new(TWO, &fleet(before(), before()));
    let apply = stage.on_fleet(&["apply", "--yes"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    let mut receipts = std::fs::read_dir(stage.path(".portward/receipts")).expect("a folder");
    let receipt = receipts.next().expect("a receipt").expect("an entry");
    let path = receipt.path().to_string_lossy().into_owned();
    stage.populate(&fleet(web, db));
    (stage, path)
}

#[test]
fn unsent_writes_are_not_rolled_back() {
    // By hand since, on both.
    let theirs = || vec![rule("tcp", 8080, 8080, &["198.51.100.0/24"])];
    let (stage, path) = since(theirs(), theirs());
    let text = stage.read(&path);
    let intents = text
        .lines()
        .filter(|line| line.contains(r#""type":"intent""#));
    let of_db = intents.filter(|line| line.contains("db-1")).count();
    assert_eq!(of_db, 1, "{text}");
    let (write, _) = text
        .lines()
        .find(|line| line.contains("intent") && line.contains("db-1"))
        .and_then(|line| line.split_once(r#""write":"#))
        .and_then(|(_, rest)| rest.split_once(','))
        .expect("a number");
    let refused: Vec<String> = text
        .lines()
        .map(|line| {
            let its = line.contains("outcome") && line.contains(&format!(r#""write":{write},"#));
            let status = if its { "refused" } else { "accepted" };
            line.replace(r#""status":"accepted""#, &format!(r#""status":"{status}""#))
        })
        .collect();
    std::fs::write(&path, refused.join("\n") + "\n").expect("a receipt");
    let allow = ["--allow", "changed-since", "--reason", "it is ours"];
    let back = stage.on_fleet(&[&["rollback", &path, "--out", "back.json"][..], &allow].concat());
    assert_eq!(back.code, Some(0), "{}", back.shown());
    let said = "nothing to undo on eu-central-1/db-1: the run wrote nothing to it";
    assert!(back.stdout.contains(said), "{}", back.shown());
    let apply = stage.on_fleet(&["apply", "back.json", "--yes"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    let rules = |name: &str| {
        let fleet = stage.fleet();
        let mut entries = fleet.regions["eu-central-1"].iter();
        let entry = entries
            .find(|entry| entry.name == name)
            .expect("an instance");
        let mut rules = entry.port_states.as_deref().expect("rules").to_vec();
        rules.sort();
        rules
    };
    assert_eq!(rules("db-1"), theirs());
    // What the run closed on the other one is open again, and what somebody added there stays.
    let wanted = [
        rule("tcp", 80, 80, &["203.0.113.0/24"]),
        rule("tcp", 8080, 8080, &["198.51.100.0/24"]),
    ];
    assert_eq!(rules("web-1"), wanted);
}

#[test]
fn later_changes_need_consent() {
    let left = || rule("tcp", 443, 443, &["203.0.113.0/24"]);
    let theirs = rule("tcp", 8080, 8080, &["198.51.100.0/24"]);
    let (stage, path) = since(vec![left(), theirs], vec![left()]);
    let back = stage.on_fleet(&["rollback", &path, "--out", "back.json"]);
    assert_eq!(back.code, Some(3), "{}", back.shown());
    let said = "refused by changed-since on web-1 (eu-central-1) [PW-304]: it has been changed since that run: tcp/8080 is open to 198.51.100.0/24";
    let text = back.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(said), "{}", back.shown());
    assert!(!text.contains("changed-since on db-1"), "{}", back.shown());
    assert!(!stage.path("back.json").exists());
    let allow = ["--allow", "changed-since=web-1", "--reason", "it is ours"];
    let back = stage.on_fleet(&[&["rollback", &path, "--out", "back.json"][..], &allow].concat());
    assert_eq!(back.code, Some(0), "{}", back.shown());
    let apply = stage.on_fleet(&["apply", "back.json", "--yes"]);
    assert_eq!(apply.code, Some(0), "{}", apply.shown());
    let again = stage.on_fleet(&["rollback", &path, "--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.shown());
}

#[test]
fn rollback_warns_that_receipts_are_unsigned_and_lists_access_it_opens() {
    let left = || vec![rule("tcp", 443, 443, &["203.0.113.0/24"])];
    let (stage, path) = since(left(), left());
    let back = stage.on_fleet(&["rollback", &path]);
    let lines: Vec<&str> = back.stdout.lines().take(3).collect();
    assert_eq!(
        lines,
        [
            "note: a receipt is not signed: whoever can write the file decides what the way back opens",
            "opens: eu-central-1/db-1: + tcp/80 from 203.0.113.0/24 (256 addresses)",
            "opens: eu-central-1/web-1: + tcp/80 from 203.0.113.0/24 (256 addresses)",
        ]
    );
    let report = stage.json(&["rollback", &path]);
    let problem = report["problems"][0]["message"]
        .as_str()
        .unwrap_or_default();
    assert!(problem.contains("not signed"), "{report}");
}
