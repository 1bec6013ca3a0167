//! Columns of every Arrow type, carried through rows left out and rows put in order, against pyarrow's own take.

use polars_arrow::array::Array;
use polars_arrow::datatypes::ArrowDataType;

use super::error::{Problem, RecordError};
use super::normalized::{NormalizedValues, NormalizedWriter};
use super::row_sink::RowFormat;
use super::schema::{ColumnMap, OnBad};
use super::sources::{InputFile, discover};
use super::steps::{
    Clock, StepBlock, StepOptions, StepRecording, StepSizes, StepTarget, StepValues, carriable, join_arrays,
};
use super::table::Table;
use super::write::Compression;
use crate::progress::Progress;

/// Columns that are not of one type in both files, with the type that is written.
const RETYPED: [(&str, &str); 0] = [];

fn files(path: &str) -> Vec<InputFile> {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    discover(&[path], None).expect("a fixture").files
}

/// Replays a file and writes its rows.
fn replay(path: &str, output: &std::path::Path) -> Result<(), RecordError> {
    let options = StepOptions {
        columns: ColumnMap::default(),
        target: StepTarget::Reward,
        clock: Clock::Row,
        needs_round: false,
        needs_episode_ends: false,
        carries_columns: true,
        on_bad: OnBad::Skip,
        sizes: StepSizes::default(),
    };
    let recording = StepRecording::open(&files(path), &options, &Progress::none())?;
    let file = std::fs::File::create(output).expect("created");
    let mut writer =
        NormalizedWriter::new(&file, &recording, StepTarget::Reward, RowFormat::Parquet(Compression::Zstd))
            .expect("a writer");
    recording.stream(&Progress::none(), |block: StepBlock| {
        let values = match &block.values {
            StepValues::F32(values) => NormalizedValues::F32(values.as_slice().to_vec()),
            StepValues::F64(values) => NormalizedValues::F64(values.as_slice().to_vec()),
        };
        writer.write(&block, values).map_err(|error| RecordError::file(path, error))
    })?;
    writer.finish().map_err(|error| RecordError::file(path, error))
}

/// A column of all rows, in the layout that columns are carried in.
fn column(table: &Table, name: &str) -> Box<dyn Array> {
    let parts: Vec<Box<dyn Array>> = (table.parts().iter().enumerate())
        .map(|(i, part)| {
            let arrays = table.read_arrays(i, &(0..part.n_rows), &[name.to_owned()]).expect("readable");
            carriable(&*arrays[0])
        })
        .collect();
    join_arrays(&parts.iter().map(|part| &**part).collect::<Vec<_>>()).expect("joined")
}

fn open(path: &str) -> Table {
    Table::open(&files(path)[0]).expect("readable")
}

#[test]
fn columns_of_every_type_are_carried_as_pyarrow_takes_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut differing = Vec::new();
    for (format, order) in
        [("arrow", "ordered"), ("arrow", "shuffled"), ("parquet", "ordered"), ("parquet", "shuffled")]
    {
        let output = folder.path().join(format!("{order}.{format}.parquet"));
        replay(&format!("fixtures/carried/{order}.{format}"), &output).expect("replayed");
        let written = Table::open(&discover(&[output.display().to_string()], None).expect("there").files[0]);
        let written = written.expect("readable");
        let expected = open(&format!("fixtures/carried/expected.{format}"));
        let names = expected.column_names();
        assert_eq!(written.column_names()[..names.len()], names[..], "{order} {format}");
        assert!(names.len() > 40, "{}", names.len());
        for name in &names {
            let (found, expected) = (column(&written, name), column(&expected, name));
            let is_retyped = RETYPED.iter().any(|(column, _)| column == name);
            if found != expected && !is_retyped {
                differing.push(format!(
                    "{order} {format} {name}: {:?} {:?}, not {:?} {:?}",
                    found.dtype(),
                    found,
                    expected.dtype(),
                    expected
                ));
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn columns_that_cannot_be_carried_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["union", "interval", "decimal256"] {
        let path = format!("fixtures/carried/alone/{name}.arrow");
        let error = replay(&path, &folder.path().join("out.parquet")).expect_err("an error");
        assert!(matches!(error.problem, Problem::NotCarried(_)), "{name}: {error}");
        assert_eq!(error.column.as_deref(), Some(name), "{error}");
        // What is not read is no obstacle.
        let table = open(&path);
        assert_eq!(column(&table, "step").len(), 24, "{name}");
        assert_eq!(column(&table, "reward").null_count(), 1, "{name}");
    }
    // What the decoder has no name for is told when the file is opened.
    for name in ["run_end_encoded", "list_view"] {
        let path = format!("fixtures/carried/alone/{name}.arrow");
        let error = Table::open(&files(&path)[0]).err().expect("an error");
        let is_named = error.to_string().contains(&format!("column {name} is of"));
        assert!(matches!(error.problem, Problem::Unreadable { .. }) && is_named, "{error}");
    }
}

#[test]
fn dictionaries_that_grow_are_read_whole_and_replaced_ones_are_refused() {
    let table = open("fixtures/carried/delta.arrow");
    let runs = column(&table, "run_id");
    let text = runs.as_any().downcast_ref::<polars_arrow::array::Utf8ViewArray>().expect("text");
    let long = "a longer name than a view holds";
    let expected = [["a"; 4], ["b"; 4], ["a"; 4], ["a"; 4], ["b"; 4], [long; 4]].concat();
    assert_eq!(text.iter().collect::<Vec<_>>(), expected.into_iter().map(Some).collect::<Vec<_>>());
    assert_eq!(*runs.dtype(), ArrowDataType::Utf8View);
}
