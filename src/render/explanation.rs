//! The answer to `explain`: who gets in where, and because of which rule, as text and as JSON.
//!
//! Owns its words and members. Does not call allowed what only an entry that cannot be read might let in.

pub(crate) mod fleet;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::access_names::{Names, port_name, source_name};
use super::formats::{sanitize, to_json, truncate_list};
use crate::exposure::{self, DocumentFirewall, Doubtful, Effective, Line, Reach, RuleRef};
use crate::model::{InstanceId, Mode, Origin, Site, Sources, Unreadable, pairs};
use crate::plan::StillOpen;

/// A question and everything that answers it.
#[derive(Debug)]
pub(crate) struct Explanation<'a> {
    /// Of which instance.
    pub id: &'a InstanceId,
    /// Who, as it was asked; `None` is everyone.
    pub from: Option<&'a str>,
    /// What, as it was asked; `None` is everything.
    pub to: Option<&'a str>,
    /// The packets that were asked for.
    pub asked: Effective,
    /// The live rules.
    pub live: Result<DocumentFirewall, Unreadable>,
    /// The rules that must result; `None` where nothing declares the instance. In additive mode the live rules that stay are
    /// among them, without a line.
    pub desired: Option<DocumentFirewall>,
    /// Why it is not known what is declared, where it is not.
    pub undecided: Option<Unreadable>,
    /// The access that is named as absent and stays open by undeclared rules.
    pub still_open: Vec<StillOpen>,
    /// The mode of the instance, if it is declared.
    pub mode: Option<Mode>,
    /// The names in the configuration.
    pub names: &'a Names,
}

/// A question and what answers it on each of several instances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answers<'a> {
    /// Who, as it was asked; `None` is everyone.
    pub from: Option<&'a str>,
    /// What, as it was asked; `None` is everything.
    pub to: Option<&'a str>,
    /// The instances, in order.
    pub all: &'a [Explanation<'a>],
    /// The sites that could not be listed and may have more instances.
    pub unlisted: &'a BTreeMap<Site, Unreadable>,
}

/// The part of the requested access that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) enum Allowed {
    Yes,
    Partly,
    Perhaps,
    No,
}

impl Allowed {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Yes => "allowed",
            Self::Partly => "partly allowed",
            Self::Perhaps => "perhaps allowed: an entry cannot be read for certain",
            Self::No => "not allowed",
        }
    }
}

impl Explanation<'_> {
    fn allowed(&self, side: &DocumentFirewall) -> Allowed {
        let Reach {
            certain, possible, ..
        } = &side.reach;
        if certain.is_superset(&self.asked) {
            Allowed::Yes
        } else if !certain.intersection(&self.asked).is_empty() {
            Allowed::Partly
        } else if !possible.intersection(&self.asked).is_empty() {
            Allowed::Perhaps
        } else {
            Allowed::No
        }
    }

    /// What is said of a verdict, behind a colon. Who asks for nothing in particular asks who gets in, and is shown.
    fn verdict_text(&self, allowed: Option<Allowed>) -> String {
        match allowed {
            None => String::new(),
            Some(Allowed::Partly) if self.is_general() => String::new(),
            Some(Allowed::No) if self.is_general() => " nobody".to_owned(),
            Some(allowed) => format!(" {}", allowed.text()),
        }
    }

    fn is_general(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    pub(super) fn live_and_desired(&self) -> (Option<Allowed>, Option<Allowed>) {
        let live = self.live.as_ref().ok();
        let desired = self.desired.as_ref();
        (
            live.map(|side| self.allowed(side)),
            desired.map(|side| self.allowed(side)),
        )
    }

    /// Says of what is desired that live rules are part of it.
    pub(super) fn mode_suffix(&self) -> &'static str {
        match self.mode {
            Some(Mode::Additive) => " (additive)",
            _ => "",
        }
    }

    /// The note on undeclared live rules in additive mode.
    pub(super) fn note(&self) -> Option<String> {
        let side = self
            .desired
            .as_ref()
            .filter(|_| self.mode == Some(Mode::Additive))?;
        if self.live.is_err() {
            return Some("live rules that are not declared stay, and are not known".to_owned());
        }
        let still_open = self.still_open.iter();
        let still_open: Vec<String> = still_open
            .filter(|open| {
                let access = Effective::of_boxes(&open.access);
                !access.intersection(&self.asked).is_empty()
            })
            .map(|open| format!("still open: {open}; {}", open.hint))
            .collect();
        if !still_open.is_empty() {
            return Some(still_open.join("; "));
        }
        let lines = self.allowed_lines(side);
        let is_undeclared =
            |line: &Line| side.causes(line).iter().any(|cause| cause.origin.is_none());
        (lines.iter().any(is_undeclared) || !self.doubtful_lines(side).is_empty()).then(|| {
            "what is live only stays: declare it, or close it by naming it in `absent`".to_owned()
        })
    }

    /// The part of the question that gets in for certain.
    pub(super) fn allowed_lines(&self, side: &DocumentFirewall) -> Vec<Line> {
        let part = side.reach.certain.intersection(&self.asked);
        exposure::lines(&part.boxes(side.reach.family))
    }

    /// The part that gets in perhaps, with the entries that are in doubt.
    pub(super) fn doubtful_lines<'s>(
        &self,
        side: &'s DocumentFirewall,
    ) -> Vec<(Line, &'s Doubtful)> {
        let family = side.reach.family;
        let lines = |doubt: &'s Doubtful| {
            let part = doubt.effective(family).intersection(&self.asked);
            let part = part.difference(&side.reach.certain);
            let lines = exposure::lines(&part.boxes(family));
            lines.into_iter().map(move |line| (line, doubt))
        };
        side.doubts.iter().flat_map(lines).collect()
    }

    /// The ports and the sources of a line, by their names.
    pub(super) fn access_text(&self, line: &Line) -> String {
        let ports = port_name(&line.ports, &[self.names]);
        let sources = source_name(&line.sources, &[self.names]);
        format!("{ports} from {sources}")
    }

    /// What would have to change for all of it to get in. Nobody who asks in general means to let in everybody, or to open
    /// every port: only who names both a source and a service is told how to allow it.
    pub(super) fn how_to_allow(&self) -> Option<String> {
        let (live, desired) = self.live_and_desired();
        match (live, desired) {
            // Where nothing declares the instance, what is live stays.
            (Some(Allowed::Yes), Some(Allowed::Yes) | None) | (None, Some(Allowed::Yes)) => None,
            (Some(_), Some(Allowed::Yes)) => {
                Some("it is declared and not live: `apply` opens it".to_owned())
            }
            _ if self.undecided.is_some() => None,
            (_, desired) => {
                let (to, from) = (self.to?, self.from?);
                let id = sanitize(&self.id.to_string());
                if desired.is_none() {
                    return Some(format!("declare it: add a table [instances.\"{id}\"]"));
                }
                Some(format!(
                    "add {{ allow = \"{}\", from = \"{}\" }} to the rules of `{id}`",
                    sanitize(to),
                    sanitize(from),
                ))
            }
        }
    }
}

/// The answer for people.
pub(crate) fn text(explanation: &Explanation<'_>) -> String {
    let question = question(explanation.from, explanation.to);
    let mut text = format!("{}: {question}\n", sanitize(&explanation.id.to_string()));
    text.push_str(&body(&[explanation], true));
    if let Some(change) = explanation.how_to_allow() {
        let _ = writeln!(text, "  to let all of it in: {change}");
    }
    text
}

fn question(from: Option<&str>, to: Option<&str>) -> String {
    if from.is_none() && to.is_none() {
        return "who gets in".to_owned();
    }
    let to = to.map_or_else(|| "everything".to_owned(), sanitize);
    let from = from.map_or_else(|| "everyone".to_owned(), sanitize);
    format!("{to} from {from}")
}

/// The most locations of one line of access that are shown; the others are counted.
const PLACES_SHOWN: usize = 4;

/// What holds of each of these instances, of which all but the places of rules is the same; without any place where it is
/// looked for whether it is.
fn body(all: &[&Explanation<'_>], has_places: bool) -> String {
    let explanation = all[0];
    let mut text = String::new();
    let (live, desired) = explanation.live_and_desired();
    match &explanation.live {
        Err(cause) => {
            let _ = writeln!(text, "  live: not known: {}", sanitize(&cause.to_string()));
        }
        Ok(side) => {
            let _ = writeln!(text, "  live:{}", explanation.verdict_text(live));
            let sides = all.iter().filter_map(|one| one.live.as_ref().ok());
            let sides: Vec<&DocumentFirewall> = sides.filter(|_| has_places).collect();
            lines(&mut text, explanation, side, &sides, "rule");
        }
    }
    match &explanation.desired {
        None => {
            let undecided = explanation
                .undecided
                .as_ref()
                .map(|cause| sanitize(&cause.reason));
            let words = undecided.map_or_else(
                || "not in the configuration".to_owned(),
                |cause| format!("not known: {cause}"),
            );
            let _ = writeln!(text, "  desired: {words}");
        }
        Some(side) => {
            let _ = writeln!(
                text,
                "  desired{}:{}",
                explanation.mode_suffix(),
                explanation.verdict_text(desired)
            );
            let sides = all.iter().filter_map(|one| one.desired.as_ref());
            let sides: Vec<&DocumentFirewall> = sides.filter(|_| has_places).collect();
            lines(&mut text, explanation, side, &sides, "live rule");
        }
    }
    if let Some(note) = explanation.note() {
        let _ = writeln!(text, "  note: {}", sanitize(&note));
    }
    text
}

/// The part of the question that gets in, with the rules of all `sides`; `rule` is what a rule without a line is.
fn lines(
    text: &mut String,
    explanation: &Explanation<'_>,
    side: &DocumentFirewall,
    sides: &[&DocumentFirewall],
    rule: &str,
) {
    for line in explanation.allowed_lines(side) {
        let mut causes: Vec<String> = Vec::new();
        for cause in sides.iter().flat_map(|side| side.causes(&line)) {
            let words = cause_text(cause, rule);
            if !causes.contains(&words) {
                causes.push(words);
            }
        }
        // The rules of one instance are all told.
        if sides.len() > 1 && causes.len() > PLACES_SHOWN + 1 {
            causes = truncate_list(causes, PLACES_SHOWN);
        }
        let _ = writeln!(
            text,
            "    {}, by {}",
            explanation.access_text(&line),
            causes.join(", ")
        );
    }
    for (line, doubt) in explanation.doubtful_lines(side) {
        let _ = writeln!(
            text,
            "    perhaps {}, by `{}`: {}",
            explanation.access_text(&line),
            sanitize(&doubt.entry),
            sanitize(&doubt.why)
        );
    }
}

/// The location and the reason of a rule, or its access after `rule` if it has no location.
pub(super) fn cause_text(cause: &RuleRef, rule: &str) -> String {
    let why = cause.why.as_deref().map(sanitize);
    let reason = why.map_or_else(String::new, |why| format!(" ({why})"));
    match &cause.origin {
        Some(origin) => format!("{}{reason}", sanitize(&origin.to_string())),
        None => format!("{rule} {}", cause.key),
    }
}

/// The answer as a document.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct ExplanationDocument<'a> {
    /// Who, as it was asked; null is everyone.
    from: Option<&'a str>,
    /// What, as it was asked; null is everything.
    to: Option<&'a str>,
    /// One for each instance that was asked about, in order.
    instances: Vec<Answer<'a>>,
    /// Where more instances may be that could not be listed.
    #[serde(with = "pairs")]
    #[cfg_attr(test, schemars(with = "Vec<pairs::Pair<Site, Unreadable>>"))]
    unlisted: Vec<(&'a Site, &'a Unreadable)>,
}

/// The answer on one instance.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Answer<'a> {
    instance: &'a InstanceId,
    /// Null where the live rules could not be read.
    live: Option<State<'a>>,
    /// Why the live rules could not be read; null where they were.
    unreadable: Option<&'a Unreadable>,
    /// Null where nothing declares the instance, and where that is not known.
    desired: Option<State<'a>>,
    /// Why it is not known what is declared; null where it is.
    undecided: Option<&'a Unreadable>,
    /// Null where nothing declares the instance.
    mode: Option<Mode>,
    /// A note on the answer.
    note: Option<String>,
    /// The change that would allow all of it; null if all of it is allowed, or if source or service were not given.
    change: Option<String>,
}

/// The answer of the live or of the declared rules.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct State<'a> {
    /// The part of the requested access that is allowed; `perhaps`: only by an entry that cannot be read for certain.
    allowed: Option<Allowed>,
    access: Vec<AllowedAccess<'a>>,
    perhaps: Vec<DoubtfulAccess<'a>>,
}

/// A part of what was asked that gets in.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct AllowedAccess<'a> {
    /// Such as `tcp/22`, or `all protocols`.
    ports: String,
    #[serde(flatten)]
    sources: Sources,
    causes: Vec<RuleCause<'a>>,
}

/// A part of what was asked that may get in, by a live entry that cannot be read for certain.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct DoubtfulAccess<'a> {
    /// Such as `tcp/22`, or `all protocols`.
    ports: String,
    #[serde(flatten)]
    sources: Sources,
    /// Protocol and ports as the service spells them.
    entry: &'a str,
    /// The doubt.
    reason: &'a str,
}

/// A rule that lets a part of it in. A live rule has no origin.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct RuleCause<'a> {
    rule: String,
    origin: Option<&'a Origin>,
    why: Option<&'a str>,
}

/// The answer for programs: one document with a final newline.
pub(crate) fn json(answers: &Answers<'_>) -> String {
    to_json(&ExplanationDocument {
        from: answers.from,
        to: answers.to,
        instances: answers.all.iter().map(answer).collect(),
        unlisted: answers.unlisted.iter().collect(),
    })
}

fn answer<'a>(explanation: &'a Explanation<'a>) -> Answer<'a> {
    let (live, desired) = explanation.live_and_desired();
    Answer {
        instance: explanation.id,
        live: explanation
            .live
            .as_ref()
            .ok()
            .map(|side| state(explanation, side, live)),
        unreadable: explanation.live.as_ref().err(),
        desired: explanation
            .desired
            .as_ref()
            .map(|side| state(explanation, side, desired)),
        undecided: explanation.undecided.as_ref(),
        mode: explanation.mode,
        note: explanation.note(),
        change: explanation.how_to_allow(),
    }
}

fn state<'a>(
    explanation: &Explanation<'_>,
    side: &'a DocumentFirewall,
    allowed: Option<Allowed>,
) -> State<'a> {
    let rule_cause = |rule: &'a RuleRef| RuleCause {
        rule: rule.key.to_string(),
        origin: rule.origin.as_ref(),
        why: rule.why.as_deref(),
    };
    let certain = explanation
        .allowed_lines(side)
        .into_iter()
        .map(|line| AllowedAccess {
            causes: side.causes(&line).into_iter().map(rule_cause).collect(),
            ports: line.ports,
            sources: line.sources,
        });
    let perhaps = explanation
        .doubtful_lines(side)
        .into_iter()
        .map(|(line, doubt)| DoubtfulAccess {
            ports: line.ports,
            sources: line.sources,
            entry: &doubt.entry,
            reason: &doubt.why,
        });
    State {
        allowed,
        access: certain.collect(),
        perhaps: perhaps.collect(),
    }
}
