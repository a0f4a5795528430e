//! `completions` and `man`: the command line for shells and manuals.
//!
//! Owns the two verbs. Both are generated from the definition of the arguments, so they cannot differ from it.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man;

use super::command;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::streams::write_stdout;
use crate::model::Code;

#[derive(Args, Debug)]
pub(super) struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Args, Debug)]
pub(super) struct ManArgs {
    /// The page of this verb instead of the one about all
    verb: Option<String>,
    /// Write every page into this folder, as portward.1, portward-plan.1 and so on
    #[arg(long, value_name = "FOLDER", conflicts_with = "verb")]
    out: Option<PathBuf>,
}

/// Prints the script that completes a command line.
pub(super) fn completions(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "portward", &mut script);
    write_stdout(&String::from_utf8_lossy(&script))
}

/// Prints a page, or writes all of them.
pub(super) fn man(args: &ManArgs) -> Result<Exit, CommandError> {
    match &args.out {
        None => page(args.verb.as_deref()).map(|page| write_stdout(&page)),
        Some(folder) => fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(command(), folder))
            .map(|()| Exit::Done)
            .map_err(|error| CommandError::file("write the pages into", folder.display(), error)),
    }
}

/// The page of a verb, or of all, as roff.
fn page(verb: Option<&str>) -> Result<String, CommandError> {
    let mut whole = command();
    whole.build();
    let command = match verb {
        None => whole,
        Some(name) => {
            let found = whole.find_subcommand(name).cloned();
            found.ok_or_else(|| {
                CommandError::usage(
                    format!("there is no verb `{name}`"),
                    "`portward --help` lists them",
                )
            })?
        }
    };
    let mut page = Vec::new();
    Man::new(command).render(&mut page).map_err(|error| {
        CommandError::failed(format!("internal error: cannot make the page: {error}"))
            .with_code(Code::Internal)
    })?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_man_page() {
        let verbs: Vec<String> = command()
            .get_subcommands()
            .map(|verb| verb.get_name().to_owned())
            .collect();
        assert!(verbs.iter().any(|verb| verb == "plan"), "{verbs:?}");
        for verb in verbs {
            let page = page(Some(&verb)).unwrap_or_else(|cannot| panic!("{}", cannot.message));
            assert!(
                page.contains(&format!(".TH portward\\-{verb}"))
                    || page.contains(&format!(".TH portward-{verb}")),
                "{page}"
            );
        }
        assert!(page(None).is_ok_and(|page| page.contains("Exit codes")));
        assert_eq!(page(Some("none")).map_err(|it| it.exit), Err(Exit::Usage));
    }

    #[test]
    fn completions_of_every_shell_have_every_verb() {
        for shell in [
            Shell::Bash,
            Shell::Zsh,
            Shell::Fish,
            Shell::Elvish,
            Shell::PowerShell,
        ] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command(), "portward", &mut script);
            let script = String::from_utf8_lossy(&script);
            for verb in command().get_subcommands() {
                assert!(script.contains(verb.get_name()), "{shell}");
            }
        }
    }
}
