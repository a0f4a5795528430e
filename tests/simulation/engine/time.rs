//! Time of the simulation: it passes while a call is under way, and when everybody waits.
//!
//! **Owns** one clock for the run and the service, and the running of a future on it. So a run is the same on every machine,
//! however busy, and patience costs nothing. **Does not** wait.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use portward::apply::{Clock, Pause};
use time::OffsetDateTime;
use time::macros::datetime;

/// When every simulation begins.
const START: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);

/// The clock.
pub(crate) struct Time {
    passed: Cell<Duration>,
    timers: RefCell<Vec<(Duration, Waker)>>,
}

impl Time {
    pub(crate) fn new() -> Self {
        Self {
            passed: Cell::default(),
            timers: RefCell::default(),
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, span: Duration) {
        self.passed.set(self.passed.get().saturating_add(span));
    }

    /// Runs a future to its end. Whenever it has nothing to do but to wait, it is as late as the first that it waits for.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let ended = self.run_while(future, || true);
        ended.expect("it lives until it ends")
    }

    /// As [`Self::run`], for a future that is dropped as soon as it waits and is not alive any more.
    pub(crate) fn run_while<T>(
        &self,
        future: impl Future<Output = T>,
        alive: impl Fn() -> bool,
    ) -> Option<T> {
        let mut future = pin!(future);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                return Some(result);
            }
            if !alive() {
                return None;
            }
            if !woken.0.swap(false, Ordering::Relaxed) {
                self.skip();
            }
        }
    }

    /// Goes on to the first timer, and wakes all that are due by then.
    pub(crate) fn skip(&self) {
        let first = self.timers.borrow().iter().map(|(due, _)| *due).min();
        let first = first.expect("somebody waits for the clock, or there is an end");
        self.passed.set(self.passed.get().max(first));
        self.wake();
    }

    /// Wakes all that are due.
    pub(crate) fn wake(&self) {
        let mut timers = self.timers.borrow_mut();
        let now = self.passed.get();
        let due: Vec<Waker> = timers
            .extract_if(.., |(due, _)| *due <= now)
            .map(|(_, waker)| waker)
            .collect();
        drop(timers);
        due.into_iter().for_each(Waker::wake);
    }
}

impl Clock for Time {
    fn now(&self) -> OffsetDateTime {
        START + self.passed.get()
    }

    fn elapsed(&self) -> Duration {
        self.passed.get()
    }

    fn sleep(&self, span: Duration) -> Pause<'_> {
        Box::pin(Timer {
            time: self,
            due: self.passed.get().saturating_add(span),
        })
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.passed.get())
    }
}

/// Somebody who waits.
struct Timer<'a> {
    time: &'a Time,
    due: Duration,
}

impl Future for Timer<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.time.passed.get() >= self.due {
            return Poll::Ready(());
        }
        let timer = (self.due, context.waker().clone());
        self.time.timers.borrow_mut().push(timer);
        Poll::Pending
    }
}

/// Whether somebody has something to do.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
