//! The execution of a plan: the receipt, the signals, the confirmation, and the report.
//!
//! Owns the setup of the executor. Does not decide the calls.

use time::OffsetDateTime;

use super::ApplyArgs;
use super::confirm::ConfirmationRequest;
use super::prepare::Prepared;
use super::probe;
use crate::apply::receipt::{Header, ReceiptFile, RunScope};
use crate::apply::{self, Progress, Settings, Stop, SystemClock, Tools};
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::progress;
use crate::cli::session;
use crate::cli::signals::{Signal, Signals};
use crate::cli::streams::{write_error, write_status};
use crate::cli::unconfirmed::report_unfinished;
use crate::lightsail::{Reader as _, Writer};
use crate::model::{Code, InstanceId, Site};
use crate::plan::{InstanceResult, Report};
use crate::render::sanitize;

/// The result of the execution.
pub(super) struct Executed {
    pub(super) report: Report,
    /// The exit status of the signal that interrupted it.
    pub(super) signal: Option<Exit>,
    /// Whether every line of the receipt was written.
    pub(super) is_receipt_complete: bool,
}

/// Runs the plan. The first signal lets what is in flight finish; the second ends the process at once.
pub(super) async fn execute(
    args: &ApplyArgs,
    prepared: &Prepared,
    writer: &impl Writer,
    confirmation: Option<&ConfirmationRequest>,
    signals: &mut Signals,
) -> Result<Executed, CommandError> {
    report_unfinished(&args.planning.receipts.receipts);
    let receipt = create_receipt(args, prepared)?;
    let settings = Settings {
        concurrency: usize::from(args.planning.fleet.concurrency),
        timeout: args.timeout,
        max_failures: args.max_failures.map(|most| most as usize),
        leases: prepared.scope.leases,
        ..Settings::default()
    };
    let stop = Stop::new();
    let reader = prepared.connection.reader();
    // Reads are twice as many and come twice as fast.
    let least = |site: &Site, left| reader.minimum_time(site, "PutInstancePublicPorts", left);
    let bar = ProgressAdapter(progress::begin("applying", &least));
    for instance in session::changing(&prepared.plan) {
        bar.0.add_step(&instance.instance.id.site());
    }
    bar.0.set_total_final();
    let tools = Tools {
        reader,
        writer,
        journal: &receipt,
        progress: &bar,
        settings: &settings,
        stop: &stop,
        validity: &prepared.validity,
        clock: &SystemClock,
    };
    let work = async {
        let report = apply::run(&prepared.plan, &tools).await;
        bar.0.finish();
        match confirmation {
            None => report,
            Some(wanted) => {
                let (timeout, answer) = (wanted.timeout, wanted.wait());
                apply::confirm(&prepared.plan, report, &tools, timeout, answer).await
            }
        }
    };
    let (report, signal) = signals.run_gracefully(&stop, probe::kill, work).await;
    let interrupted = report.interrupted || stop.is_set();
    let ended = receipt.end(interrupted);
    let path = receipt
        .path()
        .unwrap_or(&args.planning.receipts.receipts)
        .display();
    if let Err(error) = &ended {
        let message = format!("the receipt `{path}` is not complete: {error}");
        write_error(Code::File, &message, None);
    }
    write_status(&format!("receipt: {path}"));
    Ok(Executed {
        report,
        signal: signal.map(Signal::exit),
        is_receipt_complete: ended.is_ok(),
    })
}

fn create_receipt(args: &ApplyArgs, prepared: &Prepared) -> Result<ReceiptFile, CommandError> {
    let scope = prepared.scope.clone();
    let scope = RunScope {
        account: scope.account,
        regions: scope.regions,
        targets: scope.targets,
    };
    let mut header = Header::new(OffsetDateTime::now_utc(), scope);
    header.plan_digest.clone_from(&prepared.digest);
    header.confirm_within = args.confirm_within.map(|timeout| timeout.as_secs());
    ReceiptFile::create(&args.planning.receipts.receipts, &header).map_err(|error| {
        CommandError::failed(format!(
            "cannot write a receipt in `{}`, so nothing was written: {error}",
            args.planning.receipts.receipts.display()
        ))
        .with_code(Code::File)
        .with_hint("name another folder with `--receipts`")
    })
}

struct ProgressAdapter<'a>(progress::ProgressDisplay<'a>);

impl Progress for ProgressAdapter<'_> {
    fn started(&self, id: &InstanceId) {
        tracing::info!("{}: begun", sanitize(&id.to_string()));
        self.0.message(&id.to_string());
    }

    fn waiting(&self, id: &InstanceId, message: &str) {
        tracing::info!("{}", sanitize(&format!("{id}: {message}")));
        self.0.message(&format!("{id}: {message}"));
    }

    fn finished(&self, result: &InstanceResult) {
        let status = result.outcome.status();
        tracing::info!("{}: {status}", sanitize(&result.id.to_string()));
        self.0.finish_step(&result.id.site());
    }
}
