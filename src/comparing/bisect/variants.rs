//! Other arithmetic of the same kind of op that architectures have.

use super::Reason;
use crate::model::spec::{Act, ClampedGate, Norm, Pool, Router, Score};
use crate::program::{Kernel, Mixing};

/// A norm with each usual epsilon but its own.
fn epsilons(own: f64, norm: impl Fn(f64) -> Kernel) -> impl Iterator<Item = (Kernel, Reason)> {
    const USUAL: [f64; 9] = [1e-5, 1e-6, 1e-12, 1e-8, 1e-7, 1e-4, 1e-3, 1e-2, 0.0];
    USUAL.into_iter().filter(move |eps| *eps != own).map(move |eps| (norm(eps), Reason::Epsilon(eps)))
}

pub fn variants(kernel: &Kernel) -> Vec<(Kernel, Reason)> {
    const ACTS: [Act; 9] = [
        Act::Gelu,
        Act::GeluTanh,
        Act::QuickGelu,
        Act::Silu,
        Act::Relu,
        Act::Relu2,
        Act::Tanh,
        Act::Sigmoid,
        Act::Linear,
    ];
    let acts = |own: &Act, kernel: &dyn Fn(Act) -> Kernel| -> Vec<(Kernel, Reason)> {
        let others = ACTS.into_iter().filter(|other| other != own);
        others.map(|act| (kernel(act), Reason::Activation(act))).collect()
    };
    match kernel {
        Kernel::LayerNormScale { eps } => {
            let other = (Kernel::RmsScale { eps: *eps }, Reason::RmsNorm);
            epsilons(*eps, |eps| Kernel::LayerNormScale { eps }).chain([other]).collect()
        }
        Kernel::RmsScale { eps } => {
            let other = (Kernel::LayerNormScale { eps: *eps }, Reason::LayerNorm);
            epsilons(*eps, |eps| Kernel::RmsScale { eps }).chain([other]).collect()
        }
        Kernel::LayerNormNormalized => vec![(Kernel::RmsNormalized, Reason::RmsNorm)],
        Kernel::RmsNormalized => vec![(Kernel::LayerNormNormalized, Reason::LayerNorm)],
        Kernel::Gain { one_plus } => {
            vec![(Kernel::Gain { one_plus: !one_plus }, Reason::GainOnePlus(!one_plus))]
        }
        Kernel::HeadNorm { norm, over, clip } => {
            let with = |eps: f64| Kernel::HeadNorm { norm: Norm { eps, ..*norm }, over: *over, clip: *clip };
            epsilons(norm.eps, with).collect()
        }
        Kernel::Activation(act) => acts(act, &Kernel::Activation),
        Kernel::Gated(act) => acts(act, &Kernel::Gated),
        Kernel::Convolution { act, real } => acts(act, &|act| Kernel::Convolution { act, real: *real }),
        Kernel::Unit { eps, factor } => epsilons(*eps, |eps| Kernel::Unit { eps, factor: *factor }).collect(),
        Kernel::GroupNorm { groups, eps } => epsilons(*eps, |eps| Kernel::GroupNorm { groups: *groups, eps }).collect(),
        Kernel::Unembed { project, scale, softcap: Some(_) } => {
            vec![(Kernel::Unembed { project: *project, scale: *scale, softcap: None }, Reason::LogitsNotCapped)]
        }
        Kernel::ExpertWeights { router } => routers(router),
        Kernel::Experts(own) => {
            let weighs_input = !own.weighs_input;
            let weighed = Kernel::Experts(Mixing { weighs_input, ..*own });
            let mut all = match own.clamped {
                Some(gate) => {
                    let clamped = Some(ClampedGate { limit: f64::INFINITY, ..gate });
                    vec![(Kernel::Experts(Mixing { clamped, ..*own }), Reason::GateNotBounded)]
                }
                None => acts(&own.act, &|act| Kernel::Experts(Mixing { act, ..*own })),
            };
            all.push((weighed, Reason::ExpertInputsWeighed(weighs_input)));
            all
        }
        Kernel::Pattern { reach, sinks: true } => {
            vec![(Kernel::Pattern { reach: *reach, sinks: false }, Reason::NoSinks)]
        }
        Kernel::Grow => vec![(Kernel::Same, Reason::QueriesNotGrown)],
        Kernel::Pool(own) => pools(own, &Kernel::Pool),
        Kernel::PooledLinear(own) => pools(own, &Kernel::PooledLinear),
        _ => Vec::new(),
    }
}

fn routers(own: &Router) -> Vec<(Kernel, Reason)> {
    let other = |router| Kernel::ExpertWeights { router };
    let normalize = !own.normalize;
    let mut all = vec![(other(Router { normalize, ..*own }), Reason::ExpertWeightsNormalized(normalize))];
    let scores = [Score::Softmax, Score::Sigmoid].into_iter().filter(|score| *score != own.score);
    all.extend(scores.map(|score| (other(Router { score, ..*own }), Reason::ExpertScores(score))));
    if own.scale != 1.0 {
        all.push((other(Router { scale: 1.0, ..*own }), Reason::ExpertWeightsNotScaled));
    }
    all
}

fn pools(own: &Pool, kernel: &dyn Fn(Pool) -> Kernel) -> Vec<(Kernel, Reason)> {
    let all = [Pool::First, Pool::Mean, Pool::Last { pad: None }];
    all.into_iter().filter(|pool| pool != own).map(|pool| (kernel(pool), Reason::PositionRead(pool))).collect()
}
