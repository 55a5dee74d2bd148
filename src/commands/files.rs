//! Commands that write files.

use std::path::Path;

use super::attr::table::NOT_COMPLETE;
use super::console::{Console, Done};
use super::table::Call;
use super::{backward, exports, saving};
use crate::answer::Answer;
use crate::debugger::{Error, Result};
use crate::export;
use crate::export::picture::Picture;
use crate::export::safetensors::{HostData, write};
use crate::lang::eval::Datum;
use crate::lang::location::{parse_location, resolve_sites};
use crate::lang::words::{OptionSpec, take_options, words};
use crate::lang::{LangError, Span, parse_expr};
use crate::tensor::ops::Slice;
use crate::tensor::{Kind, Value};

const USAGE: &str = "save activations FILE.safetensors [SITES] [-all-rows], save gradients FILE.safetensors [SITES] [-all-rows], \
                     save attribution FILE.html, save picture FILE.png EXPR, save value FILE.npy EXPR, save table FILE.csv, save events FOLDER, save report FILE.html, save breakpoints FILE, save edits FILE";

/// `save activations FILE [SITES] [-all-rows]`.
pub fn save(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = take_options(
        words(call.args.rest, call.args.offset)?,
        &[OptionSpec { name: "-all-rows", takes_value: false }],
    )?;
    let all_rows = given.iter().any(|option| option.name == "-all-rows");
    if let [what, file] = left.as_slice()
        && what.text.len() > 1
        && "attribution".starts_with(&what.text)
    {
        return attribution(console, &file.text, file.span);
    }
    if let [what, file, ..] = left.as_slice()
        && what.text.len() > 1
        && "picture".starts_with(&what.text)
    {
        let text = &call.args.rest[file.span.end - call.args.offset..];
        return picture(console, &file.text, file.span, text, file.span.end);
    }
    if let [what, file, rest @ ..] = left.as_slice() {
        let is = |name: &str| what.text.len() > 1 && name.starts_with(&what.text);
        let text = &call.args.rest[file.span.end - call.args.offset..];
        match rest {
            [] if is("table") => return exports::table(console, &file.text, file.span),
            [] if is("events") => return exports::events(console, &file.text),
            [] if is("report") => return exports::report(console, &file.text, file.span),
            [] if is("value") => {
                let error = LangError::new("expected what to save", Span::at(file.span.end));
                return Err(Error::At(error.help("save value FILE.npy L2.attn.z")));
            }
            [_, ..] if is("value") => return exports::value(console, &file.text, file.span, text, file.span.end),
            _ => {}
        }
    }
    let points = |word: &str| word.len() > 1 && "breakpoints".starts_with(word);
    let edits = |word: &str| word.len() > 1 && "edits".starts_with(word);
    if let [what, rest @ ..] = left.as_slice()
        && (points(&what.text) || edits(&what.text))
    {
        let [file] = rest else {
            let error = LangError::new("expected a file", Span::at(call.args.offset + call.args.rest.len()));
            return Err(Error::At(error.help(USAGE)));
        };
        return if edits(&what.text) {
            saving::edits(console, &file.text)
        } else {
            saving::breakpoints(console, &file.text)
        };
    }
    let [what, file, patterns @ ..] = left.as_slice() else {
        return Err(Error::At(
            LangError::new("expected what to save and a file", Span::at(call.args.offset)).help(USAGE),
        ));
    };
    let gradients = what.text.len() > 1 && "gradients".starts_with(&what.text);
    if !gradients && (!"activations".starts_with(&what.text) || what.text.is_empty()) {
        return Err(Error::At(LangError::new(format!("cannot save {}", what.text), what.span).help(USAGE)));
    }
    if !file.text.ends_with(".safetensors") && !file.text.ends_with(".npz") {
        let error = LangError::new(format!("{} is no .safetensors or .npz file", file.text), file.span);
        return Err(Error::At(error.help("values are written as safetensors or npz; name the file FILE.safetensors")));
    }
    let cursor = console.session.run.cursor;
    let program = console.session.run.program.clone();
    let mut sites = Vec::new();
    for pattern in patterns {
        let location = parse_location(&pattern.text, pattern.span.start)?;
        for site in resolve_sites(&location, &*console.session.run.names, console.session.block())? {
            if !sites.contains(&site) {
                sites.push(site);
            }
        }
    }
    let chosen = !patterns.is_empty();
    if !chosen {
        sites = program.ops[..cursor].iter().map(|op| op.site.clone()).collect();
    }
    if sites.is_empty() {
        return Err(Error::refused("nothing has been computed yet: run first"));
    }
    if gradients {
        let found = backward::values(console, &sites, all_rows)?;
        return written(&file.text, found, String::new());
    }
    let mut entries = Vec::new();
    let row = console.session.focus.row;
    for site in &sites {
        let value = match program.op_of(site) {
            Some(op) => console.session.run.value(op)?,
            None => {
                let expr = parse_expr(&format!("all({site})"), 0)?;
                match console.evaluate(&expr)? {
                    Datum::Tensor(value) => value,
                    _ => return Err(Error::refused(format!("{site} is no tensor"))),
                }
            }
        };
        entries.push((site.clone(), if all_rows { value } else { value.slice(&[Slice::At(row)])? }));
    }
    let rest = program.ops.len() - cursor;
    let missing = if !chosen && rest > 0 { format!(" ({rest} more are not computed yet)") } else { String::new() };
    written(&file.text, entries, missing)
}

/// `save attribution FILE.html`.
fn attribution(console: &Console, file: &str, span: Span) -> Done {
    if !file.ends_with(".html") {
        let error = LangError::new(format!("{file} is no .html file"), span);
        return Err(Error::At(error.help("attributions are written as pages; --json prints them as objects")));
    }
    let Some((title, tokens)) = &console.attributed else {
        return Err(Error::refused("there is no attribution to tokens yet; \"attr ig\" makes one"));
    };
    export::text(Path::new(file), &export::html::tokens(title, tokens, !title.starts_with(NOT_COMPLETE)))?;
    Ok(Answer::Text(format!("Wrote {} tokens to {file}", tokens.len())))
}

/// A matrix as a picture.
fn picture(console: &mut Console, file: &str, span: Span, text: &str, offset: usize) -> Done {
    if !file.ends_with(".png") && !file.ends_with(".svg") {
        let error = LangError::new(format!("{file} is no .png or .svg file"), span);
        return Err(Error::At(error.help("save picture FILE.png L2.attn.pattern[head=3]")));
    }
    let expr = parse_expr(text, offset)?;
    let Datum::Tensor(value) = console.evaluate(&expr)? else {
        return Err(Error::At(LangError::new("a picture is of a matrix", expr.span)));
    };
    // A vector is a matrix of one row.
    let sides: Vec<usize> = value.shape().iter().copied().filter(|side| *side != 1).collect();
    let shape = match sides[..] {
        [] => [1, 1],
        [columns] => [1, columns],
        [rows, columns] => [rows, columns],
        _ => {
            let message = format!("a picture is of a matrix, found shape {}", value.shape_text());
            return Err(Error::At(LangError::new(message, expr.span).help("take a slice of it, or mean(X, AXIS)")));
        }
    };
    let data = value.read_f64()?;
    if data.is_empty() {
        return Err(Error::At(LangError::new("there is nothing in it", expr.span)));
    }
    let picture = Picture { data: &data, shape };
    let bytes = if file.ends_with(".png") { picture.png()? } else { picture.svg().into_bytes() };
    export::whole(Path::new(file), |partial| std::fs::write(partial, bytes).map_err(|error| error.to_string()))?;
    let largest = crate::answer::numbers::short(picture.largest());
    Ok(Answer::Text(format!(
        "Wrote {} by {} elements to {file}; white is 0, full blue {largest}, full orange -{largest}",
        shape[0], shape[1]
    )))
}

/// Writes values under their names.
fn written(file: &str, values: Vec<(String, Value)>, missing: String) -> Done {
    if file.ends_with(".npz") {
        let (count, noun) = (values.len(), if values.len() == 1 { "site" } else { "sites" });
        exports::arrays(file, values)?;
        return Ok(Answer::Text(format!("Wrote {count} {noun} to {file}{missing}")));
    }
    let entry = |(name, value): (String, Value)| -> Result<_> {
        let data = match value.kind() {
            Kind::Float => HostData::F32(value.read_f32()?),
            _ => HostData::I64(value.read_i64()?),
        };
        Ok((name, value.shape().to_vec(), data))
    };
    let entries: Vec<_> = values.into_iter().map(entry).collect::<Result<_, _>>()?;
    let count = entries.len();
    write(Path::new(file), entries)?;
    let noun = if count == 1 { "site" } else { "sites" };
    Ok(Answer::Text(format!("Wrote {count} {noun} to {file}{missing}")))
}
