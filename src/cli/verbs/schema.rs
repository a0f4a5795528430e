//! `schema`: prints the JSON Schema of a document.
//!
//! Owns the verb. Does not define the schemas; `render` does.

use clap::{Args, ValueEnum};

use crate::cli::exit::Exit;
use crate::cli::streams::write_stdout;
use crate::render::schema;

#[derive(Args, Debug)]
pub(super) struct SchemaArgs {
    /// Of which document
    #[arg(value_enum)]
    document: Document,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Document {
    /// A configuration, for editors that check and complete TOML
    Config,
    /// A plan file, as `plan --out` writes it
    Plan,
    /// A report, as `--format json` and `--report json=FILE` write it
    Report,
    /// The output of `diff --format json`
    Diff,
    /// The output of `explain --format json`
    Explain,
    /// The output of `grants --format json`
    Grants,
}

pub(super) fn run(args: &SchemaArgs) -> Exit {
    write_stdout(match args.document {
        Document::Config => schema::CONFIG,
        Document::Plan => schema::PLAN,
        Document::Report => schema::REPORT,
        Document::Diff => schema::DIFF,
        Document::Explain => schema::EXPLAIN,
        Document::Grants => schema::GRANTS,
    })
}
