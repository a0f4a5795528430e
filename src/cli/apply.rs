//! `apply`: plans, shows, asks, and makes it so.
//!
//! Owns the verb, the question and the signals. What is written and how it is proved is decided by the plan and done by
//! the executor.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;
use time::OffsetDateTime;

use super::Exit;
use super::args::{ConfigArgs, WorldArgs, duration};
use super::output::{Cannot, Output, Shown, plan_text};
use super::session::{self, NoPlan, Planned, Want, World};
use super::{progress, signals};
use crate::apply::{self, Progress, Settings, Stop, Tools};
use crate::model::InstanceId;
use crate::plan::{InstanceResult, Plan, Report};
use crate::render;
use crate::render::text::Asked;

#[derive(Args, Debug)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    world: WorldArgs,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
    /// How long an instance may take, waiting for it to settle included
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration, env = "PORTWARD_TIMEOUT", hide_env = true)]
    timeout: Duration,
}

const VERB: &str = "apply";

pub(super) async fn run(args: &ApplyArgs, output: &Output) -> Exit {
    let work = async {
        let (world, planned) = prepare(args, output).await?;
        let exit = carry_out(args, output, &world, &planned).await;
        world.close().await;
        Ok::<_, NoPlan>(exit)
    };
    match work.await {
        Ok(exit) => exit,
        Err(no_plan) => no_plan.show(VERB, output),
    }
}

/// Everything before the first write; a signal simply ends it.
async fn prepare(args: &ApplyArgs, output: &Output) -> Result<(World, Planned), NoPlan> {
    let work = async {
        if args.config.as_of.is_some() && !against_emulator(&args.world) {
            return Err(Cannot::usage(
                "`--as-of` is a preview, and `apply` would make it real",
                "use it with `plan` and `drift`, or with `--emulator`",
            )
            .into());
        }
        let config = session::load(&args.config, output)?;
        let regions = session::regions(&args.world, &config).await?;
        let world =
            World::connect(&args.world, None, Want::Write, regions.first().cloned()).await?;
        let as_of = args.config.as_of.unwrap_or_else(OffsetDateTime::now_utc);
        match session::plan(&config, as_of, &args.world, &regions, world.reader()).await {
            Ok(planned) => Ok((world, planned)),
            Err(no_plan) => {
                world.close().await;
                Err(no_plan)
            }
        }
    };
    tokio::select! {
        prepared = work => prepared,
        exit = signals::received() => Err(Cannot { exit, message: "interrupted before anything was written".to_owned(), hint: None }.into()),
    }
}

#[cfg(feature = "emulator")]
fn against_emulator(world: &WorldArgs) -> bool {
    world.emulator.is_some()
}

#[cfg(not(feature = "emulator"))]
fn against_emulator(_: &WorldArgs) -> bool {
    false
}

async fn carry_out(args: &ApplyArgs, output: &Output, world: &World, planned: &Planned) -> Exit {
    let plan = &planned.plan;
    let shown = |exit, report, text: &str| {
        output.show(&Shown {
            verb: VERB,
            exit,
            problems: &planned.warnings,
            plan: Some(plan),
            report,
            text,
        })
    };
    let before = Exit::of_plan(plan);
    let writes = plan
        .instances
        .iter()
        .filter(|instance| !instance.calls.is_empty())
        .count();
    let Some(writer) = world.writer().filter(|_| writes > 0) else {
        return shown(
            Exit::first_of(&before),
            None,
            &plan_text(plan, Asked::Plan, false),
        );
    };
    output.text(&plan_text(plan, Asked::Plan, false));
    match permission(args, writes) {
        Permission::Given => {}
        Permission::Denied => {
            return output.cannot(
                VERB,
                &Cannot::failed("not applied: the answer was not `yes`"),
            );
        }
        Permission::NobodyToAsk => {
            let cannot = Cannot::usage(
                "there are changes to apply and no terminal to ask on",
                "review them with `plan`, then use `--yes`",
            );
            return output.cannot(VERB, &cannot);
        }
    }
    let (report, signal) = execute(args, plan, world, &writer, writes).await;
    let mut held = before;
    held.extend(Exit::of_report(&report));
    held.extend(signal);
    shown(
        Exit::first_of(&held),
        Some(&report),
        &render::text::report(&report, plan),
    )
}

enum Permission {
    Given,
    Denied,
    NobodyToAsk,
}

/// Asks once, and takes nothing but `yes` for it.
fn permission(args: &ApplyArgs, instances: usize) -> Permission {
    if args.yes {
        return Permission::Given;
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Permission::NobodyToAsk;
    }
    let mut stderr = anstream::stderr().lock();
    let plural = if instances == 1 { "" } else { "s" };
    let _ = write!(
        stderr,
        "Apply this to {instances} instance{plural}? Only `yes` is taken as consent: "
    );
    let _ = stderr.flush();
    let mut answer = String::new();
    match io::stdin().lock().read_line(&mut answer) {
        Ok(_) if answer.trim() == "yes" => Permission::Given,
        _ => Permission::Denied,
    }
}

/// Runs the plan. The first signal lets what is in flight finish; the second ends the process at once.
async fn execute(
    args: &ApplyArgs,
    plan: &Plan,
    world: &World,
    writer: &crate::lightsail::aws::AwsWriter,
    instances: usize,
) -> (Report, Option<Exit>) {
    let settings = Settings {
        concurrency: usize::from(args.world.concurrency),
        timeout: args.timeout,
        // The plan was made from a listing of this very run.
        recheck: false,
        ..Settings::default()
    };
    let stop = Stop::new();
    let listener = {
        let stop = stop.clone();
        tokio::task::spawn_local(async move {
            let first = signals::received().await;
            stop.set();
            tracing::warn!("finishing what is in flight; a second signal ends the program at once");
            let watch = tokio::task::spawn_local(async {
                let second = signals::received().await;
                std::process::exit(i32::from(second.code()));
            });
            (first, watch)
        })
    };
    let bar = Bar {
        bar: progress::bar(instances, "applying"),
    };
    let tools = Tools {
        reader: world.reader(),
        writer,
        journal: &(),
        progress: &bar,
        settings: &settings,
        stop: &stop,
    };
    let report = apply::run(plan, &tools).await;
    bar.bar.finish_and_clear();
    if !report.interrupted && !listener.is_finished() {
        listener.abort();
        return (report, None);
    }
    let signal = match listener.await {
        Ok((signal, watch)) => {
            watch.abort();
            Some(signal)
        }
        Err(_) => None,
    };
    (report, signal)
}

struct Bar {
    bar: indicatif::ProgressBar,
}

impl Progress for Bar {
    fn started(&self, id: &InstanceId) {
        self.bar.set_message(render::plain(&id.to_string()));
    }

    fn waiting(&self, id: &InstanceId, what: &str) {
        self.bar
            .set_message(render::plain(&format!("{id}: {what}")));
    }

    fn finished(&self, _: &InstanceResult) {
        self.bar.inc(1);
    }
}
