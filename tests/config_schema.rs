//! The JSON Schema of the configuration knows the keys that the language knows, table by table.
//!
//! Owns the comparison of keys. What an editor shows beside them is for people, and what they mean is `check`'s.

use std::collections::BTreeSet;

use portward::config;
use portward::render::schema;
use serde_json::Value;

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
