//! The answer to `explain`: who gets in where, and because of which rule, as text and as JSON.
//!
//! Owns its words and members. Refuses to call allowed what only an entry that cannot be read might let in.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::names::{self, Names};
use super::words::plain;
use crate::exposure::{Diff, Effective, Line, Said, Side};
use crate::model::{InstanceId, Unreadable};

/// A question and everything that answers it.
#[derive(Debug)]
pub struct Explanation<'a> {
    /// Of which instance.
    pub id: &'a InstanceId,
    /// Who, as it was asked; `None` is everyone.
    pub from: Option<&'a str>,
    /// What, as it was asked; `None` is everything.
    pub to: Option<&'a str>,
    /// The packets that were asked for.
    pub asked: &'a Effective,
    /// The live rules, as the most and as the least that they let in.
    pub live: Result<(&'a Side, &'a Effective), &'a Unreadable>,
    /// The declared rules; `None` where nothing declares the instance.
    pub desired: Option<&'a Side>,
    /// What the configuration calls things.
    pub names: &'a Names,
}

/// How much of what was asked gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    Yes,
    Partly,
    Perhaps,
    No,
}

impl Allowed {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Yes => "allowed",
            Self::Partly => "partly allowed",
            Self::Perhaps => "perhaps allowed: an entry cannot be read for certain",
            Self::No => "not allowed",
        }
    }

    fn member(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Partly => "partly",
            Self::Perhaps => "perhaps",
            Self::No => "no",
        }
    }
}

impl Explanation<'_> {
    fn allowed(&self, most: &Effective, least: &Effective) -> Allowed {
        if least.is_superset(self.asked) {
            Allowed::Yes
        } else if !least.intersection(self.asked).is_empty() {
            Allowed::Partly
        } else if !most.intersection(self.asked).is_empty() {
            Allowed::Perhaps
        } else {
            Allowed::No
        }
    }

    pub(super) fn verdicts(&self) -> (Option<Allowed>, Option<Allowed>) {
        let live = self.live.ok();
        let live = live.map(|(side, least)| self.allowed(&side.effective, least));
        let desired = self
            .desired
            .map(|side| self.allowed(&side.effective, &side.effective));
        (live, desired)
    }

    /// The part of the question that gets in, as boxes and as lines.
    pub(super) fn part(&self, side: &Side) -> Diff {
        let part = side.effective.intersection(self.asked);
        Diff::between(&Effective::default(), &part)
    }

    /// What would have to change for all of it to get in.
    pub(super) fn change(&self) -> Option<String> {
        let (live, desired) = self.verdicts();
        match (live, desired) {
            (_, None) => Some(format!(
                "declare it: add a table [instances.\"{}\"]",
                plain(&self.id.to_string())
            )),
            (Some(Allowed::Yes) | None, Some(Allowed::Yes)) => None,
            (Some(_), Some(Allowed::Yes)) => {
                Some("it is declared and not live: `apply` opens it".to_owned())
            }
            (_, Some(_)) => {
                let (to, from) = (self.to.unwrap_or("all"), self.from.unwrap_or("anywhere"));
                Some(format!(
                    "add {{ allow = \"{}\", from = \"{}\" }} to the rules of `{}`",
                    plain(to),
                    plain(from),
                    plain(&self.id.to_string())
                ))
            }
        }
    }
}

/// The answer for people.
#[must_use]
pub fn text(of: &Explanation<'_>) -> String {
    let to = of.to.map_or_else(|| "everything".to_owned(), plain);
    let from = of.from.map_or_else(|| "everyone".to_owned(), plain);
    let mut text = format!("{}: {to} from {from}\n", plain(&of.id.to_string()));
    let (live, desired) = of.verdicts();
    let _ = match of.live {
        Err(why) => writeln!(text, "  live: not known: {}", plain(&why.to_string())),
        Ok((side, _)) => {
            let _ = writeln!(text, "  live: {}", live.map_or("", Allowed::words));
            lines(&mut text, of, side);
            Ok(())
        }
    };
    match of.desired {
        None => text.push_str("  desired: declared nowhere\n"),
        Some(side) => {
            let _ = writeln!(text, "  desired: {}", desired.map_or("", Allowed::words));
            lines(&mut text, of, side);
        }
    }
    if let Some(change) = of.change() {
        let _ = writeln!(text, "  to let all of it in: {change}");
    }
    text
}

fn lines(text: &mut String, of: &Explanation<'_>, side: &Side) {
    let names = [of.names, of.names];
    for line in of.part(side).lines().gained {
        let causes: Vec<String> = side.causes(&line).into_iter().map(cause_words).collect();
        let _ = writeln!(
            text,
            "    {} from {}, by {}",
            names::what(&line.what, names),
            names::sources(&line.sources, names),
            if causes.is_empty() {
                "an entry that cannot be read for certain".to_owned()
            } else {
                causes.join(", ")
            }
        );
    }
}

/// Where a rule stands and why, or what it opens where it stands nowhere.
pub(super) fn cause_words(said: &Said) -> String {
    let why = said.why.as_deref().map(plain);
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    match &said.origin {
        Some(origin) => format!("{}{why}", plain(&origin.to_string())),
        None => format!("rule {}", said.key),
    }
}

/// The answer for programs: one document with a final newline.
#[must_use]
pub fn json(of: &Explanation<'_>) -> String {
    let (live, desired) = of.verdicts();
    let side = |side: &Side, allowed: Option<Allowed>| {
        let causes = |line: &Line| -> Vec<Value> {
            let all = side.causes(line).into_iter();
            all.map(|said| {
                json!({
                    "rule": said.key.to_string(),
                    "file": said.origin.as_ref().map(|origin| origin.file.to_string()),
                    "line": said.origin.as_ref().map(|origin| origin.line),
                    "why": said.why,
                })
            })
            .collect()
        };
        let lines: Vec<Value> = of
            .part(side)
            .lines()
            .gained
            .iter()
            .map(|line| {
                json!({
                    "what": line.what,
                    "cidrs": line.sources.cidrs().collect::<Vec<_>>(),
                    "ipv6Cidrs": line.sources.ipv6_cidrs().collect::<Vec<_>>(),
                    "cidrListAliases": line.sources.aliases(),
                    "causes": causes(line),
                })
            })
            .collect();
        json!({"allowed": allowed.map(Allowed::member), "access": lines})
    };
    let document = json!({
        "instance": {"region": of.id.region, "name": of.id.name},
        "from": of.from,
        "to": of.to,
        "live": of.live.ok().map(|(of_live, _)| side(of_live, live)),
        "desired": of.desired.map(|of_desired| side(of_desired, desired)),
        "change": of.change(),
    });
    format!("{document:#}\n")
}
