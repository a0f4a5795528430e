//! Scheduler: runs processes at the same time on one thread, and chooses by a seed which one continues.
//!
//! **Owns** the turns, the stalls, and killing a process between the effect of a request and its reply. **Does not** know the
//! tasks.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use fastrand::Rng;
use portward::apply::Clock as _;
use portward::lightsail::{Error, Operation, Reader, Writer};
use portward::model::{Firewall, Instance, InstanceId, Key, PortState, Site, Sources};

use super::super::adapter::Service;
use super::super::time::Time;

/// A process that runs until it has finished, or until so many of its requests were carried out.
pub(super) struct Process<'a> {
    pub(super) work: Pin<Box<dyn Future<Output = ()> + 'a>>,
    pub(super) killed_after: Option<(&'a Client<'a>, usize)>,
}

/// Runs all processes to their end.
pub(super) fn run(time: &Time, rng: &mut Rng, processes: Vec<Process<'_>>) {
    let mut alive: Vec<_> = processes
        .into_iter()
        .map(|person| (person, Arc::new(Ready(AtomicBool::new(true)))))
        .collect();
    while !alive.is_empty() {
        time.wake();
        let ready = alive.iter().enumerate();
        let ready = ready.filter(|(_, (_, ready))| ready.0.load(Ordering::Relaxed));
        let ready: Vec<usize> = ready.map(|(place, _)| place).collect();
        if ready.is_empty() {
            time.skip();
            continue;
        }
        let next = ready[rng.usize(..ready.len())];
        let (person, woken) = &mut alive[next];
        woken.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(woken));
        let ended = person.work.as_mut().poll(&mut Context::from_waker(&waker));
        let killed_after = person
            .killed_after
            .is_some_and(|(client, after)| client.steps.borrow().len() >= after);
        if ended.is_ready() || killed_after {
            drop(alive.remove(next));
        }
    }
}

struct Ready(AtomicBool);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets another process continue.
async fn yield_turn() {
    let mut paused = false;
    poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// One request, with the lengths of the journals of the emulator before and after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The journal of rules.
    pub(super) rules: (usize, usize),
    /// The journal of tags.
    pub(super) tags: (usize, usize),
    /// The action that was called.
    pub(super) action: &'static str,
}

/// The service as one process calls it.
pub(super) struct Client<'a> {
    service: &'a Service,
    /// The length of the journal of tags, which only processes write.
    tags: &'a Cell<usize>,
    /// The request before which it stalls, and for how long.
    stall: Option<(usize, Duration)>,
    steps: RefCell<Vec<Step>>,
}

impl<'a> Client<'a> {
    pub(super) fn new(
        service: &'a Service,
        tags: &'a Cell<usize>,
        stall: Option<(usize, Duration)>,
    ) -> Self {
        Self {
            service,
            tags,
            stall,
            steps: RefCell::default(),
        }
    }

    /// The requests so far.
    pub(super) fn steps(&self) -> Vec<Step> {
        self.steps.borrow().clone()
    }

    async fn step<T>(&self, action: &'static str, work: impl Future<Output = T>) -> T {
        yield_turn().await;
        let asked = self.steps.borrow().len();
        if let Some((_, length)) = self.stall.filter(|(before, _)| *before == asked) {
            self.service.time.sleep(length).await;
        }
        let emulator = self.service.emulator.emulator();
        let before = (emulator.journal().len(), self.tags.get());
        let answer = work.await;
        if matches!(action, "TagResource" | "UntagResource") {
            self.tags.set(emulator.tag_journal().len());
        }
        let after = (emulator.journal().len(), self.tags.get());
        self.steps.borrow_mut().push(Step {
            rules: (before.0, after.0),
            tags: (before.1, after.1),
            action,
        });
        yield_turn().await;
        answer
    }
}

impl Reader for Client<'_> {
    async fn instances(&self, site: &Site) -> Result<Vec<Instance>, Error> {
        self.step("GetInstances", self.service.instances(site))
            .await
    }

    async fn instance(&self, id: &InstanceId) -> Result<Instance, Error> {
        self.step("GetInstance", self.service.instance(id)).await
    }

    async fn port_states(&self, id: &InstanceId) -> Result<Vec<PortState>, Error> {
        let rules = self.service.port_states(id);
        self.step("GetInstancePortStates", rules).await
    }

    async fn operation(&self, about: &InstanceId, id: &str) -> Result<Operation, Error> {
        self.step("GetOperation", self.service.operation(about, id))
            .await
    }

    async fn operations_for(&self, id: &InstanceId) -> Result<Vec<Operation>, Error> {
        let operations = self.service.operations_for(id);
        self.step("GetOperationsForResource", operations).await
    }
}

impl Writer for Client<'_> {
    async fn open(&self, id: &InstanceId, key: Key, sources: &Sources) -> Result<Operation, Error> {
        let open = self.service.open(id, key, sources);
        self.step("OpenInstancePublicPorts", open).await
    }

    async fn close(
        &self,
        id: &InstanceId,
        key: Key,
        sources: &Sources,
    ) -> Result<Operation, Error> {
        let close = self.service.close(id, key, sources);
        self.step("CloseInstancePublicPorts", close).await
    }

    async fn put(&self, id: &InstanceId, firewall: &Firewall) -> Result<Operation, Error> {
        self.step("PutInstancePublicPorts", self.service.put(id, firewall))
            .await
    }

    async fn tag(
        &self,
        id: &InstanceId,
        tags: &BTreeMap<String, String>,
    ) -> Result<Vec<Operation>, Error> {
        self.step("TagResource", self.service.tag(id, tags)).await
    }

    async fn untag(
        &self,
        id: &InstanceId,
        keys: &BTreeSet<String>,
    ) -> Result<Vec<Operation>, Error> {
        self.step("UntagResource", self.service.untag(id, keys))
            .await
    }
}
