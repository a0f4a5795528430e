//! Tests of plans for leases: declared access and other leases stay open, under every reading of the service.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::exposure::Effective;
use crate::model::{
    Declaration, Family, Firewall, Key, LiveFirewall, Origin, Protocol, Rule, Sources,
};
use crate::plan::lint::lint;
use crate::plan::{Plan, Verdict, plan_grants};

use super::instance;

fn key(port: i32) -> Key {
    Key::new(Protocol::Tcp, port, port).expect("a key")
}

fn rule(port: i32, net: &str, tag: &str) -> Rule {
    Rule {
        key: key(port),
        sources: Sources::parse_live(net).into_iter().collect(),
        declared: std::sync::Arc::new(Declaration {
            allow: "x".into(),
            from: vec![net.to_owned()].into(),
            origin: Origin::of_tag(tag.to_owned()),
            why: None,
            owner: None,
            until: None,
        }),
    }
}

/// A few rules that overlap, with nested networks and repeated keys.
fn rules(most: usize) -> impl Strategy<Value = Vec<Rule>> {
    let port = select(vec![22, 80]);
    let net = select(vec![
        "203.0.113.7/32",
        "203.0.113.8/32",
        "203.0.113.0/24",
        "2001:db8::/64",
    ]);
    vec((port, net), 0..=most).prop_map(|all| {
        all.into_iter()
            .map(|(port, net)| rule(port, net, "t"))
            .collect()
    })
}

fn firewall(rules: &[Rule]) -> Firewall {
    rules
        .iter()
        .map(|rule| (rule.key, rule.sources.clone()))
        .collect()
}

fn means(rules: &Firewall) -> Effective {
    Effective::of(rules, Family::default())
}

proptest! {
    /// `undeclared` are rules that somebody opened by hand, which a lease does not change.
    #[test]
    fn lease_changes_only_the_access_that_it_names(
        declared in rules(3),
        undeclared in rules(2),
        open in rules(2),
        close in rules(2),
    ) {
        let live: Firewall = [declared.clone(), undeclared, close.clone()].concat().iter()
            .map(|rule| (rule.key, rule.sources.clone())).collect();
        let before = LiveFirewall::from(&live);
        let one = plan_grants(&instance(), &declared, &before, &open, &close);
        let plan = Plan { instances: vec![one.clone()], ..Plan::default() };
        prop_assert_eq!(lint(&plan), vec![]);
        prop_assert!(matches!(one.verdict, Verdict::Change | Verdict::InSync), "{:?}", one.verdict);
        let (was, will) = (means(&live), means(&one.after));
        let granted = means(&firewall(&open));
        let stays = means(&firewall(&declared));
        // Granted and declared access is open.
        prop_assert!(will.is_superset(&granted));
        prop_assert!(will.is_superset(&stays));
        // No other access is opened.
        prop_assert!(was.union(&granted).is_superset(&will));
        // Only access that the closed rules name is closed.
        let closed = was.difference(&will);
        prop_assert!(means(&firewall(&close)).is_superset(&closed));
        // Keys that no lease names keep their spelling.
        for (key, sources) in &live {
            if !open.iter().chain(&close).any(|rule| rule.key == *key) {
                prop_assert_eq!(one.after.get(*key), Some(sources));
            }
        }
        // A second plan is empty.
        let again = plan_grants(&instance(), &declared, &LiveFirewall::from(&one.after), &open, &close);
        prop_assert_eq!(again.verdict, Verdict::InSync);
    }

    /// A grant and its end lead back to the first rules, whatever is declared.
    #[test]
    fn ended_lease_leaves_nothing_behind(declared in rules(3), open in rules(2)) {
        let live = firewall(&declared);
        let opened = plan_grants(&instance(), &declared, &LiveFirewall::from(&live), &open, &[]);
        let closed = plan_grants(&instance(), &declared, &LiveFirewall::from(&opened.after), &[], &open);
        prop_assert_eq!(means(&closed.after), means(&live));
    }
}
