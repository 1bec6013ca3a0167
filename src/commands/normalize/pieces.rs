//! How the rows of a recording are divided to be handed on: pieces of bounded size.

use crate::normalization::Engine;
use crate::records::{RecordError, StepBlock};

/// Values and rows handed on together, at most. Where rows are divided depends on these and on batches alone, so that
/// no sum depends on how files or buckets divide them.
pub(super) const PIECE: PieceSize = PieceSize { values: 1 << 20, rows: 1 << 16 };

/// How much is handed on together.
#[derive(Debug, Clone, Copy)]
pub(super) struct PieceSize {
    pub(super) values: usize,
    pub(super) rows: usize,
}

impl PieceSize {
    /// Rows of `width` values that make a piece.
    pub(super) fn rows_of(self, width: usize) -> usize {
        (self.values / width.max(1)).clamp(1, self.rows)
    }

    /// What a device takes at once; [`PIECE`] where there is none.
    pub(super) fn of_device(engine: Option<&Engine>) -> Self {
        let Some(values) = engine.map(Engine::block_values) else { return PIECE };
        Self { values, rows: PIECE.rows * (values / PIECE.values).max(1) }
    }
}

/// Rows to be handed on with the ends of their batches.
pub(super) struct Piece {
    pub(super) block: StepBlock,
    pub(super) ends: Vec<usize>,
}

/// Rows not yet handed on.
#[derive(Default)]
pub(super) struct Waiting {
    blocks: Vec<StepBlock>,
    pub(super) n_rows: usize,
    /// Ends of batches among them.
    pub(super) ends: Vec<usize>,
}

impl Waiting {
    /// Adds rows whose batches end at `ends`.
    pub(super) fn push(&mut self, block: StepBlock, ends: &[usize]) {
        self.ends.extend(ends.iter().map(|end| self.n_rows + end));
        self.n_rows += block.n_rows();
        self.blocks.push(block);
    }

    /// Takes the first rows.
    pub(super) fn take(&mut self, n_rows: usize) -> Result<Piece, RecordError> {
        let (mut taken, mut rest, mut start) = (Vec::new(), Vec::new(), 0);
        for block in std::mem::take(&mut self.blocks) {
            let n_here = n_rows.saturating_sub(start).min(block.n_rows());
            start += block.n_rows();
            if n_here == block.n_rows() {
                taken.push(block);
            } else if n_here == 0 {
                rest.push(block);
            } else {
                taken.push(block.slice(0..n_here));
                rest.push(block.slice(n_here..block.n_rows()));
            }
        }
        let n_ends = self.ends.partition_point(|end| *end <= n_rows);
        let later = self.ends.split_off(n_ends);
        let ends = std::mem::replace(&mut self.ends, later.into_iter().map(|end| end - n_rows).collect());
        (self.blocks, self.n_rows) = (rest, self.n_rows - n_rows);
        Ok(Piece { block: StepBlock::join(taken)?, ends })
    }
}
