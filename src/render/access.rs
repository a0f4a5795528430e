//! Who gains and who loses access, as comments and pages tell it: instances to which the same happens together.
//!
//! Owns the groups, their order and their headings: of a plan, of drift, and of a comparison. Does not lay them out, nor drop
//! an opening.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::difference::{Clause, Comparison, Way, clauses};
use super::facts::Asked;
use super::text::severity;
use super::words::count;
use crate::exposure::{self, ComparisonSubject, Diff, Exposed};
use crate::model::Origin;
use crate::plan::{Change, InstancePlan, Plan, Verdict};

/// Everybody to whom one kind of thing happens.
pub(super) struct Part {
    pub(super) words: Words,
    /// The widest first.
    pub(super) groups: Vec<Group>,
}

/// What a part is called.
#[derive(Clone, Copy)]
pub(super) struct Words {
    /// What happens, or what is the case.
    pub(super) title: &'static str,
    /// The same of instances, before their number and behind it.
    pub(super) sentence: (&'static str, &'static str),
    /// The heading of those who get in or do not.
    pub(super) who: &'static str,
    /// The heading of where that comes from; `None` where it is not told.
    pub(super) because: Option<&'static str>,
    /// Whether more get in than should, or than before.
    pub(super) weight: Weight,
}

/// How much a reader has to look at a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// More get in: always told, and in full where there is room.
    Wider,
    /// Fewer get in than are declared.
    Lacks,
    /// It is not known who gets in.
    Doubt,
    /// Fewer get in: told last.
    Narrower,
}

const OPENS: Words = Words {
    title: "Opens",
    sentence: ("Opens something on", "open something"),
    who: "who gets in",
    because: Some("declared at"),
    weight: Weight::Wider,
};

const CLOSES: Words = Words {
    title: "Closes",
    sentence: ("Closes something on", "close something"),
    who: "who does not get in any more",
    because: None,
    weight: Weight::Narrower,
};

const ALLOWS_MORE: Words = Words {
    title: "Live allows more than declared",
    sentence: (
        "Live allows more than declared on",
        "allow more than declared",
    ),
    who: "who gets in",
    because: None,
    weight: Weight::Wider,
};

const LACKS: Words = Words {
    title: "Live lacks",
    sentence: ("Live lacks something on", "lack something"),
    who: "who does not get in",
    because: Some("declared at"),
    weight: Weight::Lacks,
};

const DOUBT: Words = Words {
    title: "In doubt",
    sentence: ("What is open now is in doubt on", "are in doubt"),
    who: "who perhaps gets in now",
    because: None,
    weight: Weight::Doubt,
};

/// Instances to which the same happens.
pub(super) struct Group {
    pub(super) members: Vec<ComparisonSubject>,
    /// Under which condition, or why it stays so.
    pub(super) aside: Option<String>,
    /// Who reaches what.
    pub(super) lines: Vec<String>,
    /// Where it comes from, and why that is there.
    pub(super) causes: Vec<(String, Option<String>)>,
}

impl Part {
    /// Those to whom it happens, counted: `2 instances and 1 group`.
    pub(super) fn subjects(&self) -> String {
        subjects(self.groups.iter().flat_map(|group| &group.members))
    }
}

/// How many instances these are, and how many kinds of instances.
pub(super) fn subjects<'a>(all: impl Iterator<Item = &'a ComparisonSubject>) -> String {
    let all: BTreeSet<&ComparisonSubject> = all.collect();
    let is_every = |subject: &&&ComparisonSubject| matches!(subject, ComparisonSubject::Every(_));
    let every = all.iter().filter(is_every).count();
    let counts = [(all.len() - every, "instance"), (every, "group")];
    let counts = counts.into_iter().filter(|(n, _)| *n > 0);
    let counts: Vec<String> = counts.map(|(n, what)| count(n, what)).collect();
    counts.join(" and ")
}

/// What a plan does, or how live differs, in the order in which it matters; no part is empty.
pub(super) fn of_plan(plan: &Plan, asked: Asked<'_>) -> Vec<Part> {
    let gained = |instance: &InstancePlan| all_of(&instance.exposure.gained);
    let lost = |instance: &InstancePlan| all_of(&instance.exposure.lost);
    let in_doubt = |instance: &InstancePlan| {
        if instance.before.is_certain() {
            return Diff::default();
        }
        Diff::gaining(&instance.reach_before().doubt(), instance.family())
    };
    let (gains, loses) = match asked {
        Asked::Plan => (OPENS, CLOSES),
        Asked::Drift | Asked::DriftOf(_) => (LACKS, ALLOWS_MORE),
    };
    in_order([
        Part::of(plan, gains, &gained),
        Part::of(plan, loses, &lost),
        Part::of(plan, DOUBT, &in_doubt),
    ])
}

/// What lies between two documents, in the order in which it matters; no part is empty.
pub(super) fn of_comparison(of: &Comparison<'_>) -> Vec<Part> {
    let part = |way, words| Part {
        words,
        groups: alike(of, way),
    };
    in_order([
        part(Way::Opens, OPENS.because_of("because of")),
        part(Way::Closes, CLOSES.because_of("it was open by")),
        part(Way::Doubt, DOUBT.because_of("because of")),
    ])
}

fn in_order(parts: [Part; 3]) -> Vec<Part> {
    let mut parts: Vec<Part> = parts.into();
    parts.retain(|part| !part.groups.is_empty());
    parts.sort_by_key(|part| part.words.weight);
    parts
}

impl Words {
    fn because_of(self, heading: &'static str) -> Self {
        Self {
            because: Some(heading),
            ..self
        }
    }
}

impl Part {
    /// Of a plan, with what is told of each instance.
    fn of(plan: &Plan, words: Words, told: &dyn Fn(&InstancePlan) -> Diff) -> Self {
        let mut alike: BTreeMap<(Vec<String>, Option<&str>), Vec<&InstancePlan>> = BTreeMap::new();
        for instance in &plan.instances {
            let lines = told(instance).lines().gained;
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            if !lines.is_empty() {
                let same = alike.entry((lines, unwritten(instance))).or_default();
                same.push(instance);
            }
        }
        let mut alike: Vec<_> = alike.into_iter().collect();
        alike.sort_by_cached_key(|(_, instances)| Reverse(severity(&told(instances[0]))));
        let group = |((lines, aside), instances): (_, Vec<&InstancePlan>)| Group {
            causes: match words.because {
                Some(_) => declared(&instances),
                None => Vec::new(),
            },
            members: instances.iter().copied().map(subject).collect(),
            aside: Option::<&str>::map(aside, str::to_owned),
            lines,
        };
        Self {
            words,
            groups: alike.into_iter().map(group).collect(),
        }
    }
}

fn subject(instance: &InstancePlan) -> ComparisonSubject {
    ComparisonSubject::Instance(instance.instance.id.clone())
}

fn all_of(boxes: &[Exposed]) -> Diff {
    Diff {
        gained: boxes.to_vec(),
        lost: Vec::new(),
    }
}

/// Why a difference will not be written.
fn unwritten(instance: &InstancePlan) -> Option<&'static str> {
    match instance.verdict {
        Verdict::Observed => Some("only observed"),
        Verdict::Refused { .. } => Some("refused"),
        Verdict::InSync | Verdict::Incomplete | Verdict::Change | Verdict::StillOpen => None,
    }
}

/// The lines that open it.
fn declared(instances: &[&InstancePlan]) -> Vec<(String, Option<String>)> {
    let mut places = BTreeSet::new();
    for instance in instances {
        let opens = |change: &&Change| {
            !exposure::subtract(&change.after, &change.before, instance.family()).is_empty()
        };
        for change in instance.changes.iter().filter(opens) {
            let causes = change.causes.iter();
            places.extend(causes.map(|cause| (&cause.origin, cause.why.as_deref())));
        }
    }
    let texts =
        |(origin, why): (&Origin, Option<&str>)| (origin.to_string(), why.map(str::to_owned));
    places.into_iter().map(texts).collect()
}

/// Those to which the same happens, everyone first, then by their first members.
fn alike(of: &Comparison<'_>, way: Way) -> Vec<Group> {
    let mut alike: BTreeMap<(Option<&str>, Vec<String>), Group> = BTreeMap::new();
    for compared in of.all.iter().filter(|compared| !compared.is_equal()) {
        let mut clauses = clauses(compared, of.words);
        clauses.retain(|clause| clause.way == way);
        if clauses.is_empty() {
            continue;
        }
        let condition = compared.condition.as_deref();
        let lines: Vec<String> = clauses.iter().map(line).collect();
        let group = alike.entry((condition, lines.clone()));
        let group = group.or_insert_with(|| Group {
            members: Vec::new(),
            aside: condition.map(str::to_owned),
            lines,
            causes: Vec::new(),
        });
        group.members.push(compared.subject.clone());
        for cause in clauses.into_iter().flat_map(|clause| clause.causes) {
            let cause = (cause, None);
            if !group.causes.contains(&cause) {
                group.causes.push(cause);
            }
        }
    }
    let mut groups: Vec<Group> = alike.into_values().collect();
    groups.sort_by_cached_key(|group| {
        let everyone = group.lines.iter().any(|line| is_everyone(line));
        (
            !everyone,
            group.members.first().cloned(),
            group.aside.clone(),
        )
    });
    groups
}

fn line(clause: &Clause) -> String {
    format!("{} from {}", clause.whats.join(", "), clause.who)
}

/// Whether a line says that everyone of a family gets in.
pub(super) fn is_everyone(line: &str) -> bool {
    line.contains("from everyone")
}
