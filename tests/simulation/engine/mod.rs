//! The simulation: one seed is one world, one run in which things go wrong, and a few more after it has calmed down.
//!
//! Owns what is run, which is what the command runs: list, read, plan, lint, apply, report, with a journal. Refuses to judge
//! it, and to wait: pauses are zero, and what the service needs time for is on the emulator's own clock.

mod act;
mod adapter;
mod cover;
mod judge;
mod scene;
mod settle;
mod tally;
mod told;

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use portward::apply::Settings;
use portward::emulator::{Faults, InProcess, Options};
use time::OffsetDateTime;

use act::Act;
use adapter::Service;
use scene::Scene;
pub(crate) use tally::Tally;

/// What the emulator would sign with. It must not come up anywhere.
const SECRET: &str = "the-secret-of-this-simulation";

/// How often a fleet is planned and applied after the faults are gone. Where no operation ever ends, a run gets one call
/// further.
const ROUNDS: u32 = 8;

/// How long a run may wait for what never comes. Nothing that the emulator does late takes more than ten questions, and a
/// question takes a millisecond. On a machine that is busy it may not be enough, so it doubles with each round.
const PATIENCE: Duration = Duration::from_millis(40);

/// How many worlds take turns on one thread.
const AT_ONCE: usize = 4;

/// Something that must not be.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) seed: u64,
    /// The invariant and what was found.
    pub(crate) what: String,
    /// The world, the plan, the report and the journal.
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

/// Plays these seeds on this thread, and tells of each as it is done. Each begins with the patience of this round; it is 1
/// unless the machine is too busy for that.
pub(crate) fn play_all(
    seeds: impl Iterator<Item = u64>,
    first_round: u32,
    mut done: impl FnMut(Result<Tally, Violation>),
) {
    let rows = cover::rows();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut games = stream::iter(seeds)
            .map(|seed| play(seed, first_round, &rows))
            .buffer_unordered(AT_ONCE);
        while let Some(result) = games.next().await {
            done(result);
        }
    });
}

/// Every two values of two quirks, and the rows in which they have to meet.
#[cfg(test)]
pub(crate) fn every_pair() -> (std::collections::BTreeSet<cover::Pair>, Vec<cover::Row>) {
    (cover::pairs(&cover::sizes()), cover::rows())
}

/// Plays one seed.
async fn play(seed: u64, first_round: u32, rows: &[cover::Row]) -> Result<Tally, Violation> {
    let scene = Scene::new(seed, rows);
    let mut tally = Tally::of(&scene);
    let mut service = service(&scene, &scene.inventory, &scene.faults);
    let acts = act::storm(&scene, &service, &settings(&scene, first_round)).await;
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
    service = self::service(&scene, &inventory, &calm);
    for round in 1.. {
        let patience = settings(&scene, first_round.max(round));
        let act = act::calm(&scene, &service, &patience).await;
        judge::act(&scene, &act).map_err(|what| violation(seed, what, &scene, &act))?;
        tally.add(&act);
        let verdict = settle::verdict(&scene, &act, round == ROUNDS)
            .map_err(|what| violation(seed, what, &scene, &act))?;
        if let Some(excuses) = verdict {
            tally.excuse(&excuses);
            break;
        }
    }
    Ok(tally)
}

fn service(scene: &Scene, inventory: &portward::inventory::Inventory, faults: &Faults) -> Service {
    let options = Options {
        secret_key: SECRET.to_owned(),
        quirks: scene.quirks.clone(),
        faults: faults.clone(),
        ..Options::default()
    };
    Service::new(InProcess::new(
        inventory.clone(),
        options,
        OffsetDateTime::now_utc(),
    ))
}

fn settings(scene: &Scene, round: u32) -> Settings {
    let patience = PATIENCE * (1 << (round - 1));
    Settings {
        concurrency: if scene.max_failures.is_some() { 1 } else { 4 },
        timeout: patience,
        operation_timeout: patience,
        proof_timeout: patience,
        first_pause: Duration::ZERO,
        longest_pause: Duration::ZERO,
        max_failures: scene.max_failures,
        ..Settings::default()
    }
}

fn violation(seed: u64, what: String, scene: &Scene, act: &Act) -> Violation {
    Violation {
        seed,
        what,
        details: told::details(scene, act),
    }
}
