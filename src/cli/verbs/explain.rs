//! `explain`: whether a source has access, live and as declared, and by which rule; on one instance or on all.
//!
//! Owns the verb. Does not write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clap::Args;

use crate::cli::args::{ConfigArgs, ConnectionArgs, FleetArgs, Format, InventoryFileArgs};
use crate::cli::connection::{AccessMode, Connection, Snapshot};
use crate::cli::documents::{additive_firewall, names};
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::present::show_answer;
use crate::cli::run::Run;
use crate::cli::session;
use crate::cli::signals::interruptible;
use crate::cli::streams::{note, wrap_to_stdout, write_error};
use crate::config::Config;
use crate::exposure::{Access, DocumentFirewall, Effective};
use crate::model::{
    Code, DesiredInstance, Family, InstanceId, Key, Live, LiveFirewall, Mode, Sources, Unreadable,
};
use crate::plan::{PlanOptions, plan_instance};
use crate::render::explanation::{self, Answers, Explanation, fleet};
use crate::render::{self, Names};

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// Instance: NAME, REGION/NAME or ACCOUNT/REGION/NAME; without one, every instance that exists
    instance: Option<String>,
    /// Source: an address, a network, a set of the configuration, or lightsail-connect
    #[arg(long, value_name = "SOURCE")]
    from: Option<String>,
    /// Service such as ssh, or port such as tcp/22
    #[arg(long, value_name = "SERVICE")]
    to: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    snapshot: InventoryFileArgs,
}

pub(super) async fn run(args: &ExplainArgs, run: &mut Run) -> Result<Exit, RunError> {
    let answer = interruptible(explain(args, run)).await?;
    let exit = answer.exit;
    let outputs = format!("exit-code={}\n", exit.code());
    show_answer(run, exit, &outputs, &|format, _| match format {
        Format::Text | Format::Github => Some(answer.text.clone()),
        Format::Json => Some(answer.json.clone()),
        Format::Markdown => Some(answer.markdown.clone()),
        Format::Sarif | Format::Codequality | Format::Html | Format::Prometheus => None,
    })
}

struct ExplainResult {
    text: String,
    json: String,
    markdown: String,
    exit: Exit,
}

async fn explain(args: &ExplainArgs, run: &mut Run) -> Result<ExplainResult, RunError> {
    let config = session::load(&args.config.config, run)?;
    let question = Question::parse(args, &config)?;
    let sites = session::sites(&args.connection, Some(&config)).await?;
    let snapshot = args.snapshot.inventory.as_deref().map(Snapshot::read);
    let connection = Connection::connect(
        &args.connection,
        snapshot,
        AccessMode::Read,
        &sites,
        config.accounts(),
    )
    .await?;
    let others = session::other_sites(&args.connection, &config, &sites).await;
    let all = session::discover(connection.reader(), &[&sites[..], &others].concat()).await;
    let mut live = all.clone();
    live.instances.retain(|id, _| sites.contains(&id.site()));
    live.sites_unreadable.retain(|site, _| sites.contains(site));
    let ids = requested_instances(args, &live);
    let rules = match &ids {
        Ok(ids) => {
            let reader = connection.reader();
            session::read_rules(reader, ids.iter().copied(), args.fleet.concurrency).await
        }
        Err(_) => BTreeMap::new(),
    };
    connection.close().await;
    let ids = ids?;
    let listing = session::listing(&sites, &others, &all);
    let undecided = |id: &InstanceId| config.ambiguity(id, &listing);
    if args.instance.is_some()
        && let Some((id, cause)) = ids.iter().find_map(|id| Some((id, undecided(id)?)))
    {
        let message = format!("what is declared for `{id}` is undecided: {cause}");
        let cannot = CommandError::new(Exit::Incomplete, message).with_optional_hint(cause.hint);
        return Err(cannot.into());
    }
    // How many instances there are is not the question here, so no region counts as listed.
    let desired = config.resolve(&all.instances, &BTreeSet::new(), args.config.as_of())?;
    let names = names(Some(&config));
    let explain = |id| {
        let wanted = match undecided(id) {
            Some(cause) => Err(cause),
            None => Ok(desired.instances.get(id)),
        };
        question.explain(id, &live, rules.get(id), wanted, &names)
    };
    let explanations: Vec<Explanation<'_>> = ids.into_iter().map(explain).collect();
    let unlisted = match args.instance.as_deref() {
        // Another of that name may be where nobody could look.
        Some(name) => session::sites_that_may_hold(name, &live)
            .into_iter()
            .map(|(site, cause)| (site.clone(), cause.clone()))
            .collect(),
        None => live.sites_unreadable.clone(),
    };
    let answers = Answers {
        from: question.source,
        to: question.port.as_deref(),
        all: &explanations,
        unlisted: &unlisted,
    };
    Ok(render_answers(args, &answers))
}

/// The instances of the question.
fn requested_instances<'a>(
    args: &ExplainArgs,
    live: &'a Live,
) -> Result<Vec<&'a InstanceId>, CommandError> {
    let patterns = session::patterns(&args.fleet.target)?;
    if let Some(name) = &args.instance {
        let id = session::find(name, live)?;
        if !session::selects_any(&patterns, id) {
            let targets = args.fleet.target.join(",");
            return Err(CommandError::usage(
                format!("`{name}` is not among the instances that `--target {targets}` names"),
                "leave out one of them",
            ));
        }
        return Ok(vec![id]);
    }
    for pattern in &patterns {
        let mut ids = live.instances.keys();
        // What it names may be where nobody could look.
        if live.sites_unreadable.is_empty() && !ids.any(|id| session::selects(pattern, id)) {
            let hint = session::suggestion(pattern.as_str(), live.instances.keys());
            let message = format!(
                "`--target {pattern}` names no instance in the regions that were looked at"
            );
            return Err(CommandError::failed(message)
                .with_code(Code::NotFound)
                .with_optional_hint(hint));
        }
    }
    let ids = live.instances.keys();
    Ok(ids
        .filter(|id| session::selects_any(&patterns, id))
        .collect())
}

/// The answer in each form. Unreadable instances are also printed on stderr.
fn render_answers(args: &ExplainArgs, answers: &Answers<'_>) -> ExplainResult {
    let unread = answers
        .all
        .iter()
        .filter_map(|one| Some((one.id, one.live.as_ref().err()?)));
    let unread: Vec<(&InstanceId, &Unreadable)> = unread.collect();
    match unread[..] {
        [] => {}
        [(id, cause)] => {
            let message = format!("`{id}` could not be read: {cause}");
            write_error(Code::Unreadable, &message, cause.hint.as_deref());
        }
        _ => {
            let instances = render::count(unread.len(), "instance");
            let message = format!("{instances} could not be read; the answer says why");
            write_error(Code::Unreadable, &message, None);
        }
    }
    for (site, cause) in answers.unlisted {
        let message = format!("cannot list the instances of `{site}`: {cause}");
        write_error(Code::Unreadable, &message, cause.hint.as_deref());
    }
    let is_decided = answers.all.iter().all(|one| one.undecided.is_none());
    let is_whole = is_decided && unread.is_empty() && answers.unlisted.is_empty();
    let (text, markdown) = match (&args.instance, answers.all) {
        (Some(_), [one]) => (explanation::text(one), render::markdown::explanation(one)),
        _ => (
            fleet::text(answers),
            render::markdown::explanations(answers),
        ),
    };
    ExplainResult {
        text: wrap_to_stdout(&text),
        json: explanation::json(answers),
        markdown,
        exit: if is_whole {
            Exit::Done
        } else {
            Exit::Incomplete
        },
    }
}

struct Question<'a> {
    /// The text of `--from`.
    source: Option<&'a str>,
    /// The ports of `--to`.
    port: Option<String>,
    to: Vec<Key>,
    /// `None` is everyone.
    from: Option<Sources>,
}

impl<'a> Question<'a> {
    fn parse(args: &'a ExplainArgs, config: &Config) -> Result<Self, CommandError> {
        let port = args.to.as_ref().map(|text| match text.parse::<u16>() {
            Ok(port) => {
                note(&format!("`--to {port}` is taken as `--to tcp/{port}`"));
                format!("tcp/{port}")
            }
            Err(_) => text.clone(),
        });
        let to = match &port {
            None => vec![Key::ALL],
            Some(text) => config.keys_of(text).ok_or_else(|| {
                CommandError::usage(
                    format!("`--to {text}` is neither a service nor a port"),
                    "write it as `allow` would have it: ssh, tcp/443, udp/7000-7010, icmp/8",
                )
            })?,
        };
        let from = match &args.from {
        None => None,
        Some(text) => Some(config.sources_of(text).ok_or_else(|| {
            CommandError::usage(
                format!("`--from {text}` is neither an address nor a set"),
                "write it as `from` would have it: 203.0.113.7, 203.0.113.0/24, or the name of a set",
            )
        })?),
    };
        Ok(Self {
            source: args.from.as_deref(),
            port,
            to,
            from,
        })
    }

    /// The answer on an instance.
    fn explain(
        &'a self,
        id: &'a InstanceId,
        seen: &Live,
        rules: Option<&Result<LiveFirewall, Unreadable>>,
        wanted: Result<Option<&Arc<DesiredInstance>>, Unreadable>,
        names: &'a Names,
    ) -> Explanation<'a> {
        let (wanted, undecided) = match wanted {
            Ok(wanted) => (wanted, None),
            Err(cause) => (None, Some(cause)),
        };
        let unread = Unreadable::new("its rules were not read");
        let live = rules.map_or(Err(&unread), Result::as_ref);
        let instance = seen.instances.get(id);
        let family = instance.map_or_else(Family::default, |i| i.address_type.client_family());
        let desired = wanted.map(|wanted| {
            if wanted.mode == Mode::Additive
                && let (Some(instance), Ok(live)) = (instance, live)
            {
                return additive_firewall(instance, wanted, live);
            }
            DocumentFirewall::of_rules(&wanted.rules, family)
        });
        let still_open = match (wanted, instance, live) {
            (Some(wanted), Some(instance), Ok(live)) => {
                plan_instance(instance, wanted, live, PlanOptions::default()).still_open
            }
            _ => Vec::new(),
        };
        Explanation {
            id,
            from: self.source,
            to: self.port.as_deref(),
            asked: self.access(live.ok(), desired.as_ref(), family),
            live: live
                .map(|live| DocumentFirewall::of_live(live, family))
                .map_err(Clone::clone),
            desired,
            undecided,
            still_open,
            mode: wanted.map(|wanted| wanted.mode),
            names,
        }
    }

    /// The packets of the question. `everyone` includes every alias in the live and in the declared rules.
    fn access(
        &self,
        live: Option<&LiveFirewall>,
        desired: Option<&DocumentFirewall>,
        family: Family,
    ) -> Effective {
        let sources = self.from.clone().unwrap_or_else(|| {
            let mut everyone = Access::everyone().to_sources(family);
            let live = live.into_iter().flat_map(|live| live.firewall().iter());
            let live = live.map(|(_, sources)| sources);
            let declared = desired.into_iter().flat_map(|side| &side.rules);
            for sources in live.chain(declared.map(|rule| &rule.sources)) {
                sources
                    .aliases()
                    .iter()
                    .for_each(|alias| everyone.insert_alias(alias));
            }
            everyone
        });
        Effective::of_rules(self.to.iter().map(|key| (key, &sources)), family)
    }
}
