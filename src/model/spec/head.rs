//! What turns the last hidden state into an answer.

use serde::{Deserialize, Serialize};

use super::{Act, Norm};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Head {
    /// Next-token logits from every position.
    CausalLm(Logits),
    /// Logits over the vocabulary at every position, usually after a transform.
    MaskedLm {
        /// What comes before the unembedding; its output is as wide as the token embedding.
        transform: Option<Transform>,
        logits: Logits,
    },
    /// One row of class logits from one vector.
    Sequence {
        pooled: Pooled,
        classes: Classes,
        /// What is made of the logits where a score is asked for: a reranker of sentence-transformers names it.
        #[serde(default)]
        scores: Option<Act>,
    },
    /// Class logits at every position: classes of tokens, or where an answer starts and ends.
    Token {
        transform: Option<Transform>,
        /// The classes; `start` and `end` for question answering.
        classes: Classes,
        /// Whether they are where an answer starts and ends.
        question: bool,
    },
    /// The bare body: the last hidden state is the result.
    Bare { sentence: Option<Sentence> },
}

impl Head {
    pub fn describe(&self) -> String {
        match self {
            Head::CausalLm(Logits { answer: Some(_), .. }) => "causal LM that scores pairs".to_owned(),
            Head::CausalLm(_) => "causal LM".to_owned(),
            Head::MaskedLm { .. } => "masked LM".to_owned(),
            Head::Sequence { classes, .. } => format!("{} classes", classes.labels.len()),
            Head::Token { question: true, .. } => "question answering".to_owned(),
            Head::Token { classes, .. } => format!("{} classes of tokens", classes.labels.len()),
            Head::Bare { sentence: Some(sentence) } if sentence.poolings.is_empty() => "vectors of tokens".to_owned(),
            Head::Bare { sentence: Some(_) } => "sentence embedding".to_owned(),
            Head::Bare { sentence: None } => "no head".to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logits {
    /// It is the token embedding.
    pub tied: bool,
    pub bias: bool,
    /// Factor on the logits (Cohere, Granite).
    pub scale: f64,
    /// `cap tanh(logit / cap)` (Gemma 2).
    pub softcap: Option<f64>,
    /// The score of a reranker.
    #[serde(default)]
    pub answer: Option<YesNo>,
}

/// What a reranker that predicts tokens makes of the logits at the last real position: `act(logit[yes] - logit[no])`, without
/// `no` `act(logit[yes])` (LogitScore of sentence-transformers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct YesNo {
    /// Ids of tokens.
    pub yes: u32,
    pub no: Option<u32>,
    pub act: Act,
}

impl Logits {
    /// Products with the rows of a matrix, nothing else.
    pub fn plain(tied: bool) -> Logits {
        Logits { tied, bias: false, scale: 1.0, softcap: None, answer: None }
    }
}

/// A dense layer, an activation and perhaps a norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transform {
    pub bias: bool,
    pub act: Act,
    pub norm: Option<Norm>,
}

/// How a classifier makes one vector of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pooled {
    pub pool: Pool,
    pub transform: Option<Transform>,
    /// Whether it pools what the transform makes of every position, instead of transforming what is pooled (EuroBERT).
    #[serde(default)]
    pub late: bool,
}

/// Which positions a classifier reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pool {
    First,
    /// The mean over those that are not padding.
    Mean,
    /// The last whose token is not `pad`, whatever the attention mask says; without a pad token the last real one.
    Last {
        pad: Option<u32>,
    },
}

/// The last linear layer of a classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classes {
    /// Class names in order of their index.
    pub labels: Vec<String>,
    pub bias: bool,
}

/// What sentence-transformers makes of the last hidden state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// Vectors that are put one after the other; usually there is one. Without any, every token has a vector of its own
    /// (ColBERT).
    pub poolings: Vec<Pooling>,
    /// Layers that these pass, one after the other.
    #[serde(default)]
    pub dense: Vec<Dense>,
    /// Whether the result is divided by its length.
    pub normalize: bool,
    /// Tokens at the beginning of each text that the poolings pass over: those of a prompt.
    #[serde(default)]
    pub skip: usize,
}

/// A linear layer and an activation after a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dense {
    /// Width of what it reads.
    pub input: usize,
    pub output: usize,
    pub bias: bool,
    pub act: Act,
}

/// One way to make a vector of a sequence, over the positions that are not padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pooling {
    First,
    /// The largest entry of each feature.
    Max,
    Mean,
    /// The sum over the square root of their number.
    MeanSqrt,
    /// The mean, weighted by 1, 2, 3, ...
    WeightedMean,
    Last,
}
