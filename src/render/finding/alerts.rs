//! Findings as code scanners keep them from run to run.
//!
//! Owns the file of a finding that has none, and its fingerprint, which does not depend on line numbers: a finding that only
//! moved is the same one. Does not know the format of any scanner.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::Finding;
use crate::render::json::RunReport;
use crate::strings::hex;

/// The name of a configuration without a name.
const DEFAULT_CONFIG: &str = "firewall.toml";

/// A finding, and what a scanner knows it by.
pub(in crate::render) struct Alert<'a> {
    /// The message.
    pub(in crate::render) finding: &'a Finding,
    /// Its location: scanners show nothing without one.
    pub(in crate::render) file: &'a str,
    /// Unique in its run, and the same in the next one.
    pub(in crate::render) fingerprint: String,
}

/// All of them, in their order.
pub(in crate::render) fn alerts<'a>(
    findings: &'a [Finding],
    run: &RunReport<'a>,
) -> Vec<Alert<'a>> {
    // How many read alike: rule, file and identity.
    let mut seen = BTreeMap::new();
    let mut alert = |finding: &'a Finding| {
        let place = finding.location.as_ref();
        let file = place.map_or_else(|| config(run), |at| at.file.as_str());
        let identity = finding.identity.as_ref().unwrap_or(&finding.message);
        let nth = seen.entry((&finding.rule, file, identity)).or_default();
        *nth += 1;
        Alert {
            finding,
            file,
            fingerprint: fingerprint([&finding.rule.id(), file, identity], *nth),
        }
    };
    findings.iter().map(&mut alert).collect()
}

/// The configuration, also where it was not named.
pub(in crate::render) fn config<'a>(run: &RunReport<'a>) -> &'a str {
    if run.config.is_empty() {
        DEFAULT_CONFIG
    } else {
        run.config
    }
}

/// Its identity, independent of the line; `nth` distinguishes equal ones.
pub(in crate::render) fn fingerprint(same: [&str; 3], nth: usize) -> String {
    let mut hash = Sha256::new();
    for part in same {
        // The length keeps `ab` + `c` apart from `a` + `bc`.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update((nth as u64).to_be_bytes());
    hex(&hash.finalize())
}
