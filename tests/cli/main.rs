//! The command as a user meets it: stdout, stderr, exit code and files, against the embedded and the served emulator.
//!
//! Every test that writes ends by looking again and finding nothing to do.

mod diff;
mod endings;
mod exits;
mod explain;
mod injection;
mod output;
mod served;
mod stage;
mod trust;
