//! `rollback`: a plan that undoes a run, from the receipt of that run.
//!
//! Owns the verb. Does not write: the plan is shown and, with `--out`, saved for `apply`, so every guard applies. A
//! configuration provides only guards and policies; the rules come from the receipt alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use time::OffsetDateTime;

use crate::apply::receipt::{self, Receipt, ReceiptError, ReceiptWrite};
use crate::cli::args::{ConnectionArgs, ConsentArgs, FleetArgs, OutArgs, StrategyArgs};
use crate::cli::connection::{AccessMode, Connection};
use crate::cli::error::{CommandError, RunError, problems};
use crate::cli::exit::Exit;
use crate::cli::present::{plan_text, show_plan};
use crate::cli::run::Run;
use crate::cli::session::{self, PlanInputs, Planned, account, discover, read_rules, regions_of};
use crate::cli::signals::interruptible;
use crate::cli::streams::caution;
use crate::config::account_ids;
use crate::config::{self, Account, Config};
use crate::exposure;
use crate::model::{Code, Fingerprint, Site};
use crate::plan::Plan;
use crate::plan::file::Scope;
use crate::policy;
use crate::render;
use crate::render::json::Problem;
use crate::render::text::PlanView;

#[derive(Args, Debug)]
#[command(
    mut_arg("target", |arg| arg.help("Only these instances of the receipt: NAME, REGION/NAME or ACCOUNT/REGION/NAME, globs allowed; repeatable")),
    mut_arg("region", |arg| arg.help("Only what the receipt tells of these regions; repeatable")),
    mut_arg("account", |arg| arg.help("Only what the receipt tells of these accounts; repeatable")),
)]
pub(super) struct RollbackArgs {
    /// The receipt of the run, one of `.portward/receipts`
    receipt: PathBuf,
    /// Judge it by `[guard]` and the policies of this configuration; without it, by the default limits and no policy.
    /// Accounts are reached as it says; where the receipt names any, `firewall.toml` is asked for that in its place
    #[arg(short, long, value_name = "FILE", env = "PORTWARD_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    strategy: StrategyArgs,
    #[command(flatten)]
    consent: ConsentArgs,
    #[command(flatten)]
    out: OutArgs,
    /// Exit with 2 where there is something to put back
    #[arg(long)]
    detailed_exitcode: bool,
}

pub(super) async fn run(args: &RollbackArgs, run: &mut Run) -> Result<Exit, RunError> {
    let planned = interruptible(make_plan(args, run)).await?;
    planned.write(&args.out, run)?;
    let changes = planned
        .plan
        .instances
        .iter()
        .any(|instance| instance.verdict.differs());
    let text = openings_text(&planned.plan) + &plan_text(run, &planned, PlanView::Plan, false);
    let differs = args.detailed_exitcode && changes;
    Ok(show_plan(run, planned, differs, &text))
}

/// The note that a receipt is not signed.
const UNSIGNED: &str =
    "a receipt is not signed: whoever can write the file decides what the way back opens";

/// The access that the plan opens, which is printed first.
fn openings_text(plan: &Plan) -> String {
    let mut text = format!("note: {UNSIGNED}\n");
    let before = text.len();
    for instance in &plan.instances {
        for line in exposure::lines(&instance.exposure.gained) {
            let line = format!("{}: + {line}", instance.instance.id);
            let _ = writeln!(text, "opens: {}", render::sanitize(&line));
        }
    }
    if text.len() == before {
        text.push_str("opens: nothing\n");
    }
    text.push('\n');
    text
}

/// How to reach the accounts that the run wrote in; a run in the one account of its credentials needs no configuration.
fn accounts_of(
    config: Option<&Config>,
    sites: &[Site],
) -> Result<BTreeMap<String, Account>, RunError> {
    if sites.iter().all(|site| site.account.is_none()) {
        return Ok(BTreeMap::new());
    }
    Ok(match config {
        Some(config) => config.accounts().clone(),
        None => config::load("firewall.toml".as_ref())?.accounts().clone(),
    })
}

/// Keeps the selected instances of a receipt. Each selector must match one of them.
fn narrow(
    receipt: &mut Receipt,
    connection: &ConnectionArgs,
    targets: &[String],
) -> Result<(), CommandError> {
    let no_match = |flag: &str, name: &str| {
        CommandError::failed(format!("`--{flag} {name}` names nothing in the receipt"))
            .with_code(Code::NotFound)
    };
    let ids = || receipt.writes.iter().map(|write| &write.id);
    for region in &connection.region {
        if !ids().any(|id| id.region == *region) {
            return Err(no_match("region", region));
        }
    }
    for account in &connection.account {
        if !ids().any(|id| id.account.as_ref() == Some(account)) {
            return Err(no_match("account", account));
        }
    }
    let mut patterns = Vec::new();
    for target in targets {
        let pattern = session::pattern(target)?;
        if !ids().any(|id| session::selects(&pattern, id)) {
            return Err(no_match("target", target));
        }
        patterns.push(pattern);
    }
    let had_writes = !receipt.writes.is_empty();
    receipt.writes.retain(|ReceiptWrite { id, .. }| {
        let named = |account: &String| connection.account.contains(account);
        (connection.region.is_empty() || connection.region.contains(&id.region))
            && (connection.account.is_empty() || id.account.as_ref().is_some_and(named))
            && session::selects_any(&patterns, id)
    });
    if had_writes && receipt.writes.is_empty() {
        let message =
            "nothing in the receipt is what `--target`, `--region` and `--account` name together";
        return Err(CommandError::failed(message).with_code(Code::NotFound));
    }
    Ok(())
}

async fn make_plan(args: &RollbackArgs, run: &mut Run) -> Result<Planned, RunError> {
    let mut receipt = Receipt::read(&args.receipt).map_err(|damage| {
        let code = match damage {
            ReceiptError::Unreadable { .. } => Code::File,
            _ => Code::Receipt,
        };
        CommandError::failed(damage.to_string()).with_code(code)
    })?;
    narrow(&mut receipt, &args.connection, &args.fleet.target)?;
    let config = args
        .config
        .as_deref()
        .map(|path| session::load(path, run))
        .transpose()?;
    let rollback = receipt.rollback();
    let sites: Vec<Site> = rollback.sites().into_iter().collect();
    let accounts = accounts_of(config.as_ref(), &sites)?;
    let connection =
        Connection::connect(&args.connection, None, AccessMode::Read, &sites, &accounts).await?;
    let mut live = discover(connection.reader(), &sites).await;
    let mut desired = rollback.desired(&live);
    let made_at = OffsetDateTime::now_utc();
    let mut declared = desired.instances.len();
    if let Some(config) = &config {
        // Only the regions of the receipt are looked at, so nothing can be said of what is missing elsewhere.
        let all = config.resolve(&live.instances, &BTreeSet::new(), made_at)?;
        declared = declared.max(all.instances.len());
        desired.guard = all.guard;
        desired.policies = all.policies;
    }
    live.firewalls = read_rules(
        connection.reader(),
        desired.instances.keys(),
        args.fleet.concurrency,
    )
    .await;
    let counts = connection.calls();
    connection.close().await;
    let strategy = args.strategy.strategy.unwrap_or_default();
    let plan = rollback.plan(&mut desired, &live, strategy);
    let text = crate::input::read(&args.receipt)
        .map_err(|error| CommandError::file("read", args.receipt.display(), error))?;
    run.problems
        .extend(problems(config.iter().flat_map(Config::warnings)));
    run.problems.push(Problem::warning(Code::Receipt, UNSIGNED));
    if receipt::is_running(&args.receipt) {
        let text = "the run of this receipt still goes on, so that what it left is not settled";
        caution(text);
        run.problems.push(Problem::warning(Code::Receipt, text));
    }
    let inputs = PlanInputs {
        guard: desired.guard.clone(),
        scope: Scope {
            account: account(&plan),
            accounts: account_ids(&accounts),
            regions: regions_of(&sites),
            targets: args.fleet.target.clone(),
            declared,
            shard: None,
            as_of: None,
            leases: config
                .as_ref()
                .is_none_or(|config| config.grants().is_some()),
        },
        config: Fingerprint::of(text),
        made_at,
        changes_at: None,
        changed_since: rollback.changed_since(&live),
    };
    let planned = Planned::judge(plan, inputs, &args.consent, run)?;
    run.findings = policy::check_policies(&planned.plan, &desired, policy::CheckedRules::Result);
    // Whether a waiver is needed is a question about what is declared.
    run.findings.unused_waivers.clear();
    Ok(planned.with_cost(&counts, &args.connection))
}
