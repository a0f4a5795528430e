//! What the rules are after a write, and whose doing that is.
//!
//! Owns the rule by which a read is believed, and the question for another writer. Does not write.

use super::instance::{Trouble, Worker, replaces};
use super::outcomes::unproved;
use super::rules::{difference, holds_key, means};
use super::{Journal, Progress};
use crate::lightsail::{Error, Reader, Writer};
use crate::model::{Firewall, LiveFirewall};
use crate::plan::{Call, Foreign, InstancePlan, Outcome};

/// How many reads in a row must mean what was written in another spelling before that is taken for the service's own. An
/// operation has ended by then, so that an old view is rare; and a run over many instances should not wait long for what is
/// no failure.
const READS_OF_A_SPELLING: usize = 3;

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
    /// must. Where the same other rules come twice in a row, it is asked who else wrote: then waiting longer would show nothing
    /// new.
    ///
    /// Where the spelling counts, they must be spelled so too. Rules that mean it and are spelled otherwise may be an old
    /// view, so that they are read again; after some reads it is the service that spells in a way of its own, which is no
    /// failure and no reason to write again.
    pub(super) async fn prove(&mut self, replaced: bool) -> Result<(), Trouble> {
        let mut backoff = self.backoff(self.tools.settings.proof_timeout);
        let (mut needed, mut agreed, mut respelled) = (1, 0, 0);
        let mut other = None;
        let InstancePlan { before, after, .. } = self.plan;
        loop {
            let live = self
                .read()
                .await
                .map_err(|error| Trouble::Over(Outcome::Failed(unproved(&error))))?;
            let is_after = means(&live, before, after, replaced, self.plan.family());
            if is_after && !self.plan.spelling_holds(&live) {
                respelled += 1;
                if respelled >= READS_OF_A_SPELLING {
                    self.disturbed = true;
                    self.note = Some(
                        "the rules mean what was written, and the service spells them otherwise"
                            .to_owned(),
                    );
                    return Ok(());
                }
            } else if is_after {
                agreed += 1;
                if agreed >= needed {
                    return Ok(());
                }
            } else {
                (needed, agreed, respelled) = (2, 0, 0);
                self.disturbed = true;
                if backoff.is_over() {
                    return Err(Trouble::Differs(difference(
                        &live,
                        after,
                        self.plan.family(),
                    )));
                }
                if other.as_ref() == Some(&live)
                    && let Some(foreign) = self.another_writer().await
                {
                    let difference = difference(&live, after, self.plan.family());
                    return Err(Trouble::Over(Outcome::ForeignWriter(Foreign {
                        difference: Some(difference),
                        ..foreign
                    })));
                }
                other = Some(live);
            }
            self.waiting("the rules do not read back as planned yet");
            backoff.pause().await;
        }
    }

    /// What a write did, by reading: its effect is believed at once, anything else only twice in a row. Where the rules are
    /// as before and were something else in between, it is asked who else wrote: what comes next would overwrite it.
    pub(super) async fn look(
        &self,
        call: &Call,
        from: &Firewall,
        to: &Firewall,
    ) -> Result<Seen, Trouble> {
        let mut backoff = self.backoff(self.tools.settings.proof_timeout);
        let before = &self.plan.before;
        let (mut last, mut odd) = (None, false);
        loop {
            let live = self
                .read()
                .await
                .map_err(|error| Trouble::Over(Outcome::Failed(unproved(&error))))?;
            let family = self.plan.family();
            let is_from = means(&live, before, from, false, family);
            let is_to = means(&live, before, to, replaces(call), family);
            // Where another rule lets the same people in, both mean the same until that rule goes: then its key tells. Where
            // the spelling counts, it tells.
            let has_effect = if self.plan.strict_spelling {
                live.firewall() != from
            } else {
                holds_key(call, live.firewall(), to, family)
            };
            let seen = if is_to && (!is_from || has_effect) {
                Seen::Effect
            } else if is_from {
                Seen::NoEffect
            } else {
                Seen::Other(live)
            };
            odd |= matches!(seen, Seen::Other(_));
            // Rules that are neither may be an old view, so they are given the whole time.
            let settled = match (&last, &seen) {
                (_, Seen::Effect) => true,
                (None, _) => false,
                (Some(last), Seen::NoEffect) if *last == seen => true,
                (Some(_), _) => backoff.is_over(),
            };
            if settled {
                if odd && seen == Seen::NoEffect {
                    self.nobody_else().await.map_err(Trouble::Over)?;
                }
                return Ok(seen);
            }
            last = Some(seen);
            backoff.pause().await;
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

    /// Does not go on where an operation shows another writer, or where the operations cannot be read.
    pub(super) async fn nobody_else(&self) -> Result<(), Outcome> {
        match self.tools.reader.operations_for(self.id()).await {
            Ok(operations) => match self.own_operations.foreign(&operations) {
                Some(foreign) => Err(Outcome::ForeignWriter(foreign)),
                None => Ok(()),
            },
            Err(error) => Err(Outcome::Failed(unproved(&error))),
        }
    }

    /// After a proof, tells of another writer where the proof alone does not: where it did not come by itself, and after an
    /// Open or a Close. If an Open replaces the sources of its key, or a Close removes the key, then a source that somebody
    /// added since it was read is gone, and the rules are just as planned. A Put costs no such question: that it overwrites
    /// what it did not see is what it is.
    ///
    /// Where access may be granted and revoked meanwhile, it is asked after a Put too, since others are to be expected then; and
    /// the tags are looked at again: a lease that came or went may not show in any operation of the rules.
    ///
    /// Operations that cannot be read take nothing from what was read back, and it is said that they were not.
    pub(super) async fn undisturbed(&mut self) -> Result<(), Outcome> {
        let leases = self.tools.settings.leases;
        if !self.disturbed && !leases && self.plan.calls.iter().all(replaces) {
            return Ok(());
        }
        if leases {
            self.nothing_granted().await?;
        }
        let operations = match self.tools.reader.operations_for(self.id()).await {
            Ok(operations) => operations,
            Err(error) => {
                let unknown =
                    format!("whether somebody else wrote meanwhile is not known: {error}");
                self.note = Some(match self.note.take() {
                    Some(note) => format!("{note}; {unknown}"),
                    None => unknown,
                });
                return Ok(());
            }
        };
        match self.own_operations.foreign(&operations) {
            Some(foreign) => Err(Outcome::ForeignWriter(Foreign {
                difference: Some(
                    "the rules are as planned, so what it changed may be undone".to_owned(),
                ),
                ..foreign
            })),
            None => Ok(()),
        }
    }

    /// The rules are neither what a write started from nor what it leads to.
    pub(super) async fn overtaken(&self, live: &LiveFirewall, to: &Firewall) -> Trouble {
        Trouble::Over(Outcome::ForeignWriter(Foreign {
            difference: Some(difference(live, to, self.plan.family())),
            ..self.another_writer().await.unwrap_or_default()
        }))
    }

    /// The operation that shows another writer, as far as the operations can be read.
    async fn another_writer(&self) -> Option<Foreign> {
        let operations = self.tools.reader.operations_for(self.id()).await;
        self.own_operations.foreign(&operations.unwrap_or_default())
    }
}
