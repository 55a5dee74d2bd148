//! `show` and `info settings`.

use crate::answer::{Answer, Table};
use crate::commands::frame::Done;
use crate::commands::state::settings::{SETTINGS, Setting, find};
use crate::commands::state::{Call, Console};
use crate::lang::LangError;

pub(crate) fn show(console: &mut Console, call: Call<'_>) -> Done {
    let given = call.words()?;
    if given.is_empty() {
        return Ok(all(console));
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
