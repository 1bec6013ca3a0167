//! What is in these files.

use super::coalitions::{CoalitionOptions, CoalitionRecording, GameSummary};
use super::error::RecordError;
use super::schema::{ColumnMap, FileKind};
use super::sources::InputFile;
use super::table::Table;
use super::transitions::TransitionSummary;
use crate::progress::Progress;

/// How files are to be looked at.
#[derive(Debug, Clone)]
pub struct InspectOptions {
    /// How coalition rows are read.
    pub coalitions: CoalitionOptions,
}

/// One file: its structure and what its rows say.
#[derive(Debug)]
pub struct FileReport {
    /// The file as the user knows it.
    pub name: String,
    /// Which rows it holds.
    pub kind: FileKind,
    /// Rows.
    pub n_rows: u64,
    /// Columns with their types.
    pub columns: Vec<(String, String)>,
    /// Transition rows in numbers.
    pub transitions: Option<TransitionSummary>,
    /// Games.
    pub games: Vec<GameSummary>,
    /// What is wrong with it.
    pub problems: Vec<RecordError>,
}

/// All files looked at.
#[derive(Debug)]
pub struct Inspection {
    /// Files in the order named.
    pub files: Vec<FileReport>,
}

impl Inspection {
    /// Problems in all files.
    pub fn n_problems(&self) -> usize {
        self.files.iter().map(|file| file.problems.len()).sum()
    }
}

/// Looks at every file by itself; what is wrong with one is reported, not an error.
pub fn inspect(files: &[InputFile], options: &InspectOptions, progress: &Progress) -> Inspection {
    progress.begin("inspecting", files.len() as u64);
    let files = files
        .iter()
        .map(|file| {
            let report = inspect_file(file, options);
            progress.advance(1);
            report
        })
        .collect();
    Inspection { files }
}

fn inspect_file(file: &InputFile, options: &InspectOptions) -> FileReport {
    let mut report = FileReport {
        name: file.name.clone(),
        kind: FileKind::Other,
        n_rows: 0,
        columns: Vec::new(),
        transitions: None,
        games: Vec::new(),
        problems: Vec::new(),
    };
    let outcome = Table::open(file).and_then(|table| {
        report.n_rows = table.n_rows();
        report.columns = table.described_columns();
        report.kind = options.coalitions.columns.kind(&table)?;
        match report.kind {
            FileKind::Transitions => {
                report.transitions = Some(TransitionSummary::read(&table, columns_of(options))?);
            }
            FileKind::Coalitions => report.games = inspect_games(file, options)?,
            FileKind::Other => {}
        }
        Ok(())
    });
    report.problems.extend(outcome.err());
    report
}

fn columns_of(options: &InspectOptions) -> &ColumnMap {
    &options.coalitions.columns
}

fn inspect_games(file: &InputFile, options: &InspectOptions) -> Result<Vec<GameSummary>, RecordError> {
    let recording =
        CoalitionRecording::read(std::slice::from_ref(file), &options.coalitions, &Progress::none())?;
    (0..recording.n_games()).map(|index| recording.summary(index)).collect()
}
