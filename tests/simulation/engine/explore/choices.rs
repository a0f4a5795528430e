//! Depth-first enumeration of all sequences of choices, each run from the start.
//!
//! **Owns** the next choice and the set of visited states. **Does not** know what is chosen.

use std::collections::HashSet;

/// A walk through all sequences of choices.
#[derive(Debug, Default)]
pub(super) struct Choices {
    /// What is chosen, of how many, in the run that is under way; the first `place` of them are behind it.
    path: Vec<(usize, usize)>,
    place: usize,
    seen: HashSet<u64>,
}

impl Choices {
    /// A choice among so many. From a state that was seen before, nothing new can come: then there is none.
    pub(super) fn choose(&mut self, options: usize, state: u64) -> Option<usize> {
        if options == 1 {
            return Some(0);
        }
        if self.place == self.path.len() {
            if !self.seen.insert(state) {
                return None;
            }
            self.path.push((0, options));
        }
        let (chosen, _) = self.path[self.place];
        self.place += 1;
        Some(chosen)
    }

    /// Goes on to the next sequence, which is to be run from the start. `false` where that was the last one.
    pub(super) fn next(&mut self) -> bool {
        self.path.truncate(self.place);
        self.place = 0;
        while let Some((chosen, options)) = self.path.last_mut() {
            *chosen += 1;
            if chosen < options {
                return true;
            }
            self.path.pop();
        }
        false
    }

    /// What was chosen in this run, for whoever wants to see it again.
    pub(super) fn taken(&self) -> Vec<usize> {
        let taken = self.path[..self.place].iter();
        taken.map(|(chosen, _)| *chosen).collect()
    }

    /// How many states there were in which there is a choice.
    pub(super) fn states(&self) -> usize {
        self.seen.len()
    }
}
