//! The text of `diff`; `markdown` and `html` use its clauses.
//!
//! **Owns** the words: one sentence where all changes have one cause, else a headline and a line for each change of access
//! with the rule that causes it. Instances with equal changes share a block. **Does not** leave an instance out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use time::OffsetDateTime;

use super::access_names::{Names, port_name, source_name};
use super::formats::{count, join_and, nonzero_counts, sanitize, truncate_list};
use super::json::{Problem, RunReport};
use super::text::place;
use crate::exposure::{
    self, Compared, ComparedDocument, ComparisonSubject, Direction, DocumentFirewall, Doubtful,
    Line, RuleRef,
};
use crate::model::{Key, Sources};

const GAIN: Style = AnsiColor::Green.on_default();
const LOSS: Style = AnsiColor::Red.on_default();
const DOUBT: Style = AnsiColor::Yellow.on_default();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// A line that more rules than this cause names the first of them.
const CAUSES: usize = 3;

/// Subjects that are named where something could not be decided.
const NAMED: usize = 5;

/// A sentence holds as many clauses as this; more are a list.
const CLAUSES: usize = 4;

/// Everything that a comparison has to say.
#[derive(Clone, Debug)]
pub(crate) struct Comparison<'a> {
    /// The exit code of the process.
    pub exit_code: u8,
    /// When it was made.
    pub at: OffsetDateTime,
    /// The older and the newer document, as they were named.
    pub documents: [&'a str; 2],
    /// Every instance that could be compared.
    pub all: &'a [Compared],
    /// The selectors of groups that were compared too; those that differ are among `all`.
    pub groups: usize,
    /// The names in the older and in the newer document.
    pub names: [&'a Names; 2],
    /// The uncompared instances, and the warnings.
    pub problems: &'a [Problem],
    /// The notes.
    pub notes: &'a BTreeSet<String>,
}

impl Comparison<'_> {
    /// The same as a run without a plan, for what formats of runs can do with problems.
    pub(super) fn run(&self) -> RunReport<'_> {
        RunReport {
            verb: "diff",
            exit_code: self.exit_code,
            problems: self.problems.to_vec(),
            ..RunReport::default()
        }
    }
}

/// One way of changing, and those that change so.
pub(super) struct Block<'a> {
    /// `None` where a doubt leaves it open.
    direction: Option<Direction>,
    condition: Option<&'a str>,
    clauses: Vec<Clause>,
    pub(super) members: Vec<&'a ComparisonSubject>,
}

/// The effect on access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    Opens,
    Closes,
    /// It may be open on one of the sides.
    Doubt,
}

/// Ports that open or close to the same sources for the same reason, or that are in doubt.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Clause {
    pub(super) effect: Effect,
    pub(super) ports: Vec<String>,
    pub(super) sources_name: String,
    pub(super) causes: Vec<String>,
}

/// The whole comparison.
pub(crate) fn text(comparison: &Comparison<'_>) -> String {
    let all = comparison.all;
    let equal: Vec<&ComparisonSubject> = all
        .iter()
        .filter(|compared| compared.is_equal())
        .map(|compared| &compared.subject)
        .collect();
    let blocks = blocks(all, comparison.names);
    if let Some(sentence) = one_sentence(&blocks, equal.len()) {
        return sentence + &undeclared(all);
    }
    let mut text = String::new();
    for block in &blocks {
        write_block(&mut text, block);
    }
    if !equal.is_empty() {
        let _ = writeln!(text, "equal: {}", subject_names(&equal).join(", "));
    }
    text.push_str(&undeclared(all));
    for line in undecided(all) {
        let _ = writeln!(text, "undecided: {line}");
    }
    let _ = writeln!(text, "{BOLD}Diff:{BOLD:#} {}", summary(comparison));
    text
}

/// The undecided statements, each once with its subjects.
pub(crate) fn undecided(all: &[Compared]) -> Vec<String> {
    let mut open: BTreeMap<&str, Vec<&ComparisonSubject>> = BTreeMap::new();
    for compared in all {
        for what in &compared.undecided {
            let subjects = open.entry(what).or_default();
            if !subjects.contains(&&compared.subject) {
                subjects.push(&compared.subject);
            }
        }
    }
    let line = |(what, subjects): (&str, Vec<&ComparisonSubject>)| {
        let names = truncate_list(subject_names(&subjects), NAMED);
        format!("{}: not known {}", join_and(&names), sanitize(what))
    };
    open.into_iter().map(line).collect()
}

/// All of it in one sentence with a final newline, where one is enough. `equal` is the number of instances that are.
pub(super) fn one_sentence(blocks: &[Block<'_>], equal: usize) -> Option<String> {
    match blocks {
        // "The others" would be those of the sentence.
        [block] if block.is_one_sentence() && (equal == 0 || !block.has_group_subject()) => {
            Some(sentence(block, equal))
        }
        _ => None,
    }
}

/// The existing instances that this document does not declare.
pub(super) fn undeclared_on(all: &[Compared], which: ComparedDocument) -> Vec<&ComparisonSubject> {
    let undeclared = all.iter().filter(|c| c.undeclared == Some(which));
    undeclared.map(|compared| &compared.subject).collect()
}

/// The existing instances that one of the documents does not declare, so that it closes nothing on them.
fn undeclared(all: &[Compared]) -> String {
    let mut text = String::new();
    for (which, consequence) in [
        (ComparedDocument::Old, ""),
        (ComparedDocument::New, ", so what is live there stays"),
    ] {
        let subjects = undeclared_on(all, which);
        if subjects.is_empty() {
            continue;
        }
        let which = which.as_str();
        let _ = writeln!(text, "note: not declared on the {which} side{consequence}:");
        let _ = writeln!(text, "      {}", subject_names(&subjects).join(", "));
    }
    text
}

/// The headline.
pub(super) fn summary(comparison: &Comparison<'_>) -> String {
    let all = comparison.all;
    if all.is_empty() && comparison.groups == 0 {
        return "neither side says anything of an instance that could be compared.".to_owned();
    }
    // Instances, and groups.
    let distinct = |is: &dyn Fn(&Compared) -> bool| -> (usize, usize) {
        let counted = all.iter().filter(|compared| is(compared));
        let subjects: BTreeSet<_> = counted.map(|compared| &compared.subject).collect();
        let is_group = |s: &&&ComparisonSubject| matches!(s, ComparisonSubject::Every(_));
        let groups = subjects.iter().filter(is_group).count();
        (subjects.len() - groups, groups)
    };
    let number = |is: &dyn Fn(&Compared) -> bool| {
        let (instances, groups) = distinct(is);
        instances + groups
    };
    let in_direction = |direction| number(&|compared| compared.direction() == Some(direction));
    let only_declared = |compared: &Compared| {
        compared.direction() == Some(Direction::Equal) && compared.undeclared.is_some()
    };
    let mut parts = nonzero_counts(&[
        (in_direction(Direction::Wider), "wider"),
        (in_direction(Direction::Mixed), "mixed"),
        (in_direction(Direction::Narrower), "narrower"),
        (number(&only_declared), "not declared on one side"),
    ]);
    let certain = !parts.is_empty();
    parts.extend(nonzero_counts(&[(
        number(&Compared::is_doubtful),
        "in doubt",
    )]));
    let is_counted: &dyn Fn(&Compared) -> bool = if certain {
        &|compared| !compared.is_equal() && !compared.is_doubtful()
    } else {
        &Compared::is_doubtful
    };
    let ((all_instances, _), (instances, groups)) = (distinct(&|_| true), distinct(is_counted));
    let all_instances = count(all_instances, "instance");
    let all_groups = count(comparison.groups, "group");
    if parts.is_empty() {
        let of_all = if comparison.groups > 0 {
            format!("{all_instances} and {all_groups}")
        } else {
            all_instances
        };
        return format!("no difference in meaning on {of_all}.");
    }
    let of_all = join_and(&nonzero_counts(&[
        (instances, &format!("of {all_instances}")),
        (groups, &format!("of {all_groups}")),
    ]));
    match (certain, instances + groups) {
        (false, _) => format!("{of_all} in doubt."),
        (true, 1) => format!("{of_all} differs: {}.", parts.join(", ")),
        (true, _) => format!("{of_all} differ: {}.", parts.join(", ")),
    }
}

/// Sorts by opened access, and then by the names of the first members.
pub(super) fn blocks<'a>(all: &'a [Compared], names: [&Names; 2]) -> Vec<Block<'a>> {
    let mut alike: BTreeMap<(Option<&str>, Vec<Clause>), Block<'a>> = BTreeMap::new();
    let changes = |c: &&Compared| c.is_doubtful() || !c.diff.is_empty();
    for compared in all.iter().filter(changes) {
        let clauses = clauses(compared, names);
        let condition = compared.condition.as_deref();
        alike
            .entry((condition, clauses.clone()))
            .or_insert_with(|| Block {
                direction: compared.direction(),
                condition,
                clauses,
                members: Vec::new(),
            })
            .members
            .push(&compared.subject);
    }
    let mut blocks: Vec<Block<'_>> = alike.into_values().collect();
    blocks.sort_by_key(|block| {
        (
            block.direction == Some(Direction::Narrower),
            block.members.first().copied().cloned(),
            block.condition,
        )
    });
    blocks
}

/// The opened, the closed, and the doubtful access of an instance.
pub(super) fn clauses(compared: &Compared, [old, new]: [&Names; 2]) -> Vec<Clause> {
    let gained = exposure::lines(&compared.diff.gained);
    let mut clauses = side_clauses(&gained, &compared.after, Effect::Opens, [new, old]);
    clauses.extend(side_clauses(
        &exposure::lines(&compared.diff.lost),
        &compared.before,
        Effect::Closes,
        [old, new],
    ));
    clauses.extend(compared.doubts().map(|(which, doubt)| {
        let names = match which {
            ComparedDocument::Old => [old, new],
            ComparedDocument::New => [new, old],
        };
        doubt_clause(which, doubt, names)
    }));
    clauses
}

/// The possible access of an entry that cannot be read for certain.
fn doubt_clause(which: ComparedDocument, doubt: &Doubtful, names: [&Names; 2]) -> Clause {
    let ports = match doubt.key {
        Key::ALL => "all protocols".to_owned(),
        key => port_name(&key.to_string(), &names),
    };
    Clause {
        effect: Effect::Doubt,
        ports: vec![ports],
        sources_name: source_name(&doubt.sources, &names),
        causes: vec![format!(
            "`{}` on the {} side: {}",
            sanitize(&doubt.entry),
            which.as_str(),
            sanitize(&doubt.why)
        )],
    }
}

fn side_clauses(
    lines: &[Line],
    side: &DocumentFirewall,
    effect: Effect,
    names: [&Names; 2],
) -> Vec<Clause> {
    let mut merged: Vec<(&Sources, Clause)> = Vec::new();
    for line in lines {
        let ports = port_name(&line.ports, &names);
        let causes = causes(line, side);
        let same = merged
            .iter_mut()
            .find(|(sources, clause)| **sources == line.sources && clause.causes == causes);
        match same {
            Some((_, clause)) => clause.ports.push(ports),
            None => merged.push((
                &line.sources,
                Clause {
                    effect,
                    ports: vec![ports],
                    sources_name: source_name(&line.sources, &names),
                    causes,
                },
            )),
        }
    }
    merged.into_iter().map(|(_, clause)| clause).collect()
}

/// The locations of the rules of a line; a rule without a location is named by its access, if that differs.
fn causes(line: &Line, side: &DocumentFirewall) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let cause = |rule: &RuleRef| match (&rule.origin, &rule.why) {
        (Some(origin), Some(why)) => Some(format!(
            "{} ({})",
            sanitize(&origin.to_string()),
            sanitize(why)
        )),
        (Some(origin), None) => Some(sanitize(&origin.to_string())),
        (None, _) if rule.key == Key::ALL && line.ports == "all protocols" => None,
        (None, _) => (rule.key.to_string() != line.ports).then(|| format!("rule {}", rule.key)),
    };
    let mut causes: Vec<String> = side.causes(line).into_iter().filter_map(cause).collect();
    causes.retain(|cause| seen.insert(cause.clone()));
    truncate_list(causes, CAUSES)
}

impl Block<'_> {
    fn has_group_subject(&self) -> bool {
        let mut members = self.members.iter();
        members.any(|subject| matches!(subject, ComparisonSubject::Every(_)))
    }

    /// Whether what opens has one cause, what closes has one, and a sentence can hold it.
    fn is_one_sentence(&self) -> bool {
        let has_one_cause = |effect: Effect| {
            let clauses = self.clauses.iter().filter(|c| c.effect == effect);
            let causes: BTreeSet<&[String]> = clauses.map(|c| &c.causes[..]).collect();
            causes.len() <= 1 && causes.iter().all(|causes| causes.len() <= 1)
        };
        let certain = self.direction.is_some() && self.clauses.len() <= CLAUSES;
        certain && has_one_cause(Effect::Opens) && has_one_cause(Effect::Closes)
    }

    /// Its condition, as it follows what it is the condition of.
    fn condition(&self) -> String {
        let condition = self.condition.map(sanitize);
        condition.map_or_else(String::new, |condition| format!(", {condition}"))
    }
}

/// `db-1 (eu-central-1) is wider: tcp/5432 (postgres) opens to office (256 addresses), by firewall.toml:14.`
fn sentence(block: &Block<'_>, equal: usize) -> String {
    let is = if block.members.len() == 1 {
        "is"
    } else {
        "are"
    };
    let mut parts = Vec::new();
    for effect in [Effect::Opens, Effect::Closes] {
        let mut clauses = block.clauses.iter().filter(|c| c.effect == effect);
        parts.extend(clauses.clone().map(Clause::text));
        // All of them have this cause, or none has one.
        if let Some([cause]) = clauses.next_back().map(|clause| &clause.causes[..])
            && let Some(part) = parts.last_mut()
        {
            let _ = write!(part, ", by {cause}");
        }
    }
    let others = match equal {
        0 => String::new(),
        1 => "; the other instance is equal".to_owned(),
        n => format!("; the {n} other instances are equal"),
    };
    format!(
        "{BOLD}{}{BOLD:#} {is} {}{}: {}{others}.\n",
        join_and(&subject_names(&block.members)),
        direction_text(block.direction),
        block.condition(),
        parts.join("; "),
    )
}

impl Clause {
    fn text(&self) -> String {
        let one = matches!(&self.ports[..], [ports] if !ports.ends_with("protocols") && !ports.contains(", "));
        let verb = match (self.effect, one) {
            (Effect::Opens, true) => "opens",
            (Effect::Opens, false) => "open",
            (Effect::Closes, true) => "closes",
            (Effect::Closes, false) => "close",
            (Effect::Doubt, true) => "is perhaps open",
            (Effect::Doubt, false) => "are perhaps open",
        };
        format!("{} {verb} to {}", join_and(&self.ports), self.sources_name)
    }
}

/// A headline and a line for each clause.
fn write_block(text: &mut String, block: &Block<'_>) {
    let names = subject_names(&block.members).join(", ");
    let _ = writeln!(
        text,
        "{BOLD}{names}{BOLD:#}{}: {}",
        block.condition(),
        direction_text(block.direction)
    );
    for clause in &block.clauses {
        let (sign, style) = match clause.effect {
            Effect::Opens => ('+', GAIN),
            Effect::Closes => ('-', LOSS),
            Effect::Doubt => ('?', DOUBT),
        };
        let _ = write!(
            text,
            "  {style}{sign}{style:#} {} from {}",
            clause.ports.join(", "),
            clause.sources_name
        );
        if !clause.causes.is_empty() {
            let _ = write!(text, "  {DIM}{}{DIM:#}", clause.causes.join(", "));
        }
        text.push('\n');
    }
}

fn direction_text(direction: Option<Direction>) -> String {
    direction.map_or_else(|| "in doubt".to_owned(), |direction| direction.to_string())
}

fn subject_names(subjects: &[&ComparisonSubject]) -> Vec<String> {
    subjects
        .iter()
        .enumerate()
        .map(|(at, subject)| match subject {
            ComparisonSubject::Unnamed => "the firewall".to_owned(),
            ComparisonSubject::Every(instances) => sanitize(instances),
            ComparisonSubject::Instance(id) => {
                let next = subjects.get(at + 1).and_then(|next| next.id());
                let region_follows = next.is_some_and(|next| next.site() == id.site());
                if id.region.is_empty() || region_follows {
                    sanitize(&id.name)
                } else {
                    place(id)
                }
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
