//! Files damaged at random, byte by byte and length by length: read or refused, never a crash.
//!
//! An allocation that fails or a stack that overflows ends this process, and so this test.

use std::sync::Once;

use polars_arrow::array::{
    Array, BooleanArray, DictionaryArray, FixedSizeListArray, ListArray, PrimitiveArray, Utf8ViewArray,
};
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field};
use polars_arrow::io::ipc::write::{Compression, FileWriter, WriteOptions};
use polars_arrow::offset::Offsets;
use polars_arrow::record_batch::RecordBatchT;
use polars_buffer::Buffer;

use super::budget::PartBudget;
use super::error::RecordError;
use super::place::Place;
use super::sources::{InputFile, Origin};
use super::table::Table;
use super::view::View;

/// Mutations of each file.
const N_MUTATIONS: u64 = 4000;

const BUDGET: PartBudget = PartBudget::of_bytes(64 << 20);

/// Numbers that lengths are replaced with.
const LENGTHS: [i64; 12] = [
    0,
    -1,
    7,
    i32::MAX as i64,
    i32::MIN as i64,
    1 << 31,
    1 << 32,
    1 << 40,
    1 << 60,
    i64::MAX,
    i64::MIN,
    (1 << 24) + 1,
];

/// xorshift64*: a few lines, the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits") % n
    }

    /// A place in a file; half of them in its last two kilobytes, where footers are.
    fn place(&mut self, n_bytes: usize) -> usize {
        let from = if self.below(2) == 0 { n_bytes.saturating_sub(2048) } else { 0 };
        from + self.below(n_bytes - from)
    }
}

/// One change of a file, never of the first bytes that tell its format.
fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let place = random.place(bytes.len()).max(8);
    let rest = bytes.len() - place;
    match random.below(6) {
        0 => bytes[place] = random.below(256).to_le_bytes()[0],
        1 => bytes[place] ^= 1 << random.below(8),
        2 => (0..random.below(16).min(rest))
            .for_each(|i| bytes[place + i] = random.below(256).to_le_bytes()[0]),
        3 => {
            let raw = LENGTHS[random.below(LENGTHS.len())].to_le_bytes();
            let n = [4, 8][random.below(2)].min(rest);
            bytes[place..place + n].copy_from_slice(&raw[..n]);
        }
        // A number of seven-bit groups, as Thrift and Parquet's runs have them.
        4 => {
            let n = (1 + random.below(9)).min(rest);
            bytes[place..place + n].fill(0xff);
            bytes[place + n - 1] = 0x07;
        }
        _ => bytes.truncate(place),
    }
    bytes
}

/// Opens a file and reads every column of every part, whole and in part.
fn read_all(bytes: Vec<u8>) -> Result<u64, RecordError> {
    let place = Place::Memory(Buffer::from_vec(bytes));
    let (name, run) = ("test".to_owned(), String::new());
    let input = InputFile {
        name,
        place,
        origin: Origin::Named,
        run,
        budget: BUDGET,
        view: View::Whole,
        member: None,
        parts: None,
    };
    let table = Table::open(&input)?;
    let names = table.column_names();
    for (i, part) in table.parts().iter().enumerate() {
        table.read(i, &names)?;
        table.read_arrays(i, &(part.n_rows / 3..part.n_rows / 2), &names)?;
    }
    Ok(table.n_rows())
}

/// Panics of decoders are errors; they need not be printed.
fn quiet_decoders() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !super::is_decoding() {
                default(info);
            }
        }));
    });
}

fn check_file(name: &str, bytes: &[u8]) {
    quiet_decoders();
    let n_rows = read_all(bytes.to_vec()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(n_rows > 0, "{name}");
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64);
    let mut n_refused = 0;
    for _ in 0..N_MUTATIONS {
        if let Err(error) = read_all(mutated(bytes, &mut random)) {
            n_refused += 1;
            assert_eq!(error.to_string().lines().count(), 1, "{name}: {error}");
        }
    }
    assert!(n_refused > N_MUTATIONS / 20, "{name}: {n_refused} of {N_MUTATIONS} mutations were noticed");
}

#[test]
fn damaged_parquet_is_read_or_refused() {
    for file in [
        "reference/glove_2_3.parquet",
        "simulated/mask.parquet",
        "simulated/repeats.parquet",
        "simulated/steps.parquet",
        "esper/transitions.parquet",
        "digits_regions.parquet",
        "normalizers/next_step.parquet",
        "hostile/delta.parquet",
    ] {
        let path = format!("{}/fixtures/{file}", env!("CARGO_MANIFEST_DIR"));
        check_file(file, &std::fs::read(path).expect("a fixture"));
    }
}

#[cfg(feature = "hdf5")]
#[test]
fn damaged_hdf5_is_read_or_refused() {
    for file in ["walker-v2.hdf5", "latest.hdf5", "plain.h5", "low_dim.hdf5", "dense.hdf5"] {
        let path = format!("{}/fixtures/layouts/hdf5/{file}", env!("CARGO_MANIFEST_DIR"));
        check_file(file, &std::fs::read(path).expect("a fixture"));
    }
    let minari = "fixtures/layouts/hdf5/minari/goal/hdf5-v0/data/main_data.hdf5";
    let path = format!("{}/{minari}", env!("CARGO_MANIFEST_DIR"));
    check_file("main_data.hdf5", &std::fs::read(path).expect("a fixture"));
}

#[test]
fn damaged_arrow_ipc_is_read_or_refused() {
    // Zstandard is what dictionary.arrow is compressed with.
    for compression in [None, Some(Compression::LZ4)] {
        check_file(&format!("{compression:?}"), &ipc_file(compression));
    }
    let path = format!("{}/fixtures/hostile/dictionary.arrow", env!("CARGO_MANIFEST_DIR"));
    check_file("dictionary.arrow", &std::fs::read(path).expect("a fixture"));
}

/// A file with a column of every kind that is read, in two batches.
fn ipc_file(compression: Option<Compression>) -> Vec<u8> {
    let n = 64usize;
    let numbers = PrimitiveArray::<i64>::from_vec((0..n as i64).collect());
    let floats = PrimitiveArray::<f32>::from_vec((0..3 * n).map(|i| i as f32).collect());
    let item = Box::new(Field::new("item".into(), ArrowDataType::Float32, true));
    let offsets = Offsets::<i64>::try_from_lengths(std::iter::repeat_n(3, n)).expect("short");
    let list = ListArray::<i64>::new(
        ArrowDataType::LargeList(item.clone()),
        offsets.into(),
        Box::new(floats.clone()),
        None,
    );
    let fixed = FixedSizeListArray::new(ArrowDataType::FixedSizeList(item, 3), n, Box::new(floats), None);
    let text: Vec<Option<String>> =
        (0..n).map(|i| (i % 5 > 0).then(|| format!("step {i} of a long run"))).collect();
    let text = Utf8ViewArray::from_slice(text);
    let truths: BooleanArray = (0..n).map(|i| (i % 3 > 0).then_some(i % 2 == 0)).collect();
    let keys = PrimitiveArray::<i32>::from_vec((0..n).map(|i| i32::from(i % 2 == 0)).collect());
    let names = Utf8ViewArray::from_slice(["a", "b"].map(Some));
    let words = DictionaryArray::try_from_keys(keys, names.boxed(), false).expect("a dictionary");
    let arrays: Vec<Box<dyn Array>> =
        vec![numbers.boxed(), list.boxed(), fixed.boxed(), text.boxed(), truths.boxed(), words.boxed()];
    let fields = arrays.iter().enumerate().map(|(i, array)| {
        let field = Field::new(format!("c{i}").into(), array.dtype().clone(), true);
        (field.name.clone(), field)
    });
    let schema = std::sync::Arc::new(fields.collect::<ArrowSchema>());
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = FileWriter::new(&mut bytes, schema.clone(), None, WriteOptions { compression });
    writer.start().expect("started");
    for (start, length) in [(0, 40), (40, 24)] {
        let arrays = arrays.iter().map(|array| array.sliced(start, length)).collect();
        let batch = RecordBatchT::new(length, schema.clone(), arrays);
        writer.write(&batch, None).expect("written");
    }
    writer.finish().expect("finished");
    bytes.into_inner()
}
