//! Reader of receipts.
//!
//! **Owns** the validation and the questions that a receipt answers. A torn last line, which a dead run leaves, is accepted and
//! reported; any other damage is refused, because a rollback relies on the receipt. **Does not** read the live state.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{ConfirmationState, Header, IntentRecord, Record, WriteStatus};
use crate::model::{InstanceId, LiveFirewall};
use crate::plan::Call;

/// The writes of a run and their results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The name of the file.
    pub file: Arc<str>,
    /// The facts about the run.
    pub header: Header,
    /// Every write that was about to be sent, in order.
    pub writes: Vec<ReceiptWrite>,
    /// The number of the last line if it is torn, because the run or the machine died while writing it.
    pub torn: Option<usize>,
    done: BTreeSet<InstanceId>,
    stage: Option<ConfirmationState>,
    interrupted: Option<bool>,
}

/// A write that was about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptWrite {
    /// The line of the receipt, from 1.
    pub line: usize,
    /// The instance.
    pub id: InstanceId,
    /// The ARN of the instance.
    pub arn: String,
    /// The live rules before the write.
    pub before: LiveFirewall,
    /// The call.
    pub call: Call,
    /// The rules after the write.
    pub after: LiveFirewall,
    answered: Option<WriteStatus>,
}

impl ReceiptWrite {
    /// Whether it is known that the service accepted or did not accept the call. Otherwise only the live rules can tell.
    pub fn is_answered(&self) -> bool {
        matches!(
            self.answered,
            Some(WriteStatus::Accepted | WriteStatus::Refused | WriteStatus::Unsent)
        )
    }

    /// Whether the write may have been carried out.
    pub fn may_have_happened(&self) -> bool {
        !matches!(
            self.answered,
            Some(WriteStatus::Refused | WriteStatus::Unsent)
        )
    }
}

/// Why a file is not a valid receipt.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// The file cannot be read.
    #[error("cannot read the receipt `{}`: {error}", path.display())]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// The file ends in its first line, because the run died before any write.
    #[error("the receipt has no complete header: its run wrote nothing")]
    NoHeader,
    /// The file has another format.
    #[error("not a portward receipt: `format` is not `{}`", super::FORMAT)]
    Format,
    /// The version of the format is unknown.
    #[error("unknown receipt version {0}: this program reads version {version}", version = super::VERSION)]
    Version(u64),
    /// A line is not valid.
    #[error("line {line} of the receipt is damaged: {reason}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// Why it is not valid.
        reason: String,
    },
}

impl Receipt {
    /// Reads a receipt from a file.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn read(path: &Path) -> Result<Self, ReceiptError> {
        let bytes = crate::input::read(path).map_err(|error| ReceiptError::Unreadable {
            path: path.to_owned(),
            error,
        })?;
        Self::parse(&path.display().to_string(), &bytes)
    }

    /// Parses the content of a file with this name.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, ReceiptError> {
        let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        // The text after the last line break is a torn line.
        let rest = lines.pop().unwrap_or_default();
        let torn = (!rest.is_empty()).then_some(lines.len() + 1);
        let mut lines = lines.into_iter().zip(1..);
        let (first, _) = lines
            .next()
            .ok_or(if rest.is_empty() || is_torn_header(rest) {
                ReceiptError::NoHeader
            } else {
                ReceiptError::Format
            })?;
        let mut receipt = Self {
            file: file.into(),
            header: header(first)?,
            writes: Vec::new(),
            done: BTreeSet::new(),
            stage: None,
            interrupted: None,
            torn,
        };
        for (text, line) in lines {
            serde_json::from_slice(text)
                .map_err(|error| error.to_string())
                .and_then(|parsed| receipt.take(parsed, line))
                .map_err(|reason| ReceiptError::Line { line, reason })?;
        }
        // If only the line break is missing, the line counts.
        if let Some(line) = torn
            && let Ok(parsed) = serde_json::from_slice(rest)
        {
            receipt
                .take(parsed, line)
                .map_err(|reason| ReceiptError::Line { line, reason })?;
        }
        Ok(receipt)
    }

    fn take(&mut self, parsed: Record<'_>, line: usize) -> Result<(), String> {
        if self.interrupted.is_some() {
            return Err("it comes after the end".to_owned());
        }
        match parsed {
            Record::Header(_) => return Err("it is a second header".to_owned()),
            Record::Intent(intent) => {
                if intent.write != self.writes.len() + 1 {
                    return Err(format!("write {} is out of order", intent.write));
                }
                self.writes.push(write(intent, line));
            }
            Record::Outcome(outcome) => {
                let write = outcome.write.checked_sub(1);
                let write = write.and_then(|place| self.writes.get_mut(place));
                match write {
                    Some(write) if write.answered.is_none() => {
                        write.answered = Some(outcome.status);
                    }
                    _ => return Err(format!("write {} was not waited for", outcome.write)),
                }
            }
            Record::Result(result) => {
                self.done.insert(result.id.into_owned());
            }
            Record::Confirmation(confirmation) => {
                if confirmation.state == ConfirmationState::Reverting {
                    // The revert has results of its own.
                    self.done.clear();
                }
                self.stage = Some(confirmation.state);
            }
            Record::End(end) => self.interrupted = Some(end.interrupted),
        }
        Ok(())
    }

    /// Whether the run has ended, rather than died.
    pub fn has_ended(&self) -> bool {
        self.interrupted.is_some()
    }

    /// The writes that may or may not have been carried out, on instances without a result.
    pub fn unfinished(&self) -> Vec<&ReceiptWrite> {
        let open = |write: &&ReceiptWrite| !write.is_answered() && !self.done.contains(&write.id);
        self.writes.iter().filter(open).collect()
    }

    /// The instances that may have been written to and have no result, in order.
    pub fn unproved(&self) -> BTreeSet<&InstanceId> {
        let open =
            |write: &&ReceiptWrite| write.may_have_happened() && !self.done.contains(&write.id);
        self.writes
            .iter()
            .filter(open)
            .map(|write| &write.id)
            .collect()
    }

    /// Whether the run had to be confirmed, wrote, and died before it was confirmed or completely reverted.
    pub fn died_unconfirmed(&self) -> bool {
        self.header.confirm_within.is_some()
            && self.writes.iter().any(ReceiptWrite::may_have_happened)
            && self.stage != Some(ConfirmationState::Confirmed)
            && !self.has_ended()
    }
}

fn write(intent: IntentRecord<'_>, line: usize) -> ReceiptWrite {
    ReceiptWrite {
        line,
        id: intent.id.into_owned(),
        arn: intent.arn.into_owned(),
        before: LiveFirewall::read(&intent.before),
        call: intent.call.into_owned(),
        after: LiveFirewall::read(&intent.after),
        answered: None,
    }
}

/// Parses the header. Checks format and version first.
fn header(text: &[u8]) -> Result<Header, ReceiptError> {
    let value: serde_json::Value =
        serde_json::from_slice(text).map_err(|_| ReceiptError::Format)?;
    if value.get("format").and_then(|format| format.as_str()) != Some(super::FORMAT) {
        return Err(ReceiptError::Format);
    }
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(super::VERSION) => {}
        Some(version) => return Err(ReceiptError::Version(version)),
        None => return Err(ReceiptError::Format),
    }
    match serde_json::from_slice(text) {
        Ok(Record::Header(header)) => Ok(header),
        Ok(_) => Err(ReceiptError::Format),
        Err(error) => Err(ReceiptError::Line {
            line: 1,
            reason: error.to_string(),
        }),
    }
}

/// Whether this may be the beginning of a torn header.
fn is_torn_header(text: &[u8]) -> bool {
    let begins = format!(r#"{{"type":"header","format":"{}""#, super::FORMAT);
    let length = text.len().min(begins.len());
    text.get(..length) == begins.as_bytes().get(..length)
}
