//! Finding the instances: every page of every region, or the view is incomplete and says so.

use portward::emulator::{Paging, Quirks};
use portward::inventory::{Entry, Inventory};
use serde_json::{Value, json};

use crate::served_emulator::Server;
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

fn served(inventory: Inventory, pages: Paging) -> Server {
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
fn every_page_of_every_region_is_read() {
    let server = served(two_regions(), Paging::Whole);
    let stage = Stage::new(CONFIG, &two_regions());
    let report = ends(&server, &stage, &["plan", "--detailed-exitcode"], 2);
    assert_eq!(report["instances"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        server.requests(),
        ["GetInstancePortStates 4", "GetInstances 3"]
    );
}

#[test]
fn incomplete_list_closes_nothing_in_its_region() {
    // A page that fails is tried again for some seconds, so once is enough.
    for (pages, read) in [
        (Paging::Fail, "bulk"),
        (Paging::RepeatToken, "bulk"),
        (Paging::RepeatToken, "exact"),
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
        if pages == Paging::RepeatToken {
            ends(&server, &stage, &["drift"], 6);
        }

        let rest = served(server.emulator.inventory(), Paging::Whole);
        ends(&rest, &stage, &apply, 0);
        ends(&rest, &stage, &["drift"], 0);
    }
}

#[test]
fn incomplete_list_stops_a_plan_file_made_from_a_complete_one() {
    let stage = Stage::new(CONFIG, &two_regions());
    let whole = served(two_regions(), Paging::Whole);
    ends(&whole, &stage, &["plan", "--out", "plan.json"], 0);
    let broken = served(two_regions(), Paging::RepeatToken);
    let report = ends(&broken, &stage, &["apply", "plan.json", "--yes"], 6);
    assert_eq!(written(&broken), [format!("{SHORT}/web-4")]);
    let left: Vec<_> = report["unreadable"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    assert_eq!(left.len(), 3, "{report}");
    assert_eq!(report["regionsUnreadable"][0]["region"], REGION);

    let rest = served(broken.emulator.inventory(), Paging::Whole);
    ends(&rest, &stage, &["apply", "--yes"], 0);
    ends(&rest, &stage, &["drift"], 0);
}

#[test]
fn unreachable_region_does_not_hide_others() {
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
fn renamed_instance_is_reported() {
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
        done.says("eu-central-1/web-1 is called eu-central-1/web-9 now"),
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
fn every_address_type_and_a_pending_instance_are_planned() {
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

/// What each configuration says of `web-4`, which is in the region that is listed in full, and what a name could mean elsewhere.
const BARE: [(&str, &[&str]); 4] = [
    // The name of a table.
    (
        "[instances.web-4]\nrules = [{ allow = \"ssh\", from = \"203.0.113.0/24\" }]\n",
        &[],
    ),
    // The number of instances of a group.
    (
        "[groups.web]\nmatch = { name = \"web-*\" }\nexpect = \"1..9\"\nrules = [{ allow = \"ssh\", from = \"203.0.113.0/24\" }]\n",
        &[],
    ),
    // A table beside a group that would be enough by itself.
    (
        "[groups.web]\nmatch = { name = \"web-*\" }\nrules = [{ allow = \"ssh\", from = \"203.0.113.0/24\" }]\n[instances.web-4]\n",
        &[],
    ),
    // The name of a target.
    (
        "[groups.web]\nmatch = { name = \"web-*\" }\nrules = [{ allow = \"ssh\", from = \"203.0.113.0/24\" }]\n",
        &["--target", "web-4"],
    ),
];

fn bare(rules: &str) -> String {
    let defaults = "version = 1\n[defaults]\nregions = [\"eu-central-1\", \"eu-west-1\"]\n";
    format!("{defaults}{rules}")
}

#[test]
fn name_without_a_region_needs_every_region() {
    for (rules, more) in BARE {
        for verb in [
            &["plan"][..],
            &["drift"],
            &["apply", "--yes"],
            &["apply", "--yes", "--read", "bulk"],
        ] {
            let server = served(two_regions(), Paging::RepeatToken);
            let stage = Stage::new(&bare(rules), &two_regions());
            let report = ends(&server, &stage, &[verb, more].concat(), 6);
            assert_eq!(written(&server), [""; 0], "{rules} {verb:?}");
            let undecided = &report["undecided"];
            assert_eq!(undecided[0]["region"], SHORT, "{rules} {verb:?}: {report}");
            assert_eq!(undecided[0]["name"], "web-4", "{rules} {verb:?}");
            let why = undecided[0]["reason"].as_str().expect("a reason");
            assert!(
                why.contains("`eu-central-1`, which could not be listed"),
                "{why}"
            );
            assert_eq!(report["summary"]["undecided"], 1);
            assert_eq!(
                (&report["undeclared"], &report["missing"]),
                (&json!([]), &json!([]))
            );
        }
        // A region that is left out is looked at all the same where a name could be in it.
        let server = served(two_regions(), Paging::RepeatToken);
        let stage = Stage::new(&bare(rules), &two_regions());
        let narrowed = [&["apply", "--yes", "--region", SHORT], more].concat();
        let (code, wrote) = if more.is_empty() { (6, 0) } else { (0, 1) };
        let report = ends(&server, &stage, &narrowed, code);
        assert_eq!(written(&server).len(), wrote, "{rules}");
        assert_eq!(report["regionsUnreadable"], json!([]), "{rules}");

        let whole = served(two_regions(), Paging::Whole);
        ends(&whole, &stage, &[&["apply", "--yes"], more].concat(), 0);
        assert!(
            written(&whole).contains(&format!("{SHORT}/web-4")),
            "{rules}"
        );
    }
}

#[test]
fn name_with_a_region_needs_that_region_only() {
    let rules = "[instances.\"eu-west-1/web-4\"]\nrules = [{ allow = \"ssh\", from = \"203.0.113.0/24\" }]\n";
    let group = BARE[3].0;
    for (rules, more) in [
        (rules, &[][..]),
        (group, &["--target", "eu-west-1/web-4"]),
        (group, &["--target", "web-*"]),
    ] {
        let server = served(two_regions(), Paging::RepeatToken);
        let stage = Stage::new(&bare(rules), &two_regions());
        ends(&server, &stage, &[&["apply", "--yes"], more].concat(), 6);
        assert_eq!(
            written(&server),
            [format!("{SHORT}/web-4")],
            "{rules} {more:?}"
        );
    }
}

#[test]
fn excluded_region_still_decides_an_ambiguous_name() {
    // Two instances of one name, of which the run is about one.
    let mut twice = two_regions();
    let mut far = open("web-1");
    far.arn = "arn:aws:lightsail:eu-west-1:123456789012:Instance/far".to_owned();
    twice.regions.insert(SHORT.to_owned(), vec![far]);
    let rules = "[instances.web-1]\nrules = [{ allow = \"ssh\", from = \"203.0.113.0/24\" }]\n";
    let stage = Stage::new(&bare(rules), &twice);
    let before = stage.read("fleet.json");
    for verb in [
        &["apply", "--yes"][..],
        &["plan"],
        &["drift"],
        &["explain", "web-1"],
    ] {
        let done = stage.on_fleet(&[verb, &["--region", SHORT]].concat());
        assert_eq!(done.code, Some(65), "{}", done.shown());
        assert!(
            done.stderr.contains("`web-1` exists in several regions"),
            "{}",
            done.shown()
        );
    }
    assert_eq!(stage.read("fleet.json"), before);
    // What the run is not about stops nothing, and is neither missing nor undeclared.
    let rules = "[instances.web-2]\n[instances.web-9]\n[instances.\"eu-west-1/web-1\"]\nrules = [{ allow = \"ssh\", from = \"203.0.113.0/24\" }]\n";
    stage.configure(&bare(rules));
    let plan = stage.json(&["plan", "--region", SHORT]);
    assert_eq!(plan["instances"][0]["name"], "web-1", "{plan}");
    assert_eq!(plan["missing"][0]["name"], "web-9", "{plan}");
    assert_eq!(
        (&plan["undeclared"], &plan["summary"]["declared"]),
        (&json!([]), &json!(2))
    );
}

#[test]
fn regions_of_the_command_line_are_listed_completely() {
    let server = served(two_regions(), Paging::RepeatToken);
    let config = format!("version = 1\n{}", BARE[0].0);
    let stage = Stage::new(&config, &two_regions());
    let both = ["apply", "--yes", "--region", REGION, "--region", SHORT];
    ends(&server, &stage, &both, 6);
    assert_eq!(written(&server), [""; 0]);
    // Where the one region is all there is, a bare name is enough.
    ends(&server, &stage, &["apply", "--yes", "--region", SHORT], 0);
    assert_eq!(written(&server), [format!("{SHORT}/web-4")]);
}

#[test]
fn undecided_instance_is_explained() {
    let mut half = two_regions();
    half.regions.remove(REGION);
    let stage = Stage::new(&bare(BARE[0].0), &half);
    let done = stage.run(&["plan", "--inventory", "fleet.json"]);
    insta::assert_snapshot!(done.shown(), @r#"
    web-4 (eu-west-1): undecided: `web-4` could also mean an instance in
      `eu-central-1`, which could not be listed: `GetInstances` for `eu-central-1`
      failed: the snapshot does not cover this region
      hint: name it in full: `[instances."eu-west-1/web-4"]`
    region eu-central-1: could not be read: `GetInstances` for `eu-central-1`
      failed: the snapshot does not cover this region
      hint: take a snapshot that includes the region, or leave the region out
    Plan: no instance could be looked at; 1 unreadable, 1 undecided.
    --- exit code 6
    "#);
    for verb in [&["check"][..], &["explain", "web-4"]] {
        let done = stage.run(&[verb, &["--inventory", "fleet.json"]].concat());
        assert_eq!(done.code, Some(6), "{}", done.shown());
        assert!(
            done.says(
                "what is declared for `eu-west-1/web-4` is undecided: `web-4` could also mean"
            ),
            "{}",
            done.shown()
        );
    }
}
