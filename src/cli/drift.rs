//! `drift`: like `plan`, but its answer is the exit code: in sync, differs, or could not look.
//!
//! Owns the verb. Does not write to the service; `adopt` writes to the configuration.

use std::time::Duration;

use clap::Args;

use super::Exit;
use super::adopt;
use super::args::{ConsentArgs, duration};
use super::jitter;
use super::notify::{self, NotifyArgs};
use super::output::{Output, plan_text};
use super::plan::{PlanningArgs, make_plan};
use crate::policy::JudgedRules;
use crate::render::text::Asked;

#[derive(Args, Debug)]
pub(super) struct DriftArgs {
    #[command(flatten)]
    planning: PlanningArgs,
    /// Edit the configuration so that it says what is live, comments and layout kept
    #[arg(long, conflicts_with_all = ["strict_spelling", "read"])]
    adopt: bool,
    #[command(flatten)]
    notify: NotifyArgs,
    /// Wait a random time of at most this before the first call, so that many machines do not ask at once
    #[arg(long, value_name = "TIME", value_parser = duration, env = "PORTWARD_JITTER", hide_env = true)]
    jitter: Option<Duration>,
}

const VERB: &str = "drift";

pub(super) async fn run(args: &DriftArgs, output: &Output) -> Exit {
    let address = match args.notify.address() {
        Ok(address) => address,
        Err(cannot) => return output.cannot(VERB, &cannot),
    };
    let exit = looked(args, output).await;
    notify::tell(address.as_ref(), exit, output).await
}

async fn looked(args: &DriftArgs, output: &Output) -> Exit {
    if let Some(most) = args.jitter
        && let Err(cannot) = jitter::wait(jitter::chosen(most)).await
    {
        return output.cannot(VERB, &cannot);
    }
    output.begin();
    if args.adopt {
        return adopt::run(VERB, &args.planning, output).await;
    }
    // Guards judge a change, and nothing is changed here.
    let mut planned = match make_plan(
        &args.planning,
        &ConsentArgs::default(),
        JudgedRules::Live,
        output,
    )
    .await
    {
        Ok(planned) => planned,
        Err(no_plan) => return no_plan.show(VERB, output),
    };
    planned.refusals.clear();
    let inventory = args.planning.inventory();
    let asked = inventory.as_deref().map_or(Asked::Drift, Asked::DriftOf);
    let mut text = plan_text(&planned, asked, false);
    text.push_str(&output.last_changes_text());
    output.show_plan(VERB, &planned, args.planning.differs(&planned.plan), &text)
}
