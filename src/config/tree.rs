//! Typed reading of the TOML tree with its spans.
//!
//! Owns the messages about wrong types, unknown keys and names that are defined twice. Does not know what any key means; `read` does.

use std::collections::btree_map::Entry;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::definitions::{Definitions, NamedDefinitions};
use super::diagnostic::{DiagnosticsBuilder, SpannedDiagnostic};
use super::hints;
use super::source::{Span, SpannedString, quote};
use crate::model::Code;

/// A value with its place.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// The file that is being read, with the definitions and the problems of all files so far.
pub(super) struct FileReader<'r> {
    pub(super) report: &'r mut DiagnosticsBuilder,
    pub(super) defs: &'r mut Definitions,
    pub(super) file: usize,
    /// Where the part of the file begins that is being read.
    pub(super) offset: usize,
    /// Whether the file has syntax errors, so that what is missing may only be lost.
    pub(super) has_syntax_errors: bool,
}

impl FileReader<'_> {
    pub(super) fn span<T>(&self, spanned: &Spanned<T>) -> Span {
        let range = spanned.span();
        Span::new(
            self.file,
            self.offset + range.start..self.offset + range.end,
        )
    }

    /// Adds a definition. A second definition of the same name is an error.
    pub(super) fn define<T>(
        &mut self,
        definitions: fn(&mut Definitions) -> &mut NamedDefinitions<T>,
        kind: &str,
        name: SpannedString,
        item: T,
    ) {
        match definitions(self.defs).entry(name.text) {
            Entry::Vacant(entry) => {
                entry.insert((name.span, item));
            }
            Entry::Occupied(entry) => {
                let message = format!("{kind} {} is defined twice", quote(entry.key()));
                self.report
                    .error(Code::InvalidName, name.span, message)
                    .related(entry.get().0, "first defined here");
            }
        }
    }

    pub(super) fn error(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
    ) -> &mut SpannedDiagnostic {
        self.report.error(code, span, message)
    }

    /// Reports that something required is missing, unless a syntax error may have hidden it.
    pub(super) fn report_missing(&mut self, span: Span, message: &str, hint: &str) {
        if !self.has_syntax_errors {
            self.error(Code::WrongType, span, message).hint(hint);
        }
    }

    /// The table in `value`, with every key known.
    pub(super) fn read_table<'t, 'i>(
        &mut self,
        value: &'t Value<'i>,
        subject: &str,
        known: &[&str],
    ) -> Option<&'t DeTable<'i>> {
        let table = self.read_any_table(value, subject)?;
        self.check_keys(table, subject, known);
        Some(table)
    }

    /// The table in `value`, whose keys are names.
    pub(super) fn read_any_table<'t, 'i>(
        &mut self,
        value: &'t Value<'i>,
        subject: &str,
    ) -> Option<&'t DeTable<'i>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => self.report_wrong_type(value, subject, "a table"),
        }
    }

    pub(super) fn check_keys(&mut self, table: &DeTable<'_>, subject: &str, known: &[&str]) {
        for (key, _) in table {
            let word: &str = key.get_ref();
            if known.contains(&word) {
                continue;
            }
            let span = self.span(key);
            let near = self.report.suggestion(word, known.iter().copied());
            let hint = hints::for_key(word, known).map(str::to_owned).or(near);
            let hint = hint.unwrap_or_else(|| format!("the keys here are {}", list_words(known)));
            let message = format!("unknown key {} in {subject}", quote(word));
            self.error(Code::UnknownKey, span, message).hint(hint);
        }
    }

    pub(super) fn read_string(
        &mut self,
        value: &Value<'_>,
        subject: &str,
    ) -> Option<SpannedString> {
        let text = self.string_of(value);
        text.or_else(|| self.report_wrong_type(value, subject, "a string"))
    }

    fn string_of(&self, value: &Value<'_>) -> Option<SpannedString> {
        let DeValue::String(text) = value.get_ref() else {
            return None;
        };
        Some(SpannedString {
            text: text.clone().into_owned(),
            span: self.span(value),
        })
    }

    /// One string, or a list of them. A value of another type is reported and left out.
    pub(super) fn read_strings(&mut self, value: &Value<'_>, subject: &str) -> Vec<SpannedString> {
        let DeValue::Array(items) = value.get_ref() else {
            let text = self.string_of(value).or_else(|| {
                self.report_wrong_type(value, subject, "a string or a list of strings")
            });
            return text.into_iter().collect();
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            if let Some(text) = self.string_of(item) {
                texts.push(text);
            } else {
                let element = format!("each element of {subject}");
                self.report_wrong_type::<()>(item, &element, "a string");
            }
        }
        texts
    }

    /// As [`read_strings`](Self::read_strings), and an empty list is an error.
    pub(super) fn read_nonempty_strings(
        &mut self,
        value: &Value<'_>,
        subject: &str,
        hint: &str,
    ) -> Vec<SpannedString> {
        if matches!(value.get_ref(), DeValue::Array(items) if items.is_empty()) {
            let (span, message) = (self.span(value), format!("{subject} is empty"));
            self.error(Code::WrongType, span, message).hint(hint);
        }
        self.read_strings(value, subject)
    }

    /// One of a few words.
    pub(super) fn read_choice<T: Copy>(
        &mut self,
        value: &Value<'_>,
        subject: &str,
        words: &[(&str, T)],
    ) -> Option<(T, Span)> {
        let SpannedString { text, span } = self.read_string(value, subject)?;
        if let Some((_, chosen)) = words.iter().find(|(word, _)| *word == text) {
            return Some((*chosen, span));
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!(
            "{subject} cannot be {}: it is one of {}",
            quote(&text),
            list_words(&known)
        );
        self.report
            .unknown(Code::InvalidValue, span, message, &text, known);
        None
    }

    pub(super) fn report_wrong_type<T>(
        &mut self,
        value: &Value<'_>,
        subject: &str,
        wanted: &str,
    ) -> Option<T> {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let message = format!("{subject} must be {wanted}, found {found}");
        self.error(Code::WrongType, self.span(value), message);
        None
    }
}

/// Words in backticks with commas.
pub(super) fn list_words(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
