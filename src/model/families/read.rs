//! What families read from a configuration in the same way.

use super::super::config::{D_MLP, D_MODEL, HfConfig, MAX_POSITIONS, N_HEADS, N_KV_HEADS, N_LAYERS};
use super::super::error::LoadError;
use super::super::role::Role;
use super::super::spec::{
    Act, Attention, Blind, Classes, Embed, Experts, Head, Layer, Logits, Mlp, ModelSpec, Norm, Placement, Pool, Pooled,
    Positions, Residual,
};
use super::{Files, Sources};

/// Widths and numbers.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub d_model: usize,
    pub n_layers: usize,
    pub n_heads: usize,
    pub n_kv_heads: usize,
    pub head_dim: usize,
    pub d_mlp: usize,
    pub vocab: usize,
    pub max_positions: usize,
}

/// How a family finds out widths and numbers that a configuration need not give.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Key/value heads.
    pub kv: Kv,
    /// Width of a head.
    pub head_dim: HeadDim,
    /// Whether the width of the MLP may be left out, and is four times that of the model then.
    pub fourfold: bool,
    /// Positions when none are given.
    pub max_positions: usize,
}

/// Key/value heads of a family.
#[derive(Clone, Copy, Debug)]
pub enum Kv {
    /// As many as query heads; there is no key.
    Heads,
    /// As many as query heads unless a key says otherwise.
    HeadsOr,
    /// This many unless a key says otherwise; null means as many as query heads.
    Default(usize),
    /// This many.
    Fixed(usize),
}

/// Width of the heads of a family.
#[derive(Clone, Copy, Debug)]
pub enum HeadDim {
    /// The model's width by the number of heads.
    Even,
    /// The same unless a key says otherwise.
    EvenOr,
    /// This, unless a key says otherwise.
    Default(usize),
}

impl Rules {
    /// Grouped heads, with a width of their own if the configuration has it: Llama and most others.
    pub const LLAMA: Rules = Rules { kv: Kv::HeadsOr, head_dim: HeadDim::EvenOr, fourfold: false, max_positions: 2048 };
    /// No grouping: GPT-2 and its time.
    pub const GPT2: Rules = Rules { kv: Kv::Heads, head_dim: HeadDim::Even, fourfold: true, max_positions: 2048 };

    /// With this many key/value heads where none are given.
    pub const fn kv(self, heads: usize) -> Rules {
        Rules { kv: Kv::Default(heads), ..self }
    }

    /// With heads of this width where none is given.
    pub const fn head_dim(self, width: usize) -> Rules {
        Rules { head_dim: HeadDim::Default(width), ..self }
    }
}

impl Sizes {
    /// Reads widths and numbers.
    ///
    /// # Errors
    /// If one is missing, or they contradict each other.
    pub fn read(config: &HfConfig, rules: &Rules) -> Result<Sizes, LoadError> {
        let (d_model, n_heads, n_layers) = (config.size(D_MODEL)?, config.size(N_HEADS)?, config.size(N_LAYERS)?);
        let n_kv_heads = match rules.kv {
            Kv::Heads => n_heads,
            Kv::HeadsOr => config.opt_size(N_KV_HEADS)?.unwrap_or(n_heads),
            Kv::Default(heads) => config.size_or(N_KV_HEADS, Some(heads))?.unwrap_or(n_heads),
            Kv::Fixed(heads) => heads,
        };
        if !n_heads.is_multiple_of(n_kv_heads) {
            return Err(config.bad(format!("{n_heads} heads cannot share {n_kv_heads} key/value heads evenly")));
        }
        const HEAD_DIM: &[&str] = &["head_dim"];
        let given = match rules.head_dim {
            HeadDim::Even => None,
            HeadDim::EvenOr => config.opt_size(HEAD_DIM)?,
            HeadDim::Default(width) => config.size_or(HEAD_DIM, Some(width))?,
        };
        let head_dim = match given {
            Some(width) => width,
            None if d_model.is_multiple_of(n_heads) => d_model / n_heads,
            None => return Err(config.bad(format!("a width of {d_model} cannot be split into {n_heads} heads"))),
        };
        // A configuration that has `n_inner`, null or not, is of those that know no other name for this width.
        const N_INNER: &[&str] = &["n_inner"];
        let absent = usize::MAX;
        let of_inner = if rules.fourfold { config.size_or(N_INNER, Some(absent))? } else { Some(absent) };
        let d_mlp = match of_inner {
            None => 4 * d_model,
            Some(width) if width != absent => width,
            Some(_) => match config.opt_size(D_MLP)? {
                Some(width) => width,
                None if rules.fourfold => 4 * d_model,
                None => config.size(D_MLP)?,
            },
        };
        Ok(Sizes {
            d_model,
            n_layers,
            n_heads,
            n_kv_heads,
            head_dim,
            d_mlp,
            vocab: config.size(&["vocab_size"])?,
            max_positions: config.opt_size(MAX_POSITIONS)?.unwrap_or(rules.max_positions),
        })
    }

    /// `1/sqrt(h)`.
    pub fn scale(&self) -> f64 {
        1.0 / (self.head_dim as f64).sqrt()
    }

    /// Layers with full attention and the usual scale, changed one by one.
    pub fn layers(&self, change: impl Fn(usize, Layer) -> Layer) -> Vec<Layer> {
        (0..self.n_layers).map(|i| change(i, Layer::plain(i, self.scale()))).collect()
    }
}

/// A decoder with norms in front, no positions, a gated MLP without biases and full attention: what families start from.
pub fn decoder(family: &str, sizes: &Sizes, norm: Norm, head: Head) -> ModelSpec {
    ModelSpec {
        family: family.to_owned(),
        d_model: sizes.d_model,
        n_layers: sizes.n_layers,
        n_heads: sizes.n_heads,
        n_kv_heads: sizes.n_kv_heads,
        head_dim: sizes.head_dim,
        d_mlp: sizes.d_mlp,
        vocab: sizes.vocab,
        max_positions: sizes.max_positions,
        norm,
        placement: Placement::Pre,
        final_norm: true,
        embed: Embed::plain(sizes.d_model),
        positions: Positions::None,
        ropes: Vec::new(),
        attention: attention(),
        mlp: Mlp { gated: true, act: Act::Silu, bias: false },
        experts: None,
        layers: sizes.layers(|_, layer| layer),
        residual: Residual::default(),
        head,
    }
}

/// Causal attention without biases.
pub fn attention() -> Attention {
    Attention {
        causal: true,
        qkv_bias: false,
        out_bias: false,
        qk_norm: None,
        clip: None,
        softcap: None,
        blind: Blind::All,
    }
}

/// The same with biases everywhere, or not.
pub fn attention_with_bias(bias: bool) -> Attention {
    Attention { qkv_bias: bias, out_bias: bias, ..attention() }
}

/// Decoders that embed texts can be told to look both ways, by `is_causal: false`. A window of `w` tokens, which reaches
/// `w - 1` back in a causal model, then reaches `w` to both sides, as in transformers. Encoders do so anyway.
pub fn look_both_ways(config: &HfConfig, spec: &mut ModelSpec) -> Result<(), LoadError> {
    const KEY: &str = "is_causal";
    if !spec.attention.causal {
        // What contradicts it has no effect, and is told like any key that is not used.
        if config.json().get(KEY).and_then(serde_json::Value::as_bool) == Some(false) {
            config.note_read(&[KEY]);
        }
        return Ok(());
    }
    if config.flag(&[KEY], true)? {
        return Ok(());
    }
    spec.attention.causal = false;
    for layer in &mut spec.layers {
        layer.reach = layer.reach.map(|reach| reach + 1);
    }
    Ok(())
}

/// The activation function under a key. Only `gelu` itself is the exact one.
pub fn act(config: &HfConfig, key: &str, default: Act) -> Result<Act, LoadError> {
    let Some(name) = config.str(&[key])? else { return Ok(default) };
    Ok(match name {
        "gelu" | "gelu_python" => Act::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_python_tanh" | "gelu_fast" | "gelu_accurate" => Act::GeluTanh,
        "quick_gelu" => Act::QuickGelu,
        "silu" | "swish" => Act::Silu,
        "relu" => Act::Relu,
        "relu2" => Act::Relu2,
        "tanh" => Act::Tanh,
        "sigmoid" => Act::Sigmoid,
        "linear" => Act::Linear,
        _ => {
            let why = "known activations are gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, quick_gelu, silu, swish, relu, \
                       relu2, tanh, sigmoid and linear";
            return Err(config.unsupported(key, format!("{name:?}"), why));
        }
    })
}

/// A number of the configuration that is an epsilon.
pub fn eps(config: &HfConfig, key: &str, default: f64) -> Result<f64, LoadError> {
    let eps = config.number(&[key], default)?;
    if eps >= 0.0 && eps.is_finite() { Ok(eps) } else { Err(config.bad(format!("{key:?} is {eps}"))) }
}

/// The factor on scores by `query_pre_attn_scalar`: one over its root.
pub fn query_scale(config: &HfConfig) -> Result<f64, LoadError> {
    const KEY: &str = "query_pre_attn_scalar";
    let scalar = config.number(&[KEY], 256.0)?;
    if scalar > 0.0 { Ok(1.0 / scalar.sqrt()) } else { Err(config.bad(format!("{KEY:?} is {scalar}, not above zero"))) }
}

/// Which layers attend within a window: `layer_types`, or what the family does without it.
pub fn sliding_layers(
    config: &HfConfig,
    n_layers: usize,
    default: impl Fn(usize) -> bool,
) -> Result<Vec<bool>, LoadError> {
    let Some(types) = config.list("layer_types")? else { return Ok((0..n_layers).map(default).collect()) };
    if types.len() < n_layers {
        return Err(config.bad(format!("\"layer_types\" has {} entries for {n_layers} layers", types.len())));
    }
    let sliding = |value: &serde_json::Value| match value.as_str() {
        Some("full_attention") => Ok(false),
        Some("sliding_attention") => Ok(true),
        _ => Err(config.unsupported("layer_types", value, "known types are full_attention and sliding_attention")),
    };
    types.iter().take(n_layers).map(sliding).collect()
}

/// How far layers with a window of the configuration see.
///
/// # Errors
/// If there is such a layer and no window.
pub fn reach(config: &HfConfig, sliding: &[bool], window: Option<usize>) -> Result<Vec<Option<usize>>, LoadError> {
    if window.is_none() && sliding.contains(&true) {
        return Err(config.bad("\"layer_types\" has layers with a window, and there is no \"sliding_window\""));
    }
    Ok(sliding.iter().map(|sliding| window.filter(|_| *sliding).map(|window| window - 1)).collect())
}

/// A window that only some settings switch on. Where it is off, its value says nothing.
pub fn window_if_used(config: &HfConfig, default: Option<usize>) -> Result<Option<usize>, LoadError> {
    let used = config.flag(&["use_sliding_window"], false)?;
    config.note_read(&["sliding_window"]);
    if used { config.size_or(&["sliding_window"], default) } else { Ok(None) }
}

/// What a model is for, as `architectures` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Next tokens.
    Causal,
    /// Masked tokens.
    Masked,
    /// A class for the sequence.
    Sequence,
    /// A class for each token.
    Token,
    /// Where an answer starts and ends.
    Question,
    /// Nothing: the bare body.
    Bare,
}

impl Task {
    /// Heads that transformers puts on most decoders.
    pub const DECODER: &[Task] = &[Task::Causal, Task::Sequence, Task::Token, Task::Question, Task::Bare];
    /// Heads of encoders.
    pub const ENCODER: &[Task] = &[Task::Masked, Task::Sequence, Task::Token, Task::Question, Task::Bare];

    fn of(architecture: &str) -> Option<Task> {
        const ENDINGS: &[(&str, Task)] = &[
            ("ForCausalLM", Task::Causal),
            ("ForConditionalGeneration", Task::Causal),
            ("DoubleHeadsModel", Task::Causal),
            ("LMHeadModel", Task::Causal),
            ("ForMaskedLM", Task::Masked),
            ("ForPreTraining", Task::Masked),
            ("ForSequenceClassification", Task::Sequence),
            ("ForTokenClassification", Task::Token),
            ("ForQuestionAnswering", Task::Question),
            ("Model", Task::Bare),
        ];
        let found = ENDINGS.iter().find(|(ending, _)| architecture.ends_with(ending)).map(|(_, task)| *task);
        // Two heads at once are none of these.
        found.filter(|_| !architecture.contains("DoubleHeads"))
    }

    fn ending(self, causal: &'static str) -> &'static str {
        match self {
            Task::Causal => causal,
            Task::Masked => "ForMaskedLM",
            Task::Sequence => "ForSequenceClassification",
            Task::Token => "ForTokenClassification",
            Task::Question => "ForQuestionAnswering",
            Task::Bare => "Model",
        }
    }

    /// What the configuration asks for, or, if it does not say, what the tensors are for. `class` and `causal` are beginning
    /// and end of the names of architectures.
    ///
    /// # Errors
    /// If the family has no such head.
    pub fn read(
        from: &Sources,
        files: &Files,
        class: &str,
        tasks: &[Task],
        causal: &'static str,
    ) -> Result<Task, LoadError> {
        let config = from.config;
        // sentence-transformers loads the body alone, whatever head the architecture has.
        if from.sentence.is_some() && tasks.contains(&Task::Bare) {
            return Ok(Task::Bare);
        }
        let Some(architecture) = config.architecture()? else {
            let has = |role| files.has_head(from.checkpoint, role);
            let guess = [(Task::Masked, Role::MlmW), (Task::Sequence, Role::ClassifierW), (Task::Causal, Role::W_U)]
                .into_iter()
                .find(|(task, role)| tasks.contains(task) && has(*role));
            let usual = if tasks.contains(&Task::Causal) { Task::Causal } else { Task::Bare };
            return Ok(guess.map_or(usual, |(task, _)| task));
        };
        Task::of(architecture).filter(|task| tasks.contains(task)).ok_or_else(|| {
            let names: Vec<String> = tasks.iter().map(|task| format!("{class}{}", task.ending(causal))).collect();
            let (last, others) =
                names.split_last().map_or((String::new(), &[][..]), |(last, rest)| (last.clone(), rest));
            let supported = if others.is_empty() { last } else { format!("{} and {last}", others.join(", ")) };
            LoadError::UnsupportedHead {
                path: config.path().to_owned(),
                architecture: architecture.to_owned(),
                model_type: config.model_type().unwrap_or_default().to_owned(),
                supported,
            }
        })
    }
}

/// Heads of decoders.
pub struct DecoderHead<'a> {
    /// Name of the architectures without their ending, for messages.
    pub class: &'a str,
    /// Heads there are.
    pub tasks: &'a [Task],
    /// Whether the unembedding is the token embedding when nothing is said.
    pub tied: bool,
    /// Id of padding when nothing is said.
    pub pad: Option<u32>,
    /// Whether the unembedding has a bias.
    pub bias: bool,
    /// How the name of the architecture that predicts next tokens ends.
    pub causal: &'static str,
}

impl DecoderHead<'_> {
    /// All heads, an unembedding of its own without a bias, no pad token.
    pub const fn of(class: &str) -> DecoderHead<'_> {
        DecoderHead { class, tasks: Task::DECODER, tied: false, pad: None, bias: false, causal: "ForCausalLM" }
    }

    /// Reads the head that the configuration asks for.
    ///
    /// # Errors
    /// If the family has no such head, or its labels cannot be read.
    pub fn read(&self, from: &Sources, files: &Files) -> Result<Head, LoadError> {
        let config = from.config;
        config.note_read(&["tie_word_embeddings"]);
        Ok(match Task::read(from, files, self.class, self.tasks, self.causal)? {
            Task::Causal | Task::Masked => {
                Head::CausalLm(Logits { bias: self.bias, ..Logits::plain(files.tied(from, self.tied)?) })
            }
            Task::Sequence => Head::Sequence {
                // In a model that reads images too, the text part has it.
                pooled: Pooled {
                    pool: Pool::Last { pad: self.pad_id(config.nested("text_config")?.as_ref().unwrap_or(config))? },
                    transform: None,
                },
                classes: Classes { labels: config.labels()?, bias: false },
            },
            Task::Token => {
                let bias = config.flag(&["token_classification_bias"], true)?;
                let classes = Classes { labels: config.labels()?, bias };
                Head::Token { transform: None, classes, question: false }
            }
            Task::Question => question(None),
            Task::Bare => Head::Bare { sentence: from.sentence.cloned() },
        })
    }

    fn pad_id(&self, config: &HfConfig) -> Result<Option<u32>, LoadError> {
        let keys = &["pad_token_id"];
        let given = config.number_or(keys, self.pad.map(f64::from))?;
        // A negative id stands for no token at all.
        Ok(given.filter(|id| *id >= 0.0 && *id <= f64::from(u32::MAX)).map(|id| id as u32))
    }
}

/// The head that finds answers.
pub fn question(transform: Option<super::super::spec::Transform>) -> Head {
    let labels = ["start", "end"].map(str::to_owned).to_vec();
    Head::Token { transform, classes: Classes { labels, bias: true }, question: true }
}

/// Mixtures of experts, checked.
///
/// # Errors
/// If more experts are chosen than there are.
pub fn experts(config: &HfConfig, experts: Experts) -> Result<Experts, LoadError> {
    if experts.chosen <= experts.count {
        Ok(experts)
    } else {
        Err(config.bad(format!("{} of {} experts cannot be chosen", experts.chosen, experts.count)))
    }
}

/// Which layers have a mixture of experts: every `decoder_sparse_step`th, those of `mlp_only_layers` excepted.
pub fn sparse_layers(config: &HfConfig, n_layers: usize) -> Result<Vec<bool>, LoadError> {
    let step = config.opt_size(&["decoder_sparse_step"])?.unwrap_or(1);
    let dense: Vec<u64> =
        config.list("mlp_only_layers")?.unwrap_or_default().iter().filter_map(|i| i.as_u64()).collect();
    Ok((0..n_layers).map(|i| !dense.contains(&(i as u64)) && (i + 1).is_multiple_of(step)).collect())
}
