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
    document: SchemaName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchemaName {
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
        SchemaName::Config => schema::CONFIG,
        SchemaName::Plan => schema::PLAN,
        SchemaName::Report => schema::REPORT,
        SchemaName::Diff => schema::DIFF,
        SchemaName::Explain => schema::EXPLAIN,
        SchemaName::Grants => schema::GRANTS,
    })
}
