//! Rows that do not come in replay order, put in order within bounded memory.
//!
//! A distribution sort: the first pass knows where every row belongs, so rows are spread over temporary files by
//! ranges of their place, and each file is sorted in memory by itself. Every row is written and read once.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek};
use std::sync::Arc;

use polars_arrow::array::{Array, FixedSizeListArray, PrimitiveArray, Utf8ViewArray};
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field};
use polars_arrow::io::ipc::read as ipc_read;
use polars_arrow::io::ipc::write as ipc_write;
use polars_arrow::record_batch::RecordBatchT;
use polars_buffer::Buffer;

use super::super::columns::{BadCells, Ints, Texts};
use super::super::error::RecordError;
use super::block::{gather, join_arrays};
use super::index::Index;
use super::judge::Judgements;
use super::keys::{RowKeys, SortedKeys};
use super::order::Cut;
use super::rows::DecodedRows;
use super::runs::ClockTime;
use super::values::StepValues;

/// Bytes of one bucket, and of what sorting it takes again.
const BUCKET_BYTES: u64 = 48 << 20;

/// Files open at once.
const MAX_BUCKETS: u64 = 512;

/// Columns of a bucket before the values and the carried ones.
const KEY_COLUMNS: usize = 9;

/// Temporary files, each for a range of places.
pub(super) struct Buckets {
    cuts: Vec<Cut>,
    writers: Vec<Option<ipc_write::FileWriter<BufWriter<File>>>>,
    run_ids: Vec<String>,
}

impl Buckets {
    pub(super) fn new(index: &Index, bytes_per_row: u64) -> Self {
        let n_rows: u64 = index.runs().iter().map(|run| run.n_rows).sum();
        let wanted = (n_rows * bytes_per_row).div_ceil(BUCKET_BYTES).clamp(1, MAX_BUCKETS);
        let cuts = index.cuts(n_rows.div_ceil(wanted).max(1));
        let writers = (0..=cuts.len()).map(|_| None).collect();
        Self { cuts, writers, run_ids: index.runs().iter().map(|run| run.run_id.clone()).collect() }
    }

    /// Writes rows to the files they belong to.
    pub(super) fn spread(
        &mut self,
        rows: &DecodedRows,
        is_bad: &Judgements,
        index: &Index,
    ) -> Result<(), RecordError> {
        let keys = &rows.keys;
        let times = index.times(keys);
        let mut rows_of: Vec<Vec<usize>> = vec![Vec::new(); self.writers.len()];
        let mut runs = vec![0usize; keys.n_rows()];
        let mut row = 0;
        while row < keys.n_rows() {
            let end = keys.runs.run_end(row, keys.n_rows());
            let run = index.run_number(&keys.runs.get(row)).unwrap_or(0);
            for row in row..end {
                runs[row] = run;
                // A row the first pass left out has no place.
                if times[row].is_known() && !is_bad.contains_row(row) {
                    let place = Cut { run, time: times[row] };
                    rows_of[self.cuts.partition_point(|cut| *cut <= place)].push(row);
                }
            }
            row = end;
        }
        let arrays = columns_of(rows, &runs, &times);
        for (bucket, rows) in rows_of.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            let gathered: Vec<Box<dyn Array>> =
                arrays.iter().map(|array| gather(&**array, &rows)).collect::<Result<_, _>>()?;
            self.write(bucket, rows.len(), gathered)?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        bucket: usize,
        n_rows: usize,
        arrays: Vec<Box<dyn Array>>,
    ) -> Result<(), RecordError> {
        let fields = arrays.iter().enumerate().map(|(i, array)| {
            let name = format!("c{i}");
            Field::new(name.as_str().into(), array.dtype().clone(), true)
        });
        let schema: ArrowSchema = fields.map(|field| (field.name.clone(), field)).collect();
        let schema = Arc::new(schema);
        if self.writers[bucket].is_none() {
            let file = tempfile::tempfile().map_err(|error| failed(&error))?;
            let options = ipc_write::WriteOptions { compression: None };
            let writer = ipc_write::FileWriter::try_new(
                BufWriter::with_capacity(1 << 16, file),
                Arc::clone(&schema),
                None,
                options,
            );
            self.writers[bucket] = Some(writer.map_err(|error| failed(&error))?);
        }
        let Some(writer) = &mut self.writers[bucket] else { unreachable!("opened above") };
        let batch = RecordBatchT::try_new(n_rows, schema, arrays).map_err(|error| failed(&error))?;
        writer.write(&batch, None).map_err(|error| failed(&error))
    }

    /// The rows of each file in order, file after file.
    pub(super) fn into_sorted(self) -> impl Iterator<Item = Result<DecodedRows, RecordError>> {
        let run_ids = self.run_ids;
        self.writers.into_iter().flatten().map(move |mut writer| {
            writer.finish().map_err(|error| failed(&error))?;
            let file = writer.into_inner().into_inner().map_err(|error| failed(error.error()))?;
            sorted_rows(file, &run_ids)
        })
    }
}

fn failed(error: &dyn std::fmt::Display) -> RecordError {
    let problem = std::io::Error::other(format!(
        "cannot put rows in order in {}: {error}",
        std::env::temp_dir().display()
    ));
    RecordError::file("", problem)
}

/// All columns of rows as arrays: keys, values, carried ones.
fn columns_of(rows: &DecodedRows, runs: &[usize], times: &[ClockTime]) -> Vec<Box<dyn Array>> {
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
            set | known << 3 | i64::from(keys.round.is_some()) << 6
        }),
        ints(&|row| (keys.file as i64) << 40 | keys.row_number(row) as i64),
    ];
    let width = rows.width();
    let (values, dtype): (Box<dyn Array>, _) = match &rows.values {
        StepValues::F32(values) => (
            Box::new(PrimitiveArray::<f32>::new(ArrowDataType::Float32, values.clone(), None)),
            ArrowDataType::Float32,
        ),
        StepValues::F64(values) => (
            Box::new(PrimitiveArray::<f64>::new(ArrowDataType::Float64, values.clone(), None)),
            ArrowDataType::Float64,
        ),
    };
    let dtype = FixedSizeListArray::default_datatype(dtype, width);
    arrays.push(Box::new(FixedSizeListArray::new(dtype, n_rows, values, None)));
    arrays.extend(rows.carried.iter().cloned());
    arrays
}

/// Reads one file back and sorts its rows.
fn sorted_rows(file: File, run_ids: &[String]) -> Result<DecodedRows, RecordError> {
    let columns = read_columns(file)?;
    let keys: Vec<Buffer<i64>> = columns[..KEY_COLUMNS]
        .iter()
        .filter_map(|array| array.as_any().downcast_ref::<PrimitiveArray<i64>>())
        .map(|array| array.values().clone())
        .collect();
    let mut order: Vec<usize> = (0..keys[0].len()).collect();
    // run, clock, environment, then (episode, step): all that can tell rows apart.
    order.sort_unstable_by_key(|row| {
        let at = |column: usize| keys[column][*row];
        (at(0), at(1), at(2), at(3), at(4), at(5))
    });
    let (values, width) = stored_values(&*columns[KEY_COLUMNS]);
    let carried = columns[KEY_COLUMNS + 1..].iter().map(|array| gather(&**array, &order));
    Ok(DecodedRows {
        keys: sorted_keys(&keys, &order, run_ids),
        values: values.gather(&order, width),
        carried: carried.collect::<Result<_, _>>()?,
        bad: BadCells::default(),
    })
}

/// All columns of one file.
fn read_columns(mut file: File) -> Result<Vec<Box<dyn Array>>, RecordError> {
    file.rewind().map_err(|error| failed(&error))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let metadata = ipc_read::read_file_metadata(&mut reader).map_err(|error| failed(&error))?;
    let batches: Vec<Vec<Box<dyn Array>>> = ipc_read::FileReader::new(reader, metadata, None, None)
        .map(|batch| batch.map(RecordBatchT::into_arrays).map_err(|error| failed(&error)))
        .collect::<Result<_, _>>()?;
    let n_columns = batches.first().map_or(0, Vec::len);
    let mut columns = Vec::with_capacity(n_columns);
    let mut batches = batches;
    for _ in 0..n_columns {
        let parts: Vec<Box<dyn Array>> = batches.iter_mut().map(|batch| batch.remove(0)).collect();
        let parts: Vec<&dyn Array> = parts.iter().map(|array| &**array).collect();
        columns.push(join_arrays(&parts)?);
    }
    Ok(columns)
}

/// The key columns `keys` with their rows in `order`.
fn sorted_keys(keys: &[Buffer<i64>], order: &[usize], run_ids: &[String]) -> RowKeys {
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
    let texts: Vec<&str> = runs.iter().map(|run| run_ids[narrow(*run)].as_str()).collect();
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

/// Values as they were written, and how many there are per row.
fn stored_values(array: &dyn Array) -> (StepValues, usize) {
    let lists = array
        .as_any()
        .downcast_ref::<FixedSizeListArray>()
        .map(|lists| (lists.values().clone(), lists.size()));
    let Some((flat, width)) = lists else { unreachable!("written as fixed-size lists") };
    let values = if let Some(single) = flat.as_any().downcast_ref::<PrimitiveArray<f32>>() {
        StepValues::F32(single.values().clone())
    } else if let Some(double) = flat.as_any().downcast_ref::<PrimitiveArray<f64>>() {
        StepValues::F64(double.values().clone())
    } else {
        unreachable!("written as numbers")
    };
    (values, width)
}
