//! Stored states as commands take them: what each must have and agree with.

use std::path::Path;

use super::plan::Plan;
use crate::commands::CommandError;
use crate::normalization::{Memory, MomentumUnit, NormalizerState};
use crate::records::{StateWanted, StoredState};
use crate::results::{ReplayAnalysis, RuleAnalysis};

/// What a stored state must agree with. Where a file does not say, it agrees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    /// What is normalized.
    pub(super) target: Option<&'a str>,
    /// What rewards are divided by the deviation of.
    pub(super) reward_scale: Option<&'a str>,
    /// Values per row; `None` where another width is a finding.
    pub(super) width: Option<usize>,
    /// How much of the past is remembered; `None` where another memory is a finding.
    pub(super) memory: Option<Memory>,
}

impl<'a> Expected<'a> {
    /// What a rule normalizes, whatever its width and memory.
    pub(super) fn of_rule(analysis: &RuleAnalysis) -> Expected<'a> {
        Expected {
            target: Some(analysis.target.name()),
            reward_scale: reward_scale(analysis),
            width: None,
            memory: None,
        }
    }
}

/// `return` where rewards are scaled by the deviation of returns whose past matters.
pub(super) fn reward_scale(analysis: &RuleAnalysis) -> Option<&'static str> {
    analysis.return_scale().map(|_| "return")
}

/// Refuses a state of other values, another width or another memory.
pub(super) fn check(path: &Path, stored: &StoredState, expected: Expected<'_>) -> Result<(), CommandError> {
    let name = path.display();
    let other = |message: String| {
        Err(CommandError::State(
            message,
            "a state goes on only over values like those it has seen".to_owned(),
        ))
    };
    if let (Some(target), Some(wanted)) = (stored.target.as_deref(), expected.target)
        && target != wanted
    {
        return Err(CommandError::State(
            format!("{name}: a state of --target {target}, where --target {wanted} is asked"),
            format!("add --target {target}, if that is what it is for"),
        ));
    }
    // Files that say what they normalized say this too.
    if stored.target.is_some() && stored.format.starts_with("simic") && expected.target.is_some() {
        let words = |scale: Option<&str>| scale.unwrap_or("reward").to_owned();
        let (found, wanted) = (words(stored.reward_scale.as_deref()), words(expected.reward_scale));
        if found != wanted {
            return other(format!(
                "{name}: a state of --reward-scale {found}, where --reward-scale {wanted} is asked"
            ));
        }
    }
    if let Some(width) = expected.width.filter(|width| *width != stored.mean.len()) {
        return other(format!("{name}: a state of {} dimensions for values of {width}", stored.mean.len()));
    }
    expected.memory.map_or(Ok(()), |memory| check_memory(path, stored, memory))
}

/// Refuses a state of another kind, momentum or unit of it.
fn check_memory(path: &Path, stored: &StoredState, memory: Memory) -> Result<(), CommandError> {
    let is_other_kind = stored.kind.as_deref().is_some_and(|kind| kind != memory.name());
    let is_other_momentum = stored.momentum.is_some()
        && (stored.momentum != memory.momentum() || stored.momentum_unit != memory.unit());
    if !is_other_kind && !is_other_momentum {
        return Ok(());
    }
    let words = |kind: &str, momentum: Option<f64>, unit: MomentumUnit| match (momentum, unit) {
        (None, _) => kind.to_owned(),
        (Some(momentum), MomentumUnit::Update) => format!("{kind} of momentum {momentum}"),
        (Some(momentum), MomentumUnit::Row) => format!("{kind} of momentum {momentum} per row"),
    };
    let kind = stored.kind.as_deref().unwrap_or("of unknown kind");
    Err(CommandError::State(
        format!(
            "{}: the state is {}, the replay {}",
            path.display(),
            words(kind, stored.momentum, stored.momentum_unit),
            words(memory.name(), memory.momentum(), memory.unit())
        ),
        "give the --momentum (or --preset) the state was made with".to_owned(),
    ))
}

/// Refuses to go on from a state where the rule needs what no state file holds; before anything is read.
pub(super) fn check_resumable(analysis: &ReplayAnalysis) -> Result<(), CommandError> {
    if analysis.state_in.is_none() {
        return Ok(());
    }
    let missing = match reward_scale(&analysis.rule) {
        Some(_) => Some("the discounted return each environment had reached"),
        None => analysis.rule.rule.resume_obstacle(),
    };
    match missing {
        None => Ok(()),
        Some(missing) => Err(CommandError::usage(
            format!("--state-in: the rule needs {missing}, which no state file holds"),
            "replay the recording from its beginning, earlier runs with it (--carry-over goes on from run to run)",
        )),
    }
}

/// A stored state to begin with, checked against what is asked.
pub(super) fn stored_start(
    analysis: &ReplayAnalysis,
    plan: &Plan,
    width: usize,
) -> Result<Option<NormalizerState>, CommandError> {
    let Some(path) = analysis.state_in.as_deref().map(Path::new) else { return Ok(None) };
    let stored = StoredState::read_wanted(
        path,
        StateWanted { target: plan.target.name(), features: &analysis.rule.reading.values },
    )?;
    let memory = plan.rule.memory;
    let expected = Expected { width: Some(width), memory: Some(memory), ..Expected::of_rule(&analysis.rule) };
    check(path, &stored, expected)?;
    check_count(path, &stored)?;
    if plan.rule.counts_updates() && stored.batches.is_none() {
        return Err(CommandError::State(
            format!("{}: the state does not say how many updates it has seen", path.display()),
            "--warmup debias and bias corrections weigh by that: go on without them, or from a state simic stored"
                .to_owned(),
        ));
    }
    let mut state = stored.resume(memory);
    if stored.initial.is_none() {
        let prior = plan.rule.prior();
        (state.initial_count, state.initial_mean, state.initial_var) = (prior.count, prior.mean, prior.var);
    }
    Ok(Some(state))
}

/// Refuses a state whose weight is not known.
pub(super) fn check_count(path: &Path, stored: &StoredState) -> Result<(), CommandError> {
    if stored.count.is_some() {
        return Ok(());
    }
    Err(CommandError::State(
        format!("{}: the state has no count: what it weighs is not known", path.display()),
        "use a state that simic stored (--state-out), or a checkpoint with its count".to_owned(),
    ))
}
