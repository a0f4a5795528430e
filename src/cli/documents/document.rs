//! The rules of each instance in a document, for comparison.
//!
//! Owns the choice of instances that a configuration is resolved against. Does not compare.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use time::OffsetDateTime;

use super::additive::{additive_firewall, resulting_firewall};
use super::known_instances::{self, KnownInstances};
use super::statements::{InstanceRules, InstanceRulesResult, Statements, TableMatch};
use super::{Content, DocumentState, OpenedDocument};
use crate::cli::error::RunError;
use crate::config::{
    Config, Listing, PartialInstanceId, Severity, TableScope, service_keys, service_names,
    service_of,
};
use crate::exposure::DocumentFirewall;
use crate::inventory::Inventory;
use crate::model::{
    AddressType, Desired, Family, Instance, InstanceId, InstanceState, LiveFirewall, Mode, Site,
    Unreadable,
};
use crate::plan::{self, InstancePlan, Plan};
use crate::render::Names;

/// The instances and the instant for which documents are read.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct ResolveContext<'a> {
    /// The instances that exist, where they are known.
    pub(in crate::cli) inventory: Option<&'a Inventory>,
    /// A plan, which contains some of the instances, if there is no inventory.
    pub(in crate::cli) plan: Option<&'a Plan>,
    /// The names of accounts, by their ids.
    pub(in crate::cli) accounts: &'a BTreeMap<&'a str, &'a str>,
    /// The instances with a table in either configuration.
    pub(in crate::cli) places: &'a [PartialInstanceId],
    /// The instant for which `until` is evaluated.
    pub(in crate::cli) as_of: OffsetDateTime,
}

/// A document that was read.
#[derive(Debug, Default)]
pub(in crate::cli) struct Document {
    /// The firewalls of instances with a name, or the reason why one is unknown.
    pub(in crate::cli) instances: BTreeMap<InstanceId, InstanceRulesResult>,
    /// The firewall of a list of rules, whose instance and address families are unknown.
    pub(in crate::cli) unnamed: Option<LiveFirewall>,
    /// The statements of a configuration about unknown instances.
    pub(in crate::cli) groups: Option<GroupStatements>,
    /// The names that the document defines.
    pub(in crate::cli) names: Names,
    /// Notes on how it was read.
    pub(in crate::cli) notes: BTreeSet<String>,
    /// Whether a part of it is unknown, for example because a region could not be listed.
    pub(in crate::cli) incomplete: Vec<String>,
}

/// The statements of a configuration about unknown instances, and the sites that may have such instances.
#[derive(Debug, Default)]
pub(in crate::cli) struct GroupStatements {
    pub(in crate::cli) statements: Statements,
    /// The sites of the configuration, as far as it names them.
    pub(in crate::cli) sites: BTreeSet<Site>,
    /// The sites of which every instance is known; `None` if no instance is known at all.
    pub(in crate::cli) listed: Option<BTreeSet<Site>>,
}

impl Document {
    /// Reads the document. For the older of two configurations, instances that differ from its expectations are not an error.
    pub(in crate::cli) fn read(
        opened: &OpenedDocument,
        context: ResolveContext<'_>,
        is_past: bool,
    ) -> Result<Self, RunError> {
        let mut document = match &opened.content {
            Content::Config(config) => from_config(config, context, is_past)?,
            Content::Plan(file, state) => from_plan(&file.plan, *state),
            Content::Inventory(inventory) => Self {
                instances: live_firewalls(inventory, context.accounts),
                ..Self::default()
            },
            Content::Ports(ports) => Self {
                unnamed: Some(LiveFirewall::read(ports)),
                ..Self::default()
            },
        };
        document.names = names(opened.content.config());
        Ok(document)
    }
}

impl GroupStatements {
    /// Whether every instance of this site is known.
    pub(in crate::cli) fn is_listed(&self, site: &Site) -> bool {
        let listed = self.listed.as_ref();
        listed.is_some_and(|listed| listed.contains(site))
    }
}

/// The rules of every instance of an inventory.
pub(in crate::cli) fn live_firewalls(
    inventory: &Inventory,
    accounts: &BTreeMap<&str, &str>,
) -> BTreeMap<InstanceId, InstanceRulesResult> {
    let entries = inventory.named(accounts).into_iter();
    let known = entries.map(|(id, entry)| {
        let family = AddressType::from(entry.ip_address_type.as_str()).client_family();
        let live = known_instances::rules(entry);
        (
            id,
            live.map(|live| DocumentFirewall::of_live(&live, family).into()),
        )
    });
    known.collect()
}

fn from_plan(plan: &plan::Plan, state: DocumentState) -> Document {
    let firewall = |plan: &InstancePlan| match state {
        DocumentState::Before => DocumentFirewall::of_live(&plan.before, plan.family()),
        DocumentState::After => resulting_firewall(plan),
    };
    let known = plan
        .instances
        .iter()
        .map(|plan| (plan.instance.id.clone(), Ok(firewall(plan).into())));
    let unknown = plan
        .unreadable
        .iter()
        .map(|(id, cause)| (id.clone(), Err(cause.clone())));
    Document {
        instances: known.chain(unknown).collect(),
        incomplete: plan
            .sites_unreadable
            .iter()
            .map(|(region, cause)| {
                format!("the instances of region `{region}` are not known: {cause}")
            })
            .collect(),
        ..Document::default()
    }
}

/// The resulting firewall, with the unreadable entries that stay.
fn from_config(
    config: &Config,
    context: ResolveContext<'_>,
    is_past: bool,
) -> Result<Document, RunError> {
    let mut document = Document::default();
    let known = match (context.inventory, context.plan) {
        (Some(inventory), _) => Some(KnownInstances::from_inventory(inventory, config)),
        (None, Some(plan)) => Some(KnownInstances::from_plan(plan, config)),
        (None, None) => None,
    };
    let is_known = known.is_some();
    let known = known.unwrap_or_default();
    let listing = context.inventory.map(|_| known.listing());
    let desired = resolve(
        config,
        &known,
        listing,
        context.as_of,
        is_past,
        &mut document,
    )?;
    for (id, cause) in &desired.undecided {
        let cause = Unreadable::undecided(format!(
            "what is declared for it is undecided: {}",
            cause.reason
        ))
        .with_hint(cause.hint.clone());
        document.instances.insert(id.clone(), Err(cause));
    }
    for (id, wanted) in &desired.instances {
        let instance = known.instances.get(id);
        let family = instance.map_or_else(Family::default, |i| i.address_type.client_family());
        let firewall = match (wanted.mode, instance.zip(known.rules.get(id))) {
            (Mode::Additive, Some((instance, Ok(live)))) => {
                Ok(additive_firewall(instance, wanted, live))
            }
            (Mode::Additive, Some((_, Err(cause)))) => Err(cause.clone()),
            _ => Ok(DocumentFirewall::of_rules(&wanted.rules, family)),
        };
        document
            .instances
            .insert(id.clone(), firewall.map(InstanceRules::from));
    }
    let statements = Statements::new(config, context.as_of);
    let unknown = unknown_places(context.places, &known);
    // What is wrong with an instance that has a table shows wherever it is.
    let tables: BTreeSet<PartialInstanceId> = config.partial_ids().into_iter().collect();
    let own: BTreeMap<InstanceId, Instance> = unknown
        .iter()
        .filter(|place| tables.contains(place))
        .map(|place| (instance_id(place), assumed_instance(place)))
        .collect();
    let assumed = config.resolve(&own, &BTreeSet::new(), context.as_of)?;
    for place in unknown {
        let mut rules = statements.rules_for(&TableScope::from(place.clone()));
        let wanted = assumed.instances.get(&instance_id(place)).cloned();
        rules.desired = wanted.map(|wanted| (assumed_instance(place), wanted));
        if rules.declared == TableMatch::No {
            continue;
        }
        if is_known {
            let name = &place.name;
            let list = if context.inventory.is_some() {
                "inventory"
            } else {
                "plan"
            };
            document.notes.insert(format!(
                "`{name}` is not in the {list}: it is taken to be dual-stack, and its tags are not known"
            ));
        }
        document.instances.insert(instance_id(place), Ok(rules));
    }
    if !is_known {
        document.notes.insert(
            "no inventory is given: groups are compared by what they say of every instance that they take, and \
             instances are taken to be dual-stack"
                .to_owned(),
        );
    }
    document.groups = Some(GroupStatements {
        statements,
        sites: config.sites(),
        listed: is_known.then_some(known.listed),
    });
    Ok(document)
}

/// The desired state of the known instances. With an inventory, groups are reported as in a plan.
fn resolve(
    config: &Config,
    known: &KnownInstances,
    listing: Option<Listing>,
    as_of: OffsetDateTime,
    is_past: bool,
    document: &mut Document,
) -> Result<Desired, RunError> {
    let nothing = BTreeSet::new();
    let Some(mut listing) = listing else {
        return Ok(config.resolve(&known.instances, &nothing, as_of)?);
    };
    let errors_found = match config.resolve_listed(&known.instances, &listing, as_of) {
        Ok(desired) => {
            let notes = desired.notes.iter().filter(|_| !is_past);
            document.notes.extend(notes.map(|note| match &note.origin {
                Some(origin) => format!("{} ({origin})", note.text),
                None => note.text.clone(),
            }));
            return Ok(desired);
        }
        Err(errors_found) if !is_past => return Err(errors_found.into()),
        Err(errors_found) => errors_found,
    };
    // Without a number of instances to compare with, what is left is wrong in itself.
    listing.complete.clear();
    let desired = config.resolve_listed(&known.instances, &listing, as_of)?;
    let errors = errors_found.problems.iter();
    let errors = errors.filter(|problem| problem.severity == Severity::Error);
    document.notes.extend(
        errors.map(|problem| format!("on the old side, {} ({})", problem.message, problem.origin)),
    );
    Ok(desired)
}

/// The ids at which no instance is known.
fn unknown_places<'a>(
    places: &'a [PartialInstanceId],
    known: &KnownInstances,
) -> Vec<&'a PartialInstanceId> {
    let mut named: HashMap<&str, Vec<&InstanceId>> = HashMap::new();
    for id in known.instances.keys() {
        named.entry(&id.name).or_default().push(id);
    }
    let is_known = |place: &&PartialInstanceId| {
        let mut ids = named.get(place.name.as_str()).into_iter().flatten();
        ids.any(|id| place.matches(id))
    };
    places.iter().filter(|place| !is_known(place)).collect()
}

/// The instance of an id. Unknown parts of the id are left empty.
pub(in crate::cli) fn instance_id(place: &PartialInstanceId) -> InstanceId {
    InstanceId {
        account: place.account.clone(),
        region: place.region.clone().unwrap_or_default(),
        name: place.name.clone(),
    }
}

/// The assumption about an unknown instance: it is running and dual-stack, and has no tags.
fn assumed_instance(place: &PartialInstanceId) -> Instance {
    Instance {
        id: instance_id(place),
        arn: String::new(),
        tags: BTreeMap::new(),
        state: InstanceState::Running,
        address_type: AddressType::Dualstack,
    }
}

/// The names of a configuration first, then those that every configuration knows.
pub(in crate::cli) fn names(config: Option<&Config>) -> Names {
    let own = config.map(Config::services).unwrap_or_default();
    let own = own
        .into_iter()
        .flat_map(|(name, keys)| keys.into_iter().map(move |key| (key, name.clone())));
    let built_in = service_names()
        .filter_map(service_keys)
        .flatten()
        .filter_map(|key| Some((*key, service_of(*key)?.to_owned())));
    // A key that has a usual name keeps it: a service of the user's that holds it holds others too.
    let all: Vec<_> = built_in.chain(own).collect();
    Names::new(all, config.map(Config::sets).unwrap_or_default())
}
