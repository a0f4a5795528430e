//! Plans and reports as text for people and as JSON for machines.
//!
//! Owns every word and column of the output. Refuses to print it, to know a terminal, and to decide anything. Texts carry
//! ANSI styles, which the edge strips where nobody sees colour; meaning is never in the colour alone.

pub mod diff;
pub mod difference;
pub mod explanation;
pub mod json;
mod names;
pub mod schema;
pub mod text;
mod words;

pub use names::Names;
pub use words::{count, plain};
