//! The steps before the first write: a plan made now, or a plan file checked against the live rules.
//!
//! Owns the conditions that stop a run before anything is written. Does not write.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use time::OffsetDateTime;

use super::ApplyArgs;
use crate::apply::Validity;
use crate::cli::connection::{AccessMode, Connection};
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::present::{guarded_text, plan_text};
use crate::cli::run::Run;
use crate::cli::session::{self, Confirm, PlanRequest, discover_expected};
use crate::cli::signals::Signals;
use crate::config::{self, Account};
use crate::exposure;
use crate::model::{Instance, InstanceId, Live, Site, Unreadable};
use crate::plan::file::{self, PlanFile, Scope};
use crate::plan::{InstancePlan, Plan, Verdict};
use crate::policy;
use crate::render::cost::Cost;
use crate::render::text::PlanView;

/// A plan that may be applied, with its inputs.
pub(super) struct Prepared {
    pub(super) connection: Connection,
    pub(super) plan: Plan,
    /// The end of its validity.
    pub(super) validity: Validity,
    /// What the plan is for.
    pub(super) scope: Scope,
    /// The calls so far, and those to come.
    pub(super) cost: Cost,
    /// The digest of the plan file, if there is one.
    pub(super) digest: Option<String>,
    /// The tags of expired leases whose access the plan closes.
    pub(super) ended: BTreeMap<InstanceId, BTreeSet<String>>,
    /// The plan as text.
    pub(super) text: String,
}

/// A signal ends it at once.
pub(super) async fn prepare(
    args: &ApplyArgs,
    signals: &mut Signals,
    run: &mut Run,
) -> Result<Prepared, RunError> {
    let work = async {
        match &args.plan {
            Some(path) => from_file(args, path, run).await,
            None => from_config(args, run).await,
        }
    };
    let message = "interrupted before anything was written";
    signals.interruptible(message, work).await
}

async fn from_config(args: &ApplyArgs, run: &mut Run) -> Result<Prepared, RunError> {
    if args.planning.config.as_of.is_some() && !args.planning.connection.is_emulated() {
        return Err(CommandError::usage(
            "`--as-of` is a preview, and `apply` would make it real",
            "use it with `plan` and `drift`, or with `--emulator`",
        )
        .into());
    }
    let shard = args.planning.shard.shard()?;
    run.metadata.shard = shard;
    let config = session::load(&args.planning.config.config, run)?;
    let sites = session::sites(&args.planning.connection, Some(&config)).await?;
    let ours = args.planning.connection.with_shard_rate(shard);
    let connection =
        Connection::connect(&ours, None, AccessMode::Write, &sites, config.accounts()).await?;
    let now = OffsetDateTime::now_utc();
    let as_of = args.planning.config.as_of.unwrap_or(now);
    let planned = session::plan(
        config,
        as_of,
        &args.planning.connection,
        &sites,
        connection.reader(),
        PlanRequest {
            confirm: confirmer(args),
            only_expired: args.only_expired,
            ..args.planning.request(&args.consent, shard)
        },
        run,
    )
    .await;
    let planned = match planned {
        Ok(planned) => planned,
        Err(error) => {
            run.metadata.calls = connection.calls();
            connection.close().await;
            return Err(error);
        }
    };
    let planned = planned.with_cost(&connection.calls(), &ours);
    let text = plan_text(run, &planned, PlanView::Plan, false);
    Ok(Prepared {
        connection,
        cost: planned.cost,
        scope: planned.inputs.scope,
        plan: planned.plan,
        validity: Validity {
            until: None,
            ends: planned.ends,
            ahead: as_of - now,
        },
        digest: None,
        ended: planned.ended,
        text,
    })
}

/// What somebody is asked to agree to must be true when it is shown. Where nobody is asked, the executor looks in time, right
/// before it writes.
fn confirmer(args: &ApplyArgs) -> Confirm {
    if args.yes {
        Confirm::Executor
    } else {
        Confirm::Planner
    }
}

/// The plan of a file that is valid now, and the one that was asked for.
fn read_plan(args: &ApplyArgs, path: &Path) -> Result<PlanFile, CommandError> {
    let name = path.display();
    let bytes = crate::input::read(path)
        .map_err(|error| CommandError::file("read the plan", &name, error))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| stale_plan(format!("`{name}` is not a plan: it is not UTF-8")))?;
    let now = OffsetDateTime::now_utc();
    file::parse(&text, now, args.digest.as_deref()).map_err(|refusal| {
        let is_config = path
            .extension()
            .is_some_and(|extension| extension == "toml");
        if is_config && matches!(refusal, file::PlanFileError::NotAPlan(_)) {
            let hint = format!("a configuration is named with `-c`: `portward apply -c {name}`");
            return stale_plan(format!("`{name}` is not a plan")).with_hint(hint);
        }
        stale_plan(format!("`{name}`: {refusal}")).with_hint(refusal.hint())
    })
}

/// Reads a plan file and compares it with the live rules. Any difference refuses the whole plan.
async fn from_file(args: &ApplyArgs, path: &Path, run: &mut Run) -> Result<Prepared, RunError> {
    let (name, file) = (path.display(), read_plan(args, path)?);
    if let Some(refusal) = policy::lint(&file.plan, &file.guard, file.scope.declared).first() {
        return Err(stale_plan(format!(
            "`{name}` does what its guard {} refuses: {}",
            refusal.guard, refusal.reason
        ))
        .into());
    }
    if let Some(asked) = args.planning.shard.shard()?
        && file.scope.shard != Some(asked)
    {
        let of = file.scope.shard.map_or_else(
            || "is for the whole fleet".to_owned(),
            |shard| format!("is for shard {shard}"),
        );
        return Err(stale_plan(format!("`{name}` {of}, not for shard {asked}"))
            .with_hint("a plan file says itself what it is for")
            .into());
    }
    check_selection(&file.plan, args, &name.to_string())?;
    if let Some(day) = file.scope.as_of
        && !args.planning.connection.is_emulated()
    {
        let message = format!("`{name}` is a preview of {day}, and `apply` would make it real");
        let hint = "make a plan without `--as-of`";
        return Err(stale_plan(message).with_hint(hint).into());
    }
    run.metadata.shard = file.scope.shard;
    run.metadata.config = Some(file.config);
    run.set_provenance(file.made_at, &file.scope);
    run.metadata.provenance.digest = Some(file.digest());
    let mut plan = file.plan.clone();
    let accounts = accounts_of(args, &file, &name.to_string())?;
    let regions = &file.scope.regions;
    let sites: Vec<Site> = if accounts.is_empty() {
        regions.iter().map(Site::of_region).collect()
    } else {
        let ids = plan.instances.iter().map(|instance| &instance.instance.id);
        let sites: BTreeSet<Site> = ids.map(InstanceId::site).collect();
        sites.into_iter().collect()
    };
    let ours = args.planning.connection.with_shard_rate(file.scope.shard);
    let connection = Connection::connect(&ours, None, AccessMode::Write, &sites, &accounts).await?;
    let expected =
        session::changing(&plan).map(|instance| (&instance.instance.id, &instance.before));
    let (expected, read, reader) = (expected.collect(), args.planning.read, connection.reader());
    let concurrency = args.planning.fleet.concurrency;
    let live = discover_expected(reader, &sites, &expected, read, concurrency).await;
    let mismatches = mismatches(&file, &live);
    if !mismatches.is_empty() {
        run.metadata.calls = connection.calls();
        connection.close().await;
        let message = format!(
            "`{name}` is no longer true, so nothing was written: {}",
            mismatches.join("; ")
        );
        return Err(stale_plan(message)
            .with_hint("make a new plan and have it reviewed")
            .into());
    }
    withhold_unlisted(&mut plan, &live);
    remove_unchanged(&mut plan);
    let counts = connection.calls();
    let leases = file.scope.leases;
    let cost = session::cost(&counts, &plan, leases, ours.rate(), BTreeSet::new());
    let digest = file.digest().to_string();
    Ok(Prepared {
        connection,
        // A plan that a guard or a policy refuses is never written to a file.
        text: guarded_text(&plan, &[], &cost, PlanView::Plan),
        cost,
        digest: Some(digest),
        ended: BTreeMap::new(),
        plan,
        validity: Validity {
            until: Some(file.valid_until),
            ..Validity::default()
        },
        scope: file.scope,
    })
}

/// The connection to the accounts of a plan: from the configuration, if its accounts are the same. A plan without accounts
/// needs no configuration.
fn accounts_of(
    args: &ApplyArgs,
    file: &PlanFile,
    name: &str,
) -> Result<BTreeMap<String, Account>, RunError> {
    let planned = &file.scope.accounts;
    if planned.is_empty() {
        return Ok(BTreeMap::new());
    }
    let config = config::load(&args.planning.config.config)?;
    let config_name = args.planning.config.config.display();
    let mut accounts = BTreeMap::new();
    for (account, id) in planned {
        let difference = match config.accounts().get(account) {
            Some(known) if known.id == *id => {
                accounts.insert(account.clone(), known.clone());
                continue;
            }
            Some(known) => format!("`{config_name}` says that it is {}", known.id),
            None => format!("`{config_name}` does not name it"),
        };
        let message = format!("`{name}` was made for account `{account}`, {id}, and {difference}");
        let hint = "apply it with the configuration that it was made from, or make a new plan";
        return Err(stale_plan(message).with_hint(hint).into());
    }
    Ok(accounts)
}

fn stale_plan(message: String) -> CommandError {
    CommandError::new(Exit::Stale, message)
}

/// Refuses a plan that changes instances outside `--target`, `--region` or `--account`.
fn check_selection(plan: &Plan, args: &ApplyArgs, name: &str) -> Result<(), RunError> {
    let (connection, targets) = (&args.planning.connection, &args.planning.fleet.target);
    let patterns = session::patterns(targets)?;
    for id in session::changing(plan).map(|one| &one.instance.id) {
        let account = id.account.as_ref();
        let left_out = if !connection.region.is_empty() && !connection.region.contains(&id.region) {
            format!("--region {}", connection.region.join(","))
        } else if !connection.account.is_empty()
            && !account.is_some_and(|account| connection.account.contains(account))
        {
            format!("--account {}", connection.account.join(","))
        } else if !session::selects_any(&patterns, id) {
            format!("--target {}", targets.join(","))
        } else {
            continue;
        };
        return Err(stale_plan(format!(
            "`{name}` changes `{id}`, which `{left_out}` leaves out"
        ))
        .with_hint("a plan file says itself what it is for")
        .into());
    }
    Ok(())
}

/// Takes out of a plan what is in a site that was not listed in full: nobody knows whether its instances are still those of
/// the plan, so nothing is written there. The others go on.
fn withhold_unlisted(plan: &mut Plan, live: &Live) {
    let blind = |instance: &InstancePlan| {
        let cause = live.sites_unreadable.get(&instance.instance.id.site());
        cause.filter(|_| !instance.calls.is_empty()).cloned()
    };
    for instance in &plan.instances {
        if let Some(Unreadable { reason, hint, .. }) = blind(instance) {
            let reason = format!("nothing is written where not all can be listed: {reason}");
            let id = instance.instance.id.clone();
            let cause = Unreadable::new(reason).with_hint(hint);
            plan.unreadable.push((id, cause));
        }
    }
    plan.instances.retain(|instance| blind(instance).is_none());
    for (site, cause) in &live.sites_unreadable {
        if !plan.sites_unreadable.iter().any(|(known, _)| known == site) {
            plan.sites_unreadable.push((site.clone(), cause.clone()));
        }
    }
    plan.unreadable
        .sort_by(|(one, _), (other, _)| one.cmp(other));
    plan.sites_unreadable
        .sort_by(|(one, _), (other, _)| one.cmp(other));
}

/// Takes out of a plan the instances that it does not change: they were not looked at again, so nothing is said of them. What
/// it could not read or would not do stays, since that is why it is not all that was wanted.
fn remove_unchanged(plan: &mut Plan) {
    let untouched = |instance: &InstancePlan| {
        instance.incomplete.is_none()
            && matches!(instance.verdict, Verdict::InSync | Verdict::Observed)
    };
    let aside = plan.instances.iter().filter(|instance| untouched(instance));
    plan.unplanned = aside.map(|instance| instance.instance.id.clone()).collect();
    plan.instances.retain(|instance| !untouched(instance));
}

/// The error for a missing instance, with its new name if it was renamed.
fn describe_missing(planned: &Instance, live: &Live) -> String {
    let mut others = live.instances.values();
    match others.find(|instance| instance.arn == planned.arn) {
        Some(renamed) => format!("{} is called {} now", planned.id, renamed.id),
        None => format!("{} does not exist any more", planned.id),
    }
}

/// How the live rules differ from what the plan was made for. What cannot be read is left to the executor, which fails there.
fn mismatches(file: &PlanFile, live: &Live) -> Vec<String> {
    let reached: BTreeSet<&str> = live
        .instances
        .values()
        .filter_map(|instance| instance.account())
        .collect();
    if let Some(account) = file.scope.account.as_deref()
        && !reached.is_empty()
        && !reached.contains(account)
    {
        let reached = reached.into_iter().collect::<Vec<_>>().join(", ");
        return vec![format!(
            "it was made for account {account}, and these credentials reach {reached}"
        )];
    }
    let mut mismatches = Vec::new();
    for planned in session::changing(&file.plan) {
        let id = &planned.instance.id;
        if live.sites_unreadable.contains_key(&id.site()) {
            continue;
        }
        let Some(instance) = live.instances.get(id) else {
            mismatches.push(describe_missing(&planned.instance, live));
            continue;
        };
        if instance.arn != planned.instance.arn {
            mismatches.push(format!(
                "{id} is another instance now: {}, not {}",
                instance.arn, planned.instance.arn
            ));
            continue;
        }
        if instance.address_type != planned.instance.address_type {
            let (was, is) = (&planned.instance.address_type, &instance.address_type);
            mismatches.push(format!("{id} is {is} now, not {was}"));
            continue;
        }
        if let Some(Ok(firewall)) = live.firewalls.get(id)
            && *firewall != planned.before
            && !(firewall.uncertain().is_empty()
                && exposure::equivalent(firewall.firewall(), &planned.after, planned.family())
                && planned.has_desired_spelling(firewall))
        {
            mismatches.push(format!("the rules of {id} have changed since"));
        }
    }
    mismatches
}
