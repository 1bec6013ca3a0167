//! HDF5 files as rows: groups, arrays and attributes of a file (`container`), and episodes laid end to end (`rows`).
//!
//! What a recording of some program looks like inside is told by its layout (`layouts`), not here.

mod container;
mod lzf;
mod numbers;
mod rows;

pub(super) use container::{Container, Group, Names, Stored};
pub(super) use rows::{EpisodeRows, Episodes, Field, LeftOut, Piece, Plan, Source};
