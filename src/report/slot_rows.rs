//! Which rows of Shapley values a table lists, and in which order.

/// What of Shapley values a table lists, and in which order.
#[derive(Debug, Clone)]
pub struct ShapleyRows {
    /// Games.
    pub games: usize,
    /// Order of slots.
    pub order: SlotRows,
}

/// Order of the slots in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotRows {
    /// As documents have them: natural order, or that of the names given for them.
    Name,
    /// The largest value first.
    Value,
    /// As this list has them.
    Listed(Vec<String>),
}

impl SlotRows {
    /// Sorts rows by their slots and values; those that are alike stay as they are.
    pub(super) fn sort<T>(
        &self,
        rows: &mut [T],
        slot: impl Fn(&T) -> &str,
        value: impl Fn(&T) -> Option<f64>,
    ) {
        match self {
            Self::Name => {}
            Self::Value => rows.sort_by(|a, b| {
                let key = |row: &T| value(row).unwrap_or(f64::NEG_INFINITY);
                key(b).total_cmp(&key(a))
            }),
            Self::Listed(names) => {
                rows.sort_by_key(|row| {
                    names.iter().position(|name| name == slot(row)).unwrap_or(names.len())
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_as_asked() {
        let sorted = |order: &SlotRows| {
            let mut rows = vec![("a", Some(0.1)), ("b", Some(0.3)), ("c", None), ("d", Some(-0.2))];
            order.sort(&mut rows, |row| row.0, |row| row.1);
            rows.iter().map(|row| row.0).collect::<String>()
        };
        assert_eq!(sorted(&SlotRows::Name), "abcd");
        assert_eq!(sorted(&SlotRows::Value), "badc");
        assert_eq!(sorted(&SlotRows::Listed(["d", "b", "a"].map(str::to_owned).to_vec())), "dbac");
    }
}
