//! The second way through runs that shift: how long the settings of a comparison lag behind.

use super::pipeline::{BatchedBlock, Event, walk};
use super::plan::Plan;
use crate::commands::CommandError;
use crate::normalization::{Engine, LagWatch, Pass, Replay, Shift, Sight, WatchedShift};
use crate::progress::Progress;
use crate::records::{BlockFileWriter, StepRecording, StepValues};

/// Replays the runs that shift once more, as `begin` begins with them, and watches every update after the shift; one per run.
///
/// # Errors
/// Unreadable input, no room for the rows around a shift, or a failing device.
pub(super) fn watch_lags(
    recording: &StepRecording,
    plan: &Plan,
    mut shifts: Vec<Option<Shift>>,
    engine: Option<&Engine>,
    progress: &Progress,
    begin: impl Fn(usize) -> Vec<Replay> + Sync,
) -> Result<Vec<Option<WatchedShift>>, CommandError> {
    let mut watched = vec![None; shifts.len()];
    if shifts.iter().all(Option::is_none) {
        return Ok(watched);
    }
    let mut watcher: Option<Watcher> = None;
    walk(recording, plan, progress, &mut |event| {
        match event {
            Event::Begin(run) => {
                let of = |shift| Watcher::new(LagWatch::new(begin(run), shift, engine.cloned()));
                watcher = shifts[run].take().map(of);
            }
            Event::Rows(rows) => {
                if let Some(watcher) = &mut watcher {
                    watcher.take(rows)?;
                }
            }
            Event::End(run) => watched[run] = watcher.take().map(Watcher::finish).transpose()?,
        }
        Ok(())
    })?;
    Ok(watched)
}

/// Hands the rows of a run to those who watch; the ones around a shift wait in a file until it is located.
pub(super) struct Watcher {
    watch: LagWatch,
    waiting: Option<Waiting>,
}

/// Rows that wait: what statistics see of them.
#[derive(Default)]
struct Waiting {
    rows: BlockFileWriter,
    /// Ends of the batches of each block, and what is to be done with it.
    blocks: Vec<(Vec<usize>, Pass)>,
}

impl Watcher {
    pub(super) fn new(watch: LagWatch) -> Self {
        Self { watch, waiting: None }
    }

    /// Takes the next rows.
    ///
    /// # Errors
    /// No room for those that wait, or a failing device.
    pub(super) fn take(&mut self, rows: &BatchedBlock) -> Result<(), CommandError> {
        let seen = rows.lane_rows().rows;
        let steps = &rows.block.vector_step;
        if self.watch.look(seen, &rows.ends, steps, rows.pass) == Sight::Around {
            return self.hold(rows);
        }
        self.release()?;
        Ok(self.watch.process(seen, &rows.ends, steps, rows.pass)?)
    }

    fn hold(&mut self, rows: &BatchedBlock) -> Result<(), CommandError> {
        let waiting = self.waiting.get_or_insert_default();
        waiting.blocks.push((rows.ends.clone(), rows.pass));
        match &rows.returns {
            None => Ok(waiting.rows.push(&rows.block)?),
            Some(returns) => {
                let values = StepValues::F64(returns.clone().into());
                Ok(waiting.rows.push(&rows.block.clone().with_values(values))?)
            }
        }
    }

    /// Goes through the rows that have waited.
    fn release(&mut self) -> Result<(), CommandError> {
        let Some(Waiting { rows, blocks }) = self.waiting.take() else { return Ok(()) };
        let Some(mut rows) = rows.finish()? else { return Ok(()) };
        for (block, (ends, pass)) in rows.blocks()?.zip(blocks) {
            let block = block?;
            self.watch.process(block.values.rows(), &ends, &block.vector_step, pass)?;
        }
        Ok(())
    }

    /// The run is over.
    ///
    /// # Errors
    /// A failing device.
    pub(super) fn finish(mut self) -> Result<WatchedShift, CommandError> {
        self.watch.settle();
        self.release()?;
        Ok(self.watch.finish())
    }
}
