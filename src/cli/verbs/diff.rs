//! `diff`: who gains and who loses access between two documents, offline.
//!
//! Owns the verb, and the choice of the instances that are compared. The statements of two configurations about unknown instances are compared by
//! their selectors. Does not connect to anything, and does not call documents equal that it could not read or decide, or
//! that have doubtful entries.

mod groups;
mod pairs;
mod statements;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use time::OffsetDateTime;

use groups::{compare_groups, is_literal};
use pairs::{align_regions, pairs};

use crate::cli::args::{self, Format};
use crate::cli::documents::{
    self, Content, Document, InstanceRulesResult, OpenedDocument, ResolveContext,
};
use crate::cli::error;
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::present::{known_service, show_answer};
use crate::cli::run::Run;
use crate::cli::session::{self, selects};
use crate::cli::streams::{
    note, report_problem, wrap_to_stdout, write_error, write_status, write_warnings,
};
use crate::config::{Config, PartialInstanceId, describe_grant_changes};
use crate::exposure::{Compared, ComparedDocument, DocumentFirewall};
use crate::inventory::Inventory;
use crate::model::{Code, InstanceId, Site};
use crate::plan::Plan;
use crate::render::difference::{self, Comparison};
use crate::render::{self, Names, json, sanitize};

#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    /// The older document: a configuration, git:REV:PATH, a plan, an inventory, or the JSON of
    /// `aws lightsail get-instance-port-states`; `-` is stdin, PLAN#before is what a plan found
    old: String,
    /// The newer document
    new: String,
    /// The instances that exist, for groups and address types of configurations: a file, or git:REV:PATH
    #[arg(long, value_name = "FILE", env = "PORTWARD_INVENTORY")]
    inventory: Option<PathBuf>,
    /// Only these instances: NAME, REGION/NAME or ACCOUNT/REGION/NAME, globs allowed; repeatable
    #[arg(
        short,
        long,
        value_name = "SELECTOR",
        env = "PORTWARD_TARGET",
        value_delimiter = ','
    )]
    target: Vec<String>,
    /// Evaluate `until` as of another day (2031-12-31) or instant (RFC 3339)
    #[arg(long, value_name = "DATE", value_parser = args::parse_as_of, env = "PORTWARD_AS_OF")]
    as_of: Option<OffsetDateTime>,
}

/// The hint for undecided statements.
const HINT: &str =
    "give the instances with `--inventory`: a file, or git:REV:PATH for that of another revision";

pub(super) fn run(args: &DiffArgs, run: &mut Run) -> Result<Exit, RunError> {
    compare(args, run)?.show(args, run)
}

struct DiffResult {
    all: Vec<Compared>,
    groups: usize,
    names: [Names; 2],
    problems: Vec<json::Problem>,
    notes: BTreeSet<String>,
    /// The difference of `[grants]`.
    grants: Vec<String>,
    exit: Exit,
}

impl DiffResult {
    fn show(&self, args: &DiffArgs, run: &mut Run) -> Result<Exit, RunError> {
        let comparison = Comparison {
            exit_code: self.exit.code(),
            at: OffsetDateTime::now_utc(),
            documents: [&args.old, &args.new],
            all: &self.all,
            groups: self.groups,
            names: self.names.each_ref(),
            problems: &self.problems,
            notes: &self.notes,
        };
        let text = || {
            let mut text = difference::text(&comparison);
            for changed in &self.grants {
                let _ = writeln!(text, "grants: {}", sanitize(changed));
            }
            wrap_to_stdout(&text)
        };
        let notes = run.metadata.environment.clone();
        let outputs = render::github::comparison_outputs(&comparison);
        let page = || render::html::difference(&comparison, &known_service, &notes);
        let exit = self.exit;
        show_answer(run, exit, &outputs, &|format, _| match format {
            Format::Text => Some(text()),
            Format::Json => Some(json::comparison(&self.all, &self.grants)),
            Format::Markdown => Some(render::markdown::difference(&comparison)),
            Format::Github => Some(text() + &render::github::comparison_annotations(&comparison)),
            Format::Html => Some(page()),
            Format::Sarif | Format::Codequality | Format::Prometheus => None,
        })
    }
}

fn compare(args: &DiffArgs, run: &Run) -> Result<DiffResult, RunError> {
    if args.old == "-" && args.new == "-" {
        return Err(
            CommandError::usage("stdin can be one side only", "name a file for the other").into(),
        );
    }
    let (old, new) = (documents::open(&args.old)?, documents::open(&args.new)?);
    let configs = (old.content.config(), new.content.config());
    if let Some(config) = configs.1 {
        write_warnings(config.warnings());
    }
    let given = args
        .inventory
        .as_deref()
        .map(documents::inventory)
        .transpose()?;
    // The other side may be the very list of instances that a configuration is for.
    let configs_read = [configs.0, configs.1].into_iter().flatten();
    let named = configs_read
        .clone()
        .flat_map(Config::account_names)
        .collect();
    let inventory = given.as_ref().or(inventory_of(&old)).or(inventory_of(&new));
    let places = places(configs_read, inventory.is_none(), &args.target);
    let context = ResolveContext {
        accounts: &named,
        inventory,
        plan: plan(&old).or(plan(&new)).filter(|_| inventory.is_none()),
        places: &places,
        as_of: args.as_of.unwrap_or_else(OffsetDateTime::now_utc),
    };
    let mut before = Document::read(&old, context, configs.0.is_some() && configs.1.is_some())?;
    let mut after = Document::read(&new, context, false)?;
    align_regions(&mut before, &mut after);
    narrow(&args.target, &mut before, &mut after)?;
    for text in before.notes.union(&after.notes) {
        note(text);
    }
    let mut unknown: Vec<String> = before.incomplete.clone();
    unknown.extend(after.incomplete.iter().cloned());
    let (mut all, mut groups) = (Vec::new(), 0);
    if let (Some(old), Some(new)) = (&before.groups, &after.groups) {
        (all, groups) = compare_groups(old, new, context, &args.target, &mut unknown);
    }
    let mut problems = Vec::new();
    for cause in unknown {
        problems.push(report_problem(Code::Unreadable, cause, None));
    }
    let instances = known_instances(
        &mut before,
        &mut after,
        [&old, &new],
        context,
        &mut problems,
    )?;
    all.splice(0..0, instances);
    for message in doubt_messages(&all) {
        problems.push(report_problem(Code::Unreadable, message, None));
    }
    let hint = inventory.is_none().then_some(HINT);
    report_undecided(&all, hint, run.output.is_text(), &mut problems);
    let grants = match configs {
        (Some(old), Some(new)) => describe_grant_changes(old, new),
        _ => Vec::new(),
    };
    let mut exits = Vec::new();
    if !grants.is_empty() {
        exits.push(Exit::Differs);
    }
    if !problems.is_empty() {
        exits.push(Exit::Incomplete);
    }
    if all.iter().any(Compared::differs) {
        exits.push(Exit::Differs);
    }
    if let Some(config) = configs.1 {
        problems.extend(error::problems(config.warnings()));
    }
    Ok(DiffResult {
        all,
        groups,
        names: [before.names, after.names],
        problems,
        notes: before
            .notes
            .union(&after.notes)
            .chain(&grants)
            .cloned()
            .collect(),
        grants,
        exit: Exit::highest(&exits),
    })
}

/// Adds undecided statements to `problems`, and prints them.
fn report_undecided(
    all: &[Compared],
    hint: Option<&str>,
    is_text: bool,
    problems: &mut Vec<json::Problem>,
) {
    let undecided = difference::undecided(all);
    // The text has them itself.
    if !undecided.is_empty()
        && is_text
        && let Some(hint) = hint
    {
        write_status(&format!("hint: {hint}"));
    }
    for message in undecided {
        if !is_text {
            write_error(Code::Undecided, &message, hint);
        }
        problems.push(json::Problem::error(
            Code::Undecided,
            message,
            hint.map(str::to_owned),
        ));
    }
}

/// Compares the rules of each known instance; adds those that cannot be compared to `problems`.
fn known_instances(
    before: &mut Document,
    after: &mut Document,
    opened: [&OpenedDocument; 2],
    context: ResolveContext<'_>,
    problems: &mut Vec<json::Problem>,
) -> Result<Vec<Compared>, RunError> {
    let mut instances = Vec::new();
    let undeclared = undeclared(context, [(opened[0], &*before), (opened[1], &*after)]);
    let live = live_rules(context);
    for (id, sides) in pairs(before, after, opened, &live)? {
        match sides {
            [Ok(before), Ok(after)] => {
                let undeclared = id.as_ref().and_then(|id| undeclared.get(id)).copied();
                let compared = statements::instance(&id.into(), &before, &after);
                instances.extend(compared.into_iter().map(|compared| Compared {
                    undeclared: undeclared.or(compared.undeclared),
                    ..compared
                }));
            }
            sides => {
                let name = id.map_or_else(String::new, |id| format!("`{id}` "));
                // Both sides may lack it for the same reason.
                let mut reasons: Vec<_> = sides.into_iter().filter_map(Result::err).collect();
                reasons.dedup();
                for cause in reasons {
                    let message = format!("{name}cannot be compared: {cause}");
                    problems.push(report_problem(Code::Undecided, message, cause.hint));
                }
            }
        }
    }
    Ok(instances)
}

/// The note on doubtful entries of either document.
fn doubt_messages(all: &[Compared]) -> Vec<String> {
    let doubts = all.iter().flat_map(|compared| {
        let doubts = compared.doubts();
        doubts.map(|(which, doubt)| (&compared.subject, which.as_str(), doubt))
    });
    doubts
        .map(|(name, side, doubt)| {
            format!(
                "{name} cannot be compared for certain: on the {side} side, `{}` is in doubt: {}",
                doubt.entry, doubt.why
            )
        })
        .collect()
}

/// The instances that have a table on either side, and, where none is known, those that are asked for by name.
fn places<'a>(
    configs: impl Iterator<Item = &'a Config> + Clone,
    none_is_known: bool,
    targets: &[String],
) -> Vec<PartialInstanceId> {
    let ids = configs.clone().flat_map(Config::partial_ids);
    let mut all: BTreeSet<PartialInstanceId> = ids.collect();
    let sites: BTreeSet<Site> = configs.flat_map(Config::sites).collect();
    let regions: BTreeSet<&String> = sites.iter().map(|site| &site.region).collect();
    let asked = targets
        .iter()
        .filter(|text| none_is_known && is_literal(text));
    for mut place in asked.filter_map(|text| PartialInstanceId::parse(text)) {
        if all.iter().any(|known| known.name == place.name) {
            continue;
        }
        if let (1, None) = (regions.len(), &place.region) {
            place.region = regions.first().map(|region| (*region).clone());
        }
        all.insert(place);
    }
    all.into_iter().collect()
}

fn plan(opened: &OpenedDocument) -> Option<&Plan> {
    match &opened.content {
        Content::Plan(file, _) => Some(&file.plan),
        Content::Config(_) | Content::Inventory(_) | Content::Ports(_) => None,
    }
}

fn inventory_of(opened: &OpenedDocument) -> Option<&Inventory> {
    match &opened.content {
        Content::Inventory(inventory) => Some(inventory),
        Content::Config(_) | Content::Plan(..) | Content::Ports(_) => None,
    }
}

/// The instances that exist, that one of the documents has, and that the other, a configuration, does not declare.
fn undeclared(
    context: ResolveContext<'_>,
    [old, new]: [(&OpenedDocument, &Document); 2],
) -> BTreeMap<InstanceId, ComparedDocument> {
    let lacks = |(opened, document): (&OpenedDocument, &Document), id: &InstanceId| {
        opened.content.config().is_some() && !document.instances.contains_key(id)
    };
    let inventory = context.inventory.into_iter();
    let listed = inventory.flat_map(|inventory| inventory.named(context.accounts));
    let listed = listed.map(|(id, _)| id);
    let planned = context.plan.into_iter().flat_map(|plan| &plan.instances);
    let planned = planned.map(|plan| plan.instance.id.clone());
    let named = context.places.iter().map(documents::instance_id);
    let exist: BTreeSet<InstanceId> = listed.chain(planned).chain(named).collect();
    exist
        .into_iter()
        .filter_map(|id| {
            let which = match (lacks(old, &id), lacks(new, &id)) {
                (true, false) if new.1.instances.contains_key(&id) => ComparedDocument::Old,
                (false, true) if old.1.instances.contains_key(&id) => ComparedDocument::New,
                _ => return None,
            };
            Some((id, which))
        })
        .collect()
}

/// Keeps the instances that a selector names. Each selector must name at least one of either side, or instances of a group.
fn narrow(
    selectors: &[String],
    before: &mut Document,
    after: &mut Document,
) -> Result<(), CommandError> {
    let mut patterns = Vec::new();
    for selector in selectors {
        let pattern = session::pattern(selector)?;
        let mut ids = before.instances.keys().chain(after.instances.keys());
        let by_group = || match (&before.groups, &after.groups) {
            (Some(old), Some(new)) if !is_literal(selector) => {
                !groups::selectors(old, new, std::slice::from_ref(selector)).is_empty()
            }
            _ => false,
        };
        if !ids.any(|id| selects(&pattern, id)) && !by_group() {
            return Err(CommandError::failed(format!(
                "`--target {selector}` names no instance of either side"
            ))
            .with_code(Code::NotFound));
        }
        patterns.push(pattern);
    }
    if !patterns.is_empty() {
        for document in [before, after] {
            document
                .instances
                .retain(|id, _| patterns.iter().any(|pattern| selects(pattern, id)));
        }
    }
    Ok(())
}

/// The rules of the known instances.
fn live_rules(context: ResolveContext<'_>) -> BTreeMap<InstanceId, InstanceRulesResult> {
    match (context.inventory, context.plan) {
        (Some(inventory), _) => documents::live_firewalls(inventory, context.accounts),
        (None, Some(plan)) => {
            let plans = plan.instances.iter();
            plans
                .map(|plan| {
                    let firewall = DocumentFirewall::of_live(&plan.before, plan.family());
                    (plan.instance.id.clone(), Ok(firewall.into()))
                })
                .collect()
        }
        (None, None) => BTreeMap::new(),
    }
}
