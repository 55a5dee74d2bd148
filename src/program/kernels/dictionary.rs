//! The arithmetic of dictionaries of features; `n` features, `d` features of the stream.
//!
//! Features are few among many, so on the CPU only the rows of the decoder that they need are read, and summed in 64
//! bits. Where a gradient follows, and on other devices, everything is a product of whole matrices.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{basic, norm};
use crate::model::dictionary::{Choice, Coding, Scaling};
use crate::model::role::{Role, WeightId};
use crate::model::weights::Weights;
use crate::tensor::{Precision, TensorError, Value, same_bits};

/// Added to the standard deviation that values are divided by.
const EPS: f64 = 1e-5;

/// A dictionary with its weights.
pub struct Coder<'a> {
    pub coding: Coding,
    pub ids: &'a [WeightId],
    pub weights: &'a Weights,
}

/// What the op that gives the stream reads.
pub struct Read<'a> {
    /// The site, `[B, T, d]` or `[B, T, H, h]`.
    pub site: &'a Value,
    /// `[B, T, n]`.
    pub enc: &'a Value,
    /// What the dictionary reads, `[B, T, d]`.
    pub x: &'a Value,
    /// `[B, T, n]`.
    pub acts: &'a Value,
    /// `[B, T, d]`.
    pub recon: &'a Value,
    /// `[B, T, d]`.
    pub error: &'a Value,
}

/// Whether values are computed with by burn's operations, whatever device they are on.
fn by_burn(values: &[&Value]) -> bool {
    values.iter().any(|value| value.is_tracked() || value.dtype_name() == "f64")
}

/// What a dictionary reads of a site: heads joined, and with `centred` without the mean over features.
pub fn input(site: &Value, centred: bool) -> Value {
    let x = joined(site);
    if !centred {
        return x;
    }
    let x = x.tensor::<3>();
    let mean = x.clone().mean_dim(2); // [B, T, 1]
    Value::float(x - mean)
}

/// `[B, T, H, h]` as `[B, T, H h]`; other values as they are.
fn joined(site: &Value) -> Value {
    if site.shape().len() == 4 { basic::join_heads(site) } else { site.clone() }
}

impl Coder<'_> {
    fn id(&self, role: Role) -> Option<WeightId> {
        self.ids.iter().copied().find(|id| id.role == role)
    }

    fn vector(&self, role: Role) -> Result<Option<Value>, TensorError> {
        self.id(role).map(|id| self.weights.value(id)).transpose()
    }

    fn wanted(&self, role: Role) -> WeightId {
        self.id(role).unwrap_or_else(|| panic!("a dictionary without {}", role.name()))
    }

    /// The product with the encoder, `[B, T, d]` to `[B, T, n]`.
    pub fn enc(&self, x: &Value) -> Result<Value, TensorError> {
        let mut z = self.scaled(x);
        if self.coding.subtracts {
            let bias = self.weights.value(self.wanted(Role::DictDecB))?.tensor::<1>();
            let width = bias.dims()[0];
            z = Value::float(z.tensor::<3>() - bias.reshape([1, 1, width]));
        }
        Ok(basic::weighted(&z, &self.weights.get(self.wanted(Role::DictEnc))?, None))
    }

    /// Features before the choice, `[B, T, n]`.
    pub fn pre(&self, enc: &Value) -> Result<Value, TensorError> {
        let bias = self.weights.value(self.wanted(Role::DictEncB))?;
        let gain = match self.vector(Role::DictGain)? {
            Some(gain) => gain,
            None if by_burn(&[enc]) => {
                let width = bias.shape()[0];
                return Ok(Value::float(enc.tensor::<3>() + bias.tensor::<1>().reshape([1, 1, width])));
            }
            None => Value::from_f32(vec![1.0; bias.count()], bias.shape(), &bias.device()),
        };
        Ok(norm::gain(enc, &gain, Some(&bias), false))
    }

    /// Features, `[B, T, n]`.
    pub fn acts(&self, pre: &Value, enc: &Value) -> Result<Value, TensorError> {
        let active = self.active(pre, enc)?;
        if by_burn(&[pre, enc]) {
            let mask = active.iter().map(|active| f32::from(u8::from(*active))).collect();
            let mask = Value::from_f32(mask, pre.shape(), &pre.device()).tensor::<3>();
            let x = pre.tensor::<3>();
            let dtype = x.dtype();
            return Ok(Value::float(x * mask.cast(dtype)));
        }
        let mut data = pre.read_f32()?;
        data.par_iter_mut().zip(&active).with_min_len(1 << 14).for_each(|(x, active)| {
            if !active {
                *x = 0.0;
            }
        });
        Ok(Value::from_f32(data, pre.shape(), &pre.device()))
    }

    /// Which features are active, `B T n` of them. What is no number counts as the largest.
    fn active(&self, pre: &Value, enc: &Value) -> Result<Vec<bool>, TensorError> {
        let width = pre.shape()[2].max(1);
        let limits = match self.coding.choice {
            Choice::JumpRelu { .. } => self.vector(Role::DictThreshold)?,
            Choice::Gated => self.vector(Role::DictGateB)?,
            _ => None,
        };
        let limits = limits.map(|limits| limits.read_f64()).transpose()?.unwrap_or_default();
        let gates = if self.coding.choice == Choice::Gated { enc.read_f64()? } else { Vec::new() };
        let data = pre.read_f64()?;
        let mut active = vec![false; data.len()];
        active.par_chunks_mut(width).zip(data.par_chunks(width)).enumerate().for_each(|(row, (active, h))| match self
            .coding
            .choice
        {
            Choice::Relu => fill(active, |i| above(h[i], 0.0)),
            Choice::JumpRelu { relu } => {
                fill(active, |i| above(h[i], limits[i]) && (!relu || above(h[i], 0.0)));
            }
            Choice::Gated => {
                let gate = &gates[row * width..(row + 1) * width];
                fill(active, |i| above(gate[i] + limits[i], 0.0) && above(h[i], 0.0));
            }
            Choice::TopK(k) => {
                largest(h, k, |x| x).into_iter().for_each(|i| active[i] = above(h[i], 0.0));
            }
            Choice::AbsTopK(k) => largest(h, k, f64::abs).into_iter().for_each(|i| active[i] = true),
            Choice::GroupMax(groups) => {
                let each = (width / groups.max(1)).max(1);
                for (group, h) in h.chunks(each).enumerate() {
                    largest(h, 1, |x| x).into_iter().for_each(|i| active[group * each + i] = above(h[i], 0.0));
                }
            }
        });
        Ok(active)
    }

    /// What is rebuilt of features, `[B, T, n]` to `[B, T, d]`.
    pub fn recon(&self, acts: &Value, x: &Value) -> Result<Value, TensorError> {
        let rebuilt = if by_burn(&[acts, x]) || !acts.device().is_cpu() {
            let bias = self.weights.value(self.wanted(Role::DictDecB))?;
            basic::linear(&self.divided(acts)?, &self.weights.value(self.wanted(Role::DictDec))?, Some(&bias))
        } else {
            self.summed(acts)?
        };
        let scaled = self.unscaled(&rebuilt, x);
        match self.id(Role::DictSkip) {
            Some(skip) => Ok(basic::add(&[scaled, basic::weighted(x, &self.weights.get(skip)?, None)])),
            None => Ok(scaled),
        }
    }

    /// What the features that follow from `enc` leave out of a site, `[B, T, d]`.
    pub fn error(&self, site: &Value, enc: &Value, x: &Value) -> Result<Value, TensorError> {
        self.left(site, &self.recon(&self.clean(enc)?, x)?)
    }

    fn left(&self, site: &Value, rebuilt: &Value) -> Result<Value, TensorError> {
        Ok(Value::float(joined(site).tensor::<3>() - rebuilt.tensor::<3>()))
    }

    /// The features that follow from `enc`, as if nothing after it were edited.
    fn clean(&self, enc: &Value) -> Result<Value, TensorError> {
        let pre = self.pre(enc)?.held_in(self.precision());
        Ok(self.acts(&pre, enc)?.held_in(self.precision()))
    }

    fn precision(&self) -> Precision {
        self.weights.precision()
    }

    /// The stream: the site where no feature, nothing that is rebuilt and no error is other than what follows from `enc`.
    /// At positions where only features are, the site plus what the decoder makes of their differences; at others what
    /// is rebuilt plus the error.
    pub fn out(&self, read: &Read<'_>) -> Result<Value, TensorError> {
        let Read { site, enc, x, acts, recon, error } = *read;
        let shape = site.shape().to_vec();
        if by_burn(&[site, enc, x, acts, recon, error]) {
            return Ok(basic::add(&[recon.clone(), error.clone()]).reshaped(&shape));
        }
        let held = |value: Value| value.held_in(self.precision());
        let clean = self.clean(enc)?;
        let features_are = same_bits(acts, &clean)?;
        let of_clean = self.recon(&clean, x)?;
        let of_acts = if features_are { of_clean.clone() } else { self.recon(acts, x)? };
        let (rebuilt, left) = (held(of_acts), held(self.left(site, &of_clean)?));
        if features_are && same_bits(recon, &rebuilt)? && same_bits(error, &left)? {
            return Ok(site.clone());
        }
        let width = recon.shape()[2].max(1);
        let count = acts.shape()[2].max(1);
        let mut out = joined(site).read_f32()?; // [B T, d]
        let pairs = |a: &Value, b: &Value| Ok::<_, TensorError>((a.read_f32()?, b.read_f32()?));
        let ((recon, rebuilt), (error, left)) = (pairs(recon, &rebuilt)?, pairs(error, &left)?);
        let (acts, clean) = pairs(acts, &clean)?;
        let lengths = self.lengths(x)?;
        let gain = self.divisors()?;
        let mut changes: Vec<(usize, Vec<(usize, f64)>)> = Vec::new();
        for (at, out) in out.chunks_exact_mut(width).enumerate() {
            let (place, row) = (at * width..(at + 1) * width, at * count..(at + 1) * count);
            if !same(&recon[place.clone()], &rebuilt[place.clone()])
                || !same(&error[place.clone()], &left[place.clone()])
            {
                let sums = recon[place.clone()].iter().zip(&error[place]);
                out.iter_mut().zip(sums).for_each(|(out, (recon, error))| *out = recon + error);
                continue;
            }
            let pairs = acts[row.clone()].iter().zip(&clean[row]).enumerate();
            let changed: Vec<(usize, f64)> = pairs
                .filter(|(_, (now, before))| now.to_bits() != before.to_bits())
                .map(|(i, (now, before))| {
                    let change = f64::from(*now) - f64::from(*before);
                    (i, change * lengths[at] / gain.as_ref().map_or(1.0, |gain| f64::from(gain[i])))
                })
                .collect();
            if !changed.is_empty() {
                changes.push((at, changed));
            }
        }
        self.add_rows(&mut out, width, &changes)?;
        Ok(Value::from_f32(out, &shape, &site.device()))
    }

    /// Adds rows of the decoder to rows of `out`: at each place, some features, each times a number. Sums are in 64 bits.
    fn add_rows(
        &self,
        out: &mut [f32],
        width: usize,
        places: &[(usize, Vec<(usize, f64)>)],
    ) -> Result<(), TensorError> {
        let mut needed: Vec<usize> = places.iter().flat_map(|(_, list)| list.iter().map(|(i, _)| *i)).collect();
        needed.sort_unstable();
        needed.dedup();
        if needed.is_empty() {
            return Ok(());
        }
        let id = self.wanted(Role::DictDec);
        // Rows are read alone, unless the decoder is edited.
        let edited = self.weights.overlay().has(id).then(|| self.weights.value(id)).transpose()?;
        let rows = match &edited {
            Some(all) => all.read_f32()?,
            None => self.weights.rows(id, &needed)?.read_f32()?,
        };
        let row = |feature: usize| {
            let at = if edited.is_some() { feature } else { needed.binary_search(&feature).unwrap_or_default() };
            &rows[at * width..(at + 1) * width]
        };
        let mut lines: Vec<Option<&mut [f32]>> = out.chunks_exact_mut(width).map(Some).collect();
        let jobs: Vec<(&mut [f32], &Vec<(usize, f64)>)> =
            places.iter().filter_map(|(at, list)| Some((lines[*at].take()?, list))).collect();
        jobs.into_par_iter().for_each(|(line, list)| {
            let mut sums: Vec<f64> = line.iter().map(|x| f64::from(*x)).collect();
            for (feature, times) in list {
                sums.iter_mut().zip(row(*feature)).for_each(|(sum, x)| *sum += times * f64::from(*x));
            }
            line.iter_mut().zip(sums).for_each(|(x, sum)| *x = sum as f32);
        });
        Ok(())
    }

    /// `f W_dec + b_dec`, of the rows of active features alone.
    fn summed(&self, acts: &Value) -> Result<Value, TensorError> {
        let [batch, length, count] = *acts.shape() else { panic!("features of positions") };
        let bias = self.weights.value(self.wanted(Role::DictDecB))?.read_f32()?;
        let width = bias.len();
        let features = acts.read_f32()?;
        let gain = self.divisors()?;
        let active = |row: &[f32]| -> Vec<(usize, f64)> {
            let some = row.iter().enumerate().filter(|(_, x)| **x != 0.0);
            some.map(|(i, x)| (i, f64::from(*x) / gain.as_ref().map_or(1.0, |gain| f64::from(gain[i])))).collect()
        };
        let places: Vec<(usize, Vec<(usize, f64)>)> =
            features.par_chunks(count.max(1)).map(active).enumerate().collect();
        let mut out = bias.repeat(batch * length);
        self.add_rows(&mut out, width, &places)?;
        Ok(Value::from_f32(out, &[batch, length, width], &acts.device()))
    }

    /// What features are divided by before they are decoded.
    fn divisors(&self) -> Result<Option<Vec<f32>>, TensorError> {
        match self.vector(Role::DictGain)?.filter(|_| self.coding.divided) {
            Some(gain) => gain.read_f32().map(Some),
            None => Ok(None),
        }
    }

    fn divided(&self, acts: &Value) -> Result<Value, TensorError> {
        let Some(gain) = self.vector(Role::DictGain)?.filter(|_| self.coding.divided) else { return Ok(acts.clone()) };
        let width = gain.shape()[0];
        Ok(Value::float(acts.tensor::<3>() / gain.tensor::<1>().reshape([1, 1, width])))
    }

    /// What is encoded of `x`, `[B, T, d]`.
    fn scaled(&self, x: &Value) -> Value {
        match self.coding.scaling {
            Scaling::None => x.clone(),
            Scaling::Fixed(factor) => basic::scale(x.clone(), factor),
            Scaling::Length => Value::float(x.tensor::<3>() / by_root(x)),
            Scaling::LayerNorm => {
                let (centred, _, std) = standard(x);
                Value::float(centred / std.add_scalar(EPS))
            }
        }
    }

    /// The same undone, `[B, T, d]`: of a transcoder only a fixed factor.
    fn unscaled(&self, y: &Value, x: &Value) -> Value {
        match self.coding.scaling {
            Scaling::Fixed(factor) => basic::scale(y.clone(), 1.0 / factor),
            Scaling::Length if !self.coding.transcodes => Value::float(y.tensor::<3>() * by_root(x)),
            Scaling::LayerNorm if !self.coding.transcodes => {
                let (_, mean, std) = standard(x);
                Value::float(y.tensor::<3>() * std + mean)
            }
            _ => y.clone(),
        }
    }

    /// By what a difference of what is decoded is multiplied at each position: `B T` numbers.
    fn lengths(&self, x: &Value) -> Result<Vec<f64>, TensorError> {
        let count = x.shape()[0] * x.shape()[1];
        Ok(match self.coding.scaling {
            Scaling::Fixed(factor) => vec![1.0 / factor; count],
            Scaling::Length if !self.coding.transcodes => Value::float(by_root(x)).read_f64()?,
            Scaling::LayerNorm if !self.coding.transcodes => Value::float(standard(x).2).read_f64()?,
            _ => vec![1.0; count],
        })
    }
}

/// Whether a number is above a limit; what is no number is.
fn above(x: f64, limit: f64) -> bool {
    x > limit || x.is_nan()
}

fn fill(active: &mut [bool], which: impl Fn(usize) -> bool) {
    active.iter_mut().enumerate().for_each(|(i, active)| *active = which(i));
}

fn same(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// The indices of the `k` entries for which `by` is largest. Of equals the first counts; what is no number is largest.
fn largest(h: &[f64], k: usize, by: impl Fn(f64) -> f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..h.len()).collect();
    let k = k.min(order.len());
    let key = |i: usize| if h[i].is_nan() { f64::INFINITY } else { by(h[i]) };
    if k < order.len() && k > 0 {
        order.select_nth_unstable_by(k - 1, |&a, &b| key(b).total_cmp(&key(a)).then(a.cmp(&b)));
    }
    order.truncate(k);
    order
}

/// `|x| / sqrt(d)` of each position, `[B, T, 1]`.
fn by_root(x: &Value) -> Tensor<3> {
    let x = x.tensor::<3>();
    let width = x.dims()[2] as f64;
    x.square().sum_dim(2).sqrt().div_scalar(width.sqrt())
}

/// `x - mean` `[B, T, d]`, the mean and the standard deviation `[B, T, 1]`, whose variance is over `d - 1`.
fn standard(x: &Value) -> (Tensor<3>, Tensor<3>, Tensor<3>) {
    let x = x.tensor::<3>();
    let width = x.dims()[2] as f64;
    let mean = x.clone().mean_dim(2);
    let centred = x - mean.clone();
    let std = centred.clone().square().sum_dim(2).div_scalar((width - 1.0).max(1.0)).sqrt();
    (centred, mean, std)
}
