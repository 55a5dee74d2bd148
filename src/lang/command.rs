//! A line to a command: the word, the format after its slash, and the rest untouched.
//!
//! What the rest means is up to the command; only what all commands share is decided here: comments, and which command
//! a shortened word means.

use super::lexer::Lexer;
use super::{LangError, Result, Span, Spanned};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLine<'a> {
    /// The command as typed: `print`, `p`, `!`.
    pub word: &'a str,
    pub span: Span,
    /// What follows its slash: `4f` of `x/4f`.
    pub format: Option<(&'a str, Span)>,
    /// The arguments, without spaces at either end and without a comment.
    pub rest: &'a str,
    /// The byte of the line at which they begin.
    pub offset: usize,
}

/// Splits a line; `None` if there is nothing on it but spaces and a comment.
///
/// A word is letters, digits, `-` and `_`, so that `p$1` and `p"text"` need no space; `!` and `|` are words by
/// themselves, and what follows them goes to the shell unchanged.
pub fn split_command(line: &str) -> Option<CommandLine<'_>> {
    let start = line.len() - line.trim_start().len();
    if let Some(word) = line.get(start..start + 1).filter(|w| matches!(*w, "!" | "|")) {
        return Some(CommandLine::new(line, word, start, None, start + 1));
    }
    let line = strip_comment(line);
    if line.trim().is_empty() {
        return None;
    }
    let text = &line[start..];
    let length = text.find(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).unwrap_or(text.len());
    // A line that does not start with a word is one word up to the space, so that the error can name it.
    let length = if length == 0 { text.find(char::is_whitespace).unwrap_or(text.len()) } else { length };
    let mut at = start + length;
    let mut format = None;
    if let Some(after) = line[at..].strip_prefix('/') {
        let end = at + 1 + after.find(char::is_whitespace).unwrap_or(after.len());
        format = Some((&line[at + 1..end], Span::new(at + 1, end)));
        at = end;
    }
    Some(CommandLine::new(line, &text[..length], start, format, at))
}

impl<'a> CommandLine<'a> {
    fn new(line: &'a str, word: &'a str, start: usize, format: Option<(&'a str, Span)>, at: usize) -> Self {
        let after = &line[at..];
        let offset = at + after.len() - after.trim_start().len();
        Self { word, span: Span::new(start, start + word.len()), format, rest: line[offset..].trim_end(), offset }
    }

    /// The first word of the arguments, and the line as if the command began there: for `info breakpoints` and `rev
    /// step`.
    pub fn subcommand(&self) -> Option<CommandLine<'a>> {
        let inner = split_command(self.rest)?;
        let moved = |span: Span| Span::new(span.start + self.offset, span.end + self.offset);
        let (span, format) = (moved(inner.span), inner.format.map(|(f, s)| (f, moved(s))));
        Some(CommandLine { span, format, offset: inner.offset + self.offset, ..inner })
    }
}

/// The line up to its comment: a `#` at the start of the line, or after a space and not before a digit, outside
/// strings. `logits#2` and `goto #2` name passes.
pub fn strip_comment(line: &str) -> &str {
    let mut at = 0;
    let mut spaced = true;
    let mut before = ' ';
    while let Some(c) = line[at..].chars().next() {
        let pass = line[at + c.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
        if c == '#' && spaced && (!pass || line[..at].trim().is_empty()) {
            return &line[..at];
        }
        if c == '"' {
            let mut lexer = Lexer::new(&line[at..], 0);
            at = if lexer.string().is_ok() { at + lexer.position() } else { line.len() };
            (spaced, before) = (false, c);
            continue;
        }
        // An apostrophe inside a word, or without a second one, is not a quote.
        if c == '\'' && (spaced || "([,=".contains(before)) {
            let mut lexer = Lexer::new(&line[at..], 0);
            if lexer.string().is_ok() {
                (spaced, before, at) = (false, c, at + lexer.position());
                continue;
            }
        }
        (spaced, before) = (c.is_whitespace(), c);
        at += c.len_utf8();
    }
    line
}

#[derive(Clone, Copy, Debug)]
pub struct Vocabulary<'a> {
    /// What precedes the word: empty for commands, `info` for the subcommands of `info`.
    pub of: &'a str,
    /// Every command, in the order in which candidates are listed.
    pub names: &'a [&'a str],
    /// Reserved short forms and aliases, which win over prefixes: `("s", "step")`.
    pub short: &'a [(&'a str, &'a str)],
}

impl<'a> Vocabulary<'a> {
    /// The command that `word` means: an exact name, else a reserved short form, else the only name that begins with
    /// it.
    pub fn resolve(&self, word: &str, span: Span) -> Result<&'a str> {
        if let Some(name) = self.names.iter().find(|name| **name == word) {
            return Ok(name);
        }
        if let Some((_, name)) = self.short.iter().find(|(short, _)| *short == word) {
            return Ok(name);
        }
        let starting: Vec<&str> =
            self.names.iter().copied().filter(|name| !word.is_empty() && name.starts_with(word)).collect();
        match starting.as_slice() {
            [name] => Ok(name),
            [] => Err(self.undefined(word, span)),
            several => {
                let kind = if self.of.is_empty() { String::new() } else { format!("{} ", self.of) };
                Err(LangError::new(format!("Ambiguous {kind}command \"{word}\": {}", several.join(", ")), span))
            }
        }
    }

    fn undefined(&self, word: &str, span: Span) -> LangError {
        let (kind, help) = match self.of {
            "" => (String::new(), "help".to_string()),
            of => (format!("{of} "), format!("help {of}")),
        };
        let error = LangError::new(format!("Undefined {kind}command: \"{word}\".  Try \"{help}\"."), span);
        match alike(word, self.names.iter().copied()) {
            Some(name) => error.help(format!("did you mean {name}?")),
            None => error,
        }
    }
}

/// The name that `word` is a misspelling of: a third of its letters are wrong at most, and not the first of a short one.
pub fn alike<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    let first = |text: &str| text.chars().next();
    let near = names.map(|name| (strsim::damerau_levenshtein(word, name), name));
    let near = near.filter(|(wrong, name)| *wrong <= allowed && (*wrong == 1 || first(word) == first(name)));
    near.min_by_key(|(wrong, _)| *wrong).map(|(_, name)| name).filter(|_| word.chars().count() > 2)
}

/// A format such as `20t`, `4fw` or `-3f`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// How many; negative counts go backwards.
    pub count: Option<i32>,
    /// Which format and, for `x`, which unit.
    pub letters: Vec<Spanned<char>>,
}

/// Splits a format. Which letters are valid is up to the command.
pub fn parse_format(format: &str, span: Span) -> Result<Format> {
    let length = format.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(format.len());
    let count = match &format[..length] {
        "" => None,
        number => {
            let wrong =
                || LangError::new(format!("{number} is not a count"), Span::new(span.start, span.start + length));
            Some(number.parse().map_err(|_| wrong())?)
        }
    };
    let letters = format[length..].char_indices().map(|(at, letter)| {
        let start = span.start + length + at;
        let place = Span::new(start, start + letter.len_utf8());
        match letter.is_ascii_alphabetic() {
            true => Ok(Spanned::new(letter, place)),
            false => Err(LangError::new(format!("{letter:?} is not a format; a format is a count and letters"), place)),
        }
    });
    Ok(Format { count, letters: letters.collect::<Result<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMANDS: Vocabulary<'static> = Vocabulary {
        of: "",
        names: &["start", "step", "stack", "print", "printf", "run"],
        short: &[("s", "step"), ("p", "print"), ("inspect", "print")],
    };

    fn resolve(word: &str) -> Result<&'static str> {
        COMMANDS.resolve(word, Span::new(0, word.len()))
    }

    #[test]
    fn a_line_is_a_word_a_format_and_the_rest() {
        let line = split_command("  x/4f L5.attn.z[0]  # look").expect("a command");
        assert_eq!((line.word, line.format.map(|f| f.0), line.rest, line.offset), ("x", Some("4f"), "L5.attn.z[0]", 7));
        assert_eq!(line.span, Span::new(2, 3));
        let line = split_command("p$1 + 2").expect("a command");
        assert_eq!((line.word, line.rest, line.offset), ("p", "$1 + 2", 1));
        let line = split_command("!ls # x").expect("a command");
        assert_eq!((line.word, line.rest), ("!", "ls # x"));
        assert_eq!(split_command("reverse-step").expect("a command").word, "reverse-step");
        assert_eq!(split_command("=5 x").expect("a command").word, "=5");
        assert!(split_command("   # nothing").is_none());
        assert!(split_command("").is_none());
    }

    #[test]
    fn subcommands_keep_their_place() {
        let line = split_command("info breakpoints 1-3").expect("a command").subcommand().expect("a subcommand");
        assert_eq!((line.word, line.rest, line.offset, line.span), ("breakpoints", "1-3", 17, Span::new(5, 16)));
        assert!(split_command("info").expect("a command").subcommand().is_none());
    }

    #[test]
    fn comments_are_neither_passes_nor_strings() {
        for (line, left) in [
            ("# all", ""),
            ("#1 first", ""),
            ("p 1 # one", "p 1 "),
            ("p logits#2", "p logits#2"),
            ("goto #2 # second", "goto #2 "),
            ("echo \"a # b\" # c", "echo \"a # b\" "),
            ("echo \"open # b", "echo \"open # b"),
            ("p x#y", "p x#y"),
        ] {
            assert_eq!(strip_comment(line), left);
        }
    }

    #[test]
    fn exact_then_short_then_unique_prefix() {
        assert_eq!(resolve("print"), Ok("print"));
        assert_eq!(resolve("p"), Ok("print"));
        assert_eq!(resolve("s"), Ok("step"));
        assert_eq!(resolve("inspect"), Ok("print"));
        assert_eq!(resolve("ru"), Ok("run"));
        assert_eq!(resolve("st").expect_err("ambiguous").message, "Ambiguous command \"st\": start, step, stack");
        let undefined = resolve("prnt").expect_err("undefined");
        assert_eq!(undefined.message, "Undefined command: \"prnt\".  Try \"help\".");
        assert_eq!(undefined.help.as_deref(), Some("did you mean print?"));
        assert_eq!(resolve("zzz").expect_err("undefined").help, None);
        let subjects = ["trace", "models", "breakpoints", "tokens"];
        let near = |word| alike(word, subjects.into_iter());
        assert_eq!([near("frame"), near("locals"), near("q")], [None; 3]);
        assert_eq!(
            [near("trac"), near("model"), near("brekpionts")],
            [Some("trace"), Some("models"), Some("breakpoints")]
        );
        let info = Vocabulary { of: "info", names: &["edits", "exports"], short: &[] };
        assert_eq!(
            info.resolve("e", Span::at(5)).expect_err("two").message,
            "Ambiguous info command \"e\": edits, exports"
        );
        assert_eq!(
            info.resolve("q", Span::at(5)).expect_err("none").message,
            "Undefined info command: \"q\".  Try \"help info\"."
        );
    }

    #[test]
    fn formats() {
        let read = |text: &str| {
            let format = parse_format(text, Span::new(2, 2 + text.len()))?;
            Ok((format.count, format.letters.iter().map(|l| l.value).collect::<String>()))
        };
        assert_eq!(read("20t"), Ok((Some(20), "t".to_string())));
        assert_eq!(read("-3fw"), Ok((Some(-3), "fw".to_string())));
        assert_eq!(read("h"), Ok((None, "h".to_string())));
        assert_eq!(read(""), Ok((None, String::new())));
        let wrong = |result: Result<(Option<i32>, String)>| result.expect_err("wrong").span;
        assert_eq!(wrong(read("4$")), Span::new(3, 4));
        assert_eq!(wrong(read("99999999999f")), Span::new(2, 13));
        assert_eq!(wrong(read("-f")), Span::new(2, 3));
    }
}
