//! Where output goes: data to stdout, everything else to stderr, reports to files.
//!
//! Owns which form of a run goes where; reports are written however it ends. Does not make up texts of its own beyond
//! errors, and to print foreign text that a CI system would obey.

mod files;
mod streams;

use std::cell::{Ref, RefCell};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueEnum as _;

use super::args::{Format, OutputArgs};
use super::exit::Exit;
use super::metrics;
use super::session::Planned;
use crate::config::{Diagnostic, Diagnostics, Severity, service_keys, service_name};
use crate::lightsail::Tally;
use crate::model::{Key, sanitize_json};
use crate::plan::{Plan, Report};
use crate::policy::{Refusal, Violation};
use crate::render::cost::Cost;
use crate::render::facts::{Calls, Facts};
use crate::render::notification::Message;
use crate::render::text::Asked;
use crate::render::{self, json};
use files::GithubFiles;

use streams::try_stdout;
pub(super) use streams::{clap_message, complain, say, to_stdout};

/// The streams and report files of one run.
pub(super) struct Output {
    format: Format,
    reports: Vec<(Format, PathBuf)>,
    github: GithubFiles,
    /// The configuration, as it was named; empty where the verb has none.
    config: String,
    known: RefCell<RunFacts>,
}

/// What became known on the way, for whatever is written in the end.
pub(super) struct RunFacts {
    pub(super) facts: Facts,
    /// When the work began.
    pub(super) began: Instant,
    /// What a notification would say.
    pub(super) message: Option<Message>,
}

impl RunFacts {
    /// Takes the calls that a connection counted.
    pub(super) fn count(&mut self, tally: &Tally) {
        let calls = tally.iter().map(|(action, answers)| Calls {
            action: action.to_owned(),
            answered: answers.answered,
            throttled: answers.throttled,
            failed: answers.failed,
        });
        self.facts.calls = calls.collect();
    }
}

/// Why a verb could not do its job.
#[derive(Debug)]
pub(super) struct CommandError {
    pub(super) exit: Exit,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl CommandError {
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
pub(super) struct RunAnswer<'a> {
    pub(super) verb: &'static str,
    pub(super) exit: Exit,
    pub(super) problems: &'a [json::Problem],
    pub(super) refusals: &'a [Refusal],
    pub(super) violations: &'a [Violation],
    pub(super) plan: Option<&'a Plan>,
    pub(super) report: Option<&'a Report>,
    /// The calls, where there were any.
    pub(super) cost: Option<&'a Cost>,
    /// Stdout of the text format.
    pub(super) text: &'a str,
}

impl Output {
    pub(super) fn new(args: &OutputArgs, config: Option<&Path>) -> Self {
        Self {
            config: config.map_or_else(String::new, |path| path.to_string_lossy().into_owned()),
            format: args.format,
            reports: args.report.clone(),
            github: GithubFiles::of_environment(),
            known: RefCell::new(RunFacts {
                facts: Facts::default(),
                began: Instant::now(),
                message: None,
            }),
        }
    }

    /// Takes note of something for the reports.
    pub(super) fn record(&self, record: impl FnOnce(&mut RunFacts)) {
        record(&mut self.known.borrow_mut());
    }

    /// Tells what environment variables do to the run, on stderr and in every report.
    pub(super) fn note(&self, notes: Vec<String>) {
        for note in &notes {
            say(&format!("note: {note}"));
        }
        self.record(|known| known.facts.environment = notes);
    }

    /// What is known so far.
    pub(super) fn known(&self) -> Ref<'_, RunFacts> {
        self.known.borrow()
    }

    /// The work begins only now.
    pub(super) fn begin(&self) {
        self.record(|known| known.began = Instant::now());
    }

    /// When the rules of instances that differ were changed last, as text.
    pub(super) fn last_changes_text(&self) -> String {
        render::text::last_changes(&self.known().facts.last_changes)
    }

    pub(super) fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Shows a run that got as far as its answer, and writes the reports.
    pub(super) fn show(&self, shown: &RunAnswer<'_>) -> Exit {
        let facts = self.known().facts.clone();
        let run = json::Run {
            verb: shown.verb,
            config: &self.config,
            exit_code: shown.exit.code(),
            error: None,
            problems: shown.problems.to_vec(),
            refusals: shown.refusals,
            violations: shown.violations,
            plan: shown.plan,
            cost: shown.cost,
            report: shown.report,
            facts: Some(&facts),
        };
        self.write_all(shown.exit, shown.text, &run)
    }

    /// Shows an answer that is a document of its own, and writes the reports. `content` gives it in a format, for a file
    /// where it goes to one, or nothing where there is no such form of it; `outputs` are what a job of GitHub Actions gets
    /// to know.
    pub(super) fn show_answer(
        &self,
        verb: &'static str,
        exit: Exit,
        outputs: &str,
        content: &dyn Fn(Format, Option<&Path>) -> Option<String>,
    ) -> Exit {
        let notes = self.known().facts.environment.clone();
        let content = |format, file: Option<&Path>| {
            let text = noted(format, file.is_some(), content(format, file)?, &notes);
            Some(match format {
                Format::Json => sanitize_json(text),
                _ => text,
            })
        };
        let reports = self.reports.iter();
        let reports = reports.map(|(format, path)| (*format, Some(path.as_path())));
        let mut made = Vec::new();
        for (format, file) in reports.chain([(self.format, None)]) {
            let Some(text) = content(format, file) else {
                let formats = Format::value_variants().iter().copied();
                let known = formats.filter(|format| content(*format, None).is_some());
                let known: Vec<String> = known.map(Format::name).collect();
                let message = format!("`{verb}` has no format `{}`", format.name());
                let hint = format!("it has {}", known.join(", "));
                return self.cannot(verb, &CommandError::usage(message, hint));
            };
            made.push(text);
        }
        let exit = Exit::first_of(&[exit, to_stdout(&made.pop().unwrap_or_default())]);
        let mut failed = None;
        let mut written = |path: &Path, result| failed = failed.or(told(path, result));
        for ((_, path), text) in self.reports.iter().zip(&made) {
            written(path, files::report(path, text));
        }
        if self.format == Format::Github {
            let summary = content(Format::Markdown, None).unwrap_or_default();
            self.github.write(&summary, outputs, &mut written);
        }
        failed.map_or(exit, |failed| Exit::first_of(&[exit, failed]))
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
        if planned.is_refused() {
            held.push(Exit::Refused);
        }
        self.show(&RunAnswer {
            verb,
            exit: Exit::first_of(&held),
            problems: &planned.warnings,
            refusals: &planned.refusals,
            violations: &planned.findings.violations,
            plan: Some(&planned.plan),
            report: None,
            cost: Some(&planned.cost),
            text,
        })
    }

    /// Tells why a verb could not do its job, and writes the reports.
    pub(super) fn cannot(&self, verb: &'static str, cannot: &CommandError) -> Exit {
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

    /// Text on stdout while a verb goes on; nothing in formats that are one document.
    pub(super) fn text(&self, text: &str) -> io::Result<()> {
        if self.is_text() || self.format == Format::Github {
            return try_stdout(text);
        }
        Ok(())
    }

    fn ended(
        &self,
        verb: &'static str,
        exit: Exit,
        error: Option<json::Problem>,
        problems: Vec<json::Problem>,
    ) -> Exit {
        let facts = self.known().facts.clone();
        let run = json::Run {
            verb,
            config: &self.config,
            exit_code: exit.code(),
            error,
            problems,
            refusals: &[],
            violations: &[],
            plan: None,
            cost: None,
            report: None,
            facts: Some(&facts),
        };
        self.write_all(exit, "", &run)
    }

    fn write_all(&self, exit: Exit, text: &str, run: &json::Run<'_>) -> Exit {
        let notes = self.known().facts.environment.clone();
        let metrics = |exit: Exit, file: Option<&Path>| {
            let text = metrics::of_run(run, exit, &self.known(), file);
            noted(Format::Prometheus, file.is_some(), text, &notes)
        };
        let formatted = |format, is_file, run: &json::Run<'_>| {
            let text = noted(format, is_file, formatted(format, text, run), &notes);
            match format {
                Format::Json | Format::Sarif => sanitize_json(text),
                _ => text,
            }
        };
        let data = to_stdout(&match self.format {
            Format::Prometheus => metrics(exit, None),
            format => formatted(format, false, run),
        });
        // The reports say how the run really ends.
        let exit = Exit::first_of(&[exit, data]);
        let run = &json::Run {
            exit_code: exit.code(),
            ..run.clone()
        };
        let mut failed = None;
        let mut written = |path: &Path, result| failed = failed.or(told(path, result));
        let last = |(format, _): &&(Format, PathBuf)| *format == Format::Prometheus;
        for (format, path) in self.reports.iter().filter(|report| !last(report)) {
            let content = formatted(*format, true, run);
            written(path, files::report(path, &content));
        }
        if self.format == Format::Github {
            let outputs = render::github::outputs(run);
            let summary = formatted(Format::Markdown, true, run);
            self.github.write(&summary, &outputs, &mut written);
        }
        let mut exit = failed.map_or(exit, |failed| Exit::first_of(&[exit, failed]));
        // Last, because they hold the exit code.
        for (_, path) in self.reports.iter().filter(last) {
            let text = metrics(exit, Some(path));
            if let Some(failed) = told(path, files::report(path, &text)) {
                exit = Exit::first_of(&[exit, failed]);
            }
        }
        let message = render::notification::message(run, exit.code());
        self.record(|known| known.message = Some(message));
        exit
    }
}

/// Tells that a file could not be written, which is how the run ends then.
fn told(path: &Path, result: io::Result<()>) -> Option<Exit> {
    let error = result.err()?;
    let message = format!("cannot write the report `{}`: {error}", path.display());
    complain(&message, None);
    Some(Exit::Failed)
}

/// A run in a format. `text` is what the verb says in words.
fn formatted(format: Format, text: &str, run: &json::Run<'_>) -> String {
    match format {
        Format::Text => text.to_owned(),
        Format::Json => json::document(run),
        Format::Markdown => render::markdown::comment(run),
        // The log has both: words to read and lines that become annotations.
        Format::Github => text.to_owned() + &render::github::annotations(run),
        Format::Sarif => render::sarif::document(run),
        Format::Html => render::html::page(run, &known_service),
        // Made where it is written, since it holds what the last run left behind.
        Format::Prometheus => String::new(),
    }
}

/// A document with what environment variables did to the run. Text on stdout has it on stderr beside it.
fn noted(format: Format, is_file: bool, document: String, notes: &[String]) -> String {
    use render::environment;
    match format {
        Format::Text if is_file => environment::text(notes, &document),
        Format::Text => document,
        Format::Json => environment::json(notes, &document),
        Format::Markdown => environment::markdown(notes, &document),
        Format::Github => environment::github(notes, &document),
        Format::Sarif => environment::sarif(notes, &document),
        Format::Html => environment::html(notes, &document),
        Format::Prometheus => environment::prometheus(notes, &document),
    }
}

/// The name of the built-in service that a key is, or belongs to where the service has one key for each family.
pub(super) fn known_service(key: Key) -> Option<&'static str> {
    let ping = || {
        service_keys("ping")
            .filter(|keys| keys.contains(&key))
            .map(|_| "ping")
    };
    service_name(key).or_else(ping)
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
            end_line: diagnostic.end.map(|(line, _)| line),
            end_column: diagnostic.end.map(|(_, column)| column),
            hint: diagnostic.hint.clone(),
        })
        .collect()
}

/// The plan as text, with what the guards say of it.
pub(super) fn plan_text(planned: &Planned, asked: Asked<'_>, diff: bool) -> String {
    let mut text = guarded_text(&planned.plan, &planned.refusals, &planned.cost, asked);
    if let Some(shard) = planned.scope.shard {
        text.push_str(&render::text::part(shard, planned.scope.declared));
    }
    text.push_str(&render::text::violations(&planned.findings.violations));
    if diff {
        text.push('\n');
        text.push_str(&render::diff::unified(&planned.plan));
    }
    text
}

/// A plan and what the guards refuse of it, as text.
pub(super) fn guarded_text(
    plan: &Plan,
    refusals: &[Refusal],
    cost: &Cost,
    asked: Asked<'_>,
) -> String {
    render::text::plan(plan, asked)
        + &render::text::calls(cost, asked)
        + &render::text::guards(&plan.overrides, refusals)
}
