//! Runs that die at any moment: what is in the receipt by then, and that the next run gets there all the same.
//!
//! A run dies here by being dropped before or after the service has dealt with a request, which is between any two lines of
//! its receipt as well.

use super::service::{
    Behaviour, FINE, Fault, LOST_AFTER, LOST_BEFORE, REJECTED, Service, THROTTLED, plan,
};
use super::{after, before, opening, patient, put, tools};
use crate::apply::receipt::{Header, Receipt, ReceiptFile, RunScope};
use crate::apply::{Confirmation, Stop, Tools, Validity, confirm, run};
use crate::emulator::OperationProgress;
use crate::model::LiveFirewall;
use crate::plan::{InstancePlan, Plan};

/// `web` with these faults and slow operations, and `db` without trouble.
fn fleet(faults: &[Fault]) -> (Service, Vec<InstancePlan>) {
    let service = Service::default();
    let web = Behaviour {
        faults: faults.to_vec(),
        operations: OperationProgress::AfterReads(1),
        ..Behaviour::default()
    };
    let web = opening(&service, web);
    let db = InstancePlan {
        calls: vec![put()],
        ..service.add("db", &before(), &after(), Behaviour::default())
    };
    (service, vec![web, db])
}

/// Whether the run came to its end within so many steps.
async fn lives(service: &Service, plan: &Plan, journal: &ReceiptFile, steps: usize) -> bool {
    service.kill_after(Some(steps));
    let (settings, stop) = (patient(), Stop::new());
    let tools = Tools {
        reader: service,
        writer: service,
        journal,
        progress: &(),
        settings: &settings,
        stop: &stop,
        validity: Validity::UNLIMITED,
        clock: service,
    };
    let whole = async {
        let report = run(plan, &tools).await;
        let denied = std::future::ready(Confirmation::Denied("no".into()));
        let _ = confirm(plan, report, &tools, settings.timeout, denied).await;
    };
    let lives = tokio::select! {
        () = whole => true,
        () = service.death() => false,
    };
    service.kill_after(None);
    lives
}

#[tokio::test(flavor = "current_thread")]
async fn killed_run_leaves_a_complete_receipt_and_the_next_run_succeeds() {
    for faults in [
        vec![FINE],
        vec![LOST_AFTER, FINE],
        vec![LOST_BEFORE, FINE],
        vec![REJECTED, FINE],
        vec![THROTTLED, FINE],
    ] {
        let mut steps = 0;
        loop {
            let situation = format!("{faults:?}, dead after {steps} steps");
            let folder = tempfile::tempdir().expect("a folder");
            let (service, instances) = fleet(&faults);
            let mut header = Header::new(time::OffsetDateTime::UNIX_EPOCH, RunScope::default());
            header.confirm_within = Some(60);
            let file = ReceiptFile::create(folder.path(), &header).expect("a receipt");
            let alive = lives(&service, &plan(instances.clone()), &file, steps).await;
            judge(&service, &instances, &file, alive, &situation);
            next_run(&service, &instances, &situation).await;
            if alive {
                break;
            }
            steps += 1;
        }
        assert!(steps > 20, "{faults:?}: nobody died");
    }
}

/// Everything that the service has seen stands in the receipt, and what is not proved is named.
fn judge(
    service: &Service,
    plans: &[InstancePlan],
    file: &ReceiptFile,
    alive: bool,
    situation: &str,
) {
    let receipt = Receipt::read(file.path().expect("a file")).expect(situation);
    let text = std::fs::read_to_string(file.path().expect("a file")).expect(situation);
    let mut sent_at_all = false;
    for plan in plans {
        let id = &plan.instance.id;
        let (sent, rules) = service.host(&id.name, |h| (h.writes.len(), h.rules.clone()));
        let told = receipt.writes.iter().filter(|write| write.id == *id);
        let told: Vec<_> = told.collect();
        assert!(
            (sent..=sent + 1).contains(&told.len()),
            "{situation}: {receipt:?}"
        );
        sent_at_all |= told.iter().any(|write| write.may_have_happened());
        if rules != before() {
            // Either the change was proved and not yet taken back, or nobody knows.
            let proved = text.lines().any(|line| {
                line.contains(r#""type":"result""#)
                    && line.contains(&format!(r#""name":"{}""#, id.name))
            });
            let unproved = receipt.unproved().contains(id);
            assert!(!alive && (unproved || proved), "{situation}: {text}");
        }
        // Whatever happened, the way back is known.
        if let Some(first) = told.first() {
            assert_eq!(first.before.firewall(), &before(), "{situation}");
        }
    }
    assert!(!receipt.has_ended() && receipt.torn.is_none());
    assert_eq!(receipt.died_unconfirmed(), sent_at_all, "{situation}");
}

async fn next_run(service: &Service, instances: &[InstancePlan], situation: &str) {
    let again = instances.iter().map(|plan| {
        let name = &plan.instance.id.name;
        service.behave(name, Behaviour::default());
        let rules = service.host(name, |host| host.rules.clone());
        InstancePlan {
            before: LiveFirewall::from(&rules),
            calls: vec![put()],
            ..plan.clone()
        }
    });
    let (settings, stop) = (patient(), Stop::new());
    let again = plan(again.collect());
    let report = run(&again, &tools(service, &settings, &stop)).await;
    for result in &report.results {
        assert!(!result.outcome.is_failure(), "{situation}: {result:?}");
        let rules = service.host(&result.id.name, |host| host.rules.clone());
        assert_eq!(rules, after(), "{situation}");
    }
}
