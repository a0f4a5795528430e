//! Where the spelling counts: how a write that changes nothing else is proved, and that a service with networks of its own
//! makes neither a failure nor a loop.

use super::service::{
    Behaviour, FINE, Fault, IGNORED, LOST_AFTER, LOST_BEFORE, REJECTED, Service, from, rules, tcp,
};
use super::{APPLIED, go, patient};
use crate::emulator::ReadConsistency;
use crate::model::Firewall;
use crate::plan::{Call, InstancePlan, InstanceResult, Outcome};

fn split() -> Firewall {
    rules(&[(22, &["10.0.0.0/9", "10.128.0.0/9"])])
}

fn joined() -> Firewall {
    rules(&[(22, &["10.0.0.0/8"])])
}

/// A Put that joins two networks.
fn respelling(service: &Service, before: &Firewall, behaviour: Behaviour) -> InstancePlan {
    let plan = service.add("web", before, &joined(), behaviour);
    InstancePlan {
        strict_spelling: true,
        calls: vec![Call::Put { firewall: joined() }],
        ..plan
    }
}

async fn respelled(before: &Firewall, behaviour: Behaviour) -> (InstanceResult, usize, Firewall) {
    let service = Service::default();
    let plan = respelling(&service, before, behaviour);
    let result = go(&service, vec![plan], patient()).await.results.remove(0);
    let (writes, rules) = service.host("web", |host| (host.writes.len(), host.rules.clone()));
    (result, writes, rules)
}

fn faults(faults: &[Fault]) -> Behaviour {
    Behaviour {
        faults: faults.to_vec(),
        ..Behaviour::default()
    }
}

#[tokio::test(flavor = "current_thread")]
async fn respelling_is_written_once_and_verified() {
    let (result, writes, rules) = respelled(&split(), Behaviour::default()).await;
    assert_eq!((result.outcome, result.note), (APPLIED, None));
    assert_eq!((writes, rules), (1, joined()));
}

#[tokio::test(flavor = "current_thread")]
async fn old_read_is_not_taken_for_the_spelling_of_the_service() {
    let late = Behaviour {
        reads: ReadConsistency::Lag,
        ..Behaviour::default()
    };
    let (result, writes, _) = respelled(&split(), late).await;
    assert_eq!((result.outcome, result.note, writes), (APPLIED, None, 1));
}

#[tokio::test(flavor = "current_thread")]
async fn spelling_of_the_service_is_noted_and_not_written_again() {
    // Whatever is written, the halves are shown.
    let service = Service::default();
    let plan = respelling(&service, &split(), faults(&[IGNORED]));
    let result = go(&service, vec![plan], patient()).await.results.remove(0);
    let writes = service.host("web", |host| host.writes.len());
    assert_eq!((result.outcome, writes), (APPLIED, 1));
    let note = result.note.unwrap_or_default();
    assert!(note.contains("the service spells them otherwise"), "{note}");
}

#[tokio::test(flavor = "current_thread")]
async fn write_without_effect_is_not_verified() {
    let (result, writes, rules) = respelled(&split(), faults(&[REJECTED])).await;
    assert!(matches!(result.outcome, Outcome::Failed(_)), "{result:?}");
    assert_eq!((writes, rules), (1, split()));

    let lost = faults(&[LOST_BEFORE, FINE]);
    let (result, writes, rules) = respelled(&split(), lost).await;
    assert_eq!((result.outcome, writes, rules), (APPLIED, 2, joined()));

    let late = faults(&[LOST_AFTER]);
    let (result, writes, rules) = respelled(&split(), late).await;
    assert_eq!((result.outcome, writes, rules), (APPLIED, 1, joined()));
}

#[tokio::test(flavor = "current_thread")]
async fn other_spelling_is_stale_and_desired_spelling_is_applied() {
    let third = rules(&[(
        22,
        &["10.0.0.0/9", "10.128.0.0/10", "10.192.0.0/10"] as &[&str],
    )]);
    assert_eq!(third.get(tcp(22)).map(|all| all.ipv4().len()), Some(3));
    for (live, wanted) in [(third, "stale"), (joined(), "already-applied")] {
        let service = Service::default();
        let plan = respelling(&service, &split(), Behaviour::default());
        service.host("web", |host| host.rules = live.clone());
        let result = go(&service, vec![plan], patient()).await.results.remove(0);
        assert_eq!(result.outcome.status().as_str(), wanted, "{result:?}");
        assert!(service.host("web", |host| host.writes.is_empty()));
    }
    assert!(from(&["10.0.0.0/8"]).names_all_of(&from(&["10.0.0.0/8"])));
}
