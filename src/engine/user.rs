//! Commands that the user defined: `define`, `document`, hooks, aliases, and the words that are replaced by arguments.

use std::collections::BTreeMap;

use thiserror::Error;

use super::script::word_of;
use super::tree::Node;
use crate::lang::command::split_command;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UserError {
    #[error("expected a command")]
    Empty,
    #[error("{0} needs a name")]
    Nameless(String),
    #[error("{0:?} is not a name for a command: use letters, digits, - and _, beginning with a letter")]
    Name(String),
    /// A body reads more arguments than the call has.
    #[error("$arg{number} was not given: the call has {count} arguments")]
    Missing {
        /// The digits after `$arg`.
        number: String,
        count: usize,
    },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserCommand {
    pub body: Vec<Node>,
    pub about: Vec<String>,
    pub file: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct User {
    /// The commands by name, with `hook-NAME` and `hookpost-NAME` among them.
    pub commands: BTreeMap<String, UserCommand>,
    pub aliases: BTreeMap<String, String>,
}

impl User {
    /// The name that `define NAME` or `document NAME` gives.
    pub fn name(head: &str) -> Result<&str, UserError> {
        let split = split_command(head).ok_or(UserError::Empty)?;
        let fits = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        match split.rest {
            "" => Err(UserError::Nameless(split.word.to_string())),
            name if name.chars().all(fits) && name.starts_with(char::is_alphabetic) => Ok(name),
            name => Err(UserError::Name(name.to_string())),
        }
    }

    /// The line, with an alias at its start replaced by its command.
    pub fn expanded(&self, line: &str) -> String {
        let word = word_of(line);
        match self.aliases.get(word) {
            Some(meant) => {
                let at = line.find(word).unwrap_or_default() + word.len();
                format!("{meant}{}", &line[at..])
            }
            None => line.to_string(),
        }
    }
}

/// The arguments in a text: words separated by spaces. Quotes keep spaces together and remain part of the word.
pub fn arguments(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    let mut escaped = false;
    for c in text.chars() {
        if c.is_whitespace() && !quoted {
            all.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            continue;
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        word.push(c);
    }
    all.extend((!word.is_empty()).then_some(word));
    all
}

/// `text` with `$argc`, `$arg0`, `$arg1`... and `$arg*` replaced by the arguments `given`.
pub fn substituted(text: &str, given: &[String]) -> Result<String, UserError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("$arg") {
        out.push_str(&rest[..at]);
        let after = &rest[at + "$arg".len()..];
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let ends = |tail: &str| !tail.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let length = if after.starts_with('c') && ends(&after[1..]) {
            out.push_str(&given.len().to_string());
            1
        } else if after.starts_with('*') {
            out.push_str(&given.join(" "));
            1
        } else if digits > 0 && ends(&after[digits..]) {
            let found = after[..digits].parse().ok().and_then(|i: usize| given.get(i));
            let missing = || UserError::Missing { number: after[..digits].to_string(), count: given.len() };
            out.push_str(found.ok_or_else(missing)?);
            digits
        } else {
            out.push_str("$arg");
            0
        };
        rest = &after[length..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn arguments_are_words_and_quotes_keep_spaces() {
        assert_eq!(arguments("  L1  \" a  b\" é "), ["L1", "\" a  b\"", "é"]);
        assert_eq!(arguments("\"a \\\" b\" c"), ["\"a \\\" b\"", "c"]);
        assert_eq!(arguments(""), [] as [&str; 0]);
    }

    #[test]
    fn arguments_take_the_place_of_their_words() {
        let given = ["L1".to_string(), "2".to_string()];
        assert_eq!(substituted("print $arg0 + $arg1, $argc", &given), Ok("print L1 + 2, 2".into()));
        assert_eq!(substituted("all $arg* end", &given), Ok("all L1 2 end".into()));
        assert_eq!(substituted("$args $argument $arg_0 $arg0x", &given), Ok("$args $argument $arg_0 $arg0x".into()));
        let missing = substituted("x $arg2", &given).unwrap_err();
        assert_eq!(missing.to_string(), "$arg2 was not given: the call has 2 arguments");
    }

    #[test]
    fn names_are_words() {
        assert_eq!(User::name("define hook-run"), Ok("hook-run"));
        assert_eq!(User::name("define"), Err(UserError::Nameless("define".into())));
        assert_eq!(
            User::name("define a b").unwrap_err().to_string(),
            "\"a b\" is not a name for a command: use letters, digits, - and _, beginning with a letter"
        );
    }

    proptest! {
        #[test]
        fn any_text_can_be_taken_apart(text in "[$argc0-9é\"\\\\ *]{0,30}", given in proptest::collection::vec("[a-z$]{0,4}", 0..3)) {
            _ = arguments(&text);
            _ = substituted(&text, &given);
        }
    }
}
