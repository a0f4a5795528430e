//! `emulate`: serves the Lightsail API on loopback.
//!
//! Owns the verb. Does not implement the API, which `emulator` does; the server within one verb is in `embedded`.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Args};
use tokio::sync::oneshot;

use crate::cli::embedded::{listen, url};
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::signals::Signals;
use crate::cli::streams::write_stdout;
use crate::emulator::{Emulator, EmulatorOptions, Faults, FileAccess, Quirks};
use crate::model::Code;
use crate::render::sanitize;

#[derive(Args, Debug)]
pub(super) struct EmulateArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:0",
        env = "PORTWARD_LISTEN"
    )]
    listen: SocketAddr,
    /// The inventory that is served and kept up to date
    #[arg(long, value_name = "FILE", env = "PORTWARD_STATE")]
    state: PathBuf,
    /// The only access key that is known
    #[arg(long, value_name = "KEY", default_value = "test")]
    access_key: String,
    /// Its secret
    #[arg(long, value_name = "SECRET", default_value = "test")]
    secret_key: String,
    /// Listen even where other machines can reach it
    #[arg(long)]
    allow_remote: bool,
    /// Answer a question about the service in another way than usual; repeatable, `help` lists all
    #[arg(long = "quirk", value_name = "NAME=VALUE", value_parser = QuirkParser)]
    quirks: Vec<String>,
    /// Let things go wrong: errors, lost replies, a second writer and more, the same ones for the same number
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Hold clients to the documented request rates; with --seed they are held anyway
    #[arg(long)]
    throttle: bool,
    /// How late every reply is, as over a network, such as 50ms
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = humantime::parse_duration)]
    latency: Duration,
    /// Keep what changes in memory; FILE is only read, so several can share it
    #[arg(long)]
    in_memory: bool,
}

/// Reads `--quirk`, and answers `--quirk help`.
#[derive(Clone)]
struct QuirkParser;

impl TypedValueParser for QuirkParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        let text = value.to_string_lossy();
        if text == "help" {
            return Err(help_error(catalogue()));
        }
        match Quirks::default().set(&text) {
            Ok(()) => Ok(text.into_owned()),
            Err(error) => {
                let message = format!("{error}\nhint: {}\n", error.hint());
                Err(clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command))
            }
        }
    }
}

/// This text as the help of clap: for stdout, with exit status 0 and without a prefix. Only `--help` makes such an error.
fn help_error(text: String) -> clap::Error {
    clap::Command::new("help")
        .override_help(text)
        .try_get_matches_from(["help", "--help"])
        .err()
        .unwrap_or_else(|| clap::Error::new(ErrorKind::DisplayHelp))
}

/// Every quirk with its values, the default first.
fn catalogue() -> String {
    let mut text = String::from("Quirks, each with its values, the default first:\n\n");
    for quirk in Quirks::catalogue() {
        let values = quirk.values.join("|");
        let _ = writeln!(text, "  {}={values}\n      {}", quirk.name, quirk.about);
    }
    text.push_str("\nWhere values are numbers, other numbers will do too.\n");
    text
}

pub(super) async fn run(args: &EmulateArgs) -> Result<Exit, CommandError> {
    let remote = !args.listen.ip().is_loopback();
    if remote && !args.allow_remote {
        return Err(CommandError::usage(
            format!("{} can be reached from other machines", args.listen),
            "listen on 127.0.0.1, or say --allow-remote",
        ));
    }
    let options = options(args)?;
    let emulator = if args.in_memory {
        Emulator::load(&args.state, options)?
    } else {
        Emulator::open(&args.state, FileAccess::ReadWrite, options)?
    };
    let listener = listen(args.listen).await?;
    let url = url(&listener)?;
    if remote {
        write_warning(&format!(
            "{url} can be reached from other machines: whoever knows the credentials can read and change `{}`",
            args.state.display()
        ));
    }
    if let Some(seed) = args.seed {
        write_warning(&format!("things will go wrong; --seed {seed} repeats them"));
    }
    let exit = write_stdout(&format!("{url}\n"));
    if exit != Exit::Done {
        return Ok(exit);
    }
    let (stop, stopped) = oneshot::channel();
    let watch = tokio::task::spawn_local(async move {
        let exit = Signals::listen().next().await.exit();
        let _ = stop.send(());
        exit
    });
    emulator
        .serve(listener, async {
            let _ = stopped.await;
        })
        .await
        .map_err(|error| {
            CommandError::failed(format!("the server failed: {error}")).with_code(Code::Listen)
        })?;
    // Being stopped is how this verb is meant to end.
    watch.abort();
    Ok(Exit::Done)
}

fn options(args: &EmulateArgs) -> Result<EmulatorOptions, CommandError> {
    let mut options = EmulatorOptions {
        access_key: args.access_key.clone(),
        secret_key: args.secret_key.clone(),
        faults: args.seed.map(Faults::seeded).unwrap_or_default(),
        latency: args.latency,
        ..EmulatorOptions::default()
    };
    options.faults.throttle |= args.throttle;
    for quirk in &args.quirks {
        let set = options.quirks.set(quirk);
        set.map_err(|error| CommandError::usage(error.to_string(), error.hint()))?;
    }
    Ok(options)
}

/// Printed on stderr, because stdout has only the address.
fn write_warning(message: &str) {
    let style = anstyle::AnsiColor::Yellow.on_default().bold();
    let _ = writeln!(
        anstream::stderr(),
        "{style}warning:{style:#} {}",
        sanitize(message)
    );
}
