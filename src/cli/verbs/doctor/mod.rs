//! `doctor`: checks the conditions of a run, with a hint for each failure.
//!
//! Owns the verb, and the form of its answer. Does not write anything, and does not try writes.

mod account;
mod iam;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::cli::args::{ConnectionArgs, Format};
use crate::cli::connection::{AccessMode, Connection};
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::present::show_answer;
use crate::cli::run::Run;
use crate::cli::session;
use crate::cli::signals::interruptible;
use crate::cli::streams::{is_quiet, wrap_to_stdout, write_stdout};
use crate::config::{self, Config, Severity};
use crate::render::{count, sanitize};

#[derive(Args, Debug)]
pub(super) struct DoctorArgs {
    /// The configuration; without it `firewall.toml`, where there is one
    #[arg(short, long, value_name = "FILE", env = "PORTWARD_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Only print the IAM policy that is needed; asks nobody
    #[arg(long, value_name = "FOR", value_enum)]
    iam_policy: Option<iam::IamPolicy>,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum CheckStatus {
    Ok,
    Warn,
    Fail,
}

/// One check, with its result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    /// The name of the check.
    #[serde(rename = "check")]
    name: &'static str,
    /// The account, by its name in the configuration.
    account: Option<String>,
    status: CheckStatus,
    text: String,
    /// The hint.
    fix: Option<String>,
    /// The exit status of a run with this failure.
    #[serde(skip)]
    exit: Exit,
}

impl Check {
    fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            account: None,
            status: CheckStatus::Ok,
            text: text.into(),
            fix: None,
            exit: Exit::Done,
        }
    }

    fn warn(name: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            status: CheckStatus::Warn,
            fix: Some(fix.into()),
            ..Self::ok(name, text)
        }
    }

    fn fail(name: &'static str, text: impl Into<String>, fix: Option<String>, exit: Exit) -> Self {
        Self {
            status: CheckStatus::Fail,
            fix,
            exit,
            ..Self::ok(name, text)
        }
    }

    fn with_account(mut self, account: Option<&str>) -> Self {
        self.account = account.map(str::to_owned);
        self
    }
}

pub(super) async fn run(args: &DoctorArgs, run: &mut Run) -> Result<Exit, RunError> {
    if let Some(allowed) = args.iam_policy {
        return Ok(write_stdout(&iam::policy(allowed)));
    }
    let checks = async { Ok::<_, CommandError>(Box::pin(run_checks(args)).await) };
    let checks = interruptible(checks).await?;
    let exits: Vec<Exit> = checks.iter().map(|check| check.exit).collect();
    let exit = Exit::highest(&exits);
    let outputs = format!("exit-code={}\n", exit.code());
    show_answer(run, exit, &outputs, &|format, _| match format {
        Format::Text => Some(wrap_to_stdout(&text(&checks))),
        Format::Json => Some(json(&checks, exit)),
        _ => None,
    })
}

async fn run_checks(args: &DoctorArgs) -> Vec<Check> {
    let mut checks = Vec::new();
    let config = match check_configuration(args.config.as_deref()) {
        Ok((config, check)) => {
            checks.push(check);
            config
        }
        Err(check) => return vec![check],
    };
    let accounts = config
        .as_ref()
        .map(Config::accounts)
        .cloned()
        .unwrap_or_default();
    let sites = session::sites(&args.connection, config.as_ref()).await;
    let sites = sites.unwrap_or_else(|CommandError { message, hint, .. }| {
        checks.push(Check::fail("regions", message, hint, Exit::Usage));
        Vec::new()
    });
    let connected =
        Connection::connect(&args.connection, None, AccessMode::Read, &sites, &accounts).await;
    let connection = match connected {
        Ok(connection) => connection,
        Err(error) => {
            checks.push(Check::fail(
                "endpoint",
                error.message,
                error.hint,
                error.exit,
            ));
            return checks;
        }
    };
    checks
        .extend(account::run_checks(&connection, &sites, &accounts, args.connection.rate()).await);
    connection.close().await;
    checks
}

/// The configuration, if there is one.
fn check_configuration(path: Option<&Path>) -> Result<(Option<Config>, Check), Check> {
    const CHECK: &str = "configuration";
    let usual = Path::new("firewall.toml");
    let Some(path) = path.or(Some(usual).filter(|path| path.exists())) else {
        let text = "none: the account of the credentials is looked at";
        return Ok((None, Check::ok(CHECK, text)));
    };
    let name = path.display();
    match config::load(path) {
        Err(problems) => {
            let errors = problems
                .problems
                .iter()
                .filter(|one| one.severity == Severity::Error);
            let text = format!("`{name}` is not valid: {}", count(errors.count(), "error"));
            let fix = format!("`portward check -c {name}` shows each with its line");
            Err(Check::fail(CHECK, text, Some(fix), Exit::Config))
        }
        Ok(config) if config.warnings().is_empty() => {
            let text = format!("`{name}` is valid");
            Ok((Some(config), Check::ok(CHECK, text)))
        }
        Ok(config) => {
            let warnings = count(config.warnings().len(), "warning");
            let text = format!("`{name}` is valid, with {warnings}");
            let fix = format!("`portward check -c {name}` shows each with its line");
            Ok((Some(config), Check::warn(CHECK, text, fix)))
        }
    }
}

/// One line for each check, and one for its hint. A quiet run shows only failures and warnings.
fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    let count_of = |status| checks.iter().filter(|check| check.status == status).count();
    let (warned, failed) = (count_of(CheckStatus::Warn), count_of(CheckStatus::Fail));
    if is_quiet() && warned + failed == 0 {
        return text;
    }
    let is_shown = |check: &&Check| !(is_quiet() && check.status == CheckStatus::Ok);
    for check in checks.iter().filter(is_shown) {
        let status = match check.status {
            CheckStatus::Ok => "ok",
            CheckStatus::Warn => "warn",
            CheckStatus::Fail => "fail",
        };
        let account = check.account.as_deref().map(|name| format!("{name}: "));
        let found = sanitize(&(account.unwrap_or_default() + &check.text));
        let _ = writeln!(text, "{status:<4}  {:<13}  {found}", check.name);
        if let Some(fix) = &check.fix {
            let _ = writeln!(text, "      fix: {}", sanitize(fix));
        }
    }
    let _ = writeln!(
        text,
        "Doctor: {}, {warned} to look at, {failed} failed.",
        count(checks.len(), "check")
    );
    text
}

/// The JSON document.
fn json(checks: &[Check], exit: Exit) -> String {
    let document = serde_json::json!({
        "format": "portward.doctor",
        "version": 1,
        "exitCode": exit.code(),
        "checks": checks,
    });
    format!("{document:#}\n")
}
