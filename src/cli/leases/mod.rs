//! Grants for the verbs that create and end them: the fleet with its leases, and the rules that a lease opens and closes.
//!
//! **Owns** the caller, the service and the sources of a request, and whether it is permitted. **Does not** choose calls;
//! `plan` does. **Does not** know the order in which a lease is opened and closed; `apply` does.

mod judge;
mod whoami;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;

use clap::Args;
use time::OffsetDateTime;

use super::args::{ConfigArgs, ConnectionArgs};
use super::connection::{AccessMode, Connection};
use super::error::{CommandError, RunError};
use super::exit::Exit;
use super::run::Run;
use super::session;
use crate::config::{Config, Listing};
use crate::lease::{GrantLimits, Judged, Lease, LeaseState, caller_name};

use crate::model::{Code, DesiredInstance, InstanceId, Key, Live, Site, Sources, Unreadable};
use crate::render::grants::{Grant, GrantList};

/// The flags of every verb that is about grants.
#[derive(Args, Debug)]
pub(super) struct LeaseArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}

/// The fleet with its leases.
pub(super) struct FleetSession {
    pub(super) config: Config,
    pub(super) connection: Connection,
    pub(super) live: Live,
    listing: Listing,
    sites: Vec<Site>,
    /// The difference between the evaluated instant and the clock.
    ahead: time::Duration,
}

impl FleetSession {
    /// Loads the configuration and lists the instances.
    pub(super) async fn open(
        args: &LeaseArgs,
        mode: AccessMode,
        run: &mut Run,
    ) -> Result<Self, RunError> {
        if args.config.as_of.is_some()
            && mode == AccessMode::Write
            && !args.connection.is_emulated()
        {
            let error = CommandError::usage(
                "`--as-of` is a preview, and this would make it real",
                "leave it out, or use `--emulator`",
            );
            return Err(error.into());
        }
        let config = session::load(&args.config.config, run)?;
        let sites = session::sites(&args.connection, Some(&config)).await?;
        let connection =
            Connection::connect(&args.connection, None, mode, &sites, config.accounts()).await?;
        let others = session::other_sites(&args.connection, &config, &sites).await;
        let all = [&sites[..], &others].concat();
        let live = session::discover(connection.reader(), &all).await;
        let listing = session::listing(&sites, &others, &live);
        let now = OffsetDateTime::now_utc();
        Ok(Self {
            config,
            connection,
            live,
            listing,
            sites,
            ahead: args.config.as_of.unwrap_or(now) - now,
        })
    }

    /// The instant for which leases are evaluated.
    pub(super) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc().saturating_add(self.ahead)
    }

    /// The limits of grants.
    ///
    /// # Errors
    /// There are none, so nobody may grant anything.
    pub(super) fn limits(&self) -> Result<&GrantLimits, CommandError> {
        self.config.grants().ok_or_else(|| {
            let message = "the configuration has no `[grants]`, so nobody may grant anything";
            let hint = "say what may be granted, as in `[grants]` with `services = [\"ssh\"]` and `max = \"8h\"`";
            CommandError::new(Exit::Refused, message).with_hint(hint)
        })
    }

    /// Every grant of the listed instances.
    ///
    /// # Errors
    /// The configuration does not fit the instances.
    pub(super) fn grants(&self) -> Result<GrantList, RunError> {
        let now = self.now();
        let desired = self
            .config
            .resolve_listed(&self.live.instances, &self.listing, now)?;
        let mut grants = Vec::new();
        for (id, instance) in &self.live.instances {
            if !self.sites.contains(&id.site()) {
                continue;
            }
            let declared = desired.instances.contains_key(id) || desired.undecided.contains_key(id);
            for mut judged in self.config.leases(instance, now) {
                if !declared && judged.state == LeaseState::Live {
                    judged.state = LeaseState::NotHonoured;
                    judged.reason = Some("nothing declares the instance".to_owned());
                }
                grants.push(Grant {
                    instance: id.clone(),
                    judged,
                });
            }
        }
        let mut sites_unreadable = self.live.sites_unreadable.clone();
        sites_unreadable.retain(|site, _| self.sites.contains(site));
        let mut grants = GrantList {
            as_of: now,
            grants,
            sites_unreadable: sites_unreadable.into_iter().collect(),
        };
        grants.sort();
        Ok(grants)
    }

    /// The caller, according to STS for the credentials that reach an instance.
    pub(super) async fn caller(&self, id: &InstanceId) -> String {
        let account = id.account.as_deref();
        let all = self.connection.accounts();
        let Some(aws) = all.and_then(|all| all.connection(account)) else {
            return "unknown".to_owned();
        };
        match aws.caller(account.unwrap_or("the account")).await {
            Ok(caller) => caller_name(&caller.arn),
            Err(error) => {
                tracing::warn!(%error, "STS does not say who asks");
                "unknown".to_owned()
            }
        }
    }

    /// The ports of `SERVICE`.
    ///
    /// # Errors
    /// It is neither a service nor a port.
    pub(super) fn keys(&self, service: &str) -> Result<BTreeSet<Key>, CommandError> {
        let keys = self.config.keys_of(service).ok_or_else(|| {
            CommandError::usage(
                format!("`{service}` is neither a service nor a port"),
                "write it as `allow` would have it: ssh, tcp/443, udp/7000-7010",
            )
        })?;
        Ok(keys.into_iter().collect())
    }

    /// The sources of `--from` for an instance; for `me`, only the address families that the instance has.
    ///
    /// # Errors
    /// It is neither an address nor a set, or the address cannot be determined.
    pub(super) async fn sources(
        &self,
        from: &[String],
        id: &InstanceId,
    ) -> Result<Sources, CommandError> {
        let mut sources = Sources::new();
        for text in from {
            if text == "me" {
                let urls = self
                    .config
                    .grants()
                    .map_or(&[][..], |limits| &limits.whoami);
                let mut own = whoami::public_address(urls).await?;
                if let Some(instance) = self.live.instances.get(id) {
                    let kind = &instance.address_type;
                    if !kind.has_ipv4() {
                        own.clear_ipv4();
                    }
                    if !kind.has_ipv6() {
                        own.clear_ipv6();
                    }
                    if own.is_empty() {
                        let message = format!(
                            "`{id}` is {kind}, and this machine has no such address on the internet"
                        );
                        return Err(CommandError::failed(message).with_code(Code::OwnAddress));
                    }
                }
                sources.extend(&own);
                continue;
            }
            let named = self.config.sources_of(text).ok_or_else(|| {
                CommandError::usage(
                    format!("`--from {text}` is neither an address nor a set"),
                    "write `me`, or as `from` would have it: 203.0.113.7, or the name of a set",
                )
            })?;
            sources.extend(&named);
        }
        Ok(sources)
    }
}

/// The desired state of an instance, including its leases; `None` if it is not declared.
fn desired_instance(
    config: &Config,
    live: &Live,
    listing: &Listing,
    id: &InstanceId,
    now: OffsetDateTime,
) -> Result<Option<Arc<DesiredInstance>>, RunError> {
    let desired = config.resolve_listed(&live.instances, listing, now)?;
    if let Some(Unreadable { reason, hint, .. }) = desired.undecided.get(id) {
        return Err(CommandError::new(
            Exit::Incomplete,
            format!("what is declared for `{id}` is undecided: {reason}"),
        )
        .with_optional_hint(hint.clone())
        .into());
    }
    Ok(desired.instances.get(id).cloned())
}

/// A grant as in the list of `grants`.
pub(super) fn live_grant(id: &InstanceId, lease: &Lease) -> Grant {
    Grant {
        instance: id.clone(),
        judged: Judged {
            tag: lease.id.tag_key(),
            state: LeaseState::Live,
            reason: None,
            lease: Some(lease.clone()),
        },
    }
}
