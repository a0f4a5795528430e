//! From what is live and what is desired to the exact calls, and to what became of them.
//!
//! Owns the plan: data that leaves its executor no choices. Everything here is a plain synchronous function over data;
//! it does not know a clock, an environment, a client or a colour.

#[cfg(test)]
pub(crate) mod arbitrary;
mod call;
pub mod file;
mod grants;
pub mod lint;
mod outcome;
mod overrides;
mod planner;
mod surgical;
mod target;
#[cfg(test)]
mod tests;
pub mod undo;

pub use call::{Action, Call, Cause, CauseKind, Change, InstancePlan, Plan, StillOpen, Verdict};
pub use grants::{ended, plan_ended, plan_grants, with_ended};
pub use outcome::{Ending, Failure, Foreign, InstanceResult, Outcome, Report, Status};
pub use overrides::{GuardName, Override};
pub use planner::{Options, plan, plan_instance};
