//! Rows that do not come in replay order, put in order within bounded memory.
//!
//! A distribution sort: the index knows where buckets of rows begin that are small enough to be sorted in memory, so
//! rows are spread over temporary files by their place. Where there are more buckets than files to be open at once, a
//! file takes several, and is spread again when its turn comes.

use std::ops::Range;

use polars_arrow::array::{Array, PrimitiveArray, Utf8ViewArray};
use polars_buffer::Buffer;

use super::super::columns::{BadCells, Ints, Texts};
use super::super::error::RecordError;
use super::array_file::{ArrayFile, ArrayFileWriter, Batch};
use super::carried::{gather, join_arrays};
use super::index::Index;
use super::judgements::{Judgement, Judgements};
use super::keys::{RowKeys, SortedKeys};
use super::options::StepOptions;
use super::order::Cut;
use super::rows::DecodedRows;
use super::runs::{ClockTime, StepPlace};
use super::times::RowTimes;
use super::values;

/// Parts of a bucket written at once: every open file keeps a buffer of that size.
const WRITES_PER_BUCKET: u64 = 512;

/// Columns of a bucket before the values and the carried ones.
const KEY_COLUMNS: usize = 9;

/// Spreads rows that come in file order.
pub(super) struct Spreader<'a> {
    index: &'a Index,
    times: RowTimes<'a>,
    scatter: Scatter<'a>,
    files: FileLimits,
}

/// How many files are open at once, and how many rows are written to one at once.
#[derive(Debug, Clone, Copy)]
struct FileLimits {
    n_open: usize,
    batch_rows: usize,
}

impl<'a> Spreader<'a> {
    pub(super) fn new(index: &'a Index, options: &'a StepOptions) -> Result<Self, RecordError> {
        let bucket_rows = index.sorted().map_or(0, |order| order.bucket_rows);
        let batch_rows = usize::try_from(bucket_rows / WRITES_PER_BUCKET).unwrap_or(usize::MAX).max(1);
        let files = FileLimits { n_open: options.sizes.open_files.max(2), batch_rows };
        Ok(Self {
            index,
            times: RowTimes::new(index, &options.clock)?,
            scatter: Scatter::new(index.cuts(), 0..index.cuts().len() + 1, files),
            files,
        })
    }

    /// Writes rows to the files they belong to.
    pub(super) fn spread(&mut self, rows: &DecodedRows, judged: &Judgements) -> Result<(), RecordError> {
        let keys = &rows.keys;
        let times = self.times.of(keys, judged)?;
        let mut runs = vec![0usize; keys.n_rows()];
        let mut row = 0;
        while row < keys.n_rows() {
            let end = keys.runs.run_end(row, keys.n_rows());
            runs[row..end].fill(self.index.run_number(&keys.runs.get(row)).unwrap_or(0));
            row = end;
        }
        // A row that the first pass left out has no place.
        let placed: Vec<usize> = (0..keys.n_rows()).filter(|row| times[*row].is_some()).collect();
        let times: Vec<ClockTime> = times.iter().map(|time| time.unwrap_or(ClockTime::of(0))).collect();
        self.scatter.add(&columns_of(rows, judged, &runs, &times), &placed)
    }

    /// The rows of each bucket in order, bucket after bucket.
    pub(super) fn into_sorted(self) -> Result<SortedBuckets<'a>, RecordError> {
        let mut waiting = self.scatter.finish()?;
        waiting.reverse();
        Ok(SortedBuckets { index: self.index, files: self.files, waiting })
    }
}

/// Buckets of rows, sorted as they are asked for.
pub(super) struct SortedBuckets<'a> {
    index: &'a Index,
    files: FileLimits,
    /// The next one last.
    waiting: Vec<BucketFile>,
}

impl Iterator for SortedBuckets<'_> {
    type Item = Result<DecodedRows, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(file) = self.waiting.pop() {
            if file.buckets.len() == 1 {
                return Some(sorted_rows(file.arrays, self.index));
            }
            if let Err(error) = self.spread_again(file) {
                return Some(Err(error));
            }
        }
        None
    }
}

impl SortedBuckets<'_> {
    fn spread_again(&mut self, mut file: BucketFile) -> Result<(), RecordError> {
        let mut scatter = Scatter::new(self.index.cuts(), file.buckets, self.files);
        for batch in file.arrays.batches()? {
            let batch = batch?;
            let n_rows = batch.first().map_or(0, |array| array.len());
            scatter.add(&batch, &(0..n_rows).collect::<Vec<_>>())?;
        }
        let mut smaller = scatter.finish()?;
        smaller.reverse();
        self.waiting.append(&mut smaller);
        Ok(())
    }
}

/// Rows of some buckets.
struct BucketFile {
    buckets: Range<usize>,
    arrays: ArrayFile,
}

/// Files for consecutive buckets.
struct Scatter<'a> {
    cuts: &'a [Cut],
    buckets: Range<usize>,
    /// Buckets of a file.
    per_file: usize,
    batch_rows: usize,
    writers: Vec<Option<ArrayFileWriter>>,
}

impl<'a> Scatter<'a> {
    fn new(cuts: &'a [Cut], buckets: Range<usize>, files: FileLimits) -> Self {
        let per_file = buckets.len().div_ceil(files.n_open).max(1);
        let writers = (0..buckets.len().div_ceil(per_file)).map(|_| None).collect();
        Self { cuts, buckets, per_file, batch_rows: files.batch_rows, writers }
    }

    /// Adds the rows at `places`.
    fn add(&mut self, arrays: &[Box<dyn Array>], places: &[usize]) -> Result<(), RecordError> {
        let keys = key_columns(arrays);
        let mut rows_of: Vec<Vec<usize>> = vec![Vec::new(); self.writers.len()];
        for row in places {
            let at = |column: usize| keys[column][*row];
            let place = Cut {
                run: usize::try_from(at(0)).unwrap_or(0),
                time: ClockTime { major: at(1), minor: at(2) },
                env: at(3),
                place: StepPlace { episode: at(4), step: at(5) },
            };
            let bucket = self.cuts.partition_point(|cut| *cut <= place);
            rows_of[(bucket - self.buckets.start) / self.per_file].push(*row);
        }
        for (file, rows) in rows_of.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            for rows in rows.chunks(self.batch_rows) {
                let gathered: Batch =
                    arrays.iter().map(|array| gather(&**array, rows)).collect::<Result<_, _>>()?;
                let writer = match &mut self.writers[file] {
                    Some(writer) => writer,
                    none => none.insert(ArrayFileWriter::new(&gathered)?),
                };
                writer.push(rows.len(), gathered)?;
            }
        }
        Ok(())
    }

    /// The files with rows, in order.
    fn finish(self) -> Result<Vec<BucketFile>, RecordError> {
        let mut files = Vec::new();
        for (file, writer) in self.writers.into_iter().enumerate() {
            let Some(writer) = writer else { continue };
            let first = self.buckets.start + file * self.per_file;
            let buckets = first..self.buckets.end.min(first + self.per_file);
            files.push(BucketFile { buckets, arrays: writer.finish()? });
        }
        Ok(files)
    }
}

/// All columns of rows as arrays: keys, values, carried ones.
fn columns_of(
    rows: &DecodedRows,
    judged: &Judgements,
    runs: &[usize],
    times: &[ClockTime],
) -> Vec<Box<dyn Array>> {
    let keys = &rows.keys;
    let n_rows = keys.n_rows();
    let ints = |value: &dyn Fn(usize) -> i64| -> Box<dyn Array> {
        Box::new(PrimitiveArray::<i64>::from_vec((0..n_rows).map(value).collect()))
    };
    let flag = |flags: &Option<Vec<bool>>, row: usize| flags.as_ref().is_some_and(|flags| flags[row]);
    let has = |flags: &Option<Vec<bool>>| i64::from(flags.is_some());
    let known = has(&keys.rolled_back) | has(&keys.terminated) << 1 | has(&keys.ended) << 2;
    let mut arrays = vec![
        ints(&|row| runs[row] as i64),
        ints(&|row| times[row].major),
        ints(&|row| times[row].minor),
        ints(&|row| keys.envs.get(row)),
        ints(&|row| keys.place(row).episode),
        ints(&|row| keys.place(row).step),
        ints(&|row| keys.round.as_ref().map_or(0, |round| round.get(row))),
        ints(&|row| {
            let set = i64::from(flag(&keys.rolled_back, row))
                | i64::from(flag(&keys.terminated, row)) << 1
                | i64::from(flag(&keys.ended, row)) << 2;
            let is_bad = i64::from(judged.contains_row(row));
            set | known << 3 | i64::from(keys.round.is_some()) << 6 | is_bad << 7
        }),
        ints(&|row| (keys.file as i64) << 40 | keys.row_number(row) as i64),
    ];
    let width = rows.width();
    arrays.push(values::to_store(&rows.values, n_rows, width));
    arrays.extend(rows.carried.iter().cloned());
    arrays
}

fn key_columns(arrays: &[Box<dyn Array>]) -> Vec<Buffer<i64>> {
    arrays[..KEY_COLUMNS]
        .iter()
        .filter_map(|array| array.as_any().downcast_ref::<PrimitiveArray<i64>>())
        .map(|array| array.values().clone())
        .collect()
}

/// Reads a bucket back and sorts its rows.
fn sorted_rows(file: ArrayFile, index: &Index) -> Result<DecodedRows, RecordError> {
    let columns = read_columns(file)?;
    let keys = key_columns(&columns);
    let mut order: Vec<usize> = (0..keys[0].len()).collect();
    // run, clock, environment, then (episode, step): all that can tell rows apart.
    order.sort_unstable_by_key(|row| {
        let at = |column: usize| keys[column][*row];
        (at(0), at(1), at(2), at(3), at(4), at(5))
    });
    let values = values::of_stored(&*columns[KEY_COLUMNS]);
    let width = values.rows().len() / order.len().max(1);
    let carried = columns[KEY_COLUMNS + 1..].iter().map(|array| gather(&**array, &order));
    let is_bad = |row: &usize| keys[7][*row] >> 7 & 1 == 1;
    let judgement = |row: &usize| if is_bad(row) { Judgement::NoValues } else { Judgement::Sound };
    Ok(DecodedRows {
        keys: sorted_keys(&keys, &order, index),
        values: values.gather(&order, width),
        carried: carried.collect::<Result<_, _>>()?,
        bad: BadCells::default(),
        judged: Some(Judgements::of(order.iter().map(judgement).collect())),
    })
}

/// All columns of one file.
fn read_columns(mut file: ArrayFile) -> Result<Batch, RecordError> {
    let mut batches: Vec<Batch> = file.batches()?.collect::<Result<_, _>>()?;
    let n_columns = batches.first().map_or(0, Vec::len);
    let mut columns = Vec::with_capacity(n_columns);
    // From the last column on, so that each is let go as soon as it is joined.
    for _ in 0..n_columns {
        let parts: Batch = batches.iter_mut().filter_map(Vec::pop).collect();
        let parts: Vec<&dyn Array> = parts.iter().map(|array| &**array).collect();
        columns.push(join_arrays(&parts)?);
    }
    columns.reverse();
    Ok(columns)
}

/// The key columns `keys` with their rows in `order`.
fn sorted_keys(keys: &[Buffer<i64>], order: &[usize], index: &Index) -> RowKeys {
    let pick = |column: usize| -> Vec<i64> { order.iter().map(|row| keys[column][*row]).collect() };
    let flags = pick(7);
    let bits = |bit: u32| -> Option<Vec<bool>> {
        let is_known = flags.iter().any(|flags| flags >> (bit + 3) & 1 == 1);
        is_known.then(|| flags.iter().map(|flags| flags >> bit & 1 == 1).collect())
    };
    let has_round = flags.iter().any(|flags| flags >> 6 & 1 == 1);
    let origin = pick(8);
    let runs = pick(0);
    let narrow = |n: i64| usize::try_from(n).unwrap_or(0);
    let texts: Vec<&str> = runs.iter().map(|run| index.runs()[narrow(*run)].run_id.as_str()).collect();
    RowKeys::sorted(SortedKeys {
        runs: Texts::Views(Utf8ViewArray::from_slice_values(&texts)),
        times: pick(1).into_iter().zip(pick(2)).map(|(major, minor)| ClockTime { major, minor }).collect(),
        envs: Ints::Values(pick(3).into()),
        episodes: Ints::Values(pick(4).into()),
        steps: Ints::Values(pick(5).into()),
        round: has_round.then(|| Ints::Values(pick(6).into())),
        rolled_back: bits(0),
        terminated: bits(1),
        ended: bits(2),
        files: origin.iter().map(|origin| u32::try_from(origin >> 40).unwrap_or(0)).collect(),
        rows: origin.iter().map(|origin| (origin & ((1 << 40) - 1)).cast_unsigned()).collect(),
    })
}
