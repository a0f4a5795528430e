//! The built-in policies, and those of the configuration with resolved names.
//!
//! Owns the list of built-in policies:
//!
//! | id | violated when |
//! |---|---|
//! | `admin-open-to-world` | a port for administration (SSH, RDP, telnet, VNC, `WinRM`, X11, SMB, Docker, Kubernetes, etcd) is open to the world |
//! | `database-open-to-world` | a port of a database, a cache or a search engine is open to the world |
//! | `all-open-to-world` | a rule that allows `all` is open to the world |
//!
//! The world is more addresses than a `/8` of IPv4 or a `/32` of IPv6 has. They warn; a `[[policy]]` with their `id` and
//! only a `severity` makes them `deny`, `warn` or `off`. Does not check firewalls.

use std::collections::BTreeMap;

use super::definitions::{NamedDefinitions, PolicyDef, SeverityDef};
use super::name_resolver::NameResolver;
use super::selector::Selector;
use crate::model::{Cells, Demand, Key, Policy, PolicySeverity, Protocol};

/// The prefix lengths of IPv4 and IPv6 above which a port is open to the world: a /8 is the largest IPv4 block ever assigned to one
/// organization, and a provider gets a /32 of IPv6.
const WORLD_PREFIX_LENGTHS: (u8, u8) = (8, 32);

/// The ports of administration. Besides the services with a name: X11, and Docker without TLS.
const ADMIN_PORTS: [i32; 14] = [
    22, 23, 445, 2375, 2376, 2379, 3389, 5900, 5901, 5985, 5986, 6000, 6443, 10250,
];

/// The ports of databases: SQL Server, Oracle, `MySQL`, `PostgreSQL`, `CouchDB`, Redis, Cassandra, Kafka, Elasticsearch,
/// `OpenSearch`, memcached, `MongoDB`.
const DATABASE_PORTS: [i32; 15] = [
    1433, 1434, 1521, 3306, 4333, 5432, 5984, 6379, 9042, 9092, 9200, 9300, 11211, 27017, 27018,
];

const BUILT_IN: [&str; 3] = [
    "admin-open-to-world",
    "database-open-to-world",
    "all-open-to-world",
];

/// A policy, and the instances that it applies to.
#[derive(Debug)]
pub(super) struct LinkedPolicy {
    pub(super) policy: Policy,
    /// `None` is every instance.
    pub(super) selector: Option<Selector>,
}

/// Whether there is a built-in policy of this name.
pub(super) fn is_built_in(id: &str) -> bool {
    BUILT_IN.contains(&id)
}

/// Every policy by name, and whether it forbids access, so that a rule can have a waiver from it.
pub(super) fn waivable_policies(defs: &NamedDefinitions<PolicyDef>) -> BTreeMap<String, bool> {
    let built_in = BUILT_IN.iter().map(|id| ((*id).to_owned(), true));
    let own = defs.iter().filter(|(id, _)| !is_built_in(id));
    let own = own.map(|(id, (_, def))| {
        let forbids = def.only_from.is_some() || def.at_most.is_some();
        (id.clone(), forbids)
    });
    built_in.chain(own).collect()
}

/// Resolves the names in policies. Policies that are off are left out.
pub(super) fn link(
    names: &mut NameResolver<'_>,
    defs: NamedDefinitions<PolicyDef>,
) -> Vec<LinkedPolicy> {
    let mut policies = Vec::new();
    let mut severities = BTreeMap::new();
    for (id, (span, def)) in defs {
        if is_built_in(&id) {
            severities.insert(id, def.severity);
            continue;
        }
        names.begin_table(0, span);
        let mut demands = Vec::new();
        if let Some(rule) = def.only_from {
            let rule = names.resolve_rule(rule);
            demands.push(Demand::OnlyFrom {
                cells: cells(&rule),
                sources: rule.sources.clone(),
                from: rule.from().to_vec(),
            });
        }
        if let Some(limit) = def.at_most {
            demands.push(Demand::AtMost {
                cells: cells(&names.resolve_rule(limit.services)),
                ipv4: limit.ipv4,
                ipv6: limit.ipv6,
            });
        }
        if let Some(rule) = def.require {
            let rules = names.resolve_rule(rule).rules_of_any_instance().collect();
            demands.push(Demand::Require(rules));
        }
        // Names are resolved although the policy is off, so that mistakes are reported before it is on.
        let severity = def
            .severity
            .unwrap_or(SeverityDef::On(PolicySeverity::Deny));
        let SeverityDef::On(severity) = severity else {
            continue;
        };
        policies.push(LinkedPolicy {
            policy: Policy {
                id,
                severity,
                demands,
                instances: None,
                origin: Some(names.report.origin(span)),
                why: def.why,
            },
            selector: def.selector,
        });
    }
    for id in BUILT_IN {
        let severity = severities.remove(id).flatten();
        if let SeverityDef::On(severity) = severity.unwrap_or(SeverityDef::On(PolicySeverity::Warn))
        {
            policies.push(LinkedPolicy {
                policy: built_in(id, severity),
                selector: None,
            });
        }
    }
    policies
}

fn cells(rule: &super::rule::LinkedRule) -> Cells {
    Cells::Of(rule.keys().map(|(key, _)| *key).collect())
}

fn built_in(id: &str, severity: PolicySeverity) -> Policy {
    let tcp = |ports: &[i32]| {
        let keys = ports
            .iter()
            .filter_map(|port| Key::new(Protocol::Tcp, *port, *port).ok());
        Cells::Of(keys.collect())
    };
    let cells = match id {
        "admin-open-to-world" => tcp(&ADMIN_PORTS),
        "database-open-to-world" => tcp(&DATABASE_PORTS),
        _ => Cells::OnlyAll,
    };
    Policy {
        id: id.to_owned(),
        severity,
        demands: vec![Demand::AtMost {
            cells,
            ipv4: Some(WORLD_PREFIX_LENGTHS.0),
            ipv6: Some(WORLD_PREFIX_LENGTHS.1),
        }],
        instances: None,
        origin: None,
        why: None,
    }
}
