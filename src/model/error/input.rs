//! What can go wrong between a prompt and its tokens.

/// An input that the model cannot run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InputError {
    /// Text for a model without a tokenizer.
    #[error("{why}, so text cannot be tokenised: give token ids with --tokens")]
    NoTokenizer {
        /// What is missing, or not known.
        why: String,
    },
    /// The tokenizer refused the text.
    #[error("cannot tokenise {text:?}: {message}")]
    Tokenizer {
        /// The text.
        text: String,
        /// What the tokenizer says.
        message: String,
    },
    /// No rows, or a row without tokens.
    #[error("the prompt is empty: it has no tokens to run; give some text, or token ids with --tokens")]
    Empty,
    /// More tokens than positions.
    #[error("the prompt has {tokens} tokens, the model has positions for {max}: shorten it")]
    TooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Positions of the model.
        max: usize,
    },
    /// More tokens than there is memory for.
    #[error(
        "a pass over {rows}{tokens} tokens takes at least {needed} of memory, and {available} are free: shorten the prompt"
    )]
    TooMuch {
        /// `N rows of `, or nothing for one.
        rows: String,
        /// Tokens of each row.
        tokens: usize,
        /// Memory that a pass takes.
        needed: String,
        /// Memory that is free.
        available: String,
    },
    /// No position for one more token.
    #[error("the text has {max} tokens, as many as the model has positions for: it cannot go on")]
    Full {
        /// Positions of the model.
        max: usize,
    },
    /// A token id outside the vocabulary.
    #[error("token id {id} at position {position} is out of range: the vocabulary has 0..{}{what}", .vocab.saturating_sub(1))]
    IdOutOfRange {
        /// The id.
        id: u32,
        /// Its position in the row.
        position: usize,
        /// Rows of the token embedding.
        vocab: usize,
        /// What the tokenizer knows about it, if anything.
        what: String,
    },
    /// A token type outside the table.
    #[error("token type {type_id} at position {position} is out of range: the model has {types} token types")]
    TypeOutOfRange {
        /// The type.
        type_id: u32,
        /// Its position in the row.
        position: usize,
        /// Rows of the token-type table.
        types: usize,
    },
    /// Another number of token types than tokens.
    #[error("{types} token types for {tokens} tokens: give one for each token")]
    TypeCount {
        /// Types given.
        types: usize,
        /// Tokens given.
        tokens: usize,
    },
    /// A pair for a model that knows no second text.
    #[error("a pair of texts needs a model with token types, such as bert; {family} has none: give one text")]
    PairUnsupported {
        /// The family of the model.
        family: String,
    },
}
