//! Writes: from an accepted request to changed rules, an operation and a line in the journal.
//!
//! Owns when a write is taken and in how many steps it takes effect. Does not know what Open, Close and Put make of a
//! list of rules, which is `rules`'.

use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::model::{AddressType, InstanceId, InstanceState, Key, PortState, Site};

use super::super::changes::{Changed, Event, Keep};
use super::super::fault::Fault;
use super::super::quirks::{Acceptance, ListedPorts, Progress, Quirks, Reads, Steps};
use super::super::reply;
use super::super::rules::{self, Rule};
use super::{Author, State, Write, id, unreadable};

/// What the rules are after a write, or why it is refused.
type Change<'a> = dyn Fn(&[PortState], &AddressType) -> Result<Vec<PortState>, Fault> + 'a;

/// A write before it is known whether it is accepted.
pub(super) struct Attempt<'a> {
    pub(super) by: Author,
    pub(super) action: &'static str,
    pub(super) details: String,
    pub(super) request: Vec<PortState>,
    pub(super) change: &'a Change<'a>,
}

/// The rest of a Put that takes effect in two steps.
#[derive(Debug)]
pub(super) struct SecondStep {
    /// The first step.
    first: Arc<Write>,
    after: Vec<PortState>,
}

impl State {
    pub(super) fn open(
        &mut self,
        site: &Site,
        name: &str,
        rule: &Rule,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<Value, Fault> {
        let quirks = self.quirks.clone();
        let attempt = Attempt {
            by: Author::Client,
            action: "OpenInstancePublicPorts",
            details: details(rule.key),
            request: vec![rule.sent.clone()],
            change: &|entries, family| rules::open(entries, rule, family, &quirks),
        };
        self.write(site, name, attempt, now, keep)
    }

    pub(super) fn close(
        &mut self,
        site: &Site,
        name: &str,
        rule: &Rule,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<Value, Fault> {
        let quirks = self.quirks.clone();
        let attempt = Attempt {
            by: Author::Client,
            action: "CloseInstancePublicPorts",
            details: details(rule.key),
            request: vec![rule.sent.clone()],
            change: &|entries, _| rules::close(entries, rule, &quirks),
        };
        self.write(site, name, attempt, now, keep)
    }

    pub(super) fn put(
        &mut self,
        site: &Site,
        name: &str,
        rules: &[Rule],
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<Value, Fault> {
        let quirks = self.quirks.clone();
        let attempt = Attempt {
            by: Author::Client,
            action: "PutInstancePublicPorts",
            // What the service says of a Put is not known.
            details: String::new(),
            request: rules.iter().map(|rule| rule.sent.clone()).collect(),
            change: &|_, family| rules::put(rules, family, &quirks),
        };
        self.write(site, name, attempt, now, keep)
    }

    pub(super) fn write(
        &mut self,
        site: &Site,
        name: &str,
        attempt: Attempt<'_>,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<Value, Fault> {
        let place = self.place(site, name)?;
        let id = id(site, name);
        self.finish_put(&id, place, now, keep)?;
        self.check_settled(site, place)?;
        let client = attempt.by == Author::Client;
        let entry = self.entry(site, place);
        let before = entry
            .port_states
            .as_deref()
            .ok_or_else(unreadable)?
            .to_vec();
        let family = AddressType::from_name(&entry.ip_address_type);
        let arn = entry.arn.clone();
        let mut after = (attempt.change)(&before, &family)?;
        self.check_limit(&before, &after)?;
        let fails = matches!(self.quirks.operations, Progress::Fails(_));
        if client && (fails || self.ignores_writes) {
            after.clone_from(&before);
        }
        let whole = after.clone();
        if client && self.quirks.put == Steps::Two && attempt.action == "PutInstancePublicPorts" {
            after = rules::halfway(&before, &after);
        }
        let steps = if after == before || after == whole {
            1
        } else {
            2
        };
        if steps == 1 {
            after.clone_from(&whole);
        }
        // A write that changes nothing is offered too, because whoever keeps the inventory may refuse any write.
        let event = if client {
            Event::Written
        } else {
            Event::Happened
        };
        self.change(site, place, &before, &after, event, keep)?;
        let usual = Quirks::default();
        let quirks = if client { &self.quirks } else { &usual };
        let operation =
            self.operations
                .begin((&id, &arn), attempt.action, attempt.details, now, quirks);
        let write = Arc::new(Write {
            at: now,
            by: attempt.by,
            action: attempt.action,
            instance: id.clone(),
            arn,
            request: attempt.request,
            before,
            after,
            step: 1,
            steps,
        });
        self.journal.push(Arc::clone(&write));
        if steps == 2 {
            self.memory.entry(id).or_default().second_step = Some(SecondStep {
                first: write,
                after: whole,
            });
        }
        // Last, so that an operation which is kept is one whose rules are. A client that is told of a failure here has to
        // look, as after any failure of the service.
        keep(Changed::Operation(&operation))?;
        Ok(json!({"operation": reply::operation(&operation, &self.quirks)}))
    }

    /// Takes the second step of a Put, if there is one left.
    pub(super) fn finish_put(
        &mut self,
        id: &InstanceId,
        place: usize,
        now: OffsetDateTime,
        keep: Keep<'_>,
    ) -> Result<(), Fault> {
        let memory = self.memory.get_mut(id);
        let Some(step) = memory.and_then(|memory| memory.second_step.take()) else {
            return Ok(());
        };
        let before = &step.first.after;
        // It is no write of this client now, and may be due to a read.
        if let Err(fault) = self.change(
            &id.site(),
            place,
            before,
            &step.after,
            Event::Happened,
            keep,
        ) {
            self.memory.entry(id.clone()).or_default().second_step = Some(step);
            return Err(fault);
        }
        self.journal.push(Arc::new(Write {
            at: now,
            before: before.clone(),
            after: step.after,
            step: 2,
            ..Write::clone(&step.first)
        }));
        Ok(())
    }

    /// Changes the rules, or leaves everything as it is where the change cannot be kept.
    fn change(
        &mut self,
        site: &Site,
        place: usize,
        before: &[PortState],
        after: &[PortState],
        event: Event,
        keep: Keep<'_>,
    ) -> Result<(), Fault> {
        let changes = after != before;
        if changes {
            self.entry(site, place).port_states = Some(after.into());
        }
        if let Err(fault) = keep(Changed::Inventory(&self.inventory, event)) {
            self.entry(site, place).port_states = Some(before.into());
            return Err(fault);
        }
        let lists_late = self.quirks.listed_ports == ListedPorts::Stale;
        if changes && (lists_late || self.quirks.reads != Reads::Fresh) {
            let id = id(site, &self.entry(site, place).name);
            self.memory.entry(id).or_default().remember(before);
        }
        Ok(())
    }

    fn check_settled(&mut self, site: &Site, place: usize) -> Result<(), Fault> {
        let (rejection, stopped) = (self.quirks.pending_error, self.quirks.stopped);
        let entry = self.entry(site, place);
        let state = InstanceState::from_name(&entry.state);
        let barred = state == InstanceState::Stopped && stopped == Acceptance::Refuse;
        if state.is_settled() && !barred {
            return Ok(());
        }
        Err(Fault::rejection(
            rejection,
            format!(
                "The Instance {} cannot be changed while its state is {}.",
                entry.name, entry.state
            ),
        ))
    }

    fn check_limit(&self, before: &[PortState], after: &[PortState]) -> Result<(), Fault> {
        let Quirks {
            source_limit: limit,
            source_limit_error: code,
            aliases_count,
            ..
        } = self.quirks;
        let count = |entries| rules::count(entries, aliases_count);
        let (before, after) = (count(before), count(after));
        for (family, before, after) in [("IPv4", before.0, after.0), ("IPv6", before.1, after.1)] {
            if after > limit && after >= before {
                let message = format!(
                    "An Instance firewall takes at most {limit} {family} sources; this would make {after}."
                );
                return Err(Fault::rejection(code, message));
            }
        }
        Ok(())
    }
}

/// `22/tcp` is documented; the form for a range is a guess.
pub(super) fn details(key: Key) -> String {
    if key.from() == key.to() {
        format!("{}/{}", key.from(), key.protocol())
    } else {
        format!("{}-{}/{}", key.from(), key.to(), key.protocol())
    }
}
