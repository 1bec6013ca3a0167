//! Rows of a block before what is no step is taken out of them.

use crate::normalization::EpisodeEnd;
use crate::records::{RecordError, StepBlock};

/// A block with the ends of its batches, before what is no step is taken out.
pub(super) struct MarkedBlock {
    pub(super) block: StepBlock,
    pub(super) ends: Vec<usize>,
    pub(super) episode_ends: Option<Vec<EpisodeEnd>>,
    /// Whether each row only resets an environment, where some may.
    pub(super) is_reset: Option<Vec<bool>>,
}

impl MarkedBlock {
    /// A block whose batches end at `ends`.
    pub(super) fn new(block: StepBlock, ends: Vec<usize>, is_reset: Option<Vec<bool>>) -> Self {
        let episode_ends = episode_ends(&block);
        Self { block, ends, episode_ends, is_reset }
    }

    /// The rows that `keep` marks, with the ends moved along.
    pub(super) fn kept(self, keep: &[bool]) -> Result<Self, RecordError> {
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
