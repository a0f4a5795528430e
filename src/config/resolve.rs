//! The configuration against the instances that exist.
//!
//! Owns what each instance gets and what is said of those that are missing or not in the configuration. Does not read
//! anything: instances and the time are passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use time::OffsetDateTime;

use super::Config;
use super::complaints::Complaints;
use super::conflict::{absent, settle};
use super::diagnostic::{Diagnostics, Report};
use super::grants;
use super::limits::Budget;
use super::listing::{Extent, Listing};
use super::rule::{Families, Rule};
use super::source::quote;
use super::suggest::nearest;
use super::table::{Declared, Group, Settings};
use crate::model::{
    Code, Desired, DesiredInstance, Instance, InstanceId, Missing, Note, Site, Undeclared,
    Unreadable, Waiver,
};

/// Looks for what missing names may have meant are made for this many: each compares with every instance.
const HINTS: usize = 20;

/// The state of one resolution.
struct Resolver<'a> {
    config: &'a Config,
    instances: &'a BTreeMap<InstanceId, Instance>,
    listing: &'a Listing,
    as_of: OffsetDateTime,
    complaints: Complaints,
    desired: Desired,
    /// What instances get that have no table of their own, by the places of their groups and by their families: they all
    /// get the same.
    alike: BTreeMap<(Vec<usize>, Families), Wanted>,
    /// What the instances come to.
    budget: Budget,
}

/// What is wanted of an instance, and what its policies are to overlook.
#[derive(Clone)]
struct Wanted {
    instance: Arc<DesiredInstance>,
    waivers: Vec<Waiver>,
}

impl Config {
    /// What is wanted of each of these instances, where `listed` are the sites of which every instance is among them; with
    /// none, the instances are supposed rather than found ([`Listing`]). `as_of` is the instant at which the rules are looked at.
    ///
    /// # Errors
    /// As [`Config::resolve_listed`].
    pub fn resolve(
        &self,
        instances: &BTreeMap<InstanceId, Instance>,
        listed: &BTreeSet<Site>,
        as_of: OffsetDateTime,
    ) -> Result<Desired, Diagnostics> {
        self.resolve_listed(instances, &Listing::of(listed), as_of)
    }

    /// What is wanted of each of these instances that the listing is about.
    ///
    /// A name without its region, or a group that expects a number of instances, is decided only if every site was listed in
    /// full that could hold one; until then what it could mean is undecided. Only of sites that were listed in full can be
    /// said that something is missing.
    ///
    /// # Errors
    /// What only shows beside real instances: groups that disagree, a name in several regions, an address of a family
    /// that the instance lacks, a number of instances that was not expected, `absent` outside additive mode or of what is
    /// also declared.
    pub fn resolve_listed(
        &self,
        instances: &BTreeMap<InstanceId, Instance>,
        listing: &Listing,
        as_of: OffsetDateTime,
    ) -> Result<Desired, Diagnostics> {
        let report = Report::on(self.sources.clone());
        let desired = Desired {
            guard: self.linked.guard.clone(),
            ..Desired::default()
        };
        let mut resolver = Resolver {
            config: self,
            instances,
            listing,
            as_of,
            complaints: Complaints::new(report),
            desired,
            alike: BTreeMap::new(),
            budget: Budget::new(self.linked.policies.len()),
        };
        resolver.run();
        let Resolver {
            complaints,
            desired,
            ..
        } = resolver;
        complaints.report.finish().map(|_| desired)
    }
}

impl<'a> Resolver<'a> {
    fn run(&mut self) {
        let own = self.bind();
        let groups = &self.config.linked.groups;
        let mut counts = vec![0_usize; groups.len()];
        let mut found = Vec::new();
        for (id, instance) in self.instances {
            let mut matched = Vec::new();
            for (place, group) in groups.iter().enumerate() {
                if group.selector.matches(instance) {
                    counts[place] += 1;
                    matched.push(place);
                }
            }
            if self.listing.includes(id) {
                found.push((instance, matched));
            }
        }
        let counted = groups.iter().zip(counts);
        let uncounted: Vec<Option<Unreadable>> = counted
            .map(|(group, count)| self.count(group, count))
            .collect();
        for (instance, matched) in found {
            let id = &instance.id;
            if self.desired.undecided.contains_key(id) {
                continue;
            }
            let own = own.get(id).copied();
            if own.is_none() && matched.is_empty() {
                self.desired.undeclared.push(Undeclared { id: id.clone() });
                self.desired.notes.extend(grants::undeclared(instance));
                continue;
            }
            if let Some(why) = matched.iter().find_map(|place| uncounted[*place].as_ref()) {
                self.desired.undecided.insert(id.clone(), why.clone());
                continue;
            }
            let Wanted {
                instance: wanted,
                waivers,
            } = self.wanted(instance, own, matched);
            let granting = self.config.linked.grants.as_ref();
            let wanted = grants::counted(granting, instance, wanted, self.as_of);
            if !waivers.is_empty() {
                let all = &mut self.desired.policies.waivers;
                all.insert(id.clone(), waivers);
            }
            self.desired.instances.insert(id.clone(), wanted);
        }
        self.policies();
    }

    /// Which policy speaks of which instance that is declared.
    fn policies(&mut self) {
        for linked in &self.config.linked.policies {
            let mut policy = linked.policy.clone();
            if let Some(selector) = &linked.selector {
                let Desired {
                    instances,
                    undecided,
                    ..
                } = &self.desired;
                let declared = instances.keys().chain(undecided.keys()).filter(|id| {
                    let instance = self.instances.get(*id);
                    instance.is_some_and(|instance| selector.matches(instance))
                });
                let chosen: BTreeSet<InstanceId> = declared.cloned().collect();
                if chosen.is_empty() && self.is_listed(Extent::Selector(selector)) {
                    let text = format!("policy {} matches no instance", quote(&policy.id));
                    let origin = policy.origin.clone();
                    self.desired.notes.push(Note { text, origin });
                }
                policy.instances = Some(chosen);
            }
            self.desired.policies.list.push(policy);
        }
    }

    /// Which table belongs to which instance.
    fn bind(&mut self) -> BTreeMap<&'a InstanceId, &'a Declared> {
        let mut by_name: BTreeMap<&str, Vec<&'a InstanceId>> = BTreeMap::new();
        for id in self.instances.keys() {
            by_name.entry(&id.name).or_default().push(id);
        }
        let mut own: BTreeMap<&InstanceId, &Declared> = BTreeMap::new();
        let mut absent = Vec::new();
        let mut unseen = Vec::new();
        for declared in &self.config.linked.instances {
            let place = &declared.place;
            let named = by_name.get(place.name.as_str()).into_iter().flatten();
            let here: Vec<&InstanceId> = named.copied().filter(|id| place.holds(id)).collect();
            let found = match here[..] {
                [] => None,
                [id] => Some(id),
                _ if !here.iter().any(|id| self.listing.includes(id)) => continue,
                [first, ..] => {
                    let all: Vec<String> = here.iter().map(|id| quote(&id.to_string())).collect();
                    let one_account = here.iter().all(|id| id.account == first.account);
                    let what = if one_account { "regions" } else { "accounts" };
                    self.complaints
                        .report
                        .error(
                            Code::Conflict,
                            declared.span,
                            format!("{} exists in several {what}", quote(&declared.key)),
                        )
                        .hint(format!("say which one: {}", all.join(" or ")));
                    continue;
                }
            };
            match found {
                Some(id) if !self.listing.includes(id) => {}
                Some(id) => {
                    let linked = &self.config.linked;
                    if let Some(why) = linked.ambiguous(declared, id, self.listing) {
                        self.desired.undecided.insert(id.clone(), why);
                        continue;
                    }
                    if let Some(first) = own.insert(id, declared) {
                        let message = format!(
                            "{} is the same instance as {}",
                            quote(&declared.key),
                            quote(&first.key)
                        );
                        self.complaints
                            .report
                            .error(Code::InvalidName, declared.span, message)
                            .related(first.span, "first declared here");
                    }
                }
                None if !self.listing.is_about(|site| place.could_be_in(site)) => {}
                None if self.is_listed(Extent::Place(place)) => absent.push(declared),
                // That its only region failed is said of the region.
                None if self.listing.failed_for(place) => {}
                None => unseen.push(declared),
            }
        }
        self.missing(&absent, &by_name);
        self.unseen(&unseen);
        own
    }

    /// Whether every site was listed in full that could hold an instance of this extent.
    fn is_listed(&self, extent: Extent<'_>) -> bool {
        let linked = &self.config.linked;
        !self.listing.is_supposed() && linked.unlisted(extent, self.listing).is_none()
    }

    fn missing(&mut self, absent: &[&Declared], by_name: &BTreeMap<&str, Vec<&InstanceId>>) {
        for (at, declared) in absent.iter().enumerate() {
            let name = declared.place.name.as_str();
            let elsewhere = by_name
                .get(name)
                .and_then(|ids| ids.first())
                .map(ToString::to_string);
            let hint = elsewhere.or_else(|| {
                let near = nearest(
                    &mut self.complaints.report.compared,
                    name,
                    by_name.keys().copied().filter(|_| at < HINTS),
                )?;
                let id = by_name.get(near)?.first()?;
                Some(if declared.place.region.is_some() {
                    id.to_string()
                } else {
                    id.name.clone()
                })
            });
            let origin = self.complaints.report.origin(declared.span);
            self.desired.missing.push(Missing {
                name: declared.key.clone(),
                origin,
                hint,
            });
        }
    }

    fn unseen(&mut self, unseen: &[&Declared]) {
        const SHOWN: usize = 5;
        let Some(first) = unseen.first() else { return };
        let mut names: Vec<String> = unseen
            .iter()
            .take(SHOWN)
            .map(|declared| quote(&declared.key))
            .collect();
        if unseen.len() > SHOWN {
            names.push(format!("{} more", unseen.len() - SHOWN));
        }
        let text = format!(
            "declared, but not in any {} that was listed: {}",
            if self.config.linked.accounts.is_empty() {
                "region"
            } else {
                "account and region"
            },
            names.join(", ")
        );
        self.desired.notes.push(Note {
            text,
            origin: Some(self.complaints.report.origin(first.span)),
        });
    }

    /// Whether a group matches as many instances as it says, of which `count` are known; why not, where that cannot be told.
    fn count(&mut self, group: &Group, count: usize) -> Option<Unreadable> {
        let name = quote(&group.name);
        let origin = Some(self.complaints.report.origin(group.span));
        let listed = self.is_listed(Extent::Selector(&group.selector));
        let Some((expect, span)) = group.expect else {
            if count == 0 && listed {
                let text = format!("group {name} matches no instance");
                self.desired.notes.push(Note { text, origin });
            }
            return None;
        };
        let holds = if listed {
            Some(expect.holds(count))
        } else if self.listing.is_supposed() {
            None
        } else {
            expect.holds_from(count)
        };
        match holds {
            Some(true) => None,
            Some(false) => {
                let message =
                    format!("group {name} matches {count} instances, but {expect} are expected");
                self.complaints
                    .report
                    .error(Code::Expectation, span, message);
                None
            }
            None => {
                let text = format!(
                    "`expect` of group {name} is not judged: not every region was listed in full"
                );
                self.desired.notes.push(Note { text, origin });
                self.config.linked.uncounted(group, self.listing)
            }
        }
    }

    /// What an instance gets from its own table and from the groups at these places.
    fn wanted(
        &mut self,
        instance: &Instance,
        own: Option<&'a Declared>,
        places: Vec<usize>,
    ) -> Wanted {
        let all = &self.config.linked.groups;
        let groups: Vec<&Group> = places.iter().map(|place| &all[*place]).collect();
        if own.is_some() {
            return self.instance(instance, own, &groups);
        }
        let kind = (places, Families::from(&instance.address_type));
        if let Some(known) = self.alike.get(&kind) {
            return known.clone();
        }
        let wanted = self.instance(instance, own, &groups);
        self.alike.insert(kind, wanted.clone());
        wanted
    }

    fn instance(
        &mut self,
        instance: &Instance,
        own: Option<&'a Declared>,
        groups: &[&'a Group],
    ) -> Wanted {
        let linked = &self.config.linked;
        let span = own
            .map(|own| own.span)
            .or(groups.last().map(|group| group.span));
        let own = own.map(|declared| &declared.settings);
        let all: Vec<&Settings> = groups
            .iter()
            .map(|group| &group.settings)
            .chain(own)
            .collect();
        let mode = settle(
            &mut self.complaints,
            instance,
            own,
            groups,
            "mode",
            |settings| settings.mode,
        )
        .unwrap_or(linked.mode);
        let strategy = settle(
            &mut self.complaints,
            instance,
            own,
            groups,
            "strategy",
            |settings| settings.strategy,
        );

        let rulesets: BTreeSet<usize> = all
            .iter()
            .flat_map(|settings| settings.uses.iter().copied())
            .collect();
        let pairs = rulesets.iter().map(|id| linked.ruleset_pairs[*id]);
        let own_pairs = all.iter().map(|settings| settings.own_pairs);
        if let (Err(too_much), Some(span)) =
            (self.budget.instance(pairs.chain(own_pairs).sum()), span)
        {
            let id = quote(&instance.id.to_string());
            too_much
                .about(&id)
                .report(&mut self.complaints.report, span);
        }
        let is_too_much = self.budget.is_full();
        let shared = rulesets.iter().flat_map(|id| &linked.rulesets[*id]);
        let lines = shared.chain(all.iter().flat_map(|settings| &settings.rules));
        let mut wanted = DesiredInstance {
            mode,
            strategy: strategy.unwrap_or(linked.strategy),
            rules: Vec::new(),
            absent: Vec::new(),
            expired: Vec::new(),
            notes: Vec::new(),
        };
        let there = Families::from(&instance.address_type);
        let mut waivers = Vec::new();
        for line in lines.filter(|_| !is_too_much) {
            if line.is_expired(self.as_of, &mut wanted.notes) {
                let known = wanted.expired.len();
                line.literally(&mut wanted.expired);
                waivers.extend(line.waivers(&wanted.expired[known..], false));
                continue;
            }
            self.check_families(instance, there, line);
            let known = wanted.rules.len();
            line.for_instance(there, &mut wanted.rules, &mut wanted.notes);
            waivers.extend(line.waivers(&wanted.rules[known..], true));
        }
        wanted
            .rules
            .sort_by(|a, b| (a.key, &a.declared.origin).cmp(&(b.key, &b.declared.origin)));
        wanted
            .expired
            .sort_by(|a, b| (a.key, &a.declared.origin).cmp(&(b.key, &b.declared.origin)));
        absent(&mut self.complaints, instance, &all, &mut wanted);
        // Stable, so that the notes of one line keep their order.
        wanted.notes.sort_by(|a, b| a.origin.cmp(&b.origin));
        Wanted {
            instance: Arc::new(wanted),
            waivers,
        }
    }

    fn check_families(&mut self, instance: &Instance, there: Families, line: &Rule) {
        let Some((span, family)) = line.misplaced(there) else {
            return;
        };
        if self.complaints.are_new(span, line.span) {
            let message = format!(
                "{} has no {family}, but this address is written out for it",
                quote(&instance.id.to_string())
            );
            self.complaints.report
                .error(Code::InvalidSource, span, message)
                .hint("put it into a set under `[addresses]`, from which it is left out where it does not fit");
        }
    }
}
