//! The opcodes of a pickle, interpreted into values; nothing is ever called.

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

/// The values of a pickle.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) values: Vec<Value>,
    /// The one that was pickled.
    pub(super) root: usize,
}

/// Interprets a pickle within a budget of its own.
pub(super) fn interpret(bytes: &[u8]) -> Result<Values> {
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
    Ok(Values { values: machine.values, root })
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
        // Lines are Latin-1: a character a byte.
        let text = rest[..end].iter().copied().map(char::from).collect();
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
                b'V' => {
                    let text = raw_unicode(&self.line()?)?;
                    self.push(Value::Text(text))?;
                }
                b'S' => {
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

/// A line of text in which backslash u and four digits, or U and eight, stand for a character (raw-unicode-escape).
fn raw_unicode(line: &str) -> Result<String> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        let n_digits = match rest[at + 1..].chars().next() {
            Some('u') => 4,
            Some('U') => 8,
            _ => 0,
        };
        text.push_str(&rest[..at]);
        if n_digits == 0 {
            text.push('\\');
            rest = &rest[at + 1..];
            continue;
        }
        let digits = rest.get(at + 2..at + 2 + n_digits);
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        text.push(code.ok_or("a text with a broken escape")?);
        rest = &rest[at + 2 + n_digits..];
    }
    text.push_str(rest);
    Ok(text)
}
