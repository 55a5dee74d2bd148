//! `sae`: dictionaries of features are loaded, judged and taken away.

mod labels;

use std::sync::Arc;

use crate::analysis::dictionary::{Fit, Wanted, fits, place};
use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, Table};
use crate::commands::frame::{Done, Options, mistake};
use crate::commands::state::{CHANGING, Call, Command, Console, Takes};
use crate::debugger::{Error, Result, Target};
use crate::lang::LangError;
use crate::lang::words::Word;
use crate::model::dictionary::{self, Dictionary, Stage};
use crate::model::site_name;

pub const COMMAND: Command = Command {
    name: "sae",
    usage: "sae\nsae load SOURCE [at SITE [to SITE]] as NAME [-force] [-centred]\nsae unload NAME\nsae fit [NAME]\nsae labels NAME FILE",
    about: "load a sparse autoencoder or transcoders, whose features become sites of the model",
    help: "SOURCE is a file or folder of SAELens, Gemma Scope, sparsify, dictionary_learning, Llama Scope, Qwen Scope, Goodfire \
           or circuit-tracer, such a file or folder of a repository in the cache of the hub (org/name:FOLDER), or a dictionary that \
           comes with the program. Its sites are NAME.in, enc, pre, acts, recon, error and \
           out in the block of the site, such as L5.NAME.acts. They are off the path: out is the site, bit by bit, until \
           pre, acts, recon or error is edited. Then the site changes by what the decoder makes of the changes of features. fit shows how \
           well it rebuilds the current text: features active at a position (L0), the variance explained, and the loss with \
           what is rebuilt in the place of the site. One that explains less than nothing is refused without -force. A file of \
           labels is JSON of features and texts, JSON lines as Neuronpedia exports them, or lines of a feature, a comma and a text.",
    options: &[
        ("-force", "load it although it does not fit"),
        ("-centred", "it is of values without their mean over features, as of a model with centred writing weights"),
    ],
    examples: &[
        "run\nsae load tiny-gpt2-sae as f\nprint/5t L2.f.acts[-1]",
        "sae load tiny-gpt2-sae as f\nbreak L2.f.acts if max($[-1]) > 1\nrun",
        "run\nsae load tiny-gpt2-transcoders as t\nsae fit t",
        "sae load tiny-gpt2-sae as f\nsae unload f",
    ],
    takes: Takes::Words(&WORDS),
    run,
    ..CHANGING
};

/// Its subcommands.
pub const WORDS: [&str; 4] = ["load", "unload", "fit", "labels"];

const USAGE: &str = "sae load SOURCE [at SITE] as NAME, sae unload NAME, sae fit NAME, sae labels NAME FILE";

/// `sae`, `sae load SOURCE [at SITE [to SITE]] as NAME`, `sae unload NAME`, `sae fit [NAME]`, `sae labels NAME FILE`.
pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let Some((what, rest)) = left.split_first() else { return Ok(listed(console)) };
    match (what.text.as_str(), rest) {
        ("load", [source, rest @ ..]) => load(console, source, rest, &given),
        ("unload", [name]) => unload(console, name),
        ("fit", []) => {
            let all = console.session.run.dictionaries.all().to_vec();
            judged(console, &all, "dictionaries".into())
        }
        ("fit", [name]) => {
            let all = of_name(console, name)?;
            judged(console, &all, name.text.clone())
        }
        ("labels", [name, file]) => labels::read(console, name, file),
        _ => Err(mistake("expected load, unload, fit or labels", what.span, USAGE)),
    }
}

/// The dictionaries of a name, of which there must be one.
fn of_name(console: &Console, name: &Word) -> Result<Vec<Arc<Dictionary>>> {
    let found = console.session.run.dictionaries.named(&name.text);
    match found.is_empty() {
        true => Err(LangError::new(format!("no dictionary is called {}", name.text), name.span)
            .help("info sae lists them")
            .into()),
        false => Ok(found),
    }
}

/// Where it is wanted, and under what name.
fn clauses(console: &Console, rest: &[Word]) -> Result<(Wanted, Option<Word>)> {
    let mut wanted = Wanted::default();
    let mut name = None;
    for pair in rest.chunks(2) {
        let (word, value) = match pair {
            [word, value] => (word, value),
            [word, ..] => return Err(mistake(format!("{} has nothing after it", word.text), word.span, USAGE)),
            [] => break,
        };
        match word.text.as_str() {
            "as" => name = Some(value.clone()),
            "at" => wanted.reads = Some(site(console, value)?),
            "to" => wanted.writes = Some(site(console, value)?),
            other => return Err(mistake(format!("expected at, to or as, found {other}"), word.span, USAGE)),
        }
    }
    Ok((wanted, name))
}

fn site(console: &Console, word: &Word) -> Result<String> {
    match console.sites_of(std::slice::from_ref(word))?.as_slice() {
        [only] => Ok(only.clone()),
        many => Err(LangError::new(format!("this names {} sites; name one", many.len()), word.span).into()),
    }
}

fn load(console: &mut Console, source: &Word, rest: &[Word], given: &Options) -> Done {
    let (wanted, name) = clauses(console, rest)?;
    let Some(name) = name else {
        return Err(mistake("what is it to be called?", source.span, "sae load SOURCE as NAME"));
    };
    let is_name = name.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        let message =
            format!("{:?} is not a name for a dictionary: use letters, digits and _, a letter first", name.text);
        return Err(LangError::new(message, name.span).into());
    }
    if !console.session.run.dictionaries.named(&name.text).is_empty() {
        let message = format!("there is a dictionary {}: \"sae unload {}\" first", name.text, name.text);
        return Err(LangError::new(message, name.span).into());
    }
    let found = match dictionary::bundled(&source.text) {
        Some(found) => found,
        None => dictionary::locate(&source.text).and_then(|path| dictionary::read(&path)),
    };
    let mut found = found.map_err(|error| LangError::new(error.to_string(), source.span))?;
    if found.len() > 1 && wanted.reads.is_some() {
        let message = format!("{} holds {} dictionaries, and each has its own site", source.text, found.len());
        return Err(LangError::new(message, source.span).help("leave out \"at SITE\"").into());
    }
    if given.has("-centred") {
        found.iter_mut().for_each(|one| one.coding.centred = true);
    }
    let first = console.session.run.dictionaries.next();
    let at = |(number, one)| place(&console.session, one, &name.text, first + number, &wanted);
    let placed = found.into_iter().enumerate().map(at).collect::<Result<Vec<Dictionary>>>();
    let placed = placed.map_err(|error| error.at(source.span))?;
    if let Some(one) =
        placed.iter().enumerate().find_map(|(at, one)| placed[..at].iter().find(|other| other.layer == one.layer))
    {
        let message = format!("{} has two dictionaries of block {}", source.text, one.layer);
        return Err(LangError::new(message, source.span).into());
    }
    console.session.add_dictionaries(placed);
    console.renumbered();
    let all = console.session.run.dictionaries.named(&name.text);
    let found = fits(&console.session, &all);
    let bad = |fit: &Fit| fit.explained.is_some_and(|explained| explained < 0.0);
    let unfit = match &found {
        Ok(found) => all.iter().zip(found).find(|(_, fit)| bad(fit)),
        Err(_) => None,
    };
    let refusal = unfit.filter(|_| !given.has("-force")).map(|(one, fit)| {
        format!(
            "{} explains {} of the variance of {} on this text: less than nothing, so it is of another model, another \
             site, or values that were treated otherwise; -force loads it all the same",
            one.found.path,
            significant(fit.explained.unwrap_or(f64::NAN), 3),
            site_name::short(&one.output),
        )
    });
    let found = match (found, refusal) {
        (Ok(found), None) => found,
        (found, refusal) => {
            console.session.remove_dictionaries(&name.text)?;
            console.renumbered();
            return Err(match (found, refusal) {
                (Err(error), _) => error,
                (_, message) => LangError::new(message.unwrap_or_default(), source.span).into(),
            });
        }
    };
    let mut title = vec![heading(&name.text, &all)];
    title.extend(all.iter().flat_map(|one| one.found.notes.iter().cloned()));
    Ok(table(&all, &found, title.join("\n"), is_edited(console)).into())
}

/// Whose it is, and of what.
fn heading(name: &str, all: &[Arc<Dictionary>]) -> String {
    let Some(first) = all.first() else { return name.to_owned() };
    let model = first.found.model.as_ref().map(|model| format!(", trained on {model}")).unwrap_or_default();
    format!("{name}: {}{model}", first.found.format)
}

fn unload(console: &mut Console, name: &Word) -> Done {
    of_name(console, name)?;
    let gone = console.session.remove_dictionaries(&name.text).map_err(|error| error.at(name.span))?;
    console.renumbered();
    let mut text = format!("{} is unloaded.", name.text);
    if !gone.is_empty() {
        let numbers: Vec<String> = gone.iter().map(usize::to_string).collect();
        text.push_str(&format!(" Deleted with it: stop points {}.", numbers.join(", ")));
    }
    Ok(Answer::Text(text))
}

fn judged(console: &Console, all: &[Arc<Dictionary>], what: String) -> Done {
    if all.is_empty() {
        return Err(Error::refused("no dictionary is loaded; \"sae load SOURCE as NAME\""));
    }
    let found = fits(&console.session, all)?;
    Ok(table(all, &found, format!("{what} on this text"), is_edited(console)).into())
}

/// What is said where edits of values are in force: a dictionary is judged by the model.
const EDITS: &str = "; edits of values are left out";

fn is_edited(console: &Console) -> bool {
    console.session.run.branch().edits.iter().any(|edit| matches!(edit.target, Target::Op(_)))
}

/// How well dictionaries fit.
fn table(all: &[Arc<Dictionary>], found: &[Fit], title: String, edited: bool) -> Table {
    let positions = found.first().map_or(0, |fit| fit.positions);
    let count = if positions == 1 { "1 position".to_owned() } else { format!("{positions} positions") };
    let title = format!("{title} (measured over {count}, special tokens aside{})", if edited { EDITS } else { "" });
    let rows = all.iter().zip(found).map(|(one, fit)| {
        let losses = fit.losses;
        let number = |x: Option<f64>| x.map_or(Cell::Empty, Cell::Num);
        vec![
            Cell::from(format!("L{}.{}", one.layer, one.name)),
            Cell::Num(fit.l0),
            number(fit.explained),
            Cell::Num(fit.cosine),
            number(losses.map(|losses| losses.clean)),
            number(losses.map(|losses| losses.rebuilt)),
            number(losses.map(|losses| losses.zero)),
            number(losses.map(|losses| losses.recovered())),
            Cell::from(format!("{} of {}", fit.alive, one.found.features)),
        ]
    });
    let columns = ["Dictionary", "L0", "Explained", "Cosine", "Loss", "Rebuilt", "Zeros", "Recovered", "Alive"];
    Table::new(columns).title(title).rows(rows)
}

/// The dictionaries that are loaded.
pub fn listed(console: &Console) -> Answer {
    let all = console.session.run.dictionaries.all();
    if all.is_empty() {
        return Answer::Text("No dictionary is loaded; \"sae load SOURCE as NAME\" loads one.".into());
    }
    let rows = all.iter().map(|one| {
        let sites = match one.input == one.output {
            true => site_name::short(&one.output),
            false => format!("{} to {}", site_name::short(&one.input), site_name::short(&one.output)),
        };
        let model = one.found.model.clone().unwrap_or_default();
        let features = one.found.features;
        (format!("L{}.{}", one.layer, one.name), sites, features, one.coding().name(), one.found.format, model)
    });
    Table::new(["Dictionary", "Of", "Features", "Active are", "Format", "Model"]).rows(rows).into()
}

impl Console {
    /// What is on the screen belongs to ops that may have other numbers now.
    fn renumbered(&mut self) {
        self.forget_shown();
        self.selected_frame = Default::default();
    }

    /// What a feature is called, by the site of its dictionary's features.
    pub(in crate::commands) fn label_of(&self, site: &str, feature: usize) -> Option<String> {
        let all = &self.session.run.dictionaries;
        let one = all.all().iter().find(|one| one.site(Stage::Acts) == site)?;
        all.label(one, feature).map(str::to_owned)
    }
}
