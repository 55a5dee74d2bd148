//! Commands that look at values and at the session.

use crate::commands::frame::{ALL, TOP};
use crate::commands::state::{CHANGING, Command, Journalled, LOOKING, PLAIN, Repeats, Takes, subject};

mod check;
mod data;
mod examine;
mod frames;
mod session;
mod tokens;
mod weights;

pub const COMMANDS: &[Command] = &[
    Command {
        name: "print",
        short: &["p", "call", "inspect"],
        usage: "print[/F] [EXPR]",
        about: "evaluate an expression; it becomes $N",
        help: "F: s summary (the default), t top-k, h heat map, g histogram, a all, r raw, d x f e numbers; 5t shows five.",
        examples: &[
            "run\np max(L2.attn.pattern)",
            "run\np/t logits[-1]",
            "run\np/8g L2.mlp.post",
            "run\np/h L2.attn.pattern[head=0]",
        ],
        takes: Takes::Expression,
        run: data::print,
        journalled: Journalled::Before,
        ..PLAIN
    },
    Command {
        name: "output",
        usage: "output[/F] EXPR",
        about: "print without a number in the history",
        examples: &["run\noutput mean(L0.resid_pre)", "run\noutput/3t prob"],
        takes: Takes::Expression,
        run: data::output,
        ..LOOKING
    },
    Command {
        name: "printf",
        usage: "printf \"FORMAT\", EXPR...",
        about: "print with a format",
        examples: &["step\nprintf \"max %.3f\\n\", max($cursor)", "run\nprintf \"%d tokens\\n\", shape(tokens)[0]"],
        takes: Takes::Expression,
        run: data::printf,
        ..PLAIN
    },
    Command {
        name: "echo",
        usage: "echo TEXT",
        about: "print text; \\n and the like are understood",
        examples: &["echo here\\n", "echo two\\nlines\\n"],
        run: data::echo,
        ..PLAIN
    },
    Command {
        name: "x",
        usage: "x[/NF] EXPR",
        about: "dump raw elements; an empty line goes on where it ended",
        examples: &["run\nx/8 L0.resid_pre[pos=0]", "run\nx/4x L0.attn.z\nx"],
        takes: Takes::Expression,
        repeats: Repeats::Word,
        run: examine::examine,
        ..CHANGING
    },
    Command {
        name: "display",
        short: &["disp"],
        usage: "display[/F] [EXPR]",
        about: "show an expression at every stop; without an expression, show all displays now",
        examples: &["run\ndisplay/t logits[-1]", "display max($cursor)\nstep"],
        takes: Takes::Expression,
        run: data::display,
        ..CHANGING
    },
    Command {
        name: "undisplay",
        usage: "undisplay [N...]",
        about: "no longer show expressions at stops",
        examples: &["run\ndisplay loss\nundisplay 1", "run\ndisplay loss\ndisplay 1 + 1\nundisplay"],
        run: data::undisplay,
        ..CHANGING
    },
    Command {
        name: "whatis",
        usage: "whatis EXPR",
        about: "shape, kind and device of a value",
        examples: &["run\nwhatis L0.attn.q", "whatis param(\"W_E\")"],
        takes: Takes::Expression,
        run: data::whatis,
        ..LOOKING
    },
    Command {
        name: "ptype",
        usage: "ptype EXPR",
        about: "of a site: its shape, what it is computed from and what reads it; else what whatis says",
        help: "A site need not be computed yet.",
        examples: &["ptype L2.attn.pattern", "run\nptype logits[-1]"],
        takes: Takes::Expression,
        run: data::ptype,
        ..LOOKING
    },
    Command {
        name: "assert",
        usage: "assert EXPR [, \"MESSAGE\"]",
        about: "fail (exit status 3 in batch) unless EXPR holds",
        examples: &["run\nassert max(L0.attn.pattern) <= 1, \"probabilities\"", "run\nassert !any(nan(logits))"],
        takes: Takes::Expression,
        run: data::assert,
        ..PLAIN
    },
    Command {
        name: "backtrace",
        short: &["bt", "where", "w"],
        usage: "backtrace",
        about: "the modules around the cursor",
        examples: &["until L2.attn.pattern\nbt", "backtrace"],
        run: frames::backtrace,
        ..LOOKING
    },
    Command {
        name: "frame",
        usage: "frame [N|MODULE]",
        about: "select a module around the cursor: its number in backtrace, or its name; alone, show the selected one",
        help: "info frame, info locals, info args, list and finish are about the selected frame. A motion selects the innermost one again.",
        examples: &["until L2.attn.pattern\nframe 1\ninfo locals", "until L2.attn.pattern\nframe L2\nfinish"],
        takes: Takes::Location,
        run: frames::frame,
        ..LOOKING
    },
    Command {
        name: "up",
        usage: "up [N]",
        about: "select the module around the selected frame",
        examples: &["until L2.attn.pattern\nup\nup", "until L2.attn.pattern\nup 2\ninfo frame"],
        run: frames::up,
        ..LOOKING
    },
    Command {
        name: "down",
        usage: "down [N]",
        about: "select the frame within the selected one",
        examples: &["until L2.attn.pattern\nup 2\ndown", "until L1.mlp.post\nframe 2\ndown"],
        run: frames::down,
        ..LOOKING
    },
    Command {
        name: "find",
        usage: "find [-top N] [-all] EXPR[, VALUE]",
        about: "the elements for which a condition holds, or which have a value",
        examples: &["run\nfind L2.attn.pattern > 0.9", "run\nfind tokens, 12", "run\nfind -top 3 L1.mlp.post > 1"],
        options: &[TOP, ALL],
        takes: Takes::Expression,
        run: frames::find,
        ..LOOKING
    },
    Command {
        name: "last",
        usage: "last EXPR",
        about: "the value of an expression at the last stop, and now",
        examples: &["until L1\nuntil L2\nlast norm($cursor[-1])", "step\nstep\nlast max($cursor)"],
        takes: Takes::Expression,
        run: frames::last,
        ..LOOKING
    },
    Command {
        name: "list",
        short: &["l"],
        usage: "list [LOC]",
        about: "ops around the cursor or LOC",
        examples: &["list", "list L2"],
        takes: Takes::Location,
        run: session::list,
        ..LOOKING
    },
    Command {
        name: "info",
        short: &["i"],
        usage: "info WHAT\ninfo trace [N...]\ninfo weights [PATTERN...] [-against FILE | -block N | -check]",
        about: "report the session: breakpoints, model, tokens and more",
        help: "Weights are those of the files: name, role, shape, how they are stored, and the range of what was loaded; PATTERN is a name or a role, and * and ** stand for any part of one.",
        options: WEIGHTS,
        examples: &[
            "break L1\ninfo breakpoints",
            "i tokens",
            "info weights blocks.0.attn.W_*",
            "info weights W_pos -block 0",
        ],
        takes: Takes::Subjects,
        run: session::info,
        ..LOOKING
    },
    Command {
        name: "focus",
        usage: "focus [row=N] [pos=N] [head=N]",
        about: "the row, position and head that commands and panes use by default; without arguments, show them",
        examples: &["focus pos=\" Mary\" head=1", "focus"],
        run: session::focus,
        ..CHANGING
    },
];

const WEIGHTS: &[(&str, &str)] = &[
    (
        "-against FILE",
        "how far the weights are from the same ones in another file, such as quantised ones from full precision",
    ),
    ("-block N", "the bytes of one stored block, and the numbers that they become"),
    ("-check", "whether the files are as the hub gave them, by their hashes; an error if one is not"),
];

pub const SUBJECTS: &[Command] = &[
    subject("args", "info args", "what the selected module reads from outside", frames::args),
    subject("frame", "info frame", "the selected frame: its ops, what it reads, what is read after it", frames::info),
    subject("line", "info line [LOC]", "which ops a site or a module is", frames::line),
    subject("locals", "info locals", "what the selected module computes itself, and its values so far", frames::locals),
    subject("program", "info program", "whether the pass runs, and why it has stopped", frames::program),
    subject("scope", "info scope [LOC]", "the names that can be written without a block at a location", frames::scope),
    subject("display", "info display", "displays, and what each gives now", |console, _| Ok(console.display_table())),
    subject("model", "info model", "the model: its shape, files, types, and what is not used of them", |console, _| {
        Ok(session::model(console))
    }),
    subject("modules", "info modules", "modules with their ops", |console, _| Ok(session::modules(console))),
    subject("record", "info record", "how much is recorded, and how much of the budget that takes", |console, _| {
        Ok(session::record(console))
    }),
    subject("session", "info session", "where the session is: model, run, cursor, focus, memory", |console, _| {
        Ok(session::registers(console))
    }),
    subject("sites", "info sites", "every op with its site and shape", |console, _| Ok(session::sites(console))),
    subject("template", "info template", "chat templates of the model", |console, _| Ok(session::template(console))),
    subject("tokens", "info tokens", "tokens of the focused row, and what is unusual about them", tokens::info),
    Command {
        name: "weights",
        usage: "info weights [PATTERN...] [-against FILE | -block N | -check]",
        about: "weights of the files: name, role, shape, type and range",
        options: WEIGHTS,
        run: weights::info,
        ..LOOKING
    },
];
