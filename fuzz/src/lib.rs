//! What must hold for any bytes that somebody else may have written.
//!
//! One module a target, each with a function `check` that panics where something does not hold. The fuzz targets call
//! them, and so do the property tests of the main crate, which include this file. Does not make up bytes.

pub mod config;
pub mod plan;
pub mod reply;
pub mod request;

/// Text that the program would print: no terminal acts on it, and no CI system obeys any line of it.
pub fn check_shown(text: &str) {
    for line in text.lines() {
        assert!(!line.contains(portward::model::is_unsafe), "{line:?}");
        assert!(!line.contains("##["), "{line:?}");
        assert!(
            !portward::model::begins_command(line.trim_start()),
            "{line:?}"
        );
    }
}
