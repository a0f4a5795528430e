//! `check`: is the configuration valid, with no look at the world.
//!
//! Owns the verb. Refuses to connect to anything.

use clap::Args;
use time::OffsetDateTime;

use super::Exit;
use super::args::ConfigArgs;
use super::output::{Output, Shown, problems};
use super::session;
use crate::render;

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

const VERB: &str = "check";

pub(super) fn run(args: &CheckArgs, output: &Output) -> Exit {
    let config = match session::load(&args.config, output) {
        Ok(config) => config,
        Err(no_plan) => return no_plan.show(VERB, output),
    };
    let as_of = args.config.as_of.unwrap_or_else(OffsetDateTime::now_utc);
    let summary = config.summary();
    let mut text = format!(
        "{}: valid; {}, {}, {}\n",
        render::plain(&args.config.config.to_string_lossy()),
        render::count(summary.rules, "rule"),
        render::count(summary.groups, "group"),
        render::count(summary.instances, "instance table"),
    );
    render::text::notes(&mut text, "", &config.expiring(as_of));
    output.show(&Shown {
        verb: VERB,
        exit: Exit::Done,
        problems: &problems(config.warnings()),
        refusals: &[],
        plan: None,
        report: None,
        text: &text,
    })
}
