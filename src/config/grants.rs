//! `[grants]` with resolved names, and the leases in the tags of instances.
//!
//! Owns the effect of a lease on the desired state: a permitted lease in force becomes a declared rule, and an ended lease becomes an
//! expired rule. Does not decode tags or check the limits; `lease` does both.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;

use super::Config;
use super::definitions::GrantsDef;
use super::name_resolver::NameResolver;
use super::rule::Families;
use super::selector::{Glob, Selector};
use super::until;
use crate::lease::{GrantLimits, Judged, LeaseState, Leases, NotPermitted};
use crate::model::{DesiredInstance, Instance, Note, Origin, Rule};

/// The limits of `[grants]`, and the instances that they apply to.
#[derive(Debug)]
pub(super) struct LinkedGrants {
    pub(super) limits: GrantLimits,
    /// `None` is every instance.
    pub(super) selector: Option<Selector>,
}

/// The default prefix lengths: one IPv4 address, and the IPv6 network of one site or machine.
const DEFAULT_PREFIX_LENGTHS: (u8, u8) = (32, 64);

/// Resolves the names of `services`.
pub(super) fn link(names: &mut NameResolver<'_>, def: Option<GrantsDef>) -> Option<LinkedGrants> {
    let def = def?;
    names.begin_table(0, def.span);
    let rule = names.resolve_rule(def.services);
    let services = rule.items.iter();
    let services = services.map(|item| item.declared.allow.to_string());
    Some(LinkedGrants {
        limits: GrantLimits {
            keys: rule.keys().map(|(key, _)| *key).collect(),
            services: services.collect(),
            max: def.max.unwrap_or_default(),
            ipv4: def.ipv4.unwrap_or(DEFAULT_PREFIX_LENGTHS.0),
            ipv6: def.ipv6.unwrap_or(DEFAULT_PREFIX_LENGTHS.1),
            reason_required: def.reason_required,
            whoami: def.whoami,
            origin: names.report.origin(def.span),
        },
        selector: def.selector,
    })
}

impl Config {
    /// The limits of `[grants]`; `None` if grants are not permitted.
    pub fn grants(&self) -> Option<&GrantLimits> {
        self.linked.grants.as_ref().map(|grants| &grants.limits)
    }

    /// Whether `match` of `[grants]` matches an instance.
    pub fn may_grant_on(&self, instance: &Instance) -> bool {
        let grants = self.linked.grants.as_ref();
        grants.is_some_and(|grants| grants.applies_to(instance))
    }

    /// The leases in the tags of an instance, and the state of each at this instant, if the instance is declared. Ended leases come
    /// first, then those that end first.
    pub fn leases(&self, instance: &Instance, as_of: OffsetDateTime) -> Vec<Judged> {
        judge_leases(self.linked.grants.as_ref(), instance, as_of)
    }
}

impl LinkedGrants {
    fn applies_to(&self, instance: &Instance) -> bool {
        let selector = self.selector.as_ref();
        selector.is_none_or(|selector| selector.matches(instance))
    }
}

fn judge_leases(
    grants: Option<&LinkedGrants>,
    instance: &Instance,
    as_of: OffsetDateTime,
) -> Vec<Judged> {
    let Leases { leases, unreadable } = Leases::of(&instance.tags);
    let unreadable = unreadable.into_iter().map(|(tag, error)| Judged {
        tag,
        lease: None,
        state: LeaseState::Unreadable,
        reason: Some(error.to_string()),
    });
    let mut all: Vec<Judged> = unreadable.collect();
    for lease in leases {
        let permitted = match grants {
            None => Err(NotPermitted::NoTable),
            Some(grants) if lease.is_expired(as_of) => {
                let limits = &grants.limits;
                limits.permits_access(&lease, grants.applies_to(instance))
            }
            Some(grants) => {
                let limits = &grants.limits;
                limits.permits(&lease, grants.applies_to(instance), as_of)
            }
        };
        all.push(Judged {
            tag: lease.id.tag_key(),
            state: match permitted {
                _ if lease.is_expired(as_of) => LeaseState::Expired,
                Ok(()) => LeaseState::Live,
                Err(_) => LeaseState::NotHonoured,
            },
            reason: permitted.err().map(|error| error.to_string()),
            lease: Some(lease),
        });
    }
    let end = |judged: &Judged| judged.lease.as_ref().map(|lease| lease.until);
    all.sort_by(|a, b| (a.state, end(a), &a.tag).cmp(&(b.state, end(b), &b.tag)));
    all
}

/// Adds the leases of an instance to its desired state, which is shared until there is a lease.
pub(super) fn add_leases(
    grants: Option<&LinkedGrants>,
    instance: &Instance,
    desired: Arc<DesiredInstance>,
    as_of: OffsetDateTime,
) -> Arc<DesiredInstance> {
    let leases = judge_leases(grants, instance, as_of);
    if leases.is_empty() {
        return desired;
    }
    let mut desired = Arc::unwrap_or_clone(desired);
    let families = Families::from(&instance.address_type);
    for judged in leases {
        let origin = Some(Origin::of_tag(judged.tag));
        let Some(lease) = judged.lease else {
            let reason = judged.reason.unwrap_or_default();
            let text = format!("this tag is not a valid grant and opens nothing: {reason}");
            desired.notes.push(Note { text, origin });
            continue;
        };
        let rules = || {
            let rules = lease.rules().into_iter();
            rules.filter_map(|rule| {
                let sources = Families::of(rule.key).and(families).filter(&rule.sources);
                (!sources.is_empty()).then_some(Rule { sources, ..rule })
            })
        };
        let until = until::format(lease.until);
        let by = &lease.by;
        let text = match (judged.state, judged.reason) {
            (LeaseState::Live, _) => {
                desired.rules.extend(rules());
                let separator = if lease.why.is_empty() { "" } else { ": " };
                let why = &lease.why;
                format!("{lease} is granted to {by} until {until}{separator}{why}")
            }
            // An ended grant closes rules, in additive mode too and without consent of a guard. A tag alone must not do that: only
            // access that could have been granted is closed.
            (LeaseState::Expired, Some(reason)) => {
                format!("{lease}, for {by} until {until}, is not ended as a grant: {reason}")
            }
            (LeaseState::Expired, None) => {
                desired.expired.extend(rules());
                format!("{lease} was granted to {by} until {until}, which is over")
            }
            (LeaseState::NotHonoured | LeaseState::Unreadable, reason) => {
                let reason = reason.unwrap_or_default();
                format!("{lease}, for {by} until {until}, is not granted: {reason}")
            }
        };
        desired.notes.push(Note { text, origin });
    }
    let order = |a: &Rule, b: &Rule| (a.key, &a.declared.origin).cmp(&(b.key, &b.declared.origin));
    desired.rules.sort_by(order);
    desired.expired.sort_by(order);
    Arc::new(desired)
}

/// Notes on the leases of an undeclared instance, which have no effect.
pub(super) fn undeclared_notes(instance: &Instance) -> Vec<Note> {
    let tags = crate::lease::lease_tags(&instance.tags);
    tags.map(|(key, _)| Note {
        text: format!(
            "a grant on `{}` opens nothing: nothing declares the instance",
            instance.id
        ),
        origin: Some(Origin::of_tag(key.to_owned())),
    })
    .collect()
}

/// The differences between the limits of two configurations, as sentence fragments.
pub(crate) fn describe_grant_changes(old: &Config, new: &Config) -> Vec<String> {
    let (before, after) = (limit_texts(old), limit_texts(new));
    if before == after {
        return Vec::new();
    }
    let join = |texts: &BTreeMap<&str, String>| {
        if texts.is_empty() {
            "nothing".to_owned()
        } else {
            let parts = texts.iter().map(|(key, text)| format!("{key} {text}"));
            parts.collect::<Vec<_>>().join("; ")
        }
    };
    if before.is_empty() || after.is_empty() {
        return vec![format!(
            "`[grants]` permitted {}, and now permits {}",
            join(&before),
            join(&after)
        )];
    }
    let changed = after.iter().filter_map(|(key, text)| {
        let old = before.get(key).filter(|old| *old != text)?;
        Some(format!(
            "`{key}` of `[grants]` was {old}, and now is {text}"
        ))
    });
    changed.collect()
}

/// The limits as texts, by key.
fn limit_texts(config: &Config) -> BTreeMap<&'static str, String> {
    let Some(LinkedGrants { limits, selector }) = &config.linked.grants else {
        return BTreeMap::new();
    };
    let GrantLimits {
        keys,
        services: _,
        max,
        ipv4,
        ipv6,
        reason_required,
        whoami,
        origin: _,
    } = limits;
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let reason = if *reason_required {
        "required"
    } else {
        "optional"
    };
    let whoami = if whoami.is_empty() {
        "the built-in addresses".to_owned()
    } else {
        whoami.join(", ")
    };
    let instances = selector
        .as_ref()
        .map_or_else(|| "every instance".to_owned(), format_selector);
    BTreeMap::from([
        ("services", keys.join(", ")),
        ("max", humantime::format_duration(*max).to_string()),
        ("max-sources", format!("/{ipv4} and /{ipv6}")),
        ("match", instances),
        ("reason", reason.to_owned()),
        ("whoami", whoami),
    ])
}

/// A selector in words of the configuration.
fn format_selector(selector: &Selector) -> String {
    let Selector {
        names,
        accounts,
        account_spans: _,
        regions,
        tags,
    } = selector;
    let condition = |key: &str, globs: &[Glob]| {
        let texts: Vec<&str> = globs.iter().map(Glob::text).collect();
        (!texts.is_empty()).then(|| format!("{key} {}", texts.join(" or ")))
    };
    let own = [("name", names), ("account", accounts), ("region", regions)];
    let own = own
        .into_iter()
        .filter_map(|(key, globs)| condition(key, globs));
    let tags = tags
        .iter()
        .filter_map(|(key, globs)| condition(&format!("tag {key}"), globs));
    own.chain(tags).collect::<Vec<_>>().join(", ")
}
