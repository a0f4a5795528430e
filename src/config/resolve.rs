//! Resolution: the desired state of the instances that exist.
//!
//! Owns the desired state of each instance, and the notes on instances that are missing or undeclared. Does not read anything:
//! instances and the time are passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use time::OffsetDateTime;

use super::Config;
use super::conflict::{add_absent, resolve_setting};
use super::diagnostic::{Diagnostics, DiagnosticsBuilder};
use super::grants;
use super::listing::Listing;
use super::rule::{Families, LinkedRule};
use super::selector::Selector;
use super::size_limits::PairBudget;
use super::source::quote;
use super::table::{Group, InstanceTable, TableSettings};
use crate::model::{
    Code, Desired, DesiredInstance, Instance, InstanceId, Missing, Note, Site, Undeclared,
    Unreadable, Waiver,
};

/// The most missing instances for which a similar name is searched, because each search compares with every instance.
const MAX_SUGGESTIONS: usize = 20;

struct Resolver<'a> {
    config: &'a Config,
    instances: &'a BTreeMap<InstanceId, Instance>,
    listing: &'a Listing,
    as_of: OffsetDateTime,
    report: DiagnosticsBuilder,
    desired: Desired,
    /// The desired state of instances without a table, by the indices of their groups and by their families. Instances that agree
    /// in both share it.
    shared: BTreeMap<(Vec<usize>, Families), Resolved>,
    /// The number of pairs of port and source of all instances.
    budget: PairBudget,
}

/// The desired state of an instance, with the waivers of its rules.
#[derive(Clone)]
struct Resolved {
    desired: Arc<DesiredInstance>,
    waivers: Vec<Waiver>,
}

impl Config {
    /// Resolves the desired state of each of these instances. `listed` are the sites of which `instances` contains every instance;
    /// without any, the instances are assumed and not listed. `as_of` decides which rules are in force.
    ///
    /// # Errors
    /// The problems that depend on the instances, such as groups that disagree.
    pub fn resolve(
        &self,
        instances: &BTreeMap<InstanceId, Instance>,
        listed: &BTreeSet<Site>,
        as_of: OffsetDateTime,
    ) -> Result<Desired, Diagnostics> {
        self.resolve_listed(instances, &Listing::of(listed), as_of)
    }

    /// Resolves the desired state of each of these instances that is in the scope of the listing.
    ///
    /// A name without its region, or a group that expects a number of instances, is decided only if every site that may have such an
    /// instance was listed in full; otherwise the instances that it may refer to are undecided. An instance is reported as missing
    /// only if its sites were listed in full.
    ///
    /// # Errors
    /// The problems that depend on the instances: groups that disagree, a name in several regions, an address of a family that the
    /// instance does not have, an unexpected number of instances, and `absent` outside additive mode or of declared access.
    pub(crate) fn resolve_listed(
        &self,
        instances: &BTreeMap<InstanceId, Instance>,
        listing: &Listing,
        as_of: OffsetDateTime,
    ) -> Result<Desired, Diagnostics> {
        let mut resolver = Resolver {
            config: self,
            instances,
            listing,
            as_of,
            report: DiagnosticsBuilder::with_sources(self.sources.clone()),
            desired: Desired {
                guard: self.linked.guard.clone(),
                ..Desired::default()
            },
            shared: BTreeMap::new(),
            budget: PairBudget::new(self.linked.policies.len()),
        };
        resolver.run();
        resolver.report.finish().map(|_| resolver.desired)
    }
}

impl<'a> Resolver<'a> {
    fn run(&mut self) {
        let tables = self.assign_tables();
        let groups = &self.config.linked.groups;
        let mut counts = vec![0_usize; groups.len()];
        let mut in_scope = Vec::new();
        for (id, instance) in self.instances {
            let mut matching = Vec::new();
            for (index, group) in groups.iter().enumerate() {
                if group.selector.matches(instance) {
                    counts[index] += 1;
                    matching.push(index);
                }
            }
            if self.listing.has_in_scope(id) {
                in_scope.push((instance, matching));
            }
        }
        let undecided: Vec<Option<Unreadable>> = groups
            .iter()
            .zip(counts)
            .map(|(group, count)| self.check_expected_count(group, count))
            .collect();
        for (instance, matching) in in_scope {
            let id = &instance.id;
            if self.desired.undecided.contains_key(id) {
                continue;
            }
            let table = tables.get(id).copied();
            if table.is_none() && matching.is_empty() {
                self.desired.undeclared.push(Undeclared { id: id.clone() });
                let notes = grants::undeclared_notes(instance);
                self.desired.notes.extend(notes);
                continue;
            }
            if let Some(reason) = matching.iter().find_map(|group| undecided[*group].as_ref()) {
                self.desired.undecided.insert(id.clone(), reason.clone());
                continue;
            }
            let Resolved { desired, waivers } = self.resolve(instance, table, matching);
            let limits = self.config.linked.grants.as_ref();
            let desired = grants::add_leases(limits, instance, desired, self.as_of);
            if !waivers.is_empty() {
                let all = &mut self.desired.policies.waivers;
                all.insert(id.clone(), waivers);
            }
            self.desired.instances.insert(id.clone(), desired);
        }
        self.resolve_policies();
    }

    /// Resolves the declared instances that each policy applies to.
    fn resolve_policies(&mut self) {
        for linked in &self.config.linked.policies {
            let mut policy = linked.policy.clone();
            if let Some(selector) = &linked.selector {
                let declared = self.desired.instances.keys();
                let declared = declared.chain(self.desired.undecided.keys()).filter(|id| {
                    let instance = self.instances.get(*id);
                    instance.is_some_and(|instance| selector.matches(instance))
                });
                let matching: BTreeSet<InstanceId> = declared.cloned().collect();
                if matching.is_empty() && self.is_listed(selector) {
                    let text = format!("policy {} matches no instance", quote(&policy.id));
                    let origin = policy.origin.clone();
                    self.desired.notes.push(Note { text, origin });
                }
                policy.instances = Some(matching);
            }
            self.desired.policies.list.push(policy);
        }
    }

    /// The table of each instance that has one. Reports tables without an instance.
    fn assign_tables(&mut self) -> BTreeMap<&'a InstanceId, &'a InstanceTable> {
        let mut by_name: BTreeMap<&str, Vec<&'a InstanceId>> = BTreeMap::new();
        for id in self.instances.keys() {
            by_name.entry(&id.name).or_default().push(id);
        }
        let mut tables: BTreeMap<&InstanceId, &InstanceTable> = BTreeMap::new();
        let mut missing = Vec::new();
        let mut unlisted = Vec::new();
        for table in &self.config.linked.instances {
            let named = by_name.get(table.id.name.as_str()).into_iter().flatten();
            let matching: Vec<&InstanceId> =
                named.copied().filter(|id| table.id.matches(id)).collect();
            match matching[..] {
                [] if !self.listing.may_have_in_scope(&table.id) => {}
                [] if self.is_listed(&table.id.selector()) => missing.push(table),
                // The failure of its only region is reported for the region.
                [] if self.listing.has_failed_for(&table.id) => {}
                [] => unlisted.push(table),
                _ if !matching.iter().any(|id| self.listing.has_in_scope(id)) => {}
                [id] => {
                    let linked = &self.config.linked;
                    if let Some(reason) = linked.ambiguity(table, id, self.listing) {
                        self.desired.undecided.insert(id.clone(), reason);
                    } else if let Some(first) = tables.insert(id, table) {
                        let message = format!(
                            "{} is the same instance as {}",
                            quote(&table.key),
                            quote(&first.key)
                        );
                        self.report
                            .error(Code::InvalidName, table.span, message)
                            .related(first.span, "first declared here");
                    }
                }
                [first, ..] => {
                    let ids: Vec<String> =
                        matching.iter().map(|id| quote(&id.to_string())).collect();
                    let is_one_account = matching.iter().all(|id| id.account == first.account);
                    let kind = if is_one_account {
                        "regions"
                    } else {
                        "accounts"
                    };
                    let message = format!("{} exists in several {kind}", quote(&table.key));
                    self.report
                        .error(Code::Conflict, table.span, message)
                        .hint(format!("say which one: {}", ids.join(" or ")));
                }
            }
        }
        self.add_missing(&missing, &by_name);
        self.note_unlisted(&unlisted);
        tables
    }

    /// Whether every site that a selector matches was listed in full.
    fn is_listed(&self, selector: &Selector) -> bool {
        let linked = &self.config.linked;
        !self.listing.is_assumed() && linked.first_unlisted(selector, self.listing).is_none()
    }

    fn add_missing(
        &mut self,
        missing: &[&InstanceTable],
        by_name: &BTreeMap<&str, Vec<&InstanceId>>,
    ) {
        for (index, table) in missing.iter().enumerate() {
            let name = table.id.name.as_str();
            let same_name = by_name.get(name).and_then(|ids| ids.first());
            let hint = same_name.map(ToString::to_string).or_else(|| {
                let candidates = by_name.keys().copied();
                let candidates = candidates.filter(|_| index < MAX_SUGGESTIONS);
                let near = self.report.nearest(name, candidates)?;
                let id = by_name.get(near)?.first()?;
                Some(if table.id.region.is_some() {
                    id.to_string()
                } else {
                    id.name.clone()
                })
            });
            let origin = self.report.origin(table.span);
            self.desired.missing.push(Missing {
                name: table.key.clone(),
                origin,
                hint,
            });
        }
    }

    /// Adds a note on tables whose sites were not all listed.
    fn note_unlisted(&mut self, unlisted: &[&InstanceTable]) {
        const MAX_NAMES: usize = 5;
        let Some(first) = unlisted.first() else {
            return;
        };
        let names = unlisted.iter().take(MAX_NAMES);
        let mut names: Vec<String> = names.map(|table| quote(&table.key)).collect();
        if unlisted.len() > MAX_NAMES {
            names.push(format!("{} more", unlisted.len() - MAX_NAMES));
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
            origin: Some(self.report.origin(first.span)),
        });
    }

    /// Checks the number of instances that a group matches; `count` of them are known. Returns why it cannot be decided, if so.
    fn check_expected_count(&mut self, group: &Group, count: usize) -> Option<Unreadable> {
        let name = quote(&group.name);
        let origin = Some(self.report.origin(group.span));
        let is_listed = self.is_listed(&group.selector);
        let Some((expect, span)) = group.expect else {
            if count == 0 && is_listed {
                let text = format!("group {name} matches no instance");
                self.desired.notes.push(Note { text, origin });
            }
            return None;
        };
        let is_expected = if is_listed {
            Some(expect.contains(count))
        } else if self.listing.is_assumed() {
            None
        } else {
            expect.contains_all_from(count)
        };
        match is_expected {
            Some(true) => None,
            Some(false) => {
                let message =
                    format!("group {name} matches {count} instances, but {expect} are expected");
                self.report.error(Code::Expectation, span, message);
                None
            }
            None => {
                let text = format!(
                    "`expect` of group {name} is not judged: not every region was listed in full"
                );
                self.desired.notes.push(Note { text, origin });
                self.config.linked.expect_ambiguity(group, self.listing)
            }
        }
    }

    /// Resolves the desired state of an instance from its own table and the groups with these indices.
    fn resolve(
        &mut self,
        instance: &Instance,
        table: Option<&'a InstanceTable>,
        groups: Vec<usize>,
    ) -> Resolved {
        let all = &self.config.linked.groups;
        let matching: Vec<&Group> = groups.iter().map(|group| &all[*group]).collect();
        if table.is_some() {
            return self.resolve_unshared(instance, table, &matching);
        }
        let key = (groups, Families::from(&instance.address_type));
        if let Some(known) = self.shared.get(&key) {
            return known.clone();
        }
        let resolved = self.resolve_unshared(instance, table, &matching);
        self.shared.insert(key, resolved.clone());
        resolved
    }

    fn resolve_unshared(
        &mut self,
        instance: &Instance,
        table: Option<&'a InstanceTable>,
        groups: &[&'a Group],
    ) -> Resolved {
        let linked = &self.config.linked;
        let own = table.map(|table| &table.settings);
        let settings = groups.iter().map(|group| &group.settings);
        let all: Vec<&TableSettings> = settings.chain(own).collect();
        let report = &mut self.report;
        let mode = resolve_setting(report, instance, own, groups, "mode", |table| table.mode);
        let strategy = resolve_setting(report, instance, own, groups, "strategy", |table| {
            table.strategy
        });

        let exceeded = self
            .budget
            .begin(linked.pairs(&all), "its groups and its own table come");
        let table_span = table.map(|table| table.span);
        let span = table_span.or(groups.last().map(|group| group.span));
        if let (Err(mut error), Some(span)) = (exceeded, span) {
            error.message = format!("{}: {}", quote(&instance.id.to_string()), error.message);
            error.report(&mut self.report, Code::TooLarge, span);
        }
        let is_exceeded = self.budget.is_exceeded();
        let mut desired = DesiredInstance {
            mode: mode.unwrap_or(linked.mode),
            strategy: strategy.unwrap_or(linked.strategy),
            rules: Vec::new(),
            absent: Vec::new(),
            expired: Vec::new(),
            notes: Vec::new(),
        };
        let families = Families::from(&instance.address_type);
        let mut waivers = Vec::new();
        for line in linked.lines(&all).filter(|_| !is_exceeded) {
            if line.is_expired(self.as_of) {
                let first = desired.expired.len();
                desired.expired.extend(line.rules_of_any_instance());
                waivers.extend(line.waivers(&desired.expired[first..], false));
                continue;
            }
            desired.notes.extend(line.expiry_note(self.as_of));
            self.check_families(instance, families, line);
            let first = desired.rules.len();
            line.add_to_instance(families, &mut desired.rules, &mut desired.notes);
            waivers.extend(line.waivers(&desired.rules[first..], true));
        }
        for rules in [&mut desired.rules, &mut desired.expired] {
            rules.sort_by(|a, b| (a.key, &a.declared.origin).cmp(&(b.key, &b.declared.origin)));
        }
        add_absent(&mut self.report, instance, &all, &mut desired);
        // Stable, so that the notes of one line keep their order.
        desired.notes.sort_by(|a, b| a.origin.cmp(&b.origin));
        Resolved {
            desired: Arc::new(desired),
            waivers,
        }
    }

    fn check_families(&mut self, instance: &Instance, available: Families, line: &LinkedRule) {
        let Some((span, family)) = line.unsupported_literal(available) else {
            return;
        };
        if self.report.is_first_for(span, line.span) {
            let message = format!(
                "{} has no {family}, but this address is written out for it",
                quote(&instance.id.to_string())
            );
            self.report
                .error(Code::InvalidSource, span, message)
                .hint("put it into a set under `[addresses]`, from which it is left out where it does not fit");
        }
    }
}
