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

use super::definitions::{BodyDef, Definitions, GroupDef, InstanceDef};
use super::diagnostic::DiagnosticsBuilder;
use super::keys;
use super::partial_id::PartialInstanceId;
use super::sections::sections;
use super::selector::Selector;
use super::source::{Source, Span, quote};
use super::syntax::{self, ParseStatus};
use super::tree::{FileReader, SpannedString, Value};
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

/// Reads a file of the report into the definitions. `is_first` is whether the user named it. Returns what it
/// includes.
pub(super) fn read_file(
    report: &mut DiagnosticsBuilder,
    defs: &mut Definitions,
    file: usize,
    is_first: bool,
) -> Vec<SpannedString> {
    let source = report.source(file);
    if let Some((at, hint)) = source.invalid_utf8() {
        defs.is_incomplete = true;
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
    read_parts(report, defs, file, is_first, parts)
}

/// Reads a file part by part.
pub(super) fn read_parts(
    report: &mut DiagnosticsBuilder,
    defs: &mut Definitions,
    file: usize,
    is_first: bool,
    parts: Vec<Range<usize>>,
) -> Vec<SpannedString> {
    let source = report.source(file);
    let mut includes = Vec::new();
    for part in parts {
        let (root, errors) = DeTable::parse_recoverable(&source.text()[part.clone()]);
        let known = |key: &str| keys::TOP.contains(&key);
        let has_known_key = root.get_ref().keys().any(|key| known(key.get_ref()));
        if part.start == 0 && !errors.is_empty() && !has_known_key {
            // A message about any other file would show what is in it.
            defs.is_incomplete = true;
            report
                .without_excerpt(file)
                .error(Code::Syntax, Span::new(file, 0..0), "this does not look like a configuration: it is not valid TOML, and none of its keys is known")
                .hint(hints::for_file(source.text()).unwrap_or("the first line is `version = 1`"));
            break;
        }
        let parsed = syntax::report_errors(report, file, part.clone(), &errors);
        let has_syntax_errors = parsed != ParseStatus::Complete;
        defs.is_incomplete |= has_syntax_errors;
        if parsed == ParseStatus::OtherNotation {
            syntax::drop_tree(root.into_inner());
            continue;
        }
        let mut reader = FileReader {
            report,
            file,
            offset: part.start,
            has_syntax_errors,
        };
        let known =
            part.start > 0 || is_readable_version(&mut reader, root.get_ref(), is_first, &source);
        if known {
            includes.append(&mut read_root(&mut reader, defs, root.get_ref(), is_first));
        }
        syntax::drop_tree(root.into_inner());
        if !known {
            defs.is_incomplete = true;
            break;
        }
    }
    includes
}

fn read_root(
    reader: &mut FileReader<'_>,
    defs: &mut Definitions,
    root: &DeTable<'_>,
    is_first: bool,
) -> Vec<SpannedString> {
    reader.check_keys(root, "the file", keys::TOP);
    let mut includes = Vec::new();
    for (key, value) in root {
        let span = reader.span(key);
        match key.get_ref().as_ref() {
            "include" => includes = reader.read_strings(value, "`include`").unwrap_or_default(),
            "defaults" if is_first => read_defaults(reader, defs, value),
            "defaults" => {
                reader
                    .report
                    .error(Code::Misplaced, span, "`[defaults]` in an included file")
                    .hint("defaults are for all files: write them into the first one");
            }
            "guard" if is_first => defs.guard = guard::read(reader, value),
            "guard" => {
                reader
                    .report
                    .error(Code::Misplaced, span, "`[guard]` in an included file")
                    .hint("it is for all files: write it into the first one");
            }
            "grants" if is_first => defs.grants = grants::read(reader, span, value),
            "grants" => {
                reader
                    .report
                    .error(Code::Misplaced, span, "`[grants]` in an included file")
                    .hint("who may grant access is for all files: write it into the first one");
            }
            "policy" => policy::read(reader, defs, value),
            "accounts" => {
                for_each_table(reader, value, "`[accounts]`", |reader, name, value| {
                    accounts::read(reader, defs, name, value);
                });
            }
            "addresses" => {
                for_each_table(reader, value, "`[addresses]`", |reader, name, value| {
                    read_address_set(reader, defs, name, value);
                });
            }
            "services" => for_each_table(reader, value, "`[services]`", |reader, name, value| {
                read_service(reader, defs, name, value);
            }),
            "rulesets" => for_each_table(reader, value, "`[rulesets]`", |reader, name, value| {
                if check_definition_name(reader, "a ruleset", &name) {
                    let rules = read_rules(
                        reader,
                        value,
                        &format!("ruleset {}", quote(&name.text)),
                        RuleKind::Rule,
                    );
                    defs.rulesets.define(reader.report, "ruleset", name, rules);
                }
            }),
            "groups" => for_each_table(reader, value, "`[groups]`", |reader, name, value| {
                read_group(reader, defs, name, value);
            }),
            "instances" => for_each_table(reader, value, "`[instances]`", |reader, name, value| {
                read_instance(reader, defs, name, value);
            }),
            _ => {}
        }
    }
    includes
}

/// Whether the file is of a version that can be read.
fn is_readable_version(
    reader: &mut FileReader<'_>,
    root: &DeTable<'_>,
    is_first: bool,
    source: &Source,
) -> bool {
    let Some(value) = root.get("version") else {
        if is_first {
            let end = source.text().find('\n').unwrap_or(source.text().len());
            let span = Span::new(reader.file, 0..end.min(1));
            reader.report_missing(
                span,
                "`version` is missing",
                "the first line is `version = 1`",
            );
        }
        return true;
    };
    let DeValue::Integer(number) = value.get_ref() else {
        reader.report_wrong_type::<()>(value, "`version`", "the integer 1");
        return true;
    };
    if i64::from_str_radix(number.as_str(), number.radix()) == Ok(1) {
        return true;
    }
    let span = reader.span(value);
    let message = format!(
        "version {} is not known to this program, which reads version 1",
        quote(&number.to_string())
    );
    reader.report.error(Code::InvalidValue, span, message);
    false
}

fn for_each_table(
    reader: &mut FileReader<'_>,
    value: &Value<'_>,
    subject: &str,
    mut define: impl FnMut(&mut FileReader<'_>, SpannedString, &Value<'_>),
) {
    if let DeValue::Array(_) = value.get_ref() {
        let table = subject.trim_matches(['`', '[', ']']);
        reader
            .report
            .error(
                Code::WrongType,
                reader.span(value),
                format!("{subject} must be a table, found a list"),
            )
            .hint(format!(
                "each has a table of its own, as in `[{table}.NAME]`"
            ));
        return;
    }
    let Some(table) = reader.read_any_table(value, subject) else {
        return;
    };
    for (key, value) in table {
        let name = SpannedString {
            text: key.get_ref().clone().into_owned(),
            span: reader.span(key),
        };
        define(reader, name, value);
    }
}

fn read_defaults(reader: &mut FileReader<'_>, defs: &mut Definitions, value: &Value<'_>) {
    let Some(table) = reader.read_table(value, "`[defaults]`", keys::DEFAULTS) else {
        return;
    };
    for (key, value) in table {
        let texts = match key.get_ref().as_ref() {
            "region" => reader.read_string(value, "`region`").map(|text| vec![text]),
            "regions" => {
                defs.defaults.has_list = true;
                reader.read_nonempty_strings(
                    value,
                    "`regions`",
                    "name a region, as in [\"eu-central-1\"]",
                )
            }
            "mode" => {
                defs.defaults.mode = reader
                    .read_choice(value, "`mode`", MODES)
                    .map(|(mode, _)| mode);
                None
            }
            "strategy" => {
                defs.defaults.strategy = reader
                    .read_choice(value, "`strategy`", STRATEGIES)
                    .map(|(strategy, _)| strategy);
                None
            }
            _ => None,
        };
        for SpannedString { text, span } in texts.unwrap_or_default() {
            if regions::check(reader.report, &text, span) {
                defs.defaults.regions.push(text);
            }
        }
    }
}

/// Whether a name may be given to a definition of this kind.
fn check_definition_name(reader: &mut FileReader<'_>, kind: &str, name: &SpannedString) -> bool {
    let Err(why) = names::validate_definition(&name.text) else {
        return true;
    };
    reader
        .report
        .error(
            Code::InvalidName,
            name.span,
            format!("{} cannot be the name of {kind}", quote(&name.text)),
        )
        .hint(why);
    false
}

fn read_address_set(
    reader: &mut FileReader<'_>,
    defs: &mut Definitions,
    name: SpannedString,
    value: &Value<'_>,
) {
    let subject = format!("address set {}", quote(&name.text));
    let members = reader.read_nonempty_strings(
        value,
        &subject,
        "a set names at least one address, network or set",
    );
    if source_expr::KEYWORDS.contains(&name.text.as_str()) {
        reader
            .report
            .error(
                Code::InvalidName,
                name.span,
                format!(
                    "{} is reserved: it has a meaning of its own",
                    quote(&name.text)
                ),
            )
            .hint("give the set another name");
    } else if check_definition_name(reader, "an address set", &name) {
        defs.addresses.define(
            reader.report,
            "address set",
            name,
            members.unwrap_or_default(),
        );
    }
}

fn read_service(
    reader: &mut FileReader<'_>,
    defs: &mut Definitions,
    name: SpannedString,
    value: &Value<'_>,
) {
    let subject = format!("service {}", quote(&name.text));
    let members = reader.read_nonempty_strings(
        value,
        &subject,
        "a service has at least one port, as in [\"tcp/8080\"]",
    );
    if ["tcp", "udp", "icmp", "icmpv6", "all"].contains(&name.text.as_str()) {
        reader.report.error(
            Code::InvalidName,
            name.span,
            format!("{} is reserved: it is a protocol", quote(&name.text)),
        );
    } else if let Some(built_in) = services::service_keys(&name.text) {
        let keys: Vec<String> = built_in.iter().map(ToString::to_string).collect();
        reader
            .report
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
    } else if check_definition_name(reader, "a service", &name) {
        defs.services
            .define(reader.report, "service", name, members.unwrap_or_default());
    }
}

/// The keys that groups and instances share.
fn read_body(reader: &mut FileReader<'_>, table: &DeTable<'_>) -> BodyDef {
    let mut body = BodyDef::default();
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "use" => body.uses = reader.read_strings(value, "`use`").unwrap_or_default(),
            "rules" => body.rules = read_rules(reader, value, "`rules`", RuleKind::Rule),
            "absent" => body.absent = read_rules(reader, value, "`absent`", RuleKind::Absent),
            "mode" => body.mode = reader.read_choice(value, "`mode`", MODES),
            "strategy" => body.strategy = reader.read_choice(value, "`strategy`", STRATEGIES),
            _ => {}
        }
    }
    body
}

fn read_group(
    reader: &mut FileReader<'_>,
    defs: &mut Definitions,
    name: SpannedString,
    value: &Value<'_>,
) {
    let subject = format!("group {}", quote(&name.text));
    let valid = check_definition_name(reader, "a group", &name);
    let Some(table) = reader.read_table(value, &subject, keys::GROUP) else {
        return;
    };
    let body = read_body(reader, table);
    let expect = table
        .get("expect")
        .and_then(|value| selector::read_expect(reader, value));
    let mut group = GroupDef {
        selector: Selector::default(),
        expect,
        region_glob: None,
        body,
    };
    match table.get("match") {
        Some(value) => (group.selector, group.region_glob) = selector::read_selector(reader, value),
        None => reader.report_missing(
            name.span,
            &format!("{subject} has no `match`"),
            "say which instances it takes, as in `match = { name = \"web-*\" }`",
        ),
    }
    if valid {
        defs.groups.define(reader.report, "group", name, group);
    }
}

/// The name that was meant, and where it goes on, where dots in a header made tables in tables, as `[instances.v1.2]` does.
fn unquoted_dotted_name(
    reader: &FileReader<'_>,
    first: &str,
    value: &Value<'_>,
) -> Option<(Span, String)> {
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
        span.get_or_insert(reader.span(key));
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

fn read_instance(
    reader: &mut FileReader<'_>,
    defs: &mut Definitions,
    key: SpannedString,
    value: &Value<'_>,
) {
    let subject = format!("instance {}", quote(&key.text));
    let Some(place) = PartialInstanceId::parse(&key.text) else {
        reader
            .report
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
    let mut valid = region.is_none_or(|region| regions::check(reader.report, region, key.span));
    if let Err(why) = names::validate_instance(&place.name) {
        let message = format!("{} cannot be the name of an instance", quote(&place.name));
        reader
            .report
            .error(Code::InvalidName, key.span, message)
            .hint(why);
        valid = false;
    }
    if let Some((span, name)) = unquoted_dotted_name(reader, &key.text, value) {
        reader
            .report
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
    let Some(table) = reader.read_table(value, &subject, keys::INSTANCE) else {
        return;
    };
    let body = read_body(reader, table);
    if valid {
        defs.instances
            .define(reader.report, "instance", key, InstanceDef { place, body });
    }
}
