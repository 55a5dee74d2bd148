//! Commands that say where to stop.

use super::super::breakpoints;
use super::{CHANGING, Command, Takes};

pub const COMMANDS: &[Command] = &[
    Command {
        name: "break",
        short: &["b"],
        usage: "break [LOC] [head=N] [pos=N] [row=N] [if EXPR]",
        about: "stop when a site has been computed, or before a module; without LOC where the cursor stands",
        help: "In the condition, $ is the value just computed, or its slice at head=N. A condition that fails to evaluate stops.",
        examples: &["break L2.attn.pattern if max($) > 0.5\nrun", "b L3", "break L1H0 if entropy($) > 1"],
        takes: Takes::Location,
        run: breakpoints::set,
        ..CHANGING
    },
    Command {
        name: "tbreak",
        short: &["tb"],
        usage: "tbreak [LOC] [head=N] [pos=N] [row=N] [if EXPR]",
        about: "a breakpoint that is deleted when it stops",
        examples: &["tbreak L1.mlp.post\nrun", "tb L2\ncontinue"],
        takes: Takes::Location,
        run: breakpoints::set_temporary,
        ..CHANGING
    },
    Command {
        name: "delete",
        short: &["d"],
        usage: "delete [N...]",
        about: "delete breakpoints: those named, or all",
        examples: &["break L1\nbreak L2\ndelete 2", "break L1\nbreak L2\nbreak L3\nd 1-2"],
        run: breakpoints::delete,
        ..CHANGING
    },
    Command {
        name: "enable",
        usage: "enable [once|delete|count K] [N...]",
        about: "enable breakpoints",
        help: "once disables after the next stop, delete deletes, count K disables after K stops.",
        examples: &["break L1\ndisable 1\nenable 1", "break L*.attn.z\nenable once 1\nrun"],
        takes: Takes::Words(&["once", "delete", "count"]),
        run: breakpoints::enable,
        ..CHANGING
    },
    Command {
        name: "disable",
        short: &["dis"],
        usage: "disable [N...]",
        about: "disable breakpoints",
        examples: &["break L1\ndisable 1", "break L1\nbreak L2\ndis"],
        run: breakpoints::disable,
        ..CHANGING
    },
    Command {
        name: "condition",
        short: &["cond"],
        usage: "condition N [EXPR]",
        about: "give breakpoint N a condition, or take it away",
        examples: &["break L*.mlp.post\ncondition 1 any(nan($))", "break L1.attn.z if max($) > 1\ncond 1"],
        takes: Takes::Expression,
        run: breakpoints::condition,
        ..CHANGING
    },
    Command {
        name: "ignore",
        usage: "ignore N COUNT",
        about: "let breakpoint N not stop the next COUNT times",
        examples: &["break L*.attn.z\nignore 1 2\nrun", "break L1\nignore 1 1"],
        run: breakpoints::ignore,
        ..CHANGING
    },
];
