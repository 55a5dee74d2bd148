//! Token rows for the tiny GPT-2: windows packed with sentences, and repeated random tokens.
//!
//! Packing puts every kind of sentence at every position, so the model cannot learn positions instead of
//! words. The rows of random tokens say nothing except that what came once comes again in the same order:
//! they are what makes induction heads.

use crate::gpt2::Batch;
use crate::rng::Rng;
use crate::stories::{self, Task};
use std::collections::HashMap;
use tokenizers::Tokenizer;

pub const TIME: usize = 48;
const LONGEST_OFFSET: usize = 16;

/// One training batch: inputs, and for every input position the next token and how much its loss counts.
pub struct Lesson {
    pub batch: Batch,
    pub targets: Vec<i32>,
    pub weights: Vec<f32>,
}

pub struct Batcher<'a> {
    tokenizer: &'a Tokenizer,
    /// Ids of pieces of text already seen.
    cache: HashMap<String, Vec<i32>>,
    end: i32,
    vocab: usize,
}

impl<'a> Batcher<'a> {
    pub fn new(tokenizer: &'a Tokenizer) -> Self {
        let end = tokenizer.token_to_id(crate::bpe::END).expect("end token") as i32;
        Self { tokenizer, cache: HashMap::new(), end, vocab: tokenizer.get_vocab_size(true) }
    }

    pub fn lesson(&mut self, rows: usize, rng: &mut Rng) -> Lesson {
        let offset = if rng.chance(0.6) { 0 } else { rng.below(LONGEST_OFFSET + 1) };
        let mut lesson = Lesson { batch: Batch { ids: vec![], rows, offset }, targets: vec![], weights: vec![] };
        for _ in 0..rows {
            let row = if rng.chance(0.25) { self.repeated(rng) } else { self.packed(rng) };
            lesson.batch.ids.extend(row[..TIME].iter().map(|t| t.0));
            lesson.targets.extend(row[1..=TIME].iter().map(|t| t.0));
            lesson.weights.extend(row[1..=TIME].iter().map(|t| t.1));
        }
        lesson
    }

    /// `junk A junk A junk A ...`: only the copies after the first count, from their second token on.
    fn repeated(&self, rng: &mut Rng) -> Vec<(i32, f32)> {
        let first = 256 + 1; // past the end token and the single bytes
        let any = |rng: &mut Rng| (first + rng.below(self.vocab - first)) as i32;
        let count = 3 + rng.below(14);
        let list: Vec<i32> = (0..count).map(|_| any(rng)).collect();
        let mut row = vec![];
        let mut copies = 0;
        while row.len() <= TIME {
            row.extend((0..rng.below(5)).map(|_| (any(rng), 0.0)));
            let weight = |at: usize| if copies > 0 && at > 0 { 1.0 } else { 0.0 };
            row.extend(list.iter().enumerate().map(|(at, &id)| (id, weight(at))));
            copies += 1;
        }
        row
    }

    /// Sentences until the window is full, now and then with the end token in front.
    fn packed(&mut self, rng: &mut Rng) -> Vec<(i32, f32)> {
        let mut row = vec![];
        if rng.chance(0.1) {
            row.push((self.end, 0.0));
        }
        let mut start = "";
        while row.len() <= TIME {
            let s = stories::draw(stories::mixture(rng), false, rng);
            let plain = if s.task == Task::Induction { 0.2 } else { 0.4 };
            let prompt: Vec<i32> = self.pieces(&format!("{start}{}", s.prompt));
            row.extend(prompt.into_iter().map(|id| (id, plain)));
            row.extend(self.pieces(&s.answer).into_iter().map(|id| (id, 2.0)));
            let tail = if s.task == Task::Induction { 1.0 } else { 0.4 };
            row.extend(self.pieces(&s.tail).into_iter().map(|id| (id, tail)));
            start = " ";
        }
        row
    }

    /// Ids of a text, word by word through the cache; byte-level BPE never merges across a space.
    fn pieces(&mut self, text: &str) -> Vec<i32> {
        let mut ids = vec![];
        let mut from = 0;
        let cuts: Vec<usize> = text.match_indices(' ').map(|m| m.0).chain([text.len()]).collect();
        for cut in cuts {
            if cut > from {
                let piece = &text[from..cut];
                if !self.cache.contains_key(piece) {
                    self.cache.insert(piece.to_string(), encode(self.tokenizer, piece));
                }
                ids.extend(&self.cache[piece]);
            }
            from = cut;
        }
        ids
    }
}

pub fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<i32> {
    let encoding = tokenizer.encode(text, false).expect("text can be encoded");
    encoding.get_ids().iter().map(|&id| id as i32).collect()
}
