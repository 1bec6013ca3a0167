//! Slots in natural order.

/// Slots in natural order: digits compare as numbers, so r0c2 comes before r0c10.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SlotOrder {
    parts: Vec<Part>,
    id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u128),
    Text(String),
}

impl SlotOrder {
    fn new(id: &str) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = id;
        while let Some(first) = rest.chars().next() {
            let is_digit = first.is_ascii_digit();
            let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
            let (run, tail) = rest.split_at(end);
            // Longer digit runs than u128 holds compare as text.
            parts.push(match run.parse() {
                Ok(number) if is_digit => Part::Number(number),
                _ => Part::Text(run.to_owned()),
            });
            rest = tail;
        }
        Self { parts, id: id.to_owned() }
    }
}

/// What slot ids are sorted by: natural order.
pub(super) fn natural_key(id: &str) -> SlotOrder {
    SlotOrder::new(id)
}

/// Compares slot ids in natural order.
pub(crate) fn natural_order(a: &str, b: &str) -> std::cmp::Ordering {
    SlotOrder::new(a).cmp(&SlotOrder::new(b))
}
