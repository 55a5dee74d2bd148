//! burn behind one door.
//!
//! Everything above works with [`Value`], a handle to a tensor of any rank and kind, and with [`Device`]. Values are
//! never read implicitly: the `read_*` methods wait for the device and return errors instead of panicking. Reductions
//! that a person sees accumulate in 64 bits where the device has them, pairwise otherwise, and never through atomics,
//! so the same input gives the same bits.

mod axes;
pub mod device;
mod difference;
mod error;
mod exact;
mod gradient;
mod growing;
mod host;
mod host_memory;
mod memory;
pub mod ops;
mod precision;
mod reading;
mod summary;
mod task;
mod threads;
mod tolerance;
mod tree;
mod value;

pub use axes::Axis;
pub use device::{Device, DeviceChoice};
pub use difference::{Difference, difference, difference_by, relative_rms};
pub use error::{TensorError, shape_text};
pub use gradient::Pulled;
pub use growing::Growing;
pub use host::transposed;
pub(crate) use host::vectorised;
pub use host_memory::{HostF32, HostHalves, HostHeld, HostView};
pub use precision::Precision;
pub use reading::bits;
pub use summary::{Summary, unravel};
pub use task::{Interrupted, Report, device_failed, interruptible, proceed, reporting, step, undisturbed};
pub use threads::{awake, compute_here};
pub use tolerance::{Element, MASKED, Rows, Tolerance, Verdict, apart};
pub use value::{Kind, Value};

/// Most axes a value can have.
pub const MAX_RANK: usize = 6;
