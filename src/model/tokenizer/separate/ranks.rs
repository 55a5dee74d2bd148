//! Mistral's `tekken.json`: byte-level pairs as tiktoken has them, in which the number of a token is its rank.

use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};
use tokenizers::AddedToken;

use super::{MOST_TEXT, Separate, added, entries};
use crate::model::checkpoint::CheckpointFiles;
use crate::model::config::parse_object;
use crate::model::error::{LoadError, NoTokenizer};
use crate::model::tokenizer::around::Around;
use crate::model::tokenizer::class::Class;
use crate::model::tokenizer::named::{Named, NamedToken};
use crate::model::tokenizer::parts::{Parts, from_base64};
use crate::model::tokenizer::spelling;

pub const TEKKEN: &str = "tekken.json";

/// The special tokens of files that list none.
const SPECIALS: [&str; 20] = [
    "<unk>",
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
    "[TOOL_CALLS]",
    "[IMG]",
    "<pad>",
    "[IMG_BREAK]",
    "[IMG_END]",
    "[PREFIX]",
    "[MIDDLE]",
    "[SUFFIX]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[TOOL_CONTENT]",
];

/// What the special tokens are called.
const NAMES: [(&str, &str); 4] =
    [("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>"), ("pad_token", "<pad>")];

/// A tokenizer made of the file; or why there is none. Texts begin with `<s>`, as in Mistral's own library, unless
/// `tokenizer_config.json` says otherwise.
pub fn tekken(
    files: &CheckpointFiles,
    settings: Map<String, Json>,
    bytes: &[u8],
) -> Result<Result<Separate, NoTokenizer>, LoadError> {
    let path = files.path_of(TEKKEN);
    let whole = parse_object(&path, bytes)?;
    let bad = |message: &str| LoadError::Tokenizer { path: path.clone(), message: message.to_owned() };
    let Some(Tekken { pattern, specials, tokens }) = Tekken::of(&whole) else {
        return Err(bad("it is not laid out as Mistral's tekken.json"));
    };
    let mut named = Named::read(files, settings, Class::General, &[])?;
    for (name, text) in NAMES {
        if specials.iter().any(|special| special == text)
            && named.text(name).is_none()
            && !named.settings.contains_key(name)
        {
            let token = AddedToken::from(text, true);
            named.special.push((name.to_owned(), NamedToken { token, by: TEKKEN }));
        }
    }
    named
        .extra
        .extend(specials.iter().map(|text| NamedToken { token: AddedToken::from(text.clone(), true), by: TEKKEN }));
    let Some(merges) = merges(&tokens) else { return Ok(Err(NoTokenizer::TooMuchWork)) };
    let ids = specials.iter().cloned().chain(tokens.iter().map(|token| spelling::of_bytes(token)));
    let vocab: Map<String, Json> = ids.enumerate().map(|(id, token)| (token, json!(id))).collect();
    let added = added(&named, &vocab);
    let flag = |key: &str, default: bool| named.settings.get(key).and_then(Json::as_bool).unwrap_or(default);
    let asked = |key: &str, name: &str, default: bool| flag(key, default) && named.text(name).is_some();
    let around = Around::Ends {
        bos: asked("add_bos_token", "bos_token", true),
        eos: asked("add_eos_token", "eos_token", false),
    };
    let token = |name: &str| {
        let text = named.text(name)?;
        let (id, _) = added.iter().find(|(_, token)| token.content == text)?;
        Some((text.to_owned(), u32::try_from(*id).ok()?))
    };
    let post_processor = match around.template(token) {
        Ok(template) => template.json(),
        Err(token) => return Ok(Err(NoTokenizer::NoSpecialToken { path, token })),
    };
    let byte_level =
        |trim: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": trim, "use_regex": false});
    let split = json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let parts = Parts {
        added: entries(&added),
        normalizer: Json::Null,
        pre_tokenizer: json!({"type": "Sequence", "pretokenizers": [split, byte_level(true)]}),
        post_processor,
        decoder: json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
        model: json!({
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": true,
            "vocab": vocab,
            "merges": merges,
        }),
    };
    Ok(Ok(Separate { path, json: parts.json(), named }))
}

/// What the file says.
struct Tekken {
    pattern: String,
    /// Special tokens, which have the first numbers.
    specials: Vec<String>,
    /// The bytes of the others, in the order of their ranks.
    tokens: Vec<Vec<u8>>,
}

impl Tekken {
    /// `None` if something is missing or of another type.
    fn of(whole: &Map<String, Json>) -> Option<Tekken> {
        /// More special tokens than any vocabulary has.
        const MOST_SPECIALS: usize = 1 << 16;
        let config = whole.get("config")?;
        let size = |key: &str| match config.get(key) {
            None | Some(Json::Null) => Some(None),
            Some(value) => Some(Some(usize::try_from(value.as_u64()?).ok()?)),
        };
        let mut specials: Vec<String> = match whole.get("special_tokens") {
            None | Some(Json::Null) => SPECIALS.map(str::to_owned).to_vec(),
            Some(list) => {
                let entry =
                    |entry: &Json| Some((entry.get("rank")?.as_u64()?, entry.get("token_str")?.as_str()?.to_owned()));
                let mut list: Vec<(u64, String)> = list.as_array()?.iter().map(entry).collect::<Option<_>>()?;
                list.sort();
                let in_order = list.iter().enumerate().all(|(at, (rank, _))| *rank == at as u64);
                in_order.then(|| list.into_iter().map(|(_, text)| text).collect())?
            }
        };
        let count = size("default_num_special_tokens")?.unwrap_or(specials.len());
        if count > MOST_SPECIALS || count < specials.len() {
            return None;
        }
        specials.extend((specials.len()..count).map(|id| format!("<SPECIAL_{id}>")));
        let vocab = whole.get("vocab")?.as_array()?;
        let used = match size("default_vocab_size")? {
            Some(all) => all.checked_sub(count)?.min(vocab.len()),
            None => vocab.len(),
        };
        let bytes = |token: &Json| from_base64(token.get("token_bytes")?.as_str()?);
        let tokens = vocab[..used].iter().map(bytes).collect::<Option<Vec<Vec<u8>>>>()?;
        Some(Tekken { pattern: config.get("pattern")?.as_str()?.to_owned(), specials, tokens })
    }
}

/// Each token of any two tokens that it can be made of, those of lower ranks first; `None` if that would be too much.
fn merges(tokens: &[Vec<u8>]) -> Option<Vec<Json>> {
    let ranks: HashMap<&[u8], usize> = tokens.iter().enumerate().map(|(rank, token)| (&token[..], rank)).collect();
    let (mut merges, mut text) = (Vec::new(), 0usize);
    for token in tokens {
        let mut ways: Vec<(usize, usize, usize)> = (1..token.len())
            .filter_map(|at| Some((*ranks.get(&token[..at])?, *ranks.get(&token[at..])?, at)))
            .collect();
        text = text.checked_add(token.len().checked_mul(ways.len() + token.len() / 64)?)?;
        if text > MOST_TEXT {
            return None;
        }
        ways.sort_unstable();
        let halves = ways.into_iter().map(|(_, _, at)| token.split_at(at));
        merges.extend(halves.map(|(left, right)| json!([spelling::of_bytes(left), spelling::of_bytes(right)])));
    }
    Some(merges)
}
