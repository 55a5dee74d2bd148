//! Values as they lie in the memory of the CPU.

use burn_flex::FlexTensor;

/// Host memory of a CPU value.
pub struct HostF32 {
    tensor: FlexTensor,
}

impl HostF32 {
    /// Of a tensor that lies in one piece.
    pub(super) fn new(tensor: FlexTensor) -> HostF32 {
        HostF32 { tensor }
    }

    /// The elements in row-major order.
    pub fn as_slice(&self) -> &[f32] {
        self.tensor.as_slice::<f32>().unwrap_or(&[])
    }
}

/// Host memory of a CPU value: element `(i, j, ...)` is `data[i * strides[0] + j * strides[1] + ...]`.
pub struct HostView {
    tensor: FlexTensor,
}

impl HostView {
    /// Of a tensor whose strides are not negative.
    pub(super) fn new(tensor: FlexTensor) -> HostView {
        HostView { tensor }
    }

    /// Memory from the first element on.
    pub fn data(&self) -> &[f32] {
        &self.tensor.storage::<f32>()[self.tensor.layout().start_offset()..]
    }

    /// Distance between neighbours along each axis, in elements.
    pub fn strides(&self) -> Vec<usize> {
        self.tensor.layout().strides().iter().map(|stride| *stride as usize).collect()
    }
}
