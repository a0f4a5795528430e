//! From a plan that may be carried out to its report: the receipt, the signals, the confirmation.
//!
//! Owns what surrounds the executor. Refuses to decide what is written.

use time::OffsetDateTime;

use super::ApplyArgs;
use super::confirm::Wanted;
use super::planned::Ready;
use crate::apply::receipt::{Header, ReceiptFile, unended};
use crate::apply::{self, Progress, Settings, Stop, Tools};
use crate::cli::exit::Exit;
use crate::cli::output::{Cannot, complain, say};
use crate::cli::{progress, signals};
use crate::lightsail::Writer;
use crate::model::InstanceId;
use crate::plan::{InstanceResult, Report};
use crate::render::plain;

/// What became of it.
pub(super) struct Done {
    pub(super) report: Report,
    /// The signal that cut it short, as the exit code that it stands for.
    pub(super) signal: Option<Exit>,
}

/// Runs the plan. The first signal lets what is in flight finish; the second ends the process at once.
pub(super) async fn execute(
    args: &ApplyArgs,
    ready: &Ready,
    writer: &impl Writer,
    confirmation: Option<&Wanted>,
) -> Result<Done, Cannot> {
    name_unended(args);
    let receipt = begin(args, ready)?;
    let settings = Settings {
        concurrency: usize::from(args.world.concurrency),
        timeout: args.timeout,
        max_failures: args.max_failures.map(|most| most as usize),
        // The plan was made from, or held against, a listing of this very run; only a person may have let it grow old.
        recheck: !args.yes,
        ..Settings::default()
    };
    let stop = Stop::new();
    let listener = listen(&stop);
    let instances = ready
        .plan
        .instances
        .iter()
        .filter(|instance| !instance.calls.is_empty());
    let bar = Bar(progress::begin(instances.count(), "applying"));
    let tools = Tools {
        reader: ready.world.reader(),
        writer,
        journal: &receipt,
        progress: &bar,
        settings: &settings,
        stop: &stop,
    };
    let mut report = apply::run(&ready.plan, &tools).await;
    bar.0.end();
    if let Some(wanted) = confirmation {
        report = apply::confirm(&ready.plan, report, &tools, wanted.within, wanted.answer()).await;
    }
    let interrupted = report.interrupted || stop.is_set();
    if let Err(error) = receipt.end(interrupted) {
        complain(
            &format!(
                "the receipt `{}` is not complete: {error}",
                receipt.path().display()
            ),
            None,
        );
    }
    say(&format!("receipt: {}", receipt.path().display()));
    if !stop.is_set() {
        listener.abort();
        return Ok(Done {
            report,
            signal: None,
        });
    }
    Ok(Done {
        report,
        signal: listener.await.ok(),
    })
}

/// Names the runs that were cut off before this one, and what can be done about them.
fn name_unended(args: &ApplyArgs) {
    let receipts = match unended(&args.receipts) {
        Ok(receipts) => receipts,
        Err(error) => {
            tracing::warn!(
                "cannot look for receipts of earlier runs in `{}`: {error}",
                args.receipts.display()
            );
            return;
        }
    };
    for (path, receipt) in receipts {
        let path = path.display();
        match receipt {
            Ok(receipt) if receipt.died_unconfirmed() => say(&format!(
                "an earlier run ended before it was confirmed: `portward rollback {path}` plans the way back"
            )),
            Ok(receipt) => say(&format!(
                "an earlier run was cut off, or is still going on: {path} ({} writes, {} of them without an answer)",
                receipt.writes().len(),
                receipt.unfinished().len()
            )),
            Err(damage) => say(&format!("the receipt {path} cannot be read: {damage}")),
        }
    }
}

fn begin(args: &ApplyArgs, ready: &Ready) -> Result<ReceiptFile, Cannot> {
    let mut header = Header::new(OffsetDateTime::now_utc(), ready.scope.clone());
    header.plan_digest.clone_from(&ready.digest);
    header.confirm_within = args.confirm_within.map(|within| within.as_secs());
    ReceiptFile::create(&args.receipts, &header).map_err(|error| {
        Cannot::failed(format!(
            "cannot write a receipt in `{}`, so nothing was written: {error}",
            args.receipts.display()
        ))
        .with_hint(Some("name another folder with `--receipts`".to_owned()))
    })
}

fn listen(stop: &Stop) -> tokio::task::JoinHandle<Exit> {
    let stop = stop.clone();
    tokio::task::spawn_local(async move {
        let first = signals::received().await;
        stop.set();
        tracing::warn!("finishing what is in flight; a second signal ends the program at once");
        tokio::task::spawn_local(async {
            let second = signals::received().await;
            std::process::exit(i32::from(second.code()));
        });
        first
    })
}

struct Bar(progress::Progress);

impl Progress for Bar {
    fn started(&self, id: &InstanceId) {
        tracing::info!("{}: begun", plain(&id.to_string()));
        self.0.message(&id.to_string());
    }

    fn waiting(&self, id: &InstanceId, what: &str) {
        tracing::info!("{}", plain(&format!("{id}: {what}")));
        self.0.message(&format!("{id}: {what}"));
    }

    fn finished(&self, result: &InstanceResult) {
        let status = result.outcome.status();
        tracing::info!("{}: {status}", plain(&result.id.to_string()));
        self.0.step();
    }
}
