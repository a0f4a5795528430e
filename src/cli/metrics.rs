//! Metrics for the textfile collector: what the last run left behind, and a file that is exchanged in one step.
//!
//! Owns clock and file. Refuses to word a metric.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use tempfile::Builder;
use time::OffsetDateTime;

use super::exit::Exit;
use super::output::Known;
use crate::render::json::Run;
use crate::render::prometheus::{Counts, Metrics, last_success, text};

/// The metrics of a run that ends now. `file` is where they will stand, and where those of the last run are.
pub(super) fn of_run(run: &Run<'_>, exit: Exit, known: &Known, file: Option<&Path>) -> String {
    text(&Metrics {
        verb: run.verb,
        config: known.config_file.as_deref(),
        shard: known.facts.shard,
        counts: Counts::of_run(run),
        calls: &known.facts.calls,
        seconds: Some(known.began.elapsed().as_secs_f64()),
        exit_code: exit.code(),
        now: now(),
        last_success: before(file),
    })
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// The last success that a file of metrics tells.
pub(super) fn before(file: Option<&Path>) -> Option<i64> {
    last_success(&fs::read_to_string(file?).ok()?)
}

/// Writes a file so that whoever reads it finds the old text or the new one, and nothing else. The temporary file does not
/// end in `.prom`, which the collector looks for, and others may read it as far as the mask allows.
pub(super) fn exchange(path: &Path, text: &str) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = Builder::new();
    builder.prefix(".portward-").suffix(".tmp");
    #[cfg(unix)]
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(readable);
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
