//! The page's markup holds whatever the texts, and its cells say what the firewalls mean.

use std::collections::BTreeSet;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::exposure::{Compared, DocumentFirewall};
use crate::model::arbitrary::Universe;
use crate::model::{Code, Family, is_unsafe};
use crate::plan::arbitrary::plans;
use crate::render::Names;
use crate::render::difference::Comparison;
use crate::render::formats::count;
use crate::render::json::Problem;

/// Tags that are opened and tags that are closed, those without an end aside.
fn tags(page: &str) -> (Vec<String>, Vec<String>) {
    let mut opened = Vec::new();
    let mut closed = Vec::new();
    for piece in page.split('<').skip(1) {
        let name = piece
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '/' || *c == '!')
            .collect::<String>()
            .to_lowercase();
        match name.strip_prefix('/') {
            Some(name) => closed.push(name.to_owned()),
            None if ["meta", "br", "wbr", "input", "!doctype"].contains(&name.as_str()) => {}
            None => opened.push(name),
        }
    }
    opened.sort();
    closed.sort();
    (opened, closed)
}

proptest! {
    #[test]
    fn text_is_escaped_in_html(text in any::<String>()) {
        let without_code = |page: &str| page.replace("<code>", "").replace("</code>", "");
        let shown = without_code(&prose(&text).into_string());
        prop_assert!(!shown.contains(['<', '>', '"']));
        let shown = html! { p title=(text) {} }.into_string();
        prop_assert_eq!(shown.matches('"').count(), 2);
        // In the heading, in a finding, in its hint and in a note.
        let said = |text: &str| {
            let error = Problem::error(Code::Failed, text, Some(text.to_owned()));
            let run = RunReport { verb: "plan", error: Some(error), ..RunReport::default() };
            page(&run, &|_| None, &[text.to_owned()])
        };
        let page = said(&text);
        prop_assert_eq!(tags(&without_code(&page)), tags(&said("plain")));
        prop_assert!(!hides(&page));
    }
}

/// Whether a page holds a character that nobody sees, but for the ends of its lines.
fn hides(page: &str) -> bool {
    page.contains(|c| c != '\n' && is_unsafe(c))
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    #[test]
    fn page_is_self_contained(plan in plans(Universe::Big)) {
        let run = RunReport { verb: "plan", plan: Some(&plan), ..RunReport::default() };
        let page = page(&run, &|_| None, &[]);
        let (opened, closed) = tags(&page);
        prop_assert_eq!(opened, closed);
        prop_assert!(!hides(&page));
        for instance in &plan.instances {
            let name = html! { (sanitize(&instance.instance.id.name)) };
            prop_assert!(page.contains(&name.into_string()));
        }
        // What changes says so, and nothing else does.
        let opens = plan.instances.iter().any(|i| !i.exposure.gained.is_empty());
        prop_assert_eq!(page.contains("<section class=\"part wider\""), opens);
        let closes = plan.instances.iter().any(|i| !i.exposure.lost.is_empty());
        prop_assert_eq!(page.contains("<section class=\"part narrower\""), closes);
        // Below the table are rules, of which one may be new and open nothing.
        let (table, _) = page.split_once("<div class=\"sections\">").unwrap_or((&page, ""));
        prop_assert_eq!(table.contains("<span class=\"source wider\">+"), opens, "{}", page);
        // The other way round it is drift, of which the page speaks in other words.
        let run = RunReport { verb: "drift", plan: Some(&plan), ..RunReport::default() };
        let page = super::page(&run, &|_| None, &[]);
        prop_assert_eq!(page.contains("<h2 id=\"wider\">Live allows more than declared"), closes);
        prop_assert_eq!(page.contains("<h2 id=\"lacks\">Live lacks"), opens);
        prop_assert!(!page.contains("Opens") && !page.contains("Closes"));
    }
    #[test]
    fn plan_and_difference_make_the_same_page(plan in plans(Universe::Big)) {
        let side = |i: &InstancePlan| (DocumentFirewall::of_live(&i.before, Family::V4), DocumentFirewall::of(&i.after, Family::V4));
        let compared = |i: &InstancePlan| {
            let (before, after) = side(i);
            Compared::new(Some(i.instance.id.clone()), before, after)
        };
        let all: Vec<Compared> = plan.instances.iter().map(compared).collect();
        let (names, notes) = (Names::default(), BTreeSet::from(["a <note>".to_owned()]));
        let of = Comparison {
            exit_code: 2,
            at: time::OffsetDateTime::UNIX_EPOCH,
            documents: ["old.toml", "new.toml"],
            all: &all,
            groups: 0,
            names: [&names, &names],
            problems: &[],
            notes: &notes,
        };
        let page = difference(&of, &|_| None, &[]);
        let (opened, closed) = tags(&page);
        prop_assert_eq!(opened, closed);
        prop_assert!(!hides(&page));
        let opens = all.iter().any(|c| !c.diff.gained.is_empty());
        prop_assert_eq!(page.contains("<section class=\"part wider\""), opens);
        let equal = all.iter().filter(|c| c.is_equal()).count();
        let shown = format!("Equal <small>{}</small>", count(equal, "instance"));
        prop_assert_eq!(page.contains(&shown), equal > 0);
    }
}
