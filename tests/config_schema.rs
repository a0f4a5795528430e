//! The JSON Schema of the configuration knows the keys that the language knows, table by table.
//!
//! Owns the comparison of keys, and holds real configurations against it. What an editor shows beside them is for people, and what they mean is `check`'s.

use std::collections::BTreeSet;

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
fn configurations_are_as_their_schema_says() {
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
    ] {
        assert_ne!(errors(wrong), Vec::<String>::new(), "{wrong}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
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
