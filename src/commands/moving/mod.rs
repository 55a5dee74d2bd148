//! Commands that move the cursor.

use crate::commands::state::{CHANGING, Command, LOOKING, REPEATED, Takes};
use crate::debugger::{Direction, Motion};

pub(crate) mod checkpoints;
pub(crate) mod motion;
pub(crate) mod walking;

pub const COMMANDS: &[Command] = &[
    Command {
        name: "run",
        short: &["r"],
        usage: "run",
        about: "start the pass and go to the first stop; edits stay",
        help: "Values computed before in this branch, and tokens generated in it, are forgotten and made again.",
        examples: &["run", "break L1.attn.pattern\nrun"],
        run: motion::run,
        ..CHANGING
    },
    Command {
        name: "start",
        usage: "start [-keep]",
        about: "start the pass and stop before its first op",
        options: &[("-keep", "leave the cursor where it is if a pass has been started")],
        examples: &["start", "run\nstart", "until L2\nstart -keep"],
        run: motion::start,
        ..CHANGING
    },
    Command {
        name: "step",
        short: &["s", "si", "stepi"],
        usage: "step [N]",
        about: "compute the next op (or N ops)",
        help: "At the end of a pass it goes to the start of the next pass, if the run has one.",
        examples: &["step", "s 10"],
        run: |console, call| motion::counted(console, &call, Motion::Step, Direction::Forward),
        ..REPEATED
    },
    Command {
        name: "next",
        short: &["n", "ni", "nexti"],
        usage: "next [N]",
        about: "go past the next sibling: an op, or a whole module if the cursor is at its start",
        examples: &["next", "layer\nnext 2"],
        run: |console, call| motion::counted(console, &call, Motion::Next, Direction::Forward),
        ..REPEATED
    },
    Command {
        name: "finish",
        short: &["fin", "f"],
        usage: "finish",
        about: "go to the end of the current module, or of the selected frame; its output becomes $",
        examples: &["until L1.attn.q\nfinish", "until L0.mlp.pre\nfin\nprint $"],
        run: motion::finish,
        ..REPEATED
    },
    Command {
        name: "until",
        short: &["u"],
        usage: "until LOC",
        about: "go to LOC in this pass, in either direction",
        help: "A site is reached when it has just been computed, a module before its first op. LOC#N is in pass N.",
        examples: &["until L2.attn.pattern", "until L3\nuntil -before L0.attn.scores"],
        takes: Takes::Location,
        run: motion::until,
        ..CHANGING
    },
    Command {
        name: "advance",
        usage: "advance LOC",
        about: "go to LOC in this pass, in either direction",
        examples: &["advance L3", "advance L0.mlp.post"],
        takes: Takes::Location,
        run: motion::until,
        ..CHANGING
    },
    Command {
        name: "continue",
        short: &["c"],
        usage: "continue [N]",
        about: "go to the next stop; N ignores the breakpoint stopped at N-1 times",
        help: "Without a stop it ends at the end of the pass, or of the last pass that was asked for.",
        examples: &["continue", "break L*.attn.z\ncontinue\nc 2"],
        run: motion::go_on,
        ..REPEATED
    },
    Command {
        name: "layer",
        usage: "layer [N]",
        about: "go to the start of the next block, or of block N",
        examples: &["layer", "layer 2"],
        run: motion::layer,
        ..REPEATED
    },
    Command {
        name: "goto",
        usage: "goto LOC",
        about: "go to LOC in this pass, in either direction",
        examples: &["run\ngoto L0.attn.q", "run\ngoto #0"],
        takes: Takes::Location,
        run: motion::until,
        ..CHANGING
    },
    Command {
        name: "reverse-step",
        short: &["rs", "rsi", "reverse-stepi"],
        usage: "reverse-step [N]",
        about: "go back one op (or N ops)",
        examples: &["run\nreverse-step", "run\nrs 20"],
        run: |console, call| motion::counted(console, &call, Motion::Step, Direction::Backward),
        ..REPEATED
    },
    Command {
        name: "reverse-next",
        short: &["rn", "rni", "reverse-nexti"],
        usage: "reverse-next [N]",
        about: "go back past the previous sibling: an op, or a whole module if the cursor is at its end",
        examples: &["run\nreverse-next", "layer 2\nrn"],
        run: |console, call| motion::counted(console, &call, Motion::Next, Direction::Backward),
        ..REPEATED
    },
    Command {
        name: "reverse-finish",
        short: &["rf"],
        usage: "reverse-finish",
        about: "go back to the start of the current module",
        examples: &["until L2.attn.z\nreverse-finish", "run\nrf"],
        run: |console, call| motion::uncounted(console, &call, Motion::Finish, Direction::Backward),
        ..REPEATED
    },
    Command {
        name: "reverse-continue",
        short: &["rc"],
        usage: "reverse-continue",
        about: "go back to the previous stop, or to the beginning",
        examples: &["run\nreverse-continue", "run\nbreak L1.mlp.post\nrc"],
        run: |console, call| motion::uncounted(console, &call, Motion::Continue, Direction::Backward),
        ..REPEATED
    },
    Command {
        name: "reverse-layer",
        short: &["rl"],
        usage: "reverse-layer",
        about: "go back to the start of this block, or of the one before",
        examples: &["run\nreverse-layer", "layer 3\nrl"],
        run: |console, call| motion::uncounted(console, &call, Motion::Layer, Direction::Backward),
        ..REPEATED
    },
    Command {
        name: "rev",
        usage: "rev MOTION [N]",
        about: "make a motion the other way: rev step is reverse-step",
        examples: &["run\nrev step 3", "run\nrev layer"],
        takes: Takes::Words(&["step", "next", "finish", "continue", "layer"]),
        run: checkpoints::reverse,
        ..REPEATED
    },
    Command {
        name: "back",
        usage: "back [N]",
        about: "go back to the place of the last stop, or of the Nth last",
        help: "Nothing stops on the way. A branch that was left is come back to.",
        examples: &["until L1\nuntil L3\nback", "run\nrs 20\nback 2"],
        run: checkpoints::back,
        ..REPEATED
    },
    Command {
        name: "forward",
        usage: "forward [N]",
        about: "go forward again to where back came from",
        examples: &["until L1\nuntil L3\nback\nforward", "run\nrs 20\nback 2\nforward 2"],
        run: checkpoints::forward,
        ..REPEATED
    },
    Command {
        name: "when",
        usage: "when",
        about: "the place in time: op, pass, branch, and where on the trail of stops",
        examples: &["run\nwhen", "until L2\ncheckpoint\nwhen"],
        run: checkpoints::when,
        ..LOOKING
    },
    Command {
        name: "checkpoint",
        usage: "checkpoint [NAME]",
        about: "keep this place, with the edits that count here, to return to",
        help: "info checkpoints lists them, delete checkpoint N forgets one.",
        examples: &["until L2\ncheckpoint\ninfo checkpoints", "run\ncheckpoint whole\ndelete checkpoint 1"],
        run: checkpoints::checkpoint,
        ..CHANGING
    },
    Command {
        name: "restart",
        usage: "restart N|NAME",
        about: "return to a checkpoint, and to the edits as they were then",
        help: "If the edits of its branch have changed since, a branch is opened that has those of then.",
        examples: &[
            "until L2\ncheckpoint\ncontinue\nrestart 1",
            "start\ncheckpoint first\nset tokens[1] = \" Paul\"\nrestart first",
        ],
        run: checkpoints::restart,
        ..CHANGING
    },
    Command {
        name: "kill",
        usage: "kill",
        about: "end the run: nothing is computed any more; edits and stop points stay",
        examples: &["run\nkill", "until L2\nkill\nrun"],
        run: checkpoints::kill,
        ..CHANGING
    },
];

pub const SUBJECTS: &[Command] = &[Command {
    name: "checkpoints",
    usage: "info checkpoints",
    about: "checkpoints, and where each is",
    run: |console, _| Ok(checkpoints::table(console)),
    ..LOOKING
}];
