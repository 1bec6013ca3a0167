//! Mean and deviation of each dimension over time, a line of small bars each.

use super::grid::Column;
use super::plot::sparkline;
use super::screen::Glyphs;
use crate::results::WindowsRow;

/// The windows of a run as pictures, with the place of its shift.
pub(super) struct OverTime<'a> {
    windows: &'a WindowsRow,
    /// Share of the windows that lie before the shift.
    mark: Option<f64>,
    glyphs: Glyphs,
}

impl<'a> OverTime<'a> {
    /// Of windows and the update at which a run shifts; `None` where there are too few to see anything.
    pub(super) fn new(windows: &'a WindowsRow, shift: Option<u64>, glyphs: Glyphs) -> Option<Self> {
        let n = windows.first_update.len();
        let mark = shift.map(|update| {
            windows.first_update.partition_point(|first| *first < update) as f64 / n.max(1) as f64
        });
        (n > 1).then_some(Self { windows, mark, glyphs })
    }

    /// Columns of means and of deviations.
    pub(super) fn columns(&self) -> [Column; 2] {
        let mark = self.glyphs.pick('│', '|');
        let shift = if self.mark.is_some() { format!(", {mark} the shift") } else { String::new() };
        let legend =
            format!("over time: of rows window by window, from the least to the greatest of the line{shift}");
        [Column::left("mean over time").drops(4).explained(legend), Column::left("sd over time").drops(3)]
    }

    /// The lines of a dimension.
    pub(super) fn cells(&self, dimension: usize) -> [String; 2] {
        [&self.windows.mean, &self.windows.sd].map(|values| {
            let values = values.get(dimension).map_or(&[][..], |values| &values[..]);
            let values: Vec<f64> = values.iter().map(|x| x.unwrap_or(f64::NAN)).collect();
            sparkline(&values, self.mark, self.glyphs)
        })
    }
}
