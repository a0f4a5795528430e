//! The catalogue: quirks by name, for the command line and for tests of all quirks.
//!
//! Owns the parsing of `NAME=VALUE`. Does not apply quirks.

use super::{CATALOGUE, Quirks};
use crate::strings;

/// A quirk.
#[derive(Debug)]
pub struct Quirk {
    /// Its name, such as `open`.
    pub name: &'static str,
    /// Its values, the default first. If they are numbers, any other number is valid too.
    pub values: &'static [&'static str],
    /// The question about the service that it answers.
    pub about: &'static str,
    pub(super) get: fn(&Quirks) -> String,
    pub(super) set: fn(&mut Quirks, &str) -> bool,
}

/// A text is not a quirk.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QuirkError {
    /// It has no equals sign.
    #[error("`{0}` is not NAME=VALUE")]
    Shape(String),
    /// No quirk has this name.
    #[error("there is no quirk `{0}`")]
    Name(String),
    /// The quirk has no such value.
    #[error("quirk `{}` has no value `{}`", .0.name, .1)]
    Value(&'static Quirk, String),
}

impl QuirkError {
    /// What to write instead.
    pub fn hint(&self) -> String {
        let (word, known, list) = match self {
            Self::Shape(_) => return "for example `open=replace`".to_owned(),
            Self::Name(name) => {
                let names: Vec<&str> = CATALOGUE.iter().map(|quirk| quirk.name).collect();
                (name, names, "there are")
            }
            Self::Value(quirk, value) => (value, quirk.values.to_vec(), "it has"),
        };
        match strings::nearest(word, known.iter().copied()) {
            Some(similar) => format!("did you mean `{similar}`?"),
            None => format!("{list} {}", known.join(", ")),
        }
    }
}

impl Quirks {
    /// Every quirk, in the order of the fields.
    pub fn catalogue() -> &'static [Quirk] {
        CATALOGUE
    }

    /// Sets a quirk by `NAME=VALUE`.
    ///
    /// # Errors
    /// The text has another form, or the name or the value is unknown. Then nothing changes.
    pub fn set(&mut self, text: &str) -> Result<(), QuirkError> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| QuirkError::Shape(text.to_owned()))?;
        let quirk = CATALOGUE.iter().find(|quirk| quirk.name == name);
        let quirk = quirk.ok_or_else(|| QuirkError::Name(name.to_owned()))?;
        if (quirk.set)(self, value) {
            return Ok(());
        }
        Err(QuirkError::Value(quirk, value.to_owned()))
    }

    /// The quirks that differ from the default, in the form for [`set`](Self::set), to repeat a run.
    pub fn changed(&self) -> Vec<String> {
        let default = Self::default();
        let changed = CATALOGUE.iter().filter_map(|quirk| {
            let value = (quirk.get)(self);
            (value != (quirk.get)(&default)).then(|| format!("{}={value}", quirk.name))
        });
        changed.collect()
    }
}
