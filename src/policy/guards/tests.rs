//! Tests of consent, and properties of all plans. The files below test the single guards.

mod blast_radius;
mod lockout;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use std::sync::Arc;

use super::*;
use crate::exposure::{Access, Effective};
use crate::model::arbitrary::{Universe, named};
use crate::model::{
    AddressType, Declaration, Desired, DesiredInstance, Firewall, Instance, InstanceState, Key,
    Live, LiveFirewall, Mode, Origin, PortState, Protocol, Rule, Sources, Strategy,
};
use crate::plan::Call;
use crate::plan::arbitrary::{desired_instance, plans};
use crate::plan::{PlanOptions, plan};

fn tcp(port: i32) -> Key {
    Key::new(Protocol::Tcp, port, port).expect("a port")
}

type Rules<'a> = &'a [(i32, &'a [&'a str])];

fn firewall(rules: Rules<'_>) -> Firewall {
    rules
        .iter()
        .map(|(port, texts)| (tcp(*port), named(texts)))
        .collect()
}

fn rule(key: Key, sources: &Sources) -> Rule {
    Rule {
        key,
        sources: sources.clone(),
        declared: Arc::new(Declaration {
            allow: "".into(),
            from: [].into(),
            origin: Origin {
                file: "firewall.toml".into(),
                line: 5,
                column: 1,
            },
            why: None,
            owner: None,
            until: None,
        }),
    }
}

/// A plan for instances with a name, an address type, live entries and declared rules.
fn planned(instances: &[(&str, &str, Vec<PortState>, Rules<'_>)]) -> Plan {
    let (mut desired, mut live) = (Desired::default(), Live::default());
    for (path, kind, entries, wanted) in instances {
        let (region, name) = path.split_once('/').unwrap_or(("eu-central-1", path));
        let id = InstanceId {
            account: None,
            region: region.into(),
            name: name.into(),
        };
        let rules = firewall(wanted);
        let rules = rules.iter().map(|(key, sources)| rule(*key, sources));
        let wanted = desired_instance(Mode::Authoritative, rules.collect());
        let instance = Instance {
            id: id.clone(),
            arn: format!("arn:aws:lightsail:{region}:123456789012:Instance/{name}"),
            tags: BTreeMap::new(),
            state: InstanceState::Running,
            address_type: AddressType::from(*kind),
        };
        desired.instances.insert(id.clone(), wanted.into());
        live.instances.insert(id.clone(), instance);
        live.firewalls.insert(id, Ok(LiveFirewall::read(entries)));
    }
    plan(&desired, &live, PlanOptions::default())
}

fn entries(rules: Rules<'_>) -> Vec<PortState> {
    firewall(rules)
        .iter()
        .map(|(key, sources)| PortState::canonical(*key, sources))
        .collect()
}

fn one(kind: &str, before: Rules<'_>, after: Rules<'_>) -> Plan {
    planned(&[("web-1", kind, entries(before), after)])
}

fn allow(texts: &[&str]) -> Vec<Consent> {
    texts
        .iter()
        .map(|text| text.parse().expect("consent"))
        .collect()
}

fn shown(plan: &Plan, guard: &Guard, allowed: &[&str]) -> Vec<String> {
    let judgement = judge(
        plan,
        guard,
        plan.instances.len(),
        &BTreeMap::new(),
        &allow(allowed),
        "meant",
    );
    judgement
        .refusals
        .iter()
        .map(|refusal| {
            let place = refusal.instance.as_ref().map(ToString::to_string);
            format!(
                "{} {}: {}",
                refusal.guard,
                place.unwrap_or_default(),
                refusal.reason
            )
        })
        .collect()
}

fn guards(plan: &Plan) -> Vec<GuardName> {
    let judgement = judge(
        plan,
        &Guard::default(),
        plan.instances.len(),
        &BTreeMap::new(),
        &[],
        "",
    );
    judgement.refusals.iter().map(|r| r.guard).collect()
}

#[test]
fn needed_consent_is_recorded() {
    let plan = planned(&[
        (
            "web-1",
            "dualstack",
            entries(&[(22, &["::/0"])]),
            &[(80, &["::/0"])],
        ),
        (
            "web-2",
            "dualstack",
            entries(&[(22, &["::/0"])]),
            &[(80, &["::/0"])],
        ),
    ]);
    let given = allow(&["lockout=web-1", "empty", "lockout=db-*", "lockout=web-1"]);
    let judgement = judge(
        &plan,
        &Guard::default(),
        2,
        &BTreeMap::new(),
        &given,
        "moved to a VPN",
    );
    let who: Vec<String> = judgement
        .refusals
        .iter()
        .filter_map(|refusal| refusal.instance.as_ref().map(ToString::to_string))
        .collect();
    assert_eq!(who, ["eu-central-1/web-2"]);
    let used = Override {
        guard: GuardName::Lockout,
        selector: Some("web-1".into()),
        reason: "moved to a VPN".into(),
    };
    assert_eq!(judgement.used, [used]);
    assert_eq!(judgement.unneeded, allow(&["empty", "lockout=db-*"]));
}

#[test]
fn name_in_two_regions_needs_its_region() {
    let before = || entries(&[(22, &["::/0"])]);
    let plan = planned(&[
        ("eu-west-1/web-1", "dualstack", before(), &[(80, &["::/0"])]),
        ("us-east-1/web-1", "dualstack", before(), &[(22, &["::/0"])]),
    ]);
    let judgement = judge(&plan, &Guard::default(), 2, &BTreeMap::new(), &[], "");
    assert!(
        judgement.refusals[0]
            .hint
            .contains("--allow lockout=eu-west-1/web-1 "),
        "{judgement:?}"
    );
}

#[test]
fn finished_plan_is_checked_with_its_own_consent() {
    let mut plan = one("dualstack", &[(22, &["::/0"])], &[(80, &["::/0"])]);
    assert_eq!(lint(&plan, &Guard::default(), 1).len(), 1);
    plan.overrides = judge(
        &plan,
        &Guard::default(),
        1,
        &BTreeMap::new(),
        &allow(&["lockout"]),
        "meant",
    )
    .used;
    assert_eq!(lint(&plan, &Guard::default(), 1), []);
    plan.overrides[0].selector = Some("[".into());
    assert_eq!(lint(&plan, &Guard::default(), 1).len(), 1);
}

proptest! {
    #[test]
    fn consent_to_all_guards_permits_every_plan(plan in plans(Universe::Small)) {
        let strict = Guard { max_instances: Some(0), max_closed: 0, ..Guard::default() };
        let all = allow(&["lockout", "blast-radius", "empty"]);
        let judgement = judge(&plan, &strict, 0, &BTreeMap::new(), &all, "meant");
        prop_assert_eq!(&judgement.refusals, &[]);
        prop_assert_eq!(judgement.used.len() + judgement.unneeded.len(), 3);
        let without = judge(&plan, &strict, 0, &BTreeMap::new(), &[], "");
        for consent in judgement.used {
            prop_assert!(without.refusals.iter().any(|refusal| refusal.guard == consent.guard));
        }
        let changes = plan.instances.iter().any(|instance| instance.verdict == Verdict::Change);
        prop_assert_eq!(changes, !without.refusals.is_empty());
    }

    #[test]
    fn plan_that_only_opens_does_not_lock_out(mut plan in plans(Universe::Small)) {
        // The loss of possible access is not certain.
        plan.instances.retain(|instance| instance.exposure.lost.is_empty() && instance.before.is_certain());
        prop_assert_eq!(guards(&plan), []);
    }

    /// The oracle counts the cells of each rule, so the rules have few cells.
    #[test]
    fn closed_rules_agree_with_a_count_of_every_cell(mut plan in plans(Universe::Small)) {
        plan.instances.retain(|instance| instance.verdict == Verdict::Change);
        for instance in plan.instances {
            let after = Effective::of(&instance.after, instance.family());
            for (key, sources) in instance.before.firewall() {
                let rule = Effective::of_rules([(key, sources)], instance.family());
                let had = Access::from(sources);
                let cells = || rule.iter().flat_map(|(atom, run)| (run.from..=run.to).map(move |cell| (atom, cell)));
                if cells().nth(1000).is_some() {
                    continue;
                }
                let shut = cells().filter(|(atom, cell)| {
                    let kept = had.intersection(after.access(*atom, *cell));
                    let gone = had.difference(&kept);
                    gone.v4.count() > kept.v4.count()
                        || gone.v6.count() > kept.v6.count()
                        || gone.aliases.len() > kept.aliases.len()
                });
                let expected = 2 * shut.count() > cells().count();
                prop_assert_eq!(closing::is_closed(*key, sources, &after), expected, "{} {}", key, sources);
            }
        }
    }
}
