//! Directions made of texts, of a vector, and of a control vector's file.

use std::path::Path;
use std::sync::Arc;

use super::texts::{of_files, places, warnings};
use crate::analysis::directions::{Method, Sample, Spread, accuracy, shuffled};
use crate::commands::frame::{Done, Options, mistake, number};
use crate::commands::state::Console;
use crate::debugger::directions::{Direction, Place, Probe, Reading};
use crate::debugger::{Error, Result};
use crate::lang::LangError;
use crate::lang::words::{Word, parse_count};
use crate::model::control_vector;
use crate::program::Part;
use crate::tensor::{Kind, step};

/// Orders of the labels that the accuracy is compared with, unless another number is asked for.
const SHUFFLES: usize = 20;

/// `direction NAME from texts A B [test C D] -site SITES ...`.
pub fn from_texts(console: &mut Console, given: &Options, (name, word): (&Word, &Word), files: &[Word]) -> Done {
    let usage = "direction NAME from texts A.txt B.txt -site L2.resid_post";
    check_name(name)?;
    let (a, b, test) = match files {
        [a, b] => (a, b, None),
        [a, b, test, c, d] if test.text == "test" => (a, b, Some((c, d))),
        _ => return Err(mistake("expected two files of texts, and perhaps test and two more", word.span, usage)),
    };
    refuse(given, &["-vector", "-as-made", "-orthogonal", "-metric"], usage)?;
    let method = method(given)?;
    let site = given.value("-site").ok_or_else(|| mistake("expected a site", name.span, usage))?;
    let ops = places(console, site)?;
    let texts = of_files(console, given, (a, b), test)?;
    let count = given.value("-shuffles").map(parse_count).transpose()?.map_or(SHUFFLES, |count| count as usize);
    let seed = given.value("-seed").map(parse_count).transpose()?.unwrap_or(0);
    let of = |all: &[Vec<String>; 2]| -> Result<Vec<Sample>> {
        console.samples([&all[0], &all[1]], &ops, texts.reading, &[])
    };
    let (fitted, held_out) = (of(&texts.fitted)?, of(&texts.held_out)?);
    let mut found = Vec::new();
    for (number, (op, (sample, held))) in ops.iter().zip(fitted.iter().zip(&held_out)).enumerate() {
        let site = console.session.run.program.ops[*op].site.clone();
        step(&site, number as u64, ops.len() as u64)?;
        let at = |error: Error| error.about(&site);
        let spread = Spread::of(sample).map_err(at)?;
        let one = spread.fit(&sample.first, method).map_err(at)?;
        if !held.x.iter().flatten().all(|x| x.is_finite()) {
            return Err(at(Error::refused(
                "some held-out vectors have elements that are not finite (NaN or infinite)",
            )));
        }
        let probe = Probe {
            offset: one.offset,
            fitted: accuracy(&one, sample),
            held_out: accuracy(&one, held),
            shuffled: shuffled(&spread, &sample.first, (method, held), (count, seed)).map_err(at)?,
        };
        found.push(Place { site, vector: one.vector, probe: Some(probe) });
    }
    let warnings = warnings(&texts);
    let where_ = match texts.reading {
        Reading::Last => " at the last token".to_string(),
        Reading::Mean => " as the mean over tokens".to_string(),
        Reading::All => " at every token".to_string(),
        Reading::At(at) => format!(" at position {at}"),
    };
    let made = method.name() + &where_;
    let direction = Direction { name: name.text.clone(), made, places: found, texts: Some(Arc::new(texts)) };
    let mut table = console.direction_table(&direction)?;
    warnings.iter().for_each(|line| table.title += &format!("\n{line}"));
    console.keep_direction(direction)?;
    Ok(table.into())
}

/// `direction NAME -vector EXPR -site SITE`.
pub fn from_vector(console: &mut Console, given: &Options, name: &Word) -> Done {
    let usage = "direction NAME -vector $v -site L2.resid_post";
    check_name(name)?;
    let others = ["-method", "-c", "-pos", "-held-out", "-shuffles", "-seed", "-as-made", "-orthogonal", "-metric"];
    refuse(given, &others, usage)?;
    let site = given.value("-site").ok_or_else(|| mistake("expected a site", name.span, usage))?;
    let [op] = places(console, site)?[..] else {
        return Err(mistake("one vector belongs to one site", site.span, usage));
    };
    let Some((expr, text)) = given.expr("-vector")? else { return Err(mistake("expected a vector", name.span, usage)) };
    let value = console.evaluate(&expr)?.tensor(console.session.run.device(), Kind::Float, expr.span)?;
    let wide = console.width_of(op)?;
    if *value.shape() != [wide] {
        let message = format!("the vector has shape {}, and {} has vectors of {wide}", value.shape_text(), site.text);
        return Err(LangError::new(message, expr.span).into());
    }
    let vector = value.read_f64()?;
    if vector.iter().any(|x| !x.is_finite()) || vector.iter().all(|x| *x == 0.0) {
        let message = "a vector that is zero, or has NaN or infinite elements, has no direction";
        return Err(LangError::new(message, expr.span).into());
    }
    let site = console.session.run.program.ops[op].site.clone();
    let direction = Direction {
        name: name.text.clone(),
        made: text.to_string(),
        places: vec![Place { site, vector, probe: None }],
        texts: None,
    };
    let table = console.direction_table(&direction)?;
    console.keep_direction(direction)?;
    Ok(table.into())
}

/// `direction NAME from gguf FILE [-as-made]`.
pub fn from_gguf(console: &mut Console, given: &Options, name: &Word, file: &Word) -> Done {
    let usage = "direction NAME from gguf FILE";
    check_name(name)?;
    let others =
        ["-site", "-vector", "-method", "-c", "-pos", "-held-out", "-shuffles", "-seed", "-orthogonal", "-metric"];
    refuse(given, &others, usage)?;
    let at = |message: String| LangError::new(message, file.span);
    let found = control_vector::read(Path::new(&file.text)).map_err(|error| at(error.to_string()))?;
    let program = console.session.run.program.clone();
    let as_made = given.has("-as-made");
    let mut all = Vec::new();
    for (number, vector) in found.vectors {
        // The generator counts the output of block 0 as 1; llama.cpp adds vector N to the output of block N.
        let block = if as_made { number - 1 } else { number };
        let Some(op) = program.block_op(block, Part::ResidPost).filter(|_| block < program.n_layers()) else {
            let message =
                format!("direction.{number} belongs to block {block}, and the model has {}", program.n_layers());
            return Err(at(format!("{}: {message}", file.text)).into());
        };
        let wide = console.width_of(op)?;
        if vector.len() != wide {
            let message = format!("direction.{number} has {} numbers, and the model is {wide} wide", vector.len());
            return Err(at(format!("{}: {message}", file.text)).into());
        }
        if vector.iter().any(|x| !x.is_finite()) {
            return Err(at(format!("{}: direction.{number} has elements that are not finite", file.text)).into());
        }
        let vector = vector.into_iter().map(f64::from).collect();
        all.push(Place { site: program.ops[op].site.clone(), vector, probe: None });
    }
    let model = found.model.map(|model| format!(", made for {model}")).unwrap_or_default();
    let made = format!("control vector {}{model}", file.text);
    let direction = Direction { name: name.text.clone(), made, places: all, texts: None };
    let table = console.direction_table(&direction)?;
    console.keep_direction(direction)?;
    Ok(table.into())
}

fn method(given: &Options) -> Result<Method> {
    let c = given.value("-c").map(|word| number(word, |x| *x > 0.0 && x.is_finite(), "penalty: a number above 0"));
    let c = c.transpose()?;
    let found = match given.value("-method").map(|word| (word.text.as_str(), word.span)) {
        None | Some(("means", _)) => Method::Means,
        Some(("logistic", _)) => Method::Logistic { c: c.unwrap_or(1.0) },
        Some(("pca", _)) => Method::Principal,
        Some((other, span)) => {
            return Err(mistake(format!("no method {other}"), span, "-method means, logistic or pca"));
        }
    };
    match (given.get("-c"), found) {
        (Some(option), Method::Means | Method::Principal) => {
            Err(mistake("-c is the penalty of a logistic regression", option.span, "-method logistic -c 1"))
        }
        _ => Ok(found),
    }
}

/// Refuses options that have no meaning here.
pub fn refuse(given: &Options, others: &[&str], usage: &str) -> Result<()> {
    match given.iter().find(|option| others.contains(&option.name)) {
        Some(option) => Err(mistake(format!("{} has no meaning here", option.name), option.span, usage)),
        None => Ok(()),
    }
}

pub fn check_name(word: &Word) -> Result<()> {
    let text = &word.text;
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_name && !word.quoted && text != "from" {
        return Ok(());
    }
    let message = format!("{text:?} is not a name for a direction: use letters, digits and _, a letter first");
    Err(LangError::new(message, word.span).into())
}

impl Console {
    /// The width of the vectors of an op.
    fn width_of(&mut self, op: usize) -> Result<usize> {
        Ok(self.template(op)?.shape().last().copied().unwrap_or(0))
    }
}
