//! Gained and lost access of a plan, of drift or of a comparison, for comments and pages.
//!
//! **Owns** the groups of instances with equal access, their order and their headings. **Does not** lay them out, and does not
//! drop an opening.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::difference::{Clause, Comparison, Effect, clauses};
use super::formats::count;
use super::metadata::PlanView;
use super::text::severity;
use crate::exposure::{self, ComparisonSubject, Exposed};
use crate::model::Origin;
use crate::plan::{Change, InstancePlan, Plan, Verdict};

/// The groups with one kind of change.
pub(super) struct AccessSection {
    pub(super) words: SectionWords,
    /// The widest first.
    pub(super) groups: Vec<AccessGroup>,
}

/// The headings of a part.
#[derive(Clone, Copy)]
pub(super) struct SectionWords {
    /// The heading.
    pub(super) title: &'static str,
    /// The same in a sentence, before and after the number of instances.
    pub(super) sentence: (&'static str, &'static str),
    /// The heading of the sources.
    pub(super) source_heading: &'static str,
    /// The heading of the causes; `None` where there is no such column.
    pub(super) cause_heading: Option<&'static str>,
    /// The importance of the part.
    pub(super) weight: Weight,
}

/// The importance of a part, the highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Access is opened: always shown, and completely if there is room.
    Wider,
    /// Fewer get in than are declared.
    Lacks,
    /// It is not known who gets in.
    Doubt,
    /// Fewer get in: told last.
    Narrower,
}

const OPENS: SectionWords = SectionWords {
    title: "Opens",
    sentence: ("Opens something on", "open something"),
    source_heading: "who gets in",
    cause_heading: Some("declared at"),
    weight: Weight::Wider,
};

const CLOSES: SectionWords = SectionWords {
    title: "Closes",
    sentence: ("Closes something on", "close something"),
    source_heading: "who does not get in any more",
    cause_heading: None,
    weight: Weight::Narrower,
};

const ALLOWS_MORE: SectionWords = SectionWords {
    title: "Live allows more than declared",
    sentence: (
        "Live allows more than declared on",
        "allow more than declared",
    ),
    source_heading: "who gets in",
    cause_heading: None,
    weight: Weight::Wider,
};

const LACKS: SectionWords = SectionWords {
    title: "Live lacks",
    sentence: ("Live lacks something on", "lack something"),
    source_heading: "who does not get in",
    cause_heading: Some("declared at"),
    weight: Weight::Lacks,
};

const DOUBT: SectionWords = SectionWords {
    title: "In doubt",
    sentence: ("What is open now is in doubt on", "are in doubt"),
    source_heading: "who perhaps gets in now",
    cause_heading: None,
    weight: Weight::Doubt,
};

/// Instances with equal access.
pub(super) struct AccessGroup {
    pub(super) members: Vec<ComparisonSubject>,
    /// The condition, or why nothing is written.
    pub(super) aside: Option<String>,
    /// Who reaches what.
    pub(super) lines: Vec<String>,
    /// The lines of the configuration, each with its `why`.
    pub(super) causes: Vec<(String, Option<String>)>,
}

impl AccessSection {
    /// The number of its subjects: `2 instances and 1 group`.
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

/// The parts of a plan or of drift, the most important first; none is empty.
pub(super) fn of_plan(plan: &Plan, view: PlanView<'_>) -> Vec<AccessSection> {
    let gained = |instance: &InstancePlan| instance.exposure.gained.clone();
    let lost = |instance: &InstancePlan| instance.exposure.lost.clone();
    let in_doubt = |instance: &InstancePlan| {
        if instance.before.is_certain() {
            return Vec::new();
        }
        instance.reach_before().doubt().boxes(instance.family())
    };
    let (gains, loses) = match view {
        PlanView::Plan => (OPENS, CLOSES),
        PlanView::Drift | PlanView::InventoryDrift(_) => (LACKS, ALLOWS_MORE),
    };
    sort_parts([
        AccessSection::from_plan(plan, gains, &gained),
        AccessSection::from_plan(plan, loses, &lost),
        AccessSection::from_plan(plan, DOUBT, &in_doubt),
    ])
}

/// The parts of a comparison, the most important first; none is empty.
pub(super) fn of_comparison(comparison: &Comparison<'_>) -> Vec<AccessSection> {
    let part = |effect, words| AccessSection {
        words,
        groups: group_compared(comparison, effect),
    };
    sort_parts([
        part(Effect::Opens, OPENS.with_cause_heading("because of")),
        part(Effect::Closes, CLOSES.with_cause_heading("it was open by")),
        part(Effect::Doubt, DOUBT.with_cause_heading("because of")),
    ])
}

fn sort_parts(parts: [AccessSection; 3]) -> Vec<AccessSection> {
    let mut parts: Vec<AccessSection> = parts.into();
    parts.retain(|part| !part.groups.is_empty());
    parts.sort_by_key(|part| part.words.weight);
    parts
}

impl SectionWords {
    fn with_cause_heading(self, heading: &'static str) -> Self {
        Self {
            cause_heading: Some(heading),
            ..self
        }
    }
}

impl AccessSection {
    /// A part of a plan with the access that `access` returns for each instance.
    fn from_plan(
        plan: &Plan,
        words: SectionWords,
        access: &dyn Fn(&InstancePlan) -> Vec<Exposed>,
    ) -> Self {
        let mut alike: BTreeMap<(Vec<String>, Option<&str>), Vec<&InstancePlan>> = BTreeMap::new();
        for instance in &plan.instances {
            let lines = exposure::lines(&access(instance));
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            if !lines.is_empty() {
                let key = (lines, unwritten_reason(instance));
                alike.entry(key).or_default().push(instance);
            }
        }
        let mut alike: Vec<_> = alike.into_iter().collect();
        alike.sort_by_cached_key(|(_, instances)| Reverse(severity(&access(instances[0]))));
        let group = |((lines, aside), instances): (_, Vec<&InstancePlan>)| AccessGroup {
            causes: match words.cause_heading {
                Some(_) => declared_causes(&instances),
                None => Vec::new(),
            },
            members: instances
                .iter()
                .map(|plan| ComparisonSubject::Instance(plan.instance.id.clone()))
                .collect(),
            aside: Option::<&str>::map(aside, str::to_owned),
            lines,
        };
        Self {
            words,
            groups: alike.into_iter().map(group).collect(),
        }
    }
}

/// Why a difference will not be written.
fn unwritten_reason(instance: &InstancePlan) -> Option<&'static str> {
    match instance.verdict {
        Verdict::Observed => Some("only observed"),
        Verdict::Refused { .. } => Some("refused"),
        Verdict::InSync | Verdict::Incomplete | Verdict::Change | Verdict::StillOpen => None,
    }
}

/// The lines that open it.
fn declared_causes(instances: &[&InstancePlan]) -> Vec<(String, Option<String>)> {
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

/// Groups the subjects of a comparison by equal clauses: everyone first, then by the first member.
fn group_compared(comparison: &Comparison<'_>, effect: Effect) -> Vec<AccessGroup> {
    let mut alike: BTreeMap<(Option<&str>, Vec<String>), AccessGroup> = BTreeMap::new();
    for compared in comparison
        .all
        .iter()
        .filter(|compared| !compared.is_equal())
    {
        let mut clauses = clauses(compared, comparison.names);
        clauses.retain(|clause| clause.effect == effect);
        if clauses.is_empty() {
            continue;
        }
        let condition = compared.condition.as_deref();
        let lines: Vec<String> = clauses.iter().map(line).collect();
        let group = alike.entry((condition, lines.clone()));
        let group = group.or_insert_with(|| AccessGroup {
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
    let mut groups: Vec<AccessGroup> = alike.into_values().collect();
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
    format!("{} from {}", clause.ports.join(", "), clause.sources_name)
}

/// Whether a line says that everyone of a family gets in.
pub(super) fn is_everyone(line: &str) -> bool {
    line.contains("from everyone")
}
