//! The whole main job with no account: plan, apply and drift against the embedded emulator.
//!
//! `cargo run --example quickstart` uses the library as another program would: it loads `firewall.example.toml`, serves
//! `examples/fleet.json` on loopback, shows the plan, applies it, and proves that nothing is left to do.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use portward::apply::{self, Settings, Stop, SystemClock, Tools, Validity};
use portward::config::{self, Config};
use portward::emulator::{Emulator, EmulatorOptions};
use portward::inventory::Inventory;
use portward::lightsail::Reader;
use portward::lightsail::aws::{Aws, Keys};
use portward::model::{Live, LiveFirewall, Unreadable};
use portward::plan::{self, Plan, Verdict};
use portward::render::text::PlanView;
use portward::{lightsail, render};
use time::OffsetDateTime;
use time::macros::datetime;

/// The example speaks of one fixed day, so that it shows the same whenever it is run.
const AS_OF: OffsetDateTime = datetime!(2026-01-01 0:00 UTC);

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, run())
}

async fn run() -> Result<()> {
    // The paths in the plan are then as short as they are in the README.
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR"))?;
    let config = config::load(Path::new("firewall.example.toml"))
        .map_err(|problems| anyhow!("{}", problems.render(false)))?;

    let fleet = std::fs::read_to_string("examples/fleet.json")?;
    let emulator = Emulator::new(Inventory::parse(&fleet)?, EmulatorOptions::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let server = emulator.clone();
    tokio::task::spawn_local(async move { server.serve(listener, std::future::pending()).await });

    let keys = Keys {
        access_key_id: "test".into(),
        secret_access_key: "test".into(),
        session_token: None,
    };
    let settings = lightsail::aws::ConnectionSettings {
        endpoint_url: Some(url),
        keys: Some(keys),
        ..Default::default()
    };
    let aws = Aws::connect(settings).await?;

    show("What would change, and who gains or loses access:");
    let plan = look(&config, &aws.reader()).await?;
    show(&render::text::plan(
        &plan,
        PlanView::Plan,
        render::DEFAULT_WIDTH,
    ));

    show("Making it so, waiting, and reading back:");
    let tools = Tools {
        reader: &aws.reader(),
        writer: &aws.writer(),
        journal: &(),
        progress: &(),
        settings: &Settings::default(),
        stop: &Stop::new(),
        validity: Validity::UNLIMITED,
        clock: &SystemClock,
    };
    let report = apply::run(&plan, &tools).await;
    show(&render::text::report(&report, &plan));

    show("Looking again:");
    let again = look(&config, &aws.reader()).await?;
    show(&render::text::plan(
        &again,
        PlanView::Drift,
        render::DEFAULT_WIDTH,
    ));
    ensure!(
        again
            .instances
            .iter()
            .all(|instance| instance.verdict == Verdict::InSync),
        "something was left to do"
    );
    Ok(())
}

/// Reads the world and plans: the same few steps that the command makes.
async fn look(config: &Config, reader: &impl Reader) -> Result<Plan> {
    let sites = config.sites();
    let mut live = Live::default();
    for site in &sites {
        let instances = reader
            .instances(site)
            .await
            .context("the list of instances")?;
        live.instances.extend(
            instances
                .into_iter()
                .map(|instance| (instance.id.clone(), instance)),
        );
    }
    let desired = config
        .resolve(&live.instances, &sites, AS_OF)
        .map_err(|problems| anyhow!("{}", problems.render(false)))?;
    let mut firewalls = BTreeMap::new();
    for id in desired.instances.keys() {
        let rules = reader
            .port_states(id)
            .await
            .map(|entries| LiveFirewall::read(&entries));
        let unreadable =
            |error: lightsail::Error| Unreadable::new(error.to_string()).with_hint(error.hint());
        firewalls.insert(id.clone(), rules.map_err(unreadable));
    }
    live.firewalls = firewalls;
    Ok(plan::plan(&desired, &live, plan::PlanOptions::default()))
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn show(text: &str) {
    println!("{}", anstream::adapter::strip_str(text));
}
