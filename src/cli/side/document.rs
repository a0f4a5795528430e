//! What a document says of each instance, ready to be compared.
//!
//! Owns the choice of instances that a configuration is resolved against. Refuses to compare.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::{Content, Opened, State};
use crate::cli::session::NoPlan;
use crate::config::{Config, Place, service_keys, service_names, service_of};
use crate::exposure::{self, Side};
use crate::inventory::Inventory;
use crate::model::{
    AddressType, DesiredInstance, Family, Instance, InstanceId, InstanceState, LiveFirewall, Mode,
    PortState, Unreadable,
};
use crate::plan::{self, InstancePlan};
use crate::render::Names;

/// What a document is read against.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Basis<'a> {
    /// The instances that exist, where they are known.
    pub(in crate::cli) inventory: Option<&'a Inventory>,
    /// What accounts are called, by their ids.
    pub(in crate::cli) accounts: &'a BTreeMap<&'a str, &'a str>,
    /// When.
    pub(in crate::cli) as_of: OffsetDateTime,
}

/// A document, read.
#[derive(Debug, Default)]
pub(in crate::cli) struct Document {
    /// Firewalls of instances with a name, or why one is not known.
    pub(in crate::cli) instances: BTreeMap<InstanceId, Result<Side, Unreadable>>,
    /// The firewall of the one instance that a list of rules is about, whose families it does not say.
    pub(in crate::cli) unnamed: Option<LiveFirewall>,
    /// What the document calls things.
    pub(in crate::cli) names: Names,
    /// What a reader should know of how it was read.
    pub(in crate::cli) notes: BTreeSet<String>,
    /// Whether a part of what it should say is unknown, as where a region could not be listed.
    pub(in crate::cli) incomplete: Vec<String>,
}

impl Document {
    /// Reads it.
    pub(in crate::cli) fn read(opened: &Opened, basis: Basis<'_>) -> Result<Self, NoPlan> {
        let mut document = match &opened.content {
            Content::Config(config) => of_config(config, basis)?,
            Content::Plan(file, state) => of_plan(&file.plan, *state),
            Content::Inventory(inventory) => Self {
                instances: live(inventory, basis.accounts)
                    .into_iter()
                    .map(|(id, (family, live))| (id, live.map(|live| Side::of_live(&live, family))))
                    .collect(),
                ..Self::default()
            },
            Content::Ports(ports) => Self {
                unnamed: Some(LiveFirewall::read(ports)),
                ..Self::default()
            },
        };
        document.names = names(match &opened.content {
            Content::Config(config) => Some(config),
            Content::Plan(..) | Content::Inventory(_) | Content::Ports(_) => None,
        });
        Ok(document)
    }
}

/// The rules of an instance, and the family over which the browser client reaches it.
type Rules = (Family, Result<LiveFirewall, Unreadable>);

/// The rules of every instance of an inventory.
fn live(inventory: &Inventory, accounts: &BTreeMap<&str, &str>) -> BTreeMap<InstanceId, Rules> {
    let read = |ports: &Option<Vec<PortState>>| match ports {
        Some(ports) => Ok(LiveFirewall::read(ports)),
        None => Err(Unreadable {
            reason: "its rules could not be read when the inventory was taken".to_owned(),
            hint: Some("take a new inventory".to_owned()),
        }),
    };
    let entries = inventory.named(accounts).into_iter();
    entries
        .map(|(id, entry)| {
            let kind = AddressType::from_name(&entry.ip_address_type);
            (id, (kind.client_family(), read(&entry.port_states)))
        })
        .collect()
}

fn of_plan(plan: &plan::Plan, state: State) -> Document {
    let side = |plan: &InstancePlan| match state {
        State::Before => Side::of_live(&plan.before, plan.family()),
        State::After => after(plan),
    };
    let known = plan
        .instances
        .iter()
        .map(|plan| (plan.instance.id.clone(), Ok(side(plan))));
    let unknown = plan
        .unreadable
        .iter()
        .map(|(id, why)| (id.clone(), Err(why.clone())));
    Document {
        instances: known.chain(unknown).collect(),
        incomplete: plan
            .sites_unreadable
            .iter()
            .map(|(region, why)| format!("the instances of region `{region}` are not known: {why}"))
            .collect(),
        ..Document::default()
    }
}

/// What results, with the entries that cannot be read and stay.
fn after(plan: &InstancePlan) -> Side {
    Side::with_doubts(&plan.after, plan.doubts_after(), plan.family())
}

fn of_config(config: &Config, basis: Basis<'_>) -> Result<Document, NoPlan> {
    let mut document = Document::default();
    let accounts = config.account_names();
    let inventory = basis.inventory;
    let known = inventory.map(|inventory| instances(inventory, &accounts));
    let rules = inventory.map(|inventory| live(inventory, &accounts));
    let (known, rules) = (known.unwrap_or_default(), rules.unwrap_or_default());
    let supposed = supposed(config, &known);
    match basis.inventory {
        None => {
            document.notes.insert(
                "no inventory is given: only instances with a table of their own are compared, and they are taken to be \
                 dual-stack and without tags"
                    .to_owned(),
            );
        }
        Some(_) => document.notes.extend(supposed.keys().map(|id| {
            let name = &id.name;
            format!(
                "`{name}` is not in the inventory: it is taken to be dual-stack and without tags"
            )
        })),
    }
    let all: BTreeMap<InstanceId, Instance> = known.into_iter().chain(supposed).collect();
    // No region counts as listed: how many instances there are is not the question here.
    let desired = config.resolve(&all, &BTreeSet::new(), basis.as_of)?;
    for (id, wanted) in &desired.instances {
        let instance = all.get(id);
        let family = instance.map_or_else(Family::default, |i| i.address_type.client_family());
        let side = match (wanted.mode, rules.get(id), instance) {
            (Mode::Authoritative | Mode::Observe, ..) | (_, _, None) => {
                Ok(Side::of_rules(&wanted.rules, family))
            }
            (Mode::Additive, Some((_, Ok(live))), Some(instance)) => {
                Ok(additive(instance, wanted, live))
            }
            (Mode::Additive, Some((_, Err(why))), _) => Err(why.clone()),
            (Mode::Additive, None, _) => {
                let name = &id.name;
                document.notes.insert(format!(
                    "`{name}` is additive, and rules that are live and not declared are not known here"
                ));
                Ok(Side::of_rules(&wanted.rules, family))
            }
        };
        document.instances.insert(id.clone(), side);
    }
    Ok(document)
}

/// What is declared, and what is live and stays. Of a rule that stays in part, the part that nothing declares is a rule
/// without a line.
pub(in crate::cli) fn additive(
    instance: &Instance,
    wanted: &DesiredInstance,
    live: &LiveFirewall,
) -> Side {
    let plan = plan::plan_instance(instance, wanted, live, plan::Options::default());
    let family = plan.family();
    let mut side = after(&plan);
    // The lines of the configuration say more than the keys that they lead to.
    let declared = Side::of_rules(&wanted.rules, family).rules;
    for said in &mut side.rules {
        for rule in declared.iter().filter(|rule| rule.key == said.key) {
            said.sources = exposure::subtract(&said.sources, &rule.sources, family);
        }
    }
    side.rules.retain(|said| !said.sources.is_empty());
    side.rules.extend(declared);
    side
}

fn instances(
    inventory: &Inventory,
    accounts: &BTreeMap<&str, &str>,
) -> BTreeMap<InstanceId, Instance> {
    let entries = inventory.named(accounts).into_iter();
    entries
        .map(|(id, entry)| {
            let mut instance = entry.instance(&id.region);
            instance.id = id.clone();
            (id, instance)
        })
        .collect()
}

/// Instances that have a table and are not among those that are known. One that is named without a region is in the only
/// one that the configuration names, or in one without a name.
fn supposed(
    config: &Config,
    known: &BTreeMap<InstanceId, Instance>,
) -> BTreeMap<InstanceId, Instance> {
    let sites = config.sites();
    let regions: BTreeSet<&String> = sites.iter().map(|site| &site.region).collect();
    let only = match &regions.iter().collect::<Vec<_>>()[..] {
        [region] => (**region).clone(),
        _ => String::new(),
    };
    let only_account = match &config.accounts().keys().collect::<Vec<_>>()[..] {
        [account] => Some((*account).clone()),
        _ => None,
    };
    let mut supposed = BTreeMap::new();
    for place in config.tables() {
        if known.keys().any(|id| place.holds(id)) {
            continue;
        }
        let Place {
            account,
            region,
            name,
        } = place.clone();
        let id = InstanceId {
            account: account.or_else(|| only_account.clone()),
            region: region.unwrap_or_else(|| only.clone()),
            name,
        };
        let instance = Instance {
            id: id.clone(),
            arn: String::new(),
            tags: BTreeMap::new(),
            state: InstanceState::Running,
            address_type: AddressType::Dualstack,
        };
        supposed.insert(id, instance);
    }
    supposed
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
