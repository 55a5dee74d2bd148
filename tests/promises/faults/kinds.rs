//! Kinds of fault: what an implementation gets wrong, where it shows first, and what the reason is called.

use llmdbg::model::Model;
use llmdbg::model::role::Role::{self, *};
use llmdbg::model::role::WeightId;
use llmdbg::model::spec::{Act, Gain, Head, NormKind, Pairing, Pool, Positions, Reach, RopeScaling};
use llmdbg::tensor::{Device, Value};

/// A kind of fault.
pub struct Fault {
    pub what: &'static str,
    pub families: &'static [&'static str],
    /// Changes a model, in a layer where it is of one.
    pub make: fn(&mut Model, usize),
    /// The site that differs first; `*` is the layer.
    pub site: &'static str,
    /// A part of the reason.
    pub reason: &'static str,
}

/// A weight of a model, `[in, out]`, changed.
fn weight(model: &mut Model, id: WeightId, change: impl Fn(&[f32], &[usize]) -> Vec<f32>) {
    let whole = model.weights.value(id).unwrap();
    let shape = whole.shape().to_vec();
    let changed = change(&whole.read_f32().unwrap(), &shape);
    model.weights.replace(id, Value::from_f32(changed, &shape, &Device::cpu())).unwrap();
}

fn of_block(model: &mut Model, layer: usize, role: Role, change: impl Fn(&[f32], &[usize]) -> Vec<f32>) {
    weight(model, WeightId::block(layer, role), change);
}

fn zero(model: &mut Model, layer: usize, role: Role) {
    of_block(model, layer, role, |data, _| vec![0.0; data.len()]);
}

/// Columns of a matrix in another order.
fn columns(data: &[f32], shape: &[usize], order: impl Fn(usize) -> usize) -> Vec<f32> {
    let width = shape[1];
    (0..data.len()).map(|i| data[i / width * width + order(i % width)]).collect()
}

/// Rows of a matrix in another order.
fn rows(data: &[f32], shape: &[usize], order: impl Fn(usize) -> usize) -> Vec<f32> {
    let width = shape[1];
    (0..data.len()).map(|i| data[order(i / width) * width + i % width]).collect()
}

fn read_block(model: &Model, layer: usize, role: Role) -> Vec<f32> {
    model.weights.value(WeightId::block(layer, role)).unwrap().read_f32().unwrap()
}

fn exchange(model: &mut Model, layer: usize, a: Role, b: Role) {
    let (first, second) = (read_block(model, layer, a), read_block(model, layer, b));
    of_block(model, layer, a, |_, _| second.clone());
    of_block(model, layer, b, |_, _| first.clone());
}

/// Queries, keys and values whose feature `i` is another one of the three: `place` names part and feature.
fn read_otherwise(model: &mut Model, layer: usize, place: impl Fn(usize, usize) -> (usize, usize)) {
    let row = model.spec.d_model;
    let all = [W_Q, W_K, W_V].map(|role| read_block(model, layer, role));
    let biases = [b_Q, b_K, b_V].map(|role| read_block(model, layer, role));
    for (index, (role, bias)) in [(W_Q, b_Q), (W_K, b_K), (W_V, b_V)].into_iter().enumerate() {
        let of = |from: &[Vec<f32>; 3], i: usize| {
            let (part, feature) = place(index, i % row);
            from[part][i / row * row + feature]
        };
        of_block(model, layer, role, |data, _| (0..data.len()).map(|i| of(&all, i)).collect());
        of_block(model, layer, bias, |data, _| (0..data.len()).map(|i| of(&biases, i)).collect());
    }
}

/// Twice as many heads, half as wide, with all that follows from their width.
fn other_heads(model: &mut Model) {
    let spec = &mut model.spec;
    (spec.n_heads, spec.n_kv_heads, spec.head_dim) = (spec.n_heads * 2, spec.n_kv_heads * 2, spec.head_dim / 2);
    spec.v_head_dim = spec.head_dim;
    spec.ropes.iter_mut().for_each(|rope| rope.dim /= 2);
    spec.layers.iter_mut().for_each(|layer| layer.scale *= 2f64.sqrt());
}

/// The first and the last head in each other's place.
fn ends(head: usize, heads: usize) -> usize {
    match head {
        0 => heads - 1,
        head if head + 1 == heads => 0,
        head => head,
    }
}

fn logits(model: &mut Model) -> &mut llmdbg::model::spec::Logits {
    match &mut model.spec.head {
        Head::CausalLm(logits) | Head::MaskedLm { logits, .. } => logits,
        _ => panic!("no vocabulary"),
    }
}

const ROTATED: &[&str] = &["llama", "mistral", "qwen2", "qwen3", "phi", "gpt_neox", "gemma2", "gptj"];

pub const FAULTS: &[Fault] = &[
    Fault {
        what: "base of the rotation",
        families: ROTATED,
        make: |m, _| m.spec.ropes.iter_mut().for_each(|rope| rope.theta = 5e5),
        site: "blocks.0.attn.rot_q",
        reason: "the base of the rotation is 500000 there",
    },
    Fault {
        what: "unusual base of the rotation",
        families: &["llama", "qwen2", "gptj"],
        make: |m, _| m.spec.ropes.iter_mut().for_each(|rope| rope.theta = 3700.0),
        site: "blocks.0.attn.rot_q",
        reason: "the base of the rotation is 3700 there",
    },
    Fault {
        what: "pairs of the rotation",
        families: ROTATED,
        make: |m, _| {
            for rope in &mut m.spec.ropes {
                rope.pairing = if rope.pairing == Pairing::Half { Pairing::Interleaved } else { Pairing::Half };
            }
        },
        site: "blocks.0.attn.rot_q",
        reason: "rotated with each other there",
    },
    Fault {
        what: "scaling of the rotation",
        families: &["llama-legacy", "mistral", "qwen2", "qwen3", "olmo2"],
        make: |m, _| m.spec.ropes.iter_mut().for_each(|rope| rope.scaling = RopeScaling::Linear { factor: 4.0 }),
        site: "blocks.0.attn.rot_q",
        reason: "divided by 4 there",
    },
    Fault {
        what: "partial rotation",
        families: &["llama", "qwen3", "mistral"],
        make: |m, _| m.spec.ropes.iter_mut().for_each(|rope| rope.dim /= 2),
        site: "blocks.0.attn.rot_q",
        reason: "features are rotated there",
    },
    Fault {
        what: "eps of norms",
        families: &["gpt2", "llama", "bert-seqcls", "opt", "qwen3", "gemma2"],
        make: |m, _| m.spec.norm.eps = if m.spec.norm.eps == 1e-3 { 1e-6 } else { 1e-3 },
        site: "blocks.0.ln1.scale|embed_ln.scale",
        reason: "eps is 1e-3 there",
    },
    Fault {
        what: "mean of norms",
        families: &["llama", "mistral", "qwen2"],
        make: |m, _| m.spec.norm.kind = NormKind::LayerNorm,
        site: "blocks.0.ln1.scale",
        reason: "the norm subtracts the mean there",
    },
    Fault {
        what: "1 + w of norms",
        families: &["llama", "mistral", "gemma2"],
        make: |m, _| m.spec.norm.gain = if m.spec.norm.gain == Gain::Weight { Gain::OnePlus } else { Gain::Weight },
        site: "blocks.0.ln1.out",
        reason: "1 + w",
    },
    Fault {
        what: "missing bias of the output projection",
        families: &["gpt2", "opt", "phi", "gpt_neox", "bert-seqcls", "starcoder2"],
        make: |m, layer| zero(m, layer, b_O),
        site: "blocks.*.attn.out",
        reason: "adds no bias",
    },
    Fault {
        what: "missing bias of queries",
        families: &["gpt2", "opt", "qwen2", "bert-seqcls"],
        make: |m, layer| zero(m, layer, b_Q),
        site: "blocks.*.attn.q",
        reason: "adds no bias",
    },
    Fault {
        what: "missing bias of the MLP",
        families: &["gpt2", "opt", "phi", "bloom"],
        make: |m, layer| zero(m, layer, b_out),
        site: "blocks.*.mlp.out",
        reason: "adds no bias",
    },
    Fault {
        what: "gate and up swapped",
        families: &["llama", "mistral", "qwen2", "gemma2", "olmo2", "granite"],
        make: |m, layer| exchange(m, layer, W_gate, W_in),
        site: "blocks.*.mlp.pre",
        reason: "gate and up are swapped",
    },
    Fault {
        what: "activation",
        families: &["gpt2", "llama", "bert-seqcls", "gemma2", "opt", "phi"],
        make: |m, _| m.spec.mlp.act = if m.spec.mlp.act == Act::GeluTanh { Act::Gelu } else { Act::GeluTanh },
        site: "blocks.0.mlp.post",
        reason: "the activation is Gelu",
    },
    Fault {
        what: "scale of scores",
        families: &["gpt2", "llama", "qwen2", "phi", "opt", "mistral"],
        make: |m, layer| m.spec.layers[layer].scale = 1.0,
        site: "blocks.*.attn.scores",
        reason: "scores are not scaled there",
    },
    Fault {
        what: "cap of scores",
        families: &["gemma2"],
        make: |m, _| m.spec.attention.softcap = None,
        site: "blocks.0.attn.scores",
        reason: "scores are not capped there",
    },
    Fault {
        what: "cap of logits",
        families: &["gemma2"],
        make: |m, _| logits(m).softcap = None,
        site: "logits",
        reason: "logits are not capped there",
    },
    Fault {
        what: "scale of logits",
        families: &["cohere", "granite"],
        make: |m, _| logits(m).scale = 1.0,
        site: "logits",
        reason: "logits are not scaled there",
    },
    Fault {
        what: "window off by one",
        families: &["gpt2", "llama", "mistral", "qwen3", "opt"],
        make: |m, layer| {
            let farthest = m.spec.layers[layer].reach.map_or(5, Reach::farthest);
            m.spec.layers[layer].reach = Some(Reach::Within(farthest + 1));
        },
        site: "blocks.*.attn.scores",
        reason: "the mask is different",
    },
    Fault {
        what: "no causal mask",
        families: &["gpt2", "llama", "phi", "opt", "gpt_neox", "bloom"],
        make: |m, _| m.spec.attention.causal = false,
        site: "blocks.0.attn.scores",
        reason: "a query sees all keys there",
    },
    Fault {
        what: "embedding scale",
        families: &["gpt2", "llama", "gemma2", "qwen2"],
        make: |m, _| m.spec.embed.scale = if m.spec.embed.scale == 1.0 { (m.spec.d_model as f64).sqrt() } else { 1.0 },
        site: "embed",
        reason: "embeddings are",
    },
    Fault {
        what: "order of queries and keys",
        families: &["gpt2", "opt", "bert-seqcls", "llama-legacy"],
        make: |m, layer| {
            exchange(m, layer, W_Q, W_K);
            if m.spec.attention.qkv_bias {
                exchange(m, layer, b_Q, b_K);
            }
        },
        site: "blocks.*.attn.q",
        reason: "queries, keys and values are in a different order there",
    },
    Fault {
        what: "order of keys and values",
        families: &["llama", "mistral", "qwen3"],
        make: |m, layer| exchange(m, layer, W_K, W_V),
        site: "blocks.*.attn.k",
        reason: "queries, keys and values are in a different order there",
    },
    Fault {
        what: "heads in front of the output projection",
        families: &["gpt2", "llama", "opt", "phi", "qwen3"],
        make: |m, layer| {
            let (heads, width) = (m.spec.n_heads, m.spec.head_dim);
            of_block(m, layer, W_O, |data, shape| {
                rows(data, shape, |row| ends(row / width, heads) * width + row % width)
            });
        },
        site: "blocks.*.attn.out",
        reason: "are swapped there",
    },
    Fault {
        what: "heads of values",
        families: &["gpt2", "opt", "llama-legacy", "bloom"],
        make: |m, layer| {
            let (heads, width) = (m.spec.n_heads, m.spec.head_dim);
            let order = move |column: usize| ends(column / width, heads) * width + column % width;
            of_block(m, layer, W_V, |data, shape| columns(data, shape, order));
            if m.spec.attention.qkv_bias {
                of_block(m, layer, b_V, |data, _| (0..data.len()).map(|i| data[order(i)]).collect());
            }
        },
        site: "blocks.*.attn.v",
        reason: "heads are in a different order there",
    },
    Fault {
        what: "transposed output projection",
        families: &["gpt2", "llama", "opt", "phi", "bloom", "mistral"],
        make: |m, layer| {
            of_block(m, layer, W_O, |data, shape| {
                (0..data.len()).map(|i| data[i % shape[0] * shape[1] + i / shape[0]]).collect()
            });
        },
        site: "blocks.*.attn.out",
        reason: "the weights are transposed there",
    },
    Fault {
        what: "position offset",
        families: &["gpt2", "gpt2-seqcls", "opt", "bert-seqcls"],
        make: |m, _| {
            weight(m, WeightId::global(W_pos), |data, shape| {
                (0..data.len()).map(|i| data[(i + shape[1]).min(data.len() - shape[1] + i % shape[1])]).collect()
            });
        },
        site: "pos_embed",
        reason: "positions are 1 later there",
    },
    Fault {
        what: "tied head",
        families: &["llama", "mistral", "qwen3", "phi3"],
        make: |m, _| {
            let table = m.weights.value(WeightId::global(W_E)).unwrap().read_f32().unwrap();
            weight(m, WeightId::global(W_U), |_, _| table.clone());
        },
        site: "logits",
        reason: "the head is tied there",
    },
    Fault {
        what: "residual factor",
        families: &["llama", "gpt2", "qwen2"],
        make: |m, layer| {
            let half = |data: &[f32], _: &[usize]| data.iter().map(|x| x * 0.5).collect::<Vec<f32>>();
            of_block(m, layer, W_O, half);
            if m.spec.attention.out_bias {
                of_block(m, layer, b_O, half);
            }
        },
        site: "blocks.*.attn.out",
        reason: "theirs is 0.500000 times ours",
    },
    Fault {
        what: "halves and pairs of queries",
        families: &["llama", "mistral", "qwen2"],
        make: |m, layer| {
            let width = m.spec.head_dim;
            let order = move |column: usize| column / width * width + column % width / 2 + column % 2 * (width / 2);
            of_block(m, layer, W_Q, |data, shape| columns(data, shape, order));
            if m.spec.attention.qkv_bias {
                of_block(m, layer, b_Q, |data, _| (0..data.len()).map(|i| data[order(i)]).collect());
            }
        },
        site: "blocks.*.attn.q",
        reason: "are neighbours there, halves here",
    },
    Fault {
        what: "queries, keys and values fused head by head",
        families: &["gpt2", "opt"],
        make: |m, layer| {
            let (row, width) = (m.spec.d_model, m.spec.head_dim);
            read_otherwise(m, layer, |index, i| {
                let fused = (i / width * 3 + index) * width + i % width;
                (fused / row, fused % row)
            });
        },
        site: "blocks.*.attn.q",
        reason: "fused head by head there",
    },
    Fault {
        what: "weights rounded to bf16",
        families: &["gpt2", "llama", "phi"],
        make: |m, layer| {
            of_block(m, layer, W_O, |data, _| data.iter().map(|x| half::bf16::from_f32(*x).to_f32()).collect());
        },
        site: "blocks.*.attn.out",
        reason: "rounded to bf16 there",
    },
    Fault {
        what: "weights on what experts make",
        families: &["llama4_text"],
        make: |m, _| m.spec.experts.as_mut().unwrap().weighs_input = false,
        site: "blocks.1.mlp.out",
        reason: "weights multiply what experts make there, not what they read",
    },
    Fault {
        what: "weights of experts not normalised",
        families: &["mixtral", "qwen3_moe"],
        make: |m, _| {
            let experts = m.spec.experts.as_mut().unwrap();
            experts.router.normalize = !experts.router.normalize;
        },
        site: "blocks.0.mlp.expert_weights|blocks.1.mlp.expert_weights",
        reason: "divided by their sum there",
    },
    Fault {
        what: "no biases by position",
        families: &["bloom"],
        make: |m, _| m.spec.positions = Positions::None,
        site: "blocks.0.attn.scores",
        reason: "no bias by position there",
    },
    Fault {
        what: "position that a classifier reads",
        families: &["gpt2-seqcls", "bert-seqcls", "distilbert-seqcls", "roberta-seqcls"],
        make: |m, _| {
            if let Head::Sequence { pooled, .. } = &mut m.spec.head {
                pooled.pool = if pooled.pool == Pool::First { Pool::Mean } else { Pool::First };
            }
        },
        site: "pooler.out|pooler.pre|pooled|logits",
        reason: "the position read is",
    },
    Fault {
        what: "number of heads",
        families: &["gpt2", "opt", "bert-seqcls", "llama-legacy", "qwen2", "mistral", "phi"],
        make: |m, _| other_heads(m),
        site: "blocks.0.attn.rot_q|blocks.0.attn.z",
        reason: "heads of",
    },
    Fault {
        what: "number of heads that are fused one by one",
        families: &["gpt_neox", "bloom"],
        make: |m, layer| {
            let (width, half) = (m.spec.head_dim, m.spec.head_dim / 2);
            // Where a feature of heads half as wide stands in heads as they are.
            read_otherwise(m, layer, |index, i| {
                let fused = (i / half * 3 + index) * half + i % half;
                (fused / width % 3, fused / (3 * width) * width + fused % width)
            });
        },
        site: "blocks.*.attn.q",
        reason: "heads of",
    },
    Fault {
        what: "order of query heads",
        families: &["llama", "mistral", "qwen2", "qwen3"],
        make: |m, _| {
            let (heads, kv, width) = (m.spec.n_heads, m.spec.n_kv_heads, m.spec.head_dim);
            for layer in 0..m.spec.n_layers {
                let group = heads / kv;
                let order = move |head: usize| head % group * kv + head / group;
                let column = move |c: usize| order(c / width) * width + c % width;
                of_block(m, layer, W_Q, |data, shape| columns(data, shape, column));
                if m.spec.attention.qkv_bias {
                    of_block(m, layer, b_Q, |data, _| (0..data.len()).map(|i| data[column(i)]).collect());
                }
                of_block(m, layer, W_O, |data, shape| rows(data, shape, column));
            }
        },
        site: "blocks.0.attn.q",
        reason: "heads are in a different order there",
    },
];
