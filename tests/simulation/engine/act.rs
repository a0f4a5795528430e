//! One run, recorded for the checks.
//!
//! Owns the steps of a run. Does not access the emulator during the run; its journal is read afterwards.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use portward::apply::receipt::{Header, Receipt, ReceiptFile, RunScope};
use portward::apply::{
    self, Clock, Confirmation, Intent, Journal, Settings, Stage, Stop, Tools, Validity,
};
use portward::emulator::Write;
use portward::inventory::Inventory;
use portward::lightsail::{Error, Operation, Reader as _};
use portward::model::{
    Desired, Expiry, InstanceId, Live, LiveFirewall, Missing, Origin, Site, Undeclared, Unreadable,
};
use portward::plan::{self, Call, InstanceResult, Plan, Report};
use tempfile::TempDir;
use time::OffsetDateTime;

use super::adapter::{RecordedRead, Service};
use super::scene::Scene;

/// The record of a run: its input, plan and results.
#[derive(Debug)]
pub(crate) struct RunRecord {
    pub(crate) desired: Desired,
    pub(crate) live: Live,
    pub(crate) plan: Plan,
    pub(crate) report: Report,
    /// Whether the writes were reverted; the report says so, and the journal has both.
    pub(crate) denied: bool,
    /// Whether the plan was carried out before.
    pub(crate) again: bool,
    pub(crate) intents: Vec<RecordedWrite>,
    pub(crate) receipt: Option<Receipt>,
    /// The instances before and after the run.
    pub(crate) first: Inventory,
    pub(crate) last: Inventory,
    /// The journal of the emulator, and how long it was when the run began, when the plan was made, when it was carried
    /// out, and in the end.
    pub(crate) journal: Vec<Arc<Write>>,
    pub(crate) begin: usize,
    pub(crate) planned: usize,
    pub(crate) applied: usize,
    /// Reads of rules for the plan, and while it was carried out.
    pub(crate) plan_reads: Vec<RecordedRead>,
    pub(crate) rule_reads: Vec<RecordedRead>,
    /// Reads of the identity of an instance during the run.
    pub(crate) identity_reads: Vec<RecordedRead>,
    /// The ends of the desired state of instances, which apply to this number of first intents, and not to a revert.
    pub(crate) ends: BTreeMap<InstanceId, OffsetDateTime>,
    pub(crate) bound: usize,
}

/// A write in the journal of the run, and whether its result is known.
#[derive(Debug)]
pub(crate) struct RecordedWrite {
    pub(crate) id: InstanceId,
    pub(crate) call: Call,
    pub(crate) at: OffsetDateTime,
    pub(crate) unanswered: bool,
}

/// A run with faults. In some scenes its plan is carried out again.
pub(crate) async fn run_with_faults(
    scene: &Scene,
    service: &Service,
    settings: &Settings,
) -> Vec<RunRecord> {
    let start = Start::now(service);
    let settings = &ApplyMode {
        settings,
        validity: &validity(scene, &*service.time),
    };
    let (desired, live, plan) = look(scene, service, scene.strict_spelling).await;
    let mut acts = vec![run(scene, service, settings, start, (desired, live, plan)).await];
    if scene.again {
        let start = Start::now(service);
        let (desired, live, plan) = {
            let act = &acts[0];
            (act.desired.clone(), act.live.clone(), act.plan.clone())
        };
        let mut act = run(scene, service, settings, start, (desired, live, plan)).await;
        act.again = true;
        act.plan_reads.clone_from(&acts[0].plan_reads);
        acts.push(act);
    }
    acts
}

/// A run without faults, but with quirks.
pub(crate) async fn run_without_faults(
    scene: &Scene,
    service: &Service,
    settings: &Settings,
) -> RunRecord {
    let start = Start::now(service);
    // With a service that has a spelling of its own, strict spelling would never be in sync.
    let (desired, live, plan) = look(scene, service, false).await;
    let quiet = Settings {
        max_failures: None,
        ..*settings
    };
    let scene = &Scene {
        denied: false,
        on_disk: false,
        ..scene.clone()
    };
    let manner = ApplyMode {
        settings: &quiet,
        validity: Validity::UNLIMITED,
    };
    run(scene, service, &manner, start, (desired, live, plan)).await
}

/// The mode of carrying out a plan.
struct ApplyMode<'a> {
    settings: &'a Settings,
    validity: &'a Validity,
}

/// The ends of the desired state, if the run starts now.
fn validity(scene: &Scene, clock: &dyn Clock) -> Validity {
    let origin = Origin {
        file: "firewall.toml".into(),
        line: 3,
        column: 1,
    };
    let end = |(id, span): (&InstanceId, &Duration)| {
        let at = clock.now() + *span;
        let origin = origin.clone();
        (id.clone(), Expiry { at, origin })
    };
    Validity {
        ends: scene.ends.iter().map(end).collect(),
        ..Validity::default()
    }
}

struct Start {
    first: Inventory,
    begin: usize,
    rule_reads: usize,
}

impl Start {
    fn now(service: &Service) -> Self {
        let emulator = service.emulator.emulator();
        Self {
            first: emulator.inventory(),
            begin: emulator.journal().len(),
            rule_reads: service.rule_reads().len(),
        }
    }
}

/// Lists, reads and plans.
async fn look(scene: &Scene, service: &Service, strict_spelling: bool) -> (Desired, Live, Plan) {
    let mut live = Live::default();
    for region in &scene.regions {
        match service.instances(&Site::of_region(region)).await {
            Ok(list) => live
                .instances
                .extend(list.into_iter().map(|one| (one.id.clone(), one))),
            Err(error) => {
                let unreadable = Unreadable::from(&error);
                live.sites_unreadable
                    .insert(Site::of_region(region), unreadable);
            }
        }
    }
    let desired = resolved(scene, &live);
    for id in desired.instances.keys() {
        let rules = service.port_states(id).await;
        let rules = rules.map(|entries| LiveFirewall::read(&entries));
        let rules = rules.map_err(|error| Unreadable::from(&error));
        live.firewalls.insert(id.clone(), rules);
    }
    let options = plan::PlanOptions {
        strict_spelling,
        ..plan::PlanOptions::default()
    };
    let plan = plan::plan(&desired, &live, options);
    (desired, live, plan)
}

/// The desired state, resolved for the listed instances.
fn resolved(scene: &Scene, live: &Live) -> Desired {
    let mut desired = Desired::default();
    for (id, wanted) in &scene.wanted {
        if live.instances.contains_key(id) {
            desired.instances.insert(id.clone(), wanted.clone().into());
        } else if !live.sites_unreadable.contains_key(&id.site()) {
            desired.missing.push(Missing {
                name: id.to_string(),
                origin: Origin {
                    file: "firewall.toml".into(),
                    line: 1,
                    column: 1,
                },
                hint: None,
            });
        }
    }
    let undeclared = live.instances.keys();
    desired.undeclared = undeclared
        .filter(|id| !scene.wanted.contains_key(id))
        .map(|id| Undeclared { id: id.clone() })
        .collect();
    desired
}

async fn run(
    scene: &Scene,
    service: &Service,
    manner: &ApplyMode<'_>,
    start: Start,
    (desired, live, plan): (Desired, Live, Plan),
) -> RunRecord {
    let emulator = service.emulator.emulator();
    let (planned, looked) = (emulator.journal().len(), service.rule_reads().len());
    let recognised = service.identity_reads().len();
    let clock = &*service.time;
    let notebook = Notebook::new(scene.on_disk, clock);
    let stop = Stop::new();
    let ApplyMode { settings, validity } = *manner;
    let tools = Tools {
        reader: service,
        writer: service,
        journal: &notebook,
        progress: &(),
        settings,
        stop: &stop,
        validity,
        clock,
    };
    let mut report = apply::run(&plan, &tools).await;
    let (applied, bound) = (emulator.journal().len(), notebook.intents.borrow().len());
    let denied = scene.denied && apply::irreversible(&plan).is_empty();
    if denied {
        let no = std::future::ready(Confirmation::Denied("nobody confirmed it".to_owned()));
        report = apply::confirm(&plan, report, &tools, settings.timeout, no).await;
    }
    let rule_reads = service.rule_reads();
    RunRecord {
        desired,
        live,
        plan,
        report,
        denied,
        again: false,
        receipt: notebook.receipt(),
        intents: notebook.intents.into_inner(),
        first: start.first,
        last: emulator.inventory(),
        journal: emulator.journal(),
        begin: start.begin,
        planned,
        applied,
        plan_reads: rule_reads[start.rule_reads..looked].to_vec(),
        rule_reads: rule_reads[looked..].to_vec(),
        identity_reads: service.identity_reads().split_off(recognised),
        ends: validity
            .ends
            .iter()
            .map(|(id, end)| (id.clone(), end.at))
            .collect(),
        bound,
    }
}

/// The journal of a run, in memory and, for some seeds, as a real receipt.
pub(crate) struct Notebook<'a> {
    clock: &'a dyn Clock,
    pub(crate) intents: RefCell<Vec<RecordedWrite>>,
    file: Option<(ReceiptFile, TempDir)>,
}

impl<'a> Notebook<'a> {
    pub(crate) fn new(on_disk: bool, clock: &'a dyn Clock) -> Self {
        let file = on_disk.then(|| {
            let folder = tempfile::tempdir().expect("a folder");
            let header = Header::new(OffsetDateTime::UNIX_EPOCH, RunScope::default());
            let file = ReceiptFile::create(folder.path(), &header).expect("a receipt");
            (file, folder)
        });
        Self {
            clock,
            intents: RefCell::default(),
            file,
        }
    }

    fn receipt(&self) -> Option<Receipt> {
        let (file, _) = self.file.as_ref()?;
        file.end(false).expect("room on the disk");
        Some(Receipt::read(file.path().expect("a file")).expect("a receipt that was just written"))
    }
}

impl Journal for Notebook<'_> {
    fn intent(&self, intent: &Intent<'_>) -> io::Result<usize> {
        let mut intents = self.intents.borrow_mut();
        intents.push(RecordedWrite {
            id: intent.instance.id.clone(),
            call: intent.call.clone(),
            at: self.clock.now(),
            unanswered: true,
        });
        match &self.file {
            Some((file, _)) => file.intent(intent),
            None => Ok(intents.len()),
        }
    }

    fn outcome(&self, write: usize, response: Result<&Operation, &Error>) {
        let known = response.map_or_else(|error| !error.is_outcome_unknown(), |_| true);
        if let Some(told) = self.intents.borrow_mut().get_mut(write - 1) {
            told.unanswered = !known;
        }
        if let Some((file, _)) = &self.file {
            file.outcome(write, response);
        }
    }

    fn result(&self, result: &InstanceResult) {
        if let Some((file, _)) = &self.file {
            file.result(result);
        }
    }

    fn stage(&self, stage: Stage<'_>) {
        if let Some((file, _)) = &self.file {
            file.stage(stage);
        }
    }
}
