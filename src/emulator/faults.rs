//! Fault injection, at random or by a script.
//!
//! Owns the decision when a fault occurs. Random decisions depend on the seed, so a run can be repeated. Does not know the effect of
//! requests, or change rules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use time::OffsetDateTime;

use crate::model::{InstanceId, PortState, Site};

use super::bucket::Buckets;
use super::dice::{hits, pick, roll};
use super::wire::Action;

/// The faults to inject. Probabilities are in a thousand, for each request. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The seed of random decisions, and of the order with [`Order::Shuffled`](super::Order::Shuffled).
    pub seed: u64,
    /// Whether requests above the documented rates get a `ThrottlingException`: a burst of 20, then 5 or 10 per second, for
    /// each action and region.
    pub throttle: bool,
    /// Probability that the service fails with a 5xx and does nothing.
    pub server_errors: u16,
    /// Probability that the service fails with a 5xx although it processed the request.
    pub server_errors_after: u16,
    /// Probability that a connection is refused. A served emulator accepts and resets it before it reads a byte.
    pub refused: u16,
    /// Probability that the connection is lost before the request is processed.
    pub lost_requests: u16,
    /// Probability that the connection is lost after the request was processed.
    pub lost_replies: u16,
    /// Probability that there is no response; whether the request is processed is random. A served emulator keeps the connection open
    /// until it is shut down.
    pub silent: u16,
    /// Probability that the response is delayed.
    pub slow: u16,
    /// The delay.
    pub slow_by: Duration,
    /// The number of requests after which the response is `ExpiredTokenException`.
    pub expire_after: Option<u64>,
    /// The actions whose response is `AccessDeniedException`, by their API names.
    pub denied: BTreeSet<String>,
    /// Probability that a second writer changes the rules before a request that names an instance.
    pub second_writer: u16,
    /// Probability that the instance is deleted before such a request.
    pub deleted: u16,
    /// Probability that it is replaced before such a request: the same name, another ARN, the rules of a new instance.
    pub replaced: u16,
    /// The scripted events, in order.
    pub script: Vec<Trigger>,
}

/// An event that happens before, or instead of, a certain request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The instance that the request names.
    pub instance: InstanceId,
    /// Only requests for this action count, by its API name; `None` counts all.
    pub action: Option<&'static str>,
    /// The number of the request among those, from 1.
    pub nth: u64,
    /// The event.
    pub what: ScriptedEvent,
}

/// An event that can be scripted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptedEvent {
    /// A second writer puts these rules, which creates an operation.
    Writes(Vec<PortState>),
    /// A second writer makes a random change.
    WritesSomething,
    /// The instance is deleted.
    Deleted,
    /// The instance is replaced by another one with the same name.
    Replaced,
    /// The instance changes, without an operation.
    Changes(Change),
    /// The request fails.
    Goes(Trouble),
}

/// A change of an instance; `None` members do not change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The new ARN, so that another instance has the name.
    pub arn: Option<String>,
    /// The new state, by the service's name.
    pub state: Option<String>,
    /// The new address type, by the service's name.
    pub ip_address_type: Option<String>,
    /// The new rules, unparsed.
    pub port_states: Option<Vec<PortState>>,
    /// The new tags, by key.
    pub tags: Option<BTreeMap<String, String>>,
}

/// The way in which a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The connection is refused. In a script over HTTP the connection exists already, so this is `LostRequest`.
    Refused,
    /// The connection is lost before the request is processed.
    LostRequest,
    /// The connection is lost after the request was processed.
    LostReply,
    /// A 5xx; the request is not processed.
    ServerError,
    /// A 5xx; the request is processed.
    ServerErrorAfter,
    /// No response; the request is not processed.
    SilentBefore,
    /// No response; the request is processed.
    SilentAfter,
    /// A response with this delay.
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
    /// A moderate random mixture: each kind of fault occurs with some seeds, and none with all. Rates are always enforced. There is no
    /// script and no denied action.
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

/// The faults of an emulator, with its counters.
#[derive(Debug)]
pub(super) struct FaultInjector {
    faults: Faults,
    buckets: Buckets,
    connections: u64,
    requests: u64,
    /// The number of requests by site, name and action; the empty action counts all.
    counts: BTreeMap<(String, String, &'static str), u64>,
    /// The failure of the next request.
    next: Option<Trouble>,
}

/// The position of a request among all requests.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// Where, and which instance it names.
    pub(super) site: Site,
    pub(super) name: Option<String>,
    pub(super) action: Action,
    /// The number of all requests, including this one.
    total: u64,
    /// The number of requests with the same instance and action.
    pub(super) nth: u64,
    /// The number of requests with the same instance.
    nth_any: u64,
    /// The subject of all random decisions about this request.
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

    /// Lets the next request fail.
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

    /// The events before this request; [`trouble`](Self::trouble) returns its failure.
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

    /// The failure of this request, if any: scripted ones first, then random ones.
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

    /// Whether the credentials have expired at this request, or at the next one.
    pub(super) fn expired(&self, turn: Option<&Turn>) -> bool {
        let total = turn.map_or(self.requests + 1, |turn| turn.total);
        self.faults.expire_after.is_some_and(|after| total > after)
    }

    pub(super) fn denies(&self, action: Action) -> bool {
        self.faults.denied.contains(action.name())
    }

    /// Whether the request is throttled.
    pub(super) fn throttles(&mut self, turn: &Turn, now: OffsetDateTime) -> bool {
        self.faults.throttle && !self.buckets.take(&turn.site.to_string(), turn.action, now)
    }

    /// A random number for other decisions about this request.
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
