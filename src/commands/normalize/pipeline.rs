//! Recorded blocks divided into batches: what is rolled back is left out, batches are kept whole where that is needed,
//! returns are accumulated.

use std::ops::Range;

use super::autoreset::ResetRows;
use super::magnitude::check_rows;
use super::plan::Plan;
use crate::commands::CommandError;
use crate::normalization::{
    Autoreset, Batcher, EpisodeEnd, EpisodeRows, Granularity, LaneRows, Order, Places, ReturnStep, Returns,
    Rounds,
};
use crate::progress::Progress;
use crate::records::{Problem, RecordError, StepBlock, StepRecording};
use crate::results::{NormalizedRun, Rollback, RollbackCounts};
use crate::stats::Rows;

/// Rows of an open batch that are kept back until it is whole, so that its moments do not depend on where blocks
/// end.
const MOST_HELD: usize = 1 << 16;

/// A block with the ends of its batches.
pub(super) struct BatchedBlock {
    /// The rows that are steps.
    pub(super) block: StepBlock,
    /// The same rows and those of resets, where there are some.
    pub(super) resets: Option<WithResets>,
    /// Ends of batches; the first may be 0 (it closes what came before).
    pub(super) ends: Vec<usize>,
    /// Ends of episodes, where those are the batches.
    episode_ends: Option<Vec<EpisodeEnd>>,
    /// Discounted return of each row, where rewards are scaled by it.
    pub(super) returns: Option<Vec<f64>>,
}

/// Rows some of which only reset an environment.
pub(super) struct WithResets {
    pub(super) block: StepBlock,
    pub(super) is_reset: Vec<bool>,
}

impl BatchedBlock {
    /// The rows as normalizers take them: where rewards are scaled by their returns, those are what statistics see.
    pub(super) fn lane_rows(&self) -> LaneRows<'_> {
        self.lane_rows_of(0..self.block.n_rows(), &self.ends)
    }

    /// Some of the rows, whose batches end at `ends`.
    pub(super) fn lane_rows_of<'a>(&'a self, range: Range<usize>, ends: &'a [usize]) -> LaneRows<'a> {
        let block = &self.block;
        let stored = block.values.rows().slice(range.clone(), block.width);
        let returns = self.returns.as_ref().map(|returns| Rows::F64(&returns[range.clone()]));
        let episodes = self.episode_ends.as_ref().map(|ends| EpisodeRows {
            episode: &block.episode[range.clone()],
            ends: (ends.iter().filter(|end| is_end_within(end.after, &range)))
                .map(|end| EpisodeEnd { after: end.after - range.start, ..*end })
                .collect(),
        });
        LaneRows {
            rows: returns.unwrap_or(stored),
            input: returns.map(|_| stored),
            ends,
            lanes: &block.lane[range],
            episodes,
        }
    }

    /// Ends of the batches that end within `range`, counted from its start; the first range also has what ends
    /// before the block.
    pub(super) fn ends_within(&self, range: &Range<usize>) -> Vec<usize> {
        self.ends.iter().filter(|end| is_end_within(**end, range)).map(|end| end - range.start).collect()
    }

    /// The place of a row.
    pub(super) fn place(&self, row: usize) -> RowPlace {
        let block = &self.block;
        RowPlace { episode: block.episode[row], step: block.step[row], vector_step: block.vector_step[row] }
    }
}

/// Whether a batch that ends here does so within some rows of a block, the first of which also have what ends before
/// the block.
fn is_end_within(end: usize, range: &Range<usize>) -> bool {
    (end > range.start || (range.start == 0 && end == 0)) && end <= range.end
}

/// Where a row stands in its run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RowPlace {
    pub(super) episode: i64,
    pub(super) step: i64,
    pub(super) vector_step: u64,
}

/// What happens on the way through a recording.
pub(super) enum Event<'a> {
    /// A run begins.
    Begin(usize),
    /// Its next rows.
    Rows(&'a BatchedBlock),
    /// It ends.
    End(usize),
}

/// What of a run entered no statistics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// What training rolled back.
    pub(super) rolled_back: RollbackCounts,
    /// When its environments reset, where that decides on returns.
    pub(super) autoreset: Option<Autoreset>,
    /// Rows that only reset an environment.
    pub(super) reset_rows: u64,
}

impl LeftOut {
    /// Tells it of a run.
    pub(super) fn tell(&self, run: &mut NormalizedRun) {
        run.rollback = self.rolled_back;
        run.autoreset = self.autoreset;
        run.reset_rows = self.autoreset.map(|_| self.reset_rows);
    }
}

/// Walks through all rows in replay order.
///
/// # Errors
/// Malformed rows, or what `consume` returns.
pub(super) fn walk(
    recording: &StepRecording,
    plan: &Plan,
    progress: &Progress,
    consume: &mut Consumer<'_>,
) -> Result<Vec<LeftOut>, CommandError> {
    let mut assembler = BatchAssembler::new(recording, plan);
    recording.stream(progress, |block| assembler.take(block, consume))?;
    assembler.end_run(consume)?;
    Ok(assembler.left_out)
}

/// What takes the events of a walk.
type Consumer<'c> = dyn FnMut(Event<'_>) -> Result<(), CommandError> + Send + 'c;

/// Divides the blocks of a recording into batches, run by run.
struct BatchAssembler<'a> {
    recording: &'a StepRecording,
    plan: &'a Plan,
    run: Option<usize>,
    batcher: Batcher,
    rounds: Rounds,
    /// Rows of a batch not yet whole.
    held: Option<StepBlock>,
    returns: Option<Returns>,
    resets: Option<ResetRows>,
    left_out: Vec<LeftOut>,
}

impl<'a> BatchAssembler<'a> {
    fn new(recording: &'a StepRecording, plan: &'a Plan) -> Self {
        Self {
            recording,
            plan,
            run: None,
            batcher: Batcher::new(plan.granularity),
            rounds: Rounds::default(),
            held: None,
            returns: None,
            resets: None,
            left_out: (0..recording.runs().len())
                .map(|run| LeftOut { autoreset: plan.autoresets.get(run).copied(), ..LeftOut::default() })
                .collect(),
        }
    }

    /// Whether batches must be whole before anything is done with them.
    fn must_hold(&self) -> bool {
        self.plan.rule.order == Order::UpdateFirst || self.plan.rollback == Rollback::DropBatch
    }

    fn take(&mut self, block: StepBlock, consume: &mut Consumer<'_>) -> Result<(), CommandError> {
        if self.run != Some(block.run) {
            self.end_run(consume)?;
            self.begin_run(block.run);
            consume(Event::Begin(block.run))?;
        }
        if self.plan.granularity == Granularity::Episode {
            return self.emit(block, Vec::new(), consume);
        }
        self.check_rounds(&block)?;
        let places = Places { vector_step: &block.vector_step, round: block.round.as_deref() };
        let ends = self.batcher.ends(&places);
        let n_open = block.n_rows() - ends.last().copied().unwrap_or(0)
            + if ends.is_empty() { self.held.as_ref().map_or(0, StepBlock::n_rows) } else { 0 };
        if n_open > MOST_HELD && !self.must_hold() {
            // So long a batch goes through block by block.
            if let Some(held) = self.held.take() {
                self.emit(held, Vec::new(), consume)?;
            }
            return self.emit(block, ends, consume);
        }
        self.emit_whole(block, ends, consume)
    }

    /// Refuses a round that goes on after another has begun: its batch is out.
    fn check_rounds(&mut self, block: &StepBlock) -> Result<(), RecordError> {
        let rounds = block.round.as_ref().filter(|_| self.plan.granularity == Granularity::Round);
        let Some(rounds) = rounds else { return Ok(()) };
        let Some(row) = self.rounds.returned(rounds) else { return Ok(()) };
        let run = &self.recording.runs()[block.run].run_id;
        let step = format!(
            "run {run}, episode {}, step {}, env {}",
            block.episode[row], block.step[row], block.env[row]
        );
        Err(RecordError::file("", Problem::RoundReturns { step, round: rounds[row] }))
    }

    fn begin_run(&mut self, run: usize) {
        self.run = Some(run);
        self.batcher = Batcher::new(self.plan.granularity);
        self.rounds = Rounds::default();
        let n_envs = self.recording.runs()[run].envs.len();
        let autoreset = self.left_out[run].autoreset;
        self.resets = ResetRows::new(autoreset, n_envs);
        let autoreset = autoreset.unwrap_or(Autoreset::None);
        let scale = self.plan.return_scale;
        self.returns = scale.map(|scale| Returns::new(scale.gamma, scale.reset, autoreset, n_envs));
    }

    /// Hands on the batches that are whole now and keeps the rows of the open one.
    fn emit_whole(
        &mut self,
        block: StepBlock,
        mut ends: Vec<usize>,
        consume: &mut Consumer<'_>,
    ) -> Result<(), CommandError> {
        let n_rows = block.n_rows();
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
        // A single end at 0 closes a batch that went through block by block.
        if !ends.is_empty() {
            let main = if start == 0 && last == n_rows { block } else { block.slice(start..last) };
            ends.iter_mut().for_each(|end| *end -= start);
            self.emit(main, ends, consume)?;
        }
        self.held = tail;
        Ok(())
    }

    fn end_run(&mut self, consume: &mut Consumer<'_>) -> Result<(), CommandError> {
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
        consume: &mut Consumer<'_>,
    ) -> Result<(), CommandError> {
        let is_reset = match &mut self.resets {
            Some(resets) => Some(resets.mark(&block, self.recording)?),
            None => None,
        };
        let batched = self.without_rolled_back(block, ends, is_reset)?;
        let BatchedBlock { block, ends, episode_ends, resets, .. } = self.without_resets(batched)?;
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
            (0..block.n_rows()).map(|row| returns.push(step(row))).collect::<Vec<f64>>()
        });
        check_rows(self.recording, &block, returns.as_deref())?;
        consume(Event::Rows(&BatchedBlock { block, resets, ends, episode_ends, returns }))
    }

    /// Leaves out what was rolled back; ends of batches and episodes move along, batches left empty stay as empty ones.
    fn without_rolled_back(
        &mut self,
        block: StepBlock,
        ends: Vec<usize>,
        is_reset: Option<Vec<bool>>,
    ) -> Result<MarkedBlock, CommandError> {
        let episode_ends = episode_ends(&block);
        let Some(flags) = block.rolled_back.as_ref().filter(|_| self.plan.rollback != Rollback::Keep) else {
            return Ok(MarkedBlock { block, ends, episode_ends, is_reset });
        };
        if !flags.contains(&true) {
            return Ok(MarkedBlock { block, ends, episode_ends, is_reset });
        }
        let counts = &mut self.left_out[block.run].rolled_back;
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
        Ok(MarkedBlock { block, ends, episode_ends, is_reset }.kept(&keep)?)
    }

    /// Tells steps from resets; ends of batches and episodes move along.
    fn without_resets(&mut self, marked: MarkedBlock) -> Result<BatchedBlock, CommandError> {
        let is_reset = marked.is_reset.clone().filter(|is_reset| is_reset.contains(&true));
        let Some(is_reset) = is_reset else {
            let MarkedBlock { block, ends, episode_ends, .. } = marked;
            return Ok(BatchedBlock { block, resets: None, ends, episode_ends, returns: None });
        };
        let whole = marked.block.clone();
        let keep: Vec<bool> = is_reset.iter().map(|is_reset| !is_reset).collect();
        let MarkedBlock { block, ends, episode_ends, .. } = marked.kept(&keep)?;
        self.left_out[block.run].reset_rows += (whole.n_rows() - block.n_rows()) as u64;
        let resets = Some(WithResets { block: whole, is_reset });
        Ok(BatchedBlock { block, resets, ends, episode_ends, returns: None })
    }
}

/// A block with the ends of its batches, before what is no step is taken out.
struct MarkedBlock {
    block: StepBlock,
    ends: Vec<usize>,
    episode_ends: Option<Vec<EpisodeEnd>>,
    /// Whether each row only resets an environment, where some may.
    is_reset: Option<Vec<bool>>,
}

impl MarkedBlock {
    /// The rows that `keep` marks, with the ends moved along.
    fn kept(self, keep: &[bool]) -> Result<Self, RecordError> {
        let mut kept = Vec::with_capacity(keep.len() + 1);
        kept.push(0);
        for keep in keep {
            kept.push(kept[kept.len() - 1] + usize::from(*keep));
        }
        let ends = self.ends.iter().map(|end| kept[*end]).collect();
        let moved = |end: EpisodeEnd| EpisodeEnd { after: kept[end.after], ..end };
        let episode_ends = self.episode_ends.map(|ends| ends.into_iter().map(moved).collect());
        let pick = |flags: Vec<bool>| {
            flags.into_iter().zip(keep).filter_map(|(flag, keep)| keep.then_some(flag)).collect()
        };
        let is_reset = self.is_reset.map(pick);
        Ok(Self { block: self.block.filter(keep)?, ends, episode_ends, is_reset })
    }
}

/// Ends of the episodes whose last rows are in a block, where those are asked for.
fn episode_ends(block: &StepBlock) -> Option<Vec<EpisodeEnd>> {
    let is_last = block.episode_ends.as_ref()?;
    let rows = (0..block.n_rows()).filter(|row| is_last[*row]);
    Some(rows.map(|row| EpisodeEnd { episode: block.episode[row], after: row + 1 }).collect())
}
