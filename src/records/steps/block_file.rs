//! Blocks kept in an unnamed temporary file until what they belong to is whole.

use polars_arrow::array::{Array, PrimitiveArray};

use super::super::error::RecordError;
use super::array_file::{ArrayFile, ArrayFileWriter, Batch};
use super::block::StepBlock;
use super::values;

/// Columns of integers before the values.
const INT_COLUMNS: usize = 7;

/// The optional columns a block has: the same for all blocks of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Present {
    round: bool,
    rolled_back: bool,
    terminated: bool,
    ended: bool,
    episode_ends: bool,
}

/// Takes blocks of one run, all with the same columns.
#[derive(Default)]
pub struct BlockFileWriter {
    writer: Option<OpenFile>,
}

struct OpenFile {
    run: usize,
    width: usize,
    present: Present,
    arrays: ArrayFileWriter,
}

/// Blocks in a file.
pub struct BlockFile {
    run: usize,
    width: usize,
    present: Present,
    arrays: ArrayFile,
}

impl BlockFileWriter {
    /// Appends a block.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn push(&mut self, block: &StepBlock) -> Result<(), RecordError> {
        let arrays = arrays_of(block);
        let file = match &mut self.writer {
            Some(file) => file,
            none => none.insert(OpenFile {
                run: block.run,
                width: block.width,
                present: Present::of(block),
                arrays: ArrayFileWriter::new(&arrays)?,
            }),
        };
        file.arrays.push(block.n_rows(), arrays)
    }

    /// The file; `None` without a block.
    ///
    /// # Errors
    /// If there is no room for the rest.
    pub fn finish(self) -> Result<Option<BlockFile>, RecordError> {
        let finished = self.writer.map(|OpenFile { run, width, present, arrays }| {
            Ok(BlockFile { run, width, present, arrays: arrays.finish()? })
        });
        finished.transpose()
    }
}

impl BlockFile {
    /// The blocks as they were written, from the first one on.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn blocks(&mut self) -> Result<impl Iterator<Item = Result<StepBlock, RecordError>>, RecordError> {
        let (run, width, present) = (self.run, self.width, self.present);
        Ok(self.arrays.batches()?.map(move |batch| Ok(block_of(batch?, run, width, present))))
    }
}

impl Present {
    fn of(block: &StepBlock) -> Self {
        Self {
            round: block.round.is_some(),
            rolled_back: block.rolled_back.is_some(),
            terminated: block.terminated.is_some(),
            ended: block.ended.is_some(),
            episode_ends: block.episode_ends.is_some(),
        }
    }
}

fn arrays_of(block: &StepBlock) -> Batch {
    let n_rows = block.n_rows();
    let ints = |values: Vec<i64>| -> Box<dyn Array> { Box::new(PrimitiveArray::from_vec(values)) };
    let flag = |flags: &Option<Vec<bool>>, row: usize| flags.as_ref().is_some_and(|flags| flags[row]);
    let flags = |row: usize| {
        i64::from(flag(&block.rolled_back, row))
            | i64::from(flag(&block.terminated, row)) << 1
            | i64::from(flag(&block.ended, row)) << 2
            | i64::from(flag(&block.episode_ends, row)) << 3
    };
    let mut arrays: Batch = vec![
        ints(block.episode.clone()),
        ints(block.step.clone()),
        ints(block.env.clone()),
        ints(block.lane.iter().map(|lane| i64::from(*lane)).collect()),
        ints(block.vector_step.iter().map(|step| step.cast_signed()).collect()),
        ints(block.round.clone().unwrap_or_else(|| vec![0; n_rows])),
        ints((0..n_rows).map(flags).collect()),
    ];
    arrays.push(values::to_store(&block.values, n_rows, block.width));
    arrays.extend(block.carried.iter().cloned());
    arrays
}

fn block_of(mut arrays: Batch, run: usize, width: usize, present: Present) -> StepBlock {
    let carried = arrays.split_off(INT_COLUMNS + 1);
    let ints = |column: usize| -> Vec<i64> {
        let array = arrays[column].as_any().downcast_ref::<PrimitiveArray<i64>>();
        array.map_or_else(Vec::new, |array| array.values().as_slice().to_vec())
    };
    let flags = ints(6);
    let bits = |is_present: bool, bit: u32| -> Option<Vec<bool>> {
        is_present.then(|| flags.iter().map(|flags| flags >> bit & 1 == 1).collect())
    };
    StepBlock {
        run,
        width,
        values: values::of_stored(&*arrays[INT_COLUMNS]),
        episode: ints(0),
        step: ints(1),
        env: ints(2),
        lane: ints(3).into_iter().map(|lane| u32::try_from(lane).unwrap_or(u32::MAX)).collect(),
        vector_step: ints(4).into_iter().map(i64::cast_unsigned).collect(),
        round: present.round.then(|| ints(5)),
        rolled_back: bits(present.rolled_back, 0),
        terminated: bits(present.terminated, 1),
        ended: bits(present.ended, 2),
        episode_ends: bits(present.episode_ends, 3),
        carried,
    }
}
