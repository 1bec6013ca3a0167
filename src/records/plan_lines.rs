//! One line of a plan without the others: where it lies is guessed from its number, for lines are about of one length.

use std::ops::Range;

use serde::Deserialize;

/// Bytes that are looked at together.
const STRETCH: u64 = 64 << 10;

/// Guesses before everything that is left is read.
const GUESSES: usize = 4;

/// The beginning of a line that may be the one, and how many lines there are before it.
#[derive(Clone, Copy)]
struct Mark {
    line: usize,
    at: u64,
}

#[derive(Deserialize)]
struct Numbered {
    id: usize,
}

/// Line `wanted` of `n_lines` numbered ones in `n_bytes`, of which `read` gives any range; `None` where it is not in its place.
///
/// # Errors
/// Those of `read`.
pub(super) fn line_of<E>(
    (wanted, n_lines): (usize, usize),
    n_bytes: u64,
    read: impl Fn(Range<u64>) -> Result<Vec<u8>, E>,
) -> Result<Option<Vec<u8>>, E> {
    let (mut low, mut high) = (Mark { line: 0, at: 0 }, Mark { line: n_lines, at: n_bytes });
    for _ in 0..GUESSES {
        if high.at - low.at <= STRETCH {
            break;
        }
        let range = guess(wanted, low, high);
        let bytes = read(range.clone())?;
        let Some(whole) = whole_lines(&bytes, range.start == low.at) else { break };
        let lines = &bytes[whole.clone()];
        let first = lines.split(|byte| *byte == b'\n').next().unwrap_or_default();
        // What follows the last end is no line.
        let n_found = lines.split(|byte| *byte == b'\n').count() - 1;
        let Ok(Numbered { id }) = serde_json::from_slice(first) else { return Ok(None) };
        if wanted < id {
            high = Mark { line: id, at: range.start + whole.start as u64 };
        } else if wanted < id + n_found {
            return Ok(nth(lines, wanted - id));
        } else {
            low = Mark { line: id + n_found, at: range.start + whole.end as u64 };
        }
        if !(low.line..high.line).contains(&wanted) || low.at >= high.at {
            return Ok(None);
        }
    }
    Ok(nth(&read(low.at..high.at)?, wanted - low.line))
}

/// Bytes around the place where a line would begin if all were of one length.
fn guess(wanted: usize, low: Mark, high: Mark) -> Range<u64> {
    let (lines, bytes) = ((high.line - low.line).max(1) as u64, high.at - low.at);
    // Lines of 64 bits' worth of bytes do not exist: this is a place between both marks.
    let before = u128::from(bytes) * (wanted - low.line) as u128 / u128::from(lines);
    let begin = low.at + u64::try_from(before).unwrap_or(bytes);
    let start = begin.saturating_sub(STRETCH / 2).clamp(low.at, high.at - STRETCH);
    start..start + STRETCH
}

/// The lines of a stretch that are whole, with their ends; the first one is where the stretch begins with it.
fn whole_lines(bytes: &[u8], begins_with_one: bool) -> Option<Range<usize>> {
    let is_end = |byte: &u8| *byte == b'\n';
    let start = if begins_with_one { 0 } else { bytes.iter().position(is_end)? + 1 };
    let end = bytes.iter().rposition(is_end)? + 1;
    (start < end).then_some(start..end)
}

fn nth(lines: &[u8], place: usize) -> Option<Vec<u8>> {
    lines.split(|byte| *byte == b'\n').nth(place).filter(|line| !line.is_empty()).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;

    use super::*;

    fn plan(lengths: impl Iterator<Item = usize>) -> Vec<u8> {
        let line = |(id, length)| format!("{{\"id\":{id},\"x\":\"{}\"}}\n", "y".repeat(length));
        lengths.enumerate().map(line).collect::<String>().into_bytes()
    }

    /// All lines of a plan are found; gives the most bytes and stretches that one took.
    fn found_in(plan: &[u8]) -> (usize, usize) {
        let lines: Vec<&[u8]> = plan.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        let (mut most_bytes, mut most_reads) = (0, 0);
        for (wanted, expected) in lines.iter().enumerate().step_by(lines.len().div_ceil(500)) {
            let reads = RefCell::new(Vec::new());
            let read = |range: Range<u64>| -> Result<Vec<u8>, Infallible> {
                let range =
                    usize::try_from(range.start).expect("fits")..usize::try_from(range.end).expect("fits");
                reads.borrow_mut().push(range.len());
                Ok(plan[range].to_vec())
            };
            let Ok(found) = line_of((wanted, lines.len()), plan.len() as u64, read);
            assert_eq!(found.as_deref(), Some(*expected), "line {wanted}");
            most_bytes = most_bytes.max(reads.borrow().iter().sum());
            most_reads = most_reads.max(reads.borrow().len());
        }
        (most_bytes, most_reads)
    }

    #[test]
    fn every_line_is_found_wherever_it_lies() {
        found_in(&plan((0..7).map(|_| 3)));
        found_in(&plan(std::iter::once(500_000)));
        // Lines of very different lengths, in stretches.
        found_in(&plan((0..3000).map(|i| if i < 40 { 30_000 } else { i % 17 })));
        found_in(&plan((0..90).map(|i| if i % 30 == 7 { 400_000 } else { 1 })));
    }

    #[test]
    fn of_a_large_plan_of_like_lines_little_is_read() {
        let plan = plan((0..60_000).map(|i| 200 + i * 7 % 60));
        assert!(plan.len() > 10_000_000);
        let (bytes, reads) = found_in(&plan);
        assert!(bytes <= 4 << 16 && reads <= 4, "{bytes} bytes by {reads} reads");
    }

    #[test]
    fn a_line_that_is_not_in_its_place_is_none() {
        let whole = plan((0..2000).map(|_| 100));
        let read = |range: Range<u64>| -> Result<Vec<u8>, Infallible> {
            Ok(whole[usize::try_from(range.start).expect("fits")..usize::try_from(range.end).expect("fits")]
                .to_vec())
        };
        let Ok(found) = line_of((5000, 5001), whole.len() as u64, read);
        assert_eq!(found, None);
        let Ok(found) = line_of::<Infallible>((3, 9), 0, |_| Ok(Vec::new()));
        assert_eq!(found, None);
    }
}
