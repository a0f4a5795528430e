//! `revoke`: ends grants before they expire.
//!
//! Owns the verb, and the choice of grants. Does not decide the calls; the plan does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::Args;

use super::grant::{NOTHING_WRITTEN, with_signal_exit};
use crate::apply::Stop;
use crate::cli::args::Format;
use crate::cli::connection::AccessMode;
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::leases::{FleetSession, LeaseArgs};
use crate::cli::present::show_answer;
use crate::cli::run::Run;
use crate::cli::session;
use crate::cli::signals::{Signal, Signals};
use crate::cli::streams::{caution, wrap_to_stdout, write_error, write_status};
use crate::cli::unconfirmed::ReceiptsArgs;
use crate::lease::{Judged, Lease, LeaseState, PREFIX};
use crate::model::{Code, InstanceId};
use crate::render::count;
use crate::render::grants::{self, Grant, GrantList};

#[derive(Args, Debug)]
pub(super) struct RevokeArgs {
    /// The id of a grant; or the instance and the service, with `--from`
    #[arg(value_name = "ID | INSTANCE SERVICE", num_args = 1..=2, required_unless_present = "all", conflicts_with = "all")]
    grant: Vec<String>,
    /// Source: as for `grant`
    #[arg(
        long,
        value_name = "SOURCE",
        value_delimiter = ',',
        conflicts_with = "all"
    )]
    from: Vec<String>,
    /// Every grant of the instances that are looked at
    #[arg(long)]
    all: bool,
    /// Of all grants only those that the caller made
    #[arg(long, requires = "all")]
    mine: bool,
    #[command(flatten)]
    lease: LeaseArgs,
    #[command(flatten)]
    receipts: ReceiptsArgs,
}

pub(super) async fn run(args: &RevokeArgs, run: &mut Run) -> Result<Exit, RunError> {
    // One for the whole verb, so that no signal is lost between two steps of it.
    let mut signals = Signals::listen();
    let open = FleetSession::open(&args.lease, AccessMode::Write, run);
    let mut fleet = signals.interruptible(NOTHING_WRITTEN, open).await?;
    let stop = Stop::new();
    // It is large.
    let revoking = Box::pin(revoke_all(args, &mut fleet, &stop));
    let (done, signal) = signals.run_gracefully(&stop, || (), revoking).await;
    run.metadata.calls = fleet.connection.calls();
    let now = fleet.now();
    fleet.connection.close().await;
    let (revoked, exit) = done.map_err(|error| with_signal_exit(error, signal))?;
    let exit = signal.map_or(exit, Signal::exit);
    let mut text = String::new();
    for grant in &revoked {
        text.push_str(&revoked_line(grant));
    }
    if revoked.is_empty() && exit == Exit::Done {
        "Nothing was granted.\n".clone_into(&mut text);
    }
    let grants_revoked = GrantList {
        as_of: now,
        grants: revoked,
        sites_unreadable: Vec::new(),
    };
    show_answer(run, exit, "", &|format, _| match format {
        Format::Text | Format::Github => Some(wrap_to_stdout(&text)),
        Format::Json => Some(grants::json(&grants_revoked)),
        Format::Markdown => Some(grants::markdown(&grants_revoked)),
        Format::Sarif | Format::Codequality | Format::Html | Format::Prometheus => None,
    })
}

fn revoked_line(Grant { instance, judged }: &Grant) -> String {
    match &judged.lease {
        Some(lease) => format!(
            "{lease} is no longer granted on {instance} ({})\n",
            lease.id
        ),
        None => format!("the tag {} is removed from {instance}\n", judged.tag),
    }
}

/// Ends the chosen grants, instance by instance. Failures are reported, and do not stop the others.
async fn revoke_all(
    args: &RevokeArgs,
    fleet: &mut FleetSession,
    stop: &Stop,
) -> Result<(Vec<Grant>, Exit), RunError> {
    let mut by_instance: BTreeMap<InstanceId, Vec<Judged>> = BTreeMap::new();
    for Grant { instance, judged } in selected_grants(args, fleet).await? {
        by_instance.entry(instance).or_default().push(judged);
    }
    let (mut revoked, mut exits) = (Vec::new(), Vec::new());
    let (only_permitted, receipts) = (args.from.is_empty(), &args.receipts.receipts);
    let mut left = 0;
    for (id, all) in by_instance {
        if stop.is_set() {
            left += all.len();
            continue;
        }
        match revoke(fleet, &id, &all, only_permitted, receipts, stop).await {
            Ok(exit) => {
                exits.push(exit);
                revoked.extend(all.into_iter().map(|judged| Grant {
                    instance: id.clone(),
                    judged,
                }));
            }
            Err(error) => {
                exits.push(error.exit);
                write_error(error.code, &error.message, error.hint.as_deref());
            }
        }
    }
    if left > 0 {
        let left = count(left, "more grant");
        write_status(&format!("interrupted: {left} not touched"));
    }
    if !fleet.live.sites_unreadable.is_empty() && args.all {
        exits.push(Exit::Incomplete);
    }
    Ok((revoked, Exit::highest(&exits)))
}

/// Closes what these leases opened, and removes their tags. Where nobody named the access, a lease that `[grants]` does not
/// permit closes nothing: it opened nothing, and its tag could be anybody's.
pub(super) async fn revoke(
    fleet: &mut FleetSession,
    id: &InstanceId,
    all: &[Judged],
    only_permitted: bool,
    receipts: &Path,
    stop: &Stop,
) -> Result<Exit, CommandError> {
    let is_open = |judged: &&Judged| match judged.state {
        LeaseState::Live => true,
        LeaseState::Expired => judged.reason.is_none(),
        LeaseState::NotHonoured | LeaseState::Unreadable => false,
    };
    let closing = all
        .iter()
        .filter(|judged| !only_permitted || is_open(judged));
    let close: Vec<&Lease> = closing.filter_map(|judged| judged.lease.as_ref()).collect();
    for judged in all
        .iter()
        .filter(|judged| only_permitted && !is_open(judged))
    {
        let reason = judged.reason.as_deref().unwrap_or_default();
        caution(&format!(
            "only the tag `{}` is removed, and nothing is closed for it: {reason}",
            judged.tag
        ));
    }
    let ids: Vec<String> = close.iter().map(|lease| lease.id.to_string()).collect();
    let about = format!("revoke {}", ids.join(", "));
    let tags: BTreeSet<String> = all.iter().map(|judged| judged.tag.clone()).collect();
    let revoked = fleet.revoke(id, &close, &tags, about, receipts, stop).await;
    revoked.map_err(|error| match error {
        RunError::Command(error) => error,
        RunError::Invalid(_) => {
            CommandError::failed(format!("the configuration does not fit `{id}`"))
                .with_code(Code::Expectation)
        }
    })
}

/// The chosen grants.
async fn selected_grants(args: &RevokeArgs, fleet: &FleetSession) -> Result<Vec<Grant>, RunError> {
    let all = fleet.grants()?.grants;
    if args.all {
        let mut mine = Vec::new();
        let mut callers: BTreeMap<Option<String>, String> = BTreeMap::new();
        for grant in all {
            let Some(lease) = &grant.judged.lease else {
                continue;
            };
            if args.mine {
                let account = grant.instance.account.clone();
                if !callers.contains_key(&account) {
                    let caller = fleet.caller(&grant.instance).await;
                    callers.insert(account.clone(), caller);
                }
                let caller = callers.get(&account).map_or("unknown", String::as_str);
                if caller == "unknown" {
                    return Err(CommandError::failed(
                        "whose grants are mine cannot be told: STS does not say who asks",
                    )
                    .with_code(Code::Unreadable)
                    .with_hint("name a grant by its id")
                    .into());
                }
                if !lease.is_by(caller) {
                    continue;
                }
            }
            mine.push(grant);
        }
        return Ok(mine);
    }
    match &args.grant[..] {
        [id] => {
            if !args.from.is_empty() {
                return Err(CommandError::usage(
                    "`--from` has no effect on the id of a grant",
                    "name the instance and the service, or leave out `--from`",
                )
                .into());
            }
            let tag = format!("{PREFIX}{}", id.strip_prefix(PREFIX).unwrap_or(id));
            let found: Vec<Grant> = all
                .into_iter()
                .filter(|grant| grant.judged.tag == tag)
                .collect();
            if let (true, Some((site, cause))) = (
                found.is_empty(),
                fleet.live.sites_unreadable.first_key_value(),
            ) {
                return Err(CommandError::unlisted(&format!("a grant `{id}`"), site, cause).into());
            }
            if found.is_empty() {
                return Err(CommandError::failed(format!("there is no grant `{id}`"))
                    .with_code(Code::NotFound)
                    .with_hint("`portward grants` lists them")
                    .into());
            }
            Ok(found)
        }
        [instance, service] => {
            if args.from.is_empty() {
                return Err(CommandError::usage(
                    "whose access is not said",
                    "add `--from`, as for `grant`, or name the id of the grant",
                )
                .into());
            }
            let id = session::find(instance, &fleet.live)?;
            let keys = fleet.keys(service)?;
            let sources = fleet.sources(&args.from, id).await?;
            let same = |lease: &Lease| lease.keys == keys && lease.sources == sources;
            let found = all.into_iter().filter(|grant| {
                grant.instance == *id && grant.judged.lease.as_ref().is_some_and(same)
            });
            Ok(found.collect())
        }
        _ => Ok(Vec::new()),
    }
}
