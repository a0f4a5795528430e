//! The documents that `diff` compares: configurations, plan files, inventories and lists of rules.
//!
//! Owns the recognition of documents by their content, and the syntax of their names. Does not guess: an unreadable
//! document is an error, never a firewall without rules.

mod additive;
mod document;
mod git;
mod json;
mod known_instances;
mod statements;

use std::path::Path;

pub(super) use additive::additive_firewall;
pub(super) use document::{
    Document, GroupStatements, ResolveContext, instance_id, live_firewalls, names,
};
pub(super) use known_instances::KnownInstances;
pub(super) use statements::{
    GroupRules, InstanceRules, InstanceRulesResult, Retained, Statements, TableMatch,
};

use super::error::{CommandError, RunError};
use crate::config::{self, Config, Disk, FileSystem};
use crate::inventory::Inventory;
use crate::model::{Code, PortState};
use crate::plan::file::PlanFile;
use git::Revision;

/// The kind of a document.
#[derive(Debug)]
pub(super) enum Content {
    /// A configuration, with all that it includes.
    Config(Box<Config>),
    /// One of the states of a plan file.
    Plan(Box<PlanFile>, DocumentState),
    /// A snapshot of instances and rules.
    Inventory(Inventory),
    /// The rules of one unnamed instance.
    Ports(Vec<PortState>),
}

impl Content {
    /// The configuration; `None` for other documents.
    pub(super) fn config(&self) -> Option<&Config> {
        match self {
            Self::Config(config) => Some(config),
            Self::Plan(..) | Self::Inventory(_) | Self::Ports(_) => None,
        }
    }
}

/// One of the two states that a plan file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DocumentState {
    /// The live rules that the plan was made from.
    Before,
    /// The rules that must result.
    After,
}

/// A recognised document, with the name that the user gave.
#[derive(Debug)]
pub(super) struct OpenedDocument {
    pub(super) name: String,
    pub(super) content: Content,
}

/// Reads the named document: a file, `-` for stdin, `git:REV:PATH`, or one of these followed by `#before` or `#after` for
/// the state of a plan.
pub(super) fn open(text: &str) -> Result<OpenedDocument, RunError> {
    let (name, state) = split_state(text);
    let content = if name == "-" {
        let bytes = crate::input::read_stream(std::io::stdin()).map_err(|error| {
            CommandError::failed(format!("cannot read stdin: {error}")).with_code(Code::File)
        })?;
        let stdin = Stdin(bytes);
        recognise(&stdin, Path::new("stdin"), state)?
    } else if let Some(rest) = name.strip_prefix("git:") {
        let (revision, path) = Revision::open(rest)?;
        recognise(&revision, &path, state)?
    } else {
        recognise(&Disk, Path::new(name), state)?
    };
    if state.is_some() && !matches!(content, Content::Plan(..)) {
        return Err(CommandError::usage(
            format!("`{name}` is not a plan, so it has no state before and after"),
            "leave `#before` or `#after` out",
        )
        .into());
    }
    Ok(OpenedDocument {
        name: text.to_owned(),
        content,
    })
}

/// Reads the inventory that a path names: a file, or `git:REV:PATH`.
pub(super) fn inventory(path: &Path) -> Result<Inventory, CommandError> {
    let name = path.display();
    let revision = path.to_str().and_then(|text| text.strip_prefix("git:"));
    let text = match revision.filter(|_| !path.exists()) {
        None => crate::input::read_text(path),
        Some(rest) => {
            let (revision, path) = Revision::open(rest)?;
            let bytes = revision.read(&path);
            bytes.and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other))
        }
    };
    let text = text.map_err(|error| CommandError::file("read the inventory", &name, error))?;
    Inventory::parse(&text).map_err(|error| {
        CommandError::failed(format!("`{name}`: {error}"))
            .with_code(Code::Document)
            .with_hint("`portward inventory` writes one")
    })
}

/// The name of a document, and the requested state of a plan. An existing file of exactly that name takes precedence.
fn split_state(text: &str) -> (&str, Option<DocumentState>) {
    let states = [
        ("#before", DocumentState::Before),
        ("#after", DocumentState::After),
    ];
    states
        .into_iter()
        .find_map(|(suffix, state)| Some((text.strip_suffix(suffix)?, Some(state))))
        .filter(|_| !Path::new(text).exists())
        .unwrap_or((text, None))
}

fn recognise(
    files: &impl FileSystem,
    path: &Path,
    state: Option<DocumentState>,
) -> Result<Content, RunError> {
    let name = files.display_name(path);
    let bytes = files
        .read(path)
        .map_err(|error| CommandError::file("read", &name, error))?;
    let json = std::str::from_utf8(&bytes)
        .ok()
        .map(|text| text.strip_prefix('\u{feff}').unwrap_or(text))
        .filter(|text| json::is_json(text));
    match json {
        Some(text) => Ok(json::read(
            text,
            &name,
            state.unwrap_or(DocumentState::After),
        )?),
        None => Ok(Content::Config(Box::new(config::load_from(files, path)?))),
    }
}

/// A document from stdin: one text, without any files to include.
struct Stdin(Vec<u8>);

impl FileSystem for Stdin {
    fn display_name(&self, path: &Path) -> String {
        path.to_string_lossy().into_owned()
    }

    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        if path == Path::new("stdin") {
            return Ok(self.0.clone());
        }
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn canonicalize(&self, path: &Path) -> std::io::Result<std::path::PathBuf> {
        if path == Path::new("stdin") || path.as_os_str().is_empty() {
            return Ok(path.to_owned());
        }
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn file_type(&self, canonical: &Path) -> config::FileType {
        if canonical.as_os_str().is_empty() {
            config::FileType::Directory
        } else {
            config::FileType::File
        }
    }

    fn read_dir(&self, _: &Path) -> std::io::Result<Vec<(String, config::FileType)>> {
        Err(std::io::Error::other(
            "a configuration from stdin has no files beside it",
        ))
    }
}
