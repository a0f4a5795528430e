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

use super::definitions::{BodyDef, Defaults, Definitions, GroupDef, InstanceDef};
use super::diagnostic::DiagnosticsBuilder;
use super::keys;
use super::partial_id::PartialInstanceId;
use super::sections::sections;
use super::source::{Source, Span, SpannedString, quote};
use super::syntax::{self, ParseStatus};
use super::tree::{FileReader, Value};
use super::{hints, names, port_expr, regions, services, source_expr};
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
    if let Some((at, hint)) = source.invalid_utf8 {
        defs.is_incomplete = true;
        let mut lines = source.text().lines();
        if !lines.any(|line| line.starts_with("version")) {
            report.without_excerpt(file);
        }
        let span = Span::new(file, at..at + 1);
        let error = report.error(Code::Syntax, span, "this is not UTF-8");
        error.hint = hint.map(str::to_owned);
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
            defs,
            file,
            offset: part.start,
            has_syntax_errors,
        };
        let known =
            part.start > 0 || is_readable_version(&mut reader, root.get_ref(), is_first, &source);
        if known {
            includes.append(&mut read_root(&mut reader, root.get_ref(), is_first));
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
    root: &DeTable<'_>,
    is_first: bool,
) -> Vec<SpannedString> {
    reader.check_keys(root, "the file", keys::TOP);
    let mut includes = Vec::new();
    for (key, value) in root {
        let span = reader.span(key);
        let key = key.get_ref().as_ref();
        let only_in_first_file = match key {
            "defaults" => Some("defaults are for all files: write them into the first one"),
            "guard" => Some("it is for all files: write it into the first one"),
            "grants" => Some("who may grant access is for all files: write it into the first one"),
            _ => None,
        };
        if let Some(hint) = only_in_first_file.filter(|_| !is_first) {
            let message = format!("`[{key}]` in an included file");
            reader.error(Code::Misplaced, span, message).hint(hint);
            continue;
        }
        match key {
            "include" => includes = reader.read_strings(value, "`include`"),
            "defaults" => reader.defs.defaults = read_defaults(reader, value),
            "guard" => reader.defs.guard = guard::read(reader, value),
            "grants" => reader.defs.grants = grants::read(reader, span, value),
            "policy" => policy::read(reader, value),
            "accounts" => read_tables(reader, key, value, accounts::read),
            "addresses" => read_tables(reader, key, value, read_address_set),
            "services" => read_tables(reader, key, value, read_service),
            "rulesets" => read_tables(reader, key, value, read_ruleset),
            "groups" => read_tables(reader, key, value, read_group),
            "instances" => read_tables(reader, key, value, read_instance),
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
    let message = format!(
        "version {} is not known to this program, which reads version 1",
        quote(&number.to_string())
    );
    reader.error(Code::InvalidValue, reader.span(value), message);
    false
}

/// Reads the tables under a key, each with its name.
fn read_tables(
    reader: &mut FileReader<'_>,
    key: &str,
    value: &Value<'_>,
    read: fn(&mut FileReader<'_>, SpannedString, &Value<'_>),
) {
    if let DeValue::Array(_) = value.get_ref() {
        let message = format!("`[{key}]` must be a table, found a list");
        reader
            .error(Code::WrongType, reader.span(value), message)
            .hint(format!("each has a table of its own, as in `[{key}.NAME]`"));
        return;
    }
    let Some(table) = reader.read_any_table(value, &format!("`[{key}]`")) else {
        return;
    };
    for (key, value) in table {
        let name = SpannedString {
            text: key.get_ref().clone().into_owned(),
            span: reader.span(key),
        };
        read(reader, name, value);
    }
}

fn read_defaults(reader: &mut FileReader<'_>, value: &Value<'_>) -> Defaults {
    let mut defaults = Defaults::default();
    let Some(table) = reader.read_table(value, "`[defaults]`", keys::DEFAULTS) else {
        return defaults;
    };
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "region" => {
                let region = reader.read_string(value, "`region`");
                defaults.regions.extend(valid_regions(reader, region));
            }
            "regions" => {
                defaults.has_list = true;
                let hint = "name a region, as in [\"eu-central-1\"]";
                let regions = reader.read_nonempty_strings(value, "`regions`", hint);
                defaults.regions.extend(valid_regions(reader, regions));
            }
            "mode" => {
                let mode = reader.read_choice(value, "`mode`", MODES);
                defaults.mode = mode.map(|(mode, _)| mode);
            }
            "strategy" => {
                let strategy = reader.read_choice(value, "`strategy`", STRATEGIES);
                defaults.strategy = strategy.map(|(strategy, _)| strategy);
            }
            _ => {}
        }
    }
    defaults
}

/// Those of these regions that are valid; the others are reported.
fn valid_regions(
    reader: &mut FileReader<'_>,
    regions: impl IntoIterator<Item = SpannedString>,
) -> impl Iterator<Item = String> {
    let is_valid =
        |region: &SpannedString| regions::check(reader.report, &region.text, region.span);
    let valid = regions.into_iter().filter(is_valid);
    valid.map(|region| region.text)
}

/// Whether a name may be given to a definition of this kind.
fn check_definition_name(reader: &mut FileReader<'_>, kind: &str, name: &SpannedString) -> bool {
    let Err(hint) = names::validate_definition(&name.text) else {
        return true;
    };
    let message = format!("{} cannot be the name of {kind}", quote(&name.text));
    reader
        .error(Code::InvalidName, name.span, message)
        .hint(hint);
    false
}

fn read_address_set(reader: &mut FileReader<'_>, name: SpannedString, value: &Value<'_>) {
    let quoted = quote(&name.text);
    let hint = "a set names at least one address, network or set";
    let members = reader.read_nonempty_strings(value, &format!("address set {quoted}"), hint);
    if source_expr::KEYWORDS.contains(&name.text.as_str()) {
        let message = format!("{quoted} is reserved: it has a meaning of its own");
        reader
            .error(Code::InvalidName, name.span, message)
            .hint("give the set another name");
    } else if check_definition_name(reader, "an address set", &name) {
        reader.define(|defs| &mut defs.addresses, "address set", name, members);
    }
}

fn read_service(reader: &mut FileReader<'_>, name: SpannedString, value: &Value<'_>) {
    let quoted = quote(&name.text);
    let hint = "a service has at least one port, as in [\"tcp/8080\"]";
    let members = reader.read_nonempty_strings(value, &format!("service {quoted}"), hint);
    if port_expr::protocol(&name.text).is_some() {
        let message = format!("{quoted} is reserved: it is a protocol");
        reader.error(Code::InvalidName, name.span, message);
    } else if let Some(built_in) = services::service_keys(&name.text) {
        let keys: Vec<String> = built_in.iter().map(ToString::to_string).collect();
        let hint = format!("it means {}; give yours another name", keys.join(" and "));
        let message = format!("{quoted} is reserved: it is a built-in service");
        reader
            .error(Code::InvalidName, name.span, message)
            .hint(hint);
    } else if check_definition_name(reader, "a service", &name) {
        reader.define(|defs| &mut defs.services, "service", name, members);
    }
}

fn read_ruleset(reader: &mut FileReader<'_>, name: SpannedString, value: &Value<'_>) {
    if check_definition_name(reader, "a ruleset", &name) {
        let subject = format!("ruleset {}", quote(&name.text));
        let rules = read_rules(reader, value, &subject, RuleKind::Rule);
        reader.define(|defs| &mut defs.rulesets, "ruleset", name, rules);
    }
}

/// The keys that groups and instances share.
fn read_body(reader: &mut FileReader<'_>, table: &DeTable<'_>) -> BodyDef {
    let mut body = BodyDef::default();
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "use" => body.uses = reader.read_strings(value, "`use`"),
            "rules" => body.rules = read_rules(reader, value, "`rules`", RuleKind::Rule),
            "absent" => body.absent = read_rules(reader, value, "`absent`", RuleKind::Absent),
            "mode" => body.mode = reader.read_choice(value, "`mode`", MODES),
            "strategy" => body.strategy = reader.read_choice(value, "`strategy`", STRATEGIES),
            _ => {}
        }
    }
    body
}

fn read_group(reader: &mut FileReader<'_>, name: SpannedString, value: &Value<'_>) {
    let subject = format!("group {}", quote(&name.text));
    let valid = check_definition_name(reader, "a group", &name);
    let Some(table) = reader.read_table(value, &subject, keys::GROUP) else {
        return;
    };
    let body = read_body(reader, table);
    let expect = table
        .get("expect")
        .and_then(|value| selector::read_expect(reader, value));
    let (selector, region_glob) = if let Some(value) = table.get("match") {
        selector::read_selector(reader, value)
    } else {
        let hint = "say which instances it takes, as in `match = { name = \"web-*\" }`";
        reader.report_missing(name.span, &format!("{subject} has no `match`"), hint);
        Default::default()
    };
    let group = GroupDef {
        selector,
        expect,
        region_glob,
        body,
    };
    if valid {
        reader.define(|defs| &mut defs.groups, "group", name, group);
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

fn read_instance(reader: &mut FileReader<'_>, key: SpannedString, value: &Value<'_>) {
    let subject = format!("instance {}", quote(&key.text));
    let Some(id) = PartialInstanceId::parse(&key.text) else {
        let message = format!(
            "{} has more parts than account, region and name",
            quote(&key.text)
        );
        reader
            .error(Code::InvalidName, key.span, message)
            .hint("write \"name\", \"region/name\" or \"account/region/name\"");
        return;
    };
    let region = id.region.as_ref();
    let mut valid = region.is_none_or(|region| regions::check(reader.report, region, key.span));
    if let Err(hint) = names::validate_instance(&id.name) {
        let message = format!("{} cannot be the name of an instance", quote(&id.name));
        reader
            .error(Code::InvalidName, key.span, message)
            .hint(hint);
        valid = false;
    }
    if let Some((span, name)) = unquoted_dotted_name(reader, &key.text, value) {
        let message = format!("{subject} has an unknown table");
        reader.error(Code::UnknownKey, span, message).hint(format!(
            "a name with dots is quoted, as in `[instances.\"{name}\"]`"
        ));
        return;
    }
    let Some(table) = reader.read_table(value, &subject, keys::INSTANCE) else {
        return;
    };
    let body = read_body(reader, table);
    if valid {
        let instance = InstanceDef { id, body };
        reader.define(|defs| &mut defs.instances, "instance", key, instance);
    }
}
