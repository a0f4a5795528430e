//! A rule as the configuration declares it.
//!
//! Owns what is written about a rule, and where. Does not know which instances have it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Key, Sources, instant};

/// A place in a file, or a tag of an instance. Displays as `file:line`, and a tag as its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The path as the user would name it, or the key of the tag.
    pub file: Arc<str>,
    /// From 1; 0 is a tag, which has no lines.
    pub line: usize,
    /// From 1, in characters; 0 is a tag.
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

    /// The key of the tag, where it is one.
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

/// One declared rule for one key.
///
/// A line of the configuration that allows two services is two of these with the same origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What is opened.
    #[serde(flatten)]
    pub key: Key,
    /// To whom; never empty.
    #[serde(flatten)]
    pub sources: Sources,
    /// What is written about it; the rules of one line share it, and so do all instances that have them.
    pub declared: Arc<Declaration>,
}

/// A rule as the configuration writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// What `allow` calls it, such as `ssh` or `tcp/443`.
    pub allow: Arc<str>,
    /// What `from` calls it, such as `admins` or `203.0.113.0/24`.
    pub from: Arc<[String]>,
    /// Where it is declared.
    pub origin: Origin,
    /// Why it exists.
    pub why: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The first instant at which it is no longer wanted.
    #[serde(with = "instant::option")]
    #[cfg_attr(test, schemars(with = "Option<instant::Instant>"))]
    pub until: Option<OffsetDateTime>,
}
