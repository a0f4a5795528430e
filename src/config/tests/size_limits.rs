//! Tests of the limits on size, and that equal tables share their rules.

use std::sync::Arc;

use time::OffsetDateTime;

use super::super::Severity;
use super::super::size_limits::MAX_PAIRS;
use super::read;
use crate::model::MAX_PAIRS_PER_INSTANCE;

fn list(count: usize, text: impl Fn(usize) -> String) -> String {
    let texts: Vec<String> = (0..count).map(|at| format!("\"{}\"", text(at))).collect();
    format!("[{}]", texts.join(", "))
}

fn ports(count: usize) -> String {
    list(count, |at| format!("tcp/{}", 1 + 2 * at))
}

fn sources(count: usize) -> String {
    list(count, |at| format!("198.18.{}.{}", at / 250, 1 + at % 250))
}

/// The problems, without their hints.
fn problems(text: &str) -> Vec<String> {
    match read(text) {
        Ok(_) => Vec::new(),
        Err(errors) => {
            // The warnings about the sources do not matter here.
            let errors = errors
                .problems
                .iter()
                .filter(|problem| problem.severity == Severity::Error);
            let problems = errors.map(ToString::to_string);
            let short = |text: String| text.split(" (the service").next().map(str::to_owned);
            problems.filter_map(short).collect()
        }
    }
}

#[test]
fn excessive_rule_is_reported_once() {
    let tables = (0..50)
        .map(|at| format!("[instances.web-{at}]\nuse = [\"base\"]\n"))
        .collect::<Vec<String>>()
        .concat();
    let text = format!(
        "[rulesets]\nbase = [\n  {{ allow = {}, from = {} }},\n]\n{tables}",
        ports(1000),
        sources(1000)
    );
    assert_eq!(
        problems(&text),
        [format!(
            "f.toml:4:3: error[PW-112]: this rule comes to 1000000 pairs of port and source (1000 x 1000), more than the limit of {MAX_PAIRS_PER_INSTANCE} for one instance"
        )]
    );
}

#[test]
fn limits_are_inclusive() {
    let rule = |sources: usize| {
        format!(
            "[instances.web-1]\nrules = [\n  {{ allow = {}, from = {} }},\n  {{ allow = \"ssh\", from = {} }},\n]\n",
            ports(50),
            self::sources(MAX_PAIRS_PER_INSTANCE / 50 - 1),
            self::sources(sources),
        )
    };
    assert_eq!(problems(&rule(50)), [""; 0]);
    let over = MAX_PAIRS_PER_INSTANCE + 1;
    assert_eq!(
        problems(&rule(51)),
        [format!(
            "f.toml:5:3: error[PW-112]: with this rule the table comes to {over} pairs of port and source, more than the limit of {MAX_PAIRS_PER_INSTANCE} for one instance"
        )]
    );
}

#[test]
fn pairs_times_policies_are_limited() {
    let text = |count: usize| {
        let rules = (1..=count)
            .map(|at| {
                format!(
                    "{{ allow = \"tcp/{at}-{}\", from = \"198.18.0.{}\" }},\n",
                    60_000 + at,
                    at % 250
                )
            })
            .collect::<Vec<String>>()
            .concat();
        let policies = (0..count)
            .map(|at| format!("[[policy]]\nid = \"p{at}\"\nservices = [\"ssh\"]\nat-most = {{ ipv4 = \"/32\" }}\n"))
            .collect::<Vec<String>>()
            .concat();
        format!("[instances.web-1]\nrules = [\n{rules}]\n{policies}")
    };
    assert_eq!(problems(&text(490)), [""; 0]);
    let found = problems(&text(510));
    assert_eq!(found.len(), 1, "{found:?}");
    // 488 rules times 510 policies and three built-in ones.
    assert!(
        found[0].starts_with("f.toml:491:1: error[PW-112]: with this rule the table comes to 488 pairs of port and source, which 513 policies check: 250344 in all"),
        "{found:?}"
    );
}

#[test]
fn all_pairs_together_are_limited() {
    let each = MAX_PAIRS_PER_INSTANCE;
    let allowed = MAX_PAIRS / each - 1;
    let text = |tables: usize| {
        let tables = (0..tables)
            .map(|at| format!("[instances.web-{at}]\nuse = [\"base\"]\n"))
            .collect::<Vec<String>>()
            .concat();
        format!(
            "[rulesets]\nbase = [{{ allow = {}, from = {} }}]\n{tables}",
            ports(50),
            sources(each / 50)
        )
    };
    assert_eq!(problems(&text(allowed)), [""; 0]);
    let found = problems(&text(allowed + 5));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("up to here everything comes to"),
        "{found:?}"
    );
}

/// The effort for a long chain of names is limited too.
#[test]
fn chain_of_names_is_resolved_up_to_the_limit() {
    let chain = (1..3000)
        .map(|at| format!("s{at} = [\"s{}\", \"tcp/{}\"]\n", at - 1, 1000 + at))
        .collect::<Vec<String>>()
        .concat();
    let rules = (0..3000)
        .map(|at| format!("{{ allow = \"s{at}\", from = \"anywhere\" }},\n"))
        .collect::<Vec<String>>()
        .concat();
    let text =
        format!("[services]\ns0 = [\"tcp/999\"]\n{chain}[instances.web-1]\nrules = [\n{rules}]\n");
    let found = problems(&text);
    assert_eq!(found.len(), 1, "{found:?}");
    // 1 + 2 + ... + 71 ports for two sources each are more than 5,000.
    assert!(
        found[0].starts_with("f.toml:3075:1: error[PW-112]: with this rule"),
        "{found:?}"
    );
}

#[test]
fn equal_tables_share_their_rules() {
    let groups = (0..20)
        .map(|at| format!("[groups.g{at}]\nmatch = {{ name = \"*\" }}\nuse = [\"base\"]\n"))
        .collect::<Vec<String>>()
        .concat();
    let text = format!(
        "[rulesets]\nbase = [{{ allow = {}, from = \"anywhere\" }}]\n{groups}",
        ports(100)
    );
    let config = read(&text).unwrap_or_else(|errors| panic!("{errors}"));
    let tables = config.declared(OffsetDateTime::UNIX_EPOCH);
    assert_eq!(tables.len(), 20);
    for table in &tables {
        assert!(Arc::ptr_eq(&table.rules, &tables[0].rules));
        let possible = table.possible.as_ref().expect("it is known");
        assert!(Arc::ptr_eq(possible, &tables[0].rules));
    }
}
