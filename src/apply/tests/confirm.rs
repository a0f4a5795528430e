//! Runs that have to be confirmed: what stays, what is put back, and what is left alone.

mod other_writers;

use std::cell::{Cell, RefCell};
use std::future::{pending, ready};
use std::io;
use std::time::Duration;

use super::precondition::Script;
use super::service::{self, Behaviour, DENIED, FINE, LOST_BEFORE, Service, plan, tcp};
use super::{
    APPLIED, after, before, elsewhere, hasty, message, open, opening, patient, put, tools,
};
use crate::apply::receipt::entries;
use crate::apply::{
    Confirmation, Intent, Journal, Stop, Tools, Validity, confirm, irreversible, run,
};
use crate::model::{Firewall, Key, LiveFirewall, PortState, Protocol};
use crate::plan::{Call, InstancePlan, Outcome, Plan, Report};

const LONG: Duration = Duration::from_mins(1);

/// Runs the opening of `web`, lets something happen, and asks for confirmation.
async fn confirmed(
    behaviour: Behaviour,
    meanwhile: impl FnOnce(&Service),
    within: Duration,
    confirmation: impl Future<Output = Confirmation>,
) -> (Report, Service) {
    let service = Service::default();
    let plan = plan(vec![opening(&service, behaviour)]);
    let (settings, stop) = (patient(), Stop::new());
    let report = {
        let tools = tools(&service, &settings, &stop);
        let report = run(&plan, &tools).await;
        meanwhile(&service);
        confirm(&plan, report, &tools, within, confirmation).await
    };
    (report, service)
}

fn rules(service: &Service) -> Firewall {
    service.host("web", |host| host.rules.clone())
}

fn denied() -> impl Future<Output = Confirmation> {
    ready(Confirmation::Denied("the probe failed".to_owned()))
}

#[tokio::test(flavor = "current_thread")]
async fn confirmed_writes_stay() {
    let given = ready(Confirmation::Given);
    let (report, service) = confirmed(Behaviour::default(), |_| {}, LONG, given).await;
    assert_eq!(report.results[0].outcome, APPLIED);
    assert_eq!(rules(&service), after());
}

#[tokio::test(flavor = "current_thread")]
async fn unconfirmed_writes_are_reverted() {
    let (report, service) =
        confirmed(Behaviour::default(), |_| {}, Duration::ZERO, pending()).await;
    let why = "nobody confirmed it within 0 s";
    assert_eq!(report.results[0].outcome, Outcome::Reverted(why.into()));
    assert_eq!((rules(&service), report.results[0].writes), (before(), 2));
    assert_eq!(report.results[0].operations, service.operations("web"));

    let (report, service) = confirmed(Behaviour::default(), |_| {}, LONG, denied()).await;
    let why = "the probe failed".to_owned();
    assert_eq!(report.results[0].outcome, Outcome::Reverted(why));
    assert_eq!(rules(&service), before());
}

#[tokio::test(flavor = "current_thread")]
async fn stop_reverts_unconfirmed_writes() {
    let service = Service::default();
    let plan = plan(vec![opening(&service, Behaviour::default())]);
    let (settings, stop) = (patient(), Stop::new());
    let tools = tools(&service, &settings, &stop);
    let report = run(&plan, &tools).await;
    stop.set();
    let report = confirm(&plan, report, &tools, LONG, ready(Confirmation::Given)).await;
    let said = message(&report.results[0].outcome);
    assert!(said.contains("interrupted"), "{report:?}");
    assert_eq!(rules(&service), before());
}

#[tokio::test(flavor = "current_thread")]
async fn rules_in_another_spelling_are_reverted() {
    let respell = |service: &Service| {
        service.host("web", |host| {
            host.rules = before();
            host.extra = vec![PortState {
                from_port: 443,
                to_port: 443,
                protocol: "TCP".into(),
                cidrs: vec!["0.0.0.0/1".into(), "128.0.0.1/1".into()],
                ..PortState::default()
            }];
        });
    };
    let (report, service) = confirmed(Behaviour::default(), respell, LONG, denied()).await;
    assert!(
        matches!(report.results[0].outcome, Outcome::Reverted(_)),
        "{report:?}"
    );
    assert!(service.host("web", |host| host.extra.is_empty()));
    assert_eq!(rules(&service), before());
}

#[tokio::test(flavor = "current_thread")]
async fn replaced_instance_is_not_reverted() {
    let replace =
        |service: &Service| service.host("web", |host| host.instance.arn = "arn:other".into());
    let (report, service) = confirmed(Behaviour::default(), replace, LONG, denied()).await;
    let said = message(&report.results[0].outcome);
    assert!(said.contains("another instance"), "{said}");
    assert_eq!((rules(&service), report.results[0].writes), (after(), 1));
}

/// Two calls of which the second is refused, something that happens, and the way back.
async fn half_way(meanwhile: impl FnOnce(&Service)) -> (Report, Service) {
    let service = Service::default();
    let (first, second) = (open(), service::from(&["0.0.0.0/0"]));
    let both = service::rules(&[
        (22, &["192.0.2.1/32"]),
        (80, &["0.0.0.0/0"]),
        (443, &["0.0.0.0/0"]),
    ]);
    let behaviour = Behaviour {
        faults: vec![FINE, DENIED, FINE],
        ..Behaviour::default()
    };
    let web = InstancePlan {
        calls: vec![
            first,
            Call::Open {
                key: tcp(80),
                sources: second,
            },
        ],
        ..service.add("web", &before(), &both, behaviour)
    };
    let plan = plan(vec![web]);
    let (settings, stop) = (patient(), Stop::new());
    let report = {
        let tools = tools(&service, &settings, &stop);
        let report = run(&plan, &tools).await;
        assert!(matches!(report.results[0].outcome, Outcome::Failed(_)));
        meanwhile(&service);
        confirm(&plan, report, &tools, LONG, denied()).await
    };
    (report, service)
}

/// What failed says more than that somebody else is at work.
#[tokio::test(flavor = "current_thread")]
async fn failure_that_cannot_be_reverted_stays_a_failure() {
    let replace = |service: &Service| {
        service.host("web", |host| host.instance.arn.push_str("-another"));
    };
    let (report, _) = half_way(replace).await;
    let Outcome::Failed(failure) = &report.results[0].outcome else {
        panic!("{report:?}")
    };
    assert_eq!(failure.code.as_deref(), Some("AccessDeniedException"));
    let said = &failure.message;
    let end = "; the probe failed, and it was not put back: another instance has the name now";
    assert!(
        said.contains("is not authorized") && said.contains(end),
        "{said}"
    );
}

#[tokio::test(flavor = "current_thread")]
async fn partly_failed_run_is_reverted() {
    let (report, service) = half_way(|_| {}).await;
    let said = message(&report.results[0].outcome);
    assert!(
        matches!(report.results[0].outcome, Outcome::Reverted(_)),
        "{report:?}"
    );
    assert!(
        said.contains("is not authorized") && said.contains("the probe failed"),
        "{said}"
    );
    assert_eq!(rules(&service), before());
}

#[tokio::test(flavor = "current_thread")]
async fn failed_revert_is_a_failure() {
    let behaviour = Behaviour {
        faults: vec![FINE, DENIED],
        ..Behaviour::default()
    };
    let (report, service) = confirmed(behaviour, |_| {}, LONG, denied()).await;
    let said = message(&report.results[0].outcome);
    assert!(said.contains("putting it back failed"), "{said}");
    assert_eq!(rules(&service), after());
}

#[tokio::test(flavor = "current_thread")]
async fn run_without_writes_needs_no_confirmation() {
    let change = |service: &Service| service.host("web", |host| host.requests.clear());
    let behaviour = Behaviour {
        faults: vec![DENIED],
        ..Behaviour::default()
    };
    let (report, service) = confirmed(behaviour, change, LONG, pending()).await;
    assert!(matches!(report.results[0].outcome, Outcome::Failed(_)));
    assert!(service.host("web", |host| host.requests.is_empty()));
}

#[tokio::test(flavor = "current_thread")]
async fn lost_write_without_effect_stays_a_failure() {
    let behaviour = Behaviour {
        faults: vec![LOST_BEFORE],
        ..Behaviour::default()
    };
    let (report, service) = confirmed(behaviour, |_| {}, LONG, denied()).await;
    assert!(
        matches!(report.results[0].outcome, Outcome::Failed(_)),
        "{report:?}"
    );
    assert_eq!(rules(&service), before());
}

#[tokio::test(flavor = "current_thread")]
async fn irreversible_instances_are_reported() {
    let strange = |protocol: &str| PortState {
        from_port: 5,
        to_port: 5,
        protocol: protocol.into(),
        ..PortState::default()
    };
    let service = Service::default();
    let reversible = InstancePlan {
        calls: vec![put()],
        ..service.add("web", &before(), &after(), Behaviour::default())
    };
    let plan_of = |plan: InstancePlan| Plan {
        instances: vec![plan],
        ..Plan::default()
    };
    assert_eq!(irreversible(&plan_of(reversible.clone())), []);
    for (protocol, reason) in [("sctp", "is unknown to"), ("tcp", "names no source")] {
        let mut states = vec![strange(protocol)];
        let certain = before();
        states.extend(
            certain
                .iter()
                .map(|(key, to)| PortState::canonical(*key, to)),
        );
        let plan = plan_of(InstancePlan {
            before: LiveFirewall::read(&states),
            ..reversible.clone()
        });
        let found = irreversible(&plan);
        assert!(found[0].1.contains(reason), "{found:?}");

        service.host("web", |host| {
            host.rules = before();
            host.extra = vec![strange(protocol)];
            host.writes.clear();
        });
        let (settings, stop) = (patient(), Stop::new());
        let tools = tools(&service, &settings, &stop);
        let report = run(&plan, &tools).await;
        let report = confirm(&plan, report, &tools, LONG, denied()).await;
        let said = message(&report.results[0].outcome);
        if report.results[0].writes > 0 {
            assert!(said.contains("cannot be written again"), "{said}");
            assert_eq!(rules(&service), before());
        }
    }
}

/// One attempt costs its write and six reads, and what it led to is not read again.
#[tokio::test(flavor = "current_thread")]
async fn revert_costs_one_write_and_six_reads() {
    let forget = |service: &Service| {
        service.host("web", |host| host.requests.clear());
        // The operations of the run are long over by then.
        service.pass(Duration::from_hours(1));
    };
    let (_, service) = confirmed(Behaviour::default(), forget, LONG, denied()).await;
    let requests = service.host("web", |host| host.requests.clone());
    assert_eq!(
        requests,
        [
            "GetInstance",
            "GetInstancePortStates",
            "GetInstancePortStates",
            "GetInstance",
            "CloseInstancePublicPorts",
            "GetInstancePortStates",
            "GetOperationsForResource",
        ]
    );
}

/// A write whose reply was lost may have its effect late: one read that shows none is not believed.
#[tokio::test(flavor = "current_thread")]
async fn late_effect_of_a_write_is_reverted() {
    let service = Service::default();
    let behaviour = Behaviour {
        faults: vec![LOST_BEFORE, LOST_BEFORE, LOST_BEFORE, FINE],
        ..Behaviour::default()
    };
    let plan = plan(vec![opening(&service, behaviour)]);
    let clock = Script {
        service: &service,
        rules: RefCell::default(),
    };
    let (settings, stop) = (patient(), Stop::new());
    let tools = Tools {
        clock: &clock,
        ..tools(&service, &settings, &stop)
    };
    let report = run(&plan, &tools).await;
    assert_eq!(
        report.results[0].outcome.status().as_str(),
        "failed",
        "{report:?}"
    );
    // The pause until nobody has confirmed it is the first.
    clock.rules.borrow_mut().extend([before(), after()]);
    let report = confirm(&plan, report, &tools, LONG, denied()).await;
    assert_eq!(
        report.results[0].outcome.status().as_str(),
        "reverted",
        "{report:?}"
    );
    assert_eq!(rules(&service), before());
}

/// There may be no room for what has to come back.
#[tokio::test(flavor = "current_thread")]
async fn revert_fails_if_it_exceeds_the_source_limit() {
    let many = |port: i32, n: u8| {
        let texts: Vec<String> = (0..n)
            .map(|n| format!("10.{}.{n}.1/32", port % 256))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        (tcp(port), service::from(&texts))
    };
    let (key, ours) = many(443, 10);
    let (other, theirs) = many(8080, 55);
    let mut open = before();
    open.set(key, ours.clone());
    let service = Service::default();
    let close = Call::Close { key, sources: ours };
    let web = InstancePlan {
        calls: vec![close],
        ..service.add("web", &open, &before(), Behaviour::default())
    };
    let plan = plan(vec![web]);
    let (settings, stop) = (patient(), Stop::new());
    let tools = tools(&service, &settings, &stop);
    let report = run(&plan, &tools).await;
    service.host("web", |host| host.rules.set(other, theirs));
    let report = confirm(&plan, report, &tools, LONG, denied()).await;
    let Outcome::Failed(failure) = &report.results[0].outcome else {
        panic!("{report:?}")
    };
    assert_eq!(
        failure.message,
        "the probe failed, and putting it back failed: 66 IPv4 sources in all rules, but an instance can have 60 (now 56)"
    );
    let hint = "name fewer, wider networks, or open fewer ports to each of them";
    assert_eq!(failure.hint.as_deref(), Some(hint));
}

/// A Put takes what cannot be read for certain with it, and nothing takes what is of an unknown protocol.
#[test]
fn receipt_entries_include_unreadable_entries_that_a_write_keeps() {
    let strange = |protocol: &str| PortState {
        from_port: 5,
        to_port: 5,
        protocol: protocol.into(),
        ..PortState::default()
    };
    let (doubtful, unknown) = (strange("tcp"), strange("sctp"));
    let known = LiveFirewall::read(&[doubtful.clone(), unknown.clone()]);
    let rules = before();
    let certain = rules.iter();
    let certain = certain.map(|(key, sources)| PortState::canonical(*key, sources));
    let certain: Vec<PortState> = certain.collect();
    for (replaced, left) in [
        (false, vec![doubtful, unknown.clone()]),
        (true, vec![unknown]),
    ] {
        let expected = [certain.clone(), left].concat();
        assert_eq!(entries(&rules, &known, replaced), expected, "{replaced}");
    }
}
