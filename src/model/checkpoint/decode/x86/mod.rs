//! Blocks decoded in the vectors of x86, sixteen elements at a time: several times as fast as element by element, and
//! with the same bits, because each product and sum is rounded as there.
//!
//! What is done with the elements is up to a [`Job`]: they can be written to memory, or multiplied without ever being
//! there.

mod k_quants;
mod small;
mod vectors;

use pulp::NullaryFnOnce;
use pulp::x86::{V3, V4};

pub use vectors::Vectors;

use crate::model::checkpoint::stored::StoredType;

/// What is decoded at once: `SIZE` bytes of one block or of several, as `V` times sixteen elements. `V` is a multiple
/// of four.
pub trait Unit<const SIZE: usize, const V: usize> {
    /// Hands out the elements, in order, sixteen at a time.
    fn each<S: Vectors>(simd: S, unit: &[u8; SIZE], take: impl FnMut(usize, S::Floats));
}

/// Something to do with the elements of stored blocks.
pub trait Job {
    /// Must be inlined always, so that it is compiled for the vectors.
    fn run<U: Unit<SIZE, V>, S: Vectors, const SIZE: usize, const V: usize>(self, simd: S);
}

/// Runs a job for elements of a type. It is given back if the processor lacks the vectors, or the type has no units.
pub fn run<J: Job>(kind: StoredType, job: J) -> Option<J> {
    if let Some(simd) = V4::try_new() {
        return simd.vectorize(Run { kind, job, simd });
    }
    match V3::try_new() {
        Some(simd) => simd.vectorize(Run { kind, job, simd }),
        None => Some(job),
    }
}

/// A job with everything it takes to run it.
struct Run<J, S> {
    kind: StoredType,
    job: J,
    simd: S,
}

macro_rules! run_with {
    ($simd:ty) => {
        impl<J: Job> NullaryFnOnce for Run<J, $simd> {
            type Output = Option<J>;

            #[inline(always)]
            fn call(self) -> Option<J> {
                let Run { kind, job, simd } = self;
                match kind {
                    StoredType::F16 => job.run::<small::F16, _, _, _>(simd),
                    StoredType::BF16 => job.run::<small::BF16, _, _, _>(simd),
                    StoredType::Q4_0 => job.run::<small::Q4_0, _, _, _>(simd),
                    StoredType::Q4_1 => job.run::<small::Q4_1, _, _, _>(simd),
                    StoredType::Q5_0 => job.run::<small::Q5_0, _, _, _>(simd),
                    StoredType::Q5_1 => job.run::<small::Q5_1, _, _, _>(simd),
                    StoredType::Q8_0 => job.run::<small::Q8_0, _, _, _>(simd),
                    StoredType::Q2_K => job.run::<k_quants::Q2_K, _, _, _>(simd),
                    StoredType::Q3_K => job.run::<k_quants::Q3_K, _, _, _>(simd),
                    StoredType::Q4_K => job.run::<k_quants::Q4_K, _, _, _>(simd),
                    StoredType::Q5_K => job.run::<k_quants::Q5_K, _, _, _>(simd),
                    StoredType::Q6_K => job.run::<k_quants::Q6_K, _, _, _>(simd),
                    StoredType::Q8_K => job.run::<k_quants::Q8_K, _, _, _>(simd),
                    // The others are decoded one by one.
                    _ => return Some(job),
                }
                None
            }
        }
    };
}
run_with!(V4);
run_with!(V3);

/// Writes elements to memory: as many as there are in whole units.
pub struct Widen<'a> {
    pub bytes: &'a [u8],
    pub out: &'a mut [f32],
    /// Where it is written how many bytes were decoded, to how many elements.
    pub done: &'a mut (usize, usize),
}

impl Job for Widen<'_> {
    #[inline(always)]
    fn run<U: Unit<SIZE, V>, S: Vectors, const SIZE: usize, const V: usize>(self, simd: S) {
        let units = self.bytes.as_chunks::<SIZE>().0;
        let out = self.out.as_chunks_mut::<16>().0.as_chunks_mut::<V>().0;
        let count = units.len().min(out.len());
        *self.done = (count * SIZE, count * 16 * V);
        for (unit, out) in units.iter().zip(out) {
            U::each(
                simd,
                unit,
                #[inline(always)]
                |i, elements| out[i] = pulp::cast(elements),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode_one_by_one;
    use super::super::tests::{KINDS, noise};
    use super::*;

    /// On a processor with the wider vectors, nothing else runs these.
    #[test]
    fn the_narrower_vectors_give_the_same_bits() {
        let Some(simd) = V3::try_new() else { return };
        for kind in KINDS {
            let (elements, size) = kind.block().unwrap();
            let bytes = noise(1000 * size);
            let (mut found, mut wanted) = (vec![1.0; 1000 * elements], vec![2.0; 1000 * elements]);
            let mut done = (0, 0);
            simd.vectorize(Run { kind, job: Widen { bytes: &bytes, out: &mut found, done: &mut done }, simd });
            decode_one_by_one(kind, &bytes, &mut wanted);
            assert!(done.1 > 900 * elements, "{kind:?}");
            for (found, wanted) in found.iter().zip(&wanted).take(done.1) {
                let same = found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan();
                assert!(same, "{kind:?}: {found} for {wanted}");
            }
        }
    }
}
