//! Values as they are laid out in the memory of the CPU.

use burn_flex::FlexTensor;

use super::host::widened;

/// Elements in host memory, in row-major order.
pub enum HostF32 {
    /// The memory of the value itself, in one piece.
    Shared(FlexTensor),
    /// A copy: widened, or read from a device.
    Copied(Vec<f32>),
}

impl HostF32 {
    pub fn as_slice(&self) -> &[f32] {
        match self {
            HostF32::Shared(tensor) => tensor.as_slice::<f32>().unwrap_or(&[]),
            HostF32::Copied(elements) => elements,
        }
    }

    /// The elements as a vector, copied if they are shared.
    pub(super) fn into_vec(self) -> Vec<f32> {
        match self {
            HostF32::Copied(elements) => elements,
            HostF32::Shared(_) => self.as_slice().to_vec(),
        }
    }
}

/// Host memory of a CPU value: element `(i, j, ...)` is `data[i * strides[0] + j * strides[1] + ...]`. A copy has gaps
/// where the value has them.
pub struct HostView {
    pub(super) memory: HostF32,
    pub strides: Vec<usize>,
}

impl HostView {
    /// Of a tensor whose strides are not negative.
    pub(super) fn new(tensor: FlexTensor) -> HostView {
        HostView { strides: strides(&tensor), memory: HostF32::Shared(tensor) }
    }

    pub fn data(&self) -> &[f32] {
        match &self.memory {
            HostF32::Shared(tensor) => &tensor.storage::<f32>()[tensor.layout().start_offset()..],
            HostF32::Copied(elements) => elements,
        }
    }
}

/// Host memory of a CPU value that is held in 16 bits, laid out as a [`HostView`] is.
pub struct HostHalves {
    tensor: FlexTensor,
    pub strides: Vec<usize>,
}

impl HostHalves {
    /// Of a tensor of halves whose strides are not negative.
    pub(super) fn new(tensor: FlexTensor) -> HostHalves {
        HostHalves { strides: strides(&tensor), tensor }
    }

    /// Memory from the first element to the last.
    pub fn data(&self) -> &[half::f16] {
        let layout = self.tensor.layout();
        let start = layout.start_offset();
        let reach: usize =
            layout.shape().iter().zip(&self.strides).map(|(n, stride)| n.saturating_sub(1) * stride).sum();
        let end = if layout.num_elements() == 0 { start } else { start + reach + 1 };
        &self.tensor.storage::<half::f16>()[start..end]
    }

    pub fn widened(&self) -> Vec<f32> {
        widened(self.data())
    }
}

/// Host memory of a CPU value as it is held.
pub enum HostHeld {
    Single(HostView),
    Half(HostHalves),
}

impl HostHeld {
    /// Distance between neighbours along each axis, in elements.
    pub fn strides(&self) -> &[usize] {
        match self {
            HostHeld::Single(view) => &view.strides,
            HostHeld::Half(halves) => &halves.strides,
        }
    }
}

fn strides(tensor: &FlexTensor) -> Vec<usize> {
    tensor.layout().strides().iter().map(|stride| *stride as usize).collect()
}
