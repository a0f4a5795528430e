//! A plan as text, with the results of guards and policies.
//!
//! **Owns** the order of the parts. **Does not** format them; `render` does.

use crate::cli::run::Run;
use crate::cli::session::Planned;
use crate::cli::streams::{is_quiet, wrap_to_stdout};
use crate::cli::terminal::stdout_width;
use crate::plan::Plan;
use crate::policy::Refusal;
use crate::render;
use crate::render::cost::Cost;
use crate::render::text::PlanView;

/// The plan as text, with the results of the guards.
pub(in crate::cli) fn plan_text(
    run: &Run,
    planned: &Planned,
    view: PlanView<'_>,
    diff: bool,
) -> String {
    let mut text = guarded_text(&planned.plan, &run.refusals, &planned.cost, view);
    let scope = &planned.inputs.scope;
    if let Some(shard) = scope.shard.filter(|_| !is_quiet()) {
        text.push_str(&render::text::shard_note(shard, scope.declared));
    }
    text.push_str(&render::text::violations(&run.findings.violations));
    let mut text = wrap_to_stdout(&text);
    if diff {
        text.push('\n');
        text.push_str(&render::diff::unified(&planned.plan));
    }
    text
}

/// A plan and what the guards refuse of it, as text.
pub(in crate::cli) fn guarded_text(
    plan: &Plan,
    refusals: &[Refusal],
    cost: &Cost,
    view: PlanView<'_>,
) -> String {
    let text = if is_quiet() {
        render::text::brief(plan, view, stdout_width())
    } else {
        render::text::plan(plan, view, stdout_width()) + &render::text::calls(cost, view)
    };
    wrap_to_stdout(&(text + &render::text::guards(&plan.overrides, refusals)))
}
