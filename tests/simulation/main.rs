//! A thousand random worlds, each with a service that misbehaves in its own way, and what must hold in all of them.
//!
//! `PORTWARD_SEEDS` says how many, `PORTWARD_SEED` replays one. `examples/torture.rs` plays as many as one likes.

mod engine;

use std::sync::Mutex;
use std::thread;

use engine::{Tally, play_all};

/// How many seeds are played unless told otherwise.
const SEEDS: u64 = 1000;

/// How many threads: the tests are not alone on the machine.
const THREADS: u64 = 2;

#[test]
fn whatever_the_service_does_every_invariant_holds() {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    if let Some(seed) = number("PORTWARD_SEED") {
        play_all([seed].into_iter(), |result| {
            if let Err(violation) = result {
                panic!("{violation}");
            }
        });
        return;
    }
    let seeds = number("PORTWARD_SEEDS").unwrap_or(SEEDS);
    let all = Mutex::new((Tally::default(), Vec::new()));
    thread::scope(|scope| {
        for first in 0..THREADS {
            let all = &all;
            scope.spawn(move || {
                let mine = (first..seeds).step_by(usize::try_from(THREADS).expect("a few"));
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
    eprintln!("{tally}");
}
