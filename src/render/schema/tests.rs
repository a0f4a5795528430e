//! The schemas are those of the types that are written.

use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, transform};
use serde_json::{Value, json};

use super::{DIFF, EXPLAIN, GRANTS, PLAN, REPORT};
use crate::plan::file;
use crate::render::json::ComparisonDoc;
use crate::render::{explanation, grants, json as report};

/// The schema of what is written of a type.
fn derived<T: JsonSchema>(name: &str, description: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with_transform(closed);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), json!(format!("urn:portward:{name}:1")));
    schema.insert("title".to_owned(), json!(format!("portward {name}")));
    schema.insert("description".to_owned(), json!(description));
    schema.to_value()
}

/// No object has a member that is not named, no number a format that only Rust knows, and no line of a description an end
/// but that of its paragraph.
fn closed(schema: &mut Schema) {
    transform::transform_subschemas(&mut closed, schema);
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    members.remove("format");
    if let Some(Value::String(text)) = members.get_mut("description") {
        let paragraphs = text.split("\n\n");
        let paragraphs: Vec<String> = paragraphs.map(|one| one.replace('\n', " ")).collect();
        *text = paragraphs.join("\n\n").replace("`None`", "none");
        // How it displays is another form than that of documents.
        if let Some(end) = text.find(" Displays ") {
            text.truncate(end);
        }
    }
    if !members.contains_key("properties") {
        return;
    }
    let mut word = "additionalProperties";
    for more in ["oneOf", "anyOf"] {
        // Each has some of the members of the whole, and says nothing of the others.
        for part in members
            .get_mut(more)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            word = "unevaluatedProperties";
            if let Some(part) = part.as_object_mut() {
                part.remove("additionalProperties");
            }
        }
    }
    members.remove("additionalProperties");
    members.insert(word.to_owned(), json!(false));
}

fn all() -> [(&'static str, &'static str, Value); 5] {
    let environment = |mut schema: Value| {
        schema["properties"]["environment"] = json!({
            "description": "Environment variables that took effect, or that the verb does not take; left out where there is none.",
            "type": "array",
            "items": {"type": "string"},
        });
        schema
    };
    let plan = "What `portward plan --out` writes and `portward apply` takes.";
    let mut plan = derived::<file::PlanDocument<'_>>("plan", plan);
    // It is absent only while it is computed.
    if let Some(required) = plan["required"].as_array_mut() {
        required.push(json!("digest"));
    }
    [
        ("plan", PLAN, plan),
        (
            "report",
            REPORT,
            derived::<report::ReportDocument<'_>>(
                "report",
                "What `--format json` and `--report json=FILE` write.",
            ),
        ),
        (
            "diff",
            DIFF,
            environment(derived::<ComparisonDoc<'_>>(
                "diff",
                "What `diff --format json` prints: who gains and who loses access on each instance.",
            )),
        ),
        (
            "explain",
            EXPLAIN,
            environment(derived::<explanation::ExplanationDocument<'_>>(
                "explain",
                "What `explain --format json` prints: whether somebody gets in, and by which rules.",
            )),
        ),
        (
            "grants",
            GRANTS,
            environment(derived::<grants::GrantList>(
                "grants",
                "What `grants --format json` prints: who may reach what, where, until when and why.",
            )),
        ),
    ]
}

/// `PORTWARD_WRITE_SCHEMAS=1 cargo test --lib schema` writes them anew.
#[test]
fn published_schemas_match_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    for (name, known, derived) in all() {
        let text = format!("{derived:#}\n");
        if std::env::var_os("PORTWARD_WRITE_SCHEMAS").is_some() {
            let file = folder.join(format!("{name}.v1.json"));
            std::fs::write(file, text).expect("a file");
        } else {
            assert!(
                text == known,
                "schemas/{name}.v1.json is not that of its type: \
                 `PORTWARD_WRITE_SCHEMAS=1 cargo test --lib schema` writes it"
            );
        }
    }
}
