//! Simulation: a thousand random scenes, each with a service with random faults and quirks, and invariants that hold in all of them.
//!
//! `PORTWARD_SEEDS` sets the number of seeds, `PORTWARD_SEED` replays one. `examples/torture.rs` runs any number of them.
//!
//! Exploration: a small scene without randomness, in which every schedule of events between two requests is tried. `PORTWARD_DEPTH`
//! sets the number of events in one schedule.

mod engine;

use std::io::{self, Write as _};
use std::ops::Range;
use std::sync::Mutex;
use std::thread;

use engine::{
    Explored, LeaseCounts, Tally, every_pair, explore, kill_at_every_request, play_all,
    play_leases, stall_before_every_request,
};
use portward::emulator::Quirks;

/// The default number of seeds.
const SEEDS: u64 = 1000;

/// The number of scenes with leases.
const LEASE_SEEDS: u64 = 200;

/// The number of threads, because other tests run at the same time.
const THREADS: usize = 2;

/// How often the number of seeds is repeated until every outcome has occurred.
const ROUNDS: u64 = 5;

/// The default number of events in one schedule of the exploration. With three it takes most of an hour.
const DEPTH: usize = 2;

/// Every outcome of an instance.
const OUTCOMES: [&str; 8] = [
    "applied",
    "repaired",
    "already-applied",
    "stale",
    "foreign-writer",
    "failed",
    "not-started",
    "reverted",
];

/// Every kind of write, of the run and of others.
const ACCEPTED: [&str; 6] = [
    "OpenInstancePublicPorts",
    "CloseInstancePublicPorts",
    "PutInstancePublicPorts",
    "OpenInstancePublicPorts of a second writer",
    "CloseInstancePublicPorts of a second writer",
    "PutInstancePublicPorts of a second writer",
];

#[test]
fn invariants_hold_for_every_seed() {
    if let Some(seed) = number("PORTWARD_SEED") {
        play_all([seed].into_iter(), |result| {
            if let Err(violation) = result {
                panic!("{violation}");
            }
        });
        return;
    }
    let seeds = number("PORTWARD_SEEDS").unwrap_or(SEEDS);
    let mut tally = play(0..seeds);
    if seeds < SEEDS {
        return;
    }
    // Some outcomes are rare, so more seeds are tried for those that did not occur.
    let mut missing = missing_events(&tally);
    for round in 2..=ROUNDS {
        if missing.is_empty() {
            return;
        }
        tally.merge(play(seeds * (round - 1)..seeds * round));
        missing = missing_events(&tally);
    }
    assert!(missing.is_empty(), "never seen: {missing:?}\n{tally}");
}

/// People grant, revoke and apply at once, some die, and time passes.
#[test]
fn leases_end_and_close_only_their_access_for_every_seed() {
    if let Some(seed) = number("PORTWARD_SEED") {
        if let Err(broken) = play_leases(seed) {
            panic!("{broken}");
        }
        return;
    }
    let seeds = number("PORTWARD_SEEDS").unwrap_or(LEASE_SEEDS);
    let parts: Vec<(LeaseCounts, Vec<String>)> = thread::scope(|scope| {
        let part = |first: usize| {
            scope.spawn(move || {
                let (mut lived, mut broken) = (LeaseCounts::default(), Vec::new());
                for seed in (0..seeds).skip(first).step_by(THREADS) {
                    match play_leases(seed) {
                        Ok(more) => lived.merge(more),
                        Err(what) => broken.push(what),
                    }
                }
                (lived, broken)
            })
        };
        let parts: Vec<_> = (0..THREADS).map(part).collect();
        let parts = parts.into_iter();
        parts
            .map(|part| part.join().expect("it ends by itself"))
            .collect()
    });
    let mut all = LeaseCounts::default();
    let mut broken = Vec::new();
    for (lived, what) in parts {
        all.merge(lived);
        broken.extend(what);
    }
    if let Some(first) = broken.first() {
        let lines = broken.iter().filter_map(|what| what.lines().next());
        panic!(
            "{first}\nall of them:\n{}",
            lines.collect::<Vec<_>>().join("\n")
        );
    }
    let never = all.missing();
    assert!(
        seeds < LEASE_SEEDS || never.is_empty(),
        "never seen: {never:?}: {all:?}"
    );
}

/// Wherever somebody dies, one run after the end leaves neither rule nor tag.
#[test]
fn killed_lease_commands_leave_nothing_after_the_next_run() {
    match kill_at_every_request() {
        Ok(steps) => assert!(steps > 300, "only {steps} steps"),
        Err(broken) => panic!("{broken}"),
    }
}

/// Whatever happens from its beginning to its end between two requests of somebody else.
#[test]
fn delayed_lease_commands_leave_nothing_after_the_next_run() {
    match stall_before_every_request() {
        Ok(scenes) => assert!(scenes > 200, "only {scenes} scenes"),
        Err(broken) => panic!("{broken}"),
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// Runs these seeds, and panics with the first violation.
fn play(seeds: Range<u64>) -> Tally {
    let all = Mutex::new((Tally::default(), Vec::new()));
    thread::scope(|scope| {
        for first in 0..THREADS {
            let (all, seeds) = (&all, &seeds);
            scope.spawn(move || {
                let mine = seeds.clone().skip(first).step_by(THREADS);
                play_all(mine, |result| {
                    let mut all = all.lock().expect("nobody panics while holding it");
                    match result {
                        Ok(tally) => all.0.merge(tally),
                        Err(violation) => all.1.push(violation),
                    }
                });
            });
        }
    });
    let (tally, mut violations) = all.into_inner().expect("nobody panics while holding it");
    violations.sort_by_key(|violation| violation.seed);
    let summary: Vec<String> = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.seed, violation.what))
        .collect();
    if let Some(first) = violations.first() {
        panic!("{first}\nall of them:\n{}", summary.join("\n"));
    }
    tally
}

/// The required events that have not occurred: a simulation without failures proves nothing.
fn missing_events(tally: &Tally) -> Vec<String> {
    let settings: Vec<String> = Quirks::catalogue()
        .iter()
        .flat_map(|quirk| {
            quirk
                .values
                .iter()
                .map(|value| format!("{}={value}", quirk.name))
        })
        .collect();
    let mut wanted: Vec<(&str, &str)> = OUTCOMES.map(|outcome| ("outcome", outcome)).to_vec();
    wanted.extend(ACCEPTED.map(|write| ("accepted", write)));
    wanted.extend(settings.iter().map(|setting| ("quirk", setting.as_str())));
    wanted.push(("end", "as wanted"));
    let missing = tally.missing(&wanted);
    missing.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_pair_of_quirk_values_is_covered() {
    let (mut missing, rows) = every_pair();
    assert!(missing.len() > 1000 && rows.len() < 250, "a cover is small");
    for row in rows {
        let chosen: Vec<(usize, usize)> = row.into_iter().enumerate().collect();
        for (place, one) in chosen.iter().enumerate() {
            for other in &chosen[place + 1..] {
                missing.remove(&(*one, *other));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

/// One instance, two keys, two sources: every change in both modes, every schedule, under all four readings of the service.
#[test]
fn invariants_hold_for_every_schedule() {
    let depth = number("PORTWARD_DEPTH").map_or(DEPTH, |depth| {
        usize::try_from(depth).expect("a small number")
    });
    let parts: Vec<_> = thread::scope(|scope| {
        let parts = (0..THREADS).map(|part| scope.spawn(move || explore(depth, part, THREADS)));
        let parts: Vec<_> = parts.collect();
        let parts = parts.into_iter();
        parts
            .map(|part| part.join().expect("it ends by itself"))
            .collect()
    });
    let mut all = Explored::default();
    for part in parts {
        match part {
            Ok(explored) => all.merge(explored),
            Err(broken) => panic!("{broken}"),
        }
    }
    let _ = writeln!(io::stderr(), "explored: {all}");
    for outcome in OUTCOMES.iter().chain(&["killed"]) {
        assert!(
            all.outcomes.contains_key(*outcome),
            "{outcome} never happened: {all}"
        );
    }
}
