//! The description of a violation: its witness, its lines, and the hint.
//!
//! Owns the choice of the witness and of the lines, and the wording. Does not decide whether there is a violation.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{CheckTarget, Occurrence, Violation, ViolationKind, Witness, is_waived};
use crate::exposure::{self, Access, Atom, Count, Effective, Exposed, Reach};
use crate::model::{Code, Demand, Family, Mode, Origin, Policy, Waiver};
use crate::plan::Verdict;

/// The witness if it is among the sources: an address that everybody recognizes as public.
const SAMPLE_V4: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);

/// The same for IPv6, from the first network of global unicast addresses.
const SAMPLE_V6: Ipv6Addr = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 1);

/// The input for the description of a violation.
pub(super) struct Evidence<'a> {
    pub(super) target: &'a CheckTarget<'a>,
    pub(super) policy: &'a Policy,
    pub(super) demand: &'a Demand,
    pub(super) before: &'a Effective,
    pub(super) after: &'a Reach,
    pub(super) waivers: &'a [&'a Waiver],
}

impl Evidence<'_> {
    pub(super) fn violation(
        &self,
        occurrence: Occurrence,
        kind: ViolationKind,
        access: &Effective,
    ) -> Violation {
        let Policy {
            id,
            severity,
            origin,
            why,
            demands: _,
            instances: _,
        } = self.policy;
        // A source that is new is a better witness than one that had access before.
        let new_access = match (occurrence, kind) {
            (Occurrence::Introduced, ViolationKind::Excess) => access.difference(self.before),
            _ => Effective::default(),
        };
        let family = self.after.family;
        let (atom, cell, witness) = pick_witness(
            if new_access.is_empty() {
                access
            } else {
                &new_access
            },
            family,
        );
        let (lines, all) = match kind {
            ViolationKind::Excess => (self.lines(access), &self.after.certain),
            // Only an uncertain entry may open it, not a declared rule.
            ViolationKind::Possible => (Vec::new(), &self.after.possible),
            ViolationKind::Missing => (Vec::new(), &self.after.certain),
        };
        let mut reason = self.reason(kind, &witness, all.access(atom, cell));
        if (occurrence, kind) == (Occurrence::Introduced, ViolationKind::Excess)
            && new_access.is_empty()
        {
            reason.push_str("; it was let in before by leave of a waiver that does not cover this");
        }
        Violation {
            policy: id.clone(),
            code: Code::Policy,
            severity: *severity,
            occurrence,
            subject: self.target.subject.clone(),
            reason: match why {
                Some(why) => format!("{reason} ({why})"),
                None => reason,
            },
            hint: self.hint(kind, &lines, occurrence, access),
            witness,
            kind,
            access: access.boxes(family),
            lines,
            declared: origin.clone(),
        }
    }

    /// The lines of the declared rules that open a part of the access, the widest first.
    fn lines(&self, access: &Effective) -> Vec<Origin> {
        let rules = self.target.rules.iter();
        let mut lines: Vec<(Reverse<(u64, Count)>, &Origin)> = rules
            // The access of a rule with a waiver is exempt.
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
        let mut known = BTreeSet::new();
        lines
            .into_iter()
            .filter(|(_, origin)| known.insert(*origin))
            .map(|(_, origin)| origin.clone())
            .collect()
    }

    fn reason(&self, kind: ViolationKind, witness: &Witness, all: &Access) -> String {
        let Witness { source, port } = witness;
        let verb = kind.verb();
        match self.demand {
            Demand::OnlyFrom { from, .. } if from.is_empty() => {
                format!("{source} {verb} {port}, and nobody may")
            }
            Demand::OnlyFrom { from, .. } => {
                format!(
                    "{source} {verb} {port}, and only {} may",
                    quoted_names(from)
                )
            }
            Demand::AtMost { ipv4, ipv6, .. } => {
                let (is_world, count, family, limit) = if source.contains(':') {
                    (all.v6.is_all(), all.v6.count().to_string(), "IPv6", ipv6)
                } else {
                    let count = exposure::group_thousands(all.v4.count());
                    (all.v4.is_all(), count, "IPv4", ipv4)
                };
                let is_open = match kind {
                    ViolationKind::Possible => "may be open",
                    ViolationKind::Excess | ViolationKind::Missing => "is open",
                };
                let limit = limit.unwrap_or_default();
                if is_world {
                    format!(
                        "{port} {is_open} to the whole {family} internet; the limit is a /{limit}"
                    )
                } else {
                    format!(
                        "{port} {is_open} to {count} {family} addresses, {source} among them; the limit is a /{limit}"
                    )
                }
            }
            Demand::Require(rules) => {
                let from = rules.first().map(|rule| quoted_names(&rule.declared.from));
                format!(
                    "{source} {verb} {port}, and {} must",
                    from.unwrap_or_default()
                )
            }
        }
    }

    fn hint(
        &self,
        kind: ViolationKind,
        lines: &[Origin],
        occurrence: Occurrence,
        access: &Effective,
    ) -> String {
        let id = &self.policy.id;
        if kind == ViolationKind::Possible {
            return "a live entry cannot be read for certain: give it certain sources and ports, or close it, in the console"
                .to_owned();
        }
        if kind == ViolationKind::Missing {
            return match &self.policy.origin {
                Some(origin) => format!("declare a rule that lets them in, as {origin} asks"),
                None => "declare a rule that lets them in".to_owned(),
            };
        }
        if !lines.is_empty() {
            let mut lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            // Two rules may be from the same line.
            lines.dedup();
            return format!(
                "narrow {}, or except a rule with `waive = [\"{id}\"]`, `why`, `owner` and `until`",
                join_first(&lines)
            );
        }
        let overlaps = |open: &Effective| !open.intersection(access).is_empty();
        let still_open = self.target.plan.map_or(&[][..], |plan| &plan.still_open);
        let mut still_open = still_open.iter();
        if let Some(open) = still_open.find(|open| overlaps(&Effective::of_boxes(&open.access))) {
            let through = open.through;
            return format!(
                "`absent` names it, and it is open through the live rule {through}: {}",
                open.hint
            );
        }
        let is_closed_by_plan = self.target.plan.is_some_and(|plan| {
            plan.verdict == Verdict::Change && !overlaps(&Effective::of(&plan.after, plan.family()))
        });
        let close = match self.target.mode {
            Some(Mode::Additive) if is_closed_by_plan && occurrence == Occurrence::Live => {
                "`apply` closes it"
            }
            Some(Mode::Additive) => "name it in `absent`",
            Some(Mode::Observe) => "close it where this instance is managed",
            _ if occurrence == Occurrence::Live => "`apply` closes it",
            _ => "close it",
        };
        format!("no declared rule opens it: {close}")
    }
}

fn quoted_names(from: &[String]) -> String {
    let names: Vec<String> = from.iter().map(|name| format!("`{name}`")).collect();
    join_first(&names)
}

/// The first few texts, and the number of the others.
fn join_first(texts: &[String]) -> String {
    /// As many as a person checks at once.
    const SHOWN: usize = 4;
    if texts.len() <= SHOWN {
        return texts.join(", ");
    }
    let more = texts.len() - SHOWN;
    format!("{} and {more} more", texts[..SHOWN].join(", "))
}

/// A packet of this access, which is not empty.
fn pick_witness(access: &Effective, family: Family) -> (Atom, u16, Witness) {
    let Some((atom, run)) = access.iter().next() else {
        let nobody = Witness {
            source: "nobody".to_owned(),
            port: "nothing".to_owned(),
        };
        return (Atom::Other, 0, nobody);
    };
    let one = Exposed {
        atom,
        from: run.from,
        to: run.from,
        sources: run.access.to_sources(family),
    };
    let line = exposure::lines(&[one]).into_iter().next();
    let witness = Witness {
        source: example_source(&run.access),
        port: line.map_or_else(|| atom.to_string(), |line| line.ports),
    };
    (atom, run.from, witness)
}

/// An address of the set, preferably a publicly reachable one, or an alias.
fn example_source(access: &Access) -> String {
    let reachable = access.publicly_reachable();
    let access = if reachable.is_empty() {
        access
    } else {
        &reachable
    };
    let v4 = access.v4.ranges().first().map(|(first, _)| {
        let has_sample = access.v4.contains(SAMPLE_V4.to_bits());
        let sample = has_sample.then_some(SAMPLE_V4);
        sample.unwrap_or(Ipv4Addr::from_bits(*first)).to_string()
    });
    let v6 = access.v6.ranges().first().map(|(first, _)| {
        let has_sample = access.v6.contains(SAMPLE_V6.to_bits());
        let sample = has_sample.then_some(SAMPLE_V6);
        sample.unwrap_or(Ipv6Addr::from_bits(*first)).to_string()
    });
    let alias = access.aliases.first().map(|alias| format!("`{alias}`"));
    v4.or(v6).or(alias).unwrap_or_else(|| "nobody".to_owned())
}
