//! A model of the service, for the lint: the possible effects of a call.
//!
//! Owns the readings of undocumented behaviour: Open merges or replaces sources, Close subtracts sources or removes the key. Does
//! not know which reading is right.

use crate::exposure;
use crate::model::{Family, Firewall, Key, LiveFirewall};
use crate::plan::Call;

/// One reading of the undocumented behaviour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    open_merges: bool,
    close_subtracts: bool,
}

pub(super) fn readings() -> impl Iterator<Item = Reading> {
    let may = [true, false];
    may.into_iter().flat_map(move |open_merges| {
        may.map(|close_subtracts| Reading {
            open_merges,
            close_subtracts,
        })
    })
}

impl Reading {
    pub(super) fn run(self, state: &mut Firewall, call: &Call) {
        match call {
            Call::Put { firewall } => *state = firewall.clone(),
            Call::Open { key, sources } if self.open_merges => state.add(*key, sources),
            Call::Open { key, sources } => state.set(*key, sources.clone()),
            Call::Close { key, sources } => {
                let now = state.remove(*key).unwrap_or_default();
                if self.close_subtracts {
                    // The service is assumed to compare texts.
                    state.set(*key, now.without(sources));
                }
            }
        }
    }

    /// The key of an Open or a Close that does not change it in meaning or, if `strict`, in spelling. A Put has no single key.
    pub(super) fn idle_key(
        self,
        call: &Call,
        state: &Firewall,
        strict: bool,
        family: Family,
    ) -> Option<Key> {
        let (Call::Open { key, .. } | Call::Close { key, .. }) = call else {
            return None;
        };
        let now = state.sources(*key);
        let mut then: Firewall = [(*key, now.clone())].into_iter().collect();
        self.run(&mut then, call);
        let then = then.remove(*key).unwrap_or_default();
        let same = now == then || (!strict && exposure::means_same(&now, &then, family));
        same.then_some(*key)
    }
}

/// Why the effect of a call is uncertain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncertainty {
    /// The live entry is spelled oddly or was returned twice, so the call may not find it.
    #[error("the live entry was returned more than once or is spelled oddly")]
    Spelling,
    /// An Open without some live sources of the key, which may then stay or be removed.
    #[error("it opens without some of the live sources")]
    OpenWithout,
    /// A Close with other sources than exactly the live ones of the key.
    #[error("it closes other sources than the live ones")]
    CloseOther,
}

/// Why a call has not the same effect in this state under every reading, if so.
pub(super) fn uncertainty(
    call: &Call,
    state: &Firewall,
    live: &LiveFirewall,
) -> Option<(Key, Uncertainty)> {
    let (key, guess) = match call {
        Call::Put { .. } => return None,
        Call::Open { key, sources } => {
            let all = state.get(*key).is_none_or(|now| sources.names_all_of(now));
            (*key, (!all).then_some(Uncertainty::OpenWithout))
        }
        Call::Close { key, sources } => {
            let exactly = state.get(*key) == Some(sources);
            (*key, (!exactly).then_some(Uncertainty::CloseOther))
        }
    };
    let spelling = live.is_put_only(key).then_some(Uncertainty::Spelling);
    Some((key, spelling.or(guess)?))
}
