//! `report merge`: merges the reports of all shards into one, with one exit status.
//!
//! Owns the verb and the exit status of the merged report. Does not connect to anything, and does not assume anything about a
//! shard without a report.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::args::Format;
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::metrics;
use crate::cli::present::show_answer;
use crate::cli::run::Run;
use crate::cli::streams::{is_quiet, wrap_to_stdout};
use crate::model::Code;
use crate::render::merge::{self, Merged, ShardEnding};
use crate::render::prometheus::{self, Metrics};

#[derive(Args, Debug)]
pub(super) struct ReportArgs {
    #[command(subcommand)]
    command: ReportCommand,
}

#[derive(Subcommand, Debug)]
enum ReportCommand {
    /// Join the JSON reports of all shards of a run; a shard without one makes the view incomplete (6)
    Merge {
        /// The report of each shard, as `--report json=FILE` wrote it
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(args: &ReportArgs, run: &mut Run) -> Result<Exit, RunError> {
    let ReportCommand::Merge { files } = &args.command;
    let merged = merge_files(files)?;
    let exit = Exit::from_code(merged.exit_code()).unwrap_or(Exit::Failed);
    show_answer(run, exit, "", &|format, file| match format {
        Format::Text if is_quiet() => Some(wrap_to_stdout(&merge::brief(&merged))),
        Format::Text => Some(wrap_to_stdout(&merge::text(&merged))),
        Format::Json => Some(merge::json(&merged)),
        Format::Markdown => Some(merge::markdown(&merged)),
        Format::Prometheus => Some(prometheus::text(&Metrics {
            verb: merged.verb(),
            config: None,
            shard: None,
            counts: merged.counts(),
            calls: merged.calls(),
            seconds: None,
            exit_code: merged.exit_code(),
            now: metrics::unix_time(),
            last_success: metrics::previous_success(file),
        })),
        Format::Github | Format::Sarif | Format::Codequality | Format::Html => None,
    })
}

fn merge_files(files: &[PathBuf]) -> Result<Merged, CommandError> {
    let mut parts = Vec::new();
    for file in files {
        let name = file.display().to_string();
        let text = crate::input::read_text(file)
            .map_err(|error| CommandError::file("read the report", &name, error))?;
        parts.push(merge::read(&name, &text).map_err(|error| merge_error(&error))?);
    }
    for part in &parts {
        if Exit::from_code(part.exit_code()).is_none() {
            let message = format!(
                "`{}` has an exit code that portward does not use",
                part.name()
            );
            return Err(CommandError::failed(message).with_code(Code::Report));
        }
    }
    merge::join(parts, |endings| combine_exits(endings).code()).map_err(|error| merge_error(&error))
}

fn merge_error(error: &merge::MergeError) -> CommandError {
    let hint = match error {
        merge::MergeError::NotAShard(_) => {
            "a shard's report is written with `--shard K/N --report json=FILE`"
        }
        merge::MergeError::Mismatch(..) => "give the reports of one run, each shard once",
        merge::MergeError::WrongSums(..) => "give the report as the shard wrote it",
        merge::MergeError::NotAReport(..) | merge::MergeError::Version(..) => {
            "it is written by `--report json=FILE` of the same version"
        }
    };
    CommandError::failed(error.to_string())
        .with_code(Code::Report)
        .with_hint(hint)
}

/// The exit code that one run over everything would have had, as far as the shards can tell. A code that says that nothing
/// was written is not true of the whole once another shard wrote, so it becomes "partly applied"; so does a failure that is
/// only about instances that were tried.
fn combine_exits(endings: &[ShardEnding]) -> Exit {
    let wrote = endings.iter().any(|ending| ending.wrote);
    let exits: Vec<Exit> = endings
        .iter()
        .map(|ending| {
            let exit = ending.code.map(Exit::from_code);
            match exit {
                None => Exit::Incomplete,
                Some(None) => Exit::Failed,
                Some(Some(Exit::Refused | Exit::Stale)) if wrote => Exit::Partial,
                Some(Some(Exit::Failed)) if wrote && ending.only_instances => Exit::Partial,
                Some(Some(exit)) => exit,
            }
        })
        .collect();
    Exit::highest(&exits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(code: Option<u8>, wrote: bool, only_instances: bool) -> ShardEnding {
        ShardEnding {
            index: 1,
            code,
            wrote,
            only_instances,
        }
    }

    #[test]
    fn merged_exit_status_equals_that_of_one_run() {
        for (endings, exit) in [
            (
                vec![ending(Some(0), false, false), ending(Some(2), false, false)],
                Exit::Differs,
            ),
            (
                vec![ending(Some(2), false, false), ending(None, false, false)],
                Exit::Incomplete,
            ),
            (
                vec![ending(Some(0), true, true), ending(Some(4), false, true)],
                Exit::Partial,
            ),
            (
                vec![ending(Some(0), true, true), ending(Some(3), false, false)],
                Exit::Partial,
            ),
            (
                vec![ending(Some(0), true, true), ending(Some(1), false, true)],
                Exit::Partial,
            ),
            (
                vec![ending(Some(0), true, true), ending(Some(1), false, false)],
                Exit::Failed,
            ),
            (
                vec![ending(Some(0), false, true), ending(Some(4), false, true)],
                Exit::Stale,
            ),
            (
                vec![ending(Some(65), false, false), ending(Some(5), true, true)],
                Exit::Config,
            ),
            (
                vec![
                    ending(Some(143), false, false),
                    ending(Some(65), false, false),
                ],
                Exit::Terminated,
            ),
        ] {
            assert_eq!(combine_exits(&endings), exit, "{endings:?}");
        }
    }
}
