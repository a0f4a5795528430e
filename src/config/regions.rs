//! The regions that have a Lightsail endpoint.
//!
//! Owns the list, which is for suggestions only: a region that is not in it may be new. Refuses to decide whether one is
//! looked at.

use super::diagnostic::Report;
use super::source::{Span, quote};
use super::suggest::nearest;

/// Regions with an endpoint (AWS endpoint data, botocore 1.43).
const KNOWN: &[&str] = &[
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-5",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "us-east-1",
    "us-east-2",
    "us-west-2",
];

/// Whether a text can be a region. One that cannot is an error, since it would become part of a host name; one that
/// only is not known is a warning.
pub(super) fn check(report: &mut Report, region: &str, span: Span) -> bool {
    let possible = is_possible(region);
    if !possible {
        let message = format!("{} is no region", quote(region));
        report.unknown(span, message, region, KNOWN.iter().copied());
        return false;
    }
    if !KNOWN.contains(&region) {
        let near = nearest(&mut report.compared, region, KNOWN.iter().copied());
        let problem = report.warning(
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
