//! Validation of regions.
//!
//! Owns the form of a region, and the warning about an unknown region. Does not decide which regions are read.

use super::diagnostic::Report;
use super::habits;
use super::source::{Span, quote};
use super::suggest::nearest;
use crate::model::{Code, REGIONS};

/// Whether a text can be a region. An impossible region is an error, because it would become a part of a host name; an unknown
/// region is a warning.
pub(super) fn check(report: &mut Report, region: &str, span: Span) -> bool {
    let possible = is_possible(region);
    if !possible {
        let message = format!("{} is not a valid region", quote(region));
        let problem = report.unknown(Code::UnknownName, span, message, region, known());
        if let Some(hint) = habits::region(region) {
            problem.hint(hint);
        }
        return false;
    }
    if !known().any(|known| known == region) {
        let near = nearest(&mut report.compared, region, known());
        let problem = report.warning(
            Code::Suspicious,
            span,
            format!(
                "{} is not among the regions known to have Lightsail",
                quote(region)
            ),
        );
        if let Some(near) = near {
            problem.hint(format!("did you mean {}?", quote(near)));
        }
    }
    true
}

fn known() -> impl Iterator<Item = &'static str> {
    REGIONS.iter().map(|region| region.name)
}

/// Whether a text has the form of a region.
pub(super) fn is_possible(region: &str) -> bool {
    !region.is_empty()
        && region.len() <= 32
        && region
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && region.starts_with(|c: char| c.is_ascii_lowercase())
        && !region.ends_with('-')
}
