//! One instance as two documents have it, and which rule of them causes which part of the difference.
//!
//! Owns the search for causes. Refuses to know where a document came from, and how a difference is worded.

use super::{Diff, Effective, Line};
use crate::model::{Firewall, InstanceId, Key, LiveFirewall, Origin, Rule, Sources};

/// A rule of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
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
    pub effective: Effective,
    /// The rules that say so.
    pub rules: Vec<Said>,
}

/// One instance in two documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Which; `None` where a document does not say.
    pub id: Option<InstanceId>,
    /// The older document's.
    pub before: Side,
    /// The newer document's.
    pub after: Side,
    /// Who gains and who loses what.
    pub diff: Diff,
    /// The document that is a configuration and does not declare the instance although it exists: what is live would stay.
    pub undeclared: Option<Which>,
}

/// One of two documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The older.
    Old,
    /// The newer.
    New,
}

impl Which {
    /// The one word for it in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

impl Side {
    /// What a live firewall may let in at most: what is uncertain counts as open to everyone.
    #[must_use]
    pub fn of_live(live: &LiveFirewall) -> Self {
        Self {
            effective: Effective::of_live(live),
            rules: live.firewall().iter().map(Said::of_firewall).collect(),
        }
    }

    /// What a firewall lets in.
    #[must_use]
    pub fn of(firewall: &Firewall) -> Self {
        Self {
            effective: Effective::of(firewall),
            rules: firewall.iter().map(Said::of_firewall).collect(),
        }
    }

    /// What declared rules let in together.
    #[must_use]
    pub fn of_rules(rules: &[Rule]) -> Self {
        Self {
            effective: Effective::of_rules(rules.iter().map(|rule| (&rule.key, &rule.sources))),
            rules: rules.iter().map(Said::of_rule).collect(),
        }
    }

    /// The rules that let in a part of what a line says, in their order.
    #[must_use]
    pub fn causes(&self, line: &Line) -> Vec<&Said> {
        let wanted = line.effective();
        let takes_part = |said: &&Said| {
            let own = Effective::of_rules([(&said.key, &said.sources)].into_iter());
            !own.intersection(&wanted).is_empty()
        };
        self.rules.iter().filter(takes_part).collect()
    }
}

impl Said {
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
            origin: Some(rule.origin.clone()),
            why: rule.why.clone(),
        }
    }
}

impl Compared {
    /// Compares.
    #[must_use]
    pub fn new(id: Option<InstanceId>, before: Side, after: Side) -> Self {
        let diff = Diff::between(&before.effective, &after.effective);
        Self {
            id,
            before,
            after,
            diff,
            undeclared: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::arbitrary::{Universe, change};

    proptest! {
        /// The causes of a line say all of it, and without any one of the others nothing of the line would be missing.
        #[test]
        fn the_causes_of_a_line_are_all_and_only_those_that_say_it((before, after) in change(Universe::Small)) {
            let compared = Compared::new(None, Side::of(&before), Side::of(&after));
            let lines = compared.diff.lines();
            let sides = [(&lines.gained, &compared.after), (&lines.lost, &compared.before)];
            for (line, side) in sides.iter().flat_map(|(lines, side)| lines.iter().map(move |line| (line, side))) {
                let said = |causes: &[&Said]| Effective::of_rules(causes.iter().map(|said| (&said.key, &said.sources)));
                let causes = side.causes(line);
                prop_assert!(said(&causes).is_superset(&line.effective()));
                let others: Vec<&Said> = side.rules.iter().filter(|said| !causes.contains(said)).collect();
                prop_assert!(said(&others).intersection(&line.effective()).is_empty());
            }
        }
    }
}
