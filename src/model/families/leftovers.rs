//! Tensors that checkpoints carry and no model needs: what is computed from the configuration, stored by old versions
//! of transformers. Names are matched by whole segments, because `h.0.attn.bias` is a mask and `h.0.attn.c_attn.bias` a
//! weight.

/// Why a tensor of this name is of no use, if that is known.
pub fn reason(name: &str) -> Option<&'static str> {
    const MASK: &str = "a stored causal mask, not a weight";
    let last: Vec<&str> = name.rsplit('.').take(4).collect();
    match last[..] {
        ["inv_freq", "rotary_emb", ..] => Some("stored RoPE frequencies, computed from the configuration"),
        ["inv_freq", "rotary_embeddings", ..] => Some("stored RoPE frequencies, which are those of the rotation"),
        ["position_ids", "embeddings", ..] => Some("stored position numbers, not weights"),
        ["token_type_ids", "embeddings", ..] => Some("stored token types, not weights"),
        ["bias" | "masked_bias" | "causal_mask", "attn" | "attention", number, "h" | "layers"] if is_number(number) => {
            Some(MASK)
        }
        ["bias" | "masked_bias", "attention", "attn", number] if is_number(number) => Some(MASK),
        _ => None,
    }
}

fn is_number(segment: &str) -> bool {
    segment.parse::<usize>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn masks_are_told_from_biases() {
        for mask in [
            "h.0.attn.bias",
            "transformer.h.11.attn.masked_bias",
            "gpt_neox.layers.3.attention.bias",
            "transformer.h.2.attn.attention.masked_bias",
            "transformer.h.2.attn.causal_mask",
        ] {
            assert_eq!(reason(mask), Some("a stored causal mask, not a weight"), "{mask}");
        }
        assert!(reason("model.layers.0.self_attn.rotary_emb.inv_freq").is_some());
        for weight in ["h.0.attn.c_attn.bias", "gpt_neox.layers.3.attention.dense.bias", "h.0.mlp.attn.bias"] {
            assert_eq!(reason(weight), None, "{weight}");
        }
    }
}
