//! The plan: for each instance the live rules, the rules that must result, and the calls that lead there.
//!
//! Owns the types; the planner creates them. Does not contain anything that an executor would have to decide.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Override;
use crate::exposure::{self, Doubtful, Exposed, Reach};
use crate::model::{
    Code, Family, Firewall, Instance, InstanceId, Key, LiveFirewall, Missing, Mode, Note, Origin,
    PortInfo, Site, Sources, Undeclared, Unreadable, instant, pairs,
};

/// One write to the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(from = "Request", into = "Request")]
pub enum Call {
    /// `OpenInstancePublicPorts` with the complete new sources of the key.
    Open {
        /// The key to open.
        key: Key,
        /// All live sources of the key, and new ones.
        sources: Sources,
    },
    /// `CloseInstancePublicPorts` with the complete live sources of the key.
    Close {
        /// The key to close.
        key: Key,
        /// All live sources of the key.
        sources: Sources,
    },
    /// `PutInstancePublicPorts` replaces all rules. An empty firewall closes everything.
    Put {
        /// All rules that the instance has afterwards.
        firewall: Firewall,
    },
}

impl Call {
    /// The API action.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Open { .. } => "OpenInstancePublicPorts",
            Self::Close { .. } => "CloseInstancePublicPorts",
            Self::Put { .. } => "PutInstancePublicPorts",
        }
    }

    /// Whether it replaces the whole firewall.
    pub fn replaces(&self) -> bool {
        matches!(self, Self::Put { .. })
    }

    /// The short name for people: `open`, `close` or `put`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Close { .. } => "close",
            Self::Put { .. } => "put",
        }
    }
}

/// The JSON form of a call: the action, and the body of the request without the name of the instance.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "action", content = "request")]
#[serde(rename_all_fields = "camelCase", deny_unknown_fields)]
enum Request {
    #[serde(rename = "OpenInstancePublicPorts")]
    Open { port_info: PortInfo },
    #[serde(rename = "CloseInstancePublicPorts")]
    Close { port_info: PortInfo },
    #[serde(rename = "PutInstancePublicPorts")]
    Put { port_infos: Firewall },
}

impl From<Call> for Request {
    fn from(call: Call) -> Self {
        match call {
            Call::Open { key, sources } => Self::Open {
                port_info: PortInfo { key, sources },
            },
            Call::Close { key, sources } => Self::Close {
                port_info: PortInfo { key, sources },
            },
            Call::Put { firewall } => Self::Put {
                port_infos: firewall,
            },
        }
    }
}

impl From<Request> for Call {
    fn from(request: Request) -> Self {
        match request {
            Request::Open {
                port_info: PortInfo { key, sources },
            } => Self::Open { key, sources },
            Request::Close {
                port_info: PortInfo { key, sources },
            } => Self::Close { key, sources },
            Request::Put { port_infos } => Self::Put {
                firewall: port_infos,
            },
        }
    }
}

/// The line of the configuration that causes a change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// What the line declares.
    pub kind: CauseKind,
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

/// What a line of the configuration declares about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// The line declares the key.
    Declared,
    /// The line declares that the key, or some of its sources, must not exist.
    Absent,
    /// The line declared the key until a time that has passed.
    Expired,
}

/// A key whose sources change. `before` is empty for a new rule, and `after` for one that is removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The kind of change.
    pub action: ChangeKind,
    /// The protocol and ports.
    #[serde(flatten)]
    pub key: Key,
    /// The live sources.
    pub before: Sources,
    /// The sources that must result.
    pub after: Sources,
    /// The lines about this key, in the order of the configuration; none if the configuration does not mention it.
    pub causes: Vec<Cause>,
}

/// The kind of change of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// The key had no sources before.
    Add,
    /// The key has no sources afterwards.
    Remove,
    /// Sources are added and none removed.
    Widen,
    /// Sources are removed and none added.
    Narrow,
    /// Sources are added and others removed.
    Replace,
    /// The same sources in another spelling.
    Respell,
}

impl ChangeKind {
    /// The kind of change between these sources.
    pub fn of(before: &Sources, after: &Sources, family: Family) -> Self {
        if before.is_empty() {
            return Self::Add;
        }
        if after.is_empty() {
            return Self::Remove;
        }
        let gains = !exposure::uncovered(after, before, family).is_empty();
        let loses = !exposure::uncovered(before, after, family).is_empty();
        match (gains, loses) {
            (true, true) => Self::Replace,
            (true, false) => Self::Widen,
            (false, true) => Self::Narrow,
            (false, false) => Self::Respell,
        }
    }
}

/// Access that `absent` or an expired rule names, and that a live rule with another key still gives.
///
/// The configuration does not manage that rule, so it stays unless there is consent to a Put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StillOpen {
    /// The live rule.
    #[serde(flatten)]
    pub through: Key,
    /// The access that it gives and that must not exist.
    pub access: Vec<Exposed>,
    /// The lines about this access, in the order of the configuration; never empty.
    pub causes: Vec<Cause>,
    /// How to close it.
    pub hint: String,
}

/// Such as `tcp/22 from everyone, through the live rule tcp/0-65535`.
impl fmt::Display for StillOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = exposure::lines(&self.access);
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let through = self.through;
        write!(f, "{}, through the live rule {through}", lines.join(", "))
    }
}

/// The result of planning one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "VerdictDocument", into = "VerdictDocument")]
pub enum Verdict {
    /// The live rules mean what is desired.
    InSync,
    /// The readable live rules mean what is desired, but some entries cannot be read.
    Incomplete,
    /// The calls lead to the desired rules.
    Change,
    /// The rules differ, and the mode is `observe`.
    Observed,
    /// There is nothing to write, but access that must not exist is open through rules that the configuration does not manage.
    StillOpen,
    /// The rules differ, and no permitted call can change that.
    Refused {
        /// The reason, as a sentence fragment.
        reason: String,
        /// What a person can do about it.
        hint: Option<String>,
    },
}

impl Verdict {
    /// Whether the readable live rules are not what is desired.
    pub fn differs(&self) -> bool {
        !matches!(self, Self::InSync | Self::Incomplete)
    }
}

/// The JSON form of a verdict: its name and its reason.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct VerdictDocument {
    verdict: VerdictName,
    /// The code of what stands in the way; null unless it is refused.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    code: Option<Code>,
    reason: Option<String>,
    hint: Option<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum VerdictName {
    InSync,
    Incomplete,
    Change,
    Observed,
    StillOpen,
    Refused,
}

impl From<Verdict> for VerdictDocument {
    fn from(verdict: Verdict) -> Self {
        let (verdict, reason, hint) = match verdict {
            Verdict::InSync => (VerdictName::InSync, None, None),
            Verdict::Incomplete => (VerdictName::Incomplete, None, None),
            Verdict::Change => (VerdictName::Change, None, None),
            Verdict::Observed => (VerdictName::Observed, None, None),
            Verdict::StillOpen => (VerdictName::StillOpen, None, None),
            Verdict::Refused { reason, hint } => (VerdictName::Refused, Some(reason), hint),
        };
        Self {
            verdict,
            code: matches!(verdict, VerdictName::Refused).then_some(Code::NoSafeWay),
            reason,
            hint,
        }
    }
}

impl TryFrom<VerdictDocument> for Verdict {
    type Error = &'static str;

    fn try_from(document: VerdictDocument) -> Result<Self, Self::Error> {
        let VerdictDocument {
            verdict,
            code,
            reason,
            hint,
        } = document;
        match (verdict, code, reason, hint) {
            (VerdictName::InSync, None, None, None) => Ok(Self::InSync),
            (VerdictName::Incomplete, None, None, None) => Ok(Self::Incomplete),
            (VerdictName::Change, None, None, None) => Ok(Self::Change),
            (VerdictName::Observed, None, None, None) => Ok(Self::Observed),
            (VerdictName::StillOpen, None, None, None) => Ok(Self::StillOpen),
            (VerdictName::Refused, Some(Code::NoSafeWay), Some(reason), hint) => {
                Ok(Self::Refused { reason, hint })
            }
            (VerdictName::Refused, ..) => Err("the verdict `refused` lacks its code or its reason"),
            _ => Err("only the verdict `refused` has a code, a reason or a hint"),
        }
    }
}

/// The plan for one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstancePlan {
    /// The instance, with its state and address type when the plan was made.
    #[serde(flatten)]
    pub instance: Instance,
    /// How much of the firewall the configuration manages.
    pub mode: Mode,
    /// Whether live rules must have the spelling of `after`, not only its meaning. Always false in additive mode.
    pub strict_spelling: bool,
    /// The live rules when the plan was made.
    pub before: LiveFirewall,
    /// The rules that must result. They mean the same as `before` if there is nothing to do.
    pub after: Firewall,
    /// The changes, in order of keys.
    pub changes: Vec<Change>,
    /// The calls in order; empty unless the verdict is `Change`.
    pub calls: Vec<Call>,
    /// The rules of the Put that may be sent if a call is rejected or the result differs; `None` if no Put is permitted.
    pub fallback: Option<Firewall>,
    /// The result of planning.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The access that is gained and lost for certain.
    pub exposure: exposure::Diff,
    /// Access that must not exist and stays open in `after`, by the rule that gives it. Only in additive mode.
    pub still_open: Vec<StillOpen>,
    /// The first live entry that cannot be read and stays, with the reason, as a sentence.
    pub incomplete: Option<String>,
    /// Notes for the reader that are not changes.
    pub notes: Vec<Note>,
}

impl InstancePlan {
    /// The family over which the browser client reaches the instance.
    pub fn family(&self) -> Family {
        self.instance.address_type.client_family()
    }

    /// The Put that may be sent if a call is rejected or the result differs.
    pub(crate) fn fallback_call(&self) -> Option<Call> {
        let firewall = self.fallback.clone()?;
        Some(Call::Put { firewall })
    }

    /// Whether entries that cannot be read are still there after the plan was carried out.
    pub fn has_remaining_doubt(&self) -> bool {
        !self.before.unknown().is_empty()
            || (self.mode == Mode::Additive && !self.before.uncertain().is_empty())
    }

    /// The access of the live rules.
    pub fn reach_before(&self) -> Reach {
        Reach::of_live(&self.before, self.family())
    }

    /// The access of the rules that result.
    pub fn reach_after(&self) -> Reach {
        Reach::with_doubts(&self.after, &self.doubts_after(), self.family())
    }

    /// The doubtful entries that stay.
    pub fn doubts_after(&self) -> Vec<Doubtful> {
        if self.has_remaining_doubt() {
            Doubtful::all(&self.before)
        } else {
            Vec::new()
        }
    }

    /// Whether live rules that mean `after` also have the spelling that the plan requires.
    ///
    /// This compares keys and networks, which a write determines. The spelling of a response (the name of `all`, the case of letters, a
    /// missing prefix length, one key in two entries) is up to the service, so a plan for it would never end.
    pub fn has_desired_spelling(&self, live: &LiveFirewall) -> bool {
        !self.strict_spelling || *live.firewall() == self.after
    }
}

/// The plan of a whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// The declared instances whose rules could be read, in order of account, region and name.
    pub instances: Vec<InstancePlan>,
    /// The declared instances whose rules could not be read.
    #[serde(with = "pairs")]
    #[cfg_attr(test, schemars(with = "Vec<pairs::Pair<InstanceId, Unreadable>>"))]
    pub unreadable: Vec<(InstanceId, Unreadable)>,
    /// The instances whose desired state is not known, because a name or a group may refer to instances that could not be listed.
    #[serde(with = "pairs")]
    #[cfg_attr(test, schemars(with = "Vec<pairs::Pair<InstanceId, Unreadable>>"))]
    pub undecided: Vec<(InstanceId, Unreadable)>,
    /// The sites whose instances could not be listed.
    #[serde(rename = "regionsUnreadable", with = "pairs")]
    #[cfg_attr(test, schemars(with = "Vec<pairs::Pair<Site, Unreadable>>"))]
    pub sites_unreadable: Vec<(Site, Unreadable)>,
    /// The declared instances that do not exist.
    pub missing: Vec<Missing>,
    /// The instances that the plan file does not change, and that were therefore not read when it was applied.
    #[serde(skip)]
    pub unplanned: Vec<InstanceId>,
    /// The instances that are not in the configuration.
    pub undeclared: Vec<Undeclared>,
    /// Notes that are not about a single instance.
    pub notes: Vec<Note>,
    /// The guards that would have refused the plan, with the consent that was given.
    pub overrides: Vec<Override>,
}
