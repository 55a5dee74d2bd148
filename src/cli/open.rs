//! From options to a session: the device is opened, the model loaded, the input prepared.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{Chat, Input as GivenInput, Options, PadSide, settings};
use crate::commands::Console;
use crate::debugger::{Session, Settings};
use crate::engine::Interpreter;
use crate::frontend::tui::{config, panes::Panes};
use crate::model::bundled::{self, Bundled};
use crate::model::chat::{ChatError, Conversation, Place};
use crate::model::{self, Input, Model, ModelSource, Side, adapter};
use crate::tensor::{Device, step};
use crate::term::quiet::without_stderr;

/// Opens the model and prepares a session; runs on the engine thread, which keeps it.
///
/// # Errors
/// A message for the user: no such device, what is wrong with the checkpoint, or with the input.
pub fn open(options: &Options, interrupt: Arc<AtomicBool>) -> Result<Box<dyn Interpreter>, String> {
    let device =
        without_stderr(options.log.as_deref(), || Device::open(options.device)).map_err(|error| error.to_string())?;
    _ = step(device.reason(), 0, 0);
    let (source, name, bundled) = source_of(options.model.as_deref());
    let mut model =
        model::open(&source, &device, options.precision, &mut |what, done, total| step(what, done, total).is_ok())
            .map_err(|error| error.to_string())?;
    if let Some(folder) = &options.lora {
        adapter::fit(folder, &mut model).map_err(|error| error.to_string())?;
    }
    if let Ok(program) = std::env::current_exe() {
        model.chat.place = Place::Sandbox(program);
    }
    let input = input_of(&options.input, &model, bundled)?;
    let chosen = Settings { record_budget: options.record_budget };
    let session = Session::new(model, input, device, &chosen, interrupt);
    let mut console = Console::new(session, name);
    let own = config::user_file(config::directory().as_ref(), "layouts.toml");
    console.screen.layouts = Panes::new(own.as_ref().map(|(_, text)| text.as_str())).0.names();
    if options.init {
        let without: &[&str] = if options.budget_given { &["record-budget"] } else { &[] };
        settings::Given::of_user().apply(&mut console, without);
    }
    if options.budget_given {
        // It is in force already; this says where it comes from.
        console
            .configure("record-budget", &options.record_budget.to_string(), "--record-budget")
            .map_err(|error| error.to_string())?;
    }
    console.chat = options.input.chat.is_some();
    Ok(Box::new(match &options.lora {
        Some(folder) => console.with_adapter(folder).map_err(|error| error.to_string())?,
        None => console,
    }))
}

/// Where the model comes from, its short name, and the bundled model it is, if it is one.
fn source_of(model: Option<&str>) -> (ModelSource, String, Option<&'static Bundled>) {
    let wanted = model.unwrap_or(bundled::DEFAULT);
    let on_disk = Path::new(wanted).exists();
    if let Some(found) = bundled::find(wanted).filter(|_| !on_disk || model.is_none()) {
        return (found.source(), found.name.to_string(), Some(found));
    }
    let name = Path::new(wanted).file_name().map_or(wanted.to_string(), |name| name.to_string_lossy().into_owned());
    (ModelSource::parse(wanted), name, None)
}

/// The input that was given, or the model's own example.
fn input_of(given: &GivenInput, model: &Model, bundled: Option<&Bundled>) -> Result<Input, String> {
    let text = |error: model::InputError| error.to_string();
    if let Some(chat) = &given.chat {
        let texts = conversations(chat, &given.prompts, model)?;
        let input = Input::from_texts(model, &texts, false).map_err(text)?;
        return padded(input, given, model);
    }
    let input = match (&given.prompts[..], &given.tokens[..], &given.pair) {
        ([], [], None) => match bundled {
            Some(bundled) => Input::from_texts(model, &[bundled.example_prompt], true).map_err(text)?,
            None => return Input::from_tokens(model, vec![vec![first_token(model)]]).map_err(text),
        },
        ([], tokens, _) => Input::from_tokens(model, tokens.to_vec()).map_err(text)?,
        ([first, ..], _, Some(second)) => Input::from_pairs(model, &[(first, second)]).map_err(text)?,
        (prompts, _, None) => Input::from_texts(model, prompts, true).map_err(text)?,
    };
    padded(input, given, model)
}

/// The padding as it was asked for.
fn padded(mut input: Input, given: &GivenInput, model: &Model) -> Result<Input, String> {
    if let Some(side) = given.pad_side {
        input.pad_on(if side == PadSide::Left { Side::Left } else { Side::Right });
    }
    if let Some(length) = given.pad_to {
        input.pad_to(model, length).map_err(|error| error.to_string())?;
    }
    Ok(input)
}

/// The texts that the chat template makes of a conversation, one for each prompt. Its special tokens are in them.
fn conversations(chat: &Chat, prompts: &[String], model: &Model) -> Result<Vec<String>, String> {
    let words = |error: ChatError| error.to_string();
    let template = model.chat.choose(chat.template.as_deref()).map_err(words)?;
    let all = match (&chat.file, prompts) {
        (None, []) => return Err(ChatError::Empty.to_string()),
        (None, prompts) => prompts.iter().map(|text| Conversation::of_user(text, chat.system.as_deref())).collect(),
        (Some(file), prompts) => {
            let path = file.display().to_string();
            let text = model::file::read(file).map_err(|error| format!("cannot read {path}: {error}"))?;
            let conversation = Conversation::parse(&path, &text).map_err(words)?;
            match prompts {
                [] => vec![conversation],
                prompts => prompts.iter().map(|text| conversation.with_user(text)).collect(),
            }
        }
    };
    let render = |conversation: &Conversation| {
        model.chat.place.render(&template, conversation, &model.chat.tokens, conversation.awaits_answer())
    };
    all.iter().map(render).collect::<Result<_, _>>().map_err(words)
}

/// What a pass starts from when nothing was given: the token that begins a text, else the first of the vocabulary.
fn first_token(model: &Model) -> u32 {
    let special = &model.special;
    special.bos.or(special.cls).or(special.eos.first().copied()).unwrap_or(0)
}
