//! The output of a run: on stdout, in reports, and for GitHub Actions.
//!
//! **Owns** the agreement of all forms, including the final exit status, and that reports are written for every outcome.
//! **Does not** decide the answer.

mod document;
mod text;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::ValueEnum as _;

use super::args::Format;
use super::error::{CommandError, RunError};
use super::exit::Exit;
use super::output::write_report;
use super::run::Run;
use super::session::Planned;
use super::streams::{self, write_error, write_stdout};
use crate::model::sanitize_json;
use crate::render;

pub(super) use document::known_service;
pub(super) use text::{guarded_text, plan_text};

/// Shows a run with an answer, and writes the reports. `text` is its text form.
pub(super) fn show(run: &mut Run, exit: Exit, text: &str) -> Exit {
    let output = Rc::clone(&run.output);
    run.exit = exit;
    // The reports say how the run really ends.
    run.add_exit(write_stdout(&document::render_run(
        run,
        output.format,
        None,
        text,
    )));
    let metrics = |(format, _): &&(Format, PathBuf)| *format == Format::Prometheus;
    let mut files = Vec::new();
    for (format, path) in output.reports.iter().filter(|report| !metrics(report)) {
        let content = document::render_run(run, *format, Some(path), text);
        files.push(write_report(path, &content));
    }
    if output.format == Format::Github {
        let outputs = render::github::outputs(&run.view());
        let summary = document::render_run(run, Format::Markdown, None, text);
        files.push(output.write_github(&summary, &outputs));
    }
    run.add_exit(Exit::highest(&files));
    // Last, because they hold the exit code.
    for (format, path) in output.reports.iter().filter(metrics) {
        let content = document::render_run(run, *format, Some(path), text);
        run.add_exit(write_report(path, &content));
    }
    let message = render::notification::message(&run.view(), run.exit.code());
    run.notification = Some(message);
    run.exit
}

/// Shows a plan that was not applied, with its exit status.
pub(super) fn show_plan(run: &mut Run, planned: Planned, differs: bool, text: &str) -> Exit {
    let mut exits = Exit::of_plan(&planned.plan);
    if differs {
        exits.push(Exit::Differs);
    }
    if run.is_refused() {
        exits.push(Exit::Refused);
    }
    run.plan = Some(planned.plan);
    run.cost = Some(planned.cost);
    show(run, Exit::highest(&exits), text)
}

/// Prints the error of a verb, and writes the reports.
pub(super) fn fail(run: &mut Run, error: impl Into<RunError>) -> Exit {
    let error = error.into();
    match &error {
        RunError::Invalid(diagnostics) => {
            streams::write_diagnostics(&diagnostics.render(true));
        }
        RunError::Command(error) => write_error(error.code, &error.message, error.hint.as_deref()),
    }
    run.fail(&error);
    show(run, run.exit, "")
}

/// Shows an answer that is a document of its own, and writes the reports. `content` gives it in a format, for a file
/// where it goes to one, or nothing where there is no such form of it; `outputs` are what a job of GitHub Actions gets
/// to know.
pub(super) fn show_answer(
    run: &mut Run,
    exit: Exit,
    outputs: &str,
    content: &dyn Fn(Format, Option<&Path>) -> Option<String>,
) -> Result<Exit, RunError> {
    run.exit = exit;
    let output = Rc::clone(&run.output);
    let notes = &run.metadata.environment;
    let content = |format, file: Option<&Path>| {
        let text = document::with_notes(format, file.is_some(), content(format, file)?, notes);
        Some(match format {
            Format::Json => sanitize_json(text),
            _ => text,
        })
    };
    let reports = output.reports.iter();
    let reports = reports.map(|(format, path)| (*format, Some(path.as_path())));
    let mut texts = Vec::new();
    for (format, file) in reports.chain([(output.format, None)]) {
        let Some(text) = content(format, file) else {
            let formats = Format::value_variants().iter().copied();
            let known = formats.filter(|format| content(*format, None).is_some());
            let known: Vec<String> = known.map(Format::name).collect();
            let message = format!("`{}` has no format `{}`", run.verb, format.name());
            let hint = format!("it has {}", known.join(", "));
            return Err(CommandError::usage(message, hint).into());
        };
        texts.push(text);
    }
    let mut exits = vec![write_stdout(&texts.pop().unwrap_or_default())];
    for ((_, path), text) in output.reports.iter().zip(&texts) {
        exits.push(write_report(path, text));
    }
    if output.format == Format::Github {
        let summary = content(Format::Markdown, None).unwrap_or_default();
        exits.push(output.write_github(&summary, outputs));
    }
    run.add_exit(Exit::highest(&exits));
    Ok(run.exit)
}
