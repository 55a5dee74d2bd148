//! `save core`: a session in one file.

use crate::answer::Answer;
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console, SETTINGS};
use crate::comparing::core_file::{Core, Kept, imprints, weights};
use crate::debugger::{Error, Mark};
use crate::export;
use crate::tensor::{Axis, Kind};

/// `save core FILE [SITES]`: the values of SITES are kept whole, those of the others as statistics and a digest.
pub fn save(console: &mut Console, call: Call<'_>) -> Done {
    let words = call.words()?;
    let [file, patterns @ ..] = words.as_slice() else { return Err(super::no_file(&call).into()) };
    let Some((folder, arguments, commands)) = console.memory.story.clone() else {
        return Err(Error::refused("this session does not record its commands, so a core file could not be replayed"));
    };
    if !console.session.run.live {
        return Err(Error::refused("nothing has been computed yet: run first"));
    }
    let sites = if patterns.is_empty() { Vec::new() } else { console.sites_of(patterns)? };
    let run = &mut console.session.run;
    let imprints = imprints(run)?;
    let (pass, op) = (run.pass, run.cursor);
    let mut values = Vec::new();
    for site in sites {
        let Some(at) = run.program.op_of(&site).filter(|at| *at < op) else {
            return Err(Error::refused(format!("{site} is not computed yet")));
        };
        let value = run.value_at(Mark { pass, op: at })?;
        if value.kind() != Kind::Float {
            continue;
        }
        let axes = value.axes().iter().map(Axis::to_string).collect();
        values.push(Kept { site, shape: value.shape().to_vec(), axes, data: value.read_f32()? });
    }
    let weights = weights(run)?;
    let snapshot = console.snapshot();
    let branch = console.session.run.branch();
    let settings = SETTINGS.iter().map(|setting| (setting, (setting.get)(console)));
    let core = Core {
        version: env!("CARGO_PKG_VERSION").into(),
        folder,
        arguments,
        commands,
        model: snapshot.model.clone(),
        dimensions: snapshot.dimensions.clone(),
        device: snapshot.device_reason.clone(),
        files: console.session.run.model.report.files.clone(),
        weights,
        tokens: branch.text().rows.iter().map(|row| row.ids.clone()).collect(),
        settings: settings
            .filter(|(setting, value)| *value != setting.default)
            .map(|(setting, value)| (setting.name.to_string(), value))
            .collect(),
        branch: branch.name.clone(),
        edits: branch.edits.iter().map(|edit| edit.text.clone()).collect(),
        pass,
        op,
        stop: snapshot.stop.iter().flat_map(|stop| stop.lines.clone()).collect(),
        imprints,
        values,
    };
    export::file(&file.text, core.written())?;
    let (sites, whole) = (core.imprints.len(), core.values.len());
    Ok(Answer::Text(format!("Wrote {sites} values, {whole} of them whole, and the commands to {}", file.text)))
}
