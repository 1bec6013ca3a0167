//! Small pictures made of characters: intervals on one scale, and values over time.

use super::screen::Glyphs;
use crate::results::text::Spread;

/// Cells of an interval's picture.
const INTERVAL_CELLS: usize = 25;

/// Intervals on one shared scale, which holds zero.
#[derive(Debug, Clone, Copy)]
pub(super) struct IntervalScale {
    low: f64,
    high: f64,
    glyphs: Glyphs,
}

impl IntervalScale {
    /// The scale of these; `None` where nothing spreads.
    pub(super) fn of(spreads: impl Iterator<Item = Spread>, glyphs: Glyphs) -> Option<Self> {
        let ends = spreads.flat_map(|spread| {
            let (low, high) = spread.interval.unzip();
            [spread.value, low, high].into_iter().flatten()
        });
        let (low, high) = ends
            .filter(|x| x.is_finite())
            .fold((0.0_f64, 0.0_f64), |(low, high), x| (low.min(x), high.max(x)));
        (high > low).then_some(Self { low, high, glyphs })
    }

    /// Least and greatest value of the scale.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// The cell of a value.
    fn cell(&self, x: f64) -> usize {
        let share = ((x - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the last cell"
        )]
        let cell = (share * (INTERVAL_CELLS - 1) as f64).round() as usize;
        cell
    }

    /// The picture of one: its interval as a line, its value a dot, zero an upright line.
    pub(super) fn draw(&self, spread: Spread) -> String {
        let mut cells = vec![' '; INTERVAL_CELLS];
        let g = self.glyphs;
        cells[self.cell(0.0)] = g.pick('│', '|');
        if let Some((low, high)) = spread.interval {
            let (from, to) = (self.cell(low), self.cell(high));
            for cell in &mut cells[from..=to] {
                *cell = if *cell == ' ' { g.pick('─', '-') } else { g.pick('┼', '+') };
            }
            if low != 0.0 {
                cells[from] = g.pick('├', '[');
            }
            if high != 0.0 {
                cells[to] = g.pick('┤', ']');
            }
        }
        if let Some(value) = spread.value {
            cells[self.cell(value)] = g.pick('●', 'o');
        }
        cells.into_iter().collect::<String>().trim_end().to_owned()
    }
}

/// Cells of a sparkline.
const SPARK_CELLS: usize = 20;

/// Values over time in a line of small bars, from the least to the greatest of them; `mark` is the place, as a share of
/// the whole, where an upright line is drawn between two bars. A gap stands where there is no value.
pub(super) fn sparkline(values: &[f64], mark: Option<f64>, glyphs: Glyphs) -> String {
    let bars: &[char] = glyphs
        .pick(&['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][..], &['_', '.', '-', '~', '=', '+', '*', '#'][..]);
    let cells = SPARK_CELLS.min(values.len());
    let averaged: Vec<f64> = (0..cells)
        .map(|cell| {
            let (from, to) = (cell * values.len() / cells, (cell + 1) * values.len() / cells);
            let finite: Vec<f64> = values[from..to].iter().copied().filter(|x| x.is_finite()).collect();
            finite.iter().sum::<f64>() / finite.len() as f64
        })
        .collect();
    let finite = || averaged.iter().copied().filter(|x| x.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    // What differs by rounding alone is level.
    let is_level = high - low <= 1e-9 * high.abs().max(low.abs());
    let bar = |x: f64| {
        if !x.is_finite() {
            return ' ';
        }
        let share = if is_level { 0.0 } else { (x - low) / (high - low) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 7")]
        bars[(share * 7.0).round() as usize]
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of cells"
    )]
    let marked = mark.map(|share| (share.clamp(0.0, 1.0) * cells as f64).round() as usize);
    let mut line = String::new();
    for (cell, x) in averaged.iter().enumerate() {
        if marked == Some(cell) {
            line.push(glyphs.pick('│', '|'));
        }
        line.push(bar(*x));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_share_one_scale_with_a_zero() {
        let all = [
            Spread { value: Some(10.0), interval: Some((8.0, 12.0)) },
            Spread { value: Some(-4.0), interval: Some((-12.0, 4.0)) },
            Spread { value: Some(3.0), interval: None },
        ];
        let scale = IntervalScale::of(all.iter().copied(), Glyphs::Ascii).expect("a scale");
        assert_eq!(scale.ends(), (-12.0, 12.0));
        assert_eq!(scale.draw(all[0]), "            |       [-o-]");
        assert_eq!(scale.draw(all[1]), "[-------o---+---]");
        assert_eq!(scale.draw(all[2]), "            |  o");
        let scale = IntervalScale { glyphs: Glyphs::Unicode, ..scale };
        assert_eq!(scale.draw(all[1]), "├───────●───┼───┤");
        assert!(
            IntervalScale::of([Spread { value: Some(0.0), interval: None }].into_iter(), Glyphs::Ascii)
                .is_none()
        );
    }

    #[test]
    fn values_over_time_are_bars_with_the_shift_marked() {
        let steps = [0.0, 0.0, 0.0, 7.0];
        assert_eq!(sparkline(&steps, Some(0.75), Glyphs::Unicode), "▁▁▁│█");
        assert_eq!(sparkline(&steps, None, Glyphs::Ascii), "___#");
        // Level, a gap, nothing at all.
        assert_eq!(sparkline(&[3.0, 3.0, f64::NAN], None, Glyphs::Ascii), "__ ");
        assert_eq!(sparkline(&[], Some(0.5), Glyphs::Ascii), "");
        // Many values are averaged.
        let many: Vec<f64> = (0..400).map(f64::from).collect();
        let line = sparkline(&many, None, Glyphs::Unicode);
        assert_eq!(
            (line.chars().count(), line.chars().next(), line.chars().last()),
            (20, Some('▁'), Some('█'))
        );
    }
}
