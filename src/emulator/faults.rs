//! The faults to inject, at random or by a script.
//!
//! Does not decide when a fault occurs; `fault_injector` does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{InstanceId, PortState};

use super::random;

/// The faults to inject. Probabilities are in a thousand, for each request. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The seed of random decisions, and of the order with [`RuleOrder::Shuffled`](super::RuleOrder::Shuffled).
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
    pub lost_responses: u16,
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
    /// Probability that a foreign writer changes the rules before a request that names an instance.
    pub foreign_write: u16,
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
    pub event: ScriptedEvent,
}

/// An event that can be scripted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptedEvent {
    /// A foreign writer puts these rules, which creates an operation.
    ForeignPut(Vec<PortState>),
    /// A foreign writer makes a random change.
    RandomForeignWrite,
    /// The instance is deleted.
    Deletion,
    /// The instance is replaced by another one with the same name.
    Replacement,
    /// The instance changes, without an operation.
    Change(InstanceChange),
    /// The request fails.
    RequestFault(RequestFault),
}

/// A change of an instance; `None` members do not change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceChange {
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
pub enum RequestFault {
    /// The connection is refused. In a script over HTTP the connection exists already, so this is `LostRequest`.
    Refused,
    /// The connection is lost before the request is processed.
    LostRequest,
    /// The connection is lost after the request was processed.
    LostResponse,
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
        let probability = |fault: &str, max: usize| {
            let number = random::number(seed, "mixture", fault, 0);
            // Zero for half of the seeds.
            let probability = if number & 1 == 0 {
                0
            } else {
                1 + random::index(max, number >> 1)
            };
            u16::try_from(probability).unwrap_or(0)
        };
        let expires = probability("expire", 400);
        Self {
            seed,
            throttle: true,
            server_errors: probability("server-errors", 80),
            server_errors_after: probability("server-errors-after", 40),
            refused: probability("refused", 40),
            lost_requests: probability("lost-requests", 40),
            lost_responses: probability("lost-replies", 60),
            silent: probability("silent", 20),
            slow: probability("slow", 100),
            slow_by: Duration::from_millis(200),
            // An eighth of the seeds, because it ends every run.
            expire_after: (random::number(seed, "mixture", "expires", 0).is_multiple_of(4)
                && expires > 0)
                .then_some(u64::from(expires)),
            denied: BTreeSet::new(),
            foreign_write: probability("second-writer", 30),
            deleted: probability("deleted", 4),
            replaced: probability("replaced", 4),
            script: Vec::new(),
        }
    }
}
