//! `apply`: applies a plan file, or makes a plan, shows it, asks for consent, and applies it.
//!
//! Owns the verb and the prompt. Does not decide the calls, which the plan does, and does not verify them, which the executor does.

mod confirm;
mod execute;
mod lease_tags;
mod prepare;
mod probe;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use time::OffsetDateTime;

use super::plan::PlanningArgs;
use crate::cli::args::{ConsentArgs, parse_duration};
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::notify::{self, NotifyArgs};
use crate::cli::present::{fail, show};
use crate::cli::run::Run;
use crate::cli::session;
use crate::cli::signals::Signals;
use crate::cli::streams::wrap_to_stdout;
use crate::cli::terminal;
use crate::cli::unconfirmed;
use crate::model::Code;
use crate::plan::Report;
use crate::render;
use crate::render::cost::Cost;
use prepare::Prepared;

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
        env = "PORTWARD_DIGEST"
    )]
    digest: Option<String>,
    #[command(flatten)]
    planning: PlanningArgs,
    #[command(flatten)]
    notify: NotifyArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
    /// How long an instance may take, waiting for it to settle included
    #[arg(help_heading = "Limits", long, value_name = "TIME", default_value = "60s", value_parser = parse_duration, env = "PORTWARD_TIMEOUT")]
    timeout: Duration,
    /// Begin nothing new after this many instances have failed
    #[arg(help_heading = "Limits", long, value_name = "N", env = "PORTWARD_MAX_FAILURES",
          value_parser = clap::value_parser!(u32).range(1..))]
    max_failures: Option<u32>,
    /// Put everything back unless it is confirmed within this time, by Enter or by `--probe`
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    confirm_within: Option<Duration>,
    /// A shell command that confirms by succeeding; tried again until the time is over
    #[arg(long, value_name = "CMD", requires = "confirm_within")]
    probe: Option<String>,
    /// Only close what was granted for a time that is over, and remove its tags; nothing else is changed
    #[arg(long, conflicts_with_all = ["plan", "strategy", "strict_spelling", "allow", "confirm_within"])]
    only_expired: bool,
}

pub(super) async fn run(args: &ApplyArgs, run: &mut Run) -> Result<Exit, RunError> {
    let webhook = args.notify.webhook()?;
    if let Err(error) = apply(args, run).await {
        fail(run, error);
    }
    Ok(notify::deliver(webhook.as_ref(), run).await)
}

async fn apply(args: &ApplyArgs, run: &mut Run) -> Result<Exit, RunError> {
    // One for the whole verb, so that no signal is lost between two steps of it.
    let mut signals = Signals::listen();
    let warnings = unconfirmed::report_unconfirmed(
        &args.planning.receipts.receipts,
        &args.planning.config.config,
    );
    let prepared = prepare::prepare(args, &mut signals, run).await?;
    run.problems.extend(warnings);
    let ended = confirm_and_execute(args, run, &prepared, signals).await;
    let Prepared {
        connection,
        plan,
        cost,
        text: plan_text,
        ..
    } = prepared;
    let exit = ended.map(|(exits, report)| {
        let text = report
            .as_ref()
            .map(|report| wrap_to_stdout(&render::text::report(report, &plan)));
        let made = connection.calls();
        let made_least = session::minimum_time(&made, args.planning.connection.rate());
        run.metadata.calls.clone_from(&made);
        run.plan = Some(plan);
        run.cost = Some(Cost {
            made,
            made_least,
            ..cost
        });
        run.report = report;
        let exit = Exit::highest(&exits);
        show(run, exit, &text.unwrap_or(plan_text))
    });
    connection.close().await;
    Ok(exit?)
}

/// How it ended, and what became of the plan where it was carried out.
async fn confirm_and_execute(
    args: &ApplyArgs,
    run: &Run,
    prepared: &Prepared,
    mut signals: Signals,
) -> Result<(Vec<Exit>, Option<Report>), CommandError> {
    let plan = &prepared.plan;
    let mut exits = Exit::of_plan(plan);
    if plan.instances.iter().any(|one| !one.still_open.is_empty()) {
        exits.push(Exit::Differs);
    }
    if run.is_refused() {
        exits.push(Exit::Refused);
        return Ok((exits, None));
    }
    let Some(writer) = prepared.connection.writer() else {
        return Ok((exits, None));
    };
    let instances = session::changing(plan).count();
    if instances == 0 {
        // Nobody is asked about tags alone.
        if args.yes {
            exits.extend(lease_tags::remove_ended(prepared, None, &writer).await);
        }
        return Ok((exits, None));
    }
    let confirmation = confirm::ConfirmationRequest::from_args(args, plan)?;
    match run.output.text(&prepared.text) {
        Err(error) if !args.yes || error.kind() != io::ErrorKind::BrokenPipe => {
            let message = format!(
                "not applied: the plan could not be shown: cannot write to stdout: {error}"
            );
            return Err(CommandError::failed(message).with_code(Code::File));
        }
        _ => {}
    }
    ask_permission(args, instances, &mut signals).await?;
    // The question may have stood for long.
    if let Some(over) = prepared.validity.expired(OffsetDateTime::now_utc()) {
        return Err(
            CommandError::new(Exit::Stale, format!("{over}, so nothing was written"))
                .with_hint("make a new plan and have it reviewed"),
        );
    }
    let done =
        execute::execute(args, prepared, &writer, confirmation.as_ref(), &mut signals).await?;
    exits.extend(Exit::of_report(&done.report));
    if !done.is_receipt_complete {
        exits.push(Exit::Failed);
    }
    if done.signal.is_none() {
        exits.extend(lease_tags::remove_ended(prepared, Some(&done.report), &writer).await);
    }
    exits.extend(done.signal);
    Ok((exits, Some(done.report)))
}

/// Asks once, and takes nothing but `yes` for it. A signal is an answer too.
async fn ask_permission(
    args: &ApplyArgs,
    instances: usize,
    signals: &mut Signals,
) -> Result<(), CommandError> {
    if args.yes {
        return Ok(());
    }
    if !terminal::is_interactive() {
        return Err(CommandError::usage(
            "there are changes to apply and no terminal to ask on",
            "review them with `plan`, then use `--yes`",
        ));
    }
    terminal::discard_input().map_err(|error| {
        CommandError::failed(format!(
            "not applied: the terminal cannot be asked: {error}"
        ))
        .with_code(Code::NotConfirmed)
    })?;
    let instances = render::count(instances, "instance");
    let mut stderr = anstream::stderr();
    let _ = write!(stderr, "This changes {instances}. Type \"yes\" to apply: ");
    let _ = stderr.flush();
    let answer = async { Ok(terminal::read_line().await) };
    let answer = signals
        .interruptible("not applied: interrupted at the question", answer)
        .await;
    match answer {
        Ok(Ok(Some(answer))) if answer.trim() == "yes" => Ok(()),
        Ok(_) => Err(
            CommandError::failed("not applied: the answer was not `yes`")
                .with_code(Code::NotConfirmed),
        ),
        Err(error) => {
            let _ = writeln!(stderr);
            Err(error)
        }
    }
}
