//! Falcon in its three forms: one key/value head and one norm (7b), groups and two norms (40b), and linear biases with
//! blocks like GPT-2's (rw).

use super::prelude::*;
use super::{bloom, gpt2};

const NORMS: &[Entry] = &[both("ln_attn", Ln1W, Ln1B), both("ln_mlp", Ln2W, Ln2B)];

static GROUPED: Files = Files { block: &[bloom::BLOCK, NORMS, &[Entry::Qkv(QKV, Split::Grouped)]], ..NAMES };
static MULTI_QUERY: Files = Files { block: &[bloom::BLOCK, NORMS, &[Entry::Qkv(QKV, Split::Concat)]], ..NAMES };
static MULTI_HEAD: Files = Files { block: &[bloom::BLOCK, NORMS, &[Entry::Qkv(QKV, Split::PerHead)]], ..NAMES };

const QKV: &str = "self_attention.query_key_value";

const NAMES: Files = Files { before: &[weight("word_embeddings", W_E)], ..gpt2::NAMES };

pub static FAMILY: Family = Family::new(&["falcon"], &GROUPED, spec).with_names(names);

fn names(spec: &ModelSpec, from: &Sources) -> Result<TensorNames, LoadError> {
    let Form { grouped, multi_query, .. } = Form::read(from.config)?;
    match (grouped, multi_query) {
        (true, _) => &GROUPED,
        (false, true) => &MULTI_QUERY,
        (false, false) => &MULTI_HEAD,
    }
    .names(spec, from)
}

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let Form { grouped, multi_query, placement } = Form::read(config)?;
    config.note_read(&["num_kv_heads"]);
    let kv = match (grouped, multi_query) {
        (true, _) => Kv::HeadsOr,
        (false, true) => Kv::Fixed(1),
        (false, false) => Kv::Heads,
    };
    let sizes = Sizes::read(config, &Rules { kv, ..Rules::GPT2 })?;
    let alibi = config.flag(&["alibi"], false)?;
    // A model with linear biases has no rotation, though its configuration may describe one.
    config.note_read(&["rope_parameters", "rope_scaling"]);
    let ropes = if alibi { Vec::new() } else { vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?] };
    let bias = config.flag(&["bias"], false)?;
    let norm = Norm::layer_norm(eps(config, "layer_norm_epsilon", 1e-5)?);
    let heads = DecoderHead { tied: true, ..DecoderHead::of("Falcon") };
    Ok(ModelSpec {
        placement,
        positions: if alibi { Positions::Alibi(Alibi::Falcon) } else { Positions::None },
        layers: sizes.layers(|_, layer| Layer { rope: (!alibi).then_some(0), ..layer }),
        ropes,
        attention: attention_with_bias(bias),
        mlp: Mlp { gated: false, act: act(config, "activation", Act::Gelu)?, bias, out_bias: bias },
        ..decoder("falcon", &sizes, norm, heads.read(from, &GROUPED)?)
    })
}

struct Form {
    grouped: bool,
    multi_query: bool,
    placement: Placement,
}

impl Form {
    fn read(config: &HfConfig) -> Result<Form, LoadError> {
        let grouped = config.flag(&["new_decoder_architecture"], false)?;
        let multi_query = config.flag(&["multi_query"], true)?;
        let parallel = config.flag(&["parallel_attn"], true)?;
        const NORMS: &str = "num_ln_in_parallel_attn";
        let norms = config.opt_count(&[NORMS])?.unwrap_or(if grouped { 2 } else { 1 });
        let placement = match (parallel, norms) {
            (false, _) if grouped => {
                let why = "with new_decoder_architecture attention and MLP are side by side";
                return Err(config.unsupported("parallel_attn", false, why));
            }
            (false, _) => Placement::Pre,
            (true, 1) => Placement::ParallelOne,
            (true, 2) if grouped => Placement::ParallelTwo,
            (true, n) => {
                return Err(config.unsupported(NORMS, n, "known values are 1, and 2 with new_decoder_architecture"));
            }
        };
        Ok(Form { grouped, multi_query, placement })
    }
}
