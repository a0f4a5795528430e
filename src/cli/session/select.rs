//! Selectors: the declared instances of a run.
//!
//! Owns `--target`, and refuses a selector without a match.

use std::collections::BTreeMap;

use glob::Pattern;

use crate::cli::error::CommandError;
use crate::model::{Code, Desired, InstanceId, Site, Undeclared, Unreadable};
use crate::strings;

/// Keeps the declared instances that a selector names.
///
/// Each selector must name at least one, unless some instances could not be listed: what it names may be among those. Nor is
/// it known then which instance a bare name means.
pub(in crate::cli) fn narrow(
    desired: &mut Desired,
    selectors: &[String],
    unlisted: &BTreeMap<Site, Unreadable>,
) -> Result<(), CommandError> {
    if selectors.is_empty() {
        return Ok(());
    }
    let patterns = patterns(selectors)?;
    for pattern in &patterns {
        let mut ids = desired.instances.keys().chain(desired.undecided.keys());
        let named = ids.any(|id| selects(pattern, id))
            || desired
                .missing
                .iter()
                .any(|missing| selects_name(pattern, &missing.name));
        if !named && unlisted.is_empty() {
            let undeclared = desired.undeclared.iter();
            let mut undeclared = undeclared.filter(|undeclared| selects(pattern, &undeclared.id));
            if let Some(Undeclared { id }) = undeclared.next() {
                let message = format!(
                    "`--target {pattern}` names no declared instance: `{id}` exists and is not declared"
                );
                return Err(CommandError::failed(message).with_code(Code::NotFound));
            }
            let message = format!("`--target {pattern}` names no declared instance");
            let hint = suggestion(pattern.as_str(), desired.instances.keys());
            return Err(CommandError::failed(message)
                .with_code(Code::NotFound)
                .with_optional_hint(hint));
        }
    }
    if let Some((site, cause)) = unlisted.first_key_value() {
        let in_full = |id: &InstanceId| {
            let is_bare = |pattern: &Pattern| !pattern.as_str().contains(['/', '*', '?', '[']);
            patterns
                .iter()
                .any(|pattern| !is_bare(pattern) && selects(pattern, id))
        };
        for id in desired.instances.keys().filter(|id| !in_full(id)) {
            let name = &id.name;
            let cause = Unreadable::undecided(format!(
                    "`--target {name}` could also mean an instance in `{site}`, which could not be listed: {cause}"
                )).with_hint(Some(format!("name it in full: `--target {id}`")));
            desired.undecided.entry(id.clone()).or_insert(cause);
        }
    }
    desired.undecided.retain(|id, _| selects_any(&patterns, id));
    let Desired {
        instances,
        undecided,
        ..
    } = desired;
    instances.retain(|id, _| selects_any(&patterns, id) && !undecided.contains_key(id));
    desired.missing.retain(|missing| {
        patterns
            .iter()
            .any(|pattern| selects_name(pattern, &missing.name))
    });
    desired
        .undeclared
        .retain(|undeclared| selects_any(&patterns, &undeclared.id));
    Ok(())
}

/// The selectors, as text.
pub(in crate::cli) fn patterns<'a>(
    selectors: impl IntoIterator<Item = &'a String>,
) -> Result<Vec<Pattern>, CommandError> {
    selectors.into_iter().map(|text| pattern(text)).collect()
}

/// A selector, as text.
pub(in crate::cli) fn pattern(selector: &str) -> Result<Pattern, CommandError> {
    Pattern::new(selector).map_err(|error| {
        CommandError::usage(
            format!("`{selector}` is not a valid pattern: {error}"),
            "NAME, REGION/NAME or ACCOUNT/REGION/NAME; * and ? match anything",
        )
    })
}

/// Matches the name alone, the region and name, or account, region and name.
pub(in crate::cli) fn selects(pattern: &Pattern, id: &InstanceId) -> bool {
    id.is_called(|name| pattern.matches(name))
}

/// Whether one of these selects an instance, or there is none.
pub(in crate::cli) fn selects_any(patterns: &[Pattern], id: &InstanceId) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| selects(pattern, id))
}

/// The same of a name as it is written in the configuration.
fn selects_name(pattern: &Pattern, name: &str) -> bool {
    let mut tails = std::iter::successors(Some(name), |tail| Some(tail.split_once('/')?.1));
    tails.any(|tail| pattern.matches(tail))
}

/// "Did you mean", with the instance whose name is nearest to what was typed. It is named as far as the text names one:
/// with the region where the text has one, and with the account too.
pub(in crate::cli) fn suggestion<'a>(
    text: &str,
    ids: impl Iterator<Item = &'a InstanceId>,
) -> Option<String> {
    let name = |id: &InstanceId| match text.matches('/').count() {
        0 => id.name.clone(),
        1 => format!("{}/{}", id.region, id.name),
        _ => id.to_string(),
    };
    let names: Vec<String> = ids.map(name).collect();
    let near = strings::nearest(text, names.iter().map(String::as_str));
    near.map(|name| format!("did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selector_takes_a_name_with_or_without_a_region() {
        let mut id = InstanceId {
            account: None,
            region: "eu-central-1".to_owned(),
            name: "web-1".to_owned(),
        };
        let pattern = |text: &str| Pattern::new(text).expect("a pattern");
        let selected = |text: &str| selects(&pattern(text), &id);
        assert!(selected("web-1") && selected("web-*") && selected("eu-*/web-?") && selected("*"));
        assert!(!selected("web") && !selected("us-*/web-1") && !selected("db-*"));
        assert!(!selected("prod/*/web-1"));
        id.account = Some("prod".to_owned());
        let selected = |text: &str| selects(&pattern(text), &id);
        assert!(selected("web-1") && selected("eu-*/web-1") && selected("prod/*/web-1"));
        assert!(!selected("test/*/web-1"));
        let missing = |text: &str| selects_name(&pattern(text), "prod/eu-central-1/web-1");
        assert!(missing("web-1") && missing("eu-*/web-1") && missing("prod/eu-*/web-1"));
        assert!(!missing("central-1/web-1"));
    }
}
