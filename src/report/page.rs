//! A page for people under way: a conclusion, text that is wrapped, tables that fit.

use std::io::{self, Write};

use super::Format;
use super::grid::{Fitted, Grid, in_markdown};
use super::screen::{Glyphs, Paint, Screen, wrapped};
use crate::printable::printable;

/// Columns of a label.
const LABEL: usize = 9;

/// How a conclusion sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// Something is wrong.
    Bad,
    /// The data cannot tell.
    Unsure,
    /// Neither good nor bad.
    Neutral,
}

impl Tone {
    fn style(self) -> &'static str {
        match self {
            Self::Good => "\x1b[1;32m",
            Self::Bad => "\x1b[1;31m",
            Self::Unsure => "\x1b[1;33m",
            Self::Neutral => "\x1b[1m",
        }
    }
}

/// What was written last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Text,
    List,
    Grid,
}

/// A table for people or a Markdown page under way: text is wrapped to the screen, tables fit it, and in Markdown blocks
/// stand apart.
pub struct Page<'a> {
    screen: &'a Screen,
    is_markdown: bool,
    out: &'a mut dyn Write,
    last: Last,
    /// The legend that was told last: the same table again needs no other.
    legend: String,
}

impl<'a> Page<'a> {
    /// An empty page.
    pub fn new(format: Format, screen: &'a Screen, out: &'a mut dyn Write) -> Self {
        Self {
            screen,
            is_markdown: format == Format::Markdown,
            out,
            last: Last::Nothing,
            legend: String::new(),
        }
    }

    /// Characters to draw with.
    pub fn glyphs(&self) -> Glyphs {
        self.screen.glyphs
    }

    /// Whether pictures made of characters have a place here: Markdown is set in letters of any width.
    pub fn draws(&self) -> bool {
        !self.is_markdown
    }

    /// The conclusion, before everything else.
    ///
    /// # Errors
    /// If writing fails.
    pub fn verdict(&mut self, sentences: &[String], tone: Tone) -> io::Result<()> {
        for sentence in sentences {
            if self.is_markdown {
                writeln!(self.out, "**{}**\n", in_markdown(sentence))?;
                continue;
            }
            let sentence = printable(sentence);
            let (on, off) = match self.screen.paint {
                Paint::Coloured => (tone.style(), "\x1b[0m"),
                Paint::Plain => ("", ""),
            };
            for line in wrapped(&self.fitting(&sentence), self.screen.width, "") {
                writeln!(self.out, "{on}{line}{off}")?;
            }
        }
        if sentences.is_empty() || self.is_markdown { Ok(()) } else { self.blank() }
    }

    /// A heading in Markdown, a line elsewhere.
    ///
    /// # Errors
    /// If writing fails.
    pub fn title(&mut self, text: &str) -> io::Result<()> {
        if self.is_markdown {
            self.last = Last::Nothing;
            return writeln!(self.out, "## {}\n", in_markdown(text));
        }
        self.line(text)
    }

    /// A line of text, wrapped.
    ///
    /// # Errors
    /// If writing fails.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.lines(text, "")
    }

    /// A point of a list.
    ///
    /// # Errors
    /// If writing fails.
    pub fn point(&mut self, text: &str) -> io::Result<()> {
        let text = format!("- {text}");
        if !self.is_markdown {
            return self.lines(&text, "  ");
        }
        self.markdown_point(&in_markdown(&text))
    }

    /// A point of a list in Markdown, its text as it stands.
    fn markdown_point(&mut self, text: &str) -> io::Result<()> {
        self.apart(Last::List)?;
        writeln!(self.out, "{text}")?;
        self.last = Last::List;
        Ok(())
    }

    /// A line of a list that needs no dash, for it begins with a mark or a word of its own; in Markdown a point.
    ///
    /// # Errors
    /// If writing fails.
    pub fn entry(&mut self, text: &str) -> io::Result<()> {
        if self.is_markdown { self.point(text.trim_start()) } else { self.lines(text, "  ") }
    }

    /// A line of a list under a label.
    ///
    /// # Errors
    /// If writing fails.
    pub fn labelled(&mut self, label: &str, text: &str) -> io::Result<()> {
        if self.is_markdown {
            return self.point(&format!("{label}: {text}"));
        }
        self.lines(&format!("  {label:<LABEL$}{text}"), &" ".repeat(2 + LABEL))
    }

    /// A command to copy under a label: in one line, however long.
    ///
    /// # Errors
    /// If writing fails.
    pub fn command(&mut self, label: &str, command: &str) -> io::Result<()> {
        if self.is_markdown {
            return self.markdown_point(&format!("- {label}: `{}`", printable(command)));
        }
        writeln!(self.out, "  {label:<LABEL$}{}", printable(command))?;
        self.last = Last::Text;
        Ok(())
    }

    fn lines(&mut self, text: &str, indent: &str) -> io::Result<()> {
        if self.is_markdown {
            self.apart(Last::Text)?;
            writeln!(self.out, "{}", in_markdown(text))?;
        } else {
            let text = printable(text);
            for line in wrapped(&self.fitting(&text), self.screen.width, indent) {
                writeln!(self.out, "{line}")?;
            }
        }
        self.last = Last::Text;
        Ok(())
    }

    /// An empty line between blocks of another kind, which Markdown needs.
    fn apart(&mut self, next: Last) -> io::Result<()> {
        if self.is_markdown && self.last != Last::Nothing && self.last != next {
            writeln!(self.out)?;
        }
        Ok(())
    }

    /// An empty line, in Markdown never two.
    ///
    /// # Errors
    /// If writing fails.
    pub fn blank(&mut self) -> io::Result<()> {
        if self.is_markdown && self.last == Last::Nothing {
            return Ok(());
        }
        self.last = Last::Nothing;
        writeln!(self.out)
    }

    /// A table, what its columns hold, and which of them found no room.
    ///
    /// # Errors
    /// If writing fails.
    pub fn grid(&mut self, grid: &Grid) -> io::Result<()> {
        if self.is_markdown {
            self.apart(Last::Grid)?;
            grid.write_markdown(self.out)?;
            self.last = Last::Grid;
            return self.legend(&grid.all_legends());
        }
        let Fitted { dropped, legends } = grid.write_table(self.screen, self.out)?;
        self.last = Last::Grid;
        self.legend(&legends)?;
        if !dropped.is_empty() {
            self.line(&format!("no room for: {} (--wide has all)", dropped.join(", ")))?;
        }
        Ok(())
    }

    fn legend(&mut self, legends: &[String]) -> io::Result<()> {
        let legend = legends.join("; ");
        if legend.is_empty() || legend == self.legend {
            return Ok(());
        }
        self.line(&legend)?;
        self.legend = legend;
        Ok(())
    }

    /// Text in the letters of the screen.
    fn fitting(&self, text: &str) -> String {
        match self.screen.glyphs {
            Glyphs::Unicode => text.to_owned(),
            Glyphs::Ascii => text.replace('±', "+/-").replace('²', "2"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::Column;
    use super::*;

    #[test]
    fn a_conclusion_is_coloured_where_there_are_colours() {
        let shown = |paint| {
            let screen = Screen { paint, ..Screen::default() };
            let mut bytes = Vec::new();
            let mut page = Page::new(Format::Table, &screen, &mut bytes);
            page.verdict(&["It is well.".to_owned()], Tone::Good).expect("written");
            String::from_utf8(bytes).expect("text")
        };
        assert_eq!(shown(Paint::Plain), "It is well.\n\n");
        assert_eq!(shown(Paint::Coloured), "\x1b[1;32mIt is well.\x1b[0m\n\n");
    }

    #[test]
    fn blocks_of_markdown_stand_apart() {
        let screen = Screen::default();
        let mut bytes = Vec::new();
        let mut page = Page::new(Format::Markdown, &screen, &mut bytes);
        let mut grid = Grid::new(vec![Column::left("x")]);
        grid.row(vec!["1".to_owned()]);
        page.verdict(&["So it is.".to_owned()], Tone::Neutral).expect("written");
        page.line("before").expect("written");
        page.grid(&grid).expect("written");
        page.line("after").expect("written");
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(text, "**So it is.**\n\nbefore\n\n| x |\n| --- |\n| 1 |\n\nafter\n");
    }
}
