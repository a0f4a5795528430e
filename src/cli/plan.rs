//! `plan`: what would change, and who gains or loses access.
//!
//! Owns the verb. Refuses to write.

use clap::Args;

use super::Exit;
use super::args::{ConfigArgs, ReadOnlyArgs, WorldArgs};
use super::output::{Output, Shown, plan_text};
use super::session::{self, NoPlan, Planned, Want, World};
use super::signals;
use crate::plan::{Plan, Verdict};
use crate::render::text::Asked;

#[derive(Args, Debug)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    read_only: ReadOnlyArgs,
    /// Exit with 2 where there are differences
    #[arg(long)]
    detailed_exitcode: bool,
    /// Also show the rules before and after as a unified diff
    #[arg(long)]
    diff: bool,
}

const VERB: &str = "plan";

pub(super) async fn run(args: &PlanArgs, output: &Output) -> Exit {
    let planned = match look(&args.config, &args.world, &args.read_only, output).await {
        Ok(planned) => planned,
        Err(no_plan) => return no_plan.show(VERB, output),
    };
    let mut held = Exit::of_plan(&planned.plan);
    if args.detailed_exitcode && differs(&planned.plan, args.read_only.fail_on_undeclared) {
        held.push(Exit::Differs);
    }
    let text = plan_text(&planned.plan, Asked::Plan, args.diff);
    output.show(&Shown {
        verb: VERB,
        exit: Exit::first_of(&held),
        problems: &planned.warnings,
        plan: Some(&planned.plan),
        report: None,
        text: &text,
    })
}

/// Whether live is not what is desired.
pub(super) fn differs(plan: &Plan, fail_on_undeclared: bool) -> bool {
    plan.instances
        .iter()
        .any(|instance| instance.verdict != Verdict::InSync)
        || (fail_on_undeclared && !plan.undeclared.is_empty())
}

/// Loads, connects for reading only, and plans. A signal ends it: nothing is in flight that would have to be finished.
pub(super) async fn look(
    config_args: &ConfigArgs,
    world_args: &WorldArgs,
    read_only: &ReadOnlyArgs,
    output: &Output,
) -> Result<Planned, NoPlan> {
    let work = async {
        let config = session::load(config_args, output)?;
        let regions = session::regions(world_args, &config).await?;
        let world = World::connect(
            world_args,
            read_only.inventory.as_deref(),
            Want::Read,
            regions.first().cloned(),
        )
        .await?;
        let as_of = config_args
            .as_of
            .unwrap_or_else(time::OffsetDateTime::now_utc);
        let planned = session::plan(&config, as_of, world_args, &regions, world.reader()).await;
        world.close().await;
        planned
    };
    tokio::select! {
        planned = work => planned,
        exit = signals::received() => {
            Err(super::output::Cannot { exit, message: "interrupted".to_owned(), hint: None }.into())
        }
    }
}
