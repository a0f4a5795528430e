//! The command line: arguments, verbs and exit codes.
//!
//! **Owns** arguments, environment, clock, terminal and signals, which the rest of the program gets as values. Data goes to
//! stdout, everything else to stderr. The modules are in layers, which `tests/layering` checks: each uses only those below it.
//! **Does not** decide what is planned or written.

mod args;
mod connection;
mod documents;
mod embedded;
mod error;
mod exit;
mod flags;
mod last_change;
mod leases;
mod logging;
mod metrics;
mod notify;
mod output;
mod present;
mod progress;
mod run;
mod session;
mod shard;
mod signals;
mod streams;
mod terminal;
mod unconfirmed;
mod verbs;

use std::path::PathBuf;

use clap::FromArgMatches as _;

use args::OutputArgs;
use error::CommandError;
pub use exit::Exit;
use output::Output;
use run::Run;
use verbs::{Cli, command};

/// Runs the command that the process was started with.
pub fn main() -> Exit {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(mut error) => {
            let hint = flags::hint(&mut error, command());
            return streams::write_clap_message(&error, hint.as_deref());
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return streams::write_clap_message(&error, None),
    };
    let output_args = matches
        .subcommand()
        .map(|(_, verb)| OutputArgs::from_matches(verb));
    let output_args = output_args.unwrap_or_else(|| OutputArgs::from_matches(&matches));
    output_args.color.write_global();
    streams::set_quiet(output_args.quiet);
    logging::start(&cli.logging);
    let (name, verb) = matches.subcommand().unzip();
    let name = name.unwrap_or_default();
    let config = verb.and_then(|verb| verb.try_get_one::<PathBuf>("config").ok().flatten());
    let output = Output::new(&output_args);
    let mut run = Run::new(name, config.map(PathBuf::as_path), output);
    tracing::info!("portward {} {name}", env!("CARGO_PKG_VERSION"));
    match verb.map_or(Ok(Vec::new()), |verb| flags::check(name, verb)) {
        Ok(notes) => {
            for note in &notes {
                streams::note(note);
            }
            run.metadata.environment = notes;
        }
        Err(error) => return present::fail(&mut run, error),
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = CommandError::failed(format!("no runtime: {error}"));
            return present::fail(&mut run, error);
        }
    };
    let local = tokio::task::LocalSet::new();
    let exit = local.block_on(&runtime, cli.run(&mut run));
    // An unfinished read must not delay the end of the process.
    runtime.shutdown_background();
    // The process ends: dropping the data of a large fleet would only take time.
    std::mem::forget(run);
    exit
}
