//! Rotary position embeddings.

use super::{filled, value};
use crate::model::spec::Pairing;
use crate::program::context::Rotation;
use crate::tensor::{Value, inlined, vectorised};

pub fn rotate(x: &Value, rotation: &Rotation) -> Option<Value> {
    let host = x.host_f32()?;
    let [rows, length, heads, width] = *x.shape() else { return None };
    let (cos, sin) = &*rotation.host;
    let (pairs, first) = (rotation.cos.dims()[3], rotation.first);
    if rows * length * heads * width == 0 || pairs == 0 {
        return None;
    }
    let angles = cos.len() / pairs;
    let out = filled(rows * length * heads * width, |out| {
        let positions = out.chunks_exact_mut(heads * width).zip(host.as_slice().chunks_exact(heads * width));
        for (i, (out, x)) in positions.enumerate() {
            let at = i % angles * pairs;
            let (cos, sin) = (&cos[at..at + pairs], &sin[at..at + pairs]);
            vectorised(inlined!(|| {
                for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                    let (start, end) = (first, first + 2 * pairs);
                    let beside = out[..start].iter_mut().zip(&x[..start]);
                    beside.for_each(|(out, x)| {
                        out.write(*x);
                    });
                    out[end..].iter_mut().zip(&x[end..]).for_each(|(out, x)| {
                        out.write(*x);
                    });
                    let (out, x) = (&mut out[start..end], &x[start..end]);
                    for (pair, (cos, sin)) in cos.iter().zip(sin).enumerate() {
                        let (i, j) = match rotation.pairing {
                            Pairing::Half => (pair, pair + pairs),
                            Pairing::Interleaved => (2 * pair, 2 * pair + 1),
                        };
                        let (a, b) = (x[i], x[j]);
                        out[i].write(a * cos - b * sin);
                        out[j].write(b * cos + a * sin);
                    }
                }
            }));
        }
    });
    Some(value(out, x.shape()))
}
