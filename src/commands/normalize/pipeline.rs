//! From recorded blocks to batches: what is rolled back is left out, batches are kept whole where that is needed,
//! returns are accumulated.

use super::settings::{Plan, Rollback};
use crate::commands::CommandError;
use crate::normalization::{Batcher, Granularity, LaneRows, Order, Places, ReturnStep, Returns, Rows};
use crate::progress::Progress;
use crate::records::{StepBlock, StepRecording};

/// Rows of an open batch that are kept back until it is whole, so that its moments do not depend on where blocks
/// end.
const MOST_HELD: usize = 1 << 16;

/// Rows of one run with the ends of their batches.
pub(super) struct Prepared {
    pub(super) block: StepBlock,
    /// Ends of batches; the first may be 0 (it closes what came before).
    pub(super) ends: Vec<usize>,
    /// Discounted return of each row, where rewards are scaled by it.
    pub(super) returns: Option<Vec<f64>>,
}

impl Prepared {
    /// The rows as normalizers take them: where rewards are scaled by their returns, those are what statistics see.
    pub(super) fn lane_rows(&self) -> LaneRows<'_> {
        let stored = self.block.values.rows();
        let returns = self.returns.as_deref().map(Rows::F64);
        LaneRows {
            rows: returns.unwrap_or(stored),
            input: returns.map(|_| stored),
            ends: &self.ends,
            lanes: &self.block.lane,
            episodes: self.block.episode_ends.as_ref().map(|ends| (&self.block.episode[..], &ends[..])),
        }
    }
}

/// What happens on the way through a recording.
pub(super) enum Event<'a> {
    /// A run begins.
    Begin(usize),
    /// Its next rows.
    Rows(&'a Prepared),
    /// It ends.
    End(usize),
}

/// What was left out because training rolled it back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RolledBack {
    pub(super) rows: u64,
    pub(super) batches: u64,
}

/// Walks through all rows in replay order.
///
/// # Errors
/// Malformed rows, or what `consume` returns.
pub(super) fn walk(
    recording: &StepRecording,
    plan: &Plan,
    progress: &Progress,
    consume: &mut (dyn FnMut(Event<'_>) -> Result<(), CommandError> + Send),
) -> Result<Vec<RolledBack>, CommandError> {
    let mut preparer = Preparer::new(recording, plan);
    recording.stream(progress, |block| preparer.take(block, consume))?;
    preparer.end_run(consume)?;
    Ok(preparer.rolled_back)
}

struct Preparer<'a> {
    recording: &'a StepRecording,
    plan: &'a Plan,
    run: Option<usize>,
    batcher: Batcher,
    /// Rows of a batch not yet whole.
    held: Option<StepBlock>,
    returns: Option<Returns>,
    rolled_back: Vec<RolledBack>,
}

impl<'a> Preparer<'a> {
    fn new(recording: &'a StepRecording, plan: &'a Plan) -> Self {
        Self {
            recording,
            plan,
            run: None,
            batcher: Batcher::new(plan.granularity),
            held: None,
            returns: None,
            rolled_back: vec![RolledBack::default(); recording.runs().len()],
        }
    }

    /// Whether batches must be whole before anything is done with them.
    fn must_hold(&self) -> bool {
        self.plan.rule.order == Order::UpdateFirst || self.plan.rollback == Rollback::DropBatch
    }

    fn take(
        &mut self,
        block: StepBlock,
        consume: &mut (dyn FnMut(Event<'_>) -> Result<(), CommandError> + Send),
    ) -> Result<(), CommandError> {
        if self.run != Some(block.run) {
            self.end_run(consume)?;
            self.run = Some(block.run);
            self.batcher = Batcher::new(self.plan.granularity);
            let n_envs = self.recording.runs()[block.run].envs.len();
            self.returns = self.plan.return_scale.map(|scale| Returns::new(scale.gamma, scale.reset, n_envs));
            consume(Event::Begin(block.run))?;
        }
        if self.plan.granularity == Granularity::Episode {
            return self.emit(block, Vec::new(), consume);
        }
        let places = Places { vector_step: &block.vector_step, round: block.round.as_deref() };
        let mut ends = self.batcher.ends(&places);
        let n_rows = block.n_rows();
        let n_open = n_rows - ends.last().copied().unwrap_or(0)
            + if ends.is_empty() { self.held.as_ref().map_or(0, StepBlock::n_rows) } else { 0 };
        if n_open > MOST_HELD && !self.must_hold() {
            // So long a batch goes through in parts.
            if let Some(held) = self.held.take() {
                self.emit(held, Vec::new(), consume)?;
            }
            return self.emit(block, ends, consume);
        }
        let Some(last) = ends.last().copied() else {
            self.held = Some(match self.held.take() {
                Some(held) => held.concat(&block)?,
                None => block,
            });
            return Ok(());
        };
        let tail = (last < n_rows).then(|| block.slice(last..n_rows));
        let mut start = 0;
        if let Some(held) = self.held.take() {
            start = ends.remove(0);
            let whole = held.concat(&block.slice(0..start))?;
            let end = whole.n_rows();
            self.emit(whole, vec![end], consume)?;
        }
        // A single end at 0 closes a batch that went through in parts.
        if !ends.is_empty() {
            let main = if start == 0 && last == n_rows { block } else { block.slice(start..last) };
            ends.iter_mut().for_each(|end| *end -= start);
            self.emit(main, ends, consume)?;
        }
        self.held = tail;
        Ok(())
    }

    fn end_run(
        &mut self,
        consume: &mut (dyn FnMut(Event<'_>) -> Result<(), CommandError> + Send),
    ) -> Result<(), CommandError> {
        if let Some(held) = self.held.take() {
            let end = held.n_rows();
            self.emit(held, vec![end], consume)?;
        }
        match self.run.take() {
            Some(run) => consume(Event::End(run)),
            None => Ok(()),
        }
    }

    fn emit(
        &mut self,
        block: StepBlock,
        ends: Vec<usize>,
        consume: &mut (dyn FnMut(Event<'_>) -> Result<(), CommandError> + Send),
    ) -> Result<(), CommandError> {
        let (block, ends) = self.without_rolled_back(block, ends)?;
        let returns = self.returns.as_mut().map(|returns| {
            let rows = block.values.rows();
            let flag = |flags: &Option<Vec<bool>>, row: usize| flags.as_ref().is_some_and(|flags| flags[row]);
            let step = |row: usize| ReturnStep {
                lane: block.lane[row] as usize,
                episode: block.episode[row],
                reward: rows.get(row),
                terminated: flag(&block.terminated, row),
                ended: flag(&block.ended, row),
            };
            (0..block.n_rows()).map(|row| returns.push(step(row))).collect()
        });
        consume(Event::Rows(&Prepared { block, ends, returns }))
    }

    /// Leaves out what was rolled back; ends of batches move along, batches left empty stay as empty ones.
    fn without_rolled_back(
        &mut self,
        block: StepBlock,
        ends: Vec<usize>,
    ) -> Result<(StepBlock, Vec<usize>), CommandError> {
        let Some(flags) = block.rolled_back.as_ref().filter(|_| self.plan.rollback != Rollback::Keep) else {
            return Ok((block, ends));
        };
        if !flags.contains(&true) {
            return Ok((block, ends));
        }
        let counts = &mut self.rolled_back[block.run];
        let mut keep: Vec<bool> = flags.iter().map(|is_rolled_back| !is_rolled_back).collect();
        if self.plan.rollback == Rollback::DropBatch {
            let mut start = 0;
            for end in &ends {
                if flags[start..*end].contains(&true) {
                    keep[start..*end].fill(false);
                    counts.batches += 1;
                }
                start = *end;
            }
        }
        counts.rows += keep.iter().filter(|keep| !**keep).count() as u64;
        let mut kept = Vec::with_capacity(keep.len() + 1);
        kept.push(0);
        for keep in &keep {
            kept.push(kept[kept.len() - 1] + usize::from(*keep));
        }
        let ends = ends.iter().map(|end| kept[*end]).collect();
        Ok((block.filter(&keep)?, ends))
    }
}
