//! The JSON reports of all shards of a run, joined into one.
//!
//! Owns the reading of our own reports and the question whether they belong together. Refuses a version that it does not
//! know, or a report that is not of a shard. Does not assume anything about a shard without a report.

mod show;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::json::{self, FORMAT, Problem, ReportDocument, ShardEnd, Summary, VERSION};
use super::prometheus::InstanceCounts;
use crate::model::{Calls, Code, InstanceId, Shard, sanitize_line};
use crate::plan::OutcomeStatus;
use crate::policy::{Refusal, Subject, Violation};
pub(crate) use show::{brief, markdown, text};

/// The members of every version.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

/// One report, as it was read.
#[derive(Debug)]
pub(crate) struct ShardReport {
    /// Its name, such as that of its file.
    name: String,
    shard: Shard,
    document: ReportDocument<'static>,
}

impl ShardReport {
    /// The name of its file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The outcome of the shard.
    pub(crate) fn exit_code(&self) -> u8 {
        self.document.exit_code
    }
}

/// Why reports cannot be joined. Displays as a fragment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MergeError {
    /// A text is no report.
    #[error("`{0}` is not a report of this program: {1}")]
    NotAReport(String, String),
    /// A version that this program does not know.
    #[error("`{0}` is of version {1}, and this program reads version {VERSION}")]
    Version(String, u64),
    /// A report of a whole fleet.
    #[error("`{0}` is not the report of a shard")]
    NotAShard(String),
    /// A report whose numbers are not those of what it lists.
    #[error("`{0}` was changed: it lists {2} {1}, and its summary says {3}")]
    WrongSums(String, &'static str, usize, usize),
    /// Two reports that do not belong together.
    #[error("`{0}` and `{1}` do not belong together: {2}")]
    Mismatch(String, String, String),
}

/// Reads a report.
///
/// # Errors
/// Anything but a report of a shard in the version that this program writes, whose numbers are right.
pub(crate) fn read(name: &str, text: &str) -> Result<ShardReport, MergeError> {
    let no_report = |reason: String| {
        MergeError::NotAReport(name.to_owned(), sanitize_line(&reason).into_owned())
    };
    let head: Head = serde_json::from_str(text).map_err(|error| no_report(error.to_string()))?;
    if head.format != FORMAT {
        return Err(no_report(format!("`format` is `{}`", head.format)));
    }
    if head.version != u64::from(VERSION) {
        return Err(MergeError::Version(name.to_owned(), head.version));
    }
    let document: ReportDocument<'static> =
        serde_json::from_str(text).map_err(|error| no_report(error.to_string()))?;
    let listed = Summary::of(&document, true).numbers();
    let mut numbers = listed.into_iter().zip(document.summary.numbers());
    if let Some(((what, listed), (_, summed))) = numbers.find(|(listed, summed)| listed != summed) {
        return Err(MergeError::WrongSums(name.to_owned(), what, listed, summed));
    }
    let Some(shard) = document.shard else {
        return Err(MergeError::NotAShard(name.to_owned()));
    };
    Ok(ShardReport {
        name: name.to_owned(),
        shard,
        document,
    })
}

/// Joins reports. The exit code of the whole is `exit`'s answer to the endings of all shards, `None` for one without a
/// report, and to whether any of them wrote.
///
/// # Errors
/// No report at all, twice the same shard, another number of shards, another verb, another configuration, or an instance
/// that is in two reports.
pub(crate) fn join(
    mut parts: Vec<ShardReport>,
    exit: impl Fn(&[ShardEnding]) -> u8,
) -> Result<Merged, MergeError> {
    parts.sort_by_key(|part| part.shard);
    for pair in parts.windows(2) {
        check_same_run(&parts[0], &pair[1])?;
        if pair[0].shard == pair[1].shard {
            let reason = format!("both are of shard {}", pair[1].shard);
            return Err(mismatch(&pair[0], &pair[1], reason));
        }
    }
    // A shard that failed early did not read its configuration; all that did must have read the same.
    let mut read = parts.iter().filter(|part| part.document.config.is_some());
    if let Some(first) = read.next()
        && let Some(other) = read.find(|part| part.document.config != first.document.config)
    {
        return Err(mismatch(
            first,
            other,
            "their configurations differ".to_owned(),
        ));
    }
    check_no_instance_twice(&parts)?;
    let Some(first) = parts.first() else {
        let reason = "there is none".to_owned();
        return Err(MergeError::NotAReport(String::new(), reason));
    };
    let (of, verb) = (first.shard.of(), first.document.verb.clone());
    let by_index: BTreeMap<u16, &ShardReport> = parts
        .iter()
        .map(|part| (part.shard.index(), part))
        .collect();
    let endings: Vec<ShardEnding> = (1..=of)
        .map(|index| ShardEnding::of(index, by_index.get(&index).copied()))
        .collect();
    let exit_code = exit(&endings);
    Ok(Merged::new(of, verb, exit_code, &endings, parts))
}

/// The outcome of one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardEnding {
    /// Its index, from 1.
    pub index: u16,
    /// Its exit code; `None` where there is no report.
    pub code: Option<u8>,
    /// Whether it wrote something that stayed.
    pub wrote: bool,
    /// Whether its code comes from instances that it tried and that ended badly, and from nothing else.
    pub only_instances: bool,
}

impl ShardEnding {
    fn of(index: u16, part: Option<&ShardReport>) -> Self {
        let Some(ShardReport { document, .. }) = part else {
            return Self {
                index,
                code: None,
                wrote: false,
                only_instances: false,
            };
        };
        let outcomes = || document.instances.iter().flat_map(|i| &i.outcome);
        let wrote = outcomes()
            .any(|outcome| outcome.writes > 0 && outcome.status != OutcomeStatus::Reverted);
        let tried = outcomes().next().is_some();
        let refused = document.summary.refused > 0;
        Self {
            index,
            code: Some(document.exit_code),
            wrote,
            only_instances: tried
                && !refused
                && document.error.is_none()
                && document.missing.is_empty(),
        }
    }
}

fn check_same_run(first: &ShardReport, other: &ShardReport) -> Result<(), MergeError> {
    let reason = if first.shard.of() != other.shard.of() {
        let (a, b) = (first.shard.of(), other.shard.of());
        format!("one of {a} shards, and one of {b}")
    } else if first.document.verb != other.document.verb {
        let (a, b) = (&first.document.verb, &other.document.verb);
        format!("`{a}` made one, and `{b}` the other")
    } else {
        return Ok(());
    };
    Err(mismatch(first, other, reason))
}

fn mismatch(a: &ShardReport, b: &ShardReport, reason: String) -> MergeError {
    MergeError::Mismatch(a.name.clone(), b.name.clone(), reason)
}

/// An instance belongs to one shard.
fn check_no_instance_twice(parts: &[ShardReport]) -> Result<(), MergeError> {
    let mut seen = BTreeMap::<&InstanceId, &ShardReport>::new();
    for part in parts {
        let document = &part.document;
        let unread = document.unreadable.iter().chain(&*document.undecided);
        let planned = document.instances.iter().map(|i| &i.plan.instance.id);
        for id in planned.chain(unread.map(|(id, _)| id)) {
            if let Some(other) = seen.insert(id, part) {
                return Err(mismatch(
                    other,
                    part,
                    format!("both have the instance {id}"),
                ));
            }
        }
    }
    Ok(())
}

/// The reports of all shards as one.
#[derive(Debug)]
pub(crate) struct Merged(ReportDocument<'static>);

/// The document, indented, with a final newline.
pub(crate) fn json(merged: &Merged) -> String {
    json::text(&merged.0)
}

impl Merged {
    fn new(
        of: u16,
        verb: Cow<'static, str>,
        exit_code: u8,
        endings: &[ShardEnding],
        parts: Vec<ShardReport>,
    ) -> Self {
        let mut merged = Self(ReportDocument {
            verb,
            exit_code,
            ..ReportDocument::empty()
        });
        for ending in endings {
            merged.0.shards.push(ShardEnd {
                index: ending.index,
                exit_code: ending.code,
            });
            if ending.code.is_none() {
                let message = format!("shard {}/{of} has no report", ending.index);
                merged.add_error(Code::Unreadable, message);
            }
        }
        for part in parts {
            merged.add(part);
        }
        merged.deduplicate_and_sort();
        merged
    }

    fn add(&mut self, part: ShardReport) {
        let ShardReport {
            shard, document, ..
        } = part;
        if let Some(error) = &document.error {
            self.add_error(error.code, format!("shard {shard}: {}", error.message));
        }
        let all = &mut self.0;
        all.config = all.config.or(document.config);
        all.interrupted |= document.interrupted;
        all.environment.extend(document.environment);
        extend(&mut all.problems, document.problems);
        extend(&mut all.refusals, document.refusals);
        extend(&mut all.violations, document.violations);
        extend(&mut all.overrides, document.overrides);
        all.instances.extend(document.instances);
        extend(&mut all.unreadable, document.unreadable);
        extend(&mut all.undecided, document.undecided);
        extend(&mut all.regions_unreadable, document.regions_unreadable);
        extend(&mut all.missing, document.missing);
        extend(&mut all.not_planned, document.not_planned);
        extend(&mut all.undeclared, document.undeclared);
        extend(&mut all.expiring, document.expiring);
        extend(&mut all.notes, document.notes);
        all.seen_in_bulk.extend(document.seen_in_bulk);
        all.summary.writes = all.summary.writes.or(document.summary.writes);
        if let Some(needed) = document.needed {
            all.needed.get_or_insert_default().add(needed);
        }
        let known = all.api_calls.to_mut();
        for calls in document.api_calls.into_owned() {
            match known.iter_mut().find(|c| c.action == calls.action) {
                Some(known) => known.add(&calls),
                None => known.push(calls),
            }
        }
    }

    /// The first error is the one of the whole, like that of a run, and the others are problems.
    fn add_error(&mut self, code: Code, message: String) {
        let error = Problem::error(code, message, None);
        if self.0.error.is_none() {
            self.0.error = Some(Cow::Owned(error));
        } else {
            self.0.problems.to_mut().push(error);
        }
    }

    /// Removes duplicates of several shards, and sorts everything as in a single run.
    fn deduplicate_and_sort(&mut self) {
        let all = &mut self.0;
        dedup_by_key(&mut all.environment, Clone::clone);
        dedup_by_key(all.problems.to_mut(), Clone::clone);
        dedup_by_key(all.regions_unreadable.to_mut(), |(site, _)| site.clone());
        dedup_by_key(all.overrides.to_mut(), Clone::clone);
        dedup_by_key(all.notes.to_mut(), Clone::clone);
        dedup_by_key(all.expiring.to_mut(), |rule| {
            (rule.origin.clone(), rule.until)
        });
        dedup_fleet_wide(all.refusals.to_mut(), |refusal| refusal.instance.is_none());
        dedup_fleet_wide(all.violations.to_mut(), |violation| {
            matches!(violation.subject, Subject::Table(_))
        });
        all.instances
            .sort_by(|a, b| a.plan.instance.id.cmp(&b.plan.instance.id));
        sort_by_subject(&mut all.unreadable);
        sort_by_subject(&mut all.undecided);
        sort_by_subject(&mut all.regions_unreadable);
        all.not_planned.to_mut().sort();
        all.undeclared.to_mut().sort_by(|a, b| a.id.cmp(&b.id));
        all.seen_in_bulk.sort();
        // As the policies of a single run are told.
        all.violations.to_mut().sort_by(Violation::order);
        // Those of instances, then those of the whole, which each shard has its own of.
        all.refusals.to_mut().sort_by(|a, b| {
            let place = |refusal: &Refusal| (refusal.instance.is_none(), refusal.instance.clone());
            place(a).cmp(&place(b))
        });
        all.missing
            .to_mut()
            .sort_by(|a, b| (&a.origin, &a.name).cmp(&(&b.origin, &b.name)));
        all.expiring
            .to_mut()
            .sort_by(|a, b| a.origin.cmp(&b.origin));
        all.api_calls
            .to_mut()
            .sort_by(|a, b| a.action.cmp(&b.action));
        all.summary = Summary::of(all, all.summary.writes.is_some());
    }

    /// The exit code of the whole.
    pub(crate) fn exit_code(&self) -> u8 {
        self.0.exit_code
    }

    /// The verb of the shards.
    pub(crate) fn verb(&self) -> &str {
        &self.0.verb
    }

    /// The number of each kind; `None` if a shard had no answer.
    pub(crate) fn counts(&self) -> Option<InstanceCounts> {
        let all = &self.0;
        all.error.is_none().then(|| InstanceCounts::of(all))
    }

    /// The calls of all shards.
    pub(crate) fn calls(&self) -> &[Calls] {
        &self.0.api_calls
    }
}

fn extend<T: Clone>(all: &mut Cow<'static, [T]>, more: Cow<'static, [T]>) {
    all.to_mut().extend(more.into_owned());
}

fn sort_by_subject<S: Clone + Ord, T: Clone>(list: &mut Cow<'static, [(S, T)]>) {
    list.to_mut().sort_by(|a, b| a.0.cmp(&b.0));
}

/// Keeps the first of those that are alike, of those that are about the whole: instances belong to one shard.
fn dedup_fleet_wide<T: PartialEq>(list: &mut Vec<T>, of_whole: impl Fn(&T) -> bool) {
    let (whole, rest): (Vec<T>, Vec<T>) = std::mem::take(list).into_iter().partition(of_whole);
    *list = rest;
    let from = list.len();
    for one in whole {
        if !list[from..].contains(&one) {
            list.push(one);
        }
    }
}

/// Keeps the first of those that are alike.
fn dedup_by_key<T, K: Ord>(list: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let mut seen = BTreeSet::new();
    list.retain(|value| seen.insert(key(value)));
}
