//! Recorded blocks divided into batches: what is rolled back is left out, batches are kept whole where that is needed,
//! returns are accumulated.

use std::ops::Range;
use std::sync::Arc;

use super::autoreset::ResetRows;
use super::magnitude::check_rows;
use super::marked::MarkedBlock;
use super::pieces::{PIECE, Piece, PieceSize, Waiting};
use super::plan::Plan;
use crate::commands::CommandError;
use crate::normalization::{
    Autoreset, Batcher, EpisodeEnd, EpisodeRows, Granularity, LaneRows, Order, Pass, Places, ReturnStep,
    Returns, Rounds,
};
use crate::progress::Progress;
use crate::records::{BlockFile, BlockFileWriter, Problem, RecordError, StepBlock, StepRecording};
use crate::results::{NormalizedRun, Rollback, RollbackCounts};
use crate::stats::Rows;

/// A block with the ends of its batches.
pub(super) struct BatchedBlock {
    /// The rows that are steps.
    pub(super) block: StepBlock,
    /// The same rows and those of resets, where there are some.
    pub(super) resets: Option<WithResets>,
    /// Ends of batches; the first may be 0 (it closes what came before).
    pub(super) ends: Vec<usize>,
    /// What is to be done with the rows.
    pub(super) pass: Pass,
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

    /// Episodes that are batches and whose last row here does not end them, where the recording says what does.
    pub(super) fn n_unfinished_episodes(&self) -> usize {
        let Some((ends, ended)) = self.episode_ends.as_ref().zip(self.block.ended.as_ref()) else { return 0 };
        let is_ended = |end: &&EpisodeEnd| end.after.checked_sub(1).is_none_or(|row| ended[row]);
        ends.iter().filter(|end| !is_ended(end)).count()
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
    Rows(&'a Arc<BatchedBlock>),
    /// It ends.
    End(usize),
}

/// What of a run entered no statistics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// What training rolled back.
    pub(super) rolled_back: RollbackCounts,
    /// When its environments reset, where that decides on returns.
    pub(super) autoreset: Option<Autoreset>,
    /// Rows that only reset an environment.
    pub(super) reset_rows: u64,
    /// Rows of each environment: those rolled back, and those that only reset it.
    lanes: Vec<[u64; 2]>,
}

impl LeftOut {
    /// Tells it of a run, or of one of its environments, which `envs` are.
    pub(super) fn tell(&self, run: &mut NormalizedRun, envs: &[i64]) {
        let lane = run.env_id.and_then(|env| envs.iter().position(|own| *own == env));
        let [rolled_back, reset_rows] = match lane {
            Some(lane) => self.lanes.get(lane).copied().unwrap_or_default(),
            None => [self.rolled_back.rows, self.reset_rows],
        };
        run.rollback = RollbackCounts { rows: rolled_back, ..self.rolled_back };
        run.autoreset = self.autoreset;
        run.reset_rows = self.autoreset.map(|_| reset_rows);
    }

    /// Counts rows that were rolled back.
    fn add_rolled_back(&mut self, lanes: impl Iterator<Item = u32>) {
        self.rolled_back.rows += self.add(0, lanes);
    }

    /// Counts rows that only reset an environment.
    fn add_resets(&mut self, lanes: impl Iterator<Item = u32>) {
        self.reset_rows += self.add(1, lanes);
    }

    fn add(&mut self, kind: usize, lanes: impl Iterator<Item = u32>) -> u64 {
        let mut n_rows = 0;
        for lane in lanes {
            let lane = lane as usize;
            if lane >= self.lanes.len() {
                self.lanes.resize(lane + 1, [0, 0]);
            }
            self.lanes[lane][kind] += 1;
            n_rows += 1;
        }
        n_rows
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
    walk_in_pieces(recording, plan, PIECE, progress, consume)
}

/// The same, with as much handed on at a time as `size` says.
///
/// # Errors
/// As [`walk`].
pub(super) fn walk_in_pieces(
    recording: &StepRecording,
    plan: &Plan,
    size: PieceSize,
    progress: &Progress,
    consume: &mut Consumer<'_>,
) -> Result<Vec<LeftOut>, CommandError> {
    let mut assembler = BatchAssembler::new(recording, plan, size);
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
    piece_rows: usize,
    run: Option<usize>,
    batcher: Batcher,
    rounds: Rounds,
    waiting: Waiting,
    long_batch: Option<LongBatch>,
    ongoing: Ongoing,
    left_out: Vec<LeftOut>,
}

/// What goes on from row to row of each environment of a run.
#[derive(Clone, Default)]
struct Ongoing {
    returns: Option<Returns>,
    resets: Option<ResetRows>,
}

impl Ongoing {
    /// Whether each of the next rows only resets an environment, where some may.
    fn mark(
        &mut self,
        block: &StepBlock,
        recording: &StepRecording,
    ) -> Result<Option<Vec<bool>>, RecordError> {
        self.resets.as_mut().map(|resets| resets.mark(block, recording)).transpose()
    }

    /// The returns of the next steps, where rewards are scaled by them.
    fn returns_of(&mut self, block: &StepBlock) -> Option<Vec<f64>> {
        let returns = self.returns.as_mut()?;
        let rows = block.values.rows();
        let flag = |flags: &Option<Vec<bool>>, row: usize| flags.as_ref().is_some_and(|flags| flags[row]);
        let step = |row: usize| ReturnStep {
            lane: block.lane[row] as usize,
            episode: block.episode[row],
            reward: rows.get(row),
            terminated: flag(&block.terminated, row),
            ended: flag(&block.ended, row),
        };
        Some((0..block.n_rows()).map(|row| returns.push(step(row))).collect())
    }
}

/// Rows of a batch that must be whole before anything is done with them, and is too long to wait in memory.
#[derive(Default)]
struct LongBatch {
    rows: BlockFileWriter,
    n_rows: usize,
    has_rolled_back: bool,
}

impl<'a> BatchAssembler<'a> {
    fn new(recording: &'a StepRecording, plan: &'a Plan, size: PieceSize) -> Self {
        Self {
            recording,
            plan,
            piece_rows: size.rows_of(recording.width()),
            run: None,
            batcher: Batcher::new(plan.granularity),
            rounds: Rounds::default(),
            waiting: Waiting::default(),
            long_batch: None,
            ongoing: Ongoing::default(),
            left_out: (0..recording.runs().len())
                .map(|run| LeftOut { autoreset: plan.autoresets.get(run).copied(), ..LeftOut::default() })
                .collect(),
        }
    }

    /// Whether batches must be whole before anything is done with them.
    fn must_hold(&self) -> bool {
        self.plan.holds_batches()
    }

    fn take(&mut self, block: StepBlock, consume: &mut Consumer<'_>) -> Result<(), CommandError> {
        if self.run != Some(block.run) {
            self.end_run(consume)?;
            self.begin_run(block.run);
            consume(Event::Begin(block.run))?;
        }
        let ends = if self.plan.granularity == Granularity::Episode {
            Vec::new()
        } else {
            self.check_rounds(&block)?;
            self.batcher.ends(&Places { vector_step: &block.vector_step, round: block.round.as_deref() })
        };
        self.waiting.push(block, &ends);
        // One row more, so that every end among those of a piece is known.
        while self.waiting.n_rows > self.piece_rows {
            self.hand_on_piece(consume)?;
        }
        Ok(())
    }

    /// Hands on whole batches, as many as make a piece; of a batch longer than that its next piece.
    fn hand_on_piece(&mut self, consume: &mut Consumer<'_>) -> Result<(), CommandError> {
        let n_whole = self.waiting.ends.partition_point(|end| *end <= self.piece_rows);
        let ends = &self.waiting.ends[..n_whole];
        // A long batch that is being gathered ends by itself.
        let end = if self.long_batch.is_some() { ends.first() } else { ends.last() };
        let piece = self.waiting.take(end.copied().unwrap_or(self.piece_rows))?;
        self.hand_on(piece, consume)
    }

    fn hand_on(&mut self, piece: Piece, consume: &mut Consumer<'_>) -> Result<(), CommandError> {
        let is_long = self.long_batch.is_some() || (piece.ends.is_empty() && self.must_hold());
        if !is_long {
            return self.emit(piece.block, piece.ends, Pass::Whole, consume);
        }
        let batch = self.long_batch.get_or_insert_default();
        batch.n_rows += piece.block.n_rows();
        batch.has_rolled_back |= piece.block.rolled_back.as_ref().is_some_and(|flags| flags.contains(&true));
        batch.rows.push(&piece.block)?;
        if piece.ends.is_empty() { Ok(()) } else { self.end_long_batch(consume) }
    }

    /// Hands on a batch that was too long to wait in memory, piece by piece.
    fn end_long_batch(&mut self, consume: &mut Consumer<'_>) -> Result<(), CommandError> {
        let Some(LongBatch { rows, n_rows, has_rolled_back }) = self.long_batch.take() else { return Ok(()) };
        let Some(mut rows) = rows.finish()? else { return Ok(()) };
        if has_rolled_back
            && self.plan.rollback == Rollback::DropBatch
            && let Some(run) = self.run
        {
            self.left_out[run].rolled_back.batches += 1;
            return self.drop_long_batch(&mut rows, run, consume);
        }
        let passes = match self.plan.rule.order {
            Order::NormalizeFirst => &[Pass::Whole][..],
            Order::UpdateFirst => &[Pass::Measure, Pass::Normalize],
        };
        let before = self.ongoing.clone();
        for pass in passes {
            // Every pass adds the rewards up and tells resets anew, from where the batch began.
            self.ongoing.clone_from(&before);
            let mut n_seen = 0;
            for block in rows.blocks()? {
                let block = block?;
                n_seen += block.n_rows();
                let ends = if n_seen == n_rows { vec![block.n_rows()] } else { Vec::new() };
                self.emit(block, ends, *pass, consume)?;
            }
        }
        Ok(())
    }

    /// Leaves a batch out whole; one without rows stays in its place.
    fn drop_long_batch(
        &mut self,
        rows: &mut BlockFile,
        run: usize,
        consume: &mut Consumer<'_>,
    ) -> Result<(), CommandError> {
        let mut empty = None;
        for block in rows.blocks()? {
            let block = block?;
            self.left_out[run].add_rolled_back(block.lane.iter().copied());
            // What is left out still decides on whether the rows after it are resets.
            self.ongoing.mark(&block, self.recording)?;
            empty.get_or_insert_with(|| block.slice(0..0));
        }
        match empty {
            Some(block) => self.emit(block, vec![0], Pass::Whole, consume),
            None => Ok(()),
        }
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
        let resets = ResetRows::new(autoreset, n_envs);
        let autoreset = autoreset.unwrap_or(Autoreset::None);
        let scale = self.plan.return_scale;
        let returns = scale.map(|scale| Returns::new(scale.gamma, scale.reset, autoreset, n_envs));
        self.ongoing = Ongoing { returns, resets };
    }

    fn end_run(&mut self, consume: &mut Consumer<'_>) -> Result<(), CommandError> {
        let Some(run) = self.run else { return Ok(()) };
        let n_rows = self.waiting.n_rows;
        // The last batch ends with the run.
        if n_rows > 0
            && self.plan.granularity != Granularity::Episode
            && self.waiting.ends.last() != Some(&n_rows)
        {
            self.waiting.ends.push(n_rows);
        }
        while self.waiting.n_rows > 0 {
            if self.waiting.n_rows > self.piece_rows || self.long_batch.is_some() {
                self.hand_on_piece(consume)?;
            } else {
                let rest = self.waiting.take(self.waiting.n_rows)?;
                self.hand_on(rest, consume)?;
            }
        }
        self.run = None;
        consume(Event::End(run))
    }

    fn emit(
        &mut self,
        block: StepBlock,
        ends: Vec<usize>,
        pass: Pass,
        consume: &mut Consumer<'_>,
    ) -> Result<(), CommandError> {
        let is_reset = self.ongoing.mark(&block, self.recording)?;
        let marked = self.without_rolled_back(MarkedBlock::new(block, ends, is_reset), pass)?;
        let BatchedBlock { block, ends, episode_ends, resets, .. } = self.without_resets(marked, pass)?;
        let returns = self.ongoing.returns_of(&block);
        check_rows(self.recording, &block, returns.as_deref())?;
        let rows = BatchedBlock { block, resets, ends, pass, episode_ends, returns };
        consume(Event::Rows(&Arc::new(rows)))
    }

    /// Leaves out what was rolled back; ends of batches and episodes move along, batches left empty stay as empty ones.
    fn without_rolled_back(&mut self, marked: MarkedBlock, pass: Pass) -> Result<MarkedBlock, CommandError> {
        let MarkedBlock { block, ends, .. } = &marked;
        let Some(flags) = block.rolled_back.as_ref().filter(|_| self.plan.rollback != Rollback::Keep) else {
            return Ok(marked);
        };
        if !flags.contains(&true) {
            return Ok(marked);
        }
        let mut n_batches = 0;
        let mut keep: Vec<bool> = flags.iter().map(|is_rolled_back| !is_rolled_back).collect();
        if self.plan.rollback == Rollback::DropBatch {
            let mut start = 0;
            for end in ends {
                if flags[start..*end].contains(&true) {
                    keep[start..*end].fill(false);
                    n_batches += 1;
                }
                start = *end;
            }
        }
        // Rows that are gone through twice count once.
        if pass.has_values() {
            let left_out = &mut self.left_out[block.run];
            left_out.add_rolled_back(
                block.lane.iter().zip(&keep).filter(|(_, keep)| !**keep).map(|(lane, _)| *lane),
            );
            left_out.rolled_back.batches += n_batches;
        }
        Ok(marked.kept(&keep)?)
    }

    /// Tells steps from resets; ends of batches and episodes move along.
    fn without_resets(&mut self, marked: MarkedBlock, pass: Pass) -> Result<BatchedBlock, CommandError> {
        let is_reset = marked.is_reset.clone().filter(|is_reset| is_reset.contains(&true));
        let Some(is_reset) = is_reset else {
            let MarkedBlock { block, ends, episode_ends, .. } = marked;
            return Ok(BatchedBlock { block, resets: None, ends, pass, episode_ends, returns: None });
        };
        let whole = marked.block.clone();
        let keep: Vec<bool> = is_reset.iter().map(|is_reset| !is_reset).collect();
        let MarkedBlock { block, ends, episode_ends, .. } = marked.kept(&keep)?;
        if pass.has_values() {
            let resets = whole.lane.iter().zip(&is_reset).filter(|(_, is_reset)| **is_reset);
            self.left_out[block.run].add_resets(resets.map(|(lane, _)| *lane));
        }
        let resets = Some(WithResets { block: whole, is_reset });
        Ok(BatchedBlock { block, resets, ends, pass, episode_ends, returns: None })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::grains::grains;
    use super::*;
    use crate::normalization::{
        AutoresetRule, Lanes, Memory, Output, Replay, ReturnReset, ReturnScale, Rule, Target,
    };
    use crate::records::{
        Clock, ColumnMap, Compression, OnBad, ParquetTable, StepOptions, StepSizes, StepTarget, TableWriter,
        discover,
    };

    const ALL_AT_ONCE: PieceSize = PieceSize { values: usize::MAX, rows: usize::MAX };

    /// A recorded row.
    #[derive(Debug, Clone, Copy)]
    struct Row {
        step: i64,
        env: i64,
        obs: [f32; 2],
        reward: f64,
        terminated: bool,
        rolled_back: bool,
    }

    /// What a walk came to.
    #[derive(Debug, Default, PartialEq)]
    struct Outcome {
        values: Vec<f64>,
        /// Rows, means and variances of each update, lane by lane.
        updates: Vec<Vec<f64>>,
        windows: Vec<f64>,
        /// Whether each row that is written is a reset.
        is_reset: Vec<bool>,
        left_out: Vec<LeftOut>,
    }

    /// Rows of environments that reset in the step after the end of an episode.
    fn recorded(n_steps: u32, n_envs: u32, seed: u32) -> Vec<Row> {
        let noise = |i: u32| f64::from((i ^ seed).wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
        let row = |i: u32| Row {
            step: i64::from(i / n_envs),
            env: i64::from(i % n_envs),
            #[expect(clippy::cast_possible_truncation, reason = "any number does")]
            obs: [noise(2 * i) as f32, 40.0 - 3.0 * noise(2 * i + 1) as f32],
            reward: noise(i + 1_000_000) - 0.25,
            terminated: noise(i + 3_000_000) < 0.2,
            rolled_back: noise(i + 2_000_000) < 0.04,
        };
        let mut rows: Vec<Row> = (0..n_steps * n_envs).map(row).collect();
        for i in n_envs as usize..rows.len() {
            if rows[i - n_envs as usize].terminated {
                rows[i] = Row { reward: 0.0, terminated: false, ..rows[i] };
            }
        }
        rows
    }

    fn write(rows: &[Row], path: &std::path::Path) {
        let file = std::fs::File::create(path).expect("created");
        let mut writer = TableWriter::new(&file, Compression::Uncompressed).expect("a writer");
        for rows in rows.chunks(17) {
            let column = |pick: fn(&Row) -> i64| rows.iter().map(pick).collect::<Vec<i64>>();
            let table = ParquetTable::new()
                .ints("step", &column(|row| row.step))
                .ints("env_id", &column(|row| row.env))
                .ints("round", &column(|row| row.step / 9))
                .floats("reward", &rows.iter().map(|row| row.reward).collect::<Vec<_>>())
                .bools("terminated", &rows.iter().map(|row| row.terminated).collect::<Vec<_>>())
                .bools("rolled_back", &rows.iter().map(|row| row.rolled_back).collect::<Vec<_>>())
                .float_lists("obs", rows.iter().flat_map(|row| row.obs).collect(), 2);
            writer.write(table).expect("written");
        }
        writer.finish().expect("written");
    }

    fn outcome(path: &std::path::Path, plan: &Plan, size: PieceSize) -> Outcome {
        let files = discover(&[path.display().to_string()], None).expect("there").files;
        let progress = Progress::none();
        let recording = StepRecording::open(&files, &plan.options, &progress).expect("readable");
        let n_lanes = if plan.per_env { recording.runs()[0].envs.len() } else { 1 };
        let replay = Replay::new(plan.rule, recording.width(), 12, 4);
        let mut lanes = Lanes::new(vec![replay; n_lanes]);
        let mut found = Outcome { updates: vec![Vec::new(); n_lanes], ..Outcome::default() };
        let walked = walk_in_pieces(&recording, plan, size, &progress, &mut |event| {
            match event {
                Event::Begin(_) => {}
                Event::Rows(rows) => {
                    let mut values = vec![0.0; rows.block.values.rows().len()];
                    let output = if rows.pass.has_values() { Output::F64(&mut values) } else { Output::None };
                    let updates = &mut found.updates;
                    lanes.run(&rows.lane_rows(), rows.pass, output, |lane, update| {
                        updates[lane].push(update.n as f64);
                        updates[lane].extend(update.normalizer.mean().iter().chain(update.normalizer.var()));
                    })?;
                    if rows.pass.has_values() {
                        found.values.extend(values);
                        found.is_reset.extend(match &rows.resets {
                            Some(with_resets) => with_resets.is_reset.clone(),
                            None => vec![false; rows.block.n_rows()],
                        });
                    }
                }
                Event::End(_) => lanes.finish(|_, _| unreachable!("the last batch ends with the run")),
            }
            Ok(())
        });
        found.left_out = walked.expect("readable");
        for replay in lanes.replays() {
            for window in replay.windows() {
                found
                    .windows
                    .extend([window.first_update, window.normalized, window.moments.n()].map(|n| n as f64));
                found.windows.extend(window.clipped.iter().map(|n| *n as f64));
                found.windows.extend(window.moments.mean().iter().chain(&window.moments.vars()));
                found.windows.push(window.in_use.n as f64);
                found.windows.extend(window.in_use.mean.iter().chain(&window.in_use.var));
            }
        }
        found
    }

    fn is_near(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * a.abs().max(1.0))
    }

    fn plans() -> impl Strategy<Value = Plan> {
        let granularities = prop_oneof![
            Just(Granularity::Row),
            Just(Granularity::Step),
            (2..30u64).prop_map(Granularity::Rollout),
            Just(Granularity::Round),
        ];
        let orders = prop_oneof![Just(Order::NormalizeFirst), Just(Order::UpdateFirst)];
        let rollbacks = prop_oneof![Just(Rollback::Keep), Just(Rollback::Drop), Just(Rollback::DropBatch)];
        let resets = prop_oneof![
            Just(ReturnReset::Never),
            Just(ReturnReset::EpisodeEnd),
            Just(ReturnReset::TerminalStep),
            Just(ReturnReset::Autoreset)
        ];
        let autoresets = prop_oneof![Just(Autoreset::NextStep), Just(Autoreset::SameStep)];
        let returns = proptest::option::of((resets, autoresets));
        (granularities, orders, rollbacks, any::<bool>(), any::<bool>(), returns).prop_map(
            |(granularity, order, rollback, per_env, is_average, returns)| {
                let memory = if is_average { Memory::ema(0.7) } else { Memory::Welford };
                let is_return = returns.is_some();
                let target = if is_return { Target::Reward } else { Target::Obs };
                let scale = |reset: ReturnReset| ReturnScale { gamma: 0.9, reset };
                Plan {
                    target,
                    rule: Rule { order, clip: Some(2.0), ..Rule::observations(memory) },
                    granularity,
                    per_env,
                    rollback,
                    return_scale: returns.map(|(reset, _)| scale(reset)),
                    autoreset: AutoresetRule::Auto,
                    autoresets: returns.iter().map(|(_, autoreset)| *autoreset).collect(),
                    carry_over: false,
                    options: StepOptions {
                        columns: ColumnMap::default(),
                        target: if is_return { StepTarget::Reward } else { StepTarget::Obs },
                        clock: Clock::Row,
                        needs_round: granularity == Granularity::Round,
                        needs_episode_ends: false,
                        carries_columns: true,
                        on_bad: OnBad::Error,
                        sizes: StepSizes::default(),
                    },
                }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn batches_longer_than_what_is_held_are_what_they_are_at_once(
            plan in plans(),
            (n_steps, n_envs) in (1..60u32, 1..5u32),
            (rows, bucket_bytes) in (1..40usize, 1..4000u64),
            seed in any::<u32>(),
        ) {
            let directory = tempfile::tempdir().expect("a directory");
            let (sorted, shuffled) = (directory.path().join("a.parquet"), directory.path().join("b.parquet"));
            let mut recorded = recorded(n_steps, n_envs, seed);
            write(&recorded, &sorted);
            recorded.sort_by_key(|row| ((row.step << 8 | row.env) ^ i64::from(seed)).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()));
            write(&recorded, &shuffled);
            let size = PieceSize { values: usize::MAX, rows };
            let held = outcome(&sorted, &plan, ALL_AT_ONCE);
            let pieces = outcome(&sorted, &plan, size);
            prop_assert!(is_near(&held.values, &pieces.values));
            for (held, pieces) in held.updates.iter().zip(&pieces.updates) {
                prop_assert!(is_near(held, pieces));
            }
            prop_assert!(is_near(&held.windows, &pieces.windows));
            prop_assert_eq!(&held.is_reset, &pieces.is_reset);
            prop_assert_eq!(&held.left_out, &pieces.left_out);
            // Neither files nor buckets decide on a bit.
            let small = StepSizes { bucket_bytes, wave_bytes: 1, key_rows: 7, index_bytes: 300, ..StepSizes::default() };
            let options = StepOptions { sizes: small, ..plan.options.clone() };
            let scattered = outcome(&shuffled, &Plan { options, ..plan }, size);
            prop_assert!(scattered == pieces);
        }
    }

    /// Places between rows where a piece begins that is none of a batch's rest, at the beginning of a vector step.
    fn piece_starts(path: &std::path::Path, plan: &Plan, size: PieceSize) -> (Vec<u64>, Vec<u64>) {
        let files = discover(&[path.display().to_string()], None).expect("there").files;
        let progress = Progress::none();
        let recording = StepRecording::open(&files, &plan.options, &progress).expect("readable");
        let (mut starts, mut n_rows, mut is_whole, mut last_step) = (Vec::new(), 0, false, 0);
        walk_in_pieces(&recording, plan, size, &progress, &mut |event| {
            if let Event::Rows(rows) = event
                && rows.pass.has_moments()
            {
                if is_whole && rows.block.vector_step[0] > last_step {
                    starts.push(n_rows);
                }
                n_rows += rows.block.n_rows() as u64;
                is_whole = rows.ends.last() == Some(&rows.block.n_rows());
                last_step = rows.block.vector_step[rows.block.n_rows() - 1];
            }
            Ok(())
        })
        .expect("readable");
        let found = grains(plan, recording.rows_of_environments(0), recording.width(), size);
        (starts, found.iter().map(|grain| grain.rows).collect())
    }

    #[test]
    fn a_run_can_be_cut_just_where_pieces_begin() {
        let directory = tempfile::tempdir().expect("a directory");
        for (n_steps, n_envs) in [(97, 1), (200, 3), (61, 4)] {
            let path = directory.path().join(format!("{n_envs}.parquet"));
            let mut rows = recorded(n_steps, n_envs, 5);
            // Environments stop one after the other.
            rows.retain(|row| row.step < i64::from(n_steps) - 20 * row.env);
            write(&rows, &path);
            for granularity in [
                Granularity::Row,
                Granularity::Step,
                Granularity::Rollout(2),
                Granularity::Rollout(7),
                Granularity::Rollout(50),
            ] {
                for order in [Order::NormalizeFirst, Order::UpdateFirst] {
                    let mut plan = next_step_plan(granularity);
                    plan.rule.order = order;
                    (plan.target, plan.options.target) = (Target::Obs, StepTarget::Obs);
                    (plan.return_scale, plan.autoresets) = (None, Vec::new());
                    for rows in [1, 5, 16, 30, 1000] {
                        let (starts, grains) =
                            piece_starts(&path, &plan, PieceSize { values: usize::MAX, rows });
                        assert_eq!(
                            starts, grains,
                            "{n_envs} environments, {granularity:?}, {order:?}, {rows} rows"
                        );
                    }
                }
            }
        }
    }

    /// The fixture's rewards scaled by returns, updated first, all rows in one batch or in rollouts.
    fn next_step_plan(granularity: Granularity) -> Plan {
        let rule = Rule { order: Order::UpdateFirst, ..Rule::observations(Memory::Welford) };
        Plan {
            target: Target::Reward,
            rule,
            granularity,
            per_env: false,
            rollback: Rollback::Keep,
            return_scale: Some(ReturnScale { gamma: 0.99, reset: ReturnReset::Autoreset }),
            autoreset: AutoresetRule::NextStep,
            autoresets: vec![Autoreset::NextStep],
            carry_over: false,
            options: StepOptions {
                columns: ColumnMap::default(),
                target: StepTarget::Reward,
                clock: Clock::Row,
                needs_round: false,
                needs_episode_ends: false,
                carries_columns: true,
                on_bad: OnBad::Error,
                sizes: StepSizes::default(),
            },
        }
    }

    #[test]
    fn resets_within_batches_longer_than_what_is_held_are_told_counted_and_written_once() {
        let path = std::path::Path::new("fixtures/normalizers/next_step.parquet");
        let told: serde_json::Value = serde_json::from_str(
            &std::fs::read_to_string(path.with_extension("json")).expect("the states recorded with it"),
        )
        .expect("JSON");
        let (n_rows, reset_rows) = (480, told["reset_rows"].as_u64().expect("a count"));
        for granularity in [Granularity::Rollout(1000), Granularity::Rollout(37), Granularity::Step] {
            let plan = next_step_plan(granularity);
            let held = outcome(path, &plan, ALL_AT_ONCE);
            for rows in [1, 3, 7, 64] {
                let pieces = outcome(path, &plan, PieceSize { values: usize::MAX, rows });
                assert!(is_near(&held.values, &pieces.values), "{granularity:?}, {rows} rows a piece");
                assert!(
                    is_near(&held.updates[0], &pieces.updates[0]),
                    "{granularity:?}, {rows} rows a piece"
                );
                assert!(is_near(&held.windows, &pieces.windows), "{granularity:?}, {rows} rows a piece");
                assert_eq!((&held.is_reset, &held.left_out), (&pieces.is_reset, &pieces.left_out));
                assert_eq!(pieces.left_out[0].reset_rows, reset_rows);
                assert_eq!(pieces.values.len() as u64, n_rows - reset_rows);
                assert_eq!(pieces.is_reset.len() as u64, n_rows);
            }
        }
    }
}
