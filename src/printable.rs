//! Text from recordings, paths and settings as a terminal may see it.

use std::borrow::Cow;

/// `text` with everything spelled out that would act on a terminal or hide in it: control characters, line breaks,
/// direction marks and characters without width.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmful)
}

/// The same for text of several lines, whose breaks are meant.
pub(crate) fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_harmful(c))
}

fn escaped(text: &str, is_harmful: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_harmful) {
        return text.into();
    }
    text.chars().map(|c| if is_harmful(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_spelled_out() {
        assert_eq!(printable("r0c0 \u{1b}[31mred\u{202e}"), "r0c0 \\u{1b}[31mred\\u{202e}");
        assert_eq!(printable("a\nb\u{200b}c\u{feff}"), "a\\nb\\u{200b}c\\u{feff}");
        assert_eq!(printable_lines("a\nb\r\u{9b}1m"), "a\nb\\r\\u{9b}1m");
        // Letters of any script, accents and emoji are text.
        let text = "größe 大きさ السرعة e\u{301} 🙂";
        assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
    }
}
