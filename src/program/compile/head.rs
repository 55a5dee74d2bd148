//! What follows the last block.

use super::{Builder, Out, with_bias};
use crate::model::required_weights::{last_width, norm_roles};
use crate::model::role::{Role, WeightId};
use crate::model::spec::{Head, Logits, Pooled, Projection, Sentence, Transform, YesNo};
use crate::program::Kernel;
use crate::tensor::Axis::{Dim, Label, Vocab};

impl Builder<'_> {
    pub(super) fn head(&mut self, last: usize) {
        let spec = self.spec;
        let hidden = match spec.final_norm {
            true => self.norm("ln_final", &spec.norm, &[last], [Role::LnFinalW, Role::LnFinalB], None, spec.d_model),
            false => last,
        };
        match &spec.head {
            Head::CausalLm(logits) => {
                let last = self.unembed(hidden, logits, self.projects());
                if let Some(YesNo { yes, no, act }) = logits.answer {
                    let kernel = Kernel::YesNo { yes, no };
                    let score = self.push("yes_no".into(), kernel, &[last], vec![], Out::Vector(Dim, 1));
                    let act = Kernel::ActivationNorm(act, None);
                    self.push("scores".into(), act, &[score], vec![], Out::Vector(Dim, 1));
                }
            }
            Head::MaskedLm { transform, logits } => {
                let read = transform.as_ref().map_or(hidden, |transform| self.masked(hidden, transform));
                let _ = self.unembed(read, logits, false);
            }
            Head::Sequence { pooled, classes, scores } => {
                let vector = self.pooled(hidden, pooled);
                let weights = dense(Role::ClassifierW, Role::ClassifierB, classes.bias);
                let out = Out::Vector(Label, classes.labels.len());
                let logits = self.push("logits".into(), Kernel::VectorLinear, &[vector], weights, out);
                if let Some(act) = scores {
                    let out = Out::Vector(Label, classes.labels.len());
                    self.push("scores".into(), Kernel::ActivationNorm(*act, None), &[logits], vec![], out);
                }
            }
            Head::Token { transform, classes, .. } => {
                let mut weights = transform.as_ref().map(pooler).unwrap_or_default();
                weights.extend(self.projection());
                weights.extend(dense(Role::ClassifierW, Role::ClassifierB, classes.bias));
                let kernel = Kernel::Classify { project: self.projects(), transform: *transform };
                self.push("logits".into(), kernel, &[hidden], weights, Out::Rows(Label, classes.labels.len()));
            }
            Head::Bare { sentence: Some(sentence) } => self.sentence(hidden, sentence),
            Head::Bare { sentence: None } => {}
        }
    }

    /// Whether the hidden state is projected to the width of a narrow embedding before anything reads it.
    fn projects(&self) -> bool {
        self.spec.embed.project == Some(Projection::OfTokens)
    }

    fn projection(&self) -> Option<WeightId> {
        self.projects().then(|| WeightId::global(Role::UnembedProjW))
    }

    fn unembed(&mut self, hidden: usize, logits: &Logits, project: bool) -> usize {
        let mut weights = dense(Role::W_U, Role::b_U, logits.bias);
        weights.extend(self.projection().filter(|_| project));
        let kernel = Kernel::Unembed { project, scale: logits.scale, softcap: logits.softcap };
        self.push("logits".into(), kernel, &[hidden], weights, Out::Rows(Vocab, self.spec.vocab))
    }

    fn masked(&mut self, hidden: usize, transform: &Transform) -> usize {
        let width = self.spec.embed.width;
        let rows = || Out::Rows(Dim, width);
        let linear = Kernel::Linear { heads: None, clip: None, factor: 1.0 };
        let weights = dense(Role::MlmW, Role::MlmB, transform.bias);
        let pre = self.push("mlm.pre".into(), linear, &[hidden], weights, rows());
        let act = self.push("mlm.act".into(), Kernel::Activation(transform.act), &[pre], vec![], rows());
        match &transform.norm {
            Some(norm) => self.norm("mlm_ln", norm, &[act], [Role::MlmLnW, Role::MlmLnB], None, width),
            None => act,
        }
    }

    fn pooled(&mut self, hidden: usize, pooled: &Pooled) -> usize {
        let Some(transform) = &pooled.transform else {
            let weights = self.projection().into_iter().collect();
            let out = Out::Vector(Dim, last_width(self.spec));
            return self.push("pooler.out".into(), Kernel::Pool(pooled.pool), &[hidden], weights, out);
        };
        let width = self.spec.d_model;
        let vector = || Out::Vector(Dim, width);
        let (out, pre_out) = (vector(), vector());
        let weights = dense(Role::PoolerW, Role::PoolerB, transform.bias);
        if pooled.late {
            let linear = Kernel::Linear { heads: None, clip: None, factor: 1.0 };
            let pre = self.push("pooler.pre".into(), linear, &[hidden], weights, Out::Rows(Dim, width));
            let act = Kernel::Activation(transform.act);
            let act = self.push("pooler.act".into(), act, &[pre], vec![], Out::Rows(Dim, width));
            return self.push("pooler.out".into(), Kernel::Pool(pooled.pool), &[act], vec![], out);
        }
        let pre = self.push("pooler.pre".into(), Kernel::PooledLinear(pooled.pool), &[hidden], weights, pre_out);
        let kernel = Kernel::ActivationNorm(transform.act, transform.norm);
        self.push("pooler.out".into(), kernel, &[pre], norm_weights(transform), out)
    }

    /// A vector for each token.
    fn vectors(&mut self, hidden: usize, sentence: &Sentence) {
        let (mut last, mut width) = (hidden, self.spec.d_model);
        for (index, layer) in sentence.dense.iter().enumerate() {
            width = layer.output;
            let weights = with_bias(|role| WeightId::numbered(index, role), Role::DenseW, Role::DenseB, layer.bias);
            let out = || Out::Rows(Dim, width);
            let linear = Kernel::Linear { heads: None, clip: None, factor: 1.0 };
            let pre = self.push(format!("dense.{index}.pre"), linear, &[last], weights, out());
            last = self.push(format!("dense.{index}.out"), Kernel::Activation(layer.act), &[pre], vec![], out());
        }
        let kernel = if sentence.normalize { Kernel::UnitLength } else { Kernel::Same };
        self.push("vectors".into(), kernel, &[last], vec![], Out::Rows(Dim, width));
    }

    fn sentence(&mut self, hidden: usize, sentence: &Sentence) {
        if sentence.poolings.is_empty() {
            return self.vectors(hidden, sentence);
        }
        let width = self.spec.d_model * sentence.poolings.len();
        if sentence.dense.is_empty() {
            let out = Out::Vector(Dim, width);
            self.push("sentence".into(), Kernel::Sentence(sentence.clone()), &[hidden], vec![], out);
            return;
        }
        let pooled = Sentence { dense: Vec::new(), normalize: false, ..sentence.clone() };
        let kernel = Kernel::Sentence(pooled);
        let mut last = self.push("pooled".into(), kernel, &[hidden], vec![], Out::Vector(Dim, width));
        let mut width = width;
        for (index, layer) in sentence.dense.iter().enumerate() {
            width = layer.output;
            let weights = with_bias(|role| WeightId::numbered(index, role), Role::DenseW, Role::DenseB, layer.bias);
            let out = || Out::Vector(Dim, width);
            let pre = self.push(format!("dense.{index}.pre"), Kernel::VectorLinear, &[last], weights, out());
            let act = Kernel::ActivationNorm(layer.act, None);
            last = self.push(format!("dense.{index}.out"), act, &[pre], vec![], out());
        }
        let kernel = if sentence.normalize { Kernel::UnitLength } else { Kernel::Same };
        self.push("sentence".into(), kernel, &[last], vec![], Out::Vector(Dim, width));
    }
}

fn dense(weight: Role, bias: Role, has_bias: bool) -> Vec<WeightId> {
    with_bias(WeightId::global, weight, bias, has_bias)
}

fn norm_weights(transform: &Transform) -> Vec<WeightId> {
    let norm = transform.norm.iter();
    norm.flat_map(|norm| norm_roles(norm, Role::PoolerLnW, Role::PoolerLnB)).map(WeightId::global).collect()
}

/// The weights before the classes of tokens.
fn pooler(transform: &Transform) -> Vec<WeightId> {
    let mut weights = dense(Role::PoolerW, Role::PoolerB, transform.bias);
    weights.extend(norm_weights(transform));
    weights
}
