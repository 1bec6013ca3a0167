//! A rectangular report and its two renderings for people.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

use crate::printable::printable;

/// Alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows under headings.
#[derive(Debug, Clone)]
pub struct Grid {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// An empty grid with these columns.
    pub fn new(columns: &[(&str, Align)]) -> Self {
        Self {
            columns: columns.iter().map(|(name, align)| ((*name).to_owned(), *align)).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If it has another number of cells than there are columns.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(cells.len(), self.columns.len(), "one cell per column");
        self.rows.push(cells);
    }

    /// As a table for people.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.columns.iter().map(|(name, align)| cell(name, *align)));
        for row in &self.rows {
            table.add_row(row.iter().zip(&self.columns).map(|(text, (_, align))| cell(text, *align)));
        }
        for (number, line) in table.lines().enumerate() {
            writeln!(out, "{}", line.trim_end())?;
            if number == 0 {
                writeln!(out, " {}", "─".repeat(line.chars().count().saturating_sub(2)))?;
            }
        }
        Ok(())
    }

    /// As a Markdown table.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write_markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        let escape = |text: &str| printable(text).replace('|', "\\|");
        let names: Vec<String> = self.columns.iter().map(|(name, _)| escape(name)).collect();
        let rules: Vec<&str> = (self.columns.iter())
            .map(|(_, align)| if *align == Align::Right { "---:" } else { "---" })
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

fn cell(text: &str, align: Align) -> Cell {
    let alignment = match align {
        Align::Left => CellAlignment::Left,
        Align::Right => CellAlignment::Right,
    };
    Cell::new(printable(text)).set_alignment(alignment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_renderings_of_one_grid() {
        let mut grid = Grid::new(&[("slot", Align::Left), ("a|b", Align::Right)]);
        grid.row(vec!["r0,c0".into(), "1".into()]);
        let render = |write: &dyn Fn(&mut Vec<u8>) -> io::Result<()>| {
            let mut bytes = Vec::new();
            write(&mut bytes).expect("written");
            String::from_utf8(bytes).expect("text")
        };
        assert_eq!(
            render(&|out| grid.write_markdown(out)),
            "| slot | a\\|b |\n| --- | ---: |\n| r0,c0 | 1 |\n"
        );
        assert!(render(&|out| grid.write_table(out)).contains("r0,c0"));
    }
}
