//! Commands that say what a number depends on, and what is inside a model.

use crate::commands::frame::{ALL, SORT, TOP};
use crate::commands::state::{ANALYSING, CHANGING, Command, LOOKING, PLAIN, Takes};

pub use heads::HEAD_SCORES;

mod activations;
mod attr;
pub(crate) mod backward;
mod circuits;
pub(crate) mod direction;
mod dla;
mod feature;
pub(crate) mod graph;
pub(crate) mod heads;
mod layers;
mod lens;
mod neuron;
mod nonfinite;
mod patch;
mod probe;
mod sae;
mod shown;
mod stream;
mod why;

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
                [-window N] [-alpha X] [-through NEURON] [-signed] [-quality] [-segments S]\nattr METHOD -generated [-segments S]\nattr \
                METHOD[,METHOD]... -curves",
        about: "how much each token, or each element of a site, contributes to a number",
        help: "METHOD: saliency, inputxgradient, ig, gradientshap, smoothgrad, vargrad, conductance, neuron, \
               influence, featureablation, occlusion, shapley, kernelshap, lime, lrp (by the rules of AttnLRP); \
               heads compares gradients and ablation of every head, neurons ranks those of all blocks with their \
               inputs, rollout follows attention through all blocks, attnxgradient weights it by its gradient. The \
               target is the most likely token's logit at the focused position, or that of the predicted class; any \
               number over the pass can be given. The result becomes $N, with the shape of the site. Several methods \
               separated by commas, or several -target, are shown in columns. With -generated each token that was generated is \
               explained by the tokens of the prompt, as by Captum's LLMAttribution: what its log-probability, given the prompt and \
               the tokens before it, owes to each. In later passes the prompt and what was generated are read in one.",
        options: attr::OPTIONS,
        examples: &[
            "run\nattr ig -target logit(\" Mary\") - logit(\" John\")",
            "run\nattr gradientshap -baseline mean -samples 20 -seed 1",
            "run\nattr featureablation -baseline zero",
            "generate 5\nattr featureablation -generated -baseline pad",
            "run\nattr shapley -segments words -baseline pad",
            "run\nattr inputxgradient,featureablation -curves -baseline pad",
            "run\nattr heads -target logit(\" Mary\") - logit(\" John\")\nprint/h $",
            "run\nattr rollout",
        ],
        takes: Takes::Words(&attr::NAMES),
        run: attr::attr,
        ..ANALYSING
    },
    Command {
        name: "circuits",
        usage: "circuits [HEAD] [-top N] [-sort COLUMN] [-all]\ncircuits -composition q|k|v",
        about: "what heads do according to their weights: whether they copy tokens and attend to the same token, and \
               which heads read from which",
        help: "Copying is sum Re / sum | | over the eigenvalues of W_E W_V W_O W_U, matching the same of W_E W_Q W_K^T W_E^T (Elhage et al. \
               2021); of one head its largest eigenvalues. -composition is |OV M| / (|OV| |M|), where M is what the queries, keys or values of a \
               later head read with. Edits of weights are in them; gains of norms are not.",
        options: &[
            ("-composition INPUT", "a map of heads by heads, for queries (q), keys (k) or values (v)"),
            TOP,
            SORT,
            ALL,
        ],
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
        usage: "activations [-against FILE] [-top N] [-sort COLUMN] [-all]",
        about: "statistics of the values of each block: norms, largest magnitudes, outlier features, silent and \
               saturated neurons",
        help: "Norm is the median norm of the residual stream over tokens after the block; Growth is that norm \
               divided by the norm before the block. Massive is the largest magnitude of the stream divided by its \
               median; At is its position. Outliers counts features of at least 6 at 6 % of positions. Silent and \
               Saturated are shares of neurons that are close to 0, or above 6 before the activation, at every \
               token. Of many blocks, those are listed at which the norm changes most. With -against, only what differs from the texts of FILE (one in each line, three or more) is \
               listed, in median deviations.",
        options: &[
            ("-against FILE", "what differs from these texts, which are run with the edited weights"),
            TOP,
            SORT,
            ALL,
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
        about: "which tokens activate a neuron, in this text or over a file of texts, and which tokens its output \
               weights promote",
        help: "FILE has one text in each line; each is run as a separate pass, with the edits of this branch. \
               Promoted tokens come from W_out W_U of the neuron: the direct path, without the final norm.",
        options: &[("-top N", "rows, 8 by default")],
        examples: &[
            "run\nneuron L0N97",
            "shell printf 'The nurse said that\\nThe dog\\n' > texts.txt\nneuron L0N97 texts.txt -top 3",
        ],
        takes: Takes::File,
        run: neuron::run,
        ..LOOKING
    },
    sae::COMMAND,
    feature::COMMAND,
    direction::COMMAND,
    Command {
        name: "probe",
        usage: "probe FILE [-metric EXPR] [-by FIELD] [-carriers|-words] [-limit N] [-seed S]",
        about: "a number over many prompts, by group, with intervals; what causes the difference between two groups; \
               which words change it",
        help: "FILE is text with a prompt in each line, where {nurse|pilot} or {who:nurse|pilot} is a slot and each \
               choice makes a separate prompt; or CSV, JSON or JSON lines with prompt (or text) and fields. Each \
               prompt is run as a separate pass, with the edits of this branch. EXPR is evaluated after it, with \
               {field} replaced by the field of the prompt; without EXPR, the loss. Of two groups the difference is \
               reported too: over pairs, if prompts come from one line with a slot or have the same value in a \
               column called pair, else that of the means, with Welch's interval. Likely mistakes in prompts are \
               reported: unknown tokens, a doubled beginning, too many tokens, copies, groups of different sizes.",
        options: &[
            ("-metric EXPR", "the number"),
            ("-by FIELD", "the field that divides the prompts; else each that can"),
            (
                "-carriers",
                "heads, MLPs and (by gradients) neurons of one prompt put into its counterpart in the other group",
            ),
            ("-words", "compare each prompt with itself without one word"),
            ("-limit N", "only the first N prompts"),
            ("-seed S", "of the bootstrap"),
        ],
        examples: &[
            "shell printf 'The {nurse|pilot|teacher} said that\\n' > prompts.txt\nprobe prompts.txt -metric logit(\" she\") - logit(\" he\")",
            "shell printf 'The {nurse|pilot} said that\\n' > two.txt\nprobe two.txt -metric logit(\" she\") -carriers",
            "shell printf 'Mary went to the store\\nJohn went to the store\\n' > plain.txt\nprobe plain.txt -words",
        ],
        takes: Takes::File,
        run: probe::probe,
        ..PLAIN
    },
    Command {
        name: "lens",
        usage: "lens [SITES] [-target TOKEN [-foil TOKEN]] [-pos P] [-tokens N] [-mid] [-tuned FILE|-jacobian FILE] [-top N] [-sort COLUMN] [-all]\nlens [SITES] -grid [-tuned FILE|-jacobian FILE]\nlens [SITES] -map [-target TOKEN] [-tuned FILE|-jacobian FILE]",
        about: "what the model would predict if it stopped at each block: the logit lens, or a tuned lens",
        help: "The final norm and the unembedding on what each block reads; the last row is the model's own prediction. Rank 0 is the \
               likeliest. Of many blocks, those are listed at which the target's probability changes most. SITES, such as L*.attn_out, are looked at instead of what blocks read. -grid names the likeliest token at every position, -map shows the target's probability there. A tuned lens \
               is a file of the package tuned-lens, trained for this model: its folder, params.pt or params.safetensors. A Jacobian lens is a .pt file of TransformerLens, or what save jacobian has written.",
        options: &[
            (
                "-target TOKEN",
                "the token to follow: its text in quotes, or its number; the last row's likeliest by default",
            ),
            ("-foil TOKEN", "a second token: by how much the target's logit is above its"),
            ("-pos P", "the position; the focused one by default"),
            ("-tokens N", "tokens named in a row, 3 by default"),
            ("-mid", "the streams between attention and MLP too"),
            ("-tuned FILE", "through the affine maps of a tuned lens"),
            ("-jacobian FILE", "through the average derivatives of the last state, of a Jacobian lens"),
            ("-grid", "the likeliest token at every position"),
            ("-map", "a heat map over positions"),
            TOP,
            SORT,
            ALL,
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
        usage: "dla [-target TOKEN [-foil TOKEN]|-along NAME] [-pos P] [-by component|head|position|neuron|feature] [-top N] [-sort COLUMN] [-all]",
        about: "split a logit into the contributions of the components: direct logit attribution",
        help: "Along the direct path from the residual stream to the logit, with the scale of every norm held at its \
               value in this pass, so that the parts sum to the logit. With -by head, the source tokens are listed \
               too. With -along, what is split is the product of a direction with the vector at its site. Listed are the 15 largest parts. The effect of a component through later ones is not included: attr and ablate measure that.",
        options: &[
            ("-target TOKEN", "the token: its text in quotes, or its number; the likeliest one by default"),
            ("-foil TOKEN", "the difference to this token's logit"),
            ("-along NAME", "a direction, of one site, in place of a token"),
            ("-pos P", "the position; the focused one by default"),
            (
                "-by PART",
                "component (the default), head, position (what heads add by way of each token), neuron, or feature (of a dictionary on the path)",
            ),
            TOP,
            SORT,
            ALL,
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
        name: "stream",
        usage: "stream [-target TOKEN [-foil TOKEN]] [-pos P]",
        about: "draw what attention and MLP of each block write to a logit, block by block",
        help: "The same parts as dla, put together by block: how large the logit is that the residual stream holds after \
               each block, and what the block's attention and MLP have added. Bars of attention and MLP have one scale.",
        options: &[
            ("-target TOKEN", "the token: its text in quotes, or its number; the likeliest one by default"),
            ("-foil TOKEN", "the difference to this token's logit"),
            ("-pos P", "the position; the focused one by default"),
        ],
        examples: &["run\nstream -target \" Mary\" -foil \" John\"", "run\nstream -pos 3"],
        takes: Takes::Expression,
        run: stream::stream,
        ..LOOKING
    },
    Command {
        name: "explain",
        usage: "explain [POS] [-target TOKEN [-foil TOKEN]] [-pos P]",
        about: "why a token is predicted, in one table: where it becomes the likeliest, which components add to it, \
               and from which tokens",
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
    graph::COMMAND,
    why::COMMAND,
    patch::COMMAND,
    Command {
        name: "heads",
        usage: "heads [LAYER...] [-top N] [-sort COLUMN] [-all] [-grid SCORE] [-to TOKEN [-pos P]] [-over FILE]\nheads [LAYER...] -repeated N [-seed S]\nheads [LAYER...] -redundant [-over FILE]",
        about: "what every attention head attends to: the previous token, the first one, copies, and how sharply; \
               which heads do the same",
        help: "SCORE: previous, next, first, duplicate, induction, self, separators, entropy, largest, distance, \
               output, or the beginning of one. Shares are of all attention of the head on this text; output is its share of what the heads \
               of its block write. Listed are the heads that differ most from the median head in one score (Unusual), or those that \
               attend most to the token of -to. A sink is a head that attends mostly to the first token: that is \
               common, and not a fault. FILE has one text in each line, and scores are means over them. -redundant lists the pairs \
               of heads with the nearest patterns (Jensen-Shannon), and whether they write in the same direction \
               (cosine of W_V W_O).",
        options: &[
            TOP,
            SORT,
            ALL,
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
            "run\nheads -to \" John\" -top 5",
            "run\nheads -redundant",
        ],
        takes: Takes::Location,
        run: heads::heads,
        ..LOOKING
    },
    Command {
        name: "layers",
        usage: "layers [-top N] [-sort COLUMN] [-all] [EXPR]",
        about: "evaluate an expression in every block: a number as bars, a vector as a heat map",
        help: "Of many blocks, those are listed at which the number changes most. Names without a layer are those of each block in turn. Without EXPR, the norm of the residual stream \
               at the last position.",
        options: &[TOP, SORT, ALL],
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
        name: "sae",
        usage: "info sae",
        about: "dictionaries of features that are loaded",
        run: |console, _| Ok(sae::listed(console)),
        ..LOOKING
    },
    Command {
        name: "gradients",
        usage: "info gradients",
        about: "norm of the gradient of the residual stream at each block",
        run: |console, _| backward::table(console),
        ..LOOKING
    },
    Command {
        name: "graph",
        usage: "info graph",
        about: "the last attribution graph, at the node that was walked to",
        run: |console, _| graph::last(console),
        ..LOOKING
    },
];
