//! The command line: what was typed, which verb it means, and how the process ends.
//!
//! Owns the edge of the program: arguments, environment, clock, terminal and signals are read here and handed on as
//! values. Data goes to stdout, everything else to stderr. One file a verb; the exit codes are in `exit`.

mod adopt;
mod apply;
mod args;
mod check;
mod completions;
mod connection;
mod diff;
mod doctor;
mod documents;
mod drift;
#[cfg(feature = "emulator")]
mod emulate;
mod exit;
mod explain;
mod flags;
mod import;
mod inventory;
mod jitter;
mod last_change;
mod logging;
mod metrics;
mod notify;
mod output;
mod plan;
mod progress;
mod report;
mod rollback;
mod schema;
mod session;
mod shard;
mod signals;
mod terminal;
mod unconfirmed;

use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _};

use args::{Cli, Verb};
pub use exit::Exit;
use output::Output;

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> Exit {
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return output::clap_message(&error, flags::hint(&error).as_deref()),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return output::clap_message(&error, None),
    };
    logging::start(&cli.logging);
    let verb = matches.subcommand().map(|(_, arguments)| arguments);
    let config = verb.and_then(|verb| verb.try_get_one::<PathBuf>("config").ok().flatten());
    let output = Output::new(&cli.output, config.map(PathBuf::as_path));
    let name = cli.verb.name();
    tracing::info!("portward {} {name}", env!("CARGO_PKG_VERSION"));
    match verb.map_or(Ok(Vec::new()), |verb| flags::check(name, verb)) {
        Ok(notes) => output.note(notes),
        Err(cannot) => return output.cannot(name, &cannot),
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return output.cannot(
                "portward",
                &output::CommandError::failed(format!("no runtime: {error}")),
            );
        }
    };
    let local = tokio::task::LocalSet::new();
    let exit = local.block_on(&runtime, dispatch(&cli.verb, &output));
    // A read that was cut off must not hold the process back.
    runtime.shutdown_background();
    exit
}

async fn dispatch(verb: &Verb, output: &Output) -> Exit {
    match verb {
        Verb::Check(args) => check::run(args, output),
        Verb::Plan(args) => plan::run(args, output).await,
        Verb::Apply(args) => apply::run(args, output).await,
        Verb::Drift(args) => drift::run(args, output).await,
        Verb::Diff(args) => diff::run(args, output),
        Verb::Explain(args) => explain::run(args, output).await,
        Verb::Rollback(args) => rollback::run(args, output).await,
        Verb::Import(args) => import::run(args, output).await,
        Verb::Inventory(args) => inventory::run(args, output).await,
        Verb::Doctor(args) => doctor::run(args, output).await,
        Verb::Report(args) => report::run(args, output),
        Verb::Schema(args) => schema::run(args),
        Verb::Completions(args) => completions::completions(args),
        Verb::Man(args) => completions::man(args, output),
        #[cfg(feature = "emulator")]
        Verb::Emulate(args) => emulate::run(args, output).await,
    }
}
