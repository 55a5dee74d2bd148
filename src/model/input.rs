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
}

impl Row {
    fn of_tokens(tokens: Vec<Token>, types: bool) -> Row {
        Row {
            ids: tokens.iter().map(|token| token.id).collect(),
            mask: vec![true; tokens.len()],
            type_ids: tokens.iter().map(|token| if types { token.type_id } else { 0 }).collect(),
            text: None,
            second_text: None,
        }
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
            let row = Row::of_tokens(tokenizer.encode(&whole, add_special)?, model.has_token_types());
            Ok(Row { text: Some(text.to_owned()), ..row })
        };
        Input::from_rows(model, texts.iter().map(|text| row(text.as_ref())).collect::<Result<_, _>>()?)
    }

    pub fn from_pairs(model: &Model, pairs: &[(impl AsRef<str>, impl AsRef<str>)]) -> Result<Input, InputError> {
        if !model.takes_pairs() {
            return Err(InputError::PairUnsupported { family: model.spec.family.clone() });
        }
        let tokenizer = tokenizer(model)?;
        let row = |first: &str, second: &str| {
            let row = Row::of_tokens(
                tokenizer.encode_pair(&model.with_prompt(first), second, true)?,
                model.has_token_types(),
            );
            Ok(Row { text: Some(first.to_owned()), second_text: Some(second.to_owned()), ..row })
        };
        Input::from_rows(model, pairs.iter().map(|(a, b)| row(a.as_ref(), b.as_ref())).collect::<Result<_, _>>()?)
    }

    /// One row for each list of token ids, as they are.
    pub fn from_tokens(model: &Model, rows: Vec<Vec<u32>>) -> Result<Input, InputError> {
        let row =
            |ids: Vec<u32>| Row { mask: vec![true; ids.len()], type_ids: vec![0; ids.len()], ids, ..Row::default() };
        Input::from_rows(model, rows.into_iter().map(row).collect())
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
        Ok(input)
    }

    /// Fills every row up to `length` tokens; longer inputs stay as they are.
    ///
    /// # Errors
    /// If the model has fewer positions, or there is too little memory.
    pub fn pad_to(&mut self, model: &Model, length: usize) -> Result<(), InputError> {
        memory_check::check_pass(model, self.rows.len(), length, 0)?;
        if let Some(max) = model.spec.longest_input().filter(|max| length > *max) {
            return Err(InputError::TooLong { tokens: length, max });
        }
        self.fill(length);
        Ok(())
    }

    /// Puts the padding of every row on that side.
    pub fn pad_on(&mut self, side: Side) {
        let length = self.length();
        self.rows = self.texts();
        self.side = side;
        self.fill(length);
    }

    pub fn side(&self) -> Side {
        self.side
    }

    /// The rows without the padding around them.
    pub fn texts(&self) -> Vec<Row> {
        let text = |row: &Row| {
            let end = row.mask.iter().rposition(|real| *real).map_or(0, |last| last + 1);
            let real = row.mask.iter().position(|real| *real).unwrap_or(end)..end;
            Row {
                ids: row.ids[real.clone()].to_vec(),
                mask: row.mask[real.clone()].to_vec(),
                type_ids: row.type_ids[real].to_vec(),
                ..row.clone()
            }
        };
        self.rows.iter().map(text).collect()
    }

    fn fill(&mut self, length: usize) {
        for row in &mut self.rows {
            let missing = length.saturating_sub(row.ids.len());
            let at = if self.side == Side::Left { 0 } else { row.ids.len() };
            row.ids.splice(at..at, std::iter::repeat_n(self.filler, missing));
            row.mask.splice(at..at, std::iter::repeat_n(false, missing));
            row.type_ids.splice(at..at, std::iter::repeat_n(0, missing));
        }
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
        self.rows.iter().any(|row| row.mask.contains(&false))
    }
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
