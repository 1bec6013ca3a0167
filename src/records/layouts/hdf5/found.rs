//! What is found in the groups of a file: arrays that are columns, and those that are left out.

use super::super::super::error::RecordError;
use super::super::super::hdf5::{Field, Group, LeftOut, Names, Source, Stored};

/// Levels of groups within the observations of an episode.
const MAX_DEPTH: usize = 8;

/// Groups of them in all: links may lead in circles.
const MAX_GROUPS: usize = 256;

/// Groups that are called `prefix` and a number, in the order of those.
pub(super) fn numbered(groups: &[String], prefix: &str) -> Vec<(i64, String)> {
    let number = |name: &String| {
        let digits =
            name.strip_prefix(prefix).filter(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some((digits.parse().ok()?, name.clone()))
    };
    let mut found: Vec<(i64, String)> = groups.iter().filter_map(number).collect();
    found.sort();
    found
}

/// Groups that are called by numbers.
pub(super) struct NumberedGroups {
    /// Number and name, in order.
    pub(super) groups: Vec<(i64, String)>,
    /// What there is to say of others.
    pub(super) note: Option<String>,
}

/// The same, none twice, and a note of groups that are called so without a number.
///
/// # Errors
/// Two spellings of one number.
pub(super) fn numbered_once(
    group: &Group,
    groups: &[String],
    prefix: &str,
) -> Result<NumberedGroups, RecordError> {
    let found = numbered(groups, prefix);
    if let Some(pair) = found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(group.damaged(&format!("{} and {} have the same number", pair[0].1, pair[1].1)));
    }
    let is_other =
        |name: &&String| name.starts_with(prefix) && !found.iter().any(|(_, known)| known == *name);
    let others: Vec<&str> = groups.iter().filter(is_other).map(String::as_str).collect();
    let note = others.first().map(|first| {
        let n = others.len();
        let groups = if n == 1 { "1 group is".to_owned() } else { format!("{n} groups are") };
        format!("{groups} called {prefix} without a number that counts: left out ({first})")
    });
    Ok(NumberedGroups { groups: found, note })
}

/// Columns under construction.
#[derive(Default)]
pub(super) struct Found {
    pub(super) fields: Vec<Field>,
    pub(super) left_out: Vec<LeftOut>,
    n_groups: usize,
}

impl Found {
    pub(super) fn made_up(&mut self, name: &str, source: Source) {
        self.fields.push(Field { name: name.to_owned(), source });
    }

    /// An array that is a column, or is left out for what it holds.
    pub(super) fn array(
        &mut self,
        name: String,
        path: Vec<String>,
        found: Result<Stored, String>,
        has_spare: bool,
    ) {
        let what = match found {
            Ok(stored) if stored.cell.is_picture() => {
                let sides: Vec<String> = stored.cell.shape.iter().map(u64::to_string).collect();
                format!("pictures of {} bytes", sides.join(" x "))
            }
            Ok(mut stored) => {
                if !name.starts_with("obs") && !name.starts_with("actions") {
                    stored.cell = stored.cell.squeezed();
                }
                let source = Source::stored(path, &stored, has_spare);
                self.fields.push(Field { name, source });
                return;
            }
            Err(what) => what,
        };
        self.left_out.push(LeftOut { name, what });
    }

    /// An array of a group, or all arrays below the group of that name: a part of a name for each level.
    pub(super) fn tree(
        &mut self,
        group: &Group,
        names: &Names,
        name: &str,
        has_spare: bool,
    ) -> Result<(), RecordError> {
        if names.arrays.iter().any(|array| array == name) {
            self.array(name.to_owned(), vec![name.to_owned()], group.array(name)?, has_spare);
        } else if names.groups.iter().any(|inner| inner == name) {
            let mut path = vec![name.to_owned()];
            self.below(&group.group(name)?, name, &mut path, has_spare)?;
        }
        Ok(())
    }

    fn below(
        &mut self,
        group: &Group,
        column: &str,
        path: &mut Vec<String>,
        has_spare: bool,
    ) -> Result<(), RecordError> {
        self.n_groups += 1;
        if self.n_groups > MAX_GROUPS {
            return Err(group.damaged(&format!("more than {MAX_GROUPS} groups in one episode")));
        }
        let mut names = group.names()?;
        // By name: how a file keeps its links, in which order, is its own affair.
        names.arrays.sort();
        names.groups.sort();
        let column_of = |name: &String| format!("{column}.{}", name.strip_prefix("_index_").unwrap_or(name));
        for name in &names.arrays {
            let mut place = path.clone();
            place.push(name.clone());
            self.array(column_of(name), place, group.array(name)?, has_spare);
        }
        for name in &names.groups {
            if path.len() > MAX_DEPTH {
                let what = format!("groups nested deeper than {MAX_DEPTH} levels");
                self.left_out.push(LeftOut { name: column_of(name), what });
                continue;
            }
            path.push(name.clone());
            self.below(&group.group(name)?, &column_of(name), path, has_spare)?;
            path.pop();
        }
        Ok(())
    }

    /// What there is to say of arrays that are left out.
    pub(super) fn notes(&self) -> Vec<String> {
        let note = |left_out: &LeftOut| format!("{} holds {}: left out", left_out.name, left_out.what);
        self.left_out.iter().map(note).collect()
    }
}

/// Rows of an episode: as its group says, else as its actions or rewards have.
pub(super) fn rows_of(group: &Group, attribute: &str) -> Result<u64, RecordError> {
    if let Some(n_rows) = group.count(attribute)? {
        return Ok(n_rows);
    }
    let names = group.names()?;
    for array in ["rewards", "actions"] {
        if names.arrays.iter().any(|name| name == array)
            && let Ok(stored) = group.array(array)?
        {
            return Ok(stored.n_rows);
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hdf5_groups_are_told_by_their_numbers() {
        let groups =
            ["demo_10", "demo_2", "demo_02", "demo_+1", "demo_x", "mask", "demo_0"].map(str::to_owned);
        let numbers: Vec<i64> = numbered(&groups, "demo_").into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [0, 2, 2, 10]);
    }
}
