//! Commands that change the model, the input or a value.

use crate::commands::state::{CHANGING, Command, Takes, subject};

mod ablate;
mod branching;
pub(crate) mod edits;
mod lora;
mod steering;
mod tokens;

pub const COMMANDS: &[Command] = &[
    Command {
        name: "set",
        usage: "set LVALUE = EXPR\nset prompt TEXT\nset SETTING VALUE",
        about: "change a site, the input, a weight, the cache, a variable or a setting",
        help: "LVALUE: a site, tokens[N], param(\"NAME\"), kv(L, k), $cursor, each with a slice, or $name. Also += -= *= /=. set target TEXT is what a decoder reads whose encoder reads the prompt.",
        examples: &[
            "until L2.attn.pattern\nset $cursor[head=0] = 0\ncontinue",
            "set tokens[1] = \" Paul\"\nrun",
            "run\nset param(\"L0.mlp.W_in\")[0] *= 2",
            "set $x = 3\nprint $x * 2",
            "set record-budget 64MiB\nset generation temperature 0.8",
        ],
        takes: Takes::Change,
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
        name: "skip",
        usage: "skip MODULE",
        about: "let a block, its attention or its MLP add nothing to the residual stream",
        help: "It is still computed, so that it can be looked at. The edit lasts through later passes; undo takes it back.",
        examples: &["run\nskip L2", "skip L1.mlp\nrun\nundo"],
        takes: Takes::Location,
        run: ablate::skip,
        ..CHANGING
    },
    Command {
        name: "return",
        usage: "return EXPR",
        about: "leave the current module with EXPR as its output",
        help: "What is left of the module is still computed, so that it can be looked at, but nothing reads it.",
        examples: &["until L1.attn.z\nreturn 0", "until L2.mlp.pre\nreturn resid_mid * 0.5\ncontinue"],
        takes: Takes::Expression,
        run: steering::leave,
        ..CHANGING
    },
    Command {
        name: "steer",
        usage: "steer SITE VECTOR [*SCALE]",
        about: "add a vector at a site, at every position of this pass and of all later ones",
        help: "A slice after the site limits it; one that names positions limits it to this pass. It changes every row.",
        examples: &[
            "run\nset $v = L2.resid_post[pos=1] - L2.resid_post[pos=3]\nsteer L2.resid_post $v * 4",
            "run\nsteer L1.attn.z[head=0] 0.1",
        ],
        takes: Takes::Location,
        run: steering::steer,
        ..CHANGING
    },
    Command {
        name: "tokens",
        usage: "tokens insert POS TEXT\ntokens erase POS|FROM:TO",
        about: "put tokens into the prompt, or take some out of it",
        help: "POS counts from 0, negative ones from the end; a text in quotes keeps its spaces.",
        examples: &["run\ntokens insert 4 \" quickly\"", "run\ntokens erase 4:6"],
        takes: Takes::Words(&["insert", "erase"]),
        run: tokens::tokens,
        ..CHANGING
    },
    Command {
        name: "undo",
        usage: "undo",
        about: "take the last edit back",
        examples: &["run\nablate L1H0\nundo", "set tokens[1] = \" Paul\"\nundo"],
        run: branching::undo,
        ..CHANGING
    },
    Command {
        name: "redo",
        usage: "redo",
        about: "make the edit again that was taken back",
        examples: &["run\nablate L1H0\nundo\nredo", "set tokens[1] = \" Paul\"\nundo\nredo"],
        run: branching::redo,
        ..CHANGING
    },
    Command {
        name: "drop",
        usage: "drop edits [N...]",
        about: "go to a new branch without the edits of this one, or without some of them",
        help: "The old branch stays. info edits numbers them.",
        examples: &["run\nablate L1H0\ndrop edits", "run\nablate L1H0\nablate L2H1\ndrop edits 1\ninfo edits"],
        takes: Takes::Words(&["edits"]),
        run: branching::drop,
        ..CHANGING
    },
    Command {
        name: "branch",
        usage: "branch [NAME]\nbranch -m [OLD] NEW",
        about: "make a branch with the edits and values of this one, or give a branch another name",
        help: "Alone it draws the branches, as info branches does. The cursor stays in the branch where it is.",
        options: &[("-m", "another name for this branch, or for OLD")],
        examples: &["run\nablate L1H0\nbranch -m without_head", "run\nbranch try\ncheckout try\nbranch"],
        takes: Takes::Branch,
        run: branching::branch,
        ..CHANGING
    },
    Command {
        name: "checkout",
        usage: "checkout BRANCH",
        about: "go to another branch, at the same place of the run",
        examples: &["run\nablate L1H0\ncheckout main", "run\nablate L1H0\ncheckout main\ncheckout edit1"],
        takes: Takes::Branch,
        run: branching::checkout,
        ..CHANGING
    },
    Command {
        name: "lora",
        usage: "lora\nlora on\nlora off\nlora load DIR",
        about: "apply a LoRA adapter to the weights in a branch, or go to where it is not",
        help: "Base and fine-tune are two branches of one load: compare them with SITE@main. Without arguments it describes the adapter.",
        examples: &["lora", "run\ninfo branches\nlora"],
        takes: Takes::Words(&["on", "off", "load"]),
        run: lora::lora,
        ..CHANGING
    },
];

pub const SUBJECTS: &[Command] = &[
    subject("branches", "info branches", "branches as a tree, with their edits", |console, _| {
        Ok(branching::tree(console))
    }),
    subject("edits", "info edits", "edits of this branch, and how much depends on each", |console, _| {
        Ok(branching::edits(console))
    }),
];
