//! `drift`: like `plan`, but the answer is the exit status: in sync, different, or unreadable.
//!
//! Owns the verb. Does not write to the service; `adopt` writes to the configuration.

use std::time::{Duration, Instant};

use clap::Args;

use super::adopt;
use super::plan::{ComparingArgs, make_plan};
use crate::cli::args::{ConsentArgs, parse_duration};
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::notify::{self, NotifyArgs};
use crate::cli::present::{fail, plan_text, show_plan};
use crate::cli::run::Run;
use crate::cli::signals::interruptible;
use crate::cli::streams::wrap_to_stdout;
use crate::policy::CheckedRules;
use crate::render::text::{self, PlanView};

#[derive(Args, Debug)]
pub(super) struct DriftArgs {
    #[command(flatten)]
    comparing: ComparingArgs,
    /// Edit the configuration so that it says what is live, comments and layout kept
    #[arg(long, conflicts_with_all = ["strict_spelling", "read"])]
    adopt: bool,
    /// With `--adopt`: only show how the configuration would be edited
    #[arg(long, requires = "adopt")]
    dry_run: bool,
    #[command(flatten)]
    notify: NotifyArgs,
    /// Wait a random time of at most this before the first call, so that many machines do not ask at once
    #[arg(long, value_name = "TIME", value_parser = parse_duration, env = "PORTWARD_JITTER")]
    jitter: Option<Duration>,
}

pub(super) async fn run(args: &DriftArgs, run: &mut Run) -> Result<Exit, RunError> {
    let webhook = args.notify.webhook()?;
    if let Err(error) = check_drift(args, run).await {
        fail(run, error);
    }
    Ok(notify::deliver(webhook.as_ref(), run).await)
}

async fn check_drift(args: &DriftArgs, run: &mut Run) -> Result<Exit, RunError> {
    if let Some(max) = args.jitter.filter(|max| !max.is_zero()) {
        let delay = random_delay(max);
        tracing::info!(
            seconds = delay.as_secs(),
            "waiting a random time (--jitter)"
        );
        let sleep = async {
            tokio::time::sleep(delay).await;
            Ok::<_, CommandError>(())
        };
        interruptible(sleep).await?;
    }
    run.started = Instant::now();
    if args.adopt {
        return adopt::run(&args.comparing, args.dry_run, run).await;
    }
    // Guards judge a change, and nothing is changed here.
    let consent = ConsentArgs::default();
    let planned = make_plan(&args.comparing, &consent, CheckedRules::Live, run).await?;
    run.refusals.clear();
    let inventory = args.comparing.inventory();
    let view = inventory
        .as_deref()
        .map_or(PlanView::Drift, PlanView::InventoryDrift);
    let mut text = plan_text(run, &planned, view, false);
    text.push_str(&wrap_to_stdout(&text::last_changes(
        &run.metadata.last_changes,
    )));
    let differs = args.comparing.differs(&planned.plan);
    Ok(show_plan(run, planned, differs, &text))
}

/// A duration of at most `max`, seeded by the operating system: machines with synchronous clocks do not call at once.
fn random_delay(max: Duration) -> Duration {
    max.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_below_its_maximum() {
        for max in [Duration::ZERO, Duration::from_mins(5), Duration::MAX] {
            assert!((0..100).all(|_| random_delay(max) <= max));
        }
    }

    #[test]
    fn jitter_is_spread_over_its_range() {
        let max = Duration::from_mins(5);
        let delays = || (0..1000).map(|_| random_delay(max));
        assert!(delays().any(|delay| delay < max / 4));
        assert!(delays().any(|delay| delay > max / 4 * 3));
    }
}
