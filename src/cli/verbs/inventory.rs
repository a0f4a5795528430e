//! `inventory`: a snapshot of instances and their rules, as the service spells them.
//!
//! Owns the verb, and the reading of a fleet without a configuration. Does not write to the service, and does not take
//! unreadable rules for empty: they are `null`, an unreadable region is left out, and the run exits with 6.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use glob::Pattern;

use crate::atomic_file;
use crate::cli::args::{ConnectionArgs, FleetArgs, InventoryFileArgs};
use crate::cli::connection::{AccessMode, Connection, Snapshot};
use crate::cli::documents;
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::present::show;
use crate::cli::run::Run;
use crate::cli::session;
use crate::cli::signals::interruptible;
use crate::cli::streams::report_problem;
use crate::config::{self, Account};
use crate::inventory::{Entry, Inventory, Unlisted};
use crate::lightsail::Reader;
use crate::model::{Code, Instance, InstanceId, PortState, Site, Unreadable, sanitize_json};
use crate::render::json::Problem;

#[derive(Args, Debug)]
pub(super) struct InventoryArgs {
    #[command(flatten)]
    survey: SurveyArgs,
}

/// The arguments of a verb that reads a fleet without a configuration.
#[derive(Args, Debug)]
#[command(mut_arg("target", |arg| arg.help("As SELECTOR; repeatable")))]
pub(super) struct SurveyArgs {
    /// Only these instances: NAME, REGION/NAME or ACCOUNT/REGION/NAME, globs allowed; as --target
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    snapshot: InventoryFileArgs,
    /// Look at the accounts and regions that this configuration names, instead of those of the credentials
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
}

/// A fleet that was read.
pub(super) struct Survey {
    /// The requested regions.
    pub(super) regions: BTreeSet<String>,
    /// The accounts of the configuration.
    pub(super) accounts: BTreeMap<String, Account>,
    /// The sites that were listed completely.
    listed: Vec<Site>,
    /// The sites that were not listed completely.
    pub(super) sites_unreadable: BTreeMap<Site, Unreadable>,
    /// The listed instances.
    pub(super) instances: BTreeMap<InstanceId, Instance>,
    /// The rules of the selected instances, in their live spelling.
    pub(super) rules: session::ReadResults<Vec<PortState>>,
}

pub(super) async fn run(args: &InventoryArgs, run: &mut Run) -> Result<Exit, RunError> {
    let survey = args.survey.read(run).await?;
    let problems = survey.report_problems();
    let text = sanitize_json(survey.inventory().to_json());
    args.survey.write(run, &text, problems, survey.exit())
}

impl SurveyArgs {
    /// Lists the instances and reads the rules of those that are selected. A signal ends it.
    pub(super) async fn read(&self, run: &Run) -> Result<Survey, RunError> {
        if self.out.is_none() && !run.output.is_text() {
            return Err(CommandError::usage(
                "stdout cannot hold both the result and a report on the run",
                "write the result to a file with `--out`, or leave `--format` out",
            )
            .into());
        }
        interruptible(self.survey()).await
    }

    async fn survey(&self) -> Result<Survey, RunError> {
        let patterns = session::patterns(self.selectors.iter().chain(&self.fleet.target))?;
        let (sites, accounts) = self.sites().await?;
        let connection = Connection::connect(
            &self.connection,
            self.snapshot.inventory.as_deref().map(Snapshot::read),
            AccessMode::Read,
            &sites,
            &accounts,
        )
        .await?;
        let survey = survey(connection.reader(), &sites, &patterns, &self.fleet).await;
        connection.close().await;
        Ok(Survey {
            accounts,
            ..survey?
        })
    }

    /// The sites to read, and the accounts of the configuration.
    async fn sites(&self) -> Result<(Vec<Site>, BTreeMap<String, Account>), RunError> {
        let config = self.config.as_deref().map(config::load).transpose()?;
        let emulator = self.connection.emulator.as_deref();
        let file = self.snapshot.inventory.as_deref().or(emulator);
        let names_regions = config.is_some() || !self.connection.region.is_empty();
        let sites = match file.filter(|_| !names_regions && self.connection.account.is_empty()) {
            // All that there is.
            Some(file) => {
                let regions = documents::inventory(file)?.regions.into_keys();
                regions.map(Site::of_region).collect()
            }
            None => session::sites(&self.connection, config.as_ref()).await?,
        };
        let accounts = config.map(|config| config.accounts().clone());
        Ok((sites, accounts.unwrap_or_default()))
    }

    /// Writes the result to stdout or to the file, with the reports.
    pub(super) fn write(
        &self,
        run: &mut Run,
        text: &str,
        problems: Vec<Problem>,
        exit: Exit,
    ) -> Result<Exit, RunError> {
        if let Some(path) = &self.out
            && let Err(error) = atomic_file::write(path, text.as_bytes())
        {
            return Err(CommandError::file("write", path.display(), error).into());
        }
        run.problems = problems;
        let text = if self.out.is_some() { "" } else { text };
        Ok(show(run, exit, text))
    }
}

impl Survey {
    /// The exit status: done, or something is unreadable.
    pub(super) fn exit(&self) -> Exit {
        let has_unreadable = self.rules.values().any(Result::is_err);
        if has_unreadable || !self.sites_unreadable.is_empty() {
            return Exit::Incomplete;
        }
        Exit::Done
    }

    /// Prints the unreadable sites and instances with reasons, and returns them for reports.
    pub(super) fn report_problems(&self) -> Vec<Problem> {
        let report = |failure: String, Unreadable { code, reason, hint }: &Unreadable| {
            report_problem(*code, format!("{failure}: {reason}"), hint.clone())
        };
        let sites = self.sites_unreadable.iter().map(|(site, unreadable)| {
            report(format!("cannot list the instances of `{site}`"), unreadable)
        });
        let rules = self.rules.iter().filter_map(|(id, rules)| {
            let unreadable = rules.as_ref().err()?;
            Some(report(
                format!("cannot read the rules of `{id}`"),
                unreadable,
            ))
        });
        sites.chain(rules).collect()
    }

    /// The snapshot: instances in order of their names, rules in the order of the service. A region that could not be
    /// listed is not in it, so that nobody takes it for empty; one that could not be listed in every account says so.
    fn inventory(&self) -> Inventory {
        let listed = self.listed.iter().map(|site| site.region.clone());
        let mut regions: BTreeMap<String, Vec<Entry>> =
            listed.map(|region| (region, Vec::new())).collect();
        for (id, rules) in &self.rules {
            let (Some(instance), Some(entries)) =
                (self.instances.get(id), regions.get_mut(&id.region))
            else {
                continue;
            };
            entries.push(Entry {
                name: id.name.clone(),
                arn: instance.arn.clone(),
                tags: instance.tags.clone(),
                state: instance.state.to_string(),
                ip_address_type: instance.address_type.to_string(),
                port_states: rules.as_deref().ok().map(Into::into),
            });
        }
        let unlisted = self.sites_unreadable.keys().filter_map(|site| {
            let account = self.accounts.get(site.account.as_ref()?)?.id.clone();
            let region = site.region.clone();
            regions
                .contains_key(&region)
                .then_some(Unlisted { account, region })
        });
        let unlisted = unlisted.collect();
        let mut inventory = Inventory::new(regions);
        inventory.unlisted = unlisted;
        inventory
    }
}

async fn survey(
    reader: &impl Reader,
    sites: &[Site],
    patterns: &[Pattern],
    fleet: &FleetArgs,
) -> Result<Survey, CommandError> {
    let live = session::discover(reader, sites).await;
    for pattern in patterns {
        // What could not be listed may hold it, and is reported as what it is.
        if live.sites_unreadable.is_empty()
            && !live
                .instances
                .keys()
                .any(|id| session::selects(pattern, id))
        {
            let regions = session::regions_of(sites).join(", ");
            return Err(
                CommandError::failed(format!("`{pattern}` names no instance"))
                    .with_code(Code::NotFound)
                    .with_hint(format!("looked at: {regions}")),
            );
        }
    }
    let selected = live
        .instances
        .keys()
        .filter(|id| session::selects_any(patterns, id));
    let read = async |id: &InstanceId| reader.port_states(id).await;
    let rules = session::read_with_progress(reader, selected, fleet.concurrency, read).await;
    let is_listed = |site: &&Site| !live.sites_unreadable.contains_key(*site);
    Ok(Survey {
        regions: session::regions_of(sites).into_iter().collect(),
        listed: sites.iter().filter(is_listed).cloned().collect(),
        accounts: BTreeMap::new(),
        sites_unreadable: live.sites_unreadable,
        instances: live.instances,
        rules,
    })
}
