//! Where numbers of a game are rounding.

/// Units whose spread is below this many units in the last place of the greatest value differ by rounding alone.
///
/// A Shapley value is a sum of up to 2^n terms, added pairwise: its error is a few ulps of the largest.
const ROUNDING_ULPS: f64 = 64.0;

/// The size below which numbers of games of this scale are rounding.
pub fn rounding_floor(scale: f64) -> f64 {
    ROUNDING_ULPS * f64::EPSILON * scale
}
