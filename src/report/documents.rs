//! Documents of several values and groups in any format: what attributions of every kind share.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::page::Page;
use super::screen::Screen;
use super::tidy::TidyTable;

/// Writes documents: one as a JSON object, several as an array; a line for each row in NDJSON; one typed table; or a page
/// with one after the other.
///
/// # Errors
/// If writing fails.
pub(super) fn write_documents<T: Serialize>(
    documents: &[T],
    format: Format,
    screen: &Screen,
    out: &mut dyn Write,
    rendering: &Rendering<'_, T>,
) -> io::Result<()> {
    match format {
        Format::Json => {
            match documents {
                [document] => serde_json::to_writer(&mut *out, document)?,
                documents => serde_json::to_writer(&mut *out, documents)?,
            }
            writeln!(out)
        }
        Format::Ndjson => documents.iter().try_for_each(|document| (rendering.lines)(document, out)),
        Format::Csv | Format::Parquet | Format::Arrow => (rendering.tidy)(documents).write(format, out),
        Format::Markdown | Format::Table => {
            let mut page = Page::new(format, screen, out);
            for (index, document) in documents.iter().enumerate() {
                if index > 0 {
                    page.blank()?;
                }
                (rendering.page)(document, &mut page)?;
            }
            Ok(())
        }
    }
}

/// How documents of one kind are written.
pub(super) struct Rendering<'a, T> {
    /// Rows of one document, a JSON object on each line.
    pub(super) lines: fn(&T, &mut dyn Write) -> io::Result<()>,
    /// All of them as one table.
    pub(super) tidy: fn(&[T]) -> TidyTable,
    /// One for people.
    pub(super) page: &'a dyn Fn(&T, &mut Page<'_>) -> io::Result<()>,
}

/// A row of a document as a line of NDJSON: what it is, of which value column, index and group.
#[derive(Serialize)]
pub(super) struct Line<'a, T> {
    pub(super) kind: &'static str,
    pub(super) value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) group: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    pub(super) row: T,
}

impl<T: Serialize> Line<'_, T> {
    /// # Errors
    /// If writing fails.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }
}
