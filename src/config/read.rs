//! One file, from TOML to definitions.
//!
//! Owns what each key takes. Does not follow names from one definition to another; `link` does.

mod accounts;
mod grants;
mod guard;
mod policy;
mod rules;
mod selector;

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::definitions::{Body, Definitions, GroupDef, InstanceDef};
use super::diagnostic::DiagnosticsBuilder;
use super::keys;
use super::partial_id::PartialInstanceId;
use super::sections::sections;
use super::selector::Selector;
use super::source::{Source, Span, quote};
use super::syntax::{self, ParseStatus};
use super::tree::{Cx, Text, Value};
use super::{hints, names, regions, services, source_expr};
use crate::model::{Code, Mode, Strategy};
use rules::{RuleKind, read_rules};

const MODES: &[(&str, Mode)] = &[
    ("authoritative", Mode::Authoritative),
    ("additive", Mode::Additive),
    ("observe", Mode::Observe),
];

const STRATEGIES: &[(&str, Strategy)] = &[
    ("auto", Strategy::Auto),
    ("put", Strategy::Put),
    ("incremental", Strategy::Incremental),
];

/// Reads a file of the report into the definitions. `first` is the file that was named by the user. Returns what it
/// includes.
pub(super) fn file(
    report: &mut DiagnosticsBuilder,
    defs: &mut Definitions,
    file: usize,
    first: bool,
) -> Vec<Text> {
    let source = report.source(file);
    if let Some((at, hint)) = source.invalid_utf8() {
        defs.incomplete = true;
        if !source
            .text()
            .lines()
            .any(|line| line.starts_with("version"))
        {
            report.without_excerpt(file);
        }
        let problem = report.error(
            Code::Syntax,
            Span::new(file, at..at + 1),
            "this is not UTF-8",
        );
        if let Some(hint) = hint {
            problem.hint(hint);
        }
        return Vec::new();
    }
    let parts = sections(source.text());
    self::parts(report, defs, file, first, parts)
}

/// Reads a file part by part.
pub(super) fn parts(
    report: &mut DiagnosticsBuilder,
    defs: &mut Definitions,
    file: usize,
    first: bool,
    parts: Vec<Range<usize>>,
) -> Vec<Text> {
    let source = report.source(file);
    let mut includes = Vec::new();
    for part in parts {
        let (root, errors) = DeTable::parse_recoverable(&source.text()[part.clone()]);
        let known = |key: &str| keys::TOP.contains(&key);
        let is_ours = root.get_ref().keys().any(|key| known(key.get_ref()));
        if part.start == 0 && !errors.is_empty() && !is_ours {
            // A message about any other file would show what is in it.
            defs.incomplete = true;
            report
                .without_excerpt(file)
                .error(Code::Syntax, Span::new(file, 0..0), "this does not look like a configuration: it is not valid TOML, and none of its keys is known")
                .hint(hints::for_file(source.text()).unwrap_or("the first line is `version = 1`"));
            break;
        }
        let parsed = syntax::report_errors(report, file, part.clone(), &errors);
        let broken = parsed != ParseStatus::Complete;
        defs.incomplete |= broken;
        if parsed == ParseStatus::OtherNotation {
            syntax::drop_tree(root.into_inner());
            continue;
        }
        let mut cx = Cx {
            report,
            file,
            offset: part.start,
            broken,
        };
        let known = part.start > 0 || version(&mut cx, root.get_ref(), first, &source);
        if known {
            includes.append(&mut top(&mut cx, defs, root.get_ref(), first));
        }
        syntax::drop_tree(root.into_inner());
        if !known {
            defs.incomplete = true;
            break;
        }
    }
    includes
}

fn top(cx: &mut Cx<'_>, defs: &mut Definitions, root: &DeTable<'_>, first: bool) -> Vec<Text> {
    cx.keys(root, "the file", keys::TOP);
    let mut includes = Vec::new();
    for (key, value) in root {
        let span = cx.span(key);
        match key.get_ref().as_ref() {
            "include" => includes = cx.texts(value, "`include`").unwrap_or_default(),
            "defaults" if first => defaults(cx, defs, value),
            "defaults" => {
                cx.report
                    .error(Code::Misplaced, span, "`[defaults]` in an included file")
                    .hint("defaults are for all files: write them into the first one");
            }
            "guard" if first => defs.guard = guard::read(cx, value),
            "guard" => {
                cx.report
                    .error(Code::Misplaced, span, "`[guard]` in an included file")
                    .hint("it is for all files: write it into the first one");
            }
            "grants" if first => defs.grants = grants::read(cx, span, value),
            "grants" => {
                cx.report
                    .error(Code::Misplaced, span, "`[grants]` in an included file")
                    .hint("who may grant access is for all files: write it into the first one");
            }
            "policy" => policy::read(cx, defs, value),
            "accounts" => {
                each(cx, value, "`[accounts]`", |cx, name, value| {
                    accounts::read(cx, defs, name, value);
                });
            }
            "addresses" => {
                each(cx, value, "`[addresses]`", |cx, name, value| {
                    address_set(cx, defs, name, value);
                });
            }
            "services" => each(cx, value, "`[services]`", |cx, name, value| {
                service(cx, defs, name, value);
            }),
            "rulesets" => each(cx, value, "`[rulesets]`", |cx, name, value| {
                if definition_name(cx, "a ruleset", &name) {
                    let rules = read_rules(
                        cx,
                        value,
                        &format!("ruleset {}", quote(&name.text)),
                        RuleKind::Rule,
                    );
                    defs.rulesets.define(cx.report, "ruleset", name, rules);
                }
            }),
            "groups" => each(cx, value, "`[groups]`", |cx, name, value| {
                group(cx, defs, name, value);
            }),
            "instances" => each(cx, value, "`[instances]`", |cx, name, value| {
                instance(cx, defs, name, value);
            }),
            _ => {}
        }
    }
    includes
}

/// Whether the file is of a version that can be read.
fn version(cx: &mut Cx<'_>, root: &DeTable<'_>, first: bool, source: &Source) -> bool {
    let Some(value) = root.get("version") else {
        if first {
            let end = source.text().find('\n').unwrap_or(source.text().len());
            let span = Span::new(cx.file, 0..end.min(1));
            cx.missing(
                span,
                "`version` is missing",
                "the first line is `version = 1`",
            );
        }
        return true;
    };
    let DeValue::Integer(number) = value.get_ref() else {
        cx.wrong_type::<()>(value, "`version`", "the integer 1");
        return true;
    };
    if i64::from_str_radix(number.as_str(), number.radix()) == Ok(1) {
        return true;
    }
    let span = cx.span(value);
    let message = format!(
        "version {} is not known to this program, which reads version 1",
        quote(&number.to_string())
    );
    cx.report.error(Code::InvalidValue, span, message);
    false
}

fn each(
    cx: &mut Cx<'_>,
    value: &Value<'_>,
    subject: &str,
    mut define: impl FnMut(&mut Cx<'_>, Text, &Value<'_>),
) {
    if let DeValue::Array(_) = value.get_ref() {
        let table = subject.trim_matches(['`', '[', ']']);
        cx.report
            .error(
                Code::WrongType,
                cx.span(value),
                format!("{subject} must be a table, found a list"),
            )
            .hint(format!(
                "each has a table of its own, as in `[{table}.NAME]`"
            ));
        return;
    }
    let Some(table) = cx.any_table(value, subject) else {
        return;
    };
    for (key, value) in table {
        let name = Text {
            text: key.get_ref().clone().into_owned(),
            span: cx.span(key),
        };
        define(cx, name, value);
    }
}

fn defaults(cx: &mut Cx<'_>, defs: &mut Definitions, value: &Value<'_>) {
    let Some(table) = cx.table(value, "`[defaults]`", keys::DEFAULTS) else {
        return;
    };
    for (key, value) in table {
        let texts = match key.get_ref().as_ref() {
            "region" => cx.text(value, "`region`").map(|text| vec![text]),
            "regions" => {
                defs.defaults.has_list = true;
                cx.some_texts(
                    value,
                    "`regions`",
                    "name a region, as in [\"eu-central-1\"]",
                )
            }
            "mode" => {
                defs.defaults.mode = cx.choice(value, "`mode`", MODES).map(|(mode, _)| mode);
                None
            }
            "strategy" => {
                defs.defaults.strategy = cx
                    .choice(value, "`strategy`", STRATEGIES)
                    .map(|(strategy, _)| strategy);
                None
            }
            _ => None,
        };
        for Text { text, span } in texts.unwrap_or_default() {
            if regions::check(cx.report, &text, span) {
                defs.defaults.regions.push(text);
            }
        }
    }
}

/// Whether a name may be given to a definition of this kind.
fn definition_name(cx: &mut Cx<'_>, kind: &str, name: &Text) -> bool {
    let Err(why) = names::validate_definition(&name.text) else {
        return true;
    };
    cx.report
        .error(
            Code::InvalidName,
            name.span,
            format!("{} cannot be the name of {kind}", quote(&name.text)),
        )
        .hint(why);
    false
}

fn address_set(cx: &mut Cx<'_>, defs: &mut Definitions, name: Text, value: &Value<'_>) {
    let subject = format!("address set {}", quote(&name.text));
    let members = cx.some_texts(
        value,
        &subject,
        "a set names at least one address, network or set",
    );
    if source_expr::KEYWORDS.contains(&name.text.as_str()) {
        cx.report
            .error(
                Code::InvalidName,
                name.span,
                format!(
                    "{} is reserved: it has a meaning of its own",
                    quote(&name.text)
                ),
            )
            .hint("give the set another name");
    } else if definition_name(cx, "an address set", &name) {
        defs.addresses
            .define(cx.report, "address set", name, members.unwrap_or_default());
    }
}

fn service(cx: &mut Cx<'_>, defs: &mut Definitions, name: Text, value: &Value<'_>) {
    let subject = format!("service {}", quote(&name.text));
    let members = cx.some_texts(
        value,
        &subject,
        "a service has at least one port, as in [\"tcp/8080\"]",
    );
    if ["tcp", "udp", "icmp", "icmpv6", "all"].contains(&name.text.as_str()) {
        cx.report.error(
            Code::InvalidName,
            name.span,
            format!("{} is reserved: it is a protocol", quote(&name.text)),
        );
    } else if let Some(built_in) = services::service_keys(&name.text) {
        let keys: Vec<String> = built_in.iter().map(ToString::to_string).collect();
        cx.report
            .error(
                Code::InvalidName,
                name.span,
                format!(
                    "{} is reserved: it is a built-in service",
                    quote(&name.text)
                ),
            )
            .hint(format!(
                "it means {}; give yours another name",
                keys.join(" and ")
            ));
    } else if definition_name(cx, "a service", &name) {
        defs.services
            .define(cx.report, "service", name, members.unwrap_or_default());
    }
}

/// The keys that groups and instances share.
fn body(cx: &mut Cx<'_>, table: &DeTable<'_>) -> Body {
    let mut body = Body::default();
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "use" => body.uses = cx.texts(value, "`use`").unwrap_or_default(),
            "rules" => body.rules = read_rules(cx, value, "`rules`", RuleKind::Rule),
            "absent" => body.absent = read_rules(cx, value, "`absent`", RuleKind::Absent),
            "mode" => body.mode = cx.choice(value, "`mode`", MODES),
            "strategy" => body.strategy = cx.choice(value, "`strategy`", STRATEGIES),
            _ => {}
        }
    }
    body
}

fn group(cx: &mut Cx<'_>, defs: &mut Definitions, name: Text, value: &Value<'_>) {
    let subject = format!("group {}", quote(&name.text));
    let valid = definition_name(cx, "a group", &name);
    let Some(table) = cx.table(value, &subject, keys::GROUP) else {
        return;
    };
    let body = body(cx, table);
    let expect = table
        .get("expect")
        .and_then(|value| selector::read_expect(cx, value));
    let mut group = GroupDef {
        selector: Selector::default(),
        expect,
        region_glob: None,
        body,
    };
    match table.get("match") {
        Some(value) => (group.selector, group.region_glob) = selector::read_selector(cx, value),
        None => cx.missing(
            name.span,
            &format!("{subject} has no `match`"),
            "say which instances it takes, as in `match = { name = \"web-*\" }`",
        ),
    }
    if valid {
        defs.groups.define(cx.report, "group", name, group);
    }
}

/// The name that was meant, and where it goes on, where dots in a header made tables in tables, as `[instances.v1.2]` does.
fn dotted(cx: &Cx<'_>, first: &str, value: &Value<'_>) -> Option<(Span, String)> {
    let (mut name, mut span, mut at) = (first.to_owned(), None, value);
    // No name of an instance is longer.
    while name.len() < 256
        && let DeValue::Table(table) = at.get_ref()
        && let Some((key, inner)) = table.iter().next()
        && table.iter().all(|(key, value)| {
            let is_known = keys::INSTANCE.contains(&&**key.get_ref());
            !is_known && matches!(value.get_ref(), DeValue::Table(_))
        })
    {
        span.get_or_insert(cx.span(key));
        name = format!("{name}.{}", key.get_ref());
        at = inner;
    }
    let is_instance = match at.get_ref() {
        DeValue::Table(table) => table
            .keys()
            .any(|key| keys::INSTANCE.contains(&&**key.get_ref())),
        _ => false,
    };
    let is_meant = is_instance && names::validate_instance(&name).is_ok();
    Some((span?, name)).filter(|_| is_meant)
}

fn instance(cx: &mut Cx<'_>, defs: &mut Definitions, key: Text, value: &Value<'_>) {
    let subject = format!("instance {}", quote(&key.text));
    let Some(place) = PartialInstanceId::parse(&key.text) else {
        cx.report
            .error(
                Code::InvalidName,
                key.span,
                format!(
                    "{} has more parts than account, region and name",
                    quote(&key.text)
                ),
            )
            .hint("write \"name\", \"region/name\" or \"account/region/name\"");
        return;
    };
    let region = place.region.as_ref();
    let mut valid = region.is_none_or(|region| regions::check(cx.report, region, key.span));
    if let Err(why) = names::validate_instance(&place.name) {
        let message = format!("{} cannot be the name of an instance", quote(&place.name));
        cx.report
            .error(Code::InvalidName, key.span, message)
            .hint(why);
        valid = false;
    }
    if let Some((span, name)) = dotted(cx, &key.text, value) {
        cx.report
            .error(
                Code::UnknownKey,
                span,
                format!("{subject} has an unknown table"),
            )
            .hint(format!(
                "a name with dots is quoted, as in `[instances.\"{name}\"]`"
            ));
        return;
    }
    let Some(table) = cx.table(value, &subject, keys::INSTANCE) else {
        return;
    };
    let body = body(cx, table);
    if valid {
        defs.instances
            .define(cx.report, "instance", key, InstanceDef { place, body });
    }
}
