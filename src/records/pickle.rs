//! A pickle read as data: opcodes are interpreted into a tree of values and nothing is ever called.
//!
//! Enough of protocols 0 to 5 for the checkpoints of running statistics: dicts, lists, tuples, numbers, text,
//! bytes, and objects as (class, arguments, state). NumPy arrays and scalars are decoded from those.

use std::collections::BTreeMap;

use super::budget::Budget;

/// What a pickle holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// List, tuple or set.
    Sequence(Vec<usize>),
    Dict(Vec<(usize, usize)>),
    /// A class or function by name.
    Global(String),
    /// An object: what made it, with what, and the state set afterwards.
    Object {
        class: usize,
        arguments: usize,
        state: Option<usize>,
        items: Vec<(usize, usize)>,
    },
}

/// A pickle's values; they refer to each other by number.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    root: usize,
    budget: Budget,
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<usize>,
    marks: Vec<usize>,
    memo: BTreeMap<u64, usize>,
    budget: Budget,
}

type Result<T> = std::result::Result<T, String>;

impl Pickle {
    /// Reads a pickle.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let mut machine = Machine {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
            budget: Budget::new(),
        };
        let root = machine.run()?;
        // What was read is paid for; looking at it has a budget of its own.
        Ok(Self { values: machine.values, root, budget: Budget::new() })
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

    fn scalar(&self, arguments: usize) -> Result<Option<Vec<f64>>> {
        let Value::Sequence(parts) = &self.values[arguments] else { return Ok(None) };
        let [dtype, bytes] = parts[..] else { return Ok(None) };
        self.decode(dtype, bytes)
    }

    fn decode(&self, dtype: usize, bytes: usize) -> Result<Option<Vec<f64>>> {
        let Value::Bytes(bytes) = &self.values[bytes] else { return Ok(None) };
        self.budget.items(bytes.len() / 4)?;
        Ok(self.dtype(dtype).and_then(|dtype| decode_numbers(&dtype, bytes)))
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

impl Machine<'_> {
    fn take(&mut self, n: usize) -> Result<&[u8]> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| "the pickle ends early".to_owned())?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// An unsigned little-endian number of `n` bytes.
    fn number(&mut self, n: usize) -> Result<u64> {
        Ok(self.take(n)?.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    }

    fn length(&mut self, n: usize) -> Result<usize> {
        usize::try_from(self.number(n)?).map_err(|_| "a length beyond this machine".to_owned())
    }

    fn line(&mut self) -> Result<String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or("the pickle ends early")?;
        let text = String::from_utf8_lossy(&rest[..end]).into_owned();
        self.at += end + 1;
        Ok(text)
    }

    fn push(&mut self, value: Value) -> Result<()> {
        self.values.push(value);
        self.put(self.values.len() - 1)
    }

    /// Puts a known value on the stack; every step of a pickle that makes it larger comes by here.
    fn put(&mut self, id: usize) -> Result<()> {
        self.budget.items(1)?;
        self.stack.push(id);
        Ok(())
    }

    fn remember(&mut self, key: u64, id: usize) -> Result<()> {
        self.budget.items(1)?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn pop(&mut self) -> Result<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("the pickle takes what it never put".to_owned());
        }
        self.stack.pop().ok_or_else(|| "the pickle takes what it never put".to_owned())
    }

    fn pop_mark(&mut self) -> Result<Vec<usize>> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len());
        Ok(self.stack.split_off(mark.ok_or("a mark is missing")?))
    }

    fn top(&self) -> Result<usize> {
        self.stack.last().copied().ok_or_else(|| "the pickle looks at what it never put".to_owned())
    }

    fn text(&mut self, length: usize) -> Result<()> {
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.push(Value::Text(text))
    }

    fn bytes(&mut self, length: usize) -> Result<()> {
        let bytes = self.take(length)?.to_vec();
        self.push(Value::Bytes(bytes))
    }

    fn long(&mut self, length: usize) -> Result<()> {
        let bytes = self.take(length)?;
        if bytes.len() > 8 {
            // Too long for a number that matters here: kept as what it is.
            let bytes = bytes.to_vec();
            return self.push(Value::Bytes(bytes));
        }
        let fill = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
        let mut raw = [fill; 8];
        raw[..bytes.len()].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(raw)))
    }

    fn set_items(&mut self, target: usize, items: &[usize]) {
        let pairs = items.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        match &mut self.values[target] {
            Value::Dict(entries) | Value::Object { items: entries, .. } => entries.extend(pairs),
            _ => {}
        }
    }

    fn append(&mut self, target: usize, items: &[usize]) {
        if let Value::Sequence(parts) = &mut self.values[target] {
            parts.extend_from_slice(items);
        }
    }

    fn object(&mut self) -> Result<()> {
        let arguments = self.pop()?;
        let class = self.pop()?;
        self.push(Value::Object { class, arguments, state: None, items: Vec::new() })
    }

    fn tuple(&mut self, n: usize) -> Result<()> {
        let mut parts = (0..n).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
        parts.reverse();
        self.push(Value::Sequence(parts))
    }

    fn run(&mut self) -> Result<usize> {
        loop {
            let opcode = self.take(1)?[0];
            match opcode {
                b'.' => return self.pop(),
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'(' => {
                    self.budget.items(1)?;
                    self.marks.push(self.stack.len());
                }
                b'N' => self.push(Value::None)?,
                0x88 => self.push(Value::Bool(true))?,
                0x89 => self.push(Value::Bool(false))?,
                b'J' => {
                    let raw = self.number(4)?;
                    #[expect(clippy::cast_possible_truncation, reason = "four bytes were read")]
                    self.push(Value::Int(i64::from((raw as u32).cast_signed())))?;
                }
                b'K' => {
                    let n = self.number(1)?;
                    self.push(Value::Int(n.cast_signed()))?;
                }
                b'M' => {
                    let n = self.number(2)?;
                    self.push(Value::Int(n.cast_signed()))?;
                }
                b'G' => {
                    let mut raw = [0u8; 8];
                    raw.copy_from_slice(self.take(8)?);
                    self.push(Value::Float(f64::from_be_bytes(raw)))?;
                }
                0x8a => {
                    let n = self.length(1)?;
                    self.long(n)?;
                }
                0x8b => {
                    let n = self.length(4)?;
                    self.long(n)?;
                }
                b'I' | b'L' => {
                    let line = self.line()?;
                    let digits = line.trim_end_matches('L');
                    let value = match (opcode, digits) {
                        (b'I', "00") => Value::Bool(false),
                        (b'I', "01") => Value::Bool(true),
                        _ => Value::Int(digits.parse().map_err(|_| format!("'{line}' is no integer"))?),
                    };
                    self.push(value)?;
                }
                b'F' => {
                    let line = self.line()?;
                    self.push(Value::Float(line.parse().map_err(|_| format!("'{line}' is no number"))?))?;
                }
                0x8c => {
                    let n = self.length(1)?;
                    self.text(n)?;
                }
                b'X' => {
                    let n = self.length(4)?;
                    self.text(n)?;
                }
                0x8d => {
                    let n = self.length(8)?;
                    self.text(n)?;
                }
                b'V' | b'S' => {
                    let line = self.line()?;
                    self.push(Value::Text(line.trim_matches(['\'', '"']).to_owned()))?;
                }
                b'C' | b'U' => {
                    let n = self.length(1)?;
                    self.bytes(n)?;
                }
                b'B' | b'T' => {
                    let n = self.length(4)?;
                    self.bytes(n)?;
                }
                0x8e | 0x96 => {
                    let n = self.length(8)?;
                    self.bytes(n)?;
                }
                b']' | b')' | 0x8f => self.push(Value::Sequence(Vec::new()))?,
                b'}' => self.push(Value::Dict(Vec::new()))?,
                b't' | b'l' | 0x91 => {
                    let parts = self.pop_mark()?;
                    self.push(Value::Sequence(parts))?;
                }
                b'd' => {
                    let items = self.pop_mark()?;
                    self.push(Value::Dict(items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()))?;
                }
                0x85 => self.tuple(1)?,
                0x86 => self.tuple(2)?,
                0x87 => self.tuple(3)?,
                b'a' => {
                    let item = self.pop()?;
                    let target = self.top()?;
                    self.append(target, &[item]);
                }
                b'e' | 0x90 => {
                    let items = self.pop_mark()?;
                    let target = self.top()?;
                    self.append(target, &items);
                }
                b's' => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    let target = self.top()?;
                    self.set_items(target, &[key, value]);
                }
                b'u' => {
                    let items = self.pop_mark()?;
                    let target = self.top()?;
                    self.set_items(target, &items);
                }
                b'c' => {
                    let name = format!("{}.{}", self.line()?, self.line()?);
                    self.push(Value::Global(name))?;
                }
                0x93 => {
                    let name = self.pop()?;
                    let module = self.pop()?;
                    let (Value::Text(module), Value::Text(name)) = (&self.values[module], &self.values[name])
                    else {
                        return Err("a class without a name".to_owned());
                    };
                    self.budget.bytes(module.len() + name.len())?;
                    let name = format!("{module}.{name}");
                    self.push(Value::Global(name))?;
                }
                b'R' | 0x81 => self.object()?,
                0x92 => {
                    self.pop()?;
                    self.object()?;
                }
                b'b' => {
                    let state = self.pop()?;
                    let target = self.top()?;
                    if let Value::Object { state: place, .. } = &mut self.values[target] {
                        *place = Some(state);
                    }
                }
                0x94 => {
                    let (next, top) = (self.memo.len() as u64, self.top()?);
                    self.remember(next, top)?;
                }
                b'q' | b'r' => {
                    let key = self.number(if opcode == b'q' { 1 } else { 4 })?;
                    let top = self.top()?;
                    self.remember(key, top)?;
                }
                b'p' => {
                    let key = self.line()?.parse().map_err(|_| "a memo without a number".to_owned())?;
                    let top = self.top()?;
                    self.remember(key, top)?;
                }
                b'h' | b'j' => {
                    let key = self.number(if opcode == b'h' { 1 } else { 4 })?;
                    let known = self.memo.get(&key).copied().ok_or("a memo that was never written")?;
                    self.put(known)?;
                }
                b'g' => {
                    let key: u64 = self.line()?.parse().map_err(|_| "a memo without a number".to_owned())?;
                    let known = self.memo.get(&key).copied().ok_or("a memo that was never written")?;
                    self.put(known)?;
                }
                b'0' => drop(self.pop()?),
                b'1' => drop(self.pop_mark()?),
                b'2' => {
                    let top = self.top()?;
                    self.put(top)?;
                }
                other => {
                    return Err(format!("opcode {other:#04x} is not one a checkpoint of statistics needs"));
                }
            }
        }
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
    fn damaged_pickles_are_errors() {
        for bytes in
            [&b""[..], b"\x80\x04", b".", b"\x80\x04K\x01", b"e.", b"h\x05.", b"\x8c\xff.", b"(0.", b"P"]
        {
            assert!(Pickle::read(bytes).is_err(), "{bytes:?}");
        }
    }
}
