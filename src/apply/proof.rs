//! Proof: verifies the rules after a write, and looks for other writers.
//!
//! **Owns** the decision when a read is trusted, and the check of operations. **Does not** write.

use super::Intent;
use super::instance::{Worker, WriteFailure};
use super::outcomes::unverified;
use super::rules::{describe_difference, is_equivalent, is_key_as_planned};
use crate::lightsail::{Error, Reader, Writer};
use crate::model::{Firewall, LiveFirewall};
use crate::plan::{Call, ForeignWrite, InstancePlan, Outcome};

/// The number of reads with the right meaning in another spelling after which the spelling is accepted as the service's own. The
/// operation has ended, so old reads are rare, and a run over many instances should not wait long for something that is no
/// failure.
const MAX_RESPELLED_READS: usize = 3;

/// The effect of a write, as shown by reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum WriteEffect {
    /// The rules are as after the write.
    Effect,
    /// The rules are as before the write.
    NoEffect,
    /// The rules are neither.
    Other(LiveFirewall),
}

impl<R: Reader, W: Writer> Worker<'_, R, W> {
    /// Reads back until the rules mean `after`. The first read is trusted if it agrees; after one that does not, two in a row must. If
    /// the same other rules come twice in a row, the operations are checked for another writer, because waiting would not help.
    ///
    /// If the spelling counts, it must agree too. Rules with the right meaning in another spelling may be an old read, so they are
    /// read again; after some reads it is the service's own spelling, which is no failure.
    pub(super) async fn prove(&mut self, replaced: bool) -> Result<(), WriteFailure> {
        let mut backoff = self.tools.backoff(self.tools.settings.proof_timeout);
        let (mut needed, mut agreed, mut respelled) = (1, 0, 0);
        let mut other = None;
        let InstancePlan { before, after, .. } = self.plan;
        loop {
            let live = self.read_back().await?;
            let is_after = is_equivalent(&live, before, after, replaced, self.plan.family());
            if is_after && !self.plan.has_desired_spelling(&live) {
                respelled += 1;
                if respelled >= MAX_RESPELLED_READS {
                    self.had_anomaly = true;
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
                self.had_anomaly = true;
                if backoff.is_expired() {
                    return Err(WriteFailure::Differs(self.difference(&live, after)));
                }
                if other.as_ref() == Some(&live)
                    && let Ok(Some(foreign)) = self.foreign_operation().await
                {
                    return Err(WriteFailure::Final(Outcome::ForeignWriter(ForeignWrite {
                        difference: Some(self.difference(&live, after)),
                        ..foreign
                    })));
                }
                other = Some(live);
            }
            self.waiting("the rules do not read back as planned yet");
            backoff.pause().await;
        }
    }

    /// Reads the effect of a write: an effect is trusted at once, anything else only twice in a row. If the rules are as before but
    /// were different in between, the operations are checked for another writer, whose change the next write would overwrite.
    pub(super) async fn read_effect(
        &self,
        intent: &Intent<'_>,
    ) -> Result<WriteEffect, WriteFailure> {
        let mut backoff = self.tools.backoff(self.tools.settings.proof_timeout);
        let before = intent.known;
        let (mut last, mut odd) = (None, false);
        loop {
            let live = self.read_back().await?;
            let family = self.plan.family();
            let is_from = is_equivalent(&live, before, intent.before, false, family);
            let is_to = is_equivalent(&live, before, intent.after, intent.call.replaces(), family);
            // If another rule gives the same access, both states mean the same. Then the key of the call decides, or, if the
            // spelling counts, the spelling.
            let has_effect = if self.plan.strict_spelling {
                live.firewall() != intent.before
            } else {
                is_key_as_planned(intent.call, live.firewall(), intent.after, family)
            };
            let seen = if is_to && (!is_from || has_effect) {
                WriteEffect::Effect
            } else if is_from {
                WriteEffect::NoEffect
            } else {
                WriteEffect::Other(live)
            };
            odd |= matches!(seen, WriteEffect::Other(_));
            // Rules that are neither may be an old read, so wait until the deadline.
            let settled = match (&last, &seen) {
                (_, WriteEffect::Effect) => true,
                (None, _) => false,
                (Some(last), WriteEffect::NoEffect) if *last == seen => true,
                (Some(_), _) => backoff.is_expired(),
            };
            if settled {
                if odd && seen == WriteEffect::NoEffect {
                    self.refuse_foreign_operations().await?;
                }
                return Ok(seen);
            }
            last = Some(seen);
            backoff.pause().await;
        }
    }

    pub(super) async fn read(&self) -> Result<LiveFirewall, Error> {
        self.tools.reader.rules(self.id()).await
    }

    /// Reads the rules after a write.
    pub(super) async fn read_back(&self) -> Result<LiveFirewall, Outcome> {
        let live = self.read().await;
        live.map_err(|error| Outcome::Failed(unverified(&error)))
    }

    pub(super) async fn is_unsettled(&self) -> bool {
        self.tools
            .reader
            .instance(self.id())
            .await
            .is_ok_and(|instance| !instance.state.is_settled())
    }

    /// Fails if an operation shows another writer, or if the operations cannot be read.
    pub(super) async fn refuse_foreign_operations(&self) -> Result<(), Outcome> {
        match self.foreign_operation().await {
            Ok(None) => Ok(()),
            Ok(Some(foreign)) => Err(Outcome::ForeignWriter(foreign)),
            Err(error) => Err(Outcome::Failed(unverified(&error))),
        }
    }

    /// After the verification, checks the operations for another writer, after anything unusual and after an Open or a Close. If an Open
    /// replaces the sources of its key, or a Close removes the key, a source that somebody added since the read is lost although the
    /// rules are as planned. After a Put there is no check, because it is known to overwrite such changes.
    ///
    /// If leases may be granted and revoked meanwhile, the check comes after a Put too, and the tags are read again: a lease that was
    /// granted or ended may not show in any operation on the rules.
    ///
    /// If the operations cannot be read, the verification still counts, with a note.
    pub(super) async fn check_for_foreign_writes(&mut self) -> Result<(), Outcome> {
        let leases = self.tools.settings.leases;
        if !self.had_anomaly && !leases && self.plan.calls.iter().all(Call::replaces) {
            return Ok(());
        }
        if leases {
            self.check_grants().await?;
        }
        match self.foreign_operation().await {
            Ok(None) => Ok(()),
            Ok(Some(foreign)) => Err(Outcome::ForeignWriter(ForeignWrite {
                difference: Some(
                    "the rules are as planned, so what it changed may be undone".to_owned(),
                ),
                ..foreign
            })),
            Err(error) => {
                let unknown =
                    format!("whether somebody else wrote meanwhile is not known: {error}");
                self.note = Some(match self.note.take() {
                    Some(note) => format!("{note}; {unknown}"),
                    None => unknown,
                });
                Ok(())
            }
        }
    }

    /// The outcome if the rules are neither as before a write nor as after it.
    pub(super) async fn foreign_write(&self, live: &LiveFirewall, to: &Firewall) -> WriteFailure {
        let foreign = self.foreign_operation().await;
        WriteFailure::Final(Outcome::ForeignWriter(ForeignWrite {
            difference: Some(self.difference(live, to)),
            ..foreign.ok().flatten().unwrap_or_default()
        }))
    }

    /// The operation that shows another writer.
    async fn foreign_operation(&self) -> Result<Option<ForeignWrite>, Error> {
        let operations = self.tools.reader.operations_for(self.id()).await?;
        Ok(self.own_operations.first_foreign(&operations))
    }

    pub(super) fn difference(&self, live: &LiveFirewall, wanted: &Firewall) -> String {
        describe_difference(live, wanted, self.plan.family())
    }
}
