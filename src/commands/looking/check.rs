//! `info weights -check`: whether the files are what the hub gave.

use std::path::Path;

use crate::answer::{Answer, Table, text};
use crate::commands::frame::Done;
use crate::commands::state::Console;
use crate::debugger::{Error, Result};
use crate::model::hub::verify::{Verdict, verify};
use crate::model::text::{bytes, listed};
use crate::model::{FileTensor, ModelSource};
use crate::tensor;

/// Names shown of the files that are wrong.
const LISTED: usize = 4;

/// Hashes the files that hold the tensors, with progress in bytes.
pub fn report(console: &Console, chosen: &[FileTensor]) -> Done {
    let model = &console.session.run.model;
    if let ModelSource::Memory { name, .. } = model.origin {
        return Err(Error::refused(format!("{name} is part of this program: it has no files to check")));
    }
    let holds = |name: &str| chosen.iter().any(|tensor| tensor.name == name);
    let files = model.files.files.iter().filter(|file| file.entries.iter().any(|entry| holds(&entry.name)));
    let files: Vec<_> = files.collect();
    let total = files.iter().map(|file| file.size).sum();
    let (mut done, mut wrong) = (0, Vec::new());
    let mut table = Table::new(["File", "Size", "Result"]);
    for file in files {
        let path = Path::new(&file.path);
        let name = path.file_name().map_or(file.path.clone(), |name| name.to_string_lossy().into_owned());
        let verdict = verify(path, |bytes| -> Result<()> {
            done += bytes as u64;
            Ok(tensor::step(&name, done, total)?)
        })?;
        let result = match verdict {
            Verdict::Same(kind, hash) => format!("right, {kind} {hash}"),
            Verdict::Other(found, hash) => {
                // A link stays what it is: what it leads to is wrong.
                let real = path.canonicalize().unwrap_or(path.to_owned());
                wrong.push(real.display().to_string());
                format!("wrong: {found}, that of the hub is {hash}")
            }
            Verdict::Unknown => "not known: nothing on this machine says what the hub's hash is".into(),
        };
        table.push((name, bytes(file.size), result));
    }
    if wrong.is_empty() {
        return Ok(table.into());
    }
    let (count, all) = (wrong.len(), table.rows.len());
    let lines = text::lines(&Answer::from(table), None).join("\n");
    let are = if count == 1 { "is" } else { "are" };
    let them = if count == 1 { "it" } else { "them" };
    let names = listed(&wrong, LISTED);
    Err(Error::refused(format!(
        "{count} of {all} files of weights {are} not as the hub gave {them}; delete {names} and download {them} \
         again\n{lines}"
    )))
}
