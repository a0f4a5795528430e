//! Plans: the exact API calls that lead from the live state to the desired state, and their outcome.
//!
//! Owns the plan, which leaves its executor no choices. Everything here is a synchronous function over data. Does not know a
//! clock, an environment, a client or colours.

#[cfg(test)]
pub(crate) mod arbitrary;
mod call;
mod calls;
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

pub use call::{
    Call, Cause, CauseKind, Change, ChangeKind, InstancePlan, Plan, StillOpen, Verdict,
};
pub use grants::{ended_lease_rules, instances_with_ended_leases, plan_ended_leases, plan_grants};
pub use outcome::{Ending, Failure, ForeignWrite, InstanceResult, Outcome, OutcomeStatus, Report};
pub use overrides::{GuardName, Override};
pub use planner::{PlanOptions, plan, plan_instance};
