//! Blocks: consecutive rows of one run in replay order, handed on together.

use std::ops::Range;

use polars_arrow::array::Array;

use super::super::error::RecordError;
use super::carried::{gather, join_arrays};
use super::values::StepValues;

/// Consecutive rows of one run in replay order.
#[derive(Debug, Clone)]
pub struct StepBlock {
    /// The run, as numbered in [`super::StepRecording::runs`].
    pub run: usize,
    /// Values per row.
    pub width: usize,
    /// The values, row after row.
    pub values: StepValues,
    /// Episode of each row.
    pub episode: Vec<i64>,
    /// Step of each row.
    pub step: Vec<i64>,
    /// Environment of each row.
    pub env: Vec<i64>,
    /// Place of the environment among the run's.
    pub lane: Vec<u32>,
    /// Vector step of each row, from 0 in each run.
    pub vector_step: Vec<u64>,
    /// Value of the round column, where it was asked for.
    pub round: Option<Vec<i64>>,
    /// Rolled back, where the recording says.
    pub rolled_back: Option<Vec<bool>>,
    /// Whether the environment terminated at the row, where the recording says.
    pub terminated: Option<Vec<bool>>,
    /// Whether the episode ended at the row (terminated, truncated or done), where the recording says.
    pub ended: Option<Vec<bool>>,
    /// Whether the row is the last of its episode over all environments, where that was asked for.
    pub episode_ends: Option<Vec<bool>>,
    /// Columns carried along.
    pub(in crate::records) carried: Vec<Box<dyn Array>>,
}

impl StepBlock {
    /// Rows.
    pub fn n_rows(&self) -> usize {
        self.episode.len()
    }

    /// The same rows with other values, as many in each.
    #[must_use]
    pub fn with_values(self, values: StepValues) -> Self {
        Self { values, ..self }
    }

    /// Rows `range`; values and carried columns are shared.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let flags = |flags: &Option<Vec<bool>>| flags.as_ref().map(|flags| flags[range.clone()].to_vec());
        Self {
            run: self.run,
            width: self.width,
            values: self.values.slice(range.start * self.width..range.end * self.width),
            episode: self.episode[range.clone()].to_vec(),
            step: self.step[range.clone()].to_vec(),
            env: self.env[range.clone()].to_vec(),
            lane: self.lane[range.clone()].to_vec(),
            vector_step: self.vector_step[range.clone()].to_vec(),
            round: self.round.as_ref().map(|round| round[range.clone()].to_vec()),
            rolled_back: flags(&self.rolled_back),
            terminated: flags(&self.terminated),
            ended: flags(&self.ended),
            episode_ends: flags(&self.episode_ends),
            carried: self.carried.iter().map(|array| array.sliced(range.start, range.len())).collect(),
        }
    }

    /// Blocks of one run as one.
    ///
    /// # Errors
    /// If a carried column cannot be joined.
    ///
    /// # Panics
    /// Without a block.
    pub fn join(mut blocks: Vec<Self>) -> Result<Self, RecordError> {
        fn all<T: Clone>(blocks: &[StepBlock], pick: impl Fn(&StepBlock) -> &Vec<T>) -> Vec<T> {
            blocks.iter().flat_map(|block| pick(block).iter().cloned()).collect()
        }
        /// Flags where any block has some; the rows of the others have none set.
        fn flags(blocks: &[StepBlock], pick: impl Fn(&StepBlock) -> Option<&Vec<bool>>) -> Option<Vec<bool>> {
            blocks.iter().any(|block| pick(block).is_some()).then(|| {
                let of = |block| pick(block).cloned().unwrap_or_else(|| vec![false; block.n_rows()]);
                blocks.iter().flat_map(of).collect()
            })
        }
        assert!(!blocks.is_empty(), "at least one block");
        if blocks.len() == 1 {
            return Ok(blocks.swap_remove(0));
        }
        let round: Option<Vec<&Vec<i64>>> = blocks.iter().map(|block| block.round.as_ref()).collect();
        let values: Vec<&StepValues> = blocks.iter().map(|block| &block.values).collect();
        let carried = (0..blocks[0].carried.len()).map(|column| {
            let parts: Vec<&dyn Array> = blocks.iter().map(|block| &*block.carried[column]).collect();
            join_arrays(&parts)
        });
        Ok(Self {
            run: blocks[0].run,
            width: blocks[0].width,
            values: StepValues::join(&values),
            carried: carried.collect::<Result<_, _>>()?,
            episode: all(&blocks, |block| &block.episode),
            step: all(&blocks, |block| &block.step),
            env: all(&blocks, |block| &block.env),
            lane: all(&blocks, |block| &block.lane),
            vector_step: all(&blocks, |block| &block.vector_step),
            round: round.map(|parts| parts.into_iter().flatten().copied().collect()),
            rolled_back: flags(&blocks, |block| block.rolled_back.as_ref()),
            terminated: flags(&blocks, |block| block.terminated.as_ref()),
            ended: flags(&blocks, |block| block.ended.as_ref()),
            episode_ends: flags(&blocks, |block| block.episode_ends.as_ref()),
        })
    }

    /// The rows that `keep` marks, copied.
    ///
    /// # Errors
    /// If a carried column cannot be gathered.
    pub fn filter(&self, keep: &[bool]) -> Result<Self, RecordError> {
        fn pick<T: Copy>(values: &[T], places: &[usize]) -> Vec<T> {
            places.iter().map(|row| values[*row]).collect()
        }
        let places: Vec<usize> = (0..self.n_rows()).filter(|row| keep[*row]).collect();
        let flags = |flags: &Option<Vec<bool>>| flags.as_ref().map(|flags| pick(flags, &places));
        Ok(Self {
            run: self.run,
            width: self.width,
            values: self.values.gather(&places, self.width),
            episode: pick(&self.episode, &places),
            step: pick(&self.step, &places),
            env: pick(&self.env, &places),
            lane: pick(&self.lane, &places),
            vector_step: pick(&self.vector_step, &places),
            round: self.round.as_ref().map(|round| pick(round, &places)),
            rolled_back: flags(&self.rolled_back),
            terminated: flags(&self.terminated),
            ended: flags(&self.ended),
            episode_ends: flags(&self.episode_ends),
            carried: self.carried.iter().map(|array| gather(&**array, &places)).collect::<Result<_, _>>()?,
        })
    }
}
