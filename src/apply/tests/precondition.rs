//! What is true when the plan is made and no longer so at the write: which instance it is, what is wanted, who else writes.

mod operations;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use time::OffsetDateTime;

use super::service::{Behaviour, FINE, LOST_BEFORE, NOON, Service, from, id, plan, rules, tcp};
use super::{APPLIED, after, before, elsewhere, message, opening, patient, put};
use crate::apply::own_operations::OwnOperations;
use crate::apply::wait::Backoff;
use crate::apply::{
    Clock, Confirmation, Intent, Journal, Pause, Progress as Hears, Settings, Stop, Tools,
    Validity, confirm, run,
};
use crate::emulator::OperationProgress;
use crate::lightsail::{Operation, OperationStatus};
use crate::model::{Expiry, Firewall, InstanceId, Key, Origin, Protocol, Sources};
use crate::plan::{Call, ForeignWrite, InstancePlan, Outcome, Report};

const MINUTE: Duration = Duration::from_mins(1);

/// So much time passes when an instance is begun, and when a write is about to be sent.
struct Slow<'a> {
    clock: &'a Service,
    begin: Duration,
    write: Duration,
}

impl Hears for Slow<'_> {
    fn started(&self, _: &InstanceId) {
        self.clock.pass(self.begin);
    }
}

impl Journal for Slow<'_> {
    fn intent(&self, _: &Intent<'_>) -> io::Result<usize> {
        self.clock.pass(self.write);
        Ok(0)
    }
}

async fn ran(
    service: &Service,
    instances: Vec<InstancePlan>,
    validity: &Validity,
    (begin, write): (bool, bool),
) -> Report {
    let span = |is_slow| if is_slow { MINUTE } else { Duration::ZERO };
    ran_in(service, instances, validity, (span(begin), span(write))).await
}

async fn ran_in(
    service: &Service,
    instances: Vec<InstancePlan>,
    validity: &Validity,
    (begin, write): (Duration, Duration),
) -> Report {
    let slow = Slow {
        clock: service,
        begin,
        write,
    };
    let settings = Settings {
        concurrency: 1,
        ..patient()
    };
    let tools = Tools {
        reader: service,
        writer: service,
        journal: &slow,
        progress: &slow,
        settings: &settings,
        stop: &Stop::new(),
        validity,
        clock: service,
    };
    run(&plan(instances), &tools).await
}

/// `name` ends so long after noon.
fn ending(name: &str, after: Duration) -> Validity {
    let origin = Origin {
        file: "firewall.toml".into(),
        line: 7,
        column: 1,
    };
    let at = NOON + after;
    Validity {
        ends: [(id(name), Expiry { at, origin })].into(),
        ..Validity::default()
    }
}

/// `web` with a Put, and `db` beside it.
fn two(service: &Service) -> Vec<InstancePlan> {
    let plan = |name| InstancePlan {
        calls: vec![put()],
        ..service.add(name, &before(), &after(), Behaviour::default())
    };
    vec![plan("web"), plan("db")]
}

#[tokio::test(flavor = "current_thread")]
async fn expired_rule_stops_only_its_instance() {
    let said = "the rule at firewall.toml:7 ended at 2026-01-01T12:01:00Z, so something else is wanted by now";
    // It ended while the instance was begun, or while the one before it was worked on.
    for (late, begin) in [("web", true), ("db", true)] {
        let service = Service::default();
        let report = ran(
            &service,
            two(&service),
            &ending(late, MINUTE),
            (begin, false),
        )
        .await;
        for result in &report.results {
            let ended = result.id.name == late;
            let outcome = if ended {
                Outcome::Stale(said.to_owned())
            } else {
                APPLIED
            };
            assert_eq!(result.outcome, outcome, "{late}");
            let writes = service.host(&result.id.name, |host| host.writes.len());
            assert_eq!(writes, usize::from(!ended), "{late}");
        }
    }
    // One instant before its end it is still wanted.
    let service = Service::default();
    let soon = ending("web", MINUTE + Duration::from_nanos(1));
    let report = ran(&service, two(&service), &soon, (true, false)).await;
    assert_eq!(report.results[0].outcome, APPLIED);
}

#[tokio::test(flavor = "current_thread")]
async fn expired_plan_sends_no_requests() {
    let service = Service::default();
    let validity = Validity {
        until: Some(NOON + MINUTE),
        ..Validity::default()
    };
    let report = ran(&service, two(&service), &validity, (false, true)).await;
    assert_eq!(report.results[0].outcome, APPLIED);
    assert_eq!(
        report.results[1].outcome,
        Outcome::Stale("the plan was valid until 2026-01-01T12:01:00Z".into())
    );
    assert!(service.host("db", |host| host.requests.is_empty()));
}

#[tokio::test(flavor = "current_thread")]
async fn plan_for_another_time_expires_at_that_time() {
    let service = Service::default();
    let ahead = time::Duration::days(365);
    for (shift, stale) in [(ahead, true), (-ahead, false)] {
        let validity = Validity {
            ahead: shift,
            ..ending("web", MINUTE)
        };
        let report = ran(&service, two(&service), &validity, (false, false)).await;
        let outcome = &report.results[0].outcome;
        assert_eq!(matches!(outcome, Outcome::Stale(_)), stale, "{outcome:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn rule_that_ends_between_two_calls_stops_the_instance() {
    let service = Service::default();
    let (first, second) = (from(&["192.0.2.1/32"]), from(&["192.0.2.2/32"]));
    let open = |port, sources: &Sources| Call::Open {
        key: tcp(port),
        sources: sources.clone(),
    };
    let to: Firewall = [(tcp(80), first.clone()), (tcp(81), second.clone())]
        .into_iter()
        .collect();
    let web = InstancePlan {
        calls: vec![open(80, &first), open(81, &second)],
        ..service.add("web", &Firewall::new(), &to, Behaviour::default())
    };
    let report = ran(&service, vec![web], &ending("web", MINUTE), (false, true)).await;
    let result = &report.results[0];
    let said = message(&result.outcome);
    assert!(said.contains("not every call had been made"), "{said}");
    let Outcome::Failed(failure) = &result.outcome else {
        panic!("{result:?}")
    };
    let hint = "plan again: a new plan leads on from here";
    assert_eq!(failure.hint.as_deref(), Some(hint));
    assert_eq!(
        (result.writes, service.host("web", |host| host.writes.len())),
        (1, 1)
    );
}

/// Opens two ports of `web`, one after the other.
fn two_calls(service: &Service, behaviour: Behaviour) -> InstancePlan {
    let sources = from(&["192.0.2.1/32"]);
    let to: Firewall = [80, 81]
        .map(|port| (tcp(port), sources.clone()))
        .into_iter()
        .collect();
    let open = |port| Call::Open {
        key: tcp(port),
        sources: sources.clone(),
    };
    InstancePlan {
        calls: vec![open(80), open(81)],
        ..service.add("web", &Firewall::new(), &to, behaviour)
    }
}

/// Before anything is written the plan is stale, or it is a plain failure; afterwards somebody else was at work, or what was
/// written is not proved.
#[tokio::test(flavor = "current_thread")]
async fn missing_or_hidden_instance_stops_the_instance() {
    let gone = "the instance is gone";
    let gone_from = |request| Behaviour {
        gone: Some(request),
        ..Behaviour::default()
    };
    let denied_from = |request| Behaviour {
        denied: Some((request, "GetInstance")),
        ..Behaviour::default()
    };
    // With a minute between the calls, the first write is request 2, and the instance is asked for again before the second.
    for (behaviour, status, said, writes) in [
        (gone_from(0), "stale", gone, 0),
        (gone_from(1), "stale", gone, 0),
        (gone_from(3), "foreign-writer", gone, 1),
        (denied_from(1), "failed", "", 0),
        (
            denied_from(3),
            "failed",
            "what was written could not be proved: ",
            1,
        ),
    ] {
        let service = Service::default();
        let web = two_calls(&service, behaviour);
        let report = ran(&service, vec![web], Validity::UNLIMITED, (false, true)).await;
        let outcome = &report.results[0].outcome;
        assert_eq!(outcome.status().as_str(), status, "{report:?}");
        let message = message(outcome);
        if status == "failed" {
            let error = "is not authorized";
            assert!(
                message.starts_with(said) && message.contains(error),
                "{message}"
            );
            let is_unproved = message.contains("could not be proved");
            assert_eq!(is_unproved, writes > 0, "{message}");
        } else {
            assert!(message.contains(said), "{message}");
        }
        assert_eq!(service.host("web", |host| host.writes.len()), writes);
    }
}

/// The answer to which instance it is counts for less than five seconds.
#[tokio::test(flavor = "current_thread")]
async fn identity_check_is_valid_for_five_seconds() {
    for (millis, asked) in [(0, 1), (4_999, 1), (5_000, 2), (5_001, 2)] {
        let service = Service::default();
        let web = two_calls(&service, Behaviour::default());
        let write = Duration::from_millis(millis);
        let spans = (Duration::ZERO, write);
        let report = ran_in(&service, vec![web], Validity::UNLIMITED, spans).await;
        assert_eq!(report.results[0].outcome, APPLIED);
        let requests = service.host("web", |host| host.requests.clone());
        let times = requests.iter().filter(|request| **request == "GetInstance");
        assert_eq!(times.count(), asked, "{millis} ms");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn instance_replaced_before_the_write_is_not_written() {
    // Before the rules are read, and between that and the look at the instance.
    for request in [0, 1] {
        let service = Service::default();
        let behaviour = Behaviour {
            replaced: Some(request),
            ..Behaviour::default()
        };
        let web = opening(&service, behaviour);
        let report = ran(&service, vec![web], Validity::UNLIMITED, (false, false)).await;
        let result = &report.results[0];
        let said = message(&result.outcome);
        assert!(said.contains("another instance has the name now"), "{said}");
        assert!(matches!(result.outcome, Outcome::Stale(_)), "{result:?}");
        assert!(service.host("web", |host| host.writes.is_empty()));
    }
}

/// The calls of a plan that has several may come so slowly that the instance is replaced in between.
#[tokio::test(flavor = "current_thread")]
async fn late_call_checks_the_identity_again() {
    for (slow, asked) in [(false, 1), (true, 2)] {
        let service = Service::default();
        let web = two_calls(&service, Behaviour::default());
        let report = ran(&service, vec![web], Validity::UNLIMITED, (false, slow)).await;
        assert_eq!(report.results[0].outcome, APPLIED);
        let requests = service.host("web", |host| host.requests.clone());
        let times = requests.iter().filter(|request| **request == "GetInstance");
        assert_eq!(times.count(), asked, "{requests:?}");
        // Its turn comes before anything is looked at, and right after the write before.
        let turns = service.host("web", |host| host.turns.clone());
        let open = "OpenInstancePublicPorts";
        assert_eq!(turns, [(open, 0), (open, 3)]);
    }
}

/// The way back is no part of the plan, so that it does not end with it.
#[tokio::test(flavor = "current_thread")]
async fn expired_plan_is_reverted_without_confirmation() {
    let whole = Validity {
        until: Some(NOON + MINUTE),
        ..Validity::default()
    };
    for validity in [ending("web", MINUTE), whole] {
        let service = Service::default();
        let plan = plan(vec![opening(&service, Behaviour::default())]);
        let (settings, stop) = (patient(), Stop::new());
        let tools = Tools {
            reader: &service,
            writer: &service,
            journal: &(),
            progress: &(),
            settings: &settings,
            stop: &stop,
            validity: &validity,
            clock: &service,
        };
        let report = run(&plan, &tools).await;
        assert_eq!(report.results[0].outcome, APPLIED);
        service.pass(MINUTE);
        let denied = std::future::ready(Confirmation::Denied("too late".into()));
        let report = confirm(&plan, report, &tools, MINUTE, denied).await;
        let reverted = Outcome::Reverted("too late".into());
        assert_eq!(report.results[0].outcome, reverted);
        assert_eq!(service.host("web", |host| host.rules.clone()), before());
    }
}

/// A clock by which the next of these rules is live after each pause.
#[derive(Debug)]
pub(super) struct Script<'a> {
    pub(super) service: &'a Service,
    pub(super) rules: RefCell<VecDeque<Firewall>>,
}

impl Clock for Script<'_> {
    fn now(&self) -> OffsetDateTime {
        self.service.now()
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> Pause<'_> {
        if let Some(rules) = self.rules.borrow_mut().pop_front() {
            self.service.host("web", |host| host.rules = rules);
        }
        Box::pin(std::future::ready(()))
    }
}

/// After a lost reply, rules that are something else in between are a sign of somebody else, and one read that shows the rules
/// from before is not believed.
#[tokio::test(flavor = "current_thread")]
async fn after_a_lost_response_two_reads_must_agree() {
    // What is live after each pause, whether somebody else shows, the writes, and how it ends.
    for (script, shown, writes, status) in [
        (vec![before()], true, 1, "foreign-writer"),
        (vec![before()], false, 2, "applied"),
        (vec![before(), after()], false, 1, "applied"),
        (vec![after()], false, 1, "applied"),
    ] {
        let service = Service::default();
        let behaviour = Behaviour {
            faults: vec![LOST_BEFORE, FINE],
            // Right after the write that is lost.
            foreign: Some((3, elsewhere(), shown)),
            ..Behaviour::default()
        };
        let plan = plan(vec![opening(&service, behaviour)]);
        let clock = Script {
            service: &service,
            rules: RefCell::new(script.clone().into()),
        };
        let (settings, stop) = (patient(), Stop::new());
        let tools = Tools {
            reader: &service,
            writer: &service,
            journal: &(),
            progress: &(),
            settings: &settings,
            stop: &stop,
            validity: Validity::UNLIMITED,
            clock: &clock,
        };
        let report = run(&plan, &tools).await;
        let case = format!("{script:?} {shown}: {report:?}");
        assert_eq!(
            report.results[0].outcome.status().as_str(),
            status,
            "{case}"
        );
        assert_eq!(
            service.host("web", |host| host.writes.len()),
            writes,
            "{case}"
        );
    }
}

/// Pauses double, take at least half of what is due, and end with the deadline.
#[tokio::test(flavor = "current_thread")]
async fn backoff_grows_and_ends_at_the_deadline() {
    let settings = Settings {
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(4),
        ..patient()
    };
    for _ in 0..20 {
        let clock = Service::default();
        let mut backoff = Backoff::new(&clock, &settings, MINUTE);
        for due in [1, 2, 4, 4, 4].map(Duration::from_secs) {
            let from = clock.elapsed();
            backoff.pause().await;
            let pause = clock.elapsed().saturating_sub(from);
            assert!((due / 2..=due).contains(&pause), "{pause:?} of {due:?}");
        }
        let mut pauses = 0;
        while !backoff.is_expired() && pauses < 40 {
            backoff.pause().await;
            pauses += 1;
        }
        assert_eq!(clock.elapsed(), MINUTE);
    }
}
