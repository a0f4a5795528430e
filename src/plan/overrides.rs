//! Overrides: consent to changes that a guard refuses, as part of a plan.
//!
//! Owns the names of the guards and the type of consent. Does not decide whether consent is needed.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use crate::model::Code;

/// The name of a guard.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum GuardName {
    /// Refuses to lock out all administrators of an instance.
    Lockout,
    /// Refuses to change too much in one run.
    BlastRadius,
    /// Refuses to leave an instance without rules.
    Empty,
    /// Refuses to roll back a run whose result somebody else has changed.
    ChangedSince,
}

impl GuardName {
    /// Its name on the command line and in files.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The code of its refusals.
    pub fn code(self) -> Code {
        match self {
            Self::Lockout => Code::Lockout,
            Self::BlastRadius => Code::BlastRadius,
            Self::Empty => Code::Empty,
            Self::ChangedSince => Code::ChangedSince,
        }
    }
}

/// Consent to a change that a guard refuses, given when the plan was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The guard.
    pub guard: GuardName,
    /// A pattern for `name` or `region/name` of instances; `None` is the whole run.
    pub selector: Option<String>,
    /// The reason, given by the user.
    pub reason: String,
}
