//! `rollback`: an ordinary plan back to what was before a run, from the receipt of that run.
//!
//! Owns the verb. Refuses to write: the plan is shown and, with `--out`, kept for `apply`, so every guard applies.

use std::path::PathBuf;

use clap::Args;
use time::OffsetDateTime;

use super::Exit;
use super::args::{ConsentArgs, OutArgs, WorldArgs};
use super::output::{Cannot, Output, plan_text};
use super::session::{Basis, NoPlan, Planned, account, discover, home, read_rules, regions_of};
use super::signals;
use super::world::{Want, World};
use crate::apply::receipt::Receipt;
use crate::model::{Fingerprint, Guard, Site};
use crate::plan::file::Scope;
use crate::plan::{self, Verdict};
use crate::render::text::Asked;

#[derive(Args, Debug)]
pub(super) struct RollbackArgs {
    /// The receipt of the run, one of `.portward/receipts`
    receipt: PathBuf,
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    #[command(flatten)]
    out: OutArgs,
    /// Exit with 2 where there is something to put back
    #[arg(long)]
    detailed_exitcode: bool,
}

const VERB: &str = "rollback";

pub(super) async fn run(args: &RollbackArgs, output: &Output) -> Exit {
    let work = async {
        tokio::select! {
            planned = look(args) => planned,
            exit = signals::received() => {
                Err(Cannot { exit, message: "interrupted".to_owned(), hint: None }.into())
            }
        }
    };
    let planned = match work.await {
        Ok(planned) => planned,
        Err(no_plan) => return no_plan.show(VERB, output),
    };
    if let Err(cannot) = args.out.write(&planned) {
        return output.cannot(VERB, &cannot);
    }
    let changes = planned
        .plan
        .instances
        .iter()
        .any(|instance| instance.verdict != Verdict::InSync);
    let text = plan_text(&planned, Asked::Plan, false);
    output.show_plan(VERB, &planned, args.detailed_exitcode && changes, &text)
}

async fn look(args: &RollbackArgs) -> Result<Planned, NoPlan> {
    let receipt =
        Receipt::read(&args.receipt).map_err(|damage| Cannot::failed(damage.to_string()))?;
    let back = receipt.rollback();
    let sites: Vec<Site> = back.sites().into_iter().collect();
    let world = World::connect(&args.world, None, Want::Read, home(&sites)).await?;
    let mut live = discover(world.reader(), &sites).await;
    let desired = back.desired(&live);
    live.firewalls = read_rules(
        world.reader(),
        desired.instances.keys(),
        args.world.concurrency,
    )
    .await;
    world.close().await;
    let mut plan = plan::plan(
        &desired,
        &live,
        plan::Options {
            strategy: args.world.strategy,
        },
    );
    back.refuse(&mut plan);
    let text = std::fs::read(&args.receipt).map_err(|error| {
        Cannot::failed(format!("cannot read `{}`: {error}", args.receipt.display()))
    })?;
    let basis = Basis {
        warnings: Vec::new(),
        guard: Guard::default(),
        scope: Scope {
            account: account(&plan),
            regions: regions_of(&sites),
            targets: Vec::new(),
            declared: desired.instances.len(),
            shard: None,
        },
        config: Fingerprint::of(text),
        made_at: OffsetDateTime::now_utc(),
        changes_at: None,
    };
    Ok(Planned::judged(plan, basis, &args.consent)?)
}
