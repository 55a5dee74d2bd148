//! `save investigation`: the last investigation as a page, or as a script that repeats it.

use crate::answer::Answer;
use crate::commands::frame::Done;
use crate::commands::saving::{check_ending, only_file, values};
use crate::commands::state::{Call, Console};
use crate::debugger::Error;
use crate::export::{self, report};

/// `save investigation FILE.html|FILE.ldb`.
pub fn save(console: &mut Console, call: Call<'_>) -> Done {
    let file = only_file(&call)?;
    check_ending(&file, &["html", "ldb"], "a page is FILE.html, a script that repeats it FILE.ldb")?;
    let Some(found) = &console.memory.investigation else {
        return Err(Error::refused("nothing was investigated yet; \"investigate nan\" is an investigation"));
    };
    let mut steps = vec![(found.line.clone(), Answer::Table(found.table.clone()))];
    steps.extend(found.steps.iter().cloned());
    let text = match values::ending(&file.text) {
        "ldb" => format!("{}\n", found.script.join("\n")),
        _ => {
            let about = found.table.title.lines().map(str::to_string).collect::<Vec<_>>();
            report::page(&found.line, &about, &steps)
        }
    };
    export::file(&file.text, text)?;
    Ok(Answer::Text(format!("Wrote {} commands to {}", found.steps.len(), file.text)))
}
