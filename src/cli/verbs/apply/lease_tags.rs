//! The removal of the tags of expired leases, once their access is closed.
//!
//! **Owns** the messages about them. **Does not** close anything.

use super::prepare::Prepared;
use crate::apply::leases::is_done;
use crate::apply::{Settings, Stop, SystemClock, Tools, Validity};
use crate::cli::exit::Exit;
use crate::cli::streams::{write_error, write_status};
use crate::lightsail::Writer;
use crate::model::Code;
use crate::plan::Report;

/// Removes the tags. A tag that stays opens nothing, and the next run tries again.
pub(super) async fn remove_ended(
    prepared: &Prepared,
    report: Option<&Report>,
    writer: &impl Writer,
) -> Option<Exit> {
    let tools = Tools {
        reader: prepared.connection.reader(),
        writer,
        journal: &(),
        progress: &(),
        settings: &Settings::default(),
        stop: &Stop::new(),
        validity: Validity::UNLIMITED,
        clock: &SystemClock,
    };
    let mut failed = None;
    for (id, tags) in &prepared.ended {
        if !is_done(&prepared.plan, report, id) {
            continue;
        }
        match tools.remove_tags(id, tags).await {
            Ok(()) => {
                let names: Vec<String> = tags.iter().map(|tag| format!("`{tag}`")).collect();
                write_status(&format!("removed from {id}: {}", names.join(", ")));
            }
            Err(failure) => {
                let message = format!("on {id} {}; it opens nothing", failure.message);
                write_error(Code::NotApplied, &message, failure.hint.as_deref());
                failed = Some(Exit::Failed);
            }
        }
    }
    failed
}
