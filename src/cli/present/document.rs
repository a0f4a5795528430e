//! A run as a document in one format.
//!
//! **Owns** the choice of the function of `render`, and the escaping of text from outside. **Does not** write it anywhere.

use std::path::Path;

use crate::cli::args::Format;
use crate::cli::metrics;
use crate::cli::run::Run;
use crate::config::{service_keys, service_name};
use crate::model::{Key, sanitize_json};
use crate::render::{self, json};

/// A run in a format; `text` is its text form.
pub(super) fn render_run(run: &Run, format: Format, file: Option<&Path>, text: &str) -> String {
    let view = run.view();
    let document = match format {
        Format::Text => text.to_owned(),
        Format::Json => json::document(&view),
        Format::Markdown => render::markdown::comment(&view),
        // The log has both: words to read and lines that become annotations.
        Format::Github => text.to_owned() + &render::github::annotations(&view),
        Format::Sarif => render::sarif::document(&view),
        Format::Codequality => {
            let folder = std::env::current_dir().unwrap_or_default();
            render::codequality::document(&view, &run.metadata.environment, &folder)
        }
        Format::Html => render::html::page(&view, &known_service, &run.metadata.environment),
        Format::Prometheus => metrics::of_run(run, file),
    };
    let document = with_notes(format, file.is_some(), document, &run.metadata.environment);
    match format {
        Format::Json | Format::Sarif | Format::Codequality => sanitize_json(document),
        _ => document,
    }
}

/// A document with what environment variables did to the run. Text on stdout has it on stderr beside it.
pub(super) fn with_notes(
    format: Format,
    is_file: bool,
    document: String,
    notes: &[String],
) -> String {
    use render::environment;
    match format {
        Format::Text if is_file => environment::text(notes, &document),
        // Pages and lists of findings have them in them.
        Format::Text | Format::Html | Format::Codequality => document,
        Format::Json => environment::json(notes, &document),
        Format::Markdown => environment::markdown(notes, &document),
        Format::Github => environment::github(notes, &document),
        Format::Sarif => environment::sarif(notes, &document),
        Format::Prometheus => environment::prometheus(notes, &document),
    }
}

/// The name of the built-in service that a key is, or belongs to where the service has one key for each family.
pub(in crate::cli) fn known_service(key: Key) -> Option<&'static str> {
    let ping = || {
        service_keys("ping")
            .filter(|keys| keys.contains(&key))
            .map(|_| "ping")
    };
    service_name(key).or_else(ping)
}
