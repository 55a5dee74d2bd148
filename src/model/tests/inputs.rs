//! Rows of tokens, filled up and checked.

use super::*;
use crate::model::{Input, InputError, Row};

#[test]
fn shorter_rows_are_filled_up_on_the_right_with_the_pad_token() {
    let model = model("bert-seqcls");
    let input = Input::from_texts(&model, &["The waiter was rude", "Never again 😡."], true).unwrap();
    assert_eq!((input.length(), input.is_padded()), (8, true));
    assert_eq!(input.rows[1].ids, [2, 136, 113, 61, 17, 3, 0, 0]);
    assert_eq!(input.rows[1].mask, [true, true, true, true, true, true, false, false]);
    assert_eq!((input.rows[1].len(), input.rows[1].text.as_deref()), (6, Some("Never again 😡.")));
    let mut wider = input.clone();
    wider.pad_to(&model, 10).unwrap();
    assert_eq!(wider.rows[0].ids.len(), 10);
    assert_eq!(wider.pad_to(&model, 41), Err(InputError::TooLong { tokens: 41, max: 40 }));
}

#[test]
fn without_a_pad_token_the_end_of_text_fills() {
    let mut model = model("llama");
    assert_eq!(model.special.pad, None);
    let input = Input::from_tokens(&model, vec![vec![5, 6], vec![7]]).unwrap();
    assert_eq!((input.rows[1].ids.as_slice(), input.rows[1].mask.as_slice()), (&[7, 383][..], &[true, false][..]));
    model.special.eos.clear();
    assert_eq!(Input::from_tokens(&model, vec![vec![5, 6], vec![7]]).unwrap().rows[1].ids, [7, 0]);
}

#[test]
fn pairs_have_token_types_and_need_a_model_that_has_them() {
    let input = Input::from_pairs(&model("bert-seqcls"), &[("The dog", "the king")]).unwrap();
    assert_eq!(input.rows[0].type_ids, [0, 0, 0, 0, 1, 1, 1]);
    assert_eq!(input.rows[0].second_text.as_deref(), Some("the king"));
    assert_eq!(
        Input::from_pairs(&model("gpt2"), &[("a", "b")]).unwrap_err().to_string(),
        "a pair of texts needs an encoder, such as bert, which gpt2 is not: give one text"
    );
}

#[test]
fn inputs_that_cannot_run_are_refused() {
    let model = model("gpt2");
    let refused = |ids: Vec<u32>| Input::from_tokens(&model, vec![ids]).unwrap_err().to_string();
    assert_eq!(refused(vec![1, 2, 384]), "token id 384 at position 2 is out of range: the vocabulary has 0..383");
    assert_eq!(refused(vec![0; 65]), "the prompt has 65 tokens, the model has positions for 64: shorten it");
    let empty = "the prompt is empty: it has no tokens to run; give some text, or token ids with --tokens";
    assert_eq!(refused(vec![]), empty);
    assert_eq!(Input::from_texts(&model, &[""], true).unwrap_err().to_string(), empty);
    assert_eq!(Input::from_tokens(&model, vec![]).unwrap_err().to_string(), empty);
    let row = |type_ids: Vec<u32>| Row { ids: vec![1, 2], mask: vec![true; 2], type_ids, ..Row::default() };
    assert_eq!(
        Input::from_rows(&model, vec![row(vec![0, 1])]).unwrap_err().to_string(),
        "token type 1 at position 1 is out of range: the model has 1 token types"
    );
    assert_eq!(
        Input::from_rows(&model, vec![row(vec![0])]).unwrap_err().to_string(),
        "1 token types for 2 tokens: give one for each token"
    );
}
