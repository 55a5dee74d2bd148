//! `direction`: named vectors are made, listed, projected on, steered along and erased.

mod effect;
mod made;
mod project;
mod swap;
mod texts;

pub use project::by_block;

use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, Table};
use crate::commands::frame::{Done, mistake};
use crate::commands::state::{CHANGING, Call, Command, Console, Takes};
use crate::debugger::Result;
use crate::debugger::directions::Direction;
use crate::lang::LangError;
use crate::lang::eval::Datum;
use crate::lang::words::Word;
use crate::model::site_name;
use crate::tensor::{Axis, Value};

pub const COMMAND: Command = Command {
    name: "direction",
    usage: "direction\ndirection NAME from texts A B [test C D] -site SITES [-method M] [-c C] [-pos P] [-held-out SHARE] [-shuffles N] [-seed S]\n\
            direction NAME from gguf FILE [-as-made]\ndirection NAME from jacobian FILE TOKEN -site SITE\ndirection NAME -vector EXPR -site SITE\ndirection project NAME\n\
            direction steer NAME [SCALE] [-metric EXPR]\ndirection erase NAME [-orthogonal] [-metric EXPR]\ndirection swap A B [SCALE] [-metric EXPR]",
    about: "make a direction that tells texts of two kinds apart; project on it, steer along it, erase it, and measure what that changes",
    help: "A and B have a text in each line. NAME is then a variable: $NAME is the vector, or of several sites a matrix. M is means (the mean \
           of A less that of B), logistic (as in scikit-learn) or pca (the first principal component). The accuracy is that on held-out texts, \
           next to that of directions fitted to labels in a random order. gguf is a control vector of llama.cpp: direction.N belongs to the \
           output of block N, where llama.cpp adds it; with -as-made to that of block N - 1, from which its generator made it. steer adds SCALE \
           times the vector at every position of all passes; erase takes away by LEACE what a linear classifier could find, or with \
           -orthogonal only the part along the vector; swap exchanges what a vector has of A and of B. They show what they change: the accuracy of the direction, of one fitted again, and of \
           other directions, the loss, and how far predictions move. jacobian is a Jacobian lens, through which a token has a vector at the \
           output of each block. Texts are run with the edits of this branch; undo takes these edits back.",
    options: &[
        ("-site SITES", "where: a site with one axis after the position, or several sites, such as L*.resid_post"),
        ("-vector EXPR", "this vector, instead of one made of texts"),
        ("-method M", "means (the default), logistic or pca"),
        ("-c C", "of logistic: the inverse of the penalty, 1 by default"),
        ("-pos P", "which position of each text: last (the default), mean, all, or a number, from the end if negative"),
        ("-held-out SHARE", "the share of texts that is held out, 0.25 by default"),
        ("-shuffles N", "directions fitted to labels in a random order, 20 by default"),
        ("-seed S", "of the choice of held-out texts and of the orders"),
        ("-as-made", "a control vector where its generator made it"),
        ("-orthogonal", "erase only the part along the vector"),
        ("-metric EXPR", "a number over the current text, before and after"),
    ],
    examples: &[
        "shell printf 'Mary went home\\nAnna went home\\nJane sat down\\nMary sang\\n' > a.txt\n\
         shell printf 'John went home\\nPaul went home\\nTom sat down\\nJohn sang\\n' > b.txt\n\
         direction name from texts a.txt b.txt -site L*.resid_post -pos mean\nrun\ndirection project name",
        "run\ndirection v -vector L2.resid_post[pos=1] - L2.resid_post[pos=3] -site L2.resid_post\ndirection steer v 2\ndirection",
        "run\ndirection v -vector L2.resid_post[pos=1] -site L2.resid_post\ndirection erase v -orthogonal -metric logit(\" Mary\")\ndla -along v",
    ],
    takes: Takes::Words(&WORDS),
    run,
    ..CHANGING
};

/// Its subcommands, which are not names.
pub const WORDS: [&str; 4] = ["project", "steer", "erase", "swap"];

const USAGE: &str = "direction NAME from texts A.txt B.txt -site L2.resid_post, direction steer NAME 4, direction erase NAME, direction project NAME";

/// `direction`, `direction NAME from ...`, `direction project|steer|erase NAME`.
pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let Some((first, rest)) = left.split_first() else {
        return match given.iter().next() {
            Some(option) => Err(mistake("expected the name of a direction", option.span, USAGE)),
            None => Ok(listed(console)),
        };
    };
    match (first.text.as_str(), rest) {
        ("project", [name]) => project::project(console, name),
        ("steer", [name]) => effect::steer(console, &given, name, None, call.line),
        ("steer", [name, scale]) => effect::steer(console, &given, name, Some(scale), call.line),
        ("erase", [name]) => effect::erase(console, &given, name, call.line),
        ("swap", [a, b]) => swap::swap(console, &given, (a, b, None), call.line),
        ("swap", [a, b, scale]) => swap::swap(console, &given, (a, b, Some(scale)), call.line),
        (word, _) if WORDS.contains(&word) => {
            Err(mistake(format!("{word} takes the name of a direction"), first.span, USAGE))
        }
        (_, [from, texts, files @ ..]) if from.text == "from" && texts.text == "texts" => {
            made::from_texts(console, &given, (first, texts), files)
        }
        (_, [from, gguf, file]) if from.text == "from" && gguf.text == "gguf" => {
            made::from_gguf(console, &given, first, file)
        }
        (_, [from, jacobian, file, token]) if from.text == "from" && jacobian.text == "jacobian" => {
            swap::from_jacobian(console, &given, first, (file, token))
        }
        (_, []) if given.has("-vector") => made::from_vector(console, &given, first),
        (_, []) => Ok(described(console, first)?),
        (_, [other, ..]) => Err(mistake(
            format!("expected from texts, from gguf or from jacobian, found {}", other.text),
            other.span,
            USAGE,
        )),
    }
}

/// The directions that there are.
pub fn listed(console: &Console) -> Answer {
    let all = &console.session.directions;
    if all.is_empty() {
        return Answer::Text("There are no directions; \"direction NAME from texts A B -site SITE\" makes one.".into());
    }
    let rows = all.iter().flat_map(|one| {
        one.places.iter().map(|place| {
            let held_out = place.probe.as_ref().map(|probe| probe.held_out);
            (format!("${}", one.name), site_name::short(&place.site), one.made.clone(), place.norm(), held_out)
        })
    });
    Table::new(["Direction", "Site", "Made by", "Norm", "Accuracy"]).rows(rows).into()
}

/// One direction: how well it tells its texts apart at each site, and the tokens that it promotes.
fn described(console: &Console, name: &Word) -> Done {
    let direction = console.direction(name)?;
    Ok(console.direction_table(&direction)?.into())
}

impl Console {
    /// The direction that a word names, with or without its dollar sign.
    pub(crate) fn direction(&self, word: &Word) -> Result<Direction> {
        let name = word.text.strip_prefix('$').unwrap_or(&word.text);
        let found = self.session.directions.iter().find(|one| one.name == name);
        found.cloned().ok_or_else(|| {
            let names: Vec<String> = self.session.directions.iter().map(|one| one.name.clone()).collect();
            let help = match names.is_empty() {
                true => "direction NAME from texts A B -site SITE makes one".to_string(),
                false => format!("there is {}", names.join(", ")),
            };
            LangError::new(format!("no direction is called {name}"), word.span).help(help).into()
        })
    }

    /// Keeps a direction, in place of one of the same name, and its vector as the variable of that name.
    pub(super) fn keep_direction(&mut self, direction: Direction) -> Result<()> {
        let places = &direction.places;
        let wide = places.first().map_or(0, |place| place.vector.len());
        if places.iter().any(|place| place.vector.len() != wide) {
            return Err("the sites of a direction have the same width, so that $NAME is a matrix".into());
        }
        let numbers: Vec<f32> = places.iter().flat_map(|place| place.vector.iter().map(|x| *x as f32)).collect();
        let site = places.first().and_then(|place| self.session.run.program.op_of(&place.site));
        let axis = site.map_or(Axis::Dim, |op| *self.session.run.program.ops[op].axes.last().unwrap_or(&Axis::Dim));
        let (shape, axes) = match places.len() {
            1 => (vec![wide], vec![axis]),
            count => (vec![count, wide], vec![Axis::None, axis]),
        };
        let value = Value::from_f32(numbers, &shape, self.session.run.device()).with_axes(&axes);
        self.session.variables.insert(direction.name.clone(), Datum::Tensor(value));
        self.session.directions.retain(|one| one.name != direction.name);
        self.session.directions.push(direction);
        Ok(())
    }

    /// A row for each site: how well it tells the texts apart, and what it promotes.
    pub(super) fn direction_table(&self, direction: &Direction) -> Result<Table> {
        let mut title = format!("${}: {}", direction.name, direction.made);
        if let Some(texts) = &direction.texts {
            let counts = |of: &[Vec<String>; 2]| format!("{} + {}", of[0].len(), of[1].len());
            let [a, b] = &texts.names;
            title += &format!(
                " of {a} and {b}: fitted to {} texts, {} held out; \"as well\" are directions fitted to labels in a random order that do as well there",
                counts(&texts.fitted),
                counts(&texts.held_out)
            );
        }
        let mut table =
            Table::new(["Site", "Norm", "Fitted", "Held out", "Shuffled", "As well", "Promotes"]).title(title);
        for place in &direction.places {
            let probe = place.probe.as_ref();
            let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
            let shuffled = probe.filter(|probe| !probe.shuffled.is_empty());
            let as_well = shuffled.map(|probe| {
                let count = probe.shuffled.iter().filter(|x| **x >= probe.held_out).count();
                format!("{count} of {}", probe.shuffled.len())
            });
            let row = Value::from_f32(
                place.vector.iter().map(|x| *x as f32).collect(),
                &[1, place.vector.len()],
                self.session.run.device(),
            );
            let op = self.session.run.program.op_of(&place.site);
            let of_stream = op.is_some_and(|op| self.session.run.program.ops[op].axes.last() == Some(&Axis::Dim));
            let promoted = if of_stream { self.promoted_by(&row)? } else { Vec::new() };
            let tokens = promoted.iter().take(3).map(|(id, x)| {
                format!("{} {}", crate::answer::text::quoted(&self.token_text(*id)), significant(*x, 2))
            });
            table.push(vec![
                Cell::from(site_name::short(&place.site)),
                Cell::Num(place.norm()),
                probe.map(|probe| probe.fitted).into(),
                probe.map(|probe| probe.held_out).into(),
                shuffled.map(|probe| mean(&probe.shuffled)).into(),
                as_well.into(),
                tokens.collect::<Vec<_>>().join("  ").into(),
            ]);
        }
        Ok(table)
    }
}
