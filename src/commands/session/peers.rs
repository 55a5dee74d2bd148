//! Several models and runs in one session: `load MODEL as NAME`, `load-dump FILE as NAME`, `use NAME`, `info models`.

use std::path::Path;

use crate::answer::{Answer, Table};
use crate::commands::frame::Done;
use crate::commands::saving::stop_points;
use crate::commands::state::{Call, Console};
use crate::debugger::sides::Peer;
use crate::debugger::{Error, Result, Session, Settings};
use crate::dumps::Reading;
use crate::lang::LangError;
use crate::lang::words::Word;
use crate::model::input::Input;
use crate::model::{self, DeviceList, Devices, Model, ModelSource, Row};
use crate::tensor::Precision;

const LOAD: &str = "load MODEL as NAME [-device DEVICE] [-dtype f32|f16], load edits FILE";
const LOAD_DUMP: &str = "load-dump FILE as NAME [map MAP.json] [-prefix TEXT]";

pub fn load(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let (model, name) = match left.as_slice() {
        [model, by, name] if by.text == "as" => (model, name),
        [what, _] if !what.text.is_empty() && "edits".starts_with(&what.text) => {
            return stop_points::load(console, call);
        }
        _ => {
            return Err(call.expected("a model and its name, or edits and a file", LOAD));
        }
    };
    console.free_name(name)?;
    let parsed = |word: &Word, error: String| LangError::new(error, word.span).help(LOAD);
    let run = &console.session.run;
    let devices = match given.value("-device") {
        None => Devices::from(&run.model.placement),
        Some(word) => Devices::open(&word.text.parse::<DeviceList>().map_err(|error| parsed(word, error))?, None)?,
    };
    let precision = match given.value("-dtype") {
        None => run.model.weights.precision(),
        Some(word) => word.text.parse::<Precision>().map_err(|error| parsed(word, error))?,
    };
    let loaded = console.opened(&model.text, &devices, precision)?;
    let (input, how) = console.same_text(&loaded)?;
    let settings = Settings { record_budget: console.session.run.budget() };
    let mut session = Session::new(loaded, input, &settings, console.session.interrupt.clone());
    session.name.clone_from(&name.text);
    session.title = Path::new(&model.text).file_name().map_or(model.text.clone(), |name| name.to_string_lossy().into());
    let (spec, device) = (&session.run.model.spec, session.run.model.placement.names());
    let mut lines = vec![
        format!("Model {} is {} {} blocks, {precision}, on {device}", name.text, spec.family, spec.n_layers),
        how,
        format!("{}, \"use {}\" goes to it", compares(&name.text), name.text),
    ];
    lines.extend(session.run.model.report.replaced.iter().cloned());
    console.session.peers.push((name.text.clone(), Peer::Model(Box::new(session))));
    Ok(Answer::Text(lines.join("\n")))
}

/// What can be done with a side.
fn compares(name: &str) -> String {
    format!("\"diff {name}\" and \"bisect {name}\" compare with it, SITE@{name} is a value of it")
}

pub fn load_dump(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let (file, name, map) = match left.as_slice() {
        [file, by, name] if by.text == "as" => (file, name, None),
        [file, by, name, with, map] if by.text == "as" && with.text == "map" => (file, name, Some(map)),
        _ => {
            return Err(call.expected("a file and its name", LOAD_DUMP));
        }
    };
    console.free_name(name)?;
    let prefix = given.value("-prefix").map_or("", |word| word.text.as_str());
    let map = map.map(|word| map_of(&word.text)).transpose()?.unwrap_or_default();
    let dump = console.session.open_dump(Path::new(&file.text), &Reading { prefix, map })?;
    let mut lines = vec![format!("Dump {}: {} sites of {}", name.text, dump.sites().count(), dump.path())];
    let unknown = dump.unknown();
    if !unknown.is_empty() {
        let (first, more) = (&unknown[..unknown.len().min(3)], if unknown.len() > 3 { ", ..." } else { "" });
        lines.push(format!("{} tensors belong to no site: {}{more}", unknown.len(), first.join(", ")));
    }
    lines.extend(dump.processed().any().then(|| dump.processed().words(&name.text)));
    lines.extend(dump.note("model").map(|model| format!("written from {model}")));
    lines.push(compares(&name.text));
    console.session.peers.push((name.text.clone(), Peer::Dump(Box::new(dump))));
    Ok(Answer::Text(lines.join("\n")))
}

pub fn switch(console: &mut Console, call: Call<'_>) -> Done {
    let given = call.words()?;
    let [name] = given.as_slice() else {
        return Err(call.expected("the name of a model", "use NAME; info models lists them"));
    };
    if name.text == console.session.name {
        return Ok(Answer::Text(format!("{} is the current model already", name.text)));
    }
    let Some(at) = console.session.peer_named(&name.text) else {
        let names: Vec<&str> = console.session.peers.iter().map(|(name, _)| name.as_str()).collect();
        let next = match names.is_empty() {
            true => "\"load MODEL as NAME\" opens one".to_string(),
            false => format!("choose from {}", names.join(", ")),
        };
        return Err(LangError::new(format!("no model {}; {next}", name.text), name.span).into());
    };
    if let Peer::Dump(_) = console.session.peers[at].1 {
        let message = format!("{} is a dump: it has no program to step", name.text);
        return Err(LangError::new(message, name.span).into());
    }
    let (_, Peer::Model(other)) = console.session.peers.remove(at) else { return Ok(Answer::Text(String::new())) };
    let mut old = std::mem::replace(&mut console.session, *other);
    let now = &mut console.session;
    now.peers = std::mem::take(&mut old.peers);
    // What was printed and computed so far is the user's, not a model's.
    now.history = std::mem::take(&mut old.history);
    now.forgone = std::mem::take(&mut old.forgone);
    now.variables = std::mem::take(&mut old.variables);
    now.displays = std::mem::take(&mut old.displays);
    if now.focus.row >= now.run.branch().text().rows.len() {
        now.focus.row = 0;
    }
    old.title = std::mem::replace(&mut console.model_name, now.title.clone());
    let before = format!("{} is {}", old.title, old.name);
    // The two go on together, if they did.
    now.compare = (old.compare.as_deref() == Some(name.text.as_str())).then(|| old.name.clone());
    now.peers.push((old.name.clone(), Peer::Model(Box::new(old))));
    console.forget_shown();
    let run = &console.session.run;
    let place = if run.live { format!("at op {} of pass {}", run.cursor, run.pass) } else { "not started".into() };
    Ok(Answer::Text(format!("Model {}, {place}; {before}", name.text)))
}

pub fn info(console: &Console) -> Answer {
    let of = |session: &Session, mark: &'static str| {
        let (run, spec) = (&session.run, &session.run.model.spec);
        let what = format!("{} {}L {}H d{}", spec.family, spec.n_layers, spec.n_heads, spec.d_model);
        let cursor = if run.live { format!("op {} of pass {}", run.cursor, run.pass) } else { "not started".into() };
        let precision = run.model.weights.precision().to_string();
        (mark, session.name.clone(), what, Some(precision), Some(run.model.placement.names()), Some(cursor))
    };
    let peers = console.session.peers.iter().map(|(name, peer)| match peer {
        Peer::Model(session) => of(session, ""),
        Peer::Dump(dump) => {
            let what = format!("dump of {} sites, {}", dump.sites().count(), dump.path());
            ("", name.clone(), what, None, None, None)
        }
    });
    let columns = ["", "Name", "What", "Held in", "Device", "Cursor"];
    Table::new(columns).row(of(&console.session, "*")).rows(peers).into()
}

/// Names of a file and sites, from a JSON object.
fn map_of(file: &str) -> Result<Vec<(String, String)>> {
    let text = model::file::read_text(Path::new(file)).map_err(|error| format!("cannot read {file}: {error}"))?;
    let map: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text)
        .map_err(|error| format!("{file} is not a map: {error}; write {{\"their.*.name\": \"blocks.*.site\"}}"))?;
    let one = |(name, site): (String, serde_json::Value)| match site {
        serde_json::Value::String(site) => Ok((name, site)),
        other => Err(Error::refused(format!("{file}: {name} must be the name of a site, not {other}"))),
    };
    map.into_iter().map(one).collect()
}

impl Console {
    /// An error if a side has that name already, or it is not a name.
    fn free_name(&self, name: &Word) -> Result<()> {
        let fit = name.text.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !fit {
            let message = format!("{:?} is not a name: letters, digits and _, a letter first", name.text);
            return Err(LangError::new(message, name.span).into());
        }
        let taken = self.session.side_named(&name.text).is_some() || name.text == self.session.name;
        let within = |session: &Session| session.run.branch_named(&name.text).is_some();
        let in_other = self.session.peers.iter().any(|(_, peer)| matches!(peer, Peer::Model(other) if within(other)));
        match taken || in_other {
            true => Err(LangError::new(format!("{} exists already", name.text), name.span).into()),
            false => Ok(()),
        }
    }

    fn opened(&self, text: &str, devices: &Devices, precision: Precision) -> Result<Model> {
        // All models of a session share the memory for weights.
        let cache = self.session.run.model.weights.store().cache();
        let mut model = model::open(&ModelSource::parse(text), devices, precision, cache)?;
        model.chat.place = self.session.run.model.chat.place.clone();
        Ok(model)
    }

    /// The prompt of the current branch for another model: the same tokens, where they mean the same there; else the same text.
    fn same_text(&self, other: &Model) -> Result<(Input, String)> {
        let run = &self.session.run;
        let prompt = run.branch().prompt();
        let rows = prompt.texts();
        let means_same = |id: u32| match (&run.model.tokenizer, &other.tokenizer) {
            (Some(ours), Some(theirs)) => ours.token_text(id) == theirs.token_text(id),
            _ => true,
        };
        let fits = |row: &Row| row.ids.iter().all(|&id| (id as usize) < other.spec.vocab && means_same(id));
        if rows.iter().all(fits) {
            return Ok((prompt.with_rows(other, rows)?, "It reads the same tokens".into()));
        }
        let texts: Option<Vec<&String>> = rows.iter().map(|row| row.text.as_ref()).collect();
        let Some(texts) = texts else {
            // Given as numbers, the prompt is numbers.
            let input = prompt.with_rows(other, rows)?;
            return Ok((
                input,
                "It reads the same token ids, which may spell a different text in its vocabulary".into(),
            ));
        };
        let input = Input::from_texts(other, &texts, true)?;
        Ok((input, "Its vocabulary differs; the text was tokenised again".into()))
    }
}
