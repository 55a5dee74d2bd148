//! Commands that run other commands: the engine carries them out, and here is what is said about them. Functions of expressions.

use crate::answer::Answer;
use crate::commands::frame::{Done, mistake};
use crate::commands::state::{CHANGING, Call, Command, Console, PLAIN, Takes, subject};
use crate::lang::eval::FUNCTIONS;
use crate::lang::functions::{self, UserFunction};
use crate::lang::{LangError, Span, parse_expr};

pub const COMMANDS: &[Command] = &[
    Command {
        name: "source",
        short: &["so"],
        usage: "source [-v] FILE",
        about: "run the commands of a file",
        help: "A relative name in a script is relative to its folder. The first command that fails ends it.",
        options: &[("-v", "show each command before it runs")],
        examples: &[
            "break L2.attn.pattern if max($) > 0.5\nsave breakpoints stops.ldb\nsource stops.ldb",
            "break L1\nsave breakpoints points.ldb\nsource -v points.ldb",
        ],
        takes: Takes::File,
        ..ELSEWHERE
    },
    Command {
        name: "transcript",
        usage: "transcript FILE\ntranscript off",
        about: "write commands and their answers to a file as they are shown",
        help: "An existing file is replaced. Commands of scripts and stop points are included.",
        examples: &["transcript session.txt\nrun\ntranscript off", "transcript session.txt\nbreak L1\nrun"],
        takes: Takes::File,
        ..ELSEWHERE
    },
    Command {
        name: "shell",
        short: &["!"],
        usage: "shell COMMAND\n!COMMAND",
        about: "run a command of the system's shell and show what it prints",
        help: "It has no terminal and reads nothing. Scripts may not do this, unless they are in the folder of the configuration, are a \
               trusted .llmdbg, or \"set shell on\" was typed before.",
        examples: &["shell echo hello", "!printf 'a b'"],
        ..ELSEWHERE
    },
    Command {
        name: "pipe",
        short: &["|"],
        usage: "pipe COMMAND | SHELL-COMMAND",
        about: "give what a command answers to a command of the system's shell",
        help: "The bar is between spaces. \"help shell\" explains which files may run programs.",
        examples: &["run\npipe info sites | grep pattern", "run\n| print/t prob | head -n 3"],
        takes: Takes::Command,
        ..ELSEWHERE
    },
    Command {
        name: "define",
        usage: "define NAME\nCOMMAND\n...\nend",
        about: "define a command that runs others",
        help: "$argc is how many arguments it was given, $arg0, $arg1... are their words, $arg* all of them; quotes keep spaces.\n\
               hook-COMMAND runs before a command and keeps it from running if it fails, hookpost-COMMAND after it, hook-stop at \
               every stop.",
        examples: &[
            "define peak\nprint max($arg0)\nend\nrun\npeak L1.attn.pattern",
            "define hook-stop\necho stopped\\n\nend\nbreak L1\nrun",
        ],
        ..ELSEWHERE
    },
    Command {
        name: "function",
        usage: "function NAME(X, ...) = EXPR",
        about: "define a function for expressions, conditions among them",
        help: "A call is replaced by the body, and X by its arguments; sites in it are those of where it is called. info functions \
               lists them.",
        examples: &[
            "function gap(a, b) = logit(a) - logit(b)\nrun\nprint gap(\" Mary\", \" John\")",
            "function peak(x) = max(abs(x))\nbreak L*.attn.z if peak($) > 3\nrun",
        ],
        takes: Takes::Expression,
        run: define,
        ..CHANGING
    },
    Command {
        name: "document",
        usage: "document NAME\nTEXT\n...\nend",
        about: "the text that help shows for a user-defined command",
        help: "help user-defined lists them.",
        examples: &[
            "define peak\nprint max($arg0)\nend\ndocument peak\nThe largest element of a site.\nend\nhelp peak",
            "define greet\necho hello\\n\nend\ndocument greet\nSays hello.\nend\nhelp user-defined",
        ],
        ..ELSEWHERE
    },
    Command {
        name: "if",
        usage: "if EXPR\nCOMMAND\n...\n[else [if EXPR]\nCOMMAND\n...]\nend",
        about: "run commands where a condition holds, perhaps others where it does not",
        examples: &[
            "run\nif max(L1.attn.pattern) > 0.9\necho sharp\\n\nelse\necho flat\\n\nend",
            "set $n = 2\nif $n == 1\necho one\\n\nelse if $n == 2\necho two\\n\nend",
        ],
        takes: Takes::Expression,
        ..ELSEWHERE
    },
    Command {
        name: "while",
        usage: "while EXPR\nCOMMAND\n...\nend",
        about: "run commands again and again as long as a condition holds",
        help: "loop_break leaves the loop, loop_continue goes to its next round. Ctrl-C ends it.",
        examples: &[
            "run\nset $h = 0\nwhile $h < 2\nprint max(L1.attn.pattern[$h])\nset $h += 1\nend",
            "start\nwhile 1\nstep\nif absmax($cursor) > 0\nloop_break\nend\nend",
        ],
        takes: Takes::Expression,
        ..ELSEWHERE
    },
    Command {
        name: "alias",
        usage: "alias [NAME = COMMAND]",
        about: "give a command, with or without its first arguments, another name; without arguments, list the \
               aliases",
        examples: &["alias top = print/t\nrun\ntop logits[-1]", "alias go = continue\nalias"],
        takes: Takes::Command,
        ..ELSEWHERE
    },
];

pub const SUBJECTS: &[Command] =
    &[subject("functions", "info functions", "functions that were defined with function", |_, call| defined(&call))];

/// `function NAME(X, ...) = EXPR`.
fn define(_console: &mut Console, call: Call<'_>) -> Done {
    let (rest, offset) = (call.args.rest, call.args.offset);
    let expected = || call.expected("a function and its body", "function gap(a, b) = logit(a) - logit(b)");
    let (head, params) = rest.split_once('(').ok_or_else(expected)?;
    let (params, body) = params.split_once(')').ok_or_else(expected)?;
    let body = body.trim_start().strip_prefix('=').ok_or_else(expected)?;
    let name = head.trim();
    let params: Vec<String> =
        params.split(',').map(|param| param.trim().to_string()).filter(|p| !p.is_empty()).collect();
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    let span = Span::new(offset, offset + head.trim_end().len());
    if let Some(wrong) = [name].into_iter().chain(params.iter().map(String::as_str)).find(|text| !is_name(text)) {
        return Err(mistake(format!("{wrong:?} is not a name"), span, "letters, digits and _, the first a letter"));
    }
    if FUNCTIONS.iter().any(|function| function.name == name) {
        return Err(mistake(format!("{name} is a function of the program"), span, "choose another name"));
    }
    let at = offset + rest.len() - body.trim_start().len();
    let body = parse_expr(body.trim(), at)?;
    functions::define(UserFunction { name: name.to_string(), params, body });
    Ok(Answer::Text(String::new()))
}

fn defined(call: &Call<'_>) -> Done {
    call.no_arguments()?;
    let all = functions::defined();
    if all.is_empty() {
        return Ok(Answer::Text("No functions are defined; help functions lists those of the program.".into()));
    }
    let line = |one: &UserFunction| format!("{}({}) = {}", one.name, one.params.join(", "), one.body);
    Ok(Answer::Text(all.iter().map(line).collect::<Vec<_>>().join("\n")))
}

/// A command that whoever runs lists of commands carries out, before it reaches a session.
const ELSEWHERE: Command = Command { run: elsewhere, ..PLAIN };

fn elsewhere(_console: &mut Console, call: Call<'_>) -> Done {
    Err(LangError::new(format!("{} cannot be used here", call.args.word), call.args.span).into())
}
