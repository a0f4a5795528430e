//! `emulate`: serves the Lightsail API on loopback, and the same server embedded for `--emulator`.
//!
//! Owns the verb and the life of the server. What the API answers is `emulator`'s.

use std::error::Error as _;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Args};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Exit;
use super::connection::AccessMode;
use super::output::{CommandError, Output, to_stdout};
use super::signals;
use crate::emulator::{Access, Emulator, Faults, OpenError, Options, Quirks};
use crate::lightsail::aws::Keys;
use crate::render::sanitize;

#[derive(Args, Debug)]
pub(super) struct EmulateArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:0",
        env = "PORTWARD_LISTEN",
        hide_env = true
    )]
    listen: SocketAddr,
    /// The inventory that is served and kept up to date
    #[arg(long, value_name = "FILE", env = "PORTWARD_STATE", hide_env = true)]
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
            return Err(help(catalogue()));
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

/// This text as clap hands out help: for stdout, with exit code 0 and without a word before it. Only a command that is
/// asked for its help makes such an error.
fn help(text: String) -> clap::Error {
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

const VERB: &str = "emulate";

pub(super) async fn run(args: &EmulateArgs, output: &Output) -> Exit {
    match serve(args).await {
        Ok(exit) => exit,
        Err(cannot) => output.cannot(VERB, &cannot),
    }
}

async fn serve(args: &EmulateArgs) -> Result<Exit, CommandError> {
    let remote = !args.listen.ip().is_loopback();
    if remote && !args.allow_remote {
        return Err(CommandError::usage(
            format!("{} can be reached from other machines", args.listen),
            "listen on 127.0.0.1, or say --allow-remote",
        ));
    }
    let options = options(args)?;
    let emulator = if args.in_memory {
        Emulator::load(&args.state, options).map_err(|error| cannot_open(&error))?
    } else {
        open(&args.state, Access::ReadWrite, options)?
    };
    let listener = listen(args.listen).await?;
    let url = url(&listener)?;
    if remote {
        warn(&format!(
            "{url} can be reached from other machines: whoever knows the credentials can read and change `{}`",
            args.state.display()
        ));
    }
    if let Some(seed) = args.seed {
        warn(&format!("things will go wrong; --seed {seed} repeats them"));
    }
    let told = to_stdout(&format!("{url}\n"));
    if told != Exit::Done {
        return Ok(told);
    }
    let (stop, stopped) = oneshot::channel();
    let watch = tokio::task::spawn_local(async move {
        let exit = signals::received().await;
        let _ = stop.send(());
        exit
    });
    emulator
        .serve(listener, async {
            let _ = stopped.await;
        })
        .await
        .map_err(|error| CommandError::failed(format!("the server failed: {error}")))?;
    // Being stopped is how this verb is meant to end.
    watch.abort();
    Ok(Exit::Done)
}

fn options(args: &EmulateArgs) -> Result<Options, CommandError> {
    let mut options = Options {
        access_key: args.access_key.clone(),
        secret_key: args.secret_key.clone(),
        faults: args.seed.map(Faults::seeded).unwrap_or_default(),
        latency: args.latency,
        ..Options::default()
    };
    options.faults.throttle |= args.throttle;
    for quirk in &args.quirks {
        let set = options.quirks.set(quirk);
        set.map_err(|error| CommandError::usage(error.to_string(), error.hint()))?;
    }
    Ok(options)
}

/// Said on stderr, since stdout has the address and nothing else.
fn warn(message: &str) {
    let style = anstyle::AnsiColor::Yellow.on_default().bold();
    let _ = writeln!(
        anstream::stderr(),
        "{style}warning:{style:#} {}",
        sanitize(message)
    );
}

fn open(path: &Path, access: Access, options: Options) -> Result<Emulator, CommandError> {
    Emulator::open(path, access, options).map_err(|error| cannot_open(&error))
}

/// With the cause, which says what to mend. It names its own causes itself.
fn cannot_open(error: &OpenError) -> CommandError {
    CommandError::failed(match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| CommandError::failed(format!("cannot listen on {address}: {error}")))
}

fn url(listener: &TcpListener) -> Result<String, CommandError> {
    let address = listener
        .local_addr()
        .map_err(|error| CommandError::failed(format!("no address to listen on: {error}")))?;
    Ok(format!("http://{address}"))
}

/// An emulator that lives inside this process for the length of one verb.
pub(super) struct Embedded {
    url: String,
    keys: Keys,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Embedded {
    /// Loads and locks the file and serves it on a free loopback port. Only a verb that writes may change the file.
    pub(super) async fn start(path: &Path, want: AccessMode) -> Result<Self, CommandError> {
        let options = Options::default();
        let keys = Keys {
            access_key_id: options.access_key.clone(),
            secret_access_key: options.secret_key.clone(),
            session_token: None,
        };
        let access = match want {
            AccessMode::Read => Access::ReadOnly,
            AccessMode::Write => Access::ReadWrite,
        };
        let emulator = open(path, access, options)?;
        let listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let url = url(&listener)?;
        let (stop, stopped) = oneshot::channel();
        let server = tokio::task::spawn_local(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            emulator.serve(listener, shutdown).await
        });
        Ok(Self {
            url,
            keys,
            stop,
            server,
        })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// The only ones it knows.
    pub(super) fn keys(&self) -> Keys {
        self.keys.clone()
    }

    /// Stops it and waits for the end.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.server.await;
    }
}
