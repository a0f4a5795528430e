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
        config: Some(run.config).filter(|config| !config.is_empty()),
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
    let file = file.filter(|file| !is_special(file))?;
    last_success(&fs::read_to_string(file).ok()?)
}

/// Whether something is there that is no file, such as a pipe: it has no old text, and must not be replaced.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| !there.is_file())
}

/// Writes a file so that whoever reads it finds the old text or the new one, and nothing else. The temporary file does not
/// end in `.prom`, which the collector looks for, and others may read it as far as the mask allows.
pub(super) fn exchange(path: &Path, text: &str) -> io::Result<()> {
    if is_special(path) {
        return fs::write(path, text);
    }
    // What a link leads to is exchanged, and the link stays.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let path = real.as_path();
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("a.prom"), folder.path().join("b.prom"));
        exchange(&file, "one\n").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        exchange(&link, "two\n").expect("written");
        assert_eq!(fs::read_to_string(&file).expect("a text"), "two\n");
        assert!(fs::symlink_metadata(&link).is_ok_and(|it| it.is_symlink()));
        let null = Path::new("/dev/null");
        exchange(null, "three\n").expect("written");
        assert!(is_special(null) && before(Some(null)).is_none());
    }
}
