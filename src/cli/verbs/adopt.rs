//! `drift --adopt`: edits the configuration so that it declares the live rules.
//!
//! Owns the check of the edits before any file is written, and the writing. Does not write to the service, and does not
//! write files that changed since they were read.

use std::collections::BTreeSet;
use std::path::Path;

use time::OffsetDateTime;

use super::plan::ComparingArgs;
use crate::atomic_file;
use crate::cli::error::{CommandError, RunError, problems};
use crate::cli::exit::Exit;
use crate::cli::present::show;
use crate::cli::run::Run;
use crate::cli::session;
use crate::cli::signals::interruptible;
use crate::cli::streams::{wrap_to_stdout, write_status};
use crate::cli::terminal::stdout_width;
use crate::cli::unconfirmed;
use crate::config::{self, AdoptedConfig, Config, InstanceDifference, Source};
use crate::model::{Code, Desired, Key, Live};
use crate::plan::{self, Plan};
use crate::render;
use crate::render::json::Problem;
use crate::render::text::{self, PlanView};

/// Reads, edits, and then answers like `drift`. A dry run edits nothing and answers like `drift`.
pub(super) async fn run(
    args: &ComparingArgs,
    dry_run: bool,
    run: &mut Run,
) -> Result<Exit, RunError> {
    let (edits, plan) = interruptible(adopt(args, dry_run, run)).await?;
    let inventory = args.inventory();
    run.metadata.inventory.clone_from(&inventory);
    let view = inventory
        .as_deref()
        .map_or(PlanView::Drift, PlanView::InventoryDrift);
    let mut exits = Exit::of_plan(&plan);
    if args.differs(&plan) {
        exits.push(Exit::Differs);
    }
    let rest = if dry_run {
        String::new()
    } else {
        wrap_to_stdout(&text::plan(&plan, view, stdout_width()))
    };
    let text = edits + &rest;
    run.plan = Some(plan);
    Ok(show(run, Exit::highest(&exits), &text))
}

/// The edits as a unified diff, and the remaining differences.
async fn adopt(
    args: &ComparingArgs,
    dry_run: bool,
    run: &mut Run,
) -> Result<(String, Plan), RunError> {
    let planning = &args.planning;
    let (connection, fleet) = (&planning.connection, &planning.fleet);
    let config = &planning.config.config;
    let warnings = unconfirmed::report_unconfirmed(&planning.receipts.receipts, config);
    if planning.shard.shard()?.is_some() {
        return Err(CommandError::usage(
            "`--adopt` edits the configuration of the whole fleet, and a shard sees a part",
            "leave out `--shard`",
        )
        .into());
    }
    let inventory = args.snapshot.inventory.as_deref();
    let (loaded, sites, client) = session::open(config, connection, inventory, run).await?;
    let as_of = planning.config.as_of();
    let reader = client.reader();
    let others = session::other_sites(connection, &loaded, &sites).await;
    let mut live = session::discover(reader, &[&sites[..], &others].concat()).await;
    let listing = session::listing(&sites, &others, &live);
    live.sites_unreadable.retain(|site, _| sites.contains(site));
    let mut desired = loaded.resolve_listed(&live.instances, &listing, as_of)?;
    session::narrow(&mut desired, &fleet.target, &live.sites_unreadable)?;
    let ids = desired.instances.keys();
    live.firewalls = session::read_rules(reader, ids, fleet.concurrency).await;
    client.close().await;

    let options = planning.options();
    let before = plan::plan(&desired, &live, options);
    let AdoptedConfig {
        sources,
        changed,
        refused,
    } = adopt_differences(&loaded, &before, &desired, &live, as_of);
    let reparsed = config::parse(sources.clone())?;
    let mut desired = reparsed.resolve_listed(&live.instances, &listing, as_of)?;
    session::narrow(&mut desired, &fleet.target, &live.sites_unreadable)?;
    let plan = plan::plan(&desired, &live, options);

    let files: Vec<(&Source, &Source)> = changed
        .iter()
        .filter_map(|index| Some((loaded.sources().nth(*index)?, sources.get(*index)?)))
        .collect();
    // All are looked at before one is written.
    let texts = files
        .iter()
        .map(|(old, new)| edited_text(old, new))
        .collect::<Result<Vec<String>, CommandError>>()?;
    let edits = files
        .iter()
        .map(|(old, new)| render::diff::file(old.name(), old.text(), new.text()));
    let edits = edits.collect();
    if dry_run {
        run.problems = warnings;
        return Ok((edits, before));
    }
    for ((_, new), text) in files.iter().zip(texts) {
        atomic_file::write(new.name().as_ref(), text.as_bytes())
            .map_err(|error| CommandError::file("edit", new.name(), error))?;
        write_status(&format!("edited: {}", new.name()));
    }
    let mut problems = problems(reparsed.warnings());
    problems.extend(warnings);
    let still_open = plan.instances.iter().flat_map(|one| {
        let open = one.still_open.iter();
        open.map(|open| (one.instance.id.clone(), format!("still open: {open}")))
    });
    for (id, reason) in refused.into_iter().chain(still_open) {
        let message = format!("not adopted: {id}: {reason}");
        write_status(&message);
        problems.push(Problem::warning(Code::NoSafeWay, message));
    }
    run.problems = problems;
    Ok((edits, plan))
}

/// The configuration with the differences adopted.
fn adopt_differences(
    config: &Config,
    plan: &Plan,
    desired: &Desired,
    live: &Live,
    as_of: OffsetDateTime,
) -> AdoptedConfig {
    let keys: Vec<BTreeSet<Key>> = plan
        .instances
        .iter()
        .map(|one| one.changes.iter().map(|change| change.key).collect())
        .collect();
    let differing: Vec<InstanceDifference<'_>> = plan
        .instances
        .iter()
        .zip(&keys)
        .filter(|(one, _)| one.verdict.differs())
        .filter_map(|(one, keys)| {
            let id = &one.instance.id;
            Some(InstanceDifference {
                instance: &one.instance,
                live: live.firewalls.get(id)?.as_ref().ok()?,
                desired: desired.instances.get(id)?,
                keys,
            })
        })
        .collect();
    config.adopt(&differing, as_of)
}

/// The text of a file after the edits, including a byte order mark, unless the file changed since it was read.
fn edited_text(old: &Source, new: &Source) -> Result<String, CommandError> {
    const BOM: &str = "\u{feff}";
    let text = crate::input::read_text(Path::new(old.name()))
        .map_err(|error| CommandError::file("edit", old.name(), error))?;
    let mark = if text.starts_with(BOM) { BOM } else { "" };
    if text.strip_prefix(BOM).unwrap_or(&text) != old.text() {
        let reason = "it changed since it was read";
        return Err(CommandError::file("edit", old.name(), reason));
    }
    Ok(format!("{mark}{}", new.text()))
}
