//! Runs that die at any moment: what is in the receipt by then, and that the next run gets there all the same.
//!
//! A run dies here by being dropped before or after the service has dealt with a request, which is between any two lines of
//! its receipt as well.

use std::cell::Cell;
use std::future::pending;

use tokio::sync::Notify;

use super::fake::{Behaviour, Fake, Fault, plan};
use super::receipt::{Header, Receipt, ReceiptFile, Scope};
use super::tests::{after, before, opening, patient, put, tools};
use super::{Confirmation, Stop, SystemClock, Tools, Validity, confirm, run};
use crate::lightsail::{Error, Operation, Reader, Writer};
use crate::model::{Firewall, Instance, InstanceId, Key, LiveFirewall, PortState, Site, Sources};
use crate::plan::{InstancePlan, Plan};

/// The service, for a run that has only so many steps to live.
struct Mortal<'a> {
    fake: &'a Fake,
    left: Cell<usize>,
    died: Notify,
}

impl Mortal<'_> {
    async fn step(&self) {
        if self.left.get() == 0 {
            self.died.notify_one();
            pending::<()>().await;
        }
        self.left.set(self.left.get() - 1);
    }

    async fn around<T>(&self, request: impl Future<Output = T>) -> T {
        self.step().await;
        let reply = request.await;
        self.step().await;
        reply
    }
}

impl Reader for Mortal<'_> {
    async fn instances(&self, site: &Site) -> Result<Vec<Instance>, Error> {
        self.around(self.fake.instances(site)).await
    }

    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error> {
        self.around(self.fake.instance(id)).await
    }

    async fn port_states(&self, id: &InstanceId) -> Result<Vec<PortState>, Error> {
        self.around(self.fake.port_states(id)).await
    }

    async fn operation(&self, about: &InstanceId, id: &str) -> Result<Operation, Error> {
        self.around(self.fake.operation(about, id)).await
    }

    async fn operations_for(&self, id: &InstanceId) -> Result<Vec<Operation>, Error> {
        self.around(self.fake.operations_for(id)).await
    }
}

impl Writer for Mortal<'_> {
    async fn open(&self, id: &InstanceId, key: Key, sources: &Sources) -> Result<Operation, Error> {
        self.around(self.fake.open(id, key, sources)).await
    }

    async fn close(
        &self,
        id: &InstanceId,
        key: Key,
        sources: &Sources,
    ) -> Result<Operation, Error> {
        self.around(self.fake.close(id, key, sources)).await
    }

    async fn put(&self, id: &InstanceId, firewall: &Firewall) -> Result<Operation, Error> {
        self.around(self.fake.put(id, firewall)).await
    }
}

/// `web` with these faults and slow operations, and `db` without trouble.
fn fleet(faults: &[Fault]) -> (Fake, Vec<InstancePlan>) {
    let fake = Fake::default();
    let web = Behaviour {
        faults: faults.to_vec(),
        pending: 2,
        ..Behaviour::default()
    };
    let web = opening(&fake, web);
    let db = InstancePlan {
        calls: vec![put()],
        ..fake.add("db", &before(), &after(), Behaviour::default())
    };
    (fake, vec![web, db])
}

/// Whether the run came to its end within so many steps.
async fn lives(fake: &Fake, plan: &Plan, journal: &ReceiptFile, steps: usize) -> bool {
    let mortal = Mortal {
        fake,
        left: Cell::new(steps),
        died: Notify::new(),
    };
    let (settings, stop) = (patient(), Stop::new());
    let tools = Tools {
        reader: &mortal,
        writer: &mortal,
        journal,
        progress: &(),
        settings: &settings,
        stop: &stop,
        validity: Validity::UNLIMITED,
        clock: &SystemClock,
    };
    let whole = async {
        let report = run(plan, &tools).await;
        let denied = std::future::ready(Confirmation::Denied("no".into()));
        let _ = confirm(plan, report, &tools, settings.timeout, denied).await;
    };
    tokio::select! {
        () = whole => true,
        () = mortal.died.notified() => false,
    }
}

#[tokio::test(flavor = "current_thread")]
async fn whenever_a_run_dies_the_receipt_knows_and_the_next_run_gets_there() {
    for faults in [
        vec![Fault::Fine],
        vec![Fault::LostAfter, Fault::Fine],
        vec![Fault::LostBefore, Fault::Fine],
        vec![Fault::Rejected, Fault::Fine],
        vec![Fault::Throttled, Fault::Fine],
    ] {
        let mut steps = 0;
        loop {
            let situation = format!("{faults:?}, dead after {steps} steps");
            let folder = tempfile::tempdir().expect("a folder");
            let (fake, instances) = fleet(&faults);
            let mut header = Header::new(time::OffsetDateTime::UNIX_EPOCH, Scope::default());
            header.confirm_within = Some(60);
            let file = ReceiptFile::create(folder.path(), &header).expect("a receipt");
            let alive = lives(&fake, &plan(instances.clone()), &file, steps).await;
            judge(&fake, &instances, &file, alive, &situation);
            next_run(&fake, &instances, &situation).await;
            if alive {
                break;
            }
            steps += 1;
        }
        assert!(steps > 20, "{faults:?}: nobody died");
    }
}

/// Everything that the service has seen stands in the receipt, and what is not proved is named.
fn judge(fake: &Fake, plans: &[InstancePlan], file: &ReceiptFile, alive: bool, situation: &str) {
    let receipt = Receipt::read(file.path()).expect(situation);
    let text = std::fs::read_to_string(file.path()).expect(situation);
    let mut sent_at_all = false;
    for plan in plans {
        let id = &plan.instance.id;
        let (sent, rules) = fake.host(&id.name, |h| (h.writes.len(), h.rules.clone()));
        let told = receipt.writes().iter().filter(|write| write.id == *id);
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
    assert!(!receipt.has_ended() && receipt.torn().is_none());
    assert_eq!(receipt.died_unconfirmed(), sent_at_all, "{situation}");
}

async fn next_run(fake: &Fake, instances: &[InstancePlan], situation: &str) {
    let again = instances.iter().map(|plan| {
        let rules = fake.host(&plan.instance.id.name, |host| {
            host.behaviour = Behaviour::default();
            host.rules.clone()
        });
        InstancePlan {
            before: LiveFirewall::from(&rules),
            calls: vec![put()],
            ..plan.clone()
        }
    });
    let (settings, stop) = (patient(), Stop::new());
    let again = plan(again.collect());
    let report = run(&again, &tools(fake, &settings, &stop)).await;
    for result in &report.results {
        assert!(!result.outcome.is_failure(), "{situation}: {result:?}");
        let rules = fake.host(&result.id.name, |host| host.rules.clone());
        assert_eq!(rules, after(), "{situation}");
    }
}
