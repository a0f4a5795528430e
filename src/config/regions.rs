//! Validation of regions.
//!
//! Owns the form of a region, and the warning about an unknown region. Does not decide which regions are read.

use super::diagnostic::DiagnosticsBuilder;
use super::hints;
use super::source::{Span, quote};
use crate::model::{Code, REGIONS};

/// Whether a text has the form of a region. Any other text is an error, because it would become a part of a host name; an unknown
/// region is a warning.
pub(super) fn check(report: &mut DiagnosticsBuilder, region: &str, span: Span) -> bool {
    if !is_valid(region) {
        let message = format!("{} is not a valid region", quote(region));
        let error = report.unknown(Code::UnknownName, span, message, region, known_regions());
        if let Some(hint) = hints::for_region(region) {
            error.hint(hint);
        }
        return false;
    }
    if !known_regions().any(|known| known == region) {
        let hint = report.suggestion(region, known_regions());
        let message = format!(
            "{} is not among the regions known to have Lightsail",
            quote(region)
        );
        report.warning(Code::Suspicious, span, message).hint = hint;
    }
    true
}

fn known_regions() -> impl Iterator<Item = &'static str> {
    REGIONS.iter().map(|region| region.name)
}

/// Whether a text has the form of a region.
pub(super) fn is_valid(region: &str) -> bool {
    !region.is_empty()
        && region.len() <= 32
        && region
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && region.starts_with(|c: char| c.is_ascii_lowercase())
        && !region.ends_with('-')
}
