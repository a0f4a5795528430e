//! Whether a lease may be granted, before anything of it is written.
//!
//! **Owns** the checks: whether `[grants]` and the policies permit it, and whether it can be opened and closed safely.
//! **Does not** write.

use super::{FleetSession, desired_instance};
use crate::apply::leases::Aim;
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::lease::Lease;
use crate::lightsail::Reader as _;
use crate::model::{Code, InstanceId, Mode, Rule};
use crate::plan::{self, Plan, Verdict};
use crate::policy::{self, CheckedRules};

impl FleetSession {
    /// Checks a lease before anything of it is written.
    ///
    /// # Errors
    /// `[grants]` or a policy does not permit it, the instance cannot have it, or it could not be opened safely.
    pub(in crate::cli) async fn judge(
        &mut self,
        id: &InstanceId,
        lease: &Lease,
        replaced: &[&Lease],
    ) -> Result<(), RunError> {
        let refused = |message: String, hint: Option<&str>| {
            CommandError::new(Exit::Refused, message).with_optional_hint(hint.map(str::to_owned))
        };
        let limits = self.limits()?;
        let Some(instance) = self.live.instances.get(id) else {
            let message = format!("there is no instance `{id}` any more");
            return Err(CommandError::failed(message)
                .with_code(Code::NotFound)
                .into());
        };
        let may_grant = self.config.may_grant_on(instance);
        if let Err(reason) = limits.permits(lease, may_grant, self.now()) {
            let hint = format!("see `[grants]` at {}", limits.origin);
            return Err(refused(format!("not granted on `{id}`: {reason}"), Some(&hint)).into());
        }
        let firewall = self.connection.reader().rules(id).await;
        let firewall = firewall.map_err(|error| {
            CommandError::failed(format!("`{id}` cannot be read: {error}"))
                .with_code(Code::Unreadable)
                .with_optional_hint(error.hint())
        })?;
        let now = self.now();
        let without = desired_instance(&self.config, &self.live, &self.listing, id, now)?;
        // As if the tag were there.
        let value = lease
            .value()
            .map_err(|error| CommandError::failed(error.to_string()).with_code(Code::Internal))?;
        let mut tagged = instance.clone();
        tagged.tags.insert(lease.id.tag_key(), value);
        for lease in replaced {
            tagged.tags.remove(&lease.id.tag_key());
        }
        let before = self.live.instances.insert(id.clone(), tagged);
        let desired = self
            .config
            .resolve_listed(&self.live.instances, &self.listing, self.now());
        let instance = match before {
            Some(before) => self.live.instances.insert(id.clone(), before),
            None => None,
        };
        let mut desired = desired?;
        desired.instances.retain(|one, _| one == id);
        let (Some(wanted), Some(instance)) = (desired.instances.get(id), instance) else {
            let hint =
                "only the firewall of an instance that the configuration declares can be opened";
            return Err(
                refused(format!("not granted: nothing declares `{id}`"), Some(hint)).into(),
            );
        };
        if wanted.mode == Mode::Observe {
            let message = format!("not granted: `{id}` is in observe mode, and is never written");
            return Err(refused(message, None).into());
        }
        let aim = Aim {
            open: vec![lease],
            close: replaced.to_vec(),
        };
        let one = aim.plan(&instance, wanted, &firewall);
        if one.changes.iter().all(|change| !opens(change)) && wanted.mode == Mode::Additive {
            let known = without.as_deref().map_or(&[][..], |wanted| &wanted.rules);
            if !is_declared(lease, known) {
                let message = format!(
                    "not granted: on `{id}` {lease} is open already by a rule that nothing declares, and ending a grant would close it"
                );
                return Err(refused(message, None).into());
            }
        }
        if let Verdict::Refused { reason, hint } = &one.verdict {
            return Err(refused(format!("not granted: {reason}"), hint.as_deref()).into());
        }
        let plan = Plan {
            instances: vec![one],
            ..Plan::default()
        };
        let findings = policy::check_policies(&plan, &desired, CheckedRules::Result);
        let mut violations = findings.violations.iter();
        if let Some(violation) = violations.find(|violation| violation.is_refusal()) {
            let message = format!(
                "not granted: policy `{}` on `{id}`: {}",
                violation.policy, violation.reason
            );
            return Err(refused(message, Some(&violation.hint)).into());
        }
        Ok(())
    }
}

fn opens(change: &plan::Change) -> bool {
    matches!(
        change.action,
        plan::ChangeKind::Add | plan::ChangeKind::Widen | plan::ChangeKind::Replace
    )
}

/// Whether everything that a lease opens is declared already.
fn is_declared(lease: &Lease, rules: &[Rule]) -> bool {
    lease.keys.iter().all(|key| {
        let mut same = rules.iter().filter(|rule| rule.key == *key);
        same.any(|rule| rule.sources.names_all_of(&lease.sources))
    })
}
