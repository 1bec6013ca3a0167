//! TensorBoard's event files: framed records with a checksum each, in them a protocol buffer with scalars.
//!
//! A record is its length (64 bits), the masked CRC-32C of that, its bytes, and their masked CRC-32C. Of an event the step (field 2) and
//! the summary (field 5) are read, of a summary's values (field 1) the tag (1) and the number: `simple_value` (2), or a tensor (8) of one
//! number. A session log (7) that starts (1) says that training went on from its step: what was logged of that and later steps
//! before is of a branch that was left, as TensorBoard itself has it. Everything else is passed over.

use super::{Log, Point, damaged};
use crate::records::error::RecordError;

/// What the files are called in messages.
const FORMAT: &str = "TensorBoard event";

/// Bytes of a record: pictures are larger than figures, and none are this large.
const MAX_RECORD: u64 = 256 << 20;

/// What is added to a rotated checksum.
const MASK: u32 = 0xa282_ead8;

/// The polynomial of CRC-32C, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Reads the scalars.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<Log, RecordError> {
    let table = table();
    let mut log = Log::default();
    let mut at = 0;
    while at < bytes.len() {
        let failed = |what: &str| damaged(name, FORMAT, format!("at byte {at}: {what}"));
        let Some(record) = record(&bytes[at..], &table).map_err(failed)? else {
            log.notes.push(format!("{name}: its last record is cut off, as a stopped writer leaves it"));
            break;
        };
        event(record, &mut log).ok_or_else(|| failed("an event that is no protocol buffer"))?;
        // Length and two checksums stand around it.
        at += record.len() + 16;
    }
    Ok(log)
}

/// The first record of some bytes; `None` where they end before it does.
fn record<'a>(bytes: &'a [u8], table: &[u32; 256]) -> Result<Option<&'a [u8]>, &'static str> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
    let Some((checksum, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    if masked(length, table) != u32::from_le_bytes(*checksum) {
        return Err("the checksum of a record's length does not fit");
    }
    let length = u64::from_le_bytes(*length);
    if length > MAX_RECORD {
        return Err("a record of more than 256 MiB");
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let Some((record, rest)) = rest.split_at_checked(length) else { return Ok(None) };
    let Some((checksum, _)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    if masked(record, table) != u32::from_le_bytes(*checksum) {
        return Err("the checksum of a record does not fit");
    }
    Ok(Some(record))
}

fn table() -> [u32; 256] {
    let mut table = [0u32; 256];
    for (entry, byte) in table.iter_mut().zip(0u32..) {
        let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
        *entry = (0..8).fold(byte, step);
    }
    table
}

/// The CRC-32C of bytes, rotated and offset as records have it.
fn masked(bytes: &[u8], table: &[u32; 256]) -> u32 {
    let step = |crc: u32, byte: &u8| (crc >> 8) ^ table[((crc ^ u32::from(*byte)) & 0xff) as usize];
    let crc = !bytes.iter().fold(u32::MAX, step);
    crc.rotate_right(15).wrapping_add(MASK)
}

/// One field of a protocol buffer.
enum Field<'a> {
    Number(u64),
    Word(u32),
    Long(u64),
    Bytes(&'a [u8]),
}

/// The fields of a protocol buffer, each with its number.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)?),
            1 => {
                let (word, rest) = bytes.split_first_chunk::<8>()?;
                bytes = rest;
                Field::Long(u64::from_le_bytes(*word))
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (inner, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Field::Bytes(inner)
            }
            5 => {
                let (word, rest) = bytes.split_first_chunk::<4>()?;
                bytes = rest;
                Field::Word(u32::from_le_bytes(*word))
            }
            _ => return None,
        };
        fields.push((key >> 3, field));
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Adds the scalars of an event.
fn event(record: &[u8], log: &mut Log) -> Option<()> {
    let (mut step, mut summaries, mut starts) = (0u64, Vec::new(), false);
    for (number, field) in fields(record)? {
        match (number, field) {
            (2, Field::Number(value)) => step = value,
            (5, Field::Bytes(summary)) => summaries.push(summary),
            (7, Field::Bytes(session)) => {
                let status =
                    |(number, field): &(u64, Field<'_>)| matches!((number, field), (1, Field::Number(1)));
                starts |= fields(session)?.iter().any(status);
            }
            _ => {}
        }
    }
    if starts {
        let step = step.cast_signed() as f64;
        log.points.values_mut().for_each(|points| points.retain(|point| point.place < step));
        log.restarts_at = Some(log.restarts_at.map_or(step, |earlier| earlier.min(step)));
    }
    for summary in summaries {
        for (number, field) in fields(summary)? {
            let (1, Field::Bytes(value)) = (number, field) else { continue };
            if let Some((tag, value)) = scalar(value)? {
                log.points.entry(tag).or_default().push(Point { place: step.cast_signed() as f64, value });
            }
        }
    }
    Some(())
}

/// Tag and number of a summary's value; the inner `None` for a picture, a text, a histogram.
#[expect(clippy::option_option, reason = "damaged, or sound and no number")]
fn scalar(value: &[u8]) -> Option<Option<(String, f64)>> {
    let (mut tag, mut number) = (String::new(), None);
    for (field_number, field) in fields(value)? {
        match (field_number, field) {
            (1, Field::Bytes(name)) => tag = String::from_utf8_lossy(name).into_owned(),
            (2, Field::Word(word)) => number = Some(f64::from(f32::from_bits(word))),
            (8, Field::Bytes(tensor)) => number = single(tensor)?,
            _ => {}
        }
    }
    Some(number.map(|number| (tag, number)))
}

/// The number of a tensor of one 32- or 64-bit number.
#[expect(clippy::option_option, reason = "damaged, or sound and no number")]
fn single(tensor: &[u8]) -> Option<Option<f64>> {
    let (mut dtype, mut numbers) = (0, Vec::new());
    let mut contents: &[u8] = &[];
    for (number, field) in fields(tensor)? {
        match (number, field) {
            (1, Field::Number(value)) => dtype = value,
            (4, Field::Bytes(bytes)) => contents = bytes,
            (5, Field::Word(word)) => numbers.push(f64::from(f32::from_bits(word))),
            (6, Field::Long(word)) => numbers.push(f64::from_bits(word)),
            // Packed lists of them.
            (5, Field::Bytes(bytes)) => numbers.extend(singles(bytes)),
            (6, Field::Bytes(bytes)) => numbers.extend(doubles(bytes)),
            _ => {}
        }
    }
    match dtype {
        1 => numbers.extend(singles(contents)),
        2 => numbers.extend(doubles(contents)),
        _ => return Some(None),
    }
    Some(if let [only] = numbers[..] { Some(only) } else { None })
}

fn singles(bytes: &[u8]) -> Vec<f64> {
    let words = bytes.as_chunks::<4>().0.iter();
    words.map(|word| f64::from(f32::from_le_bytes(*word))).collect()
}

fn doubles(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks::<8>().0.iter().map(|word| f64::from_le_bytes(*word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, B.4: 32 bytes of zeros, of ones, and counting up.
    #[test]
    fn checksums_are_those_of_the_standard() {
        let table = table();
        let crc = |bytes: &[u8]| (masked(bytes, &table).wrapping_sub(MASK)).rotate_left(15);
        assert_eq!(crc(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
    }

    /// A record of these bytes.
    fn framed(record: &[u8]) -> Vec<u8> {
        let table = table();
        let length = (record.len() as u64).to_le_bytes();
        let checksum = |bytes: &[u8]| masked(bytes, &table).to_le_bytes();
        [&length[..], &checksum(&length), record, &checksum(record)].concat()
    }

    /// An event of step 7 with one scalar.
    fn scalar_event(tag: &str, value: f32) -> Vec<u8> {
        let length = |bytes: &[u8]| u8::try_from(bytes.len()).expect("short");
        let value = [&[0x0a, length(tag.as_bytes())], tag.as_bytes(), &[0x15], &value.to_le_bytes()].concat();
        let summary = [&[0x0a, length(&value)], &value[..]].concat();
        [&[0x10, 7, 0x2a, length(&summary)], &summary[..]].concat()
    }

    #[test]
    fn a_start_leaves_out_what_was_logged_of_later_steps_before() {
        // A start at step 7.
        let start = [&[0x10u8, 7, 0x3a, 2, 0x08, 1][..]].concat();
        let [before, after] = [0.5, 0.75].map(|value| framed(&scalar_event("loss", value)));
        let log = read("e", &[&before[..], &framed(&start), &after].concat()).expect("figures");
        assert_eq!(log.points["loss"], [Point { place: 7.0, value: 0.75 }]);
        assert_eq!(log.restarts_at, Some(7.0));
    }

    #[test]
    fn scalars_of_events_are_read_and_damage_is_told() {
        let whole = framed(&scalar_event("loss", 0.5));
        let log = read("e", &[&whole[..], &whole[..]].concat()).expect("figures");
        assert_eq!(log.points["loss"], [Point { place: 7.0, value: 0.5 }, Point { place: 7.0, value: 0.5 }]);
        let cut = read("e", &[&whole[..], &whole[..10]].concat()).expect("figures");
        assert_eq!((cut.points["loss"].len(), cut.notes.len()), (1, 1));
        let mut flipped = whole.clone();
        flipped[14] ^= 1;
        assert!(read("e", &flipped).is_err());
        let mut long = whole;
        long[7] = 0x70;
        assert!(read("e", &long).is_err());
        assert!(read("e", &framed(b"\xff\xff\xff")).is_err());
    }
}
