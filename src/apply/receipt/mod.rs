//! Receipts: the record of the writes of a run, one file for each run, with one JSON object on each line.
//!
//! Owns the format, the file, and the evaluation: the state that a dead run left, and the rollback. Records are only appended. Does not
//! write to the service.
//!
//! | `type` | when | content |
//! |---|---|---|
//! | `header` | first | `format`, `version`, `tool`, `started`, `pid`, `planDigest`, `scope`, `confirmWithin` (seconds) |
//! | `intent` | durable before each write | its number, the instance and its ARN, the rules `before`, the `call` with the body of its request without the name of the instance, the rules `after` |
//! | `outcome` | after each write | the number of its intent, `accepted`, `refused`, `unanswered` or `unsent`, and the response of the service |
//! | `result` | after each instance | its outcome, as in the report |
//! | `confirmation` | in a run that has to be confirmed | `unconfirmed` with the deadline, then `confirmed`, or `reverting` with the reason; intents and results after `reverting` belong to the revert |
//! | `end` | last | whether the run was interrupted |
//!
//! Rules are spelled as in the API. `before` also contains the uncertain live entries.

mod file;
mod read;
mod record;
mod rollback;
#[cfg(test)]
mod tests;

pub use file::{ReceiptFile, Unconfirmed, is_running, unconfirmed, unfinished_runs};
pub use read::{Receipt, ReceiptError, ReceiptWrite};
pub use record::{Header, RunScope};
pub use rollback::Rollback;

use crate::model::{Firewall, LiveFirewall, PortState};

/// The value of `format`.
pub const FORMAT: &str = "portward.receipt";

/// The version of the format.
pub const VERSION: u32 = 1;

/// The default folder of receipts.
pub const FOLDER: &str = ".portward/receipts";

/// Certain rules as the service would return them, with the entries of `known` that a write keeps: unknown ones, and, unless the whole
/// firewall was `replaced`, uncertain ones.
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
