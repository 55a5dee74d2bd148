//! MLX's affine quantisation: numbers of a few bits in 32-bit words along each row, a scale and a bias for each group of
//! them, `scale q + bias`. How many bits and how large the groups are, only the configuration says.

use super::{Elements, Packed, Part, Parts, floats, number};

/// What the configuration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    pub bits: u32,
    pub size: usize,
}

pub fn matrices(parts: &Parts, groups: Groups) -> Vec<Packed> {
    let Groups { bits, size } = groups;
    let matrix = |(scales_name, scales): (&String, &Part)| {
        let module = scales_name.strip_suffix(".scales")?;
        let name = format!("{module}.weight");
        let (codes, biases) = (parts.get(&name)?.clone(), parts.get(&format!("{module}.biases"))?.clone());
        let (rows, words) = <[usize; 2]>::try_from(codes.shape()).ok().map(|[rows, words]| (rows, words))?;
        let width = words * 32 / bits as usize;
        if scales.shape() != [rows, width / size] || biases.shape() != scales.shape() || !width.is_multiple_of(size) {
            return None;
        }
        let scales = scales.clone();
        let made_of = ["weight", "scales", "biases"].map(|end| format!("{module}.{end}")).to_vec();
        let read = move || {
            let (codes, scales, biases) = (codes.words()?, scales.floats()?, biases.floats()?);
            let element = |i: usize| {
                let code = number(&codes, bits, i)? as f32;
                Some(code * scales.get(i / size)? + biases.get(i / size)?)
            };
            floats(rows * width, element)
        };
        let kind = if bits == 4 { "mlx of 4 bits" } else { "mlx" };
        Some(Packed { name, kind, shape: [rows, width], made_of, elements: Elements::Floats(Box::new(read)) })
    };
    parts.0.iter().filter_map(matrix).collect()
}
