//! Commands about files and the session itself.

use super::super::{files, help};
use super::{CHANGING, Command, PLAIN, Takes};

pub const COMMANDS: &[Command] = &[
    Command {
        name: "save",
        usage: "save activations FILE.safetensors [SITES] [-all-rows]\nsave breakpoints FILE",
        about: "write values under their site names, or commands that set all stop points again",
        options: &[("-all-rows", "every row of the batch instead of the focused one")],
        examples: &[
            "run\nsave activations out.safetensors",
            "run\nsave activations z.safetensors L*.attn.z",
            "break L1 if 1 > 0\nsave breakpoints points.ldb",
        ],
        takes: Takes::Words(&["activations", "breakpoints"]),
        run: files::save,
        ..PLAIN
    },
    Command {
        name: "help",
        short: &["h"],
        usage: "help [COMMAND|GROUP|functions|FUNCTION]",
        about: "what commands there are, or what one does",
        examples: &["help break", "help functions"],
        takes: Takes::Command,
        run: help::help,
        ..PLAIN
    },
    Command {
        name: "apropos",
        usage: "apropos REGEX",
        about: "commands and functions whose name or description has something in it",
        examples: &["apropos branch", "apropos top-?k"],
        run: help::apropos,
        ..PLAIN
    },
    Command {
        name: "quit",
        short: &["q", "exit"],
        usage: "quit [STATUS]",
        about: "leave, with an exit status",
        examples: &["quit", "quit 3"],
        takes: Takes::Expression,
        run: help::quit,
        ..CHANGING
    },
];
