//! Plans and reports for people (text, Markdown, HTML) and for machines (JSON, SARIF, annotations).
//!
//! Owns every word and column of the output. Does not print it, to know a terminal, and to decide anything. Texts carry
//! ANSI styles, which the edge strips where nobody sees colour; meaning is never in the colour alone.

pub mod cost;
pub mod diff;
pub mod difference;
pub mod environment;
pub mod explanation;
pub mod facts;
pub mod finding;
pub mod github;
pub mod html;
pub mod json;
pub mod markdown;
pub mod merge;
mod names;
pub mod notification;
pub mod prometheus;
pub mod sarif;
pub mod schema;
pub mod text;
mod words;

pub use crate::strings::count;
pub use names::Names;
pub use words::{sanitize, span, thousands};
