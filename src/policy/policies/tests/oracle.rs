//! Tests of policies against an oracle that checks single addresses.

use std::sync::Arc;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use proptest::strategy::Strategy as _;

use super::super::{CheckedRules, Occurrence, check_policies};
use super::{id, policy, rules, scene, sources, tcp};
use crate::exposure::{Access, Atom, Effective};
use crate::model::{
    Cells, Demand, Family, Firewall, Key, Live, LiveFirewall, Mode, PolicySeverity, PortState,
    Rule, Sources,
};
use crate::plan::{self, PlanOptions};

/// Sources from few networks, so that they often overlap.
fn some_sources() -> impl proptest::strategy::Strategy<Value = Sources> {
    let nets = [
        "192.0.2.0/31",
        "192.0.2.0/30",
        "192.0.2.2/32",
        "0.0.0.0/1",
        "128.0.0.0/1",
        "2001:db8::/127",
        "lightsail-connect",
    ];
    proptest::sample::subsequence(nets.to_vec(), 1..4).prop_map(|texts| sources(&texts))
}

pub(super) fn some_firewall() -> impl proptest::strategy::Strategy<Value = Firewall> {
    let keys = proptest::sample::select(vec![
        tcp(21, 21),
        tcp(22, 22),
        tcp(20, 23),
        tcp(22, 30),
        Key::ALL,
    ]);
    proptest::collection::vec((keys, some_sources()), 0..4)
        .prop_map(|rules| rules.into_iter().collect())
}

proptest! {
    /// The oracle checks each cell and each source alone.
    #[test]
    fn only_from_agrees_with_the_oracle(before in some_firewall(), after in some_firewall(), allowed in some_sources()) {
        let demand = Demand::OnlyFrom { cells: Cells::Of(vec![tcp(22, 22)]), sources: allowed.clone(), from: vec!["x".into()] };
        let entries: Vec<PortState> = before.iter().map(|(key, sources)| PortState::canonical(*key, sources)).collect();
        let mut scene = scene(Mode::Authoritative, "dualstack", &entries, &[], policy(PolicySeverity::Deny, demand));
        let wanted = Arc::make_mut(scene.desired.instances.get_mut(&id()).expect("it is there"));
        wanted.rules = after.iter().map(|(key, sources)| Rule { key: *key, sources: sources.clone(), ..rules(&[(*key, &["192.0.2.0/32"])]).remove(0) }).collect();
        let live = Live {
            instances: [(id(), scene.plan.instances[0].instance.clone())].into(),
            firewalls: [(id(), Ok(LiveFirewall::read(&entries)))].into(),
            ..Live::default()
        };
        let plan = plan::plan(&scene.desired, &live, PlanOptions::default());
        let findings = check_policies(&plan, &scene.desired, CheckedRules::Result);
        let (was, is, may) = (Effective::of(&before, Family::V4), Effective::of(&after, Family::V4), Access::of(&allowed, Family::V4));
        let broken = |source: std::net::IpAddr, effective: &Effective| effective.contains(Atom::Tcp, 22, source) && !may.contains(source);
        let alias = |effective: &Effective| effective.access(Atom::Tcp, 22).aliases.difference(&may.aliases).count() > 0;
        let universe = ["192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "0.0.0.0", "127.255.255.255", "128.0.0.0", "255.255.255.255", "2001:db8::", "2001:db8::1", "2001:db8::2"];
        let universe = universe.map(|text| text.parse().expect("an address"));
        let introduced = universe.iter().any(|s| broken(*s, &is) && !broken(*s, &was)) || (alias(&is) && !alias(&was));
        let any = universe.iter().any(|s| broken(*s, &is)) || alias(&is);
        prop_assert_eq!(findings.has_refusal(), introduced);
        prop_assert_eq!(!findings.violations.is_empty(), any);
        for violation in &findings.violations {
            if let Ok(source) = violation.witness.source.parse() {
                prop_assert!(broken(source, &is));
                prop_assert_eq!(violation.occurrence == Occurrence::Existing, broken(source, &was));
            }
        }
    }
}
