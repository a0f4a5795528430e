//! Declared rules.
//!
//! Owns a rule with what the configuration says about it, and its line. Does not know which instances have the rule.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Key, Sources, instant};

/// A place in a file, or a tag of an instance. Displays as `file:line`, or as the key of the tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The path as the user would name it, or the key of the tag.
    pub file: Arc<str>,
    /// The line, from 1; 0 for a tag.
    pub line: usize,
    /// The column in characters, from 1; 0 for a tag.
    pub column: usize,
}

impl Origin {
    /// A tag of the instance that the rule is for.
    pub fn of_tag(key: String) -> Self {
        Self {
            file: key.into(),
            line: 0,
            column: 0,
        }
    }

    /// The key of the tag, if this is one.
    pub fn tag(&self) -> Option<&str> {
        (self.line == 0).then_some(&*self.file)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag() {
            Some(key) => f.write_str(key),
            None => write!(f, "{}:{}", self.file, self.line),
        }
    }
}

/// A declared rule for one key.
///
/// A line of the configuration that allows two services becomes two rules with the same origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The protocol and ports.
    #[serde(flatten)]
    pub key: Key,
    /// The networks and aliases that are let in; never empty.
    #[serde(flatten)]
    pub sources: Sources,
    /// The line that declares it, shared by all rules of that line and by all instances that have them.
    pub declared: Arc<Declaration>,
}

/// The line of the configuration that declares a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// The service as `allow` spells it, such as `ssh` or `tcp/443`.
    pub allow: Arc<str>,
    /// The sources as `from` spells them, such as `admins` or `203.0.113.0/24`.
    pub from: Arc<[String]>,
    /// The place of the line.
    pub origin: Origin,
    /// The reason, from `why`.
    pub why: Option<String>,
    /// The team or person in charge, from `owner`.
    pub owner: Option<String>,
    /// The first instant at which the rule is not in force, from `until`.
    #[serde(with = "instant::option")]
    #[cfg_attr(test, schemars(with = "Option<instant::Instant>"))]
    pub until: Option<OffsetDateTime>,
}
