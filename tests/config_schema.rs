//! The JSON Schema of the configuration knows the keys that the language knows, table by table, and describes each of them.
//!
//! Owns the comparison of keys, and the language reference of the book, which is made from the schema. Holds real
//! configurations against the schema. What the keys mean is `check`'s.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use portward::config;
use portward::render::schema;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

fn schema() -> Value {
    serde_json::from_str(schema::CONFIG).expect("JSON")
}

#[test]
fn every_table_has_the_keys_of_the_language() {
    let schema = schema();
    for (table, keys) in config::KEYS {
        let of = if *table == "top" {
            &schema
        } else {
            &schema["$defs"][*table]
        };
        let properties = of["properties"].as_object();
        let properties = properties.unwrap_or_else(|| panic!("no table `{table}`"));
        let said: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        let known: BTreeSet<&str> = keys.iter().copied().collect();
        assert_eq!(said, known, "{table}");
        assert_eq!(of["additionalProperties"], Value::Bool(false), "{table}");
    }
}

/// A configuration as JSON: dates are texts.
fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => number.as_str().parse::<i64>().expect("a number").into(),
        DeValue::Float(number) => number.as_str().parse::<f64>().expect("a number").into(),
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Datetime(at) => at.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => members(table),
    }
}

fn members(table: &DeTable<'_>) -> Value {
    let members = table.iter();
    members
        .map(|(name, value)| (name.get_ref().to_string(), json(value.get_ref())))
        .collect()
}

#[test]
fn configurations_match_their_schema() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors = |text: &str| -> Vec<String> {
        let table = DeTable::parse(text).expect("TOML").into_inner();
        let document = members(&table);
        let errors = validator.iter_errors(&document);
        errors
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    };
    for file in ["firewall.example.toml", "examples/accounts.toml"] {
        let text = std::fs::read_to_string(file).expect("a file");
        assert_eq!(errors(&text), Vec::<String>::new(), "{file}");
    }
    for wrong in [
        "version = 2",
        "version = 1\ncolour = 1",
        "version = 1\n[instances.web-1]\nmode = \"weird\"",
        "version = 1\n[instances.web-1]\nrules = [{ allow = 22 }]",
        "version = 1\n[groups.web]\nmatch = { tags = { \"portward:team\" = \"web\" } }",
    ] {
        assert_ne!(errors(wrong), Vec::<String>::new(), "{wrong}");
    }
}

#[test]
fn every_schema_reference_exists() {
    let schema = schema();
    let defined: BTreeSet<&str> = schema["$defs"]
        .as_object()
        .expect("definitions")
        .keys()
        .map(String::as_str)
        .collect();
    let mut used = BTreeSet::new();
    references(&schema, &mut used);
    assert_eq!(used, defined);
}

fn references<'a>(value: &'a Value, used: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(to)) = members.get("$ref") {
                used.insert(to.strip_prefix("#/$defs/").expect("a definition"));
            }
            members.values().for_each(|member| references(member, used));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, used)),
        _ => {}
    }
}

/// What an editor shows beside a key, and what the reference says of it.
fn description(of: &Value) -> &str {
    of["description"].as_str().unwrap_or_default()
}

#[test]
fn every_table_and_every_key_has_a_description() {
    let schema = schema();
    for (table, keys) in config::KEYS {
        let of = table_of(&schema, table);
        assert_ne!(description(of), "", "{table}");
        for key in *keys {
            let text = description(&of["properties"][key]);
            assert!(
                text.ends_with('.') && text.len() > 20,
                "{table}: `{key}` is described by {text:?}"
            );
        }
    }
}

fn table_of<'a>(schema: &'a Value, table: &str) -> &'a Value {
    match table {
        "top" => schema,
        table => &schema["$defs"][table],
    }
}

/// How a kind of table is written, which is its heading in the reference.
fn heading(table: &str) -> String {
    match table {
        "top" => "A file".to_owned(),
        "defaults" | "guard" | "grants" => format!("`[{table}]`"),
        "account" | "group" | "instance" => format!("`[{table}s.NAME]`"),
        "policy" => "`[[policy]]`".to_owned(),
        "rule" => "A rule".to_owned(),
        "absent" | "keep" => format!("A rule of `{table}`"),
        table => format!("`{table}`"),
    }
}

/// A link to the section about a kind of table.
fn link(table: &str, text: &str) -> String {
    let heading = heading(table).to_lowercase();
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c => (c.is_alphanumeric() || c == '-').then_some(c),
    });
    format!("[{text}](#{})", kept.collect::<String>())
}

/// What the value of a key may be.
fn form(schema: &Value, of: &Value) -> String {
    let named = |reference: &str| reference.trim_start_matches("#/$defs/").to_owned();
    if let Some(reference) = of["$ref"].as_str() {
        let name = named(reference);
        let to = &schema["$defs"][&name];
        return match name.as_str() {
            "texts" => "a text or a list of texts".to_owned(),
            _ if to["enum"].is_array() => form(schema, to),
            _ => link(&name, "a table"),
        };
    }
    if let Some(values) = of["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        return values.join(", ");
    }
    if let Some(value) = of.get("const") {
        return format!("`{value}`");
    }
    let items = |of: &Value| named(of["items"]["$ref"].as_str().expect("a list of tables"));
    match &of["type"] {
        Value::Null => "a date or a date-time".to_owned(),
        Value::Array(_) => "a text or a whole number".to_owned(),
        Value::String(name) => match name.as_str() {
            "string" => "a text".to_owned(),
            "integer" => "a whole number".to_owned(),
            "boolean" => "`true` or `false`".to_owned(),
            "array" => format!("a list of {}", link(&items(of), "tables")),
            "object" => {
                let value = &of["additionalProperties"];
                match value["type"].as_str() {
                    Some("array") => {
                        format!("by name: a list of {}", link(&items(value), "tables"))
                    }
                    _ => format!("by name: {}", form(schema, value)),
                }
            }
            other => panic!("a value of type `{other}`"),
        },
        other => panic!("a type that is {other}"),
    }
}

/// The reference: a section for each kind of table, a row for each key.
fn reference() -> String {
    let schema = schema();
    let mut page = String::from(
        "# Language reference\n\n\
         Every key of the configuration, table by table. [The language](language.md) says what rules mean.\n\n\
         This page is made from `schemas/config.v1.json`, which `portward schema config` prints and editors show.\n\
         `PORTWARD_WRITE_DOCS=1 cargo test --test config_schema` writes it anew. Keys in **bold** are mandatory.\n",
    );
    for (table, keys) in config::KEYS {
        let of = table_of(&schema, table);
        let about = match *table {
            "top" => "A configuration is one file, or several that `include` names.",
            _ => description(of),
        };
        let _ = write!(
            page,
            "\n## {}\n\n{about}\n\n| key | value | what it says |\n|---|---|---|\n",
            heading(table)
        );
        let required = of["required"].as_array();
        for key in *keys {
            let property = &of["properties"][key];
            let mandatory =
                required.is_some_and(|required| required.iter().any(|name| name == key));
            let name = if mandatory {
                format!("**`{key}`**")
            } else {
                format!("`{key}`")
            };
            let text = description(property).replace('|', "\\|");
            let _ = writeln!(page, "| {name} | {} | {text} |", form(&schema, property));
        }
    }
    page
}

/// `PORTWARD_WRITE_DOCS=1 cargo test --test config_schema` writes it anew.
#[test]
fn language_reference_matches_the_schema() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/src/language-reference.md"
    );
    if std::env::var_os("PORTWARD_WRITE_DOCS").is_some() {
        std::fs::write(path, reference()).expect("a file");
        return;
    }
    let page = std::fs::read_to_string(path).expect("the reference");
    assert!(
        page == reference(),
        "docs/src/language-reference.md is not that of the schema: \
         `PORTWARD_WRITE_DOCS=1 cargo test --test config_schema` writes it"
    );
}
