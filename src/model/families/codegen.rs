//! CodeGen: GPT-J with queries, values and keys in one matrix, in the four shards that it was trained in.

use super::prelude::*;
use super::{gpt2, gptj};

static FILES: Files = Files {
    before: &[weight("wte", W_E)],
    block: &[&[
        both("ln_1", Ln1W, Ln1B),
        Entry::Qkv("attn.qkv_proj", Split::FourShards),
        weight("attn.out_proj", W_O),
        both("mlp.fc_in", W_in, b_in),
        both("mlp.fc_out", W_out, b_out),
    ]],
    ..gpt2::NAMES
};

pub static FAMILY: Family = Family::new(&["codegen"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let spec = gptj::spec_of(from, "codegen", &FILES, "CodeGen", Task::NO_CLASSES)?;
    if spec.d_model.is_multiple_of(4) {
        Ok(spec)
    } else {
        Err(from.config.bad(format!("a width of {} cannot be split into the four shards of CodeGen", spec.d_model)))
    }
}
