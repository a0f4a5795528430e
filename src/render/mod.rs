//! Plans and reports for people (text, Markdown, HTML) and for machines (JSON, SARIF, Code Quality, annotations).
//!
//! Owns every word and column of the output. Does not print it, does not know a terminal, and does not decide anything. Texts carry
//! ANSI styles, which the streams remove where there is no colour; no meaning is in the colour alone.

mod access;
mod access_names;
pub(crate) mod codequality;
pub(crate) mod cost;
pub(crate) mod diff;
pub mod difference;
pub(crate) mod environment;
pub mod explanation;
pub mod finding;
mod formats;
pub(crate) mod github;
pub mod grants;
mod group;
pub(crate) mod html;
pub mod json;
pub(crate) mod markdown;
pub mod merge;
pub mod metadata;
pub(crate) mod notification;
pub(crate) mod prometheus;
pub(crate) mod sarif;
pub mod schema;
pub mod text;
mod wrap;

pub use crate::strings::count;
pub use access_names::Names;
pub use formats::{format_duration, sanitize, thousands};
pub use wrap::{DEFAULT_WIDTH, wrap};
