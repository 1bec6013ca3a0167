//! Changes of a file that know what it is made of: bytes and lengths, text tokens, opcodes, entries of archives.

use std::io::{Read, Write};

/// What a file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Structure {
    /// Lengths, places and numbers between data; most of what tells its structure stands at the end.
    Binary,
    /// Words and what separates them.
    Text,
    /// Opcodes of a pickle.
    Pickle,
    /// A zip archive: the entries are changed, and the archive made anew.
    Archive,
    /// A header's length, the header in JSON, and data.
    Safetensors,
}

/// xorshift64*: a few lines, the same everywhere.
pub(super) struct Random(u64);

impl Random {
    /// The stream of one case.
    pub(super) fn of_case(case: u64) -> Self {
        // splitmix64: neighbouring cases have nothing in common.
        let mut z = case.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678_9abc_def1);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((z ^ (z >> 31)) | 1)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits") % n.max(1)
    }

    fn one_of<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    fn byte(&mut self) -> u8 {
        self.below(256).to_le_bytes()[0]
    }
}

/// Numbers that lengths, counts and places are replaced with.
const LENGTHS: [i64; 16] = [
    0,
    1,
    -1,
    7,
    127,
    255,
    65_536,
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

/// Words that no reader should trip over.
const TOKENS: [&str; 44] = [
    "",
    " ",
    "0",
    "-0",
    "1",
    "-1",
    "01",
    "1e308",
    "-1e308",
    "1e309",
    "1e-320",
    "1e999999999",
    "nan",
    "NaN",
    "inf",
    "-Infinity",
    "null",
    "true",
    "false",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "9007199254740993",
    "0.1",
    "1_000",
    "0x10",
    "\"",
    "'",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\\",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "{\"a\":{\"a\":{\"a\":{}}}}",
    "{}",
    "[]",
    ",,,,,,,,",
    "\n\n",
    "\r",
    "\u{1b}[2J\u{202e}",
    "\u{feff}",
];

/// Bytes from which on a file is not changed further.
const MOST_BYTES: usize = 4 << 20;

/// A case's bytes: `good` changed in one place, or in a few. `other` is another file of the same kind.
pub(super) fn mutated(good: &[u8], other: &[u8], structure: Structure, random: &mut Random) -> Vec<u8> {
    let mut bytes = good.to_vec();
    let n_changes = [1, 1, 1, 1, 1, 2, 3, 8][random.below(8)];
    for _ in 0..n_changes {
        // What is repeated of what was repeated soon is gigabytes, which would be this test's own.
        if bytes.len() > MOST_BYTES {
            break;
        }
        bytes = match structure {
            Structure::Binary => changed_bytes(bytes, other, random),
            Structure::Text => changed_text(&bytes, other, random),
            Structure::Pickle => changed_pickle(bytes, other, random),
            Structure::Archive => changed_archive(&bytes, other, random),
            Structure::Safetensors => changed_safetensors(&bytes, other, random),
        };
    }
    bytes
}

/// A place in a file; half of them in its last two kilobytes, where footers are.
fn place(n_bytes: usize, random: &mut Random) -> usize {
    let from = if random.below(2) == 0 { n_bytes.saturating_sub(2048) } else { 0 };
    from + random.below(n_bytes - from)
}

fn changed_bytes(mut bytes: Vec<u8>, other: &[u8], random: &mut Random) -> Vec<u8> {
    if bytes.is_empty() {
        return other.to_vec();
    }
    let place = place(bytes.len(), random);
    let rest = bytes.len() - place;
    match random.below(11) {
        0 => bytes[place] = random.byte(),
        1 | 2 => bytes[place] ^= 1 << random.below(8),
        3 => (0..random.below(16).min(rest)).for_each(|i| bytes[place + i] = random.byte()),
        4 => {
            let raw = LENGTHS[random.below(LENGTHS.len())].to_le_bytes();
            let n = [2, 4, 8][random.below(3)].min(rest);
            bytes[place..place + n].copy_from_slice(&raw[..n]);
        }
        // The same where such numbers are aligned.
        5 => {
            let place = place & !7;
            let raw = LENGTHS[random.below(LENGTHS.len())].to_le_bytes();
            let n = 8.min(bytes.len() - place);
            bytes[place..place + n].copy_from_slice(&raw[..n]);
        }
        // A number of seven-bit groups, as Thrift and Parquet's runs have them.
        6 => {
            let n = (1 + random.below(9)).min(rest);
            bytes[place..place + n].fill(0xff);
            bytes[place + n - 1] = 0x07;
        }
        7 => bytes.truncate(place),
        8 => {
            let n = (1 + random.below(64)).min(rest);
            bytes.drain(place..place + n);
        }
        9 => {
            let n = (1 + random.below(64)).min(rest);
            let again = bytes[place..place + n].to_vec();
            bytes.splice(place..place, again);
        }
        // A stretch of another file in place of this one's.
        _ => {
            let from = random.below(other.len());
            let n = (1 + random.below(256)).min(rest).min(other.len() - from);
            bytes[place..place + n].copy_from_slice(&other[from..from + n]);
        }
    }
    bytes
}

/// Where words and separators of a text begin and end.
fn tokens(bytes: &[u8]) -> Vec<std::ops::Range<usize>> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+' | b'_');
    let mut start = 0;
    bytes
        .chunk_by(|a, b| is_word(a) && is_word(b))
        .map(|chunk| {
            let range = start..start + chunk.len();
            start = range.end;
            range
        })
        .collect()
}

fn changed_text(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let tokens = tokens(bytes);
    if tokens.is_empty() {
        return other.to_vec();
    }
    let token = tokens[random.below(tokens.len())].clone();
    let second = tokens[random.below(tokens.len())].clone();
    let replaced =
        |range: std::ops::Range<usize>, by: &[u8]| [&bytes[..range.start], by, &bytes[range.end..]].concat();
    match random.below(10) {
        0..=2 => replaced(token, random.one_of(&TOKENS).as_bytes()),
        3 => replaced(token, b""),
        4 => replaced(token.start..token.start, random.one_of(&TOKENS).as_bytes()),
        5 => {
            let times = [1, 2, 100, 3000][random.below(4)];
            let again = bytes[token.clone()].repeat(times.min(MOST_BYTES / token.len().max(1)));
            replaced(token.end..token.end, &again)
        }
        6 => replaced(token, &bytes[second]),
        // Everything between two places, once more or not at all.
        7 => {
            let range = token.start.min(second.start)..token.end.max(second.end);
            let again = bytes[range.clone()].to_vec();
            if random.below(2) == 0 { replaced(range, b"") } else { replaced(range.end..range.end, &again) }
        }
        8 => bytes[..token.start].to_vec(),
        _ => changed_bytes(bytes.to_vec(), other, random),
    }
}

/// Opcodes of pickles, of every protocol.
const OPCODES: &[u8] = b"(.012FIJKLMNPRSTUVXabc}dehijlostu)RbBC\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x90\x92\x93\x94\x95\x96";

fn changed_pickle(mut bytes: Vec<u8>, other: &[u8], random: &mut Random) -> Vec<u8> {
    if bytes.is_empty() {
        return other.to_vec();
    }
    let place = random.below(bytes.len());
    match random.below(5) {
        0 | 1 => bytes[place] = OPCODES[random.below(OPCODES.len())],
        2 => {
            let n = [1, 1, 2, 5, 3000][random.below(5)];
            let opcode = OPCODES[random.below(OPCODES.len())];
            bytes.splice(place..place, std::iter::repeat_n(opcode, n));
        }
        3 => {
            let from = random.below(other.len());
            let n = (1 + random.below(64)).min(other.len() - from);
            bytes.splice(place..place, other[from..from + n].iter().copied());
        }
        _ => return changed_bytes(bytes, other, random),
    }
    bytes
}

/// One entry changed by what its name says it is; the archive itself now and then.
fn changed_archive(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    if random.below(3) == 0 {
        return changed_bytes(bytes.to_vec(), other, random);
    }
    let Ok(mut archive) = zip::ZipArchive::new(std::io::Cursor::new(bytes)) else {
        return changed_bytes(bytes.to_vec(), other, random);
    };
    let n = archive.len();
    let chosen = random.below(n);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for i in 0..n {
        let Ok(entry) = archive.by_index(i) else { continue };
        let name = entry.name().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let mut data = Vec::new();
        if entry.take(1 << 20).read_to_end(&mut data).is_err() {
            continue;
        }
        if i == chosen {
            data = match random.below(8) {
                0 => continue,
                1..=3 => changed_text(&data, other, random),
                _ if name.contains("pkl") => changed_pickle(data, other, random),
                _ => changed_bytes(data, other, random),
            };
        }
        let method = [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated][random.below(2)];
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        if writer.start_file(&*name, options).is_ok() {
            writer.write_all(&data).expect("in memory");
        }
    }
    writer.finish().map_or_else(|_| bytes.to_vec(), std::io::Cursor::into_inner)
}

fn changed_safetensors(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let length = bytes.first_chunk::<8>().map(|raw| u64::from_le_bytes(*raw));
    let header = length.and_then(|length| usize::try_from(length).ok()?.checked_add(8));
    match header.and_then(|end| bytes.split_at_checked(end)) {
        Some((header, data)) if random.below(4) > 0 => {
            let header = changed_text(&header[8..], &other[8.min(other.len())..], random);
            [&(header.len() as u64).to_le_bytes()[..], &header, data].concat()
        }
        _ => changed_bytes(bytes.to_vec(), other, random),
    }
}
