//! `plan`: shows the changes, and who gains or loses access.
//!
//! Owns the verb. Does not write.

use clap::Args;

use crate::cli::args::{
    ConfigArgs, ConnectionArgs, ConsentArgs, FleetArgs, InventoryFileArgs, OutArgs, ReadMode,
    StrategyArgs,
};
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::last_change;
use crate::cli::present::{plan_text, show_plan};
use crate::cli::run::Run;
use crate::cli::session::{self, Confirm, PlanRequest, Planned};
use crate::cli::shard::ShardArgs;
use crate::cli::signals::interruptible;
use crate::cli::unconfirmed::{self, ReceiptsArgs};
use crate::model::Shard;
use crate::plan::{self, Plan};
use crate::policy::CheckedRules;
use crate::render::text::PlanView;

/// The arguments of a verb that makes a plan from a configuration.
#[derive(Args, Debug)]
pub(super) struct PlanningArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) fleet: FleetArgs,
    /// How live rules are read
    #[arg(help_heading = "Connection", long, value_enum, value_name = "MODE", default_value_t = ReadMode::Exact, env = "PORTWARD_READ")]
    pub(super) read: ReadMode,
    #[command(flatten)]
    strategy: StrategyArgs,
    /// Report rules that allow the same access in other port ranges or networks as differences
    #[arg(long)]
    strict_spelling: bool,
    #[command(flatten)]
    pub(super) shard: ShardArgs,
    #[command(flatten)]
    pub(super) receipts: ReceiptsArgs,
}

impl PlanningArgs {
    pub(super) fn options(&self) -> plan::PlanOptions {
        plan::PlanOptions {
            strategy: self.strategy.strategy,
            strict_spelling: self.strict_spelling,
        }
    }

    /// The request for a plan of everything that differs. Policies judge the rules that would result.
    pub(super) fn request<'a>(
        &'a self,
        consent: &'a ConsentArgs,
        shard: Option<Shard>,
    ) -> PlanRequest<'a> {
        PlanRequest {
            consent,
            fleet: &self.fleet,
            read: self.read,
            options: self.options(),
            judged: CheckedRules::Result,
            confirm: Confirm::Planner,
            preview: self.config.as_of,
            shard,
            only_expired: false,
        }
    }
}

/// The arguments of a verb that compares and does not write.
#[derive(Args, Debug)]
pub(super) struct ComparingArgs {
    #[command(flatten)]
    pub(super) planning: PlanningArgs,
    #[command(flatten)]
    pub(super) snapshot: InventoryFileArgs,
    /// Count instances that are not in the configuration as a difference
    #[arg(long)]
    fail_on_undeclared: bool,
}

#[derive(Args, Debug)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    comparing: ComparingArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    #[command(flatten)]
    out: OutArgs,
    /// Exit with 2 where there are differences
    #[arg(long)]
    detailed_exitcode: bool,
    /// Also show the rules before and after as a unified diff
    #[arg(help_heading = "Output", long)]
    diff: bool,
}

pub(super) async fn run(args: &PlanArgs, run: &mut Run) -> Result<Exit, RunError> {
    let comparing = &args.comparing;
    let planning = &comparing.planning;
    if args.out.out.is_some()
        && planning.config.as_of.is_some()
        && !planning.connection.is_emulated()
    {
        let error = CommandError::usage(
            "`--as-of` is a preview, and a plan file could make it real",
            "leave out `--out`, or use `--emulator`",
        );
        return Err(error.into());
    }
    let planned = make_plan(comparing, &args.consent, CheckedRules::Result, run).await?;
    let differs = if args.detailed_exitcode {
        comparing.differs(&planned.plan)
    } else {
        comparing.fails_on_undeclared(&planned.plan)
    };
    let text = plan_text(run, &planned, PlanView::Plan, args.diff);
    planned.write(&args.out, run)?;
    Ok(show_plan(run, planned, differs, &text))
}

impl ComparingArgs {
    /// The inventory file in place of the service.
    pub(super) fn inventory(&self) -> Option<String> {
        let path = self.snapshot.inventory.as_deref()?;
        Some(path.to_string_lossy().into_owned())
    }

    /// Whether the live rules differ from the desired ones.
    pub(super) fn differs(&self, plan: &Plan) -> bool {
        plan.instances
            .iter()
            .any(|instance| instance.verdict.differs())
            || self.fails_on_undeclared(plan)
    }

    /// Whether there are undeclared instances, and they count as a difference.
    fn fails_on_undeclared(&self, plan: &Plan) -> bool {
        self.fail_on_undeclared && !plan.undeclared.is_empty()
    }
}

/// Loads the configuration, connects for reading, and makes a plan. A signal ends it at once, because no write is in flight.
pub(super) async fn make_plan(
    args: &ComparingArgs,
    consent: &ConsentArgs,
    judged: CheckedRules,
    run: &mut Run,
) -> Result<Planned, RunError> {
    let planning = &args.planning;
    let config = &planning.config.config;
    let warnings = unconfirmed::report_unconfirmed(&planning.receipts.receipts, config);
    let work = async {
        let shard = planning.shard.shard()?;
        run.metadata.shard = shard;
        run.metadata.inventory = args.inventory();
        let connection = &planning.connection.with_shard_rate(shard);
        let inventory = args.snapshot.inventory.as_deref();
        let (loaded, sites, client) = session::open(config, connection, inventory, run).await?;
        let planned = session::plan(
            loaded,
            planning.config.as_of(),
            connection,
            &sites,
            client.reader(),
            PlanRequest {
                judged,
                ..planning.request(consent, shard)
            },
            run,
        )
        .await;
        if let Ok(planned) = &planned
            && judged == CheckedRules::Live
            && inventory.is_none()
        {
            run.metadata.last_changes =
                last_change::read_last_changes(&planned.plan, client.reader()).await;
        }
        let counts = client.calls();
        run.metadata.calls.clone_from(&counts);
        client.close().await;
        let planned = planned?.with_cost(&counts, connection);
        run.problems.extend(warnings);
        Ok(planned)
    };
    interruptible(work).await
}
