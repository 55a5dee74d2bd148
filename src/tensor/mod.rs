//! The only layer, besides the kernels of `program`, that uses burn.
//!
//! Everything above works with [`Value`], a handle to a tensor of any rank and kind, and with [`Device`]. Values are
//! never read implicitly: the `read_*` methods wait for the device and return errors instead of panicking. Reductions
//! that a person sees accumulate in 64 bits where the device has them, pairwise otherwise, and never through atomics,
//! so the same input gives the same bits.
//!
//! Whatever returns a [`TensorError`] fails if there is no such axis, the device fails, a result is larger than its
//! buffers, or the user interrupts; `# Errors` says what else can go wrong.

mod axes;
pub mod device;
mod difference;
mod error;
mod exact;
mod faults;
mod gradient;
mod growing;
mod host;
mod host_memory;
mod memory;
mod moving;
mod named;
mod no_adapter;
pub mod ops;
mod pieces;
mod precision;
mod reading;
mod summary;
mod task;
mod threads;
mod tree;
mod value;

pub use axes::Axis;
pub use device::{Device, DeviceChoice};
pub use difference::{
    Difference, Element, MASKED, Rms, Rows, Tolerance, Verdict, bits, changed_bits, difference, difference_by,
    distance, largest, relative_rms, same_bits,
};
pub use error::{TensorError, shape_text};
pub use faults::{Fault, on_device_thread};
pub use gradient::Pulled;
pub use growing::Growing;
pub use host::transposed;
pub(crate) use host::{inlined, vectorised};
pub use host_memory::{HostF32, HostHalves, HostHeld, HostView};
pub use memory::{FOR_A_PASS, FOR_AN_OP, give_back};
pub(crate) use named::named;
pub use pieces::{LARGEST_HELD, block_rows, free_memory_by, hold_up_to, is_large, largest_held};
pub use precision::Precision;
pub use summary::{Summary, unravel};
pub use task::{Interrupted, Report, device_failed, interruptible, proceed, reporting, step, undisturbed};
pub use threads::{awake, compute_here};
pub use value::{Kind, Value};

/// Most axes a value can have.
pub const MAX_RANK: usize = 6;
