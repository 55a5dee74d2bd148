//! The layout of a `tokenizer.json`, for tokenizers that are put together from other files.

use serde_json::{Value as Json, json};

/// The parts of a `tokenizer.json`; null for one that does nothing.
pub struct Parts {
    pub added: Vec<Json>,
    pub normalizer: Json,
    pub pre_tokenizer: Json,
    pub post_processor: Json,
    pub decoder: Json,
    pub model: Json,
}

impl Parts {
    pub fn json(self) -> Json {
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": self.added,
            "normalizer": self.normalizer,
            "pre_tokenizer": self.pre_tokenizer,
            "post_processor": self.post_processor,
            "decoder": self.decoder,
            "model": self.model,
        })
    }
}
