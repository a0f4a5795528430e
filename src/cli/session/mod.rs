//! The steps from arguments to a configuration, a connection, the live rules, and a plan.
//!
//! Owns the steps that all verbs share that read live rules. Does not connect, which `connection` does, and does not write.

mod accounts;
mod bulk;
mod cost;
mod discover;
mod find;
mod planned;
mod select;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use time::OffsetDateTime;

pub(super) use accounts::other_sites;
pub(super) use bulk::Confirm;
pub(super) use cost::{cost, minimum_time};
pub(super) use discover::{
    ReadResults, discover, discover_expected, read_rules, read_with_progress,
};
pub(super) use find::{find, sites_that_may_hold};
pub(super) use planned::{PlanInputs, Planned};
pub(super) use select::{narrow, pattern, patterns, selects, selects_any, suggestion};

use super::args::{ConnectionArgs, ConsentArgs, FleetArgs, ReadMode};
use super::connection::{AccessMode, Connection, Snapshot};
use super::error::{CommandError, RunError, problems};
use super::run::Run;
use super::shard;
use super::streams::write_warnings;
use crate::config::{self, Config, Listing};
use crate::lease::Leases;
use crate::lightsail::{Reader, aws};
use crate::model::{Desired, DesiredInstance, Instance, InstanceId, Live, Shard, Site};
use crate::plan::file::Scope;
use crate::plan::{self, InstancePlan, Plan};
use crate::policy;
use crate::render::metadata::Expiring;

/// The options of a plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlanRequest<'a> {
    /// The consent to refusals of guards.
    pub(super) consent: &'a ConsentArgs,
    /// The instances, and the number that is processed at the same time.
    pub(super) fleet: &'a FleetArgs,
    /// How live rules are read.
    pub(super) read: ReadMode,
    /// The calls that the plan may use.
    pub(super) options: plan::PlanOptions,
    /// The state that the policies check.
    pub(super) judged: policy::CheckedRules,
    /// The step that confirms the rules from a list of instances.
    pub(super) confirm: Confirm,
    pub(super) preview: Option<OffsetDateTime>,
    /// The shard of this run.
    pub(super) shard: Option<Shard>,
    /// Whether the plan only closes expired grants.
    pub(super) only_expired: bool,
}

/// Reads the live rules with `reader`, makes a plan and checks it, and records the results in the run.
///
/// The configuration is dropped once it is resolved: for a large fleet it takes more memory than the later steps.
pub(super) async fn plan(
    config: Config,
    as_of: OffsetDateTime,
    connection: &ConnectionArgs,
    sites: &[Site],
    reader: &impl Reader,
    request: PlanRequest<'_>,
    run: &mut Run,
) -> Result<Planned, RunError> {
    let targets = select::patterns(&request.fleet.target)?;
    let likely_declared = config.likely_declared();
    // What turns out not to be declared is forgotten again, and what was not foreseen is read afterwards.
    let likely = |instance: &Instance| {
        let id = &instance.id;
        selects_any(&targets, id)
            && request.shard.is_none_or(|shard| shard.holds(id))
            && sites.contains(&id.site())
            && likely_declared(instance)
            && (!request.only_expired || has_expired_lease(instance, as_of))
    };
    let others = other_sites(connection, &config, sites).await;
    let all = [sites, &others].concat();
    let (mut live, listed_rules) = match request.read {
        ReadMode::Exact => {
            let concurrency = request.fleet.concurrency;
            let live = discover::discover_and_read(reader, &all, &likely, concurrency).await;
            (live, None)
        }
        ReadMode::Bulk => {
            let (live, rules) = discover::discover_listed(reader, &all).await;
            (live, Some(rules))
        }
    };
    let listing = listing(sites, &others, &live);
    live.sites_unreadable.retain(|site, _| sites.contains(site));
    let mut desired = config.resolve_listed(&live.instances, &listing, as_of)?;
    let (fingerprint, leases) = (config.fingerprint(), config.grants().is_some());
    let accounts = accounts::selected_ids(sites, config.accounts());
    run.problems.extend(problems(config.warnings()));
    drop(likely_declared);
    drop(config);
    let declared = desired.instances.len() + desired.undecided.len();
    narrow(&mut desired, &request.fleet.target, &live.sites_unreadable)?;
    if let Some(shard) = request.shard {
        shard::narrow(&mut desired, shard);
        desired.guard = desired.guard.part(declared, shard);
    }
    if request.only_expired {
        narrow_to_expired(&mut desired, &live, as_of);
    }
    let options = request.options;
    let strategy = bulk::ReadStrategy {
        options,
        concurrency: request.fleet.concurrency,
        confirm: request.confirm,
        seed: fastrand::u64(..),
    };
    let mut rules_read = bulk::read(reader, &desired, &mut live, listed_rules, strategy).await;
    live.firewalls = std::mem::take(&mut rules_read.firewalls);
    let plan = if request.only_expired {
        plan::plan_ended_leases(&desired, &live)
    } else {
        plan::plan(&desired, &live, options)
    };
    let made_at = OffsetDateTime::now_utc();
    run.problems.extend(rules_read.warning.take());
    let inputs = PlanInputs {
        guard: desired.guard.clone(),
        scope: Scope {
            account: account(&plan),
            accounts,
            regions: regions_of(sites),
            targets: request.fleet.target.clone(),
            declared,
            shard: request.shard,
            as_of: request.preview,
            leases,
        },
        config: fingerprint,
        // A plan is made now, whatever day it is a preview of. What it wants was decided before anything was read, so a
        // rule may have ended since.
        made_at,
        changes_at: desired.next_expiry(),
        changed_since: BTreeMap::new(),
    };
    let mut planned = Planned::judge(plan, inputs, request.consent, run)?;
    planned.cost.only_listed = rules_read.only_listed;
    planned.ended = expired_lease_tags(&desired);
    if request.only_expired {
        // Its end was agreed upon when it was granted, and what else is open is not the question.
        run.refusals.clear();
        return Ok(planned);
    }
    run.findings = policy::check_policies(&planned.plan, &desired, request.judged);
    let unused = std::mem::take(&mut run.findings.unused_waivers);
    planned.plan.notes.extend(unused);
    planned.ends = changing(&planned.plan)
        .filter_map(|instance| {
            let id = &instance.instance.id;
            Some((id.clone(), desired.instances.get(id)?.next_expiry()?))
        })
        .collect();
    let expiring = desired.expiring(as_of).into_iter();
    run.metadata.expiring = expiring
        .map(|(origin, until)| Expiring {
            origin: origin.clone(),
            until,
        })
        .collect();
    Ok(planned)
}

/// Whether the tags of an instance contain an expired lease.
fn has_expired_lease(instance: &Instance, as_of: OffsetDateTime) -> bool {
    let leases = Leases::of(&instance.tags).leases;
    leases.iter().any(|lease| lease.is_expired(as_of))
}

/// Keeps only the instances with an expired lease.
fn narrow_to_expired(desired: &mut Desired, live: &Live, as_of: OffsetDateTime) {
    let ended = plan::instances_with_ended_leases(desired);
    desired.instances.retain(|id, _| ended.contains(id));
    let has_leases = |id: &InstanceId| {
        let instance = live.instances.get(id);
        instance.is_some_and(|instance| has_expired_lease(instance, as_of))
    };
    desired.undecided.retain(|id, _| has_leases(id));
}

/// The tags of expired leases whose access must be closed.
fn expired_lease_tags(desired: &Desired) -> BTreeMap<InstanceId, BTreeSet<String>> {
    let tags = |wanted: &DesiredInstance| -> BTreeSet<String> {
        let ended = plan::ended_lease_rules(wanted);
        let tags = ended.iter().filter_map(|rule| rule.declared.origin.tag());
        tags.map(str::to_owned).collect()
    };
    let all = desired.instances.iter();
    all.map(|(id, wanted)| (id.clone(), tags(wanted)))
        .filter(|(_, tags)| !tags.is_empty())
        .collect()
}

/// The instances that a plan writes to.
pub(super) fn changing(plan: &Plan) -> impl Iterator<Item = &InstancePlan> + Clone {
    plan.instances.iter().filter(|one| !one.calls.is_empty())
}

/// The account of the instances of a plan, where the configuration names none.
pub(super) fn account(plan: &Plan) -> Option<String> {
    let instances = plan.instances.iter();
    let mut instances = instances.filter(|instance| instance.instance.id.account.is_none());
    instances.find_map(|instance| instance.instance.account().map(str::to_owned))
}

/// Loads the configuration and prints its warnings.
pub(super) fn load(path: &Path, run: &mut Run) -> Result<Config, RunError> {
    let config = config::load(path)?;
    run.metadata.config = Some(config.fingerprint());
    write_warnings(config.warnings());
    Ok(config)
}

/// Loads the configuration and connects for reading, to its sites.
pub(super) async fn open(
    config: &Path,
    connection: &ConnectionArgs,
    inventory: Option<&Path>,
    run: &mut Run,
) -> Result<(Config, Vec<Site>, Connection), RunError> {
    // Both are large for a large fleet, and neither needs the other.
    let snapshot = inventory.map(Snapshot::read);
    let config = load(config, run)?;
    let sites = sites(connection, Some(&config)).await?;
    let connection = Connection::connect(
        connection,
        snapshot,
        AccessMode::Read,
        &sites,
        config.accounts(),
    )
    .await?;
    Ok((config, sites, connection))
}

/// The sites to read: from the flag, or else the configuration if there is one, or else the environment.
pub(super) async fn sites(
    connection: &ConnectionArgs,
    config: Option<&Config>,
) -> Result<Vec<Site>, CommandError> {
    if let Some(config) = config.filter(|config| !config.accounts().is_empty()) {
        return accounts::sites(connection, config).await;
    }
    if let Some(name) = connection.account.first() {
        return Err(match config {
            Some(_) => CommandError::usage(
                format!("`--account {name}` names no account: the configuration has none"),
                "add it, as in `[accounts.prod] id = \"123456789012\"`, or leave `--account` out",
            ),
            None => CommandError::usage(
                format!("`--account {name}` is the name that a configuration gives an account"),
                "name the configuration with `-c FILE`",
            ),
        });
    }
    let mut regions: BTreeSet<String> = connection.region.iter().cloned().collect();
    if regions.is_empty() {
        regions.extend(config.into_iter().flat_map(Config::regions).cloned());
    }
    if regions.is_empty() {
        regions.extend(aws::default_region(connection.profile.as_deref()).await);
    }
    if regions.is_empty() {
        return Err(no_region(config.is_some()));
    }
    Ok(regions.into_iter().map(Site::of_region).collect())
}

/// The selected `sites` and the `others` that were listed completely.
pub(super) fn listing(sites: &[Site], others: &[Site], seen: &Live) -> Listing {
    let incomplete = seen.sites_unreadable.clone();
    let all = sites.iter().chain(others);
    let complete = all.filter(|site| !incomplete.contains_key(*site));
    Listing {
        complete: complete.cloned().collect(),
        incomplete,
        scope: Some(sites.iter().cloned().collect()),
    }
}

fn no_region(has_config: bool) -> CommandError {
    let hint = if has_config {
        "name one or more: `--region eu-central-1`, AWS_REGION, or `region` under `[defaults]`"
    } else {
        "name one or more: `--region eu-central-1`, or AWS_REGION"
    };
    CommandError::usage("no region to look at", hint)
}

/// The regions of these sites, each once.
pub(super) fn regions_of(sites: &[Site]) -> Vec<String> {
    let regions: BTreeSet<&String> = sites.iter().map(|site| &site.region).collect();
    regions.into_iter().cloned().collect()
}
