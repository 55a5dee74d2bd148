//! What the programs that train the bundled models share: texts, tokenizers, layers, optimiser, the files of a model.

pub mod adamw;
pub mod batches;
pub mod bert;
pub mod bpe;
pub mod exam;
pub mod gpt2;
pub mod halves;
pub mod layers;
pub mod params;
pub mod reviews;
pub mod rng;
pub mod save;
pub mod stories;
pub mod verdicts;
pub mod wordpiece;
pub mod words;
