//! `plan`: what would change, and who gains or loses access.
//!
//! Owns the verb. Refuses to write.

use clap::Args;

use super::Exit;
use super::args::{ConfigArgs, ConsentArgs, OutArgs, ReadOnlyArgs, WorldArgs};
use super::earlier::{self, ReceiptsArgs};
use super::last_change;
use super::output::{Cannot, Output, plan_text};
use super::session::{self, Confirm, NoPlan, Planned, Question};
use super::shard::ShardArgs;
use super::signals;
use crate::plan::{Plan, Verdict};
use crate::policy::State;
use crate::render::text::Asked;

/// What a verb needs that compares and does not write.
#[derive(Args, Debug)]
pub(super) struct LookArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    #[command(flatten)]
    pub(super) world: WorldArgs,
    #[command(flatten)]
    pub(super) read_only: ReadOnlyArgs,
    #[command(flatten)]
    pub(super) shard: ShardArgs,
    #[command(flatten)]
    pub(super) receipts: ReceiptsArgs,
}

#[derive(Args, Debug)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    look: LookArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    #[command(flatten)]
    out: OutArgs,
    /// Exit with 2 where there are differences
    #[arg(long)]
    detailed_exitcode: bool,
    /// Also show the rules before and after as a unified diff
    #[arg(long)]
    diff: bool,
}

const VERB: &str = "plan";

pub(super) async fn run(args: &PlanArgs, output: &Output) -> Exit {
    if args.out.out.is_some() && args.look.config.as_of.is_some() && !args.look.world.is_emulated()
    {
        let cannot = Cannot::usage(
            "`--as-of` is a preview, and a plan file could make it real",
            "leave out `--out`, or use `--emulator`",
        );
        return output.cannot(VERB, &cannot);
    }
    let planned = match look(&args.look, &args.consent, State::Result, output).await {
        Ok(planned) => planned,
        Err(no_plan) => return no_plan.show(VERB, output),
    };
    let differs = args.detailed_exitcode && args.look.differs(&planned.plan);
    let text = plan_text(&planned, Asked::Plan, args.diff);
    if let Err(cannot) = args.out.write(&planned) {
        return output.cannot(VERB, &cannot);
    }
    output.show_plan(VERB, &planned, differs, &text)
}

impl LookArgs {
    /// Whether live is not what is desired.
    pub(super) fn differs(&self, plan: &Plan) -> bool {
        plan.instances
            .iter()
            .any(|instance| instance.verdict != Verdict::InSync)
            || (self.read_only.fail_on_undeclared && !plan.undeclared.is_empty())
    }
}

/// Loads, connects for reading only, and plans. A signal ends it: nothing is in flight that would have to be finished.
pub(super) async fn look(
    args: &LookArgs,
    consent: &ConsentArgs,
    judged: State,
    output: &Output,
) -> Result<Planned, NoPlan> {
    let LookArgs {
        config,
        world,
        read_only,
        shard,
        receipts,
    } = args;
    let warnings = earlier::name_unconfirmed(&receipts.receipts, &config.config);
    let work = async {
        let shard = shard.chosen()?;
        output.learn(|known| known.facts.shard = shard);
        let world = &world.shared(shard);
        let inventory = read_only.inventory.as_deref();
        let (loaded, sites, connection) = session::open(config, world, inventory, output).await?;
        let as_of = config.as_of.unwrap_or_else(time::OffsetDateTime::now_utc);
        let planned = session::plan(
            &loaded,
            as_of,
            world,
            consent,
            &sites,
            connection.reader(),
            Question {
                judged,
                confirm: Confirm::Here,
                shard,
            },
        )
        .await;
        if let Ok(planned) = &planned {
            output.learn(|known| known.facts.expiring.clone_from(&planned.expiring));
            if judged == State::Live && inventory.is_none() {
                let changes = last_change::ask(&planned.plan, connection.reader()).await;
                output.learn(|known| known.facts.last_changes = changes);
            }
        }
        let tally = connection.tally();
        output.learn(|known| known.count(&tally));
        connection.close().await;
        let mut planned = planned?.counted(&tally, world);
        planned.warnings.extend(warnings);
        Ok(planned)
    };
    tokio::select! {
        planned = work => planned,
        exit = signals::received() => Err(Cannot { exit, message: "interrupted".to_owned(), hint: None }.into()),
    }
}
