//! What a model is run on: one or more rows of tokens, all of one length.

use super::error::InputError;
use super::load::Model;
use super::memory_check;
use super::spec::ModelSpec;
use super::tokenizer::{Token, Tokenizer};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Token ids, padding included.
    pub ids: Vec<u32>,
    /// Whether each token is real; padding is not.
    pub mask: Vec<bool>,
    /// Token types; zeros where the model has none.
    pub type_ids: Vec<u32>,
    pub text: Option<String>,
    pub second_text: Option<String>,
    /// What an encoder reads, in a model that has a decoder too: the tokens above are then those of the decoder, `text` is what the
    /// encoder reads, and `second_text` what the decoder reads after the token that it begins with.
    pub source: Option<Source>,
}

/// The tokens that an encoder reads for a decoder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Token ids, padding included.
    pub ids: Vec<u32>,
    /// Whether each token is real; padding is not.
    pub mask: Vec<bool>,
}

impl Source {
    /// Tokens without padding.
    pub fn new(ids: Vec<u32>) -> Source {
        Source { mask: vec![true; ids.len()], ids }
    }

    /// The tokens from the first real one to the last.
    fn trimmed(&self) -> Source {
        let real = real(&self.mask);
        Source { ids: self.ids[real.clone()].to_vec(), mask: self.mask[real].to_vec() }
    }
}

/// From the first real token to the last.
fn real(mask: &[bool]) -> std::ops::Range<usize> {
    let end = mask.iter().rposition(|real| *real).map_or(0, |last| last + 1);
    mask.iter().position(|real| *real).unwrap_or(end)..end
}

impl Row {
    fn of_tokens(tokens: Vec<Token>, types: bool) -> Row {
        Row {
            ids: tokens.iter().map(|token| token.id).collect(),
            mask: vec![true; tokens.len()],
            type_ids: tokens.iter().map(|token| if types { token.type_id } else { 0 }).collect(),
            ..Row::default()
        }
    }

    /// The same text for the encoder, and another one that the decoder goes on with.
    ///
    /// # Errors
    /// If the model is not of both, or the text cannot be tokenised.
    pub fn with_target(&self, model: &Model, target: &str) -> Result<Row, InputError> {
        let source = self.source.as_ref().ok_or_else(|| InputError::NoSource { family: model.spec.family.clone() })?;
        let row = Row::of_decoder(model, source.trimmed().ids, Some(target))?;
        Ok(Row { text: self.text.clone(), second_text: Some(target.to_owned()), ..row })
    }

    /// A row of a decoder that begins, or goes on with the tokens of `target`, and whose encoder reads `source`.
    fn of_decoder(model: &Model, source: Vec<u32>, target: Option<&str>) -> Result<Row, InputError> {
        let special = &model.special;
        let start = special.decoder_start.ok_or_else(|| InputError::NoStart { family: model.spec.family.clone() })?;
        let mut ids = vec![start];
        ids.extend(special.forced_bos);
        if let Some(target) = target {
            // The token that generation forces has the place of those that the tokenizer puts before a text.
            let tokens = tokenizer(model)?.encode(target, special.forced_bos.is_none())?;
            ids.extend(tokens.iter().map(|token| token.id));
            while ids.len() > 1 && ids.last().is_some_and(|id| special.eos.contains(id)) {
                ids.pop();
            }
        }
        let (mask, type_ids) = (vec![true; ids.len()], vec![0; ids.len()]);
        Ok(Row { ids, mask, type_ids, source: Some(Source::new(source)), ..Row::default() })
    }

    /// Tokens that are not padding.
    pub fn len(&self) -> usize {
        self.mask.iter().filter(|real| **real).count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// On which side shorter rows are filled up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Before the text, as batches that are generated from often are.
    Left,
    /// Behind the text.
    #[default]
    Right,
}

/// What a model is run on. Rows have one length; shorter ones are filled up on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    pub rows: Vec<Row>,
    filler: u32,
    side: Side,
}

impl Input {
    /// One row for each text, with the tokens that the model expects around it unless `add_special` is false.
    pub fn from_texts(model: &Model, texts: &[impl AsRef<str>], add_special: bool) -> Result<Input, InputError> {
        let tokenizer = tokenizer(model)?;
        let row = |text: &str| {
            let whole = if add_special { model.with_prompt(text) } else { text.into() };
            let tokens = tokenizer.encode(&whole, add_special)?;
            let row = match model.spec.encoder {
                Some(_) => Row::of_decoder(model, ids_of(tokens), None)?,
                None => Row::of_tokens(tokens, model.has_token_types()),
            };
            Ok(Row { text: Some(text.to_owned()), ..row })
        };
        Input::from_rows(model, texts.iter().map(|text| row(text.as_ref())).collect::<Result<_, _>>()?)
    }

    /// One row for each pair of texts: both in one input, or of a model that has an encoder and a decoder, what each of the
    /// two reads.
    pub fn from_pairs(model: &Model, pairs: &[(impl AsRef<str>, impl AsRef<str>)]) -> Result<Input, InputError> {
        if !model.takes_pairs() {
            return Err(InputError::PairUnsupported { family: model.spec.family.clone() });
        }
        let tokenizer = tokenizer(model)?;
        let row = |first: &str, second: &str| {
            let row = match model.spec.encoder {
                Some(_) => Row::of_decoder(model, ids_of(tokenizer.encode(first, true)?), Some(second))?,
                None => Row::of_tokens(
                    tokenizer.encode_pair(&model.with_prompt(first), second, true)?,
                    model.has_token_types(),
                ),
            };
            Ok(Row { text: Some(first.to_owned()), second_text: Some(second.to_owned()), ..row })
        };
        Input::from_rows(model, pairs.iter().map(|(a, b)| row(a.as_ref(), b.as_ref())).collect::<Result<_, _>>()?)
    }

    /// One row for each list of token ids, as they are; where there is an encoder besides a decoder, it reads them.
    pub fn from_tokens(model: &Model, rows: Vec<Vec<u32>>) -> Result<Input, InputError> {
        let row = |ids: Vec<u32>| match model.spec.encoder {
            Some(_) => Row::of_decoder(model, ids, None),
            None => Ok(Row { mask: vec![true; ids.len()], type_ids: vec![0; ids.len()], ids, ..Row::default() }),
        };
        Input::from_rows(model, rows.into_iter().map(row).collect::<Result<_, _>>()?)
    }

    /// Rows made elsewhere: checked against the model, then filled up to the longest.
    pub fn from_rows(model: &Model, rows: Vec<Row>) -> Result<Input, InputError> {
        Input::filled(model, rows, model.special.padding)
    }

    /// Other rows in place of these, filled up on the same side.
    pub fn with_rows(&self, model: &Model, rows: Vec<Row>) -> Result<Input, InputError> {
        Input::filled(model, rows, self.side)
    }

    fn filled(model: &Model, rows: Vec<Row>, side: Side) -> Result<Input, InputError> {
        if rows.is_empty() {
            return Err(InputError::Empty);
        }
        rows.iter().try_for_each(|row| check(&model.spec, row).map_err(|error| explained(model, row, error)))?;
        let mut input = Input { rows, filler: model.special.filler(model.spec.vocab), side };
        let longest = input.rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
        memory_check::check_pass(model, input.rows.len(), longest, 0)?;
        input.fill(longest);
        let longest = input.rows.iter().flat_map(|row| &row.source).map(|source| source.ids.len()).max().unwrap_or(0);
        memory_check::check_source(model, input.rows.len(), longest)?;
        input.fill_source(longest);
        Ok(input)
    }

    /// Fills every row up to `length` tokens; longer inputs stay as they are. Where there is an encoder besides a decoder, it
    /// is what the encoder reads that is filled up.
    ///
    /// # Errors
    /// If the model has fewer positions, or there is too little memory.
    pub fn pad_to(&mut self, model: &Model, length: usize) -> Result<(), InputError> {
        let encoder = model.spec.encoder.as_ref();
        let spec = encoder.map_or(&model.spec, |encoder| &encoder.spec);
        match encoder {
            Some(_) => memory_check::check_source(model, self.rows.len(), length)?,
            None => memory_check::check_pass(model, self.rows.len(), length, 0)?,
        }
        if let Some(max) = spec.longest_input().filter(|max| length > *max) {
            return Err(InputError::TooLong { tokens: length, max });
        }
        match encoder {
            Some(_) => self.fill_source(length),
            None => self.fill(length),
        }
        Ok(())
    }

    /// Puts the padding of every row on that side.
    pub fn pad_on(&mut self, side: Side) {
        let (length, source) = (self.length(), self.source_length());
        self.rows = self.texts();
        self.side = side;
        self.fill(length);
        self.fill_source(source);
    }

    pub fn side(&self) -> Side {
        self.side
    }

    /// The rows without the padding around them.
    pub fn texts(&self) -> Vec<Row> {
        let text = |row: &Row| {
            let real = real(&row.mask);
            Row {
                ids: row.ids[real.clone()].to_vec(),
                mask: row.mask[real.clone()].to_vec(),
                type_ids: row.type_ids[real].to_vec(),
                source: row.source.as_ref().map(Source::trimmed),
                ..row.clone()
            }
        };
        self.rows.iter().map(text).collect()
    }

    fn fill(&mut self, length: usize) {
        for row in &mut self.rows {
            let missing = length.saturating_sub(row.ids.len());
            // A decoder begins at its first position.
            let left = self.side == Side::Left && row.source.is_none();
            let at = if left { 0 } else { row.ids.len() };
            row.ids.splice(at..at, std::iter::repeat_n(self.filler, missing));
            row.mask.splice(at..at, std::iter::repeat_n(false, missing));
            row.type_ids.splice(at..at, std::iter::repeat_n(0, missing));
        }
    }

    fn fill_source(&mut self, length: usize) {
        for source in self.rows.iter_mut().filter_map(|row| row.source.as_mut()) {
            let missing = length.saturating_sub(source.ids.len());
            let at = if self.side == Side::Left { 0 } else { source.ids.len() };
            source.ids.splice(at..at, std::iter::repeat_n(self.filler, missing));
            source.mask.splice(at..at, std::iter::repeat_n(false, missing));
        }
    }

    /// What an encoder reads for a decoder, as an input of the encoder; empty rows where there is none.
    pub fn source(&self) -> Input {
        let of = |row: &Row| {
            let Source { ids, mask } = row.source.clone().unwrap_or_default();
            Row { type_ids: vec![0; ids.len()], ids, mask, ..Row::default() }
        };
        Input { rows: self.rows.iter().map(of).collect(), filler: self.filler, side: self.side }
    }

    /// Tokens of what an encoder reads for each row, padding included; none without one.
    pub fn source_length(&self) -> usize {
        self.rows.first().and_then(|row| row.source.as_ref()).map_or(0, |source| source.ids.len())
    }

    /// The first columns.
    pub fn columns(&self, end: usize) -> Input {
        let mut cut = self.clone();
        for row in &mut cut.rows {
            row.ids.truncate(end);
            row.mask.truncate(end);
            row.type_ids.truncate(end);
        }
        cut
    }

    /// Appends a token to each row; padding where there is none.
    pub fn push_column(&mut self, model: &Model, tokens: &[Option<u32>]) -> Result<(), InputError> {
        let tokens_then = self.rows.iter().map(|row| row.len() + 1).max().unwrap_or(0);
        if tokens_then > model.spec.max_positions {
            return Err(InputError::Full { max: model.spec.max_positions });
        }
        for (row, token) in self.rows.iter_mut().zip(tokens) {
            row.ids.push(token.unwrap_or(self.filler));
            row.mask.push(token.is_some());
            row.type_ids.push(0);
        }
        Ok(())
    }

    /// Tokens of each row, padding included.
    pub fn length(&self) -> usize {
        self.rows.first().map_or(0, |row| row.ids.len())
    }

    pub fn is_padded(&self) -> bool {
        let of_source = |row: &Row| row.source.as_ref().is_some_and(|source| source.mask.contains(&false));
        self.rows.iter().any(|row| row.mask.contains(&false) || of_source(row))
    }
}

fn ids_of(tokens: Vec<Token>) -> Vec<u32> {
    tokens.into_iter().map(|token| token.id).collect()
}

fn tokenizer(model: &Model) -> Result<&Tokenizer, InputError> {
    model.tokenizer.as_ref().ok_or_else(|| InputError::NoTokenizer { why: model.no_tokenizer.clone() })
}

/// The same error, with the token and what names it where the tokenizer has one that the model has not.
fn explained(model: &Model, row: &Row, error: InputError) -> InputError {
    let InputError::IdOutOfRange { id, position, vocab, .. } = error else { return error };
    let known = model.tokenizer.as_ref().filter(|tokenizer| tokenizer.has(id));
    let what = known.map_or_else(String::new, |tokenizer| {
        const MOST: usize = 64;
        let by = tokenizer.named_by(id).unwrap_or("the tokenizer's own file");
        let mut ids: Vec<String> = row.ids.iter().take(MOST).map(u32::to_string).collect();
        if row.ids.len() > MOST {
            ids.push("...".into());
        }
        format!(
            "; it is {:?}, a token that {by} names and that the model has no row for (the tokens are {})",
            tokenizer.token_text(id),
            ids.join(" ")
        )
    });
    InputError::IdOutOfRange { id, position, vocab, what }
}

fn check(spec: &ModelSpec, row: &Row) -> Result<(), InputError> {
    match (&spec.encoder, &row.source) {
        (Some(encoder), Some(Source { ids, mask })) => {
            let (ids, mask, type_ids) = (ids.clone(), mask.clone(), vec![0; ids.len()]);
            check(&encoder.spec, &Row { ids, mask, type_ids, ..Row::default() })?;
        }
        (Some(_), None) => return Err(InputError::NoSource { family: spec.family.clone() }),
        (None, Some(_)) => return Err(InputError::SourceUnsupported { family: spec.family.clone() }),
        (None, None) => {}
    }
    let tokens = row.ids.len();
    if row.is_empty() {
        return Err(InputError::Empty);
    }
    if let Some(max) = spec.longest_input().filter(|max| tokens > *max) {
        return Err(InputError::TooLong { tokens, max });
    }
    if let Some((position, &id)) = row.ids.iter().enumerate().find(|(_, id)| **id as usize >= spec.vocab) {
        return Err(InputError::IdOutOfRange { id, position, vocab: spec.vocab, what: String::new() });
    }
    if let Some(types) = [row.type_ids.len(), row.mask.len()].into_iter().find(|types| *types != tokens) {
        return Err(InputError::TypeCount { types, tokens });
    }
    let types = spec.embed.token_types.max(1);
    match row.type_ids.iter().enumerate().find(|(_, type_id)| **type_id as usize >= types) {
        Some((position, &type_id)) => Err(InputError::TypeOutOfRange { type_id, position, types }),
        None => Ok(()),
    }
}
