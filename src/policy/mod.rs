//! What a plan may not do even though it could: guards, which judge a change, and policies, which judge a state.
//!
//! Owns the judgement and the wording of refusals. Everything here is a plain function over a finished plan; it refuses
//! to know the configuration's text, a clock, and how a plan is made or carried out.

mod allow;
mod guards;
mod policies;

pub use allow::{Allow, AllowError};
pub use guards::{Judgement, Refusal, judge, judge_undo, lint};
pub use policies::{
    Findings, JudgedRules, Kind, Occurrence, Subject, Violation, Witness, declared, declared_on,
    policies,
};
