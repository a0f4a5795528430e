//! Policies as a user meets them: what is refused, what is only told, and that a refused plan leaves nothing to apply.

use crate::stage::{Stage, fleet, instance, rule};

const POLICY: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[addresses]
office = ["203.0.113.0/24"]
[[policy]]
id = "database-is-private"
services = ["postgres"]
only-from = ["office"]
why = "customers"
[instances.web-1]
"#;

const OFFICE: &str = r#"rules = [{ allow = "postgres", from = "office" }]"#;
const WIDE: &str = r#"rules = [{ allow = "postgres", from = ["office", "198.51.100.7"] }]"#;
const WAIVED: &str = r#"rules = [{ allow = "postgres", from = ["office", "198.51.100.7"], why = "w", owner = "o", until = 2099-01-01, waive = ["database-is-private"] }]"#;

fn stage(rules: &str, live: &[&str]) -> Stage {
    let live = vec![rule("tcp", 5432, 5432, live)];
    Stage::new(
        &format!("{POLICY}{rules}\n"),
        &fleet(vec![instance("web-1", live)]),
    )
}

#[test]
fn new_violation_is_refused_and_writes_no_plan_file() {
    let stage = stage(WIDE, &["203.0.113.0/24"]);
    let plan = stage.on_fleet(&["plan", "--out", "plan.json"]);
    assert_eq!(plan.code, Some(3), "{}{}", plan.stdout, plan.stderr);
    for expected in [
        "refused by policy `database-is-private` (introduced by this plan) [PW-305]: 198.51.100.7 gets in at tcp/5432, and only `office` may (customers)",
        "  on web-1 (eu-central-1)\n",
        "  open: tcp/5432 from 198.51.100.7/32\n",
        "narrow firewall.toml:12, or except",
    ] {
        assert!(plan.says(expected), "{expected}: {}", plan.stdout);
    }
    assert!(!stage.path("plan.json").exists());
    let note = "note: the plan is refused, so `plan.json` is not written\n";
    assert!(plan.says(note), "{}", plan.stderr);
    let before = stage.read("fleet.json");
    assert_eq!(stage.on_fleet(&["apply", "--yes"]).code, Some(3));
    assert_eq!(stage.read("fleet.json"), before, "nothing was written");
    assert_eq!(stage.run(&["check"]).code, Some(3));
    stage.configure(&format!("{POLICY}{WAIVED}\n"));
    assert_eq!(stage.run(&["check"]).code, Some(0));
    assert_eq!(stage.on_fleet(&["apply", "--yes"]).code, Some(0));
    stage.assert_in_sync();
}

#[test]
fn live_violation_is_reported_and_can_be_closed() {
    let stage = stage(OFFICE, &["203.0.113.0/24", "198.51.100.7/32"]);
    let drift = stage.json(&["drift"]);
    let violation = &drift["violations"][0];
    assert_eq!(violation["seen"], "live");
    assert_eq!(violation["witness"]["source"], "198.51.100.7");
    assert_eq!(stage.on_fleet(&["drift"]).code, Some(2));
    let plan = stage.json(&["plan"]);
    assert_eq!(
        plan["violations"],
        serde_json::json!([]),
        "the plan closes it"
    );
    assert_eq!(stage.on_fleet(&["apply", "--yes"]).code, Some(0));
    stage.assert_in_sync();
}

#[test]
fn existing_violation_does_not_refuse_a_plan() {
    let stage = stage(
        &WIDE.replace(
            "rules = [",
            "rules = [{ allow = \"https\", from = \"anywhere\" }, ",
        ),
        &["203.0.113.0/24", "198.51.100.7/32"],
    );
    let plan = stage.json(&["plan"]);
    assert_eq!(plan["violations"][0]["seen"], "existing");
    assert_eq!(stage.on_fleet(&["apply", "--yes"]).code, Some(0));
    stage.assert_in_sync();
}

#[test]
fn built_in_policy_warns_unless_its_severity_is_refuse() {
    let config = |severity: &str| {
        format!(
            "version = 1\n[defaults]\nregion = \"eu-central-1\"\n{severity}[instances.web-1]\nrules = [{{ allow = \"ssh\", from = [\"0.0.0.0/1\", \"128.0.0.0/1\"] }}]\n"
        )
    };
    let stage = Stage::new(&config(""), &fleet(vec![instance("web-1", vec![])]));
    let plan = stage.on_fleet(&["plan"]);
    assert_eq!(plan.code, Some(0));
    assert!(
        plan.stdout
            .contains("warning: against policy `admin-open-to-world`"),
        "{}",
        plan.stdout
    );
    let set = |severity: &str| {
        config(&format!(
            "[[policy]]\nid = \"admin-open-to-world\"\nseverity = \"{severity}\"\n"
        ))
    };
    stage.configure(&set("deny"));
    assert_eq!(stage.on_fleet(&["plan"]).code, Some(3));
    stage.configure(&set("off"));
    let plan = stage.on_fleet(&["plan"]);
    assert!(
        plan.code == Some(0) && !plan.stdout.contains("policy"),
        "{}",
        plan.stdout
    );
}

#[test]
fn unused_waiver_is_reported() {
    let idle = WAIVED.replace(", \"198.51.100.7\"", "");
    let stage = stage(&idle, &["203.0.113.0/24"]);
    for done in [stage.run(&["check"]), stage.on_fleet(&["plan"])] {
        assert_eq!(done.code, Some(0));
        assert!(
            done.stdout
                .contains("the waiver of policy `database-is-private` is not needed"),
            "{}",
            done.stdout
        );
    }
}
