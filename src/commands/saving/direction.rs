//! `save direction`: a control vector for llama.cpp.

use crate::answer::Answer;
use crate::commands::explaining::direction;
use crate::commands::frame::{Done, mistake};
use crate::commands::saving::{check_ending, no_file};
use crate::commands::state::{Call, Console};
use crate::export;

/// `save direction FILE.gguf NAME`.
pub fn save(console: &mut Console, call: Call<'_>) -> Done {
    let words = call.words()?;
    let [file, name] = &words[..] else {
        return Err(match words.first() {
            None => no_file(&call).into(),
            Some(_) => mistake("expected a file and a direction", call.end(), "save direction FILE.gguf NAME"),
        });
    };
    check_ending(
        file,
        &["gguf"],
        "directions are written as control vectors of llama.cpp: save direction FILE.gguf NAME",
    )?;
    let vectors = direction::by_block(console, name)?;
    let content = export::control_vector::control_vector(&console.session.run.model.spec.family, &vectors);
    export::file(&file.text, content)?;
    let numbers: Vec<String> = vectors.iter().map(|(block, _)| format!("direction.{block}")).collect();
    Ok(Answer::Text(format!("Wrote {} to {}", numbers.join(", "), file.text)))
}
