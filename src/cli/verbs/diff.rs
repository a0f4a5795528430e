//! `diff`: who gains and who loses access between two documents, offline.
//!
//! Owns the verb and the pairing of instances. What two configurations say of instances that are not known is compared by
//! their selectors. Does not connect to anything, and to call equal what it could not read or decide, or what a doubtful
//! entry leaves open.

mod general;
mod statements;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use time::OffsetDateTime;

use general::{generally, is_literal};

use crate::cli::args::{self, Format};
use crate::cli::documents::{self, Basis, Content, Document, Known, Opened, Stated};
use crate::cli::error;
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::cli::present::{known_service, show_answer};
use crate::cli::run::Run;
use crate::cli::session::{self, selects};
use crate::cli::streams::{note, wrap_to_stdout, write_error, write_status, write_warnings};
use crate::config::{Config, PartialInstanceId, describe_grant_changes};
use crate::exposure::{Compared, ComparedDocument, DocumentFirewall};
use crate::inventory::Inventory;
use crate::model::{Code, Family, InstanceId, LiveFirewall, Site};
use crate::plan::Plan;
use crate::render::difference::{self, Comparison, Vocabulary};
use crate::render::{self, Names, json, sanitize};

#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    /// What was: a configuration, git:REV:PATH, a plan, an inventory, or the JSON of
    /// `aws lightsail get-instance-port-states`; `-` is stdin, PLAN#before is what a plan found
    old: String,
    /// What is, or would be
    new: String,
    /// The instances that exist, for groups and address types of configurations: a file, or git:REV:PATH
    #[arg(
        long,
        value_name = "FILE",
        env = "PORTWARD_INVENTORY",
        hide_env_values = true
    )]
    inventory: Option<PathBuf>,
    /// Only these instances: NAME, REGION/NAME or ACCOUNT/REGION/NAME, globs allowed; repeatable
    #[arg(
        short,
        long,
        value_name = "SELECTOR",
        env = "PORTWARD_TARGET",
        value_delimiter = ',',
        hide_env_values = true
    )]
    target: Vec<String>,
    /// Evaluate `until` as of another day (2031-12-31) or instant (RFC 3339)
    #[arg(long, value_name = "DATE", value_parser = args::parse_as_of, env = "PORTWARD_AS_OF", hide_env_values = true)]
    as_of: Option<OffsetDateTime>,
}

/// What would decide most of what is undecided.
const HINT: &str =
    "give the instances with `--inventory`: a file, or git:REV:PATH for that of another revision";

pub(super) fn run(args: &DiffArgs, run: &mut Run, output: &Output) -> Result<Exit, RunError> {
    compare(args, output)?.show(args, run, output)
}

struct Answer {
    all: Vec<Compared>,
    groups: usize,
    names: [Names; 2],
    problems: Vec<json::Problem>,
    notes: BTreeSet<String>,
    /// How the sides differ in what may be granted for a time.
    grants: Vec<String>,
    exit: Exit,
}

impl Answer {
    fn show(&self, args: &DiffArgs, run: &mut Run, output: &Output) -> Result<Exit, RunError> {
        let of = Comparison {
            exit_code: self.exit.code(),
            at: OffsetDateTime::now_utc(),
            documents: [&args.old, &args.new],
            all: &self.all,
            groups: self.groups,
            words: Vocabulary {
                old: &self.names[0],
                new: &self.names[1],
            },
            problems: &self.problems,
            notes: &self.notes,
        };
        let text = || {
            let mut text = difference::text(&of);
            for changed in &self.grants {
                let _ = writeln!(text, "grants: {}", sanitize(changed));
            }
            wrap_to_stdout(&text)
        };
        let notes = run.facts.environment.clone();
        let outputs = render::github::compared_outputs(&of);
        show_answer(
            output,
            run,
            self.exit,
            &outputs,
            &|format, _| match format {
                Format::Text => Some(text()),
                Format::Json => Some(json::comparison(&self.all, &self.grants)),
                Format::Markdown => Some(render::markdown::difference(&of)),
                Format::Github => Some(text() + &render::github::compared(&of)),
                Format::Html => Some(render::html::difference(&of, &known_service, &notes)),
                Format::Sarif | Format::Codequality | Format::Prometheus => None,
            },
        )
    }
}

/// An error that keeps from certainty: told, and kept for the report.
fn complained(code: Code, message: String, hint: Option<String>) -> json::Problem {
    write_error(code, &message, hint.as_deref());
    json::Problem::error(code, message, hint)
}

fn compare(args: &DiffArgs, output: &Output) -> Result<Answer, RunError> {
    if args.old == "-" && args.new == "-" {
        return Err(
            CommandError::usage("stdin can be one side only", "name a file for the other").into(),
        );
    }
    let (old, new) = (documents::open(&args.old)?, documents::open(&args.new)?);
    if let Content::Config(config) = &new.content {
        write_warnings(config.warnings());
    }
    let given = args
        .inventory
        .as_deref()
        .map(documents::inventory)
        .transpose()?;
    // The other side may be the very list of instances that a configuration is for.
    let named = accounts(&old).into_iter().chain(accounts(&new)).collect();
    let inventory = given.as_ref().or(beside(&old)).or(beside(&new));
    let places = places(&old, &new, inventory.is_none(), &args.target);
    let basis = Basis {
        accounts: &named,
        inventory,
        plan: plan(&old).or(plan(&new)).filter(|_| inventory.is_none()),
        places: &places,
        as_of: args.as_of.unwrap_or_else(OffsetDateTime::now_utc),
    };
    let both = matches!(
        (&old.content, &new.content),
        (Content::Config(_), Content::Config(_))
    );
    let mut before = Document::read(&old, basis, both)?;
    let mut after = Document::read(&new, basis, false)?;
    place_alike(&mut before, &mut after);
    narrow(&args.target, &mut before, &mut after)?;
    for text in before.notes.union(&after.notes) {
        note(text);
    }
    let mut unknown: Vec<String> = before.incomplete.clone();
    unknown.extend(after.incomplete.iter().cloned());
    let (mut all, mut groups) = (Vec::new(), 0);
    if let (Some(old), Some(new)) = (&before.general, &after.general) {
        (all, groups) = generally(old, new, basis, &args.target, &mut unknown);
    }
    let mut blind = Vec::new();
    for why in unknown {
        blind.push(complained(Code::Unreadable, why, None));
    }
    let instances = known_instances(&mut before, &mut after, [&old, &new], basis, &mut blind)?;
    all.splice(0..0, instances);
    for message in doubts(&all) {
        blind.push(complained(Code::Unreadable, message, None));
    }
    let hint = inventory.is_none().then_some(HINT);
    let undecided = difference::undecided(&all);
    // The text has them itself.
    if !undecided.is_empty()
        && output.is_text()
        && let Some(hint) = hint
    {
        write_status(&format!("hint: {hint}"));
    }
    for message in undecided {
        if !output.is_text() {
            write_error(Code::Undecided, &message, hint);
        }
        blind.push(json::Problem::error(
            Code::Undecided,
            message,
            hint.map(str::to_owned),
        ));
    }
    let grants = match (&old.content, &new.content) {
        (Content::Config(old), Content::Config(new)) => describe_grant_changes(old, new),
        _ => Vec::new(),
    };
    let mut held = Vec::new();
    if !grants.is_empty() {
        held.push(Exit::Differs);
    }
    if !blind.is_empty() {
        held.push(Exit::Incomplete);
    }
    if all.iter().any(Compared::differs) {
        held.push(Exit::Differs);
    }
    let mut problems = blind;
    if let Content::Config(config) = &new.content {
        problems.extend(error::problems(config.warnings()));
    }
    Ok(Answer {
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
        exit: Exit::highest(&held),
    })
}

/// Compares what both sides say of each instance that is known; adds to `blind` those that cannot be compared.
fn known_instances(
    before: &mut Document,
    after: &mut Document,
    opened: [&Opened; 2],
    basis: Basis<'_>,
    blind: &mut Vec<json::Problem>,
) -> Result<Vec<Compared>, RunError> {
    let mut instances = Vec::new();
    let undeclared = undeclared(basis, [(opened[0], &*before), (opened[1], &*after)]);
    let live = live(basis);
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
                for why in reasons {
                    let message = format!("{name}cannot be compared: {why}");
                    blind.push(complained(Code::Undecided, message, why.hint));
                }
            }
        }
    }
    Ok(instances)
}

/// What is not certain, because an entry of a side is in doubt.
fn doubts(all: &[Compared]) -> Vec<String> {
    let told =
        |compared: &Compared| {
            let name = compared.subject.clone();
            compared.doubts().map(move |(which, doubt)| {
            format!(
                "{name} cannot be compared for certain: on the {} side, `{}` is in doubt: {}",
                which.as_str(),
                doubt.entry,
                doubt.why
            )
        }).collect::<Vec<_>>()
        };
    all.iter().flat_map(told).collect()
}

/// The instances that have a table on either side, and, where none is known, those that are asked for by name.
fn places(
    old: &Opened,
    new: &Opened,
    none_is_known: bool,
    targets: &[String],
) -> Vec<PartialInstanceId> {
    let configs: Vec<&Config> = [old, new]
        .into_iter()
        .filter_map(|opened| match &opened.content {
            Content::Config(config) => Some(&**config),
            Content::Plan(..) | Content::Inventory(_) | Content::Ports(_) => None,
        })
        .collect();
    let mut all: BTreeSet<PartialInstanceId> =
        configs.iter().flat_map(|config| config.places()).collect();
    let sites: BTreeSet<Site> = configs.iter().flat_map(|config| config.sites()).collect();
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

fn plan(opened: &Opened) -> Option<&Plan> {
    match &opened.content {
        Content::Plan(file, _) => Some(&file.plan),
        Content::Config(_) | Content::Inventory(_) | Content::Ports(_) => None,
    }
}

/// What a configuration calls accounts, by their ids.
fn accounts(opened: &Opened) -> BTreeMap<&str, &str> {
    match &opened.content {
        Content::Config(config) => config.account_names(),
        Content::Plan(..) | Content::Inventory(_) | Content::Ports(_) => BTreeMap::new(),
    }
}

fn beside(opened: &Opened) -> Option<&Inventory> {
    match &opened.content {
        Content::Inventory(inventory) => Some(inventory),
        Content::Config(_) | Content::Plan(..) | Content::Ports(_) => None,
    }
}

/// The instances that exist, that one of the documents has, and that the other, a configuration, does not declare.
fn undeclared(
    basis: Basis<'_>,
    [old, new]: [(&Opened, &Document); 2],
) -> BTreeMap<InstanceId, ComparedDocument> {
    let lacks = |(opened, document): (&Opened, &Document), id: &InstanceId| {
        matches!(opened.content, Content::Config(_)) && !document.instances.contains_key(id)
    };
    let inventory = basis.inventory.into_iter();
    let listed = inventory.flat_map(|inventory| inventory.named(basis.accounts));
    let listed = listed.map(|(id, _)| id);
    let planned = basis.plan.into_iter().flat_map(|plan| &plan.instances);
    let planned = planned.map(|plan| plan.instance.id.clone());
    let named = basis.places.iter().map(documents::id_of);
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

/// An instance of which one document does not say the region is the one of that name in the other, if there is just one.
fn place_alike(before: &mut Document, after: &mut Document) {
    let place = |here: &mut Document, there: &Document| {
        let unplaced: Vec<InstanceId> = here
            .instances
            .keys()
            .filter(|id| id.region.is_empty() && !there.instances.contains_key(id))
            .cloned()
            .collect();
        for id in unplaced {
            let mut namesakes = there.instances.keys().filter(|other| other.name == id.name);
            if let (Some(only), None) = (namesakes.next(), namesakes.next())
                && !here.instances.contains_key(only)
                && let Some(side) = here.instances.remove(&id)
            {
                here.instances.insert(only.clone(), side);
            }
        }
    };
    place(before, after);
    place(after, before);
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
        let by_group = || match (&before.general, &after.general) {
            (Some(old), Some(new)) if !is_literal(selector) => {
                !general::selectors(old, new, std::slice::from_ref(selector)).is_empty()
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

/// One instance, and what each document says of it.
type Pair = (Option<InstanceId>, [Known; 2]);

/// Pairs instances by region and name. One that only one document has is compared with a firewall that lets nobody in, or,
/// where the other is a configuration and nothing in it is about the instance, with what is live and stays.
fn pairs(
    before: &mut Document,
    after: &mut Document,
    names: [&Opened; 2],
    live: &BTreeMap<InstanceId, Known>,
) -> Result<Vec<Pair>, CommandError> {
    match (before.unnamed.take(), after.unnamed.take()) {
        (None, None) => {}
        (Some(old), Some(new)) => {
            let sides = [old, new]
                .map(|live| Ok(DocumentFirewall::of_live(&live, Family::default()).into()));
            return Ok(vec![(None, sides)]);
        }
        (Some(old), None) => {
            let new = only(after, names[1], names[0])?;
            let side = like(&old, &new);
            let new = new.map(|new| new.beside(&old));
            return Ok(vec![(None, [Ok(side.into()), new])]);
        }
        (None, Some(new)) => {
            let old = only(before, names[0], names[1])?;
            let side = like(&new, &old);
            let old = old.map(|old| old.beside(&new));
            return Ok(vec![(None, [old, Ok(side.into())])]);
        }
    }
    let ids: BTreeSet<InstanceId> = before
        .instances
        .keys()
        .chain(after.instances.keys())
        .cloned()
        .collect();
    let mut take = |id: &InstanceId| {
        let of = |document: &mut Document| {
            let stated = document.instances.remove(id);
            stated.unwrap_or_else(|| match &document.general {
                None => Ok(Stated::default()),
                Some(general) => match live.get(id) {
                    Some(live) => live.clone(),
                    None if general.lists(&id.site()) => Ok(Stated::default()),
                    None => Ok(Stated::undeclared()),
                },
            })
        };
        [of(before), of(after)]
    };
    Ok(ids
        .into_iter()
        .map(|id| {
            let sides = take(&id);
            (Some(id), sides)
        })
        .collect())
}

/// Rules of which it is not said, as those of an instance like the one that they are compared with.
fn like(rules: &LiveFirewall, other: &Known) -> DocumentFirewall {
    let family = other
        .as_ref()
        .map_or_else(|_| Family::default(), |stated| stated.side.reach.family);
    DocumentFirewall::of_live(rules, family)
}

/// The rules of the instances that are known.
fn live(basis: Basis<'_>) -> BTreeMap<InstanceId, Known> {
    match (basis.inventory, basis.plan) {
        (Some(inventory), _) => documents::live(inventory, basis.accounts),
        (None, Some(plan)) => {
            let plans = plan.instances.iter();
            plans
                .map(|plan| {
                    let side = DocumentFirewall::of_live(&plan.before, plan.family());
                    (plan.instance.id.clone(), Ok(side.into()))
                })
                .collect()
        }
        (None, None) => BTreeMap::new(),
    }
}

/// The one instance of a document that is compared with rules that say of no instance.
fn only(document: &mut Document, named: &Opened, unnamed: &Opened) -> Result<Known, CommandError> {
    let count = document.instances.len();
    match document.instances.pop_first() {
        Some((_, stated)) if count == 1 => Ok(stated),
        _ => Err(CommandError::usage(
            format!(
                "`{}` is the rules of one instance, and `{}` has {count}",
                unnamed.shown, named.shown
            ),
            "say with --target which one is meant",
        )),
    }
}
