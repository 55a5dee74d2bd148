//! From options to a session: the device is opened, the model loaded, the input prepared.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use thiserror::Error;

use super::{Chat, Input as GivenInput, Options, PadSide, settings};
use crate::commands::Console;
use crate::debugger::{self, Session, Settings};
use crate::engine::Interpreter;
use crate::frontend::tui::config;
use crate::frontend::tui::panes::Panes;
use crate::model::bundled::{self, Bundled};
use crate::model::chat::{ChatError, Conversation, Place};
use crate::model::{self, Devices, Input, InputError, LoadError, Model, ModelSource, Side, WeightCache, adapter};
use crate::tensor::{TensorError, step};
use crate::term::quiet::without_stderr;

#[derive(Debug, Error)]
pub enum OpenError {
    #[error(transparent)]
    Device(#[from] TensorError),
    #[error(transparent)]
    Model(#[from] LoadError),
    #[error(transparent)]
    Adapter(#[from] adapter::AdapterError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Chat(#[from] ChatError),
    #[error("cannot read {path}: {error}")]
    Conversation { path: String, error: io::Error },
    /// The session refuses a setting or an adapter.
    #[error(transparent)]
    Session(#[from] debugger::Error),
}

/// Opens the model and prepares a session; runs on the engine thread, which keeps it.
pub fn open(options: &Options, interrupt: Arc<AtomicBool>) -> Result<Box<dyn Interpreter>, OpenError> {
    let split = options.split.as_deref();
    let devices = without_stderr(options.log.as_deref(), || Devices::open(&options.device, split))?;
    devices.each().iter().for_each(|device| _ = step(device.reason(), 0, 0));
    let (source, name, bundled) = source_of(options.model.as_deref());
    let given = options.weight_budget.map(WeightCache::new);
    let cache = given.unwrap_or_else(|| WeightCache::for_devices(devices.each(), options.record_budget));
    let mut model = model::open(&source, &devices, options.precision, &cache)?;
    if let Some(folder) = &options.lora {
        adapter::fit(folder, &mut model)?;
    }
    if let Ok(program) = std::env::current_exe() {
        model.chat.place = Place::Sandbox(program);
    }
    let input = input_of(&options.input, &model, bundled)?;
    let chosen = Settings { record_budget: options.record_budget };
    let session = Session::new(model, input, &chosen, interrupt);
    let mut console = Console::new(session, name);
    let own = config::user_file(config::directory().as_ref(), "layouts.toml");
    console.screen.layouts = Panes::new(own.as_ref().map(|(_, text)| text.as_str())).0.names();
    if options.init {
        let without: &[&str] = if options.budget_given { &["record-budget"] } else { &[] };
        settings::Given::of_user().apply(&mut console, without);
    }
    if options.budget_given {
        // The session has it already; this records where it comes from.
        let budget = options.record_budget.to_string();
        console.configure("record-budget", &budget, "--record-budget")?;
    }
    if let Some(chat) = &options.input.chat {
        (console.chat, console.template) = (true, chat.template.clone());
        // The texts of rows are what the template made of the conversations, in their order.
        let all = conversations(chat, &options.input.prompts)?;
        let texts: Vec<Option<String>> =
            console.session.run.branch().prompt().rows.iter().map(|row| row.text.clone()).collect();
        console.conversations = texts.into_iter().flatten().zip(all).collect();
    }
    Ok(Box::new(match &options.lora {
        Some(folder) => console.with_adapter(folder)?,
        None => console,
    }))
}

/// Where the model comes from, its short name, and the bundled model if it is one of those.
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
fn input_of(given: &GivenInput, model: &Model, bundled: Option<&Bundled>) -> Result<Input, OpenError> {
    if let Some(chat) = &given.chat {
        let template = model.chat.choose(chat.template.as_deref())?;
        let render = |conversation: &Conversation| model.chat.render(&template, conversation);
        let texts = conversations(chat, &given.prompts)?.iter().map(render).collect::<Result<Vec<_>, ChatError>>()?;
        return padded(Input::from_texts(model, &texts, false)?, given, model);
    }
    let input = match (&given.prompts[..], &given.tokens[..], &given.pair) {
        ([], [], None) => match bundled {
            Some(bundled) => Input::from_texts(model, &[bundled.example_prompt], true)?,
            None => return Ok(Input::from_tokens(model, vec![vec![first_token(model)]])?),
        },
        ([], tokens, _) => Input::from_tokens(model, tokens.to_vec())?,
        ([first, ..], _, Some(second)) => Input::from_pairs(model, &[(first, second)])?,
        (prompts, _, None) => Input::from_texts(model, prompts, true)?,
    };
    padded(input, given, model)
}

fn padded(mut input: Input, given: &GivenInput, model: &Model) -> Result<Input, OpenError> {
    if let Some(side) = given.pad_side {
        input.pad_on(if side == PadSide::Left { Side::Left } else { Side::Right });
    }
    if let Some(length) = given.pad_to {
        input.pad_to(model, length)?;
    }
    Ok(input)
}

/// The conversations that were given, one for each prompt.
fn conversations(chat: &Chat, prompts: &[String]) -> Result<Vec<Conversation>, OpenError> {
    Ok(match (&chat.file, prompts) {
        (None, []) => return Err(ChatError::Empty.into()),
        (None, prompts) => prompts.iter().map(|text| Conversation::of_user(text, chat.system.as_deref())).collect(),
        (Some(file), prompts) => {
            let path = file.display().to_string();
            let text = model::file::read(file);
            let text = text.map_err(|error| OpenError::Conversation { path: path.clone(), error })?;
            let conversation = Conversation::parse(&path, &text)?;
            match prompts {
                [] => vec![conversation],
                prompts => prompts.iter().map(|text| conversation.with_user(text)).collect(),
            }
        }
    })
}

/// The input of a model when nothing was given: the token that begins a text, or else the first of the vocabulary.
fn first_token(model: &Model) -> u32 {
    let special = &model.special;
    special.bos.or(special.cls).or(special.eos.first().copied()).unwrap_or(0)
}
