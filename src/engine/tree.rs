//! Scripts as trees, in which each `if`, `while`, `define`, `document` and `commands` holds its commands.

use super::script::{Command, Opener, opener, word_of};

const DEEPEST: usize = 64;

/// A command, with what it holds if it opens a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The command; of `if`, `while`, `define` and `document` only the first line.
    pub command: Command,
    pub kind: NodeKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A single command, or `commands` with its whole text.
    Line,
    /// `if`, perhaps with `else if`, and `else`.
    If {
        /// The conditions, that of `if` first, each with the commands that run if it holds.
        arms: Vec<(Command, Vec<Node>)>,
        otherwise: Vec<Node>,
    },
    While(Vec<Node>),
    /// `define`, with the commands of the new command.
    Define(Vec<Node>),
    Document(Vec<String>),
    Break,
    Continue,
}

/// The tree of a list of commands whose blocks are closed.
///
/// # Errors
/// With the line at which it is wrong.
pub fn tree(commands: &[Command]) -> Result<Vec<Node>, (usize, String)> {
    commands.iter().map(|command| node(command, false, 0)).collect()
}

fn node(command: &Command, in_loop: bool, depth: usize) -> Result<Node, (usize, String)> {
    let head = command.head();
    let wrong = |line: usize, message: &str| Err((line, message.to_string()));
    if depth > DEEPEST {
        return Err((command.line, format!("blocks can be nested at most {DEEPEST} deep")));
    }
    let inner = |commands: &[Command], in_loop| -> Result<Vec<Node>, (usize, String)> {
        commands.iter().map(|command| node(command, in_loop, depth + 1)).collect()
    };
    let kind = match opener(&command.text) {
        Some(Opener::If) => {
            let mut arms = Vec::new();
            let mut otherwise = None;
            let mut current = (head.clone(), Vec::new());
            let mut open = true;
            for part in command.body() {
                if word_of(&part.text) != "else" {
                    current.1.push(part);
                    continue;
                }
                if !open {
                    return wrong(part.line, "an if can have one else, which must come last");
                }
                let next = part.text["else".len()..].trim_start();
                let done = std::mem::replace(
                    &mut current,
                    (Command { text: next.to_string(), lines: vec![part.line], ..part.clone() }, Vec::new()),
                );
                arms.push((done.0, inner(&done.1, in_loop)?));
                open = word_of(next) == "if";
                if !open && !next.is_empty() && !next.starts_with('#') {
                    return wrong(part.line, "expected nothing or `if EXPR` after else");
                }
            }
            match open {
                true => arms.push((current.0, inner(&current.1, in_loop)?)),
                false => otherwise = Some(inner(&current.1, in_loop)?),
            }
            NodeKind::If { arms, otherwise: otherwise.unwrap_or_default() }
        }
        Some(Opener::While) => NodeKind::While(inner(&command.body(), true)?),
        Some(Opener::Define) => NodeKind::Define(inner(&command.body(), false)?),
        Some(Opener::Document) => {
            let lines = command.text.lines().skip(1);
            let mut lines: Vec<String> = lines.map(String::from).collect();
            lines.pop();
            NodeKind::Document(lines)
        }
        Some(Opener::Commands) => {
            inner(&command.body(), false)?;
            return Ok(Node { command: command.clone(), kind: NodeKind::Line });
        }
        None if command.text == "loop_break" && in_loop => NodeKind::Break,
        None if command.text == "loop_continue" && in_loop => NodeKind::Continue,
        None if matches!(command.text.as_str(), "loop_break" | "loop_continue") => {
            return wrong(command.line, &format!("{} is not inside a while", command.text));
        }
        None => return Ok(Node { command: command.clone(), kind: NodeKind::Line }),
    };
    Ok(Node { command: head, kind })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::script::parse;
    use super::*;

    fn of(text: &str) -> Result<Vec<Node>, (usize, String)> {
        parse(text).and_then(|commands| tree(&commands))
    }

    /// Heads and lines, nested by brackets.
    fn shape(nodes: &[Node]) -> String {
        let one = |node: &Node| {
            let text = node.command.text.replace('\n', "|");
            let line = node.command.line;
            match &node.kind {
                NodeKind::Line => format!("{line} {text}"),
                NodeKind::If { arms, otherwise } => {
                    let arm =
                        |(head, body): &(Command, Vec<Node>)| format!("{} {} [{}]", head.line, head.text, shape(body));
                    let arms: Vec<String> = arms.iter().map(arm).collect();
                    format!("{} else [{}]", arms.join(" "), shape(otherwise))
                }
                NodeKind::While(body) | NodeKind::Define(body) => format!("{line} {text} [{}]", shape(body)),
                NodeKind::Document(lines) => format!("{line} {text} {lines:?}"),
                NodeKind::Break => format!("{line} break"),
                NodeKind::Continue => format!("{line} continue"),
            }
        };
        nodes.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn blocks_hold_their_commands_with_the_lines_of_the_file() {
        let script =
            "run\nif $x > 1\n\n  # why\n  echo a\n  while $y\n    loop_break\n  end\nelse if $z\n  b\nelse\n  c\nend\n";
        assert_eq!(
            shape(&of(script).unwrap()),
            "1 run; 2 if $x > 1 [5 echo a; 6 while $y [7 break]] 9 if $z [10 b] else [12 c]"
        );
        let script = "define go\n  commands\n  silent\n  end\nend\ndocument go\nGoes.\nif it can\nend\n";
        assert_eq!(
            shape(&of(script).unwrap()),
            "1 define go [2 commands|silent|end]; 6 document go [\"Goes.\", \"if it can\"]"
        );
    }

    #[test]
    fn mistakes_are_reported_with_their_line() {
        let fails = |text: &str| of(text).unwrap_err();
        assert_eq!(fails("run\nif 1\nelse\nelse\nend"), (4, "an if can have one else, which must come last".into()));
        assert_eq!(fails("if 1\nelse print 3\nend"), (2, "expected nothing or `if EXPR` after else".into()));
        assert_eq!(fails("if 1\nloop_break\nend"), (2, "loop_break is not inside a while".into()));
        assert_eq!(fails("\nwhile 1\n"), (2, "`while 1` has no `end`".into()));
        let deep = format!("{}{}", "if 1\n".repeat(5000), "end\n".repeat(5000));
        assert_eq!(fails(&deep).1, "blocks can be nested at most 64 deep");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "((if|while|else|end|define|document|commands|loop_break|é#\"|x)[ \n]){0,40}") {
            _ = of(&text);
        }
    }
}
