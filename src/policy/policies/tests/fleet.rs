//! Tests of fleets whose instances share their desired state: the violations are those of each instance alone.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert_eq, proptest};

use super::super::{CheckedRules, check_policies};
use super::oracle::some_firewall;
use super::{id, narrow_admin, operators, rules, scene};
use crate::model::{
    AddressType, Desired, Firewall, InstanceId, Key, Live, LiveFirewall, Mode, Policy, PortState,
    Rule, Sources,
};
use crate::plan::{self, PlanOptions};

proptest! {
    #[test]
    fn shared_desired_state_is_checked_for_each_instance(
        lives in [some_firewall(), some_firewall()],
        wanted in some_firewall(),
        fleet in vec((any::<bool>(), any::<bool>(), any::<bool>()), 1..8),
    ) {
        let mut base = scene(Mode::Authoritative, "dualstack", &[], &[], narrow_admin());
        let instance = base.plan.instances.remove(0).instance;
        let mut wish = base.desired.instances.remove(&id()).expect("it is there");
        Arc::make_mut(&mut wish).rules = lines(&wanted);
        let named = |number: usize| InstanceId { name: format!("web-{number}"), ..id() };
        let chosen = fleet.iter().enumerate().filter(|(_, (_, _, chosen))| *chosen);
        let chosen = chosen.map(|(number, _)| named(number)).collect();
        base.desired.policies.list.push(Policy { id: "q".into(), instances: Some(chosen), ..operators() });

        let mut live = Live::default();
        let (mut shared, mut apart) = (base.desired.clone(), base.desired);
        for (number, (first, both, _)) in fleet.iter().enumerate() {
            let mut instance = instance.clone();
            instance.id = named(number);
            instance.arn = format!("{}{number}", instance.arn);
            instance.address_type = if *both { AddressType::Dualstack } else { AddressType::Ipv4 };
            let entries = lives[usize::from(*first)].iter().map(|(key, sources)| PortState::canonical(*key, sources));
            let entries: Vec<PortState> = entries.collect();
            live.firewalls.insert(named(number), Ok(LiveFirewall::read(&entries)));
            live.instances.insert(named(number), instance);
            shared.instances.insert(named(number), Arc::clone(&wish));
            apart.instances.insert(named(number), Arc::new((*wish).clone()));
        }
        let plan = |desired: &Desired| plan::plan(desired, &live, PlanOptions::default());
        prop_assert_eq!(plan(&shared), plan(&apart));
        for state in [CheckedRules::Result, CheckedRules::Live] {
            let findings = |desired: &Desired| check_policies(&plan(&apart), desired, state);
            prop_assert_eq!(findings(&shared), findings(&apart));
        }
    }
}

fn lines(firewall: &Firewall) -> Vec<Rule> {
    let line = |(key, sources): (&Key, &Sources)| Rule {
        key: *key,
        sources: sources.clone(),
        ..rules(&[(*key, &["192.0.2.0/32"])]).remove(0)
    };
    firewall.iter().map(line).collect()
}
