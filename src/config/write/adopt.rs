//! Adopt: edits a configuration so that it declares the live rules.
//!
//! Owns the choice of lines: undeclared live rules are added to the instance's own table, declared rules that are not live are
//! removed from it, and the rest of a line keeps its reason, owner and end. Does not change lines that other instances use, and
//! reports them.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use time::OffsetDateTime;

use super::super::Config;
use super::super::rule::{Families, Rule};
use super::super::source::Source;
use super::super::source_expr::{self, Parsed, SourceExpr};
use super::super::table::{Declared, Settings};
use super::edit::{Edits, Place};
use super::lines::{self, Inexpressible, Words};
use super::table_name;
use crate::model::{
    DesiredInstance, Firewall, Instance, InstanceId, Key, LiveFirewall, Mode, Origin, Sources,
};

/// An instance whose live rules differ from the declared ones.
#[derive(Clone, Copy, Debug)]
pub struct Differing<'a> {
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
pub struct Adopted {
    /// The texts of all files, in the order in which they were read.
    pub sources: Vec<Source>,
    /// The indices of the files that changed.
    pub changed: BTreeSet<usize>,
    /// The differences that remain, with the reason, in the order of the instances.
    pub refused: Vec<(InstanceId, String)>,
}

impl Config {
    /// Edits the texts so that they declare the live rules of these instances. The rest of the texts stays exactly as it is.
    pub fn adopt(&self, differing: &[Differing<'_>], as_of: OffsetDateTime) -> Adopted {
        let texts: Vec<&str> = self.sources.iter().map(|source| source.text()).collect();
        let mut adoption = Adoption {
            config: self,
            as_of,
            words: Words::of(self),
            edits: Edits::of(&texts),
            refused: Vec::new(),
        };
        for one in differing {
            adoption.instance(one);
        }
        let Adoption { edits, refused, .. } = adoption;
        let (texts, changed) = edits.apply();
        let sources = self.sources.iter().zip(texts);
        Adopted {
            sources: sources
                .map(|(source, text)| Source::new(source.name(), text))
                .collect(),
            changed,
            refused,
        }
    }
}

struct Adoption<'a> {
    config: &'a Config,
    as_of: OffsetDateTime,
    words: Words,
    edits: Edits<'a>,
    refused: Vec<(InstanceId, String)>,
}

/// The access that lines give to one instance.
type Given = BTreeMap<Key, Sources>;

impl Adoption<'_> {
    fn instance(&mut self, one: &Differing<'_>) {
        let id = &one.instance.id;
        let there = Families::from(&one.instance.address_type);
        let (expressible, inexpressible) = lines::expressible(one.live);
        // In additive mode, undeclared live rules are not a difference.
        let additive = one.desired.mode == Mode::Additive;
        for Inexpressible { what, why, key } in inexpressible {
            if !additive && key.is_none_or(|key| one.keys.contains(&key)) {
                self.refuse(id, format!("{what} cannot be declared: {why}"));
            }
        }
        for absent in one
            .desired
            .absent
            .iter()
            .filter(|absent| one.keys.contains(&absent.key))
        {
            let text = format!("{} is named by `absent` at {}", absent.key, absent.origin);
            self.refuse(id, text);
        }
        let config = self.config;
        let own = config
            .linked
            .instances
            .iter()
            .find(|declared| declared.place.holds(id));
        let shared = self.shared(one.instance, own.map(|own| &own.settings));
        for key in one.keys {
            let live = expressible.get(*key).cloned().unwrap_or_default();
            for (sources, origin) in shared.get(key).into_iter().flatten() {
                let gone = minus(sources, &live);
                if !gone.is_empty() {
                    let text = format!(
                        "{key} from {gone} is not live, but is declared at {origin}, which is not the instance's own line"
                    );
                    self.refuse(id, text);
                }
            }
        }
        let mut declared: Given = shared
            .into_iter()
            .map(|(key, lines)| {
                let mut all = Sources::new();
                for (sources, _) in &lines {
                    all.extend(sources);
                }
                (key, all)
            })
            .collect();
        for line in own.into_iter().flat_map(|own| &own.settings.rules) {
            let given = self.given(line, there);
            for (key, sources) in &given {
                declared.entry(*key).or_default().extend(sources);
            }
            self.shrink(id, line, &given, &expressible, one.keys, there);
        }
        let mut missing = Firewall::new();
        for key in one.keys.iter().filter(|_| !additive) {
            let none = Sources::new();
            let live = expressible.get(*key).unwrap_or(&none);
            let mut new = minus(live, declared.get(key).unwrap_or(&none));
            for over in one.desired.expired.iter().filter(|rule| rule.key == *key) {
                let still = minus(&new, &minus(&new, &over.sources));
                if !still.is_empty() {
                    // Adding it would make temporary access permanent.
                    let text = format!(
                        "{key} from {still} is over, says {}: renew it there",
                        over.declared.origin
                    );
                    self.refuse(id, text);
                    new = minus(&new, &still);
                }
            }
            missing.set(*key, new);
        }
        if !missing.is_empty() {
            self.add(one, own, &missing);
        }
    }

    fn refuse(&mut self, id: &InstanceId, why: String) {
        self.refused.push((id.clone(), why));
    }

    /// The access that rulesets and groups give to the instance, by line.
    fn shared(
        &self,
        instance: &Instance,
        own: Option<&Settings>,
    ) -> BTreeMap<Key, Vec<(Sources, Origin)>> {
        let linked = &self.config.linked;
        let groups: Vec<&Settings> = linked
            .groups
            .iter()
            .filter(|group| group.selector.matches(instance))
            .map(|group| &group.settings)
            .collect();
        let uses: BTreeSet<usize> = groups
            .iter()
            .copied()
            .chain(own)
            .flat_map(|settings| settings.uses.iter().copied())
            .collect();
        let rulesets = uses.iter().flat_map(|at| &linked.rulesets[*at]);
        let lines = rulesets.chain(groups.into_iter().flat_map(|settings| &settings.rules));
        let there = Families::from(&instance.address_type);
        let mut shared: BTreeMap<Key, Vec<(Sources, Origin)>> = BTreeMap::new();
        for line in lines {
            let Some(origin) = line.origin() else {
                continue;
            };
            for (key, sources) in self.given(line, there) {
                let shared = shared.entry(key).or_default();
                shared.push((sources, origin.clone()));
            }
        }
        shared
    }

    /// The access that a line gives, if it has not ended.
    fn given(&self, line: &Rule, there: Families) -> Given {
        let mut given = Given::new();
        if line.until().is_some_and(|until| until <= self.as_of) {
            return given;
        }
        let mut rules = Vec::new();
        line.for_instance(there, &mut rules, &mut Vec::new());
        for rule in rules {
            given.entry(rule.key).or_default().extend(&rule.sources);
        }
        given
    }

    /// Removes access that is not live from an own line.
    fn shrink(
        &mut self,
        id: &InstanceId,
        line: &Rule,
        given: &Given,
        live: &Firewall,
        keys: &BTreeSet<Key>,
        there: Families,
    ) {
        let mut kept = BTreeSet::new();
        let mut cut: BTreeMap<(Sources, bool, bool), BTreeSet<Key>> = BTreeMap::new();
        let mut same = true;
        for (key, sources) in given {
            let rest = match live.get(*key) {
                _ if !keys.contains(key) => sources.clone(),
                Some(live) => minus(sources, &minus(sources, live)),
                None => Sources::new(),
            };
            if rest == *sources {
                kept.insert(*key);
                continue;
            }
            same = false;
            if !rest.is_empty() {
                let takes = line.takes(*key, there);
                let group = cut.entry((rest, takes.ipv4, takes.ipv6)).or_default();
                group.insert(*key);
            }
        }
        if same {
            return;
        }
        if !kept.is_empty() {
            // A key that gives no access on this instance stays beside the others.
            let all = line.items.iter().flat_map(|item| &*item.keys);
            kept.extend(all.filter(|key| !given.contains_key(key)));
        }
        let mut pieces = Vec::new();
        if !kept.is_empty() {
            pieces.push((self.allow(line, &kept), None));
        }
        for ((rest, ipv4, ipv6), keys) in &cut {
            let takes = Families {
                ipv4: *ipv4,
                ipv6: *ipv6,
            };
            let from = self.from(line, rest, takes);
            pieces.push((self.allow(line, keys), Some(from)));
        }
        if !self.edits.replace(line.span, &pieces)
            && let Some(origin) = line.origin()
        {
            let text =
                format!("the line at {origin} is not written as `{{ ... }}`: edit it by hand");
            self.refuse(id, text);
        }
    }

    /// The texts of `allow` for some keys of a line; `None` if these are all of its keys.
    fn allow(&self, line: &Rule, keys: &BTreeSet<Key>) -> Option<Vec<String>> {
        let mut all = line.items.iter().flat_map(|item| &*item.keys);
        if all.all(|key| keys.contains(key)) {
            return None;
        }
        let mut texts = Vec::new();
        for item in &line.items {
            let left: BTreeSet<Key> = item
                .keys
                .iter()
                .filter(|key| keys.contains(key))
                .copied()
                .collect();
            if left.len() == item.keys.len() && !left.is_empty() {
                texts.push(item.text().to_owned());
            } else {
                texts.extend(self.words.allow(&left));
            }
        }
        Some(texts)
    }

    /// The texts of `from` for the remaining sources. A name stays if all sources that it means here stay.
    fn from(&self, line: &Rule, rest: &Sources, takes: Families) -> Vec<String> {
        let mut texts = Vec::new();
        for text in line.from() {
            let mut all = Sources::new();
            self.expand(text, &mut all);
            let all = takes.trim(&all);
            let left = minus(&all, &minus(&all, rest));
            if left == all && !all.is_empty() {
                texts.push(text.clone());
            } else {
                texts.extend(self.words.from(&left));
            }
        }
        let mut seen = BTreeSet::new();
        texts.retain(|text| seen.insert(text.clone()));
        texts
    }

    /// Adds the sources of a text of `from` or of a set. There are no cycles, which are errors of the configuration.
    fn expand(&self, text: &str, sources: &mut Sources) {
        let mut add = |who: &SourceExpr| match who {
            SourceExpr::Net(net) => sources.insert(*net),
            SourceExpr::LightsailConnect => sources.insert_alias(crate::model::LIGHTSAIL_CONNECT),
        };
        match source_expr::parse(text) {
            Parsed::Keyword(who) => who.iter().for_each(add),
            Parsed::Literal(net) => add(&SourceExpr::Net(net)),
            Parsed::Name => {
                for member in self.edits.set(text) {
                    self.expand(&member, sources);
                }
            }
            Parsed::Wrong(_) => {}
        }
    }

    /// Adds lines to the instance's own table, which is created if it does not exist.
    fn add(&mut self, one: &Differing<'_>, own: Option<&Declared>, missing: &Firewall) {
        let id = &one.instance.id;
        let there = Families::from(&one.instance.address_type);
        let rules = self.words.rules(missing, there);
        let rules: Vec<String> = rules.iter().map(|line| self.words.line(line)).collect();
        let Some(own) = own else {
            let name = table_name(id);
            self.edits.append(&format!(
                "\n[instances.{name}]\nrules = {}\n",
                super::list(&rules)
            ));
            return;
        };
        let place = Place {
            span: own.span,
            key: &own.key,
        };
        if !self.edits.add_rules(&place, &rules) {
            let text = format!(
                "its own table has a form that only a person can add to: {}",
                rules.join(", ")
            );
            self.refuse(id, text);
        }
    }
}

/// The networks and aliases of `a` that are not in `b`.
fn minus(a: &Sources, b: &Sources) -> Sources {
    let ipv4 = a.ipv4().difference(b.ipv4()).copied().map(IpNet::V4);
    let ipv6 = a.ipv6().difference(b.ipv6()).copied().map(IpNet::V6);
    let mut rest: Sources = ipv4.chain(ipv6).collect();
    for alias in a.aliases().difference(b.aliases()) {
        rest.insert_alias(alias.as_str());
    }
    rest
}

#[cfg(test)]
mod tests;
