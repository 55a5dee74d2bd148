//! Why a model has no tokenizer.

/// Why the files of a model give no tokenizer. The model can still be run, on token ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTokenizer {
    // Files of a directory
    #[error("no tokenizer.json in {place}")]
    NoFile { place: String },
    #[error("no tokenizer.json in {place}; {found} alone does not say how text is split")]
    HalfOfTwo { place: String, found: String },
    #[error(
        "no tokenizer.json in {place}; {found} cannot be read here, but \
         AutoTokenizer.from_pretrained(...).save_pretrained(...) in transformers writes a tokenizer.json from it"
    )]
    OtherFormat { place: String, found: String },
    #[error("no tokenizer.json in {place}, and {file} does not go with its tokenizer_class")]
    OtherClass { place: String, file: &'static str },
    #[error(
        "no tokenizer.json in {place}, and how {file} is used is not known for its tokenizer_class ({class}); GPT2, \
         GPTNeoX, CodeGen, Qwen2, Roberta, Bert, DistilBert, Electra, MPNet and Esm are known"
    )]
    UnknownClass { place: String, file: &'static str, class: String },
    #[error(
        "no tokenizer.json in {place}, and what {class} makes of {file} is not known here; \
         AutoTokenizer.from_pretrained(...).save_pretrained(...) in transformers writes a tokenizer.json from it"
    )]
    OwnClass { place: String, file: &'static str, class: String },
    #[error("no {token} in {path}")]
    NoSpecialToken { path: String, token: &'static str },

    // Metadata of a GGUF file
    #[error("its metadata has no tokenizer")]
    NoMetadata,
    #[error("its tokenizer is of the unknown kind {0:?}")]
    UnknownKind(String),
    #[error("how its tokenizer splits text, {0:?}, is not known")]
    UnknownSplit(String),
    #[error("its tokens are longer than those of any tokenizer")]
    TooMuchWork,
    #[error("its vocabulary has no token for unknown text")]
    NoUnknownToken,
    #[error("its vocabulary has no [UNK], [CLS] or [SEP]")]
    NoWordPieceTokens,
}
