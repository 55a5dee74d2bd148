//! A model from wherever it is: fetched first if it is not here, then loaded.

use super::{LoadError, Model, ModelSource, hub, load_in};
use crate::tensor::{Device, Precision};

/// Fetches what is not in the cache yet, and loads the model. `progress` is told what is done, and how much of it in bytes; it says
/// whether to go on.
///
/// # Errors
/// What is wrong with the checkpoint, the network or the device; or that it was cancelled.
pub fn open(
    source: &ModelSource,
    device: &Device,
    precision: Precision,
    progress: &mut dyn FnMut(&str, u64, u64) -> bool,
) -> Result<Model, LoadError> {
    if let ModelSource::Hub(wanted) = source {
        hub::fetch(wanted, &hub::Settings::from_environment(), &mut |step| progress(step.what, step.done, step.total))?;
    }
    load_in(source, device, precision, &mut |at| {
        progress(&format!("loading {}", at.tensor), at.bytes_done, at.bytes_total)
    })
}
