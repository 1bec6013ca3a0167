//! How wide text is, and names cut to fit: a figure is laid out before any browser has seen it.

/// Widths in shares of the font size, of a sans-serif face: what the common ones need at most.
fn advance(character: char) -> f64 {
    match character {
        'i' | 'j' | 'l' | '\'' | '|' | '.' | ',' | ':' | ';' | '!' | 'I' => 0.30,
        'f' | 't' | 'r' | ' ' | '(' | ')' | '[' | ']' | '/' | '-' => 0.38,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '\u{2014}' => 0.92,
        'A'..='Z' => 0.72,
        '\u{300}'..='\u{36f}' => 0.0,
        c if (c as u32) < 0x1100 => 0.62,
        // Scripts whose letters are square.
        _ => 1.05,
    }
}

/// Width of a line of text in pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// `text` cut in its middle so that it is at most `most` pixels wide.
pub(super) fn fitted(text: &str, size: f64, most: f64) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let room = (most - size).max(size) / 2.0;
    let take = |characters: &mut dyn Iterator<Item = char>| {
        let mut taken = String::new();
        let mut used = 0.0;
        for character in characters {
            used += advance(character) * size;
            if used > room {
                break;
            }
            taken.push(character);
        }
        taken
    };
    let head = take(&mut text.chars());
    let tail: String = take(&mut text.chars().rev()).chars().rev().collect();
    format!("{head}…{tail}")
}

/// Text in lines of at most `most` pixels, broken at spaces.
pub(super) fn wrapped(text: &str, size: f64, most: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = fitted(word, size, most);
        match lines.last_mut() {
            Some(line) if width(line, size) + width(" ", size) + width(&word, size) <= most => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_in_the_middle() {
        let name = "r".repeat(200);
        let cut = fitted(&name, 12.0, 120.0);
        assert!(
            width(&cut, 12.0) <= 126.0 && cut.contains('…') && cut.starts_with("rr") && cut.ends_with("rr")
        );
        assert_eq!(fitted("attn", 12.0, 120.0), "attn");
        // Letters of other scripts keep their order.
        assert!(fitted(&"السرعة".repeat(30), 12.0, 120.0).starts_with('ا'));
    }

    #[test]
    fn lines_are_broken_at_spaces() {
        assert_eq!(wrapped("one two three", 10.0, 60.0), ["one two", "three"]);
        assert_eq!(wrapped("", 10.0, 60.0), Vec::<String>::new());
    }
}
