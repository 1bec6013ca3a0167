//! Values too large to be squared and summed are refused before they reach any statistics.

use crate::normalization::largest_magnitude;
use crate::records::{Problem, RecordError, StepBlock, StepRecording};
use crate::stats::{RowMoments, Rows};

/// Refuses rows whose squares overflow; `returns` are what the rows' rewards add up to.
pub(super) fn check_rows(
    recording: &StepRecording,
    block: &StepBlock,
    returns: Option<&[f64]>,
) -> Result<(), RecordError> {
    let most = largest_magnitude(recording.n_rows());
    let stored = block.values.rows();
    let place = |row: usize| {
        let run = &recording.runs()[block.run].run_id;
        format!("run {run}, episode {}, step {}, env {}", block.episode[row], block.step[row], block.env[row])
    };
    if let Some(at) = stored.find_beyond(most) {
        let what = format!("{} = {:e}", recording.dimension_names()[at % block.width], stored.get(at));
        return Err(overflow(&place(at / block.width), &what, recording));
    }
    let Some(returns) = returns else { return Ok(()) };
    match Rows::F64(returns).find_beyond(most) {
        Some(row) => {
            let what = format!("the discounted return, {:e},", returns[row]);
            Err(overflow(&place(row), &what, recording))
        }
        None => Ok(()),
    }
}

/// Refuses rows of a run whose squares overflow, by their extremes.
pub(super) fn check_extremes(
    recording: &StepRecording,
    run: usize,
    moments: &RowMoments,
) -> Result<(), RecordError> {
    let most = largest_magnitude(recording.n_rows());
    let extremes = moments.min().iter().zip(moments.max()).enumerate().filter(|_| moments.n() > 0);
    for (dimension, (min, max)) in extremes {
        let largest = if min.abs() > max.abs() { min } else { max };
        if largest.abs() > most {
            let what = format!("{} = {largest:e}", recording.dimension_names()[dimension]);
            return Err(overflow(&format!("run {}", recording.runs()[run].run_id), &what, recording));
        }
    }
    Ok(())
}

fn overflow(place: &str, what: &str, recording: &StepRecording) -> RecordError {
    let what = format!("{place}: {what}");
    RecordError::file("", Problem::SquaresOverflow { what, n_rows: recording.n_rows() })
}
