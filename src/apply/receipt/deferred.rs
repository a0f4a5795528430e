//! Deferred receipt: a receipt whose file is created with the first write, for a run that may have nothing to write.
//!
//! **Owns** the moment of creation. **Does not** know the content.

use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};

use super::{Header, ReceiptFile};
use crate::apply::{Intent, Journal, Stage};
use crate::lightsail::{Error, Operation};
use crate::plan::InstanceResult;

/// The receipt of a run that may not have written anything yet.
#[derive(Debug)]
pub struct DeferredReceipt {
    folder: PathBuf,
    header: Header,
    file: OnceCell<ReceiptFile>,
}

impl DeferredReceipt {
    /// Creates nothing on disk.
    pub fn new(folder: &Path, header: Header) -> Self {
        Self {
            folder: folder.to_owned(),
            header,
            file: OnceCell::new(),
        }
    }

    /// The path of the file, once it exists.
    pub fn path(&self) -> Option<&Path> {
        self.file.get().map(ReceiptFile::path)
    }

    /// Like [`ReceiptFile::end`].
    ///
    /// # Errors
    /// A line could not be written.
    pub fn end(&self, interrupted: bool) -> io::Result<()> {
        self.file.get().map_or(Ok(()), |file| file.end(interrupted))
    }

    fn begun(&self) -> io::Result<&ReceiptFile> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = ReceiptFile::create(&self.folder, &self.header).map_err(|error| {
            let folder = self.folder.display();
            io::Error::new(error.kind(), format!("`{folder}`: {error}"))
        })?;
        Ok(self.file.get_or_init(|| file))
    }
}

impl Journal for DeferredReceipt {
    fn intent(&self, intent: &Intent<'_>) -> io::Result<usize> {
        self.begun()?.intent(intent)
    }

    fn outcome(&self, write: usize, response: Result<&Operation, &Error>) {
        if let Some(file) = self.file.get() {
            file.outcome(write, response);
        }
    }

    fn result(&self, result: &InstanceResult) {
        if let Some(file) = self.file.get() {
            file.result(result);
        }
    }

    fn stage(&self, stage: Stage<'_>) {
        if let Some(file) = self.file.get() {
            file.stage(stage);
        }
    }
}
