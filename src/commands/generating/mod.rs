//! Commands that run further passes.

use crate::commands::state::{CHANGING, Command, REPEATED, Takes, subject};

mod chat;
mod generation;

pub const COMMANDS: &[Command] = &[
    Command {
        name: "token",
        usage: "token [N]",
        about: "go to the end of the next pass, which computes one more token, or N passes on",
        examples: &["token", "token 3\ninfo passes"],
        run: generation::token,
        ..REPEATED
    },
    Command {
        name: "generate",
        usage: "generate N",
        about: "run N more passes, a token each, with stops on the way; then show the text",
        help: "How tokens are chosen is set by \"set generation\". After a stop, \"continue\" goes on.",
        examples: &["generate 5", "set generation temperature 0.8\ngenerate 5\ninfo alternatives"],
        run: generation::generate,
        ..CHANGING
    },
    Command {
        name: "chat",
        usage: "chat TEXT",
        about: "go on with a conversation: what was generated is the answer, TEXT what the user says then",
        help: "The prompt becomes what the chat template makes of the whole conversation, in a new branch, at its start; generate computes \
               the answer. Without an earlier turn (--chat), TEXT is the first. undo goes back to the turn before.",
        examples: &[
            "# llmdbg --chat -p \"Name a city.\" MODEL\n# generate 20\n# chat And in Italy?\n# generate 20\ninfo template",
            "# \"chat Hello\" begins a conversation with a model that has a chat template\ninfo template",
        ],
        takes: Takes::Nothing,
        run: chat::chat,
        ..CHANGING
    },
    Command {
        name: "reverse-token",
        short: &["rewind"],
        usage: "reverse-token [N]",
        about: "go back to the end of the pass before, or N passes back",
        help: "The passes stay: generating again with the same settings meets the same tokens, with others it opens a branch.",
        examples: &["generate 3\nreverse-token", "generate 3\nrewind 2"],
        run: generation::reverse_token,
        ..REPEATED
    },
];

pub const SUBJECTS: &[Command] = &[
    subject("alternatives", "info alternatives", "tokens that were nearly chosen at each pass", |console, _| {
        generation::alternatives(console)
    }),
    subject("passes", "info passes", "passes of this branch, and the token that each computes", |console, _| {
        generation::passes(console)
    }),
];
