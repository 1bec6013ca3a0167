//! The rows of a run cut into windows and pieces of windows, at places that depend on the run alone.

use crate::commands::CommandError;
use crate::records::StepBlock;
use crate::stats::Rows;

/// Rows of a run that belong to one window and are looked at together.
pub(super) struct CutPiece<'a> {
    pub(super) rows: Rows<'a>,
    /// Rows of the run before them.
    pub(super) first_row: u64,
    /// Vector step of the first of them.
    pub(super) vector_step: u64,
    /// Whether they are the first of their window.
    pub(super) begins_window: bool,
}

/// Cuts the rows of a run, in whatever blocks they come.
///
/// Sums over rows depend on where they are cut: never by row groups or blocks, which differ between machines, but by the
/// number of a row in its run.
pub(super) struct WindowCutter {
    per_window: usize,
    per_piece: usize,
    /// Rows handed on.
    n_rows: u64,
    /// Rows of a piece that has begun.
    waiting: Vec<StepBlock>,
    n_waiting: usize,
}

impl WindowCutter {
    /// Cuts windows of so many rows, in pieces of at most so many.
    pub(super) fn new(per_window: usize, per_piece: usize) -> Self {
        let per_window = per_window.max(1);
        Self {
            per_window,
            per_piece: per_piece.clamp(1, per_window),
            n_rows: 0,
            waiting: Vec::new(),
            n_waiting: 0,
        }
    }

    /// The same after so many rows of the run, where a piece begins.
    pub(super) fn after(self, n_rows: u64) -> Self {
        Self { n_rows, ..self }
    }

    /// Rows of the window that the next piece belongs to which are handed on already.
    fn within(&self) -> usize {
        usize::try_from(self.n_rows % self.per_window as u64).unwrap_or(0)
    }

    /// Rows of the next piece.
    fn next_piece(&self) -> usize {
        let within = self.within();
        (self.per_window - within).min(self.per_piece - within % self.per_piece)
    }

    /// Takes the next rows, and hands on what is whole.
    ///
    /// # Errors
    /// What `hand_on` returns.
    pub(super) fn push(
        &mut self,
        block: &StepBlock,
        mut hand_on: impl FnMut(&CutPiece<'_>) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let n_rows = block.n_rows();
        let mut start = 0;
        while start < n_rows {
            let needed = self.next_piece() - self.n_waiting;
            let end = n_rows.min(start + needed);
            if end - start < needed {
                self.n_waiting += end - start;
                self.waiting.push(block.slice(start..end));
                break;
            }
            if self.waiting.is_empty() {
                self.hand_on(block, start..end, &mut hand_on)?;
            } else {
                self.waiting.push(block.slice(start..end));
                self.hand_on_waiting(&mut hand_on)?;
            }
            start = end;
        }
        Ok(())
    }

    /// Hands on the rest.
    ///
    /// # Errors
    /// What `hand_on` returns.
    pub(super) fn finish(
        mut self,
        mut hand_on: impl FnMut(&CutPiece<'_>) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        if self.waiting.is_empty() { Ok(()) } else { self.hand_on_waiting(&mut hand_on) }
    }

    fn hand_on_waiting(
        &mut self,
        hand_on: &mut impl FnMut(&CutPiece<'_>) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let whole = StepBlock::join(std::mem::take(&mut self.waiting))?;
        self.n_waiting = 0;
        self.hand_on(&whole, 0..whole.n_rows(), hand_on)
    }

    fn hand_on(
        &mut self,
        block: &StepBlock,
        range: std::ops::Range<usize>,
        hand_on: &mut impl FnMut(&CutPiece<'_>) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let piece = CutPiece {
            rows: block.values.rows().slice(range.clone(), block.width),
            first_row: self.n_rows,
            vector_step: block.vector_step[range.start],
            begins_window: self.within() == 0,
        };
        hand_on(&piece)?;
        self.n_rows += range.len() as u64;
        Ok(())
    }
}
