//! Violations of policies.
//!
//! Owns the types, their JSON form and their order. Does not find violations.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::exposure::Exposed;
use crate::model::{Code, InstanceId, Origin, PolicySeverity};

/// The subject of a violation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// An instance.
    Instance(InstanceId),
    /// Every instance of this table of the configuration, such as `groups.web`.
    Table(String),
}

/// How a violation occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Occurrence {
    /// The plan causes it.
    Introduced,
    /// It is live, and the plan does not remove it.
    Existing,
    /// It is live; no plan was considered.
    Live,
    /// It is in the declared rules; live rules were not considered.
    Declared,
}

/// The kind of violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ViolationKind {
    /// Access that is forbidden.
    Excess,
    /// Access that is forbidden, and that an uncertain live entry may give.
    Possible,
    /// Access that is required and missing.
    Missing,
}

impl ViolationKind {
    /// The adjective for the access in texts.
    pub fn state(self) -> &'static str {
        match self {
            Self::Excess => "open",
            Self::Possible => "perhaps open",
            Self::Missing => "missing",
        }
    }

    /// The verb for the witness in texts, before the name of a port.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Excess => "gets in at",
            Self::Possible => "may get in at",
            Self::Missing => "does not get in at",
        }
    }
}

/// An example packet of a violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Witness {
    /// An address or an alias.
    pub source: String,
    /// The port or ICMP message, such as `tcp/22`.
    pub port: String,
}

/// A violation of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// The name of the policy.
    pub policy: String,
    /// The code of violations.
    #[cfg_attr(test, schemars(with = "String"))]
    pub code: Code,
    /// The consequence.
    pub severity: PolicySeverity,
    /// How the violation occurs.
    #[serde(rename = "seen")]
    pub occurrence: Occurrence,
    /// The instance or table.
    #[serde(flatten)]
    pub subject: Subject,
    /// The violation, as a sentence fragment that names the witness.
    pub reason: String,
    /// An example of the access.
    pub witness: Witness,
    /// Whether access is forbidden, possibly forbidden, or missing.
    pub kind: ViolationKind,
    /// All of the access.
    pub access: Vec<Exposed>,
    /// The lines of the rules that open it, the widest first; none if no declared rule does.
    pub lines: Vec<Origin>,
    /// The line that declares the policy; `None` for a built-in policy.
    pub declared: Option<Origin>,
    /// What to do about it.
    pub hint: String,
}

impl Violation {
    /// Whether it refuses the plan.
    pub fn is_refusal(&self) -> bool {
        self.severity == PolicySeverity::Deny && self.occurrence == Occurrence::Introduced
    }

    /// Refusing violations first, then by severity, occurrence, policy and subject.
    pub fn order(&self, other: &Self) -> Ordering {
        let rank = |v: &Self| (!v.is_refusal(), v.severity, v.occurrence);
        (rank(self), &self.policy, &self.subject).cmp(&(rank(other), &other.policy, &other.subject))
    }
}
