//! Files packed as a whole with gzip or Zstandard.

use std::io::Read;

use polars_buffer::Buffer;

use super::budget::PartBudget;
use super::error::{Problem, RecordError};
use super::place::Place;
use super::sources::InputFile;

/// The same file with its contents unpacked in memory, if its first bytes say that it is packed.
///
/// # Errors
/// Damaged contents, and contents beyond the file's budget.
pub(super) fn unpack(input: &InputFile) -> Result<Option<InputFile>, RecordError> {
    if input.place.is_plain_table() {
        return Ok(None);
    }
    let mut reader = input.place.open_reader(&input.name)?;
    let mut head = [0u8; 4];
    let n_read = read_up_to(&mut reader, &mut head).map_err(|error| RecordError::file(&input.name, error))?;
    let reader = std::io::Cursor::new(head[..n_read].to_vec()).chain(reader);
    let (format, contents) = match head {
        [0x1f, 0x8b, ..] => ("gzip", read_within(flate2::read::MultiGzDecoder::new(reader), input.budget)),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            let decoder = zstd::stream::read::Decoder::new(reader);
            ("Zstandard", decoder.and_then(|decoder| read_within(decoder, input.budget)))
        }
        _ => return Ok(None),
    };
    let contents = contents.map_err(|error| {
        RecordError::file(&input.name, Problem::Unreadable { format, detail: error.to_string() })
    })?;
    input.budget.check(&input.name, "the file", contents.len() as u64)?;
    Ok(Some(InputFile { place: Place::Memory(Buffer::from_vec(contents)), ..input.clone() }))
}

fn read_up_to(reader: &mut impl Read, bytes: &mut [u8]) -> std::io::Result<usize> {
    let mut n_read = 0;
    while n_read < bytes.len() {
        match reader.read(&mut bytes[n_read..])? {
            0 => break,
            n => n_read += n,
        }
    }
    Ok(n_read)
}

/// All there is, or one byte more than the budget has room for.
fn read_within(reader: impl Read, budget: PartBudget) -> std::io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    reader.take(budget.bytes().saturating_add(1)).read_to_end(&mut contents)?;
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::records::discover;

    fn packed(bytes: &[u8], name: &str) -> (tempfile::TempDir, InputFile) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let mut found = discover(&[path.display().to_string()], None).expect("found");
        (directory, found.files.remove(0))
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("packed");
        encoder.finish().expect("packed")
    }

    #[test]
    fn contents_are_those_of_the_file() {
        let text = b"a,b\n1,2\n";
        for (bytes, name) in
            [(gzip(text), "x.csv.gz"), (zstd::encode_all(&text[..], 3).expect("packed"), "x.csv.zst")]
        {
            let (_directory, file) = packed(&bytes, name);
            assert_eq!(file.run, "x");
            let unpacked = unpack(&file).expect("readable").expect("packed");
            assert_eq!(unpacked.place.read_whole("x").expect("read").as_slice(), text);
        }
        let (_directory, plain) = packed(text, "x.csv");
        assert!(unpack(&plain).expect("readable").is_none());
    }

    #[test]
    fn what_unpacks_to_more_than_the_budget_is_refused() {
        let (_directory, mut file) = packed(&gzip(&vec![b'0'; 1 << 20]), "zeros.csv.gz");
        file.budget = PartBudget::of_bytes(1 << 16);
        let error = unpack(&file).expect_err("too large");
        assert!(matches!(error.problem, Problem::OverBudget { .. }), "{error}");
    }

    #[test]
    fn a_cut_file_is_an_error() {
        let whole = gzip(b"a,b\n1,2\n");
        let (_directory, file) = packed(&whole[..whole.len() - 6], "cut.csv.gz");
        let error = unpack(&file).expect_err("damaged");
        assert!(matches!(error.problem, Problem::Unreadable { format: "gzip", .. }), "{error}");
    }
}
