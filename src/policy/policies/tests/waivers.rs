//! Waivers: what they except, and when one is idle.

use super::super::{Findings, Seen, State, policies};
use super::{Line, id, origin, private_database, scene, seen, sources, tcp};
use crate::model::{InstanceId, Mode, Waiver};

fn waiver(line: usize, (key, texts): Line<'_>) -> Waiver {
    Waiver {
        policies: vec!["p".into()],
        key,
        sources: sources(texts),
        origin: origin(line),
    }
}

#[test]
fn a_waiver_excepts_its_rule_and_no_other() {
    let db = tcp(5432, 5432);
    let (one, two): (Line<'_>, Line<'_>) = (
        (db, &["198.51.100.1/32"]),
        (tcp(5000, 6000), &["198.51.100.2/32"]),
    );
    let judged = |wanted: &[Line<'_>], waivers: Vec<Waiver>| {
        let mut scene = scene(
            Mode::Authoritative,
            "dualstack",
            &[],
            wanted,
            private_database(),
        );
        scene.desired.policies.waivers.insert(id(), waivers);
        policies(&scene.plan, &scene.desired, State::Result)
    };
    assert_eq!(judged(&[one], vec![waiver(1, one)]), Findings::default());
    let both = judged(&[one, two], vec![waiver(1, one)]);
    assert_eq!(
        seen(&both),
        [(Seen::Introduced, "198.51.100.2 tcp/5432".into())]
    );
    assert_eq!(both.violations[0].lines, [origin(2)]);
    let idle: Line<'_> = (tcp(80, 80), &["198.51.100.1/32"]);
    let unused = judged(&[idle], vec![waiver(1, idle)]);
    assert_eq!((unused.violations.len(), unused.unused.len()), (0, 1));
    assert_eq!(unused.unused[0].origin, Some(origin(1)));
}

#[test]
fn a_waiver_on_an_instance_that_was_not_judged_is_not_called_unused() {
    let idle: Line<'_> = (tcp(80, 80), &["198.51.100.1/32"]);
    let mut scene = scene(
        Mode::Authoritative,
        "dualstack",
        &[],
        &[idle],
        private_database(),
    );
    let elsewhere = InstanceId {
        account: None,
        region: "eu-central-1".into(),
        name: "web-2".into(),
    };
    scene.desired.policies.waivers = [
        (id(), vec![waiver(1, idle)]),
        (elsewhere, vec![waiver(1, idle)]),
    ]
    .into();
    assert_eq!(
        policies(&scene.plan, &scene.desired, State::Result).unused,
        []
    );
}
