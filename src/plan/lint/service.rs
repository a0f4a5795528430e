//! A model of the service: what a call may do to rules.
//!
//! Owns the readings of what is not documented: Open merges sources or replaces them, Close subtracts sources or removes
//! the key. Does not know which one is true.

use std::fmt;

use crate::exposure;
use crate::model::{Family, Firewall, Key, LiveFirewall, Sources};
use crate::plan::Call;

/// One reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    open_merges: bool,
    close_subtracts: bool,
}

/// All of them.
pub(super) const READINGS: [Reading; 4] = [
    Reading {
        open_merges: true,
        close_subtracts: true,
    },
    Reading {
        open_merges: true,
        close_subtracts: false,
    },
    Reading {
        open_merges: false,
        close_subtracts: true,
    },
    Reading {
        open_merges: false,
        close_subtracts: false,
    },
];

impl Reading {
    pub(super) fn run(self, state: &mut Firewall, call: &Call) {
        match call {
            Call::Put { firewall } => *state = firewall.clone(),
            Call::Open { key, sources } if self.open_merges => state.add(*key, sources),
            Call::Open { key, sources } => state.set(*key, sources.clone()),
            Call::Close { key, sources } => {
                let now = state.remove(*key).unwrap_or_default();
                if self.close_subtracts {
                    state.set(*key, without(&now, sources));
                }
            }
        }
    }

    /// The key that an Open or a Close leaves as it is: in what it means, or to the letter where the spelling counts. A Put
    /// is idle where the whole firewall is, which is another question.
    pub(super) fn is_idle(
        self,
        call: &Call,
        state: &Firewall,
        strict: bool,
        family: Family,
    ) -> Option<Key> {
        let (Call::Open { key, .. } | Call::Close { key, .. }) = call else {
            return None;
        };
        let now = state.get(*key).cloned().unwrap_or_default();
        let mut then: Firewall = [(*key, now.clone())].into_iter().collect();
        self.run(&mut then, call);
        let then = then.remove(*key).unwrap_or_default();
        let same = now == then || (!strict && exposure::means_same(&now, &then, family));
        same.then_some(*key)
    }
}

/// By text, as the service is taken to compare.
fn without(now: &Sources, gone: &Sources) -> Sources {
    let mut left = Sources::new();
    let ipv4 = now.ipv4().difference(gone.ipv4());
    ipv4.for_each(|net| left.insert((*net).into()));
    let ipv6 = now.ipv6().difference(gone.ipv6());
    ipv6.for_each(|net| left.insert((*net).into()));
    let aliases = now.aliases().difference(gone.aliases());
    aliases.for_each(|alias| left.insert_alias(alias));
    left
}

/// Why the effect of a call cannot be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// The live entry is spelled oddly or came twice, so that the call may not meet it.
    Spelling,
    /// It opens without some of the sources that the key has, which then may stay or go.
    OpenWithout,
    /// It closes other sources than exactly those that the key has.
    CloseOther,
}

impl fmt::Display for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spelling => "the live entry came more than once or is spelled oddly",
            Self::OpenWithout => "it opens without some of the sources that are there",
            Self::CloseOther => "it closes other sources than those that are there",
        })
    }
}

/// Whether a call does the same in this state whatever the reading.
pub(super) fn is_certain(
    call: &Call,
    state: &Firewall,
    live: &LiveFirewall,
) -> Result<(), (Key, Guess)> {
    let (key, guess) = match call {
        Call::Put { .. } => return Ok(()),
        Call::Open { key, sources } => {
            let all = state.get(*key).is_none_or(|now| sources.names_all_of(now));
            (*key, (!all).then_some(Guess::OpenWithout))
        }
        Call::Close { key, sources } => {
            let exactly = state.get(*key) == Some(sources);
            (*key, (!exactly).then_some(Guess::CloseOther))
        }
    };
    if live.is_put_only(key) {
        return Err((key, Guess::Spelling));
    }
    guess.map_or(Ok(()), |guess| Err((key, guess)))
}
