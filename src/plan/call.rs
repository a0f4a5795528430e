//! The plan itself: per instance what is, what must result, and the calls in between.
//!
//! Owns the shape; the planner fills it. Does not hold anything an executor would have to decide.

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
        /// What.
        key: Key,
        /// To whom: everything the key has now, and more.
        sources: Sources,
    },
    /// `CloseInstancePublicPorts` with the complete live sources of the key.
    Close {
        /// What.
        key: Key,
        /// Everything the key has now.
        sources: Sources,
    },
    /// `PutInstancePublicPorts`: these rules and no others. Empty closes everything.
    Put {
        /// Every rule.
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

    /// The short name people see: `open`, `close` or `put`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Close { .. } => "close",
            Self::Put { .. } => "put",
        }
    }
}

/// A call in documents: the action, and the body of its request but for the name of the instance.
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

/// The line of the configuration that a change comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// What the line did.
    pub kind: CauseKind,
    /// Where it is.
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

/// What a line of the configuration does to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// It declares the key.
    Declared,
    /// It declares that the key, or some of its sources, must go.
    Absent,
    /// It declared the key until a time that is over.
    Expired,
}

/// One key whose sources change. `before` or `after` is empty where the rule comes or goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What it is for a reader.
    pub action: Action,
    /// What.
    #[serde(flatten)]
    pub key: Key,
    /// The live sources.
    pub before: Sources,
    /// The sources that must result.
    pub after: Sources,
    /// The lines that concern this key, in the order of the configuration; none where it is not in the configuration.
    pub causes: Vec<Cause>,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It had no sources.
    Add,
    /// It has none any more.
    Remove,
    /// More get in, and none fewer.
    Widen,
    /// Fewer get in, and none more.
    Narrow,
    /// Some more get in, and some others no longer.
    Replace,
    /// Only the texts differ.
    Respell,
}

impl Action {
    /// What a change of these sources is.
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

/// Access that `absent` names, or that an expired rule gave, and that a live rule with another key still gives.
///
/// That rule is not ours, so it is left alone unless a Put is consented to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StillOpen {
    /// The live rule.
    #[serde(flatten)]
    pub through: Key,
    /// What gets in through it that should not.
    pub access: Vec<Exposed>,
    /// The lines that name this access, in the order of the configuration; never empty.
    pub causes: Vec<Cause>,
    /// What would close it.
    pub hint: String,
}

/// `tcp/22 from everyone, through the live rule tcp/0-65535`.
impl fmt::Display for StillOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = exposure::Diff {
            gained: self.access.clone(),
            lost: Vec::new(),
        };
        let lines = access.lines().gained;
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let through = self.through;
        write!(f, "{}, through the live rule {through}", lines.join(", "))
    }
}

/// What a plan says about an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "Said", into = "Said")]
pub enum Verdict {
    /// Live means what is desired.
    InSync,
    /// Live means what is desired as far as it can be read, and some of it cannot.
    Incomplete,
    /// The calls make it so.
    Change,
    /// It differs, and its mode says to look only.
    Observed,
    /// There is nothing to write, but access that must go is open through rules that are not ours.
    StillOpen,
    /// It differs and no permitted call can help.
    Refused {
        /// Why, as a sentence fragment.
        reason: String,
        /// What would help.
        hint: Option<String>,
    },
}

impl Verdict {
    /// Of an instance whose rules mean what is desired, with what stays unread of them.
    pub(super) fn of_equal(incomplete: Option<&String>) -> Self {
        incomplete.map_or(Self::InSync, |_| Self::Incomplete)
    }

    /// Whether live is not what is desired, for all that can be read.
    pub fn differs(&self) -> bool {
        !matches!(self, Self::InSync | Self::Incomplete)
    }
}

/// A verdict in documents: its word, and why.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Said {
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

impl From<Verdict> for Said {
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

impl TryFrom<Said> for Verdict {
    type Error = &'static str;

    fn try_from(said: Said) -> Result<Self, Self::Error> {
        let Said {
            verdict,
            code,
            reason,
            hint,
        } = said;
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

/// Everything about one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstancePlan {
    /// Which, with its state and address type as they were when the plan was made.
    #[serde(flatten)]
    pub instance: Instance,
    /// How much of it is ours.
    pub mode: Mode,
    /// Whether live must be the rules of `after`, not only mean them. Never so in additive mode.
    pub strict_spelling: bool,
    /// What is live.
    pub before: LiveFirewall,
    /// What must result. Equal in meaning to `before` where there is nothing to do.
    pub after: Firewall,
    /// Which keys change, in order.
    pub changes: Vec<Change>,
    /// The calls in order; empty unless the verdict is `Change`.
    pub calls: Vec<Call>,
    /// The one Put that may be sent instead when a call is rejected or the result differs; `None` forbids it.
    pub fallback: Option<Firewall>,
    /// What to make of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Who gains what against what is open for certain, and who loses what beyond doubt.
    pub exposure: exposure::Diff,
    /// What must go and stays open in `after`, by the rule that it is open through. Only in additive mode.
    pub still_open: Vec<StillOpen>,
    /// Which live entries cannot be fully read, and stay.
    pub incomplete: Option<String>,
    /// What is no change and should be known.
    pub notes: Vec<Note>,
}

impl InstancePlan {
    /// The family over which the browser client reaches the instance.
    pub fn family(&self) -> Family {
        self.instance.address_type.client_family()
    }

    /// Whether live entries that cannot be read for certain are still there when the plan is done.
    pub fn doubt_stays(&self) -> bool {
        !self.before.unknown().is_empty()
            || (self.mode == Mode::Additive && !self.before.uncertain().is_empty())
    }

    /// What the live rules let in, and what they may.
    pub fn reach_before(&self) -> Reach {
        Reach::of_live(&self.before, self.family())
    }

    /// What the rules that result let in, and what they may.
    pub fn reach_after(&self) -> Reach {
        Reach::with_doubts(&self.after, &self.doubts_after(), self.family())
    }

    /// The doubtful entries that stay.
    pub fn doubts_after(&self) -> Vec<Doubtful> {
        if self.doubt_stays() {
            Doubtful::all(&self.before)
        } else {
            Vec::new()
        }
    }

    /// Whether live rules that mean `after` are the rules that the plan wants, or any others.
    ///
    /// What counts are keys and networks: those are what a write decides. How the service spells them in a reply (its word
    /// for `all`, the case of letters, a prefix length that it leaves out, one key in two entries) is up to the service, and
    /// a plan for it would be made again and again.
    pub fn spelling_holds(&self, live: &LiveFirewall) -> bool {
        !self.strict_spelling || *live.firewall() == self.after
    }
}

/// Everything about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// Declared instances whose rules could be read, by region and name.
    pub instances: Vec<InstancePlan>,
    /// Declared instances whose rules could not be read.
    #[serde(with = "pairs")]
    #[cfg_attr(test, schemars(with = "Vec<pairs::Pair<InstanceId, Unreadable>>"))]
    pub unreadable: Vec<(InstanceId, Unreadable)>,
    /// Instances of which it is not known what is wanted: a name or a group could mean others, which could not be listed.
    #[serde(with = "pairs")]
    #[cfg_attr(test, schemars(with = "Vec<pairs::Pair<InstanceId, Unreadable>>"))]
    pub undecided: Vec<(InstanceId, Unreadable)>,
    /// Sites whose instances could not be listed.
    #[serde(rename = "regionsUnreadable", with = "pairs")]
    #[cfg_attr(test, schemars(with = "Vec<pairs::Pair<Site, Unreadable>>"))]
    pub sites_unreadable: Vec<(Site, Unreadable)>,
    /// Declared instances that do not exist.
    pub missing: Vec<Missing>,
    /// Instances of a plan file that it does not change: nobody looked at them when it was carried out.
    #[serde(skip)]
    pub unplanned: Vec<InstanceId>,
    /// Instances that nothing declares.
    pub undeclared: Vec<Undeclared>,
    /// What concerns no single instance.
    pub notes: Vec<Note>,
    /// Guards that would have refused it and were told that it is meant.
    pub overrides: Vec<Override>,
}
