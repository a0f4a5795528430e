//! The demands of policies, as operations on effective access.
//!
//! Owns the computation of the access that violates a demand. Does not know which rules cause it.

use crate::exposure::{Access, Atom, Count, Effective, Exposed};
use crate::model::{AddressType, Cells, Demand, Family, Policies, Policy, Sources};

/// A policy with its demands in terms of effective access, for instances of an address type.
pub(super) struct CompiledPolicy<'a> {
    pub(super) policy: &'a Policy,
    pub(super) demands: Vec<(&'a Demand, CompiledDemand)>,
}

impl<'a> CompiledPolicy<'a> {
    /// All policies, in order.
    pub(super) fn all(policies: &'a Policies, families: &AddressType) -> Vec<Self> {
        let compile = |policy: &'a Policy| {
            let demands = policy.demands.iter();
            let demands = demands.map(|demand| (demand, CompiledDemand::new(demand, families)));
            Self {
                policy,
                demands: demands.collect(),
            }
        };
        policies.list.iter().map(compile).collect()
    }
}

/// A demand in terms of effective access.
pub(super) enum CompiledDemand {
    OnlyFrom {
        cells: Effective,
        allowed: Effective,
    },
    AtMost {
        cells: Effective,
        ipv4: Option<u8>,
        ipv6: Option<u8>,
    },
    Require(Effective),
}

impl CompiledDemand {
    fn new(demand: &Demand, families: &AddressType) -> Self {
        let family = families.client_family();
        match demand {
            Demand::OnlyFrom { cells, sources, .. } => Self::OnlyFrom {
                cells: access_of_everyone(cells),
                allowed: Effective::everywhere(&Access::of(sources, family)),
            },
            Demand::AtMost { cells, ipv4, ipv6 } => Self::AtMost {
                cells: access_of_everyone(cells),
                ipv4: *ipv4,
                ipv6: *ipv6,
            },
            Demand::Require(rules) => {
                let rules = rules.iter().map(|rule| (&rule.key, &rule.sources));
                let required = Effective::of_rules(rules, family);
                Self::Require(required.on(families))
            }
        }
    }

    pub(super) fn is_required(&self) -> bool {
        matches!(self, Self::Require(_))
    }

    /// The forbidden part of this access, or the required access that it lacks.
    pub(super) fn violating(&self, access: &Effective) -> Effective {
        match self {
            Self::OnlyFrom { cells, allowed } => access.within(cells).difference(allowed),
            // Sources that cannot reach a public address are not required.
            Self::Require(required) => required.difference(access).on_publicly_reachable_cells(),
            Self::AtMost { cells, ipv4, ipv6 } => access
                .within(cells)
                .map(|access| excess(access, *ipv4, *ipv6)),
        }
    }
}

/// The access of everyone to these cells.
fn access_of_everyone(cells: &Cells) -> Effective {
    match cells {
        Cells::Of(keys) => {
            let anyone = Sources::anywhere();
            Effective::of_rules(keys.iter().map(|key| (key, &anyone)), Family::default())
        }
        Cells::OnlyAll => Effective::of_boxes(&[Exposed {
            atom: Atom::Other,
            from: 0,
            to: 0,
            sources: Sources::anywhere(),
        }]),
    }
}

/// The addresses of each family that has more of them than a network of this prefix length.
fn excess(access: &Access, ipv4: Option<u8>, ipv6: Option<u8>) -> Access {
    let is_v4_over = ipv4.is_some_and(|length| access.v4.count() > 1 << (32 - u32::from(length)));
    let is_v6_over = ipv6.is_some_and(|length| match (access.v6.count(), length) {
        // A prefix length of 0 is no limit.
        (_, 0) => false,
        (Count::All, _) => true,
        (Count::Some(count), length) => count > 1 << (128 - u32::from(length)),
    });
    let mut excess = Access::default();
    if is_v4_over {
        excess.v4.clone_from(&access.v4);
    }
    if is_v6_over {
        excess.v6.clone_from(&access.v6);
    }
    excess
}
