//! Plans and reports for people (text, Markdown, HTML) and for machines (JSON, SARIF, Code Quality, annotations).
//!
//! Owns every word and column of the output. Does not print it, does not know a terminal, and does not decide anything. Texts carry
//! ANSI styles, which the streams remove where there is no colour; no meaning is in the colour alone.

mod access;
mod access_names;
pub(crate) mod codequality;
pub(crate) mod cost;
pub(crate) mod diff;
pub(crate) mod difference;
pub(crate) mod environment;
pub(crate) mod explanation;
mod finding;
mod formats;
pub(crate) mod github;
pub(crate) mod grants;
mod group;
pub(crate) mod html;
pub mod json;
pub(crate) mod markdown;
pub(crate) mod merge;
pub(crate) mod metadata;
pub(crate) mod notification;
pub(crate) mod prometheus;
pub(crate) mod sarif;
pub mod schema;
pub mod text;
mod wrap;

pub(crate) use crate::strings::count;
pub(crate) use access_names::Names;
pub use formats::sanitize;
pub(crate) use formats::{format_duration, thousands};
pub use wrap::DEFAULT_WIDTH;
pub(crate) use wrap::wrap;
