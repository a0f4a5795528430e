//! Where output goes: data to stdout, everything else to stderr, reports to files.
//!
//! Owns the streams, their colour, and the report files, which are written however a run ends. A closed pipe ends output
//! quietly. Refuses to make up texts of its own beyond errors, and to print foreign text that a CI system would obey.

use std::borrow::Cow;
use std::cell::{Ref, RefCell};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;

use super::args::{Format, OutputArgs};
use super::exit::Exit;
use super::harmless::{powerless_json, powerless_lines};
use super::metrics;
use super::session::Planned;
use crate::config::{Diagnostic, Diagnostics, Severity, service_keys, service_name};
use crate::lightsail::Tally;
use crate::model::Key;
use crate::plan::{Plan, Report};
use crate::policy::{Refusal, Violation};
use crate::render::facts::{Calls, Facts};
use crate::render::notification::Message;
use crate::render::text::Asked;
use crate::render::{self, json, plain};

/// The streams and report files of one run.
pub(super) struct Output {
    format: Format,
    reports: Vec<(Format, PathBuf)>,
    github: GithubFiles,
    known: RefCell<Known>,
}

/// What became known on the way, for whatever is written in the end.
pub(super) struct Known {
    pub(super) facts: Facts,
    /// The configuration as it was named.
    pub(super) config_file: Option<String>,
    /// When the work began.
    pub(super) began: Instant,
    /// What a notification would say.
    pub(super) message: Option<Message>,
}

impl Known {
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
    pub(super) violations: &'a [Violation],
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
            github: GithubFiles::of_environment(),
            known: RefCell::new(Known {
                facts: Facts::default(),
                config_file: None,
                began: Instant::now(),
                message: None,
            }),
        }
    }

    /// Takes note of something for the reports.
    pub(super) fn learn(&self, learn: impl FnOnce(&mut Known)) {
        learn(&mut self.known.borrow_mut());
    }

    /// What is known so far.
    pub(super) fn known(&self) -> Ref<'_, Known> {
        self.known.borrow()
    }

    /// The work begins only now.
    pub(super) fn begin(&self) {
        self.learn(|known| known.began = Instant::now());
    }

    /// When the rules of instances that differ were changed last, as text.
    pub(super) fn last_changes_text(&self) -> String {
        render::text::last_changes(&self.known().facts.last_changes)
    }

    pub(super) fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Shows a run that got as far as its answer, and writes the reports.
    pub(super) fn show(&self, shown: &Shown<'_>) -> Exit {
        let facts = self.known().facts.clone();
        let run = json::Run {
            verb: shown.verb,
            exit_code: shown.exit.code(),
            error: None,
            problems: shown.problems.to_vec(),
            refusals: shown.refusals,
            violations: shown.violations,
            plan: shown.plan,
            report: shown.report,
            facts: Some(&facts),
        };
        self.write_all(shown.exit, shown.text, &run)
    }

    /// Shows an answer that is a document of its own, and writes the reports; it has no other formats than text and JSON.
    pub(super) fn show_data(&self, verb: &'static str, exit: Exit, text: &str, json: &str) -> Exit {
        let known = [Format::Text, Format::Json];
        self.show_document(verb, exit, &known, |format, _| match format {
            Format::Json => Cow::Owned(powerless_json(json.to_owned())),
            _ => Cow::Borrowed(text),
        })
    }

    /// Shows a document in whichever of its formats are asked for, and writes the reports. `content` is also given the
    /// file that a report goes to.
    pub(super) fn show_document<'a>(
        &self,
        verb: &'static str,
        exit: Exit,
        known: &[Format],
        content: impl Fn(Format, Option<&Path>) -> Cow<'a, str>,
    ) -> Exit {
        let mut formats = self.reports.iter().map(|(format, _)| *format);
        if !known.contains(&self.format) || !formats.all(|format| known.contains(&format)) {
            let names: Vec<String> = known.iter().map(|format| format.name()).collect();
            let message = format!("`{verb}` knows the formats {} only", names.join(", "));
            return self.cannot(
                verb,
                &Cannot::usage(message, "leave `--format` out, or use `--format json`"),
            );
        }
        to_stdout(&content(self.format, None));
        let mut exit = exit;
        for (format, path) in &self.reports {
            let content = content(*format, Some(path));
            let content = anstream::adapter::strip_str(&content).to_string();
            let result = match format {
                Format::Prometheus => metrics::exchange(path, &content),
                _ => std::fs::write(path, content),
            };
            if let Err(error) = result {
                complain(
                    &format!("cannot write the report `{}`: {error}", path.display()),
                    None,
                );
                exit = Exit::first_of(&[exit, Exit::Failed]);
            }
        }
        exit
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
        self.show(&Shown {
            verb,
            exit: Exit::first_of(&held),
            problems: &planned.warnings,
            refusals: &planned.refusals,
            violations: &planned.findings.violations,
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

    /// Text on stdout while a verb goes on; nothing in formats that are one document.
    pub(super) fn text(&self, text: &str) {
        if self.is_text() || self.format == Format::Github {
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
        let facts = self.known().facts.clone();
        let run = json::Run {
            verb,
            exit_code: exit.code(),
            error,
            problems,
            refusals: &[],
            violations: &[],
            plan: None,
            report: None,
            facts: Some(&facts),
        };
        self.write_all(exit, "", &run)
    }

    fn write_all(&self, exit: Exit, text: &str, run: &json::Run<'_>) -> Exit {
        let metrics =
            |exit: Exit, file: Option<&Path>| metrics::of_run(run, exit, &self.known(), file);
        to_stdout(&match self.format {
            Format::Prometheus => metrics(exit, None),
            format => formatted(format, text, run),
        });
        let mut exit = exit;
        let mut written = |path: &Path, result: io::Result<()>| {
            let result =
                result.with_context(|| format!("cannot write the report `{}`", path.display()));
            if let Err(error) = result {
                complain(&format!("{error:#}"), None);
                exit = Exit::first_of(&[exit, Exit::Failed]);
            }
        };
        let last = |(format, _): &&(Format, PathBuf)| *format == Format::Prometheus;
        for (format, path) in self.reports.iter().filter(|report| !last(report)) {
            let content = formatted(*format, text, run);
            let content = anstream::adapter::strip_str(&content).to_string();
            written(path, std::fs::write(path, content));
        }
        if self.format == Format::Github {
            // Both files may hold what earlier commands of the same step wrote.
            for (path, content) in [
                (&self.github.summary, render::markdown::comment(run)),
                (&self.github.output, render::github::outputs(run)),
            ] {
                if let Some(path) = path {
                    written(path, append(path, &content));
                }
            }
        }
        // Last, because they hold the exit code.
        for (_, path) in self.reports.iter().filter(last) {
            let text = metrics(exit, Some(path));
            if let Err(error) = metrics::exchange(path, &text) {
                complain(
                    &format!("cannot write the report `{}`: {error}", path.display()),
                    None,
                );
                exit = Exit::first_of(&[exit, Exit::Failed]);
            }
        }
        let message = render::notification::message(run, exit.code());
        self.learn(|known| known.message = Some(message));
        exit
    }
}

/// The files that GitHub Actions gives a step.
struct GithubFiles {
    summary: Option<PathBuf>,
    output: Option<PathBuf>,
}

impl GithubFiles {
    fn of_environment() -> Self {
        let file = |name| std::env::var_os(name).filter(|path| !path.is_empty());
        Self {
            summary: file("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            output: file("GITHUB_OUTPUT").map(PathBuf::from),
        }
    }
}

fn append(path: &Path, content: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    file.write_all(content.as_bytes())
}

/// A run in a format. `text` is what the verb says in words.
fn formatted(format: Format, text: &str, run: &json::Run<'_>) -> String {
    match format {
        Format::Text => text.to_owned(),
        Format::Json => powerless_json(json::document(run)),
        Format::Markdown => render::markdown::comment(run),
        // The log has both: words to read and lines that become annotations.
        Format::Github => text.to_owned() + &render::github::annotations(run),
        Format::Sarif => powerless_json(render::sarif::document(run)),
        Format::Html => render::html::page(run, &known_service),
        // Made where it is written, since it holds what the last run left behind.
        Format::Prometheus => String::new(),
    }
}

/// The name of the built-in service that a key is, or belongs to where the service has one key for each family.
fn known_service(key: Key) -> Option<&'static str> {
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
    if let Some(shard) = planned.scope.shard {
        let all = render::count(planned.scope.declared, "instance");
        text.push_str(&render::text::part(shard, &all));
    }
    text.push_str(&render::text::violations(&planned.findings.violations));
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
