//! Objects of stores (`s3://`, `gs://`, `az://`, `https://`) in the place of files: the only user of object_store and
//! its runtime.
//!
//! An object is read by ranges of its bytes, each of the version that was seen first. What the rest of the program knows
//! of it is a path made of its URL without secrets.

mod aws_files;
mod credentials;
mod failure;
mod folder;
mod listing;
mod object;
mod ranges;
mod reader;
mod stores;
mod upload;
mod url;

pub(super) use folder::ObjectFolder;
pub(super) use listing::{find, names_in, small};

pub(super) use object::{Object, begin_reading};
pub(super) use reader::reader;
pub(super) use upload::Upload;
