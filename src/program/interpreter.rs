//! Runs exactly one op.

use super::context::at_op;
use super::kernels::attention::Scoring;
use super::kernels::dictionary::{self, Coder};
use super::kernels::experts::{Form, Mixture, Projections};
use super::kernels::recurrence::Recurrence;
use super::kernels::selective::Scan;
use super::kernels::{attention, basic, experts, heads, norm, positions, recurrence, relative, routing, selective};
use super::shape::check_room;
use super::{Context, Kernel, Mixing, Op};
use crate::model::dictionary::Stage;
use crate::model::required_weights::{expert_biases, expert_roles, shared_roles};
use crate::model::role::{Role, WeightId};
use crate::model::weights::Weights;
use crate::tensor::{TensorError, Value, proceed};

/// Executes one op on the values it reads, which come in the order of `op.inputs`; those of `op.cached` over all passes
/// so far. Pure: the same inputs, weights and context give the same bits. Computed in 32 bits, on the device of the op,
/// and held as the weights are.
///
/// # Errors
/// If the device fails, or cannot hold what the op makes, a weight cannot be read, or the user interrupts; no value has
/// been made then.
///
/// # Panics
/// If inputs or weights do not have the shapes that the compiler and the loader guarantee.
pub fn execute(op: &Op, inputs: &[Value], weights: &Weights, context: &Context) -> Result<Value, TensorError> {
    proceed()?;
    let at = at_op(op, inputs, weights, context)?;
    at.context.device().lives()?;
    check_room(op, &at.inputs, &at.weights, at.context)?;
    computed(op, &at.inputs, &at.weights, at.context)
}

fn computed(op: &Op, inputs: &[Value], weights: &Weights, context: &Context) -> Result<Value, TensorError> {
    let first = || dense(weights, op.weights[0]);
    let bias = || op.weights.get(1).map(|&id| dense(weights, id)).transpose();
    let all = || op.weights.iter().map(|&id| dense(weights, id)).collect::<Result<Vec<Value>, _>>();
    // `x W + b` with the weights of the op.
    let product = |x: &Value| Ok(basic::weighted(x, &weights.get(op.weights[0])?, bias()?.as_ref()));
    let projected = |id: Option<&WeightId>| match id {
        Some(&id) => Ok(basic::weighted(&inputs[0], &weights.get(id)?, None)),
        None => Ok(inputs[0].clone()),
    };
    let value = match &op.kernel {
        Kernel::Tokens => context.tokens.clone(),
        Kernel::Embed { scale, masks } => {
            let rows = basic::scale(embedded(&inputs[0], weights, op.weights[0])?, *scale);
            match masks {
                Some(masks) => basic::without_masks(&rows, &inputs[0], *masks, context),
                None => rows,
            }
        }
        Kernel::PositionEmbed => basic::position_embed(&first()?, context),
        Kernel::Sines { waves } => positions::sines(*waves, op.width, context)?,
        Kernel::TypeEmbed => basic::type_embed(&first()?, context),
        Kernel::RelativeBias { buckets } => relative::bias(&first()?, *buckets, context),
        Kernel::Add => basic::add(inputs),
        Kernel::ZeroPadding => basic::zero_padding(&basic::add(inputs), context),
        Kernel::Same => inputs[0].clone(),
        Kernel::Scale { factor } => basic::scale(inputs[0].clone(), *factor),
        Kernel::Times => basic::times(&inputs[0], &first()?),
        Kernel::LayerInputs { norm, factor, width } => {
            norm::layer_inputs([&inputs[0], &inputs[1]], norm, (*factor, *width), &all()?, norm::whole)
        }
        Kernel::Features { start, width } => basic::features(&inputs[0], *start, *width),
        Kernel::Project => {
            let mut parts = vec![product(&inputs[0])?];
            parts.extend_from_slice(&inputs[1..]);
            basic::add(&parts)
        }
        Kernel::LayerNormScale { eps } => norm::layer_norm_scale(&basic::add(inputs), *eps),
        Kernel::RmsScale { eps } => norm::rms_scale(&basic::add(inputs), *eps),
        Kernel::LayerNormNormalized => norm::centred_over(&basic::add(&inputs[1..]), &inputs[0]),
        Kernel::RmsNormalized => norm::over(&basic::add(&inputs[1..]), &inputs[0]),
        Kernel::Gain { one_plus } => norm::gain(&inputs[0], &first()?, bias()?.as_ref(), *one_plus),
        Kernel::Linear { heads, clip, factor } => {
            let out = basic::bounded(basic::scale(product(&inputs[0])?, *factor), *clip);
            match heads {
                Some(heads) => basic::split_heads(&out, *heads),
                None => out,
            }
        }
        Kernel::SharedKeys { heads } => {
            let own = basic::split_heads(&product(&inputs[0])?, *heads);
            attention::with_shared(&own, &inputs[1])
        }
        Kernel::HeadNorm { norm, over, clip } => norm::of_heads(&inputs[0], norm, *over, &all()?, *clip),
        Kernel::Rotate { rope } => attention::rotate(&inputs[0], &context.rotations[*rope]),
        Kernel::Grow => basic::grown(&inputs[0], context.growth.as_ref().expect("a model whose queries grow")),
        Kernel::RelativeScores { buckets, of, norm, scale } => {
            let (all, batch, heads) = (all()?, inputs[0].shape()[0], inputs[0].shape()[2]);
            let vectors = relative::vectors(&all[0], norm.as_ref(), &all[1..], heads, batch);
            relative::products(&inputs[0], &vectors, (*of, *buckets, *scale), context)?
        }
        Kernel::Scores { scale, softcap, reach } => {
            let (bias, mask) = (context.bias.as_ref(), context.mask(*reach));
            let scoring = Scoring { scale: *scale, softcap: *softcap, bias, more: &inputs[2..], mask };
            attention::scores(&inputs[0], &inputs[1], scoring)
        }
        Kernel::Pattern { reach, sinks } => {
            let sinks = if *sinks { Some(first()?) } else { None };
            attention::pattern(&inputs[0], context.mask(*reach), sinks.as_ref())
        }
        Kernel::Mix => attention::mix(&inputs[0], &inputs[1])?,
        Kernel::Output => product(&basic::join_heads(&inputs[0]))?,
        Kernel::Real => positions::real(&inputs[0], context),
        Kernel::Convolution { act, real } => {
            let out = positions::convolution(&inputs[0], &first()?, bias()?.as_ref(), context);
            let out = basic::activation(&out, *act);
            if *real { positions::real(&out, context) } else { out }
        }
        Kernel::Unit { eps, factor } => norm::unit(&inputs[0], *eps, *factor),
        Kernel::Decay => recurrence::decay(&inputs[0], &all()?),
        Kernel::Step { least } => recurrence::step(&inputs[0], &first()?, *least),
        Kernel::DecayBy => recurrence::decay_by(&inputs[0], &first()?),
        Kernel::Skip => recurrence::skip(&inputs[0], &inputs[1], &first()?),
        Kernel::GroupNorm { groups, eps } => norm::of_groups(&inputs[0], *groups, *eps, &first()?),
        Kernel::Read(learning) => recurrence::read(&Recurrence::of(*learning, Some(&inputs[0]), &inputs[1..], context)),
        // Rounding a state at each token would add up.
        Kernel::State(learning) => {
            let states = recurrence::states(&Recurrence::of(*learning, None, inputs, context));
            return Ok(states.with_axes(&op.axes).whole());
        }
        Kernel::Scan => selective::read(&Scan::of(Some(&inputs[0]), &inputs[1..], &first()?, context)),
        Kernel::ScanState => {
            let states = selective::states(&Scan::of(None, inputs, &first()?, context));
            return Ok(states.with_axes(&op.axes).whole());
        }
        Kernel::Activation(act) => basic::activation(&inputs[0], *act),
        Kernel::Xielu => basic::xielu(&inputs[0], &all()?),
        Kernel::Gated(act) => basic::gated(&inputs[0], &inputs[1], *act),
        Kernel::TopExperts { chosen, router } => {
            let correction = op.weights.first().map(|&id| dense(weights, id)).transpose()?;
            routing::top(&inputs[0], correction.as_ref(), *chosen, router)
        }
        Kernel::ExpertWeights { router } => {
            let shares = routing::weights(&inputs[0], &inputs[1], router);
            match op.weights.first() {
                Some(_) => routing::scaled(&shares, &inputs[1], &first()?),
                None => shares,
            }
        }
        Kernel::Experts(Mixing { act, gated, shared, biases, clamped, weighs_input }) => {
            let shared = shared.as_ref().map_or(0, |shared| shared_roles(shared, *gated).count());
            let (roles, of_biases) = (expert_roles(*gated).len(), expert_biases(*gated).len());
            let (each, rest) = op.weights.split_at(op.weights.len() - shared);
            let of = |ids: &[WeightId], biases: bool| -> Result<Projections, TensorError> {
                let biases = if biases { &ids[roles..roles + of_biases] } else { &[] };
                let biases = biases.iter().map(|&id| dense(weights, id)).collect::<Result<_, TensorError>>()?;
                let gate = if *gated { Some(weights.get(ids[0])?) } else { None };
                let (up, down) = (weights.get(ids[roles - 2])?, weights.get(ids[roles - 1])?);
                Ok(Projections { gate, up, down, biases })
            };
            let per = roles + if *biases { of_biases } else { 0 };
            let expert = |number: usize| of(&each[number * per..], *biases);
            let mix = rest.get(roles).map(|&id| dense(weights, id)).transpose()?;
            let shared = if rest.is_empty() { None } else { Some((of(rest, false)?, mix)) };
            let form = Form { act: *act, clamped: *clamped };
            let (count, weighs_input) = (each.len() / per, *weighs_input);
            let mixture = Mixture { experts: &expert, count, shared, form, weighs_input };
            experts::mix(&inputs[0], &inputs[1], &inputs[2], &mixture)?
        }
        Kernel::Unembed { project, scale, softcap } => {
            let hidden = projected(op.weights.last().filter(|_| *project))?;
            let bias = op.weights.get(1).filter(|id| id.role == Role::b_U).map(|&id| dense(weights, id)).transpose()?;
            let (matrix, scale, softcap) = ((weights, op.weights[0]), *scale, *softcap);
            basic::unembed(&hidden, matrix, bias, move |logits| basic::capped(basic::scale(logits, scale), softcap))?
        }
        Kernel::Pool(pool) => heads::pool(&projected(op.weights.first())?, *pool, context),
        Kernel::PooledLinear(pool) => {
            basic::vector_linear(&heads::pool(&inputs[0], *pool, context), &first()?, bias()?.as_ref())
        }
        Kernel::ActivationNorm(act, of) => {
            heads::norm_of_vector(&basic::activation(&inputs[0], *act), of.as_ref(), &all()?, norm::whole)
        }
        Kernel::VectorLinear => basic::vector_linear(&inputs[0], &first()?, bias()?.as_ref()),
        Kernel::Classify { project, transform } => {
            let all = all()?;
            let bias = op.weights.last().is_some_and(|id| id.role == Role::ClassifierB);
            let (front, classifier) = all.split_at(all.len() - 1 - usize::from(bias));
            let hidden = match (transform, front) {
                (Some(transform), _) => heads::transform(&inputs[0], transform, front),
                (None, [projection]) if *project => basic::linear(&inputs[0], projection, None),
                _ => inputs[0].clone(),
            };
            basic::linear(&hidden, &classifier[0], classifier.get(1))
        }
        Kernel::Sentence(sentence) => heads::sentence(&inputs[0], sentence, context),
        Kernel::UnitLength => heads::unit_length(&inputs[0]),
        Kernel::YesNo { yes, no } => heads::yes_no(&inputs[0], *yes, *no, context)?,
        Kernel::Dictionary(stage, coding) => {
            let coder = Coder { coding: *coding, ids: &op.weights, weights };
            match (stage, inputs) {
                (Stage::In, [site]) => dictionary::input(site, coding.centred),
                (Stage::Enc, [x]) => coder.enc(x)?,
                (Stage::Pre, [enc]) => coder.pre(enc)?,
                (Stage::Acts, [pre, enc]) => coder.acts(pre, enc)?,
                (Stage::Recon, [acts, x]) => coder.recon(acts, x)?,
                (Stage::Error, [site, enc, x]) => coder.error(site, enc, x)?,
                (Stage::Out, [site, enc, x, acts, recon, error]) => {
                    coder.out(&dictionary::Read { site, enc, x, acts, recon, error })?
                }
                _ => panic!("{} reads {} values", op.site, inputs.len()),
            }
        }
    };
    Ok(value.with_axes(&op.axes).whole().held_in(weights.precision()))
}

/// A weight as a value, widened if it is stored in fewer bits.
pub(super) fn dense(weights: &Weights, id: WeightId) -> Result<Value, TensorError> {
    Ok(weights.get(id)?.value())
}

/// Rows of a vocabulary matrix for token ids `[B, T]`: `[B, T, d]`. On the CPU, only those rows are read.
fn embedded(tokens: &Value, weights: &Weights, id: WeightId) -> Result<Value, TensorError> {
    if !tokens.device().is_cpu() || weights.overlay().has(id) {
        let pieces = (0..weights.pieces(id)).map(|piece| weights.piece(id, piece));
        return Ok(basic::embedded(tokens, &pieces.collect::<Result<Vec<_>, TensorError>>()?));
    }
    let row = |id: i64| usize::try_from(id).unwrap_or(usize::MAX);
    let rows: Vec<usize> = tokens.read_i64()?.into_iter().map(row).collect();
    let (batch, length) = (tokens.shape()[0], tokens.shape()[1]);
    let found = weights.rows(id, &rows)?; // [B T, d]
    let width = found.shape()[1];
    Ok(found.reshaped(&[batch, length, width]))
}
