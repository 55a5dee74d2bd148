//! Core files at the command line: `llmdbg core FILE` shows one without the model, `--core FILE` runs its session again.

use std::io::{self, Write};
use std::path::Path;

use super::Options;
use super::resume::{ResumeError, of_start};
use crate::answer::text::lines;
use crate::answer::{Answer, Style, Table, ValueView, numbers};
use crate::comparing::core_file::{Core, CoreError};
use crate::engine::journal::{self, Journal, Start};
use crate::frontend::Action;
use crate::frontend::mcp::Allowed;

/// What of a core file is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Summary,
    /// Statistics of the values whose sites contain a text.
    Sites(String),
    /// The commands of the session.
    Commands,
    /// A value that is kept whole.
    Value(String),
}

/// Shows a part of a core file.
///
/// # Errors
/// If it cannot be read; the outer one if the output cannot be written.
pub fn show(file: &Path, part: &Part, out: &mut dyn Write) -> io::Result<Result<(), CoreError>> {
    let core = match Core::read(file) {
        Ok(core) => core,
        Err(error) => return Ok(Err(error)),
    };
    let mut print = |answer: Answer| lines(&answer, None).iter().try_for_each(|line| writeln!(out, "{line}"));
    match part {
        Part::Summary => print(Answer::Text(summary(&core)))?,
        Part::Commands => print(Answer::Text(core.commands.trim_end().to_string()))?,
        Part::Sites(text) => {
            let six = |x: f64| numbers::significant(x, 6);
            let found = core.imprints.iter().filter(|one| one.site.contains(text.as_str()));
            let row = |one: &crate::comparing::core_file::Imprint| {
                let shape: Vec<String> = one.shape.iter().map(usize::to_string).collect();
                let s = &one.summary;
                let digest = one.digest.get(..16).unwrap_or_default().to_string();
                (
                    one.pass,
                    one.site.clone(),
                    shape.join("x"),
                    six(s.min),
                    six(s.max),
                    six(s.mean),
                    six(s.std),
                    s.nan,
                    digest,
                )
            };
            let columns = ["Pass", "Site", "Shape", "Min", "Max", "Mean", "Std", "NaN", "SHA-256"];
            print(Table::new(columns).rows(found.map(row)).into())?;
        }
        Part::Value(site) => {
            let Some(kept) = core.values.iter().find(|kept| kept.site == *site) else {
                let known: Vec<&str> = core.values.iter().map(|kept| kept.site.as_str()).collect();
                print(Answer::Text(format!("{site} is not kept whole; kept: {}", known.join(", "))))?;
                return Ok(Ok(()));
            };
            let data: Vec<f64> = kept.data.iter().map(|x| f64::from(*x)).collect();
            let summary = crate::answer::Summary::of_host(data.iter().copied(), &kept.shape);
            print(Answer::Value(ValueView {
                number: None,
                shape: kept.shape.clone(),
                axes: kept.axes.clone(),
                dtype: "f32".into(),
                summary,
                data: Some(data),
                style: Style::All,
                edge: Vec::new(),
            }))?;
        }
    }
    Ok(Ok(()))
}

fn summary(core: &Core) -> String {
    let Core { version, model, dimensions, device, branch, pass, op, .. } = core;
    let mut text =
        format!("{model}  {dimensions}, written by llmdbg {version}\n{device}\nbranch {branch}, pass {pass}, op {op}");
    let mut line = |what: &str| text += &format!("\n{what}");
    for (file, bytes) in &core.files {
        line(&format!("{file}, {bytes} bytes"));
    }
    if let Some(weights) = &core.weights {
        line(&format!("weights: SHA-256 {weights}"));
    }
    for (row, ids) in core.tokens.iter().enumerate() {
        let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
        line(&format!("row {row}, {} tokens: {}", ids.len(), ids.join(",")));
    }
    core.settings.iter().for_each(|(name, value)| line(&format!("set {name} {value}")));
    core.edits.iter().for_each(|edit| line(&format!("edit: {edit}")));
    core.stop.iter().for_each(|stop| line(stop));
    let kept: Vec<&str> = core.values.iter().map(|kept| kept.site.as_str()).collect();
    line(&format!(
        "{} values with statistics; whole: {}",
        core.imprints.len(),
        if kept.is_empty() { "none".into() } else { kept.join(", ") }
    ));
    line(&format!("started in {} as: llmdbg {}", core.folder, core.arguments.join(" ")));
    line(&format!("{} lines of commands", core.commands.lines().count()));
    text
}

/// The options that run the session of a core file again, and then compare.
///
/// # Errors
/// If the file cannot be read, or its command line not understood.
pub fn options(now: &Options, file: &Path) -> Result<Options, ResumeError> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    let core = Core::read(&file)?;
    let start = Start { folder: core.folder, ..Start::of(core.arguments) };
    let folder = Journal::folder().ok_or(ResumeError::NoJournal)?;
    // The session goes on with a new journal.
    // The file may be somebody else's: what would reach outside the session is left out. It changes no value.
    let stays = Allowed { changes: true, outside: false };
    let (mut commands, _) = journal::entries(&core.commands);
    commands.retain(|command| stays.check(&command.text).is_ok());
    let written = journal::of_commands(&folder, &start, &commands);
    let journal = written.map_err(|error| ResumeError::Folder { folder: folder.display().to_string(), error })?;
    let first = vec![
        Action::Command(format!("resume {}", journal.display())),
        Action::Command(format!("check core {:?}", file.display().to_string())),
    ];
    of_start(now, start, &file, first)
}
