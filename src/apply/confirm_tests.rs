//! Runs that have to be confirmed: what stays, what is put back, and what is left alone.

use std::future::{pending, ready};
use std::time::Duration;

use super::fake::{self, Behaviour, Fake, Fault, plan, tcp};
use super::tests::{
    APPLIED, after, before, elsewhere, hasty, message, open, opening, patient, put, tools,
};
use super::{Confirmation, Stop, confirm, irreversible, run};
use crate::model::{Firewall, Key, LiveFirewall, PortState, Protocol};
use crate::plan::{Call, InstancePlan, Outcome, Plan, Report};

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
    assert_eq!(report.results[0].operations, ["op-0", "op-1"]);

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
async fn only_our_own_changes_are_undone() {
    let with = |more: &[(i32, &[&str])]| {
        let mut firewall = after();
        for (key, sources) in &fake::rules(more) {
            firewall.set(*key, sources.clone());
        }
        firewall
    };
    let theirs: (i32, &[&str]) = (8080, &["198.51.100.0/24"]);
    // What somebody else made of it meanwhile, what is left of that, and how many writes it took to undo ours.
    for (live, left, writes, said) in [
        (with(&[theirs]), elsewhere(), 1, "tcp/8080 is open to"),
        (
            elsewhere(),
            elsewhere(),
            0,
            "nothing of it was left; changed",
        ),
        (
            with(&[(443, &["0.0.0.0/0", "::/0"])]),
            fake::rules(&[(22, &["192.0.2.1/32"]), (443, &["::/0"])]),
            1,
            "tcp/443 is open to ::/0",
        ),
        (
            with(&[(22, &["192.0.2.2/32"])]),
            fake::rules(&[(22, &["192.0.2.2/32"])]),
            1,
            "tcp/22 is open to 192.0.2.2/32, not to 192.0.2.1/32",
        ),
    ] {
        let change = |fake: &Fake| fake.host("web", |host| host.rules = live.clone());
        let (report, fake) = confirmed(Behaviour::default(), change, LONG, denied()).await;
        let result = &report.results[0];
        let text = message(&result.outcome);
        assert!(matches!(result.outcome, Outcome::Reverted(_)), "{report:?}");
        assert!(
            text.starts_with("the probe failed") && text.contains(said),
            "{text}"
        );
        assert_eq!((rules(&fake), result.writes), (left, 1 + writes));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_stays_open_through_the_rule_of_somebody_else_is_not_called_undone() {
    let wide = fake::from(&["0.0.0.0/0"]);
    let range = Key::new(Protocol::Tcp, 400, 500).expect("a range");
    let join = |fake: &Fake| {
        fake.host("web", |host| {
            host.rules = before();
            host.rules.set(range, wide.clone());
        });
    };
    let (report, fake) = confirmed(Behaviour::default(), join, LONG, denied()).await;
    let said = message(&report.results[0].outcome);
    assert!(
        matches!(report.results[0].outcome, Outcome::ForeignWriter(_)),
        "{report:?}"
    );
    assert!(
        said.contains("stays open") && said.contains("tcp/443"),
        "{said}"
    );
    assert_eq!(rules(&fake).get(range), Some(&wide));
}

#[tokio::test(flavor = "current_thread")]
async fn an_instance_that_was_replaced_meanwhile_is_left_alone() {
    let replace = |fake: &Fake| fake.host("web", |host| host.instance.arn = "arn:other".into());
    let (report, fake) = confirmed(Behaviour::default(), replace, LONG, denied()).await;
    let said = message(&report.results[0].outcome);
    assert!(said.contains("another instance"), "{said}");
    assert_eq!((rules(&fake), report.results[0].writes), (after(), 1));
}

#[tokio::test(flavor = "current_thread")]
async fn a_run_that_failed_half_way_is_undone_too() {
    let fake = Fake::default();
    let (first, second) = (open(), fake::from(&["0.0.0.0/0"]));
    let both = fake::rules(&[
        (22, &["192.0.2.1/32"]),
        (80, &["0.0.0.0/0"]),
        (443, &["0.0.0.0/0"]),
    ]);
    let behaviour = Behaviour {
        faults: vec![Fault::Fine, Fault::Denied, Fault::Fine],
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
        ..fake.add("web", &before(), &both, behaviour)
    };
    let plan = plan(vec![web]);
    let (settings, stop) = (patient(), Stop::new());
    let tools = tools(&fake, &settings, &stop);
    let report = run(&plan, &tools).await;
    assert!(matches!(report.results[0].outcome, Outcome::Failed(_)));
    let report = confirm(&plan, report, &tools, LONG, denied()).await;
    let said = message(&report.results[0].outcome);
    assert!(
        matches!(report.results[0].outcome, Outcome::Reverted(_)),
        "{report:?}"
    );
    assert!(
        said.contains("as the test wishes") && said.contains("the probe failed"),
        "{said}"
    );
    assert_eq!(rules(&fake), before());
}

#[tokio::test(flavor = "current_thread")]
async fn who_writes_while_it_is_undone_is_left_alone_and_it_is_undone_all_the_same() {
    // The run takes three requests; the way back begins with the instance and its rules.
    for (request, shown) in [(4, true), (5, true), (6, false), (7, true), (8, true)] {
        let mut rules = after();
        rules.set(tcp(8080), fake::from(&["198.51.100.0/24"]));
        let behaviour = Behaviour {
            foreign: Some((request, rules.clone(), shown)),
            ..Behaviour::default()
        };
        let fake = Fake::default();
        let plan = plan(vec![opening(&fake, behaviour)]);
        let (settings, stop) = (hasty(), Stop::new());
        let tools = tools(&fake, &settings, &stop);
        let report = run(&plan, &tools).await;
        let report = confirm(&plan, report, &tools, LONG, denied()).await;
        let result = &report.results[0];
        assert!(
            matches!(result.outcome, Outcome::Reverted(_)),
            "{request}: {report:?}"
        );
        let rules = self::rules(&fake);
        assert_eq!(rules.get(tcp(443)), None, "{request}");
        // A Close leaves the other rules as they are, whoever wrote them and when.
        assert_eq!(rules, elsewhere(), "{request}");
    }
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
async fn what_cannot_be_brought_back_is_named() {
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
            assert!(said.contains("cannot be written again"), "{said}");
            assert_eq!(rules(&fake), before());
        }
    }
}
