//! Which head a model has: what `architectures` asks for, or what its tensors are for.

use crate::model::config::HfConfig;
use crate::model::error::LoadError;
use crate::model::families::{Files, Sources};
use crate::model::role::Role;
use crate::model::spec::{Act, Classes, Head, Logits, ModelSpec, Pool, Pooled, Transform};

/// What a model is for, as `architectures` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Causal,
    Masked,
    Sequence,
    Token,
    /// Where an answer starts and ends.
    Question,
    /// Nothing: the bare body.
    Bare,
}

impl Task {
    /// Heads that transformers puts on most decoders.
    pub const DECODER: &[Task] = &[Task::Causal, Task::Sequence, Task::Token, Task::Question, Task::Bare];
    pub const NO_QUESTION: &[Task] = &[Task::Causal, Task::Sequence, Task::Token, Task::Bare];
    pub const NO_CLASSES: &[Task] = &[Task::Causal, Task::Bare];
    pub const ENCODER: &[Task] = &[Task::Masked, Task::Sequence, Task::Token, Task::Question, Task::Bare];

    /// Endings of the names of architectures; of several for one task the first is the usual one.
    const ENDINGS: [(&str, Task); 10] = [
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

    fn of(architecture: &str) -> Option<Task> {
        let found = Task::ENDINGS.iter().find(|(ending, _)| architecture.ends_with(ending)).map(|(_, task)| *task);
        // Two heads at once are none of these.
        found.filter(|_| !architecture.contains("DoubleHeads"))
    }

    fn ending(self, causal: &'static str) -> &'static str {
        let usual = Task::ENDINGS.iter().find(|(_, task)| *task == self && self != Task::Causal);
        usual.map_or(causal, |(ending, _)| ending)
    }

    /// What the configuration asks for, or, if it does not say, what the tensors are for. `class` and `causal` are
    /// beginning and end of the names of architectures.
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

pub struct DecoderHead<'a> {
    /// Name of the architectures without their ending, for messages.
    pub class: &'a str,
    pub tasks: &'a [Task],
    /// Whether the unembedding is the token embedding by default.
    pub tied: bool,
    /// Id of padding by default.
    pub pad: Option<u32>,
    pub bias: bool,
    /// How the name of the architecture that predicts next tokens ends.
    pub causal: &'static str,
}

impl DecoderHead<'_> {
    /// All heads, a separate unembedding without a bias, no pad token.
    pub const fn of(class: &str) -> DecoderHead<'_> {
        DecoderHead { class, tasks: Task::DECODER, tied: false, pad: None, bias: false, causal: "ForCausalLM" }
    }

    /// Reads the head that the configuration asks for.
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
                    late: false,
                },
                classes: Classes { labels: config.labels()?, bias: false },
                scores: None,
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

/// What a cross-encoder of sentence-transformers makes of its logits, where the configuration names it.
pub fn scores(config: &HfConfig, spec: &mut ModelSpec) -> Result<(), LoadError> {
    const OLD: &str = "sbert_ce_default_activation_function";
    let Head::Sequence { scores, .. } = &mut spec.head else { return Ok(()) };
    let section = config.object("sentence_transformers")?;
    let named = match &section {
        Some(section) => {
            section.note_read(&["version"]);
            section.str(&["activation_fn"])?
        }
        None => None,
    };
    let (key, name) = match (named, config.str(&[OLD])?) {
        (Some(name), _) => ("sentence_transformers.activation_fn", name),
        (None, Some(name)) => (OLD, name),
        (None, None) => return Ok(()),
    };
    let act = torch_activation(name).ok_or_else(|| {
        config.unsupported(key, name, "known are Identity, Tanh, ReLU, GELU, SiLU and Sigmoid of torch.nn")
    })?;
    *scores = Some(act);
    Ok(())
}

/// The activation function that a class of torch computes.
pub fn torch_activation(path: &str) -> Option<Act> {
    Some(match path.strip_prefix("torch.nn.")?.rsplit('.').next()? {
        "Identity" => Act::Linear,
        "Tanh" => Act::Tanh,
        "ReLU" => Act::Relu,
        "GELU" => Act::Gelu,
        "SiLU" => Act::Silu,
        "Sigmoid" => Act::Sigmoid,
        _ => return None,
    })
}

pub fn question(transform: Option<Transform>) -> Head {
    let labels = ["start", "end"].map(str::to_owned).to_vec();
    Head::Token { transform, classes: Classes { labels, bias: true }, question: true }
}
