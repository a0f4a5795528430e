//! `apply`: carries out a plan file, or plans, shows, asks, and makes it so.
//!
//! Owns the verb and the question. What is written and how it is proved is decided by the plan and done by the executor.

mod confirm;
mod execute;
mod planned;
mod probe;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use time::OffsetDateTime;

use super::Exit;
use super::args::{
    ConfigArgs, ConnectionArgs, ConsentArgs, FleetArgs, ReadArgs, SpellingArgs, StrategyArgs,
    duration,
};
use super::notify::{self, NotifyArgs};
use super::output::{CommandError, Output, RunAnswer};
use super::session::{self, PlanError};
use super::shard::ShardArgs;
use super::signals::Signals;
use super::terminal;
use super::unconfirmed::{self, ReceiptsArgs};
use crate::render::cost::Cost;
use planned::PreparedRun;

#[derive(Args, Debug)]
pub(super) struct ApplyArgs {
    /// A plan file, made by `plan --out`: exactly this is carried out, or nothing. With it `--target`, `--region`,
    /// `--account` and `--shard` only check what it is for
    #[arg(value_name = "PLAN", conflicts_with_all = ["allow", "as_of", "strategy", "strict_spelling"])]
    plan: Option<PathBuf>,
    /// The digest that the plan file must have
    #[arg(
        long,
        value_name = "SHA256",
        requires = "plan",
        env = "PORTWARD_DIGEST",
        hide_env = true
    )]
    digest: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    reading: ReadArgs,
    #[command(flatten)]
    strategy: StrategyArgs,
    #[command(flatten)]
    spelling: SpellingArgs,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    notify: NotifyArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
    /// How long an instance may take, waiting for it to settle included
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration, env = "PORTWARD_TIMEOUT", hide_env = true)]
    timeout: Duration,
    /// Begin nothing new after this many instances have failed
    #[arg(long, value_name = "N", env = "PORTWARD_MAX_FAILURES", hide_env = true,
          value_parser = clap::value_parser!(u32).range(1..))]
    max_failures: Option<u32>,
    /// Put everything back unless it is confirmed within this time, by Enter or by `--probe`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    confirm_within: Option<Duration>,
    /// A shell command that confirms by succeeding; tried again until the time is over
    #[arg(long, value_name = "CMD", requires = "confirm_within")]
    probe: Option<String>,
    #[command(flatten)]
    receipts: ReceiptsArgs,
}

const VERB: &str = "apply";

pub(super) async fn run(args: &ApplyArgs, output: &Output) -> Exit {
    let address = match args.notify.address() {
        Ok(address) => address,
        Err(cannot) => return output.cannot(VERB, &cannot),
    };
    let exit = prepare(args, output).await;
    notify::tell(address.as_ref(), exit, output).await
}

async fn prepare(args: &ApplyArgs, output: &Output) -> Exit {
    // One for the whole verb, so that no signal is lost between two steps of it.
    let mut signals = Signals::listen();
    let warnings = unconfirmed::name_unconfirmed(&args.receipts.receipts, &args.config.config);
    let ready = match planned::prepare(args, output, &mut signals).await {
        Ok(mut ready) => {
            ready.warnings.extend(warnings);
            ready
        }
        Err(no_plan) => return no_plan.show(VERB, output),
    };
    match carry_out(args, output, &ready, signals).await {
        Ok(exit) => {
            ready.connection.close().await;
            exit
        }
        Err(cannot) => {
            ready.connection.close().await;
            PlanError::CommandError(cannot).show(VERB, output)
        }
    }
}

async fn carry_out(
    args: &ApplyArgs,
    output: &Output,
    ready: &PreparedRun,
    mut signals: Signals,
) -> Result<Exit, CommandError> {
    let plan = &ready.plan;
    let shown = |exit, report, text: &str| {
        output.record(|known| known.count(&ready.connection.tally()));
        output.show(&RunAnswer {
            verb: VERB,
            exit,
            problems: &ready.warnings,
            refusals: &ready.refusals,
            violations: &ready.findings.violations,
            plan: Some(plan),
            report,
            cost: Some(&Cost {
                made: session::made(&ready.connection.tally(), args.connection.rate()),
                ..ready.cost.clone()
            }),
            text,
        })
    };
    let mut held = Exit::of_plan(plan);
    if plan.instances.iter().any(|one| !one.still_open.is_empty()) {
        held.push(Exit::Differs);
    }
    if !ready.refusals.is_empty() || ready.findings.refuse() {
        held.push(Exit::Refused);
        return Ok(shown(Exit::first_of(&held), None, &ready.text));
    }
    let instances = plan
        .instances
        .iter()
        .filter(|instance| !instance.calls.is_empty())
        .count();
    let Some(writer) = ready.connection.writer().filter(|_| instances > 0) else {
        return Ok(shown(Exit::first_of(&held), None, &ready.text));
    };
    let confirmation = confirm::Wanted::from_args(args, plan)?;
    match output.text(&ready.text) {
        Err(error) if !args.yes || error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(CommandError::failed(format!(
                "not applied: the plan could not be shown: cannot write to stdout: {error}"
            )));
        }
        _ => {}
    }
    permission(args, instances, &mut signals).await?;
    // The question may have stood for long.
    if let Some(over) = ready.validity.over(OffsetDateTime::now_utc()) {
        return Err(CommandError {
            exit: Exit::Stale,
            message: format!("{over}, so nothing was written"),
            hint: Some("make a new plan and have it reviewed".to_owned()),
        });
    }
    let done = execute::execute(args, ready, &writer, confirmation.as_ref(), signals).await?;
    held.extend(Exit::of_report(&done.report));
    if !done.receipt_is_whole {
        held.push(Exit::Failed);
    }
    held.extend(done.signal);
    let text = crate::render::text::report(&done.report, plan);
    Ok(shown(Exit::first_of(&held), Some(&done.report), &text))
}

/// Asks once, and takes nothing but `yes` for it. A signal is an answer too.
async fn permission(
    args: &ApplyArgs,
    instances: usize,
    signals: &mut Signals,
) -> Result<(), CommandError> {
    if args.yes {
        return Ok(());
    }
    if !terminal::is_there() {
        return Err(CommandError::usage(
            "there are changes to apply and no terminal to ask on",
            "review them with `plan`, then use `--yes`",
        ));
    }
    terminal::forget_typed()
        .map_err(|error| CommandError::failed(format!("the terminal cannot be asked: {error}")))?;
    let plural = if instances == 1 { "" } else { "s" };
    let mut stderr = anstream::stderr();
    let _ = write!(
        stderr,
        "Apply this to {instances} instance{plural}? Only `yes` is taken as consent: "
    );
    let _ = stderr.flush();
    tokio::select! {
        biased;
        signal = signals.next() => {
            let _ = writeln!(stderr);
            let message = "not applied: interrupted at the question".to_owned();
            Err(CommandError { exit: signal.exit(), message, hint: None })
        }
        answer = terminal::line() => match answer {
            Ok(Some(answer)) if answer.trim() == "yes" => Ok(()),
            _ => Err(CommandError::failed("not applied: the answer was not `yes`")),
        },
    }
}
