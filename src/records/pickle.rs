//! A pickle read as data: opcodes are interpreted into a tree of values and nothing is ever called.
//!
//! Enough of protocols 0 to 5 for the checkpoints of running statistics: dicts, lists, tuples, numbers, text,
//! bytes, and objects as (class, arguments, state). NumPy arrays and scalars are decoded from those.
//!
//! Own code rather than the crate serde-pickle (2026-11-26, version 1.2, tried on the pickles in fixtures with
//! `replace_unresolved_globals` and `keep_restore_state`). It drops the names of classes, so that a VecNormalize, an
//! array and a dict of the same shape look alike; it replaces an object by its state but leaves every later reference
//! to it at the arguments, so that of the dtype two arrays share the first loses its type and the second its byte
//! order, and a float32 cannot be told from a float64; a value that two others share is an error ("recursive
//! structure") or silently None; persistent ids, which every PyTorch checkpoint has, are an unknown opcode. It has no
//! budget, and 200,000 nested lists (400 kB) end the process by a stack overflow, which nothing can catch.

use std::borrow::Cow;

use super::budget::Budget;
use super::opcodes::{Value, Values, interpret};

/// A pickle's values; they refer to each other by number.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    root: usize,
    budget: Budget,
}

type Result<T> = std::result::Result<T, String>;

impl Pickle {
    /// Reads a pickle.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let Values { values, root } = interpret(bytes)?;
        // What was read is paid for; looking at it has a budget of its own.
        Ok(Self { values, root, budget: Budget::new() })
    }

    pub(super) fn root(&self) -> usize {
        self.root
    }

    /// An entry of a dict, or of an object's state, by name.
    ///
    /// # Errors
    /// Objects whose states lead into each other, or more entries than the budget has.
    pub(super) fn field(&self, id: usize, name: &str) -> Result<Option<usize>> {
        let mut id = id;
        for depth in 0.. {
            Budget::depth(depth)?;
            match &self.values[id] {
                Value::Dict(entries) => return self.entry(entries, name),
                Value::Object { state, items, .. } => match (self.entry(items, name)?, state) {
                    (Some(found), _) => return Ok(Some(found)),
                    (None, Some(state)) => id = *state,
                    (None, None) => return Ok(None),
                },
                Value::Sequence(parts) => {
                    // Objects with slots have a pair of dicts as their state.
                    self.budget.items(parts.len())?;
                    for part in parts {
                        if let Value::Dict(entries) = &self.values[*part]
                            && let Some(found) = self.entry(entries, name)?
                        {
                            return Ok(Some(found));
                        }
                    }
                    return Ok(None);
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    fn entry(&self, entries: &[(usize, usize)], name: &str) -> Result<Option<usize>> {
        self.budget.items(entries.len())?;
        let is_named = |key: &usize| matches!(&self.values[*key], Value::Text(text) if text == name);
        Ok(entries.iter().find(|(key, _)| is_named(key)).map(|(_, value)| *value))
    }

    /// Names of a dict's first entries, for messages: each cut short.
    pub(super) fn keys(&self, id: usize) -> Vec<String> {
        const SHOWN: usize = 24;
        let entries = match &self.values[id] {
            Value::Dict(entries) => entries,
            Value::Object { state: Some(state), .. } => match &self.values[*state] {
                Value::Dict(entries) => entries,
                _ => return Vec::new(),
            },
            _ => return Vec::new(),
        };
        let text = |key: usize| match &self.values[key] {
            Value::Text(text) => Some(text.chars().take(64).collect()),
            _ => None,
        };
        entries.iter().take(SHOWN).filter_map(|(key, _)| text(*key)).collect()
    }

    /// Numbers: a scalar, a list of numbers, or a NumPy array or scalar; `None` for anything else.
    ///
    /// # Errors
    /// Lists that are nested deeper, or unfold to more numbers, than the budget has.
    pub(super) fn numbers(&self, id: usize) -> Result<Option<Vec<f64>>> {
        let mut numbers = Vec::new();
        Ok(self.unfold(id, 0, &mut numbers)?.map(|()| numbers))
    }

    fn unfold(&self, id: usize, depth: usize, numbers: &mut Vec<f64>) -> Result<Option<()>> {
        Budget::depth(depth)?;
        self.budget.items(1)?;
        match &self.values[id] {
            Value::Float(value) => numbers.push(*value),
            Value::Int(value) => numbers.push(*value as f64),
            Value::Sequence(parts) => {
                for part in parts {
                    if self.unfold(*part, depth + 1, numbers)?.is_none() {
                        return Ok(None);
                    }
                }
            }
            Value::Object { class, arguments, state, .. } => {
                let Value::Global(name) = &self.values[*class] else { return Ok(None) };
                let found = match (name.rsplit('.').next(), state) {
                    (Some("_reconstruct"), Some(state)) => self.array(*state)?,
                    (Some("_frombuffer"), _) => self.buffer(*arguments)?,
                    (Some("scalar"), _) => self.scalar(*arguments)?,
                    _ => None,
                };
                let Some(found) = found else { return Ok(None) };
                numbers.extend(found);
            }
            _ => return Ok(None),
        }
        Ok(Some(()))
    }

    /// Whether it is a NumPy array or scalar of 32-bit numbers.
    pub(super) fn is_single(&self, id: usize) -> bool {
        let Value::Object { class, arguments, state, .. } = &self.values[id] else { return false };
        let Value::Global(name) = &self.values[*class] else { return false };
        let parts = match (name.rsplit('.').next(), state) {
            (Some("_reconstruct"), Some(state)) => (*state, 2),
            (Some("_frombuffer"), _) => (*arguments, 1),
            (Some("scalar"), _) => (*arguments, 0),
            _ => return false,
        };
        let Value::Sequence(places) = &self.values[parts.0] else { return false };
        let dtype = places.get(parts.1).and_then(|id| self.dtype(*id));
        dtype.is_some_and(|dtype| dtype.ends_with("f4"))
    }

    /// State of a NumPy array: (version, shape, dtype, Fortran order, bytes).
    fn array(&self, state: usize) -> Result<Option<Vec<f64>>> {
        let Value::Sequence(parts) = &self.values[state] else { return Ok(None) };
        let [_, _, dtype, _, bytes] = parts[..] else { return Ok(None) };
        self.decode(dtype, bytes)
    }

    /// Arguments an array is made with under protocol 5: (bytes, dtype, shape, order).
    fn buffer(&self, arguments: usize) -> Result<Option<Vec<f64>>> {
        let Value::Sequence(parts) = &self.values[arguments] else { return Ok(None) };
        let [bytes, dtype, _, _] = parts[..] else { return Ok(None) };
        self.decode(dtype, bytes)
    }

    fn scalar(&self, arguments: usize) -> Result<Option<Vec<f64>>> {
        let Value::Sequence(parts) = &self.values[arguments] else { return Ok(None) };
        let [dtype, bytes] = parts[..] else { return Ok(None) };
        self.decode(dtype, bytes)
    }

    fn decode(&self, dtype: usize, bytes: usize) -> Result<Option<Vec<f64>>> {
        let Some(bytes) = self.raw(bytes)? else { return Ok(None) };
        self.budget.items(bytes.len() / 4)?;
        Ok(self.dtype(dtype).and_then(|dtype| decode_numbers(&dtype, &bytes)))
    }

    /// Bytes, also as the protocols before 3 spell them: as a call that encodes a text, a character a byte.
    fn raw(&self, id: usize) -> Result<Option<Cow<'_, [u8]>>> {
        match &self.values[id] {
            Value::Bytes(bytes) => Ok(Some(Cow::Borrowed(bytes))),
            Value::Object { class, arguments, .. } => {
                let (Value::Global(name), Value::Sequence(parts)) =
                    (&self.values[*class], &self.values[*arguments])
                else {
                    return Ok(None);
                };
                let text = parts.first().map(|part| &self.values[*part]);
                let (true, Some(Value::Text(text))) = (name == "_codecs.encode", text) else {
                    return Ok(None);
                };
                self.budget.bytes(text.len())?;
                let bytes: Option<Vec<u8>> = text.chars().map(|char| u8::try_from(char).ok()).collect();
                Ok(bytes.map(Cow::Owned))
            }
            _ => Ok(None),
        }
    }

    /// A dtype's name with its byte order, `<f8` for instance.
    fn dtype(&self, id: usize) -> Option<String> {
        let Value::Object { arguments, state, .. } = &self.values[id] else { return None };
        let Value::Sequence(parts) = &self.values[*arguments] else { return None };
        let Value::Text(name) = &self.values[*parts.first()?] else { return None };
        let order = state.and_then(|state| match &self.values[state] {
            Value::Sequence(parts) => parts.get(1).and_then(|part| match &self.values[*part] {
                Value::Text(order) => Some(order.clone()),
                _ => None,
            }),
            _ => None,
        });
        Some(format!("{}{name}", order.unwrap_or_else(|| "<".to_owned())))
    }
}

/// Little-endian numbers of a NumPy type.
pub(super) fn decode_numbers(dtype: &str, bytes: &[u8]) -> Option<Vec<f64>> {
    let kind = dtype.trim_start_matches(['<', '|', '=']);
    macro_rules! decode {
        ($number:ty, $convert:expr) => {{
            let size = size_of::<$number>();
            (bytes.len() % size == 0).then(|| {
                bytes
                    .chunks_exact(size)
                    .map(|chunk| {
                        let mut raw = [0u8; size_of::<$number>()];
                        raw.copy_from_slice(chunk);
                        $convert(<$number>::from_le_bytes(raw))
                    })
                    .collect()
            })
        }};
    }
    match kind {
        "f8" => decode!(f64, |x| x),
        "f4" => decode!(f32, f64::from),
        "i8" => decode!(i64, |x| x as f64),
        "u8" => decode!(u64, |x| x as f64),
        "i4" => decode!(i32, f64::from),
        "u4" => decode!(u32, f64::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dict_of_numbers() {
        // pickle.dumps({"mean": [1.5, 2], "n": 300}, protocol=4)
        let bytes = b"\x80\x04\x95\x24\0\0\0\0\0\0\0}\x94(\x8c\x04mean\x94]\x94(G?\xf8\0\0\0\0\0\0K\x02e\x8c\x01n\x94M,\x01u.";
        let pickle = Pickle::read(bytes).expect("a pickle");
        let numbers = |name| {
            let id = pickle.field(pickle.root(), name).expect("no attack").expect("there");
            pickle.numbers(id).expect("no attack")
        };
        assert_eq!(numbers("mean"), Some(vec![1.5, 2.0]));
        assert_eq!(numbers("n"), Some(vec![300.0]));
    }

    #[test]
    fn arrays_of_every_protocol_are_the_same_numbers() {
        for protocol in 0..6 {
            let bytes = std::fs::read(format!("fixtures/normalizers/protocols/{protocol}.pkl"));
            let pickle = Pickle::read(&bytes.expect("a fixture")).expect("a pickle");
            let found = |name| {
                let id = pickle.field(pickle.root(), name).expect("no attack").expect("there");
                (pickle.numbers(id).expect("no attack"), pickle.is_single(id))
            };
            let mean = Some(vec![1.5, -2.25, 5.217e163]);
            assert_eq!(found("mean"), (mean.clone(), false), "protocol {protocol}");
            // The bytes of ', ", \, a line end and such, as 32-bit numbers.
            let var = [0x3f5c_2227, 0x3f80_ff0a, 0x4080_0000].map(|bits| f64::from(f32::from_bits(bits)));
            assert_eq!(found("var"), (Some(var.to_vec()), true), "protocol {protocol}");
            assert_eq!(found("count"), (Some(vec![300.0]), false), "protocol {protocol}");
            assert_eq!(found("again"), (mean, false), "protocol {protocol}");
        }
    }

    #[test]
    fn damaged_pickles_are_errors() {
        for bytes in [
            &b""[..],
            b"\x80\x04",
            b".",
            b"\x80\x04K\x01",
            b"e.",
            b"h\x05.",
            b"\x8c\xff.",
            b"(0.",
            b"P",
            b"V\\u12\n.",
            b"V\\ud800\n.",
        ] {
            assert!(Pickle::read(bytes).is_err(), "{bytes:?}");
        }
    }
}
