//! The JSON reports of all shards of a run, joined into one.
//!
//! Owns the reading of our own reports and the question whether they belong together. Refuses a version that it does not
//! know, a report that is not of a shard, and to guess what a shard without a report would have said.

mod show;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::facts::Calls;
use super::json::{FORMAT, VERSION};
use super::prometheus::Counts;
pub use show::{json, markdown, text};
pub use wire::Merged;
use wire::{CallsDoc, Document, Head, ProblemDoc, ShardEnd, Summary};

/// One report, as it was read.
#[derive(Debug)]
pub struct Part {
    /// What it is called, such as the name of its file.
    name: String,
    index: u16,
    of: u16,
    document: Document,
}

impl Part {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the shard ended.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.document.exit_code
    }
}

/// Why reports cannot be joined. Displays as a fragment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// A text is no report.
    #[error("`{0}` is not a report of this program: {1}")]
    NoReport(String, String),
    /// A version that this program does not know.
    #[error("`{0}` is of version {1}, and this program reads version {VERSION}")]
    Version(String, u64),
    /// A report of a whole fleet.
    #[error("`{0}` is not the report of a shard")]
    Whole(String),
    /// A report whose numbers are not those of what it lists.
    #[error("`{0}` was changed: it lists {2} {1}, and its summary says {3}")]
    Sums(String, &'static str, usize, usize),
    /// Two reports that do not belong together.
    #[error("`{0}` and `{1}` do not belong together: {2}")]
    Apart(String, String, String),
}

/// Reads a report.
///
/// # Errors
/// Anything but a report of a shard in the version that this program writes, whose numbers are right.
pub fn read(name: &str, text: &str) -> Result<Part, MergeError> {
    let no_report = |why: String| MergeError::NoReport(name.to_owned(), why);
    let head: Head = serde_json::from_str(text).map_err(|error| no_report(error.to_string()))?;
    if head.format != FORMAT {
        return Err(no_report(format!("`format` is `{}`", head.format)));
    }
    if head.version != u64::from(VERSION) {
        return Err(MergeError::Version(name.to_owned(), head.version));
    }
    let document: Document =
        serde_json::from_str(text).map_err(|error| no_report(error.to_string()))?;
    if let Some((what, listed, said)) = document.wrong_sum() {
        return Err(MergeError::Sums(name.to_owned(), what, listed, said));
    }
    let Some(shard) = document.shard.clone() else {
        return Err(MergeError::Whole(name.to_owned()));
    };
    if shard.index < 1 || shard.index > shard.of {
        return Err(no_report(format!(
            "there is no shard {}/{}",
            shard.index, shard.of
        )));
    }
    Ok(Part {
        name: name.to_owned(),
        index: shard.index,
        of: shard.of,
        document,
    })
}

/// Joins reports. The exit code of the whole is `exit`'s answer to the endings of all shards, `None` for one without a
/// report, and to whether any of them wrote.
///
/// # Errors
/// No report at all, twice the same shard, another number of shards, another verb, another configuration, or an instance
/// that is in two reports.
pub fn join(mut parts: Vec<Part>, exit: impl Fn(&[Ending]) -> u8) -> Result<Merged, MergeError> {
    parts.sort_by_key(|part| part.index);
    for pair in parts.windows(2) {
        belongs(&parts[0], &pair[1])?;
        if pair[0].index == pair[1].index {
            let why = format!("both are of shard {}/{}", pair[1].index, pair[1].of);
            return Err(apart(&pair[0], &pair[1], why));
        }
    }
    // A shard that failed early did not read its configuration; all that did must have read the same.
    let mut read = parts.iter().filter(|part| part.document.config.is_some());
    if let Some(first) = read.next()
        && let Some(other) = read.find(|part| part.document.config != first.document.config)
    {
        return Err(apart(
            first,
            other,
            "their configurations differ".to_owned(),
        ));
    }
    twice(&parts)?;
    let Some(first) = parts.first() else {
        let why = "there is none".to_owned();
        return Err(MergeError::NoReport(String::new(), why));
    };
    let (of, verb) = (first.of, first.document.verb.clone());
    let by_index: BTreeMap<u16, &Part> = parts.iter().map(|part| (part.index, part)).collect();
    let endings: Vec<Ending> = (1..=of)
        .map(|index| Ending::of(index, by_index.get(&index).copied()))
        .collect();
    let exit_code = exit(&endings);
    Ok(Merged::joined(of, &verb, exit_code, &endings, parts))
}

/// How one shard ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Which, from 1.
    pub index: u16,
    /// Its exit code; `None` where there is no report.
    pub code: Option<u8>,
    /// Whether it wrote something that stayed.
    pub wrote: bool,
    /// Whether its code comes from instances that it tried and that ended badly, and from nothing else.
    pub only_instances: bool,
}

impl Ending {
    fn of(index: u16, part: Option<&Part>) -> Self {
        let Some(Part { document, .. }) = part else {
            return Self {
                index,
                code: None,
                wrote: false,
                only_instances: false,
            };
        };
        let outcomes = || {
            document
                .instances
                .iter()
                .map(|instance| &instance["outcome"])
        };
        let wrote = outcomes().any(|outcome| {
            outcome["writes"].as_u64().is_some_and(|writes| writes > 0)
                && outcome["status"] != "reverted"
        });
        let tried = outcomes().any(|outcome| !outcome.is_null());
        let refused = document.instances.iter().any(|i| i["verdict"] == "refused");
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

fn belongs(first: &Part, other: &Part) -> Result<(), MergeError> {
    let why = if first.of != other.of {
        format!("one of {} shards, and one of {}", first.of, other.of)
    } else if first.document.verb != other.document.verb {
        let (a, b) = (&first.document.verb, &other.document.verb);
        format!("`{a}` made one, and `{b}` the other")
    } else {
        return Ok(());
    };
    Err(apart(first, other, why))
}

fn apart(a: &Part, b: &Part, why: String) -> MergeError {
    MergeError::Apart(a.name.clone(), b.name.clone(), why)
}

/// An instance belongs to one shard.
fn twice(parts: &[Part]) -> Result<(), MergeError> {
    let mut seen = BTreeMap::<[&str; 3], &Part>::new();
    for part in parts {
        let document = &part.document;
        let unread = document.unreadable.iter().chain(&document.undecided);
        for instance in document.instances.iter().chain(unread) {
            let id = place(instance);
            if let Some(other) = seen.insert(id, part) {
                let why = format!("both have the instance {}", id.join("/"));
                return Err(apart(other, part, why.replace(" /", " ")));
            }
        }
    }
    Ok(())
}

/// Account, region and name, which is the order of everything that is listed.
fn place(value: &Value) -> [&str; 3] {
    ["account", "region", "name"].map(|member| value[member].as_str().unwrap_or_default())
}

impl Merged {
    fn joined(of: u16, verb: &str, exit_code: u8, endings: &[Ending], parts: Vec<Part>) -> Self {
        let mut merged = Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            tool: concat!("portward ", env!("CARGO_PKG_VERSION")).to_owned(),
            verb: verb.to_owned(),
            exit_code,
            ..Self::default()
        };
        for ending in endings {
            merged.shards.push(ShardEnd {
                index: ending.index,
                exit_code: ending.code,
            });
            if ending.code.is_none() {
                merged.add_error(format!("shard {}/{of} has no report", ending.index));
            }
        }
        for part in parts {
            merged.add(part);
        }
        merged.tidy();
        merged
    }

    fn add(&mut self, part: Part) {
        let Part {
            name: _,
            index,
            of,
            document,
        } = part;
        if let Some(error) = document.error {
            self.add_error(format!("shard {index}/{of}: {}", error.message));
        }
        self.config = self.config.take().or(document.config);
        self.interrupted |= document.interrupted;
        for note in document.environment {
            if !self.environment.contains(&note) {
                self.environment.push(note);
            }
        }
        self.problems.extend(document.problems);
        self.refusals.extend(document.refusals);
        self.violations.extend(document.violations);
        self.overrides.extend(document.overrides);
        self.summary.add(&document.summary);
        self.instances.extend(document.instances);
        self.unreadable.extend(document.unreadable);
        self.undecided.extend(document.undecided);
        self.regions_unreadable.extend(document.regions_unreadable);
        self.missing.extend(document.missing);
        self.not_planned.extend(document.not_planned);
        self.undeclared.extend(document.undeclared);
        self.expiring.extend(document.expiring);
        self.notes.extend(document.notes);
        self.seen_in_bulk.extend(document.seen_in_bulk);
        if let Some(needed) = document.needed {
            self.needed.get_or_insert_default().add(&needed);
        }
        for calls in document.api_calls {
            match self.api_calls.iter_mut().find(|c| c.action == calls.action) {
                Some(known) => known.add(&calls),
                None => self.api_calls.push(calls),
            }
        }
    }

    /// The first error is the one of the whole, like that of a run, and the others are problems.
    fn add_error(&mut self, message: String) {
        let error = ProblemDoc::error(message);
        if self.error.is_none() {
            self.error = Some(error);
        } else {
            self.problems.push(error);
        }
    }

    /// What every shard says is said once, and everything is in the order of a single run.
    fn tidy(&mut self) {
        once(&mut self.regions_unreadable, |region| {
            place(region).map(str::to_owned)
        });
        self.summary.unreadable = self.unreadable.len() + self.regions_unreadable.len();
        for list in [
            &mut self.refusals,
            &mut self.violations,
            &mut self.overrides,
            &mut self.notes,
            &mut self.expiring,
        ] {
            once(list, ToString::to_string);
        }
        for list in [
            &mut self.instances,
            &mut self.seen_in_bulk,
            &mut self.unreadable,
            &mut self.undecided,
            &mut self.regions_unreadable,
            &mut self.not_planned,
            &mut self.undeclared,
        ] {
            list.sort_by(|a, b| place(a).cmp(&place(b)));
        }
        let mut seen = BTreeSet::new();
        self.problems.retain(|problem| seen.insert(problem.clone()));
        // As the policies of a single run are told.
        self.violations.sort_by_cached_key(|violation| {
            let text = |member: &str| violation[member].as_str().map(str::to_owned);
            let refuses = violation["refuses"] == true;
            let seen = ["introduced", "existing", "live", "declared"];
            let seen = seen.iter().position(|seen| violation["seen"] == *seen);
            let instance = place(&violation["instance"]).map(str::to_owned);
            (!refuses, text("severity"), seen, text("policy"), instance)
        });
        // Those of instances, then those of the whole, which each shard has its own of.
        self.refusals.sort_by_cached_key(|refusal| {
            let instance = &refusal["instance"];
            (instance.is_null(), place(instance).map(str::to_owned))
        });
        let at = |value: &Value| {
            let text = |member: &str| value[member].as_str().unwrap_or_default().to_owned();
            let number = |member: &str| value[member].as_u64();
            (text("file"), number("line"), number("column"), text("name"))
        };
        self.missing.sort_by_key(at);
        self.expiring.sort_by_key(at);
        self.api_calls.sort_by(|a, b| a.action.cmp(&b.action));
    }

    /// The exit code of the whole.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// The verb of the shards.
    #[must_use]
    pub fn verb(&self) -> &str {
        &self.verb
    }

    /// How many of each there are; `None` where no shard had an answer.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        let Summary {
            in_sync,
            incomplete,
            missing,
            undeclared,
            ..
        } = self.summary;
        let differing = |instance: &&Value| {
            !matches!(instance["verdict"].as_str(), Some("in-sync" | "incomplete"))
        };
        let applied = self.instances.iter().filter(differing).filter(|instance| {
            let status = instance["outcome"]["status"].as_str();
            matches!(status, Some("applied" | "repaired" | "already-applied"))
                && instance["stillOpen"].is_null()
        });
        let applied = applied.count();
        let severity = |severity: &str| {
            let violations = self.violations.iter();
            violations.filter(|v| v["severity"] == severity).count()
        };
        self.error.is_none().then(|| Counts {
            in_sync: in_sync + applied,
            differing: self.instances.iter().filter(differing).count() - applied,
            incomplete,
            unreadable: self.unreadable.len(),
            undecided: self.undecided.len(),
            regions_unreadable: self.regions_unreadable.len(),
            undeclared,
            missing,
            expiring: self.expiring.len(),
            denied: severity("deny"),
            warned: severity("warn"),
        })
    }

    /// The calls of all shards.
    #[must_use]
    pub fn calls(&self) -> Vec<Calls> {
        let calls = self.api_calls.iter().map(|calls: &CallsDoc| Calls {
            action: calls.action.clone(),
            answered: calls.answered,
            throttled: calls.throttled,
            failed: calls.failed,
        });
        calls.collect()
    }
}

/// Keeps the first of those that are alike.
fn once<K: Ord>(list: &mut Vec<Value>, key: impl Fn(&Value) -> K) {
    let mut seen = BTreeSet::new();
    list.retain(|value| seen.insert(key(value)));
}
