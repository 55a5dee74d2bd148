//! `chat`: the next turn of a conversation.

use crate::answer::Answer;
use crate::answer::text::quoted;
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console};
use crate::debugger::{Change, Direction, Edit, Error, Mark, Motion, Target};
use crate::lang::strings;
use crate::model::Input;
use crate::model::chat::Conversation;

/// `chat TEXT`: what was generated becomes the answer, and the text what the user says then. The prompt is what the chat template
/// makes of the whole conversation, in a new branch; the old one keeps its passes.
pub fn chat(console: &mut Console, call: Call<'_>) -> Done {
    let (typed, offset) = (call.args.rest, call.args.offset);
    if typed.is_empty() {
        return Err(call.expected("what the user says", "chat And in Italy?"));
    }
    let text = if typed.starts_with('"') { strings::literal(typed, offset)?.0 } else { typed.to_string() };
    let model = console.session.run.model.clone();
    let focused = console.session.focus.row;
    let template = model.chat.choose(console.template.as_deref()).map_err(|error| error.to_string())?;
    let prompt = console.session.run.branch().prompt();
    let before = prompt.rows[focused].text.as_ref().and_then(|text| console.conversations.get(text)).cloned();
    let conversation = match before {
        None => Conversation::of_user(&text, None),
        Some(before) => match console.said() {
            Some(answer) => before.with_turn(&answer, &text),
            None => {
                let message = "nothing has been generated yet, so there is no answer to go on from";
                return Err(Error::refused(format!("{message}: \"generate 40\", then chat TEXT")));
            }
        },
    };
    let whole = model.chat.render(&template, &conversation).map_err(|error| error.to_string())?;
    let mut rows = console.session.run.branch().prompt().texts();
    rows[focused] = Input::from_texts(&model, &[&whole], false)?.rows[0].clone();
    let input = console.session.run.branch().prompt().with_rows(&model, rows)?;
    // From its start: passes after the prompt are those of another text.
    if console.session.run.live && console.session.run.mark() != Mark::START {
        console.session.travel(&Motion::To(Mark::START), Direction::Backward)?;
    }
    let turns = conversation.messages().iter().filter(|message| message.get("role").is_some_and(|role| role == "user"));
    let turn = turns.count();
    let (change, line) = (Change::Input(input), call.line.to_string());
    let edit = Edit { from: Mark::START, target: Target::Input, change, lasting: false, text: line };
    let applied = console.session.run.edit(vec![edit])?;
    console.chat = true;
    let row = &console.session.run.branch().prompt().rows[focused];
    let (tokens, made) = (row.len(), row.text.clone().unwrap_or_default());
    console.conversations.insert(made, conversation);
    let branch = applied.branch.map(|branch| format!(", branch {branch}")).unwrap_or_default();
    Ok(Answer::Text(format!(
        "Turn {turn}: {}, {tokens} tokens with what was said before{branch}. \"generate 40\" answers.",
        quoted(&text)
    )))
}

impl Console {
    /// What was generated for the focused row, without special tokens; none if nothing was.
    fn said(&self) -> Option<String> {
        let run = &self.session.run;
        let branch = run.branch();
        let chosen = |pass| branch.chosen(pass)?.tokens[self.session.focus.row];
        let ids: Vec<u32> = (1..branch.passes()).filter_map(chosen).collect();
        let tokenizer = run.model.tokenizer.as_ref()?;
        (!ids.is_empty()).then(|| tokenizer.decode(&ids, true))
    }
}
