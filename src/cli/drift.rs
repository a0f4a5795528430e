//! `drift`: like `plan`, but its answer is the exit code: in sync, differs, or could not look.
//!
//! Owns the verb. Refuses to write.

use clap::Args;

use super::Exit;
use super::args::{ConfigArgs, ReadOnlyArgs, WorldArgs};
use super::output::{Output, Shown, plan_text};
use super::plan::{differs, look};
use crate::render::text::Asked;

#[derive(Args, Debug)]
pub(super) struct DriftArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    read_only: ReadOnlyArgs,
}

const VERB: &str = "drift";

pub(super) async fn run(args: &DriftArgs, output: &Output) -> Exit {
    let planned = match look(&args.config, &args.world, &args.read_only, output).await {
        Ok(planned) => planned,
        Err(no_plan) => return no_plan.show(VERB, output),
    };
    let mut held = Exit::of_plan(&planned.plan);
    if differs(&planned.plan, args.read_only.fail_on_undeclared) {
        held.push(Exit::Differs);
    }
    let text = plan_text(&planned.plan, Asked::Drift, false);
    output.show(&Shown {
        verb: VERB,
        exit: Exit::first_of(&held),
        problems: &planned.warnings,
        plan: Some(&planned.plan),
        report: None,
        text: &text,
    })
}
