//! Promise: a family whose own code is not in transformers computes what the family of transformers computes from which it
//! differs by names and factors, of the same weights.

use serde_json::json;

use crate::altered::{Copy, Tensor, ran};
use crate::common::Bench;

/// The fixture has four query heads of eight features, and two key/value heads.
const HEADS: usize = 4;
const KV: usize = 2;
const WIDTH: usize = 8;

fn take(all: &mut Vec<Tensor>, name: &str) -> Tensor {
    let at = all.iter().position(|tensor| tensor.name == name).unwrap();
    all.remove(at)
}

/// Rows of a matrix, head by head.
fn heads(tensor: &Tensor) -> Vec<Vec<f32>> {
    tensor.numbers().chunks(WIDTH * tensor.shape[1]).map(<[f32]>::to_vec).collect()
}

/// Whether the sites of blocks and the logits have the same values.
fn same(found: &mut Bench, wanted: &mut Bench, tolerance: f64) {
    for site in ["L0.attn.q", "L0.attn.scores", "L0.attn_out", "L1.resid_mid", "L1.mlp_out", "logits"] {
        let (found, wanted) = (found.numbers(site), wanted.numbers(site));
        let far = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let size = wanted.iter().filter(|x| x.is_finite()).fold(1.0_f64, |most, x| most.max(x.abs()));
        assert!(found.len() == wanted.len() && far <= tolerance * size, "{site}: {far}");
    }
}

#[test]
fn internlm2_is_llama_with_joined_projections() {
    let names = [
        ("self_attn.o_proj", "attention.wo"),
        ("mlp.gate_proj", "feed_forward.w1"),
        ("mlp.up_proj", "feed_forward.w3"),
        ("mlp.down_proj", "feed_forward.w2"),
        ("input_layernorm", "attention_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("model.embed_tokens", "model.tok_embeddings"),
        ("lm_head", "output"),
    ];
    let copy = Copy::of("llama")
        .config(|config| {
            config.insert("model_type".into(), json!("internlm2"));
            config.insert("architectures".into(), json!(["InternLM2ForCausalLM"]));
            config.insert("bias".into(), json!(false));
        })
        .tensors(|all| {
            for layer in 0..2 {
                let [q, k, v] = ["q", "k", "v"]
                    .map(|which| take(all, &format!("model.layers.{layer}.self_attn.{which}_proj.weight")));
                let d = q.shape[1];
                let (q, k, v) = (heads(&q), heads(&k), heads(&v));
                // The queries of a key/value head, its key, its value.
                let joined: Vec<f32> = (0..KV)
                    .flat_map(|kv| [&q[kv * HEADS / KV..(kv + 1) * HEADS / KV].concat()[..], &k[kv], &v[kv]].concat())
                    .collect();
                let name = format!("model.layers.{layer}.attention.wqkv.weight");
                all.push(Tensor::f32(&name, &[(HEADS + 2 * KV) * WIDTH, d], &joined));
            }
            for tensor in all.iter_mut() {
                for (old, new) in names {
                    tensor.name = tensor.name.replace(old, new);
                }
            }
        });
    same(&mut ran(copy.load().unwrap()), &mut ran(Copy::of("llama").load().unwrap()), 0.0);
}

#[test]
fn baichuan_is_llama_with_joined_projections_and_a_key_for_each_query() {
    let own = |copy: Copy| {
        copy.tensors(|all| {
            for tensor in
                all.iter_mut().filter(|tensor| tensor.name.contains("k_proj") || tensor.name.contains("v_proj"))
            {
                let copies = heads(tensor).iter().flat_map(|head| head.repeat(HEADS / KV)).collect::<Vec<f32>>();
                *tensor = Tensor::f32(&tensor.name, &[HEADS * WIDTH, tensor.shape[1]], &copies);
            }
        })
    };
    let copy = own(Copy::of("llama"))
        .config(|config| {
            config.insert("model_type".into(), json!("baichuan"));
            config.insert("architectures".into(), json!(["BaichuanForCausalLM"]));
            config.remove("num_key_value_heads");
        })
        .tensors(|all| {
            for layer in 0..2 {
                let parts = ["q", "k", "v"]
                    .map(|which| take(all, &format!("model.layers.{layer}.self_attn.{which}_proj.weight")));
                let joined: Vec<f32> = parts.iter().flat_map(Tensor::numbers).collect();
                let name = format!("model.layers.{layer}.self_attn.W_pack.weight");
                all.push(Tensor::f32(&name, &[3 * HEADS * WIDTH, parts[0].shape[1]], &joined));
            }
        });
    let twin = own(Copy::of("llama")).set("num_key_value_heads", HEADS);
    same(&mut ran(copy.load().unwrap()), &mut ran(twin.load().unwrap()), 0.0);
    // The larger model has linear biases, and says so by what it leaves out.
    let larger = copy.config(|config| {
        let length = config.remove("max_position_embeddings").unwrap();
        config.insert("model_max_length".into(), length);
    });
    assert!(larger.refused().contains("positions are linear biases"));
}

/// Granite has the same factors, and is compared with transformers elsewhere.
#[test]
fn minicpm_is_granite_with_the_scale_of_llama() {
    let twin = Copy::of("granite").set("attention_multiplier", 1.0 / (WIDTH as f64).sqrt());
    let copy = Copy::of("granite").config(|config| {
        for key in ["embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"] {
            config.remove(key);
        }
        config.insert("model_type".into(), json!("minicpm"));
        config.insert("architectures".into(), json!(["MiniCPMForCausalLM"]));
        config.insert("scale_emb".into(), json!(3.0));
        // Over the root of two layers; a width of 32 over 16.
        config.insert("scale_depth".into(), json!(0.4 * 2.0_f64.sqrt()));
        config.insert("dim_model_base".into(), json!(16));
    });
    // Factors are rounded in another order.
    same(&mut ran(copy.load().unwrap()), &mut ran(twin.load().unwrap()), 2e-6);
}
