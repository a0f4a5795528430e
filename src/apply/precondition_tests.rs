//! What is true when the plan is made and no longer so at the write: which instance it is, what is wanted, who else writes.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use time::OffsetDateTime;

use super::fake::{Behaviour, Fake, from, plan, rules, tcp};
use super::tests::{APPLIED, after, before, message, opening, patient, put};
use super::{Clock, Intent, Journal, Pause, Progress, Settings, Stage, Stop, Tools, Validity, run};
use crate::lightsail::{Error, Operation};
use crate::model::{Expiry, Firewall, InstanceId, Origin, Sources};
use crate::plan::{Call, InstancePlan, InstanceResult, Outcome, Report};

/// A clock that moves when it is told to, and when somebody waits.
#[derive(Debug)]
struct Hand(Cell<Duration>);

impl Hand {
    fn new() -> Self {
        Self(Cell::default())
    }

    fn pass(&self, span: Duration) {
        self.0.set(self.0.get() + span);
    }
}

impl Clock for Hand {
    fn now(&self) -> OffsetDateTime {
        NOON + self.0.get()
    }

    fn elapsed(&self) -> Duration {
        self.0.get()
    }

    fn sleep(&self, span: Duration) -> Pause<'_> {
        self.pass(span);
        Box::pin(std::future::ready(()))
    }
}

const NOON: OffsetDateTime = time::macros::datetime!(2026-01-01 12:00 UTC);

const MINUTE: Duration = Duration::from_mins(1);

/// A minute passes when an instance is begun, or when a write is about to be sent.
struct Slow<'a> {
    clock: &'a Hand,
    begin: bool,
    write: bool,
}

impl Progress for Slow<'_> {
    fn started(&self, _: &InstanceId) {
        if self.begin {
            self.clock.pass(MINUTE);
        }
    }
}

impl Journal for Slow<'_> {
    fn intent(&self, _: &Intent<'_>) -> io::Result<usize> {
        if self.write {
            self.clock.pass(MINUTE);
        }
        Ok(0)
    }

    fn outcome(&self, _: usize, _: Result<&Operation, &Error>) {}

    fn result(&self, _: &InstanceResult) {}

    fn stage(&self, _: Stage<'_>) {}
}

async fn ran(
    fake: &Fake,
    instances: Vec<InstancePlan>,
    validity: &Validity,
    (begin, write): (bool, bool),
) -> Report {
    let clock = Hand::new();
    let slow = Slow {
        clock: &clock,
        begin,
        write,
    };
    let settings = Settings {
        concurrency: 1,
        ..patient()
    };
    let tools = Tools {
        reader: fake,
        writer: fake,
        journal: &slow,
        progress: &slow,
        settings: &settings,
        stop: &Stop::new(),
        validity,
        clock: &clock,
    };
    run(&plan(instances), &tools).await
}

/// `name` ends so long after noon.
fn ending(name: &str, after: Duration) -> Validity {
    let id = InstanceId {
        account: None,
        region: "eu-central-1".into(),
        name: name.into(),
    };
    let origin = Origin {
        file: "firewall.toml".into(),
        line: 7,
        column: 1,
    };
    let at = NOON + after;
    Validity {
        ends: [(id, Expiry { at, origin })].into(),
        ..Validity::default()
    }
}

/// `web` with a Put, and `db` beside it.
fn two(fake: &Fake) -> Vec<InstancePlan> {
    let plan = |name| InstancePlan {
        calls: vec![put()],
        ..fake.add(name, &before(), &after(), Behaviour::default())
    };
    vec![plan("web"), plan("db")]
}

#[tokio::test(flavor = "current_thread")]
async fn what_ended_before_it_is_written_is_not_written_and_the_rest_is() {
    let said = "the rule at firewall.toml:7 ended at 2026-01-01T12:01:00Z, so something else is wanted by now";
    // It ended while the instance was begun, or while the one before it was worked on.
    for (late, begin) in [("web", true), ("db", true)] {
        let fake = Fake::default();
        let report = ran(&fake, two(&fake), &ending(late, MINUTE), (begin, false)).await;
        for result in &report.results {
            let ended = result.id.name == late;
            let outcome = if ended {
                Outcome::Stale(said.to_owned())
            } else {
                APPLIED
            };
            assert_eq!(result.outcome, outcome, "{late}");
            let writes = fake.host(&result.id.name, |host| host.writes.len());
            assert_eq!(writes, usize::from(!ended), "{late}");
        }
    }
    // One instant before its end it is still wanted.
    let fake = Fake::default();
    let soon = ending("web", MINUTE + Duration::from_nanos(1));
    let report = ran(&fake, two(&fake), &soon, (true, false)).await;
    assert_eq!(report.results[0].outcome, APPLIED);
}

#[tokio::test(flavor = "current_thread")]
async fn a_plan_that_is_over_asks_and_writes_nothing_more() {
    let fake = Fake::default();
    let validity = Validity {
        until: Some(NOON + MINUTE),
        ..Validity::default()
    };
    let report = ran(&fake, two(&fake), &validity, (false, true)).await;
    assert_eq!(report.results[0].outcome, APPLIED);
    assert_eq!(
        report.results[1].outcome,
        Outcome::Stale("the plan was valid until 2026-01-01T12:01:00Z".into())
    );
    assert!(fake.host("db", |host| host.requests.is_empty()));
}

#[tokio::test(flavor = "current_thread")]
async fn a_plan_for_another_day_ends_by_that_day() {
    let fake = Fake::default();
    let ahead = time::Duration::days(365);
    for (shift, stale) in [(ahead, true), (-ahead, false)] {
        let validity = Validity {
            ahead: shift,
            ..ending("web", MINUTE)
        };
        let report = ran(&fake, two(&fake), &validity, (false, false)).await;
        let outcome = &report.results[0].outcome;
        assert_eq!(matches!(outcome, Outcome::Stale(_)), stale, "{outcome:?}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_ends_between_two_calls_stops_there() {
    let fake = Fake::default();
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
        ..fake.add("web", &Firewall::new(), &to, Behaviour::default())
    };
    let report = ran(&fake, vec![web], &ending("web", MINUTE), (false, true)).await;
    let result = &report.results[0];
    let said = message(&result.outcome);
    assert!(said.contains("not every call had been made"), "{said}");
    assert!(matches!(result.outcome, Outcome::Failed(_)), "{result:?}");
    assert_eq!(
        (result.writes, fake.host("web", |host| host.writes.len())),
        (1, 1)
    );
}

#[tokio::test(flavor = "current_thread")]
async fn an_instance_that_is_replaced_before_the_write_is_not_written() {
    // Before the rules are read, and between that and the look at the instance.
    for request in [0, 1] {
        let fake = Fake::default();
        let behaviour = Behaviour {
            replaced: Some(request),
            ..Behaviour::default()
        };
        let web = opening(&fake, behaviour);
        let report = ran(&fake, vec![web], Validity::UNLIMITED, (false, false)).await;
        let result = &report.results[0];
        let said = message(&result.outcome);
        assert!(said.contains("another instance has the name now"), "{said}");
        assert!(matches!(result.outcome, Outcome::Stale(_)), "{result:?}");
        assert!(fake.host("web", |host| host.writes.is_empty()));
    }
}

/// The calls of a plan that has several may come so slowly that the instance is replaced in between.
#[tokio::test(flavor = "current_thread")]
async fn a_call_that_comes_late_asks_again_which_instance_it_is() {
    for (slow, asked) in [(false, 1), (true, 2)] {
        let fake = Fake::default();
        let sources = from(&["192.0.2.1/32"]);
        let to: Firewall = [80, 81]
            .map(|port| (tcp(port), sources.clone()))
            .into_iter()
            .collect();
        let open = |port| Call::Open {
            key: tcp(port),
            sources: sources.clone(),
        };
        let web = InstancePlan {
            calls: vec![open(80), open(81)],
            ..fake.add("web", &Firewall::new(), &to, Behaviour::default())
        };
        let report = ran(&fake, vec![web], Validity::UNLIMITED, (false, slow)).await;
        assert_eq!(report.results[0].outcome, APPLIED);
        let requests = fake.host("web", |host| host.requests.clone());
        let times = requests.iter().filter(|request| **request == "GetInstance");
        assert_eq!(times.count(), asked, "{requests:?}");
        // Its turn comes before anything is looked at, and right after the write before.
        let turns = fake.host("web", |host| host.turns.clone());
        let open = "OpenInstancePublicPorts";
        assert_eq!(turns, [(open, 0), (open, 3)]);
    }
}

/// Somebody adds a source to the key after it was read: where Open replaces, and where Close removes the key, it is gone and
/// the rules are just as planned.
#[tokio::test(flavor = "current_thread")]
async fn a_source_that_a_call_took_with_it_is_noticed() {
    let key = |texts: &[&str]| rules(&[(22, texts)]);
    let mine = key(&["192.0.2.1/32"]);
    let grown = key(&["192.0.2.1/32", "192.0.2.2/32"]);
    let theirs = key(&["192.0.2.1/32", "198.51.100.0/24"]);
    let open = Call::Open {
        key: tcp(22),
        sources: from(&["192.0.2.1/32", "192.0.2.2/32"]),
    };
    let close = Call::Close {
        key: tcp(22),
        sources: from(&["192.0.2.1/32"]),
    };
    for (call, to) in [(open, grown), (close, Firewall::new())] {
        let fake = Fake::default();
        let behaviour = Behaviour {
            open_replaces: true,
            close_by_key: true,
            // Right before the write.
            foreign: Some((2, theirs.clone(), true)),
            ..Behaviour::default()
        };
        let web = InstancePlan {
            calls: vec![call],
            ..fake.add("web", &mine, &to, behaviour)
        };
        let report = ran(&fake, vec![web], Validity::UNLIMITED, (false, false)).await;
        let outcome = &report.results[0].outcome;
        assert!(matches!(outcome, Outcome::ForeignWriter(_)), "{outcome:?}");
        let said = message(outcome);
        assert!(said.contains("what it changed may be undone"), "{said}");
        assert_eq!(fake.host("web", |host| host.rules.clone()), to);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn who_may_not_ask_for_operations_is_told_what_is_not_known() {
    let fake = Fake::default();
    let behaviour = Behaviour {
        silent: true,
        ..Behaviour::default()
    };
    let web = opening(&fake, behaviour);
    let report = ran(&fake, vec![web], Validity::UNLIMITED, (false, false)).await;
    let result = &report.results[0];
    assert_eq!(result.outcome, APPLIED);
    let note = result.note.as_deref().unwrap_or_default();
    assert!(
        note.contains("whether somebody else wrote meanwhile is not known"),
        "{note}"
    );
}
