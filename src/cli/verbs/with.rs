//! `with`: grants, runs a command, and revokes, whether or not the command succeeds.
//!
//! Owns the verb: the life of the command, the signals that are passed on to it, and its exit code. If this process is
//! killed itself, the grant ends by its tag.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use clap::Args;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::grant::{
    GrantRequest, NOTHING_WRITTEN, NewGrant, granted_line, make_grant, with_signal_exit,
};
use super::revoke::revoke;
use crate::apply::Stop;
use crate::cli::connection::AccessMode;
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::leases::{FleetSession, LeaseArgs, live_grant};
use crate::cli::run::Run;
use crate::cli::signals::{Signal, Signals};
use crate::cli::streams::{write_error, write_status};
use crate::cli::unconfirmed::ReceiptsArgs;
use crate::model::{Code, instant};

/// The timeout for a port to respond after the API says that it is open. The packet filter follows within seconds.
const PORT_TIMEOUT: Duration = Duration::from_secs(90);

/// The timeout of one attempt to connect.
const ATTEMPT: Duration = Duration::from_secs(3);

/// The number of attempts to revoke, because nobody may be there to try again.
const ATTEMPTS: u32 = 3;

/// The exit status of a shell for a command that cannot be run.
const NOT_FOUND: u8 = 127;

#[derive(Args, Debug)]
pub(super) struct WithArgs {
    #[command(flatten)]
    request: GrantRequest,
    /// Wait until this answers before the command is run
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_address)]
    wait_port: Option<String>,
    #[command(flatten)]
    lease: LeaseArgs,
    #[command(flatten)]
    receipts: ReceiptsArgs,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) async fn run(args: &WithArgs, run: &mut Run) -> Result<Exit, RunError> {
    // One for the whole verb, so that no signal is lost between two steps of it.
    let mut signals = Signals::listen();
    let open = FleetSession::open(&args.lease, AccessMode::Write, run);
    let mut fleet = signals.interruptible(NOTHING_WRITTEN, open).await?;
    let receipts = &args.receipts.receipts;
    let stop = Stop::new();
    // It is large, and so is what takes it back.
    let make = Box::pin(make_grant(&args.request, &mut fleet, receipts, &stop));
    let (made, signal) = signals.run_gracefully(&stop, || (), make).await;
    let made = match made {
        Ok(made) => made,
        Err(error) => {
            fleet.connection.close().await;
            return Err(with_signal_exit(error, signal));
        }
    };
    let NewGrant { id, lease, .. } = &made;
    write_status(&granted_line(id, lease));
    let ended = match signal {
        None => run_command(args, &made, &mut signals).await,
        Some(signal) => {
            let message = "interrupted before the command was run";
            Err(CommandError::new(signal.exit(), message))
        }
    };
    let judged = [live_grant(id, lease).judged];
    let (stop, mut revoked) = (Stop::new(), Ok(Exit::Done));
    for attempt in 1..=ATTEMPTS {
        let revoking = revoke(&mut fleet, id, &judged, false, receipts, &stop);
        revoked = Box::pin(revoking).await;
        let Err(error) = &revoked else { break };
        let attempt = format!("attempt {attempt} of {ATTEMPTS} to revoke {}", lease.id);
        let message = format!("{attempt}: {}", error.message);
        write_error(error.code, &message, error.hint.as_deref());
    }
    fleet.connection.close().await;
    let exit = match ended {
        Ok(exit) => exit,
        Err(error) => {
            write_error(error.code, &error.message, error.hint.as_deref());
            error.exit
        }
    };
    if let Err(error) = revoked {
        let until = instant::format(lease.until);
        write_error(
            error.code,
            &format!("{lease} may still be open on `{id}`, and ends at {until}"),
            Some("revoke it, or let `apply --only-expired` close it then"),
        );
        return Ok(if exit == Exit::Done { error.exit } else { exit });
    }
    write_status(&format!("{lease} is no longer granted on {id}"));
    Ok(exit)
}

/// Waits for the port, and runs the command to its end.
async fn run_command(
    args: &WithArgs,
    made: &NewGrant,
    signals: &mut Signals,
) -> Result<Exit, CommandError> {
    if let Some(address) = &args.wait_port {
        let wait = wait_for_port(address);
        signals
            .interruptible("interrupted before the command was run", wait)
            .await?;
    }
    let Some((program, arguments)) = args.command.split_first() else {
        return Ok(Exit::Done);
    };
    let spawned = Command::new(program)
        .args(arguments)
        .env("PORTWARD_GRANT_ID", made.lease.id.to_string())
        .env("PORTWARD_GRANT_UNTIL", instant::format(made.lease.until))
        .stdin(Stdio::inherit())
        .spawn();
    let mut child = spawned.map_err(|error| {
        CommandError::new(
            Exit::Command(NOT_FOUND),
            format!("cannot run `{program}`: {error}"),
        )
        .with_code(Code::Command)
    })?;
    loop {
        tokio::select! {
            biased;
            status = child.wait() => {
                let status = status.map_err(|error| {
                    CommandError::failed(format!("`{program}` was lost: {error}"))
                })?;
                return Ok(command_exit(status));
            }
            signal = signals.next() => forward_signal(&child, signal),
        }
    }
}

fn parse_address(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':');
    let good = parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    good.then(|| text.to_owned())
        .ok_or_else(|| "expected HOST:PORT, such as 203.0.113.7:22".to_owned())
}

async fn wait_for_port(address: &str) -> Result<(), CommandError> {
    let began = tokio::time::Instant::now();
    let mut pause = Duration::from_millis(200);
    loop {
        let attempt = tokio::time::timeout(ATTEMPT, TcpStream::connect(address)).await;
        let reason = match attempt {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no response in time".to_owned(),
        };
        if began.elapsed() > PORT_TIMEOUT {
            let message = format!("`{address}` does not answer: {reason}");
            return Err(CommandError::failed(message).with_code(Code::Command));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

#[cfg(unix)]
fn command_exit(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;

    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    exit_from_code(code)
}

#[cfg(not(unix))]
fn command_exit(status: ExitStatus) -> Exit {
    exit_from_code(status.code())
}

fn exit_from_code(code: Option<i32>) -> Exit {
    match code.and_then(|code| u8::try_from(code).ok()) {
        Some(0) => Exit::Done,
        Some(code) => Exit::Command(code),
        None => Exit::Failed,
    }
}

/// Lets the command handle a signal. A terminal sends signals to the whole process group, so the command has it already.
#[cfg(unix)]
fn forward_signal(child: &Child, signal: Signal) {
    use rustix::process::{self, Pid, kill_process};

    if signal == Signal::Interrupt && crate::cli::terminal::is_interactive() {
        return;
    }
    let sent = match signal {
        Signal::Interrupt => process::Signal::INT,
        Signal::Terminate => process::Signal::TERM,
        Signal::HangUp => process::Signal::HUP,
    };
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = id.and_then(Pid::from_raw) {
        // It may have ended by itself, which is what is waited for.
        let _ = kill_process(pid, sent);
    }
}

#[cfg(not(unix))]
fn forward_signal(_: &Child, _: Signal) {}
