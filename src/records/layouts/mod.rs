//! Foreign layouts: what other programs leave on disk, made into tables for the same readers.
//!
//! A layout is told before anything is read of it. Each file here turns one into columns of the canonical names; what
//! its recorder made up, copied or cut is left out there and said in notes.

mod datasets;
mod esper;
mod foreign;
#[cfg(feature = "hdf5")]
mod hdf5;
mod hub;
mod lerobot;
mod member;
mod minari;
mod rllib;

use std::io::{BufRead, BufReader, Read};

use polars_arrow::array::Array;
use polars_arrow::datatypes::ArrowDataType;

use super::error::{Problem, RecordError};
use super::view::View;

pub(super) use datasets::Datasets;
pub(super) use foreign::{foreign, is_worth_naming};
#[cfg(feature = "hdf5")]
pub(in crate::records) use hdf5::{is_named_so as is_named_hdf5, rows as hdf5_rows};
pub(in crate::records) use lerobot::NAME as LEROBOT;
pub(in crate::records) use member::{Dataset, Feature, Member, Role};
pub(in crate::records) use rllib::{
    columns as rllib_columns, is_packed_episodes as is_rllib_episodes, is_steps as is_rllib,
};

/// Which layouts files are looked at for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// All that are known.
    #[default]
    Auto,
    /// None: each file stands for itself.
    Files,
    /// Event logs of esper-lite.
    Esper,
    /// LeRobot.
    Lerobot,
    /// Minari.
    Minari,
    /// RLlib.
    Rllib,
    /// robomimic.
    Robomimic,
    /// D4RL.
    D4rl,
    /// Tables in shards.
    Shards,
}

impl Layout {
    /// Whether files are looked at for `layout`.
    pub(super) fn allows(self, layout: Self) -> bool {
        self == Self::Auto || self == layout
    }

    /// Whether it is one that must be found.
    pub(super) fn is_named(self) -> bool {
        !matches!(self, Self::Auto | Self::Files)
    }

    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Files => "files",
            Self::Esper => "esper-lite",
            Self::Lerobot => "LeRobot",
            Self::Minari => "Minari",
            Self::Rllib => "RLlib",
            Self::Robomimic => "robomimic",
            Self::D4rl => "D4RL",
            Self::Shards => "sharded",
        }
    }
}

/// Columns made of a foreign layout, and what there is to say about them.
pub(super) struct Made {
    pub(super) columns: Vec<(String, ArrowDataType)>,
    pub(super) arrays: Vec<Box<dyn Array>>,
    pub(super) notes: Vec<String>,
}

/// Columns under construction.
#[derive(Default)]
pub(super) struct Columns {
    columns: Vec<(String, ArrowDataType)>,
    arrays: Vec<Box<dyn Array>>,
}

impl Columns {
    pub(super) fn push(&mut self, name: &str, array: Box<dyn Array>) {
        self.columns.push((name.to_owned(), array.dtype().clone()));
        self.arrays.push(array);
    }

    /// Whether there is a column of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|(column, _)| column == name)
    }

    pub(super) fn made(self, notes: Vec<String>) -> Made {
        Made { columns: self.columns, arrays: self.arrays, notes }
    }
}

/// What is read of a folder on disk and of no store.
pub(super) fn in_store(what: &str) -> Problem {
    Problem::Store {
        detail: format!("{what}, which is not read from an object store"),
        hint: "download its folder first, for instance by aws s3 sync".to_owned(),
        may_pass: false,
    }
}

/// Bytes of the first line that tell an event log.
const HEAD_BYTES: u64 = 1 << 16;

/// The views of a file that begins with these bytes: those of an event log, or the whole of any other.
pub(super) fn views(reader: Box<dyn Read>) -> Vec<View> {
    let mut line = Vec::new();
    let mut head = BufReader::new(unpacked(reader).take(HEAD_BYTES));
    let is_log = head.read_until(b'\n', &mut line).is_ok() && esper::is_event(&line);
    if is_log { vec![View::EsperCoalitions, View::EsperSteps] } else { vec![View::Whole] }
}

/// The beginning of a file, unpacked if it is packed with gzip.
fn unpacked(reader: Box<dyn Read>) -> Box<dyn Read> {
    let mut reader = BufReader::new(reader);
    let is_gzip = reader.fill_buf().is_ok_and(|head| head.starts_with(&[0x1f, 0x8b]));
    if is_gzip { Box::new(flate2::read::MultiGzDecoder::new(reader)) } else { Box::new(reader) }
}

/// The columns that a view shows of a file's contents.
pub(super) fn columns(view: View, name: &str, contents: &[u8]) -> Result<Option<Made>, RecordError> {
    match view {
        View::Whole => Ok(None),
        View::EsperCoalitions => esper::coalitions(name, contents).map(Some),
        View::EsperSteps => esper::steps(name, contents).map(Some),
        View::EsperEstimates => esper::estimates(name, contents).map(Some),
    }
}
