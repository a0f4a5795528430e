//! Where output goes: data to stdout, everything else to stderr, reports to files.
//!
//! Owns the streams, their colour, and the report files, which are written however a run ends. A closed pipe ends output
//! quietly. Refuses to make up texts of its own beyond errors, and to print foreign text that a CI system would obey.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;

use super::args::{Format, OutputArgs};
use super::exit::Exit;
use super::harmless::{powerless_json, powerless_lines};
use super::session::Planned;
use crate::config::{Diagnostic, Diagnostics, Severity};
use crate::plan::{Plan, Report};
use crate::policy::Refusal;
use crate::render::text::Asked;
use crate::render::{self, json, plain};

/// The streams and report files of one run.
pub(super) struct Output {
    format: Format,
    reports: Vec<(Format, PathBuf)>,
}

/// Why a verb could not do its job.
#[derive(Debug)]
pub(super) struct Cannot {
    pub(super) exit: Exit,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Cannot {
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    pub(super) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

/// What a verb has to show.
pub(super) struct Shown<'a> {
    pub(super) verb: &'static str,
    pub(super) exit: Exit,
    pub(super) problems: &'a [json::Problem],
    pub(super) refusals: &'a [Refusal],
    pub(super) plan: Option<&'a Plan>,
    pub(super) report: Option<&'a Report>,
    /// Stdout of the text format.
    pub(super) text: &'a str,
}

impl Output {
    pub(super) fn new(args: &OutputArgs) -> Self {
        Self {
            format: args.format,
            reports: args.report.clone(),
        }
    }

    pub(super) fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Shows a run that got as far as its answer, and writes the reports.
    pub(super) fn show(&self, shown: &Shown<'_>) -> Exit {
        let document = |exit: Exit| {
            powerless_json(json::document(&json::Run {
                verb: shown.verb,
                exit_code: exit.code(),
                error: None,
                problems: shown.problems.to_vec(),
                refusals: shown.refusals,
                plan: shown.plan,
                report: shown.report,
            }))
        };
        self.write_all(shown.exit, shown.text, document)
    }

    /// Shows an answer that is a document of its own, and writes the reports.
    pub(super) fn show_data(&self, exit: Exit, text: &str, json: &str) -> Exit {
        self.write_all(exit, text, |_| powerless_json(json.to_owned()))
    }

    /// Shows a plan that nothing came of, with the exit code that it deserves.
    pub(super) fn show_plan(
        &self,
        verb: &'static str,
        planned: &Planned,
        differs: bool,
        text: &str,
    ) -> Exit {
        let mut held = Exit::of_plan(&planned.plan);
        if differs {
            held.push(Exit::Differs);
        }
        if !planned.refusals.is_empty() {
            held.push(Exit::Refused);
        }
        self.show(&Shown {
            verb,
            exit: Exit::first_of(&held),
            problems: &planned.warnings,
            refusals: &planned.refusals,
            plan: Some(&planned.plan),
            report: None,
            text,
        })
    }

    /// Tells why a verb could not do its job, and writes the reports.
    pub(super) fn cannot(&self, verb: &'static str, cannot: &Cannot) -> Exit {
        complain(&cannot.message, cannot.hint.as_deref());
        self.ended(
            verb,
            cannot.exit,
            Some(json::Problem::error(&cannot.message, cannot.hint.clone())),
            Vec::new(),
        )
    }

    /// Tells what is wrong with the configuration, and writes the reports.
    pub(super) fn invalid(&self, verb: &'static str, diagnostics: &Diagnostics) -> Exit {
        let _ = write!(anstream::stderr(), "{}", diagnostics.render(true));
        self.ended(verb, Exit::Config, None, problems(diagnostics))
    }

    /// Warnings on stderr.
    #[expect(
        clippy::unused_self,
        reason = "an output is needed to put anything out"
    )]
    pub(super) fn warn(&self, warnings: &[Diagnostic]) {
        let mut stderr = anstream::stderr().lock();
        for warning in warnings {
            let _ = writeln!(stderr, "{}", warning.render(true));
        }
    }

    /// Text on stdout while a verb goes on; nothing in other formats.
    pub(super) fn text(&self, text: &str) {
        if self.is_text() {
            to_stdout(text);
        }
    }

    fn ended(
        &self,
        verb: &'static str,
        exit: Exit,
        error: Option<json::Problem>,
        problems: Vec<json::Problem>,
    ) -> Exit {
        let run = json::Run {
            verb,
            exit_code: exit.code(),
            error,
            problems,
            refusals: &[],
            plan: None,
            report: None,
        };
        self.write_all(exit, "", |_| powerless_json(json::document(&run)))
    }

    fn write_all(&self, exit: Exit, text: &str, document: impl Fn(Exit) -> String) -> Exit {
        match self.format {
            Format::Text => to_stdout(text),
            Format::Json => to_stdout(&document(exit)),
        }
        let mut exit = exit;
        for (format, path) in &self.reports {
            let content = match format {
                Format::Text => anstream::adapter::strip_str(text).to_string(),
                Format::Json => document(exit),
            };
            if let Err(error) = std::fs::write(path, content)
                .with_context(|| format!("cannot write the report `{}`", path.display()))
            {
                complain(&format!("{error:#}"), None);
                exit = Exit::first_of(&[exit, Exit::Failed]);
            }
        }
        exit
    }
}

/// The JSON form of diagnostics.
pub(super) fn problems<'a>(
    diagnostics: impl IntoIterator<Item = &'a Diagnostic>,
) -> Vec<json::Problem> {
    diagnostics
        .into_iter()
        .map(|diagnostic| json::Problem {
            severity: match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: diagnostic.message.clone(),
            file: Some(diagnostic.origin.file.to_string()),
            line: Some(diagnostic.origin.line),
            column: Some(diagnostic.origin.column),
            hint: diagnostic.hint.clone(),
        })
        .collect()
}

/// A line on stderr that is neither data nor trouble.
pub(super) fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{}", plain(line));
}

/// An error and its hint on stderr.
pub(super) fn complain(message: &str, hint: Option<&str>) {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    let mut stderr = anstream::stderr().lock();
    let _ = writeln!(stderr, "{style}error:{style:#} {}", plain(message));
    if let Some(hint) = hint {
        let _ = writeln!(stderr, "hint: {}", plain(hint));
    }
}

/// Help, version or a usage error, as clap words them.
pub(super) fn clap_message(error: &clap::Error) -> Exit {
    let text = error.render();
    if error.use_stderr() {
        // What was typed may come from a pipeline's variables, line breaks included.
        let text = powerless_lines(&text.to_string());
        let _ = write!(anstream::stderr(), "{text}");
        return Exit::Usage;
    }
    to_stdout(&text.to_string());
    Exit::Done
}

/// Writes data; whoever closed the pipe has seen enough.
pub(super) fn to_stdout(text: &str) {
    let mut stdout = anstream::stdout().lock();
    if let Err(error) = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        complain(&format!("cannot write to stdout: {error}"), None);
    }
}

/// The plan as text, with what the guards say of it.
pub(super) fn plan_text(planned: &Planned, asked: Asked, diff: bool) -> String {
    let mut text = guarded_text(&planned.plan, &planned.refusals, asked);
    if diff {
        text.push('\n');
        text.push_str(&render::diff::unified(&planned.plan));
    }
    text
}

/// A plan and what the guards refuse of it, as text.
pub(super) fn guarded_text(plan: &Plan, refusals: &[Refusal], asked: Asked) -> String {
    render::text::plan(plan, asked) + &render::text::guards(&plan.overrides, refusals)
}
