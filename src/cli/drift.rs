//! `drift`: like `plan`, but its answer is the exit code: in sync, differs, or could not look.
//!
//! Owns the verb. Refuses to write to the service; `adopt` writes to the configuration.

use clap::Args;

use super::Exit;
use super::adopt;
use super::args::ConsentArgs;
use super::output::{Output, plan_text};
use super::plan::{LookArgs, look};
use crate::policy::State;
use crate::render::text::Asked;

#[derive(Args, Debug)]
pub(super) struct DriftArgs {
    #[command(flatten)]
    look: LookArgs,
    /// Edit the configuration so that it says what is live, comments and layout kept
    #[arg(long, conflicts_with = "strict_spelling")]
    adopt: bool,
}

const VERB: &str = "drift";

pub(super) async fn run(args: &DriftArgs, output: &Output) -> Exit {
    if args.adopt {
        return adopt::run(VERB, &args.look, output).await;
    }
    // Guards judge a change, and nothing is changed here.
    let mut planned = match look(&args.look, &ConsentArgs::default(), State::Live, output).await {
        Ok(planned) => planned,
        Err(no_plan) => return no_plan.show(VERB, output),
    };
    planned.refusals.clear();
    let text = plan_text(&planned, Asked::Drift, false);
    output.show_plan(VERB, &planned, args.look.differs(&planned.plan), &text)
}
