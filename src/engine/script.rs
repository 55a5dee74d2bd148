//! Script files: one command on each line.
//!
//! `#` at the start of a line begins a comment; blank lines do nothing. A command that opens a block takes the lines up
//! to its `end` with it, so that a block reaches the engine as one text of several lines. The same [`Reader`]
//! collects blocks at a prompt.

use std::path::{Path, PathBuf};

use crate::lang::command::{split_command, strip_comment};

/// The commands that open a block. Blocks nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opener {
    /// `commands`: the commands of a stop point.
    Commands,
    /// `define`: a new command.
    Define,
    /// `document`: the help of a new command. Its lines are text and open no blocks.
    Document,
    If,
    While,
}

const OPENERS: [(&str, Opener); 5] = [
    ("commands", Opener::Commands),
    ("define", Opener::Define),
    ("document", Opener::Document),
    ("if", Opener::If),
    ("while", Opener::While),
];

/// The block that a line opens: its first word is an opener, or an abbreviation of at least four letters.
pub fn opener(line: &str) -> Option<Opener> {
    let word = word_of(line);
    let meant = |name: &str| name == word || (word.len() >= 4 && name.starts_with(word));
    OPENERS.iter().find(|(name, _)| meant(name)).map(|(_, opener)| *opener)
}

/// The first word of a line; empty if there is none.
pub fn word_of(line: &str) -> &str {
    split_command(line.lines().next().unwrap_or_default()).map_or("", |command| command.word)
}

/// A command of a script with its line numbers, counted from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Number of its first line.
    pub line: usize,
    /// The command without surrounding space. A block includes its lines up to `end`, joined by `\n`.
    pub text: String,
    /// The number of each line of the text.
    pub lines: Vec<usize>,
}

impl Command {
    pub fn head(&self) -> Command {
        let text = self.text.lines().next().unwrap_or_default().to_string();
        Command { line: self.line, text, lines: vec![self.line] }
    }

    pub fn body(&self) -> Vec<Command> {
        let mut reader = Reader::default();
        let lines = self.text.lines().zip(&self.lines).skip(1);
        let inner = self.lines.len().saturating_sub(2);
        lines.take(inner).filter_map(|(text, line)| reader.push(*line, text)).collect()
    }
}

#[derive(Debug, Default)]
pub struct Reader {
    /// The block so far; `None` outside blocks.
    block: Option<Command>,
    /// The openers of the open blocks, outermost first.
    open: Vec<Opener>,
}

impl Reader {
    /// Takes line `number`. Returns a command when the line completes one.
    pub fn push(&mut self, number: usize, line: &str) -> Option<Command> {
        let line = line.trim();
        let documents = self.open.last() == Some(&Opener::Document);
        if line.is_empty() || (line.starts_with('#') && !documents) {
            return None;
        }
        let opens = opener(line).filter(|_| !documents);
        let block = self.block.get_or_insert_default();
        if block.lines.is_empty() {
            block.line = number;
        } else {
            block.text.push('\n');
        }
        block.text.push_str(line);
        block.lines.push(number);
        match opens {
            Some(opener) => self.open.push(opener),
            None if ends(line) => _ = self.open.pop(),
            None => {}
        }
        if self.open.is_empty() { self.block.take() } else { None }
    }

    /// Takes a text of one or more lines, the first of which has `number`; returns the commands that it completes.
    pub fn push_all(&mut self, number: usize, text: &str) -> Vec<Command> {
        text.lines().enumerate().filter_map(|(i, line)| self.push(number + i, line)).collect()
    }

    pub fn is_open(&self) -> bool {
        self.block.is_some()
    }

    pub fn abandon(&mut self) -> Option<Command> {
        self.open.clear();
        self.block.take()
    }
}

fn ends(line: &str) -> bool {
    strip_comment(line).trim() == "end"
}

/// The commands of a script text. An unfinished block is an error at its first line.
pub fn parse(text: &str) -> Result<Vec<Command>, (usize, String)> {
    let mut reader = Reader::default();
    let commands = text.lines().enumerate().filter_map(|(i, line)| reader.push(i + 1, line)).collect();
    match reader.abandon() {
        None => Ok(commands),
        Some(block) => {
            let first = block.text.lines().next().unwrap_or_default();
            Err((block.line, format!("`{first}` has no `end`")))
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Builtin<'a> {
    Source { name: &'a str, verbose: bool },
    Echo(&'a str),
    Alias(&'a str),
    Transcript(&'a str),
    Shell(&'a str),
    Pipe(&'a str),
    Resume(&'a str),
    With(&'a str),
}

/// Recognises `source` (short: `so`), `echo`, `alias`, `with`, `transcript`, `shell` (`!`), `pipe` (`|`) and `resume`.
pub fn builtin(line: &str) -> Option<Builtin<'_>> {
    let line = line.trim();
    if let Some(command) = line.strip_prefix('!') {
        return Some(Builtin::Shell(command.trim()));
    }
    if let Some(rest) = line.strip_prefix('|') {
        return Some(Builtin::Pipe(rest.trim()));
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    Some(match word {
        "echo" => Builtin::Echo(rest.trim_start()),
        "with" => Builtin::With(rest.trim()),
        "alias" => Builtin::Alias(strip_comment(rest).trim()),
        "transcript" => Builtin::Transcript(strip_comment(rest).trim()),
        "shell" => Builtin::Shell(rest.trim()),
        "pipe" => Builtin::Pipe(rest.trim()),
        "resume" => Builtin::Resume(rest.trim()),
        _ if word.len() >= 2 && "source".starts_with(word) => {
            let name = rest.trim();
            let after = name.strip_prefix("-v");
            let after = after.filter(|after| after.is_empty() || after.starts_with(char::is_whitespace));
            Builtin::Source { name: after.unwrap_or(name).trim(), verbose: after.is_some() }
        }
        _ => return None,
    })
}

/// The file that `name` refers to in a script of folder `base`: relative names are relative to it, `~/` is the home
/// folder. Double quotes around the name are removed.
pub fn resolve(name: &str, base: Option<&Path>) -> PathBuf {
    let name = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(name);
    if let (Some(rest), Some(dirs)) = (name.strip_prefix("~/"), directories::BaseDirs::new()) {
        return dirs.home_dir().join(rest);
    }
    base.map_or_else(|| PathBuf::from(name), |base| base.join(name))
}

/// The lines that `echo TEXT` prints. Knows the escapes of gdb: `\n \t \\ \" \a \e`, octal digits, and a backslash
/// before any other character (a space at the end, for example) for that character. A line break at the end adds no
/// line.
pub fn echo(text: &str) -> Vec<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            None => {}
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('a') => out.push('\x07'),
            Some('e') => out.push('\x1b'),
            Some(first @ '0'..='7') => {
                let mut code = first.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = chars.peek().and_then(|c| c.to_digit(8)) else { break };
                    code = code * 8 + digit;
                    chars.next();
                }
                out.extend(char::from_u32(code));
            }
            Some(other) => out.push(other),
        }
    }
    out.strip_suffix('\n').unwrap_or(&out).split('\n').map(String::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn command(line: usize, text: &str) -> Command {
        Command { line, text: text.into(), lines: vec![line] }
    }

    #[test]
    fn comments_and_blank_lines_do_nothing() {
        let script = "# first\n\n  run \r\n   # second\nuntil #2\n";
        assert_eq!(parse(script), Ok(vec![command(3, "run"), command(5, "until #2")]));
    }

    #[test]
    fn blocks_are_one_command() {
        let script = "commands 1\n  silent\n# why\n\n  comm 2\n  c\n  end\nend\nrun";
        let mut block = command(1, "commands 1\nsilent\ncomm 2\nc\nend\nend");
        block.lines = vec![1, 2, 5, 6, 7, 8];
        assert_eq!(parse(script), Ok(vec![block, command(9, "run")]));
        assert_eq!(parse("run\ncommands 3\nc\n"), Err((2, "`commands 3` has no `end`".into())));
        assert_eq!(parse("end\ncom 1"), Ok(vec![command(1, "end"), command(2, "com 1")]));
    }

    #[test]
    fn a_prompt_can_give_a_block_up() {
        let mut reader = Reader::default();
        assert_eq!(reader.push(1, "commands"), None);
        assert!(reader.is_open());
        assert_eq!(reader.abandon(), Some(command(1, "commands")));
        assert_eq!(reader.push(2, "run"), Some(command(2, "run")));
    }

    #[test]
    fn builtins() {
        assert_eq!(builtin(" source  a b.ldb "), Some(Builtin::Source { name: "a b.ldb", verbose: false }));
        assert_eq!(builtin("so -v x"), Some(Builtin::Source { name: "x", verbose: true }));
        assert_eq!(builtin("source"), Some(Builtin::Source { name: "", verbose: false }));
        assert_eq!(builtin("echo a\\n"), Some(Builtin::Echo("a\\n")));
        for other in ["s", "sources x", "echoes", "print echo", ""] {
            assert_eq!(builtin(other), None, "{other}");
        }
    }

    #[test]
    fn names_are_relative_to_the_script() {
        assert_eq!(resolve("b.ldb", None), Path::new("b.ldb"));
        assert_eq!(resolve("\"b c.ldb\"", Some(Path::new("dir"))), Path::new("dir/b c.ldb"));
        assert_eq!(resolve("/abs/b", Some(Path::new("dir"))), Path::new("/abs/b"));
        assert!(!resolve("~/b", Some(Path::new("dir"))).starts_with("dir"));
    }

    #[test]
    fn echo_knows_the_escapes_of_gdb() {
        assert_eq!(echo("hello"), ["hello"]);
        assert_eq!(echo("hello\\n"), ["hello"]);
        assert_eq!(echo("a\\nb\\n\\n"), ["a", "b", ""]);
        assert_eq!(echo("\\101\\t\\\\\\\"\\ \\"), ["A\t\\\" "]);
        assert_eq!(echo("\\e[0m\\0649"), ["\x1b[0m49"]);
    }

    proptest! {
        #[test]
        // Without i: `if` opens a block.
        fn flat_scripts_keep_every_command(lines in proptest::collection::vec("[a-hj-z]{0,3}( #[0-9])?", 0..20)) {
            let commands = parse(&lines.join("\n")).unwrap();
            let want: Vec<Command> = lines
                .iter()
                .enumerate()
                .filter(|(_, line)| !line.trim().is_empty() && !line.trim().starts_with('#'))
                .map(|(i, line)| command(i + 1, line.trim()))
                .collect();
            prop_assert_eq!(commands, want);
        }
    }
}
