//! Guards, which check a change, and policies, which check a state.
//!
//! Owns the decisions and the wording of refusals. Everything here is a function over a finished plan. Does not know the text of
//! the configuration, a clock, or how a plan is made or carried out.

mod consent;
mod guards;
mod policies;

pub use consent::{Consent, ConsentError};
pub use guards::{Judgement, Refusal, judge, lint};
pub use policies::{
    CheckedRules, Findings, Occurrence, Subject, Violation, ViolationKind, Witness,
    check_declared_rules, check_declared_tables, check_policies,
};
