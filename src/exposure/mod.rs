//! Effective access: what a firewall really lets in, exactly.

mod todo_effective;
pub use todo_effective::*;
