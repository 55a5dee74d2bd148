//! `show` and `info settings`.

use crate::answer::{Answer, Table};
use crate::commands::frame::Done;
use crate::commands::state::settings::{SETTINGS, Setting, find, is_ignored};
use crate::commands::state::{Call, Console};
use crate::lang::LangError;

pub(crate) fn show(console: &mut Console, call: Call<'_>) -> Done {
    let given = call.words()?;
    if given.is_empty() {
        return Ok(all(console));
    }
    if let [word] = given.as_slice() {
        match word.text.as_str() {
            "version" => return Ok(Answer::Text(format!("llmdbg {}", env!("CARGO_PKG_VERSION")))),
            "commands" => return Ok(typed(console)),
            text if is_ignored(text) => return Ok(Answer::Text(format!("{text} has no effect here"))),
            _ => {}
        }
    }
    if let [group] = given.as_slice()
        && SETTINGS.iter().any(|setting| setting.parts().0 == group.text)
    {
        return Ok(of_group(console, &group.text));
    }
    let (setting, used) = find(&given, call.end().start)?;
    if let Some(extra) = given.get(used) {
        return Err(LangError::new("unexpected word", extra.span).help("set NAME VALUE changes a setting").into());
    }
    let value = (setting.get)(console);
    let from = match console.origin(setting) {
        "default" => String::new(),
        from => format!(" ({from}; the default is {})", setting.default),
    };
    Ok(Answer::Text(format!("{} is {value}{from}", setting.name)))
}

/// `show commands`: what was typed last.
fn typed(console: &Console) -> Answer {
    const SHOWN: usize = 10;
    let first = console.typed.len().saturating_sub(SHOWN);
    let lines = console.typed.iter().enumerate().skip(first).map(|(i, line)| format!("{:>5}  {line}", i + 1));
    Answer::Text(lines.collect::<Vec<_>>().join("\n"))
}

pub(crate) fn all(console: &Console) -> Answer {
    let row = |setting: &Setting| {
        [setting.name, &(setting.get)(console), console.origin(setting), setting.about].map(String::from)
    };
    Table::new(["Setting", "Value", "From", "Meaning"]).rows(SETTINGS.iter().map(row)).into()
}

pub(crate) fn of_group(console: &Console, group: &str) -> Answer {
    let of_group = SETTINGS.iter().filter(|setting| setting.parts().0 == group);
    let row = |setting: &Setting| (setting.parts().1, (setting.get)(console), setting.about);
    Table::new(["Setting", "Value", "Meaning"]).rows(of_group.map(row)).into()
}
