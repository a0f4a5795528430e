//! One look at the world: from arguments to a configuration, a connection, and a plan.
//!
//! Owns what the online verbs have in common. Does not connect, which is `world`'s, and to write.

mod accounts;
mod bulk;
mod cost;
mod discover;
mod select;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use time::OffsetDateTime;

pub(super) use accounts::{beside, ids_of};
pub(super) use bulk::Confirm;
pub(super) use cost::{cost, made};
pub(super) use discover::{discover, discover_expected, read_rules};
pub(super) use select::{narrow, pattern, patterns, selects, suggestion};

use super::args::{ConfigArgs, ConnectionArgs, ConsentArgs, FleetArgs, Read};
use super::connection::{AccessMode, Connection};
use super::output::{CommandError, Output, problems};
use super::shard;
use crate::config::{self, Config, Diagnostics, Listing};
use crate::lightsail::aws;
use crate::lightsail::{Reader, Tally};
use crate::model::{Expiry, Fingerprint, Guard, Instance, InstanceId, Live, Note, Shard, Site};
use crate::plan::file::{self, PlanFile, Scope};
use crate::plan::{self, Plan};
use crate::policy::{self, Findings, Refusal};
use crate::render::cost::Cost;
use crate::render::facts::Expiring;
use crate::render::json::Problem;

/// Why there is no plan.
pub(super) enum PlanError {
    /// The configuration is not valid.
    Invalid(Diagnostics),
    /// Anything else.
    CommandError(CommandError),
}

impl From<CommandError> for PlanError {
    fn from(cannot: CommandError) -> Self {
        Self::CommandError(cannot)
    }
}

impl From<Diagnostics> for PlanError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Invalid(diagnostics)
    }
}

impl PlanError {
    /// Tells it and ends the run.
    pub(super) fn show(&self, verb: &'static str, output: &Output) -> super::Exit {
        match self {
            Self::Invalid(diagnostics) => output.invalid(verb, diagnostics),
            Self::CommandError(cannot) => output.cannot(verb, cannot),
        }
    }
}

/// A plan that was judged, and what it was made from.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) warnings: Vec<Problem>,
    /// What the guards refuse. None: the plan may be carried out.
    pub(super) refusals: Vec<Refusal>,
    /// What the policies say; some of it may refuse the plan.
    pub(super) findings: Findings,
    pub(super) scope: Scope,
    /// Rules that end soon.
    pub(super) expiring: Vec<Expiring>,
    pub(super) config: Fingerprint,
    /// The calls that it took and will take, once they were counted.
    pub(super) cost: Cost,
    /// When the first declared rule of an instance ends, for each that is to be changed and has one.
    pub(super) ends: BTreeMap<InstanceId, Expiry>,
    guard: Guard,
    made_at: OffsetDateTime,
    /// The first instant at which another plan would be made.
    changes_at: Option<OffsetDateTime>,
}

impl Planned {
    /// Judges a plan: whether it is one at all, and whether the guards let it pass.
    ///
    /// A plan that contradicts itself is a bug in this program, and is never shown as if it could be carried out.
    pub(super) fn judged(
        mut plan: Plan,
        basis: Basis,
        consent: &ConsentArgs,
    ) -> Result<Self, CommandError> {
        if let Some(defect) = plan::lint::lint(&plan).first() {
            let message = format!("internal error: invalid plan: {defect}");
            return Err(CommandError::failed(message).with_hint(Some(
                "please report this bug, with the configuration and the live rules".to_owned(),
            )));
        }
        let Basis {
            warnings,
            guard,
            scope,
            config,
            made_at,
            changes_at,
            changed_since,
        } = basis;
        let reason = consent.reason.as_deref().unwrap_or_default();
        let mut judgement = policy::judge_undo(
            &plan,
            &guard,
            scope.declared,
            &changed_since,
            &consent.allow,
            reason,
        );
        if let Some(shard) = scope.shard {
            let whole = judgement
                .refusals
                .iter_mut()
                .filter(|refusal| refusal.instance.is_none());
            for refusal in whole {
                refusal.reason = format!("{} (the part of shard {shard})", refusal.reason);
            }
        }
        for allow in &judgement.unneeded {
            let text = format!("`--allow {allow}` was not needed");
            plan.notes.push(Note { text, origin: None });
        }
        plan.overrides = judgement.used;
        Ok(Self {
            plan,
            warnings,
            refusals: judgement.refusals,
            findings: Findings::default(),
            scope,
            expiring: Vec::new(),
            cost: Cost::default(),
            config,
            ends: BTreeMap::new(),
            guard,
            made_at,
            changes_at,
        })
    }

    /// Counts the calls, of which these were made so far.
    pub(super) fn counted(mut self, tally: &Tally, connection: &ConnectionArgs) -> Self {
        let only_listed = std::mem::take(&mut self.cost.only_listed);
        self.cost = cost(tally, &self.plan, connection.rate(), only_listed);
        self
    }

    /// Whether a guard or a policy stands in the way.
    pub(super) fn is_refused(&self) -> bool {
        !self.refusals.is_empty() || self.findings.refuse()
    }

    /// The plan as a file that is good for `valid_for` at most.
    ///
    /// # Errors
    /// A rule ended while the plan was made.
    pub(super) fn file(&self, valid_for: std::time::Duration) -> Result<PlanFile, CommandError> {
        if let Some(ended) = self.changes_at.filter(|ended| *ended <= self.made_at) {
            let message = format!(
                "the plan is not valid: a rule ended at {ended}, before the plan was complete"
            );
            return Err(CommandError::failed(message).with_hint(Some("plan again".to_owned())));
        }
        let valid_for = time::Duration::try_from(valid_for).unwrap_or(time::Duration::MAX);
        let valid_until = file::valid_until(self.changes_at, self.made_at, valid_for);
        Ok(PlanFile::new(
            self.plan.clone(),
            self.scope.clone(),
            self.guard.clone(),
            self.config,
            self.made_at,
            valid_until,
        ))
    }
}

/// What a plan is wanted for.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlanRequest<'a> {
    /// Which instances, and how many at once.
    pub(super) fleet: &'a FleetArgs,
    /// How live rules are read.
    pub(super) read: Read,
    /// How the plan gets to what must result.
    pub(super) options: plan::Options,
    /// Which state the policies judge.
    pub(super) judged: policy::JudgedRules,
    /// Who makes sure of what a list of instances shows.
    pub(super) confirm: Confirm,
    /// The day that it is a preview of, where it is one.
    pub(super) preview: Option<OffsetDateTime>,
    /// The part of the fleet that is ours.
    pub(super) shard: Option<Shard>,
}

/// What a plan was made from, besides the rules.
pub(super) struct Basis {
    pub(super) warnings: Vec<Problem>,
    pub(super) guard: Guard,
    pub(super) scope: Scope,
    pub(super) config: Fingerprint,
    pub(super) made_at: OffsetDateTime,
    pub(super) changes_at: Option<OffsetDateTime>,
    /// Where the plan undoes a run: the instances that somebody else has changed since, with what is different.
    pub(super) changed_since: BTreeMap<InstanceId, String>,
}

/// Looks at the world through `reader`, plans, and judges the plan.
pub(super) async fn plan(
    config: &Config,
    as_of: OffsetDateTime,
    connection: &ConnectionArgs,
    consent: &ConsentArgs,
    sites: &[Site],
    reader: &impl Reader,
    question: PlanRequest<'_>,
) -> Result<Planned, PlanError> {
    let targets = select::patterns(&question.fleet.target)?;
    let likely = config.likely();
    // What turns out not to be declared is forgotten again, and what was not foreseen is read afterwards.
    let likely = |instance: &Instance| {
        let id = &instance.id;
        (targets.is_empty() || targets.iter().any(|target| selects(target, id)))
            && question.shard.is_none_or(|ours| ours.holds(id))
            && sites.contains(&id.site())
            && likely.declared(instance)
    };
    let beside = beside(connection, config, sites).await;
    let all = [sites, &beside].concat();
    let (mut live, listed_rules) = match question.read {
        Read::Exact => {
            let concurrency = question.fleet.concurrency;
            let live = discover::discover_and_read(reader, &all, &likely, concurrency).await;
            (live, None)
        }
        Read::Bulk => {
            let (live, rules) = discover::discover_listed(reader, &all).await;
            (live, Some(rules))
        }
    };
    let listing = listing(sites, &beside, &live);
    live.sites_unreadable.retain(|site, _| sites.contains(site));
    let mut desired = config.resolve_listed(&live.instances, &listing, as_of)?;
    let declared = desired.instances.len() + desired.undecided.len();
    narrow(&mut desired, &question.fleet.target, &live.sites_unreadable)?;
    if let Some(ours) = question.shard {
        shard::narrow(&mut desired, ours);
        desired.guard = desired.guard.part(declared, ours);
    }
    let options = question.options;
    let manner = bulk::ReadStrategy {
        options,
        concurrency: question.fleet.concurrency,
        confirm: question.confirm,
        seed: fastrand::u64(..),
    };
    let mut looked = bulk::read(reader, &desired, &mut live, listed_rules, manner).await;
    live.firewalls = std::mem::take(&mut looked.firewalls);
    let plan = plan::plan(&desired, &live, options);
    let made_at = OffsetDateTime::now_utc();
    let mut warnings = problems(config.warnings());
    warnings.extend(looked.warning.map(Problem::warning));
    let basis = Basis {
        warnings,
        guard: desired.guard.clone(),
        scope: Scope {
            account: account(&plan),
            accounts: accounts::of(sites, config.accounts()),
            regions: regions_of(sites),
            targets: question.fleet.target.clone(),
            declared,
            shard: question.shard,
            as_of: question.preview,
        },
        config: config.fingerprint(),
        // A plan is made now, whatever day it is a preview of. What it wants was decided before anything was read, so a
        // rule may have ended since.
        made_at,
        changes_at: desired.ends_next(),
        changed_since: BTreeMap::new(),
    };
    let mut planned = Planned::judged(plan, basis, consent)?;
    planned.cost.only_listed = looked.only_listed;
    planned.findings = policy::policies(&planned.plan, &desired, question.judged);
    let unused = std::mem::take(&mut planned.findings.unused);
    planned.plan.notes.extend(unused);
    let changing = planned.plan.instances.iter();
    let changing = changing.filter(|instance| !instance.calls.is_empty());
    planned.ends = changing
        .filter_map(|instance| {
            let id = &instance.instance.id;
            Some((id.clone(), desired.instances.get(id)?.ends_next()?))
        })
        .collect();
    let expiring = desired.expiring(as_of).into_iter();
    planned.expiring = expiring
        .map(|(origin, until)| Expiring {
            origin: origin.clone(),
            until,
        })
        .collect();
    Ok(planned)
}

/// The account of the instances of a plan, where the configuration names none.
pub(super) fn account(plan: &Plan) -> Option<String> {
    let instances = plan.instances.iter();
    let mut instances = instances.filter(|instance| instance.instance.id.account.is_none());
    instances.find_map(|instance| instance.instance.account().map(str::to_owned))
}

/// Loads the configuration and tells its warnings.
pub(super) fn load(args: &ConfigArgs, output: &Output) -> Result<Config, PlanError> {
    let config = config::load(&args.config)?;
    output.record(|known| known.facts.config = Some(config.fingerprint()));
    output.warn(config.warnings());
    Ok(config)
}

/// Loads the configuration and connects for reading, to where it says to look.
pub(super) async fn open(
    config: &ConfigArgs,
    connection: &ConnectionArgs,
    inventory: Option<&Path>,
    output: &Output,
) -> Result<(Config, Vec<Site>, Connection), PlanError> {
    let config = load(config, output)?;
    let sites = sites(connection, &config).await?;
    let connection = Connection::connect(
        connection,
        inventory,
        AccessMode::Read,
        &sites,
        config.accounts(),
    )
    .await?;
    Ok((config, sites, connection))
}

/// Where to look: the flag, else the configuration, else the environment.
pub(super) async fn sites(
    connection: &ConnectionArgs,
    config: &Config,
) -> Result<Vec<Site>, CommandError> {
    if !config.accounts().is_empty() {
        return accounts::sites(connection, config).await;
    }
    if let Some(name) = connection.account.first() {
        return Err(CommandError::usage(
            format!("`--account {name}` names no account: the configuration has none"),
            "add it, as in `[accounts.prod] id = \"123456789012\"`, or leave `--account` out",
        ));
    }
    let mut regions: BTreeSet<String> = if connection.region.is_empty() {
        config.regions().clone()
    } else {
        connection.region.iter().cloned().collect()
    };
    if regions.is_empty() {
        regions.extend(aws::default_region(connection.profile.as_deref()).await);
    }
    if regions.is_empty() {
        return Err(no_region());
    }
    Ok(regions.into_iter().map(Site::of_region).collect())
}

/// What a look at `sites`, and at those `beside` them, showed of where instances are.
pub(super) fn listing(sites: &[Site], beside: &[Site], seen: &Live) -> Listing {
    let incomplete = seen.sites_unreadable.clone();
    let all = sites.iter().chain(beside);
    let complete = all.filter(|site| !incomplete.contains_key(*site));
    Listing {
        complete: complete.cloned().collect(),
        incomplete,
        scope: Some(sites.iter().cloned().collect()),
    }
}

fn no_region() -> CommandError {
    CommandError::usage(
        "no region to look at",
        "name one: `region = \"eu-central-1\"` under [defaults], --region, or AWS_REGION",
    )
}

/// The regions of these sites, each once.
pub(super) fn regions_of(sites: &[Site]) -> Vec<String> {
    let regions: BTreeSet<&String> = sites.iter().map(|site| &site.region).collect();
    regions.into_iter().cloned().collect()
}
