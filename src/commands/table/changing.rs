//! Commands that change the model, the input or a value.

use super::super::{ablate, edits};
use super::{CHANGING, Command, Takes};

pub const COMMANDS: &[Command] = &[
    Command {
        name: "set",
        usage: "set LVALUE = EXPR\nset prompt TEXT\nset generation NAME VALUE",
        about: "change a site, the input, a weight, the cache, a variable or how tokens are chosen",
        help: "LVALUE: a site, tokens[N], param(\"NAME\"), kv(L, k), $cursor, each with a slice, or $name. Also += -= *= /=.",
        examples: &[
            "until L2.attn.pattern\nset $cursor[head=0] = 0\ncontinue",
            "set tokens[1] = \" Paul\"\nrun",
            "run\nset param(\"L0.mlp.W_in\")[0] *= 2",
            "set $x = 3\nprint $x * 2",
        ],
        takes: Takes::Expression,
        run: edits::set,
        ..CHANGING
    },
    Command {
        name: "ablate",
        usage: "ablate LOC [zero|mean|resample]",
        about: "take out a head, neurons, a site or a module: set it to zero, to its mean over positions, or to the next row's",
        help: "It lasts through later passes, unless LOC names positions.",
        examples: &["run\nablate L1H0", "run\nablate L2.mlp.post[neuron=0:64] mean", "run\nablate L3.attn"],
        takes: Takes::Location,
        run: ablate::ablate,
        ..CHANGING
    },
    Command {
        name: "undo",
        usage: "undo",
        about: "take the last edit back",
        examples: &["run\nablate L1H0\nundo", "set tokens[1] = \" Paul\"\nundo"],
        run: edits::undo,
        ..CHANGING
    },
    Command {
        name: "redo",
        usage: "redo",
        about: "make the edit again that was taken back",
        examples: &["run\nablate L1H0\nundo\nredo", "set tokens[1] = \" Paul\"\nundo\nredo"],
        run: edits::redo,
        ..CHANGING
    },
    Command {
        name: "checkout",
        usage: "checkout BRANCH",
        about: "go to another branch, at the same place of the run",
        examples: &["run\nablate L1H0\ncheckout main", "run\nablate L1H0\ncheckout main\ncheckout edit1"],
        takes: Takes::Branch,
        run: edits::checkout,
        ..CHANGING
    },
];
