//! Script files: commands, one a line.
//!
//! `#` at the start of a line begins a comment; blank lines do nothing. A command that opens a block takes the lines up
//! to its `end` with it, so that whoever runs commands sees a block as one text of several lines. The same [`Reader`]
//! gathers blocks at a prompt.

use std::path::{Path, PathBuf};

/// Commands that open a block. Blocks nest.
const OPENERS: [&str; 1] = ["commands"];

/// A command of a script with the number of its first line, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Number of its first line.
    pub line: usize,
    /// The command without the space around it; a block has its lines up to `end`, joined by `\n`.
    pub text: String,
}

/// Gathers lines into commands.
#[derive(Debug, Default)]
pub struct Reader {
    /// The block so far; none outside blocks.
    open: Option<Command>,
    /// How many `end` are missing.
    depth: usize,
}

impl Reader {
    /// Takes line `number`. Gives a command when the line completes one.
    pub fn push(&mut self, number: usize, line: &str) -> Option<Command> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let opens = opens_block(line);
        let Some(block) = &mut self.open else {
            let command = Command { line: number, text: line.to_string() };
            if opens {
                self.depth = 1;
                self.open = Some(command);
                return None;
            }
            return Some(command);
        };
        block.text.push('\n');
        block.text.push_str(line);
        if opens {
            self.depth += 1;
        } else if line == "end" {
            self.depth -= 1;
        }
        if self.depth == 0 { self.open.take() } else { None }
    }

    /// Whether a block waits for more lines.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Gives up the block that waits for more lines, if there is one.
    pub fn abandon(&mut self) -> Option<Command> {
        self.depth = 0;
        self.open.take()
    }
}

/// Whether `line` begins a block: its first word is an opener, or short for one with four letters or more.
fn opens_block(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or_default();
    OPENERS.iter().any(|opener| *opener == word || (word.len() >= 4 && opener.starts_with(word)))
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

/// What the engine does itself with a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Builtin<'a> {
    /// `source FILE`.
    Source(&'a str),
    /// `echo TEXT`.
    Echo(&'a str),
}

/// Recognises `source` (short: `so`) and `echo`.
pub fn builtin(line: &str) -> Option<Builtin<'_>> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    if word.len() >= 2 && "source".starts_with(word) {
        Some(Builtin::Source(rest.trim()))
    } else if word == "echo" {
        Some(Builtin::Echo(rest.trim_start()))
    } else {
        None
    }
}

/// The file that `name` means in a script of folder `base`: relative names are relative to it, `~/` is the home folder.
/// Double quotes around the name are taken off.
pub fn resolve(name: &str, base: Option<&Path>) -> PathBuf {
    let name = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(name);
    if let (Some(rest), Some(dirs)) = (name.strip_prefix("~/"), directories::BaseDirs::new()) {
        return dirs.home_dir().join(rest);
    }
    base.map_or_else(|| PathBuf::from(name), |base| base.join(name))
}

/// The lines that `echo TEXT` prints. Knows the escapes of gdb: `\n \t \\ \" \a \e`, octal digits, and a backslash
/// before anything else (a space at the end, say) for that character. A last line break is not a line of its own.
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
        Command { line, text: text.into() }
    }

    #[test]
    fn comments_and_blank_lines_do_nothing() {
        let script = "# first\n\n  run \r\n   # second\nuntil #2\n";
        assert_eq!(parse(script), Ok(vec![command(3, "run"), command(5, "until #2")]));
    }

    #[test]
    fn blocks_are_one_command() {
        let script = "commands 1\n  silent\n# why\n\n  comm 2\n  c\n  end\nend\nrun";
        assert_eq!(parse(script), Ok(vec![command(1, "commands 1\nsilent\ncomm 2\nc\nend\nend"), command(9, "run")]));
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
        assert_eq!(builtin(" source  a b.ldb "), Some(Builtin::Source("a b.ldb")));
        assert_eq!(builtin("so x"), Some(Builtin::Source("x")));
        assert_eq!(builtin("source"), Some(Builtin::Source("")));
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
        fn flat_scripts_keep_every_command(lines in proptest::collection::vec("[a-z]{0,3}( #[0-9])?", 0..20)) {
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
