//! The plan as a file: what was reviewed is what is applied, or nothing is.
//!
//! Owns the format. A file is one JSON document (`"format": "portward.plan"`, `"version": 1`), indented by two spaces, with
//! a final newline. Every member is always there, in the order in which [`write()`] puts it, `null` where it has no value;
//! the name of an account, the shard and the instant of a preview are left out where there is none.
//!
//! Its `digest` is `sha256:` and the SHA-256 of the *canonical bytes*: the same document without the member `digest`, with
//! no white space between tokens, and otherwise the same tokens in the same order. A text that is not byte for byte what
//! [`write()`] makes of the plan in it is refused, so no change goes unseen: not a value, not a member that is added, left
//! out or doubled, not a blank. Whoever can also replace the digest is stopped by the one that was noted at review.
//!
//! It holds no credentials, nothing of the environment and no replies, but for live entries that cannot be read for
//! certain: those stand there to the letter, since a plan is for exactly these rules. Does not know a clock and a disk:
//! the time and the text are passed in.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::Plan;
use super::lint::{self, Defect};
use crate::model::{Fingerprint, Guard, Shard, instant, sanitize_line};

/// What `format` says.
pub const FORMAT: &str = "portward.plan";

/// The version that this program writes and reads.
pub const VERSION: u32 = 1;

/// How long a plan is valid where nobody says: a working day and the night after it.
pub const VALID_FOR: Duration = Duration::hours(24);

/// A plan and what it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlanFile {
    /// The program that made it, such as `portward 0.1.0`.
    pub tool: String,
    /// When it was made.
    #[serde(with = "instant")]
    #[cfg_attr(test, schemars(with = "instant::Instant"))]
    pub made_at: OffsetDateTime,
    /// The first instant at which it is no longer valid.
    #[serde(with = "instant")]
    #[cfg_attr(test, schemars(with = "instant::Instant"))]
    pub valid_until: OffsetDateTime,
    /// The texts of the configuration.
    pub config: Fingerprint,
    /// What was looked at.
    pub scope: Scope,
    /// The limits by which its guards were judged.
    pub guard: Guard,
    /// The plan.
    pub plan: Plan,
}

/// What was looked at when a plan was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scope {
    /// The account of the instances; `None` where there are none, and where the configuration names accounts.
    pub account: Option<String>,
    /// The accounts that the configuration names, each with its id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accounts: BTreeMap<String, String>,
    /// The regions.
    pub regions: Vec<String>,
    /// The selectors that narrowed it; none is everything.
    pub targets: Vec<String>,
    /// How many instances are declared, before it was narrowed.
    pub declared: usize,
    /// The part of it that was looked at, where the work was shared. The guards' limits are those of the part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The instant that it is a preview of; `None` where it is for now. Such a plan is for an emulator only.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "instant::option"
    )]
    #[cfg_attr(test, schemars(with = "Option<instant::Instant>"))]
    pub as_of: Option<OffsetDateTime>,
    /// Whether access may be granted and revoked for a time, so that others are to be expected to write meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leases: bool,
}

impl PlanFile {
    /// A plan made by this program.
    pub fn new(
        plan: Plan,
        scope: Scope,
        guard: Guard,
        config: Fingerprint,
        made_at: OffsetDateTime,
        valid_until: OffsetDateTime,
    ) -> Self {
        Self {
            tool: concat!("portward ", env!("CARGO_PKG_VERSION")).to_owned(),
            made_at,
            valid_until,
            config,
            scope,
            guard,
            plan,
        }
    }

    /// The plan, ready to be carried out: equal to the one that was written.
    pub fn plan(&self) -> Plan {
        self.plan.clone()
    }

    /// The digest of this plan.
    pub fn digest(&self) -> Fingerprint {
        Fingerprint::of(json(serde_json::to_string(&document(self, None))))
    }
}

/// Until when a plan made `now` is valid: for `valid_for` at most, and not past `ends`, the next instant at which a declared
/// rule ends ([`Desired::ends_next`](crate::model::Desired::ends_next)), since from then on another plan would be made.
pub fn valid_until(
    ends: Option<OffsetDateTime>,
    now: OffsetDateTime,
    valid_for: Duration,
) -> OffsetDateTime {
    let latest = now.checked_add(valid_for).unwrap_or(now);
    ends.map_or(latest, |ends| ends.min(latest))
}

/// Why a text is not a plan to be carried out. All of it is found before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanFileError {
    /// No JSON, or a document of another format.
    #[error("not a portward plan: {0}")]
    NotAPlan(String),
    /// A version of the format that this program does not know.
    #[error("plan version {0} is not known to this program, which reads version {VERSION}")]
    Version(u64),
    /// A member is unknown, missing, there twice, or holds what it cannot hold.
    #[error("the plan is damaged: {0}")]
    Member(String),
    /// The digest is not that of the rest.
    #[error(
        "the plan was changed after it was made: its digest is `{found}`, and the file says `{said}`"
    )]
    Digest {
        /// What the digest would be.
        found: Fingerprint,
        /// What the file says.
        said: String,
    },
    /// It is another plan than the one that was asked for.
    #[error("this is not the plan that was asked for: its digest is `{found}`, not `{asked}`")]
    Unexpected {
        /// The digest of the file.
        found: Fingerprint,
        /// What was asked for.
        asked: String,
    },
    /// It is no longer valid.
    #[error("the plan was valid until {}", instant::show(*.0))]
    Expired(OffsetDateTime),
    /// The text is not what this program would have written.
    #[error("the plan was changed after it was made: line {0} is not as this program writes it")]
    NotAsWritten(usize),
    /// It contradicts itself. Never empty.
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

/// What stands before a plan, in every version.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
    digest: Option<String>,
}

/// A plan file as it is written.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Document<'a> {
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

fn document(file: &PlanFile, digest: Option<Fingerprint>) -> Document<'_> {
    Document {
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

/// Reads a plan file that may be carried out at this instant.
///
/// `expected` is the digest that was noted at review, if any; `sha256:` may be left out and letters may be of either case.
///
/// # Errors
/// Anything at all that is not as it was written, or a plan that is no longer valid or contradicts itself.
pub fn parse(
    text: &str,
    now: OffsetDateTime,
    expected: Option<&str>,
) -> Result<PlanFile, PlanFileError> {
    let head: Head =
        serde_json::from_str(text).map_err(|error| PlanFileError::NotAPlan(error.to_string()))?;
    if head.format != FORMAT {
        let message = format!(
            "`format` is `{}`, not `{FORMAT}`",
            sanitize_line(&head.format)
        );
        return Err(PlanFileError::NotAPlan(message));
    }
    if head.version != u64::from(VERSION) {
        return Err(PlanFileError::Version(head.version));
    }
    let damaged = |why: String| PlanFileError::Member(sanitize_line(&why).into_owned());
    let file: PlanFile = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
    let said = head
        .digest
        .ok_or_else(|| damaged("it has no digest".to_owned()))?;
    let found = file.digest();
    if said != found.to_string() {
        let said = sanitize_line(&said).into_owned();
        return Err(PlanFileError::Digest { found, said });
    }
    if let Some(asked) = expected
        && asked.parse() != Ok(found)
    {
        let asked = sanitize_line(asked).into_owned();
        return Err(PlanFileError::Unexpected { found, asked });
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
