//! Step rows of many files, streamed in replay order.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;

use polars_arrow::datatypes::ArrowDataType;
use rayon::prelude::*;

use super::super::columns;
use super::super::error::RecordError;
use super::super::sources::InputFile;
use super::super::table::Table;
use super::super::units::{FileRuns, RunColumns, runs_of_files};
use super::assign::Assigner;
use super::block::StepBlock;
use super::files::{StepFiles, Wave};
use super::index::Index;
use super::judge::judge;
use super::names::KeyNames;
use super::options::StepOptions;
use super::rows::DecodedRows;
use super::runs::{RunInfo, RunStretch};
use super::skips::StepSkips;
use super::spill::Spreader;
use super::values;
use crate::progress::Progress;
use crate::stats::RowMoments;

/// Where the values of one column stand in a row.
pub(in crate::records) struct ValuePart {
    /// The column.
    pub(in crate::records) name: String,
    /// Its dimensions.
    pub(in crate::records) dimensions: Range<usize>,
    /// Whether its cells are lists.
    pub(in crate::records) is_list: bool,
    /// Whether they are of one length by their type.
    pub(in crate::records) is_fixed: bool,
}

/// Step rows of many files, ready to be streamed.
pub struct StepRecording {
    files: StepFiles,
    options: StepOptions,
    index: Index,
    /// Rows of all runs, of which there may be many.
    n_rows: u64,
    notes: Vec<String>,
    skips: Mutex<StepSkips>,
}

/// Data sets all of whose rows are here, in other numbers of episodes than they say.
fn episodes_said(tables: &[Table], runs: &[RunInfo]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut seen = BTreeSet::new();
    for file in tables.iter().map(Table::file) {
        let Some(dataset) = file.member.as_ref().map(|member| &member.dataset) else { continue };
        let (Some(said), true) = (dataset.about.n_episodes, seen.insert(&dataset.root)) else { continue };
        let run = runs.iter().find(|run| run.run_id == file.run && Some(run.n_rows) == dataset.n_rows);
        if let Some(found) = run.map(|run| run.n_episodes).filter(|found| *found != said) {
            let folder = dataset.root.display();
            notes.push(format!("{folder}: it says that it has {said} episodes, its rows are of {found}"));
        }
    }
    notes
}

impl StepRecording {
    /// Opens `files` and reads their key columns.
    ///
    /// # Errors
    /// Unreadable files, missing columns, null keys, a doubled (run, episode, step, env), observations of
    /// several widths.
    pub fn open(
        files: &[InputFile],
        options: &StepOptions,
        progress: &Progress,
    ) -> Result<Self, RecordError> {
        let mut skips = StepSkips::default();
        let mut notes = Vec::new();
        let files = StepFiles::open(files, options, &mut skips, &mut notes)?;
        let bucket_rows = files.bucket_rows();
        let index = Index::build(&files.tables, &files.names, options, bucket_rows, progress, &mut skips)?;
        if index.has_implied_steps() {
            notes.push("no step column: the rows of an episode are taken in file order".to_owned());
        }
        if let Some(note) = index.order_note() {
            notes.push(note);
        }
        notes.extend(episodes_said(&files.tables, index.runs()));
        let n_rows = index.runs().iter().map(|run| run.n_rows).sum();
        Ok(Self { files, options: options.clone(), index, n_rows, notes, skips: Mutex::new(skips) })
    }

    /// Opens some rows of a run, of which nothing has to be found out: no keys are read before the rows are.
    ///
    /// # Errors
    /// Unreadable files, missing columns.
    pub fn open_stretch(
        files: &[InputFile],
        options: &StepOptions,
        stretch: &RunStretch,
    ) -> Result<Self, RecordError> {
        let (mut skips, mut notes) = (StepSkips::default(), Vec::new());
        let mut files = StepFiles::open(files, options, &mut skips, &mut notes)?;
        files.rows = Some(stretch.rows.clone());
        let index = Index::of_stretch(stretch, &files.names);
        let (n_rows, options, skips) = (stretch.run.n_rows, options.clone(), Mutex::new(skips));
        Ok(Self { files, options, index, n_rows, notes, skips })
    }

    /// Runs in replay order.
    pub fn runs(&self) -> &[RunInfo] {
        self.index.runs()
    }

    /// Rows, malformed ones included.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Rows of each environment of a run, in ascending order of environments.
    pub fn rows_of_environments(&self, run: usize) -> &[u64] {
        self.index.env_rows(run)
    }

    /// Whether no column numbers the steps: their place among all files does.
    pub fn has_implied_steps(&self) -> bool {
        self.index.has_implied_steps()
    }

    /// Rows that are read.
    fn n_rows_read(&self) -> u64 {
        self.files.rows.as_ref().map_or(self.n_rows, |rows| rows.end - rows.start)
    }

    /// Files read.
    pub fn n_files(&self) -> usize {
        self.files.tables.len()
    }

    /// Values per row.
    pub fn width(&self) -> usize {
        self.files.width
    }

    /// Names of the dimensions that the data set's description has; none where it has not.
    pub fn named_dimensions(&self) -> Vec<String> {
        let Some(member) = &self.files.tables[0].file().member else { return Vec::new() };
        let parts = self.files.value_columns.iter().zip(&self.files.widths);
        let named = |(column, width): (&String, &usize)| {
            let features = &member.dataset.about.features;
            features.iter().find(|feature| feature.name == *column && feature.dimensions.len() == *width)
        };
        if !parts.clone().any(|part| named(part).is_some()) {
            return Vec::new();
        }
        let is_alone = self.files.value_columns.len() == 1;
        let names = parts.flat_map(|(column, width)| match named((column, width)) {
            Some(feature) if is_alone => feature.dimensions.clone(),
            Some(feature) => feature.dimensions.iter().map(|name| format!("{column}.{name}")).collect(),
            None if *width == 1 => vec![column.clone()],
            None => (0..*width).map(|d| format!("{column}[{d}]")).collect(),
        });
        names.collect()
    }

    /// Names of the dimensions: the data set's, the columns where each has its own, else numbers.
    pub fn dimension_names(&self) -> Vec<String> {
        let named = self.named_dimensions();
        if !named.is_empty() {
            return named;
        }
        if self.files.value_columns.len() == self.files.width {
            return self.files.value_columns.clone();
        }
        let name = match &self.files.value_columns[..] {
            [only] => only,
            _ => self.options.target.field(),
        };
        (0..self.files.width).map(|d| format!("{name}[{d}]")).collect()
    }

    /// Where the values of each column stand in a row.
    pub(in crate::records) fn value_parts(&self) -> Vec<ValuePart> {
        let mut start = 0;
        let part = |(name, width): (&String, &usize)| {
            let dtype = self.files.tables[0].column_type(name);
            let dimensions = start..start + width;
            start = dimensions.end;
            ValuePart {
                name: name.clone(),
                dimensions,
                is_list: dtype.is_some_and(columns::is_list),
                is_fixed: matches!(dtype, Some(ArrowDataType::FixedSizeList(..))),
            }
        };
        self.files.value_columns.iter().zip(&self.files.widths).map(part).collect()
    }

    /// The columns the values come from: one, or one per dimension.
    pub fn value_columns(&self) -> &[String] {
        &self.files.value_columns
    }

    /// The files with the runs of their rows: what the recording can be divided by.
    ///
    /// # Errors
    /// Unreadable files.
    pub fn runs_of_files(&self, progress: &Progress) -> Result<Vec<FileRuns>, RecordError> {
        let files = self.files.tables.iter().zip(&self.files.names).map(|(table, names)| {
            (table, RunColumns { run_id: names.run_id.as_ref(), seed: names.seed.as_ref() })
        });
        runs_of_files(&files.collect::<Vec<_>>(), progress)
    }

    /// Whether all files have the same columns, of the same types: else some say of others how their rows are read.
    pub fn has_uniform_files(&self) -> bool {
        let columns = self.files.tables.iter().map(Table::described_columns);
        let mut columns = columns.collect::<Vec<_>>().into_iter();
        let first = columns.next();
        columns.all(|other| Some(other) == first)
    }

    /// Columns whose rows can be written again, in order. Blocks carry all but the observations, which are written
    /// in normalized form alone.
    pub fn column_names(&self) -> &[String] {
        &self.files.columns
    }

    /// The columns that blocks carry along, in order.
    pub fn carried_columns(&self) -> &[String] {
        &self.files.carried_columns
    }

    /// The column of the first file that plays a role, `reward` for instance.
    pub(in crate::records) fn column_of(&self, role: &str) -> Option<String> {
        self.options.columns.find(&self.files.tables[0], role).ok().flatten()
    }

    /// Whether the recording marks rolled-back rows.
    pub fn has_rolled_back(&self) -> bool {
        self.files.names.iter().any(|names| names.rolled_back.is_some())
    }

    /// Whether `done` alone says how episodes end: which of them terminated is not recorded.
    pub fn has_done_alone(&self) -> bool {
        let is_alone = |names: &KeyNames| names.done.is_some() && names.terminated.is_none();
        self.files.names.iter().any(is_alone)
    }

    /// Whether the episodes of a run are those that its rows number: not where the ends of episodes are recorded and
    /// their numbers are not.
    pub fn has_told_episodes(&self, run: &RunInfo) -> bool {
        run.n_episodes > run.envs.len() as u64 || !self.has_episode_flags()
    }

    /// Whether the recording says where episodes end.
    pub fn has_episode_flags(&self) -> bool {
        let has_flags = |names: &KeyNames| {
            names.terminated.is_some() || names.truncated.is_some() || names.done.is_some()
        };
        self.files.names.iter().any(has_flags)
    }

    /// Remarks for the user.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What was left out so far: complete once everything was streamed.
    pub fn skips(&self) -> StepSkips {
        self.skips.lock().map_or_else(|poisoned| poisoned.into_inner().clone(), |skips| skips.clone())
    }

    /// Whether rows lie in replay order, so that nothing has to be sorted.
    pub fn is_ordered(&self) -> bool {
        self.index.is_ordered()
    }

    /// Streams all rows in replay order. A block holds rows of one run; decoding the next rows and consuming
    /// the last ones overlap.
    ///
    /// # Errors
    /// The first malformed row (unless such rows are skipped), or what `consume` returns.
    pub fn stream<E: From<RecordError> + Send>(
        &self,
        progress: &Progress,
        consume: impl FnMut(StepBlock) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        progress.begin("reading", self.n_rows_read());
        // What an earlier pass over the same rows counted is counted anew.
        self.forget_skips();
        if self.index.is_ordered() {
            self.stream_ordered(progress, consume)
        } else {
            self.stream_sorted(progress, consume)
        }
    }

    /// Streams all rows as they lie in the files, for what does not depend on their order.
    ///
    /// # Errors
    /// As [`StepRecording::stream`].
    pub fn stream_as_recorded<E: From<RecordError> + Send>(
        &self,
        progress: &Progress,
        consume: impl FnMut(StepBlock) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        progress.begin("reading", self.n_rows_read());
        self.forget_skips();
        self.stream_ordered(progress, consume)
    }

    /// Moments of all rows, `rows_per_window` at a time in file order, straight from columns of numbers that lie
    /// apart.
    ///
    /// `None` where rows have to be looked at: several runs, rows left out, lists, nulls or numbers that are not
    /// finite (the general way tells where).
    ///
    /// # Errors
    /// Unreadable files.
    pub fn column_moments(
        &self,
        rows_per_window: usize,
        progress: &Progress,
    ) -> Result<Option<Vec<RowMoments>>, RecordError> {
        if self.runs().len() > 1
            || self.files.value_columns.len() < 2
            || !self.index.skipped_rows().is_empty()
        {
            return Ok(None);
        }
        // Whole columns of a part, as many at once as there are threads: only where they all have room.
        let parts = self.files.tables.iter().flat_map(Table::parts);
        let most_rows = parts.map(|part| part.n_rows as u64).max().unwrap_or(0);
        if most_rows.saturating_mul(8 * self.width() as u64) > self.files.budget() / 2 {
            return Ok(None);
        }
        progress.begin("reading", self.n_rows_read());
        let mut windows = Vec::new();
        for table in &self.files.tables {
            for (part, place) in table.parts().iter().enumerate() {
                let columns = self.files.value_columns.par_iter().map(|name| {
                    let arrays = table.read_arrays(part, &(0..place.n_rows), std::slice::from_ref(name))?;
                    Ok(arrays.first().and_then(|array| values::column_moments(&**array, rows_per_window)))
                });
                let columns: Vec<Option<Vec<RowMoments>>> = columns.collect::<Result<_, RecordError>>()?;
                let Some(columns) = columns.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
                for window in 0..columns[0].len() {
                    let here: Vec<RowMoments> = columns.iter().map(|column| column[window].clone()).collect();
                    windows.push(RowMoments::of_columns(&here));
                }
                progress.advance(place.n_rows as u64);
            }
        }
        Ok(Some(windows))
    }

    fn forget_skips(&self) {
        if let Ok(mut skips) = self.skips.lock() {
            let files = std::mem::take(&mut skips.report.files);
            *skips = StepSkips::default();
            skips.report.files = files;
            for (reason, n) in self.index.skipped_rows() {
                *skips.report.rows.entry(reason).or_default() += n;
            }
        }
    }

    fn stream_ordered<E: From<RecordError> + Send>(
        &self,
        progress: &Progress,
        mut consume: impl FnMut(StepBlock) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let waves = self.files.waves();
        let mut assigner = Assigner::new(&self.index, &self.options)?;
        let mut use_rows = |decoded: Vec<Result<DecodedRows, RecordError>>| -> Result<(), E> {
            for rows in decoded {
                let rows = rows?;
                let n_rows = rows.keys.n_rows() as u64;
                for block in assigner.assign(rows, &self.skips, &self.files.tables)? {
                    consume(block)?;
                }
                progress.advance(n_rows);
            }
            Ok(())
        };
        let none = Wave::default();
        let mut current = self.files.decode(waves.first().unwrap_or(&none));
        for (number, wave) in waves.iter().enumerate() {
            let following = waves.get(number + 1).unwrap_or(&none);
            let decoded = std::mem::take(&mut current);
            if wave.bytes.saturating_add(following.bytes) <= self.files.budget() {
                let (used, next) = rayon::join(|| use_rows(decoded), || self.files.decode(following));
                used?;
                current = next;
            } else {
                // There is no room for both at once.
                use_rows(decoded)?;
                current = self.files.decode(following);
            }
        }
        Ok(())
    }

    fn stream_sorted<E: From<RecordError> + Send>(
        &self,
        progress: &Progress,
        mut consume: impl FnMut(StepBlock) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let mut spreader = Spreader::new(&self.index, &self.options)?;
        for wave in self.files.waves() {
            for rows in self.files.decode(&wave) {
                let mut rows = rows?;
                progress.advance(rows.keys.n_rows() as u64 / 2);
                let judged = judge(&mut rows, &self.options, &self.skips, &self.files.tables)?;
                spreader.spread(&rows, &judged)?;
            }
        }
        let mut assigner = Assigner::new(&self.index, &self.options)?;
        for rows in spreader.into_sorted()? {
            let rows = rows?;
            let n_rows = rows.keys.n_rows() as u64;
            for block in assigner.assign(rows, &self.skips, &self.files.tables)? {
                consume(block)?;
            }
            progress.advance(n_rows - n_rows / 2);
        }
        Ok(())
    }
}

impl std::fmt::Debug for StepRecording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepRecording").field("runs", &self.runs()).finish_non_exhaustive()
    }
}
