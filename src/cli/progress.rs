//! A progress bar on a terminal, and nothing elsewhere.
//!
//! Owns the drawing on stderr. Refuses to draw in a log.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the spinner turns: often enough to look alive, rarely enough to cost nothing.
const TICK: Duration = Duration::from_millis(120);

/// A bar that counts up to `total`, drawn only where stderr is a terminal.
pub(super) fn bar(total: usize, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
    if bar.is_hidden() {
        return bar;
    }
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {pos}/{len} {wide_msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(what);
    bar.enable_steady_tick(TICK);
    bar
}
