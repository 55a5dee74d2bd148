//! The table of commands.

use super::console::{Console, Done};
use super::{ablate, breakpoints, check, data, dump, edits, files, generation, help, info, motion};
use crate::debugger::Progress;
use crate::lang::command::CommandLine;

/// One command.
pub struct Command {
    /// Its full name.
    pub name: &'static str,
    /// Short forms that are reserved for it.
    pub short: &'static [&'static str],
    /// What it takes, as in a manual.
    pub usage: &'static str,
    /// One line.
    pub about: &'static str,
    /// Examples, one a line.
    pub examples: &'static str,
    /// Whether an empty line repeats it.
    pub repeats: bool,
    /// Whether it may change what a screen shows.
    pub changes: bool,
    pub(super) run: fn(&mut Console, Call<'_, '_>) -> Done,
}

/// A command line being run.
pub struct Call<'a, 'p> {
    /// The whole line, which spans point into.
    pub line: &'a str,
    /// Its parts.
    pub args: &'a CommandLine<'a>,
    /// What to tell while running.
    pub progress: Progress<'p>,
}

macro_rules! command {
    ($name:literal, $short:expr, $usage:literal, $about:literal, $examples:literal, $flags:ident, $run:path) => {
        Command {
            name: $name,
            short: &$short,
            usage: $usage,
            about: $about,
            examples: $examples,
            repeats: matches!(Flags::$flags, Flags::Repeats),
            changes: matches!(Flags::$flags, Flags::Repeats | Flags::Changes),
            run: $run,
        }
    };
}

/// What the frontends must know of a command.
enum Flags {
    /// Only looks; not repeated.
    Looks,
    /// Changes what is shown; not repeated.
    Changes,
    /// Changes what is shown; an empty line repeats it.
    Repeats,
}

/// Every command, in the order of the manual.
pub static COMMANDS: &[Command] = &[
    // Moving
    command!("run", ["r"], "run", "start the pass and go to the first stop; edits stay", "run", Changes, motion::run),
    command!("start", [], "start", "start the pass and stop before its first op", "start", Changes, motion::start),
    command!("step", ["s"], "step [N]", "compute the next op (or N ops)", "step\ns 10", Repeats, motion::step),
    command!(
        "next",
        ["n"],
        "next [N]",
        "go past the next sibling: an op, or a whole module if the cursor is at its start",
        "next",
        Repeats,
        motion::next
    ),
    command!(
        "finish",
        ["fin", "f"],
        "finish",
        "go to the end of the current module; its output becomes $",
        "finish",
        Repeats,
        motion::finish
    ),
    command!(
        "until",
        ["u"],
        "until LOC",
        "go to LOC in this pass, in either direction",
        "until L2.attn.pattern",
        Changes,
        motion::until
    ),
    command!(
        "advance",
        [],
        "advance LOC",
        "go to LOC in this pass, in either direction",
        "advance L3",
        Changes,
        motion::until
    ),
    command!(
        "continue",
        ["c"],
        "continue [N]",
        "go to the next stop; N ignores the breakpoint stopped at N-1 times",
        "continue\nc 3",
        Repeats,
        motion::go_on
    ),
    command!(
        "layer",
        [],
        "layer [N]",
        "go to the start of the next block, or of block N",
        "layer\nlayer 2",
        Repeats,
        motion::layer
    ),
    command!(
        "goto",
        [],
        "goto LOC",
        "go to LOC in this pass, in either direction",
        "goto L0.attn.q",
        Changes,
        motion::until
    ),
    command!(
        "reverse-step",
        ["rs"],
        "reverse-step [N]",
        "go back one op (or N ops)",
        "rs",
        Repeats,
        motion::reverse_step
    ),
    command!(
        "reverse-next",
        ["rn"],
        "reverse-next [N]",
        "go back past the previous sibling: an op, or a whole module if the cursor is at its end",
        "rn",
        Repeats,
        motion::reverse_next
    ),
    command!(
        "reverse-finish",
        ["rf"],
        "reverse-finish",
        "go back to the start of the current module",
        "rf",
        Repeats,
        motion::reverse_finish
    ),
    command!(
        "reverse-continue",
        ["rc"],
        "reverse-continue",
        "go back to the previous stop, or to the beginning",
        "rc",
        Repeats,
        motion::reverse_continue
    ),
    command!(
        "reverse-layer",
        ["rl"],
        "reverse-layer",
        "go back to the start of this block, or of the one before",
        "rl",
        Repeats,
        motion::reverse_layer
    ),
    command!(
        "token",
        [],
        "token [N]",
        "go to the end of the next pass, which computes one more token, or N passes on",
        "token\ntoken 3",
        Repeats,
        generation::token
    ),
    command!(
        "generate",
        [],
        "generate N",
        "run N more passes, a token each, with stops on the way; then show the text",
        "generate 10",
        Changes,
        generation::generate
    ),
    command!(
        "reverse-token",
        ["rewind"],
        "reverse-token [N]",
        "go back to the end of the pass before, or N passes back",
        "reverse-token\nrewind 3",
        Repeats,
        generation::reverse_token
    ),
    // Stopping
    command!(
        "break",
        ["b"],
        "break LOC [head=N] [pos=N] [if EXPR]",
        "stop when a site has been computed, or before a module; without LOC where the cursor stands",
        "break L2.attn.pattern if max($) > 0.5\nb L3",
        Changes,
        breakpoints::set
    ),
    command!(
        "tbreak",
        ["tb"],
        "tbreak LOC [head=N] [pos=N] [if EXPR]",
        "a breakpoint that is deleted when it stops",
        "tbreak L1.mlp.post",
        Changes,
        breakpoints::set_temporary
    ),
    command!(
        "delete",
        ["d"],
        "delete [N...]",
        "delete breakpoints: those named, or all",
        "delete 2\nd 1-3",
        Changes,
        breakpoints::delete
    ),
    command!(
        "enable",
        [],
        "enable [once|delete|count K] [N...]",
        "enable breakpoints",
        "enable 2\nenable once 3",
        Changes,
        breakpoints::enable
    ),
    command!("disable", ["dis"], "disable [N...]", "disable breakpoints", "disable 2", Changes, breakpoints::disable),
    command!(
        "condition",
        ["cond"],
        "condition N [EXPR]",
        "give breakpoint N a condition, or take it away",
        "condition 2 any(nan($))",
        Changes,
        breakpoints::condition
    ),
    command!(
        "ignore",
        [],
        "ignore N COUNT",
        "let breakpoint N not stop the next COUNT times",
        "ignore 1 2",
        Changes,
        breakpoints::ignore
    ),
    // Looking
    command!(
        "print",
        ["p"],
        "print[/F] EXPR",
        "evaluate an expression; it becomes $N. F: s summary, t top-k, h heat map, a all, r raw, d x f e numbers",
        "p max(L2.attn.pattern)\np/t logits[-1]\np/h L2.attn.pattern[head=0]",
        Looks,
        data::print
    ),
    command!(
        "output",
        [],
        "output[/F] EXPR",
        "print without a number in the history",
        "output mean(L0.resid_pre)",
        Looks,
        data::output
    ),
    command!(
        "printf",
        [],
        "printf \"FORMAT\", EXPR...",
        "print with a format",
        "printf \"max %.3f\\n\", max($cursor)",
        Looks,
        data::printf
    ),
    command!("echo", [], "echo TEXT", "print text; \\n and the like are understood", "echo here\\n", Looks, data::echo),
    command!(
        "x",
        [],
        "x[/NF] EXPR",
        "dump raw elements; an empty line goes on where it ended",
        "x/8 L0.resid_pre[pos=0]",
        Repeats,
        dump::examine
    ),
    command!(
        "display",
        ["disp"],
        "display[/F] EXPR",
        "show an expression at every stop; alone, show all now",
        "display/t logits[-1]",
        Changes,
        data::display
    ),
    command!(
        "undisplay",
        [],
        "undisplay [N...]",
        "no longer show expressions at stops",
        "undisplay 1",
        Changes,
        data::undisplay
    ),
    command!("whatis", [], "whatis EXPR", "shape, kind and device of a value", "whatis L0.attn.q", Looks, data::whatis),
    command!(
        "assert",
        [],
        "assert EXPR [, \"MESSAGE\"]",
        "fail (exit status 3 in batch) unless EXPR holds",
        "assert max(L0.attn.pattern) <= 1, \"probabilities\"",
        Looks,
        data::assert
    ),
    command!(
        "check",
        [],
        "check cache [TOLERANCE]",
        "whether passes with the key/value cache compute what one pass over the whole text does",
        "check cache",
        Looks,
        check::check
    ),
    command!(
        "backtrace",
        ["bt", "where", "w"],
        "backtrace",
        "the modules around the cursor",
        "bt",
        Looks,
        info::backtrace
    ),
    command!("list", ["l"], "list [LOC]", "ops around the cursor or LOC", "list\nlist L2", Looks, info::list),
    command!(
        "info",
        ["i"],
        "info WHAT",
        "alternatives, breakpoints, branches, display, edits, generation, model, modules, passes, record, sites, tokens, weights",
        "info breakpoints\ni tokens",
        Looks,
        info::info
    ),
    command!(
        "focus",
        [],
        "focus [row=N] [pos=N] [head=N]",
        "the row, position and head that commands and panes default to; alone, tell them",
        "focus pos=\" Mary\" head=1",
        Changes,
        info::focus
    ),
    // Changing
    command!(
        "set",
        [],
        "set LVALUE = EXPR | set prompt TEXT | set generation NAME VALUE",
        "change a site, the input, a weight, the cache, a variable or how tokens are chosen; also += -= *= /=",
        "set generation temperature 0.8\nset kv(0, v)[pos=0] = 0\nset L2.attn.pattern[head=0] = 0\nset tokens[1] = \" Paris\"\nset param(\"L0.mlp.W_in\")[0] *= 2\nset $x = 3",
        Changes,
        edits::set
    ),
    command!(
        "ablate",
        [],
        "ablate LOC [zero|mean|resample]",
        "take out a head, neurons, a site or a module: set it to zero, to its mean over positions, or to the next row's",
        "ablate L1H0\nablate L2.mlp.post[neuron=0:64] mean\nablate L3.attn",
        Changes,
        ablate::ablate
    ),
    command!("undo", [], "undo", "take the last edit back", "undo", Changes, edits::undo),
    command!("redo", [], "redo", "make the edit again that was taken back", "redo", Changes, edits::redo),
    command!(
        "checkout",
        [],
        "checkout BRANCH",
        "go to another branch, at the same place of the pass",
        "checkout main",
        Changes,
        edits::checkout
    ),
    // Files and the rest
    command!(
        "save",
        [],
        "save activations FILE.safetensors [SITES] [-all-rows]",
        "write values under their site names",
        "save activations out.safetensors\nsave activations z.safetensors L*.attn.z",
        Looks,
        files::save
    ),
    command!(
        "help",
        ["h"],
        "help [COMMAND]",
        "what commands there are, or what one does",
        "help break",
        Looks,
        help::help
    ),
    command!("quit", ["q", "exit"], "quit [STATUS]", "leave, with an exit status", "quit", Changes, help::quit),
];

/// Reserved short forms, which win over prefixes.
pub static SHORT: &[(&str, &str)] = &[
    ("r", "run"),
    ("s", "step"),
    ("n", "next"),
    ("f", "finish"),
    ("fin", "finish"),
    ("u", "until"),
    ("c", "continue"),
    ("rs", "reverse-step"),
    ("rn", "reverse-next"),
    ("rf", "reverse-finish"),
    ("rc", "reverse-continue"),
    ("rl", "reverse-layer"),
    ("rewind", "reverse-token"),
    ("b", "break"),
    ("tb", "tbreak"),
    ("d", "delete"),
    ("dis", "disable"),
    ("cond", "condition"),
    ("p", "print"),
    ("disp", "display"),
    ("bt", "backtrace"),
    ("where", "backtrace"),
    ("w", "backtrace"),
    ("l", "list"),
    ("i", "info"),
    ("h", "help"),
    ("q", "quit"),
    ("exit", "quit"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_are_those_of_the_table() {
        let mut listed: Vec<(&str, &str)> =
            COMMANDS.iter().flat_map(|command| command.short.iter().map(|short| (*short, command.name))).collect();
        let mut reserved = SHORT.to_vec();
        listed.sort_unstable();
        reserved.sort_unstable();
        assert_eq!(listed, reserved);
    }
}
