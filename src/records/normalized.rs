//! What a replay writes: normalized steps, and a trace with one row per update.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use polars_arrow::array::{Array, FixedSizeListArray, ListArray, PrimitiveArray, Utf8ViewArray};
use polars_arrow::offset::Offsets;

use super::row_sink::{RowFormat, RowSink, merged};
use super::steps::{StepBlock, StepRecording, StepTarget, ValuePart};
use super::write::Compression;

/// Normalized values, row after row.
#[derive(Debug)]
pub enum NormalizedValues {
    /// 32 bits.
    F32(Vec<f32>),
    /// 64 bits.
    F64(Vec<f64>),
}

impl NormalizedValues {
    /// The same values, one per row, with a zero for every row that `is_zero` marks.
    #[must_use]
    pub fn with_zeros(self, is_zero: &[bool]) -> Self {
        fn spread<T: Copy + Default>(values: &[T], is_zero: &[bool]) -> Vec<T> {
            let mut values = values.iter().copied();
            let mut next =
                |is_zero: &bool| if *is_zero { T::default() } else { values.next().unwrap_or_default() };
            is_zero.iter().map(&mut next).collect()
        }
        match self {
            Self::F32(values) => Self::F32(spread(&values, is_zero)),
            Self::F64(values) => Self::F64(spread(&values, is_zero)),
        }
    }
}

/// Writes the rows of a recording in replay order with their values normalized.
///
/// Observations take the place of the recorded ones, under the same column names; rewards and returns get a
/// column of their own (`reward_normalized`, `return_normalized`) beside what was recorded.
pub struct NormalizedWriter {
    writer: RowSink,
    values: ValuePlace,
}

/// Where normalized values go.
enum ValuePlace {
    /// After all other columns.
    Last,
    /// In the columns they came from, by place.
    Columns(Vec<PlacedPart>),
}

/// A column of values and its place among all columns.
struct PlacedPart {
    place: usize,
    part: ValuePart,
}

impl NormalizedWriter {
    /// Starts a file for the rows of `recording`.
    ///
    /// # Errors
    /// If the file handle cannot be shared.
    pub fn new(
        file: &File,
        recording: &StepRecording,
        target: StepTarget,
        format: RowFormat,
    ) -> std::io::Result<Self> {
        let mut names = recording.column_names().to_vec();
        // There may be tens of thousands of columns; of two of one name the first is the one.
        let places: BTreeMap<&str, usize> =
            names.iter().enumerate().rev().map(|(place, name)| (name.as_str(), place)).collect();
        let parts = recording.value_parts().into_iter();
        let mut parts: Vec<PlacedPart> = parts
            .filter_map(|part| Some(PlacedPart { place: *places.get(part.name.as_str())?, part }))
            .collect();
        parts.sort_unstable_by_key(|part| part.place);
        let values = if target == StepTarget::Obs {
            ValuePlace::Columns(parts)
        } else {
            names.push(format!("{}_normalized", target.field()));
            ValuePlace::Last
        };
        let bytes_per_row = bytes_per_row(recording.width(), names.len());
        let writer = RowSink::new(file, names, bytes_per_row, format)?;
        Ok(Self { writer, values })
    }

    /// Writes the rows of parts, of `width` values each, one after the other; `None` where there is no row.
    ///
    /// # Errors
    /// Parts that cannot be read, or a file that cannot be written.
    pub fn merged(
        file: &File,
        width: usize,
        parts: &[impl AsRef<Path>],
        compression: Compression,
    ) -> std::io::Result<Option<Self>> {
        let writer = merged(file, parts, |n_columns| bytes_per_row(width, n_columns), compression)?;
        Ok(writer.map(|writer| Self { writer, values: ValuePlace::Last }))
    }

    /// Appends the rows of `block` with these values.
    ///
    /// # Errors
    /// If encoding or writing fails.
    pub fn write(&mut self, block: &StepBlock, values: NormalizedValues) -> std::io::Result<()> {
        let n_rows = block.n_rows();
        let parts = match &self.values {
            ValuePlace::Last => {
                let carried = block.carried.iter().cloned();
                return self.writer.push(carried.chain([flat(values)]).collect());
            }
            ValuePlace::Columns(parts) => parts,
        };
        let mut carried = block.carried.iter().cloned();
        let mut arrays: Vec<Box<dyn Array>> = Vec::with_capacity(carried.len() + parts.len());
        // All values in one column need no picking.
        if let [PlacedPart { place, part }] = &parts[..]
            && part.is_list
        {
            arrays.extend(carried.by_ref().take(*place));
            arrays.push(lists(flat(values), n_rows, block.width, part.is_fixed));
        } else {
            for PlacedPart { place, part } in parts {
                // Ascending places: what is carried fills the gaps between them.
                let before = place - arrays.len();
                arrays.extend(carried.by_ref().take(before));
                let picked = dimensions(&values, &part.dimensions, block.width);
                let width = part.dimensions.len();
                arrays.push(if part.is_list { lists(picked, n_rows, width, part.is_fixed) } else { picked });
            }
        }
        arrays.extend(carried);
        self.writer.push(arrays)
    }

    /// Writes the rest and the footer.
    ///
    /// # Errors
    /// If writing fails, or there was no row.
    pub fn finish(self) -> std::io::Result<()> {
        self.writer.finish()
    }
}

/// Bytes of a row, about.
fn bytes_per_row(width: usize, n_columns: usize) -> usize {
    width * 4 + 16 * n_columns
}

fn flat(values: NormalizedValues) -> Box<dyn Array> {
    match values {
        NormalizedValues::F32(values) => Box::new(PrimitiveArray::from_vec(values)),
        NormalizedValues::F64(values) => Box::new(PrimitiveArray::from_vec(values)),
    }
}

/// Some dimensions of all rows, row after row.
fn dimensions(values: &NormalizedValues, dimensions: &Range<usize>, width: usize) -> Box<dyn Array> {
    fn pick<T: Copy>(values: &[T], dimensions: &Range<usize>, width: usize) -> Vec<T> {
        if dimensions.len() == 1 {
            return values.iter().skip(dimensions.start).step_by(width).copied().collect();
        }
        values.chunks_exact(width).flat_map(|row| row[dimensions.clone()].iter().copied()).collect()
    }
    match values {
        NormalizedValues::F32(values) => Box::new(PrimitiveArray::from_vec(pick(values, dimensions, width))),
        NormalizedValues::F64(values) => Box::new(PrimitiveArray::from_vec(pick(values, dimensions, width))),
    }
}

/// Lists of `width` values each.
fn lists(values: Box<dyn Array>, n_rows: usize, width: usize, is_fixed: bool) -> Box<dyn Array> {
    if is_fixed {
        let dtype = FixedSizeListArray::default_datatype(values.dtype().clone(), width);
        return Box::new(FixedSizeListArray::new(dtype, n_rows, values, None));
    }
    let Ok(offsets) = Offsets::<i64>::try_from_lengths(std::iter::repeat_n(width, n_rows)) else {
        unreachable!("lengths of lists in memory fit 63 bits")
    };
    let dtype = ListArray::<i64>::default_datatype(values.dtype().clone());
    Box::new(ListArray::<i64>::new(dtype, offsets.into(), values, None))
}

/// Rows of a trace: one per update.
#[derive(Debug, Default)]
pub struct TraceRows {
    /// Run.
    pub run_id: Vec<String>,
    /// Environment, where each has statistics of its own.
    pub env_id: Vec<i64>,
    /// Episode of the batch's last row.
    pub episode: Vec<i64>,
    /// Step of the batch's last row.
    pub step: Vec<i64>,
    /// Vector step of the batch's last row.
    pub vector_step: Vec<i64>,
    /// Rows of the batch.
    pub batch_size: Vec<i64>,
    /// The state's count after the update.
    pub count: Vec<f64>,
    /// Means after the update, update after update.
    pub mean: Vec<f64>,
    /// Variances after the update.
    pub var: Vec<f64>,
}

/// Bytes of an update's row, about.
fn bytes_per_update(width: usize) -> usize {
    16 * width + 64
}

/// Writes a trace.
pub struct TraceWriter {
    writer: RowSink,
    width: usize,
    has_env: bool,
}

impl TraceWriter {
    /// Starts a file for states of `width` dimensions.
    ///
    /// # Errors
    /// If the file handle cannot be shared.
    pub fn new(file: &File, width: usize, has_env: bool, format: RowFormat) -> std::io::Result<Self> {
        let mut names = vec!["run_id"];
        if has_env {
            names.push("env_id");
        }
        names.extend(["episode", "step", "vector_step", "batch_size", "count", "mean", "var"]);
        let names = names.into_iter().map(str::to_owned).collect();
        let writer = RowSink::new(file, names, bytes_per_update(width), format)?;
        Ok(Self { writer, width, has_env })
    }

    /// Writes the rows of parts, one after the other; `None` where there is no row.
    ///
    /// # Errors
    /// Parts that cannot be read, or a file that cannot be written.
    pub fn merged(
        file: &File,
        width: usize,
        parts: &[impl AsRef<Path>],
        compression: Compression,
    ) -> std::io::Result<Option<Self>> {
        let writer = merged(file, parts, |_| bytes_per_update(width), compression)?;
        Ok(writer.map(|writer| Self { writer, width, has_env: false }))
    }

    /// Appends rows.
    ///
    /// # Errors
    /// If encoding or writing fails.
    pub fn write(&mut self, rows: TraceRows) -> std::io::Result<()> {
        let n_rows = rows.run_id.len();
        let ints = |values: Vec<i64>| -> Box<dyn Array> { Box::new(PrimitiveArray::from_vec(values)) };
        let doubles = |values: Vec<f64>| -> Box<dyn Array> { Box::new(PrimitiveArray::from_vec(values)) };
        let mut arrays: Vec<Box<dyn Array>> = vec![Box::new(Utf8ViewArray::from_slice_values(&rows.run_id))];
        if self.has_env {
            arrays.push(ints(rows.env_id));
        }
        arrays.extend([rows.episode, rows.step, rows.vector_step, rows.batch_size].map(ints));
        arrays.push(doubles(rows.count));
        arrays.push(lists(doubles(rows.mean), n_rows, self.width, false));
        arrays.push(lists(doubles(rows.var), n_rows, self.width, false));
        self.writer.push(arrays)
    }

    /// Writes the rest and the footer.
    ///
    /// # Errors
    /// If writing fails, or there was no update.
    pub fn finish(self) -> std::io::Result<()> {
        self.writer.finish()
    }
}
