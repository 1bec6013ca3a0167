//! Rows of one width as analysis reads them: values one after another, at 32 or 64 bits.

use std::ops::Range;

/// Rows of one width, one after another.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    /// As recorders usually store them.
    F32(&'a [f32]),
    /// Doubles, or integers made doubles.
    F64(&'a [f64]),
}

impl Rows<'_> {
    /// The rows `range` of rows of `width` values.
    #[must_use]
    pub fn slice(self, range: Range<usize>, width: usize) -> Self {
        match self {
            Self::F32(values) => Self::F32(&values[range.start * width..range.end * width]),
            Self::F64(values) => Self::F64(&values[range.start * width..range.end * width]),
        }
    }

    /// The first value whose magnitude exceeds `most`.
    pub fn find_beyond(&self, most: f64) -> Option<usize> {
        match self {
            Self::F32(_) if most >= f64::from(f32::MAX) => None,
            Self::F32(values) => values.iter().position(|x| f64::from(x.abs()) > most),
            Self::F64(values) => values.iter().position(|x| x.abs() > most),
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One value.
    pub fn get(&self, index: usize) -> f64 {
        match self {
            Self::F32(values) => f64::from(values[index]),
            Self::F64(values) => values[index],
        }
    }
}
