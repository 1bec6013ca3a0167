//! Observations that are records of several parts (Dict and Tuple spaces): each part is a column, `observations.goal`.
//!
//! What a file has is one column; a part is picked of it once it is decoded.

use std::collections::BTreeMap;

use polars_arrow::array::{Array, StructArray};
use polars_arrow::compute::utils::combine_validities_and;
use polars_arrow::datatypes::ArrowDataType;

/// Columns of records that are told apart into their parts.
const RECORDS: [&str; 2] = ["observations", "obs"];

/// Levels of records.
const MAX_DEPTH: usize = 8;

/// Where parts are: the stored column, and the place in each record on the way.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, (String, Vec<usize>)>);

impl Fields {
    /// The columns that a file shows, and where its parts are.
    pub(super) fn of(stored: Vec<(String, ArrowDataType)>) -> (Vec<(String, ArrowDataType)>, Self) {
        let mut fields = Self::default();
        let mut columns = Vec::with_capacity(stored.len());
        for (name, dtype) in stored {
            if RECORDS.contains(&name.as_str()) && matches!(dtype, ArrowDataType::Struct(_)) {
                fields.add(&name, &name, &dtype, &mut Vec::new(), &mut columns);
            } else {
                columns.push((name, dtype));
            }
        }
        (columns, fields)
    }

    fn add(
        &mut self,
        stored: &str,
        name: &str,
        dtype: &ArrowDataType,
        path: &mut Vec<usize>,
        columns: &mut Vec<(String, ArrowDataType)>,
    ) {
        if let ArrowDataType::Struct(fields) = dtype
            && path.len() < MAX_DEPTH
        {
            for (place, field) in fields.iter().enumerate() {
                path.push(place);
                self.add(stored, &format!("{name}.{}", field.name), &field.dtype, path, columns);
                path.pop();
            }
        } else {
            columns.push((name.to_owned(), dtype.clone()));
            self.0.insert(name.to_owned(), (stored.to_owned(), path.clone()));
        }
    }

    /// The stored columns that columns are read from, each once.
    pub(super) fn stored(&self, names: &[String]) -> Vec<String> {
        if self.0.is_empty() {
            return names.to_vec();
        }
        let mut stored: Vec<String> = Vec::new();
        for name in names {
            let name = self.0.get(name).map_or(name, |(stored, _)| stored);
            if !stored.contains(name) {
                stored.push(name.clone());
            }
        }
        stored
    }

    /// Columns of what was read of those that are stored; `pick` takes the part at a path.
    pub(super) fn picked<T: Clone>(
        &self,
        names: &[String],
        stored: &[String],
        read: Vec<T>,
        pick: impl Fn(T, &[usize]) -> T,
    ) -> Vec<T> {
        if self.0.is_empty() {
            return read;
        }
        let of = |name: &String| {
            let (column, path) = self.0.get(name).map_or((name, &[][..]), |(column, path)| (column, path));
            let place = stored.iter().position(|stored| stored == column)?;
            Some(pick(read.get(place)?.clone(), path))
        };
        names.iter().filter_map(of).collect()
    }
}

/// The part of records at a path; what is null in a record is null in its parts.
pub(super) fn field(array: Box<dyn Array>, path: &[usize]) -> Box<dyn Array> {
    let mut array = array;
    for place in path {
        let Some(records) = array.as_any().downcast_ref::<StructArray>() else { return array };
        let Some(part) = records.values().get(*place) else { return array };
        let validity = combine_validities_and(records.validity(), part.validity());
        array = part.with_validity(validity);
    }
    array
}

#[cfg(test)]
mod tests {
    use polars_arrow::array::PrimitiveArray;
    use polars_arrow::bitmap::Bitmap;
    use polars_arrow::datatypes::Field;

    use super::*;

    #[test]
    fn records_are_columns_of_their_parts() {
        let x = PrimitiveArray::<i64>::from_vec(vec![1, 2, 3]).boxed();
        let inner = ArrowDataType::Struct(vec![Field::new("x".into(), ArrowDataType::Int64, true)]);
        let outer = ArrowDataType::Struct(vec![
            Field::new("0".into(), ArrowDataType::Int64, true),
            Field::new("goal".into(), inner.clone(), true),
        ]);
        let stored = vec![("observations".to_owned(), outer.clone()), ("infos".to_owned(), inner.clone())];
        let (columns, fields) = Fields::of(stored);
        let names: Vec<String> = columns.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["observations.0", "observations.goal.x", "infos"]);
        let asked = ["observations.goal.x".to_owned(), "reward".to_owned(), "observations.0".to_owned()];
        assert_eq!(fields.stored(&asked), ["observations", "reward"]);
        let goal = StructArray::new(inner, 3, vec![x.clone()], None).boxed();
        let nulls = Some(Bitmap::from([true, false, true]));
        let record = StructArray::new(outer, 3, vec![x.clone(), goal], nulls).boxed();
        let found = field(record, &[1, 0]);
        assert_eq!((found.len(), found.null_count()), (3, 1));
    }
}
