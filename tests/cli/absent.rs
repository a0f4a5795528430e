//! `absent` by meaning, as a user meets it: access that stays open through another rule is never called in sync.

use portward::model::PortState;

use crate::stage::{Stage, fleet, instance, rule};

const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[instances.web-1]
mode = "additive"
rules = [{ allow = "https", from = "anywhere" }]
absent = [{ allow = "ssh", why = "the bastion is the way in", owner = "platform" }]
"#;

fn stage(live: &[PortState]) -> Stage {
    let https = rule("tcp", 443, 443, &["0.0.0.0/0", "::/0"]);
    let rules = [&[https], live].concat();
    Stage::new(CONFIG, &fleet(vec![instance("web-1", rules)]))
}

fn wide() -> [(PortState, &'static str); 3] {
    [
        (rule("tcp", 0, 65535, &["0.0.0.0/0"]), "tcp/0-65535"),
        (rule("tcp", 1, 1023, &["0.0.0.0/0"]), "tcp/1-1023"),
        (rule("all", 0, 65535, &["0.0.0.0/0"]), "all"),
    ]
}

#[test]
fn wider_live_rule_is_a_difference() {
    for (live, name) in wide() {
        let stage = stage(&[live]);
        let before = stage.read("fleet.json");
        let told = format!("still open: tcp/22 from everyone (IPv4), through the live rule {name}");
        for (verb, code) in [
            (&["drift"][..], 2),
            (&["plan", "--detailed-exitcode"], 2),
            (&["plan"], 0),
            (&["apply", "--yes"], 2),
        ] {
            let done = stage.on_fleet(verb);
            assert_eq!(done.code, Some(code), "{verb:?}: {}", done.shown());
            assert!(done.stdout.contains(&told), "{verb:?}: {}", done.shown());
            assert!(!done.says("in sync"), "{}", done.shown());
        }
        let advice =
            format!("hint: `absent` names it, and it is open through the live rule {name}");
        let drift = stage.on_fleet(&["drift"]);
        assert!(drift.stdout.contains(&advice), "{}", drift.shown());
        assert_eq!(stage.read("fleet.json"), before);
        let report = stage.json(&["drift"]);
        assert_eq!(report["instances"][0]["verdict"], "still-open", "{report}");
        assert_eq!(report["summary"]["stillOpen"], 1);
        let sarif = stage.on_fleet(&["drift", "--format", "sarif"]).stdout;
        assert!(sarif.contains("\"PW-502\""), "{sarif}");
    }
}

#[test]
fn port_range_is_split_only_with_consent() {
    for ((live, name), left) in wide()
        .into_iter()
        .zip([&[(0, 21), (23, 65535)][..], &[(1, 21), (23, 1023)]])
    {
        let stage = stage(&[live]);
        let apply = ["apply", "--strategy", "put", "--yes"];
        let consent = ["--allow", "lockout", "--reason", "the bastion"];
        let done = stage.on_fleet(&[&apply[..], &consent].concat());
        assert_eq!(done.code, Some(0), "{name}: {}", done.shown());
        let fleet = stage.fleet();
        let (_, entry) = fleet.entries().next().expect("an instance");
        let mut ports: Vec<(i32, i32)> = entry
            .port_states
            .iter()
            .flat_map(|rules| rules.iter())
            .map(|entry| (entry.from_port, entry.to_port))
            .filter(|ports| *ports != (443, 443))
            .collect();
        ports.sort_unstable();
        assert_eq!(ports, left, "{name}");
        stage.assert_in_sync();
    }
}

#[test]
fn all_protocols_rule_is_not_split() {
    let [.., (live, _)] = wide();
    let stage = stage(&[live]);
    let before = stage.read("fleet.json");
    let done = stage.on_fleet(&["apply", "--strategy", "put", "--yes"]);
    assert_eq!(done.code, Some(2), "{}", done.shown());
    assert!(
        done.stdout.contains("nothing can be cut out of `all`"),
        "{}",
        done.shown()
    );
    assert_eq!(stage.read("fleet.json"), before);
}

#[test]
fn closable_rules_are_closed_and_others_are_reported() {
    let stage = stage(&[
        rule("tcp", 22, 22, &["0.0.0.0/0"]),
        rule("tcp", 20, 25, &["192.0.2.0/24"]),
    ]);
    insta::assert_snapshot!(stage.on_fleet(&["plan"]).shown());
    let done = stage.on_fleet(&["apply", "--yes"]);
    assert_eq!(done.code, Some(2), "{}", done.shown());
    assert!(
        done.stdout.contains("applied and read back"),
        "{}",
        done.shown()
    );
    let after = stage.json(&["drift"]);
    assert_eq!(after["summary"]["calls"], 0);
    assert_eq!(after["summary"]["stillOpen"], 1);
}

#[test]
fn policy_hint_omits_steps_already_taken() {
    let stage = stage(&[rule("tcp", 22, 22, &["0.0.0.0/0"])]);
    let drift = stage.on_fleet(&["drift"]);
    let hint = "hint: no declared rule opens it: `apply` closes it";
    assert!(drift.stdout.contains(hint), "{}", drift.shown());
}

#[test]
fn apply_of_a_plan_file_reports_absent_rules() {
    let [(live, _), ..] = wide();
    let stage = stage(&[live, rule("tcp", 22, 22, &["0.0.0.0/0"])]);
    let plan = stage.on_fleet(&["plan", "--out", "plan.json"]);
    assert_eq!(plan.code, Some(0), "{}", plan.shown());
    let file: serde_json::Value =
        serde_json::from_str(&stage.read("plan.json")).expect("a plan file");
    let open = &file["plan"]["instances"][0]["stillOpen"][0];
    assert_eq!(
        (&open["fromPort"], &open["toPort"]),
        (&0.into(), &65535.into())
    );
    let apply = stage.on_fleet(&["apply", "plan.json", "--yes"]);
    assert_eq!(apply.code, Some(2), "{}", apply.shown());
    assert!(apply.stdout.contains("still open"), "{}", apply.shown());
}

#[test]
fn adopt_and_explain_hints_omit_steps_already_taken() {
    let [(live, _), ..] = wide();
    let stage = stage(&[live]);
    let adopt = stage.on_fleet(&["drift", "--adopt"]);
    assert_eq!(adopt.code, Some(2), "{}", adopt.shown());
    assert!(
        adopt
            .stderr
            .contains("not adopted: eu-central-1/web-1: still open: tcp/22"),
        "{}",
        adopt.shown()
    );
    assert_eq!(stage.read("firewall.toml"), CONFIG);
    let explain = stage.on_fleet(&["explain", "web-1", "--to", "ssh"]);
    assert!(
        explain.says("through the live rule tcp/0-65535"),
        "{}",
        explain.shown()
    );
    assert!(
        !explain.says("by naming it in `absent`"),
        "{}",
        explain.shown()
    );
}
