//! Batches too long to be held: their rows are gone through twice, once for their moments and once to be normalized.

use rayon::prelude::*;

use super::engine::DeviceError;
use super::output::Output;
use super::replay::{Block, Replay, moments_of};
use super::update::Update;
use crate::stats::RowMoments;

/// What is done with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Everything, in one go.
    Whole,
    /// Their moments join those of their batch, whose end is the update; nothing is normalized.
    Measure,
    /// They are normalized with the state as it is, which has seen their batch.
    Normalize,
}

impl Pass {
    /// Whether the statistics see the rows.
    pub fn has_moments(self) -> bool {
        self != Self::Normalize
    }

    /// Whether the rows are normalized.
    pub fn has_values(self) -> bool {
        self != Self::Measure
    }
}

impl Replay {
    /// As [`Replay::process`], or one of its halves; blocks of a half hold rows of one batch.
    ///
    /// # Errors
    /// As [`Replay::process`].
    pub fn run(
        &mut self,
        block: &Block<'_>,
        pass: Pass,
        output: Output<'_>,
        mut on_update: impl FnMut(Update<'_>),
    ) -> Result<(), DeviceError> {
        match pass {
            Pass::Whole => self.process(block, output, on_update),
            Pass::Measure => {
                let moments = moments_of(block.rows, self.normalizer.width());
                self.measured(&moments, block.ends, &mut on_update);
                Ok(())
            }
            Pass::Normalize => {
                self.normalize_in_window(block, output)?;
                if !block.ends.is_empty() {
                    self.windows.end_if_full(&self.normalizer);
                }
                Ok(())
            }
        }
    }

    /// As [`Replay::process_together`], or one of its halves.
    pub fn run_together(
        replays: &mut [Self],
        block: &Block<'_>,
        pass: Pass,
        on_update: impl Fn(usize, Update<'_>) + Sync,
    ) {
        let Some(width) = replays.first().map(|first| first.normalizer.width()) else { return };
        match pass {
            Pass::Whole => Self::process_together(replays, block, on_update),
            Pass::Measure => {
                let moments = moments_of(block.rows, width);
                replays.par_iter_mut().enumerate().for_each(|(i, replay)| {
                    replay.measured(&moments, block.ends, &mut |update| on_update(i, update));
                });
            }
            Pass::Normalize => replays.par_iter_mut().for_each(|replay| {
                let n_rows = block.rows.len() / width;
                replay.normalize_open(block, 0..n_rows, Output::None);
                if !block.ends.is_empty() {
                    replay.windows.end_if_full(&replay.normalizer);
                }
            }),
        }
    }

    /// Rows of one batch with these moments; an end makes the update.
    pub(super) fn measured(
        &mut self,
        moments: &RowMoments,
        ends: &[usize],
        on_update: &mut impl FnMut(Update<'_>),
    ) {
        self.open.merge(moments);
        let Some(end) = ends.last() else { return };
        let batch = std::mem::replace(&mut self.open, RowMoments::empty(self.normalizer.width()));
        if batch.n() == 0 {
            return;
        }
        self.windows.begin(&self.normalizer);
        if let Some(window) = self.windows.current() {
            window.moments.merge(&batch);
        }
        self.normalizer.update(batch.n(), batch.mean(), &batch.vars());
        on_update(Update { last_row: end.checked_sub(1), n: batch.n(), normalizer: &self.normalizer });
    }
}
