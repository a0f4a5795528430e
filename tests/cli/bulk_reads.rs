//! `--read bulk`: how few calls it takes, and that it is never believed where it matters.

use portward::emulator::{AddressSpelling, ListedPorts, Quirks, ScriptedEvent};
use portward::inventory::Inventory;
use serde_json::Value;

use crate::served_emulator::{Server, on};
use crate::stage::{Done, Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[guard]
max-instances = 1000
max-closed = 1000
[groups.web]
match = { name = "web-*" }
rules = [{ allow = "ssh", from = "203.0.113.0/24" }]
"#;

/// So many instances in sync, and behind them so many that are not.
fn some(in_sync: usize, differing: usize) -> Inventory {
    let one = |n: usize| {
        let network = if n <= in_sync { 24 } else { 25 };
        let ssh = rule("tcp", 22, 22, &[&format!("203.0.113.0/{network}")]);
        instance(&format!("web-{n}"), vec![ssh])
    };
    fleet((1..=in_sync + differing).map(one).collect())
}

/// An emulator with ten instances a page.
fn served(inventory: &Inventory, listed_ports: ListedPorts) -> (Server, Stage) {
    let quirks = Quirks {
        instances_per_page: 10,
        listed_ports,
        ..Quirks::default()
    };
    let server = Server::start(inventory.clone(), quirks);
    (server, Stage::new(CONFIG, inventory))
}

#[track_caller]
fn ends(server: &Server, stage: &Stage, verb: &[&str], code: i32) -> (Done, Value) {
    let args = [
        verb,
        &[
            "--read",
            "bulk",
            "--rate",
            "unlimited",
            "--report",
            "json=report.json",
        ],
    ];
    let done = server.run(stage, &args.concat());
    assert_eq!(done.code, Some(code), "{}{}", done.stdout, done.stderr);
    let report = serde_json::from_str(&stage.read("report.json")).expect("JSON");
    (done, report)
}

fn names(report: &Value) -> Vec<&str> {
    let ids = report["seenInBulk"].as_array().expect("a list").iter();
    ids.filter_map(|id| id["name"].as_str()).collect()
}

#[test]
fn fleet_in_sync_costs_the_list_and_a_sample() {
    let (server, stage) = served(&some(25, 0), ListedPorts::Current);
    let (done, report) = ends(&server, &stage, &["drift"], 0);
    assert_eq!(
        server.requests(),
        ["GetInstancePortStates 3", "GetInstances 3"]
    );
    assert_eq!(names(&report).len(), 22);
    assert_eq!(report["apiCalls"][1]["answered"], 3);
    assert!(
        done.stdout
            .contains("seen in bulk only: 22 instances, which the JSON report names"),
        "{}",
        done.stdout
    );
}

#[test]
fn difference_is_confirmed_by_an_instance_read() {
    let (server, stage) = served(&some(10, 15), ListedPorts::Current);
    let (_, report) = ends(&server, &stage, &["plan"], 0);
    assert_eq!(
        server.requests(),
        ["GetInstancePortStates 18", "GetInstances 3"]
    );
    assert_eq!(names(&report).len(), 7);
    assert_eq!(report["needed"]["writes"], 15);
    assert_eq!(report["needed"]["reads"], 45);
    assert_eq!(report["needed"]["leastSeconds"], 1);
    let needs = "Apply needs 15 writes and 45 reads: 1 s at the documented rates.";
    let exact = server.run(&stage, &["plan", "--rate", "unlimited"]);
    assert!(exact.stdout.contains(needs), "{}", exact.stdout);
}

#[test]
fn change_of_every_instance_costs_the_list_and_four_calls_each() {
    let (server, stage) = served(&some(0, 25), ListedPorts::Current);
    let (_, report) = ends(&server, &stage, &["apply", "--yes"], 0);
    assert_eq!(
        server.requests(),
        [
            "GetInstance 25",
            "GetInstancePortStates 50",
            "GetInstances 3",
            "PutInstancePublicPorts 25"
        ]
    );
    assert_eq!(names(&report), Vec::<&str>::new());
    ends(&server, &stage, &["drift"], 0);
    assert_eq!(server.run(&stage, &["drift"]).code, Some(0));
}

#[test]
fn plan_file_costs_the_same_calls() {
    let (server, stage) = served(&some(5, 20), ListedPorts::Current);
    let plan = server.run(&stage, &["plan", "--out", "plan.json"]);
    assert_eq!(plan.code, Some(0), "{}", plan.shown());
    let before = server.requests();
    ends(&server, &stage, &["apply", "plan.json", "--yes"], 0);
    assert_eq!(before, ["GetInstancePortStates 25", "GetInstances 3"]);
    assert_eq!(
        server.requests(),
        [
            "GetInstance 20",
            "GetInstancePortStates 65",
            "GetInstances 6",
            "PutInstancePublicPorts 20"
        ]
    );
    ends(&server, &stage, &["drift"], 0);
    assert_eq!(server.run(&stage, &["drift"]).code, Some(0));
}

#[test]
fn stale_plan_file_is_refused() {
    for (listed, code, writes) in [
        (ListedPorts::Current, 4, 0),
        // A list that is late hides it. Then whoever is about to write sees it, and leaves that instance alone.
        (ListedPorts::Stale, 5, 2),
    ] {
        let (server, stage) = served(&some(0, 3), listed);
        let plan = server.run(&stage, &["plan", "--out", "plan.json"]);
        assert_eq!(plan.code, Some(0), "{}", plan.shown());
        let one = CONFIG.replacen("web-*", "web-2", 1);
        let other = "[\"203.0.113.0/25\", \"198.51.100.0/24\"]";
        stage.configure(&one.replacen("\"203.0.113.0/24\"", other, 1));
        let other = server.run(&stage, &["apply", "--yes"]);
        assert_eq!(other.code, Some(0), "{}", other.shown());
        let written = server.emulator.journal().len();
        ends(&server, &stage, &["apply", "plan.json", "--yes"], code);
        assert_eq!(server.emulator.journal().len() - written, writes);
        stage.configure(CONFIG);
        let rest = server.run(&stage, &["apply", "--yes"]);
        assert_eq!(rest.code, Some(0), "{}", rest.shown());
        assert_eq!(server.run(&stage, &["drift"]).code, Some(0));
    }
}

#[test]
fn stale_list_is_detected() {
    let (server, stage) = served(&some(5, 3), ListedPorts::Stale);
    assert_eq!(server.run(&stage, &["apply", "--yes"]).code, Some(0));
    // The list still shows the three as they were, and they themselves do not.
    let (done, report) = ends(&server, &stage, &["drift"], 0);
    assert!(
        done.stderr.contains("so all are read exactly"),
        "{}",
        done.stderr
    );
    assert_eq!(report["problems"][0]["severity"], "warning");
    assert_eq!(names(&report), Vec::<&str>::new());
    // Nor is anything written because of it.
    let written = server.emulator.journal().len();
    ends(&server, &stage, &["apply", "--yes"], 0);
    assert_eq!(server.emulator.journal().len(), written);
    assert_eq!(server.run(&stage, &["drift"]).code, Some(0));
}

#[test]
fn list_without_a_rule_is_detected() {
    let mut more = some(3, 0);
    for entry in more.regions.values_mut().flatten() {
        let rules = entry.port_states.as_deref().expect("rules");
        let more = [rule("tcp", 5432, 5432, &["0.0.0.0/0"])];
        entry.port_states = Some([rules, &more].concat().into());
    }
    let (server, stage) = served(&more, ListedPorts::Partial);
    let (done, _) = ends(&server, &stage, &["drift"], 2);
    assert!(
        done.stderr.contains("so all are read exactly"),
        "{}",
        done.stderr
    );
    ends(&server, &stage, &["apply", "--yes"], 0);
    assert_eq!(server.run(&stage, &["drift"]).code, Some(0));
}

#[test]
fn list_without_any_rules_causes_instance_reads() {
    let (server, stage) = served(&some(12, 0), ListedPorts::Absent);
    let (done, report) = ends(&server, &stage, &["drift"], 0);
    assert_eq!(
        server.requests(),
        ["GetInstancePortStates 12", "GetInstances 2"]
    );
    assert_eq!(names(&report), Vec::<&str>::new());
    assert_eq!(done.stderr, "");
}

#[test]
fn unusual_spelling_in_the_list_is_not_a_difference() {
    let one = vec![rule("tcp", 22, 22, &["198.51.100.7/32"])];
    let inventory = fleet(vec![instance("web-1", one)]);
    let quirks = Quirks {
        address: AddressSpelling::Bare,
        ..Quirks::default()
    };
    let server = Server::start(inventory.clone(), quirks);
    let stage = Stage::new(CONFIG, &inventory);
    let consent = ["apply", "--yes", "--allow", "lockout", "--reason", "a test"];
    ends(&server, &stage, &consent, 0);
    assert_eq!(server.run(&stage, &["drift"]).code, Some(0));
}

#[test]
fn write_of_others_after_the_list_makes_the_plan_stale() {
    let inventory = some(0, 1);
    let theirs = on(
        "web-1",
        "GetInstancePortStates",
        1,
        ScriptedEvent::RandomForeignWrite,
    );
    let server = Server::with_faults(inventory.clone(), Quirks::default(), vec![theirs]);
    let stage = Stage::new(CONFIG, &inventory);
    ends(&server, &stage, &["apply", "--yes"], 4);
    let ours = |write: &&_| is_ours(write);
    assert_eq!(server.emulator.journal().iter().filter(ours).count(), 0);
    ends(&server, &stage, &["apply", "--yes"], 0);
    assert_eq!(server.run(&stage, &["drift"]).code, Some(0));
}

fn is_ours(write: &std::sync::Arc<portward::emulator::Write>) -> bool {
    write.by == portward::emulator::Author::Client
}

#[test]
fn both_read_strategies_make_the_same_plan() {
    let inventory = some(2, 1);
    for text in [
        "listed-ports=current",
        "listed-ports=stale",
        "listed-ports=partial",
        "listed-ports=absent",
        "order=shuffled",
        "ipv6=upper",
        "all=-1",
        "keys=twice",
        "lists=not-empty",
    ] {
        let mut quirks = Quirks::default();
        quirks.set(text).expect("a quirk");
        let server = Server::start(inventory.clone(), quirks);
        let stage = Stage::new(CONFIG, &inventory);
        let plan = |read: &str| {
            let done = server.run(&stage, &["plan", "--format", "json", "--read", read]);
            assert_eq!(done.code, Some(0), "{text}: {}", done.stderr);
            serde_json::from_str::<Value>(&done.stdout).expect("JSON")
        };
        let (exact, bulk) = (plan("exact"), plan("bulk"));
        assert_eq!(exact["instances"], bulk["instances"], "{text}");
        assert_eq!(exact["summary"], bulk["summary"], "{text}");
    }
}

#[test]
fn inventory_ignores_the_read_strategy() {
    let stage = Stage::new(CONFIG, &some(5, 0));
    let done = stage.run(&["drift", "--inventory", "fleet.json", "--read", "bulk"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert!(!done.stdout.contains("bulk"), "{}", done.stdout);
}
