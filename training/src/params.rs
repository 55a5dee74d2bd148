//! Named parameters, all held as rank-2 tensors: a vector is one row, which broadcasts over the rows of an activation.
//!
//! Both models work on activations of shape `[batch * position, width]`, so one rank is enough for
//! everything outside attention, and the optimiser and the saver can walk a plain list.

use crate::rng::Rng;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::collections::{BTreeMap, HashMap};

#[derive(Clone, Default)]
pub struct Params {
    names: Vec<String>,
    shapes: Vec<Vec<usize>>,
    values: Vec<Tensor<2>>,
    index: HashMap<String, usize>,
}

pub enum Init {
    Normal(f32),
    Constant(f32),
}

impl Params {
    pub fn add(&mut self, name: &str, shape: &[usize], init: Init, rng: &mut Rng, device: &Device) {
        let count = shape.iter().product();
        let numbers: Vec<f32> = match init {
            Init::Normal(std) => (0..count).map(|_| rng.normal() * std).collect(),
            Init::Constant(value) => vec![value; count],
        };
        let dims = if shape.len() == 1 { [1, shape[0]] } else { [shape[0], shape[1]] };
        self.index.insert(name.to_string(), self.names.len());
        self.names.push(name.to_string());
        self.shapes.push(shape.to_vec());
        self.values.push(Tensor::from_data(TensorData::new(numbers, dims), (device, DType::F32)));
    }

    pub fn get(&self, name: &str) -> Tensor<2> {
        let at = self.index.get(name).unwrap_or_else(|| panic!("no parameter {name}"));
        self.values[*at].clone()
    }

    /// The same parameters as fresh leaves of an autodiff graph.
    pub fn tracked(&self) -> Self {
        let values = self.values.iter().map(|v| v.clone().autodiff().require_grad()).collect();
        Self { values, ..self.clone() }
    }

    pub fn values(&self) -> &[Tensor<2>] {
        &self.values
    }

    pub fn set(&mut self, at: usize, value: Tensor<2>) {
        self.values[at] = value;
    }

    /// Matrices are decayed, vectors (biases and norm gains) are not.
    pub fn is_matrix(&self, at: usize) -> bool {
        self.shapes[at].len() == 2
    }

    pub fn count(&self) -> usize {
        self.shapes.iter().map(|s| s.iter().product::<usize>()).sum()
    }

    /// Host copies in the shapes of the file.
    pub fn export(&self) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
        let read = |at: usize| self.values[at].clone().try_into_vec_as::<f32>().expect("parameter can be read");
        self.names.iter().enumerate().map(|(at, n)| (n.clone(), (self.shapes[at].clone(), read(at)))).collect()
    }
}
