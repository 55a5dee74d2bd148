//! Commands that write files: `save KIND`, `export model`.

mod core_file;
mod direction;
mod graph;
mod investigation;
mod jacobian;
pub(crate) mod model;
pub(crate) mod stop_points;
mod values;

use crate::answer::Answer;
use crate::answer::numbers::short;
use crate::commands::explaining::backward;
use crate::commands::frame::Done;
use crate::commands::state::{Call, Command, Console, NOT_COMPLETE, PLAIN, kind, named};
use crate::debugger::{Error, Result};
use crate::export;
use crate::export::picture::Matrix;
use crate::lang::eval::Datum;
use crate::lang::location::{parse_location, resolve_sites};
use crate::lang::words::Word;
use crate::lang::{LangError, Span, parse_expr};
use crate::tensor::Value;
use crate::tensor::ops::Slice;

const ROWS: &[(&str, &str)] = &[("-all-rows", "every row of the batch instead of the focused one")];

pub const KINDS: &[Command] = &[
    Command {
        name: "activations",
        usage: "save activations FILE.safetensors [SITES] [-all-rows]",
        about: "values under their site names",
        options: ROWS,
        run: |console, call| sites(console, call, false),
        ..PLAIN
    },
    kind("attribution", "save attribution FILE.html", "the last attribution to tokens, as a page", attribution),
    kind("breakpoints", "save breakpoints FILE", "commands that set all stop points again", |console, call| {
        stop_points::breakpoints(console, &only_file(&call)?.text)
    }),
    kind(
        "core",
        "save core FILE [SITES]",
        "the session, to look at without the model or to run again",
        core_file::save,
    ),
    kind("direction", "save direction FILE.gguf NAME", "a direction as a control vector of llama.cpp", direction::save),
    kind("edits", "save edits FILE", "the edits of this branch", |console, call| {
        stop_points::edits(console, &only_file(&call)?.text)
    }),
    kind("events", "save events FOLDER", "statistics by layer for TensorBoard", |console, call| {
        values::events(console, &only_file(&call)?.text)
    }),
    Command {
        name: "gradients",
        usage: "save gradients FILE.safetensors [SITES] [-all-rows]",
        about: "gradients under their site names",
        options: ROWS,
        run: |console, call| sites(console, call, true),
        ..PLAIN
    },
    kind(
        "graph",
        "save graph FILE.json|.safetensors|.svg|.png|.html",
        "the last attribution graph, for Neuronpedia, as numbers, or as a picture",
        graph::graph,
    ),
    kind(
        "investigation",
        "save investigation FILE.html|.ldb",
        "the last investigation, as a page or as a script that repeats it",
        investigation::save,
    ),
    jacobian::KIND,
    kind("picture", "save picture FILE.png|FILE.svg EXPR", "a matrix as a picture", picture),
    kind("report", "save report FILE.html", "the session as a page", |console, call| {
        values::report(console, &only_file(&call)?)
    }),
    kind("table", "save table FILE.csv|.html|.json|.svg|.png", "the last table or map", |console, call| {
        values::table(console, &only_file(&call)?)
    }),
    kind("value", "save value FILE.npy|.npz|.safetensors|.csv|.json EXPR", "a value for other programs", value),
];

pub fn save(console: &mut Console, call: Call<'_>) -> Done {
    let usage = || KINDS.iter().map(|kind| kind.usage).collect::<Vec<_>>().join(", ");
    let what = call.args.subcommand().ok_or_else(|| call.expected("what to save and a file", usage()))?;
    if !KINDS.iter().any(|known| known.name.starts_with(what.word)) {
        return Err(LangError::new(format!("cannot save {}", what.word), what.span).help(usage()).into());
    }
    let command = named(KINDS.iter(), "save", what.word, what.span)?;
    (command.run)(console, Call { args: &what, command, ..call })
}

fn no_file(call: &Call<'_>) -> LangError {
    LangError::new("expected a file", call.end()).help(call.command.usage)
}

/// The file that is all that a kind takes.
fn only_file(call: &Call<'_>) -> Result<Word> {
    let mut words = call.words()?;
    match words.get(1) {
        Some(extra) => Err(LangError::new("unexpected word", extra.span).help(call.command.usage).into()),
        None => Ok(words.pop().ok_or_else(|| no_file(call))?),
    }
}

/// An error unless the name of a file has one of these endings, such as `png`.
fn check_ending(file: &Word, endings: &[&str], help: &str) -> Result<()> {
    if endings.contains(&values::ending(&file.text)) {
        return Ok(());
    }
    let kinds = endings.iter().map(|ending| format!(".{ending}")).collect::<Vec<_>>().join(" or ");
    Err(LangError::new(format!("{} is not a {kinds} file", file.text), file.span).help(help).into())
}

/// The file that comes first, and the rest with the byte at which it begins.
fn file_and_rest<'a>(call: &Call<'a>) -> Result<(Word, &'a str, usize)> {
    let file = call.words()?.into_iter().next().ok_or_else(|| no_file(call))?;
    let rest = &call.args.rest[file.span.end - call.args.offset..];
    let offset = file.span.end + rest.len() - rest.trim_start().len();
    Ok((file, rest.trim(), offset))
}

/// `save activations FILE [SITES] [-all-rows]`, and the same for gradients.
fn sites(console: &mut Console, call: Call<'_>, gradients: bool) -> Done {
    let (given, left) = call.options()?;
    let all_rows = given.has("-all-rows");
    let [file, patterns @ ..] = left.as_slice() else { return Err(no_file(&call).into()) };
    let help = "values are written as safetensors or npz; name the file FILE.safetensors";
    check_ending(file, &["safetensors", "npz"], help)?;
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
            None => match console.evaluate(&parse_expr(&format!("all({site})"), 0)?)? {
                Datum::Tensor(value) => value,
                _ => return Err(Error::refused(format!("{site} is not a tensor"))),
            },
        };
        entries.push((site.clone(), if all_rows { value } else { value.slice(&[Slice::At(row)])? }));
    }
    let rest = program.ops.len() - cursor;
    let missing = if !chosen && rest > 0 { format!(" ({rest} more are not computed yet)") } else { String::new() };
    written(&file.text, entries, missing)
}

fn value(console: &mut Console, call: Call<'_>) -> Done {
    let (file, text, offset) = file_and_rest(&call)?;
    if text.is_empty() {
        let error = LangError::new("expected what to save", Span::at(file.span.end));
        return Err(error.help("save value FILE.npy L2.attn.z").into());
    }
    values::value(console, &file, text, offset)
}

fn attribution(console: &mut Console, call: Call<'_>) -> Done {
    let file = only_file(&call)?;
    check_ending(&file, &["html"], "attributions are written as pages; --json prints them as objects")?;
    let file = file.text.as_str();
    let Some((title, tokens)) = &console.memory.attributed else {
        return Err(Error::refused("there is no attribution to tokens yet; \"attr ig\" makes one"));
    };
    export::file(file, export::html::tokens(title, tokens, !title.starts_with(NOT_COMPLETE)))?;
    Ok(Answer::Text(format!("Wrote {} tokens to {file}", tokens.len())))
}

fn picture(console: &mut Console, call: Call<'_>) -> Done {
    let (file, text, offset) = file_and_rest(&call)?;
    check_ending(&file, &["png", "svg"], "save picture FILE.png L2.attn.pattern[head=3]")?;
    let file = file.text.as_str();
    let expr = parse_expr(text, offset)?;
    let Datum::Tensor(value) = console.evaluate(&expr)? else {
        return Err(LangError::new("a picture is of a matrix", expr.span).into());
    };
    // A vector is a matrix of one row; axes of one entry do not count.
    let single = |len: &usize| *len == 1;
    let mut spare = value.shape().len().saturating_sub(2);
    let whole = |len: &usize| {
        let drop = single(len) && spare > 0;
        spare -= usize::from(drop);
        if drop { Slice::At(0) } else { Slice::All }
    };
    let slices: Vec<Slice> = value.shape().iter().map(whole).collect();
    let value = value.slice(&slices)?;
    if value.shape().len() > 2 {
        let message = format!("a picture is of a matrix, found shape {}", value.shape_text());
        return Err(LangError::new(message, expr.span).help("take a slice of it, or mean(X, AXIS)").into());
    }
    if value.count() == 0 {
        return Err(LangError::new("there is nothing in it", expr.span).into());
    }
    let map = console.map(text.to_string(), &value, (usize::MAX, usize::MAX))?;
    let (rows, columns, largest) = (map.rows, map.columns, short(Matrix::of(&map).largest()));
    values::picture(file, &map.into())?;
    let colours = format!("white is 0, full blue {largest}, full orange -{largest}");
    Ok(Answer::Text(format!("Wrote {rows} by {columns} elements to {file}; {colours}")))
}

fn written(file: &str, values: Vec<(String, Value)>, missing: String) -> Done {
    let (count, noun) = (values.len(), if values.len() == 1 { "site" } else { "sites" });
    match values::ending(file) {
        "npz" => values::arrays(file, values)?,
        _ => values::tensors(file, values)?,
    }
    Ok(Answer::Text(format!("Wrote {count} {noun} to {file}{missing}")))
}
