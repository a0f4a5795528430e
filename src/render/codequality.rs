//! Findings as a Code Quality report of GitLab, of which a merge request shows what is new and what is mended.
//!
//! Owns the mapping, by GitLab's documentation of the format. Does not report what a change opens, as SARIF does not: that is for
//! a reviewer to judge and no defect.

use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use super::finding::alerts::{Alert, alerts, config, fingerprint};
use super::finding::{Level, findings};
use super::json::RunReport;

/// What stands for a code where a note is no finding.
const ENVIRONMENT: &str = "environment";

/// The list, indented, with a final newline. It has what environment variables did to the run, too. Paths become relative to
/// `folder`, since GitLab knows files by their paths in the repository.
pub(crate) fn document(run: &RunReport<'_>, notes: &[String], folder: &Path) -> String {
    let findings = findings(run);
    let alerts = alerts(&findings, run);
    let found = alerts.iter().map(|alert| issue(alert, folder));
    let noted = notes.iter().map(|note| {
        let file = config(run);
        json!({
            "description": note,
            "check_name": ENVIRONMENT,
            "fingerprint": fingerprint([ENVIRONMENT, file, note], 1),
            "severity": "info",
            "location": location(file, 1, folder),
        })
    });
    let issues: Value = found.chain(noted).collect();
    format!("{issues:#}\n")
}

fn issue(alert: &Alert<'_>, folder: &Path) -> Value {
    let finding = alert.finding;
    let message = std::iter::once(&finding.message);
    let description: Vec<&str> = message
        .chain(&finding.details)
        .chain(&finding.hint)
        .map(String::as_str)
        .collect();
    json!({
        // It is shown on one line.
        "description": description.join("; "),
        "check_name": finding.rule.id(),
        "fingerprint": alert.fingerprint,
        "severity": match finding.level {
            Level::Error => "blocker",
            Level::Warning => "major",
            Level::Note => "info",
        },
        "location": location(alert.file, finding.location.as_ref().map_or(1, |at| at.line), folder),
    })
}

fn location(file: &str, line: usize, folder: &Path) -> Value {
    json!({"path": relative(file, folder), "lines": {"begin": line.max(1)}})
}

/// A path as git would say it, where the file is below the folder.
fn relative(file: &str, folder: &Path) -> String {
    let path = Path::new(file);
    let path = path.strip_prefix(folder).unwrap_or(path);
    let is_part = |part: &Component<'_>| !matches!(part, Component::CurDir);
    let path: PathBuf = path.components().filter(is_part).collect();
    path.display().to_string().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_repository() {
        let folder = Path::new("/builds/group/fleet");
        for (file, expected) in [
            ("firewall.toml", "firewall.toml"),
            ("./fleet/./web.toml", "fleet/web.toml"),
            ("/builds/group/fleet/fleet/web.toml", "fleet/web.toml"),
            ("/etc/portward/firewall.toml", "/etc/portward/firewall.toml"),
        ] {
            assert_eq!(relative(file, folder), expected);
        }
    }
}
