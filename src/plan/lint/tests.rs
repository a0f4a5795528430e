//! Tests of the lint: plans of the planner have no defect, and damage is detected.

mod calls;

mod limits;

use proptest::prelude::{Just, prop_assert, prop_assert_eq, proptest};
use proptest::strategy::Strategy as _;
use std::sync::Arc;

use super::*;
use crate::model::arbitrary::Universe;
use crate::model::{Declaration, Family, LiveFirewall, PortState, Protocol, Sources};
use crate::plan::arbitrary::{desired_instance, instance, plans};
use crate::plan::{PlanOptions, plan_instance};

fn key(port: i32) -> Key {
    Key::new(Protocol::Tcp, port, port).expect("a port")
}

fn firewall(rules: &[(i32, &[&str])]) -> Firewall {
    let sources = |texts: &[&str]| -> Sources {
        texts
            .iter()
            .filter_map(|text| Sources::parse_live(text))
            .collect()
    };
    rules
        .iter()
        .map(|(port, texts)| (key(*port), sources(texts)))
        .collect()
}

/// A plan for these rules.
fn planned(mode: Mode, before: &LiveFirewall, wanted: &Firewall) -> InstancePlan {
    planned_as(PlanOptions::default(), mode, before, wanted)
}

fn planned_as(
    options: PlanOptions,
    mode: Mode,
    before: &LiveFirewall,
    wanted: &Firewall,
) -> InstancePlan {
    let rule = |(key, sources): (&Key, &Sources)| crate::model::Rule {
        key: *key,
        sources: sources.clone(),
        declared: Arc::new(Declaration {
            allow: "".into(),
            from: [].into(),
            origin: crate::model::Origin {
                file: "f".into(),
                line: 1,
                column: 1,
            },
            why: None,
            owner: None,
            until: None,
        }),
    };
    let desired = desired_instance(mode, wanted.iter().map(rule).collect());
    let instance = instance("web-1", "dualstack");
    plan_instance(&instance, &desired, before, options)
}

/// A plan with two Opens in additive mode.
fn opens() -> InstancePlan {
    let before = LiveFirewall::from(&firewall(&[(22, &["10.0.0.0/8"])]));
    let wanted = firewall(&[(80, &["0.0.0.0/0"]), (443, &["0.0.0.0/0", "::/0"])]);
    planned(Mode::Additive, &before, &wanted)
}

/// A plan with one Open and a fallback.
fn grows() -> InstancePlan {
    let before = firewall(&[(22, &["10.0.0.0/8"]), (80, &["::/0"])]);
    let wanted = firewall(&[(22, &["10.0.0.0/8", "11.0.0.0/8"]), (80, &["::/0"])]);
    planned(Mode::Authoritative, &LiveFirewall::from(&before), &wanted)
}

/// A plan with one Put.
fn narrows() -> InstancePlan {
    let before = firewall(&[(22, &["10.0.0.0/8", "11.0.0.0/8"])]);
    let wanted = firewall(&[(22, &["10.0.0.0/8"])]);
    planned(Mode::Authoritative, &LiveFirewall::from(&before), &wanted)
}

/// A plan without calls that leaves access open which must not exist.
fn leaves_open() -> InstancePlan {
    let before = firewall(&[(22, &["10.0.0.0/8"]), (80, &["::/0"])]);
    let plan = planned(
        Mode::Additive,
        &LiveFirewall::from(&before),
        &Firewall::new(),
    );
    let cause = opens().changes.remove(0).causes.remove(0);
    InstancePlan {
        verdict: Verdict::StillOpen,
        still_open: vec![StillOpen {
            through: key(22),
            access: Effective::of(&firewall(&[(22, &["10.9.0.0/16"])]), Family::V4)
                .boxes(Family::V4),
            causes: vec![cause],
            hint: "cut it".into(),
        }],
        ..plan
    }
}

#[test]
fn still_open_must_be_open() {
    check(&[
        (
            leaves_open,
            |p| p.verdict = Verdict::InSync,
            DefectKind::StillOpen,
        ),
        (leaves_open, |p| p.still_open.clear(), DefectKind::StillOpen),
        (
            leaves_open,
            |p| p.still_open[0].through = key(80),
            DefectKind::StillOpen,
        ),
        (
            leaves_open,
            |p| p.still_open[0].access.clear(),
            DefectKind::StillOpen,
        ),
        (
            leaves_open,
            |p| p.still_open[0].access[0].sources = Sources::anywhere(),
            DefectKind::StillOpen,
        ),
        (
            leaves_open,
            |p| p.still_open[0].causes.clear(),
            DefectKind::StillOpen,
        ),
        (
            leaves_open,
            |p| p.still_open.push(p.still_open[0].clone()),
            DefectKind::StillOpen,
        ),
        (
            leaves_open,
            |p| p.mode = Mode::Authoritative,
            DefectKind::Mode(Mode::Authoritative),
        ),
        (
            narrows,
            |p| p.still_open = leaves_open().still_open,
            DefectKind::StillOpen,
        ),
    ]);
}

fn faults(plan: InstancePlan) -> Vec<DefectKind> {
    let plan = Plan {
        instances: vec![plan],
        ..Plan::default()
    };
    lint(&plan).into_iter().map(|defect| defect.kind).collect()
}

/// A sound plan, a damage to it, and the expected defect.
type Damage = (fn() -> InstancePlan, fn(&mut InstancePlan), DefectKind);

/// Checks that each damage is reported as this defect, perhaps among others.
fn check(cases: &[Damage]) {
    for (at, (sound, damage, fault)) in cases.iter().enumerate() {
        let mut plan = sound();
        assert_eq!(faults(plan.clone()), [], "case {at}");
        damage(&mut plan);
        let found = faults(plan);
        assert!(
            found.contains(fault),
            "case {at}: {found:?} lacks {fault:?}"
        );
    }
}

#[test]
fn damaged_verdicts_are_detected() {
    check(&[
        (
            opens,
            |p| p.verdict = Verdict::InSync,
            DefectKind::UnwantedCalls,
        ),
        (
            opens,
            |p| p.verdict = Verdict::InSync,
            DefectKind::NotInSync,
        ),
        (
            opens,
            |p| p.mode = Mode::Observe,
            DefectKind::Mode(Mode::Observe),
        ),
        (
            opens,
            |p| p.verdict = Verdict::Observed,
            DefectKind::Mode(Mode::Additive),
        ),
        (opens, |p| p.changes.truncate(1), DefectKind::Changes),
        (opens, |p| p.changes.reverse(), DefectKind::Changes),
        (opens, |p| p.exposure.gained.clear(), DefectKind::Exposure),
        (
            opens,
            |p| p.incomplete = Some("?".into()),
            DefectKind::Incomplete,
        ),
        (
            opens,
            |p| p.after = p.before.firewall().clone(),
            DefectKind::Needless,
        ),
        (
            narrows,
            |p| p.before = LiveFirewall::default(),
            DefectKind::Changes,
        ),
        (
            narrows,
            |p| p.changes[0].after = Sources::anywhere(),
            DefectKind::Changes,
        ),
        (
            grows,
            |p| {
                let odd = PortState {
                    protocol: "TCP".into(),
                    ..PortState::canonical(key(22), &p.changes[0].before)
                };
                p.before = LiveFirewall::read(&[odd]);
            },
            DefectKind::Uncertainty(key(22), Uncertainty::Spelling),
        ),
    ]);
}

/// A plan with one Put that only changes the spelling.
fn respells() -> InstancePlan {
    let wanted = firewall(&[(22, &["10.0.0.0/8"]), (80, &["::/0"])]);
    let halves = &["10.0.0.0/9", "10.128.0.0/9"][..];
    let before = firewall(&[(22, halves), (80, &["::/0"])]);
    let options = PlanOptions {
        strict_spelling: true,
        ..PlanOptions::default()
    };
    let before = LiveFirewall::from(&before);
    planned_as(options, Mode::Authoritative, &before, &wanted)
}

/// A plan with one Open that only changes the spelling.
fn respells_by_opening() -> InstancePlan {
    let options = PlanOptions {
        strict_spelling: true,
        ..PlanOptions::default()
    };
    let before = LiveFirewall::from(&firewall(&[(22, &["10.0.0.0/8"])]));
    let wanted = firewall(&[(22, &["10.0.0.0/8", "10.1.0.0/16"])]);
    planned_as(options, Mode::Authoritative, &before, &wanted)
}

#[test]
fn strict_spelling_is_checked() {
    check(&[
        (
            respells,
            |p| p.strict_spelling = false,
            DefectKind::Needless,
        ),
        (respells, |p| p.strict_spelling = false, DefectKind::Changes),
        (respells, |p| p.changes.clear(), DefectKind::Changes),
        (
            respells,
            |p| p.calls = vec![open(80, &["::/0"])],
            DefectKind::Result,
        ),
        (
            respells,
            |p| p.mode = Mode::Additive,
            DefectKind::Mode(Mode::Additive),
        ),
        (
            respells,
            |p| {
                p.verdict = Verdict::InSync;
                p.calls.clear();
                p.changes.clear();
            },
            DefectKind::NotInSync,
        ),
        (
            grows,
            |p| {
                p.strict_spelling = true;
                p.before = LiveFirewall::from(&p.after);
                p.changes.clear();
                p.exposure = Diff::default();
            },
            DefectKind::Needless,
        ),
    ]);
}

#[test]
fn instances_must_be_sorted_and_unique() {
    let with = |name: &str, arn: &str| {
        let mut plan = grows();
        plan.instance.id.name = name.into();
        plan.instance.arn = arn.into();
        plan
    };
    let shown = |instances: Vec<InstancePlan>| -> Vec<String> {
        let plan = Plan {
            instances,
            ..Plan::default()
        };
        lint(&plan).iter().map(ToString::to_string).collect()
    };
    let order = "the instances are not in order, or one is listed twice";
    assert_eq!(shown(vec![with("a", "1"), with("b", "2")]), [""; 0]);
    assert_eq!(shown(vec![with("b", "1"), with("a", "2")]), [order]);
    assert_eq!(shown(vec![with("a", "1"), with("a", "2")]), [order]);
    assert_eq!(
        shown(vec![with("a", "1"), with("b", "1")]),
        ["eu-central-1/b: another instance of the plan has the same ARN"]
    );
}

#[test]
fn unreadable_instances_must_be_sorted_and_unique() {
    let read = grows();
    let unread = |name: &str| {
        let id = InstanceId {
            name: name.into(),
            ..read.instance.id.clone()
        };
        let reason = "no answer".to_owned();
        (id, crate::model::Unreadable::new(reason))
    };
    let faults = |names: &[&str]| -> Vec<DefectKind> {
        let plan = Plan {
            instances: vec![read.clone()],
            unreadable: names.iter().map(|name| unread(name)).collect(),
            ..Plan::default()
        };
        lint(&plan).into_iter().map(|defect| defect.kind).collect()
    };
    let name = read.instance.id.name.as_str();
    assert_eq!(faults(&[]), []);
    assert_eq!(faults(&["a", "b", "z"]), []);
    assert_eq!(faults(&["b", "a"]), [DefectKind::Order]);
    assert_eq!(faults(&["a", "a"]), [DefectKind::Order]);
    assert_eq!(faults(&["a", name]), [DefectKind::Order]);
}

fn sources(texts: &[&str]) -> Sources {
    let all = firewall(&[(1, texts)]);
    all.get(key(1)).cloned().unwrap_or_default()
}

fn open(port: i32, texts: &[&str]) -> Call {
    Call::Open {
        key: key(port),
        sources: sources(texts),
    }
}

fn close(port: i32, texts: &[&str]) -> Call {
    Call::Close {
        key: key(port),
        sources: sources(texts),
    }
}

fn put(firewall: &Firewall) -> Call {
    Call::Put {
        firewall: firewall.clone(),
    }
}

proptest! {
    #[test]
    fn plans_of_the_planner_have_no_defect(small in plans(Universe::Small), big in plans(Universe::Big)) {
        prop_assert_eq!(lint(&small), []);
        prop_assert_eq!(lint(&big), []);
    }

    #[test]
    fn plan_with_an_exchanged_part_has_a_defect(
        (plan, at, damage) in plans(Universe::Small)
            .prop_filter("something changes", |plan| plan.instances.iter().any(|i| i.verdict == Verdict::Change))
            .prop_flat_map(|plan| (Just(plan), 0..4_usize, 0..9_u8)),
    ) {
        let mut damaged = plan.clone();
        let changing: Vec<&mut InstancePlan> =
            damaged.instances.iter_mut().filter(|i| i.verdict == Verdict::Change).collect();
        let count = changing.len();
        let target = changing.into_iter().nth(at % count).expect("below the count");
        let world = Change { action: ChangeKind::Add, key: Key::ALL, before: Sources::new(), after: Sources::anywhere(), causes: Vec::new() };
        match damage {
            0 => drop(target.calls.pop()),
            1 => target.calls.push(Call::Open { key: Key::ALL, sources: Sources::anywhere() }),
            2 => target.after.set(Key::ALL, sources(&["10.9.9.9"])),
            3 => target.changes.push(world),
            4 => drop(target.exposure.gained.pop().or_else(|| target.exposure.lost.pop())),
            5 => target.verdict = Verdict::InSync,
            6 => target.mode = Mode::Observe,
            7 => target.incomplete = if target.incomplete.is_some() { None } else { Some(String::new()) },
            _ => target.fallback = Some(firewall(&[(9, &["10.9.9.9"])])),
        }
        // A part that is replaced by an equal one is no damage.
        prop_assert!(damaged == plan || !lint(&damaged).is_empty(), "{damaged:?}");
    }
}
