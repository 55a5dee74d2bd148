//! GPT-2's kind of tokenizer, byte-level BPE, trained until every word of the little world is one token.

use crate::rng::Rng;
use crate::stories::{Task, sentence};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

pub const END: &str = "<|endoftext|>";
const SENTENCES: usize = 6000;
const LARGEST: usize = 2000;

pub fn train(seed: u64) -> Tokenizer {
    let mut rng = Rng::new(seed);
    let tasks = [Task::Ioi, Task::Induction, Task::Agreement, Task::Capitals, Task::Bias, Task::Filler];
    let mut text = vec![];
    for n in 0..SENTENCES {
        let s = sentence(tasks[n % tasks.len()], &mut rng);
        let whole = format!("{}{}{}", s.prompt, s.answer, s.tail);
        text.push(format!(" {whole}"));
        text.push(whole);
    }
    let mut trainer: TrainerWrapper = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(LARGEST)
        .special_tokens(vec![AddedToken::from(END, true)])
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build()
        .into();
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_decoder(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_post_processor(Some(ByteLevel::new(false, false, true)));
    tokenizer.train(&mut trainer, text.into_iter()).expect("tokenizer can be trained");
    tokenizer
}
