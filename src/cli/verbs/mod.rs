//! The verbs, one file each, and the command line that names them.
//!
//! **Owns** the command line, except for the flags that several verbs share. **Does not** implement the verbs.

mod adopt;
mod apply;
mod check;
mod completions;
mod diff;
mod doctor;
mod drift;
mod emulate;
mod explain;
mod grant;
mod grants;
mod import;
mod inventory;
mod plan;
mod report;
mod revoke;
mod rollback;
mod schema;
mod with;

use clap::{Command, CommandFactory as _, Parser, Subcommand};

use super::args::{self, Format, LoggingArgs};
use super::exit::Exit;
use super::present::fail;
use super::run::Run;

/// Keeps the public firewalls of Amazon Lightsail instances equal to a TOML file.
#[derive(Parser, Debug)]
#[command(
    name = "portward",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done or in sync, 1 could not do the job, 2 differences, \
                  3 refused by a guard or policy, 4 stale or wrong plan, 5 partly applied, \
                  6 some instances unreadable, 64 usage, 65 configuration not valid, 130/143 interrupted."
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) logging: LoggingArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Check the configuration offline: syntax, names, expiry, policies; needs no credentials
    Check(check::CheckArgs),
    /// Show what would change, and who gains or loses access; writes nothing
    Plan(plan::PlanArgs),
    /// Apply the changes and verify the result
    Apply(apply::ApplyArgs),
    /// Report whether the live rules differ from the configuration; for cron; writes nothing to the service
    Drift(drift::DriftArgs),
    /// Compare two documents: who gains and who loses access; offline, needs no credentials
    Diff(diff::DiffArgs),
    /// Open a port for a time, as far as `[grants]` permits it; what is over is closed by `apply --only-expired`
    Grant(grant::GrantArgs),
    /// List what is granted: who may reach what, until when and why; writes nothing
    Grants(grants::GrantsArgs),
    /// End a grant, and close what it opened
    Revoke(revoke::RevokeArgs),
    /// Grant, run a command, and revoke; the exit code is that of the command
    With(with::WithArgs),
    /// Explain whether a source reaches a port, and which rule and line allows it; writes nothing
    Explain(explain::ExplainArgs),
    /// Plan to undo a run, from its receipt; writes nothing
    Rollback(rollback::RollbackArgs),
    /// Print a configuration that matches the live rules; writes nothing to the service
    Import(import::ImportArgs),
    /// Take a snapshot of instances and rules, for `plan --inventory` and `emulate --state`; writes nothing
    Inventory(inventory::InventoryArgs),
    /// Diagnose credentials, accounts, permissions, clock, regions and rates; writes nothing
    Doctor(doctor::DoctorArgs),
    /// Merge the reports of all shards of a run into one, with one exit code; offline
    Report(report::ReportArgs),
    /// Print the JSON Schema of a configuration, a plan file, a report, or the output of `diff` or `explain`
    Schema(schema::SchemaArgs),
    /// Print the completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual page of the command or of a verb
    Man(completions::ManArgs),
    /// Serve the Lightsail API on loopback from an inventory file
    Emulate(emulate::EmulateArgs),
}

/// The formats of a verb; none if it prints no document of this program.
fn formats(verb: &str) -> &'static [Format] {
    use Format::{Codequality, Github, Html, Json, Markdown, Prometheus, Sarif, Text};
    match verb {
        "check" | "plan" | "apply" | "drift" | "rollback" | "import" | "inventory" => &[
            Text,
            Json,
            Markdown,
            Github,
            Sarif,
            Codequality,
            Html,
            Prometheus,
        ],
        "diff" => &[Text, Json, Markdown, Github, Html],
        "explain" | "grant" | "revoke" => &[Text, Json, Markdown, Github],
        "grants" => &[Text, Json, Markdown, Github, Prometheus],
        "report merge" => &[Text, Json, Markdown, Prometheus],
        "doctor" => &[Text, Json],
        _ => &[],
    }
}

fn with_format_flags(verb: Command, formats: &'static [Format]) -> Command {
    verb.args(args::format_flags(formats))
        .args(args::text_flags())
}

/// The command line. Each verb has the output flags that apply to it.
pub(super) fn command() -> Command {
    // Help says which variable gives a flag, and not what the variable holds: it may be a secret.
    let hide_values = |command: Command| command.mut_args(|arg| arg.hide_env_values(true));
    hide_values(Cli::command()).mut_subcommands(|verb| {
        let name = verb.get_name().to_owned();
        hide_values(match name.as_str() {
            "report" => verb.mut_subcommand("merge", |merge| {
                hide_values(with_format_flags(merge, formats("report merge")))
            }),
            "with" => verb.args(args::text_flags()),
            _ => match formats(&name) {
                [] => verb,
                formats => with_format_flags(verb, formats),
            },
        })
    })
}

impl Cli {
    /// Runs the verb, and shows its error.
    pub(super) async fn run(&self, run: &mut Run) -> Exit {
        let ended = match &self.verb {
            Verb::Check(args) => check::run(args, run),
            Verb::Plan(args) => plan::run(args, run).await,
            Verb::Apply(args) => apply::run(args, run).await,
            Verb::Drift(args) => drift::run(args, run).await,
            Verb::Diff(args) => diff::run(args, run),
            Verb::Grant(args) => grant::run(args, run).await,
            Verb::Grants(args) => grants::run(args, run).await,
            Verb::Revoke(args) => revoke::run(args, run).await,
            Verb::With(args) => with::run(args, run).await,
            Verb::Explain(args) => explain::run(args, run).await,
            Verb::Rollback(args) => rollback::run(args, run).await,
            Verb::Import(args) => import::run(args, run).await,
            Verb::Inventory(args) => inventory::run(args, run).await,
            Verb::Doctor(args) => doctor::run(args, run).await,
            Verb::Report(args) => report::run(args, run),
            Verb::Schema(args) => Ok(schema::run(args)),
            Verb::Completions(args) => Ok(completions::completions(args)),
            Verb::Man(args) => completions::man(args).map_err(Into::into),
            Verb::Emulate(args) => emulate::run(args).await.map_err(Into::into),
        };
        ended.unwrap_or_else(|error| fail(run, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        command().debug_assert();
    }
}
