//! `explain`: whether somebody gets in, live and as declared, and because of which rule.
//!
//! Owns the verb. Does not write.

use std::collections::BTreeMap;

use clap::Args;

use crate::cli::args::{ConfigArgs, ConnectionArgs, Format, InventoryFileArgs};
use crate::cli::connection::{AccessMode, Connection, Snapshot};
use crate::cli::documents::{additive, names};
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::cli::present::show_answer;
use crate::cli::run::Run;
use crate::cli::session;
use crate::cli::signals::interruptible;
use crate::cli::streams::{complain, fit, say};
use crate::config::Config;
use crate::exposure::{Access, Effective, Side};
use crate::model::{Code, Family, Key, LiveFirewall, Mode, Sources, Unreadable};
use crate::plan::{Options, plan_instance};
use crate::render;
use crate::render::explanation::{self, Explanation};

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// Which instance: NAME, REGION/NAME or ACCOUNT/REGION/NAME
    instance: String,
    /// Who: an address, a network, a set of the configuration, or lightsail-connect
    #[arg(long, value_name = "WHO")]
    from: Option<String>,
    /// What: a service such as ssh, or tcp/22
    #[arg(long, value_name = "WHAT")]
    to: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    snapshot: InventoryFileArgs,
}

pub(super) async fn run(
    args: &ExplainArgs,
    run: &mut Run,
    output: &Output,
) -> Result<Exit, RunError> {
    let answer = interruptible(explain(args, run)).await?;
    answer.show(run, output)
}

struct Answer {
    text: String,
    json: String,
    markdown: String,
    exit: Exit,
}

impl Answer {
    fn show(&self, run: &mut Run, output: &Output) -> Result<Exit, RunError> {
        let outputs = format!("exit-code={}\n", self.exit.code());
        show_answer(
            output,
            run,
            self.exit,
            &outputs,
            &|format, _| match format {
                Format::Text | Format::Github => Some(self.text.clone()),
                Format::Json => Some(self.json.clone()),
                Format::Markdown => Some(self.markdown.clone()),
                Format::Sarif | Format::Html | Format::Prometheus => None,
            },
        )
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one question, asked and answered in order"
)]
async fn explain(args: &ExplainArgs, run: &mut Run) -> Result<Answer, RunError> {
    let config = session::load(&args.config, run)?;
    let (to, from) = question(args, &config)?;
    let sites = session::sites(&args.connection, &config).await?;
    let snapshot = args.snapshot.inventory.as_deref().map(Snapshot::read);
    let connection = Connection::connect(
        &args.connection,
        snapshot,
        AccessMode::Read,
        &sites,
        config.accounts(),
    )
    .await?;
    let beside = session::beside(&args.connection, &config, &sites).await;
    let all = session::discover(connection.reader(), &[&sites[..], &beside].concat()).await;
    let mut seen = all.clone();
    seen.instances.retain(|id, _| sites.contains(&id.site()));
    seen.sites_unreadable.retain(|site, _| sites.contains(site));
    let found = session::find(&args.instance, &seen);
    let rules = match &found {
        Ok(id) => {
            let ids = std::iter::once(*id);
            session::read_rules(connection.reader(), ids, 1).await
        }
        Err(_) => BTreeMap::new(),
    };
    connection.close().await;
    let id = found?;
    let listing = session::listing(&sites, &beside, &all);
    if let Some(Unreadable { reason, hint }) = config.ambiguous(id, &listing) {
        let message = format!("what is declared for `{id}` is undecided: {reason}");
        return Err(CommandError::new(Exit::Incomplete, message)
            .with_hint(hint)
            .into());
    }
    let unread = Unreadable {
        reason: "its rules were not read".to_owned(),
        hint: None,
    };
    let live = rules.get(id).map_or(Err(&unread), Result::as_ref);
    let as_of = args
        .config
        .as_of
        .unwrap_or_else(time::OffsetDateTime::now_utc);
    // How many instances there are is not the question here, so no region counts as listed.
    let desired = config.resolve(&all.instances, &std::collections::BTreeSet::new(), as_of)?;
    let wanted = desired.instances.get(id);
    let instance = seen.instances.get(id);
    let family = instance.map_or_else(Family::default, |i| i.address_type.client_family());
    let desired = wanted.map(|wanted| {
        if wanted.mode == Mode::Additive
            && let (Some(instance), Ok(live)) = (instance, live)
        {
            return additive(instance, wanted, live);
        }
        Side::of_rules(&wanted.rules, family)
    });
    let still_open = match (wanted, instance, live) {
        (Some(wanted), Some(instance), Ok(live)) => {
            plan_instance(instance, wanted, live, Options::default()).still_open
        }
        _ => Vec::new(),
    };
    let side = live.map(|live| Side::of_live(live, family));
    let asked = asked(&to, from.as_ref(), live.ok(), desired.as_ref(), family);
    let names = names(Some(&config));
    let explanation = Explanation {
        id,
        from: args.from.as_deref(),
        to: args.to.as_deref(),
        asked: &asked,
        live: side.as_ref().map_err(|why| *why),
        desired: desired.as_ref(),
        still_open: &still_open,
        mode: wanted.map(|wanted| wanted.mode),
        names: &names,
    };
    if let Err(why) = live {
        complain(
            Code::Unreadable,
            &format!("`{id}` could not be read: {why}"),
            why.hint.as_deref(),
        );
    }
    // Another of that name may be where nobody could look.
    let unseen = session::unseen(&args.instance, &seen);
    for (site, why) in &unseen {
        complain(
            Code::Unreadable,
            &format!("cannot list the instances of `{site}`: {why}"),
            why.hint.as_deref(),
        );
    }
    Ok(Answer {
        text: fit(&explanation::text(&explanation)),
        json: explanation::json(&explanation),
        markdown: render::markdown::explanation(&explanation),
        exit: if live.is_err() || !unseen.is_empty() {
            Exit::Incomplete
        } else {
            Exit::Done
        },
    })
}

/// The keys and the sources that are asked for; no sources are everyone.
fn question(
    args: &ExplainArgs,
    config: &Config,
) -> Result<(Vec<Key>, Option<Sources>), CommandError> {
    let to = match &args.to {
        None => vec![Key::ALL],
        Some(port) if port.parse::<u16>().is_ok() => {
            let tcp = format!("tcp/{port}");
            say(&format!("note: `--to {port}` is taken as `--to {tcp}`"));
            config.keys_of(&tcp).unwrap_or_default()
        }
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
    Ok((to, from))
}

/// The packets that are asked for. Everyone has every alias that either side names.
fn asked(
    to: &[Key],
    from: Option<&Sources>,
    live: Option<&LiveFirewall>,
    desired: Option<&Side>,
    family: Family,
) -> Effective {
    let sources = from.cloned().unwrap_or_else(|| {
        let mut everyone = Access::everyone().to_sources(family);
        let live = live.into_iter().flat_map(|live| live.firewall().iter());
        let live = live.map(|(_, sources)| sources);
        let declared = desired.into_iter().flat_map(|side| &side.rules);
        for sources in live.chain(declared.map(|said| &said.sources)) {
            sources
                .aliases()
                .iter()
                .for_each(|alias| everyone.insert_alias(alias));
        }
        everyone
    });
    Effective::of_rules(to.iter().map(|key| (key, &sources)), family)
}
