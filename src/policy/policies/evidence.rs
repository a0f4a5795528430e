//! A violation in words: who, what, which line, and what to do.
//!
//! Owns the choice of the witness and of the lines that are to blame. Does not judge.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Kind, Occurrence, Place, Violation, Witness, is_waived};
use crate::exposure::{self, Access, Atom, Count, Diff, Effective, Exposed, Reach};
use crate::model::{Code, Demand, Family, Mode, Origin, Policy, Waiver};
use crate::plan::Verdict;

/// An address that people take for one of the internet's, where the whole of IPv4 gets in.
const SOMEBODY_V4: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);

/// The same for IPv6: the first part of the addresses in use.
const SOMEBODY_V6: Ipv6Addr = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 1);

/// What a violation is told from.
pub(super) struct Evidence<'a> {
    pub(super) place: &'a Place<'a>,
    pub(super) policy: &'a Policy,
    pub(super) demand: &'a Demand,
    pub(super) before: &'a Effective,
    pub(super) after: &'a Reach,
    pub(super) waivers: &'a [&'a Waiver],
}

impl Evidence<'_> {
    pub(super) fn violation(&self, seen: Occurrence, kind: Kind, access: &Effective) -> Violation {
        let Policy {
            id,
            severity,
            origin,
            why,
            demands: _,
            instances: _,
        } = self.policy;
        // Somebody who is new here says more than somebody who was let in before.
        let news = match (seen, kind) {
            (Occurrence::Introduced, Kind::Excess) => access.difference(self.before),
            _ => Effective::default(),
        };
        let family = self.after.family;
        let (atom, cell, witness) = pick(if news.is_empty() { access } else { &news }, family);
        let (lines, all) = match kind {
            Kind::Excess => (self.lines(access), &self.after.certain),
            // No declared rule opens what only a doubtful entry may.
            Kind::Possible => (Vec::new(), &self.after.possible),
            Kind::Missing => (Vec::new(), &self.after.certain),
        };
        let mut reason = self.reason(kind, &witness, all.access(atom, cell));
        if (seen, kind) == (Occurrence::Introduced, Kind::Excess) && news.is_empty() {
            reason.push_str("; it was let in before by leave of a waiver that does not cover this");
        }
        Violation {
            policy: id.clone(),
            code: Code::Policy,
            severity: *severity,
            seen,
            on: self.place.on.clone(),
            reason: match why {
                Some(why) => format!("{reason} ({why})"),
                None => reason,
            },
            hint: self.hint(kind, &lines, seen, access),
            witness,
            kind,
            access: access.boxes(family),
            lines,
            declared: origin.clone(),
        }
    }

    /// The declared rules that open any of it, the widest first: that is the line to look at.
    fn lines(&self, access: &Effective) -> Vec<Origin> {
        let rules = self.place.rules.iter();
        let mut lines: Vec<(Reverse<(u64, Count)>, &Origin)> = rules
            // What a rule with a waiver opens was excepted: it is not what is too much.
            .filter(|rule| !is_waived(rule, self.waivers))
            .filter(|rule| {
                let opens = [(&rule.key, &rule.sources)];
                let opens = Effective::of_rules(opens, self.after.family);
                !opens.intersection(access).is_empty()
            })
            .map(|rule| {
                let Access { v4, v6, .. } = Access::from(&rule.sources);
                (Reverse((v4.count(), v6.count())), &rule.declared.origin)
            })
            .collect();
        lines.sort_unstable();
        let mut seen = BTreeSet::new();
        lines
            .into_iter()
            .filter(|(_, origin)| seen.insert(*origin))
            .map(|(_, origin)| origin.clone())
            .collect()
    }

    fn reason(&self, kind: Kind, witness: &Witness, all: &Access) -> String {
        let Witness { source, what } = witness;
        let verb = kind.verb();
        match self.demand {
            Demand::OnlyFrom { from, .. } if from.is_empty() => {
                format!("{source} {verb} {what}, and nobody may")
            }
            Demand::OnlyFrom { from, .. } => {
                format!("{source} {verb} {what}, and only {} may", names(from))
            }
            Demand::AtMost { ipv4, ipv6, .. } => {
                let (is_world, count, family, limit) = if source.contains(':') {
                    (all.v6.is_all(), all.v6.count().to_string(), "IPv6", ipv6)
                } else {
                    let count = exposure::thousands(all.v4.count());
                    (all.v4.is_all(), count, "IPv4", ipv4)
                };
                let is_open = match kind {
                    Kind::Possible => "may be open",
                    Kind::Excess | Kind::Missing => "is open",
                };
                let limit = limit.unwrap_or_default();
                if is_world {
                    format!(
                        "{what} {is_open} to the whole {family} internet; the limit is a /{limit}"
                    )
                } else {
                    format!(
                        "{what} {is_open} to {count} {family} addresses, {source} among them; the limit is a /{limit}"
                    )
                }
            }
            Demand::Require(rules) => {
                let from = rules.first().map(|rule| names(&rule.declared.from));
                format!(
                    "{source} {verb} {what}, and {} must",
                    from.unwrap_or_default()
                )
            }
        }
    }

    fn hint(&self, kind: Kind, lines: &[Origin], seen: Occurrence, access: &Effective) -> String {
        let id = &self.policy.id;
        if kind == Kind::Possible {
            return "a live entry cannot be read for certain: give it certain sources and ports, or close it, in the console"
                .to_owned();
        }
        if kind == Kind::Missing {
            return match &self.policy.origin {
                Some(origin) => format!("declare a rule that lets them in, as {origin} asks"),
                None => "declare a rule that lets them in".to_owned(),
            };
        }
        if !lines.is_empty() {
            let mut lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            // Two rules of one line are one place to look at.
            lines.dedup();
            return format!(
                "narrow {}, or except a rule with `waive = [\"{id}\"]`, `why`, `owner` and `until`",
                shortened(&lines)
            );
        }
        let shares = |open: &Effective| !open.intersection(access).is_empty();
        let still_open = self.place.plan.map_or(&[][..], |plan| &plan.still_open);
        let mut still_open = still_open.iter();
        if let Some(open) = still_open.find(|open| shares(&Effective::of_boxes(&open.access))) {
            let through = open.through;
            return format!(
                "`absent` names it, and it is open through the live rule {through}: {}",
                open.hint
            );
        }
        let goes = self.place.plan.is_some_and(|plan| {
            plan.verdict == Verdict::Change && !shares(&Effective::of(&plan.after, plan.family()))
        });
        let close = match self.place.mode {
            Some(Mode::Additive) if goes && seen == Occurrence::Live => "`apply` closes it",
            Some(Mode::Additive) => "name it in `absent`",
            Some(Mode::Observe) => "close it where this instance is managed",
            _ if seen == Occurrence::Live => "`apply` closes it",
            _ => "close it",
        };
        format!("no declared rule opens it: {close}")
    }
}

fn names(from: &[String]) -> String {
    let names: Vec<String> = from.iter().map(|name| format!("`{name}`")).collect();
    shortened(&names)
}

/// The first few, and how many more there are.
fn shortened(texts: &[String]) -> String {
    /// As many as a person follows up in one go.
    const SHOWN: usize = 4;
    if texts.len() <= SHOWN {
        return texts.join(", ");
    }
    let more = texts.len() - SHOWN;
    format!("{} and {more} more", texts[..SHOWN].join(", "))
}

/// One packet of an access that is not empty.
fn pick(access: &Effective, family: Family) -> (Atom, u16, Witness) {
    let Some((atom, run)) = access.iter().next() else {
        let nobody = Witness {
            source: "nobody".to_owned(),
            what: "nothing".to_owned(),
        };
        return (Atom::Other, 0, nobody);
    };
    let one = Exposed {
        atom,
        from: run.from,
        to: run.from,
        sources: run.access.to_sources(family),
    };
    let diff = Diff {
        gained: vec![one],
        lost: Vec::new(),
    };
    let line = diff.lines().gained.into_iter().next();
    let witness = Witness {
        source: somebody(&run.access),
        what: line.map_or_else(|| atom.to_string(), |line| line.what),
    };
    (atom, run.from, witness)
}

/// An address of the set, or an alias. Never one from which nobody arrives where there is another.
fn somebody(access: &Access) -> String {
    let arriving = access.arriving();
    let access = if arriving.is_empty() {
        access
    } else {
        &arriving
    };
    let first = |contains: bool, usual: String, first: Option<String>| {
        first.map(|first| if contains { usual } else { first })
    };
    let v4 = access.v4.ranges().first();
    let v4 = first(
        access.v4.contains(SOMEBODY_V4.to_bits()),
        SOMEBODY_V4.to_string(),
        v4.map(|(first, _)| Ipv4Addr::from_bits(*first).to_string()),
    );
    let v6 = access.v6.ranges().first();
    let v6 = first(
        access.v6.contains(SOMEBODY_V6.to_bits()),
        SOMEBODY_V6.to_string(),
        v6.map(|(first, _)| Ipv6Addr::from_bits(*first).to_string()),
    );
    let alias = access.aliases.first().map(|alias| format!("`{alias}`"));
    v4.or(v6).or(alias).unwrap_or_else(|| "nobody".to_owned())
}
