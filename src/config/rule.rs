//! Rules with resolved names, and the part of a rule that an instance gets.
//!
//! Owns the address families that protocols and instances accept. Does not know groups, modes or dates.

use std::sync::Arc;

use super::source::Span;
use super::until;
use crate::model::{
    self, AddressType, Declaration, EXPIRY_NOTICE, Key, Note, Origin, Protocol, Sources, Waiver,
};

/// A line of the configuration.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) span: Span,
    pub(super) items: Box<[Item]>,
    pub(super) sources: Sources,
    /// The first literal address of each family in `from`.
    pub(super) literals: Literals,
    /// The policies that it is exempt from.
    pub(super) waive: Box<[String]>,
    /// Whether sources are kept of an address family that the protocol or the instance does not have, as live rules may have them.
    pub(super) any_family: bool,
}

/// The spans of literal addresses.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Literals {
    pub(super) ipv4: Option<Span>,
    pub(super) ipv6: Option<Span>,
}

/// An element of `allow`. A key of two elements belongs to the first.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) declared: Arc<Declaration>,
    pub(super) keys: Arc<[Key]>,
}

/// A line of `absent`.
#[derive(Debug)]
pub(super) struct Absence {
    pub(super) rule: Rule,
    /// Whether the keys are absent with all their sources.
    pub(super) whole: bool,
}

/// The address families that a protocol or an instance accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Families {
    pub(super) ipv4: bool,
    pub(super) ipv6: bool,
}

impl Families {
    pub(super) const BOTH: Self = Self {
        ipv4: true,
        ipv6: true,
    };

    pub(super) fn of(key: Key) -> Self {
        Self {
            ipv4: key.protocol() != Protocol::Icmpv6,
            ipv6: key.protocol() != Protocol::Icmp,
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            ipv4: self.ipv4 && other.ipv4,
            ipv6: self.ipv6 && other.ipv6,
        }
    }

    pub(super) fn trim(self, sources: &Sources) -> Sources {
        let mut sources = sources.clone();
        if !self.ipv4 {
            sources.clear_ipv4();
        }
        if !self.ipv6 {
            sources.clear_ipv6();
        }
        // A protocol of a missing family is not reachable at all, so an alias must not keep the rule.
        if self.ipv4 || self.ipv6 {
            sources
        } else {
            Sources::new()
        }
    }
}

impl From<&AddressType> for Families {
    fn from(kind: &AddressType) -> Self {
        Self {
            ipv4: kind.has_ipv4(),
            ipv6: kind.has_ipv6(),
        }
    }
}

impl Item {
    pub(super) fn text(&self) -> &str {
        &self.declared.allow
    }

    fn rule(&self, key: Key, sources: Sources) -> model::Rule {
        model::Rule {
            key,
            sources,
            declared: Arc::clone(&self.declared),
        }
    }

    /// The families that any of the keys accepts. `ping` accepts both, one for each of its keys.
    pub(super) fn families(&self) -> Families {
        let any =
            |family: fn(Families) -> bool| self.keys.iter().any(|key| family(Families::of(*key)));
        Families {
            ipv4: any(|families| families.ipv4),
            ipv6: any(|families| families.ipv6),
        }
    }
}

impl Rule {
    /// Every key, with the element of `allow` that it comes from.
    pub(super) fn keys<'a>(&'a self) -> impl Iterator<Item = (&'a Key, &'a Item)> {
        let keys = |item: &'a Item| item.keys.iter().map(move |key| (key, item));
        self.items.iter().flat_map(keys)
    }

    /// The texts of `from`.
    pub(super) fn from(&self) -> &[String] {
        self.items.first().map_or(&[], |item| &item.declared.from)
    }

    /// The place of the line.
    pub(super) fn origin(&self) -> Option<Origin> {
        Some(self.items.first()?.declared.origin.clone())
    }

    /// The first instant at which the rule is not in force.
    pub(super) fn until(&self) -> Option<time::OffsetDateTime> {
        self.items.first()?.declared.until
    }

    fn note(&self, text: String) -> Note {
        Note {
            text,
            origin: self.origin(),
        }
    }

    /// The families of sources of a key on an instance with these families.
    pub(super) fn takes(&self, key: Key, there: Families) -> Families {
        if self.any_family {
            Families::BOTH
        } else {
            Families::of(key).and(there)
        }
    }

    /// Adds each key with the sources that its protocol accepts, for any instance.
    pub(super) fn literally(&self, rules: &mut Vec<model::Rule>) {
        for item in &self.items {
            for key in &*item.keys {
                let sources = self.takes(*key, Families::BOTH).trim(&self.sources);
                if !sources.is_empty() {
                    rules.push(item.rule(*key, sources));
                }
            }
        }
    }

    /// Adds each key with the sources that its protocol and the instance accept, and notes on sources that are left out.
    pub(super) fn for_instance(
        &self,
        there: Families,
        rules: &mut Vec<model::Rule>,
        notes: &mut Vec<Note>,
    ) {
        let mut left_out = (false, false);
        for item in &self.items {
            if !self.any_family {
                let takes = item.families();
                self.note_protocol(item, takes, notes);
                left_out.0 |= takes.ipv4 && !there.ipv4 && !self.sources.ipv4().is_empty();
                left_out.1 |= takes.ipv6 && !there.ipv6 && !self.sources.ipv6().is_empty();
            }
            let before = rules.len();
            for key in &*item.keys {
                let sources = self.takes(*key, there).trim(&self.sources);
                if !sources.is_empty() {
                    rules.push(item.rule(*key, sources));
                }
            }
            if rules.len() == before && !item.keys.is_empty() {
                notes.push(self.note(format!(
                    "`{}` has no source left here and is not sent",
                    item.text()
                )));
            }
        }
        for (is_left_out, family) in [(left_out.0, "IPv4"), (left_out.1, "IPv6")] {
            if is_left_out {
                notes.push(self.note(format!(
                    "{family} sources are left out: the instance has no {family}"
                )));
            }
        }
    }

    fn note_protocol(&self, item: &Item, takes: Families, notes: &mut Vec<Note>) {
        let families = [
            (!takes.ipv4 && !self.sources.ipv4().is_empty(), "IPv4"),
            (!takes.ipv6 && !self.sources.ipv6().is_empty(), "IPv6"),
        ];
        for (is_left_out, family) in families {
            if is_left_out {
                notes.push(self.note(format!(
                    "{family} sources are left out: `{}` takes none",
                    item.text()
                )));
            }
        }
    }

    /// The waivers of the line for these rules, which are its rules, in force or not.
    pub(super) fn waivers(&self, rules: &[model::Rule], in_force: bool) -> Vec<Waiver> {
        if self.waive.is_empty() {
            return Vec::new();
        }
        let waiver = |rule: &model::Rule| Waiver {
            policies: self.waive.to_vec(),
            key: rule.key,
            sources: rule.sources.clone(),
            origin: rule.declared.origin.clone(),
            in_force,
        };
        rules.iter().map(waiver).collect()
    }

    /// The span of a literal address of a family that this instance does not have, with the name of the family.
    pub(super) fn misplaced(&self, there: Families) -> Option<(Span, &'static str)> {
        if self.any_family {
            return None;
        }
        let ipv4 = self
            .literals
            .ipv4
            .filter(|_| !there.ipv4)
            .map(|span| (span, "IPv4"));
        ipv4.or(self
            .literals
            .ipv6
            .filter(|_| !there.ipv6)
            .map(|span| (span, "IPv6")))
    }

    /// Whether the rule has ended; adds a note if it will end soon.
    pub(super) fn is_expired(&self, as_of: time::OffsetDateTime, notes: &mut Vec<Note>) -> bool {
        let Some(until) = self.until() else {
            return false;
        };
        if until <= as_of {
            return true;
        }
        if until - as_of <= EXPIRY_NOTICE {
            let allow: Vec<&str> = self.items.iter().map(Item::text).collect();
            notes.push(self.note(format!(
                "`{}` expires: it is good until {}",
                allow.join("`, `"),
                until::show(until)
            )));
        }
        false
    }
}
