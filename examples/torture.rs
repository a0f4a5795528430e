//! The simulation of the tests, for as many seeds as one likes.
//!
//! `cargo run --release --example torture -- --seeds 100000 --start 5000` plays them on every processor, says how far it is,
//! and ends with a table of what happened how often. A seed that breaks an invariant is told with what it takes to replay it.
//! One of them is liveness: once the faults stop, every instance that can be as wanted is, after a bounded number of calls.

#[path = "../tests/simulation/engine/mod.rs"]
mod engine;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, Result, bail};
use engine::{Tally, Violation, play_all};

/// How often it says how far it is, in seeds.
const EVERY: usize = 1000;

fn main() -> Result<ExitCode> {
    let (start, seeds) = arguments(std::env::args().skip(1))?;
    let threads = thread::available_parallelism()?.get();
    let all = Mutex::new((Tally::default(), Vec::<Violation>::new(), 0_usize));
    thread::scope(|scope| {
        for first in 0..threads {
            let all = &all;
            scope.spawn(move || {
                let mine = (start..start.saturating_add(seeds))
                    .skip(first)
                    .step_by(threads);
                play_all(mine, |result| {
                    let mut all = all.lock().expect("nobody panics while holding it");
                    let (tally, violations, done) = &mut *all;
                    match result {
                        Ok(one) => tally.merge(one),
                        Err(violation) => {
                            say(&format!("seed {}: {}", violation.seed, violation.what));
                            violations.push(violation);
                        }
                    }
                    *done += 1;
                    if done.is_multiple_of(EVERY) {
                        say(&format!("{done} of {seeds}, {} broken", violations.len()));
                    }
                });
            });
        }
    });
    let (tally, mut violations, _) = all.into_inner().expect("nobody panics while holding it");
    write!(io::stdout(), "{tally}")?;
    if !tally.missing(&[("outcome", "applied")]).is_empty() {
        say("nothing was ever applied: too few seeds to tell anything");
    }
    violations.sort_by_key(|violation| violation.seed);
    let Some(first) = violations.first() else {
        return Ok(ExitCode::SUCCESS);
    };
    say(&first.to_string());
    Ok(ExitCode::FAILURE)
}

/// The first seed, and how many.
fn arguments(mut words: impl Iterator<Item = String>) -> Result<(u64, u64)> {
    let (mut start, mut seeds) = (0, 10_000);
    while let Some(word) = words.next() {
        let number = words
            .next()
            .with_context(|| format!("`{word}` needs a number"))?;
        let number = number
            .parse()
            .with_context(|| format!("`{number}` is no number"))?;
        match word.as_str() {
            "--start" => start = number,
            "--seeds" => seeds = number,
            _ => bail!("`{word}` is not known; there are --seeds N and --start S"),
        }
    }
    Ok((start, seeds))
}

/// Progress is no data.
fn say(line: &str) {
    // Nobody listens, nothing is lost.
    let _ = writeln!(io::stderr(), "{line}");
}
