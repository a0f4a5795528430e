//! Faults: what goes wrong, by chance or by a script.
//!
//! Owns when something is due; every chance follows from the seed, so a run can be repeated. Does not know what the
//! request would have done, nor touch the rules itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use time::OffsetDateTime;

use crate::model::{InstanceId, PortState, Site};

use super::bucket::Buckets;
use super::dice::{hits, pick, roll};
use super::wire::Action;

/// What goes wrong. Chances are in a thousand, for each request; by default nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Decides every chance, and the order where [`Order::Shuffled`](super::Order::Shuffled) asks for one.
    pub seed: u64,
    /// Whether requests above the documented rates are a `ThrottlingException`: a burst of 20 and then 5 or 10 a
    /// second, for each action and region.
    pub throttle: bool,
    /// Chance that the service fails with a 5xx and does nothing.
    pub server_errors: u16,
    /// Chance that the service fails with a 5xx although it did what was asked.
    pub server_errors_after: u16,
    /// Chance that a connection is refused. A served emulator accepts and resets it before a byte is read, which is as
    /// near as a bound port can come.
    pub refused: u16,
    /// Chance that the connection is lost before the request was processed.
    pub lost_requests: u16,
    /// Chance that it is lost after the request was accepted.
    pub lost_replies: u16,
    /// Chance that no reply ever comes; the dice say whether the request was processed. A served emulator keeps the
    /// connection open until it is shut down.
    pub silent: u16,
    /// Chance that the reply is late.
    pub slow: u16,
    /// How late.
    pub slow_by: Duration,
    /// After how many requests the credentials are an `ExpiredTokenException`.
    pub expire_after: Option<u64>,
    /// Actions that are an `AccessDeniedException`, by their API names.
    pub denied: BTreeSet<String>,
    /// Chance that a second writer changes the rules right before a request that names an instance.
    pub second_writer: u16,
    /// Chance that the instance is deleted then.
    pub deleted: u16,
    /// Chance that it is replaced then: the same name, another ARN, the rules of a new instance.
    pub replaced: u16,
    /// What happens by a script, in this order where several are due at once.
    pub script: Vec<Trigger>,
}

/// Something that happens right before, or instead of, a certain request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The instance that the request names.
    pub instance: InstanceId,
    /// Only requests for this action count, by its API name; `None` counts all.
    pub action: Option<&'static str>,
    /// Which of those requests, from 1.
    pub nth: u64,
    /// What happens.
    pub what: ScriptedEvent,
}

/// What can be scripted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptedEvent {
    /// A second writer puts these rules, and leaves an operation of its own.
    Writes(Vec<PortState>),
    /// A second writer changes something that the seed decides.
    WritesSomething,
    /// The instance is deleted.
    Deleted,
    /// The instance is replaced by another one with the same name.
    Replaced,
    /// The instance is different from now on, without a trace of how that came about.
    Changes(Change),
    /// The request goes wrong.
    Goes(Trouble),
}

/// What becomes different about an instance; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Its ARN: another instance has the name.
    pub arn: Option<String>,
    /// Its state, as the service names it.
    pub state: Option<String>,
    /// Its type of addresses, as the service names it.
    pub ip_address_type: Option<String>,
    /// Its rules, as they are shown.
    pub port_states: Option<Vec<PortState>>,
    /// Its tags, by key: somebody else wrote them.
    pub tags: Option<BTreeMap<String, String>>,
}

/// How a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Connection refused. Over HTTP, where it is asked for by a script, the connection is there already: then as `LostRequest`.
    Refused,
    /// The connection is lost before the request was processed.
    LostRequest,
    /// The connection is lost after it was.
    LostReply,
    /// A 5xx; nothing was done.
    ServerError,
    /// A 5xx; it was done.
    ServerErrorAfter,
    /// No reply, nothing done.
    SilentBefore,
    /// No reply, but done.
    SilentAfter,
    /// A reply that comes this late.
    Slow(Duration),
    /// A `ThrottlingException`.
    Throttled,
    /// An `InvalidInputException`.
    Rejected,
    /// An `AccessDeniedException`.
    Denied,
    /// A write is accepted and has no effect.
    Ignored,
}

impl Faults {
    /// A moderate mixture that the seed decides: each kind of fault is there in some seeds, and none in all of them. Rates
    /// are held in every one. There is neither a script nor a denied action in any.
    pub fn seeded(seed: u64) -> Self {
        let chance = |what: &str, most: usize| {
            let roll = roll(seed, "mixture", what, 0);
            // Half of the seeds do without.
            let rest = if roll & 1 == 0 {
                0
            } else {
                1 + pick(most, roll >> 1)
            };
            u16::try_from(rest).unwrap_or(0)
        };
        let expires = chance("expire", 400);
        Self {
            seed,
            throttle: true,
            server_errors: chance("server-errors", 80),
            server_errors_after: chance("server-errors-after", 40),
            refused: chance("refused", 40),
            lost_requests: chance("lost-requests", 40),
            lost_replies: chance("lost-replies", 60),
            silent: chance("silent", 20),
            slow: chance("slow", 100),
            slow_by: Duration::from_millis(200),
            // An eighth of the seeds: it ends every run.
            expire_after: (roll(seed, "mixture", "expires", 0).is_multiple_of(4) && expires > 0)
                .then_some(u64::from(expires)),
            denied: BTreeSet::new(),
            second_writer: chance("second-writer", 30),
            deleted: chance("deleted", 4),
            replaced: chance("replaced", 4),
            script: Vec::new(),
        }
    }
}

/// The faults of one emulator, with what it counted so far.
#[derive(Debug)]
pub(super) struct FaultInjector {
    faults: Faults,
    buckets: Buckets,
    connections: u64,
    requests: u64,
    /// By site, name and action; the empty action is all of them.
    counts: BTreeMap<(String, String, &'static str), u64>,
    /// How the next request goes wrong.
    next: Option<Trouble>,
}

/// One request among all others.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// Where, and which instance it names.
    pub(super) site: Site,
    pub(super) name: Option<String>,
    pub(super) action: Action,
    /// How many requests there were in all, with this one.
    total: u64,
    /// How many with the same instance and action.
    pub(super) nth: u64,
    /// How many with the same instance.
    nth_any: u64,
    /// What all chances of this request depend on.
    subject: String,
}

impl FaultInjector {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            faults,
            buckets: Buckets::default(),
            connections: 0,
            requests: 0,
            counts: BTreeMap::new(),
            next: None,
        }
    }

    /// Lets the next request go wrong, whichever it is.
    pub(super) fn disturb_next(&mut self, trouble: Trouble) {
        self.next = Some(trouble);
    }

    pub(super) fn seed(&self) -> u64 {
        self.faults.seed
    }

    /// Whether the next connection is refused.
    pub(super) fn refuses(&mut self) -> bool {
        self.connections += 1;
        let roll = roll(self.faults.seed, "refused", "", self.connections);
        hits(self.faults.refused, roll)
    }

    /// Counts a request.
    pub(super) fn turn(&mut self, site: &Site, name: Option<&str>, action: Action) -> Turn {
        self.requests += 1;
        let mut count = |action: &'static str| {
            let place = (
                site.to_string(),
                name.unwrap_or_default().to_owned(),
                action,
            );
            let count = self.counts.entry(place).or_default();
            *count += 1;
            *count
        };
        let (nth, nth_any) = (count(action.name()), count(""));
        Turn {
            site: site.clone(),
            name: name.map(ToOwned::to_owned),
            action,
            total: self.requests,
            nth,
            nth_any,
            subject: format!("{site}/{}/{}", action.name(), name.unwrap_or_default()),
        }
    }

    /// What happens right before this request; the troubles among them are [`trouble`](Self::trouble)'s.
    pub(super) fn events(&self, turn: &Turn) -> Vec<ScriptedEvent> {
        let mut due: Vec<ScriptedEvent> = self
            .scripted(turn)
            .filter(|what| !matches!(what, ScriptedEvent::Goes(_)))
            .cloned()
            .collect();
        if turn.name.is_some() {
            for (what, chance, event) in [
                (
                    "second-writer",
                    self.faults.second_writer,
                    ScriptedEvent::WritesSomething,
                ),
                ("deleted", self.faults.deleted, ScriptedEvent::Deleted),
                ("replaced", self.faults.replaced, ScriptedEvent::Replaced),
            ] {
                if self.hits(chance, what, turn) {
                    due.push(event);
                }
            }
        }
        due
    }

    /// How this request goes wrong, if it does: by the script before by chance.
    pub(super) fn trouble(&mut self, turn: &Turn) -> Option<Trouble> {
        let next = self.next.take();
        let scripted = next.or_else(|| {
            self.scripted(turn).find_map(|what| match what {
                ScriptedEvent::Goes(trouble) => Some(*trouble),
                _ => None,
            })
        });
        if scripted.is_some() {
            return scripted;
        }
        let silent = if self.roll("processed", turn) & 1 == 0 {
            Trouble::SilentBefore
        } else {
            Trouble::SilentAfter
        };
        let faults = &self.faults;
        [
            ("lost-requests", faults.lost_requests, Trouble::LostRequest),
            ("lost-replies", faults.lost_replies, Trouble::LostReply),
            ("server-errors", faults.server_errors, Trouble::ServerError),
            (
                "server-errors-after",
                faults.server_errors_after,
                Trouble::ServerErrorAfter,
            ),
            ("silent", faults.silent, silent),
            ("slow", faults.slow, Trouble::Slow(faults.slow_by)),
        ]
        .into_iter()
        .find(|(what, chance, _)| self.hits(*chance, what, turn))
        .map(|(_, _, trouble)| trouble)
    }

    /// Whether the credentials are no longer good, at this request or at the one after all so far.
    pub(super) fn expired(&self, turn: Option<&Turn>) -> bool {
        let total = turn.map_or(self.requests + 1, |turn| turn.total);
        self.faults.expire_after.is_some_and(|after| total > after)
    }

    pub(super) fn denies(&self, action: Action) -> bool {
        self.faults.denied.contains(action.name())
    }

    /// Whether the request is one too many.
    pub(super) fn throttles(&mut self, turn: &Turn, now: OffsetDateTime) -> bool {
        self.faults.throttle && !self.buckets.take(&turn.site.to_string(), turn.action, now)
    }

    /// A number for whatever else this request has to decide.
    pub(super) fn roll(&self, what: &str, turn: &Turn) -> u64 {
        roll(self.faults.seed, what, &turn.subject, turn.nth)
    }

    fn hits(&self, chance: u16, what: &str, turn: &Turn) -> bool {
        hits(chance, self.roll(what, turn))
    }

    fn scripted<'a>(&'a self, turn: &'a Turn) -> impl Iterator<Item = &'a ScriptedEvent> {
        self.faults.script.iter().filter_map(|trigger| {
            let nth = match trigger.action {
                None => turn.nth_any,
                Some(action) if action == turn.action.name() => turn.nth,
                Some(_) => return None,
            };
            let here = turn.name.as_deref() == Some(trigger.instance.name.as_str())
                && turn.site == trigger.instance.site();
            (here && nth == trigger.nth).then_some(&trigger.what)
        })
    }
}

#[cfg(test)]
mod tests;
