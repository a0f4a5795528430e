//! What may not be granted, and tags that grant nothing.

use super::{CLOSED, CONFIG, GRANT, assert_ssh, closed, declared, grant_ssh};
use crate::stage::{REGION, Stage};

#[test]
fn grant_beyond_the_limits_writes_nothing() {
    let stage = Stage::new(CONFIG, &declared());
    let before = stage.read("fleet.json");
    let refused = |args: &[&str], why: &str, code: i32| {
        let done = stage.on_fleet(args);
        assert_eq!(done.code, Some(code), "{}", done.shown());
        assert!(done.says(why), "{}", done.shown());
        assert_eq!(stage.read("fleet.json"), before, "{args:?}");
    };
    let of = |service, from, time| ["grant", "web-1", service, "--from", from, "--for", time];
    refused(&of("postgres", "203.0.113.7", "30m"), "and not tcp/5432", 3);
    refused(
        &of("ssh", "203.0.113.0/24", "30m"),
        "203.0.113.0/24 is wider",
        3,
    );
    refused(&of("ssh", "203.0.113.7", "9h"), "permits 8h at most", 3);
    refused(
        &of("ssh", "lightsail-connect", "1h"),
        "is not an address",
        64,
    );
    refused(
        &[
            "grant",
            "web-9",
            "ssh",
            "--from",
            "203.0.113.7",
            "--for",
            "1h",
        ],
        "there is no instance `web-9`",
        1,
    );
    let reason = CONFIG.replace("max = ", "reason = \"required\"\nmax = ");
    stage.configure(&reason);
    refused(&GRANT, "`[grants]` requires a reason", 3);
    stage.configure(&CONFIG.replace("max = ", "match = { name = \"db-*\" }\nmax = "));
    refused(
        &GRANT,
        "`match` of `[grants]` does not select the instance",
        3,
    );
    stage.configure(&CONFIG.replace("rules = [", "mode = \"observe\"\nrules = ["));
    refused(&GRANT, "is in observe mode", 3);
    let policy = "[[policy]]\nid = \"ssh-from-home\"\nservices = \"ssh\"\nonly-from = \"198.51.100.0/24\"\n[instances.web-1]";
    stage.configure(&CONFIG.replace("[instances.web-1]", policy));
    refused(&GRANT, "policy `ssh-from-home`", 3);
    let (top, rest) = CONFIG.split_once("[grants]").expect("a table");
    let (_, rest) = rest.split_once("[instances").expect("a table");
    stage.configure(&format!("{top}[instances{rest}"));
    refused(
        &GRANT,
        "the configuration has no `[grants]`, so nobody may grant anything",
        3,
    );
}

#[test]
fn invalid_tags_open_nothing_and_are_listed() {
    let mut fleet = declared();
    let entries = fleet.regions.get_mut(REGION).expect("a region");
    let over = "1 20990102T031500Z tcp/22 203.0.113.9/32 by=x";
    for (key, value) in [
        ("portward:grant:aaaa", "what"),
        ("portward:grant:bbbb", over),
    ] {
        entries[0].tags.insert(key.to_owned(), value.to_owned());
    }
    let stage = Stage::new(CONFIG, &fleet);
    stage.assert_in_sync();
    let plan = stage.on_fleet(&["plan"]);
    for text in [
        "this tag is not a valid grant",
        "`[grants]` permits 8h at most",
        "portward:grant:aaaa",
    ] {
        assert!(plan.says(text), "{text}: {}", plan.shown());
    }
    let listed = stage.on_fleet(&["grants"]);
    assert!(
        listed.says("unreadable") && listed.says("not-honoured"),
        "{}",
        listed.shown()
    );
    for id in ["aaaa", "bbbb"] {
        let done = stage.on_fleet(&["revoke", id]);
        assert_eq!(done.code, Some(0), "{}", done.shown());
    }
    assert_ssh(&stage.fleet(), &["198.51.100.0/24"], 0, "removed");
    stage.assert_in_sync();
}

#[test]
fn forged_tag_does_not_bypass_the_lockout_guard() {
    let config = CLOSED.split("[grants]").next().expect("a beginning");
    let rest = CLOSED.split_once("[instances").expect("an instance").1;
    let config = format!("{config}[instances{rest}");
    for config in [config.as_str(), CLOSED] {
        let mut fleet = declared();
        let entry = &mut fleet.regions.get_mut(REGION).expect("a region")[0];
        let forged = "1 20200102T031500Z tcp/22 0.0.0.0/0 ::/0 by=x";
        entry
            .tags
            .insert("portward:grant:aaaa".to_owned(), forged.to_owned());
        let stage = Stage::new(config, &fleet);
        let plan = stage.on_fleet(&["plan"]);
        assert_eq!(plan.code, Some(3), "{config}: {}", plan.shown());
        assert!(plan.says("refused by lockout on web-1"), "{}", plan.shown());
        assert!(plan.says("is not ended as a grant"), "{}", plan.shown());
        let ended = stage.on_fleet(&["apply", "--only-expired", "--yes"]);
        assert_eq!(ended.code, Some(0), "{}", ended.shown());
        assert_ssh(&stage.fleet(), &["198.51.100.0/24"], 1, "forged");
    }
}

#[test]
fn grant_shorter_than_a_minute_is_refused() {
    let stage = Stage::new(CLOSED, &closed());
    let short = grant_ssh("203.0.113.7", "59s");
    let done = stage.on_fleet(&short);
    assert_eq!(done.code, Some(3), "{}", done.shown());
    assert!(
        done.says("a grant lasts for at least 60 s"),
        "{}",
        done.shown()
    );
}

#[test]
fn revoke_does_not_write_to_observed_instances() {
    let stage = Stage::new(CLOSED, &closed());
    assert_eq!(stage.on_fleet(&GRANT).code, Some(0));
    stage.configure(&CLOSED.replace("rules = [", "mode = \"observe\"\nrules = ["));
    let before = stage.read("fleet.json");
    let done = stage.on_fleet(&["revoke", "--all"]);
    assert_eq!(done.code, Some(3), "{}", done.shown());
    assert!(
        done.says("is in observe mode, and is never written to"),
        "{}",
        done.shown()
    );
    assert_eq!(stage.read("fleet.json"), before);
}
