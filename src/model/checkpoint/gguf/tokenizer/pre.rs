//! How byte-level tokenizers split a text before they merge, by the word that llama.cpp has for it
//! (`tokenizer.ggml.pre`), as it is in the `tokenizer.json` that the word was made for.

use serde_json::{Value as Json, json};

#[derive(Clone, Debug, Default)]
pub struct Pre {
    /// Steps before the last one, which turns bytes into characters.
    pub splits: Vec<Json>,
    /// Whether the text is composed first (Unicode NFC).
    pub nfc: bool,
    /// Whether a word that is a token is taken as it is.
    pub ignore_merges: bool,
    /// Whether a text begins with a token, where the file does not say.
    pub add_bos: bool,
    /// Whether a text ends with a separator, where the file does not say.
    pub add_sep: bool,
}

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const BLOOM: &str = r" ?[^(\s|[.,!?…。，、।۔،])]+";
const DEEPSEEK_V3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;
const SEED: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const JAIS2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}";
const EXAONE_MOE: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+";
const YOUTU: [&str; 2] = [
    "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];
const CHAMELEON: [&str; 6] = [
    "<sentinel:[0-9]+>",
    "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
    r"([\t\n]|    |  )",
    r"\p{N}",
    r"[\p{P}!-/:-@\[-`{-~]",
    GPT2,
];
const BAILING: &str =
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";

/// What a word means, if it is known.
pub fn pre(word: &str) -> Option<Pre> {
    Some(match word {
        "gpt-2" | "phi-2" | "jina-es" | "jina-de" | "jina-v2-es" | "jina-v2-de" | "gigachat" | "a.x-4.0" | "mellum"
        | "jais" | "trillion" | "granite-docling" | "exaone4" => regexes(&[GPT2]),
        "jina-v1-en" | "jina-v2-code" | "roberta-bpe" => Pre { add_sep: true, ..regexes(&[GPT2]) },
        "modern-bert" => Pre { nfc: true, add_sep: true, ..regexes(&[GPT2]) },
        "mpt" | "olmo" => Pre { nfc: true, ..regexes(&[GPT2]) },
        "starcoder" | "refact" | "codeshell" | "smollm" | "exaone" | "minerva-7b" => digits_one_by_one(),
        "command-r" => Pre { nfc: true, ..digits_one_by_one() },
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2"
        | "jina-v5-nano" => Pre { ignore_merges: true, add_bos: true, ..regexes(&[LLAMA3]) },
        "dbrx" | "smaug-bpe" | "glm4" | "chatglm-bpe" => regexes(&[LLAMA3]),
        "qwen2" | "deepseek-r1-qwen" | "megrez" | "kormo" | "f2llmv2" => Pre { nfc: true, ..regexes(&[QWEN2]) },
        "qwen35" => Pre { nfc: true, ..regexes(&[QWEN35]) },
        "jais-2" => regexes(&[JAIS2]),
        "exaone-moe" => regexes(&[EXAONE_MOE]),
        "youtu" => Pre { ignore_merges: true, ..regexes(&YOUTU) },
        "chameleon" => Pre { add_bos: true, ..regexes(&CHAMELEON) },
        "tiny_aya" | "cohere2moe" => regexes(&[r"\d{1,3}(?=(?:\d{3})*\b)", GPT4O]),
        "stablelm2" | "hunyuan" | "solar-open" | "grok-2" => regexes(&[QWEN2]),
        "tekken" => Pre { ignore_merges: true, add_bos: true, ..regexes(&[TEKKEN]) },
        "gpt-4o" | "llama4" | "minimax-m2" | "kanana2" | "talkie" => regexes(&[GPT4O]),
        "deepseek-v3" | "hunyuan-dense" | "joyai-llm" => regexes(&[r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK_V3]),
        "deepseek-coder" => regexes(&["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"]),
        "deepseek-llm" => regexes(&[
            "[\r\n]",
            r"\s?[\p{Lu}\p{Ll}\p{Lt}]+",
            "\\s?[!-/:-~！-／：-～‘-‟　-。]+",
            r"\s+$",
            "[一-龥ࠀ-一가-퟿]+",
            r"\p{N}+",
        ]),
        "falcon" => falcon(),
        "bloom" | "poro-chat" | "gpt3-finnish" => regexes(&[BLOOM]),
        "viking" => regexes(&[BLOOM, r"\p{N}"]),
        "seed-coder" => regexes(&[SEED]),
        "bailingmoe" | "bailingmoe2" | "llada-moe" => regexes(&[BAILING]),
        "superbpe" => regexes(&[r"\p{N}+", r"(?=(\d{3})+(?!\d))"]),
        "default" => regexes(&[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]),
        _ => return None,
    })
}

/// Splits around what matches one regular expression after another.
fn regexes(all: &[&str]) -> Pre {
    Pre { splits: all.iter().map(|regex| split(regex)).collect(), ..Pre::default() }
}

fn split(regex: &str) -> Json {
    json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false})
}

fn digits_one_by_one() -> Pre {
    Pre { splits: vec![json!({"type": "Digits", "individual_digits": true}), split(GPT2)], ..Pre::default() }
}

fn falcon() -> Pre {
    let splits = vec![
        json!({"type": "Punctuation", "behavior": "Contiguous"}),
        split(GPT2),
        json!({"type": "Digits", "individual_digits": false}),
        split("[0-9][0-9][0-9]"),
    ];
    Pre { splits, ..Pre::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de gigachat a.x-4.0 mellum jais trillion \
        granite-docling exaone4 jina-v1-en jina-v2-code roberta-bpe modern-bert mpt olmo starcoder refact codeshell smollm \
        exaone minerva-7b command-r llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 dbrx smaug-bpe glm4 \
        chatglm-bpe qwen2 deepseek-r1-qwen megrez kormo stablelm2 hunyuan solar-open grok-2 tekken gpt-4o llama4 minimax-m2 \
        deepseek-v3 hunyuan-dense deepseek-coder deepseek-llm falcon bloom poro-chat gpt3-finnish viking seed-coder \
        bailingmoe bailingmoe2 llada-moe superbpe default jina-v5-nano f2llmv2 qwen35 jais-2 exaone-moe youtu chameleon \
        tiny_aya cohere2moe kanana2 talkie joyai-llm";

    /// The steps of every word are understood, and take nothing away from a text.
    #[test]
    fn every_way_of_splitting_keeps_the_text() {
        use tokenizers::{PreTokenizedString, PreTokenizer, PreTokenizerWrapper};
        let text = "I've seen 12345 naïve Ünïcödé things…\r\n\n\tfoo_bar(x+=1) 日本語 한국어 नमस्ते 😀  end ";
        for word in WORDS.split_whitespace() {
            let steps = json!({"type": "Sequence", "pretokenizers": pre(word).unwrap().splits});
            let steps: PreTokenizerWrapper =
                serde_json::from_value(steps).unwrap_or_else(|error| panic!("{word}: {error}"));
            let mut pieces = PreTokenizedString::from(text);
            steps.pre_tokenize(&mut pieces).unwrap();
            let pieces = pieces.get_splits(tokenizers::OffsetReferential::Original, tokenizers::OffsetType::Byte);
            let joined: String = pieces.iter().map(|(piece, _, _)| *piece).collect();
            assert_eq!(joined, text, "{word}");
            assert!(pieces.len() > 5, "{word}: {pieces:?}");
        }
        assert!(pre("no such word").is_none());
    }

    #[test]
    fn numbers_are_split_as_each_tokenizer_does() {
        use tokenizers::{PreTokenizedString, PreTokenizer, PreTokenizerWrapper};
        let pieces = |word: &str, text: &str| -> Vec<String> {
            let steps = json!({"type": "Sequence", "pretokenizers": pre(word).unwrap().splits});
            let steps: PreTokenizerWrapper = serde_json::from_value(steps).unwrap();
            let mut pieces = PreTokenizedString::from(text);
            steps.pre_tokenize(&mut pieces).unwrap();
            let pieces = pieces.get_splits(tokenizers::OffsetReferential::Original, tokenizers::OffsetType::Byte);
            pieces.iter().map(|(piece, _, _)| (*piece).to_owned()).collect()
        };
        assert_eq!(pieces("gpt-2", "a 12345"), ["a", " 12345"]);
        assert_eq!(pieces("llama-bpe", "a 12345"), ["a", " ", "123", "45"]);
        assert_eq!(pieces("qwen2", "a 123"), ["a", " ", "1", "2", "3"]);
        assert_eq!(pieces("tiny_aya", "a 1234567"), ["a", " ", "1", "234", "567"]);
        assert_eq!(pieces("jais-2", "a       b"), ["a", "    ", "  ", " b"]);
        assert_eq!(pieces("exaone-moe", "a b c1"), ["a b c", "1"]);
        assert_eq!(pieces("starcoder", "a 12"), ["a", " ", "1", "2"]);
        assert_eq!(pieces("falcon", "a 1234"), ["a", " ", "123", "4"]);
    }
}
