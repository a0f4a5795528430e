//! One instance as two documents have it, and which rule of them causes which part of the difference.
//!
//! Owns the search for causes, and the word for a difference, which there is only where neither document leaves a doubt.
//! Does not know where a document came from, and how a difference is worded.

use std::fmt;

use serde::Serialize;

use super::{Diff, Direction, Doubtful, Effective, Line, Reach};
use crate::model::{
    Family, Firewall, InstanceId, Key, LIGHTSAIL_CONNECT, LiveFirewall, Origin, Rule, Sources,
};

/// A rule of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRef {
    /// What it opens.
    pub key: Key,
    /// To whom.
    pub sources: Sources,
    /// The line of the configuration; `None` where the rule is the firewall's own.
    pub origin: Option<Origin>,
    /// Why it exists.
    pub why: Option<String>,
}

/// The firewall of one instance as one document has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// What it lets in.
    pub reach: Reach,
    /// The rules that say so.
    pub rules: Vec<RuleRef>,
    /// The entries that cannot be read for certain.
    pub doubts: Vec<Doubtful>,
}

/// Whose firewall it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ComparisonSubject {
    /// That of an instance that no document names.
    Unnamed,
    /// That of this instance.
    Instance(InstanceId),
    /// That of every instance that this noun phrase describes.
    Every(String),
}

impl ComparisonSubject {
    /// The instance, where it is one that is named.
    pub fn id(&self) -> Option<&InstanceId> {
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

/// One instance, or all of a kind, in two documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Which.
    pub subject: ComparisonSubject,
    /// What must be true of the instance for it to hold, as a clause; `None` where nothing must.
    pub condition: Option<String>,
    /// The older document's.
    pub before: Side,
    /// The newer document's.
    pub after: Side,
    /// Who gains and who loses what.
    pub diff: Diff,
    /// The document that is a configuration and does not declare the instance although it exists: what is live would stay.
    pub undeclared: Option<Which>,
    /// What could not be decided, as clauses such as `whether …`. Without it what is told is all.
    pub undecided: Vec<String>,
}

/// One of two documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Which {
    /// The older.
    Old,
    /// The newer.
    New,
}

impl Which {
    /// The one word for it in documents.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Side {
    /// What a live firewall lets in, and what it may.
    pub fn of_live(live: &LiveFirewall, family: Family) -> Self {
        Self::with_doubts(live.firewall(), Doubtful::all(live), family)
    }

    /// What a firewall lets in.
    pub fn of(firewall: &Firewall, family: Family) -> Self {
        Self::with_doubts(firewall, Vec::new(), family)
    }

    /// What a firewall lets in beside which there are doubtful entries.
    pub fn with_doubts(firewall: &Firewall, doubts: Vec<Doubtful>, family: Family) -> Self {
        Self {
            reach: Reach::with_doubts(firewall, &doubts, family),
            rules: firewall.iter().map(RuleRef::of_firewall).collect(),
            doubts,
        }
    }

    /// What declared rules let in together.
    pub fn of_rules(rules: &[Rule], family: Family) -> Self {
        let access = rules.iter().map(|rule| (&rule.key, &rule.sources));
        Self {
            reach: Reach::of_certain(Effective::of_rules(access, family), family),
            rules: rules.iter().map(RuleRef::of_rule).collect(),
            doubts: Vec::new(),
        }
    }

    /// The rules that let in a part of what a line says, in their order. Where several rules together cover the whole family
    /// of the browser client, each of them has a part in letting it in.
    pub fn causes(&self, line: &Line) -> Vec<&RuleRef> {
        let family = self.reach.family;
        let own = |said: &RuleRef| Effective::of_rules([(&said.key, &said.sources)], family);
        let wanted = line.effective();
        let covered = if line.sources.aliases().contains(LIGHTSAIL_CONNECT) {
            let all = self.rules.iter().map(|said| (&said.key, &said.sources));
            let all = Effective::of_rules(all, family).within(&wanted);
            all.map(|access| access.whole(family))
        } else {
            Effective::default()
        };
        let takes_part = |said: &&RuleRef| {
            let own = own(said);
            !own.intersection(&wanted).is_empty() || !own.intersection(&covered).is_empty()
        };
        self.rules.iter().filter(takes_part).collect()
    }
}

impl RuleRef {
    fn of_firewall((key, sources): (&Key, &Sources)) -> Self {
        Self {
            key: *key,
            sources: sources.clone(),
            origin: None,
            why: None,
        }
    }

    fn of_rule(rule: &Rule) -> Self {
        Self {
            key: rule.key,
            sources: rule.sources.clone(),
            origin: Some(rule.declared.origin.clone()),
            why: rule.declared.why.clone(),
        }
    }
}

impl Compared {
    /// Compares.
    pub fn new(subject: impl Into<ComparisonSubject>, before: Side, after: Side) -> Self {
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

    /// Every entry that leaves a doubt, with the document it is in.
    pub fn doubts(&self) -> impl Iterator<Item = (Which, &Doubtful)> {
        let old = self.before.doubts.iter().map(|doubt| (Which::Old, doubt));
        old.chain(self.after.doubts.iter().map(|doubt| (Which::New, doubt)))
    }

    /// Whether a document leaves a doubt about what it lets in, or something could not be decided.
    pub fn is_doubtful(&self) -> bool {
        self.doubts().next().is_some() || !self.undecided.is_empty()
    }

    /// The difference in one word; `None` where a doubt leaves it open.
    pub fn direction(&self) -> Option<Direction> {
        (!self.is_doubtful()).then(|| self.diff.direction())
    }

    /// Whether anybody gains access, or may gain it by what the newer document leaves in doubt.
    pub fn may_open(&self) -> bool {
        let before = &self.before.reach.certain;
        !before.is_superset(&self.after.reach.possible)
    }

    /// Whether somebody gains or loses access for certain, or only one document declares the instance.
    pub fn differs(&self) -> bool {
        !self.diff.is_empty() || self.undeclared.is_some()
    }

    /// Whether the same packets get in, beyond doubt, and both documents declare the instance.
    pub fn is_equal(&self) -> bool {
        self.direction() == Some(Direction::Equal) && self.undeclared.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Protocol;
    use crate::model::arbitrary::{Universe, change, family};

    /// A rule that names the browser client stands beside two that cover its family together.
    #[test]
    fn the_browser_client_has_every_cause() {
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
        let compared = Compared::new(None, Side::of(&before, family), Side::of(&after, family));
        let lost = compared.diff.lines().lost;
        let line = lost
            .iter()
            .find(|line| line.sources.aliases().contains(LIGHTSAIL_CONNECT));
        let causes = compared
            .before
            .causes(line.expect("a line of the browser client"));
        let keys: Vec<Key> = causes.iter().map(|said| said.key).collect();
        assert_eq!(keys, [low, wide, Key::ALL]);
    }

    proptest! {
        /// The causes of a line say all of it, and without any one of the others nothing of the line would be missing.
        #[test]
        fn the_causes_of_a_line_are_all_and_only_those_that_say_it((before, after) in change(Universe::Small), family in family()) {
            let compared = Compared::new(None, Side::of(&before, family), Side::of(&after, family));
            let lines = compared.diff.lines();
            let sides = [(&lines.gained, &compared.after), (&lines.lost, &compared.before)];
            for (line, side) in sides.iter().flat_map(|(lines, side)| lines.iter().map(move |line| (line, side))) {
                let said = |causes: &[&RuleRef]| Effective::of_rules(causes.iter().map(|said| (&said.key, &said.sources)), family);
                let causes = side.causes(line);
                prop_assert!(said(&causes).is_superset(&line.effective()));
                let others: Vec<&RuleRef> = side.rules.iter().filter(|said| !causes.contains(said)).collect();
                prop_assert!(said(&others).intersection(&line.effective()).is_empty());
            }
        }
    }
}
