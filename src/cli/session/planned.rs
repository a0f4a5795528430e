//! A checked plan, with the data of its plan file.
//!
//! **Owns** the check by guards, the count of its calls, and the plan file. **Does not** make a plan.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::cost;
use crate::atomic_file;
use crate::cli::args::{ConnectionArgs, ConsentArgs, OutArgs};
use crate::cli::error::CommandError;
use crate::cli::run::Run;
use crate::cli::streams::{note, write_status};
use crate::model::{Calls, Code, Expiry, Fingerprint, Guard, InstanceId, Note};
use crate::plan::file::{self, PlanFile, Scope};
use crate::plan::{self, Plan};
use crate::policy;
use crate::render::cost::Cost;

/// The inputs of a plan, besides the rules.
pub(in crate::cli) struct PlanInputs {
    pub(in crate::cli) guard: Guard,
    pub(in crate::cli) scope: Scope,
    pub(in crate::cli) config: Fingerprint,
    pub(in crate::cli) made_at: OffsetDateTime,
    /// The first instant at which the plan would differ.
    pub(in crate::cli) changes_at: Option<OffsetDateTime>,
    /// Where the plan undoes a run: the instances that somebody else has changed since, with what is different.
    pub(in crate::cli) changed_since: BTreeMap<InstanceId, String>,
}

/// A checked plan, with its inputs.
pub(in crate::cli) struct Planned {
    pub(in crate::cli) plan: Plan,
    pub(in crate::cli) inputs: PlanInputs,
    /// The calls that it took and will take, once they are counted.
    pub(in crate::cli) cost: Cost,
    /// When the first declared rule of an instance ends, for each that is to be changed and has one.
    pub(in crate::cli) ends: BTreeMap<InstanceId, Expiry>,
    /// The tags of the leases that are over and whose access the plan closes, where it is still open.
    pub(in crate::cli) ended: BTreeMap<InstanceId, BTreeSet<String>>,
}

impl Planned {
    /// Checks a plan: whether it is consistent, and whether the guards permit it.
    ///
    /// An inconsistent plan is a bug in this program, and is never shown as if it could be applied.
    pub(in crate::cli) fn judge(
        mut plan: Plan,
        inputs: PlanInputs,
        consent: &ConsentArgs,
        run: &mut Run,
    ) -> Result<Self, CommandError> {
        if let Some(defect) = plan::lint::lint(&plan).first() {
            let message = format!("internal error: invalid plan: {defect}");
            return Err(CommandError::failed(message)
                .with_code(Code::Internal)
                .with_hint("please report this bug, with the configuration and the live rules"));
        }
        let reason = consent.reason.as_deref().unwrap_or_default();
        run.set_provenance(inputs.made_at, &inputs.scope);
        let mut judgement = policy::judge(
            &plan,
            &inputs.guard,
            inputs.scope.declared,
            &inputs.changed_since,
            &consent.allow,
            reason,
        );
        if let Some(shard) = inputs.scope.shard {
            for refusal in &mut judgement.refusals {
                if refusal.instance.is_none() {
                    refusal.reason = format!("{} (the part of shard {shard})", refusal.reason);
                }
            }
        }
        for allow in &judgement.unneeded {
            let text = format!("`--allow {allow}` was not needed");
            plan.notes.push(Note { text, origin: None });
        }
        plan.overrides = judgement.used;
        run.refusals = judgement.refusals;
        Ok(Self {
            plan,
            inputs,
            cost: Cost::default(),
            ends: BTreeMap::new(),
            ended: BTreeMap::new(),
        })
    }

    /// Counts the calls, of which these were made so far.
    pub(in crate::cli) fn with_cost(mut self, made: &[Calls], connection: &ConnectionArgs) -> Self {
        let only_listed = std::mem::take(&mut self.cost.only_listed);
        self.cost = cost::cost(
            made,
            &self.plan,
            self.inputs.scope.leases,
            connection.rate(),
            only_listed,
        );
        self
    }

    /// Writes the plan to a file, unless a guard or a policy refuses it: a refused plan must not be available for `apply`.
    pub(in crate::cli) fn write(&self, out: &OutArgs, run: &mut Run) -> Result<(), CommandError> {
        let Some(path) = out.out.as_deref() else {
            return Ok(());
        };
        if run.is_refused() {
            let path = path.display();
            note(&format!("the plan is refused, so `{path}` is not written"));
            return Ok(());
        }
        let file = self.file(out.valid_for)?;
        let text = file::write(&file);
        atomic_file::write(path, text.as_bytes())
            .map_err(|error| CommandError::file("write the plan", path.display(), error))?;
        let digest = file.digest();
        write_status(&format!("plan: {} {digest}", path.display()));
        run.metadata.provenance.digest = Some(digest);
        Ok(())
    }

    /// The plan file, valid for at most `valid_for`.
    ///
    /// # Errors
    /// A rule ended while the plan was made.
    fn file(&self, valid_for: std::time::Duration) -> Result<PlanFile, CommandError> {
        let inputs = &self.inputs;
        if let Some(ended) = inputs.changes_at.filter(|ended| *ended <= inputs.made_at) {
            let message = format!(
                "the plan is not valid: a rule ended at {ended}, before the plan was complete"
            );
            return Err(CommandError::failed(message)
                .with_code(Code::StalePlan)
                .with_hint("plan again"));
        }
        let valid_for = time::Duration::try_from(valid_for).unwrap_or(time::Duration::MAX);
        let valid_until = file::valid_until(inputs.changes_at, inputs.made_at, valid_for);
        Ok(PlanFile {
            tool: file::TOOL.to_owned(),
            made_at: inputs.made_at,
            valid_until,
            config: inputs.config,
            scope: inputs.scope.clone(),
            guard: inputs.guard.clone(),
            plan: self.plan.clone(),
        })
    }
}
