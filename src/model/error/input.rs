//! What can go wrong between a prompt and its tokens.

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InputError {
    #[error("{why}, so text cannot be tokenised: give token ids with --tokens")]
    NoTokenizer { why: String },
    #[error("cannot tokenise {text:?}: {message}")]
    Tokenizer { text: String, message: String },
    #[error("the prompt is empty: it has no tokens to run; give some text, or token ids with --tokens")]
    Empty,
    #[error("the prompt has {tokens} tokens, the model has positions for {max}: shorten it")]
    TooLong { tokens: usize, max: usize },
    #[error(
        "a pass over {rows}{tokens} tokens takes at least {needed} of memory, and {available} are free: shorten the \
         prompt, {fit} tokens fit"
    )]
    /// `rows` is `N rows of `, or nothing for one.
    TooMuch { rows: String, tokens: usize, needed: String, available: String, fit: usize },
    #[error("the text has {max} tokens, as many as the model has positions for: it cannot be continued")]
    Full { max: usize },
    #[error(
        "token id {id} at position {position} is out of range: the vocabulary has 0..{}{what}",
        .vocab.saturating_sub(1)
    )]
    /// `what` is what the tokenizer knows about it, if anything.
    IdOutOfRange { id: u32, position: usize, vocab: usize, what: String },
    #[error("token type {type_id} at position {position} is out of range: the model has {types} token types")]
    TypeOutOfRange { type_id: u32, position: usize, types: usize },
    #[error("{types} token types for {tokens} tokens: give one for each token")]
    TypeCount { types: usize, tokens: usize },
    #[error("a pair of texts needs an encoder, such as bert, which {family} is not: give one text")]
    PairUnsupported { family: String },
    #[error(
        "the decoder of {family} begins with decoder_start_token_id, which neither generation_config.json nor config.json gives"
    )]
    NoStart { family: String },
    #[error("the encoder of {family} reads a separate text, and this row has none")]
    NoSource { family: String },
    #[error("{family} has no encoder besides its decoder, and this row has a text for one")]
    SourceUnsupported { family: String },
}
