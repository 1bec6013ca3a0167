//! Where normalized values go.

/// Where normalized values go.
#[derive(Debug)]
pub enum Output<'a> {
    /// Nowhere; clipping is counted all the same.
    None,
    /// Rounded to 32 bits.
    F32(&'a mut [f32]),
    /// As computed.
    F64(&'a mut [f64]),
}

impl<'a> Output<'a> {
    /// The values `start..end`.
    pub(super) fn slice(&mut self, start: usize, end: usize) -> Output<'_> {
        match self {
            Self::None => Output::None,
            Self::F32(values) => Output::F32(&mut values[start..end]),
            Self::F64(values) => Output::F64(&mut values[start..end]),
        }
    }

    /// Splits at ascending positions.
    pub(super) fn split(self, positions: &[usize]) -> Vec<Output<'a>> {
        fn parts<'a, T>(mut rest: &'a mut [T], positions: &[usize]) -> Vec<&'a mut [T]> {
            let mut taken = 0;
            positions
                .iter()
                .map(|position| {
                    let (part, after) = std::mem::take(&mut rest).split_at_mut(position - taken);
                    (rest, taken) = (after, *position);
                    part
                })
                .collect()
        }
        match self {
            Output::None => positions.iter().map(|_| Output::None).collect(),
            Output::F32(values) => parts(values, positions).into_iter().map(Output::F32).collect(),
            Output::F64(values) => parts(values, positions).into_iter().map(Output::F64).collect(),
        }
    }
}
