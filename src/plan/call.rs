//! The plan itself: per instance what is, what must result, and the calls in between.
//!
//! Owns the shape; the planner fills it. Does not hold anything an executor would have to decide.

use std::fmt;

use time::OffsetDateTime;

use super::Override;
use crate::exposure::{self, Doubtful, Exposed, Reach};
use crate::model::{
    Family, Firewall, Instance, InstanceId, Key, LiveFirewall, Missing, Mode, Note, Origin, Site,
    Sources, Undeclared, Unreadable,
};

/// One write to the service.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Open { .. } => "OpenInstancePublicPorts",
            Self::Close { .. } => "CloseInstancePublicPorts",
            Self::Put { .. } => "PutInstancePublicPorts",
        }
    }

    /// The short name people see: `open`, `close` or `put`.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Close { .. } => "close",
            Self::Put { .. } => "put",
        }
    }
}

/// The line of the configuration that a change comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub until: Option<OffsetDateTime>,
}

/// What a line of the configuration does to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CauseKind {
    /// It declares the key.
    Declared,
    /// It declares that the key, or some of its sources, must go.
    Absent,
    /// It declared the key until a time that is over.
    Expired,
}

/// One key whose sources change. `before` or `after` is empty where the rule comes or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub key: Key,
    /// The live sources.
    pub before: Sources,
    /// The sources that must result.
    pub after: Sources,
    /// The lines that concern this key, in the order of the configuration; none where it is not in the configuration.
    pub causes: Vec<Cause>,
}

impl Change {
    /// What it is for a reader: `add`, `remove`, `widen`, `narrow`, `replace`, or `respell` where only the texts differ.
    #[must_use]
    pub fn action(&self, family: Family) -> &'static str {
        let Self {
            key: _,
            before,
            after,
            causes: _,
        } = self;
        if before.is_empty() {
            return "add";
        }
        if after.is_empty() {
            return "remove";
        }
        let gains = !exposure::uncovered(after, before, family).is_empty();
        let loses = !exposure::uncovered(before, after, family).is_empty();
        match (gains, loses) {
            (true, true) => "replace",
            (true, false) => "widen",
            (false, true) => "narrow",
            (false, false) => "respell",
        }
    }
}

/// Access that `absent` names, or that an expired rule gave, and that a live rule with another key still gives.
///
/// That rule is not ours, so it is left alone unless a Put is consented to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StillOpen {
    /// The live rule.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Live means what is desired, as far as it can be read.
    InSync,
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

/// Everything about one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstancePlan {
    /// Which, with its state and address type as they were when the plan was made.
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
    pub verdict: Verdict,
    /// Who gains what against what is open for certain, and who loses what beyond doubt.
    pub exposure: exposure::Diff,
    /// What must go and stays open in `after`, by the rule that it is open through. Only in additive mode.
    pub still_open: Vec<StillOpen>,
    /// Whether some live entries cannot be fully read, so that sync must not be claimed.
    pub incomplete: Option<String>,
    /// What is no change and should be known.
    pub notes: Vec<Note>,
}

impl InstancePlan {
    /// The family over which the browser client reaches the instance.
    #[must_use]
    pub fn family(&self) -> Family {
        self.instance.address_type.client_family()
    }

    /// Whether live entries that cannot be read for certain are still there when the plan is done.
    #[must_use]
    pub fn doubt_stays(&self) -> bool {
        !self.before.unknown().is_empty()
            || (self.mode == Mode::Additive && !self.before.uncertain().is_empty())
    }

    /// What the live rules let in, and what they may.
    #[must_use]
    pub fn reach_before(&self) -> Reach {
        Reach::of_live(&self.before, self.family())
    }

    /// What the rules that result let in, and what they may.
    #[must_use]
    pub fn reach_after(&self) -> Reach {
        Reach::with_doubts(&self.after, &self.doubts_after(), self.family())
    }

    /// The doubtful entries that stay.
    #[must_use]
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
    #[must_use]
    pub fn spelling_holds(&self, live: &LiveFirewall) -> bool {
        !self.strict_spelling || *live.firewall() == self.after
    }
}

/// Everything about a run.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Declared instances whose rules could be read, by region and name.
    pub instances: Vec<InstancePlan>,
    /// Declared instances whose rules could not be read.
    pub unreadable: Vec<(InstanceId, Unreadable)>,
    /// Instances of which it is not known what is wanted: a name or a group could mean others, which could not be listed.
    pub undecided: Vec<(InstanceId, Unreadable)>,
    /// Sites whose instances could not be listed.
    pub sites_unreadable: Vec<(Site, Unreadable)>,
    /// Declared instances that do not exist.
    pub missing: Vec<Missing>,
    /// Instances of a plan file that it does not change: nobody looked at them when it was carried out.
    pub unplanned: Vec<InstanceId>,
    /// Instances that nothing declares.
    pub undeclared: Vec<Undeclared>,
    /// What concerns no single instance.
    pub notes: Vec<Note>,
    /// Guards that would have refused it and were told that it is meant.
    pub overrides: Vec<Override>,
}
