//! The page's markup holds whatever the texts, and its cells say what the firewalls mean.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::level::Openness;
use super::*;
use crate::exposure::{Access, Compared, Side};
use crate::model::arbitrary::Universe;
use crate::model::{Code, Family, Sources, is_unsafe};
use crate::plan::arbitrary::plans;
use crate::render::Names;
use crate::render::difference::{Comparison, Vocabulary};
use crate::render::json::Problem;

fn access(texts: &[&str]) -> Access {
    let nets = texts.iter().filter_map(|text| Sources::parse_live(text));
    Access::from(&nets.collect::<Sources>())
}

#[test]
fn four_steps_of_openness() {
    for (texts, openness) in [
        (&[][..], Openness::Nobody),
        (&["10.0.0.0/16"], Openness::Named),
        (&["10.0.0.0/16", "11.0.0.1/32"], Openness::Wide),
        (&["0.0.0.0/1"], Openness::Wide),
        (&["0.0.0.0/1", "128.0.0.0/1"], Openness::Everyone),
        (&["2001:db8::/48"], Openness::Named),
        (&["2001:db8::/47"], Openness::Wide),
        (&["::/0"], Openness::Everyone),
    ] {
        assert_eq!(Openness::of(&access(texts)), openness, "{texts:?}");
    }
    let mut alias = Sources::new();
    alias.insert_alias("lightsail-connect");
    assert_eq!(Openness::of(&Access::from(&alias)), Openness::Named);
}

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
            None if ["meta", "br", "!doctype"].contains(&name.as_str()) => {}
            None => opened.push(name),
        }
    }
    opened.sort();
    closed.sort();
    (opened, closed)
}

proptest! {
    #[test]
    fn no_text_is_markup(text in any::<String>()) {
        let without_code = |page: &str| page.replace("<code>", "").replace("</code>", "");
        let shown = without_code(&prose(&text).into_string());
        prop_assert!(!shown.contains(['<', '>', '"']));
        let shown = html! { p title=(text) {} }.into_string();
        prop_assert_eq!(shown.matches('"').count(), 2);
        // In the heading, in a finding, in its hint and in a note.
        let said = |text: &str| {
            let error = Problem::error(Code::Failed, text, Some(text.to_owned()));
            let run = Run { verb: "plan", error: Some(error), ..Run::default() };
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
    fn the_page_is_whole(plan in plans(Universe::Big)) {
        let run = Run { verb: "plan", plan: Some(&plan), ..Run::default() };
        let page = page(&run, &|_| None, &[]);
        let (opened, closed) = tags(&page);
        prop_assert_eq!(opened, closed);
        prop_assert!(!hides(&page));
        // A row and a section for each instance, and a cell that changes only where access does.
        prop_assert_eq!(page.matches("<th scope=\"row\"><a ").count(), plan.instances.len());
        prop_assert_eq!(page.matches("<details>").count(), plan.instances.len());
        let in_sync = plan.instances.iter().filter(|i| {
            !i.verdict.differs() && i.incomplete.is_none()
        }).count();
        let tile = format!("<strong>{in_sync}</strong> in sync</li>");
        prop_assert!(page.contains(&tile), "{}", tile);
        let opens = plan.instances.iter().any(|i| !i.exposure.gained.is_empty());
        prop_assert_eq!(page.contains("<td class=\"change gains\""), opens);
        let differs = plan.instances.iter().any(|i| !i.exposure.is_empty());
        prop_assert_eq!(page.contains("<td class=\"change "), differs);
    }
    #[test]
    fn a_comparison_makes_the_same_page(plan in plans(Universe::Big)) {
        let side = |i: &InstancePlan| (Side::of_live(&i.before, Family::V4), Side::of(&i.after, Family::V4));
        let compared = |i: &InstancePlan| {
            let (before, after) = side(i);
            Compared::new(Some(i.instance.id.clone()), before, after)
        };
        let all: Vec<Compared> = plan.instances.iter().map(compared).collect();
        let (names, notes) = (Names::default(), BTreeSet::from(["a <note>".to_owned()]));
        let of = Comparison {
            exit_code: 2,
            all: &all,
            groups: 0,
            words: Vocabulary { old: &names, new: &names },
            problems: &[],
            notes: &notes,
        };
        let page = difference(&of, &|_| None, &[]);
        let (opened, closed) = tags(&page);
        prop_assert_eq!(opened, closed);
        prop_assert!(!hides(&page));
        prop_assert_eq!(page.matches("<th scope=\"row\"><a ").count(), all.len());
        let opens = all.iter().any(|c| !c.diff.gained.is_empty());
        prop_assert_eq!(page.contains("<td class=\"change gains\""), opens);
        let differs = all.iter().any(|c| !c.diff.is_empty());
        // A cell may also change from what is only possible.
        let doubtful = all.iter().any(Compared::is_doubtful);
        let changes = page.contains("<td class=\"change ");
        prop_assert!(changes || !differs);
        prop_assert!(differs || doubtful || !changes);
    }
}
