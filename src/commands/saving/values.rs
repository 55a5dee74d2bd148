//! `save value`, `save table`, `save events`, `save report`: what was found, for other programs.

use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::answer::Answer;
use crate::commands::frame::Done;
use crate::commands::saving::check_ending;
use crate::commands::state::Console;
use crate::debugger::{Error, Result};
use crate::export::events::Events;
use crate::export::npy::npy;
use crate::export::safetensors::{HostData, write};
use crate::export::{self, csv, picture, report};
use crate::lang::eval::Datum;
use crate::lang::words::Word;
use crate::lang::{LangError, parse_expr};
use crate::model::role::{ENCODER, Stack};
use crate::model::site_name::InBlock;
use crate::model::spec::ModelSpec;
use crate::tensor::ops::Slice;
use crate::tensor::{Kind, Summary, Value, proceed, unravel};

pub fn ending(file: &str) -> &str {
    file.rsplit_once('.').map_or("", |(_, ending)| ending)
}

pub fn value(console: &mut Console, word: &Word, text: &str, offset: usize) -> Done {
    let file = word.text.as_str();
    let expr = parse_expr(text, offset)?;
    let found = match console.evaluate(&expr)? {
        Datum::Tensor(value) => value,
        Datum::Num(x) => Value::from_f32(vec![x as f32], &[], console.session.run.device()),
        datum => return Err(LangError::new(format!("found {}, no value", datum.described()), expr.span).into()),
    };
    let shape = found.shape().to_vec();
    match ending(file) {
        "npy" => export::file(file, array(&found)?)?,
        "npz" => arrays(file, vec![("value".to_string(), found.clone())])?,
        "safetensors" => tensors(file, vec![("value".to_string(), found.clone())])?,
        "csv" => export::file(file, in_rows(&found)?)?,
        "json" => {
            let data: Vec<serde_json::Value> = found
                .read_f64()?
                .into_iter()
                .map(|x| if x.is_finite() { json!(x) } else { json!(crate::answer::numbers::short(x)) })
                .collect();
            let axes: Vec<String> = found.axes().iter().map(ToString::to_string).collect();
            export::file(file, format!("{}\n", json!({"shape": shape, "axes": axes, "data": data})))?;
        }
        _ => {
            let message = format!("{file} is not a .npy, .npz, .safetensors, .csv or .json file");
            let error = LangError::new(message, word.span);
            return Err(error.help("save value FILE.npy L2.attn.pattern[head=3]").into());
        }
    }
    Ok(Answer::Text(format!("Wrote {} elements {} to {file}", found.count(), found.shape_text())))
}

/// A value as rows: of a matrix as it is, else an index and an element in each row.
fn in_rows(value: &Value) -> Result<String> {
    let data = value.read_f64()?;
    let named = |axis: usize| {
        let name = value.axes().get(axis).map_or("", |axis| axis.name());
        if name.is_empty() { format!("axis {axis}") } else { name.to_string() }
    };
    if let [_, width] = *value.shape() {
        let columns: Vec<String> =
            std::iter::once(format!("{}/{}", named(0), named(1))).chain((0..width).map(|i| i.to_string())).collect();
        let rows = data.chunks(width.max(1)).enumerate();
        let row = |(i, row): (usize, &[f64])| -> Result<Vec<String>> {
            proceed()?;
            Ok(std::iter::once(i.to_string()).chain(row.iter().map(f64::to_string)).collect())
        };
        return Ok(csv::csv(&columns, &rows.map(row).collect::<Result<Vec<_>, _>>()?));
    }
    let columns: Vec<String> = (0..value.shape().len()).map(named).chain(["value".to_string()]).collect();
    let row = |(i, x): (usize, &f64)| -> Result<Vec<String>> {
        proceed()?;
        let index = unravel(i, value.shape());
        Ok(index.iter().map(usize::to_string).chain([x.to_string()]).collect())
    };
    Ok(csv::csv(&columns, &data.iter().enumerate().map(row).collect::<Result<Vec<_>, _>>()?))
}

fn array(value: &Value) -> Result<Vec<u8>> {
    Ok(npy(&HostData::of(value)?, value.shape()))
}

pub fn arrays(file: &str, values: Vec<(String, Value)>) -> Result<()> {
    let array = |(name, value): (String, Value)| Ok((name, array(&value)?));
    let arrays = values.into_iter().map(array).collect::<Result<Vec<_>>>()?;
    Ok(export::file(file, archive(&arrays)?)?)
}

pub fn tensors(file: &str, values: Vec<(String, Value)>) -> Result<()> {
    let entry = |(name, value): (String, Value)| Ok((name, value.shape().to_vec(), HostData::of(&value)?));
    Ok(write(Path::new(file), values.into_iter().map(entry).collect::<Result<Vec<_>>>()?)?)
}

pub fn picture(file: &str, answer: &Answer) -> Result<()> {
    let none = || Error::refused("only tables and maps are pictures");
    let bytes = match ending(file) {
        "svg" => picture::svg(answer).ok_or_else(none)?.into_bytes(),
        _ => picture::png(answer).ok_or_else(none)??,
    };
    Ok(export::file(file, bytes)?)
}

/// What is made in memory can fail only by being too much for its format.
fn unwritten(error: impl std::fmt::Display) -> Error {
    Error::refused(error.to_string())
}

/// Arrays in a zip file, as `numpy.savez_compressed` puts them.
fn archive(arrays: &[(String, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, bytes) in arrays {
        let large = bytes.len() as u64 > u64::from(u32::MAX);
        writer.start_file(format!("{name}.npy"), options.large_file(large)).map_err(unwritten)?;
        for part in bytes.chunks(1 << 20) {
            proceed()?;
            writer.write_all(part).map_err(unwritten)?;
        }
    }
    Ok(writer.finish().map_err(unwritten)?.into_inner())
}

/// `save table FILE.csv|.html|.json|.svg|.png`: the last table or map.
pub fn table(console: &Console, word: &Word) -> Done {
    let file = word.text.as_str();
    let mut shown = console.memory.record.iter().rev();
    let Some((line, answer, (columns, rows))) =
        shown.find_map(|(line, answer)| Some((line, answer, report::rows(answer)?)))
    else {
        return Err("no table or map has been shown yet; \"heads\", \"lens\", \"diff\" and many others show one".into());
    };
    match ending(file) {
        "csv" => export::file(file, csv::csv(&columns, &rows))?,
        "html" => export::file(file, report::alone(line, answer))?,
        "json" => {
            let object = crate::answer::json::object(line, answer, None, 0.0, &[]);
            export::file(file, format!("{object}\n"))?;
        }
        "svg" | "png" => picture(file, answer)?,
        _ => {
            let error = LangError::new(format!("{file} is not a .csv, .html, .json, .svg or .png file"), word.span);
            return Err(error.help("save table FILE.csv").into());
        }
    }
    Ok(Answer::Text(format!("Wrote {} rows of {} columns of \"{line}\" to {file}", rows.len(), columns.len())))
}

/// `save report FILE.html`: the session so far.
pub fn report(console: &mut Console, word: &Word) -> Done {
    check_ending(word, &["html"], "save report FILE.html")?;
    let file = word.text.as_str();
    let run = &console.session.run;
    let ModelSpec { family, n_layers, n_heads, d_model, .. } = &run.model.spec;
    let (name, precision, device) =
        (&console.model_name, run.branch().weights().precision(), run.model.placement.names());
    let model = format!("{name}: {family} with {n_layers} blocks, {n_heads} heads, width {d_model}");
    let mut about = vec![format!("{model}; held in {precision}, on {device}")];
    for row in &run.branch().text().rows {
        let texts: Vec<String> = row.ids.iter().map(|&id| console.token_text(id)).collect();
        about.push(format!("Text, {} tokens: {}", row.len(), texts.concat()));
    }
    let steps: Vec<(String, Answer)> = console.memory.record.iter().cloned().collect();
    export::file(file, report::page(&format!("llmdbg: {}", console.model_name), &about, &steps))?;
    Ok(Answer::Text(format!("Wrote {} commands and their answers to {file}", steps.len())))
}

/// `save events FOLDER`: statistics and histograms of each site by layer, for TensorBoard.
pub fn events(console: &mut Console, folder: &str) -> Done {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
    let mut events = Events::new(now);
    let program = console.session.run.program.clone();
    let (cursor, row) = (console.session.run.cursor, console.session.focus.row);
    if cursor == 0 {
        return Err(Error::refused("nothing has been computed yet: run first"));
    }
    let mut sites = 0;
    for (number, op) in program.ops[..cursor].iter().enumerate() {
        let value = console.session.run.value(number)?;
        if value.kind() != Kind::Float {
            continue;
        }
        let value = value.slice(&[Slice::At(row)])?;
        // What blocks have in common is one curve over the layers.
        let (tag, step) = match InBlock::parse(&op.site) {
            Some(at) if at.stack == Stack::Encoder => (format!("{ENCODER}{}", at.part), at.layer as i64),
            Some(at) => (at.part.to_owned(), at.layer as i64),
            None => (op.site.clone(), 0),
        };
        let Summary { l2, absmax, mean, std, .. } = value.summary()?;
        for (name, x) in [("norm", l2), ("largest", absmax), ("mean", mean), ("std", std)] {
            events.scalar(&format!("{tag}/{name}"), step, x);
        }
        events.histogram(&tag, step, &value.read_f32()?);
        sites += 1;
    }
    let script: Vec<&str> = console.memory.record.iter().map(|(line, _)| line.as_str()).collect();
    events.text("session/script", 0, &script.join("\n\n"));
    events.text("session/model", 0, &console.model_name);
    let failed = |error: std::io::Error| Error::refused(format!("cannot write to {folder}: {error}"));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let file = Path::new(folder).join(format!("events.out.tfevents.{}.llmdbg.{}", now as u64, std::process::id()));
    std::fs::write(&file, events.bytes()).map_err(failed)?;
    let shown = format!("\"tensorboard --logdir {folder}\" shows them");
    Ok(Answer::Text(format!("Wrote {sites} sites, by layer, to {}; {shown}", file.display())))
}
