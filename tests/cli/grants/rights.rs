//! The rights of those who grant, and of the cron job that closes what is expired; and the caller that a grant names.

use std::collections::BTreeSet;

use portward::emulator::Quirks;
use portward::inventory::Inventory;

use super::{CLOSED, CONFIG, GRANT, closed, command, declared, readings, served};
use crate::stage::{Done, REGION, Stage, instance, rule};

/// The Lightsail actions that a policy of `doctor --iam-policy` allows.
fn allowed(stage: &Stage, policy: &str) -> BTreeSet<String> {
    let done = stage.run(&["doctor", "--iam-policy", policy]);
    let policy: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    let statements = policy["Statement"].as_array().expect("statements").iter();
    let actions = statements.flat_map(|statement| statement["Action"].as_array().expect("a list"));
    actions
        .filter_map(|action| action.as_str()?.strip_prefix("lightsail:"))
        .map(ToOwned::to_owned)
        .collect()
}

/// The Lightsail actions that a command calls, which ends with 0 or with 2.
fn called(fleet: Inventory, quirks: Quirks, config: &str, args: &[&str]) -> BTreeSet<String> {
    let server = served(quirks, Vec::new(), fleet);
    let stage = Stage::new(config, &closed());
    let done = Done::of(&mut command(&server, &stage, args));
    assert!(matches!(done.code, Some(0 | 2)), "{}", done.shown());
    let requests = server.emulator.requests().into_keys();
    // STS asks for no permission to tell who calls.
    requests
        .filter(|action| *action != "GetCallerIdentity")
        .map(str::to_owned)
        .collect()
}

/// A grant that has expired and was not closed.
fn expired(mut fleet: Inventory) -> Inventory {
    let entry = &mut fleet.regions.get_mut(REGION).expect("a region")[0];
    let lease = "1 20260102T031500Z tcp/22 203.0.113.7/32 by=x";
    entry
        .tags
        .insert("portward:grant:aaaa".to_owned(), lease.to_owned());
    let mut rules: Vec<_> = entry
        .port_states
        .iter()
        .flat_map(|rules| rules.iter().cloned())
        .collect();
    match rules.iter_mut().find(|rule| rule.from_port == 22) {
        Some(ssh) => ssh.cidrs.push("203.0.113.7/32".to_owned()),
        None => rules.push(rule("tcp", 22, 22, &["203.0.113.7/32"])),
    }
    entry.port_states = Some(rules.into());
    fleet
}

#[test]
fn each_verb_calls_only_what_its_iam_policy_allows() {
    let stage = Stage::new(CONFIG, &declared());
    let revoke = ["revoke", "web-1", "ssh", "--from", "203.0.113.7"];
    let with = [&["with"], &GRANT[1..], &["--", "true"]].concat();
    let apply = ["apply", "--yes"];
    let only_expired = ["apply", "--yes", "--only-expired"];
    let reads: [&[&str]; 5] = [
        &["plan"],
        &["drift"],
        &["explain", "web-1"],
        &["import", "--region", REGION],
        &["grants"],
    ];
    let mut calls: BTreeSet<(&str, String)> = BTreeSet::new();
    for mode in ["authoritative", "additive"] {
        for quirks in readings() {
            for (config, fleet) in [(CONFIG, declared()), (CLOSED, closed())] {
                let config = config.replace("rules = [", &format!("mode = \"{mode}\"\nrules = ["));
                let granted = Stage::new(&config, &fleet);
                assert_eq!(granted.on_fleet(&GRANT).code, Some(0));
                let mut runs: Vec<(&str, &[&str], Inventory)> = vec![
                    ("grant", &GRANT, fleet.clone()),
                    ("grant", &revoke, granted.fleet()),
                    ("expire", &only_expired, expired(fleet)),
                ];
                // These do not depend on the reading.
                if calls.is_empty() {
                    let empty = crate::stage::fleet(vec![instance("web-1", Vec::new())]);
                    runs.push(("write", &apply, empty));
                    runs.push(("grant", &with, closed()));
                    runs.extend(reads.map(|args| ("read", args, granted.fleet())));
                }
                for (policy, args, fleet) in runs {
                    let called = called(fleet, quirks.clone(), &config, args);
                    calls.extend(called.into_iter().map(|action| (policy, action)));
                }
            }
        }
    }
    for policy in ["read", "write", "grant", "expire"] {
        let mut allowed = allowed(&stage, policy);
        let called: BTreeSet<String> = calls
            .iter()
            .filter(|(of, _)| *of == policy)
            .map(|(_, action)| action.clone())
            .collect();
        // Asked only where an instance is read in doubt, or an operation does not end at once.
        for rare in ["GetOperation", "GetOperationsForResource"] {
            if !called.contains(rare) {
                allowed.remove(rare);
            }
        }
        assert!(
            called.is_subset(&allowed),
            "{policy}: {called:?} of {allowed:?}"
        );
        if policy == "expire" {
            assert_eq!(called, allowed, "{policy}");
        }
    }
}

/// In an account that is reached by assuming a role, the caller is the session of that role.
#[test]
fn grant_names_the_session_of_an_assumed_role() {
    let config = r#"version = 1
[defaults]
region = "eu-central-1"
[accounts.prod]
id = "222222222222"
role = "arn:aws:iam::222222222222:role/ops/portward"
[grants]
services = ["ssh"]
max = "8h"
[instances.web-1]
"#;
    let mut fleet = closed();
    let entry = &mut fleet.regions.get_mut(REGION).expect("a region")[0];
    entry.arn = format!("arn:aws:lightsail:{REGION}:222222222222:Instance/1");
    let config = config.to_owned() + "rules = [{ allow = \"https\", from = \"anywhere\" }]\n";
    let stage = Stage::new(&config, &fleet);
    let done = stage.on_fleet(&GRANT);
    assert_eq!(done.code, Some(0), "{}", done.shown());
    let listed = stage.json(&["grants"]);
    let by = listed["grants"][0]["lease"]["by"]
        .as_str()
        .expect("a caller");
    assert!(
        by.starts_with("222222222222:assumed-role/portward/"),
        "{by}"
    );
    let mine = stage.on_fleet(&["revoke", "--all", "--mine"]);
    assert!(mine.says("is no longer granted"), "{}", mine.shown());
    stage.assert_in_sync();
}
