//! The loader of plan files.

use portward::plan::file::parse;
use time::OffsetDateTime;

use super::check_shown;

/// Any text is a plan or a refusal that can be shown. A digest that was given and that is not the plan's is a refusal.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let now = OffsetDateTime::UNIX_EPOCH;
    if let Err(refusal) = parse(&text, now, None) {
        check_shown(&portward::render::sanitize(&refusal.to_string()));
    }
    let foreign = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    assert!(parse(&text, now, Some(foreign)).is_err());
}
