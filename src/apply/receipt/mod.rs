//! The receipt: what a run was about to write and what came of it, one JSON object a line, one file a run.
//!
//! Owns the format, its file, and what can be learnt from it: what a run that died left behind, and the way back. Does not
//! be rewritten: a line is only ever added.
//!
//! | `type` | when | holds |
//! |---|---|---|
//! | `header` | first | `format`, `version`, `tool`, `started`, `pid`, `planDigest`, `scope`, `confirmWithin` (seconds) |
//! | `intent` | on disk before each write | its number, the instance and its ARN, the rules `before`, the `call` with the body of its request but for the name of the instance, the rules `after` |
//! | `outcome` | after each write | the number of its intent, `accepted`, `refused`, `unanswered` or `unsent`, and what the service said |
//! | `result` | an instance is done with | how it ended, as in the report |
//! | `confirmation` | a run that has to be confirmed | `unconfirmed` until when, then `confirmed` or `reverting` and why; intents and results after `reverting` belong to the way back |
//! | `end` | last | whether the run was interrupted |
//!
//! Rules are spelled as the API spells them. `before` also holds the live entries that are no certain rules.

mod deferred;
mod file;
mod line;
mod read;
mod rollback;
#[cfg(all(test, feature = "emulator"))]
mod tests;

pub use deferred::DeferredReceipt;
pub use file::{ReceiptFile, Unconfirmed, goes_on, unconfirmed, unended};
pub use line::{Header, Scope};
pub use read::{Damage, Receipt, Write};
pub use rollback::Rollback;

use crate::model::{Firewall, LiveFirewall, PortState};

/// What `format` says.
pub const FORMAT: &str = "portward.receipt";

/// The version of the format.
pub const VERSION: u32 = 1;

/// Where receipts are kept unless told otherwise.
pub const FOLDER: &str = ".portward/receipts";

/// Certain rules as the service would list them, with the entries of `known` that a write leaves as they are: those of an
/// unknown protocol, and, unless the whole firewall was `replaced`, those of uncertain meaning.
pub(super) fn entries(rules: &Firewall, known: &LiveFirewall, replaced: bool) -> Vec<PortState> {
    let certain = rules
        .iter()
        .map(|(key, sources)| PortState::canonical(*key, sources));
    let uncertain = known.uncertain().iter().filter(|_| !replaced);
    certain
        .chain(uncertain.map(|uncertain| uncertain.entry.clone()))
        .chain(known.unknown().iter().cloned())
        .collect()
}
