//! A guess at the number of heads: the same features, divided into others.

use super::{Known, Reason};
use crate::model::spec::{ModelSpec, QkNormOver, RopeScaling};
use crate::program::{Context, compile, execute, shape_of};
use crate::tensor::{Axis, Value};

impl Known<'_> {
    /// Other numbers of heads of the same width together: the stretch is run as an architecture with that many would.
    pub(super) fn other_heads(&self) -> Option<Reason> {
        // Where values are of another width than keys, or keys share features, other numbers of heads have other weights.
        if self.spec.attention.latent.is_some() || self.spec.v_head_dim != self.spec.head_dim {
            return None;
        }
        let divided = |axes: &[Axis]| axes.contains(&Axis::Head);
        if !self.stretch.ops().any(|(_, op)| divided(&op.axes)) {
            return None;
        }
        let (heads, kv, width) = (self.spec.n_heads, self.spec.n_kv_heads, self.spec.head_dim);
        let row = heads * width;
        let others = (1..=row).filter(|other| *other != heads && row.is_multiple_of(*other));
        others.into_iter().find_map(|other| {
            let mut specs = [true, false].into_iter().filter_map(|scaled| divided_into(self.spec, other, scaled));
            let spec = specs.find(|spec| self.is_of(spec))?;
            Some(match kv == heads {
                true => Reason::Heads { there: (other, spec.head_dim), here: (heads, width) },
                false => {
                    Reason::GroupedHeads { there: (other, spec.head_dim, spec.n_kv_heads), here: (heads, width, kv) }
                }
            })
        })
    }

    /// Whether an architecture whose ops have the same names and weights gives the other side's value.
    fn is_of(&self, spec: &ModelSpec) -> bool {
        let program = compile(spec);
        let span = 0..self.input.length();
        let context = Context::new(spec, self.input, span.clone(), self.context.placement());
        let again = self.stretch.again((self.weights, &context), &|_| true, &mut |_, op, inputs| {
            let other = &program.ops[program.op_of(&op.site)?];
            let laid = |(value, &input): (&Value, &usize)| {
                let shape = shape_of(&program.ops[input], 1, span.clone(), self.input.source_length());
                value.reshape(&shape).ok().map(|laid| laid.with_axes(value.axes()))
            };
            let inputs: Vec<_> = inputs.iter().zip(&other.inputs).map(laid).collect::<Option<_>>()?;
            execute(other, &inputs, self.weights, &context).ok()
        });
        again.and_then(|value| value.read_f64().ok()).is_some_and(|guess| self.is_theirs(&guess))
    }
}

/// The architecture with so many heads, its scores scaled by their width where ours are; `None` if there can be none.
fn divided_into(spec: &ModelSpec, heads: usize, scaled: bool) -> Option<ModelSpec> {
    let width = spec.n_heads * spec.head_dim / heads;
    let all_kv = spec.n_kv_heads * spec.head_dim;
    let by_head = spec.attention.qk_norm.is_some_and(|norm| norm.over != QkNormOver::All);
    if by_head || !spec.has_equal_heads() || !all_kv.is_multiple_of(width) || !heads.is_multiple_of(all_kv / width) {
        return None;
    }
    let n_kv_heads = all_kv / width;
    let mut other = ModelSpec { n_heads: heads, n_kv_heads, head_dim: width, v_head_dim: width, ..spec.clone() };
    for rope in &mut other.ropes {
        let dim = rope.dim * width;
        if !dim.is_multiple_of(2 * spec.head_dim)
            || matches!(rope.scaling, RopeScaling::LongRope { .. } | RopeScaling::Stored { .. })
        {
            return None;
        }
        rope.dim = dim / spec.head_dim;
    }
    if scaled {
        for layer in &mut other.layers {
            layer.scale *= (spec.head_dim as f64 / width as f64).sqrt();
        }
    }
    Some(other)
}
