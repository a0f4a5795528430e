//! The ordinary course of things, one situation at a time: what must be sent and how it must end.

mod confirm;
#[path = "../../tests/simulation/engine/decode.rs"]
mod decode;
mod journal;
mod kill;
mod precondition;
mod properties;
pub(crate) mod service;
mod spelling;
mod trouble;

use std::time::{Duration, Instant};

use super::{Clock, Progress as Hears, Settings, Stop, SystemClock, Tools, Validity, run};
use crate::emulator::{OperationProgress, ReadConsistency};
use crate::model::{AddressType, Firewall, InstanceId, InstanceState, LiveFirewall, PortState};
use crate::plan::{Call, InstancePlan, InstanceResult, Outcome, Report};
use service::{Behaviour, Moment, Service, from, plan, rules, tcp};

/// No pauses, and time enough for whatever passes. Where something does not pass, a test sets the time to nothing.
pub(super) fn patient() -> Settings {
    let long = Duration::from_secs(20);
    Settings {
        timeout: long,
        operation_timeout: long,
        proof_timeout: long,
        first_pause: Duration::ZERO,
        ..Settings::default()
    }
}

pub(super) fn hasty() -> Settings {
    let none = Duration::ZERO;
    Settings {
        timeout: none,
        operation_timeout: none,
        proof_timeout: none,
        ..patient()
    }
}

pub(super) fn before() -> Firewall {
    rules(&[(22, &["192.0.2.1/32"])])
}

pub(super) fn after() -> Firewall {
    rules(&[(22, &["192.0.2.1/32"]), (443, &["0.0.0.0/0"])])
}

pub(super) fn elsewhere() -> Firewall {
    rules(&[(22, &["192.0.2.1/32"]), (8080, &["198.51.100.0/24"])])
}

pub(super) fn open() -> Call {
    Call::Open {
        key: tcp(443),
        sources: from(&["0.0.0.0/0"]),
    }
}

pub(super) fn put() -> Call {
    Call::Put { firewall: after() }
}

/// `web`, to be opened, with the fallback.
pub(super) fn opening(service: &Service, behaviour: Behaviour) -> InstancePlan {
    let plan = service.add("web", &before(), &after(), behaviour);
    InstancePlan {
        calls: vec![open()],
        fallback: Some(after()),
        ..plan
    }
}

/// Nobody listens, nothing is kept.
pub(super) fn tools<'a>(
    service: &'a Service,
    settings: &'a Settings,
    stop: &'a Stop,
) -> Tools<'a, Service, Service> {
    Tools {
        reader: service,
        writer: service,
        journal: &(),
        progress: &(),
        settings,
        stop,
        validity: Validity::UNLIMITED,
        clock: service,
    }
}

pub(super) async fn go(
    service: &Service,
    instances: Vec<InstancePlan>,
    settings: Settings,
) -> Report {
    run(&plan(instances), &tools(service, &settings, &Stop::new())).await
}

/// Runs the opening of `web`: its result, and every write that arrived.
pub(super) async fn opened(
    behaviour: Behaviour,
    settings: Settings,
) -> (InstanceResult, Vec<Call>) {
    let service = Service::default();
    let plan = opening(&service, behaviour);
    let report = go(&service, vec![plan], settings).await;
    (
        report.results[0].clone(),
        service.host("web", |host| host.writes.clone()),
    )
}

pub(super) fn message(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied { .. } | Outcome::AlreadyApplied => String::new(),
        other => other.reason().map(String::from).unwrap_or_default(),
    }
}

pub(super) const APPLIED: Outcome = Outcome::Applied { repaired: None };

/// Which instance it is, is asked right before the write. After an Open or a Close, somebody else may have added to the same
/// key.
#[tokio::test(flavor = "current_thread")]
async fn change_costs_one_write_and_three_or_four_reads() {
    let close = Call::Close {
        key: tcp(22),
        sources: from(&["192.0.2.1/32"]),
    };
    let shut = rules(&[(443, &["0.0.0.0/0"])]);
    for (before, call, after, last) in [
        (before(), put(), after(), None),
        (before(), open(), after(), Some("GetOperationsForResource")),
        (after(), close, shut, Some("GetOperationsForResource")),
    ] {
        let service = Service::default();
        let action = call.action();
        let plan = InstancePlan {
            calls: vec![call],
            ..service.add("web", &before, &after, Behaviour::default())
        };
        let report = go(&service, vec![plan], patient()).await;
        assert_eq!(report.results[0].outcome, APPLIED);
        assert_eq!(
            (report.results[0].writes, report.results[0].operations.len()),
            (1, 1)
        );
        let mut requests = vec![
            "GetInstancePortStates",
            "GetInstance",
            action,
            "GetInstancePortStates",
        ];
        requests.extend(last);
        service.host("web", |host| {
            assert_eq!(host.rules, after);
            assert_eq!(host.requests, requests);
        });
    }
}

#[tokio::test(flavor = "current_thread")]
async fn applied_change_is_not_written_again() {
    let service = Service::default();
    let plan = opening(&service, Behaviour::default());
    service.host("web", |host| host.rules = after());
    let report = go(&service, vec![plan], patient()).await;
    assert_eq!(
        (&report.results[0].outcome, report.results[0].writes),
        (&Outcome::AlreadyApplied, 0)
    );
}

#[tokio::test(flavor = "current_thread")]
async fn stale_plan_is_refused_with_the_difference() {
    let service = Service::default();
    let plan = opening(&service, Behaviour::default());
    service.host("web", |host| host.rules = elsewhere());
    let report = go(&service, vec![plan], patient()).await;
    let said = "tcp/8080 is open to 198.51.100.0/24";
    assert_eq!(report.results[0].outcome, Outcome::Stale(said.into()));
    assert!(service.host("web", |host| host.writes.is_empty()));
}

#[tokio::test(flavor = "current_thread")]
async fn replaced_instance_is_stale() {
    let cases: [fn(&mut service::Host); 2] = [
        |host| host.instance.arn = "arn:other".into(),
        |host| host.instance.address_type = AddressType::Ipv6,
    ];
    for change in cases {
        let service = Service::default();
        let plan = opening(&service, Behaviour::default());
        service.host("web", change);
        let report = go(&service, vec![plan], patient()).await;
        assert!(
            matches!(report.results[0].outcome, Outcome::Stale(_)),
            "{report:?}"
        );
        assert!(service.host("web", |host| host.writes.is_empty()));
    }
    let (service, other) = (Service::default(), Service::default());
    let report = go(
        &other,
        vec![opening(&service, Behaviour::default())],
        patient(),
    )
    .await;
    assert_eq!(
        report.results[0].outcome,
        Outcome::Stale("the instance is gone".into())
    );
}

#[tokio::test(flavor = "current_thread")]
async fn operations_are_waited_for() {
    let slow = Behaviour {
        invisible: 2,
        operations: OperationProgress::AfterReads(2),
        ..Behaviour::default()
    };
    assert_eq!(opened(slow, patient()).await.0.outcome, APPLIED);

    let failing = Behaviour {
        operations: OperationProgress::Fails(0),
        ..Behaviour::default()
    };
    let (result, writes) = opened(failing, patient()).await;
    let Outcome::Failed(failure) = result.outcome else {
        panic!("{result:?}")
    };
    assert_eq!(failure.code.as_deref(), Some("InternalError"));
    assert!(
        failure
            .message
            .contains("the rules are as they were before it"),
        "{failure:?}"
    );
    assert_eq!(writes, [open()]);

    let endless = Behaviour {
        operations: OperationProgress::Explicit,
        ..Behaviour::default()
    };
    let (result, writes) = opened(endless, hasty()).await;
    assert!(
        message(&result.outcome).contains("has not ended"),
        "{result:?}"
    );
    assert_eq!(writes, [open()]);
}

#[tokio::test(flavor = "current_thread")]
async fn after_a_differing_read_two_reads_must_agree() {
    let service = Service::default();
    let plan = opening(
        &service,
        Behaviour {
            reads: ReadConsistency::Lag,
            ..Behaviour::default()
        },
    );
    assert_eq!(
        go(&service, vec![plan], patient()).await.results[0].outcome,
        APPLIED
    );
    // The old view comes twice, so it is asked whether that is another writer, and again in the end.
    let requests = service.host("web", |host| host.requests.clone());
    assert_eq!(requests.len(), 2 + 1 + 2 + 1 + 2 + 1);
    assert_eq!(requests.last(), Some(&"GetOperationsForResource"));
}

#[tokio::test(flavor = "current_thread")]
async fn instances_that_are_starting_are_waited_for() {
    let states = vec![
        (Moment::Look(0), InstanceState::Pending),
        (Moment::Look(2), InstanceState::Running),
    ];
    let service = Service::default();
    let mut plan = opening(
        &service,
        Behaviour {
            states,
            ..Behaviour::default()
        },
    );
    plan.instance.state = InstanceState::Pending;
    let other = service.add("other", &before(), &after(), Behaviour::default());
    let other = InstancePlan {
        calls: vec![put()],
        ..other
    };
    let report = go(&service, vec![plan.clone(), other.clone()], patient()).await;
    assert!(
        report
            .results
            .iter()
            .all(|result| result.outcome == APPLIED),
        "{report:?}"
    );
    let names: Vec<&str> = report
        .results
        .iter()
        .map(|result| result.id.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["web", "other"],
        "in the order of the plan, not of the endings"
    );

    // One that never gets there is reported, and holds up nobody.
    let service = Service::default();
    let web = opening(&service, Behaviour::default());
    service.host("web", |host| host.instance.state = InstanceState::Stopping);
    service.add("other", &before(), &after(), Behaviour::default());
    let web = InstancePlan {
        instance: plan.instance,
        ..web
    };
    let report = go(&service, vec![web, other], hasty()).await;
    assert!(
        message(&report.results[0].outcome).contains("still `stopping`"),
        "{report:?}"
    );
    assert_eq!(report.results[1].outcome, APPLIED);
}

#[tokio::test(flavor = "current_thread")]
async fn unreadable_entries_do_not_prevent_verification() {
    let strange = PortState {
        from_port: 5,
        to_port: 5,
        protocol: "sctp".into(),
        ..PortState::default()
    };
    let service = Service::default();
    let plan = opening(&service, Behaviour::default());
    service.host("web", |host| host.extra = vec![strange.clone()]);
    let mut states = vec![strange];
    states.extend(
        before()
            .iter()
            .map(|(key, sources)| PortState::canonical(*key, sources)),
    );
    let plan = InstancePlan {
        before: LiveFirewall::read(&states),
        ..plan
    };
    assert_eq!(
        go(&service, vec![plan], patient()).await.results[0].outcome,
        APPLIED
    );
}

/// Asks to stop as soon as something is begun.
struct StopAtOnce<'a>(&'a Stop);

fn stopping<'a>(
    service: &'a Service,
    settings: &'a Settings,
    progress: &'a StopAtOnce<'a>,
) -> Tools<'a, Service, Service> {
    Tools {
        reader: service,
        writer: service,
        journal: &(),
        progress,
        settings,
        stop: progress.0,
        validity: Validity::UNLIMITED,
        clock: service,
    }
}

impl Hears for StopAtOnce<'_> {
    fn waiting(&self, _: &InstanceId, _: &str) {
        self.0.set();
    }
}

#[tokio::test(flavor = "current_thread")]
async fn stop_finishes_started_instances_and_starts_no_other() {
    let service = Service::default();
    let first = opening(
        &service,
        Behaviour {
            operations: OperationProgress::AfterReads(1),
            ..Behaviour::default()
        },
    );
    let second = service.add("second", &before(), &after(), Behaviour::default());
    let second = InstancePlan {
        calls: vec![put()],
        ..second
    };
    let (stop, settings) = (
        Stop::new(),
        Settings {
            concurrency: 1,
            ..patient()
        },
    );
    let plan = plan(vec![first, second]);
    let report = run(&plan, &stopping(&service, &settings, &StopAtOnce(&stop))).await;
    assert!(report.interrupted);
    assert_eq!(report.results[0].outcome, APPLIED);
    assert!(
        matches!(report.results[1].outcome, Outcome::NotStarted(_)),
        "{report:?}"
    );
    assert!(service.host("second", |host| host.requests.is_empty()));
}

#[tokio::test(flavor = "current_thread")]
async fn stop_ends_waiting_before_the_first_write() {
    let service = Service::default();
    let mut plan = opening(&service, Behaviour::default());
    plan.instance.state = InstanceState::Pending;
    service.host("web", |host| host.instance.state = InstanceState::Pending);
    let stop = Stop::new();
    let settings = Settings {
        first_pause: Duration::from_secs(5),
        ..patient()
    };
    let plan = service::plan(vec![plan]);
    let report = run(&plan, &stopping(&service, &settings, &StopAtOnce(&stop))).await;
    assert!(
        matches!(report.results[0].outcome, Outcome::NotStarted(_)),
        "{report:?}"
    );
    assert!(service.elapsed() < Duration::from_secs(2));
}

#[test]
fn system_clock_advances() {
    let a_while = Duration::from_millis(1);
    let (from, start) = (SystemClock.elapsed(), Instant::now());
    while start.elapsed() < a_while {
        std::hint::spin_loop();
    }
    assert!(SystemClock.elapsed() >= from + a_while);
}
