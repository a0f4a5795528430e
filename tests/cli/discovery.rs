//! Finding the instances: every page of every region, or the view is incomplete and says so.

use portward::emulator::{Pages, Quirks};
use portward::inventory::{Entry, Inventory};
use serde_json::{Value, json};

use crate::served::Server;
use crate::stage::{REGION, Stage, fleet, instance, rule};

/// A region whose list has one page, beside [`REGION`], whose list has two.
const SHORT: &str = "eu-west-1";

const CONFIG: &str = r#"version = 1
[defaults]
regions = ["eu-central-1", "eu-west-1"]
[groups.web]
match = { name = "web-*" }
rules = [{ allow = "ssh", from = "203.0.113.0/24" }]
"#;

/// SSH as declared, and one rule too many.
fn open(name: &str) -> Entry {
    let rules = [(22, "203.0.113.0/24"), (5432, "0.0.0.0/0")];
    let rules = rules.map(|(port, from)| rule("tcp", port, port, &[from]));
    instance(name, rules.into())
}

fn two_regions() -> Inventory {
    let mut fleet = fleet(vec![open("web-1"), open("web-2"), open("web-3")]);
    let mut far = open("web-4");
    far.arn = far.arn.replace(REGION, SHORT);
    fleet.regions.insert(SHORT.to_owned(), vec![far]);
    fleet
}

fn served(inventory: Inventory, pages: Pages) -> Server {
    let quirks = Quirks {
        instances_per_page: 2,
        pages,
        ..Quirks::default()
    };
    Server::start(inventory, quirks)
}

#[track_caller]
fn ends(server: &Server, stage: &Stage, args: &[&str], code: i32) -> Value {
    let args = [args, &["--report", "json=report.json"]].concat();
    let done = server.run(stage, &args);
    assert_eq!(done.code, Some(code), "{}{}", done.stdout, done.stderr);
    serde_json::from_str(&stage.read("report.json")).expect("JSON")
}

/// Whose rules were written.
fn written(server: &Server) -> Vec<String> {
    let journal = server.emulator.journal();
    journal
        .iter()
        .map(|write| write.instance.to_string())
        .collect()
}

#[test]
fn every_page_of_every_region_is_looked_at() {
    let server = served(two_regions(), Pages::Whole);
    let stage = Stage::new(CONFIG, &two_regions());
    let report = ends(&server, &stage, &["plan", "--detailed-exitcode"], 2);
    assert_eq!(report["instances"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        server.requests(),
        ["GetInstancePortStates 4", "GetInstances 3"]
    );
}

#[test]
fn a_list_that_breaks_off_closes_nothing_in_its_region() {
    // A page that fails is tried again for some seconds, so once is enough.
    for (pages, read) in [
        (Pages::Fail, "bulk"),
        (Pages::RepeatToken, "bulk"),
        (Pages::RepeatToken, "exact"),
    ] {
        let server = served(two_regions(), pages);
        let stage = Stage::new(CONFIG, &two_regions());
        let apply = ["apply", "--yes", "--read", read];
        let report = ends(&server, &stage, &apply, 6);
        assert_eq!(report["regionsUnreadable"][0]["region"], REGION);
        assert_eq!(
            written(&server),
            [format!("{SHORT}/web-4")],
            "{pages:?} {read}"
        );
        if pages == Pages::RepeatToken {
            ends(&server, &stage, &["drift"], 6);
        }

        let rest = served(server.emulator.inventory(), Pages::Whole);
        ends(&rest, &stage, &apply, 0);
        ends(&rest, &stage, &["drift"], 0);
    }
}

#[test]
fn nor_does_a_plan_file_that_was_made_when_it_was_whole() {
    let stage = Stage::new(CONFIG, &two_regions());
    let whole = served(two_regions(), Pages::Whole);
    ends(&whole, &stage, &["plan", "--out", "plan.json"], 0);
    let broken = served(two_regions(), Pages::RepeatToken);
    let report = ends(&broken, &stage, &["apply", "plan.json", "--yes"], 6);
    assert_eq!(written(&broken), [format!("{SHORT}/web-4")]);
    let left: Vec<_> = report["unreadable"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    assert_eq!(left.len(), 3, "{report}");
    assert_eq!(report["regionsUnreadable"][0]["region"], REGION);

    let rest = served(broken.emulator.inventory(), Pages::Whole);
    ends(&rest, &stage, &["apply", "--yes"], 0);
    ends(&rest, &stage, &["drift"], 0);
}

#[test]
fn a_region_that_does_not_answer_hides_none_that_does() {
    let mut half = two_regions();
    half.regions.remove(REGION);
    let stage = Stage::new(CONFIG, &half);
    let done = stage.run(&["drift", "--inventory", "fleet.json", "--format", "json"]);
    assert_eq!(done.code, Some(6), "{}{}", done.stdout, done.stderr);
    let report: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(report["regionsUnreadable"][0]["region"], REGION);
    assert_eq!(report["instances"][0]["name"], "web-4");
    assert_eq!(
        report["missing"],
        json!([]),
        "what was not looked at is not missing"
    );
}

#[test]
fn a_planned_instance_that_is_called_otherwise_now_is_named() {
    let one = |name: &str| {
        let mut entry = open(name);
        entry.arn = format!("arn:aws:lightsail:{REGION}:123456789012:Instance/1");
        fleet(vec![entry])
    };
    let config = CONFIG.replace("[\"eu-central-1\", \"eu-west-1\"]", "[\"eu-central-1\"]");
    let stage = Stage::new(&config, &one("web-1"));
    assert_eq!(
        stage.on_fleet(&["plan", "--out", "plan.json"]).code,
        Some(0)
    );
    stage.populate(&one("web-9"));
    let done = stage.on_fleet(&["apply", "plan.json", "--yes"]);
    assert_eq!(done.code, Some(4), "{}{}", done.stdout, done.stderr);
    assert!(
        done.stderr
            .contains("eu-central-1/web-1 is called eu-central-1/web-9 now"),
        "{}",
        done.stderr
    );
    assert_eq!(stage.on_fleet(&["apply", "--yes"]).code, Some(0));
    // The way back knows it as well.
    let receipts = std::fs::read_dir(stage.path(".portward/receipts")).expect("receipts");
    let receipt = receipts.last().expect("a receipt").expect("a file").path();
    stage.populate(&one("web-5"));
    let done = stage.on_fleet(&["rollback", &receipt.to_string_lossy()]);
    assert!(
        done.stdout.contains("did you mean `eu-central-1/web-5`?"),
        "{}{}",
        done.stdout,
        done.stderr
    );
    assert_eq!(stage.on_fleet(&["apply", "--yes"]).code, Some(0));
    stage.assert_in_sync();
}

#[test]
fn every_kind_of_address_and_an_instance_that_is_still_starting() {
    let config = r#"version = 1
[defaults]
region = "eu-central-1"
[groups.all]
match = { name = "*" }
rules = [{ allow = ["https", "ping"], from = "anywhere" }]
"#;
    let of = |name: &str, kind: &str, state: &str| Entry {
        ip_address_type: kind.to_owned(),
        state: state.to_owned(),
        ..instance(name, vec![rule("tcp", 22, 22, &["203.0.113.0/24"])])
    };
    let stage = Stage::new(
        config,
        &fleet(vec![
            of("both-1", "dualstack", "running"),
            of("four-1", "ipv4", "stopped"),
            of("six-1", "ipv6", "running"),
            of("new-1", "dualstack", "pending"),
        ]),
    );
    let consent = ["--allow", "lockout", "--reason", "web only"];
    let done = stage.on_fleet(&[&["apply", "--yes"], &consent[..]].concat());
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let live = stage.fleet();
    for entry in live.regions.values().flatten() {
        let rules = entry.port_states.as_ref().expect("rules");
        let https = rules
            .iter()
            .find(|rule| rule.from_port == 443)
            .expect("https");
        let families = (https.cidrs.len(), https.ipv6_cidrs.len());
        let expected = match entry.name.as_str() {
            "four-1" => (1, 0),
            "six-1" => (0, 1),
            _ => (1, 1),
        };
        assert_eq!(families, expected, "{}", entry.name);
    }
    stage.assert_in_sync();
}
