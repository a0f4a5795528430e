//! `check`: is the configuration valid, and does what it declares hold to its policies, with no look at the world.
//!
//! Owns the verb. What depends on tags, or on which groups an instance is in, is left to `plan`. Refuses to connect to anything.

use clap::Args;
use time::OffsetDateTime;

use super::Exit;
use super::args::ConfigArgs;
use super::output::{Output, Shown, problems};
use super::session;
use crate::model::Weight;
use crate::policy;
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
    let findings = policy::declared(&config.declared(as_of), &config.policies());
    render::text::notes(&mut text, "", &findings.unused);
    text.push_str(&render::text::violations(&findings.violations));
    let denied = findings.violations.iter().any(|v| v.weight == Weight::Deny);
    output.show(&Shown {
        verb: VERB,
        exit: if denied { Exit::Refused } else { Exit::Done },
        problems: &problems(config.warnings()),
        refusals: &[],
        violations: &findings.violations,
        plan: None,
        report: None,
        cost: None,
        text: &text,
    })
}
