//! The settings: one table that `set NAME VALUE`, `show`, `info settings`, `help set`, completion and the manual read.

use std::path::PathBuf;

use crate::commands::frame::Done;
use crate::commands::state::Console;

mod list;

use crate::answer::{Answer, ErrorView};
use crate::debugger::{Error, Result};
use crate::lang::command::alike;
use crate::lang::words::{Word, words};
use crate::lang::{LangError, Span};
pub use list::SETTINGS;

pub struct Setting {
    /// One word, or two: the group and the name in it.
    pub name: &'static str,
    pub takes: &'static str,
    pub default: &'static str,
    pub about: &'static str,
    /// Its value, as `set` takes it.
    pub(crate) get: fn(&Console) -> String,
    /// Applies a value; none if it is not what the setting takes.
    pub(crate) set: fn(&mut Console, &str) -> Option<()>,
}

/// What may be done outside the session, see `set shell` and `set logging`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Whether any file may run programs.
    pub shell: bool,
    /// Where answers are written too.
    pub log: Option<PathBuf>,
    /// Whether a log replaces what is there.
    pub overwrite: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    /// Whether any file may run programs.
    pub shell: bool,
    pub log_file: String,
    pub log: bool,
    /// Whether it replaces what is there.
    pub overwrite: bool,
    pub list_size: usize,
    /// Rows of `print/t` without a count.
    pub top: usize,
}

impl Default for Chosen {
    fn default() -> Chosen {
        Chosen { shell: false, log_file: "llmdbg.txt".into(), log: false, overwrite: false, list_size: 10, top: 10 }
    }
}

impl Setting {
    /// The words that it takes, where it takes words.
    fn choices(&self) -> Vec<String> {
        let parts = self.takes.split(", ").flat_map(|part| part.split(" or "));
        let words = parts.map(|part| part.trim().trim_start_matches("or "));
        words.filter(|word| !word.is_empty() && !word.contains(' ')).map(String::from).collect()
    }

    /// The group, empty without one, and the name in it.
    pub(crate) fn parts(&self) -> (&'static str, &'static str) {
        self.name.split_once(' ').unwrap_or(("", self.name))
    }
}

/// Settings of gdb that scripts set and that mean nothing here: they are accepted, and do nothing.
const IGNORED: [&str; 5] = ["confirm", "pagination", "width", "height", "verbose"];

/// Whether a word is a setting of gdb without a meaning here.
pub(crate) fn is_ignored(word: &str) -> bool {
    IGNORED.contains(&word)
}

/// Whether a word begins the name of a setting: it is a group, a name, or near enough to one to be meant.
fn is_meant(word: &str) -> bool {
    let heads = SETTINGS.iter().map(|setting| setting.name.split(' ').next().unwrap_or_default());
    heads.into_iter().any(|head| {
        head == word
            || word.len() > 2 && (head.starts_with(word) || strsim::normalized_damerau_levenshtein(word, head) > 0.7)
    })
}

/// The setting that words name, and how many of them do.
pub(crate) fn find(given: &[Word], end: usize) -> Result<(&'static Setting, usize)> {
    let expected = || LangError::new("expected a setting and its value", Span::at(end)).help("show lists the settings");
    let first = given.first().ok_or_else(expected)?;
    let in_group = SETTINGS.iter().any(|setting| setting.parts().0 == first.text);
    let (group, word, used) = match (in_group, given.get(1)) {
        (true, Some(second)) => (first.text.as_str(), second, 2),
        (true, None) => return Err(expected().into()),
        (false, _) => ("", first, 1),
    };
    let of_group: Vec<&Setting> = SETTINGS.iter().filter(|setting| setting.parts().0 == group).collect();
    let starting: Vec<_> = of_group.iter().filter(|setting| setting.parts().1.starts_with(&word.text)).collect();
    let exact = of_group.iter().find(|setting| setting.parts().1 == word.text);
    match (exact, starting.as_slice()) {
        (Some(setting), _) => Ok((setting, used)),
        (None, [setting]) if !word.text.is_empty() => Ok((setting, used)),
        _ => {
            let of = if group.is_empty() { String::new() } else { format!(" of {group}") };
            let names: Vec<&str> = of_group.iter().map(|setting| setting.parts().1).collect();
            let near = alike(&word.text, names.iter().copied());
            let help = match near {
                Some(name) => format!("did you mean {name}?"),
                None => format!("one of {}", names.join(", ")),
            };
            Err(LangError::new(format!("no setting{of} called {}", word.text), word.span).help(help).into())
        }
    }
}

/// `set NAME VALUE`; none if `text` is something else, an assignment for one.
pub(crate) fn set(console: &mut Console, text: &str, offset: usize) -> Option<Done> {
    let length = text.find(|c: char| !(c.is_ascii_lowercase() || c == '-')).unwrap_or(text.len());
    let (word, rest) = text.split_at(length);
    let assigns = ["=", "+=", "-=", "*=", "/=", "["].iter().any(|sign| rest.trim_start().starts_with(sign));
    if is_ignored(word) && !assigns {
        return Some(Ok(Answer::Text(String::new())));
    }
    if assigns || !(rest.is_empty() || rest.starts_with(char::is_whitespace)) || !is_meant(word) {
        return None;
    }
    Some(assign(console, text, offset))
}

fn assign(console: &mut Console, text: &str, offset: usize) -> Done {
    let given = words(text, offset)?;
    let end = offset + text.len();
    let (setting, used) = find(&given, end)?;
    let [value] = &given[used..] else {
        let error = LangError::new("expected a setting and its value", Span::at(end));
        return Err(error.help(format!("{} is {}", setting.name, setting.takes)).into());
    };
    console.apply_setting(setting, &value.text, "set").map_err(|error| error.at(value.span))?;
    Ok(Answer::Text(String::new()))
}

/// What may come next in `set` or `show` after `before`.
pub(crate) fn candidates(before: &str) -> impl Iterator<Item = String> {
    let named = SETTINGS.iter().find(|setting| setting.name == before.trim());
    let values = named.into_iter().flat_map(|setting| setting.choices());
    let left = move |setting: &Setting| match before.trim() {
        "" => Some(setting.name),
        before => setting.name.strip_prefix(before)?.strip_prefix(' '),
    };
    let names = SETTINGS.iter().filter_map(left).map(|rest| rest.split(' ').next().unwrap_or_default().to_string());
    names.chain(values)
}

impl Console {
    /// Where a setting comes from: `default`, a file and its line, `set`, or an option of the command line.
    pub(crate) fn origin(&self, setting: &Setting) -> &str {
        match (setting.get)(self) == setting.default {
            true => "default",
            false => self.origins.get(setting.name).map_or("default", String::as_str),
        }
    }

    fn apply_setting(&mut self, setting: &'static Setting, value: &str, from: &str) -> Result<()> {
        let wrong = || format!("{} must be {}, not {value}", setting.parts().1, setting.takes);
        (setting.set)(self, value).ok_or_else(wrong)?;
        self.origins.insert(setting.name, from.to_string());
        Ok(())
    }

    /// Sets the setting called `name` as a file or an option says, `from` there.
    pub fn configure(&mut self, name: &str, value: &str, from: &str) -> Result<()> {
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        self.apply_setting(setting.ok_or_else(|| format!("no setting {name}"))?, value, from)
    }

    pub fn outside(&self) -> Outside {
        let Chosen { shell, log, log_file, overwrite, .. } = &self.chosen;
        Outside { shell: *shell, log: log.then(|| PathBuf::from(log_file)), overwrite: *overwrite }
    }

    /// The command that sets a setting to what it is now, for the setting that `text`, `NAME VALUE`, names.
    pub fn restoring(&self, text: &str) -> Result<String, ErrorView> {
        let found = words(text, 0).map_err(Error::At).and_then(|given| find(&given, text.len()));
        let (setting, _) = found.map_err(|fail| ErrorView::new(&fail, text))?;
        Ok(format!("set {} {}", setting.name, (setting.get)(self)))
    }
}
