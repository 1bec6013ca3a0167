//! Momenta asked for: one by one, or as a grid.

use std::str::FromStr;

use super::settings::momentum;

/// Momenta of the usual grid: evenly spaced in the logarithm of 1 - m, three to a decade.
const GRID: [f64; 14] =
    [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999, 0.99998, 0.99999];

/// Most momenta of a grid.
const MOST: usize = 2_000;

/// A momentum, or a grid of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AskedMomentum {
    /// One.
    One(f64),
    /// The usual grid, and full history.
    Auto,
    /// So many from the first to the last, evenly spaced in the logarithm of 1 - m.
    Grid {
        /// The first.
        low: f64,
        /// The last.
        high: f64,
        /// How many, at least two.
        n: usize,
    },
}

impl FromStr for AskedMomentum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let Some((low, rest)) = text.split_once("..") else { return momentum(text).map(Self::One) };
        let grid = || format!("'{text}' is no grid LOW..HIGH:N, for instance 0.5..0.99999:50");
        let (high, n) = rest.split_once(':').ok_or_else(grid)?;
        let (low, high) = (momentum(low)?, momentum(high)?);
        let n = n.parse().map_err(|_| grid())?;
        if !(2..=MOST).contains(&n) {
            return Err(format!("a grid has 2 to {MOST} momenta, not {n}"));
        }
        if low >= high || high >= 1.0 {
            return Err(format!("'{text}': the momenta of a grid go up from LOW to HIGH, which is below 1"));
        }
        Ok(Self::Grid { low, high, n })
    }
}

impl AskedMomentum {
    /// The momenta it stands for.
    ///
    /// # Formula
    /// 1 - m_k = (1 - low)^(1 - k/(n-1)) (1 - high)^(k/(n-1)), k = 0 to n - 1, rounded to as many decimals as tell neighbours
    /// apart, five digits of 1 - m at least.
    pub(super) fn momenta(&self) -> Vec<f64> {
        match *self {
            Self::One(momentum) => vec![momentum],
            Self::Auto => GRID.to_vec(),
            Self::Grid { low, high, n } => {
                let (first, last) = ((1.0 - low).ln(), (1.0 - high).ln());
                let step = (first - last) / (n - 1) as f64;
                (0..n)
                    .map(|k| match k {
                        0 => low,
                        k if k == n - 1 => high,
                        k => rounded(1.0 - (first - step * k as f64).exp(), step),
                    })
                    .collect()
            }
        }
    }
}

/// A momentum whose neighbours' 1 - m are a factor e^step off, in as few digits as tell it from them.
fn rounded(momentum: f64, step: f64) -> f64 {
    let digits = 4.0f64.max(2.0 - step.log10());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of decimals")]
    let decimals = (digits - (1.0 - momentum).log10()).ceil() as usize;
    format!("{momentum:.decimals$}").parse().unwrap_or(momentum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(text: &str) -> Vec<f64> {
        text.parse::<AskedMomentum>().expect("a grid").momenta()
    }

    #[test]
    fn grids_are_even_in_the_logarithm_of_what_is_left() {
        assert_eq!(grid("0.9..0.999:3"), [0.9, 0.99, 0.999]);
        assert_eq!(grid("0.5..0.99:2"), [0.5, 0.99]);
        let all = grid("0.5..0.99999:1000");
        assert_eq!((all.len(), all[0], all[999]), (1000, 0.5, 0.99999));
        let step = (1.0 - all[0]).ln() - (1.0 - all[1]).ln();
        for pair in all.windows(2) {
            assert!(pair[0] < pair[1]);
            let own = (1.0 - pair[0]).ln() - (1.0 - pair[1]).ln();
            assert!((own / step - 1.0).abs() < 0.05, "{pair:?}: {own} {step}");
        }
        // No more digits than tell neighbours apart.
        assert!(grid("0.5..0.99999:15").iter().all(|m| m.to_string().len() <= 11));
    }

    #[test]
    fn what_is_no_grid_is_said() {
        for text in ["0.5..0.9", "0.5..0.9:1", "0.5..0.9:x", "0.9..0.5:3", "0.5..1:3", "a..0.9:3"] {
            assert!(text.parse::<AskedMomentum>().is_err(), "{text}");
        }
        assert_eq!("auto".parse(), Ok(AskedMomentum::Auto));
        assert_eq!("0.99".parse(), Ok(AskedMomentum::One(0.99)));
    }
}
