//! Temporary access, as a user meets it: granted, listed, honoured, revoked, and closed after its end even if everybody
//! forgets it.
//!
//! **Owns** the configurations, the fleets and the assertions that the tests of its files share.

mod lifetime;
mod limits;
mod model;
mod races;
mod rights;
mod whoami;
#[cfg(unix)]
mod with;

use std::collections::BTreeSet;
use std::process::Command;

use portward::emulator::{CloseEffect, EmulatorOptions, Faults, OpenEffect, Quirks, Trigger};
use portward::inventory::Inventory;
use portward::model::PortState;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::served_emulator::Server;
use crate::stage::{Stage, fleet, instance, rule};

pub(super) const CONFIG: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[grants]
services = ["ssh", "tcp/8000-8100"]
max = "8h"
[instances.web-1]
rules = [
  { allow = "https", from = "anywhere" },
  { allow = "ssh", from = "198.51.100.0/24" },
]
"#;

/// No rule opens SSH, so that a grant is the whole rule of its key.
pub(super) const CLOSED: &str = r#"version = 1
[defaults]
region = "eu-central-1"
[grants]
services = ["ssh"]
max = "8h"
[instances.web-1]
rules = [{ allow = "https", from = "anywhere" }]
"#;

pub(super) fn https() -> PortState {
    rule("tcp", 443, 443, &["0.0.0.0/0", "::/0"])
}

pub(super) fn declared() -> Inventory {
    fleet(vec![instance(
        "web-1",
        vec![https(), rule("tcp", 22, 22, &["198.51.100.0/24"])],
    )])
}

pub(super) fn closed() -> Inventory {
    fleet(vec![instance("web-1", vec![https()])])
}

/// An instant so many minutes from now, as `--as-of` takes it.
pub(super) fn later(minutes: i64) -> String {
    let at = OffsetDateTime::now_utc() + time::Duration::minutes(minutes);
    at.format(&Rfc3339).expect("an instant")
}

/// The sources of SSH, and the tags.
pub(super) fn state(fleet: &Inventory) -> (BTreeSet<String>, BTreeSet<String>) {
    let (_, entry) = fleet.entries().next().expect("an instance");
    let rules = entry.port_states.iter().flat_map(|rules| rules.iter());
    let ssh = rules.filter(|rule| rule.from_port == 22);
    let sources = ssh.flat_map(|rule| rule.cidrs.iter().chain(&rule.ipv6_cidrs).cloned());
    (sources.collect(), entry.tags.keys().cloned().collect())
}

pub(super) fn assert_ssh(fleet: &Inventory, sources: &[&str], tags: usize, situation: &str) {
    let (found, there) = state(fleet);
    let expected: BTreeSet<String> = sources.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{situation}");
    assert_eq!(there.len(), tags, "{situation}: {there:?}");
}

pub(super) fn served(quirks: Quirks, script: Vec<Trigger>, fleet: Inventory) -> Server {
    let faults = Faults {
        script,
        ..Faults::default()
    };
    Server::with(
        fleet,
        EmulatorOptions {
            quirks,
            faults,
            ..EmulatorOptions::default()
        },
    )
}

pub(super) fn command(server: &Server, stage: &Stage, args: &[&str]) -> Command {
    let mut command = stage.command(args);
    server.point(&mut command);
    command.env("AWS_ENDPOINT_URL_STS", server.url());
    command
}

/// The four readings of Open and Close.
pub(super) fn readings() -> Vec<Quirks> {
    let mut all = Vec::new();
    for open in [OpenEffect::Merge, OpenEffect::Replace] {
        for close in [CloseEffect::Sources, CloseEffect::Key] {
            all.push(Quirks {
                open,
                close,
                ..Quirks::default()
            });
        }
    }
    all
}

/// `grant web-1 ssh` of one source.
pub(super) fn grant_ssh<'a>(from: &'a str, length: &'a str) -> [&'a str; 7] {
    ["grant", "web-1", "ssh", "--from", from, "--for", length]
}

/// The grant of most tests.
pub(super) const GRANT: [&str; 7] = [
    "grant",
    "web-1",
    "ssh",
    "--from",
    "203.0.113.7",
    "--for",
    "30m",
];
