//! Architectures that cannot be described, and why: one table for `model_type` of a configuration and for the names
//! that GGUF files have for architectures.

/// Why an architecture cannot be opened, where that is known.
pub fn reason(name: &str) -> Option<&'static str> {
    // GGUF files write `falcon-h1` where transformers writes `falcon_h1`.
    let same = |known: &str| known.replace('-', "_") == name.replace('-', "_");
    REASONS.iter().find(|(_, names)| names.split_whitespace().any(same)).map(|(reason, _)| *reason)
}

/// Reasons, each with the architectures that it holds for.
pub const REASONS: &[(&str, &str)] = &[
    // Other names of what is supported
    (
        "it is what falcon was called before transformers had it: get the model as it is published now",
        "RefinedWeb RefinedWebModel",
    ),
    (
        "it is what stablelm was called before transformers had it: get the model as it is published now",
        "stablelm_epoch",
    ),
    // More than a decoder or an encoder
    (
        "it is an encoder-decoder pair with relative position biases",
        "t5encoder umt5 longt5 switch_transformers pop2piano",
    ),
    (
        "it is an encoder-decoder pair",
        "pegasus_x blenderbot blenderbot-small nllb-moe fsmt led prophetnet plbart \
         mvp encoder-decoder bigbird_pegasus t5gemma t5gemma2 rag",
    ),
    ("it is one half of an encoder-decoder pair", "bert-generation trocr"),
    (
        IMAGES,
        "aria blip blip-2 chameleon clip clip_text_model cogvlm colpali colqwen2 deepseek_vl \
         deepseek_vl_hybrid deepseek_vl_v2 emu3 florence2 fuyu git glm4v glm4v_moe granite4_vision idefics \
         instructblip internvl_chat janus kimi_vl kosmos-2 layoutlmv2 layoutlmv3 \
         mllama minicpmv molmo molmo2 ovis2 paddleocr_vl \
         perception_lm phi3_v phi4_multimodal phi4mm pix2struct pixtral \
         shieldgemma2 siglip siglip2 udop vilt \
         vision-encoder-decoder visual_bert vit",
    ),
    ("it reads images, and its attention runs in both directions over a prompt", "paligemma"),
    (
        "it reads or makes sound, and only models of text are opened",
        "bark csm dia granite_speech hubert moonshine moshi musicgen qwen2_audio qwen2_5_omni qwen3_omni_moe \
         seamless_m4t speech_to_text ultravox voxtral wav2vec2 wavtokenizer-dec whisper",
    ),
    ("it writes texts by filling masks step by step instead of one token after another", "dream llada Dream"),
    // Names that GGUF files have for what is read from safetensors
    ("its family is read from safetensors only", "qwen35moe"),
    // Other layers than attention
    ("it is a recurrent network", "rwkv rwkv5 rwkv6 rwkv6qwen2 rwkv7 arwkv7 xlstm"),
    (
        "some of its layers have a state space or are recurrent instead of attention",
        "zamba zamba2 recurrent_gemma hymba plamo2",
    ),
    ("some of its layers have linear attention", "kimi_linear minimax bailing_hybrid olmo_hybrid"),
    ("some of its layers are convolutions instead of attention", "lfm2_moe lfm2moe lfm2_vl lfm3"),
    ("it mixes tokens by Fourier transforms instead of attention", "fnet"),
    // Other attention
    ("its attention is disentangled into contents and positions", "deberta"),
    (
        "its attention compresses keys and values into a latent vector",
        "deepseek_v32 minicpm3 kimi_k2 kimi_k25 longcat_flash glm_moe_dsa glm-dsa mistral4",
    ),
    ("its attention has sinks, an extra column of the softmax", "granite_swa mimo_v2_flash"),
    ("its attention runs over permutations of the text", "xlnet"),
    ("its attention is sparse, hashed or approximated", "reformer longformer big_bird nystromformer yoso mra"),
    ("its attention is the difference of two", "diffllama"),
    ("its queries and keys are normed after their rotation, not before", "hunyuan-moe"),
    ("its layers shorten the sequence", "funnel canine"),
    // Other blocks
    (
        "its layers take a part of the token embedding each, some of them take keys and values from others, and its \
         heads are of two widths",
        "gemma4_unified gemma4_unified_text",
    ),
    ("its residual stream has several parallel parts", "gemma3n gemma3n_text"),
    ("its blocks are not those of an ordinary transformer", "convbert squeezebert mobilebert ibert"),
    ("its weights have three values, and its attention and MLP norms inside", "bitnet bitnet-b1.58"),
    ("it scales its embedding, its blocks and its logits by settings that llmdbg does not know", "minicpm5"),
    ("its blocks have norms after attention and MLP, and there is none at the end", "openai-gpt"),
    ("its positions are sines and cosines that are added to the embedding", "ctrl xglm"),
    ("its embedding adds the places of table cells to the tokens", "tapas"),
    ("its embedding adds the places of words on a page to the tokens", "layoutlm lilt bros markuplm"),
    ("it has layers for each language", "xmod"),
    // Mixtures
    (
        "its mixture of experts chooses or weighs experts in a way that is not computed",
        "dbrx exaone_moe deepseek bailingmoe2 afmoe smallthinker",
    ),
    ("its attention heads are a mixture of experts too", "jetmoe"),
    // Encoders
    ("it is BERT with rotary positions and gated MLPs", "nomic-bert-moe neo-bert neobert"),
    ("it is XLM-RoBERTa with rotary positions, and an adapter for each task", "jina_embeddings_v3 jina-bert-v3"),
    ("it is BERT with linear biases for positions", "jina-bert-v2"),
    ("it is BERT with rotary positions", "roformer"),
    ("its input and output embeddings are of two widths", "rembert"),
    ("it reads entities besides tokens", "luke mluke"),
    ("it embeds the language of each token", "xlm flaubert"),
    // Other decoders
    ("its matrices are joined and named in a way that llmdbg does not know", "chatglm qwen"),
    ("it is Llama, but its tensors have other names, which llmdbg does not know", "exaone"),
    ("it has an embedding that is scaled, and positions that count from 2", "biogpt"),
];

const IMAGES: &str = "it reads images, and llmdbg does not know its text part";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_one_reason_whichever_way_it_is_spelled() {
        let mut names: Vec<String> =
            REASONS.iter().flat_map(|(_, names)| names.split_whitespace()).map(|name| name.replace('-', "_")).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(reason("granite-swa"), reason("granite_swa"));
        assert!(reason("granite-swa").is_some_and(|reason| reason.contains("sinks")));
    }
}
