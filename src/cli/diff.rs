//! `diff`: who gains and who loses access between two documents, offline.
//!
//! Owns the verb and the pairing of instances. Refuses to connect to anything, and to call equal what it could not read or
//! what a doubtful entry leaves open.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use time::OffsetDateTime;

use super::Exit;
use super::args::{self, Format};
use super::output::{self, Cannot, Output, complain, say};
use super::session::{self, NoPlan, selects};
use super::side::{self, Basis, Content, Document, Opened};
use super::world;
use crate::exposure::{Compared, Side, Which};
use crate::inventory::Inventory;
use crate::model::{Family, InstanceId, LiveFirewall};
use crate::render::difference::{self, Comparison, Vocabulary};
use crate::render::{self, Names, json};

#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    /// What was: a configuration, git:REV:PATH, a plan, an inventory, or the JSON of
    /// `aws lightsail get-instance-port-states`; `-` is stdin, PLAN#before is what a plan found
    old: String,
    /// What is, or would be
    new: String,
    /// The instances that exist, for groups and address types of configurations
    #[arg(long, value_name = "FILE", env = "PORTWARD_INVENTORY", hide_env = true)]
    inventory: Option<PathBuf>,
    /// Only these instances: NAME, REGION/NAME or ACCOUNT/REGION/NAME, globs allowed; repeatable
    #[arg(
        short,
        long,
        value_name = "SELECTOR",
        env = "PORTWARD_TARGET",
        value_delimiter = ',',
        hide_env = true
    )]
    target: Vec<String>,
    /// Evaluate `until` as of another day (2031-12-31) or instant (RFC 3339)
    #[arg(long, value_name = "DATE", value_parser = args::as_of, env = "PORTWARD_AS_OF", hide_env = true)]
    as_of: Option<OffsetDateTime>,
}

const VERB: &str = "diff";

pub(super) fn run(args: &DiffArgs, output: &Output) -> Exit {
    match compare(args, output) {
        Err(no_plan) => no_plan.show(VERB, output),
        Ok(answer) => answer.show(output),
    }
}

struct Answer {
    all: Vec<Compared>,
    names: [Names; 2],
    problems: Vec<json::Problem>,
    notes: BTreeSet<String>,
    exit: Exit,
}

impl Answer {
    fn show(&self, output: &Output) -> Exit {
        let of = Comparison {
            exit_code: self.exit.code(),
            all: &self.all,
            words: Vocabulary {
                old: &self.names[0],
                new: &self.names[1],
            },
            problems: &self.problems,
            notes: &self.notes,
        };
        let text = || difference::text(&self.all, of.words);
        let outputs = render::github::compared_outputs(&of);
        output.show_answer(VERB, self.exit, &outputs, &|format, _| match format {
            Format::Text => Some(text()),
            Format::Json => Some(json::comparison(&self.all)),
            Format::Markdown => Some(render::markdown::difference(&of)),
            Format::Github => Some(text() + &render::github::compared(&of)),
            Format::Html => Some(render::html::difference(&of, &output::known_service)),
            Format::Sarif | Format::Prometheus => None,
        })
    }
}

fn compare(args: &DiffArgs, output: &Output) -> Result<Answer, NoPlan> {
    if args.old == "-" && args.new == "-" {
        return Err(
            Cannot::usage("stdin can be one side only", "name a file for the other").into(),
        );
    }
    let (old, new) = (side::open(&args.old)?, side::open(&args.new)?);
    if let Content::Config(config) = &new.content {
        output.warn(config.warnings());
    }
    let given = args
        .inventory
        .as_deref()
        .map(world::inventory)
        .transpose()?;
    // The other side may be the very list of instances that a configuration is for.
    let named = accounts(&old).into_iter().chain(accounts(&new)).collect();
    let basis = Basis {
        accounts: &named,
        inventory: given.as_ref().or(beside(&old)).or(beside(&new)),
        as_of: args.as_of.unwrap_or_else(OffsetDateTime::now_utc),
    };
    let (mut before, mut after) = (Document::read(&old, basis)?, Document::read(&new, basis)?);
    place_alike(&mut before, &mut after);
    narrow(&args.target, &mut before, &mut after)?;
    for note in before.notes.union(&after.notes) {
        say(&format!("note: {note}"));
    }
    let mut blind = Vec::new();
    for why in before.incomplete.iter().chain(&after.incomplete) {
        complain(why, None);
        blind.push(json::Problem::error(why, None));
    }
    let undeclared = undeclared(basis, [(&old, &before), (&new, &after)]);
    let mut all = Vec::new();
    for (id, sides) in pairs(&mut before, &mut after, [&old, &new])? {
        match sides {
            [Ok(before), Ok(after)] => {
                let undeclared = id.as_ref().and_then(|id| undeclared.get(id));
                all.push(Compared {
                    undeclared: undeclared.copied(),
                    ..Compared::new(id, before, after)
                });
            }
            sides => {
                let name = id.map_or_else(String::new, |id| format!("`{id}` "));
                for why in sides.into_iter().filter_map(Result::err) {
                    let message = format!("{name}cannot be compared: {why}");
                    complain(&message, why.hint.as_deref());
                    blind.push(json::Problem::error(message, why.hint));
                }
            }
        }
    }
    for compared in &all {
        let name = &compared.subject;
        for (which, doubt) in compared.doubts() {
            let message = format!(
                "{name} cannot be compared for certain: on the {} side, `{}` is in doubt: {}",
                which.as_str(),
                doubt.entry,
                doubt.why
            );
            complain(&message, None);
            blind.push(json::Problem::error(message, None));
        }
    }
    let mut held = Vec::new();
    if !blind.is_empty() {
        held.push(Exit::Incomplete);
    }
    if all.iter().any(|compared| !compared.diff.is_empty()) {
        held.push(Exit::Differs);
    }
    let mut problems = blind;
    if let Content::Config(config) = &new.content {
        problems.extend(output::problems(config.warnings()));
    }
    Ok(Answer {
        all,
        names: [before.names, after.names],
        problems,
        notes: before.notes.union(&after.notes).cloned().collect(),
        exit: Exit::first_of(&held),
    })
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
) -> BTreeMap<InstanceId, Which> {
    let lacks = |(opened, document): (&Opened, &Document), id: &InstanceId| {
        matches!(opened.content, Content::Config(_)) && !document.instances.contains_key(id)
    };
    let inventory = basis.inventory.into_iter();
    let exist = inventory.flat_map(|inventory| inventory.named(basis.accounts));
    exist
        .filter_map(|(id, _)| {
            let which = match (lacks(old, &id), lacks(new, &id)) {
                (true, false) if new.1.instances.contains_key(&id) => Which::Old,
                (false, true) if old.1.instances.contains_key(&id) => Which::New,
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

/// Keeps the instances that a selector names. Each selector must name at least one of either side.
fn narrow(selectors: &[String], before: &mut Document, after: &mut Document) -> Result<(), Cannot> {
    let mut patterns = Vec::new();
    for selector in selectors {
        let pattern = session::pattern(selector)?;
        let mut ids = before.instances.keys().chain(after.instances.keys());
        if !ids.any(|id| selects(&pattern, id)) {
            return Err(Cannot::failed(format!(
                "`--target {selector}` names no instance of either side"
            )));
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
type Pair = (
    Option<InstanceId>,
    [Result<Side, crate::model::Unreadable>; 2],
);

/// Pairs instances by region and name. One that only one document has is compared with a firewall that lets nobody in.
fn pairs(
    before: &mut Document,
    after: &mut Document,
    names: [&Opened; 2],
) -> Result<Vec<Pair>, Cannot> {
    match (before.unnamed.take(), after.unnamed.take()) {
        (None, None) => {}
        (Some(old), Some(new)) => {
            let sides = [old, new].map(|live| Ok(Side::of_live(&live, Family::default())));
            return Ok(vec![(None, sides)]);
        }
        (Some(old), None) => {
            let new = only(after, names[1], names[0])?;
            return Ok(vec![(None, [Ok(like(&old, &new)), new])]);
        }
        (None, Some(new)) => {
            let old = only(before, names[0], names[1])?;
            let new = Ok(like(&new, &old));
            return Ok(vec![(None, [old, new])]);
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
            let side = document.instances.remove(id);
            side.unwrap_or_else(|| Ok(Side::default()))
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
fn like(rules: &LiveFirewall, other: &Result<Side, crate::model::Unreadable>) -> Side {
    let family = other
        .as_ref()
        .map_or_else(|_| Family::default(), |side| side.reach.family);
    Side::of_live(rules, family)
}

/// The one instance of a document that is compared with rules that say of no instance.
fn only(
    document: &mut Document,
    named: &Opened,
    unnamed: &Opened,
) -> Result<Result<Side, crate::model::Unreadable>, Cannot> {
    let count = document.instances.len();
    match document.instances.pop_first() {
        Some((_, side)) if count == 1 => Ok(side),
        _ => Err(Cannot::usage(
            format!(
                "`{}` is the rules of one instance, and `{}` has {count}",
                unnamed.shown, named.shown
            ),
            "say with --target which one is meant",
        )),
    }
}
