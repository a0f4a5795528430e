//! Selectors: which of the declared instances a run is about.
//!
//! Owns `--target`. Refuses a selector that names nothing.

use glob::Pattern;

use crate::cli::output::Cannot;
use crate::model::Desired;

/// Keeps the declared instances that a selector names. Each selector must name at least one.
pub(in crate::cli) fn narrow(desired: &mut Desired, selectors: &[String]) -> Result<(), Cannot> {
    if selectors.is_empty() {
        return Ok(());
    }
    let mut patterns = Vec::new();
    for selector in selectors {
        let pattern = Pattern::new(selector).map_err(|error| {
            Cannot::usage(
                format!("`{selector}` is no pattern: {error}"),
                "NAME or REGION/NAME; * and ? match anything",
            )
        })?;
        let named = desired
            .instances
            .keys()
            .any(|id| selects(&pattern, &id.region, &id.name))
            || desired
                .missing
                .iter()
                .any(|missing| selects_text(&pattern, &missing.name));
        if !named {
            let near = nearest(
                selector,
                desired.instances.keys().map(|id| id.name.as_str()),
            );
            let hint = near.map(|name| format!("did you mean `{name}`?"));
            return Err(Cannot::failed(format!(
                "`--target {selector}` names no declared instance"
            ))
            .with_hint(hint));
        }
        patterns.push(pattern);
    }
    desired.instances.retain(|id, _| {
        patterns
            .iter()
            .any(|pattern| selects(pattern, &id.region, &id.name))
    });
    desired.missing.retain(|missing| {
        patterns
            .iter()
            .any(|pattern| selects_text(pattern, &missing.name))
    });
    desired.undeclared.clear();
    Ok(())
}

fn selects(pattern: &Pattern, region: &str, name: &str) -> bool {
    pattern.matches(name) || pattern.matches(&format!("{region}/{name}"))
}

fn selects_text(pattern: &Pattern, name: &str) -> bool {
    pattern.matches(name)
        || name
            .split_once('/')
            .is_some_and(|(_, name)| pattern.matches(name))
}

fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::damerau_levenshtein(text, name), name))
        .filter(|(distance, _)| *distance <= 3)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_name_instances_with_or_without_region() {
        let selected = |text: &str| {
            selects(
                &Pattern::new(text).expect("a pattern"),
                "eu-central-1",
                "web-1",
            )
        };
        assert!(selected("web-1") && selected("web-*") && selected("eu-*/web-?") && selected("*"));
        assert!(!selected("web") && !selected("us-*/web-1") && !selected("db-*"));
    }
}
