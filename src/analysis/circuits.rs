//! What heads do by their weights alone (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"): the
//! circuit through which a head moves tokens (OV), the one by which it chooses them (QK), and how heads read what
//! earlier heads wrote.
//!
//! With row vectors, `OV = W_V W_O` and `QK = W_Q W_K^T`, both `[d, d]` of rank `h`; over tokens they are `W_E OV W_U`
//! and `W_E QK W_E^T`. The eigenvalues of `A B` that are not zero are those of `B A`, so matrices of `[h, h]` are all
//! that is decomposed. Weights are as they are: gains of norms are not folded in, and rotations are those of a distance
//! of zero.

use nalgebra::{Complex, DMatrix, Schur};

use crate::debugger::{Error, Result};
use crate::model::Weights;
use crate::model::role::{Role, WeightId};
use crate::model::spec::ModelSpec;
use crate::tensor::proceed;

/// Iterations for so many eigenvalues or singular values: each takes two or three.
fn bound(count: usize) -> usize {
    1000 + 100 * count
}

fn not_found(what: &str, iterations: usize) -> Error {
    Error::refused(format!("the {what} were not found within {iterations} iterations"))
}

fn finite(matrix: DMatrix<f64>, name: impl FnOnce() -> String) -> Result<DMatrix<f64>> {
    match matrix.iter().all(|x| x.is_finite()) {
        true => Ok(matrix),
        false => Err(Error::refused(format!(
            "{} has elements that are not finite (NaN or infinite), so it has no eigenvalues, singular values or norms",
            name()
        ))),
    }
}

/// A head's projections, with row vectors.
#[derive(Clone, Debug)]
pub struct HeadWeights {
    pub layer: usize,
    pub head: usize,
    /// `[d, h]`.
    q: DMatrix<f64>,
    k: DMatrix<f64>,
    v: DMatrix<f64>,
    /// `[h, d]`.
    o: DMatrix<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Circuits {
    pub layer: usize,
    pub head: usize,
    /// `sum Re(l) / sum |l|` over the eigenvalues `l` of the OV circuit over tokens: 1 copies each token, -1 speaks
    /// against it.
    pub copying: Option<f64>,
    /// The same of the QK circuit: 1 looks for the token that it is at.
    pub matching: Option<f64>,
    /// Eigenvalues of OV, real and imaginary part, the largest first; over tokens where the model has a vocabulary on
    /// both sides.
    pub ov: Vec<(f64, f64)>,
    /// The same of QK.
    pub qk: Vec<(f64, f64)>,
    /// Frobenius norm of `W_V W_O`.
    pub ov_norm: f64,
    /// Frobenius norm of `W_Q W_K^T`.
    pub qk_norm: f64,
}

fn matrix(weights: &Weights, id: WeightId) -> Result<Option<DMatrix<f64>>> {
    proceed()?;
    let Some(value) = weights.whole(id)? else { return Ok(None) };
    let [rows, columns] = *value.shape() else { return Ok(None) };
    finite(DMatrix::from_row_slice(rows, columns, &value.read_f64()?), || id.to_string()).map(Some)
}

/// Every head's projections; key/value heads that several query heads share are in each of them.
pub fn heads(spec: &ModelSpec, weights: &Weights) -> Result<Vec<HeadWeights>> {
    if spec.attention.latent.is_some() {
        return Err(Error::refused(
            "heads of this model have no W_V W_O and W_Q W_K^T: their keys and values pass a norm (attn.kv_latent_norm) \
             between two matrices",
        ));
    }
    let mut all = Vec::new();
    for layer in 0..spec.n_layers {
        let of = |layer: usize, role| matrix(weights, WeightId::block(spec.weights_of(layer), role));
        let get = |role| of(layer, role);
        // Where keys and values are those of another block, its weights make them; values may be the keys.
        let from = spec.layers[layer].keys_of.unwrap_or(layer);
        let value = if spec.layers[from].values_are_keys { Role::W_K } else { Role::W_V };
        let (Some(q), Some(k), Some(v), Some(o)) =
            (get(Role::W_Q)?, of(from, Role::W_K)?, of(from, value)?, get(Role::W_O)?)
        else {
            continue;
        };
        let (width, group) = (spec.head_dim_of(layer), (spec.n_heads / spec.kv_heads_of(layer).max(1)).max(1));
        for head in 0..spec.n_heads {
            let columns = |of: &DMatrix<f64>, head: usize| of.columns(head * width, width).into_owned();
            all.push(HeadWeights {
                layer,
                head,
                q: columns(&q, head),
                k: columns(&k, head / group),
                v: columns(&v, head / group),
                o: o.rows(head * width, width).into_owned(),
            });
        }
    }
    Ok(all)
}

/// Products of the token tables, `[d, d]`: `W_U W_E` and `W_E^T W_E`. `None` if one of the tables is missing or
/// is not `[V, d]`.
pub fn tables(spec: &ModelSpec, weights: &Weights) -> Result<Option<(DMatrix<f64>, DMatrix<f64>)>> {
    let (embed, unembed) = (WeightId::global(Role::W_E), WeightId::global(Role::W_U));
    let shape = [spec.vocab, spec.d_model];
    if [embed, unembed].iter().any(|id| weights.shape(*id) != Some(&shape)) {
        return Ok(None);
    }
    let (embed, unembed) = (weights.value(embed)?, weights.value(unembed)?);
    let product = |left: &crate::tensor::Value, name: &str| {
        let product = left.transpose().matmul(&embed)?; // [d, V] [V, d]
        finite(DMatrix::from_row_slice(spec.d_model, spec.d_model, &product.read_f64()?), || name.into())
    };
    Ok(Some((product(&unembed, "W_U W_E")?, product(&embed, "W_E^T W_E")?)))
}

pub fn circuits(head: &HeadWeights, tables: Option<&(DMatrix<f64>, DMatrix<f64>)>) -> Result<Circuits> {
    proceed()?;
    let name = |circuit: &str| format!("{circuit} of L{}H{}", head.layer, head.head);
    let (ov, qk) = match tables {
        // W_E W_V W_O W_U has the eigenvalues of W_O (W_U W_E) W_V; W_E W_Q W_K^T W_E^T those of W_K^T (W_E^T W_E) W_Q.
        Some((across, within)) => (&head.o * across * &head.v, head.k.transpose() * within * &head.q),
        None => (&head.o * &head.v, head.k.transpose() * &head.q),
    };
    let (ov, qk) = (finite(ov, || name("OV"))?, finite(qk, || name("QK"))?);
    let (ov, qk) = (eigenvalues(ov)?, eigenvalues(qk)?);
    let score = |values: &[(f64, f64)]| {
        let sizes: f64 = values.iter().map(|(re, im)| re.hypot(*im)).sum();
        tables.is_some().then(|| values.iter().map(|(re, _)| re).sum::<f64>() / sizes)
    };
    Ok(Circuits {
        layer: head.layer,
        head: head.head,
        copying: score(&ov),
        matching: score(&qk),
        ov,
        qk,
        ov_norm: product_norm(&head.v, &head.o),
        qk_norm: product_norm(&head.q, &head.k.transpose()),
    })
}

/// The cosine of what two heads move, `<OV_a, OV_b> / (|OV_a| |OV_b|)` with Frobenius' product: 1 if one writes what
/// the other does wherever they look.
pub fn likeness(a: &HeadWeights, b: &HeadWeights) -> f64 {
    // tr((V_a O_a)^T V_b O_b) = tr((V_a^T V_b) (O_b O_a^T)).
    let product = ((a.v.transpose() * &b.v) * (&b.o * a.o.transpose())).trace();
    product / (product_norm(&a.v, &a.o) * product_norm(&b.v, &b.o))
}

/// Of a finite matrix, the largest first.
fn eigenvalues(square: DMatrix<f64>) -> Result<Vec<(f64, f64)>> {
    let (count, scale) = (square.nrows(), square.amax());
    if scale == 0.0 {
        return Ok(vec![(0.0, 0.0); count]);
    }
    let schur = Schur::try_new(square / scale, f64::EPSILON, bound(count));
    let schur = schur.ok_or_else(|| not_found("eigenvalues", bound(count)))?;
    let mut found: Vec<Complex<f64>> = schur.complex_eigenvalues().iter().map(|value| value * scale).collect();
    found.sort_by(|a, b| b.norm().total_cmp(&a.norm()));
    Ok(found.into_iter().map(|value| (value.re, value.im)).collect())
}

/// Frobenius norm of `A B` for a tall `A` and a wide `B`: `sqrt(tr((A^T A) (B B^T)))`.
fn product_norm(a: &DMatrix<f64>, b: &DMatrix<f64>) -> f64 {
    root(((a.transpose() * a) * (b * b.transpose())).trace())
}

/// Of a square that rounding may have made negative. (`max(0.0)` would make zero of NaN.)
fn root(square: f64) -> f64 {
    if square < 0.0 { 0.0 } else { square.sqrt() }
}

/// Which input of a later head reads what an earlier one wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    Q,
    K,
    V,
}

/// Composition of an earlier head with a later one: `|OV_a M| / (|OV_a| |M|)` with Frobenius norms, where `M` is QK,
/// its transpose, or OV of the later head (Elhage et al. 2021).
pub fn composition(earlier: &HeadWeights, later: &HeadWeights, reads: Reads) -> f64 {
    let (input, rest) = match reads {
        Reads::Q => (&later.q, later.k.transpose()),
        Reads::K => (&later.k, later.q.transpose()),
        Reads::V => (&later.v, later.o.clone()),
    };
    let between = &earlier.o * input; // [h, h]
    let whole = (earlier.v.transpose() * &earlier.v) * &between * (&rest * rest.transpose()) * between.transpose();
    let norms = product_norm(&earlier.v, &earlier.o) * product_norm(input, &rest);
    root(whole.trace()) / norms
}

/// Singular values of a matrix `[rows, columns]` that is not empty, the largest first.
///
/// They are those of the triangle `R` of its QR decomposition. A matrix that is far longer than wide (a vocabulary) is
/// decomposed piece by piece, each under the triangle of those before it: that is less work, and the user can interrupt
/// in between.
///
/// # Errors
/// If an element is not finite, the values are not found, or the user interrupts.
pub fn singular_values(data: &[f64], rows: usize, columns: usize) -> Result<Vec<f64>> {
    let (long, wide) = (rows.max(columns), rows.min(columns));
    let whole = match rows >= columns {
        true => DMatrix::from_row_slice(rows, columns, data),
        false => DMatrix::from_column_slice(columns, rows, data),
    };
    let mut left = finite(whole, || "the matrix".into())?;
    let scale = left.amax();
    if scale == 0.0 {
        return Ok(vec![0.0; wide]);
    }
    left /= scale;
    let piece = PIECE * wide;
    if long > piece {
        let mut triangle = DMatrix::zeros(0, wide);
        for start in (0..long).step_by(piece) {
            proceed()?;
            let more = left.rows(start, piece.min(long - start));
            let mut stacked = DMatrix::zeros(triangle.nrows() + more.nrows(), wide);
            stacked.rows_mut(0, triangle.nrows()).copy_from(&triangle);
            stacked.rows_mut(triangle.nrows(), more.nrows()).copy_from(&more);
            triangle = stacked.qr().r();
        }
        left = triangle;
    }
    proceed()?;
    let svd = left.try_svd_unordered(false, false, 5.0 * f64::EPSILON, bound(wide));
    let svd = svd.ok_or_else(|| not_found("singular values", bound(wide)))?;
    let mut values: Vec<f64> = svd.singular_values.iter().map(|value| value * scale).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    Ok(values)
}

/// Rows that are decomposed at once, in widths of the matrix.
const PIECE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn made(rows: usize, columns: usize, seed: usize) -> DMatrix<f64> {
        DMatrix::from_fn(rows, columns, |i, j| (((i * 31 + j * 17 + seed * 101) % 97) as f64 / 48.0 - 1.0) / 3.0)
    }

    fn head(layer: usize, seed: usize) -> HeadWeights {
        HeadWeights {
            layer,
            head: 0,
            q: made(12, 4, seed),
            k: made(12, 4, seed + 1),
            v: made(12, 4, seed + 2),
            o: made(4, 12, seed + 3),
        }
    }

    /// Against the whole matrices, written out.
    #[test]
    fn factors_give_what_whole_matrices_do() {
        let (a, b) = (head(0, 5), head(1, 9));
        let ov = |head: &HeadWeights| &head.v * &head.o;
        let qk = |head: &HeadWeights| &head.q * head.k.transpose();
        let wanted = |left: DMatrix<f64>, right: DMatrix<f64>| (&left * &right).norm() / (left.norm() * right.norm());
        for (reads, right) in [(Reads::Q, qk(&b)), (Reads::K, qk(&b).transpose()), (Reads::V, ov(&b))] {
            let found = composition(&a, &b, reads);
            assert!((found - wanted(ov(&a), right)).abs() < 1e-12, "{reads:?}: {found}");
        }
        let (embed, unembed) = (made(20, 12, 3), made(12, 20, 4));
        let tables = (&unembed * &embed, embed.transpose() * &embed);
        let found = circuits(&a, Some(&tables)).unwrap();
        let over_tokens = eigenvalues(&embed * ov(&a) * &unembed).unwrap();
        for (found, wanted) in found.ov.iter().zip(&over_tokens) {
            assert!((found.0 - wanted.0).hypot(found.1.abs() - wanted.1.abs()) < 1e-9, "{found:?} {wanted:?}");
        }
        let trace = (&embed * ov(&a) * &unembed).trace();
        let sizes: f64 = over_tokens.iter().map(|(re, im)| re.hypot(*im)).sum();
        assert!((found.copying.unwrap() - trace / sizes).abs() < 1e-9);
        assert!((found.ov_norm - ov(&a).norm()).abs() < 1e-12 && (found.qk_norm - qk(&a).norm()).abs() < 1e-12);
    }

    #[test]
    fn a_head_that_copies_has_a_score_of_one() {
        let mut copier = head(0, 1);
        copier.v = DMatrix::identity(12, 4);
        copier.o = DMatrix::identity(4, 12);
        let tables = (DMatrix::identity(12, 12), DMatrix::identity(12, 12));
        assert!((circuits(&copier, Some(&tables)).unwrap().copying.unwrap() - 1.0).abs() < 1e-12);
        copier.o *= -1.0;
        assert!((circuits(&copier, Some(&tables)).unwrap().copying.unwrap() + 1.0).abs() < 1e-12);
        assert_eq!(circuits(&copier, None).unwrap().copying, None);
    }

    #[test]
    fn singular_values_are_those_of_a_known_matrix() {
        // A rotation of diag(3, 2) has these.
        let (c, s) = (0.6, 0.8);
        let found = singular_values(&[3.0 * c, -2.0 * s, 3.0 * s, 2.0 * c], 2, 2).unwrap();
        assert!((found[0] - 3.0).abs() < 1e-12 && (found[1] - 2.0).abs() < 1e-12);
        assert_eq!(singular_values(&[0.0; 6], 2, 3).unwrap(), [0.0, 0.0]);
    }

    /// Against nalgebra's decomposition of the whole matrix; 1e-14 is some roundings of 64 bits relative to the
    /// largest.
    #[test]
    fn piece_by_piece_there_are_the_same_singular_values_at_any_scale() {
        let matrix = made(45, 4, 7);
        let mut wanted: Vec<f64> = matrix.clone().singular_values().iter().copied().collect();
        wanted.sort_by(|a, b| b.total_cmp(a));
        for scale in [1.0, 1e-200, 1e200] {
            // By rows as the program has them, and the transposed.
            let by_rows: Vec<f64> = matrix.transpose().iter().map(|x| x * scale).collect();
            let by_columns: Vec<f64> = matrix.iter().map(|x| x * scale).collect();
            for found in [singular_values(&by_rows, 45, 4), singular_values(&by_columns, 4, 45)] {
                for (found, wanted) in found.unwrap().iter().zip(&wanted) {
                    assert!((found / scale - wanted).abs() < 1e-14 * wanted.max(1.0), "{found} {wanted}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_refused_and_extremes_end() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut data = vec![1.0; 12];
            data[7] = bad;
            assert!(matches!(singular_values(&data, 4, 3), Err(Error::Refused(why)) if why.contains("not finite")));
            let mut poisoned = head(0, 1);
            poisoned.v[(3, 2)] = bad;
            assert!(matches!(circuits(&poisoned, None), Err(Error::Refused(why)) if why.contains("not finite")));
        }
        for scale in [0.0, 1e-300, 1e-42, 3e38, 1e70] {
            let mut extreme = head(0, 1);
            extreme.v *= scale;
            let plain = circuits(&head(0, 1), None).unwrap();
            let found = circuits(&extreme, None).unwrap();
            for (found, plain) in found.ov.iter().zip(&plain.ov) {
                assert!(
                    (found.0 - plain.0 * scale).abs() <= 1e-12 * scale * plain.0.hypot(plain.1),
                    "{scale}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn a_norm_of_nan_is_not_zero() {
        let mut bad = made(12, 4, 1);
        bad[(0, 0)] = f64::NAN;
        assert!(product_norm(&bad, &made(4, 12, 2)).is_nan());
    }
}
