//! Earlier runs that did not end, by their receipts.
//!
//! **Owns** the warnings on stderr and in reports, with the command that undoes such a run. **Does not** undo anything.

use std::path::{Path, PathBuf};

use clap::Args;

use super::streams::{caution, write_status};
use crate::apply::receipt::{self, Unconfirmed, unconfirmed, unfinished_runs};
use crate::model::{Code, instant};
use crate::render::json::Problem;

/// Where the receipts of runs are.
#[derive(Args, Debug)]
pub(super) struct ReceiptsArgs {
    /// The folder of receipts: `apply` keeps one of each run there, and a run that was cut off unconfirmed is named
    #[arg(long, value_name = "DIR", default_value = receipt::FOLDER, env = "PORTWARD_RECEIPTS")]
    pub(super) receipts: PathBuf,
}

/// Warns of runs that had to be confirmed and were not, and returns the warnings for reports. `config` is the configuration of
/// this run, which the command for a rollback names.
pub(super) fn report_unconfirmed(folder: &Path, config: &Path) -> Vec<Problem> {
    let runs = match unconfirmed(folder) {
        Ok(runs) => runs,
        Err(error) => {
            tracing::warn!("{}", list_error(folder, &error));
            return Vec::new();
        }
    };
    let report = |run: &Unconfirmed| {
        let message = message(run, config);
        caution(&message);
        Problem::warning(Code::Receipt, message)
    };
    runs.iter().map(report).collect()
}

fn message(run: &Unconfirmed, config: &Path) -> String {
    let path = shell_quoted(&run.path);
    let receipt = match &run.receipt {
        Ok(receipt) => receipt,
        Err(damage) => {
            return format!(
                "a run may have been cut off before it was confirmed, and its receipt {path} cannot be read: {damage}"
            );
        }
    };
    let started = instant::format(receipt.header.started);
    if run.is_running {
        return format!(
            "the run of {started} is not confirmed yet, and goes on: its receipt is {path}"
        );
    }
    let names_account = receipt.writes.iter().any(|one| one.id.account.is_some());
    let config = if names_account {
        format!(" -c {}", shell_quoted(config))
    } else {
        String::new()
    };
    format!(
        "the run of {started} was cut off before it was confirmed, and what it wrote may still be there: `portward rollback \
         {path}{config} --out back.json`, and then `portward apply back.json`, undoes it; to keep it, delete the receipt"
    )
}

/// Names the other runs that did not end.
pub(super) fn report_unfinished(folder: &Path) {
    let receipts = match unfinished_runs(folder) {
        Ok(receipts) => receipts,
        Err(error) => {
            tracing::warn!("{}", list_error(folder, &error));
            return;
        }
    };
    for (path, receipt) in receipts {
        let path = path.display();
        match receipt {
            Ok(receipt) if receipt.died_unconfirmed() => {}
            Ok(receipt) => write_status(&format!(
                "an earlier run was cut off, or is still going on: {path} ({} writes, {} of them without a response)",
                receipt.writes.len(),
                receipt.unfinished().len()
            )),
            Err(damage) => write_status(&format!("the receipt {path} cannot be read: {damage}")),
        }
    }
}

fn list_error(folder: &Path, error: &std::io::Error) -> String {
    let folder = folder.display();
    format!("cannot look for receipts of earlier runs in `{folder}`: {error}")
}

/// A path, quoted for a shell.
fn shell_quoted(path: &Path) -> String {
    let message = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if message.chars().all(plain) && !message.starts_with('-') {
        return message;
    }
    let dash = if message.starts_with('-') { "./" } else { "" };
    format!("'{dash}{}'", message.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_paths_are_quoted_for_a_shell() {
        for (path, message) in [
            (
                ".portward/receipts/20260101T000000Z-1.jsonl",
                ".portward/receipts/20260101T000000Z-1.jsonl",
            ),
            ("a b/c", "'a b/c'"),
            ("it's", "'it'\\''s'"),
            ("-r", "'./-r'"),
            ("$(x)", "'$(x)'"),
        ] {
            assert_eq!(shell_quoted(path.as_ref()), message);
        }
    }
}
