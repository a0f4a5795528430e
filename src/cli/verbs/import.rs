//! `import`: prints a configuration that declares the live rules.
//!
//! Owns the verb. Does not write to the service, and does not declare rules that it could not read.

use clap::Args;

use super::inventory::SurveyArgs;
use crate::cli::error::RunError;
use crate::cli::exit::Exit;
use crate::cli::run::Run;
use crate::cli::streams::write_status;
use crate::config::{self, ImportedConfig};
use crate::model::{Code, Live, LiveFirewall};
use crate::render::json::Problem;
use crate::render::{count, schema};

#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    survey: SurveyArgs,
}

pub(super) async fn run(args: &ImportArgs, run: &mut Run) -> Result<Exit, RunError> {
    let survey = args.survey.read(run).await?;
    let mut problems = survey.report_problems();
    let mut exits = vec![survey.exit()];
    let regions = survey.regions;
    let read = |rules: Result<Vec<_>, _>| rules.map(|entries| LiveFirewall::read(&entries));
    let live = Live {
        instances: survey.instances,
        firewalls: survey
            .rules
            .into_iter()
            .map(|(id, rules)| (id, read(rules)))
            .collect(),
        sites_unreadable: survey.sites_unreadable,
    };
    let ImportedConfig {
        mut text,
        left_out,
        differs,
    } = config::import(&live, &regions);
    text.push_str(&config::accounts(&survey.accounts));
    let redundant = redundant_rules(&text);
    if redundant > 0 {
        let remark = format!(
            "# {} that open{} nothing {} kept, as live has {}: `portward check` names each.\n",
            count(redundant, "rule"),
            if redundant == 1 { "s" } else { "" },
            if redundant == 1 { "is" } else { "are" },
            if redundant == 1 { "it" } else { "them" },
        );
        let end_of_first_line = text.find('\n').map_or(0, |at| at + 1);
        text.insert_str(end_of_first_line, &remark);
    }
    text.insert_str(0, &format!("{}\n", schema::LINE));
    // What `plan` would say of it: there are rules that nobody can be sure of.
    let doubtful = |live: &LiveFirewall| !live.uncertain().is_empty() || !live.unknown().is_empty();
    if live.firewalls.values().flatten().any(doubtful) {
        exits.push(Exit::Incomplete);
    }
    if differs {
        exits.push(Exit::Differs);
    }
    for entry in left_out {
        let message = format!("not written: {entry}");
        write_status(&message);
        problems.push(Problem::warning(Code::NoSafeWay, message));
    }
    args.survey
        .write(run, &text, problems, Exit::highest(&exits))
}

/// The number of rules that `check` reports as redundant.
fn redundant_rules(text: &str) -> usize {
    let source = config::Source::new("firewall.toml", text.to_owned());
    let Ok(config) = config::parse(vec![source]) else {
        return 0;
    };
    let is_redundant = |warning: &&config::Diagnostic| warning.code == Code::Redundant;
    config.warnings().iter().filter(is_redundant).count()
}
