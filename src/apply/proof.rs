//! What the rules are after a write, and whose doing that is.
//!
//! Owns the rule by which a read is believed, and the question for another writer. Refuses to write.

use super::endings::unproved;
use super::instance::{Trouble, Worker, replaces};
use super::rules::{difference, holds_key, means};
use super::wait::Patience;
use super::{Journal, Progress};
use crate::lightsail::{Error, Reader, Writer};
use crate::model::{Firewall, LiveFirewall};
use crate::plan::{Call, Foreign, InstancePlan, Outcome};

/// What a read after an uncertain write shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    /// The rules that the write leads to.
    Effect,
    /// The rules from before the write.
    NoEffect,
    /// Neither.
    Other(LiveFirewall),
}

impl<R: Reader, W: Writer, J: Journal, P: Progress> Worker<'_, R, W, J, P> {
    /// Reads back until the rules mean `after`. The first read is believed when it agrees; once one did not, two in a row
    /// must.
    pub(super) async fn prove(&mut self, replaced: bool) -> Result<(), Trouble> {
        let mut patience = Patience::new(self.tools.settings, self.tools.settings.proof_timeout);
        let (mut needed, mut agreed) = (1, 0);
        let InstancePlan { before, after, .. } = self.plan;
        loop {
            let live = self
                .read()
                .await
                .map_err(|error| Trouble::Over(Outcome::Failed(unproved(&error))))?;
            if means(&live, before, after, replaced) {
                agreed += 1;
                if agreed >= needed {
                    return Ok(());
                }
            } else {
                (needed, agreed) = (2, 0);
                self.disturbed = true;
                if patience.is_over() {
                    return Err(Trouble::Differs(difference(&live, after)));
                }
            }
            self.waiting("the rules do not read back as planned yet");
            patience.pause().await;
        }
    }

    /// What a write did, by reading: its effect is believed at once, anything else only twice in a row.
    pub(super) async fn look(
        &self,
        call: &Call,
        from: &Firewall,
        to: &Firewall,
    ) -> Result<Seen, Trouble> {
        let mut patience = Patience::new(self.tools.settings, self.tools.settings.proof_timeout);
        let before = &self.plan.before;
        let mut last = None;
        loop {
            let live = self
                .read()
                .await
                .map_err(|error| Trouble::Over(Outcome::Failed(unproved(&error))))?;
            let is_from = means(&live, before, from, false);
            let is_to = means(&live, before, to, replaces(call));
            // Where another rule lets the same people in, both mean the same until that rule goes: then its key tells.
            let seen = if is_to && (!is_from || holds_key(call, live.firewall(), to)) {
                Seen::Effect
            } else if is_from {
                Seen::NoEffect
            } else {
                Seen::Other(live)
            };
            // Rules that are neither may be an old view, so they are given the whole time.
            let settled = match (&last, &seen) {
                (None, Seen::Effect) => true,
                (None, _) => false,
                (Some(last), Seen::Effect | Seen::NoEffect) if *last == seen => true,
                (Some(_), _) => patience.is_over(),
            };
            if settled {
                return Ok(seen);
            }
            last = Some(seen);
            patience.pause().await;
        }
    }

    pub(super) async fn read(&self) -> Result<LiveFirewall, Error> {
        Ok(LiveFirewall::read(
            &self.tools.reader.port_states(self.id()).await?,
        ))
    }

    pub(super) async fn is_unsettled(&self) -> bool {
        self.tools
            .reader
            .instance(self.id())
            .await
            .is_ok_and(|instance| !instance.state.is_settled())
    }

    /// Refuses to go on where an operation shows another writer, or where the operations cannot be read.
    pub(super) async fn nobody_else(&self) -> Result<(), Outcome> {
        match self.tools.reader.operations_for(self.id()).await {
            Ok(operations) => match self.ours.foreign(&operations) {
                Some(foreign) => Err(Outcome::ForeignWriter(foreign)),
                None => Ok(()),
            },
            Err(error) => Err(Outcome::Failed(unproved(&error))),
        }
    }

    /// After a proof that did not come by itself, tells of another writer. Operations that cannot be read take nothing from
    /// what was read back.
    pub(super) async fn undisturbed(&self) -> Result<(), Outcome> {
        if !self.disturbed {
            return Ok(());
        }
        let operations = self.tools.reader.operations_for(self.id()).await;
        match self.ours.foreign(&operations.unwrap_or_default()) {
            Some(foreign) => Err(Outcome::ForeignWriter(Foreign {
                difference: Some("the rules are as planned all the same".to_owned()),
                ..foreign
            })),
            None => Ok(()),
        }
    }

    /// The rules are neither what a write started from nor what it leads to.
    pub(super) async fn overtaken(&self, live: &LiveFirewall, to: &Firewall) -> Trouble {
        let operations = self.tools.reader.operations_for(self.id()).await;
        let foreign = self.ours.foreign(&operations.unwrap_or_default());
        Trouble::Over(Outcome::ForeignWriter(Foreign {
            difference: Some(difference(live, to)),
            ..foreign.unwrap_or_default()
        }))
    }
}
