//! Tests of plan files: a written file is parsed again, and any other text is refused.

mod round_trip;

use proptest::prelude::{Just, ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;
use proptest::strategy::Strategy;
use std::sync::Arc;
use strum::VariantArray as _;

use super::*;
use crate::model::arbitrary::{Universe, key, named, sources};
use crate::model::{
    Declaration, DesiredInstance, InstanceId, Key, Mode, Origin, Protocol, Rule, Shard,
};
use crate::plan::arbitrary::{NOW, fleet, plans, text};
use crate::plan::{Call, GuardName, Override, Verdict};

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW).expect("a time")
}

fn file_of(plan: Plan) -> PlanFile {
    PlanFile {
        tool: TOOL.to_owned(),
        made_at: now(),
        valid_until: now() + Duration::hours(24),
        config: Fingerprint::of("version = 1"),
        scope: Scope::default(),
        guard: Guard::default(),
        plan,
    }
}

/// A file in which every member has a value.
fn files(universe: Universe) -> impl Strategy<Value = PlanFile> {
    let keep = proptest::option::of((key(universe), sources(universe), text()));
    (plans(universe), text(), keep, any::<(bool, usize)>()).prop_map(
        |(mut plan, text, keep, (some, number))| {
            if some {
                plan.overrides.push(Override {
                    guard: GuardName::VARIANTS[number % 3],
                    selector: Some(text.clone()),
                    reason: text.clone(),
                });
            }
            let mut file = file_of(plan);
            file.tool = text.clone();
            file.scope = Scope {
                account: some.then(|| text.clone()),
                accounts: (!some)
                    .then(|| (text.clone(), "123456789012".into()))
                    .into_iter()
                    .collect(),
                regions: vec!["eu-central-1".into(), text.clone()],
                targets: vec![text.clone()],
                declared: number,
                shard: some.then(|| Shard::new(3, 8)).flatten(),
                as_of: some.then(now),
                leases: false,
            };
            file.guard.max_instances = some.then_some(number);
            file.guard.keep.extend(keep.map(|(key, sources, why)| Rule {
                key,
                sources,
                declared: Arc::new(Declaration {
                    allow: text.as_str().into(),
                    from: [text.clone()].into(),
                    origin: Origin {
                        file: text.into(),
                        line: number,
                        column: 1,
                    },
                    why: Some(why),
                    owner: None,
                    until: some.then(now),
                }),
            }));
            file
        },
    )
}

/// A file with a plan that changes one instance.
fn some_file() -> PlanFile {
    let rule = Rule {
        key: Key::new(Protocol::Tcp, 443, 443).expect("a port"),
        sources: crate::model::Sources::anywhere(),
        declared: Arc::new(Declaration {
            allow: "https".into(),
            from: ["anywhere".into()].into(),
            origin: Origin {
                file: "firewall.toml".into(),
                line: 3,
                column: 1,
            },
            why: Some("a \"test\"".into()),
            owner: None,
            until: Some(now() + Duration::days(400)),
        }),
    };
    let desired = DesiredInstance {
        mode: Mode::Authoritative,
        strategy: crate::model::Strategy::Auto,
        rules: vec![rule],
        absent: Vec::new(),
        expired: Vec::new(),
        notes: Vec::new(),
    };
    let instance = crate::model::Instance {
        id: InstanceId {
            account: None,
            region: "eu-central-1".into(),
            name: "web-1".into(),
        },
        arn: "arn:aws:lightsail:eu-central-1:123456789012:Instance/1".into(),
        tags: std::collections::BTreeMap::new(),
        state: crate::model::InstanceState::Running,
        address_type: crate::model::AddressType::Dualstack,
    };
    let live = crate::model::LiveFirewall::default();
    let options = crate::plan::PlanOptions::default();
    let instances = vec![crate::plan::plan_instance(
        &instance, &desired, &live, options,
    )];
    file_of(Plan {
        instances,
        ..Plan::default()
    })
}

/// A text with one part replaced and a correct digest, as an attacker who knows the format would write it.
fn forged(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    let text = text.replacen(from, to, 1);
    let (before, rest) = text.split_once("  \"digest\": ").expect("a digest");
    let (_, after) = rest.split_once('\n').expect("a line");
    let canonical = compact(&format!("{before}{after}"));
    let digest = Fingerprint::of(canonical);
    format!("{before}  \"digest\": \"{digest}\",\n{after}")
}

/// A document without white space between tokens.
fn compact(text: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let mut keep = |letter: &char| {
        if in_text {
            in_text = escaped || *letter != '"';
            escaped = !escaped && *letter == '\\';
            return true;
        }
        in_text = *letter == '"';
        !letter.is_ascii_whitespace()
    };
    text.chars().filter(|letter| keep(letter)).collect()
}

fn refusal(text: &str) -> PlanFileError {
    parse(text, now(), None).expect_err("refused")
}

#[test]
fn invalid_files_are_refused_by_their_kind() {
    let text = write(&some_file());
    for other in [
        "",
        "nonsense",
        "[]",
        "{}",
        "{\"format\": \"portward.plan\"}",
    ] {
        assert!(
            matches!(refusal(other), PlanFileError::NotAPlan(_)),
            "{other}"
        );
    }
    let other = text.replacen("portward.plan", "portward.inventory", 1);
    assert_eq!(
        refusal(&other).to_string(),
        "not a portward plan: `format` is `portward.inventory`, not `portward.plan`"
    );
    let other = text.replacen("\"version\": 1", "\"version\": 2", 1);
    assert_eq!(refusal(&other), PlanFileError::Version(2));
    for (from, to, words) in [
        (
            "\"regions\":",
            "\"colour\": 1, \"regions\":",
            "unknown field `colour`",
        ),
        (
            "\"tool\":",
            "\"tool\": \"x\", \"tool\":",
            "duplicate field `tool`",
        ),
        ("\"tool\":", "\"toll\":", "missing field `tool`"),
        (
            "\"mode\":",
            "\"colour\": 1, \"mode\":",
            "unknown field `colour`",
        ),
        ("\"declared\": 0", "\"declared\": -1", "invalid value"),
        ("\"fromPort\": 443", "\"fromPort\": \"443\"", "invalid type"),
    ] {
        let refusal = refusal(&text.replacen(from, to, 1));
        let PlanFileError::Member(message) = &refusal else {
            panic!("{refusal:?}")
        };
        assert!(message.contains(words), "{message}");
    }
    let changed = text.replacen("web-1", "web-2", 1);
    assert!(matches!(refusal(&changed), PlanFileError::Digest { .. }));
    let known = "\"tool\": \"portward";
    let unknown = text.replacen(known, &format!("\"colour\": 1,\n  {known}"), 1);
    assert_eq!(refusal(&unknown), PlanFileError::NotAsWritten(5));
    let spaced = text.replacen("\n  \"tool\"", "\n   \"tool\"", 1);
    assert_eq!(refusal(&spaced), PlanFileError::NotAsWritten(5));
}

#[test]
fn forged_plan_with_a_correct_digest_is_refused() {
    let text = write(&some_file());
    assert!(parse(&text, now(), None).is_ok());
    assert_eq!(forged(&text, "\"web-1\"", "\"web-1\""), text);
    for (from, to) in [
        ("\"action\": \"add\"", "\"action\": \"widen\""),
        ("\"0.0.0.0/0\"", "\"0.0.0.0/00\""),
        ("\"protocol\": \"tcp\"", "\"protocol\": \"sctp\""),
        ("\"verdict\": \"change\"", "\"verdict\": \"in-sync\""),
        ("\"verdict\": \"change\"", "\"verdict\": \"force\""),
        ("OpenInstancePublicPorts", "DeleteInstance"),
        ("\"madeAt\": \"", "\"madeAt\": \"x"),
    ] {
        let refusal = refusal(&forged(&text, from, to));
        let expected = matches!(
            refusal,
            PlanFileError::Member(_)
                | PlanFileError::Digest { .. }
                | PlanFileError::NotAsWritten(_)
                | PlanFileError::Lint(_)
        );
        assert!(expected, "{from}: {refusal:?}");
    }
}

#[test]
fn damaged_member_is_named_with_value_and_line() {
    let text = write(&some_file());
    for (from, to, why) in [
        (
            "\"verdict\": \"change\"",
            "\"verdict\": \"force\"",
            "unknown variant `force`, expected one of `in-sync`",
        ),
        (
            "\"mode\": \"authoritative\"",
            "\"mode\": \"weird\"",
            "unknown variant `weird`, expected one of `authoritative`",
        ),
        (
            "OpenInstancePublicPorts",
            "DeleteInstance",
            "unknown variant `DeleteInstance`, expected one of `Open",
        ),
        (
            "\"protocol\": \"tcp\"",
            "\"protocol\": \"sctp\"",
            "unknown variant `sctp`, expected one of `tcp`",
        ),
        (
            "\"fromPort\": 443",
            "\"fromPort\": 65536",
            "port 65536 is not within 0-65535",
        ),
        (
            "\"fromPort\": 443",
            "\"fromPort\": 444",
            "the range 444-443 ends before it starts",
        ),
        (
            "\"0.0.0.0/0\"",
            "\"0.0.0.0/33\"",
            "`0.0.0.0/33` is not a valid network",
        ),
        (
            "\"0.0.0.0/0\"",
            "\"\\u001b[31m\"",
            "`\\u{1b}[31m` is not a valid network",
        ),
        (
            "\"madeAt\": \"2026",
            "\"madeAt\": \"x2026",
            "is not a valid timestamp",
        ),
        (
            "\"until\": \"20",
            "\"until\": \"x20",
            "is not a valid timestamp",
        ),
        (
            "\"config\": \"sha256:",
            "\"config\": \"sha256:0",
            "a SHA-256 is",
        ),
        (
            "\"declared\": 0",
            "\"declared\": 0,\n    \"shard\": {\"index\": 3, \"of\": 2}",
            "there is no shard 3/2",
        ),
        (
            "\"reason\": null",
            "\"reason\": \"none\"",
            "only the verdict `refused` has a code, a reason or a hint",
        ),
        (
            "\"code\": null",
            "\"code\": \"PW-306\"",
            "only the verdict `refused` has a code, a reason or a hint",
        ),
    ] {
        let PlanFileError::Member(found) = refusal(&forged(&text, from, to)) else {
            panic!("{to}: another refusal")
        };
        assert!(found.contains(why), "{found}");
        assert!(found.contains(" at line "), "{found}");
        assert!(!found.contains('\u{1b}'), "{found}");
    }
}

#[test]
fn inconsistent_plan_is_refused() {
    let mut file = some_file();
    let Some(Call::Open { sources, .. }) = file.plan.instances[0].calls.first_mut() else {
        panic!("an open was planned")
    };
    sources.clear_ipv6();
    let PlanFileError::Lint(defects) = refusal(&write(&file)) else {
        panic!("another refusal")
    };
    assert!(
        defects
            .iter()
            .any(|defect| defect.kind == lint::DefectKind::Result),
        "{defects:?}"
    );
}

#[test]
fn expected_digest_must_match() {
    let file = some_file();
    let text = write(&file);
    let digest = file.digest().to_string();
    let digits = digest.trim_start_matches("sha256:").to_uppercase();
    for expected in [digest.as_str(), digits.as_str()] {
        assert!(parse(&text, now(), Some(expected)).is_ok(), "{expected}");
    }
    for expected in [
        "",
        "sha256:",
        &digits[1..],
        &digits.replace('A', "B").replace('1', "2"),
    ] {
        let refusal = parse(&text, now(), Some(expected)).expect_err("refused");
        assert!(
            matches!(refusal, PlanFileError::Unexpected { .. }),
            "{refusal:?}"
        );
    }
}

#[test]
fn plan_expires_with_the_first_rule_that_ends() {
    let file = some_file();
    let text = write(&file);
    let last = file.valid_until - Duration::NANOSECOND;
    assert!(parse(&text, last, None).is_ok());
    assert_eq!(
        parse(&text, file.valid_until, None).map_err(|refusal| refusal.to_string()),
        Err("the plan was valid until 2026-01-02T00:00:00Z".to_owned())
    );
}

#[test]
fn plan_file_has_its_documented_form() {
    let mut file = some_file();
    file.tool = "portward 0.0.0".into();
    insta::assert_snapshot!(write(&file));
}
