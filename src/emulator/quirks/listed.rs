//! The switch for what a list of instances shows of their rules.
//!
//! Owns its answers. Does not know their names on the command line.

use super::Words;

words! {
    /// What `GetInstances` shows of the rules.
    ListedPorts {
        /// All of them, as they are.
        #[default]
        Current = "current",
        /// Those that were there when the emulator began.
        Stale = "stale",
        /// All but the last.
        Partial = "partial",
        /// None at all: the member is missing.
        Absent = "absent",
    }
}
