//! Replays of a recording under several rules, with what they say of a stored state on the way.

use super::pipeline::{BatchedBlock, Event, walk};
use super::plan::Plan;
use crate::commands::CommandError;
use crate::normalization::{
    Claim, Granularity, Lanes, Memory, NextStep, Normalizer, NormalizerState, Order, Output, Replay, Rule,
    StaleProbe,
};
use crate::progress::Progress;
use crate::records::StepRecording;
use crate::stats::RowMoments;

/// What one replay of one run found.
pub(super) struct Replayed {
    pub(super) state: NormalizerState,
    /// Updates after which the moments were the claimed ones.
    pub(super) stale: Option<u64>,
    /// Likewise, where its count was the stored one too.
    pub(super) stale_by_count: Option<u64>,
    pub(super) rows: u64,
    /// Moments of its rows.
    pub(super) seen: RowMoments,
    pub(super) last: LastStep,
    n_envs: u64,
    /// Weight of one vector step more; `None` where that makes no update.
    next_weight: Option<f64>,
}

/// The last vector step of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LastStep {
    pub(super) vector_step: u64,
    pub(super) rows: u64,
}

impl LastStep {
    fn watch(&mut self, rows: &BatchedBlock) {
        for step in &rows.block.vector_step {
            if *step == self.vector_step {
                self.rows += 1;
            } else {
                *self = Self { vector_step: *step, rows: 1 };
            }
        }
    }

    /// Updates that its rows make, where they make some by themselves.
    pub(super) fn updates(self, granularity: Granularity) -> Option<u64> {
        match granularity {
            Granularity::Step => Some(1),
            Granularity::Row => Some(self.rows),
            Granularity::Rollout(_) | Granularity::Round | Granularity::Episode => None,
        }
    }
}

impl Replayed {
    fn of(replay: &Replay, probe: &StaleProbe, last: LastStep, plan: &Plan, n_envs: u64) -> Self {
        let normalizer = replay.normalizer();
        let mut seen = RowMoments::empty(normalizer.width());
        replay.windows().iter().for_each(|window| seen.merge(&window.moments));
        Self {
            state: normalizer.state(),
            stale: probe.found(),
            stale_by_count: probe.found_by_count(),
            rows: normalizer.rows(),
            seen,
            last,
            n_envs,
            next_weight: step_weight(normalizer, plan.granularity, n_envs),
        }
    }

    /// Whether the claim is the state after one vector step more than was recorded.
    pub(super) fn is_followed_by(&self, claim: &Claim, tolerance: f64) -> Option<u64> {
        let next =
            NextStep { state: &self.state, rows: self.n_envs, weight: self.next_weight?, seen: &self.seen };
        next.leads_to(claim, tolerance).then_some(self.n_envs)
    }
}

/// Weight of one vector step more of `n` rows.
fn step_weight(normalizer: &Normalizer, granularity: Granularity, n: u64) -> Option<f64> {
    let rule = normalizer.rule();
    if rule.variance_floor.is_some() {
        return None;
    }
    match (rule.memory, granularity) {
        // Full history weighs rows alike, however they are divided.
        (Memory::Welford, _) | (_, Granularity::Step) => normalizer.next_weight(n),
        (_, Granularity::Row) => {
            let rows = i32::try_from(n).unwrap_or(i32::MAX);
            Some(1.0 - (1.0 - normalizer.next_weight(1)?).powi(rows))
        }
        (_, Granularity::Rollout(_) | Granularity::Round | Granularity::Episode) => None,
    }
}

/// Whether two plans walk through the same batches.
pub(super) fn is_same_walk(a: &Plan, b: &Plan) -> bool {
    (a.granularity, a.return_scale, a.rollback) == (b.granularity, b.return_scale, b.rollback)
        && a.options.needs_round == b.options.needs_round
}

/// Whether two rules lead to the same states: how values are normalized with them is another matter.
pub(super) fn has_same_states(a: &Rule, b: &Rule) -> bool {
    let memory = |rule: &Rule| (rule.memory, rule.warmup, rule.variance_floor, rule.until, rule.skip_first);
    let prior = |rule: &Rule| (rule.initial_count, rule.initial_mean, rule.initial_var);
    memory(a) == memory(b) && prior(a) == prior(b)
}

/// A plan as far as states go: when values would be normalized decides on nothing, and batches need not be held.
pub(super) fn for_states(plan: &Plan) -> Plan {
    Plan { rule: Rule { order: Order::NormalizeFirst, ..plan.rule }, ..plan.clone() }
}

/// Replays every run under each of `rules`, batches as `plan` has them: one list of runs per rule.
pub(super) fn replay_runs(
    recording: &StepRecording,
    plan: &Plan,
    rules: &[Rule],
    claim: &Claim,
    tolerance: f64,
    progress: &Progress,
) -> Result<Vec<Vec<Replayed>>, CommandError> {
    let plan = &for_states(plan);
    let rules: Vec<Rule> = rules.iter().map(|rule| Rule { order: Order::NormalizeFirst, ..*rule }).collect();
    let mut lanes: Vec<Option<Lanes>> = vec![None; rules.len()];
    let mut probes = vec![StaleProbe::new(tolerance); rules.len()];
    let mut last = LastStep::default();
    let mut found: Vec<Vec<Replayed>> = rules.iter().map(|_| Vec::new()).collect();
    walk(recording, plan, progress, &mut |event| {
        if let Event::Begin(_) = event {
            last = LastStep::default();
        }
        if let Event::Rows(rows) = event
            && rows.pass.has_moments()
        {
            last.watch(rows);
        }
        for (i, lanes) in lanes.iter_mut().enumerate() {
            let probe = &mut probes[i];
            match event {
                Event::Begin(_) => {
                    let carried = lanes.take().filter(|_| plan.carry_over);
                    let fresh = || Lanes::new(vec![Replay::new(rules[i], recording.width(), u64::MAX, 1)]);
                    *lanes = Some(carried.unwrap_or_else(fresh));
                    *probe = StaleProbe::new(tolerance);
                }
                Event::Rows(rows) => {
                    let Some(lanes) = lanes else { unreachable!("a run has begun") };
                    lanes.run(&rows.lane_rows(), rows.pass, Output::None, |_, update| {
                        probe.watch(claim, update.normalizer);
                    })?;
                }
                Event::End(run) => {
                    let Some(lanes) = lanes else { unreachable!("a run has begun") };
                    lanes.finish(|_, update| probe.watch(claim, update.normalizer));
                    let n_envs = recording.runs()[run].envs.len() as u64;
                    found[i].push(Replayed::of(&lanes.replays()[0], probe, last, plan, n_envs));
                }
            }
        }
        Ok(())
    })?;
    if found.iter().all(Vec::is_empty) {
        return Err(CommandError::NothingLeft);
    }
    Ok(found)
}
