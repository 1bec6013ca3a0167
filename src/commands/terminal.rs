//! How wide the terminal is.

use clap::Command;

/// Longest line that is told apart from an endless one.
const MOST: usize = 1000;

/// Columns of the terminal, as the parser of arguments finds them to wrap its help; `None` where it finds none.
///
/// The parser asks the terminal already, and nothing else here can without a dependency for one number: two paragraphs
/// of one-letter words are wrapped, one with lines of an odd length, one with lines of an even length, and the longest
/// line is the width.
pub(super) fn columns() -> Option<usize> {
    let longest = |first: &str| {
        let words = format!("{first}{}", " x".repeat(MOST));
        let command = Command::new("x").max_term_width(0).help_template("{about}").about(words);
        let help = command.clone().render_help().to_string();
        help.lines().map(|line| line.trim_end().chars().count()).max().unwrap_or(0)
    };
    let columns = longest("x").max(longest("xx"));
    (columns <= MOST).then_some(columns)
}
