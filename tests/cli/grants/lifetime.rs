//! A grant from its beginning to its end: honoured, listed, replaced, revoked, expired.

use portward::model::PortState;

use super::{CLOSED, CONFIG, GRANT, assert_ssh, closed, declared, grant_ssh, https, later, state};
use crate::stage::{REGION, Stage, fleet, instance, rule};

#[test]
fn live_grant_is_kept_and_expired_grant_is_closed() {
    let stage = Stage::new(CONFIG, &declared());
    let done = stage.on_fleet(&[&GRANT[..], &["--reason", "deploy 4711"]].concat());
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert!(
        done.says("tcp/22 from 203.0.113.7/32 is open on eu-central-1/web-1 until 20"),
        "{}",
        done.shown()
    );
    assert_ssh(
        &stage.fleet(),
        &["198.51.100.0/24", "203.0.113.7/32"],
        1,
        "granted",
    );
    // The plan names it with its end.
    stage.assert_in_sync();
    let plan = stage.on_fleet(&["plan"]);
    assert!(plan.says("is granted to "), "{}", plan.shown());
    assert!(plan.says(": deploy 4711"), "{}", plan.shown());
    let listed = stage.json(&["grants"]);
    let one = &listed["grants"][0];
    assert_eq!(one["state"], "live", "{listed}");
    assert_eq!(one["instance"]["name"], "web-1");
    assert_eq!(one["lease"]["why"], "deploy 4711");
    assert_eq!(one["lease"]["cidrs"], serde_json::json!(["203.0.113.7/32"]));
    // Before its end, nothing is expired.
    let before = stage.read("fleet.json");
    let none = stage.on_fleet(&["apply", "--only-expired", "--yes", "--as-of", &later(29)]);
    assert_eq!(none.code, Some(0), "{}", none.shown());
    assert_eq!(stage.read("fleet.json"), before);
    // After its end the rule is a difference, and only that is closed.
    let expired = later(31);
    let drift = stage.on_fleet(&["drift", "--as-of", &expired]);
    assert_eq!(drift.code, Some(2), "{}", drift.shown());
    let listed = stage.on_fleet(&["grants", "--as-of", &expired]);
    assert!(listed.stdout.starts_with("expired "), "{}", listed.shown());
    let metrics = stage.on_fleet(&["grants", "--as-of", &expired, "--format", "prometheus"]);
    assert!(
        metrics.says("portward_grants{state=\"expired\"} 1\n"),
        "{}",
        metrics.shown()
    );
    let done = stage.on_fleet(&["apply", "--only-expired", "--yes", "--as-of", &expired]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_ssh(&stage.fleet(), &["198.51.100.0/24"], 0, "expired");
    stage.assert_in_sync();
}

#[test]
fn expired_grant_is_closed_without_lockout_consent() {
    let stage = Stage::new(CLOSED, &closed());
    let done = stage.on_fleet(&GRANT);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    // The grant is the only way in by SSH, and its end is not refused as a lock-out.
    let done = stage.on_fleet(&["apply", "--yes", "--as-of", &later(31)]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_ssh(&stage.fleet(), &[], 0, "expired");
    stage.assert_in_sync();
}

#[test]
fn only_expired_keeps_other_differences() {
    let stage = Stage::new(CONFIG, &declared());
    assert_eq!(stage.on_fleet(&GRANT).code, Some(0));
    // A port is opened by hand, and a declared one closed.
    let mut fleet = stage.fleet();
    let entries = fleet.regions.get_mut(REGION).expect("a region");
    let rules = entries[0].port_states.clone().expect("rules");
    let mut rules: Vec<PortState> = rules.iter().cloned().collect();
    rules.retain(|rule| rule.from_port != 443);
    rules.push(rule("tcp", 8080, 8080, &["0.0.0.0/0"]));
    entries[0].port_states = Some(rules.into());
    stage.populate(&fleet);
    let done = stage.on_fleet(&["apply", "--only-expired", "--yes", "--as-of", &later(31)]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_ssh(&stage.fleet(), &["198.51.100.0/24"], 0, "expired");
    let ports: Vec<i32> = stage
        .fleet()
        .entries()
        .filter_map(|(_, entry)| entry.port_states.clone())
        .flat_map(|rules| rules.iter().map(|rule| rule.from_port).collect::<Vec<_>>())
        .collect();
    assert!(ports.contains(&8080) && !ports.contains(&443), "{ports:?}");
    assert_eq!(stage.on_fleet(&["apply", "--yes"]).code, Some(0));
    stage.assert_in_sync();
}

#[test]
fn additive_mode_keeps_undeclared_rules() {
    let config = CLOSED.replace("rules = [", "mode = \"additive\"\nrules = [");
    // An undeclared rule that already allows what the grant asks for.
    let stage = Stage::new(
        &config,
        &fleet(vec![instance(
            "web-1",
            vec![https(), rule("tcp", 22, 22, &["203.0.113.0/24"])],
        )]),
    );
    let done = stage.on_fleet(&GRANT);
    assert_eq!(done.code, Some(3), "{}", done.shown());
    assert!(
        done.says("open already by a rule that nothing declares"),
        "{}",
        done.shown()
    );
    // A grant of another source opens and closes beside it.
    let from = grant_ssh("192.0.2.7", "30m");
    let done = stage.on_fleet(&from);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_ssh(
        &stage.fleet(),
        &["192.0.2.7/32", "203.0.113.0/24"],
        1,
        "granted",
    );
    stage.assert_in_sync();
    for only in [true, false] {
        let copy = Stage::new(&config, &stage.fleet());
        let mut apply = vec!["apply", "--yes", "--as-of"];
        let expired = later(31);
        apply.push(&expired);
        apply.extend(only.then_some("--only-expired"));
        let done = copy.on_fleet(&apply);
        assert_eq!(done.code, Some(0), "{}", done.shown());
        assert_ssh(&copy.fleet(), &["203.0.113.0/24"], 0, "expired");
        copy.assert_in_sync();
    }
}

#[test]
fn revoke_finds_a_grant_by_access_id_or_caller() {
    let stage = Stage::new(CONFIG, &declared());
    for how in 0..3 {
        assert_eq!(stage.on_fleet(&GRANT).code, Some(0));
        let id = stage.json(&["grants"])["grants"][0]["lease"]["id"].clone();
        let id = id.as_str().expect("an id").to_owned();
        let revoke = match how {
            0 => vec!["revoke", "web-1", "ssh", "--from", "203.0.113.7"],
            1 => vec!["revoke", &id],
            _ => vec!["revoke", "--all", "--mine"],
        };
        let done = stage.on_fleet(&revoke);
        assert_eq!(done.code, Some(0), "{}", done.shown());
        assert!(done.says("is no longer granted"), "{}", done.shown());
        assert_ssh(&stage.fleet(), &["198.51.100.0/24"], 0, "revoked");
        stage.assert_in_sync();
    }
    let none = stage.on_fleet(&["revoke", "abcd"]);
    assert_eq!(none.code, Some(1), "{}", none.shown());
    let none = stage.on_fleet(&["revoke", "--all"]);
    assert_eq!(
        (none.code, none.stdout.as_str()),
        (Some(0), "Nothing was granted.\n")
    );
}

#[test]
fn revoke_keeps_declared_access_and_the_grants_of_others() {
    let stage = Stage::new(CONFIG, &declared());
    // The declared network covers one of them, and two grants are of the same source.
    let of = |from| grant_ssh(from, "30m");
    for from in ["198.51.100.7", "203.0.113.7", "203.0.113.7", "203.0.113.8"] {
        let done = stage.on_fleet(&of(from));
        assert_eq!(done.code, Some(0), "{}", done.shown());
    }
    let grants = stage.json(&["grants"]);
    let twice = grants["grants"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|grant| grant["lease"]["cidrs"] == serde_json::json!(["203.0.113.7/32"]));
    let id = twice.expect("a grant")["lease"]["id"]
        .as_str()
        .expect("an id");
    assert_eq!(stage.on_fleet(&["revoke", id]).code, Some(0));
    let (sources, tags) = state(&stage.fleet());
    assert!(
        sources.contains("203.0.113.7/32") && sources.contains("203.0.113.8/32"),
        "{sources:?}"
    );
    assert_eq!(tags.len(), 3);
    stage.assert_in_sync();
    let done = stage.on_fleet(&["revoke", "web-1", "ssh", "--from", "198.51.100.7"]);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert!(state(&stage.fleet()).0.contains("198.51.100.0/24"));
    stage.assert_in_sync();
    assert_eq!(stage.on_fleet(&["revoke", "--all"]).code, Some(0));
    assert_ssh(&stage.fleet(), &["198.51.100.0/24"], 0, "all");
    stage.assert_in_sync();
}

#[test]
fn replace_moves_a_grant_to_another_address() {
    let stage = Stage::new(CLOSED, &closed());
    assert_eq!(stage.on_fleet(&GRANT).code, Some(0));
    let new = [
        "grant",
        "web-1",
        "ssh",
        "--from",
        "203.0.113.8",
        "--for",
        "1h",
        "--replace",
    ];
    let done = stage.on_fleet(&new);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_ssh(&stage.fleet(), &["203.0.113.8/32"], 1, "replaced");
    // The same address again only extends its time.
    let done = stage.on_fleet(&new);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    assert_ssh(&stage.fleet(), &["203.0.113.8/32"], 1, "renewed");
    stage.assert_in_sync();
}

#[test]
fn receipt_has_the_full_reason() {
    let stage = Stage::new(CLOSED, &closed());
    let reason = "because ".repeat(40);
    let done = stage.on_fleet(&[&GRANT[..], &["--reason", &reason]].concat());
    assert_eq!(done.code, Some(0), "{}", done.shown());
    let (_, entry) = stage
        .fleet()
        .entries()
        .next()
        .map(|(region, entry)| (region.clone(), entry.clone()))
        .expect("an instance");
    assert!(entry.tags.values().all(|value| value.len() <= 256));
    let receipts = std::fs::read_dir(stage.path(".portward/receipts")).expect("a folder");
    let texts: Vec<String> = receipts
        .map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("a receipt"))
        .collect();
    assert!(texts.iter().any(|text| text.contains(&reason)), "{texts:?}");
    stage.assert_in_sync();
}
