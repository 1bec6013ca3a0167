//! What people look at: its width, its letters and its colours.

/// Columns where nothing else is known.
pub const USUAL_WIDTH: usize = 100;

/// What a table is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Columns; `None` for as many as it takes.
    pub width: Option<usize>,
    /// Characters drawn with.
    pub glyphs: Glyphs,
    /// Whether conclusions are coloured.
    pub paint: Paint,
}

impl Default for Screen {
    fn default() -> Self {
        Self { width: Some(USUAL_WIDTH), glyphs: Glyphs::Unicode, paint: Paint::Plain }
    }
}

/// Characters that rules, bars and intervals are drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glyphs {
    /// Lines and blocks.
    Unicode,
    /// Letters that every terminal has.
    Ascii,
}

impl Glyphs {
    /// The one that these can show.
    pub fn pick<T>(self, unicode: T, ascii: T) -> T {
        match self {
            Self::Unicode => unicode,
            Self::Ascii => ascii,
        }
    }
}

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Text alone.
    Plain,
    /// ANSI colours.
    Coloured,
}

/// `text` in lines of at most `width` columns, broken at spaces; lines after the first begin with `indent`.
pub(super) fn wrapped(text: &str, width: Option<usize>, indent: &str) -> Vec<String> {
    let Some(width) = width else { return vec![text.to_owned()] };
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut columns = 0;
    let mut is_fresh = true;
    for word in text.split(' ') {
        let n = word.chars().count();
        if !is_fresh && columns + 1 + n > width && !line.trim_start().is_empty() {
            let full = std::mem::replace(&mut line, indent.to_owned());
            lines.push(full.trim_end().to_owned());
            columns = indent.chars().count();
            is_fresh = true;
        }
        if is_fresh && word.is_empty() && !lines.is_empty() {
            continue;
        }
        if !is_fresh {
            line.push(' ');
            columns += 1;
        }
        line.push_str(word);
        columns += n;
        is_fresh = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_long_words_stay_whole() {
        assert_eq!(wrapped("a bb ccc dddd", Some(6), ""), ["a bb", "ccc", "dddd"]);
        assert_eq!(wrapped("- one two three", Some(9), "  "), ["- one two", "  three"]);
        assert_eq!(wrapped("a/very/long/path x", Some(5), ""), ["a/very/long/path", "x"]);
        assert_eq!(wrapped("anything at all", None, ""), ["anything at all"]);
        // What a line begins with stays; two spaces do not begin another.
        assert_eq!(wrapped("  label    one  two", Some(14), "    "), ["  label    one", "    two"]);
    }
}
