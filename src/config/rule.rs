//! Rules with resolved names, and the part of a rule that an instance gets.
//!
//! Owns the address families that protocols and instances accept. Does not know groups, modes or dates.

use std::sync::Arc;

use super::source::Span;
use super::until;
use crate::model::{
    self, Absent, AddressType, Declaration, EXPIRY_NOTICE, Key, Note, Origin, Protocol, Sources,
    Waiver,
};

/// A rule of the configuration with its names resolved.
#[derive(Debug)]
pub(super) struct LinkedRule {
    pub(super) span: Span,
    pub(super) items: Box<[AllowItem]>,
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
pub(super) struct AllowItem {
    pub(super) declared: Arc<Declaration>,
    pub(super) keys: Arc<[Key]>,
}

/// A line of `absent`.
#[derive(Debug)]
pub(super) struct AbsentRule {
    pub(super) rule: LinkedRule,
    /// Whether the keys are absent with all their sources.
    pub(super) has_all_sources: bool,
}

impl AbsentRule {
    /// The access that must not exist, by key.
    pub(super) fn absent(&self) -> impl Iterator<Item = Absent> {
        self.rule.keys().filter_map(|(key, item)| {
            let families = Families::of(*key);
            let sources = (!self.has_all_sources).then(|| families.filter(&self.rule.sources));
            // Without this check, a key whose sources do not fit its protocol would be removed completely.
            if sources.as_ref().is_some_and(Sources::is_empty) {
                return None;
            }
            let declared = &item.declared;
            Some(Absent {
                key: *key,
                sources,
                origin: declared.origin.clone(),
                why: declared.why.clone(),
                owner: declared.owner.clone(),
            })
        })
    }
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

    /// The sources of these families.
    pub(super) fn filter(self, sources: &Sources) -> Sources {
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
    fn from(address_type: &AddressType) -> Self {
        Self {
            ipv4: address_type.has_ipv4(),
            ipv6: address_type.has_ipv6(),
        }
    }
}

impl AllowItem {
    pub(super) fn text(&self) -> &str {
        &self.declared.allow
    }

    /// The families that any of the keys accepts. `ping` accepts both, because it has one key for each.
    pub(super) fn families(&self) -> Families {
        let any =
            |family: fn(Families) -> bool| self.keys.iter().any(|key| family(Families::of(*key)));
        Families {
            ipv4: any(|families| families.ipv4),
            ipv6: any(|families| families.ipv6),
        }
    }
}

impl LinkedRule {
    /// Every key, with the element of `allow` that it comes from.
    pub(super) fn keys<'a>(&'a self) -> impl Iterator<Item = (&'a Key, &'a AllowItem)> {
        let keys = |item: &'a AllowItem| item.keys.iter().map(move |key| (key, item));
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

    /// A note about the line.
    pub(super) fn note(&self, text: String) -> Note {
        Note {
            text,
            origin: self.origin(),
        }
    }

    /// The families of sources that a key has on an instance with the families `available`.
    pub(super) fn families(&self, key: Key, available: Families) -> Families {
        if self.any_family {
            Families::BOTH
        } else {
            Families::of(key).and(available)
        }
    }

    /// The rules of an element of `allow` on an instance with the families `available`.
    fn rules(&self, item: &AllowItem, available: Families) -> impl Iterator<Item = model::Rule> {
        item.keys.iter().filter_map(move |key| {
            let sources = self.families(*key, available).filter(&self.sources);
            (!sources.is_empty()).then(|| model::Rule {
                key: *key,
                sources,
                declared: Arc::clone(&item.declared),
            })
        })
    }

    /// Each key with the sources that its protocol accepts, for any instance.
    pub(super) fn rules_of_any_instance(&self) -> impl Iterator<Item = model::Rule> {
        let items = self.items.iter();
        items.flat_map(|item| self.rules(item, Families::BOTH))
    }

    /// Adds each key with the sources that its protocol and the instance accept, and notes on sources that are left out.
    pub(super) fn add_to_instance(
        &self,
        available: Families,
        rules: &mut Vec<model::Rule>,
        notes: &mut Vec<Note>,
    ) {
        // What no protocol accepts is not left out because of the instance.
        let mut kept = Families::BOTH;
        for item in &self.items {
            if !self.any_family {
                let accepted = item.families();
                for family in self.left_out(accepted) {
                    notes.push(self.note(format!(
                        "{family} sources are left out: `{}` takes none",
                        item.text()
                    )));
                }
                kept.ipv4 &= !accepted.ipv4 || available.ipv4;
                kept.ipv6 &= !accepted.ipv6 || available.ipv6;
            }
            let before = rules.len();
            rules.extend(self.rules(item, available));
            if rules.len() == before && !item.keys.is_empty() {
                notes.push(self.note(format!(
                    "`{}` has no source left here and is not sent",
                    item.text()
                )));
            }
        }
        for family in self.left_out(kept) {
            notes.push(self.note(format!(
                "{family} sources are left out: the instance has no {family}"
            )));
        }
    }

    /// The names of the families of which the line has sources, and which are not among these.
    fn left_out(&self, kept: Families) -> impl Iterator<Item = &'static str> {
        let ipv4 = !kept.ipv4 && !self.sources.ipv4().is_empty();
        let ipv6 = !kept.ipv6 && !self.sources.ipv6().is_empty();
        [ipv4.then_some("IPv4"), ipv6.then_some("IPv6")]
            .into_iter()
            .flatten()
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

    /// The span of a literal address of a family that is not `available`, with the name of the family.
    pub(super) fn unsupported_literal(&self, available: Families) -> Option<(Span, &'static str)> {
        if self.any_family {
            return None;
        }
        let Literals { ipv4, ipv6 } = self.literals;
        let ipv4 = ipv4.filter(|_| !available.ipv4).map(|span| (span, "IPv4"));
        ipv4.or_else(|| ipv6.filter(|_| !available.ipv6).map(|span| (span, "IPv6")))
    }

    /// Whether the rule has ended.
    pub(super) fn is_expired(&self, as_of: time::OffsetDateTime) -> bool {
        self.until().is_some_and(|until| until <= as_of)
    }

    /// A note that the rule ends soon, if it does.
    pub(super) fn expiry_note(&self, as_of: time::OffsetDateTime) -> Option<Note> {
        let until = self.until()?;
        (until > as_of && until - as_of <= EXPIRY_NOTICE).then(|| {
            self.note(format!(
                "{} expires: valid until {}",
                self.allow_texts(),
                until::format(until)
            ))
        })
    }

    /// The texts of `allow`, quoted.
    pub(super) fn allow_texts(&self) -> String {
        let allow: Vec<&str> = self.items.iter().map(AllowItem::text).collect();
        format!("`{}`", allow.join("`, `"))
    }
}
