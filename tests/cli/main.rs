//! The command as a user meets it: stdout, stderr, exit code and files, against the embedded and the served emulator.
//!
//! Every test that writes ends by looking again and finding nothing to do.

mod absent;
mod accounts;
mod adopt;
mod apply_plan;
mod book;
mod bulk_reads;
mod check;
mod codequality;
#[cfg(unix)]
mod confirm;
mod diff;
mod diff_unknown_fleet;
mod discovery;
mod doctor;
mod drift_job;
mod example_fleet;
mod exit_status;
mod explain;
mod flags;
mod formats;
mod grants;
mod import;
mod injection;
mod inventory;
mod kill;
mod links;
mod output;
mod plan_file;
mod policies;
mod rollback;
mod served_emulator;
mod shards;
mod spelling;
mod stage;
#[cfg(unix)]
mod streams;
#[cfg(unix)]
mod terminal;
mod uncertain_rules;
