//! `investigate`: from a symptom to its cause, by the steps of a plan and an experiment for each suspicion.

mod experiment;
mod fill;
mod finding;
mod plan;
mod predicate;
mod scratch;
mod shown;
mod walk;

use std::path::Path;

use fill::Names;
use plan::{BUILT_IN, Plan, PlanError, Symptom, Takes};
use scratch::Scratch;
use walk::Walk;

use crate::answer::Answer;
use crate::commands::frame::{Done, mistake};
use crate::commands::state::{self, Call, Command, Console, Directory, PLAIN};
use crate::debugger::{Error, Result};
use crate::lang::{Span, strings};

/// What its symptoms take, for the errors of lines that lack it.
const USAGE: &str = "investigate [-plan FILE] expected TOKEN\n\
                     investigate [-plan FILE] nan|repeats|slow|nonsense\n\
                     investigate [-plan FILE] differs from SIDE\n\
                     investigate [-plan FILE] group gap EXPR by FIELD in FILE\n\
                     investigate [-plan FILE] WORDS";

pub const COMMAND: Command = Command {
    name: "investigate",
    usage: USAGE,
    about: "from a symptom to its cause: the steps of a plan, and an experiment for each suspicion",
    help: "Symptoms: a TOKEN that is expected next and is not the most likely one; NaN or infinities; values that differ from a SIDE (a \
           branch, a model, a dump or a file); generated text that repeats itself; a number that differs between groups of the prompts \
           of FILE, as for probe; a slow pass; text that makes no sense. Other WORDS are mapped to one of these. Each step of the plan is \
           a command, with what its answer has to say to raise a suspicion, and with experiments: an edit dropped, an adapter off, a weight or a \
           value taken from a base model or from the other side, another prompt, a head ablated. A suspicion is confirmed only if the \
           symptom was gone when it was changed, and refuted if that changed nothing; evidence is what made the symptom smaller, a \
           hypothesis what no experiment could decide. Everything runs in a copy of the session, which stays as it is. Other models of the \
           session with the same shape are used as bases. save investigation writes the page or the script that repeats it. The plan is \
           config/investigate.toml; docs/investigate.md describes how to write another.",
    options: &[("-plan FILE", "another plan")],
    examples: &[
        "run\nset param(\"L1.mlp.W_in\")[3] = nan\ninvestigate nan",
        "set prompt \"When Mary and John went to the store, John gave a drink to \"\nrun\ninvestigate expected \" Mary\"",
        "run\nset param(\"L1.mlp.b_out\") = 0\ninvestigate differs from main",
    ],
    takes: state::Takes::Words(&["differs", "expected", "group", "nan", "nonsense", "repeats", "slow"]),
    run: investigate,
    ..PLAIN
};

/// `investigate [-plan FILE] SYMPTOM`.
pub fn investigate(console: &mut Console, call: Call<'_>) -> Done {
    let (given, text, offset) = call.options_before()?;
    let plan = match given.value("-plan") {
        None => plan_of("config/investigate.toml", BUILT_IN, call.all)?,
        Some(file) => {
            let read = crate::model::file::read_text(Path::new(&file.text));
            let text = read.map_err(|error| Error::refused(format!("cannot read {}: {error}", file.text)))?;
            plan_of(&file.text, &text, call.all)?
        }
    };
    let span = Span::new(offset, offset + text.len());
    let (name, rest) = plan.symptom_of(text, span)?;
    let symptom = &plan.symptoms[&name];
    let mut names = Names::default();
    let first = argument(console, symptom, rest, (&mut names, span))?;
    let mut scratch = Scratch::new(console, call.all, symptom.with_stops);
    if let Some(line) = first
        && let Answer::Error(error) = scratch.run(&line)?.answer
    {
        return Err(error.message.into());
    }
    let mut walk = Walk::new(scratch, (&name, symptom), names);
    walk.investigate(&plan)?;
    let found = shown::investigation(&walk, call.line);
    drop(walk);
    let table = found.table.clone();
    console.memory.investigation = Some(found);
    Ok(table.into())
}

fn plan_of(name: &str, text: &str, all: &'static Directory) -> Result<Plan> {
    let command = |word: &str| all.find(word, Span::at(0)).ok().map(|command| command.name);
    let plan = Plan::parse(text, &command);
    plan.map_err(|PlanError { line, message }| Error::refused(format!("{name}:{line}: {message}")))
}

impl Plan {
    /// The symptom that a text names or describes, and what follows its name.
    fn symptom_of<'t>(&self, text: &'t str, span: Span) -> Result<(String, &'t str)> {
        let word = text.split_whitespace().next().unwrap_or_default();
        let described = |(name, symptom): (&String, &Symptom)| format!("{name}: {}", symptom.about);
        let known = || self.symptoms.iter().map(described).collect::<Vec<_>>().join("\n");
        if word.is_empty() {
            return Err(mistake("expected a symptom", span, known()));
        }
        if self.symptoms.contains_key(word) {
            return Ok((word.to_string(), text[word.len()..].trim()));
        }
        let lower = text.to_lowercase();
        let described: Vec<&str> =
            lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let score = |symptom: &Symptom| {
            symptom.words.iter().filter(|word| described.iter().any(|of| of.starts_with(word.as_str()))).count()
        };
        let scored = self.symptoms.iter().map(|(name, symptom)| (score(symptom), name)).filter(|(score, _)| *score > 0);
        // Of two that fit as well, the first by name.
        let best = scored.max_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(a.1)));
        let (_, name) = best.ok_or_else(|| mistake(format!("no symptom is described by {text:?}"), span, known()))?;
        Ok((name.clone(), text))
    }
}

/// Sets the names that a symptom takes from the line; a command that has to run before anything else.
fn argument(
    console: &mut Console,
    symptom: &Symptom,
    rest: &str,
    (names, span): (&mut Names, Span),
) -> Result<Option<String>> {
    match symptom.takes {
        Takes::Nothing => Ok(None),
        Takes::Token => {
            // In a description, the token is what is in quotes.
            let token = match (rest.find('"'), rest.is_empty()) {
                (Some(at), _) => strings::literal(&rest[at..], span.start)?.0,
                (None, false) => rest.to_string(),
                (None, true) => {
                    return Err(mistake(
                        "expected the token that should come next",
                        span,
                        "investigate expected \" Mary\"",
                    ));
                }
            };
            names.set_quoted("token", token);
            Ok(None)
        }
        Takes::Side => {
            let mut words = rest.split_whitespace().filter(|word| *word != "from");
            let side = words.clone().find(|word| {
                console.session.side_named(word).is_some() || word.ends_with(".safetensors") || word.ends_with(".npz")
            });
            let Some(side) = side else {
                let help = match console.session.side_names().as_slice() {
                    [] | [_] => {
                        "load MODEL as NAME, or load-dump FILE as NAME, gives one; a file of values is one too".into()
                    }
                    names => format!("sides: {}", names.join(", ")),
                };
                let message = match words.next_back() {
                    Some(word) => format!("{word} is not a branch, a model, a dump or a file of values"),
                    None => "expected the side that it differs from".into(),
                };
                return Err(mistake(message, span, help));
            };
            if side == console.session.run.branch().name {
                return Err(mistake(
                    format!("{side} is the current branch: it does not differ from itself"),
                    span,
                    "checkout goes to another branch",
                ));
            }
            if console.session.side_named(side).is_some() {
                names.set("side", side);
                return Ok(None);
            }
            let name = std::iter::once("theirs".to_string()).chain((2..).map(|n| format!("theirs{n}")));
            let name = name.into_iter().find(|name| console.session.side_named(name).is_none()).unwrap_or_default();
            names.set("side", &name);
            Ok(Some(format!("load-dump {side} as {name}")))
        }
        Takes::Gap => {
            let rest = rest.strip_prefix("gap").unwrap_or(rest).trim();
            let parts = rest.rsplit_once(" in ").and_then(|(front, file)| {
                let (expr, field) = front.rsplit_once(" by ")?;
                Some((expr.trim(), field.trim(), file.trim()))
            });
            let Some((expr, field, file)) = parts.filter(|(expr, ..)| !expr.is_empty()) else {
                let help = "investigate group gap logit(\" she\") - logit(\" he\") by who in prompts.txt";
                return Err(mistake("expected gap EXPR by FIELD in FILE", span, help));
            };
            names.set("expr", expr);
            names.set("field", field);
            names.set("file", file);
            Ok(None)
        }
    }
}
