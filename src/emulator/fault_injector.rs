//! Fault injector: decides when a fault occurs.
//!
//! Owns the counters. Random decisions depend on the seed, so a run can be repeated. Does not know the effect of requests, or change
//! rules.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::model::Site;

use super::faults::{Faults, RequestFault, ScriptedEvent};
use super::random;
use super::rate_limit::RateLimits;
use super::request::Action;

/// Faults with the counters of requests.
#[derive(Debug)]
pub(super) struct FaultInjector {
    pub(super) faults: Faults,
    rate_limits: RateLimits,
    connections: u64,
    requests: u64,
    /// The number of requests by site, name and action; the empty action counts all.
    counts: BTreeMap<(String, String, &'static str), u64>,
    /// The fault of the next request.
    pub(super) next: Option<RequestFault>,
}

/// A request with its position among all requests.
#[derive(Clone, Debug)]
pub(super) struct NumberedRequest {
    pub(super) site: Site,
    /// The instance that it names.
    pub(super) name: Option<String>,
    pub(super) action: Action,
    /// Its number among all requests, from 1.
    total: u64,
    /// Its number among the requests with the same instance and action.
    pub(super) nth: u64,
    /// Its number among the requests with the same instance.
    nth_any: u64,
    /// The subject of all random decisions about this request.
    subject: String,
}

impl FaultInjector {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            faults,
            rate_limits: RateLimits::default(),
            connections: 0,
            requests: 0,
            counts: BTreeMap::new(),
            next: None,
        }
    }

    /// Whether the next connection is refused.
    pub(super) fn refuses_connection(&mut self) -> bool {
        self.connections += 1;
        let number = random::number(self.faults.seed, "refused", "", self.connections);
        random::occurs(self.faults.refused, number)
    }

    /// Counts a request.
    pub(super) fn count(
        &mut self,
        site: &Site,
        name: Option<&str>,
        action: Action,
    ) -> NumberedRequest {
        self.requests += 1;
        let mut count = |action: &'static str| {
            let name = name.unwrap_or_default().to_owned();
            let key = (site.to_string(), name, action);
            let count = self.counts.entry(key).or_default();
            *count += 1;
            *count
        };
        let (nth, nth_any) = (count(action.name()), count(""));
        NumberedRequest {
            site: site.clone(),
            name: name.map(ToOwned::to_owned),
            action,
            total: self.requests,
            nth,
            nth_any,
            subject: format!("{site}/{}/{}", action.name(), name.unwrap_or_default()),
        }
    }

    /// The events before this request, without its [`fault`](Self::fault).
    pub(super) fn events(&self, request: &NumberedRequest) -> Vec<ScriptedEvent> {
        let mut due: Vec<ScriptedEvent> = self
            .scripted(request)
            .filter(|event| !matches!(event, ScriptedEvent::RequestFault(_)))
            .cloned()
            .collect();
        if request.name.is_some() {
            let faults = &self.faults;
            let write = ScriptedEvent::RandomForeignWrite;
            for (purpose, per_mille, event) in [
                ("second-writer", faults.foreign_write, write),
                ("deleted", faults.deleted, ScriptedEvent::Deletion),
                ("replaced", faults.replaced, ScriptedEvent::Replacement),
            ] {
                if self.occurs(per_mille, purpose, request) {
                    due.push(event);
                }
            }
        }
        due
    }

    /// The fault of this request, if any: scripted ones take precedence over random ones.
    pub(super) fn fault(&mut self, request: &NumberedRequest) -> Option<RequestFault> {
        let next = self.next.take();
        let scripted = next.or_else(|| {
            self.scripted(request).find_map(|event| match event {
                ScriptedEvent::RequestFault(fault) => Some(*fault),
                _ => None,
            })
        });
        if scripted.is_some() {
            return scripted;
        }
        let silent = if self.random("processed", request) & 1 == 0 {
            RequestFault::SilentBefore
        } else {
            RequestFault::SilentAfter
        };
        let faults = &self.faults;
        [
            (
                "lost-requests",
                faults.lost_requests,
                RequestFault::LostRequest,
            ),
            (
                "lost-replies",
                faults.lost_responses,
                RequestFault::LostResponse,
            ),
            (
                "server-errors",
                faults.server_errors,
                RequestFault::ServerError,
            ),
            (
                "server-errors-after",
                faults.server_errors_after,
                RequestFault::ServerErrorAfter,
            ),
            ("silent", faults.silent, silent),
            ("slow", faults.slow, RequestFault::Slow(faults.slow_by)),
        ]
        .into_iter()
        .find(|(purpose, per_mille, _)| self.occurs(*per_mille, purpose, request))
        .map(|(_, _, fault)| fault)
    }

    /// Whether the credentials have expired at this request, or at the next one.
    pub(super) fn has_expired(&self, request: Option<&NumberedRequest>) -> bool {
        let total = request.map_or(self.requests + 1, |request| request.total);
        self.faults.expire_after.is_some_and(|after| total > after)
    }

    pub(super) fn denies(&self, action: Action) -> bool {
        self.faults.denied.contains(action.name())
    }

    pub(super) fn throttles(&mut self, request: &NumberedRequest, now: OffsetDateTime) -> bool {
        let site = request.site.to_string();
        self.faults.throttle && !self.rate_limits.take(&site, request.action, now)
    }

    /// A random number for a decision about this request.
    pub(super) fn random(&self, purpose: &str, request: &NumberedRequest) -> u64 {
        random::number(self.faults.seed, purpose, &request.subject, request.nth)
    }

    fn occurs(&self, per_mille: u16, purpose: &str, request: &NumberedRequest) -> bool {
        random::occurs(per_mille, self.random(purpose, request))
    }

    fn scripted<'a>(
        &'a self,
        request: &'a NumberedRequest,
    ) -> impl Iterator<Item = &'a ScriptedEvent> {
        self.faults.script.iter().filter_map(|trigger| {
            let nth = match trigger.action {
                None => request.nth_any,
                Some(action) if action == request.action.name() => request.nth,
                Some(_) => return None,
            };
            let is_named = request.name.as_deref() == Some(trigger.instance.name.as_str())
                && request.site == trigger.instance.site();
            (is_named && nth == trigger.nth).then_some(&trigger.event)
        })
    }
}

#[cfg(test)]
mod tests;
