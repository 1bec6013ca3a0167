//! Recordings of RLlib (ray 2.x): `ENV/run-WORKER-N/*.parquet`, rows of steps with text for episodes.
//!
//! One run for each `ENV` folder, the worker is the environment. Episodes are numbered as they first appear; a row's step is its `t`, else
//! its place in its episode. Observations may be packed, each cell by itself: Base64 of an LZ4 frame of a pickled array. They
//! are decoded as data, within a budget; nothing in them is executed.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polars_arrow::array::{Array, BinaryArray, BinaryViewArray, FixedSizeListArray, PrimitiveArray};
use polars_arrow::datatypes::ArrowDataType;

use super::super::columns;
use super::super::error::{Problem, RecordError};
use super::super::pickle::Pickle;
use super::super::types::describe_type;
use super::member::{About, Dataset, Member};
use super::{Columns, Made};

/// What the layout is called.
pub(super) const NAME: &str = "RLlib";

/// Episodes of one file at most: those of the next are numbered from there on.
const EPISODES_PER_FILE: i64 = 1_000_000;

/// Bytes that one packed cell may hold.
const MAX_CELL: u64 = 16 << 20;

/// How the Base64 of an LZ4 frame begins.
const PACKED: &str = "BCJNG";

/// The place of a file among those of its run: `ENV/run-WORKER-N/*.parquet`.
pub(super) fn member(file: &Path, files: &mut BTreeMap<PathBuf, Vec<PathBuf>>) -> Option<Member> {
    let folder = file.parent()?;
    let (worker, _) = numbers(folder)?;
    let root = folder.parent()?;
    if file.extension().is_none_or(|extension| extension != "parquet") || !has_columns(file) {
        return None;
    }
    let all = files.entry(root.to_owned()).or_insert_with(|| listed(root));
    let of_worker =
        all.iter().filter(|other| other.parent().and_then(numbers).is_some_and(|(other, _)| other == worker));
    let place = of_worker.take_while(|other| *other != file).count();
    let dataset =
        Dataset { layout: NAME, root: root.to_owned(), n_rows: None, n_files: None, about: About::default() };
    Some(Member {
        dataset: Arc::new(dataset),
        run: root.to_owned(),
        episode: i64::try_from(place).ok()?.checked_mul(EPISODES_PER_FILE)?,
        env: worker,
        n_rows: None,
    })
}

/// Worker and number of a folder that is called so.
fn numbers(folder: &Path) -> Option<(i64, i64)> {
    let (worker, number) = folder.file_name()?.to_str()?.strip_prefix("run-")?.split_once('-')?;
    Some((worker.parse().ok()?, number.parse().ok()?))
}

/// Files of a run in the order in which they were written.
fn listed(root: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let folders = entries(root).map(|entry| entry.path()).filter_map(|path| Some((numbers(&path)?, path)));
    let mut folders: Vec<((i64, i64), PathBuf)> = folders.collect();
    folders.sort();
    let files = folders.iter().flat_map(|(_, folder)| {
        let mut files: Vec<PathBuf> = entries(folder).map(|entry| entry.path()).collect();
        files.sort();
        files
    });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "parquet")).collect()
}

/// Whether the footer of a Parquet file names the columns of such a recording.
fn has_columns(file: &Path) -> bool {
    let footer = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(file)?;
        let n_bytes = file.metadata()?.len();
        let mut end = [0u8; 8];
        file.seek(SeekFrom::Start(n_bytes.saturating_sub(8)))?;
        file.read_exact(&mut end)?;
        let length = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]])).min(1 << 20);
        file.seek(SeekFrom::Start(n_bytes.saturating_sub(8 + length)))?;
        let mut footer = Vec::new();
        file.take(length).read_to_end(&mut footer)?;
        Ok(footer)
    };
    let footer = footer().unwrap_or_default();
    let names = |name: &[u8]| footer.windows(name.len()).any(|part| part == name);
    names(b"eps_id") && names(b"new_obs")
}

/// Whether columns are those of its rows of steps.
pub(in crate::records) fn is_steps(columns: &[(String, ArrowDataType)]) -> bool {
    ["eps_id", "obs", "new_obs"].iter().all(|name| columns.iter().any(|(column, _)| column == name))
}

/// Whether the only column is that of whole episodes in MessagePack.
pub(in crate::records) fn is_packed_episodes(columns: &[(String, ArrowDataType)]) -> bool {
    let is_bytes = |dtype: &ArrowDataType| {
        matches!(dtype, ArrowDataType::Binary | ArrowDataType::LargeBinary | ArrowDataType::BinaryView)
    };
    matches!(columns, [(name, dtype)] if name == "item" && is_bytes(dtype))
}

/// The columns of its rows, under the names that rows of steps have.
///
/// # Errors
/// Cells that cannot be unpacked, with their row; observations of several widths.
pub(in crate::records) fn columns(
    name: &str,
    read: Vec<(String, Box<dyn Array>)>,
    first: (i64, i64),
) -> Result<Made, RecordError> {
    let (first_episode, env) = first;
    let mut made = Columns::default();
    let mut steps = None;
    for (column, array) in read {
        match &column[..] {
            "eps_id" => {
                let episodes = Episodes::of(name, &*array, first_episode)?;
                made.push("episode", Box::new(PrimitiveArray::from_vec(episodes.numbers)));
                made.push("env_id", Box::new(PrimitiveArray::from_vec(vec![env; array.len()])));
                steps = Some(episodes.steps);
                made.push("eps_id", array);
            }
            "obs" => made.push("obs", unpacked(name, &column, array)?),
            // The observation after the step stands in the next row.
            "new_obs" => {}
            "t" => {
                steps = None;
                made.push("step", array);
            }
            "rewards" => made.push("reward", array),
            "terminateds" => made.push("terminated", array),
            "truncateds" => made.push("truncated", array),
            _ => made.push(&column, array),
        }
    }
    if let Some(steps) = steps.filter(|_| !made.has("step")) {
        made.push("step", Box::new(PrimitiveArray::from_vec(steps)));
    }
    Ok(made.made(Vec::new()))
}

/// Episodes as numbers, and the place of each row in its own.
struct Episodes {
    numbers: Vec<i64>,
    steps: Vec<i64>,
}

impl Episodes {
    fn of(name: &str, array: &dyn Array, first: i64) -> Result<Self, RecordError> {
        let texts: Option<Vec<Option<String>>> =
            columns::texts(array).map(|texts| texts.iter().map(|text| text.map(str::to_owned)).collect());
        let texts = texts.or_else(|| {
            let numbers = columns::numbers(array)?;
            let is_valid = |row: usize| array.validity().is_none_or(|validity| validity.get_bit(row));
            Some(numbers.iter().enumerate().map(|(row, x)| is_valid(row).then(|| x.to_string())).collect())
        });
        let Some(texts) = texts else {
            let found = describe_type(array.dtype());
            return Err(RecordError::column(
                name,
                "eps_id",
                Problem::WrongType { expected: "text or integers", found },
            ));
        };
        let mut known: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        let mut episodes = Self { numbers: Vec::new(), steps: Vec::new() };
        for (row, text) in texts.into_iter().enumerate() {
            let Some(text) = text else {
                return Err(RecordError::cell(name, row as u64, "eps_id", Problem::Null("an episode")));
            };
            let next = first + known.len() as i64;
            let (number, n_rows) = known.entry(text).or_insert((next, 0));
            episodes.numbers.push(*number);
            episodes.steps.push(*n_rows);
            *n_rows += 1;
        }
        if known.len() as i64 > EPISODES_PER_FILE {
            let detail = format!("{} episodes in one file", known.len());
            return Err(RecordError::file(name, Problem::Unreadable { format: NAME, detail }));
        }
        Ok(episodes)
    }
}

/// Observations as lists of numbers: as they are, or each cell unpacked.
fn unpacked(name: &str, column: &str, array: Box<dyn Array>) -> Result<Box<dyn Array>, RecordError> {
    let Some(cells) = Cells::of(&*array) else { return Ok(array) };
    let mut values: Vec<f64> = Vec::new();
    let mut width = None;
    let mut is_single = true;
    for row in 0..array.len() {
        let failed = |detail: String| {
            let detail = format!("{detail}; recorded with output_compress_columns: [] it is a list");
            RecordError::cell(
                name,
                row as u64,
                column,
                Problem::Unreadable { format: "packed observation", detail },
            )
        };
        let Some(cell) = cells.get(row) else {
            return Err(RecordError::cell(name, row as u64, column, Problem::Null("an observation")));
        };
        let numbers = decoded(cell).map_err(failed)?;
        is_single &= numbers.is_single;
        let expected = *width.get_or_insert(numbers.values.len());
        if numbers.values.len() != expected {
            let problem = Problem::ObservationWidth { found: numbers.values.len(), expected };
            return Err(RecordError::cell(name, row as u64, column, problem));
        }
        values.extend(numbers.values);
    }
    let width = width.unwrap_or(0);
    #[expect(clippy::cast_possible_truncation, reason = "numbers that were 32-bit ones")]
    let flat: Box<dyn Array> = if is_single {
        Box::new(PrimitiveArray::from_vec(values.iter().map(|x| *x as f32).collect::<Vec<f32>>()))
    } else {
        Box::new(PrimitiveArray::from_vec(values))
    };
    let dtype = FixedSizeListArray::default_datatype(flat.dtype().clone(), width);
    Ok(Box::new(FixedSizeListArray::new(dtype, array.len(), flat, None)))
}

/// Cells of text or bytes.
enum Cells {
    Text(polars_arrow::array::Utf8ViewArray),
    Bytes(BinaryViewArray),
}

impl Cells {
    fn of(array: &dyn Array) -> Option<Self> {
        if let Some(texts) = columns::texts(array) {
            return Some(Self::Text(texts));
        }
        let any = array.as_any();
        if let Some(bytes) = any.downcast_ref::<BinaryViewArray>() {
            return Some(Self::Bytes(bytes.clone()));
        }
        let bytes = any.downcast_ref::<BinaryArray<i64>>()?;
        Some(Self::Bytes(BinaryViewArray::from_slice(bytes.iter().collect::<Vec<_>>())))
    }

    fn get(&self, row: usize) -> Option<&[u8]> {
        match self {
            Self::Text(texts) => texts.get(row).map(str::as_bytes),
            Self::Bytes(bytes) => bytes.get(row),
        }
    }
}

/// Numbers of one cell.
struct Numbers {
    values: Vec<f64>,
    is_single: bool,
}

/// Base64 of an LZ4 frame of a pickle, or such a frame itself.
fn decoded(cell: &[u8]) -> Result<Numbers, String> {
    let frame = if cell.starts_with(PACKED.as_bytes()) {
        base64(cell).ok_or("no Base64")?
    } else if cell.starts_with(&[0x04, 0x22, 0x4d, 0x18]) {
        cell.to_vec()
    } else {
        return Err("neither a list of numbers nor an LZ4 frame".to_owned());
    };
    let mut pickled = Vec::new();
    let decoder = lz4::Decoder::new(&frame[..]).map_err(|error| error.to_string())?;
    decoder.take(MAX_CELL + 1).read_to_end(&mut pickled).map_err(|error| format!("LZ4: {error}"))?;
    if pickled.len() as u64 > MAX_CELL {
        return Err(format!("it unpacks to more than {} MiB", MAX_CELL >> 20));
    }
    let pickle = Pickle::read(&pickled)?;
    let values = pickle.numbers(pickle.root())?.ok_or("its pickle holds no array of numbers")?;
    Ok(Numbers { values, is_single: pickle.is_single(pickle.root()) })
}

/// Bytes of Base64 (RFC 4648, padded or not); `None` where there is another character.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut word, mut n_bits) = (0u32, 0);
    let end = text.iter().rposition(|c| *c != b'=').map_or(0, |last| last + 1);
    for c in &text[..end] {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        word = (word << 6) | u32::from(six);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push(u8::try_from((word >> n_bits) & 0xff).unwrap_or(0));
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")]
        {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(base64(b"Zm*v"), None);
    }

    #[test]
    fn cells_that_are_no_packed_arrays_are_errors() {
        for cell in [&b""[..], b"BCJNG", b"BCJNGEBA*", b"hello", b"\x04\x22\x4d\x18\x60\x40\x82"] {
            assert!(decoded(cell).is_err(), "{cell:?}");
        }
    }

    #[test]
    fn folders_of_workers_are_told_by_their_numbers() {
        assert_eq!(numbers(Path::new("out/CartPole-v1/run-000001-00004")), Some((1, 4)));
        for other in ["run-1", "run-a-b", "walk-1-2"] {
            assert_eq!(numbers(Path::new(other)), None, "{other}");
        }
    }
}
