//! How far a run is: a line on a terminal that is drawn anew, a line now and then in a log.
//!
//! Owns the drawing on stderr and its words. What is over at once is not drawn, so that nothing flashes. Does not know how
//! fast the service may be asked; whoever begins says how long the rest must take.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use super::streams::{draw, is_quiet, say};
use crate::model::Site;
use crate::render::{sanitize, span, thousands};

/// How often the spinner turns: often enough to look alive, rarely enough to cost nothing.
const TICK: Duration = Duration::from_millis(120);

/// How often a log hears of it. A short run is over before the first time.
const EVERY: Duration = Duration::from_secs(10);

/// What is over sooner is not drawn.
const UNSEEN: Duration = Duration::from_millis(700);

/// The pace so far says nothing of the rest before this: the first calls wait for connections, and then many leave at once.
const SETTLED: Duration = Duration::from_secs(2);

/// The least time that so many more steps at a site take.
pub(super) type Least<'a> = &'a dyn Fn(&Site, usize) -> Duration;

/// Work that goes on.
pub(super) struct Progress<'a> {
    least: Least<'a>,
    began: Instant,
    steps: RefCell<Steps>,
    /// `None` in a log, and when the work is over.
    bar: RefCell<Option<Bar>>,
    is_log: bool,
}

/// Work begins. How much of it there is, is said by `more`.
pub(super) fn begin<'a>(what: &'static str, least: Least<'a>) -> Progress<'a> {
    tracing::info!("{what}");
    let bar = if is_quiet() { None } else { Bar::open() };
    Progress {
        least,
        began: Instant::now(),
        steps: RefCell::new(Steps::new(what)),
        is_log: bar.is_none() && !is_quiet(),
        bar: RefCell::new(bar),
    }
}

impl Progress<'_> {
    /// There is one step more to do at a site.
    pub(super) fn more(&self, site: &Site) {
        self.steps.borrow_mut().more(site);
        self.show("");
    }

    /// There is no step more than is known now.
    pub(super) fn is_all(&self) {
        self.steps.borrow_mut().is_all = true;
        self.show("");
    }

    /// One step is done.
    pub(super) fn step(&self, site: &Site) {
        let elapsed = self.began.elapsed();
        let mut steps = self.steps.borrow_mut();
        steps.step(site);
        let line = if self.is_log {
            steps.line_of_log(elapsed, self.least)
        } else {
            None
        };
        drop(steps);
        if let Some(line) = line {
            say(&line);
        }
        self.show("");
    }

    /// What is being done right now, from outside; only a terminal shows it.
    pub(super) fn message(&self, text: &str) {
        self.show(&format!("  {}", sanitize(text)));
    }

    fn show(&self, more: &str) {
        if let Some(bar) = &*self.bar.borrow() {
            let line = self.steps.borrow().line(self.began.elapsed(), self.least);
            bar.line.set_message(line + more);
        }
    }

    /// All is done, or no longer wanted.
    pub(super) fn end(&self) {
        self.bar.take();
    }
}

/// The line on a terminal.
struct Bar {
    line: ProgressBar,
    /// Draws it once it is worth it.
    later: JoinHandle<()>,
}

impl Bar {
    /// `None` where there is no terminal.
    fn open() -> Option<Self> {
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if line.is_hidden() {
            return None;
        }
        line.set_draw_target(ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            line.set_style(style);
        }
        let shown = line.clone();
        let later = tokio::spawn(async move {
            tokio::time::sleep(UNSEEN).await;
            shown.set_draw_target(ProgressDrawTarget::stderr());
            shown.enable_steady_tick(TICK);
            draw(Some(shown));
        });
        Some(Self { line, later })
    }
}

/// However the work ends, its line goes.
impl Drop for Bar {
    fn drop(&mut self) {
        self.later.abort();
        draw(None);
        self.line.finish_and_clear();
    }
}

/// What was done and what is left. Time is passed in, as a span since the work began.
struct Steps {
    what: &'static str,
    total: usize,
    done: usize,
    /// Whether the total is final.
    is_all: bool,
    /// What is left, by site.
    left: BTreeMap<Site, usize>,
    /// When a log hears of it next.
    next: Duration,
}

impl Steps {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            total: 0,
            done: 0,
            is_all: false,
            left: BTreeMap::new(),
            next: EVERY,
        }
    }

    fn more(&mut self, site: &Site) {
        self.total += 1;
        *self.left.entry(site.clone()).or_default() += 1;
    }

    fn step(&mut self, site: &Site) {
        self.done += 1;
        if let Some(left) = self.left.get_mut(site) {
            *left = left.saturating_sub(1);
        }
    }

    /// `reading rules: 341 of 1,340, about 1 min 40 s left`.
    fn line(&self, elapsed: Duration, least: Least<'_>) -> String {
        let (what, done, total) = (self.what, thousands(self.done), thousands(self.total));
        if !self.is_all {
            return format!("{what}: {done} of at least {total}");
        }
        match self.remaining(elapsed, least) {
            Some(left) => format!("{what}: {done} of {total}, about {} left", span(left)),
            None => format!("{what}: {done} of {total}"),
        }
    }

    /// How long the rest takes: as long as the rates of the service make it take, or longer, where the pace so far was slower.
    /// `None` where nothing is left, and where nothing tells.
    fn remaining(&self, elapsed: Duration, least: Least<'_>) -> Option<Duration> {
        let left = self.left.iter().filter(|(_, left)| **left > 0);
        let least = left.map(|(site, left)| least(site, *left)).max()?;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let by_pace = (self.done > 0 && elapsed >= SETTLED).then(|| {
            let each = elapsed / number(self.done);
            each.saturating_mul(number(self.total - self.done))
        });
        let longest = by_pace.map_or(least, |by_pace| by_pace.max(least));
        // Something is left, so some time is.
        (by_pace.is_some() || !least.is_zero()).then(|| longest.max(Duration::from_secs(1)))
    }

    /// The line to write, where it is time for one.
    fn line_of_log(&mut self, elapsed: Duration, least: Least<'_>) -> Option<String> {
        if elapsed < self.next || (self.is_all && self.done >= self.total) {
            return None;
        }
        self.next = elapsed + EVERY;
        Some(self.line(elapsed, least))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNPACED: Least<'_> = &|_, _| Duration::ZERO;

    fn site() -> Site {
        Site::of_region("eu-central-1")
    }

    fn steps(total: usize) -> Steps {
        let mut steps = Steps::new("reading rules");
        (0..total).for_each(|_| steps.more(&site()));
        steps.is_all = true;
        steps
    }

    /// The lines of a log of work with so many steps a second.
    fn lines(total: usize, a_second: usize) -> Vec<String> {
        let mut steps = steps(total);
        (0..total)
            .filter_map(|step| {
                steps.step(&site());
                let elapsed = Duration::from_millis((step * 1_000 / a_second) as u64);
                steps.line_of_log(elapsed, UNPACED)
            })
            .collect()
    }

    #[test]
    fn short_run_shows_no_progress() {
        assert_eq!(lines(100, 10), Vec::<String>::new());
        assert_eq!(lines(0, 10), Vec::<String>::new());
    }

    #[test]
    fn long_run_estimates_the_remaining_time_every_ten_seconds() {
        assert_eq!(
            lines(1_340, 34),
            [
                "reading rules: 341 of 1,340, about 30 s left",
                "reading rules: 681 of 1,340, about 20 s left",
                "reading rules: 1,021 of 1,340, about 10 s left",
            ]
        );
    }

    #[test]
    fn stall_is_not_followed_by_a_burst() {
        let mut steps = steps(10);
        let mut at = |seconds| {
            steps.step(&site());
            steps.line_of_log(Duration::from_secs(seconds), UNPACED)
        };
        assert!(at(95).is_some());
        assert_eq!(at(96), None);
        assert_eq!(
            at(105).as_deref(),
            Some("reading rules: 3 of 10, about 4 min 5 s left")
        );
    }

    #[test]
    fn first_estimate_uses_the_documented_rates() {
        let paced: Least<'_> = &|site, left| {
            let each = if site.region == "eu-central-1" {
                100
            } else {
                300
            };
            Duration::from_millis(left as u64 * each)
        };
        let mut steps = steps(300);
        let now = Duration::from_millis(100);
        assert_eq!(steps.line(now, UNPACED), "reading rules: 0 of 300");
        assert_eq!(
            steps.line(now, paced),
            "reading rules: 0 of 300, about 30 s left"
        );
        // Twenty that left at once promise nothing.
        (0..20).for_each(|_| steps.step(&site()));
        assert_eq!(
            steps.line(now, paced),
            "reading rules: 20 of 300, about 28 s left"
        );
        // Slower than the rates permit.
        let later = Duration::from_secs(10);
        assert_eq!(
            steps.line(later, paced),
            "reading rules: 20 of 300, about 2 min 20 s left"
        );
        // Regions are asked side by side.
        let far = Site::of_region("us-east-1");
        (0..200).for_each(|_| steps.more(&far));
        assert_eq!(
            steps.line(now, paced),
            "reading rules: 20 of 500, about 1 min left"
        );
        steps.is_all = false;
        assert_eq!(steps.line(now, paced), "reading rules: 20 of at least 500");
    }

    proptest! {
        #[test]
        fn remaining_time_is_not_zero_before_the_end(
            total in 1..500_usize, done in 0..500_usize, millis in 0..100_000_u64, each in 0..400_u64,
        ) {
            let mut steps = steps(total);
            let done = done % total;
            (0..done).for_each(|_| steps.step(&site()));
            let least: Least<'_> = &|_, left| Duration::from_millis(left as u64 * each);
            let elapsed = Duration::from_millis(millis);
            prop_assert!(!steps.line(elapsed, least).contains(" 0 s left"));
            let left = Duration::from_millis((total - done) as u64 * each);
            prop_assert!(steps.remaining(elapsed, least).unwrap_or_default() >= left);
        }
    }
}
