//! Commands that say where to stop.

use crate::commands::state::{CHANGING, Command, LOOKING, Takes, subject};
use crate::debugger::Disposition;

pub(crate) mod breakpoints;
mod catchpoints;
mod tracing;

/// A command that sets a stop point.
const POINT: Command = Command { options: &[("-name NAME", "a name for it")], takes: Takes::Location, ..CHANGING };

pub const COMMANDS: &[Command] = &[
    Command {
        name: "break",
        short: &["b"],
        usage: "break [-name NAME] [LOC] [head=N] [pos=N] [row=N] [if EXPR]",
        about: "stop when a site has been computed, or before a module; without LOC, at the cursor",
        help: "In the condition, $ is the value just computed, or its slice at head=N. A condition that fails to evaluate stops. A name \
               can be used wherever a number can.",
        examples: &[
            "break L2.attn.pattern if max($) > 0.5\nrun",
            "b L3",
            "break -name spread L1.attn.pattern if max(entropy($)) > 2",
        ],
        run: |console, call| breakpoints::set(console, &call, Disposition::Keep),
        ..POINT
    },
    Command {
        name: "tbreak",
        short: &["tb"],
        usage: "tbreak [-name NAME] [LOC] [head=N] [pos=N] [row=N] [if EXPR]",
        about: "a breakpoint that is deleted when it stops",
        examples: &["tbreak L1.mlp.post\nrun", "tb L2\ncontinue"],
        run: |console, call| breakpoints::set(console, &call, Disposition::Delete),
        ..POINT
    },
    Command {
        name: "rbreak",
        usage: "rbreak /REGEX/",
        about: "set a breakpoint on every site whose name matches",
        examples: &["rbreak /mlp.out$/\nrun", "rbreak attn\\.z$"],
        run: breakpoints::set_by_regex,
        ..CHANGING
    },
    Command {
        name: "watch",
        usage: "watch [-name NAME] EXPR [if EXPR]",
        about: "stop when the value of an expression changes",
        help: "It is evaluated after the ops that it depends on, in every block if it has bare names, and compared with what it was \
               after the one before. What a pass has not computed yet is what the pass before had.",
        examples: &["watch argmax(logits[-1])\nrun", "watch norm(resid_post[-1]) if $_pass == 0\nrun"],
        takes: Takes::Expression,
        run: catchpoints::watch,
        ..POINT
    },
    Command {
        name: "rwatch",
        usage: "rwatch [-name NAME] SITE [if EXPR]",
        about: "stop after each op that reads a site",
        help: "The stop is after the op, so $cursor is what it made of the value. ptype SITE lists the readers.",
        examples: &["rwatch L1.resid_pre\nrun", "rwatch L2.attn.pattern if max($) > 1\nrun"],
        run: |console, call| breakpoints::watch_access(console, &call, false),
        ..POINT
    },
    Command {
        name: "awatch",
        usage: "awatch [-name NAME] SITE [if EXPR]",
        about: "stop after the op that computes a site, and after each op that reads it",
        examples: &["awatch L1.resid_pre\nrun", "awatch L2.attn.z\nrun\ncontinue"],
        run: |console, call| breakpoints::watch_access(console, &call, true),
        ..POINT
    },
    Command {
        name: "catch",
        usage: "catch [-name NAME] nan|inf|dead [LOC] [if EXPR]\ncatch [-name NAME] overflow|norm-jump|saturated|diverge|vanish|explode [THRESHOLD] [LOC] [if EXPR]\ncatch [-name NAME] token \"TEXT\"|ID... [if EXPR]\ncatch [-name NAME] pass [if EXPR]",
        about: "stop where something happens: at the op that produces it, never where it is passed on",
        help: "nan and inf: the output has some and no value that was read has. overflow: a magnitude of at least 50000, where inputs are below. \
               norm-jump: a position of the residual stream grows more than tenfold over an addition. dead: a value or a head of it is \
               zero throughout, what it is made of is not. saturated: a head gives 0.999 of its attention to one key from every query, or a \
               pooler's tanh is that near to one. diverge: an element is further than 2e-4 of its size (as diff has it) from the side \
               that \"set compare\" names, and nothing that was read is. vanish, explode: in \"backward -step\", a gradient of the residual stream has a norm \
               below 1e-7, or above 1e4, where those it comes from have not. token: one of these tokens is chosen. pass: a token's pass begins. Minus infinity in \
               scores is a mask. The stop names element, head and token, and what it was computed from.",
        examples: &[
            "catch nan\nrun",
            "catch norm-jump 3 L*\nrun",
            "catch token \".\"\ngenerate 3",
            "load tiny-gpt2 as other\nset param(\"L1.mlp.W_out\") *= 1.01\nset compare other\ncatch diverge\nrun",
        ],
        takes: Takes::Words(&catchpoints::EVENTS),
        run: catchpoints::catch,
        ..POINT
    },
    Command {
        name: "trace",
        usage: "trace [-name NAME] LOC [/EXPR/] [count|EXPR|hist EXPR]",
        about: "count crossings, or keep a number or a histogram at each, without stopping; \"info trace\" shows \
               them",
        help: "Only crossings where the filter /EXPR/ holds count. $ is the value just computed. Crossing a place again replaces what was kept.",
        examples: &[
            "trace L*.attn.pattern /max($) > 0.9/ count\nrun\ninfo trace",
            "trace L*.resid_post norm($[-1])\nrun\ninfo trace",
            "trace L*.mlp.post hist $\nrun\ninfo trace",
        ],
        run: tracing::trace,
        ..POINT
    },
    Command {
        name: "dprintf",
        usage: "dprintf [-name NAME] LOC,\"FORMAT\",EXPR...",
        about: "print whenever LOC is crossed, without stopping",
        examples: &[
            "dprintf L*.mlp.post,\"largest neuron %.3f\\n\",max($)\nrun",
            "dprintf L2.attn.pattern,\"head 0 looks at %d\\n\",argmax($[head=0, q=-1])\nrun",
        ],
        run: tracing::dprintf,
        ..POINT
    },
    Command {
        name: "commands",
        usage: "commands [N...]\nCOMMAND\n...\nend",
        about: "commands that run when a stop point has stopped; without N for the last one",
        help: "If the first is \"silent\", the stop itself is not reported. A command that moves the cursor ends the \
               list.",
        examples: &[
            "break L2.attn.pattern\ncommands\nprint max($cursor)\nend\nrun",
            "break L1\nbreak L2\ncommands 1-2\nsilent\nbacktrace\nend",
        ],
        run: breakpoints::commands,
        ..CHANGING
    },
    Command {
        name: "delete",
        short: &["d"],
        usage: "delete [breakpoints] [N...]\ndelete checkpoint N...",
        about: "delete breakpoints: those named, or all; or checkpoints",
        examples: &[
            "start\ncheckpoint\ndelete checkpoint 1",
            "break L1\nbreak L2\ndelete 2",
            "break L1\nbreak L2\nbreak L3\nd 1-2",
        ],
        run: breakpoints::delete,
        ..CHANGING
    },
    Command {
        name: "clear",
        usage: "clear [LOC]",
        about: "delete the breakpoints at a location, or at the cursor",
        help: "delete takes numbers, and deletes stop points of all kinds.",
        examples: &["break L2.attn.z\nclear L2.attn.z", "break L1\nrun\nclear"],
        takes: Takes::Location,
        run: breakpoints::clear,
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
        usage: "condition N [EXPR]\ncondition -hits N [> COUNT|>= COUNT|< COUNT|<= COUNT|== COUNT|!= COUNT|% COUNT]",
        about: "give breakpoint N a condition, or one on its number of hits, or take it away",
        help: "A hit is a crossing whose condition holds. % COUNT stops at every COUNT-th hit.",
        options: &[("-hits", "on the number of hits")],
        examples: &[
            "break L*.mlp.post\ncondition 1 any(nan($))",
            "break L1.attn.z if max($) > 1\ncond 1",
            "break L*.attn.z\ncondition -hits 1 % 2\nrun",
        ],
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

pub const SUBJECTS: &[Command] = &[
    Command {
        name: "breakpoints",
        short: &["b"],
        usage: "info breakpoints",
        about: "stop points with their conditions, hits and commands",
        run: |console, _| Ok(breakpoints::table(console)),
        ..LOOKING
    },
    subject("trace", "info trace [N...]", "what tracepoints have kept", tracing::info),
];
