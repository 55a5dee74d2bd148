//! Commands about files and the session itself.

mod apropos;
mod help;
mod layout;
mod peers;
mod settings;

pub use help::AGENT;

use crate::commands::frame::{ALL, TOP};
use crate::commands::saving;
use crate::commands::state::{CHANGING, Command, Journalled, LOOKING, PLAIN, Takes, subject};

pub const COMMANDS: &[Command] = &[
    Command {
        name: "save",
        usage: "save activations FILE.safetensors [SITES] [-all-rows]\nsave gradients FILE.safetensors [SITES] [-all-rows]\nsave attribution FILE.html\nsave picture FILE.png|FILE.svg EXPR\nsave value FILE.npy|.npz|.safetensors|.csv|.json EXPR\nsave table FILE.csv|.html|.json|.svg|.png\nsave events FOLDER\nsave report FILE.html\nsave breakpoints FILE\nsave edits FILE\nsave core FILE [SITES]",
        about: "write values or gradients under their site names, the last attribution as a page, a matrix as a picture, a value or the last table for other programs, statistics by layer for TensorBoard, the session as a page, commands that set all stop points again, the edits of this branch, or the whole session, to look at without the model or to run again",
        options: &[("-all-rows", "every row of the batch instead of the focused one")],
        examples: &[
            "run\nsave activations out.safetensors",
            "run\nsave activations z.safetensors L*.attn.z",
            "run\nbackward loss\nsave gradients gradients.safetensors",
            "run\nattr ig\nsave attribution tokens.html",
            "run\nsave picture pattern.png L2.attn.pattern[head=3]",
            "run\nsave value z.npy L2.attn.z\nsave value top.csv logits[-1]",
            "run\nheads\nsave table heads.csv",
            "run\nsave events runs/one",
            "run\nlens\nsave report session.html",
            "run\nablate L1H0\nsave edits edits.json",
            "run\nsave core crash.core L1.attn.pattern",
            "break L1 if 1 > 0\nsave breakpoints points.ldb",
        ],
        takes: Takes::Kinds(saving::KINDS),
        recorded: false,
        run: saving::save,
        ..PLAIN
    },
    Command {
        name: "load",
        usage: "load MODEL as NAME [-device DEVICE] [-dtype f32|f16]\nload edits FILE",
        about: "another model next to this one, to compare with and to switch to; or the edits of a file written by \
               save edits",
        help: "The other model reads the same tokens, or the same text if its vocabulary differs; it runs when \
               something is requested from it. Edits must fit this model and its prompt; each is checked before any \
               is made.",
        options: &[
            (
                "-device DEVICES",
                "where it computes, on one device or on several in equal shares; else where this model does",
            ),
            ("-dtype TYPE", "what it is held in; else what this model is"),
        ],
        examples: &[
            "load tiny-gpt2 as half -dtype f16\nrun\ndiff half -atol 1e-2",
            "load tiny-gpt2 as other\nuse other\nrun\nset L1.attn.z = 0\nuse first\nrun\nbisect other",
            "run\nablate L1H0\nsave edits edits.json\ndrop edits\nload edits edits.json",
            "set param(\"L0.mlp.W_out\")[3] = 0\nsave edits neuron.json\nundo\nload edits neuron.json",
        ],
        takes: Takes::Words(&["edits"]),
        run: peers::load,
        ..CHANGING
    },
    Command {
        name: "load-dump",
        usage: "load-dump FILE as NAME [map MAP.json] [-prefix TEXT]",
        about: "values that were written elsewhere, as a run that has values and no program",
        help: "FILE is safetensors or npz. A name in it is a site, a name of TransformerLens, or a module of the checkpoint \
               (transformer.h.0.attn.c_attn, whose output is cut into queries, keys and values); MAP.json says the rest: \
               {\"decoder.*.ffn\": \"blocks.*.mlp_out\"}, where * is a number. Batch axes, heads on one axis, and axes in another order are \
               recognised, and reported by diff. llmdbg-dump-hf and llmdbg-dump-torch (python/ in the sources) write such files.",
        options: &[("-prefix TEXT", "take a beginning off the names")],
        examples: &[
            "run\nsave activations out.safetensors\nload-dump out.safetensors as before\nset L1.attn.z[head=0] = 0\ndiff before",
            "run\nsave activations out.safetensors\nload-dump out.safetensors as before\nprint absmax(logits - logits@before)",
        ],
        takes: Takes::File,
        run: peers::load_dump,
        ..CHANGING
    },
    Command {
        name: "use",
        usage: "use NAME",
        about: "go to another model of this session",
        help: "The model that the session began with is called first. Stop points, branches and the cursor are each model's own; the value \
               history, variables and displays go along.",
        examples: &[
            "load tiny-gpt2 as other\nuse other\nrun\nuse first",
            "load tiny-gpt2 as other\nuse other\ninfo models",
        ],
        takes: Takes::Branch,
        run: peers::switch,
        ..CHANGING
    },
    Command {
        name: "export",
        usage: "export model DIR",
        about: "write the model of this branch, with its edited weights, as a checkpoint that transformers opens",
        help: "Tensors keep the type that they are stored in. DIR must be new or empty.",
        examples: &["export model copy", "run\nset param(\"L0.mlp.W_out\")[3] = 0\nexport model without_neuron"],
        takes: Takes::Words(&["model"]),
        run: saving::model::export,
        ..PLAIN
    },
    Command {
        name: "layout",
        short: &["la"],
        usage: "layout [NAME|next|prev]",
        about: "choose the panes of the full screen; without an argument, list the layouts",
        help: "NAME: program, attention, lens, diff, grad, generate, session, or one of layouts.toml. Anywhere else it has no effect that \
               shows.",
        examples: &["layout attention", "layout next\nlayout"],
        run: layout::layout,
        ..CHANGING
    },
    Command {
        name: "show",
        usage: "show [SETTING]\nshow commands\nshow version",
        about: "what a setting is, or what all of them are; the last commands typed; the version",
        help: "set SETTING VALUE changes one.",
        examples: &["show", "set list-size 4\nshow list-size\nlist"],
        takes: Takes::Setting,
        run: settings::show,
        ..LOOKING
    },
    Command {
        name: "help",
        short: &["h"],
        usage: "help [GROUP|COMMAND|FUNCTION|all|functions|settings|gdb]",
        about: "list the groups of commands, the commands of one, or describe a command or a function",
        help: "Groups are moving, generating, stopping, looking, explaining, comparing, changing, scripting and session. help gdb maps the \
               commands of gdb to those here.",
        examples: &["help", "help stopping", "help break", "help functions", "help gdb"],
        takes: Takes::Command,
        recorded: false,
        run: help::help,
        ..LOOKING
    },
    Command {
        name: "apropos",
        usage: "apropos [-top N] [-all] REGEX",
        about: "commands, options, settings, functions, sites and topics that have to do with a word, names first",
        options: &[TOP, ALL],
        examples: &["apropos branch", "apropos temperature", "apropos -all top-?k"],
        run: apropos::apropos,
        ..LOOKING
    },
    Command {
        name: "target",
        usage: "target remote SOCKET\ntarget remote | COMMAND",
        about: "go to a session elsewhere, on a socket or at the other end of a command such as ssh",
        help: "The session of this process waits, as it was left. It works at a prompt and with --ex, and not in scripts. docs/remote.md \
               has more.",
        examples: &["target remote | ssh box llmdbg serve --stdio tiny-gpt2", "target remote nurse.sock"],
        takes: Takes::File,
        recorded: false,
        run: help::elsewhere,
        ..PLAIN
    },
    Command {
        name: "disconnect",
        usage: "disconnect",
        about: "come back from the session elsewhere that target remote went to",
        help: "A session on a socket goes on without this connection; one that a command serves ends with it.",
        examples: &["disconnect", "target remote nurse.sock\nrun\ndisconnect"],
        recorded: false,
        run: help::here,
        ..PLAIN
    },
    Command {
        name: "quit",
        short: &["q", "exit"],
        usage: "quit [STATUS]",
        about: "leave, with an exit status",
        examples: &["quit", "quit 3"],
        takes: Takes::Expression,
        recorded: false,
        run: help::quit,
        journalled: Journalled::Not,
        ..CHANGING
    },
];

pub const SUBJECTS: &[Command] = &[
    subject("generation", "info generation", "settings of generation", |console, _| {
        Ok(settings::of_group(console, "generation"))
    }),
    subject("models", "info models", "models and dumps of this session", |console, _| Ok(peers::info(console))),
    subject("settings", "info settings", "every setting, its value, and where that comes from", |console, _| {
        Ok(settings::all(console))
    }),
];
