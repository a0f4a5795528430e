//! From leases to the rules: opened, closed, and proved, however many others write at the same time.
//!
//! **Owns** beginning again from what is live where somebody else wrote meanwhile, and the tags around it. **Does not** touch
//! what no lease of the aim names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use time::OffsetDateTime;

use super::Fleet;
use crate::apply::receipt::{Header, ReceiptFile, Scope};
use crate::apply::{self, Settings, Stop, SystemClock, Tools, Validity};
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::streams::say;
use crate::lease::{Lease, LeaseId};
use crate::lightsail::{Reader as _, Writer as _};
use crate::model::{Code, DesiredInstance, Instance, InstanceId, LiveFirewall, Mode, Rule};
use crate::plan::{self, Call, InstancePlan, Outcome, Plan, Verdict};
use crate::policy::{self, JudgedRules};

/// How often it begins again from what is live. Each time somebody else has written, and got on by it.
const ROUNDS: u32 = 12;

/// How long a tag may take to be seen.
const VISIBLE_WITHIN: Duration = Duration::from_secs(30);

/// What is to be open and what is to be closed on an instance when it is done.
#[derive(Debug, Default)]
pub(in crate::cli) struct Aim<'a> {
    /// Leases that are live.
    pub(in crate::cli) open: Vec<&'a Lease>,
    /// Leases that are ended, whether or not their time is over.
    pub(in crate::cli) close: Vec<&'a Lease>,
}

impl Aim<'_> {
    fn closes(&self, rule: &Rule) -> bool {
        let tag = rule.declared.origin.tag();
        let mut close = self.close.iter();
        close.any(|lease| tag == Some(lease.id.tag_key().as_str()))
    }

    fn opens(&self, rule: &Rule) -> bool {
        let tag = rule.declared.origin.tag();
        let mut open = self.open.iter();
        open.any(|lease| tag == Some(lease.id.tag_key().as_str()))
    }
}

impl Fleet {
    /// Judges a lease before anything of it is written.
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
            CommandError::new(Exit::Refused, message).with_hint(hint.map(str::to_owned))
        };
        let limits = self.limits()?;
        let instance = self.live.instances.get(id).ok_or_else(|| gone(id))?;
        let takes = self.config.may_grant_on(instance);
        if let Err(why) = limits.permits(lease, takes, self.now()) {
            let hint = format!("see `[grants]` at {}", limits.origin);
            return Err(refused(format!("not granted on `{id}`: {why}"), Some(&hint)).into());
        }
        let firewall = self.connection.reader().rules(id).await;
        let firewall = firewall.map_err(|error| cannot_read(id, &error))?;
        let without = self.wanted(id)?;
        // As if the tag were there.
        let value = lease
            .value()
            .map_err(|error| CommandError::failed(error.to_string()))?;
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
        let one = part(&instance, wanted, &firewall, &aim, replaced);
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
        let findings = policy::policies(&plan, &desired, JudgedRules::Result);
        let mut violations = findings.violations.iter();
        if let Some(violation) = violations.find(|violation| violation.refuses()) {
            let message = format!(
                "not granted: policy `{}` on `{id}`: {}",
                violation.policy, violation.reason
            );
            return Err(refused(message, Some(&violation.hint)).into());
        }
        Ok(())
    }

    /// Writes the tag of a lease and waits until it is seen.
    ///
    /// # Errors
    /// It was not written, or is not seen. Then nothing was opened, and the tag is taken back as far as that is possible.
    pub(in crate::cli) async fn remember(
        &mut self,
        id: &InstanceId,
        lease: &Lease,
    ) -> Result<(), CommandError> {
        let value = lease
            .value()
            .map_err(|error| CommandError::failed(error.to_string()))?;
        let (key, writer) = (lease.id.tag_key(), self.writer()?);
        let written = writer
            .tag(id, &BTreeMap::from([(key.clone(), value.clone())]))
            .await;
        let why = match written {
            Err(error) if !error.is_outcome_unknown() => {
                let message =
                    format!("nothing is granted: the tag `{key}` cannot be written: {error}");
                return Err(CommandError::failed(message).with_hint(error.hint()));
            }
            Err(error) => error.to_string(),
            Ok(_) => "it is not seen".to_owned(),
        };
        let began = tokio::time::Instant::now();
        let mut pause = Duration::from_millis(100);
        loop {
            let seen = self.look(id).await;
            if let Ok(instance) = &seen
                && instance.tags.get(&key) == Some(&value)
            {
                return Ok(());
            }
            if began.elapsed() > VISIBLE_WITHIN {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
        let _ = writer.untag(id, &BTreeSet::from([key.clone()])).await;
        Err(CommandError::failed(format!(
            "nothing is granted: whether the tag `{key}` was written is not known: {why}"
        ))
        .with_hint(Some(
            "look with `portward grants`; nothing was opened".to_owned(),
        )))
    }

    /// Removes the tags of leases whose access was closed.
    ///
    /// # Errors
    /// They were not removed. They open nothing any more once their time is over.
    pub(in crate::cli) async fn forget(
        &mut self,
        id: &InstanceId,
        tags: BTreeSet<String>,
    ) -> Result<(), CommandError> {
        if tags.is_empty() {
            return Ok(());
        }
        let done = self.writer()?.untag(id, &tags).await;
        done.map_err(|error| {
            let shown: Vec<&str> = tags.iter().map(String::as_str).collect();
            CommandError::failed(format!(
                "closed, but the tag cannot be removed from `{id}`: {}: {error}",
                shown.join(", ")
            ))
            .with_hint(error.hint().or_else(|| {
                Some("until its end it counts as declared: remove it, or the next `apply` opens it again".to_owned())
            }))
        })?;
        if let Some(instance) = self.live.instances.get_mut(id) {
            instance.tags.retain(|tag, _| !tags.contains(tag));
        }
        Ok(())
    }

    /// The instance as it is now, which is what the next step begins from.
    async fn look(&mut self, id: &InstanceId) -> Result<Instance, CommandError> {
        let instance = self.connection.reader().instance(id).await;
        let instance = instance.map_err(|error| cannot_read(id, &error))?;
        self.live.instances.insert(id.clone(), instance.clone());
        Ok(instance)
    }

    /// Makes it so. Answers with whether anything was written.
    ///
    /// # Errors
    /// It could not be done; `wrote` says whether something may have been opened or closed all the same.
    pub(in crate::cli) async fn settle(
        &mut self,
        id: &InstanceId,
        aim: &Aim<'_>,
        about: &str,
        receipts: &Path,
    ) -> Result<bool, Unsettled> {
        let mut wrote = false;
        let mut last = String::new();
        // Once the whole firewall was replaced, or somebody else wrote meanwhile, everybody's leases are looked after, in case
        // one was overwritten.
        let mut everybody = false;
        for round in 0..ROUNDS {
            if round > 0 {
                let most = 200 * u64::from(round);
                let pause = Duration::from_millis(fastrand::u64(1..=most));
                tokio::time::sleep(pause).await;
            }
            let failed = |error: RunError| Unsettled { wrote, error };
            let instance = self.look(id).await.map_err(|error| failed(error.into()))?;
            let firewall = self.connection.reader().rules(id).await;
            let firewall = firewall.map_err(|error| failed(cannot_read(id, &error).into()))?;
            let wanted = self.wanted(id).map_err(failed)?;
            let wanted = wanted.as_deref().cloned().unwrap_or_else(nothing);
            for lease in &aim.open {
                let tag = lease.id.tag_key();
                let mut rules = wanted.rules.iter();
                if !rules.any(|rule| rule.declared.origin.tag() == Some(tag.as_str())) {
                    let message = format!("the grant {} was revoked or is over", lease.id);
                    return Err(failed(CommandError::failed(message).into()));
                }
            }
            let all: Vec<Lease> = if everybody {
                live_leases(&instance, &wanted)
            } else {
                Vec::new()
            };
            let aim = Aim {
                open: aim.open.iter().copied().chain(&all).collect(),
                close: aim.close.clone(),
            };
            let aim = Aim {
                open: aim
                    .open
                    .iter()
                    .copied()
                    .filter(|lease| !aim.close.iter().any(|closed| closed.id == lease.id))
                    .collect(),
                close: aim.close,
            };
            let one = part(&instance, &wanted, &firewall, &aim, &aim.close);
            let puts = match &one.verdict {
                Verdict::Refused { reason, hint } => {
                    let error = CommandError::failed(format!("`{id}`: {reason}"));
                    return Err(failed(error.with_hint(hint.clone()).into()));
                }
                Verdict::Change => one
                    .calls
                    .iter()
                    .any(|call| matches!(call, Call::Put { .. })),
                _ => return Ok(wrote),
            };
            let outcome = self.write(one, about, receipts).await;
            let (outcome, writes) = outcome.map_err(|error| failed(error.into()))?;
            wrote |= writes > 0;
            match outcome {
                Outcome::Applied { repaired } => {
                    if !puts && repaired.is_none() && aim.close.is_empty() {
                        return Ok(true);
                    }
                    everybody |= puts || repaired.is_some();
                }
                Outcome::AlreadyApplied => {}
                Outcome::Stale(why) => last = why,
                Outcome::ForeignWriter(foreign) => {
                    last = foreign.to_string();
                    // An Open or a Close that crossed with another writer may have taken away what that one had opened.
                    everybody = true;
                }
                Outcome::Failed(failure) => {
                    let error = CommandError::failed(format!("`{id}`: {}", failure.message));
                    let error = error.with_hint(failure.hint).into();
                    return Err(Unsettled { wrote, error });
                }
                Outcome::NotStarted(why) | Outcome::Reverted(why) => {
                    let error = CommandError::failed(format!("`{id}`: {why}")).into();
                    return Err(Unsettled { wrote, error });
                }
            }
        }
        let message = format!("`{id}`: others wrote again and again: {last}");
        let error = CommandError::new(Exit::Stale, message)
            .with_hint(Some("try again when nobody else writes".to_owned()));
        Err(Unsettled {
            wrote,
            error: error.into(),
        })
    }

    /// Carries out a plan for one instance, under a receipt of its own.
    async fn write(
        &self,
        one: InstancePlan,
        about: &str,
        receipts: &Path,
    ) -> Result<(Outcome, usize), CommandError> {
        let plan = Plan {
            instances: vec![one],
            ..Plan::default()
        };
        if let Some(defect) = plan::lint::lint(&plan).first() {
            return Err(CommandError::failed(format!(
                "internal error: invalid plan: {defect}; please report this bug"
            ))
            .of_kind(Code::Internal));
        }
        let id = &plan.instances[0].instance.id;
        let scope = Scope {
            account: plan.instances[0].instance.account().map(str::to_owned),
            regions: vec![id.region.clone()],
            targets: vec![id.to_string()],
        };
        let mut header = Header::new(OffsetDateTime::now_utc(), scope);
        header.grant = Some(about.to_owned());
        let receipt = ReceiptFile::create(receipts, &header).map_err(|error| {
            CommandError::failed(format!(
                "cannot write a receipt in `{}`, so nothing was written: {error}",
                receipts.display()
            ))
            .of_kind(Code::File)
            .with_hint(Some("name another folder with `--receipts`".to_owned()))
        })?;
        let (settings, stop) = (Settings::default(), Stop::new());
        let writer = self.writer()?;
        let tools = Tools {
            reader: self.connection.reader(),
            writer: &writer,
            journal: &receipt,
            progress: &(),
            settings: &settings,
            stop: &stop,
            validity: Validity::UNLIMITED,
            clock: &SystemClock,
        };
        let report = apply::run(&plan, &tools).await;
        if let Err(error) = receipt.end(false) {
            let path = receipt.path().display();
            say(&format!(
                "warning: the receipt `{path}` is not complete: {error}"
            ));
        }
        let result = report.results.into_iter().next();
        let result = result.ok_or_else(|| {
            CommandError::failed("internal error: nothing became of a plan; please report this bug")
                .of_kind(Code::Internal)
        })?;
        tracing::info!(receipt = %receipt.path().display(), outcome = result.outcome.status().as_str(), "written");
        Ok((result.outcome, result.writes))
    }
}

/// Why it is not so.
pub(in crate::cli) struct Unsettled {
    /// Whether something may have been opened or closed.
    pub(in crate::cli) wrote: bool,
    pub(in crate::cli) error: RunError,
}

/// What is wanted where nothing declares the instance any more: what was granted is closed, and all else is left alone.
fn nothing() -> DesiredInstance {
    DesiredInstance {
        mode: Mode::Additive,
        strategy: crate::model::Strategy::Auto,
        rules: Vec::new(),
        absent: Vec::new(),
        expired: Vec::new(),
        notes: Vec::new(),
    }
}

/// The plan for an aim. The rules of what is closed are those of the leases themselves, since their tags may be gone.
fn part(
    instance: &Instance,
    wanted: &DesiredInstance,
    live: &LiveFirewall,
    aim: &Aim<'_>,
    close: &[&Lease],
) -> InstancePlan {
    let declared: Vec<Rule> = wanted
        .rules
        .iter()
        .filter(|rule| !aim.closes(rule))
        .cloned()
        .collect();
    let open: Vec<Rule> = declared
        .iter()
        .filter(|rule| aim.opens(rule))
        .cloned()
        .collect();
    let close: Vec<Rule> = close.iter().flat_map(|lease| lease.rules()).collect();
    plan::plan_grants(instance, &declared, live, &open, &close)
}

/// The leases of an instance that count as declared.
fn live_leases(instance: &Instance, wanted: &DesiredInstance) -> Vec<Lease> {
    let ids = wanted.rules.iter();
    let ids: BTreeSet<LeaseId> = ids
        .filter_map(|rule| LeaseId::of_origin(&rule.declared.origin))
        .collect();
    let leases = crate::lease::Leases::of(&instance.tags).leases.into_iter();
    leases.filter(|lease| ids.contains(&lease.id)).collect()
}

fn opens(change: &plan::Change) -> bool {
    matches!(
        change.action,
        plan::Action::Add | plan::Action::Widen | plan::Action::Replace
    )
}

/// Whether everything that a lease opens is declared anyway.
fn is_declared(lease: &Lease, rules: &[Rule]) -> bool {
    lease.keys.iter().all(|key| {
        let mut same = rules.iter().filter(|rule| rule.key == *key);
        same.any(|rule| rule.sources.names_all_of(&lease.sources))
    })
}

fn gone(id: &InstanceId) -> CommandError {
    CommandError::failed(format!("there is no instance `{id}` any more")).of_kind(Code::NotFound)
}

fn cannot_read(id: &InstanceId, error: &crate::lightsail::Error) -> CommandError {
    CommandError::failed(format!("`{id}` cannot be read: {error}")).with_hint(error.hint())
}
