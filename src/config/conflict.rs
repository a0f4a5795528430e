//! Conflicts between parts of the configuration on an instance.
//!
//! Owns the precedence of mode and strategy, and the validation of `absent`. Does not guess: a conflict is an error.

use std::collections::BTreeSet;

use ipnet::{Ipv4Net, Ipv6Net};

use super::complaints::Complaints;
use super::rule::Families;
use super::source::{Span, quote};
use super::table::{Group, Settings};
use crate::model::{Absent, Code, DesiredInstance, Instance, Mode, Sources};

/// A setting of an instance: its own, or the common value of its groups.
pub(super) fn settle<T: Copy + PartialEq>(
    complaints: &mut Complaints,
    instance: &Instance,
    own: Option<&Settings>,
    groups: &[&Group],
    what: &str,
    of: impl Fn(&Settings) -> Option<(T, Span)>,
) -> Option<T> {
    if let Some((own, _)) = own.and_then(&of) {
        return Some(own);
    }
    let mut values = groups
        .iter()
        .filter_map(|group| of(&group.settings).map(|(value, span)| (group, value, span)));
    let (first, value, first_span) = values.next()?;
    for (group, other, span) in values {
        if other != value && complaints.are_new(first_span, span) {
            let (name, one, two) = (
                quote(&instance.id.to_string()),
                quote(&first.name),
                quote(&group.name),
            );
            complaints
                .report
                .error(
                    Code::Conflict,
                    span,
                    format!("groups {one} and {two} give {name} different values of `{what}`"),
                )
                .hint(format!(
                    "let them agree, or set `{what}` in `[instances.{}]`",
                    in_header(&instance.id.name)
                ))
                .related(first_span, "the other one is here");
        }
    }
    Some(value)
}

/// A name as a key in a table header.
fn in_header(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if bare {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

/// Adds the access that must not exist.
pub(super) fn absent(
    complaints: &mut Complaints,
    instance: &Instance,
    all: &[&Settings],
    wanted: &mut DesiredInstance,
) {
    for absence in all.iter().flat_map(|settings| &settings.absent) {
        let rule = &absence.rule;
        if wanted.mode != Mode::Additive {
            if complaints.are_new(rule.span, rule.span) {
                let name = quote(&instance.id.to_string());
                let message = format!(
                    "`absent` has no meaning for {name}, which is in {} mode",
                    wanted.mode.as_str()
                );
                complaints
                    .report
                    .error(Code::Misplaced, rule.span, message)
                    .hint("it belongs to additive mode");
            }
            continue;
        }
        for (key, item) in rule.keys() {
            let sources = (!absence.whole).then(|| Families::of(*key).trim(&rule.sources));
            // Without this check, a key whose sources do not fit its protocol would be removed completely.
            if sources.as_ref().is_some_and(Sources::is_empty) {
                continue;
            }
            wanted.absent.push(Absent {
                key: *key,
                sources,
                origin: item.declared.origin.clone(),
                why: item.declared.why.clone(),
                owner: item.declared.owner.clone(),
            });
        }
        contradiction(complaints, instance, absence.whole, rule.span, wanted);
    }
    wanted
        .absent
        .sort_by(|a, b| (a.key, &a.origin).cmp(&(b.key, &b.origin)));
}

/// Reports access that is both absent and declared.
fn contradiction(
    complaints: &mut Complaints,
    instance: &Instance,
    whole: bool,
    span: Span,
    wanted: &DesiredInstance,
) {
    let origin = complaints.report.origin(span);
    for absent in wanted
        .absent
        .iter()
        .filter(|absent| absent.origin == origin)
    {
        let clash = wanted.rules.iter().find(|rule| {
            rule.key == absent.key
                && absent
                    .sources
                    .as_ref()
                    .is_none_or(|sources| overlap(sources, &rule.sources))
        });
        let Some(rule) = clash else { continue };
        if complaints.are_new(span, Span::new(span.file(), span.start()..span.start())) {
            let name = quote(&instance.id.to_string());
            let what = if whole {
                ""
            } else {
                " from some of these sources"
            };
            complaints
                .report
                .error(
                    Code::Conflict,
                    span,
                    format!(
                        "`{}`{what} is both absent and declared for {name}",
                        absent.key
                    ),
                )
                .hint(format!("it is declared at {}", rule.declared.origin));
        }
    }
}

/// Whether the two have a source in common.
fn overlap(a: &Sources, b: &Sources) -> bool {
    !a.aliases().is_disjoint(b.aliases())
        || overlap_ipv4(a.ipv4(), b.ipv4())
        || overlap_ipv6(a.ipv6(), b.ipv6())
}

// Networks are nested or disjoint, and sorted by address and then by length. So a network inside another follows it, and a
// network that contains another is one of its supernets.

fn overlap_ipv4(a: &BTreeSet<Ipv4Net>, b: &BTreeSet<Ipv4Net>) -> bool {
    a.iter().any(|net| {
        b.range(net..).next().is_some_and(|next| net.contains(next))
            || std::iter::successors(Some(*net), Ipv4Net::supernet).any(|outer| b.contains(&outer))
    })
}

fn overlap_ipv6(a: &BTreeSet<Ipv6Net>, b: &BTreeSet<Ipv6Net>) -> bool {
    a.iter().any(|net| {
        b.range(net..).next().is_some_and(|next| net.contains(next))
            || std::iter::successors(Some(*net), Ipv6Net::supernet).any(|outer| b.contains(&outer))
    })
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;

    fn networks() -> impl Strategy<Value = Vec<IpNet>> {
        let four = (0..=255_u8, 20..=32_u8)
            .prop_map(|(last, length)| IpNet::new_assert([10, 0, 0, last].into(), length));
        let six = (0..=255_u16, 112..=128_u8).prop_map(|(last, length)| {
            IpNet::new_assert([0x2001, 0xdb8, 0, 0, 0, 0, 0, last].into(), length)
        });
        proptest::collection::vec(prop_oneof![four, six], 0..6)
    }

    proptest! {
        #[test]
        fn networks_overlap_when_one_holds_the_other(a in networks(), b in networks()) {
            let plain = a.iter().any(|a| b.iter().any(|b| {
                let (a, b) = (a.trunc(), b.trunc());
                a.contains(&b) || b.contains(&a)
            }));
            prop_assert_eq!(overlap(&a.into_iter().collect(), &b.into_iter().collect()), plain);
        }
    }
}
