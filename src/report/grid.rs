//! A table for people: it fits its screen, or it is Markdown.
//!
//! Columns that do not fit are left out in the order their `drops` say, the least first; what still does not fit is
//! written as blocks of lines, one per row. `--wide` has everything. A column explains itself under the table it stands in.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};

use super::screen::{Screen, wrapped};
use crate::printable::printable;

/// Alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// What is done with a column for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// It stays; rows are stacked rather than losing it.
    Kept,
    /// It is left out, those of the least number first.
    Dropped(u8),
    /// Its text is broken into lines.
    Wrapped,
}

/// A column: its heading, its alignment, and what becomes of it where room is short.
#[derive(Debug, Clone)]
pub struct Column {
    name: String,
    align: Align,
    room: Room,
    legend: Option<String>,
}

/// What became of a table on its screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// Headings of columns that found no room.
    pub dropped: Vec<String>,
    /// Explanations of those that did.
    pub legends: Vec<String>,
}

impl Column {
    /// A column of text.
    pub fn left(name: &str) -> Self {
        Self { name: name.to_owned(), align: Align::Left, room: Room::Kept, legend: None }
    }

    /// A column of numbers.
    pub fn right(name: &str) -> Self {
        Self { name: name.to_owned(), align: Align::Right, room: Room::Kept, legend: None }
    }

    /// What stands in it, told under the table.
    #[must_use]
    pub fn explained(self, legend: impl Into<String>) -> Self {
        Self { legend: Some(legend.into()), ..self }
    }

    /// Left out where room is short, after all columns of a smaller number.
    #[must_use]
    pub fn drops(self, order: u8) -> Self {
        Self { room: Room::Dropped(order), ..self }
    }

    /// Free text that may be broken into lines.
    #[must_use]
    pub fn wraps(self) -> Self {
        Self { room: Room::Wrapped, ..self }
    }
}

/// Least columns of free text.
const LEAST_WRAPPED: usize = 24;

/// Least columns of a value beside its heading.
const LEAST_STACKED: usize = 10;

/// Rows under headings.
#[derive(Debug, Clone)]
pub struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// An empty grid with these columns.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If it has another number of cells than there are columns.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns.len(), "one cell per column");
        self.rows.push(cells);
    }

    /// Writes the table as it fits the screen; gives what became of its columns.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write_table(&self, screen: &Screen, out: &mut dyn Write) -> io::Result<Fitted> {
        let natural = self.natural_widths();
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let Some(width) = screen.width else {
            self.write_columns(&shown, &natural, screen, out)?;
            return Ok(Fitted { dropped: Vec::new(), legends: self.legends(&shown) });
        };
        // What says nothing in any row makes room first, and is not missed.
        let says_nothing = |at: usize| self.rows.iter().all(|row| matches!(row[at].as_str(), "" | "-"));
        shown.retain(|at| !(matches!(self.columns[*at].room, Room::Dropped(_)) && says_nothing(*at)));
        let least = |at: usize| match self.columns[at].room {
            Room::Wrapped => natural[at].min(LEAST_WRAPPED),
            Room::Kept | Room::Dropped(_) => natural[at],
        };
        let mut dropped = Vec::new();
        while total(shown.iter().map(|at| least(*at))) > width {
            let order = |at: &usize| match self.columns[*at].room {
                Room::Dropped(order) => Some(order),
                Room::Kept | Room::Wrapped => None,
            };
            let Some(first) = shown.iter().copied().filter(|at| order(at).is_some()).min_by_key(order) else {
                self.write_stacked(&shown, width, out)?;
                return Ok(Fitted { dropped, legends: self.legends(&shown) });
            };
            shown.retain(|at| *at != first);
            if !self.columns[first].name.is_empty() {
                dropped.push(self.columns[first].name.clone());
            }
        }
        let mut widths = natural.clone();
        for at in shown.iter().copied().filter(|at| self.columns[*at].room == Room::Wrapped) {
            let others = total(shown.iter().filter(|other| **other != at).map(|other| least(*other)));
            widths[at] =
                natural[at].min(width.saturating_sub(others + 2)).max(LEAST_WRAPPED.min(natural[at]));
        }
        self.write_columns(&shown, &widths, screen, out)?;
        Ok(Fitted { dropped, legends: self.legends(&shown) })
    }

    /// What the columns of a Markdown table hold.
    pub fn all_legends(&self) -> Vec<String> {
        self.legends(&(0..self.columns.len()).collect::<Vec<_>>())
    }

    fn legends(&self, shown: &[usize]) -> Vec<String> {
        shown.iter().filter_map(|at| self.columns[*at].legend.clone()).collect()
    }

    /// Columns of text that each column takes.
    fn natural_widths(&self) -> Vec<usize> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let widths = self.table(&all).column_max_content_widths();
        widths.into_iter().map(usize::from).collect()
    }

    fn table(&self, shown: &[usize]) -> Table {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        let align = |at: usize| self.columns[at].align;
        table.set_header(shown.iter().map(|at| cell(&self.columns[*at].name, align(*at))));
        for row in &self.rows {
            table.add_row(shown.iter().map(|at| cell(&row[*at], align(*at))));
        }
        table
    }

    fn write_columns(
        &self,
        shown: &[usize],
        widths: &[usize],
        screen: &Screen,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut table = self.table(shown);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_constraints(shown.iter().map(|at| {
            // With its padding.
            let width = u16::try_from(widths[*at] + 2).unwrap_or(u16::MAX);
            ColumnConstraint::Absolute(Width::Fixed(width))
        }));
        let rule = screen.glyphs.pick("─", "-");
        for (number, line) in table.lines().enumerate() {
            writeln!(out, "{}", line.trim_end())?;
            if number == 0 {
                let n = total(shown.iter().map(|at| widths[*at]));
                writeln!(out, " {}", rule.repeat(n.saturating_sub(1)))?;
            }
        }
        Ok(())
    }

    /// One block of lines per row: headings on the left, text wrapped beside them.
    fn write_stacked(&self, shown: &[usize], width: usize, out: &mut dyn Write) -> io::Result<()> {
        let names: Vec<String> =
            shown.iter().map(|at| printable(&self.columns[*at].name).into_owned()).collect();
        let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        for (number, row) in self.rows.iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            for (at, name) in shown.iter().zip(&names) {
                let text = printable(&row[*at]);
                if text.is_empty() {
                    continue;
                }
                let indent = widest + 3;
                let room = width.saturating_sub(indent).max(LEAST_STACKED);
                for (line_number, line) in wrapped(&text, Some(room), "").iter().enumerate() {
                    let heading = if line_number == 0 { name.as_str() } else { "" };
                    let padding = " ".repeat(widest - heading.chars().count());
                    writeln!(out, "{}", format!(" {heading}{padding}  {line}").trim_end())?;
                }
            }
        }
        Ok(())
    }

    /// As a Markdown table, all columns.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write_markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        let escape = |text: &str| in_markdown(text.trim()).replace('|', "\\|");
        let names: Vec<String> = self.columns.iter().map(|column| escape(&column.name)).collect();
        let rules: Vec<&str> = (self.columns.iter())
            .map(|column| if column.align == Align::Right { "---:" } else { "---" })
            .collect();
        writeln!(out, "| {} |", names.join(" | "))?;
        writeln!(out, "| {} |", rules.join(" | "))?;
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(|text| escape(text)).collect();
            writeln!(out, "| {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}

/// Columns of a line: a space, the cells, two spaces between them.
fn total(widths: impl Iterator<Item = usize>) -> usize {
    let (n, sum) = widths.fold((0, 0), |(n, sum), width| (n + 1, sum + width));
    if n == 0 { 0 } else { 1 + sum + 2 * (n - 1) }
}

fn cell(text: &str, align: Align) -> Cell {
    let alignment = match align {
        Align::Left => CellAlignment::Left,
        Align::Right => CellAlignment::Right,
    };
    Cell::new(printable(text)).set_alignment(alignment)
}

/// Text as Markdown shows it: markup in a name stays a name.
pub(super) fn in_markdown(text: &str) -> String {
    printable(text).replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::super::screen::Glyphs;
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::new(vec![
            Column::left("slot"),
            Column::right("value"),
            Column::right("sd").drops(1),
            Column::right("units").drops(2),
            Column::left("why").wraps(),
        ]);
        grid.row(vec![
            "a".into(),
            "0.5".into(),
            "0.25".into(),
            "12".into(),
            "it says so in a long sentence".into(),
        ]);
        grid
    }

    fn shown(grid: &Grid, width: Option<usize>) -> (String, Vec<String>) {
        let screen = Screen { width, glyphs: Glyphs::Ascii, ..Screen::default() };
        let mut bytes = Vec::new();
        let Fitted { dropped, .. } = grid.write_table(&screen, &mut bytes).expect("written");
        (String::from_utf8(bytes).expect("text"), dropped)
    }

    #[test]
    fn columns_leave_in_their_order_then_rows_are_stacked() {
        let grid = grid();
        let (wide, dropped) = shown(&grid, None);
        assert!(wide.lines().count() == 3 && wide.contains("long sentence") && dropped.is_empty(), "{wide}");
        for width in 20..=80 {
            let (text, dropped) = shown(&grid, Some(width));
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
            let expected: &[&str] = match width {
                0..45 => &["sd", "units"],
                45..51 => &["sd"],
                _ => &[],
            };
            let is_stacked =
                text.lines().next().is_some_and(|line| line.trim_start().starts_with("slot   a"));
            assert!(dropped == expected || is_stacked, "{width}: {dropped:?} {text}");
            assert_eq!(is_stacked, width < 38, "{width}: {text}");
        }
    }

    #[test]
    fn columns_that_say_nothing_are_not_missed() {
        let mut grid = Grid::new(vec![Column::left("slot"), Column::right("sd").drops(1)]);
        grid.row(vec!["a".into(), "-".into()]);
        let (text, dropped) = shown(&grid, Some(80));
        assert!(!text.contains("sd") && dropped.is_empty(), "{text}");
        assert!(shown(&grid, None).0.contains("sd"));
    }

    #[test]
    fn markdown_has_all_columns() {
        let mut grid = Grid::new(vec![Column::left("slot"), Column::right("a|b").drops(1)]);
        grid.row(vec!["r0,c0".into(), "1".into()]);
        let mut bytes = Vec::new();
        grid.write_markdown(&mut bytes).expect("written");
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(text, "| slot | a\\|b |\n| --- | ---: |\n| r0,c0 | 1 |\n");
    }
}
