//! `rollback`: an ordinary plan back to what was before a run, from the receipt of that run.
//!
//! Owns the verb. Refuses to write: the plan is shown and, with `--out`, kept for `apply`, so every guard applies.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use time::OffsetDateTime;

use super::Exit;
use super::args::{ConsentArgs, OutArgs, WorldArgs};
use super::output::{Cannot, Output, plan_text};
use super::session::{
    Basis, NoPlan, Planned, account, discover, home, ids_of, read_rules, regions_of,
};
use super::signals;
use super::world::{Want, World};
use crate::apply::receipt::Receipt;
use crate::config::{self, Account};
use crate::model::{Fingerprint, Guard, Site};
use crate::plan::file::Scope;
use crate::plan::{self, Verdict};
use crate::render::text::Asked;

#[derive(Args, Debug)]
pub(super) struct RollbackArgs {
    /// The receipt of the run, one of `.portward/receipts`
    receipt: PathBuf,
    /// The configuration that says how to reach the accounts of the receipt, where it names any
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "firewall.toml",
        env = "PORTWARD_CONFIG",
        hide_env = true
    )]
    config: PathBuf,
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

/// How to reach the accounts that the run wrote in; a run in the one account of its credentials needs no configuration.
fn accounts_of(args: &RollbackArgs, sites: &[Site]) -> Result<BTreeMap<String, Account>, NoPlan> {
    if sites.iter().all(|site| site.account.is_none()) {
        return Ok(BTreeMap::new());
    }
    let config = config::load(&args.config)?;
    Ok(config.accounts().clone())
}

async fn look(args: &RollbackArgs) -> Result<Planned, NoPlan> {
    let receipt =
        Receipt::read(&args.receipt).map_err(|damage| Cannot::failed(damage.to_string()))?;
    let back = receipt.rollback();
    let sites: Vec<Site> = back.sites().into_iter().collect();
    let accounts = accounts_of(args, &sites)?;
    let world = World::connect(&args.world, None, Want::Read, home(&sites), &accounts).await?;
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
            accounts: ids_of(&accounts),
            regions: regions_of(&sites),
            targets: Vec::new(),
            declared: desired.instances.len(),
        },
        config: Fingerprint::of(text),
        made_at: OffsetDateTime::now_utc(),
        changes_at: None,
    };
    Ok(Planned::judged(plan, basis, &args.consent)?)
}
