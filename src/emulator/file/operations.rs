//! The operations of an emulator, in a file beside its state, so that the inventory stays an inventory.
//!
//! **Owns** the format: a first line that says what the file is, then one line for each step of an operation, of which the
//! last one counts. A line that a killed run left unfinished at the end is dropped. **Does not** lock: whoever holds the
//! lock of the state has this file too.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::input;

use super::super::operation::Operation;
use crate::atomic_file;

/// How many operations outlast a restart, the newest. The service lists 200 at most; this leaves room for those of several
/// instances and keeps the file below a megabyte.
const KEPT: usize = 2_000;

/// The first line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    version: u32,
}

const FORMAT: &str = "portward.operations";
const VERSION: u32 = 1;

/// Why a text is not a list of operations.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationsError {
    /// The first line does not say so, or names another version.
    #[error("line 1 is not the header of a version {VERSION} `{FORMAT}` file")]
    Header,
    /// A line cannot be read.
    #[error("line {line}: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// Puts this text in the place of the file.
fn replace(path: &Path, text: &str, permissions: &Permissions) -> io::Result<()> {
    atomic_file::replace(path, text.as_bytes(), Some(permissions.clone())).map(drop)
}

/// The file, which comes into being with the first operation.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    /// Open for appending, with its length.
    file: Option<(File, u64)>,
}

impl Log {
    /// The log that belongs to this state.
    pub(super) fn beside(state: &Path) -> Self {
        let mut name = OsString::from(state.file_name().unwrap_or_default());
        name.push(".operations");
        Self {
            path: state.with_file_name(name),
            file: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The text of the file, if there is one.
    pub(super) fn text(&self) -> io::Result<Option<String>> {
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            // A link could lead anywhere, and to open a pipe would wait for its other end.
            Ok(metadata) if !metadata.is_file() => {
                return Err(io::Error::other("not a regular file"));
            }
            Ok(_) => {}
        }
        input::read_text(&self.path).map(Some)
    }

    /// Gets ready to append to this text: what is superseded, unfinished or too old goes.
    pub(super) fn tidy(
        &mut self,
        text: &str,
        operations: &mut Vec<Operation>,
        permissions: &Permissions,
    ) -> io::Result<()> {
        operations.drain(..operations.len().saturating_sub(KEPT));
        let tidy = render(operations)?;
        if tidy != text {
            replace(&self.path, &tidy, permissions)?;
        }
        let file = OpenOptions::new().append(true).open(&self.path)?;
        self.file = Some((file, tidy.len() as u64));
        Ok(())
    }

    /// Adds a step of an operation, on the disk.
    pub(super) fn append(
        &mut self,
        operation: &Operation,
        permissions: &Permissions,
    ) -> io::Result<()> {
        let Some((file, length)) = &mut self.file else {
            let text = render(std::slice::from_ref(operation))?;
            replace(&self.path, &text, permissions)?;
            let file = OpenOptions::new().append(true).open(&self.path)?;
            self.file = Some((file, text.len() as u64));
            return Ok(());
        };
        let mut line = operation.to_line().map_err(io::Error::other)?;
        line.push('\n');
        let written = file
            .write_all(line.as_bytes())
            .and_then(|()| file.sync_data());
        if written.is_ok() {
            *length += line.len() as u64;
        } else {
            // Half a line must not become the beginning of the next one.
            file.set_len(*length)?;
        }
        written
    }
}

/// Reads a file: each operation as its last line has it, in the order of their first lines.
pub(super) fn parse(text: &str) -> Result<Vec<Operation>, OperationsError> {
    // What comes after the last line break was never finished.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let mut lines = whole.lines().zip(1..);
    let Some((first, _)) = lines.next() else {
        return Ok(Vec::new());
    };
    let header: Option<Header> = serde_json::from_str(first).ok();
    if header != Some(self::header()) {
        return Err(OperationsError::Header);
    }
    let mut operations: Vec<Operation> = Vec::new();
    let mut places = BTreeMap::new();
    for (text, line) in lines {
        let operation =
            Operation::from_line(text).map_err(|reason| OperationsError::Line { line, reason })?;
        let place = *places
            .entry(operation.id.clone())
            .or_insert(operations.len());
        match operations.get_mut(place) {
            Some(there) => *there = operation,
            None => operations.push(operation),
        }
    }
    Ok(operations)
}

fn header() -> Header {
    Header {
        format: FORMAT.to_owned(),
        version: VERSION,
    }
}

fn render(operations: &[Operation]) -> io::Result<String> {
    let mut text = serde_json::to_string(&header())?;
    text.push('\n');
    for operation in operations {
        text.push_str(&operation.to_line().map_err(io::Error::other)?);
        text.push('\n');
    }
    Ok(text)
}
