//! Literals in text cells: lists as JSON, Python and NumPy write them, numbers that JSON has no word for.

use std::borrow::Cow;

use serde_json::{Number, Value};

/// The list that a cell spells out: `[1, 0]` as JSON or Python do, `[0.1 -2.]` as NumPy does, `['a', 'b']`,
/// `[True, False]`. `None` if the cell is no list, or one of anything but scalars.
pub(super) fn list(cell: &str) -> Option<Vec<Value>> {
    let inner = cell.strip_prefix('[')?.strip_suffix(']')?.trim();
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let has_commas_or_quotes = inner.contains([',', '"', '\'']);
    if !has_commas_or_quotes {
        return inner.split_ascii_whitespace().map(scalar).collect();
    }
    items(inner)?.into_iter().map(|item| scalar(&item)).collect()
}

/// Items between commas; a comma in quotes separates nothing.
fn items(inner: &str) -> Option<Vec<String>> {
    let mut items = vec![String::new()];
    let mut quote: Option<char> = None;
    let mut is_escaped = false;
    for character in inner.chars() {
        match quote {
            Some(_) if is_escaped => is_escaped = false,
            Some(_) if character == '\\' => is_escaped = true,
            Some(open) if character == open => quote = None,
            None if character == '"' || character == '\'' => quote = Some(character),
            None if character == ',' => {
                items.push(String::new());
                continue;
            }
            None if character == '[' || character == ']' => return None,
            _ => {}
        }
        items.last_mut()?.push(character);
    }
    // A comma behind the last item, as Python allows.
    if items.last().is_some_and(|item| item.trim().is_empty()) {
        items.pop();
    }
    quote.is_none().then_some(items)
}

fn scalar(item: &str) -> Option<Value> {
    let item = item.trim();
    match item {
        "true" | "True" => return Some(Value::Bool(true)),
        "false" | "False" => return Some(Value::Bool(false)),
        "null" | "None" => return Some(Value::Null),
        _ => {}
    }
    if item.starts_with('"') {
        return serde_json::from_str::<String>(item).ok().map(Value::String);
    }
    if let Some(text) = item.strip_prefix('\'').and_then(|item| item.strip_suffix('\'')) {
        let unescaped = text.replace("\\'", "'").replace("\\\\", "\\");
        return Some(Value::String(unescaped));
    }
    if let Ok(integer) = item.parse::<i64>() {
        return Some(integer.into());
    }
    Number::from_f64(item.parse().ok()?).map(Value::Number)
}

/// A line of JSON in which the bare words NaN, Infinity and -Infinity, which Python writes and JSON does not have, stand
/// in quotes behind `mark`; other lines as they are.
pub(super) fn with_quoted_non_finite(line: &[u8], mark: char) -> Cow<'_, [u8]> {
    // Escaped: JSON has no raw control characters.
    let quoted = |word: &str| format!("\"\\u{:04x}{word}\"", u32::from(mark));
    replaced_non_finite(line, quoted)
}

/// The same with null in place of such a word.
pub(super) fn with_null_non_finite(line: &[u8]) -> Cow<'_, [u8]> {
    replaced_non_finite(line, |_| "null".to_owned())
}

fn replaced_non_finite(line: &[u8], replacement: impl Fn(&str) -> String) -> Cow<'_, [u8]> {
    const WORDS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];
    let may_have_one = line.windows(3).any(|window| window == b"NaN" || window == b"Inf");
    if !may_have_one {
        return Cow::Borrowed(line);
    }
    let mut replaced = Vec::with_capacity(line.len() + 16);
    let mut is_text = false;
    let mut place = 0;
    while place < line.len() {
        let rest = &line[place..];
        if !is_text && let Some(word) = WORDS.iter().find(|word| rest.starts_with(word.as_bytes())) {
            replaced.extend_from_slice(replacement(word).as_bytes());
            place += word.len();
            continue;
        }
        let n_taken = if is_text && rest[0] == b'\\' { rest.len().min(2) } else { 1 };
        is_text ^= n_taken == 1 && rest[0] == b'"';
        replaced.extend_from_slice(&rest[..n_taken]);
        place += n_taken;
    }
    Cow::Owned(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_every_writer() {
        let json = |cell: &str| list(cell).map(Value::Array).map(|value| value.to_string());
        let cases = [
            ("[1, 0, 1]", Some("[1,0,1]")),
            ("[True, False]", Some("[true,false]")),
            ("['a', \"it's, b\"]", Some("[\"a\",\"it's, b\"]")),
            ("['it\\'s']", Some("[\"it's\"]")),
            ("[ 0.03 -0.5  1.]", Some("[0.03,-0.5,1.0]")),
            ("[]", Some("[]")),
            ("[1,]", Some("[1]")),
            ("[[1], [2]]", None),
            ("[a, b]", None),
            ("['open]", None),
            ("1, 2", None),
        ];
        for (cell, expected) in cases {
            assert_eq!(json(cell).as_deref(), expected, "{cell}");
        }
    }

    #[test]
    fn only_bare_words_are_quoted() {
        let quoted = |line: &str| {
            String::from_utf8(with_quoted_non_finite(line.as_bytes(), '\u{1}').into_owned()).expect("text")
        };
        assert_eq!(quoted("{\"a\":NaN}"), "{\"a\":\"\\u0001NaN\"}");
        assert_eq!(quoted("[-Infinity,1]"), "[\"\\u0001-Infinity\",1]");
        let kept = "{\"NaN\":\"a \\\" Infinity\"}";
        assert_eq!(quoted(kept), kept);
    }
}
