//! Which format a file is of.

use std::io::Read;
use std::path::Path;

use super::error::{Problem, RecordError};
use super::layouts;
use super::place::Place;
use super::run_names::unpacked_path;
use super::sources::InputFile;
use super::text::TextFormat;

/// How the bytes of a file are read.
pub(super) enum Format {
    /// Parquet.
    Parquet,
    /// Arrow IPC.
    Ipc,
    /// Text, of one of its formats.
    Text(TextFormat),
    /// HDF5.
    #[cfg(feature = "hdf5")]
    Hdf5,
}

/// By extension; a file without a known one by its first bytes.
pub(super) fn format_of(input: &InputFile) -> Result<Format, RecordError> {
    let path = unpacked_path(Path::new(&input.name));
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        Some("parquet" | "pq" | "parq") => return Ok(Format::Parquet),
        Some("arrow" | "ipc" | "feather") => return Ok(Format::Ipc),
        _ => {}
    }
    let mut head = [0u8; 64];
    let n = input
        .place
        .open_reader(&input.name)?
        .read(&mut head)
        .map_err(|error| RecordError::file(&input.name, error))?;
    let head = &head[..n];
    #[cfg(feature = "hdf5")]
    if head.starts_with(b"\x89HDF\r\n\x1a\n") || layouts::is_named_hdf5(&path) {
        return Ok(Format::Hdf5);
    }
    if let Some((format, hint)) = layouts::foreign(&path, head) {
        return Err(RecordError::file(&input.name, Problem::ForeignFormat(format, hint)));
    }
    match extension.as_deref() {
        Some("ndjson" | "jsonl") => return Ok(Format::Text(TextFormat::Ndjson)),
        Some("csv") => return Ok(Format::Text(TextFormat::Delimited)),
        Some("tsv") => return Ok(Format::Text(TextFormat::Tabs)),
        _ => {}
    }
    if head.starts_with(b"PAR1") {
        Ok(Format::Parquet)
    } else if head.starts_with(b"ARROW1") {
        Ok(Format::Ipc)
    } else if head.trim_ascii_start().starts_with(b"{") {
        Ok(Format::Text(TextFormat::Ndjson))
    } else if !head.is_empty() && matches!(input.place, Place::Memory(_)) && std::str::from_utf8(head).is_ok()
    {
        Ok(Format::Text(TextFormat::Delimited))
    } else {
        Err(RecordError::file(&input.name, Problem::UnknownFormat))
    }
}
