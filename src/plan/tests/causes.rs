//! Tests of the causes of changes, and of the hints of refusals.

use proptest::prelude::{prop_assert_eq, proptest};

use super::{desired, firewall, planned, tcp};
use crate::model::arbitrary::Universe;
use crate::model::{Absent, Mode, Rule, Strategy};
use crate::plan::arbitrary::fleet;
use crate::plan::{Cause, CauseKind, PlanOptions, Verdict, plan};

proptest! {
    /// The causes are the lines with the key, and the lines for which a rule is cut.
    #[test]
    fn change_names_the_lines_with_its_key((desired, live) in fleet(Universe::Small)) {
        let all = plan(&desired, &live, PlanOptions::default());
        for planned in &all.instances {
            let wanted = &desired.instances[&planned.instance.id];
            for change in &planned.changes {
                let rule = |kind| move |rule: &Rule| Cause {
                    kind,
                    origin: rule.declared.origin.clone(),
                    why: rule.declared.why.clone(),
                    owner: rule.declared.owner.clone(),
                    until: rule.declared.until,
                };
                let absent = |absent: &Absent| Cause {
                    kind: CauseKind::Absent,
                    origin: absent.origin.clone(),
                    why: absent.why.clone(),
                    owner: absent.owner.clone(),
                    until: None,
                };
                let mut causes = Vec::new();
                causes.extend(wanted.rules.iter().filter(|line| line.key == change.key).map(rule(CauseKind::Declared)));
                causes.extend(wanted.absent.iter().filter(|line| line.key == change.key).map(absent));
                causes.extend(wanted.expired.iter().filter(|line| line.key == change.key).map(rule(CauseKind::Expired)));
                // A rule that is cut names the lines that cause it, whatever their keys are.
                let cut = wanted.mode == Mode::Additive && wanted.strategy == Strategy::Put;
                let others = wanted.absent.iter().map(absent);
                let others = others.chain(wanted.expired.iter().map(rule(CauseKind::Expired)));
                let others: Vec<Cause> = others.filter(|_| cut).collect();
                let of_the_key: Vec<Cause> = change
                    .causes
                    .iter()
                    .filter(|cause| causes.contains(cause) || !others.contains(cause))
                    .cloned()
                    .collect();
                prop_assert_eq!(&of_the_key, &causes);
            }
        }
    }
}

#[test]
fn refusal_has_a_hint_about_consent() {
    let before = firewall(&[(tcp(22, 22), &["10.0.0.0/8", "::/0"])]);
    let after = firewall(&[(tcp(22, 22), &["10.0.0.0/8"])]);
    for (mode, strategy, consent) in [
        (
            Mode::Authoritative,
            Strategy::Incremental,
            "`--strategy put`",
        ),
        (Mode::Additive, Strategy::Auto, "`strategy = \"put\"`"),
    ] {
        let mut wanted = desired(mode, &after);
        wanted.strategy = strategy;
        if mode == Mode::Additive {
            wanted.absent = vec![Absent {
                key: tcp(22, 22),
                sources: before.get(tcp(22, 22)).map(|now| {
                    let mut gone = now.clone();
                    gone.clear_ipv4();
                    gone
                }),
                origin: super::origin(9),
                why: None,
                owner: None,
            }];
        }
        let plan = planned(&wanted, &before);
        let Verdict::Refused { reason, hint } = plan.verdict else {
            panic!("{mode:?}: {:?}", plan.verdict);
        };
        assert!(reason.contains("tcp/22"), "{reason}");
        let hint = hint.expect("a hint");
        assert!(hint.contains(consent), "{hint}");
        assert_eq!(
            mode == Mode::Additive,
            hint.contains("strategy = \"put\""),
            "{hint}"
        );
    }
}
