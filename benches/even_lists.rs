//! Lists of one length decoded by hand, against the general reader on nearly the same file.
//!
//!     cargo bench --bench even_lists
//!
//! Both files hold the same observations. In one all lists have the same length, which src/records/even_lists.rs
//! decodes; in the other the first list of every row group is null, so that the general reader has to.

use std::error::Error;
use std::path::Path;

use divan::{Bencher, black_box};
use polars::prelude::{DataFrame, IntoColumn, NamedFrom, ParquetWriter, Series};
use polars_arrow::array::{ListArray, PrimitiveArray};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::offset::Offsets;
use simic::Progress;
use simic::records::{
    Clock, ColumnMap, OnBad, RecordError, StepOptions, StepRecording, StepSizes, StepTarget, discover,
};

const N_ROWS: usize = 1 << 17;
const ROW_GROUP_ROWS: usize = 1 << 14;

fn main() {
    divan::main();
}

/// What the lists of a file look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lists {
    /// All of one length.
    Even,
    /// The same, the first of every row group null.
    WithNulls,
}

fn write(path: &Path, width: usize, lists: Lists) -> Result<(), Box<dyn Error>> {
    let values: Vec<f32> = (0..N_ROWS * width).map(|i| ((i * 7919) % 2003) as f32 / 1000.0).collect();
    let is_there = |row: usize| lists == Lists::Even || !row.is_multiple_of(ROW_GROUP_ROWS);
    let validity: Bitmap = (0..N_ROWS).map(is_there).collect();
    let values = PrimitiveArray::from_vec(values);
    let array = ListArray::<i64>::new(
        ListArray::<i64>::default_datatype(values.dtype().clone()),
        Offsets::try_from_lengths(std::iter::repeat_n(width, N_ROWS))?.into(),
        Box::new(values),
        Some(validity),
    );
    let steps: Vec<i64> = (0..N_ROWS as i64).collect();
    let columns = vec![
        Series::new("step".into(), steps).into_column(),
        Series::from_arrow("obs".into(), Box::new(array))?.into_column(),
    ];
    let mut frame = DataFrame::new_infer_height(columns)?;
    let file = std::fs::File::create(path)?;
    ParquetWriter::new(file).with_row_group_size(Some(ROW_GROUP_ROWS)).finish(&mut frame)?;
    Ok(())
}

/// Streams all rows; gives their number.
fn read(path: &Path) -> Result<usize, RecordError> {
    let files = discover(&[path.display().to_string()], None)?.files;
    let options = StepOptions {
        columns: ColumnMap::default(),
        target: StepTarget::Obs,
        clock: Clock::Row,
        needs_round: false,
        needs_episode_ends: false,
        carries_columns: false,
        on_bad: OnBad::Skip,
        sizes: StepSizes::default(),
    };
    let recording = StepRecording::open(&files, &options, &Progress::none())?;
    let mut n_rows = 0;
    recording.stream(&Progress::none(), |block| -> Result<(), RecordError> {
        n_rows += black_box(&block).n_rows();
        Ok(())
    })?;
    Ok(n_rows)
}

fn time(bencher: Bencher, width: usize, lists: Lists) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("steps.parquet");
    write(&path, width, lists).expect("a file");
    let n_nulls = if lists == Lists::Even { 0 } else { N_ROWS / ROW_GROUP_ROWS };
    assert_eq!(read(&path).expect("rows"), N_ROWS - n_nulls);
    bencher.bench_local(|| read(&path).is_ok());
}

/// Decoded by hand.
#[divan::bench(args = [8, 64], sample_count = 10)]
fn even(bencher: Bencher, width: usize) {
    time(bencher, width, Lists::Even);
}

/// Decoded by the general reader.
#[divan::bench(args = [8, 64], sample_count = 10)]
fn with_nulls(bencher: Bencher, width: usize) {
    time(bencher, width, Lists::WithNulls);
}
