//! SentencePiece's `tokenizer.model`: as much of the protocol buffers format, and of its messages, as a tokenizer needs.
//!
//! A message is a list of fields, each a number, a type and a value. Every length is compared with what is left, so that
//! what is read is never more than the file.

/// A vocabulary, and what is done to a text before pieces are looked for in it.
#[derive(Debug)]
pub struct Model {
    pub pieces: Vec<Piece>,
    pub trainer: Trainer,
    pub normalizer: Normalizer,
}

#[derive(Debug)]
pub struct Piece {
    pub text: String,
    pub score: f32,
    pub kind: Kind,
}

/// What a piece is, by SentencePiece's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

/// What a vocabulary was made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Unigram,
    Pairs,
    /// Words or characters.
    Other(u64),
}

/// Settings of the training; a number is none where the vocabulary has no such piece.
#[derive(Debug)]
pub struct Trainer {
    pub algorithm: Algorithm,
    pub byte_fallback: bool,
    pub unknown: Option<u32>,
    pub begin: Option<u32>,
    pub end: Option<u32>,
    pub unknown_piece: String,
    pub begin_piece: String,
    pub end_piece: String,
}

#[derive(Debug)]
pub struct Normalizer {
    /// A table of replacements, in SentencePiece's own format.
    pub charsmap: Vec<u8>,
    pub prefix: bool,
    pub remove_spaces: bool,
    pub escape_spaces: bool,
}

/// Why a file is not such a model.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("it ends within a field")]
    Short,
    #[error("a number in it has more than 64 bits")]
    LongNumber,
    #[error("it has a field of the unknown type {0}")]
    Type(u64),
    #[error("a piece of it is not UTF-8 text")]
    Text,
    #[error("field {0} has another type than in SentencePiece")]
    OtherType(u64),
    #[error("it has no pieces")]
    Empty,
}

/// The value of a field.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Four([u8; 4]),
    Eight,
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for place in 0..10 {
            let (&byte, rest) = self.0.split_first().ok_or(Malformed::Short)?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if place == 9 && bits > 1 {
                break;
            }
            value |= bits << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::LongNumber)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The number and the value of the next field.
    fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.number()?;
        let value = match key & 7 {
            0 => Value::Number(self.number()?),
            1 => self.take(8).map(|_| Value::Eight)?,
            2 => {
                let count = usize::try_from(self.number()?).map_err(|_| Malformed::Short)?;
                Value::Bytes(self.take(count)?)
            }
            5 => Value::Four(self.take(4)?.try_into().map_err(|_| Malformed::Short)?),
            other => return Err(Malformed::Type(other)),
        };
        Ok(Some((key >> 3, value)))
    }
}

impl<'a> Value<'a> {
    fn bytes(self, field: u64) -> Result<&'a [u8], Malformed> {
        if let Value::Bytes(bytes) = self { Ok(bytes) } else { Err(Malformed::OtherType(field)) }
    }

    fn text(self, field: u64) -> Result<String, Malformed> {
        String::from_utf8(self.bytes(field)?.to_vec()).map_err(|_| Malformed::Text)
    }

    fn number(self, field: u64) -> Result<u64, Malformed> {
        if let Value::Number(number) = self { Ok(number) } else { Err(Malformed::OtherType(field)) }
    }

    fn flag(self, field: u64) -> Result<bool, Malformed> {
        Ok(self.number(field)? != 0)
    }

    /// The number of a piece; negative ones, which are none, are stored with 64 bits.
    fn id(self, field: u64) -> Result<Option<u32>, Malformed> {
        let number = self.number(field)? as i64;
        Ok(u32::try_from(number).ok())
    }
}

impl Model {
    pub fn parse(bytes: &[u8]) -> Result<Model, Malformed> {
        let mut model = Model { pieces: Vec::new(), trainer: Trainer::default(), normalizer: Normalizer::default() };
        let mut fields = Fields(bytes);
        while let Some((field, value)) = fields.field()? {
            match field {
                1 => model.pieces.push(Piece::parse(value.bytes(field)?)?),
                2 => model.trainer.parse(value.bytes(field)?)?,
                3 => model.normalizer.parse(value.bytes(field)?)?,
                _ => {}
            }
        }
        if model.pieces.is_empty() { Err(Malformed::Empty) } else { Ok(model) }
    }
}

impl Piece {
    fn parse(bytes: &[u8]) -> Result<Piece, Malformed> {
        let mut piece = Piece { text: String::new(), score: 0.0, kind: Kind::Normal };
        let mut fields = Fields(bytes);
        while let Some((field, value)) = fields.field()? {
            match (field, value) {
                (1, value) => piece.text = value.text(field)?,
                (2, Value::Four(bytes)) => piece.score = f32::from_le_bytes(bytes),
                (2, _) => return Err(Malformed::OtherType(field)),
                (3, value) => piece.kind = Kind::of(value.number(field)?),
                _ => {}
            }
        }
        Ok(piece)
    }
}

impl Kind {
    fn of(number: u64) -> Kind {
        match number {
            2 => Kind::Unknown,
            3 => Kind::Control,
            4 => Kind::UserDefined,
            5 => Kind::Unused,
            6 => Kind::Byte,
            _ => Kind::Normal,
        }
    }
}

impl Default for Trainer {
    fn default() -> Trainer {
        Trainer {
            algorithm: Algorithm::Unigram,
            byte_fallback: false,
            unknown: Some(0),
            begin: Some(1),
            end: Some(2),
            unknown_piece: "<unk>".into(),
            begin_piece: "<s>".into(),
            end_piece: "</s>".into(),
        }
    }
}

impl Trainer {
    fn parse(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut fields = Fields(bytes);
        while let Some((field, value)) = fields.field()? {
            match field {
                3 => {
                    self.algorithm = match value.number(field)? {
                        1 => Algorithm::Unigram,
                        2 => Algorithm::Pairs,
                        other => Algorithm::Other(other),
                    }
                }
                35 => self.byte_fallback = value.flag(field)?,
                40 => self.unknown = value.id(field)?,
                41 => self.begin = value.id(field)?,
                42 => self.end = value.id(field)?,
                45 => self.unknown_piece = value.text(field)?,
                46 => self.begin_piece = value.text(field)?,
                47 => self.end_piece = value.text(field)?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Default for Normalizer {
    fn default() -> Normalizer {
        Normalizer { charsmap: Vec::new(), prefix: true, remove_spaces: true, escape_spaces: true }
    }
}

impl Normalizer {
    fn parse(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut fields = Fields(bytes);
        while let Some((field, value)) = fields.field()? {
            match field {
                2 => self.charsmap = value.bytes(field)?.to_vec(),
                3 => self.prefix = value.flag(field)?,
                4 => self.remove_spaces = value.flag(field)?,
                5 => self.escape_spaces = value.flag(field)?,
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_read() {
        // A piece "ab" of score -1 and kind 4, a trainer of pairs whose end is none, a normalizer without a prefix.
        let piece = [0x0a, 2, b'a', b'b', 0x15, 0, 0, 0x80, 0xbf, 0x18, 4];
        let end = [0xd0, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        let mut bytes = vec![0x0a, piece.len() as u8];
        bytes.extend(piece);
        bytes.extend([0x12, 2 + end.len() as u8, 0x18, 2]);
        bytes.extend(end);
        bytes.extend([0x1a, 2, 0x18, 0]);
        let model = Model::parse(&bytes).unwrap();
        let [piece] = &model.pieces[..] else { panic!("{model:?}") };
        assert_eq!((piece.text.as_str(), piece.score, piece.kind), ("ab", -1.0, Kind::UserDefined));
        assert_eq!((model.trainer.algorithm, model.trainer.end), (Algorithm::Pairs, None));
        assert!(!model.normalizer.prefix && model.normalizer.remove_spaces);
        for length in 1..bytes.len() {
            let _ = Model::parse(&bytes[..length]);
        }
    }

    #[test]
    fn what_is_no_model_is_said() {
        assert_eq!(Model::parse(b"").unwrap_err(), Malformed::Empty);
        assert_eq!(Model::parse(&[0x0a, 200, 1]).unwrap_err(), Malformed::Short);
        assert_eq!(
            Model::parse(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).unwrap_err(),
            Malformed::Short
        );
        assert_eq!(Model::parse(&[0xff; 12]).unwrap_err(), Malformed::LongNumber);
        assert_eq!(Model::parse(&[0x0b]).unwrap_err(), Malformed::Type(3));
        assert_eq!(Model::parse(&[0x08, 1]).unwrap_err(), Malformed::OtherType(1));
        assert_eq!(Model::parse(&[0x0a, 3, 0x0a, 1, 0xff]).unwrap_err(), Malformed::Text);
    }
}
