//! Flags and variables that a verb would ignore, and variables that change what a run means.
//!
//! Owns the rule that every flag has an effect or is refused, where clap cannot hold it: between flags of one verb, and for
//! variables of flags that the verb does not take. `docs/src/flags.md` is the table of which verb takes which flag; a test makes
//! it from the command. Does not parse a value.

use std::env;
use std::ffi::OsString;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::error::CommandError;
use crate::config::service_keys;

const NARROWS: &str = "narrows this run";

/// The variables that change what a run means: name, flag, and effect as the end of a sentence.
const VARIABLES: [(&str, &str, &str); 8] = [
    ("PORTWARD_AS_OF", AS_OF, "sets the day of this run"),
    (
        "PORTWARD_EMULATOR",
        "emulator",
        "puts an emulator in place of the service",
    ),
    (
        "PORTWARD_INVENTORY",
        "inventory",
        "puts a snapshot in place of the service",
    ),
    ("PORTWARD_TARGET", "target", NARROWS),
    ("PORTWARD_SHARD", "shard", NARROWS),
    ("PORTWARD_SHARDS", "shards", NARROWS),
    ("PORTWARD_REGION", "region", NARROWS),
    ("PORTWARD_ACCOUNT", "account", NARROWS),
];

/// The one flag of [`VARIABLES`] without which a run does not write to more instances.
const AS_OF: &str = "as_of";

/// Flags that mean something only with another.
const REQUIRES: [(&str, &str); 2] = [("valid_for", "out"), ("notify", "notify_url")];

/// Verbs that write rules.
const WRITING_VERBS: [&str; 5] = ["apply", "rollback", "grant", "revoke", "with"];

/// Whether a verb reads a configuration, instances or rules, so that [`VARIABLES`] concern it.
fn reads_fleet(verb: &str) -> bool {
    !matches!(
        verb,
        "schema" | "completions" | "man" | "emulate" | "report"
    )
}

/// Refuses flags and variables that the verb would ignore.
///
/// # Errors
/// The verb would ignore a flag, or a variable that limits what is written. Otherwise returns a note on each variable that is
/// set, such as `PORTWARD_TARGET=mail-1 narrows this run`.
pub(super) fn check(verb: &str, matches: &ArgMatches) -> Result<Vec<String>, CommandError> {
    check_flags(matches)?;
    check_variables(verb, matches, |name| {
        env::var_os(name).filter(|value| !value.is_empty())
    })
}

/// Where the value of a flag comes from, if the verb takes it.
fn value_source(matches: &ArgMatches, flag: &str) -> Option<ValueSource> {
    matches.try_contains_id(flag).ok()?;
    matches.value_source(flag)
}

fn is_on_command_line(matches: &ArgMatches, flag: &str) -> bool {
    value_source(matches, flag) == Some(ValueSource::CommandLine)
}

/// Whether a flag has a value that is not its default.
fn is_set(matches: &ArgMatches, flag: &str) -> bool {
    value_source(matches, flag).is_some_and(|source| source != ValueSource::DefaultValue)
}

fn check_flags(matches: &ArgMatches) -> Result<(), CommandError> {
    for (flag, needed) in REQUIRES {
        if is_on_command_line(matches, flag) && !is_set(matches, needed) {
            let (flag, needed) = (long_name(flag), long_name(needed));
            return Err(CommandError::usage(
                format!("`--{flag}` has no effect without `--{needed}`"),
                format!("add `--{needed}`, or leave out `--{flag}`"),
            ));
        }
    }
    if is_set(matches, "iam_policy") {
        let ids = matches.ids().map(clap::Id::as_str);
        // Groups have ids as well.
        let mut others = ids.filter(|id| *id != "iam_policy" && id.starts_with(char::is_lowercase));
        if let Some(flag) = others.find(|id| !is_output_flag(id) && is_on_command_line(matches, id))
        {
            return Err(CommandError::usage(
                format!(
                    "`--{}` has no effect beside `--iam-policy`",
                    long_name(flag)
                ),
                "the policies depend on nothing",
            ));
        }
    }
    Ok(())
}

fn is_output_flag(flag: &str) -> bool {
    matches!(flag, "verbose" | "log_format" | "color" | "quiet")
}

/// The long name of a flag, without its dashes.
fn long_name(flag: &str) -> String {
    flag.replace('_', "-")
}

/// The verb or flag of this program that corresponds to one of another tool.
fn hint_for_other_tool(kind: ErrorKind, text: &str) -> Option<&'static str> {
    Some(match (kind, text) {
        (ErrorKind::InvalidSubcommand, "validate" | "verify" | "lint" | "test") => {
            "`portward check` reads the configuration and says what is wrong with it"
        }
        (ErrorKind::InvalidSubcommand, "fmt" | "format") => {
            "any formatter of TOML will do, such as `taplo fmt`"
        }
        (ErrorKind::InvalidSubcommand, "init" | "new" | "generate") => {
            "`portward import` writes a configuration from what is live"
        }
        (ErrorKind::InvalidSubcommand, "status" | "refresh") => {
            "`portward drift` says what is live and not in the configuration, and the reverse"
        }
        (ErrorKind::InvalidSubcommand, "show" | "list" | "ls" | "get") => {
            "`portward inventory` lists instances with their rules, and `portward explain` says who gets in"
        }
        (ErrorKind::InvalidSubcommand, "sync" | "deploy" | "push" | "up") => {
            "`portward apply` makes the live rules those of the configuration"
        }
        (ErrorKind::InvalidSubcommand, "destroy" | "delete" | "close") => {
            "take the rule out of the configuration, and `portward apply`"
        }
        (
            ErrorKind::InvalidSubcommand,
            "state" | "output" | "taint" | "unlock" | "force-unlock",
        ) => "there is no state: what is live is read anew for each plan",
        (ErrorKind::InvalidSubcommand, "version") => "`portward --version` says it",
        (ErrorKind::UnknownArgument, "--dry-run" | "--dryrun" | "--noop" | "-n" | "--check") => {
            "`portward plan` shows what `apply` would do, and changes nothing"
        }
        (ErrorKind::UnknownArgument, "--force" | "--auto-approve" | "-y" | "-a") => {
            "`apply --yes` does not ask; no flag overrides every guard, `--allow` names one"
        }
        (ErrorKind::UnknownArgument, "-f" | "--file" | "--config-file") => {
            "`-c FILE` names the configuration"
        }
        (ErrorKind::UnknownArgument, text)
            if Path::new(text).extension().is_some_and(|end| end == "toml") =>
        {
            "`-c FILE` names the configuration"
        }
        (ErrorKind::UnknownArgument, "--json" | "-o" | "--output") => {
            "`--format json` and `--report json=FILE` write JSON"
        }
        _ => return None,
    })
}

/// A hint for a command line that clap refuses: which verbs take a flag, and which variable sets one. A hint for users of
/// another tool replaces the suggestion of clap.
pub(super) fn hint(error: &mut clap::Error, mut command: Command) -> Option<String> {
    command.build();
    let texts = error.context().flat_map(|(_, value)| match value {
        ContextValue::String(text) => vec![text.clone()],
        ContextValue::Strings(texts) => texts.clone(),
        _ => Vec::new(),
    });
    let texts: Vec<String> = texts.collect();
    if let Some(hint_for_other_tool) = texts
        .iter()
        .find_map(|text| hint_for_other_tool(error.kind(), text))
    {
        for guess in [
            ContextKind::SuggestedArg,
            ContextKind::SuggestedSubcommand,
            ContextKind::Suggested,
            ContextKind::Usage,
        ] {
            error.remove(guess);
        }
        return Some(hint_for_other_tool.to_owned());
    }
    let is_port = |text: &str| {
        let number = text.strip_prefix("tcp/").or(text.strip_prefix("udp/"));
        number
            .unwrap_or(text)
            .starts_with(|c: char| c.is_ascii_digit())
    };
    let is_service = |text: &&String| service_keys(text).is_some() || is_port(text);
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(service) = texts.iter().find(is_service)
    {
        return Some(format!("`explain` takes a service as `--to {service}`"));
    }
    let longs = texts
        .into_iter()
        .filter_map(|text| Some(text.strip_prefix("--")?.to_owned()));
    let mut longs = longs.map(|text| text.split([' ', '=']).next().unwrap_or_default().to_owned());
    let verbs = || {
        command
            .get_subcommands()
            .filter(|verb| verb.get_name() != "help")
    };
    let takes = |verb: &&Command, long: &str| {
        let inner = verb.get_subcommands().flat_map(Command::get_arguments);
        let mut flags = verb.get_arguments().chain(inner);
        flags.any(|flag| flag.get_long() == Some(long))
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let long = longs.next()?;
            let takers = verbs().filter(|verb| takes(verb, &long));
            let takers: Vec<String> = takers
                .map(|verb| format!("`{}`", verb.get_name()))
                .collect();
            (!takers.is_empty()).then(|| format!("`--{long}` belongs to {}", takers.join(", ")))
        }
        ErrorKind::ArgumentConflict => longs.find_map(|long| {
            let mut flags = verbs().flat_map(Command::get_arguments);
            let flag =
                flags.find(|flag| flag.get_long() == Some(&*long) && flag.get_env().is_some())?;
            let name = flag.get_env()?;
            let value = env::var_os(name)?;
            Some(format!(
                "`--{long}` may come from {}={}",
                name.to_string_lossy(),
                value.to_string_lossy()
            ))
        }),
        _ => None,
    }
}

fn check_variables(
    verb: &str,
    matches: &ArgMatches,
    value: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<String>, CommandError> {
    let mut notes = Vec::new();
    if !reads_fleet(verb) || is_set(matches, "iam_policy") {
        return Ok(notes);
    }
    let has_plan_file = verb == "apply" && is_set(matches, "plan");
    for (name, flag, effect) in VARIABLES {
        let Some(value) = value(name) else { continue };
        let assignment = format!("{name}={}", value.to_string_lossy());
        if matches.try_contains_id(flag).is_ok() {
            if value_source(matches, flag) == Some(ValueSource::EnvVariable) {
                let effect = match effect {
                    NARROWS if has_plan_file => "limits what the plan may be for",
                    effect => effect,
                };
                notes.push(format!("{assignment} {effect}"));
            }
        } else if flag != AS_OF && WRITING_VERBS.contains(&verb) {
            return Err(CommandError::usage(
                format!(
                    "{assignment} has no effect on `{verb}`, which would act as if it were not set"
                ),
                format!("unset {name}"),
            ));
        } else {
            notes.push(format!("{assignment} has no effect on `{verb}`"));
        }
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    use clap::Arg;

    use super::*;
    use crate::cli::verbs::command;

    #[test]
    fn words_of_other_tools_have_a_hint() {
        for (typed, hint) in [
            (&["validate"][..], Some("portward check")),
            (&["init"], Some("portward import")),
            (&["show"], Some("portward inventory")),
            (&["frobnicate"], None),
            (&["apply", "--dry-run"], Some("portward plan")),
            (&["apply", "--force"], Some("apply --yes")),
            (&["apply", "-auto-approve"], Some("apply --yes")),
            (&["plan", "--output", "json"], Some("--format json")),
            (&["check", "firewall.toml"], Some("-c FILE")),
            (&["state", "list"], Some("there is no state")),
            (&["plan", "-f", "firewall.toml"], Some("-c FILE")),
            (&["plan", "--frobnicate"], None),
            (&["explain", "web-1", "ssh"], Some("--to ssh")),
            (&["explain", "web-1", "tcp/22"], Some("--to tcp/22")),
            (&["explain", "web-1", "web-2"], None),
        ] {
            let typed = ["portward"].iter().chain(typed);
            let error = command().try_get_matches_from(typed.clone());
            let mut error = error.expect_err("refused");
            let found = super::hint(&mut error, command());
            assert!(
                hint.is_none() || !error.to_string().contains("similar"),
                "{typed:?}: {error}"
            );
            let found = found.as_deref().unwrap_or_default();
            assert_eq!(!found.is_empty(), hint.is_some(), "{typed:?}: {found}");
            assert!(
                found.contains(hint.unwrap_or_default()),
                "{typed:?}: {found}"
            );
        }
    }

    /// The verbs, `report merge` as one.
    fn verbs() -> Vec<(String, Command)> {
        let mut whole = command();
        whole.build();
        let verbs = whole
            .get_subcommands()
            .filter(|verb| verb.get_name() != "help");
        let mut all = Vec::new();
        for verb in verbs {
            let name = verb.get_name().to_owned();
            let inner = verb
                .get_subcommands()
                .find(|inner| inner.get_name() != "help");
            match inner {
                Some(inner) => all.push((format!("{name} {}", inner.get_name()), inner.clone())),
                None => all.push((name, verb.clone())),
            }
        }
        all
    }

    fn flags(verb: &Command) -> impl Iterator<Item = &Arg> {
        let own = |arg: &&Arg| {
            !arg.is_positional() && !matches!(arg.get_id().as_str(), "help" | "version")
        };
        verb.get_arguments().filter(own)
    }

    #[test]
    fn every_flag_is_visible_and_its_variable_has_its_name() {
        for (verb, command) in verbs() {
            for flag in flags(&command) {
                let long = flag.get_long().expect("every flag has a name");
                assert!(!flag.is_hide_set(), "{verb} --{long}");
                if let Some(variable) = flag.get_env() {
                    let expected = format!("PORTWARD_{}", long.to_uppercase().replace('-', "_"));
                    assert_eq!(variable.to_str(), Some(&*expected), "{verb} --{long}");
                }
            }
        }
    }

    #[test]
    fn every_variable_belongs_to_a_flag() {
        let verbs = verbs();
        for (name, flag, _) in VARIABLES {
            let mut all = verbs.iter().flat_map(|(_, verb)| flags(verb));
            let found = all.find(|arg| arg.get_id() == flag).expect("the flag");
            assert_eq!(found.get_env().and_then(|name| name.to_str()), Some(name));
        }
    }

    /// The table of `docs/src/flags.md`.
    fn table() -> String {
        let verbs = verbs();
        let mut rows: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
        for (name, verb) in &verbs {
            for flag in flags(verb) {
                let long = flag.get_long().expect("a name");
                let variable = flag
                    .get_env()
                    .map(|name| format!("`{}`", name.to_string_lossy()));
                let row = (format!("`--{long}`"), variable.unwrap_or_default());
                rows.entry(row).or_default().push(name);
            }
        }
        let mut text = String::from("| flag | variable | verbs |\n|---|---|---|\n");
        for ((flag, variable), names) in rows {
            let all = names.len() == verbs.len();
            let names = if all {
                "all".to_owned()
            } else {
                names.join(", ")
            };
            let _ = writeln!(text, "| {flag} | {variable} | {names} |");
        }
        text
    }

    #[test]
    fn documented_flags_match_the_command() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/flags.md");
        let text = std::fs::read_to_string(path).expect("the document");
        let table = table();
        assert!(
            text.contains(&table),
            "{path} should have this table:\n{table}"
        );
    }
}
