//! Comparison of the firewall of one instance in two documents.
//!
//! Owns the search for the rules that cause a difference, and its direction, which is known only if neither document is
//! doubtful. Does not know where a document comes from, or how a difference is printed.

use std::fmt;

use serde::Serialize;

use super::{Diff, Direction, Doubtful, Effective, Line, Reach};
use crate::model::{
    Family, Firewall, InstanceId, Key, LIGHTSAIL_CONNECT, LiveFirewall, Origin, Rule, Sources,
};

/// A rule of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleRef {
    /// The protocol and ports.
    pub key: Key,
    /// The sources that it lets in.
    pub sources: Sources,
    /// The line of the configuration; `None` if the document is not a configuration.
    pub origin: Option<Origin>,
    /// The reason, from `why`.
    pub why: Option<String>,
}

/// The firewall of one instance in one document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DocumentFirewall {
    /// The access that it gives.
    pub reach: Reach,
    /// Its certain rules.
    pub rules: Vec<RuleRef>,
    /// The entries whose meaning is uncertain.
    pub doubts: Vec<Doubtful>,
}

/// The instances that a comparison is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ComparisonSubject {
    /// An instance that no document names.
    Unnamed,
    Instance(InstanceId),
    /// Every instance that this noun phrase describes.
    Every(String),
}

impl ComparisonSubject {
    /// The instance, if it is a single one with a name.
    pub(crate) fn id(&self) -> Option<&InstanceId> {
        match self {
            Self::Instance(id) => Some(id),
            Self::Unnamed | Self::Every(_) => None,
        }
    }
}

impl fmt::Display for ComparisonSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed => f.write_str("the firewall"),
            Self::Instance(id) => write!(f, "`{id}`"),
            Self::Every(instances) => f.write_str(instances),
        }
    }
}

impl From<Option<InstanceId>> for ComparisonSubject {
    fn from(id: Option<InstanceId>) -> Self {
        id.map_or(Self::Unnamed, Self::Instance)
    }
}

/// The comparison of one instance, or of a kind of instances, in two documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compared {
    /// The instances that it is about.
    pub subject: ComparisonSubject,
    /// The condition under which the comparison holds for an instance, as a clause; `None` if it always holds.
    pub condition: Option<String>,
    /// The firewall in the old document.
    pub before: DocumentFirewall,
    /// The firewall in the new document.
    pub after: DocumentFirewall,
    /// The access that is gained and lost.
    pub diff: Diff,
    /// The configuration that does not declare the instance although it exists, so that its live rules would stay.
    pub undeclared: Option<ComparedDocument>,
    /// Open questions, as clauses such as `whether …`. If there are none, the comparison is complete.
    pub undecided: Vec<String>,
}

/// One of the two documents that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ComparedDocument {
    Old,
    New,
}

impl ComparedDocument {
    /// Its name in JSON documents.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl DocumentFirewall {
    /// The access of a live firewall, certain and possible.
    pub(crate) fn of_live(live: &LiveFirewall, family: Family) -> Self {
        Self::with_doubts(live.firewall(), Doubtful::all(live), family)
    }

    /// The access of a firewall without doubts.
    #[cfg(test)]
    pub(crate) fn of(firewall: &Firewall, family: Family) -> Self {
        Self::with_doubts(firewall, Vec::new(), family)
    }

    /// The access of a firewall with doubtful entries.
    pub(crate) fn with_doubts(firewall: &Firewall, doubts: Vec<Doubtful>, family: Family) -> Self {
        let rule = |(key, sources): (&Key, &Sources)| RuleRef {
            key: *key,
            sources: sources.clone(),
            origin: None,
            why: None,
        };
        Self {
            reach: Reach::with_doubts(firewall, &doubts, family),
            rules: firewall.iter().map(rule).collect(),
            doubts,
        }
    }

    /// The access of declared rules together.
    pub(crate) fn of_rules(rules: &[Rule], family: Family) -> Self {
        let access = rules.iter().map(|rule| (&rule.key, &rule.sources));
        let rule = |rule: &Rule| RuleRef {
            key: rule.key,
            sources: rule.sources.clone(),
            origin: Some(rule.declared.origin.clone()),
            why: rule.declared.why.clone(),
        };
        Self {
            reach: Reach::of_certain(Effective::of_rules(access, family), family),
            rules: rules.iter().map(rule).collect(),
            doubts: Vec::new(),
        }
    }

    /// The rules that give a part of the access of a line, in their order. If several rules together cover the whole family of the
    /// browser client, each of them contributes to its access.
    pub(crate) fn causes(&self, line: &Line) -> Vec<&RuleRef> {
        let family = self.reach.family;
        let own = |rule: &RuleRef| Effective::of_rules([(&rule.key, &rule.sources)], family);
        let wanted = line.effective();
        let covered = if line.sources.aliases().contains(LIGHTSAIL_CONNECT) {
            let all = self.rules.iter().map(|rule| (&rule.key, &rule.sources));
            let all = Effective::of_rules(all, family).within(&wanted);
            all.map(|access| access.whole_family(family))
        } else {
            Effective::default()
        };
        let contributes = |rule: &&RuleRef| {
            let own = own(rule);
            !own.intersection(&wanted).is_empty() || !own.intersection(&covered).is_empty()
        };
        self.rules.iter().filter(contributes).collect()
    }
}

impl Compared {
    /// Compares two firewalls.
    pub(crate) fn new(
        subject: impl Into<ComparisonSubject>,
        before: DocumentFirewall,
        after: DocumentFirewall,
    ) -> Self {
        let diff = Diff::between(&before.reach, &after.reach);
        Self {
            subject: subject.into(),
            condition: None,
            before,
            after,
            diff,
            undeclared: None,
            undecided: Vec::new(),
        }
    }

    /// Every doubtful entry, with its document.
    pub(crate) fn doubts(&self) -> impl Iterator<Item = (ComparedDocument, &Doubtful)> {
        let (old, new) = (self.before.doubts.iter(), self.after.doubts.iter());
        let old = old.map(|doubt| (ComparedDocument::Old, doubt));
        old.chain(new.map(|doubt| (ComparedDocument::New, doubt)))
    }

    /// Whether there is a doubtful entry or an open question.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.doubts().next().is_some() || !self.undecided.is_empty()
    }

    /// The direction of the difference; `None` if the comparison is doubtful.
    pub(crate) fn direction(&self) -> Option<Direction> {
        (!self.is_doubtful()).then(|| self.diff.direction())
    }

    /// Whether any source gains access, or may gain it through a doubtful entry of the new document.
    pub(crate) fn may_open(&self) -> bool {
        let before = &self.before.reach.certain;
        !before.is_superset(&self.after.reach.possible)
    }

    /// Whether access is gained or lost for certain, or only one document declares the instance.
    pub(crate) fn differs(&self) -> bool {
        !self.diff.is_empty() || self.undeclared.is_some()
    }

    /// Whether both documents certainly let in the same packets, and both declare the instance.
    pub(crate) fn is_equal(&self) -> bool {
        self.direction() == Some(Direction::Equal) && self.undeclared.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Protocol;
    use crate::model::arbitrary::{Universe, change, family};

    /// One rule names the browser client, and two others together cover its family.
    #[test]
    fn browser_client_is_caused_by_every_rule_that_covers_or_names_it() {
        let rules = |lines: &[(Key, &[&str])]| {
            let mut rules = Firewall::new();
            for (key, sources) in lines {
                let mut all = Sources::new();
                for source in *sources {
                    match source.parse() {
                        Ok(net) => all.insert(net),
                        Err(_) => all.insert_alias(*source),
                    }
                }
                rules.set(*key, all);
            }
            rules
        };
        let low = Key::new(Protocol::Tcp, 0, 1).expect("a key");
        let wide = Key::new(Protocol::Tcp, 0, 22).expect("a key");
        let before = rules(&[
            (low, &["0.0.0.0/1"]),
            (wide, &["128.0.0.0/1"]),
            (Key::ALL, &["0.0.0.0/1", "::/0", LIGHTSAIL_CONNECT]),
        ]);
        let after = rules(&[(Key::ALL, &["0.0.0.0/1", "::/0"])]);
        let family = Family::V4;
        let compared = Compared::new(
            None,
            DocumentFirewall::of(&before, family),
            DocumentFirewall::of(&after, family),
        );
        let lost = crate::exposure::lines(&compared.diff.lost);
        let line = lost
            .iter()
            .find(|line| line.sources.aliases().contains(LIGHTSAIL_CONNECT));
        let causes = compared
            .before
            .causes(line.expect("a line of the browser client"));
        let keys: Vec<Key> = causes.iter().map(|rule| rule.key).collect();
        assert_eq!(keys, [low, wide, Key::ALL]);
    }

    proptest! {
        /// The causes of a line give all of its access, and the other rules give none of it.
        #[test]
        fn causes_of_a_line_are_complete_and_minimal((before, after) in change(Universe::Small), family in family()) {
            let compared = Compared::new(None, DocumentFirewall::of(&before, family), DocumentFirewall::of(&after, family));
            let sides = [(&compared.diff.gained, &compared.after), (&compared.diff.lost, &compared.before)];
            for (line, side) in sides.iter().flat_map(|(boxes, side)| crate::exposure::lines(boxes).into_iter().map(move |line| (line, side))) {
                let access = |rules: &[&RuleRef]| Effective::of_rules(rules.iter().map(|rule| (&rule.key, &rule.sources)), family);
                let causes = side.causes(&line);
                prop_assert!(access(&causes).is_superset(&line.effective()));
                let others: Vec<&RuleRef> = side.rules.iter().filter(|rule| !causes.contains(rule)).collect();
                prop_assert!(access(&others).intersection(&line.effective()).is_empty());
            }
        }
    }
}
