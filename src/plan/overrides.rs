//! Consent that is part of a plan: which guard was told that what it refuses is meant.
//!
//! Owns the names of the guards and the shape of consent. Does not judge whether it was needed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Code;

/// A guard by name.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum GuardName {
    /// Nobody is locked out.
    Lockout,
    /// Not too much changes in one run.
    BlastRadius,
    /// No instance is left without rules.
    Empty,
    /// Nobody has changed what a run left before that run is rolled back.
    ChangedSince,
}

impl GuardName {
    /// Every guard, in order.
    pub const ALL: [Self; 4] = [
        Self::Lockout,
        Self::BlastRadius,
        Self::Empty,
        Self::ChangedSince,
    ];

    /// As the command line and files spell it.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The code of what it refuses.
    pub fn code(self) -> Code {
        match self {
            Self::Lockout => Code::Lockout,
            Self::BlastRadius => Code::BlastRadius,
            Self::Empty => Code::Empty,
            Self::ChangedSince => Code::ChangedSince,
        }
    }

    /// The guard of this name, to the letter.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|guard| guard.as_str() == name)
    }
}

impl fmt::Display for GuardName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Consent to what a guard refuses, given when the plan was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Which guard.
    pub guard: GuardName,
    /// A pattern of instances by `name` or `region/name`; `None` is the whole run.
    pub selector: Option<String>,
    /// Why it is meant, in the words of whoever gave it.
    pub reason: String,
}
