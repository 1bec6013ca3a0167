//! Arrays of text.

use polars_arrow::array::{Array, DictionaryArray, Utf8Array, Utf8ViewArray, View};

/// Text as views, whatever the encoding; `None` for other types.
pub(in crate::records) fn texts(array: &dyn Array) -> Option<Utf8ViewArray> {
    if let Some(array) = array.as_any().downcast_ref::<Utf8ViewArray>() {
        return Some(array.clone());
    }
    if let Some(array) = array.as_any().downcast_ref::<Utf8Array<i32>>() {
        return Some(Utf8ViewArray::from_slice(array.iter().collect::<Vec<_>>()));
    }
    if let Some(array) = array.as_any().downcast_ref::<Utf8Array<i64>>() {
        return Some(Utf8ViewArray::from_slice(array.iter().collect::<Vec<_>>()));
    }
    macro_rules! dictionary {
        ($($key:ty),*) => {$(
            if let Some(array) = array.as_any().downcast_ref::<DictionaryArray<$key>>() {
                let values = texts(array.values().as_ref())?;
                let gathered: Vec<Option<&str>> =
                    array.keys_iter().map(|key| key.and_then(|key| values.get(key))).collect();
                return Some(Utf8ViewArray::from_slice(gathered));
            }
        )*};
    }
    dictionary!(i8, i16, i32, i64, u8, u16, u32, u64);
    None
}

/// Equality of two cells: by view where that decides, else by bytes.
#[inline]
pub(in crate::records) fn same_view(array: &Utf8ViewArray, a: usize, b: usize) -> bool {
    let views = array.views();
    let (view_a, view_b): (&View, &View) = (&views[a], &views[b]);
    if view_a.as_u128() == view_b.as_u128() {
        return true;
    }
    view_a.length == view_b.length
        && view_a.prefix == view_b.prefix
        && view_a.length > View::MAX_INLINE_SIZE
        && array.value(a) == array.value(b)
}
