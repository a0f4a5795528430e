//! No comment on a comparison is too long, and no opening is dropped.

use std::collections::BTreeSet;

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::exposure::{self, Compared, DocumentFirewall};
use crate::model::arbitrary::Universe;
use crate::model::{Code, Family};
use crate::plan::Plan;
use crate::plan::arbitrary::plans;
use crate::render::Names;
use crate::render::json::Problem;
use crate::render::markdown::LIMIT;
use crate::render::markdown::escape::code;

/// Every instance of the plan before and after it, again and again under other names.
fn compared(plan: &Plan, times: usize) -> Vec<Compared> {
    let mut all = Vec::new();
    for n in 0..times {
        for instance in &plan.instances {
            let mut id = instance.instance.id.clone();
            let _ = write!(id.name, "-{n:05}");
            let (before, after) = (
                DocumentFirewall::of_live(&instance.before, Family::V4),
                DocumentFirewall::of(&instance.after, Family::V4),
            );
            all.push(Compared::new(Some(id), before, after));
        }
    }
    all
}

fn with<T>(all: &[Compared], problems: &[Problem], ask: impl FnOnce(&Comparison<'_>) -> T) -> T {
    let names = Names::default();
    ask(&Comparison {
        exit_code: 2,
        at: time::OffsetDateTime::UNIX_EPOCH,
        documents: ["old.toml", "new.toml"],
        all,
        groups: 0,
        names: [&names, &names],
        problems,
        notes: &BTreeSet::new(),
    })
}

fn full(of: &Comparison<'_>, detail: Detail) -> String {
    render(of, &of_comparison(of), detail)
}

#[test]
fn uncompared_instances_are_reported() {
    let problem = Problem::error(
        Code::Unreadable,
        "`web-1` cannot be compared: no answer",
        None,
    );
    let text = with(&[], &[problem], difference);
    assert!(
        text.contains("**Not everything could be compared.**"),
        "{text}"
    );
    assert!(
        text.contains("<code>web-1</code> cannot be compared"),
        "{text}"
    );
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(12))]

    #[test]
    fn openings_are_kept_at_any_length(plan in plans(Universe::Big), times in 1_usize..30) {
        let all = compared(&plan, times);
        let text = with(&all, &[], difference);
        prop_assert!(text.chars().count() <= LIMIT, "{}", text.chars().count());
        let opens = all.iter().any(|compared| !compared.diff.gained.is_empty());
        // In the headline always, and below it as a table, as a list, or in the one sentence.
        prop_assert_eq!(text.contains("Opens something on"), opens, "{}", text);
        let told = text.contains("**Opens**") || text.contains(" to ");
        prop_assert!(!opens || told, "{}", text);
    }

    #[test]
    fn full_comment_has_every_access_line(plan in plans(Universe::Big)) {
        let all = compared(&plan, 1);
        let text = with(&all, &[], |of| full(of, Detail::All));
        for line in all.iter().flat_map(|compared| exposure::lines(&compared.diff.gained)) {
            let what = code(&line.ports);
            let what = what.trim_start_matches("<code>").trim_end_matches("</code>");
            prop_assert!(text.contains(what), "{} is not in {}", line, text);
        }
    }

    #[test]
    fn shortest_form_fits_its_limit(plan in plans(Universe::Big), times in 1_usize..30) {
        let all = compared(&plan, times);
        let text = with(&all, &[], |of| full(of, Detail::Counts));
        prop_assert!(text.chars().count() < LIMIT);
        let opens = all.iter().any(|compared| !compared.diff.gained.is_empty());
        prop_assert_eq!(text.contains("**Opens**"), opens);
    }
}
