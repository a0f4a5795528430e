//! Tests of names and texts that other programs rely on: of guards, of outcomes, and of changes.

use std::collections::BTreeSet;

use strum::VariantArray as _;
use time::OffsetDateTime;

use super::named;
use crate::model::{Fingerprint, InstanceId};
use crate::plan::file::PlanFileError;
use crate::plan::{ChangeKind, Failure, ForeignWrite, GuardName, InstanceResult, Outcome};

#[test]
fn guard_displays_as_its_flag_value() {
    for guard in GuardName::VARIANTS {
        assert_eq!(guard.to_string(), guard.as_str());
        assert_eq!(guard.to_string().parse(), Ok(*guard));
    }
    assert_eq!(format!("{:<8}|", GuardName::Empty), "empty   |");
    assert!("Lockout".parse::<GuardName>().is_err());
}

#[test]
fn change_kind_depends_on_gained_and_lost_sources() {
    for (before, after, action) in [
        (&[][..], &["10.0.0.0/8"][..], "add"),
        (&["10.0.0.0/8"], &[], "remove"),
        (&["10.0.0.0/9"], &["10.0.0.0/8"], "widen"),
        (
            &["10.0.0.0/8"],
            &["10.0.0.0/8", "lightsail-connect"],
            "widen",
        ),
        (&["10.0.0.0/8"], &["10.0.0.0/9"], "narrow"),
        (&["::/0", "10.0.0.0/8"], &["10.0.0.0/8"], "narrow"),
        (&["10.0.0.0/9"], &["10.128.0.0/9"], "replace"),
        (&["10.0.0.0/8"], &["10.0.0.0/9", "10.128.0.0/9"], "respell"),
    ] {
        let family = crate::model::Family::default();
        let found = ChangeKind::of(&named(before), &named(after), family);
        let found = serde_json::to_value(found).expect("a word");
        assert_eq!(found, action, "{before:?} to {after:?}");
    }
}

/// An outcome, its status, its reason, whether it is a failure, and whether the instance was started.
type Ending = (Outcome, &'static str, Option<&'static str>, bool, bool);

#[test]
fn outcome_has_status_and_reason() {
    let failure = Failure {
        message: "no such instance".into(),
        code: Some("DoesNotExist".into()),
        request_id: None,
        hint: None,
    };
    let endings: [Ending; 8] = [
        (
            Outcome::Applied { repaired: None },
            "applied",
            None,
            false,
            true,
        ),
        (
            Outcome::Applied {
                repaired: Some("a put was needed".into()),
            },
            "repaired",
            Some("a put was needed"),
            false,
            true,
        ),
        (
            Outcome::AlreadyApplied,
            "already-applied",
            None,
            false,
            true,
        ),
        (
            Outcome::Stale("it changed".into()),
            "stale",
            Some("it changed"),
            true,
            true,
        ),
        (
            Outcome::ForeignWriter(ForeignWrite::default()),
            "foreign-writer",
            Some("the rules changed during the run"),
            true,
            true,
        ),
        (
            Outcome::Failed(failure),
            "failed",
            Some("no such instance"),
            true,
            true,
        ),
        (
            Outcome::NotStarted("interrupted".into()),
            "not-started",
            Some("interrupted"),
            false,
            false,
        ),
        (
            Outcome::Reverted("not confirmed".into()),
            "reverted",
            Some("not confirmed"),
            true,
            true,
        ),
    ];
    for (outcome, status, reason, is_failure, was_begun) in endings {
        assert_eq!(outcome.status().as_str(), status);
        assert_eq!(outcome.reason().as_deref(), reason, "{status}");
        assert_eq!(outcome.is_failure(), is_failure, "{status}");
        let result = InstanceResult {
            id: InstanceId {
                account: None,
                region: "eu-central-1".into(),
                name: "web-1".into(),
            },
            outcome,
            writes: 0,
            operations: Vec::new(),
            steps: Vec::new(),
            note: None,
        };
        assert_eq!(result.was_begun(), was_begun, "{status}");
    }
}

#[test]
fn foreign_write_displays_known_details() {
    let shown = |action: Option<&str>, details: &str, at, difference: Option<&str>| {
        let foreign = ForeignWrite {
            action: action.map(str::to_owned),
            details: details.to_owned(),
            at,
            difference: difference.map(str::to_owned),
        };
        foreign.to_string()
    };
    let then = Some(OffsetDateTime::UNIX_EPOCH);
    let put = Some("PutInstancePublicPorts");
    assert_eq!(
        shown(None, "22/tcp", then, None),
        "the rules changed during the run"
    );
    assert_eq!(
        shown(None, "", None, Some("tcp/22 is open")),
        "the rules changed during the run: tcp/22 is open"
    );
    assert_eq!(
        shown(put, "", None, None),
        "`PutInstancePublicPorts` is not from this run"
    );
    assert_eq!(
        shown(put, "22/tcp", then, Some("tcp/22 is open")),
        "`PutInstancePublicPorts` (22/tcp) at 1970-01-01T00:00:00Z is not from this run; tcp/22 is open"
    );
}

#[test]
fn refused_plan_file_has_a_hint() {
    let digest = Fingerprint::of("x");
    let edited = [
        PlanFileError::Member("unknown member `x`".into()),
        PlanFileError::Digest {
            found: digest,
            stated: "sha256:0".into(),
        },
        PlanFileError::NotAsWritten(5),
        PlanFileError::Lint(Vec::new()),
    ];
    let advice: BTreeSet<&str> = edited.iter().map(PlanFileError::hint).collect();
    assert_eq!(
        Vec::from_iter(advice),
        ["make a new plan: a plan is never edited"]
    );
    for (refusal, word) in [
        (PlanFileError::NotAPlan("no JSON".into()), "--out"),
        (PlanFileError::Version(2), "version"),
        (
            PlanFileError::Unexpected {
                found: digest,
                expected: "0".into(),
            },
            "reviewed",
        ),
        (
            PlanFileError::Expired(OffsetDateTime::UNIX_EPOCH),
            "--valid-for",
        ),
    ] {
        assert!(
            refusal.hint().contains(word),
            "{refusal}: {}",
            refusal.hint()
        );
    }
}
