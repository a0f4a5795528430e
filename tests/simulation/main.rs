//! A thousand random worlds, each with a service that misbehaves in its own way, and what must hold in all of them.
//!
//! `PORTWARD_SEEDS` says how many, `PORTWARD_SEED` replays one. `examples/torture.rs` plays as many as one likes.
//!
//! And a small world in which nothing is random: every schedule of what may come between two requests. `PORTWARD_DEPTH` says
//! how much may happen in one.

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

/// How many seeds are played unless told otherwise.
const SEEDS: u64 = 1000;

/// How many scenes there are of people who have access for a time.
const LEASE_SEEDS: u64 = 200;

/// How many threads: the tests are not alone on the machine.
const THREADS: usize = 2;

/// How often as many seeds again are played, until everything has happened.
const ROUNDS: u64 = 5;

/// How many things may happen in one schedule of the exploration, unless told otherwise. With three it takes most of an hour.
const DEPTH: usize = 2;

/// Every way in which it can end for an instance.
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

/// Every write, of ours and of somebody else.
const ACCEPTED: [&str; 6] = [
    "OpenInstancePublicPorts",
    "CloseInstancePublicPorts",
    "PutInstancePublicPorts",
    "OpenInstancePublicPorts of a second writer",
    "CloseInstancePublicPorts of a second writer",
    "PutInstancePublicPorts of a second writer",
];

#[test]
fn whatever_the_service_does_every_invariant_holds() {
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
    // Some endings are rare, so what was not seen is looked for in more worlds.
    let mut never = never(&tally);
    for round in 2..=ROUNDS {
        if never.is_empty() {
            return;
        }
        tally.merge(play(seeds * (round - 1)..seeds * round));
        never = self::never(&tally);
    }
    assert!(never.is_empty(), "never seen: {never:?}\n{tally}");
}

/// People grant, revoke and apply at once, some die, and time passes.
#[test]
fn whatever_people_do_at_once_leases_end_and_close_nothing_else() {
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
fn whoever_dies_of_leases_leaves_nothing_that_stays() {
    match kill_at_every_request() {
        Ok(steps) => assert!(steps > 300, "only {steps} steps"),
        Err(broken) => panic!("{broken}"),
    }
}

/// Whatever happens from its beginning to its end between two requests of somebody else.
#[test]
fn whoever_sleeps_between_two_requests_of_leases_leaves_nothing_that_stays() {
    match stall_before_every_request() {
        Ok(scenes) => assert!(scenes > 200, "only {scenes} scenes"),
        Err(broken) => panic!("{broken}"),
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// Plays these seeds, and panics with what is broken.
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

/// What has not happened of all that must: a simulation in which nothing goes wrong proves nothing.
fn never(tally: &Tally) -> Vec<String> {
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
    let never = tally.never(&wanted);
    never.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_two_values_of_two_quirks_meet() {
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
fn whatever_comes_between_two_requests_every_invariant_holds() {
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
