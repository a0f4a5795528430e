//! `grants`: lists the granted access, with end and reason.
//!
//! Owns the verb. Does not write.

use clap::Args;

use crate::cli::args::Format;
use crate::cli::connection::AccessMode;
use crate::cli::error::RunError;
use crate::cli::exit::Exit;
use crate::cli::leases::{FleetSession, LeaseArgs};
use crate::cli::present::show_answer;
use crate::cli::run::Run;
use crate::cli::signals::interruptible;
use crate::cli::streams::{wrap_to_stdout, write_error};
use crate::model::Code;
use crate::render::grants;

#[derive(Args, Debug)]
pub(super) struct GrantsArgs {
    #[command(flatten)]
    lease: LeaseArgs,
}

pub(super) async fn run(args: &GrantsArgs, run: &mut Run) -> Result<Exit, RunError> {
    let read = async {
        let fleet = FleetSession::open(&args.lease, AccessMode::Read, run).await?;
        let grants_found = fleet.grants();
        run.metadata.calls = fleet.connection.calls();
        fleet.connection.close().await;
        grants_found
    };
    let grants_found = interruptible(read).await?;
    for (site, cause) in &grants_found.sites_unreadable {
        let message = format!("cannot list the instances of `{site}`: {cause}");
        write_error(Code::Unreadable, &message, cause.hint.as_deref());
    }
    let exit = if grants_found.sites_unreadable.is_empty() {
        Exit::Done
    } else {
        Exit::Incomplete
    };
    let outputs = format!(
        "exit-code={}\ngrants={}\n",
        exit.code(),
        grants_found.grants.len()
    );
    show_answer(run, exit, &outputs, &|format, _| match format {
        Format::Text | Format::Github => Some(wrap_to_stdout(&grants::text(&grants_found))),
        Format::Json => Some(grants::json(&grants_found)),
        Format::Markdown => Some(grants::markdown(&grants_found)),
        Format::Prometheus => Some(grants::prometheus(&grants_found)),
        Format::Sarif | Format::Codequality | Format::Html => None,
    })
}
