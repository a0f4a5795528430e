//! Choice of calls: how a set of changes is written to the service.
//!
//! **Owns** which calls are safe, that is, have the same result under every reading of the service's undocumented behaviour, the
//! conditions for a Put, and the limit on sources. **Does not** know which changes are wanted.

use super::planner::list_changes;
use super::{Call, Change, InstancePlan, Verdict};
use crate::exposure::Diff;
use crate::model::{Firewall, Instance, LiveFirewall, MAX_SOURCES_PER_FAMILY, Mode, Strategy};

/// What helps against too many sources.
const FEWER_SOURCES: &str = "name fewer, wider networks, or open fewer ports to each of them";

impl InstancePlan {
    /// A plan without any call, for live rules that mean what is desired.
    pub(super) fn unchanged(instance: &Instance, mode: Mode, live: &LiveFirewall) -> Self {
        let incomplete = incomplete(mode, live);
        Self {
            instance: instance.clone(),
            mode,
            strict_spelling: false,
            before: live.clone(),
            after: live.firewall().clone(),
            changes: Vec::new(),
            calls: Vec::new(),
            fallback: None,
            verdict: incomplete
                .as_ref()
                .map_or(Verdict::InSync, |_| Verdict::Incomplete),
            exposure: Diff::default(),
            still_open: Vec::new(),
            incomplete,
            notes: Vec::new(),
        }
    }

    /// Sets the rules that must result, and the changes that lead there. `certain` is their difference from the certain live rules.
    pub(super) fn set_target(&mut self, target: &Firewall, certain: Diff) {
        self.after = target.clone();
        self.exposure = if self.has_remaining_doubt() {
            // The doubtful entries stay, so the access that they may give is not closed for certain.
            Diff::between(&self.reach_before(), &self.reach_after())
        } else {
            certain
        };
        self.changes = list_changes(
            self.before.firewall(),
            target,
            self.strict_spelling,
            self.family(),
        );
    }

    /// Sets the calls, or the reason why there are none.
    pub(super) fn set_calls(&mut self, chosen: Result<Chosen, Verdict>) {
        let live = self.before.firewall();
        match chosen.and_then(|chosen| check_limit(&chosen.after, live).map(|()| chosen)) {
            Ok(Chosen {
                calls,
                after,
                fallback,
            }) => {
                self.verdict = Verdict::Change;
                self.calls = calls;
                self.after = after;
                self.fallback = fallback;
            }
            Err(refused) => self.verdict = refused,
        }
    }

    /// The calls for the changes of the plan, or why none is permitted.
    pub(super) fn choose(&self, strategy: Strategy) -> Result<Chosen, Verdict> {
        match (self.mode, strategy) {
            (_, Strategy::Put) => self.put(strategy),
            (_, Strategy::Incremental) | (Mode::Additive, Strategy::Auto) => {
                self.incremental(strategy)
            }
            (Mode::Authoritative | Mode::Observe, Strategy::Auto) => {
                match self.incremental(strategy) {
                    Ok(chosen) if chosen.calls.len() == 1 => Ok(chosen),
                    // Several safe calls are possible even if a Put is not.
                    Ok(chosen) => self.put(strategy).or(Ok(chosen)),
                    Err(_) => self.put(strategy),
                }
            }
        }
    }

    /// One Put of the target.
    pub(super) fn put(&self, strategy: Strategy) -> Result<Chosen, Verdict> {
        self.check_put_permitted(strategy)?;
        Ok(Chosen {
            calls: vec![Call::Put {
                firewall: self.after.clone(),
            }],
            after: self.after.clone(),
            fallback: None,
        })
    }

    /// One safe call for every key that changes, Opens before Closes. So the number of sources is highest after the last Open.
    pub(super) fn incremental(&self, strategy: Strategy) -> Result<Chosen, Verdict> {
        let live = &self.before;
        let uncertain = live.uncertain().first();
        if let Some(entry) = uncertain.filter(|_| self.mode != Mode::Additive) {
            return Err(refused(
                format!(
                    "the live entry `{}` cannot be closed for certain: {}",
                    entry.entry, entry.doubt
                ),
                "a Put replaces it: use `--strategy put`",
            ));
        }
        let mut after = live.firewall().clone();
        let mut opened = after.clone();
        let mut opens = Vec::new();
        let mut closes = Vec::new();
        for change in &self.changes {
            match safe_call(change, live) {
                Ok(call @ Call::Close { .. }) => closes.push(call),
                Ok(call) => {
                    opens.push(call);
                    opened.set(change.key, change.after.clone());
                }
                Err(why) => {
                    return Err(refused(
                        format!("{} has no safe call: {why}", change.key),
                        put_instead(self.mode),
                    ));
                }
            }
            after.set(change.key, change.after.clone());
        }
        if !opens.is_empty() {
            let in_steps = !closes.is_empty();
            check_intermediate_limit(&opened, live, in_steps, self.mode)?;
        }
        let may_put = self.check_put_permitted(strategy).is_ok();
        let fallback = may_put.then(|| after.clone());
        opens.append(&mut closes);
        Ok(Chosen {
            calls: opens,
            after,
            fallback,
        })
    }

    /// Whether a Put may replace the whole firewall.
    fn check_put_permitted(&self, strategy: Strategy) -> Result<(), Verdict> {
        if let Some(entry) = self.before.unknown().first() {
            return Err(refused(
                format!(
                    "a Put would drop the live entry `{entry}`, whose protocol is unknown to this program"
                ),
                "close it in the console, or update this program",
            ));
        }
        if self.mode != Mode::Additive {
            return Ok(());
        }
        if let Some(entry) = self.before.uncertain().first() {
            return Err(refused(
                format!(
                    "a Put would drop the live entry `{}`, which this file does not manage ({})",
                    entry.entry, entry.doubt
                ),
                "give the rule certain sources and ports in the console",
            ));
        }
        if strategy == Strategy::Put {
            return Ok(());
        }
        Err(Verdict::Refused {
            reason: "a Put would send rules again that this file does not manage".into(),
            hint: None,
        })
    }
}

/// The calls that were chosen, and the rules that they lead to.
pub(super) struct Chosen {
    calls: Vec<Call>,
    after: Firewall,
    fallback: Option<Firewall>,
}

/// Why there is no permitted call.
fn refused(reason: String, hint: &str) -> Verdict {
    Verdict::Refused {
        reason,
        hint: Some(hint.to_owned()),
    }
}

/// The hint if keys cannot be changed one by one.
fn put_instead(mode: Mode) -> &'static str {
    if mode == Mode::Additive {
        "a Put can do it, but would also send rules again that this file does not manage: `--strategy put`, or \
        `strategy = \"put\"` on the instance, permits it"
    } else {
        "a Put can do it in one step: use `--strategy put`"
    }
}

/// The call whose result is the same under every reading of the service's behaviour, or the reason why there is none.
fn safe_call(change: &Change, live: &LiveFirewall) -> Result<Call, &'static str> {
    let Change {
        action: _,
        key,
        before,
        after,
        causes: _,
    } = change;
    if live.is_put_only(*key) {
        return Err(
            "its live rule was returned more than once or in a spelling that a call might not match",
        );
    }
    if after.is_empty() {
        return Ok(Call::Close {
            key: *key,
            sources: before.clone(),
        });
    }
    if after.names_all_of(before) {
        return Ok(Call::Open {
            key: *key,
            sources: after.clone(),
        });
    }
    Err("some of its sources are removed or respelled while the rule stays")
}

/// Refuses more sources than the service accepts, unless there are fewer than now.
fn check_limit(after: &Firewall, live: &Firewall) -> Result<(), Verdict> {
    let (wanted, now) = (after.counts(), live.counts());
    for (family, wanted, now) in [
        ("IPv4", wanted.ipv4, now.ipv4),
        ("IPv6", wanted.ipv6, now.ipv6),
    ] {
        if wanted > MAX_SOURCES_PER_FAMILY && wanted >= now {
            return Err(refused(
                format!(
                    "{wanted} {family} sources in all rules, but an instance can have {MAX_SOURCES_PER_FAMILY} (now {now})"
                ),
                FEWER_SOURCES,
            ));
        }
    }
    Ok(())
}

/// Refuses calls that need more sources than the service accepts after the last Open. `in_steps` says that Closes follow. Entries
/// that cannot be read stay, and count too.
fn check_intermediate_limit(
    opened: &Firewall,
    live: &LiveFirewall,
    in_steps: bool,
    mode: Mode,
) -> Result<(), Verdict> {
    let (opened, unread) = (opened.counts(), live.unread_counts());
    for (family, opened, unread) in [
        ("IPv4", opened.ipv4, unread.ipv4),
        ("IPv6", opened.ipv6, unread.ipv6),
    ] {
        let needed = opened + unread;
        if needed <= MAX_SOURCES_PER_FAMILY {
            continue;
        }
        if in_steps {
            return Err(refused(
                format!(
                    "rules are opened before others are closed, which needs {needed} {family} sources at once, but an \
                    instance can have {MAX_SOURCES_PER_FAMILY}"
                ),
                put_instead(mode),
            ));
        }
        if unread > 0 {
            return Err(refused(
                format!(
                    "{needed} {family} sources in all rules, {unread} of them in entries that cannot be read, but an \
                    instance can have {MAX_SOURCES_PER_FAMILY}"
                ),
                FEWER_SOURCES,
            ));
        }
    }
    Ok(())
}

/// The first live entry that cannot be read and stays, so that the instance cannot be called in sync.
fn incomplete(mode: Mode, live: &LiveFirewall) -> Option<String> {
    if let Some(entry) = live.unknown().first() {
        return Some(format!(
            "the protocol of the live entry `{entry}` is unknown to this program"
        ));
    }
    let entry = live
        .uncertain()
        .first()
        .filter(|_| mode == Mode::Additive)?;
    Some(format!(
        "the live entry `{}` cannot be read for certain: {}",
        entry.entry, entry.doubt
    ))
}
