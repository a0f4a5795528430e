//! The operations of an emulator, in a file beside its inventory.
//!
//! **Owns** the format: a header line, then one line for each step of an operation, of which the last one counts. An incomplete last line,
//! which a killed run may leave, is dropped. **Does not** lock the file; the lock of the inventory is for both.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::input;

use super::super::operation::Operation;
use crate::atomic_file;

/// The maximum number of operations after a restart. The service lists at most 200; this is enough for several instances, and keeps the file
/// below a megabyte.
const MAX_OPERATIONS: usize = 2_000;

const FORMAT: &str = "portward.operations";
const VERSION: u32 = 1;

/// A text is not a list of operations.
#[derive(Debug, thiserror::Error)]
pub enum OperationLogError {
    /// The header is missing, or for another version.
    #[error("line 1 is not the header of a version {VERSION} `{FORMAT}` file")]
    Header,
    /// The line of this number, from 1, is not valid.
    #[error("line {0}: {1}")]
    Line(usize, serde_json::Error),
}

/// Replaces the file.
fn replace(path: &Path, text: &str, permissions: &Permissions) -> io::Result<()> {
    atomic_file::replace(path, text.as_bytes(), Some(permissions.clone())).map(drop)
}

/// The file, which the first operation creates.
#[derive(Debug)]
pub(super) struct OperationLog {
    pub(super) path: PathBuf,
    /// Open for appending, with its length.
    file: Option<(File, u64)>,
}

impl OperationLog {
    /// The log beside this inventory file.
    pub(super) fn for_state(state: &Path) -> Self {
        let mut name = OsString::from(state.file_name().unwrap_or_default());
        name.push(".operations");
        Self {
            path: state.with_file_name(name),
            file: None,
        }
    }

    /// The text of the file, if there is one.
    pub(super) fn text(&self) -> io::Result<Option<String>> {
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            // Symbolic links are not followed, and opening a pipe would block.
            Ok(metadata) if !metadata.is_file() => {
                return Err(io::Error::other("not a regular file"));
            }
            Ok(_) => {}
        }
        input::read_text(&self.path).map(Some)
    }

    /// Prepares the file for appending. Removes superseded, incomplete and old lines.
    pub(super) fn compact(
        &mut self,
        text: &str,
        operations: &mut Vec<Operation>,
        permissions: &Permissions,
    ) -> io::Result<()> {
        operations.drain(..operations.len().saturating_sub(MAX_OPERATIONS));
        let compacted = render(operations)?;
        if compacted != text {
            replace(&self.path, &compacted, permissions)?;
        }
        let file = OpenOptions::new().append(true).open(&self.path)?;
        self.file = Some((file, compacted.len() as u64));
        Ok(())
    }

    /// Appends a step of an operation, durably.
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
        let mut line = serde_json::to_string(operation)?;
        line.push('\n');
        let written = file
            .write_all(line.as_bytes())
            .and_then(|()| file.sync_data());
        if written.is_ok() {
            *length += line.len() as u64;
        } else {
            // The next line must not follow an incomplete one.
            file.set_len(*length)?;
        }
        written
    }
}

/// Parses a file: each operation by its last line, in the order of the first lines.
pub(super) fn parse(text: &str) -> Result<Vec<Operation>, OperationLogError> {
    // The text after the last line break is incomplete.
    let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
    let mut lines = complete.lines().zip(1..);
    let Some((first, _)) = lines.next() else {
        return Ok(Vec::new());
    };
    if !serde_json::from_str(first).is_ok_and(|first: Value| first == header()) {
        return Err(OperationLogError::Header);
    }
    let mut operations: Vec<Operation> = Vec::new();
    let mut indices = BTreeMap::new();
    for (text, line) in lines {
        let operation: Operation =
            serde_json::from_str(text).map_err(|error| OperationLogError::Line(line, error))?;
        let index = *indices
            .entry(operation.id.clone())
            .or_insert(operations.len());
        match operations.get_mut(index) {
            Some(earlier) => *earlier = operation,
            None => operations.push(operation),
        }
    }
    Ok(operations)
}

/// The first line.
fn header() -> Value {
    json!({"format": FORMAT, "version": VERSION})
}

fn render(operations: &[Operation]) -> io::Result<String> {
    let mut text = format!("{}\n", header());
    for operation in operations {
        text.push_str(&serde_json::to_string(operation)?);
        text.push('\n');
    }
    Ok(text)
}
