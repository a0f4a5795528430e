//! The flags that several verbs share.
//!
//! Owns names, defaults and help texts. Does not act on them, and does not know the verbs.

use std::path::PathBuf;
use std::time::Duration;

use anstream::ColorChoice;
use clap::builder::{EnumValueParser, PossibleValuesParser, TypedValueParser as _};
use clap::{Arg, ArgAction, ArgMatches, Args, ValueEnum};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, Time};

use crate::lightsail::Rate;
use crate::model::{Strategy, is_unsafe};
use crate::policy::Consent;

#[derive(Args, Debug)]
pub(super) struct LoggingArgs {
    /// Log more on stderr: -v progress, -vv every call, -vvv everything
    #[arg(help_heading = "Output", short, long, action = ArgAction::Count, global = true)]
    pub(super) verbose: u8,
    /// Format of log lines on stderr
    #[arg(help_heading = "Output", long, value_enum, default_value_t = LogFormat::Text, env = "PORTWARD_LOG_FORMAT", global = true)]
    pub(super) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

/// The flags of [`format_flags`] and [`text_flags`].
#[derive(Debug)]
pub(super) struct OutputArgs {
    pub(super) format: Format,
    pub(super) report: Vec<(Format, PathBuf)>,
    pub(super) color: ColorChoice,
    pub(super) quiet: bool,
}

impl OutputArgs {
    /// Reads them from the matches of a verb; a flag that the verb does not take has its default.
    pub(super) fn from_matches(verb: &ArgMatches) -> Self {
        let verb = verb.subcommand().map_or(verb, |(_, inner)| inner);
        let one = |id| verb.try_get_one(id).ok().flatten().copied();
        let reports = verb.try_get_many::<(Format, PathBuf)>("report");
        let reports = reports.ok().flatten().unwrap_or_default();
        Self {
            format: one("format").unwrap_or(Format::Text),
            report: reports.cloned().collect(),
            color: match verb.try_get_one::<Color>("color").ok().flatten() {
                Some(Color::Always) => ColorChoice::Always,
                Some(Color::Never) => ColorChoice::Never,
                Some(Color::Auto) | None => ColorChoice::Auto,
            },
            quiet: verb.try_get_one("quiet").ok().flatten() == Some(&true),
        }
    }
}

/// `--format` and `--report` of a verb that has these formats.
pub(super) fn format_flags(formats: &'static [Format]) -> [Arg; 2] {
    let values = formats.iter().filter_map(Format::to_possible_value);
    let value = PossibleValuesParser::new(values)
        .map(|name| Format::from_str(&name, false).unwrap_or(Format::Text));
    let format = Arg::new("format")
        .long("format")
        .value_name("FORMAT")
        .help("Format of stdout")
        .default_value("text")
        .env("PORTWARD_FORMAT")
        .value_parser(value);
    let report = Arg::new("report")
        .long("report")
        .value_name("FORMAT=FILE")
        .help("Also write a report in this format to this file, on failures too; repeatable")
        .action(ArgAction::Append)
        .value_parser(move |text: &str| parse_report(text, formats));
    [format, report].map(|flag| flag.help_heading("Output"))
}

/// `--color` and `--quiet`.
pub(super) fn text_flags() -> [Arg; 2] {
    let color = Arg::new("color")
        .long("color")
        .value_name("WHEN")
        .help("When to use colour; `auto` is on a terminal, unless NO_COLOR is set")
        .default_value("auto")
        .value_parser(EnumValueParser::<Color>::new());
    let quiet = Arg::new("quiet")
        .short('q')
        .long("quiet")
        .help("Say only what changes, differs or is wrong: no progress, no notes, nothing of what is in sync")
                .action(ArgAction::SetTrue)
        .conflicts_with("verbose");
    [color, quiet].map(|flag| flag.help_heading("Output"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For machines: one versioned document
    Json,
    /// For a pull request: a comment of at most 60,000 characters
    Markdown,
    /// For a job of GitHub Actions: annotations, the step's summary and its outputs
    Github,
    /// For code scanners: SARIF 2.1.0
    Sarif,
    /// For GitLab: a Code Quality report
    Codequality,
    /// For people: one page that needs no network
    Html,
    /// For monitoring: metrics for the textfile collector of Prometheus' node exporter
    Prometheus,
}

impl Format {
    /// The value of `--format`.
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

fn parse_report(text: &str, formats: &[Format]) -> Result<(Format, PathBuf), String> {
    let Some((name, file)) = text.split_once('=').filter(|(_, file)| !file.is_empty()) else {
        return Err("expected FORMAT=FILE, such as json=report.json".to_owned());
    };
    let mut known = formats.iter().copied();
    let format = known.find(|format| format.name() == name).ok_or_else(|| {
        let known: Vec<String> = formats.iter().map(|format| format.name()).collect();
        format!("`{name}` is none of {}", known.join(", "))
    })?;
    Ok((format, PathBuf::from(file)))
}

/// The configuration, and the day it is read for.
#[derive(Args, Debug)]
pub(super) struct ConfigArgs {
    /// The configuration
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "firewall.toml",
        env = "PORTWARD_CONFIG"
    )]
    pub(super) config: PathBuf,
    /// Evaluate `until` as of another day (2031-12-31) or instant (RFC 3339)
    #[arg(long, value_name = "DATE", value_parser = parse_as_of, env = "PORTWARD_AS_OF")]
    pub(super) as_of: Option<OffsetDateTime>,
}

impl ConfigArgs {
    /// The instant for which `until` is evaluated.
    pub(super) fn as_of(&self) -> OffsetDateTime {
        self.as_of.unwrap_or_else(OffsetDateTime::now_utc)
    }
}

pub(super) fn parse_as_of(text: &str) -> Result<OffsetDateTime, String> {
    Date::parse(text, format_description!("[year]-[month]-[day]"))
        .map(|date| date.with_time(Time::MIDNIGHT).assume_utc())
        .or_else(|_| OffsetDateTime::parse(text, &Rfc3339))
        .map_err(|_| {
            "expected a date such as 2031-12-31, or an instant such as 2031-12-31T12:00:00Z"
                .to_owned()
        })
}

/// The accounts and regions, and how the service is reached.
#[derive(Args, Clone, Debug)]
pub(super) struct ConnectionArgs {
    /// Limit to these regions; repeatable
    #[arg(
        help_heading = "Selection",
        long,
        value_name = "REGION",
        env = "PORTWARD_REGION",
        value_delimiter = ','
    )]
    pub(super) region: Vec<String>,
    /// Limit to these accounts of the configuration; repeatable
    #[arg(
        help_heading = "Selection",
        long,
        value_name = "NAME",
        env = "PORTWARD_ACCOUNT",
        value_delimiter = ','
    )]
    pub(super) account: Vec<String>,
    /// Profile of the shared AWS configuration files
    #[arg(
        help_heading = "Connection",
        long,
        value_name = "NAME",
        env = "PORTWARD_PROFILE"
    )]
    pub(super) profile: Option<String>,
    /// Endpoint URL of the Lightsail API; `AWS_ENDPOINT_URL_STS` sets that of STS
    #[arg(
        help_heading = "Connection",
        long,
        value_name = "URL",
        env = "PORTWARD_ENDPOINT_URL"
    )]
    pub(super) endpoint_url: Option<String>,
    /// Run against an embedded emulator whose state is this inventory file; needs no account
    #[arg(help_heading = "Connection", long, value_name = "FILE", env = "PORTWARD_EMULATOR", conflicts_with_all = ["endpoint_url", "profile"])]
    pub(super) emulator: Option<PathBuf>,
    /// The part of the service's documented request rates to use, above 0 and at most 1, or `unlimited` [default: 1, and
    /// with a shard of N 1/N]
    #[arg(
        help_heading = "Limits",
        long,
        value_name = "FRACTION",
        env = "PORTWARD_RATE"
    )]
    pub(super) rate: Option<Rate>,
}

/// The instances that are read, and how many at the same time.
#[derive(Args, Clone, Debug)]
pub(super) struct FleetArgs {
    /// Limit to these declared instances: NAME, REGION/NAME or ACCOUNT/REGION/NAME, globs allowed; repeatable
    #[arg(
        help_heading = "Selection",
        short,
        long,
        value_name = "SELECTOR",
        env = "PORTWARD_TARGET",
        value_delimiter = ','
    )]
    pub(super) target: Vec<String>,
    /// Number of instances processed at the same time
    #[arg(help_heading = "Limits", long, value_name = "N", default_value_t = 16, env = "PORTWARD_CONCURRENCY",
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) concurrency: u16,
}

/// The calls that a plan may use.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct StrategyArgs {
    /// Calls that a plan may use, instead of what the configuration says
    #[arg(long, value_name = "STRATEGY", value_parser = parse_strategy, env = "PORTWARD_STRATEGY")]
    pub(super) strategy: Option<Strategy>,
}

/// The calls that read the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ReadMode {
    /// Each instance by itself, one call per instance
    Exact,
    /// From the list of instances, one call per page; differences and a sample of the rest are confirmed
    Bulk,
}

impl ConnectionArgs {
    /// The requested rate, or the documented one.
    pub(super) fn rate(&self) -> Rate {
        self.rate.unwrap_or_default()
    }

    /// Whether the service is the embedded emulator, so that no real firewall is written.
    pub(super) fn is_emulated(&self) -> bool {
        self.emulator.is_some()
    }
}

fn parse_strategy(text: &str) -> Result<Strategy, String> {
    text.parse()
        .map_err(|_| "expected auto, put or incremental".to_owned())
}

/// Parses free text, which plans and reports contain.
pub(super) fn parse_reason(text: &str) -> Result<String, String> {
    match text.chars().find(|c| is_unsafe(*c)) {
        None => Ok(text.to_owned()),
        Some(c) => Err(format!(
            "it holds a line break or an invisible character, U+{:04X}",
            u32::from(c)
        )),
    }
}

/// Consent to what a guard refuses; it becomes part of the plan.
#[derive(Args, Debug, Default)]
pub(super) struct ConsentArgs {
    /// Allow what a guard refuses (lockout, blast-radius, empty, or changed-since on a way back), on all instances or some;
    /// repeatable
    #[arg(long, value_name = "GUARD[=SELECTOR]", requires = "reason")]
    pub(super) allow: Vec<Consent>,
    /// Reason for the consent; it is kept in the plan
    #[arg(long, value_name = "TEXT", requires = "allow", value_parser = parse_reason)]
    pub(super) reason: Option<String>,
}

/// A plan as a file.
#[derive(Args, Debug)]
pub(super) struct OutArgs {
    /// Write the plan to this file, for `apply FILE`
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Maximum validity of the plan file
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_duration, env = "PORTWARD_VALID_FOR")]
    pub(super) valid_for: Duration,
}

/// An inventory file in place of the service, for verbs that write nothing.
#[derive(Args, Debug)]
pub(super) struct InventoryFileArgs {
    /// Read instances and rules from this inventory file instead of the service
    #[arg(help_heading = "Connection", long, value_name = "FILE", env = "PORTWARD_INVENTORY", conflicts_with_all = ["emulator", "endpoint_url", "profile"])]
    pub(super) inventory: Option<PathBuf>,
}

/// Parses a duration such as `90s` or `2m`; a bare number is seconds.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let error = || "expected a duration such as 60s or 2m".to_owned();
    match text.parse::<u64>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).map_err(|_| error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_parsed() {
        assert_eq!(
            parse_as_of("2031-12-31").map(OffsetDateTime::unix_timestamp),
            Ok(1_956_441_600)
        );
        assert_eq!(
            parse_as_of("2031-12-31T01:00:00+01:00").map(OffsetDateTime::unix_timestamp),
            Ok(1_956_441_600)
        );
        assert!(parse_as_of("tomorrow").is_err());
    }

    #[test]
    fn report_argument_has_a_format_and_a_file() {
        let report = |text| parse_report(text, &[Format::Json, Format::Html]);
        assert_eq!(report("json=a=b"), Ok((Format::Json, PathBuf::from("a=b"))));
        assert_eq!(report("html=a"), Ok((Format::Html, PathBuf::from("a"))));
        assert_eq!(
            report("sarif=a"),
            Err("`sarif` is none of json, html".to_owned())
        );
        assert!(report("json=").is_err() && report("pdf=x").is_err() && report("x").is_err());
    }
}
