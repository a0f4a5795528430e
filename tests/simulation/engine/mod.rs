//! The simulation of one seed: a random scene, a run with faults, and a few more runs without faults.
//!
//! Owns the sequence of steps, which is that of the command: list, read, plan, lint, apply, report, with a journal. Does not check the
//! invariants, and does not wait: it has a clock of its own.

mod act;
mod adapter;
mod cover;
mod decode;
mod details;
#[cfg(test)]
mod explore;
mod judge;
#[cfg(test)]
mod leases;
mod scene;
mod settle;
mod tally;
mod time;

use std::collections::BTreeMap;
use std::rc::Rc;

use portward::apply::{Clock as _, Settings};
use portward::emulator::{EmulatorOptions, Faults, InProcess};
use portward::model::InstanceId;
use portward::plan::{Plan, Verdict};

use act::RunRecord;
use adapter::Service;
use scene::Scene;
pub(crate) use tally::Tally;
use time::Time;

/// The secret of the emulator, which must not appear in any output.
const SECRET: &str = "the-secret-of-this-simulation";

/// How often a fleet is planned and applied without faults. If operations never end, each run makes only one call.
const ROUNDS: u32 = 8;

/// The most reads during one wait: a minute of pauses that grow to five seconds and are at least half as long.
const QUESTIONS: usize = 30;

/// A violated invariant.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) seed: u64,
    /// The invariant and the observation.
    pub(crate) what: String,
    /// The scene, the plan, the report and the journal.
    pub(crate) details: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            seed,
            what,
            details,
        } = self;
        write!(
            f,
            "seed {seed}: {what}\nreplay it with PORTWARD_SEED={seed} cargo test --test simulation\n{details}"
        )
    }
}

/// Runs these seeds on this thread, and reports each result.
pub(crate) fn play_all(
    seeds: impl Iterator<Item = u64>,
    mut done: impl FnMut(Result<Tally, Violation>),
) {
    let rows = cover::rows();
    for seed in seeds {
        let time = Rc::new(Time::new());
        // Pauses have a random length.
        fastrand::seed(seed);
        done(time.run(play(seed, &time, &rows)));
    }
}

#[cfg(test)]
pub(crate) use explore::{Explored, explore};
#[cfg(test)]
pub(crate) use leases::{
    Counts as LeaseCounts, kill_at_every_request, play as play_leases, stall_before_every_request,
};

/// All pairs of quirk values, and the rows that must cover them.
#[cfg(test)]
pub(crate) fn every_pair() -> (std::collections::BTreeSet<cover::Pair>, Vec<cover::Row>) {
    (cover::pairs(&cover::sizes()), cover::rows())
}

/// Runs one seed.
async fn play(seed: u64, time: &Rc<Time>, rows: &[cover::Row]) -> Result<Tally, Violation> {
    let scene = Scene::new(seed, rows);
    let mut tally = Tally::of(&scene);
    let mut service = service(&scene, &scene.inventory, &scene.faults, time);
    let settings = settings(&scene);
    let acts = act::run_with_faults(&scene, &service, &settings).await;
    for act in &acts {
        judge::act(&scene, act).map_err(|what| violation(seed, what, &scene, act))?;
        tally.add(act);
    }
    // The faults go, the quirks stay.
    let calm = Faults {
        seed,
        ..Faults::default()
    };
    let inventory = service.emulator.emulator().inventory();
    service = self::service(&scene, &inventory, &calm, time);
    let mut needed = None;
    for round in 1.. {
        let act = act::run_without_faults(&scene, &service, &settings).await;
        let broken = |what| violation(seed, what, &scene, &act);
        judge::act(&scene, &act).map_err(broken)?;
        tally.add(&act);
        let needed = needed.get_or_insert_with(|| calls(&act.plan));
        let verdict = settle::verdict(&scene, &act, round == ROUNDS).map_err(broken)?;
        if let Some(excuses) = verdict {
            tally.excuse(&excuses);
            let calls = within_bounds(&act, needed, &service).map_err(broken)?;
            tally.most("calls about an instance until it was as wanted", calls);
            break;
        }
    }
    Ok(tally)
}

/// The number of calls of each instance of a plan.
fn calls(plan: &Plan) -> BTreeMap<InstanceId, usize> {
    let instances = plan.instances.iter();
    instances
        .map(|plan| (plan.instance.id.clone(), plan.calls.len()))
        .collect()
}

/// Without faults, an instance reaches the desired state after a bounded number of requests: there may be a wait before the first
/// call, after each call, and after the fallback. Returns the highest number.
fn within_bounds(
    act: &RunRecord,
    needed: &BTreeMap<InstanceId, usize>,
    service: &Service,
) -> Result<usize, String> {
    let settled = act.plan.instances.iter();
    let settled = settled.filter(|plan| plan.verdict == Verdict::InSync);
    let mut most = 0;
    for plan in settled {
        let id = &plan.instance.id;
        let calls = service.calls(id);
        let needed = needed.get(id).copied().unwrap_or_default();
        let bound = QUESTIONS * (needed + 2);
        if calls > bound {
            return Err(format!(
                "it gets there: {id} took {calls} calls of at most {bound}"
            ));
        }
        most = most.max(calls);
    }
    Ok(most)
}

fn service(
    scene: &Scene,
    inventory: &portward::inventory::Inventory,
    faults: &Faults,
    time: &Rc<Time>,
) -> Service {
    let options = EmulatorOptions {
        secret_key: SECRET.to_owned(),
        quirks: scene.quirks.clone(),
        faults: faults.clone(),
        ..EmulatorOptions::default()
    };
    let emulator = InProcess::new(inventory.clone(), options, time.now());
    Service::new(emulator, Rc::clone(time))
}

fn settings(scene: &Scene) -> Settings {
    Settings {
        concurrency: if scene.max_failures.is_some() { 1 } else { 4 },
        max_failures: scene.max_failures,
        ..Settings::default()
    }
}

fn violation(seed: u64, what: String, scene: &Scene, act: &RunRecord) -> Violation {
    Violation {
        seed,
        what,
        details: details::details(scene, act),
    }
}
