//! Text from recordings, paths and settings as a terminal may see it: harmless, and no longer than it can be read.

use std::borrow::Cow;
use std::path::Path;

/// Characters of the longest name that is shown whole: of what stands between spaces.
const LONGEST_NAME: usize = 120;

/// Characters of a longer one that are shown of its end, where names mostly differ.
const NAME_END: usize = 48;

/// Characters of the longest message.
const LONGEST_TEXT: usize = 4000;

/// `text` with everything spelled out that would act on a terminal or hide in it: control characters, line breaks,
/// direction marks and characters without width. Long names are cut in the middle.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    shortened(escaped(text, is_harmful))
}

/// The same for text of several lines, whose breaks are meant.
pub(crate) fn printable_lines(text: &str) -> Cow<'_, str> {
    shortened(escaped(text, |c| c != '\n' && is_harmful(c)))
}

/// A path as text. Bytes that are no UTF-8 are spelled out, so that two names stay two.
pub(crate) fn path_text(path: &Path) -> String {
    let chunks = path.as_os_str().as_encoded_bytes().utf8_chunks();
    chunks.map(|chunk| format!("{}{}", chunk.valid(), chunk.invalid().escape_ascii())).collect()
}

/// Names cut in the middle, and what is too long even so.
fn shortened(text: Cow<'_, str>) -> Cow<'_, str> {
    // Characters are no more than bytes.
    if text.len() <= LONGEST_NAME {
        return text;
    }
    let is_long = |word: &str| word.chars().nth(LONGEST_NAME).is_some();
    let text = if text.split(' ').any(is_long) {
        let names = text.split(' ').map(|name| cut_in_the_middle(name, LONGEST_NAME, NAME_END));
        names.collect::<Vec<_>>().join(" ").into()
    } else {
        text
    };
    if text.len() <= LONGEST_TEXT {
        text
    } else {
        cut_in_the_middle(&text, LONGEST_TEXT, LONGEST_TEXT / 4).into()
    }
}

/// At most `most` characters, `end` of them from the end.
fn cut_in_the_middle(text: &str, most: usize, end: usize) -> String {
    let n = text.chars().count();
    if n <= most {
        return text.to_owned();
    }
    let begin: String = text.chars().take(most - end - 1).collect();
    let rest: String = text.chars().skip(n - end).collect();
    format!("{begin}…{rest}")
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
    fn long_names_are_cut_in_the_middle() {
        let name = format!("{}é{}", "a".repeat(80), "z".repeat(200));
        let shown = printable(&name).into_owned();
        assert_eq!(shown, format!("{}…{}", "a".repeat(71), "z".repeat(48)));
        let told = printable(&format!("run {name} no rows")).into_owned();
        assert_eq!(told, format!("run {shown} no rows"));
        let words = "seven words that are all short ".repeat(4);
        assert_eq!(printable(&words), words);
        let text = printable(&"word ".repeat(4000)).into_owned();
        assert!(text.chars().count() == LONGEST_TEXT && text.contains('…'), "{text}");
        // Escapes are made before the cut: none is taken apart into something else that acts.
        assert!(!printable(&"\u{1b}".repeat(500)).contains('\u{1b}'));
    }

    #[cfg(unix)]
    #[test]
    fn bytes_of_paths_are_spelled_out() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let path = |bytes: &'static [u8]| path_text(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(path(b"r\xc3\xa9/a\xff.csv"), "ré/a\\xff.csv");
    }

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
