//! `save jacobian`: a Jacobian lens fitted to texts.

use std::collections::BTreeMap;
use std::path::Path;

use crate::analysis::jacobian::of_text;
use crate::answer::Answer;
use crate::commands::frame::{Done, mistake};
use crate::commands::saving::{check_ending, no_file};
use crate::commands::state::{Call, Command, Console, PLAIN};
use crate::debugger::Error;
use crate::export::safetensors::{HostData, write};
use crate::lang::words::parse_count;
use crate::tensor::step;

/// Positions at the beginning of each text that do not count, as in TransformerLens.
const SKIP: usize = 16;

pub const KIND: Command = Command {
    name: "jacobian",
    usage: "save jacobian FILE.safetensors TEXTS [-skip N]",
    about: "a Jacobian lens fitted to a file of texts, for lens -jacobian",
    options: &[("-skip N", "positions at the beginning of each text that do not count, 16 by default")],
    run: save,
    ..PLAIN
};

/// `save jacobian FILE.safetensors TEXTS [-skip N]`: the mean over texts of the derivatives of the last state by the output of
/// each block, with the edits of this branch.
fn save(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let [file, texts] = &left[..] else {
        return Err(match left.first() {
            None => no_file(&call).into(),
            Some(_) => mistake("expected a file to write and a file of texts", call.end(), call.command.usage),
        });
    };
    check_ending(file, &["safetensors"], "a lens is written as safetensors: save jacobian FILE.safetensors TEXTS")?;
    let skip = given.value("-skip").map(parse_count).transpose()?.map_or(SKIP, |count| count as usize);
    let width = console.session.run.model.spec.d_model;
    let all = console.texts_of(texts)?;
    let (mut sums, mut count) = (BTreeMap::<usize, Vec<f64>>::new(), 0usize);
    for (done, (place, text)) in all.iter().enumerate() {
        step("texts", done as u64, all.len() as u64)?;
        let mut session = console.on_texts(&[text]).map_err(|why| why.about(place))?;
        let Some(found) = of_text(&mut session, skip)? else { continue };
        count += 1;
        for (layer, map) in found {
            let sum = sums.entry(layer).or_insert_with(|| vec![0.0; map.len()]);
            sum.iter_mut().zip(map).for_each(|(sum, x)| *sum += x);
        }
    }
    if count == 0 {
        let message =
            format!("no text of {} has more than {} tokens, of which the last does not count", texts.text, skip + 1);
        return Err(mistake(message, texts.span, "longer texts, or a smaller -skip"));
    }
    let entries = sums.into_iter().map(|(layer, sum)| {
        let mean = sum.into_iter().map(|x| (x / count as f64) as f32).collect();
        (format!("J.{layer}"), vec![width, width], HostData::F32(mean))
    });
    let entries: Vec<_> = entries.collect();
    let blocks = entries.len();
    write(Path::new(&file.text), entries).map_err(|error| Error::refused(error.to_string()))?;
    let left_out = all.len() - count;
    let short = if left_out > 0 { format!("; {left_out} are too short") } else { String::new() };
    Ok(Answer::Text(format!("Wrote the Jacobian lens of {blocks} blocks over {count} texts to {}{short}", file.text)))
}
