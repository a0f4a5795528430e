//! The command as a user meets it: stdout, stderr, exit code and files, against the embedded and the served emulator.
//!
//! Every test that writes ends by looking again and finding nothing to do.

mod absent;
mod accounts;
mod adopt;
mod book;
mod bulk;
mod check;
mod codequality;
#[cfg(unix)]
mod confirm;
mod cron;
mod diff;
mod discovery;
mod doctor;
mod doubt;
mod endings;
mod exits;
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
mod planned;
mod policies;
mod rollback;
mod served;
mod shards;
mod spelling;
mod stage;
#[cfg(unix)]
mod streams;
#[cfg(unix)]
mod terminal;
mod trust;
mod unknown;
