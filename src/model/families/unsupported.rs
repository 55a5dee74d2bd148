//! Architectures that cannot be described, and why.

/// Why an architecture cannot be described by a `ModelSpec`, where that is known.
pub fn reason(model_type: &str) -> Option<&'static str> {
    Some(match model_type {
        "t5" | "mt5" | "umt5" | "longt5" | "switch_transformers" | "t5gemma" | "t5gemma2" | "pix2struct" => {
            "it is an encoder-decoder pair with relative position biases"
        }
        "bart" | "mbart" | "pegasus" | "pegasus_x" | "marian" | "blenderbot" | "blenderbot-small" | "m2m_100"
        | "nllb-moe" | "whisper" | "fsmt" | "led" | "prophetnet" | "plbart" | "mvp" | "speech_to_text"
        | "encoder-decoder" | "bigbird_pegasus" | "moonshine" => "it is an encoder-decoder pair",
        "deberta" | "deberta-v2" => "its attention is disentangled into contents and positions",
        "mpnet" | "tapas" | "layoutlmv3" => "its attention has learned biases for relative positions",
        "mamba" | "mamba2" | "falcon_mamba" => "it has state-space layers instead of attention",
        "rwkv" | "rwkv6" | "rwkv7" | "xlstm" => "it is a recurrent network",
        "jamba" | "bamba" | "zamba" | "zamba2" | "nemotron_h" | "recurrent_gemma" | "falcon_h1"
        | "granitemoehybrid" | "hymba" | "plamo2" => {
            "some of its layers have a state space or are recurrent instead of attention"
        }
        "qwen3_next" | "qwen3_5" | "qwen3_5_text" | "qwen3_5_moe" | "kimi_linear" | "minimax" | "bailing_hybrid"
        | "olmo_hybrid" => "some of its layers have linear attention",
        "lfm2" | "lfm2_moe" | "lfm2_vl" | "lfm3" => "some of its layers are convolutions instead of attention",
        "deepseek_v2" | "deepseek_v3" | "deepseek_v32" | "deepseek_v4" | "minicpm3" | "kimi_k25" | "longcat_flash"
        | "glm4_moe_lite" | "glm_moe_dsa" | "youtu" | "mistral4" | "sarvam_mla" => {
            "its attention compresses keys and values into a latent vector"
        }
        "gemma3n" | "gemma3n_text" | "gemma4" | "gemma4_text" => "its residual stream has several parallel parts",
        "gpt_oss" => "its attention has sinks, an extra column of the softmax",
        "llama4" | "llama4_text" => "its attention is computed in chunks with scales that depend on positions",
        "xlnet" => "its attention runs over permutations of the text",
        "reformer" | "longformer" | "big_bird" | "nystromformer" | "yoso" | "mra" => {
            "its attention is sparse or hashed"
        }
        "funnel" | "canine" => "its layers shorten the sequence",
        "fnet" => "it mixes tokens by Fourier transforms instead of attention",
        "convbert" | "squeezebert" | "mobilebert" | "ibert" => "its blocks are not those of an ordinary transformer",
        "dbrx" | "phimoe" | "granitemoe" | "jetmoe" | "glm4_moe" | "ernie4_5_moe" | "exaone_moe" | "minimax_m2" => {
            "its mixture of experts chooses or weighs experts in a way of its own"
        }
        "bert-generation" | "trocr" => "it is the decoder half of an encoder-decoder pair",
        _ => return None,
    })
}
