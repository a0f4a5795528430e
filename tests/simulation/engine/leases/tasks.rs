//! Tasks: the steps that the command takes to grant, to revoke and to apply.
//!
//! **Owns** a task from its start to the result that its user reads. **Does not** check the result.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use portward::apply::leases::{self, Declared, LeaseEngine, TagOutcome};
use portward::apply::{self, Clock as _, Settings, Stop, Tools, Validity};
use portward::cli::Exit;
use portward::config::Config;
use portward::lease::{Judged, Lease, LeaseId, LeaseState};
use portward::lightsail::{Reader as _, Writer as _};
use portward::model::{
    Desired, DesiredInstance, Instance, InstanceId, Key, Live, LiveFirewall, Mode, Sources,
};
use portward::plan::{self, Plan, Verdict};
use time::OffsetDateTime;

use super::super::adapter::Service;
use super::super::time::Time;
use super::scheduler::Client;

/// What a process does.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// `grant`, with `--replace` where it is set.
    Grant {
        key: Key,
        from: Sources,
        length: Duration,
        by: String,
        replace: bool,
    },
    /// `revoke` of one of the live leases.
    Revoke { which: usize },
    /// `apply`.
    Apply,
    /// `apply --only-expired`.
    Expire,
    /// Removes the tag of a live lease by hand.
    Untag { which: usize },
}

/// How a task ended that was not killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Success.
    Done,
    /// There was nothing to do.
    Nothing,
    /// A failure, or a part of the work is not done; the message.
    Reported(String),
}

/// A task in progress.
pub(super) struct Run<'a> {
    pub(super) task: Task,
    pub(super) client: Client<'a>,
    /// Set by a signal.
    pub(super) stop: Stop,
    /// When it started.
    pub(super) started: Cell<Option<OffsetDateTime>>,
    /// The lease that it is to open.
    pub(super) opens: RefCell<Option<Lease>>,
    /// The leases that it is to close.
    pub(super) closes: RefCell<Vec<Lease>>,
    /// `None` where it was killed.
    pub(super) end: RefCell<Option<End>>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        task: Task,
        service: &'a Service,
        tags: &'a Cell<usize>,
        stall: Option<(usize, Duration)>,
    ) -> Self {
        Self {
            task,
            client: Client::new(service, tags, stall),
            stop: Stop::new(),
            started: Cell::default(),
            opens: RefCell::default(),
            closes: RefCell::default(),
            end: RefCell::default(),
        }
    }
}

/// What all tasks share.
pub(super) struct Setup<'a> {
    pub(super) config: &'a Config,
    pub(super) id: &'a InstanceId,
    pub(super) time: &'a Time,
    pub(super) settings: &'a Settings,
}

impl Setup<'_> {
    /// The desired state of the instance.
    pub(super) fn desired(&self, instance: &Instance, now: OffsetDateTime) -> Desired {
        let instances = [(self.id.clone(), instance.clone())].into();
        let listed = [self.id.site()].into();
        let desired = self.config.resolve(&instances, &listed, now);
        desired.expect("a configuration that fits")
    }

    /// Runs a task after a delay.
    pub(super) async fn work(&self, run: &Run<'_>, after: Duration, id: LeaseId) {
        self.time.sleep(after).await;
        run.started.set(Some(self.time.now()));
        let end = match &run.task {
            Task::Grant {
                key,
                from,
                length,
                by,
                replace,
            } => {
                let lease = Lease {
                    id,
                    until: self.time.now() + *length,
                    keys: [*key].into(),
                    sources: from.clone(),
                    by: by.clone(),
                    why: "because".to_owned(),
                };
                self.grant(run, lease, *replace).await
            }
            Task::Revoke { which } => self.revoke(run, *which).await,
            Task::Apply => self.apply(run, false).await,
            Task::Expire => self.apply(run, true).await,
            Task::Untag { which } => self.untag(run, *which).await,
        };
        *run.end.borrow_mut() = Some(end.unwrap_or_else(End::Reported));
    }

    async fn listed(&self, run: &Run<'_>) -> Result<Instance, String> {
        let all = run.client.instances(&self.id.site()).await;
        let all = all.map_err(|error| error.to_string())?;
        let mut all = all.into_iter();
        all.find(|instance| instance.id == *self.id)
            .ok_or_else(|| "it is gone".to_owned())
    }

    fn live(&self, instance: &Instance) -> Vec<Lease> {
        let all = self.config.leases(instance, self.time.now()).into_iter();
        let live = all.filter(|Judged { state, .. }| *state == LeaseState::Live);
        live.filter_map(|judged| judged.lease).collect()
    }

    fn tools<'a>(
        &'a self,
        run: &'a Run<'a>,
        validity: &'a Validity,
    ) -> Tools<'a, Client<'a>, Client<'a>> {
        Tools {
            reader: &run.client,
            writer: &run.client,
            journal: &(),
            progress: &(),
            settings: self.settings,
            stop: &run.stop,
            validity,
            clock: self.time,
        }
    }

    fn engine<'a>(
        &'a self,
        run: &'a Run<'a>,
        declared: &'a mut Declared<'a, Infallible>,
    ) -> LeaseEngine<'a, Client<'a>, Client<'a>, Infallible> {
        LeaseEngine {
            id: self.id,
            declared,
            tools: self.tools(run, Validity::UNLIMITED),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "what a configuration gives")]
    fn wanted(
        &self,
        instance: &Instance,
        now: OffsetDateTime,
    ) -> Result<Option<Arc<DesiredInstance>>, Infallible> {
        let desired = self.desired(instance, now);
        Ok(desired.instances.get(self.id).cloned())
    }

    async fn grant(&self, run: &Run<'_>, lease: Lease, replace: bool) -> Result<End, String> {
        let instance = self.listed(run).await?;
        let now = self.time.now();
        if self.mode(&instance) == Mode::Observe {
            return Ok(End::Nothing);
        }
        let lease = lease.fitted().map_err(|error| error.to_string())?;
        let limits = self.config.grants().ok_or("nobody may")?;
        limits
            .permits(&lease, self.config.may_grant_on(&instance), now)
            .map_err(|why| why.to_string())?;
        let own = self.live(&instance).into_iter();
        let own = own.filter(|own| replace && own.by == lease.by && own.keys == lease.keys);
        let own: Vec<Lease> = own.collect();
        run.closes.borrow_mut().clone_from(&own);
        *run.opens.borrow_mut() = Some(lease.clone());
        let own: Vec<&Lease> = own.iter().collect();
        let declared = &mut |instance: &Instance, now| self.wanted(instance, now);
        match self.engine(run, declared).grant(&lease, &own).await {
            Ok(granted) => match granted.tags_left {
                None if granted.lost.is_empty() && granted.unverified.is_none() => Ok(End::Done),
                None => Err(format!(
                    "lost: {:?}, {:?}",
                    granted.lost, granted.unverified
                )),
                Some(failure) => Err(failure.message),
            },
            Err(ungranted) => match ungranted.tag {
                TagOutcome::Removed => Ok(End::Nothing),
                tag => Err(format!("{:?}, {tag:?}", ungranted.why)),
            },
        }
    }

    async fn revoke(&self, run: &Run<'_>, which: usize) -> Result<End, String> {
        let instance = self.listed(run).await?;
        let live = self.live(&instance);
        let Some(lease) = live.get(which % live.len().max(1)) else {
            return Ok(End::Nothing);
        };
        run.closes.borrow_mut().push(lease.clone());
        let tags = [lease.id.tag_key()].into();
        let declared = &mut |instance: &Instance, now| self.wanted(instance, now);
        match self.engine(run, declared).revoke(&[lease], &tags).await {
            Ok(revoked) => match revoked.tags_left {
                None if revoked.lost.is_empty() => Ok(End::Done),
                None => Err(format!("lost: {:?}", revoked.lost)),
                Some(failure) => Err(failure.message),
            },
            Err(unsettled) => Err(format!("{unsettled:?}")),
        }
    }

    async fn untag(&self, run: &Run<'_>, which: usize) -> Result<End, String> {
        let live = self.live(&self.listed(run).await?);
        if let Some(lease) = live.get(which % live.len().max(1)) {
            run.closes.borrow_mut().push(lease.clone());
            let tags = [lease.id.tag_key()].into();
            let gone = run.client.untag(self.id, &tags).await;
            gone.map_err(|error| error.to_string())?;
        }
        Ok(End::Nothing)
    }

    fn mode(&self, instance: &Instance) -> Mode {
        let desired = self.desired(instance, self.time.now());
        let wanted = desired.instances.get(self.id);
        wanted.map_or(Mode::Observe, |wanted| wanted.mode)
    }

    /// Plans from the present state.
    pub(super) async fn plan(
        &self,
        run: &Run<'_>,
        only_expired: bool,
    ) -> Result<(Desired, Plan), String> {
        let instance = self.listed(run).await?;
        let desired = self.desired(&instance, self.time.now());
        let rules = run.client.port_states(self.id).await;
        let rules = rules.map_err(|error| error.to_string())?;
        let live = Live {
            instances: [(self.id.clone(), instance)].into(),
            firewalls: [(self.id.clone(), Ok(LiveFirewall::read(&rules)))].into(),
            ..Live::default()
        };
        let plan = if only_expired {
            plan::plan_ended_leases(&desired, &live)
        } else {
            plan::plan(&desired, &live, plan::PlanOptions::default())
        };
        Ok((desired, plan))
    }

    async fn apply(&self, run: &Run<'_>, only_expired: bool) -> Result<End, String> {
        let (desired, plan) = self.plan(run, only_expired).await?;
        let wanted = &desired.instances[self.id];
        let ended = plan::ended_lease_rules(wanted);
        let ended = ended.iter().filter_map(|rule| rule.declared.origin.tag());
        let ended: BTreeSet<String> = ended.map(str::to_owned).collect();
        let ends = wanted.next_expiry().map(|end| (self.id.clone(), end));
        let validity = Validity {
            ends: ends.into_iter().filter(|_| !only_expired).collect(),
            ..Validity::default()
        };
        let tools = self.tools(run, &validity);
        let mut held = Exit::of_plan(&plan);
        let report = apply::run(&plan, &tools).await;
        held.extend(Exit::of_report(&report));
        let mut told: Vec<String> = report
            .results
            .iter()
            .filter_map(|result| result.outcome.reason().map(Into::into))
            .collect();
        if !ended.is_empty()
            && leases::is_done(&plan, Some(&report), self.id)
            && let Err(failure) = tools.remove_tags(self.id, &ended).await
        {
            held.push(Exit::Failed);
            told.push(failure.message);
        }
        if Exit::highest(&held) == Exit::Done {
            return Ok(End::Done);
        }
        let refused = plan.instances.iter().map(|one| match &one.verdict {
            Verdict::Refused { reason, .. } => reason.clone(),
            verdict => format!("{verdict:?}"),
        });
        told.extend(refused);
        Err(told.join("; "))
    }
}
