//! A receipt, read again.
//!
//! Owns what a run left behind can tell. A last line that is torn is what a death leaves, and is tolerated and named; any
//! other damage is refused, because a receipt is the base of a way back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::line::{Answered, Confirming, Header, IntentLine, Line};
use crate::model::{InstanceId, LiveFirewall};
use crate::plan::Call;

/// What a run was about to write and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    file: Arc<str>,
    header: Header,
    writes: Vec<Write>,
    done: BTreeSet<InstanceId>,
    stage: Option<Confirming>,
    interrupted: Option<bool>,
    torn: Option<usize>,
}

/// One write that was about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The line of the receipt that tells of it, from 1.
    pub line: usize,
    /// To which instance.
    pub id: InstanceId,
    /// Which one it was.
    pub arn: String,
    /// What was live right before.
    pub before: LiveFirewall,
    /// What was sent.
    pub call: Call,
    /// What it leads to.
    pub after: LiveFirewall,
    answered: Option<Answered>,
}

impl Write {
    /// Whether the service said that it took the call, or that it did not. Otherwise only the live rules can tell.
    pub fn is_answered(&self) -> bool {
        matches!(
            self.answered,
            Some(Answered::Accepted | Answered::Refused | Answered::Unsent)
        )
    }

    /// Whether it replaced the whole firewall.
    pub fn replaces(&self) -> bool {
        matches!(self.call, Call::Put { .. })
    }

    /// Whether it may have been carried out.
    pub fn may_have_happened(&self) -> bool {
        !matches!(self.answered, Some(Answered::Refused | Answered::Unsent))
    }
}

/// Why a file is no receipt that can be relied on.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// It cannot be read.
    #[error("cannot read the receipt `{}`: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It ends before its first line does: the run died before it wrote anything.
    #[error("the receipt has no complete header: its run wrote nothing")]
    NoHeader,
    /// It says that it is something else.
    #[error("not a portward receipt: `format` is not `{}`", super::FORMAT)]
    Format,
    /// A version from the future.
    #[error("receipt version {0} is not known to this program, which reads version {version}", version = super::VERSION)]
    Version(u64),
    /// A line in its midst is no line of a receipt.
    #[error("line {line} of the receipt is damaged: {what}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

impl Receipt {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Damage`].
    pub fn read(path: &Path) -> Result<Self, Damage> {
        let bytes = crate::input::read(path).map_err(|error| Damage::Unreadable {
            path: path.to_owned(),
            error,
        })?;
        Self::parse(&path.display().to_string(), &bytes)
    }

    /// Keeps the writes to these instances.
    pub fn retain(&mut self, keep: impl Fn(&InstanceId) -> bool) {
        self.writes.retain(|write| keep(&write.id));
    }

    /// Reads the content of a file of that name.
    ///
    /// # Errors
    /// [`Damage`].
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Damage> {
        let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        // What follows the last line break is no whole line.
        let rest = lines.pop().unwrap_or_default();
        let mut lines = lines.into_iter().zip(1..);
        let (first, _) = lines
            .next()
            .ok_or(if rest.is_empty() || could_be_ours(rest) {
                Damage::NoHeader
            } else {
                Damage::Format
            })?;
        let mut receipt = Self {
            file: file.into(),
            header: header(first)?,
            writes: Vec::new(),
            done: BTreeSet::new(),
            stage: None,
            interrupted: None,
            torn: None,
        };
        let mut last = 1;
        for (text, line) in lines {
            last = line;
            serde_json::from_slice(text)
                .map_err(|error| error.to_string())
                .and_then(|parsed| receipt.take(parsed, line))
                .map_err(|what| Damage::Line { line, what })?;
        }
        if !rest.is_empty() {
            let line = last + 1;
            receipt.torn = Some(line);
            // Whole but for the line break: better taken for said than for not said.
            if let Ok(parsed) = serde_json::from_slice(rest) {
                receipt
                    .take(parsed, line)
                    .map_err(|what| Damage::Line { line, what })?;
            }
        }
        Ok(receipt)
    }

    fn take(&mut self, parsed: Line<'_>, line: usize) -> Result<(), String> {
        if self.interrupted.is_some() {
            return Err("it comes after the end".to_owned());
        }
        match parsed {
            Line::Header(_) => return Err("it is a second header".to_owned()),
            Line::Intent(intent) => {
                if intent.write != self.writes.len() + 1 {
                    return Err(format!("write {} is out of order", intent.write));
                }
                self.writes.push(write(intent, line));
            }
            Line::Outcome(outcome) => {
                let write = outcome.write.checked_sub(1);
                let write = write.and_then(|place| self.writes.get_mut(place));
                match write {
                    Some(write) if write.answered.is_none() => {
                        write.answered = Some(outcome.status);
                    }
                    _ => return Err(format!("write {} was not waited for", outcome.write)),
                }
            }
            Line::Result(result) => {
                self.done.insert(result.id.into_owned());
            }
            Line::Confirmation(confirmation) => {
                if confirmation.state == Confirming::Reverting {
                    // What follows is begun anew.
                    self.done.clear();
                }
                self.stage = Some(confirmation.state);
            }
            Line::End(end) => self.interrupted = Some(end.interrupted),
        }
        Ok(())
    }

    /// The name of the file.
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// What the run was.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Every write that was about to be sent, in order.
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// Whether the run came to its end.
    pub fn has_ended(&self) -> bool {
        self.interrupted.is_some()
    }

    /// The last line, where it is torn: the run, or the machine, died while it was written.
    pub fn torn(&self) -> Option<usize> {
        self.torn
    }

    /// Writes of which nobody knows whether they were carried out: without an outcome, or with one that does not tell, on
    /// an instance that was not brought to its end.
    pub fn unfinished(&self) -> Vec<&Write> {
        let open = |write: &&Write| !write.is_answered() && !self.done.contains(&write.id);
        self.writes.iter().filter(open).collect()
    }

    /// Instances that may have been written to and whose result was not proved, in order.
    pub fn unproved(&self) -> BTreeSet<&InstanceId> {
        let open = |write: &&Write| write.may_have_happened() && !self.done.contains(&write.id);
        self.writes
            .iter()
            .filter(open)
            .map(|write| &write.id)
            .collect()
    }

    /// Whether the run had to be confirmed, wrote, and died before it was confirmed or wholly put back.
    pub fn died_unconfirmed(&self) -> bool {
        self.header.confirm_within.is_some()
            && self.writes.iter().any(Write::may_have_happened)
            && self.stage != Some(Confirming::Confirmed)
            && !self.has_ended()
    }
}

fn write(intent: IntentLine<'_>, line: usize) -> Write {
    Write {
        line,
        id: intent.id.into_owned(),
        arn: intent.arn.into_owned(),
        before: LiveFirewall::read(&intent.before),
        call: intent.call.into_owned(),
        after: LiveFirewall::read(&intent.after),
        answered: None,
    }
}

/// The header, judged by format and version before its shape.
fn header(text: &[u8]) -> Result<Header, Damage> {
    let value: serde_json::Value = serde_json::from_slice(text).map_err(|_| Damage::Format)?;
    if value.get("format").and_then(|format| format.as_str()) != Some(super::FORMAT) {
        return Err(Damage::Format);
    }
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(super::VERSION) => {}
        Some(version) => return Err(Damage::Version(version)),
        None => return Err(Damage::Format),
    }
    match serde_json::from_slice(text) {
        Ok(Line::Header(header)) => Ok(header),
        Ok(_) => Err(Damage::Format),
        Err(error) => Err(Damage::Line {
            line: 1,
            what: error.to_string(),
        }),
    }
}

/// Whether this may be the beginning of a header that was torn.
fn could_be_ours(text: &[u8]) -> bool {
    let begins = format!(r#"{{"type":"header","format":"{}""#, super::FORMAT);
    let length = text.len().min(begins.len());
    text.get(..length) == begins.as_bytes().get(..length)
}
