//! Commands that say where two runs part, and whether a model is healthy.

use crate::commands::frame::{ALL, SORT, TOP};
use crate::commands::state::{ANALYSING, Command, LOOKING, PLAIN, Takes};

mod bisect;
mod check;
mod core_file;
mod diagnose;
pub(crate) mod diff;
mod golden;
mod investigate;
mod reasons;
mod selftest;
mod shared;

/// Its commands, in the order of the manual.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "diff",
        usage: "diff SIDE [SIDE] [SITES] [-atol X] [-rtol X] [-by WHAT] [-top N] [-sort COLUMN] [-all] [-first] [-fail] [-prefix TEXT]\ndiff weights SIDE [SIDE] [-top N] [-sort COLUMN] [-all] [-fail]",
        about: "say at which site two branches, models, dumps or files of values part first, or which weights of two differ and how",
        help: "A SIDE is a branch, another model (load MODEL as NAME), a dump (load-dump) or a file: what save activations or \
               llmdbg-dump-hf writes. Alone, it is what the current branch is compared with. Elements agree within \
               atol + rtol max(|b|, s), where s is the root mean square of the row of b (the last axis), and at least that of the \
               median row: rounding goes by the size of what is summed, not by an element that came out small. By default atol is 0 and \
               rtol 2e-4, what two passes in f32 may be apart and both be right. Texts are compared first. Texts and vocabularies of \
               different lengths are compared as far as both go. A TransformerLens cache of processed weights is recognised, and compared as far \
               as the processing leaves it. diff weights says what makes one weight of the other: rounded, scaled, shifted, transposed, \
               rows, columns or heads in another order, another weight, tied, missing.",
        options: &[
            ("-atol X", "what elements may be apart whatever their size; 0 by default"),
            ("-rtol X", "what they may be apart as a part of their size; 2e-4 by default"),
            ("-by WHAT", "one row for each block, head or pos, or for each of the largest elements (element)"),
            TOP,
            SORT,
            ALL,
            ("-first", "end at the first site that differs"),
            ("-fail", "fail if anything differs, for scripts and CI"),
            ("-prefix TEXT", "what the names in the file begin with"),
        ],
        examples: &[
            "run\nablate L1H0\ndiff main",
            "run\nsave activations before.safetensors\nset tokens[1] = \" Paul\"\nrun\ndiff before.safetensors",
            "load tiny-gpt2 as half -dtype f16\nrun\ndiff half -by block -atol 1e-2 -rtol 1e-2",
            "run\nablate L1H0\ndiff main L1.attn.z -by head",
            "load tiny-gpt2 as other\nset param(\"L1.mlp.W_out\") *= 2\ndiff weights other",
        ],
        takes: Takes::Branch,
        run: diff::diff,
        ..ANALYSING
    },
    Command {
        name: "bisect",
        usage: "bisect SIDE [-prefix TEXT] [-first] [-top N] [-sort COLUMN] [-all] [-fail]",
        about: "which op introduces a difference from a branch, another model, a dump or a file, and why, if a guess \
               explains it",
        help: "Every op is run with the inputs of the other side, so that a difference is introduced there and not \
               inherited. An input that a file lacks is computed from those that it has. The difference that remains \
               in f64 on the CPU separates a fault from rounding: between two sides that run here it is the \
               difference of their ops, for a file it is the distance from the exact value. -first compares a few \
               blocks of a complete pass, halving the range, and runs only the first that differs. Reasons are \
               tried, not inferred: number of heads, base, style, scaling, direction and width of rotations, \
               positions, masks, scale and cap of scores, biases by position, repeated key/value heads, eps, kind \
               and gain of norms, activation, gate and up, order of queries, keys and values, fused layouts, heads, \
               biases, transposed or rounded weights, factors of embeddings and sums, pooling, cap, scale and tying \
               of logits.",
        options: &[
            ("-prefix TEXT", "what the names in the file begin with"),
            ("-first", "the first block that differs, found by halving"),
            TOP,
            SORT,
            ALL,
            ("-fail", "fail if anything is introduced, for scripts and CI"),
        ],
        examples: &[
            "run\nset param(\"L1.mlp.W_out\") *= 1.5\nbisect main",
            "run\nsave activations sound.safetensors\nset param(\"L2.attn.b_O\") = 1\nbisect sound.safetensors",
            "load tiny-gpt2 as other\nrun\nset param(\"L1.attn.W_V\") *= 0.5\nbisect other",
            "run\nset param(\"L2.mlp.W_in\") *= 2\nbisect main -first",
        ],
        takes: Takes::Branch,
        run: bisect::run,
        ..ANALYSING
    },
    investigate::COMMAND,
    Command {
        name: "golden",
        usage: "golden write FILE [SITES] [-atol X] [-rtol X]\ngolden check FILE [-atol X] [-rtol X]",
        about: "keep a summary of a pass that is small enough to commit, and check a later pass against it",
        help: "Of each site: shape, what is not finite, largest magnitude, norm, mean, and 16 elements. check fails, with the sites that \
               differ, if one is beyond the tolerance of the file; the text must be the same.",
        options: &[
            ("-atol X", "what elements may be apart whatever their size; 0 by default"),
            ("-rtol X", "what they may be apart as a part of their size, as in diff; 2e-4 by default"),
        ],
        examples: &[
            "run\ngolden write golden.json L*.resid_post logits\ngolden check golden.json",
            "run\ngolden write all.json\nset param(\"L1.mlp.W_out\") *= 1.0000001\ngolden check all.json -rtol 1e-3",
        ],
        takes: Takes::Words(&["check", "write"]),
        run: golden::golden,
        ..PLAIN
    },
    Command {
        name: "diagnose",
        short: &["doctor"],
        usage: "diagnose [-deep] [-device] [-against FILE] [-all] [-fail error|warning|note]",
        about: "check weights, values, attention, neurons, tokens and the prediction of a complete pass, and report \
               what is not normal",
        help: "Findings are ranked by severity: the measurement, the place, the normal range, the command that shows \
               it, and why it matters. The rules and their limits are in config/diagnose.toml. With -against, what \
               is the same on most texts of FILE (one in each line, three or more) is taken as normal for this model \
               and left out, and what differs from them is added; errors stay.",
        options: &[
            ("-deep", "the checks that compute the pass again, and gradients of the loss too"),
            ("-device", "compare every op with the same op in 64 bits on the CPU"),
            ("-against FILE", "compare with texts on which the model behaves normally"),
            ("-all", "every place of a finding, not only the three worst"),
            ("-fail SEVERITY", "fail on a finding of this severity or worse, for scripts and CI"),
        ],
        examples: &["run\ndiagnose", "run\ndiagnose -deep -fail error"],
        run: diagnose::diagnose,
        ..ANALYSING
    },
    Command {
        name: "check",
        usage: "check cache [TOLERANCE]\ncheck batch [TOLERANCE]\ncheck determinism\ncheck inert\ncheck core FILE",
        about: "whether passes with the key/value cache compute the same as one pass over the whole text, rows of a \
               batch the same as each row by itself, a repeated pass the same bits, and a pass that is inspected the \
               same bits as one that is not; or the session the same bits as the one that a core file is of",
        examples: &[
            "run\nsave core a.core\ncheck core a.core",
            "generate 3\ncheck cache",
            "generate 3\ncheck cache 1e-3",
            "run\ncheck determinism",
            "run\ncheck inert",
        ],
        takes: Takes::Words(&["batch", "cache", "core", "determinism", "inert"]),
        run: check::check,
        ..PLAIN
    },
    Command {
        name: "selftest",
        usage: "selftest [TOLERANCE] [-full]",
        about: "whether the device computes correctly: every op, with the inputs that it had, compared with the same \
               op on the CPU in f64; and numbers that drivers get wrong",
        help: "Fails if an op is off by more than the tolerance, relative to its size: 2e-5 in f32, 1e-3 in f16, \
               where each value is rounded. Nothing is inherited from earlier ops, so what is listed is what each op \
               does by itself. The tests after them do not depend on the model: NaN, infinities, zeros with a sign and \
               the smallest numbers through upload, operation and read; comparisons and counts of them; functions at their \
               ends, powers of negative numbers, activations of large ones; attention with masks; products.",
        options: &[(
            "-full",
            "products and attention in the shapes of large models and long prompts too: widths of 768 and 4096, up to \
             4096 tokens; a graphics card takes seconds, a software device minutes",
        )],
        examples: &["selftest", "selftest 1e-4", "selftest -full"],
        run: selftest::run,
        ..PLAIN
    },
];

/// What `info` reports of it.
pub const SUBJECTS: &[Command] = &[Command {
    name: "difference",
    usage: "info difference",
    about: "the table of the last diff",
    run: |console, _| diff::last(console),
    ..LOOKING
}];
