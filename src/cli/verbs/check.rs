//! `check`: checks the configuration and its policies without the service.
//!
//! Owns the verb. Policies that depend on tags or groups are decided with an inventory, and named as undecided without one.
//! Does not connect to anything.

use std::path::{Path, PathBuf};

use clap::Args;
use time::OffsetDateTime;

use crate::cli::args::ConfigArgs;
use crate::cli::documents::{self, KnownInstances, additive_firewall};
use crate::cli::error::{RunError, problems};
use crate::cli::exit::Exit;
use crate::cli::present::show;
use crate::cli::run::Run;
use crate::cli::session;
use crate::cli::streams::{is_quiet, note, report_problem, wrap_to_stdout};
use crate::config::Config;
use crate::exposure::Effective;
use crate::model::{
    Code, Desired, InstanceId, Missing, Mode, Note, PolicySeverity, Undeclared, Unreadable,
};
use crate::policy::{self, Findings};
use crate::render::json::Problem;
use crate::render::{self, schema, text};

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Also decide what depends on instances (groups, tags, `expect`), on this inventory file
    #[arg(long, value_name = "FILE", env = "PORTWARD_INVENTORY")]
    inventory: Option<PathBuf>,
    /// Also print the first line for a configuration that makes editors with taplo check and complete it
    #[arg(long)]
    schema_hint: bool,
}

pub(super) fn run(args: &CheckArgs, run: &mut Run) -> Result<Exit, RunError> {
    let (text, mut exits) = check(args, run)?;
    let mut violations = run.findings.violations.iter();
    if violations.any(|violation| violation.severity == PolicySeverity::Deny) {
        exits.push(Exit::Refused);
    }
    Ok(show(run, Exit::highest(&exits), &text))
}

/// The text, and the exits besides that of a broken policy.
fn check(args: &CheckArgs, run: &mut Run) -> Result<(String, Vec<Exit>), RunError> {
    let config = session::load(&args.config.config, run)?;
    let as_of = args.config.as_of();
    let summary = config.summary();
    let mut text = String::new();
    let notes = |text: &mut String, notes: &[Note]| {
        if !is_quiet() {
            text::notes(text, "", notes);
        }
    };
    if !is_quiet() {
        text = format!(
            "{}: valid; {}, {}, {}\n",
            render::sanitize(&args.config.config.to_string_lossy()),
            render::count(summary.rules, "rule"),
            render::count(summary.groups, "group"),
            render::count(summary.instances, "instance table"),
        );
    }
    let mut problems = problems(config.warnings());
    let mut exits = Vec::new();
    let declared = policy::check_declared_tables(&config.declared(as_of), &config.policies());
    let findings = match &args.inventory {
        None => {
            notes(&mut text, &config.expiring(as_of));
            if !declared.undecided.is_empty() {
                note(&undecided_note(&declared.undecided));
            }
            declared
        }
        Some(path) => {
            let resolved = ResolvedInventory::read(path, &config, as_of)?;
            for (site, Unreadable { reason, hint, .. }) in &resolved.known.unlisted {
                let message = format!(
                    "cannot list the instances of `{site}` in the inventory `{}`: {reason}",
                    path.display()
                );
                problems.push(report_problem(Code::Undecided, message, hint.clone()));
            }
            for (id, Unreadable { reason, hint, .. }) in &resolved.desired.undecided {
                let message = format!("what is declared for `{id}` is undecided: {reason}");
                problems.push(report_problem(Code::Undecided, message, hint.clone()));
            }
            exits.extend(resolved.exits());
            problems.extend(resolved.problems());
            text.push_str(&resolved.text(path));
            notes(&mut text, &config.expiring(as_of));
            notes(&mut text, &resolved.desired.notes);
            resolved.findings(declared)
        }
    };
    notes(&mut text, &findings.unused_waivers);
    text.push_str(&text::violations(&findings.violations));
    let mut text = wrap_to_stdout(&text);
    if args.schema_hint {
        text.push_str(schema::LINE);
        text.push('\n');
    }
    run.problems = problems;
    run.findings = findings;
    Ok((text, exits))
}

fn undecided_note(ids: &[String]) -> String {
    let policies = match ids.len() {
        1 => "1 policy".to_owned(),
        n => format!("{n} policies"),
    };
    format!(
        "{policies} could not be decided without an inventory: `{}`",
        ids.join("`, `")
    )
}

/// The configuration, resolved for the instances of an inventory.
struct ResolvedInventory {
    desired: Desired,
    known: KnownInstances,
}

impl ResolvedInventory {
    fn read(path: &Path, config: &Config, as_of: OffsetDateTime) -> Result<Self, RunError> {
        let inventory = documents::inventory(path)?;
        let known = KnownInstances::from_inventory(&inventory, config);
        let desired = config.resolve_listed(&known.instances, &known.listing(), as_of)?;
        Ok(Self { desired, known })
    }

    fn exits(&self) -> impl Iterator<Item = Exit> {
        let missing = (!self.desired.missing.is_empty()).then_some(Exit::Failed);
        let unlisted = (!self.known.unlisted.is_empty()).then_some(Exit::Incomplete);
        missing.into_iter().chain(unlisted)
    }

    /// The findings of the policies on the instances, and on tables without an instance.
    fn findings(&self, declared: Findings) -> Findings {
        let live = |id: &InstanceId| {
            let wanted = self.desired.instances.get(id)?;
            if wanted.mode != Mode::Additive {
                return Some(Effective::default());
            }
            let (instance, live) = (self.known.instances.get(id)?, self.known.rules.get(id)?);
            let firewall = additive_firewall(instance, wanted, live.as_ref().ok()?);
            Some(firewall.reach.certain)
        };
        let mut findings = policy::check_declared_rules(&self.desired, &self.known.instances, live);
        let is_reported = |table: &policy::Violation| {
            let mut all = findings.violations.iter();
            all.any(|one| {
                let shared = one.lines.iter().any(|line| table.lines.contains(line));
                one.policy == table.policy
                    && one.kind == table.kind
                    && (shared || table.lines.is_empty())
            })
        };
        let mut others = declared.violations;
        others.retain(|violation| !is_reported(violation));
        findings.violations.append(&mut others);
        findings
    }

    fn text(&self, path: &Path) -> String {
        let Desired {
            instances,
            missing,
            undeclared,
            ..
        } = &self.desired;
        let mut text = format!(
            "{}: {}, {} declared\n",
            render::sanitize(&path.to_string_lossy()),
            render::count(self.known.instances.len(), "instance"),
            instances.len()
        );
        text::missing(&mut text, missing);
        text::undeclared(&mut text, undeclared);
        text
    }

    /// The missing and the undeclared instances, for the formats without text.
    fn problems(&self) -> impl Iterator<Item = Problem> {
        let missing = |Missing { name, origin, hint }: &Missing| Problem {
            file: Some(origin.file.to_string()),
            line: Some(origin.line),
            column: Some(origin.column),
            ..Problem::error(
                Code::MissingInstance,
                format!("`{name}` is declared and does not exist"),
                hint.as_ref().map(|hint| format!("did you mean `{hint}`?")),
            )
        };
        let undeclared = |Undeclared { id }: &Undeclared| {
            let message = format!("`{id}` is not in the configuration");
            Problem::warning(Code::InventoryMismatch, message)
        };
        let missing = self.desired.missing.iter().map(missing);
        missing.chain(self.desired.undeclared.iter().map(undeclared))
    }
}
