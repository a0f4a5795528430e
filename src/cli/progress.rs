//! How far a run is: a bar on a terminal, a line now and then in a log.
//!
//! Owns the drawing on stderr and the words of a log line. Does not say anything in a log of a short run.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::streams::say;
use crate::render::{sanitize, span, thousands};

/// How often the spinner turns: often enough to look alive, rarely enough to cost nothing.
const TICK: Duration = Duration::from_millis(120);

/// How often a log hears of it. A short run is over before the first time.
const EVERY: Duration = Duration::from_secs(10);

/// Work of so many steps that goes on.
pub(super) struct Progress {
    bar: ProgressBar,
    began: Instant,
    /// What a log hears; `None` on a terminal.
    log: Option<RefCell<Log>>,
}

/// Work of `total` steps begins.
pub(super) fn begin(total: usize, what: &'static str) -> Progress {
    tracing::info!("{what}: {total}");
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
    let log = bar.is_hidden().then(|| RefCell::new(Log::new(what, total)));
    if log.is_none() {
        let template = "{spinner} {prefix} {human_pos}/{human_len}, {eta} left {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        bar.enable_steady_tick(TICK);
    }
    Progress {
        bar,
        began: Instant::now(),
        log,
    }
}

impl Progress {
    /// One step is done.
    pub(super) fn step(&self) {
        self.bar.inc(1);
        let line = self
            .log
            .as_ref()
            .and_then(|log| log.borrow_mut().step(self.began.elapsed()));
        if let Some(line) = line {
            say(&line);
        }
    }

    /// There is one step more to do.
    pub(super) fn more(&self) {
        self.bar.inc_length(1);
        if let Some(log) = &self.log {
            log.borrow_mut().total += 1;
        }
    }

    /// What is being done right now, from outside; only a terminal shows it.
    pub(super) fn message(&self, text: &str) {
        if self.log.is_none() {
            self.bar.set_message(sanitize(text));
        }
    }

    /// All is done, or no longer wanted.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// What a log hears. Time is passed in, as a span since the work began.
struct Log {
    what: &'static str,
    total: usize,
    done: usize,
    next: Duration,
}

impl Log {
    fn new(what: &'static str, total: usize) -> Self {
        Self {
            what,
            total,
            done: 0,
            next: EVERY,
        }
    }

    /// One step is done; the line to write, where it is time for one.
    fn step(&mut self, elapsed: Duration) -> Option<String> {
        self.done += 1;
        if elapsed < self.next || self.done >= self.total {
            return None;
        }
        self.next = elapsed + EVERY;
        let (done, total) = (thousands(self.done), thousands(self.total));
        let each = elapsed.div_f64(f64::from(u32::try_from(self.done).unwrap_or(u32::MAX)));
        let left = u32::try_from(self.total - self.done).unwrap_or(u32::MAX);
        let left = span(each.saturating_mul(left));
        Some(format!(
            "{}: {done} of {total}, about {left} left",
            self.what
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of work with so many steps a second.
    fn lines(total: usize, a_second: usize) -> Vec<String> {
        let mut log = Log::new("reading rules", total);
        (0..total)
            .filter_map(|step| log.step(Duration::from_millis((step * 1_000 / a_second) as u64)))
            .collect()
    }

    #[test]
    fn a_short_run_says_nothing() {
        assert_eq!(lines(100, 10), Vec::<String>::new());
        assert_eq!(lines(0, 10), Vec::<String>::new());
    }

    #[test]
    fn a_long_run_says_every_ten_seconds_how_long_it_will_take() {
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
    fn after_a_standstill_nothing_is_made_up_for() {
        let mut log = Log::new("applying", 10);
        assert!(log.step(Duration::from_secs(95)).is_some());
        assert_eq!(log.step(Duration::from_secs(96)), None);
        assert_eq!(
            log.step(Duration::from_secs(105)).as_deref(),
            Some("applying: 3 of 10, about 4 min 5 s left")
        );
    }
}
