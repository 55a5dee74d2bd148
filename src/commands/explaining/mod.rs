//! Commands that say what a number depends on, and what is inside a model.

use crate::commands::state::{ANALYSING, CHANGING, Command, LOOKING, PLAIN, Takes};

pub use heads::HEAD_SCORES;

mod activations;
mod attr;
pub(crate) mod backward;
mod circuits;
mod dla;
pub(crate) mod heads;
mod layers;
mod lens;
mod neuron;
mod patch;
mod probe;
mod shown;

/// Its commands, in the order of the manual.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "backward",
        short: &["bw"],
        usage: "backward EXPR\nbackward -all-at-once EXPR\nbackward -step EXPR\nbackward -leave",
        about: "take the gradient of a number over the current pass at every site",
        help: "Then grad(SITE) and grad(param(\"ROLE\")) are values like any other. Edits in force are part of the function. One op's tape is held \
               at a time; -all-at-once holds that of the whole pass, and finds the same. With -step the backward pass is gone through like \
               the forward one, from the number to the input: step, next, finish and continue are its motions, in conditions $ is \
               the gradient just made whole, breakpoints stop on sites when their gradient is whole and on modules when that of their \
               output is, catch nan, inf, overflow, vanish and explode look at gradients. -leave ends that.",
        options: &[
            ("-all-at-once", "one tape for the whole pass"),
            ("-step", "stop before anything is pulled back"),
            ("-leave", "motions are those of the forward pass again"),
        ],
        examples: &[
            "run\nbackward logit(\" Mary\") - logit(\" John\")\nprint/3t abs(grad(L2.attn.pattern)[head=3, q=-1])",
            "run\nbackward -step loss\nnext\nfinish\ncatch vanish 1e-3\ncontinue",
            "run\nbackward loss\ninfo gradients\nprint norm(grad(param(\"L0.mlp.W_in\")))",
        ],
        takes: Takes::Expression,
        run: backward::backward,
        ..CHANGING
    },
    Command {
        name: "attr",
        short: &["attribute"],
        usage: "attr METHOD[,METHOD]... [-target EXPR] [-baseline B] [-at SITE] [-steps N] [-samples N] [-stdev X] [-seed S] [-rule R] \
                [-window N] [-alpha X] \
                [-through NEURON] [-signed] [-quality]",
        about: "say how much each token, or each element of a site, counts for a number",
        help: "METHOD: saliency, inputxgradient, ig, gradientshap, smoothgrad, vargrad, conductance, neuron, influence, featureablation, \
               occlusion, shapley, kernelshap, lime, lrp (by the rules of AttnLRP); heads compares gradients and ablation of every head, neurons ranks those of all blocks with what feeds them, rollout follows attention through all blocks, attnxgradient weighted by its gradient. The target is the most likely token's logit at the focused position, or that of the predicted \
               class; any number over the pass will do. The result becomes $N, with the shape of the site. Several methods with commas, or several -target, stand side by side.",
        options: attr::OPTIONS,
        examples: &[
            "run\nattr ig -target logit(\" Mary\") - logit(\" John\")",
            "run\nattr gradientshap -baseline mean -samples 20 -seed 1",
            "run\nattr featureablation -baseline zero",
            "run\nattr heads -target logit(\" Mary\") - logit(\" John\")\nprint/h $",
            "run\nattr rollout",
        ],
        takes: Takes::Words(&attr::NAMES),
        run: attr::attr,
        ..ANALYSING
    },
    Command {
        name: "circuits",
        usage: "circuits [HEAD]\ncircuits -composition q|k|v",
        about: "what heads do by their weights alone: whether they copy tokens and look for the token they stand at, and which read which",
        help: "Copying is sum Re / sum | | over the eigenvalues of W_E W_V W_O W_U, matching the same of W_E W_Q W_K^T W_E^T (Elhage et al. \
               2021); of one head its largest eigenvalues. -composition is |OV M| / (|OV| |M|), where M is what the queries, keys or values of a \
               later head read with. Edits of weights are in them; gains of norms are not.",
        options: &[("-composition INPUT", "a map of heads by heads, for queries (q), keys (k) or values (v)")],
        examples: &["circuits", "circuits L2H3", "circuits -composition k"],
        run: circuits::run,
        ..LOOKING
    },
    Command {
        name: "spectrum",
        usage: "spectrum EXPR",
        about: "singular values of a matrix, its rank, stable rank and effective rank",
        help: "Stable rank is |A|^2 / s^2 of the largest s; effective rank the exponential of the entropy of the squares. The values are kept \
               as $N, for print/g.",
        examples: &["spectrum param(\"L0.mlp.W_in\")", "run\nspectrum L1.resid_post"],
        takes: Takes::Expression,
        run: circuits::spectrum,
        ..ANALYSING
    },
    Command {
        name: "activations",
        usage: "activations [-against FILE [-all]]",
        about: "what the values of each block are like: norms, largest magnitudes, outlier features, silent and saturated neurons",
        help: "Norm is the median over tokens of the residual stream behind the block, Growth that beside the norm in front of it. Massive is the \
               largest magnitude of the stream beside its median, At where. Outliers counts features of at least 6 at 6 % of positions. Silent \
               and Saturated are shares of neurons: next to 0, or above 6 in front of the activation, at every token. With -against, only \
               what is unlike the texts of FILE (one in each line, three or more) is listed, in median deviations.",
        options: &[
            ("-against FILE", "what is not as on these texts, run with the weights as they are edited"),
            ("-all", "all numbers beside those of the texts"),
        ],
        examples: &[
            "run\nactivations",
            "shell printf 'Mary saw John\\nThe nurse said that\\nThe dog and the king\\n' > usual.txt\nrun\nactivations -against usual.txt -all",
        ],
        takes: Takes::File,
        run: activations::run,
        ..LOOKING
    },
    Command {
        name: "neuron",
        usage: "neuron LnNm [FILE] [-top N]",
        about: "which tokens excite a neuron, in this text or over a file of texts, and which tokens its output weights promote",
        help: "FILE has a text in each line; each is a pass of its own, with the edits of this branch. What is promoted is W_out W_U of the neuron: \
               the direct path, without the final norm.",
        options: &[("-top N", "rows, 8 by default")],
        examples: &[
            "run\nneuron L0N97",
            "shell printf 'The nurse said that\\nThe dog\\n' > texts.txt\nneuron L0N97 texts.txt -top 3",
        ],
        takes: Takes::File,
        run: neuron::run,
        ..LOOKING
    },
    Command {
        name: "probe",
        usage: "probe FILE [-metric EXPR] [-by FIELD] [-carriers|-words] [-limit N] [-seed S]",
        about: "a number over many prompts, by group, with intervals; what carries the difference of two groups; which words move it",
        help: "FILE is text with a prompt in each line, where {nurse|pilot} or {who:nurse|pilot} is a slot and each choice a prompt of its own; \
               or CSV, JSON or JSON lines with prompt (or text) and fields. Each prompt is a pass of its own, with the edits of this branch. EXPR \
               is evaluated after it, {field} in it standing for what the prompt has; without it, the loss. What looks like a mistake in \
               prompts is told: unknown tokens, a doubled beginning, too many tokens, copies, groups of different sizes.",
        options: &[
            ("-metric EXPR", "the number, in quotes"),
            ("-by FIELD", "the field that divides the prompts; else each that can"),
            (
                "-carriers",
                "heads, MLPs and (by gradients) neurons of one prompt put into its counterpart in the other group",
            ),
            ("-words", "each prompt beside itself without one word"),
            ("-limit N", "only the first N prompts"),
            ("-seed S", "of the bootstrap"),
        ],
        examples: &[
            "shell printf 'The {nurse|pilot|teacher} said that\\n' > prompts.txt\nprobe prompts.txt -metric \"logit(\\\" she\\\") - logit(\\\" he\\\")\"",
            "shell printf 'The {nurse|pilot} said that\\n' > two.txt\nprobe two.txt -metric \"logit(\\\" she\\\")\" -carriers",
            "shell printf 'Mary went to the store\\nJohn went to the store\\n' > plain.txt\nprobe plain.txt -words",
        ],
        takes: Takes::File,
        run: probe::probe,
        ..PLAIN
    },
    Command {
        name: "lens",
        usage: "lens [SITES] [-target TOKEN [-foil TOKEN]] [-pos P] [-top N] [-mid] [-tuned FILE]\nlens [SITES] -grid [-tuned FILE]\nlens [SITES] -map [-target TOKEN] [-tuned FILE]",
        about: "say what the model would predict if it stopped at each block: the logit lens, or a tuned lens",
        help: "The final norm and the unembedding on what each block reads; the last row is the model's own prediction. Rank 0 is the \
               likeliest. SITES, such as L*.attn_out, are looked at instead of what blocks read. -grid names the likeliest token at every position, -map shows the target's probability there. A tuned lens \
               is a file of the package tuned-lens, trained for this model: its folder, params.pt or params.safetensors.",
        options: &[
            (
                "-target TOKEN",
                "the token to follow: its text in quotes, or its number; the last row's likeliest by default",
            ),
            ("-foil TOKEN", "a second token: by how much the target's logit is above its"),
            ("-pos P", "the position; the focused one by default"),
            ("-top N", "tokens named in a row, 3 by default"),
            ("-mid", "the streams between attention and MLP too"),
            ("-tuned FILE", "through the affine maps of a tuned lens"),
            ("-grid", "the likeliest token at every position"),
            ("-map", "a heat map over positions"),
        ],
        examples: &[
            "run\nlens -target \" Mary\" -foil \" John\"",
            "run\nlens -grid",
            "run\nlens -map -target \" Mary\"",
            "run\nlens L*.attn_out -target \" Mary\"",
        ],
        takes: Takes::Expression,
        run: lens::lens,
        ..LOOKING
    },
    Command {
        name: "dla",
        usage: "dla [-target TOKEN [-foil TOKEN]] [-pos P] [-by component|head|position|neuron] [-top N]",
        about: "split a logit into what every component adds to it: direct logit attribution",
        help: "Along the direct path from the residual stream to the logit; the scale of every norm on it is held at what it was, so \
               the parts add up to the logit. By head, it is said by way of which tokens. A component that works through later \
               ones counts nothing here: attr and ablate measure that.",
        options: &[
            ("-target TOKEN", "the token: its text in quotes, or its number; the likeliest one by default"),
            ("-foil TOKEN", "the difference to this token's logit"),
            ("-pos P", "the position; the focused one by default"),
            ("-by PART", "component (the default), head, position (what heads add by way of each token), or neuron"),
            ("-top N", "heads or neurons listed, 12 by default"),
        ],
        examples: &[
            "run\ndla -target \" Mary\" -foil \" John\"",
            "run\ndla -by head -target \" Mary\" -foil \" John\"",
            "run\ndla -by neuron -top 5",
            "run\ndla -by position -target \" Mary\" -foil \" John\"",
        ],
        takes: Takes::Expression,
        run: dla::dla,
        ..LOOKING
    },
    Command {
        name: "explain",
        usage: "explain [POS] [-target TOKEN [-foil TOKEN]] [-pos P]",
        about: "say in one table why a token is predicted: where it becomes the likeliest, what adds to it, and from which tokens",
        help: "The logit lens, then the components, heads and neurons that add most along the direct path; see lens and dla.",
        options: &[
            ("-target TOKEN", "the token: its text in quotes, or its number; the likeliest one by default"),
            ("-foil TOKEN", "rather than this one"),
            ("-pos P", "the position; the focused one by default"),
        ],
        examples: &["run\nexplain", "run\nexplain 3", "run\nexplain -target \" Mary\" -foil \" John\""],
        takes: Takes::Expression,
        run: dla::explain,
        ..LOOKING
    },
    Command {
        name: "patch",
        usage: "patch SIDE|zero|mean -metric EXPR [-site SITE] [-over AXES] [-approx|-both]\npatch sweep -from SIDE|zero|mean -metric EXPR ...\npatch SITE[SLICE] from SIDE\npatch BRANCH -metric EXPR -to HEAD.q|k|v\npatch BRANCH -metric EXPR -minimal [-faithful X]",
        about: "put values of another branch, model or dump into this run, place by place, and say how much of a number comes back: activation patching",
        help: "SITE: resid_pre (the default), resid_mid, attn_out, mlp_out, attn.q, attn.k, attn.v, attn.z, attn.pattern, mlp.post or any other \
               site, of every block; L3.attn.z is one alone. Places are heads, or positions where there are none. 1 is as on that side, 0 as here; of a dump, zero and mean it is what the number gains. \
               The texts must have the same number of tokens. The shares become $N. A sweep that is interrupted goes on when it is \
               asked for again. patch SITE[SLICE] from SIDE is one edit, kept until undo.",
        options: &[
            ("-metric EXPR", "the number, in quotes if it has spaces"),
            ("-from SIDE", "whose values, where the command has no word of its own for that"),
            ("-site SITE", "what is put in"),
            (
                "-over AXES",
                "axes of the site whose entries are places: layer,head,pos; layer is each block's as a whole",
            ),
            ("-approx", "by gradients: attribution patching, fast and of first order"),
            ("-both", "measured and by gradients, side by side"),
            (
                "-to HEAD.PART",
                "path patching: earlier heads put into the queries, keys or values of one head alone, directly",
            ),
            ("-minimal", "the heads and MLPs that the number needs, by greedy ablation; the others are as in BRANCH"),
            ("-faithful X", "the share of the number that they must keep, 0.9 by default"),
        ],
        examples: &[
            "run\nset tokens[9] = \" Mary\"\nrun\npatch main -metric \"logit(\\\" Mary\\\") - logit(\\\" John\\\")\"",
            "run\nset tokens[9] = \" Mary\"\nrun\npatch main -metric logit[5] -site attn.z",
            "run\npatch zero -metric logit[5] -site attn.z",
            "run\nset tokens[9] = \" Mary\"\nrun\npatch main -metric logit[5] -site L2.attn.pattern -over head,q",
            "run\nset tokens[9] = \" Mary\"\nrun\npatch main -metric logit[5] -site mlp_out -both",
            "run\nset tokens[9] = \" Mary\"\nrun\npatch L2.resid_pre[pos=9] from main",
            "load tiny-gpt2 as other\nset param(\"L1.mlp.W_out\") *= 0\nrun\npatch other -metric logit[5] -site mlp_out -over layer",
            "run\nset tokens[9] = \" Mary\"\nrun\npatch main -metric logit[5] -to L2H3.q",
            "run\nset tokens[9] = \" Mary\"\nrun\npatch main -metric \"logit(\\\" Mary\\\") - logit(\\\" John\\\")\" -minimal",
        ],
        takes: Takes::Branch,
        run: patch::patch,
        ..ANALYSING
    },
    Command {
        name: "heads",
        usage: "heads [LAYER...] [-sort SCORE] [-grid SCORE] [-to TOKEN [-pos P]] [-over FILE]\nheads [LAYER...] -repeated N [-seed S]\nheads [LAYER...] -redundant [-over FILE]",
        about: "say what every attention head looks at: the token before, the first one, copies, and how sharply; which heads do the same",
        help: "SCORE: previous, next, first, duplicate, induction, self, separators, entropy, largest, distance, output. Shares are of all \
               attention of the head on this text; output is its share of what the heads of its block write. A sink is a head that rests on \
               the first token: usual, and no fault. FILE has a text in each line, and scores are means over them. -redundant lists the \
               pairs of heads with the nearest patterns (Jensen-Shannon), and whether they move the same (cosine of W_V W_O).",
        options: &[
            ("-sort SCORE", "the largest first"),
            ("-grid SCORE", "a heat map of layers by heads"),
            ("-over FILE", "means over the texts of a file"),
            ("-to TOKEN", "one more score: how much of the attention of one position goes to this token"),
            ("-pos P", "that position; the last one by default"),
            ("-redundant", "pairs of heads that look at the same and move the same"),
            ("-repeated N", "on N random tokens twice, where copying heads show themselves, instead of this text"),
            ("-seed S", "where the random numbers begin, 0 by default"),
        ],
        examples: &[
            "run\nheads L1",
            "run\nheads -grid first",
            "heads -repeated 20 -sort induction",
            "run\nheads -to \" John\" -sort to",
            "run\nheads -redundant",
        ],
        takes: Takes::Location,
        run: heads::heads,
        ..LOOKING
    },
    Command {
        name: "layers",
        usage: "layers [EXPR]",
        about: "evaluate an expression in every block: a number as bars, a vector as a heat map",
        help: "Names without a layer are those of each block in turn; alone, the norm of the residual stream at the last position.",
        examples: &["run\nlayers norm(resid_post[-1])", "run\nlayers max(attn.pattern[q=-1], axis=k)"],
        takes: Takes::Expression,
        run: layers::layers,
        ..LOOKING
    },
];

/// What `info` reports of it.
pub const SUBJECTS: &[Command] = &[
    Command {
        name: "attribution",
        usage: "info attribution",
        about: "the last attribution to tokens",
        run: |console, _| attr::last(console),
        ..LOOKING
    },
    Command {
        name: "gradients",
        usage: "info gradients",
        about: "norm of the gradient of the residual stream at each block",
        run: |console, _| backward::table(console),
        ..LOOKING
    },
];
