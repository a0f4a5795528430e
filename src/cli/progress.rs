//! Progress of a run: a line that is redrawn on a terminal, and a line every ten seconds in a log.
//!
//! **Owns** the drawing on stderr and its words. Short work is not drawn, so that nothing flashes. **Does not** know the
//! request rates; the caller of `begin` passes the minimum time of the remaining steps.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use super::streams::{is_quiet, set_progress_line, write_status};
use crate::model::Site;
use crate::render::{format_duration, sanitize, thousands};

/// The interval of the spinner.
const TICK: Duration = Duration::from_millis(120);

/// The interval of lines in a log.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Work that ends within this time is not drawn.
const DRAW_DELAY: Duration = Duration::from_millis(700);

/// Before this the pace is no estimate: the first calls wait for connections, and then many are sent at once.
const MIN_ELAPSED: Duration = Duration::from_secs(2);

/// The minimum time of a number of steps at a site.
pub(super) type MinTime<'a> = &'a dyn Fn(&Site, usize) -> Duration;

/// Work in progress.
pub(super) struct ProgressDisplay<'a> {
    min_time: MinTime<'a>,
    began: Instant,
    steps: RefCell<Steps>,
    /// `None` in a log, and after the end.
    bar: RefCell<Option<Bar>>,
    is_log: bool,
}

/// Begins work; `add_step` adds its steps.
pub(super) fn begin<'a>(title: &'static str, min_time: MinTime<'a>) -> ProgressDisplay<'a> {
    tracing::info!("{title}");
    let bar = if is_quiet() { None } else { Bar::open() };
    ProgressDisplay {
        min_time,
        began: Instant::now(),
        steps: RefCell::new(Steps::new(title)),
        is_log: bar.is_none() && !is_quiet(),
        bar: RefCell::new(bar),
    }
}

impl ProgressDisplay<'_> {
    pub(super) fn add_step(&self, site: &Site) {
        self.steps.borrow_mut().add_step(site);
        self.redraw("");
    }

    /// Declares that no step will be added.
    pub(super) fn set_total_final(&self) {
        self.steps.borrow_mut().is_total_final = true;
        self.redraw("");
    }

    /// Counts a step at a site as done.
    pub(super) fn finish_step(&self, site: &Site) {
        let elapsed = self.began.elapsed();
        self.steps.borrow_mut().finish_step(site);
        if self.is_log {
            let line = self.steps.borrow_mut().log_line(elapsed, self.min_time);
            if let Some(line) = line {
                write_status(&line);
            }
        }
        self.redraw("");
    }

    /// Shows text behind the line on a terminal.
    pub(super) fn message(&self, text: &str) {
        self.redraw(&format!("  {}", sanitize(text)));
    }

    fn redraw(&self, more: &str) {
        if let Some(bar) = &*self.bar.borrow() {
            let line = self
                .steps
                .borrow()
                .line(self.began.elapsed(), self.min_time);
            bar.line.set_message(line + more);
        }
    }

    /// Ends the work and removes the line.
    pub(super) fn finish(&self) {
        self.bar.take();
    }
}

/// The line on a terminal.
struct Bar {
    line: ProgressBar,
    /// Draws the line after a delay.
    draw_task: JoinHandle<()>,
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
        let bar = line.clone();
        let draw_task = tokio::spawn(async move {
            tokio::time::sleep(DRAW_DELAY).await;
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(TICK);
            set_progress_line(Some(bar));
        });
        Some(Self { line, draw_task })
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.draw_task.abort();
        set_progress_line(None);
        self.line.finish_and_clear();
    }
}

/// The steps done and left. Time is passed in, as the duration since the work began.
struct Steps {
    title: &'static str,
    total: usize,
    done: usize,
    is_total_final: bool,
    /// The steps left, by site.
    left: BTreeMap<Site, usize>,
    /// The time of the next line in a log.
    next: Duration,
}

impl Steps {
    fn new(title: &'static str) -> Self {
        Self {
            title,
            total: 0,
            done: 0,
            is_total_final: false,
            left: BTreeMap::new(),
            next: LOG_INTERVAL,
        }
    }

    fn add_step(&mut self, site: &Site) {
        self.total += 1;
        *self.left.entry(site.clone()).or_default() += 1;
    }

    fn finish_step(&mut self, site: &Site) {
        self.done += 1;
        if let Some(left) = self.left.get_mut(site) {
            *left = left.saturating_sub(1);
        }
    }

    /// `reading rules: 341 of 1,340, about 1 min 40 s left`.
    fn line(&self, elapsed: Duration, min_time: MinTime<'_>) -> String {
        let (title, done, total) = (self.title, thousands(self.done), thousands(self.total));
        if !self.is_total_final {
            return format!("{title}: {done} of at least {total}");
        }
        match self.remaining(elapsed, min_time) {
            Some(left) => format!(
                "{title}: {done} of {total}, about {} left",
                format_duration(left)
            ),
            None => format!("{title}: {done} of {total}"),
        }
    }

    /// The time left: the minimum by the rates of the service, or more where the pace so far was slower. `None` where nothing
    /// is left, and where there is no estimate.
    fn remaining(&self, elapsed: Duration, min_time: MinTime<'_>) -> Option<Duration> {
        let left = self.left.iter().filter(|(_, left)| **left > 0);
        let min_time = left.map(|(site, left)| min_time(site, *left)).max()?;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let by_pace = (self.done > 0 && elapsed >= MIN_ELAPSED).then(|| {
            let each = elapsed / number(self.done);
            each.saturating_mul(number(self.total - self.done))
        });
        let longest = by_pace.map_or(min_time, |by_pace| by_pace.max(min_time));
        (by_pace.is_some() || !min_time.is_zero()).then(|| longest.max(Duration::from_secs(1)))
    }

    /// The line for a log, if one is due.
    fn log_line(&mut self, elapsed: Duration, min_time: MinTime<'_>) -> Option<String> {
        if elapsed < self.next || (self.is_total_final && self.done >= self.total) {
            return None;
        }
        self.next = elapsed + LOG_INTERVAL;
        Some(self.line(elapsed, min_time))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNPACED: MinTime<'_> = &|_, _| Duration::ZERO;

    fn site() -> Site {
        Site::of_region("eu-central-1")
    }

    fn steps(total: usize) -> Steps {
        let mut steps = Steps::new("reading rules");
        (0..total).for_each(|_| steps.add_step(&site()));
        steps.is_total_final = true;
        steps
    }

    /// The lines of a log of work with so many steps a second.
    fn lines(total: usize, a_second: usize) -> Vec<String> {
        let mut steps = steps(total);
        (0..total)
            .filter_map(|step| {
                steps.finish_step(&site());
                let elapsed = Duration::from_millis((step * 1_000 / a_second) as u64);
                steps.log_line(elapsed, UNPACED)
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
            steps.finish_step(&site());
            steps.log_line(Duration::from_secs(seconds), UNPACED)
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
        let paced: MinTime<'_> = &|site, left| {
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
        (0..20).for_each(|_| steps.finish_step(&site()));
        assert_eq!(
            steps.line(now, paced),
            "reading rules: 20 of 300, about 28 s left"
        );
        // Slower than the rates permit.
        let draw_task = Duration::from_secs(10);
        assert_eq!(
            steps.line(draw_task, paced),
            "reading rules: 20 of 300, about 2 min 20 s left"
        );
        // Regions are asked side by side.
        let far = Site::of_region("us-east-1");
        (0..200).for_each(|_| steps.add_step(&far));
        assert_eq!(
            steps.line(now, paced),
            "reading rules: 20 of 500, about 1 min left"
        );
        steps.is_total_final = false;
        assert_eq!(steps.line(now, paced), "reading rules: 20 of at least 500");
    }

    proptest! {
        #[test]
        fn remaining_time_is_not_zero_before_the_end(
            total in 1..500_usize, done in 0..500_usize, millis in 0..100_000_u64, each in 0..400_u64,
        ) {
            let mut steps = steps(total);
            let done = done % total;
            (0..done).for_each(|_| steps.finish_step(&site()));
            let min_time: MinTime<'_> = &|_, left| Duration::from_millis(left as u64 * each);
            let elapsed = Duration::from_millis(millis);
            prop_assert!(!steps.line(elapsed, min_time).contains(" 0 s left"));
            let left = Duration::from_millis((total - done) as u64 * each);
            prop_assert!(steps.remaining(elapsed, min_time).unwrap_or_default() >= left);
        }
    }
}
