//! Why a stored state is not what a rule makes of a recording.

use super::pipeline::{Event, walk};
use super::plan::Plan;
use super::replayed::Replayed;
use crate::commands::{CommandError, Context};
use crate::normalization::{
    Block, Claim, Diagnosis, Granularity, Memory, Output, Replay, Rule, Warmup, finer_grid, momentum_grid,
};
use crate::records::StepRecording;

/// The state a file claims, and what it is measured by.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) claim: &'a Claim,
    /// The run it should be of.
    pub(super) run: Option<&'a str>,
    pub(super) tolerance: f64,
}

/// What was found out, and of which run.
pub(super) struct Explained {
    pub(super) run: usize,
    pub(super) diagnosis: Diagnosis,
}

/// A state under one rule.
pub(super) struct Inquiry<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) recording: &'a StepRecording,
    /// As far as states go ([`super::replayed::for_states`]).
    pub(super) plan: Plan,
    pub(super) runs: &'a [Replayed],
    pub(super) context: &'a Context,
}

impl Inquiry<'_> {
    /// The runs it may be of.
    pub(super) fn eligible(&self) -> Vec<usize> {
        let is_asked =
            |run: &usize| self.subject.run.is_none_or(|id| id == self.recording.runs()[*run].run_id);
        (0..self.runs.len()).filter(is_asked).collect()
    }

    /// How far it lies from the state of a run.
    pub(super) fn distance(&self, run: usize) -> f64 {
        let state = &self.runs[run].state;
        self.subject.claim.distance_to(&state.mean, &state.var)
    }

    fn is_close(&self, run: usize) -> bool {
        let state = &self.runs[run].state;
        self.subject.claim.is_close(&state.mean, &state.var, self.subject.tolerance)
    }

    /// Whether it is the state of a run.
    pub(super) fn is_match(&self, run: usize) -> bool {
        self.is_close(run) && self.subject.claim.has_count(self.runs[run].state.count)
    }

    /// The run it lies nearest to.
    pub(super) fn nearest(&self) -> usize {
        let runs = self.eligible();
        runs.into_iter().min_by(|a, b| self.distance(*a).total_cmp(&self.distance(*b))).unwrap_or(0)
    }

    /// Statistics that have settled look alike early and late: the count tells.
    pub(super) fn stale_by_count(&self) -> Option<Explained> {
        let run = self.eligible().into_iter().find(|run| self.runs[*run].stale_by_count.is_some())?;
        Some(Explained { run, diagnosis: self.behind(run, self.runs[run].stale_by_count.unwrap_or(0)) })
    }

    /// The state of an earlier update: stale, or one vector step behind.
    fn behind(&self, run: usize, updates: u64) -> Diagnosis {
        let (last, of) = (self.runs[run].last, self.runs[run].state.batches);
        if last.updates(self.plan.granularity) == Some(of - updates.min(of)) {
            return Diagnosis::OneStepLess { rows: last.rows };
        }
        Diagnosis::Stale { updates, of }
    }

    /// What can be told without another replay.
    pub(super) fn explained_by_replays(&self) -> Option<Explained> {
        self.explained_by_count().or_else(|| self.explained_by_moments())
    }

    /// What the count says beside moments that are near: an earlier step, a later one, or a count of nothing.
    fn explained_by_count(&self) -> Option<Explained> {
        let Subject { claim, tolerance, .. } = self.subject;
        let followed = |run: usize| {
            let rows = self.runs[run].is_followed_by(claim, tolerance)?;
            Some(Explained { run, diagnosis: Diagnosis::OneStepMore { rows } })
        };
        let miscounted =
            |run: usize| self.is_close(run).then_some(Explained { run, diagnosis: Diagnosis::Count });
        let runs = self.eligible();
        self.stale_by_count()
            .or_else(|| runs.iter().copied().find_map(followed))
            .or_else(|| runs.iter().copied().find_map(miscounted))
    }

    /// What became of the moments, by themselves.
    fn explained_by_moments(&self) -> Option<Explained> {
        let Subject { claim, tolerance, .. } = self.subject;
        let run = self.nearest();
        let found = |diagnosis: Diagnosis| Some(Explained { run, diagnosis });
        if let Some(diagnosis) = claim.diagnose(&self.plan.rule, &self.runs[run].state, tolerance) {
            return found(diagnosis);
        }
        let other_run = |run: usize| {
            let run_id = self.recording.runs()[run].run_id.clone();
            found(Diagnosis::OtherRun { run_id })
        };
        let is_other = |other: &usize| *other != run && self.is_close(*other);
        if let Some(other) = (0..self.runs.len()).find(is_other) {
            return other_run(other);
        }
        let has_sample_variances = |run: &usize| {
            let Replayed { state, rows, .. } = &self.runs[*run];
            claim.has_sample_variances(state, *rows, tolerance)
        };
        if let Some(run) = self.eligible().into_iter().find(has_sample_variances) {
            let diagnosis = Diagnosis::SampleVariance { rows: self.runs[run].rows };
            return Some(Explained { run, diagnosis });
        }
        if let Some(updates) = self.runs[run].stale {
            return found(self.behind(run, updates));
        }
        // The run it is closest to need not be the one it stopped early in.
        other_run((0..self.runs.len()).find(|other| self.runs[*other].stale.is_some())?)
    }

    /// What takes more replays to tell.
    ///
    /// # Errors
    /// Malformed rows.
    pub(super) fn explained_by_more_replays(&self) -> Result<Option<Explained>, CommandError> {
        let run = self.nearest();
        let mut diagnosis = self.find_one_step_less(run)?;
        if diagnosis.is_none() && self.can_share() {
            diagnosis = self.find_reset(run)?;
        }
        if diagnosis.is_none() && self.can_share() {
            diagnosis = self.find_momentum(run)?;
        }
        Ok(diagnosis.map(|diagnosis| Explained { run, diagnosis }))
    }

    /// A replay without the last vector step, where that is a part of a batch.
    fn find_one_step_less(&self, run: usize) -> Result<Option<Diagnosis>, CommandError> {
        let last = self.runs[run].last;
        let is_part = matches!(self.plan.granularity, Granularity::Rollout(_) | Granularity::Round);
        if !is_part || self.plan.carry_over {
            return Ok(None);
        }
        let mut replay = self.replay();
        walk(self.recording, &self.plan, &self.context.console.progress(), &mut |event| {
            match event {
                Event::Rows(rows) if rows.block.run == run => {
                    let end = rows.block.vector_step.partition_point(|step| *step < last.vector_step);
                    let ends = rows.ends_within(&(0..end));
                    let lanes = rows.lane_rows_of(0..end, &ends);
                    let block = Block { rows: lanes.rows, input: lanes.input, ends: &ends };
                    replay.run(&block, rows.pass, Output::None, |_| {})?;
                }
                Event::End(ended) if ended == run => replay.finish(|_| {}),
                _ => {}
            }
            Ok(())
        })?;
        let normalizer = replay.normalizer();
        let Subject { claim, tolerance, .. } = self.subject;
        let fits = claim.is_close(normalizer.mean(), normalizer.var(), tolerance)
            && claim.has_count(normalizer.count());
        Ok(fits.then_some(Diagnosis::OneStepLess { rows: last.rows }))
    }

    fn replay(&self) -> Replay {
        Replay::new(self.plan.rule, self.recording.width(), u64::MAX, 1)
    }

    /// Whether batches can be told without replaying everything by itself.
    fn can_share(&self) -> bool {
        self.plan.granularity != Granularity::Episode
            && self.plan.return_scale.is_none()
            && !self.plan.carry_over
    }

    /// A replay that begins where the stored count says.
    fn find_reset(&self, run: usize) -> Result<Option<Diagnosis>, CommandError> {
        let runs = self.runs;
        let initial =
            if self.plan.rule.memory == Memory::Welford { self.plan.rule.initial_count } else { 0.0 };
        let Some(count) = self.subject.claim.count else { return Ok(None) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of rows")]
        let rows = (count - initial).round().max(0.0) as u64;
        if rows == 0 || rows >= runs[run].rows {
            return Ok(None);
        }
        let skip = runs[run].rows - rows;
        let mut replay = self.replay();
        let mut seen = 0u64;
        let mut start: Option<(u64, u64)> = None;
        let mut n_updates = 0u64;
        let result = walk(self.recording, &self.plan, &self.context.console.progress(), &mut |event| {
            match event {
                Event::Rows(rows) if rows.block.run == run && rows.pass.has_moments() => {
                    let n_rows = rows.block.n_rows() as u64;
                    let begins_in = skip.saturating_sub(seen).min(n_rows);
                    seen += n_rows;
                    let from = usize::try_from(begins_in).unwrap_or(usize::MAX);
                    n_updates += rows.ends.iter().filter(|end| **end <= from && **end > 0).count() as u64;
                    if begins_in < n_rows {
                        start.get_or_insert((n_updates, rows.block.vector_step[from]));
                        let width = self.recording.width();
                        let values = rows.block.values.rows().slice(from..rows.block.n_rows(), width);
                        let ends: Vec<usize> =
                            rows.ends.iter().filter(|end| **end > from).map(|end| end - from).collect();
                        let block = Block { rows: values, input: None, ends: &ends };
                        replay.run(&block, rows.pass, Output::None, |_| {})?;
                    }
                }
                Event::End(ended) if ended == run => replay.finish(|_| {}),
                _ => {}
            }
            Ok(())
        });
        result?;
        let normalizer = replay.normalizer();
        let fits = self.subject.claim.is_close(normalizer.mean(), normalizer.var(), self.subject.tolerance);
        Ok(start.filter(|_| fits).map(|(update, vector_step)| Diagnosis::Reset { update, vector_step }))
    }

    /// The momentum whose state is the stored one, narrowed down grid by grid; none if even the closest state lies
    /// beyond the tolerance.
    fn find_momentum(&self, run: usize) -> Result<Option<Diagnosis>, CommandError> {
        const MOST_PASSES: usize = 10;
        let base = Rule { warmup: Warmup::None, ..self.plan.rule };
        let unit = self.plan.rule.memory.unit();
        let of_momentum = |momentum: f64| Rule { memory: Memory::Ema { momentum, unit }, ..base };
        let mut grid = momentum_grid();
        let mut found: (Option<f64>, f64) = (None, f64::INFINITY);
        // A grid may happen to lie no better than the one before; two in a row have nothing left to find.
        let mut n_stalled = 0;
        for pass in 0..MOST_PASSES {
            let mut rules: Vec<Rule> = grid.iter().copied().map(of_momentum).collect();
            // Full history once, and afterwards the momentum people would have chosen.
            rules.push(match found.0 {
                Some(momentum) if pass > 0 => of_momentum(rounded(momentum)),
                _ => Rule { memory: Memory::Welford, ..base },
            });
            let distances = self.distances(run, &rules)?;
            let nearest =
                |n: usize| (0..n).min_by(|a, b| distances[*a].total_cmp(&distances[*b])).unwrap_or(0);
            let (best, before) = (nearest(rules.len()), found.1);
            if distances[best] < found.1 {
                found = (rules[best].memory.momentum(), distances[best]);
            }
            n_stalled = if found.1 > 0.5 * before { n_stalled + 1 } else { 0 };
            if (pass > 0 && found.1 <= self.subject.tolerance) || n_stalled > 1 {
                break;
            }
            grid = finer_grid(&grid, nearest(grid.len()));
        }
        let (momentum, distance) = found;
        let is_same = momentum == self.plan.rule.memory.momentum();
        let fits = distance <= self.subject.tolerance;
        // What the grid met to the last digits is shown as people write it.
        let shown = |found: f64| if (rounded(found) - found).abs() < 1e-12 { rounded(found) } else { found };
        let momentum = momentum.map(shown);
        Ok((fits && !is_same).then_some(Diagnosis::OtherMomentum { momentum, distance }))
    }

    /// Distances of the stored state from the final states of `rules`, in one pass.
    fn distances(&self, run: usize, rules: &[Rule]) -> Result<Vec<f64>, CommandError> {
        let mut replays: Vec<Replay> =
            rules.iter().map(|rule| Replay::new(*rule, self.recording.width(), u64::MAX, 1)).collect();
        walk(self.recording, &self.plan, &self.context.console.progress(), &mut |event| {
            match event {
                Event::Rows(rows) if rows.block.run == run => {
                    let block = Block { rows: rows.block.values.rows(), input: None, ends: &rows.ends };
                    Replay::run_together(&mut replays, &block, rows.pass, |_, _| {});
                }
                Event::End(ended) if ended == run => {
                    replays.iter_mut().for_each(|replay| replay.finish(|_| {}));
                }
                _ => {}
            }
            Ok(())
        })?;
        let apart = |replay: &Replay| {
            let normalizer = replay.normalizer();
            self.subject.claim.distance_to(normalizer.mean(), normalizer.var())
        };
        Ok(replays.iter().map(apart).collect())
    }
}

/// People choose momenta of few nines and digits: the nearest such one if it is near.
fn rounded(momentum: f64) -> f64 {
    let rest = 1.0 - momentum;
    if rest <= 0.0 {
        return momentum;
    }
    let digit = 10f64.powf(rest.log10().floor() - 1.0);
    let nice = (rest / digit).round() * digit;
    if ((nice - rest) / rest).abs() < 1e-2 { 1.0 - nice } else { momentum }
}
