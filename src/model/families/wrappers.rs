//! Models that read images too: of them the text part, which is one of the other families. A text alone takes the same
//! path through it as in the whole model, because rotations by several axes are ordinary ones for text.

use crate::model::config::HfConfig;
use crate::model::error::LoadError;

/// Each wrapper, and its text part where the configuration does not say what that is.
const WRAPPERS: &[(&str, &str)] = &[
    ("qwen2_vl", "qwen2"),
    ("qwen2_5_vl", "qwen2"),
    ("qwen3_vl", "qwen3"),
    ("qwen3_vl_moe", "qwen3_moe"),
    ("mistral3", "mistral"),
    ("gemma4", "gemma4_text"),
    ("qwen3_5", "qwen3_5_text"),
    ("qwen3_5_moe", "qwen3_5_moe_text"),
    ("llama4", "llama4_text"),
    ("llava", "llama"),
    ("llava_next", "llama"),
    ("llava_next_video", "llama"),
    ("llava_onevision", "qwen2"),
    ("vipllava", "llama"),
    ("video_llava", "llama"),
    ("smolvlm", "llama"),
    ("idefics3", "llama"),
    ("idefics2", "mistral"),
    ("internvl", "qwen2"),
    ("aya_vision", "cohere2"),
    ("cohere2_vision", "cohere2"),
    ("got_ocr2", "qwen2"),
];

/// What text parts are called that are a family of another name.
const TEXT_PARTS: &[(&str, &str)] = &[
    ("qwen2_vl_text", "qwen2"),
    ("qwen2_5_vl_text", "qwen2"),
    ("qwen3_vl_text", "qwen3"),
    ("qwen3_vl_moe_text", "qwen3_moe"),
];

/// Beginnings of the names of what reads images in these models.
pub const FOR_IMAGES: &[&str] = &[
    "visual.",
    "vision_tower.",
    "vision_model.",
    "video_tower.",
    "image_tower.",
    "audio_tower.",
    "embed_vision.",
    "embed_audio.",
    "multi_modal_projector.",
    "connector.",
    "image_newline",
];

pub const IMAGES: &str = "for images and sound, which are not computed";

/// Sections and keys of a whole that are about images.
const ABOUT_IMAGES: &[&str] = &["vision_config", "perceiver_config", "audio_config"];

fn named(table: &'static [(&str, &str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == name).map(|(_, family)| *family)
}

/// Every `model_type` whose text part is opened.
pub fn model_types() -> impl Iterator<Item = &'static str> {
    WRAPPERS.iter().chain(TEXT_PARTS).map(|(name, _)| *name)
}

/// The configuration of the text part of a model that reads images; any other one as it is.
///
/// # Errors
/// If the configuration cannot be read.
pub fn text_part(config: HfConfig) -> Result<HfConfig, LoadError> {
    let whole = config.model_type()?;
    if let Some(family) = named(TEXT_PARTS, whole) {
        return Ok(config.as_model_type(family));
    }
    let Some(usual) = named(WRAPPERS, whole) else { return Ok(config) };
    // Older configurations of Qwen2-VL have what is about text next to the section about images.
    let Some(text) = config.object("text_config")? else {
        return Ok(config.without(ABOUT_IMAGES).as_model_type(usual));
    };
    let kind = text.str(&["model_type"])?.unwrap_or(usual);
    let family = named(TEXT_PARTS, kind).unwrap_or(kind).to_owned();
    Ok(config.without(ABOUT_IMAGES).with_section("text_config", &OF_THE_WHOLE).as_model_type(&family))
}

/// Keys of which the whole has the say, where it has them.
const OF_THE_WHOLE: [&str; 2] = ["architectures", "tie_word_embeddings"];

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> HfConfig {
        text_part(HfConfig::parse("config.json", text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn the_text_part_has_its_own_keys_and_those_that_it_leaves_out() {
        let found = part(
            r#"{"model_type": "qwen2_5_vl", "architectures": ["Qwen2_5_VLForConditionalGeneration"],
                "tie_word_embeddings": true, "vision_config": {"depth": 32}, "image_token_id": 7, "vocab_size": 5,
                "text_config": {"model_type": "qwen2_5_vl_text", "architectures": ["Other"], "hidden_size": 8, "vocab_size": 9,
                                "tie_word_embeddings": false}}"#,
        );
        assert_eq!(found.model_type().unwrap(), "qwen2");
        assert_eq!(found.architecture().unwrap(), Some("Qwen2_5_VLForConditionalGeneration"));
        assert_eq!(found.json()["vocab_size"], 9);
        assert_eq!(found.json()["hidden_size"], 8);
        assert_eq!(found.json()["tie_word_embeddings"], true);
        assert!(!found.json().contains_key("vision_config") && !found.json().contains_key("text_config"));
    }

    #[test]
    fn without_a_section_the_whole_is_the_text_part() {
        let found = part(r#"{"model_type": "qwen2_vl", "hidden_size": 8, "vision_config": {}}"#);
        assert_eq!((found.model_type().unwrap(), &found.json()["hidden_size"]), ("qwen2", &8.into()));
        assert_eq!(
            part(r#"{"model_type": "llava", "text_config": {"model_type": "mistral"}}"#).model_type().unwrap(),
            "mistral"
        );
        assert_eq!(part(r#"{"model_type": "llama"}"#).model_type().unwrap(), "llama");
    }
}
