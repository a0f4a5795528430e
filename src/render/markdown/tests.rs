//! No text gets out of its place, no comment is too long, and no opening is dropped.

use std::collections::BTreeMap;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::escape::{code, fenced, prose};
use super::*;
use crate::exposure;
use crate::model::arbitrary::Universe;
use crate::model::{
    AddressType, Declaration, DesiredInstance, Instance, InstanceId, InstanceState, Key,
    LiveFirewall, Mode, Origin, Protocol, Rule, Sources, Strategy,
};
use crate::plan::arbitrary::plans;
use crate::plan::{Plan, PlanOptions, plan_instance};

fn run(plan: &Plan) -> RunReport<'_> {
    RunReport {
        verb: "plan",
        plan: Some(plan),
        ..RunReport::default()
    }
}

/// Text without what our own code may put around it.
fn inner(text: &str) -> String {
    ["<code>", "</code>", "<!-- -->"]
        .iter()
        .fold(text.to_owned(), |text, ours| text.replace(ours, ""))
}

/// The plan again and again, each time on instances of other names.
fn repeated(plan: &Plan, times: usize) -> Plan {
    let mut many = plan.clone();
    many.instances.clear();
    for n in 0..times {
        for instance in &plan.instances {
            let mut instance = instance.clone();
            let name = &mut instance.instance.id.name;
            let _ = write!(name, "-{n:05}");
            many.instances.push(instance);
        }
    }
    many
}

#[test]
fn text_from_outside_is_not_markup() {
    assert_eq!(code("a|b"), "<code>a&#124;b</code>");
    assert_eq!(
        prose("`<b>` is *no* @user #1 www.x https://x"),
        "<code>&#60;b&#62;</code> is &#42;no&#42; &#64;<!-- -->user &#35;<!-- -->1 www&#46;x https&#58;//x"
    );
    assert_eq!(fenced("a\n```\nb"), "````text\na\n```\nb\n````\n");
}

#[test]
fn run_without_a_plan_has_a_headline() {
    let invalid = RunReport {
        verb: "check",
        problems: vec![crate::render::json::Problem::error(
            crate::model::Code::UnknownKey,
            "unknown key `a|b`",
            None,
        )],
        ..RunReport::default()
    };
    assert_eq!(
        comment(&invalid),
        "<!-- portward:check -->\n### portward check: the configuration is not valid, 1 error\n\n\
         - 🛑 **error** unknown key <code>a&#124;b</code>\n\n"
    );
}

proptest! {
    #[test]
    fn text_is_escaped_in_code_and_prose(text in any::<String>()) {
        for shown in [code(&text), prose(&text)] {
            let inner = inner(&shown);
            prop_assert!(!inner.contains(['<', '>', '*', '_', '[', ']', '|', '`', '\\', '\n', '@', '~', '!', '"']), "{}", inner);
            // References are the only use of an ampersand.
            let references = inner.matches("&#").count();
            prop_assert_eq!(references, inner.matches('&').count());
            prop_assert!(!inner.contains("://") && !inner.to_lowercase().contains("www."), "{}", inner);
        }
    }

    #[test]
    fn code_fences_are_longer_than_their_content(lines in proptest::collection::vec("[`~a ]{0,9}", 0..6)) {
        let text = fenced(&lines.join("\n"));
        let fence = text.split_once("text").expect("the fence names its language").0.to_owned();
        prop_assert_eq!(text.lines().filter(|line| line.starts_with(&fence)).count(), 2, "{}", text);
    }
}

/// Instances that each open another port to everyone.
fn many_ports(instances: i32) -> Plan {
    let opened = |port: i32| {
        let key = Key::new(Protocol::Tcp, port, port).expect("a port");
        let rule = Rule {
            key,
            sources: Sources::anywhere(),
            declared: std::sync::Arc::new(Declaration {
                allow: "".into(),
                from: [].into(),
                origin: Origin {
                    file: "firewall.toml".into(),
                    line: 1,
                    column: 1,
                },
                why: None,
                owner: None,
                until: None,
            }),
        };
        let desired = DesiredInstance {
            mode: Mode::Authoritative,
            strategy: Strategy::Auto,
            rules: vec![rule],
            absent: Vec::new(),
            expired: Vec::new(),
            notes: Vec::new(),
        };
        let instance = Instance {
            id: InstanceId {
                account: None,
                region: "eu-central-1".into(),
                name: format!("web-{port}"),
            },
            arn: String::new(),
            tags: BTreeMap::new(),
            state: InstanceState::Running,
            address_type: AddressType::Dualstack,
        };
        plan_instance(
            &instance,
            &desired,
            &LiveFirewall::default(),
            PlanOptions::default(),
        )
    };
    Plan {
        instances: (1..=instances).map(opened).collect(),
        ..Plan::default()
    }
}

#[test]
fn long_comment_is_shortened_in_steps() {
    for (instances, told, not_told) in [
        (100, "The whole plan", "_Shortened"),
        (400, "web-399", "The whole plan"),
        (
            800,
            "<code>tcp/799 from everyone</code>** on 1 instance",
            "<code>web-799</code>",
        ),
        (
            3000,
            "- on 3000 instances, **from everyone** on 3000 instances",
            "tcp/799 ",
        ),
    ] {
        let plan = many_ports(instances);
        let text = comment(&run(&plan));
        assert!(
            text.chars().count() <= LIMIT,
            "{instances}: {}",
            text.chars().count()
        );
        assert!(text.contains(told), "{instances}: {text}");
        assert!(!text.contains(not_told), "{instances}: {text}");
    }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(16))]

    #[test]
    fn openings_are_kept_at_any_length(plan in plans(Universe::Big), times in 1_usize..40) {
        let plan = repeated(&plan, times);
        let text = comment(&run(&plan));
        prop_assert!(text.chars().count() <= LIMIT, "{}", text.chars().count());
        let opens = plan.instances.iter().any(|i| !i.exposure.gained.is_empty());
        prop_assert_eq!(text.contains("**Opens**"), opens, "{}", text);
    }

    #[test]
    fn full_comment_has_every_access_line(plan in plans(Universe::Big)) {
        let text = render(&run(&plan), Detail::All);
        for instance in &plan.instances {
            for line in exposure::lines(&instance.exposure.gained) {
                prop_assert!(text.contains(&code(&line.to_string())), "{} is not in {}", line, text);
            }
        }
    }

    #[test]
    fn shortest_form_fits_its_limit(plan in plans(Universe::Big), times in 1_usize..40) {
        let plan = repeated(&plan, times);
        prop_assert!(render(&run(&plan), Detail::Counts).chars().count() < LIMIT);
    }
}
