//! Plan files, so that exactly the reviewed plan is applied.
//!
//! Owns the format. A file is one JSON document (`"format": "portward.plan"`, `"version": 1`), indented by two spaces, with a
//! final newline. Every member is present, in the order of [`write()`], and `null` if it has no value; only the name of an account, the
//! shard and the time of a preview are left out if there is none.
//!
//! Its `digest` is `sha256:` and the SHA-256 of the *canonical bytes*: the same document without the member `digest` and without
//! white space between tokens. A text that is not byte for byte what [`write()`] makes of its plan is refused, so every change is
//! detected: a value, an added, missing or repeated member, a space. The digest that was noted at review detects an
//! attacker who replaces the digest too.
//!
//! A file contains no credentials, nothing of the environment and no responses except uncertain live entries, which it contains
//! exactly as they were returned, because the plan is for exactly these rules. Does not know a clock or a disk: the time and the
//! text are passed in.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::Plan;
use super::lint::{self, Defect};
use crate::model::{Fingerprint, Guard, Shard, instant, sanitize_line};

/// The value of `format`.
pub const FORMAT: &str = "portward.plan";

/// The version of the format that this program writes and reads.
pub const VERSION: u32 = 1;

/// The name and version of this program.
pub const TOOL: &str = concat!("portward ", env!("CARGO_PKG_VERSION"));

/// A plan with the facts that it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlanFile {
    /// The program that made the plan, such as `portward 0.1.0`.
    pub tool: String,
    /// The time at which the plan was made.
    #[serde(with = "instant")]
    #[cfg_attr(test, schemars(with = "instant::Instant"))]
    pub made_at: OffsetDateTime,
    /// The first instant at which the plan is not valid.
    #[serde(with = "instant")]
    #[cfg_attr(test, schemars(with = "instant::Instant"))]
    pub valid_until: OffsetDateTime,
    /// The fingerprint of all files of the configuration.
    pub config: Fingerprint,
    /// The part of the fleet that was planned.
    pub scope: Scope,
    /// The limits that the guards applied.
    pub guard: Guard,
    /// The plan.
    pub plan: Plan,
}

/// The part of the fleet that a plan is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scope {
    /// The account of the instances; `None` if there are no instances, or if the configuration names accounts.
    pub account: Option<String>,
    /// The accounts of the configuration, by name, with their IDs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<String, String>,
    /// The regions.
    pub regions: Vec<String>,
    /// The selectors that restrict the instances; empty if there is no restriction.
    pub targets: Vec<String>,
    /// The number of declared instances, before any restriction.
    pub declared: usize,
    /// The shard, if the work is shared. The limits of the guards are those of the shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The time that the plan is a preview of; `None` if it is for now. A preview can be applied to an emulator only.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "instant::option"
    )]
    #[cfg_attr(test, schemars(with = "Option<instant::Instant>"))]
    pub as_of: Option<OffsetDateTime>,
    /// Whether the configuration permits leases, so that other writers are expected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leases: bool,
}

impl PlanFile {
    /// The digest of this plan.
    pub fn digest(&self) -> Fingerprint {
        Fingerprint::of(json(serde_json::to_string(&document(self, None))))
    }
}

/// The end of the validity of a plan that is made `now`: after `valid_for`, or at `ends`, the next end of a declared rule
/// ([`Desired::next_expiry`](crate::model::Desired::next_expiry)), because the desired state changes then.
pub fn valid_until(
    ends: Option<OffsetDateTime>,
    now: OffsetDateTime,
    valid_for: Duration,
) -> OffsetDateTime {
    let latest = now.checked_add(valid_for).unwrap_or(now);
    ends.map_or(latest, |ends| ends.min(latest))
}

/// Why a text is not a plan that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanFileError {
    /// The text is not JSON, or a document of another format.
    #[error("not a portward plan: {0}")]
    NotAPlan(String),
    /// The version of the format is unknown.
    #[error("unknown plan version {0}: this program reads version {VERSION}")]
    Version(u64),
    /// A member is unknown, missing, repeated, or has an invalid value.
    #[error("the plan is damaged: {0}")]
    Member(String),
    /// The digest does not match the rest of the file.
    #[error(
        "the plan was changed after it was made: its digest is `{found}`, and the file says `{stated}`"
    )]
    Digest {
        /// The digest of the content.
        found: Fingerprint,
        /// The digest in the file.
        stated: String,
    },
    /// The plan is not the expected one.
    #[error("this is not the expected plan: its digest is `{found}`, not `{expected}`")]
    Unexpected {
        /// The digest of the content.
        found: Fingerprint,
        /// The expected digest.
        expected: String,
    },
    /// The plan has expired.
    #[error("the plan was valid until {}", instant::format(*.0))]
    Expired(OffsetDateTime),
    /// The text differs from what this program writes.
    #[error("the plan was changed after it was made: line {0} is not as this program writes it")]
    NotAsWritten(usize),
    /// The plan has defects. Never empty.
    #[error("the plan contradicts itself: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Lint(Vec<Defect>),
}

impl PlanFileError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotAPlan(_) => "a plan is written by `plan --out FILE`",
            Self::Version(_) => "make the plan with the version of this program that applies it",
            Self::Unexpected { .. } => "apply the file that was reviewed, or review this one",
            Self::Expired(_) => "make a new plan; `--valid-for` sets how long one is good",
            Self::Member(_) | Self::Digest { .. } | Self::NotAsWritten(_) | Self::Lint(_) => {
                "make a new plan: a plan is never edited"
            }
        }
    }
}

/// The members that every version has.
#[derive(Deserialize)]
struct Header {
    format: String,
    version: u64,
    digest: Option<String>,
}

/// A plan file as it is written.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PlanDocument<'a> {
    #[cfg_attr(test, schemars(extend("const" = FORMAT)))]
    format: &'static str,
    #[cfg_attr(test, schemars(extend("const" = VERSION)))]
    version: u32,
    /// SHA-256 of this document without this member and without white space.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Fingerprint>,
    #[serde(flatten)]
    file: &'a PlanFile,
}

fn document(file: &PlanFile, digest: Option<Fingerprint>) -> PlanDocument<'_> {
    PlanDocument {
        format: FORMAT,
        version: VERSION,
        digest,
        file,
    }
}

/// The text of a plan file. The same plan always has the same text.
pub fn write(file: &PlanFile) -> String {
    let document = document(file, Some(file.digest()));
    let mut text = json(serde_json::to_string_pretty(&document));
    text.push('\n');
    text
}

/// Parses a plan file and checks that it may be carried out at this instant.
///
/// `expected` is the digest that was noted at review, if any; `sha256:` may be left out, and letters may be of either case.
///
/// # Errors
/// The text was changed after it was written, or the plan has expired or has defects.
pub fn parse(
    text: &str,
    now: OffsetDateTime,
    expected: Option<&str>,
) -> Result<PlanFile, PlanFileError> {
    let header: Header =
        serde_json::from_str(text).map_err(|error| PlanFileError::NotAPlan(error.to_string()))?;
    if header.format != FORMAT {
        let message = format!(
            "`format` is `{}`, not `{FORMAT}`",
            sanitize_line(&header.format)
        );
        return Err(PlanFileError::NotAPlan(message));
    }
    if header.version != u64::from(VERSION) {
        return Err(PlanFileError::Version(header.version));
    }
    let damaged = |why: String| PlanFileError::Member(sanitize_line(&why).into_owned());
    let file: PlanFile = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
    let stated = header
        .digest
        .ok_or_else(|| damaged("it has no digest".to_owned()))?;
    let found = file.digest();
    if stated != found.to_string() {
        let stated = sanitize_line(&stated).into_owned();
        return Err(PlanFileError::Digest { found, stated });
    }
    if let Some(expected) = expected
        && expected.parse() != Ok(found)
    {
        let expected = sanitize_line(expected).into_owned();
        return Err(PlanFileError::Unexpected { found, expected });
    }
    let again = write(&file);
    if again != text {
        return Err(PlanFileError::NotAsWritten(first_difference(&again, text)));
    }
    if file.valid_until <= now {
        return Err(PlanFileError::Expired(file.valid_until));
    }
    let defects = lint::lint(&file.plan);
    if !defects.is_empty() {
        return Err(PlanFileError::Lint(defects));
    }
    Ok(file)
}

/// The first line in which two different texts differ, from 1.
fn first_difference(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b);
    1 + same.filter(|(byte, _)| *byte == b'\n').count()
}

fn json(text: serde_json::Result<String>) -> String {
    text.expect("strings and numbers are always JSON")
}
