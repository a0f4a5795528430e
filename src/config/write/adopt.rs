//! Adopt: edits a configuration so that it declares the live rules.
//!
//! Owns the choice of lines: undeclared live rules are added to the instance's own table, declared rules that are not live are
//! removed from it, and the rest of a line keeps its reason, owner and end. Does not change lines that other instances use, and
//! reports them.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::super::Config;
use super::super::rule::{Families, LinkedRule};
use super::super::source::Source;
use super::super::source_expr::{self, SourceExpr, SourceItem};
use super::super::table::{InstanceTable, TableSettings, used_rulesets};
use super::edit::Edits;
use super::full_name;
use super::lines::{self, Inexpressible, KnownNames};
use crate::model::{
    DesiredInstance, Firewall, Instance, InstanceId, Key, LiveFirewall, Mode, Origin, Sources,
};

/// An instance whose live rules differ from the declared ones.
#[derive(Clone, Copy, Debug)]
pub struct InstanceDifference<'a> {
    /// The instance.
    pub instance: &'a Instance,
    /// The live rules.
    pub live: &'a LiveFirewall,
    /// The desired state.
    pub desired: &'a DesiredInstance,
    /// The keys whose sources differ in meaning.
    pub keys: &'a BTreeSet<Key>,
}

/// The edited configuration.
#[derive(Clone, Debug)]
#[must_use]
pub struct AdoptedConfig {
    /// The texts of all files, in the order in which they were read.
    pub sources: Vec<Source>,
    /// The indices of the files that changed.
    pub changed: BTreeSet<usize>,
    /// The differences that remain, with the reason, in the order of the instances.
    pub refused: Vec<(InstanceId, String)>,
}

impl Config {
    /// Edits the texts so that they declare the live rules of these instances. The rest of the texts stays exactly as it is.
    pub fn adopt(
        &self,
        differences: &[InstanceDifference<'_>],
        as_of: OffsetDateTime,
    ) -> AdoptedConfig {
        let texts: Vec<&str> = self.sources.iter().map(|source| source.text()).collect();
        let mut adoption = Adoption {
            config: self,
            as_of,
            names: KnownNames::of(self),
            edits: Edits::of(&texts),
            refused: Vec::new(),
        };
        for difference in differences {
            adoption.adopt_instance(difference);
        }
        let Adoption { edits, refused, .. } = adoption;
        let (texts, changed) = edits.apply();
        let sources = self.sources.iter().zip(texts);
        AdoptedConfig {
            sources: sources
                .map(|(source, text)| Source::new(source.name(), text))
                .collect(),
            changed,
            refused,
        }
    }
}

/// The edits so far, and the differences that remain.
struct Adoption<'a> {
    config: &'a Config,
    as_of: OffsetDateTime,
    names: KnownNames,
    edits: Edits<'a>,
    refused: Vec<(InstanceId, String)>,
}

impl Adoption<'_> {
    fn adopt_instance(&mut self, difference: &InstanceDifference<'_>) {
        let InstanceDifference {
            instance,
            live,
            desired,
            keys,
        } = *difference;
        let id = &instance.id;
        let families = Families::from(&instance.address_type);
        let (live, inexpressible) = lines::expressible(live);
        // In additive mode, undeclared live rules are not a difference.
        let is_additive = desired.mode == Mode::Additive;
        for Inexpressible { rule, reason, key } in inexpressible {
            if !is_additive && key.is_none_or(|key| keys.contains(&key)) {
                self.refuse(id, format!("{rule} cannot be declared: {reason}"));
            }
        }
        for absent in &desired.absent {
            if keys.contains(&absent.key) {
                let text = format!("{} is named by `absent` at {}", absent.key, absent.origin);
                self.refuse(id, text);
            }
        }
        let mut tables = self.config.linked.instances.iter();
        let table = tables.find(|table| table.id.matches(id));
        let shared = self.shared_access(instance, table.map(|table| &table.settings));
        for key in keys {
            for (access, origin) in &shared {
                let gone = access.sources(*key).without(&live.sources(*key));
                if !gone.is_empty() {
                    let text = format!(
                        "{key} from {gone} is not live, but is declared at {origin}, which is not the instance's own line"
                    );
                    self.refuse(id, text);
                }
            }
        }
        let shared = shared.iter().flat_map(|(access, _)| access);
        let mut declared: Firewall = shared
            .map(|(key, sources)| (*key, sources.clone()))
            .collect();
        for line in table.into_iter().flat_map(|table| &table.settings.rules) {
            let access = self.access(line, families);
            for (key, sources) in &access {
                declared.add(*key, sources);
            }
            self.narrow(id, line, &access, &live, keys, families);
        }
        let mut missing = Firewall::new();
        for key in keys.iter().filter(|_| !is_additive) {
            let mut new = live.sources(*key).without(&declared.sources(*key));
            for rule in desired.expired.iter().filter(|rule| rule.key == *key) {
                let expired = common(&new, &rule.sources);
                if !expired.is_empty() {
                    // Adding it would make temporary access permanent.
                    let text = format!(
                        "{key} from {expired} is over, says {}: renew it there",
                        rule.declared.origin
                    );
                    self.refuse(id, text);
                    new = new.without(&expired);
                }
            }
            missing.set(*key, new);
        }
        if !missing.is_empty() {
            self.add(instance, table, &missing);
        }
    }

    fn refuse(&mut self, id: &InstanceId, reason: String) {
        self.refused.push((id.clone(), reason));
    }

    /// The access that each line of the rulesets and groups of an instance gives to it, with the origin of the line.
    fn shared_access(
        &self,
        instance: &Instance,
        own: Option<&TableSettings>,
    ) -> Vec<(Firewall, Origin)> {
        let linked = &self.config.linked;
        let groups = linked.groups.iter();
        let groups: Vec<&TableSettings> = groups
            .filter(|group| group.selector.matches(instance))
            .map(|group| &group.settings)
            .collect();
        let tables: Vec<&TableSettings> = groups.iter().copied().chain(own).collect();
        let rulesets = used_rulesets(&tables).into_iter();
        let lines = rulesets
            .flat_map(|id| &linked.rulesets[id])
            .chain(groups.into_iter().flat_map(|settings| &settings.rules));
        let families = Families::from(&instance.address_type);
        lines
            .filter_map(|line| Some((self.access(line, families), line.origin()?)))
            .collect()
    }

    /// The access that a line gives, if it has not ended.
    fn access(&self, line: &LinkedRule, families: Families) -> Firewall {
        let mut rules = Vec::new();
        if !line.is_expired(self.as_of) {
            line.add_to_instance(families, &mut rules, &mut Vec::new());
        }
        let rules = rules.into_iter();
        rules.map(|rule| (rule.key, rule.sources)).collect()
    }

    /// Removes the access that is not live from an own line.
    fn narrow(
        &mut self,
        id: &InstanceId,
        line: &LinkedRule,
        access: &Firewall,
        live: &Firewall,
        keys: &BTreeSet<Key>,
        families: Families,
    ) {
        let mut unchanged = BTreeSet::new();
        let mut narrowed: BTreeMap<(Sources, Families), BTreeSet<Key>> = BTreeMap::new();
        let mut is_same = true;
        for (key, sources) in access {
            let rest = if keys.contains(key) {
                common(sources, &live.sources(*key))
            } else {
                sources.clone()
            };
            if rest == *sources {
                unchanged.insert(*key);
                continue;
            }
            is_same = false;
            if !rest.is_empty() {
                let group = narrowed.entry((rest, line.families(*key, families)));
                group.or_default().insert(*key);
            }
        }
        if is_same {
            return;
        }
        if !unchanged.is_empty() {
            // A key that gives no access on this instance stays beside the others.
            let all = line.keys().map(|(key, _)| *key);
            unchanged.extend(all.filter(|key| access.get(*key).is_none()));
        }
        let mut parts = Vec::new();
        if !unchanged.is_empty() {
            parts.push((self.remaining_allow(line, &unchanged), None));
        }
        for ((rest, families), keys) in &narrowed {
            let from = self.remaining_from(line, rest, *families);
            parts.push((self.remaining_allow(line, keys), Some(from)));
        }
        if self.edits.replace_rule(line.span, &parts).is_none()
            && let Some(origin) = line.origin()
        {
            let text = format!(
                "the line at {origin} cannot be edited without changing more than it: edit it by hand"
            );
            self.refuse(id, text);
        }
    }

    /// The texts of `allow` for some keys of a line; `None` if these are all of its keys.
    fn remaining_allow(&self, line: &LinkedRule, keys: &BTreeSet<Key>) -> Option<Vec<String>> {
        if line.keys().all(|(key, _)| keys.contains(key)) {
            return None;
        }
        let mut texts = Vec::new();
        for item in &line.items {
            let rest = item.keys.iter().filter(|key| keys.contains(key));
            let rest: BTreeSet<Key> = rest.copied().collect();
            if rest.len() == item.keys.len() && !rest.is_empty() {
                texts.push(item.text().to_owned());
            } else {
                texts.extend(self.names.key_texts(&rest));
            }
        }
        Some(texts)
    }

    /// The texts of `from` for the remaining sources. A name stays if all sources that it means here stay.
    fn remaining_from(&self, line: &LinkedRule, rest: &Sources, families: Families) -> Vec<String> {
        let mut texts = Vec::new();
        for text in line.from() {
            let mut all = Sources::new();
            self.expand(text, &mut all);
            let all = families.filter(&all);
            let remaining = common(&all, rest);
            if remaining == all && !all.is_empty() {
                texts.push(text.clone());
            } else {
                texts.extend(self.names.source_texts(&remaining));
            }
        }
        let mut seen = BTreeSet::new();
        texts.retain(|text| seen.insert(text.clone()));
        texts
    }

    /// Adds the sources of a text of `from` or of a set. There are no cycles, which are errors of the configuration.
    fn expand(&self, text: &str, sources: &mut Sources) {
        match source_expr::parse(text) {
            SourceExpr::Keyword(items) => SourceItem::add_all(items, sources),
            SourceExpr::Literal(net) => sources.insert(net),
            SourceExpr::Name => {
                for member in self.edits.address_set(text) {
                    self.expand(&member, sources);
                }
            }
            SourceExpr::Invalid(_) => {}
        }
    }

    /// Adds lines to the instance's own table, which is created if it does not exist.
    fn add(&mut self, instance: &Instance, table: Option<&InstanceTable>, missing: &Firewall) {
        let families = Families::from(&instance.address_type);
        let lines = self.names.lines(missing, families);
        let rules: Vec<String> = lines.iter().map(|line| self.names.format(line)).collect();
        let Some(table) = table else {
            let name = full_name(&instance.id);
            self.edits.append(&format!(
                "\n[instances.{name}]\nrules = {}\n",
                super::format_list(&rules)
            ));
            return;
        };
        if self.edits.add_rules(table, &rules).is_none() {
            let text = format!(
                "its own table has a form that only a person can add to: {}",
                rules.join(", ")
            );
            self.refuse(&instance.id, text);
        }
    }
}

/// The networks and aliases that are in both.
fn common(a: &Sources, b: &Sources) -> Sources {
    a.without(&a.without(b))
}

#[cfg(test)]
mod tests;
