//! Tests of plans for fleets: what [`plan`] adds to [`plan_instance`].

use std::sync::Arc;

use proptest::prelude::{any, prop_assert_eq, proptest};

use crate::model::arbitrary::Universe;
use crate::plan::arbitrary::fleet;
use crate::plan::{InstancePlan, PlanOptions, plan, plan_instance};

proptest! {
    /// Instances that share their desired state are planned like single ones.
    #[test]
    fn plan_of_a_fleet_is_the_plans_of_its_instances(
        (mut desired, mut live) in fleet(Universe::Small),
        is_shared in any::<bool>(),
        strict_spelling in any::<bool>(),
    ) {
        if is_shared {
            let shared = desired.instances.values().next().cloned();
            for wanted in desired.instances.values_mut() {
                wanted.clone_from(shared.as_ref().expect("there is one"));
            }
            // The first two of three firewalls have the same spelling.
            let first = live.firewalls.values().next().cloned();
            let others = live.firewalls.values_mut().enumerate();
            for (_, firewall) in others.filter(|(at, _)| at % 3 < 2) {
                firewall.clone_from(first.as_ref().expect("there is one"));
            }
        }
        let options = PlanOptions { strict_spelling, ..PlanOptions::default() };
        let all = plan(&desired, &live, options);

        let alone: Vec<InstancePlan> = desired.instances.iter().filter_map(|(id, wanted)| {
            let firewall = live.firewalls[id].as_ref().ok()?;
            Some(plan_instance(&live.instances[id], &Arc::new((**wanted).clone()), firewall, options))
        }).collect();
        prop_assert_eq!(&all.instances, &alone);
        let unreadable = live.firewalls.iter().filter_map(|(id, firewall)| Some((id.clone(), firewall.clone().err()?)));
        prop_assert_eq!(&all.unreadable, &unreadable.collect::<Vec<_>>());
        prop_assert_eq!(&all.sites_unreadable, &live.sites_unreadable.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(&all.missing, &desired.missing);
        prop_assert_eq!(&all.undeclared, &desired.undeclared);
        prop_assert_eq!(&all.notes, &desired.notes);
        prop_assert_eq!(&all.overrides, &Vec::new());
    }

    /// An instance whose rules were not read is not in sync.
    #[test]
    fn unread_instance_is_reported_as_unreadable((desired, mut live) in fleet(Universe::Small)) {
        live.firewalls.clear();
        let all = plan(&desired, &live, PlanOptions::default());
        prop_assert_eq!(&all.instances, &[]);
        let named: Vec<_> = all.unreadable.iter().map(|(id, why)| (id, why.reason.as_str())).collect();
        let expected: Vec<_> = desired.instances.keys().map(|id| (id, "its rules were not read")).collect();
        prop_assert_eq!(named, expected);
    }
}
