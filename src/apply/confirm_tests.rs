//! Runs that have to be confirmed: what stays, what is put back, and what is left alone.

use std::future::{pending, ready};
use std::time::Duration;

use super::fake::{Behaviour, Fake, Fault, plan};
use super::tests::{APPLIED, after, before, elsewhere, message, opening, patient, put, tools};
use super::{Confirmation, Stop, confirm, irreversible, run};
use crate::model::{Firewall, LiveFirewall, PortState};
use crate::plan::{InstancePlan, Outcome, Plan, Report};

const LONG: Duration = Duration::from_mins(1);

/// Runs the opening of `web`, lets something happen, and asks for confirmation.
async fn confirmed(
    behaviour: Behaviour,
    meanwhile: impl FnOnce(&Fake),
    within: Duration,
    confirmation: impl Future<Output = Confirmation>,
) -> (Report, Fake) {
    let fake = Fake::default();
    let plan = plan(vec![opening(&fake, behaviour)]);
    let (settings, stop) = (patient(), Stop::new());
    let report = {
        let tools = tools(&fake, &settings, &stop);
        let report = run(&plan, &tools).await;
        meanwhile(&fake);
        confirm(&plan, report, &tools, within, confirmation).await
    };
    (report, fake)
}

fn rules(fake: &Fake) -> Firewall {
    fake.host("web", |host| host.rules.clone())
}

fn denied() -> impl Future<Output = Confirmation> {
    ready(Confirmation::Denied("the probe failed".to_owned()))
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_confirmed_stays() {
    let given = ready(Confirmation::Given);
    let (report, fake) = confirmed(Behaviour::default(), |_| {}, LONG, given).await;
    assert_eq!(report.results[0].outcome, APPLIED);
    assert_eq!(rules(&fake), after());
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_not_confirmed_is_put_back() {
    let (report, fake) = confirmed(Behaviour::default(), |_| {}, Duration::ZERO, pending()).await;
    let why = "nobody confirmed it within 0 s";
    assert_eq!(report.results[0].outcome, Outcome::Reverted(why.into()));
    assert_eq!((rules(&fake), report.results[0].writes), (before(), 2));
    assert_eq!(report.results[0].operations.len(), 2);

    let (report, fake) = confirmed(Behaviour::default(), |_| {}, LONG, denied()).await;
    let why = "the probe failed".to_owned();
    assert_eq!(report.results[0].outcome, Outcome::Reverted(why));
    assert_eq!(rules(&fake), before());
}

#[tokio::test(flavor = "current_thread")]
async fn the_wish_to_stop_is_no_confirmation_and_does_not_stop_the_way_back() {
    let fake = Fake::default();
    let plan = plan(vec![opening(&fake, Behaviour::default())]);
    let (settings, stop) = (patient(), Stop::new());
    let tools = tools(&fake, &settings, &stop);
    let report = run(&plan, &tools).await;
    stop.set();
    let report = confirm(&plan, report, &tools, LONG, ready(Confirmation::Given)).await;
    let said = message(&report.results[0].outcome);
    assert!(said.contains("interrupted"), "{report:?}");
    assert_eq!(rules(&fake), before());
}

#[tokio::test(flavor = "current_thread")]
async fn another_spelling_of_what_was_written_is_put_back_all_the_same() {
    let respell = |fake: &Fake| {
        fake.host("web", |host| {
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
    let (report, fake) = confirmed(Behaviour::default(), respell, LONG, denied()).await;
    assert!(
        matches!(report.results[0].outcome, Outcome::Reverted(_)),
        "{report:?}"
    );
    assert!(fake.host("web", |host| host.extra.is_empty()));
    assert_eq!(rules(&fake), before());
}

#[tokio::test(flavor = "current_thread")]
async fn what_somebody_else_changed_meanwhile_is_left_alone() {
    let change = |fake: &Fake| fake.host("web", |host| host.rules = elsewhere());
    let (report, fake) = confirmed(Behaviour::default(), change, LONG, denied()).await;
    let said = message(&report.results[0].outcome);
    assert!(
        matches!(report.results[0].outcome, Outcome::ForeignWriter(_)),
        "{report:?}"
    );
    assert!(said.contains("not put back"), "{said}");
    assert_eq!((rules(&fake), report.results[0].writes), (elsewhere(), 1));

    let replace = |fake: &Fake| fake.host("web", |host| host.instance.arn = "arn:other".into());
    let (report, fake) = confirmed(Behaviour::default(), replace, LONG, denied()).await;
    let said = message(&report.results[0].outcome);
    assert!(said.contains("another instance"), "{said}");
    assert_eq!(rules(&fake), after());
}

#[tokio::test(flavor = "current_thread")]
async fn a_way_back_that_fails_is_a_failure() {
    let behaviour = Behaviour {
        faults: vec![Fault::Fine, Fault::Denied],
        ..Behaviour::default()
    };
    let (report, fake) = confirmed(behaviour, |_| {}, LONG, denied()).await;
    let said = message(&report.results[0].outcome);
    assert!(said.contains("putting it back failed"), "{said}");
    assert_eq!(rules(&fake), after());
}

#[tokio::test(flavor = "current_thread")]
async fn who_wrote_nothing_is_not_asked() {
    let change = |fake: &Fake| fake.host("web", |host| host.requests.clear());
    let behaviour = Behaviour {
        faults: vec![Fault::Denied],
        ..Behaviour::default()
    };
    let (report, fake) = confirmed(behaviour, change, LONG, pending()).await;
    assert!(matches!(report.results[0].outcome, Outcome::Failed(_)));
    assert!(fake.host("web", |host| host.requests.is_empty()));
}

#[tokio::test(flavor = "current_thread")]
async fn a_lost_write_without_effect_stays_a_failure() {
    let behaviour = Behaviour {
        faults: vec![Fault::LostBefore],
        ..Behaviour::default()
    };
    let (report, fake) = confirmed(behaviour, |_| {}, LONG, denied()).await;
    assert!(
        matches!(report.results[0].outcome, Outcome::Failed(_)),
        "{report:?}"
    );
    assert_eq!(rules(&fake), before());
}

#[tokio::test(flavor = "current_thread")]
async fn what_one_put_cannot_bring_back_is_named_and_not_touched() {
    let strange = |protocol: &str| PortState {
        from_port: 5,
        to_port: 5,
        protocol: protocol.into(),
        ..PortState::default()
    };
    let fake = Fake::default();
    let reversible = InstancePlan {
        calls: vec![put()],
        ..fake.add("web", &before(), &after(), Behaviour::default())
    };
    let plan_of = |plan: InstancePlan| Plan {
        instances: vec![plan],
        ..Plan::default()
    };
    assert_eq!(irreversible(&plan_of(reversible.clone())), []);
    for (protocol, reason) in [("sctp", "does not know"), ("tcp", "names no source")] {
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

        fake.host("web", |host| {
            host.rules = before();
            host.extra = vec![strange(protocol)];
            host.writes.clear();
        });
        let (settings, stop) = (patient(), Stop::new());
        let tools = tools(&fake, &settings, &stop);
        let report = run(&plan, &tools).await;
        let report = confirm(&plan, report, &tools, LONG, denied()).await;
        let said = message(&report.results[0].outcome);
        if report.results[0].writes > 0 {
            assert!(said.contains("cannot be put back"), "{said}");
        }
        assert!(fake.host("web", |host| host.writes.len()) <= 1);
    }
}
