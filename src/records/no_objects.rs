//! Object stores in a build without them: there is no object, and who names one is told so.
//!
//! The types have no values, so that what is done with objects elsewhere needs no second version.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use polars_buffer::Buffer;

use super::error::{Problem, RecordError};
use super::job_files::{FileEnds, JobEntry};
use super::on_disk::ReadSeek;
use super::store_url::shown_url;

/// There is none.
#[derive(Debug, Clone)]
pub enum Object {}

/// What a URL names.
pub(super) struct Found {
    pub(super) objects: Vec<Object>,
    pub(super) is_searched: bool,
}

impl Object {
    pub(super) fn at(url: &str) -> Result<Self, RecordError> {
        Err(absent(url))
    }

    pub(super) fn path(&self) -> &Path {
        match *self {}
    }

    pub(super) fn identity(&self) -> &Path {
        match *self {}
    }

    pub(super) fn has_query(&self) -> bool {
        match *self {}
    }

    pub(super) fn n_bytes(&self, _: &str) -> Result<u64, RecordError> {
        match *self {}
    }

    pub(super) fn is_plain_table(&self) -> bool {
        match *self {}
    }

    pub(super) fn read_range(&self, _: &str, _: Range<u64>) -> Result<Buffer<u8>, RecordError> {
        match *self {}
    }

    pub(super) fn read_ranges(&self, _: &str, _: &[Range<u64>]) -> Result<Vec<Buffer<u8>>, RecordError> {
        match *self {}
    }

    pub(super) fn check_sound(&self, _: &str) -> Result<(), RecordError> {
        match *self {}
    }

    pub(super) fn is_same_version(&self, _: &Self) -> bool {
        match *self {}
    }

    pub(super) fn fingerprint(&self, _: &str) -> Result<String, RecordError> {
        match *self {}
    }
}

/// What `url` names.
///
/// # Errors
/// Always.
pub(super) fn find(url: &str, _: &dyn Fn(&str) -> bool) -> Result<Found, RecordError> {
    Err(absent(url))
}

/// A reader of an object.
pub(super) fn reader(object: &Object) -> Box<dyn ReadSeek> {
    match *object {}
}

/// There is nothing to begin with.
pub(super) fn begin_reading(_: &[&Object], _: u64) {}

/// Names in a folder.
pub(super) fn names_in(_: &Path) -> Vec<String> {
    Vec::new()
}

/// A small object.
pub(super) fn small(_: &Path, _: u64) -> Result<Option<Vec<u8>>, String> {
    Err(ABSENT.to_owned())
}

/// An output to an object store: there is none.
#[derive(Debug)]
pub(super) enum Upload {}

impl Upload {
    pub(super) fn begin(_: &Path, _: bool) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, ABSENT))
    }

    pub(super) fn send(&self, _: &mut File) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn remove_replaced(&self) -> io::Result<()> {
        match *self {}
    }
}

/// The objects below a name: there are none.
#[derive(Debug, Clone)]
pub(super) enum ObjectFolder {}

impl ObjectFolder {
    pub(super) fn at(url: &str) -> Result<Self, RecordError> {
        Err(absent(url))
    }

    pub(super) fn url_of(&self, _: &str) -> String {
        match *self {}
    }

    pub(super) fn list(&self, _: &str) -> Result<Vec<JobEntry>, RecordError> {
        match *self {}
    }

    pub(super) fn read_all(&self, _: &[String]) -> Result<Vec<Option<Vec<u8>>>, RecordError> {
        match *self {}
    }

    pub(super) fn ends_of(&self, _: &[String], _: u64) -> Result<Vec<Option<FileEnds>>, RecordError> {
        match *self {}
    }

    pub(super) fn put(&self, _: &str, _: &[u8]) -> Result<(), RecordError> {
        match *self {}
    }

    pub(super) fn remove(&self, _: &[String]) -> Result<(), RecordError> {
        match *self {}
    }
}

const ABSENT: &str = "this build has no object stores";

fn absent(url: &str) -> RecordError {
    let hint = "a build with the feature cloud reads them (cargo install simic --features cloud); or download it first";
    let problem = Problem::Store { detail: ABSENT.to_owned(), hint: hint.to_owned(), may_pass: false };
    RecordError::file(shown_url(url), problem)
}
