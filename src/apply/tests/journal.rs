//! The journal and the end of patience with failures: what is told before a write, and what is not begun.

use std::cell::RefCell;
use std::io;

use super::service::{Behaviour, FINE, Fault, LOST_BEFORE, REJECTED, Service, plan};
use super::{APPLIED, after, before, elsewhere, go, message, opening, patient, put, tools};
use crate::apply::{Intent, Journal, Settings, Stage, Stop, Tools, Validity, run};
use crate::emulator::{OperationProgress, ReadConsistency};
use crate::lightsail::{Error, Operation};
use crate::plan::{InstancePlan, InstanceResult, Outcome, Report};

/// Writes down what it is told, beside what the service has seen by then, and fails from the `full`-th intent on.
struct Notes<'a> {
    service: &'a Service,
    full: usize,
    lines: RefCell<Vec<String>>,
}

impl Notes<'_> {
    fn say(&self, line: String) {
        self.lines.borrow_mut().push(line);
    }
}

impl Journal for Notes<'_> {
    fn intent(&self, intent: &Intent<'_>) -> io::Result<usize> {
        let lines = self.lines.borrow();
        let write = 1 + lines.iter().filter(|line| line.contains("intent")).count();
        drop(lines);
        if write >= self.full {
            return Err(io::Error::other("no space left"));
        }
        let sent = self.service.host("web", |host| host.writes.len());
        self.say(format!(
            "intent {write} {} after {sent}",
            intent.call.verb()
        ));
        Ok(write)
    }

    fn outcome(&self, write: usize, response: Result<&Operation, &Error>) {
        let sent = self.service.host("web", |host| host.writes.len());
        let status = if response.is_ok() {
            "accepted"
        } else {
            "failed"
        };
        self.say(format!("outcome {write} {status} after {sent}"));
    }

    fn result(&self, result: &InstanceResult) {
        self.say(format!("result {}", result.outcome.status().as_str()));
    }

    fn stage(&self, stage: Stage<'_>) {
        self.say(format!("{stage:?}"));
    }
}

async fn noted(faults: &[Fault], full: usize) -> (Report, Vec<String>, usize) {
    let service = Service::default();
    let web = opening(
        &service,
        Behaviour {
            faults: faults.to_vec(),
            ..Behaviour::default()
        },
    );
    let notes = Notes {
        service: &service,
        full,
        lines: RefCell::default(),
    };
    let (settings, stop) = (patient(), Stop::new());
    let tools = Tools {
        reader: &service,
        writer: &service,
        journal: &notes,
        progress: &(),
        settings: &settings,
        stop: &stop,
        validity: Validity::UNLIMITED,
        clock: &service,
    };
    let report = run(&plan(vec![web]), &tools).await;
    let writes = service.host("web", |host| host.writes.len());
    (report, notes.lines.into_inner(), writes)
}

#[tokio::test(flavor = "current_thread")]
async fn every_write_is_recorded_before_and_after() {
    let (_, lines, _) = noted(&[LOST_BEFORE, REJECTED, FINE], 9).await;
    assert_eq!(
        lines,
        [
            "intent 1 open after 0",
            "outcome 1 failed after 1",
            "intent 2 open after 1",
            "outcome 2 failed after 2",
            "intent 3 put after 2",
            "outcome 3 accepted after 3",
            "result repaired",
        ]
    );
}

#[tokio::test(flavor = "current_thread")]
async fn write_that_cannot_be_recorded_is_not_sent() {
    let (report, lines, writes) = noted(&[FINE], 1).await;
    let said = message(&report.results[0].outcome);
    assert!(said.contains("no space left"), "{said}");
    let Outcome::Failed(failure) = &report.results[0].outcome else {
        panic!("{report:?}")
    };
    let hint = "make room for the receipt, or let it be written elsewhere";
    assert_eq!(failure.hint.as_deref(), Some(hint));
    assert_eq!((writes, report.results[0].writes), (0, 0));
    assert_eq!(lines, ["result failed"]);
    // Nor is a second one.
    let (report, _, writes) = noted(&[REJECTED, FINE], 2).await;
    let said = message(&report.results[0].outcome);
    assert!(said.contains("no space left"), "{said}");
    assert_eq!(writes, 1);
}

fn fleet(service: &Service, names: &[&str]) -> Vec<InstancePlan> {
    let add = |name: &&str| InstancePlan {
        calls: vec![put()],
        ..service.add(name, &before(), &after(), Behaviour::default())
    };
    names.iter().map(add).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn no_instance_is_started_after_too_many_failures() {
    for (most, endings) in [
        (
            Some(1),
            ["stale", "not-started", "not-started", "not-started"],
        ),
        (Some(2), ["stale", "applied", "stale", "not-started"]),
        (
            Some(0),
            ["stale", "not-started", "not-started", "not-started"],
        ),
        (None, ["stale", "applied", "stale", "applied"]),
    ] {
        let service = Service::default();
        let instances = fleet(&service, &["web-a", "web-b", "web-c", "web-d"]);
        for name in ["web-a", "web-c"] {
            service.host(name, |host| host.rules = elsewhere());
        }
        let settings = Settings {
            concurrency: 1,
            max_failures: most,
            ..patient()
        };
        let report = go(&service, instances, settings).await;
        let found: Vec<_> = report
            .results
            .iter()
            .map(|r| r.outcome.status().as_str())
            .collect();
        assert_eq!(found, endings, "{most:?}");
        let failed = if most == Some(2) {
            "2 instances"
        } else {
            "1 instance"
        };
        for result in &report.results {
            if result.outcome.status().as_str() == "not-started" {
                assert_eq!(
                    message(&result.outcome),
                    format!("{failed} had failed by then, and no more than that may")
                );
                let asked = service.host(&result.id.name, |host| host.requests.len());
                assert_eq!(asked, 0, "{result:?}");
            }
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn started_instances_are_finished_despite_failures() {
    let service = Service::default();
    let instances = fleet(&service, &["web-a", "web-b"]);
    service.host("web-a", |host| host.rules = elsewhere());
    // Its write is under way when the other one has failed.
    let slow = Behaviour {
        operations: OperationProgress::AfterReads(2),
        ..Behaviour::default()
    };
    service.behave("web-b", slow);
    let settings = Settings {
        max_failures: Some(1),
        concurrency: 1,
        ..patient()
    };
    let plan = plan(instances.into_iter().rev().collect());
    let report = run(&plan, &tools(&service, &settings, &Stop::new())).await;
    assert_eq!(report.results[0].outcome, APPLIED);
    assert!(matches!(report.results[1].outcome, Outcome::Stale(_)));
}

#[tokio::test(flavor = "current_thread")]
async fn foreign_write_is_reported_with_action_and_time() {
    // It writes between our read and our Put, which hides it; a read that lags gives reason to ask.
    let service = Service::default();
    let mut instances = fleet(&service, &["web"]);
    instances.truncate(1);
    let behaviour = Behaviour {
        foreign: Some((1, elsewhere(), true)),
        reads: ReadConsistency::Lag,
        ..Behaviour::default()
    };
    service.behave("web", behaviour);
    let report = go(&service, instances, patient()).await;
    let Outcome::ForeignWriter(foreign) = &report.results[0].outcome else {
        panic!("{report:?}")
    };
    assert_eq!(foreign.action.as_deref(), Some("PutInstancePublicPorts"));
    assert!(foreign.at.is_some() && foreign.to_string().contains("is not from this run"));
    assert_eq!(service.host("web", |host| host.writes.len()), 1);
}
