//! LZF, the fast compression that comes with h5py (filter 32000).

/// The bytes that `packed` stands for, `most` of them at most.
///
/// A control byte below 32 begins that many literal bytes and one more; any other copies from what was written: three bits
/// of length (seven: the next byte is added), thirteen of distance.
///
/// # Errors
/// A stream that ends early, points before its beginning, or holds more.
pub(super) fn unpacked(packed: &[u8], most: usize) -> Result<Vec<u8>, &'static str> {
    const CUT: &str = "LZF: the stream ends early";
    let mut out: Vec<u8> = Vec::new();
    let mut bytes = packed.iter();
    while let Some(&control) = bytes.next() {
        let control = usize::from(control);
        let mut length = control >> 5;
        if length == 0 {
            let literals = bytes.as_slice().get(..=control).ok_or(CUT)?;
            out.extend_from_slice(literals);
            bytes = bytes.as_slice()[literals.len()..].iter();
        } else {
            if length == 7 {
                length += usize::from(*bytes.next().ok_or(CUT)?);
            }
            let low = usize::from(*bytes.next().ok_or(CUT)?);
            let distance = ((control & 0x1f) << 8) + low + 1;
            let start = out.len().checked_sub(distance).ok_or("LZF: a copy from before the beginning")?;
            // What is copied may reach into the copy itself.
            for place in start..start + length + 2 {
                out.push(out[place]);
            }
        }
        if out.len() > most {
            return Err("LZF: the stream holds more than its chunk");
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hdf5_lzf_copies_reach_into_themselves() {
        // Two literals, then eight bytes from two before; seven bits of length and the byte that goes on.
        assert_eq!(unpacked(&[1, b'a', b'b', 0b1100_0000, 1], 10), Ok(b"ababababab".to_vec()));
        assert_eq!(unpacked(&[0, b'x', 0b1110_0000, 3, 0], 99).map(|bytes| bytes.len()), Ok(13));
        assert_eq!(unpacked(&[], 0), Ok(Vec::new()));
    }

    #[test]
    fn hdf5_lzf_streams_that_cannot_be_are_refused() {
        for packed in [&[3u8, b'a'][..], &[0b0010_0000, 0], &[0, b'a', 0b0010_0000], &[0, b'a', 0b1110_0000]]
        {
            assert!(unpacked(packed, 99).is_err(), "{packed:?}");
        }
        assert!(unpacked(&[1, b'a', b'b', 0b1100_0000, 1], 9).is_err());
    }
}
