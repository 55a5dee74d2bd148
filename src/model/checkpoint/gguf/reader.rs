//! Little-endian numbers, strings and values from bytes that may be cut off or claim wrong lengths.

use std::ops::Range;

/// What is wrong with a file, as the part of a sentence that follows its name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Arrays inside arrays that are followed; no known file has any.
const DEEPEST_ARRAY: usize = 4;

/// The longest name of a metadata entry that the format allows.
const LONGEST_KEY: usize = 65_535;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    fn of(id: u32) -> Result<Kind, Fault> {
        use Kind::*;
        let all = [U8, I8, U16, I16, U32, I32, F32, Bool, Text, Array, U64, I64, F64];
        all.get(id as usize).copied().ok_or_else(|| Fault(format!("metadata of the unknown type {id}")))
    }

    /// Bytes of a value, where all have the same length.
    pub fn size(self) -> Option<usize> {
        match self {
            Kind::U8 | Kind::I8 | Kind::Bool => Some(1),
            Kind::U16 | Kind::I16 => Some(2),
            Kind::U32 | Kind::I32 | Kind::F32 => Some(4),
            Kind::U64 | Kind::I64 | Kind::F64 => Some(8),
            Kind::Text | Kind::Array => None,
        }
    }
}

/// A metadata value. Arrays stay where they are: only where is noted, so that no length is believed before the bytes
/// are there.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number that is not negative, of any width.
    Unsigned(u64),
    Negative(i64),
    Single(f32),
    Double(f64),
    Bool(bool),
    /// Text; bytes that are not UTF-8 are replaced.
    Text(String),
    Array {
        element: Kind,
        count: usize,
        range: Range<usize>,
    },
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Reader { bytes, at }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(Fault(format!(
                "it ends at byte {}, in the middle of {what} at byte {}",
                self.bytes.len(),
                self.at
            )));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    pub fn u32(&mut self, what: &str) -> Result<u32, Fault> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, what: &str) -> Result<u64, Fault> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A number of things that take at least `least` bytes each, and so cannot be more than there is room for.
    pub fn count(&mut self, least: usize, what: &str) -> Result<usize, Fault> {
        let count = self.u64(what)?;
        match usize::try_from(count).ok().filter(|count| *count <= self.left() / least.max(1)) {
            Some(count) => Ok(count),
            None => Err(Fault(format!("{what} is {count}, but there are only {} bytes left", self.left()))),
        }
    }

    /// Bytes that follow their length.
    pub fn text(&mut self, what: &str) -> Result<&'a [u8], Fault> {
        let length = self.count(1, &format!("the length of {what}"))?;
        self.take(length, what)
    }

    pub fn key(&mut self) -> Result<String, Fault> {
        let bytes = self.text("the name of a metadata entry")?;
        if bytes.is_empty() || bytes.len() > LONGEST_KEY {
            return Err(Fault(format!("a metadata entry has a name of {} bytes", bytes.len())));
        }
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// A value that follows its type.
    pub fn value(&mut self, key: &str) -> Result<Value, Fault> {
        let what = format!("the value of {key:?}");
        let kind = Kind::of(self.u32(&what)?)?;
        if kind == Kind::Array {
            let element = Kind::of(self.u32(&what)?)?;
            let (count, range) = self.skip_array(element, &what, 0)?;
            return Ok(Value::Array { element, count, range });
        }
        self.scalar(kind, &what)
    }

    /// A value of a type other than array.
    pub fn scalar(&mut self, kind: Kind, what: &str) -> Result<Value, Fault> {
        let signed = |x: i64| u64::try_from(x).map_or(Value::Negative(x), Value::Unsigned);
        Ok(match kind {
            Kind::U8 => Value::Unsigned(self.array::<1>(what)?[0].into()),
            Kind::I8 => signed(i64::from(self.array::<1>(what)?[0] as i8)),
            Kind::U16 => Value::Unsigned(u16::from_le_bytes(self.array(what)?).into()),
            Kind::I16 => signed(i16::from_le_bytes(self.array(what)?).into()),
            Kind::U32 => Value::Unsigned(self.u32(what)?.into()),
            Kind::I32 => signed(i32::from_le_bytes(self.array(what)?).into()),
            Kind::U64 => Value::Unsigned(self.u64(what)?),
            Kind::I64 => signed(i64::from_le_bytes(self.array(what)?)),
            Kind::F32 => Value::Single(f32::from_le_bytes(self.array(what)?)),
            Kind::F64 => Value::Double(f64::from_le_bytes(self.array(what)?)),
            Kind::Bool => Value::Bool(self.array::<1>(what)?[0] != 0),
            Kind::Text => Value::Text(String::from_utf8_lossy(self.text(what)?).into_owned()),
            Kind::Array => return Err(Fault(format!("{what} is an array where a single value should be"))),
        })
    }

    /// Goes past the elements of an array, of which the type has been read; their number and bytes.
    fn skip_array(&mut self, element: Kind, what: &str, depth: usize) -> Result<(usize, Range<usize>), Fault> {
        if depth == DEEPEST_ARRAY {
            return Err(Fault(format!("{what} is an array inside more than {DEEPEST_ARRAY} others")));
        }
        // A string takes 8 bytes for its length, an array 12 for its type and count.
        let least = element.size().unwrap_or(if element == Kind::Text { 8 } else { 12 });
        let count = self.count(least, &format!("the number of elements of {what}"))?;
        let start = self.at;
        match element.size() {
            Some(size) => {
                self.take(count * size, what)?;
            }
            None if element == Kind::Text => {
                for _ in 0..count {
                    self.text(what)?;
                }
            }
            None => {
                for _ in 0..count {
                    let element = Kind::of(self.u32(what)?)?;
                    self.skip_array(element, what, depth + 1)?;
                }
            }
        }
        Ok((count, start..self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_are_read() {
        let mut bytes = vec![];
        bytes.extend(4u32.to_le_bytes());
        bytes.extend(7u32.to_le_bytes());
        bytes.extend(5u32.to_le_bytes());
        bytes.extend((-3i32).to_le_bytes());
        bytes.extend(6u32.to_le_bytes());
        bytes.extend(1e-5f32.to_le_bytes());
        bytes.extend(7u32.to_le_bytes());
        bytes.push(1);
        let mut reader = Reader::new(&bytes, 0);
        let values: Vec<Value> = (0..4).map(|_| reader.value("k").unwrap()).collect();
        assert_eq!(values, [Value::Unsigned(7), Value::Negative(-3), Value::Single(1e-5), Value::Bool(true)]);
        assert_eq!(
            reader.value("k").unwrap_err().to_string(),
            "it ends at byte 29, in the middle of the value of \"k\" at byte 29"
        );
    }

    #[test]
    fn counts_that_no_file_of_this_size_can_hold_are_refused() {
        let mut bytes = vec![];
        bytes.extend(9u32.to_le_bytes());
        bytes.extend(8u32.to_le_bytes());
        bytes.extend(10_000_000_000u64.to_le_bytes());
        assert_eq!(
            Reader::new(&bytes, 0).value("tokens").unwrap_err().to_string(),
            "the number of elements of the value of \"tokens\" is 10000000000, but there are only 0 bytes left"
        );
    }

    #[test]
    fn arrays_in_arrays_end_somewhere() {
        let mut bytes = vec![];
        bytes.extend(9u32.to_le_bytes());
        for _ in 0..1000 {
            bytes.extend(9u32.to_le_bytes());
            bytes.extend(1u64.to_le_bytes());
        }
        assert_eq!(
            Reader::new(&bytes, 0).value("deep").unwrap_err().to_string(),
            "the value of \"deep\" is an array inside more than 4 others"
        );
    }
}
