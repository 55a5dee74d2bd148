//! `show` and `info settings`.

use crate::answer::{Answer, Cell, Table};
use crate::commands::frame::Done;
use crate::commands::state::settings::{SETTINGS, Setting, find};
use crate::commands::state::{Call, Console};
use crate::debugger::Error;
use crate::lang::LangError;
use crate::lang::words::words;

/// `show [NAME]`.
pub(crate) fn show(console: &mut Console, call: Call<'_>) -> Done {
    let given = words(call.args.rest, call.args.offset)?;
    if given.is_empty() {
        return Ok(all(console));
    }
    if let [group] = given.as_slice()
        && SETTINGS.iter().any(|setting| setting.parts().0 == group.text)
    {
        return Ok(of_group(console, &group.text));
    }
    let (setting, used) = find(&given, call.args.offset + call.args.rest.len())?;
    if let Some(extra) = given.get(used) {
        return Err(Error::At(LangError::new("unexpected word", extra.span).help("set NAME VALUE changes a setting")));
    }
    let value = (setting.get)(console);
    let from = match console.origin(setting) {
        "default" => String::new(),
        from => format!(" ({from}; the default is {})", setting.default),
    };
    Ok(Answer::Text(format!("{} is {value}{from}", setting.name)))
}

pub(crate) fn all(console: &Console) -> Answer {
    let text = |text: &str| Cell::Text(text.to_string());
    let row = |setting: &Setting| {
        let value = (setting.get)(console);
        vec![text(setting.name), Cell::Text(value), text(console.origin(setting)), text(setting.about)]
    };
    let columns = ["Setting", "Value", "From", "Meaning"].map(String::from).to_vec();
    Answer::Table(Table { title: String::new(), columns, rows: SETTINGS.iter().map(row).collect() })
}

/// The settings of one group.
pub(crate) fn of_group(console: &Console, group: &str) -> Answer {
    let of_group = SETTINGS.iter().filter(|setting| setting.parts().0 == group);
    let row = |setting: &Setting| {
        let cells = [setting.parts().1.to_string(), (setting.get)(console), setting.about.to_string()];
        cells.map(Cell::Text).to_vec()
    };
    let columns = ["Setting", "Value", "Meaning"].map(String::from).to_vec();
    Answer::Table(Table { title: String::new(), columns, rows: of_group.map(row).collect() })
}
