//! Episodes laid end to end: the arrays of one group or of many, read as the rows of one table.
//!
//! Nothing but the places of episodes is held; rows are read when they are asked for, a range of them at a time.

use std::collections::BTreeMap;
use std::ops::Range;

use polars_arrow::array::{Array, BooleanArray, PrimitiveArray, new_empty_array};
use polars_arrow::compute::concatenate::concatenate;
use polars_arrow::datatypes::ArrowDataType;

use super::super::error::{Problem, RecordError};
use super::super::part::{Part, decode};
use super::container::{Container, Group, Stored};
use super::numbers::Cell;

/// Bytes of a part, decoded, whatever the machine: parts have numbers that plans of jobs remember.
const PART_BYTES: u64 = 8 << 20;

/// Groups whose headers the decoder may keep in memory; where there are more, each range of rows starts anew.
const KEPT_PIECES: usize = 4096;

/// Consecutive rows that lie in one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::records) struct Piece {
    /// The group, by its name below the recording's; empty for that one itself.
    pub(in crate::records) name: String,
    /// Rows.
    pub(in crate::records) n_rows: u64,
}

/// Which episode rows are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::records) enum Episodes {
    /// Every piece is one, of this number.
    OfPieces(Vec<i64>),
    /// They begin at these rows, and are counted from 0.
    Starts(Vec<u64>),
}

/// Where the values of a column come from.
#[derive(Debug, Clone)]
pub(in crate::records) enum Source {
    /// The number of the row's episode.
    Episode,
    /// The row's place in its episode.
    Step,
    /// Whether the row is the last one of its episode.
    IsLast,
    /// An array of each piece.
    Stored {
        /// The names on the way to it, from the piece.
        path: Vec<String>,
        /// What its rows hold.
        cell: Cell,
        /// Whether it may have rows beyond those of the piece.
        has_spare: bool,
        /// Bytes and rows of its chunks, where the first piece has such.
        chunk: (u64, u64),
    },
}

impl Source {
    /// An array as it is found in a piece.
    pub(in crate::records) fn stored(path: Vec<String>, found: &Stored, has_spare: bool) -> Self {
        let chunk = (found.chunk_bytes, found.chunk_rows);
        Self::Stored { path, cell: found.cell.clone(), has_spare, chunk }
    }
}

/// A column.
#[derive(Debug, Clone)]
pub(in crate::records) struct Field {
    /// Its name.
    pub(in crate::records) name: String,
    /// Its values.
    pub(in crate::records) source: Source,
}

impl Field {
    fn dtype(&self) -> ArrowDataType {
        match &self.source {
            Source::Episode | Source::Step => ArrowDataType::Int64,
            Source::IsLast => ArrowDataType::Boolean,
            Source::Stored { cell, .. } => cell.dtype(),
        }
    }

    /// Bytes of a row.
    fn n_bytes(&self) -> u64 {
        match &self.source {
            Source::Episode | Source::Step => 8,
            Source::IsLast => 1,
            Source::Stored { cell, .. } => cell.n_bytes(),
        }
    }
}

/// An array that is no column, and what it holds instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::records) struct LeftOut {
    /// The column it would be.
    pub(in crate::records) name: String,
    /// What it holds.
    pub(in crate::records) what: String,
}

/// What a layout finds in a file.
#[derive(Debug)]
pub(in crate::records) struct Plan {
    /// The names on the way to the group of the recording.
    pub(in crate::records) base: Vec<String>,
    /// Rows, in order.
    pub(in crate::records) pieces: Vec<Piece>,
    /// Their episodes.
    pub(in crate::records) episodes: Episodes,
    /// Their columns.
    pub(in crate::records) fields: Vec<Field>,
    /// Arrays that are none.
    pub(in crate::records) left_out: Vec<LeftOut>,
    /// What there is to say.
    pub(in crate::records) notes: Vec<String>,
}

/// The rows of a file.
pub(in crate::records) struct EpisodeRows {
    container: Container,
    plan: Plan,
    /// First row of each piece, and the end of all.
    starts: Vec<u64>,
    /// Where each column is among them.
    places: BTreeMap<String, usize>,
}

impl EpisodeRows {
    /// The rows that `plan` finds in a file.
    ///
    /// # Errors
    /// No rows, and more of them than a file of this size can hold.
    pub(in crate::records) fn new(container: Container, plan: Plan) -> Result<Self, RecordError> {
        let mut starts = Vec::with_capacity(plan.pieces.len() + 1);
        let mut end = 0u64;
        starts.push(end);
        for piece in &plan.pieces {
            end = end.saturating_add(piece.n_rows);
            starts.push(end);
        }
        let name = container.name();
        let row_bytes: u64 = plan.fields.iter().map(Field::n_bytes).fold(0, u64::saturating_add);
        container.check_claim(end, row_bytes)?;
        if end == 0 {
            return Err(RecordError::file(name, Problem::NoRows));
        }
        let chunks = plan.fields.iter().filter_map(|field| match &field.source {
            Source::Stored { chunk, .. } => Some((field, chunk.0)),
            _ => None,
        });
        for (field, bytes) in chunks {
            container.budget().check(name, &format!("a chunk of {}", field.name), bytes.saturating_mul(8))?;
        }
        let places = plan.fields.iter().enumerate().rev();
        let places = places.map(|(place, field)| (field.name.clone(), place)).collect();
        let is_kept = plan.pieces.len() <= KEPT_PIECES;
        let container = if is_kept { container } else { container.anew()? };
        Ok(Self { container, plan, starts, places })
    }

    /// Names and types of its columns.
    pub(in crate::records) fn columns(&self) -> Vec<(String, ArrowDataType)> {
        self.plan.fields.iter().map(|field| (field.name.clone(), field.dtype())).collect()
    }

    /// Arrays that are no columns.
    pub(in crate::records) fn left_out(&self) -> &[LeftOut] {
        &self.plan.left_out
    }

    /// What there is to say of the file.
    pub(in crate::records) fn notes(&self) -> Vec<String> {
        self.plan.notes.iter().map(|note| format!("{}: {note}", self.container.name())).collect()
    }

    /// Its rows in parts: as many whole pieces as take some megabytes, or as many chunks of a long one.
    pub(in crate::records) fn parts(&self) -> Vec<Part> {
        let row_bytes: u64 = self.plan.fields.iter().map(Field::n_bytes).fold(0, u64::saturating_add);
        let per_part = (PART_BYTES / row_bytes.max(1)).max(1);
        let chunk_rows = self.plan.fields.iter().map(|field| match &field.source {
            Source::Stored { chunk: (bytes, rows), .. } if *bytes > 0 => *rows,
            _ => 1,
        });
        // Whole chunks, where they are not much longer than a part: each is then decoded once.
        let chunk_rows = chunk_rows.max().unwrap_or(1);
        let per_part =
            if chunk_rows <= 4 * per_part { per_part.next_multiple_of(chunk_rows) } else { per_part };
        let mut parts = Vec::new();
        let mut start = 0;
        let mut close = |start: &mut u64, end: u64| {
            let n_rows = usize::try_from(end - *start).unwrap_or(usize::MAX);
            if n_rows > 0 {
                parts.push(Part { first_row: *start, n_rows });
            }
            *start = end;
        };
        for piece in self.starts.windows(2) {
            if piece[1] - start > per_part && piece[0] > start {
                close(&mut start, piece[0]);
            }
            while piece[1] - start > per_part {
                let end = start + per_part;
                close(&mut start, end);
            }
        }
        close(&mut start, self.starts.last().copied().unwrap_or(0));
        parts
    }

    fn named(&self, names: &[String]) -> impl Iterator<Item = &Field> {
        names.iter().filter_map(|name| self.places.get(name)).map(|place| &self.plan.fields[*place])
    }

    /// Bytes of the named columns of so many rows, decoded.
    pub(in crate::records) fn n_bytes(&self, n_rows: usize, names: &[String]) -> u64 {
        let row = self.named(names).map(Field::n_bytes).fold(0, u64::saturating_add);
        row.saturating_mul(n_rows as u64)
    }

    /// The same with what decoding them takes beside: a chunk, and its packed bytes.
    pub(in crate::records) fn decoding_bytes(&self, n_rows: usize, names: &[String]) -> u64 {
        let chunks = self.named(names).map(|field| match &field.source {
            Source::Stored { chunk, .. } => chunk.0.saturating_mul(2),
            _ => 0,
        });
        chunks.fold(self.n_bytes(n_rows, names), u64::saturating_add)
    }

    /// Bytes held for as long as the file is open.
    pub(in crate::records) fn held_bytes(&self) -> u64 {
        let episodes = match &self.plan.episodes {
            Episodes::OfPieces(numbers) => numbers.len(),
            Episodes::Starts(starts) => starts.len(),
        };
        64 * self.plan.pieces.len() as u64 + 8 * episodes as u64
    }

    /// The named columns of rows.
    ///
    /// # Errors
    /// A damaged file, rows over the budget, and pieces whose arrays are not all alike.
    pub(in crate::records) fn read(
        &self,
        rows: &Range<u64>,
        names: &[String],
    ) -> Result<Vec<Box<dyn Array>>, RecordError> {
        let n_rows = usize::try_from(rows.end - rows.start).unwrap_or(usize::MAX);
        let part = format!("rows {} to {}", rows.start, rows.end);
        let bytes = self.decoding_bytes(n_rows, names);
        self.container.budget().check(self.container.name(), &part, bytes)?;
        let fields: Vec<&Field> = self.named(names).collect();
        let mut read: Vec<Vec<Box<dyn Array>>> = vec![Vec::new(); fields.len()];
        if fields.iter().any(|field| matches!(field.source, Source::Stored { .. })) {
            self.read_stored(rows, &fields, &mut read)?;
        }
        let joined = fields.iter().zip(read).map(|(field, arrays)| self.joined(field, rows, arrays));
        joined.collect()
    }

    /// The arrays of every piece that has some of the rows.
    fn read_stored(
        &self,
        rows: &Range<u64>,
        fields: &[&Field],
        read: &mut [Vec<Box<dyn Array>>],
    ) -> Result<(), RecordError> {
        let is_kept = self.plan.pieces.len() <= KEPT_PIECES;
        let container = if is_kept { self.container.clone() } else { self.container.anew()? };
        let base = container.group(&self.plan.base)?;
        let first = self.starts.partition_point(|start| *start <= rows.start).saturating_sub(1);
        for (piece, start) in self.plan.pieces.iter().zip(&self.starts).skip(first) {
            if *start >= rows.end {
                break;
            }
            let within = rows.start.max(*start) - start..rows.end.min(start + piece.n_rows) - start;
            if within.is_empty() {
                continue;
            }
            let own = if piece.name.is_empty() { None } else { Some(base.group(&piece.name)?) };
            let group = own.as_ref().unwrap_or(&base);
            for (field, read) in fields.iter().zip(&mut *read) {
                if let Source::Stored { path, cell, has_spare, .. } = &field.source {
                    read.push(self.read_array(group, path, cell, *has_spare, piece.n_rows, &within)?);
                }
            }
        }
        Ok(())
    }

    /// Rows of one array, which is as that of the first piece is.
    fn read_array(
        &self,
        group: &Group,
        path: &[String],
        cell: &Cell,
        has_spare: bool,
        n_rows: u64,
        rows: &Range<u64>,
    ) -> Result<Box<dyn Array>, RecordError> {
        let Some((name, folders)) = path.split_last() else { unreachable!("an array has a name") };
        let mut own: Option<Group> = None;
        for folder in folders {
            own = Some(own.as_ref().unwrap_or(group).group(folder)?);
        }
        let group = own.as_ref().unwrap_or(group);
        let stored = match group.array(name)? {
            Ok(stored) => stored,
            Err(what) => {
                let detail = format!("{}/{name} holds {what}, those before it numbers", group.path());
                let problem = Problem::Unreadable { format: "HDF5", detail };
                return Err(RecordError::file(self.container.name(), problem));
            }
        };
        let is_alike = stored.cell == *cell || stored.cell.clone().squeezed() == *cell;
        if !is_alike {
            return Err(
                stored.damaged("its rows are of another type or width than those of the first episode")
            );
        }
        if stored.n_rows < n_rows || (stored.n_rows > n_rows && !has_spare) {
            let detail = format!("it has {} rows, its episode {n_rows}", stored.n_rows);
            return Err(stored.damaged(&detail));
        }
        stored.read(rows, cell)
    }

    /// The column of a field for rows: its arrays one after the other, or what their place says.
    fn joined(
        &self,
        field: &Field,
        rows: &Range<u64>,
        mut arrays: Vec<Box<dyn Array>>,
    ) -> Result<Box<dyn Array>, RecordError> {
        let places = || self.places_of(rows);
        Ok(match &field.source {
            Source::Episode => {
                Box::new(PrimitiveArray::from_vec(places().map(|place| place.episode).collect::<Vec<i64>>()))
            }
            Source::Step => {
                Box::new(PrimitiveArray::from_vec(places().map(|place| place.step).collect::<Vec<i64>>()))
            }
            Source::IsLast => {
                Box::new(BooleanArray::from_slice(places().map(|place| place.is_last).collect::<Vec<bool>>()))
            }
            Source::Stored { .. } if arrays.is_empty() => new_empty_array(field.dtype()),
            Source::Stored { .. } if arrays.len() == 1 => arrays.swap_remove(0),
            Source::Stored { .. } => {
                let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
                decode(self.container.name(), "HDF5", || concatenate(&arrays))?
            }
        })
    }

    /// Where each of the rows stands in its episode.
    fn places_of(&self, rows: &Range<u64>) -> impl Iterator<Item = RowPlace> {
        let end = self.starts.last().copied().unwrap_or(0);
        let starts: &[u64] = match &self.plan.episodes {
            Episodes::OfPieces(_) => &self.starts[..self.plan.pieces.len()],
            Episodes::Starts(starts) => starts,
        };
        let mut episode = starts.partition_point(|start| *start <= rows.start).saturating_sub(1);
        rows.clone().map(move |row| {
            // Of episodes without rows the next one begins where they do.
            while starts.get(episode + 1).is_some_and(|next| *next <= row) {
                episode += 1;
            }
            let number = match &self.plan.episodes {
                Episodes::OfPieces(numbers) => numbers[episode],
                Episodes::Starts(_) => episode as i64,
            };
            let next = starts.get(episode + 1).copied().unwrap_or(end);
            RowPlace { episode: number, step: (row - starts[episode]) as i64, is_last: row + 1 == next }
        })
    }
}

/// A row's place.
struct RowPlace {
    episode: i64,
    step: i64,
    is_last: bool,
}
