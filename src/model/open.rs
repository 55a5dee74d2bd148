//! A model from wherever it is: fetched first if it is not here, then loaded.

use std::path::Path;

use super::hub::{self, HubError, HubName};
use super::{Devices, LoadError, Model, ModelSource, WeightCache, load_within};
use crate::tensor::Precision;

/// Fetches what is not in the hub's cache yet, and loads the model, whose weights are kept in `cache`; both report their
/// steps, in bytes.
///
/// # Errors
/// What is wrong with the checkpoint, the network or the device; or that it was cancelled.
pub fn open(
    source: &ModelSource,
    devices: &Devices,
    precision: Precision,
    cache: &WeightCache,
) -> Result<Model, LoadError> {
    if let ModelSource::Hub(wanted) = source {
        hub::fetch(wanted, &hub::Settings::from_environment()).map_err(|error| not_here(wanted, error))?;
    }
    load_within(source, devices, precision, cache)
}

/// How alike two names must be for one to be taken for the other: Jaro-Winkler, 1 where they are the same.
const ALIKE: f64 = 0.88;

/// The error of the hub, after that there is no such folder here where a folder may have been meant: by a name without
/// an owner, in a folder that is here, or almost by the name of one.
fn not_here(wanted: &HubName, error: LoadError) -> LoadError {
    let error = match error {
        LoadError::Hub(error) if !matches!(error, HubError::Cancelled { .. }) => error,
        other => return other,
    };
    let path = Path::new(&wanted.repo);
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let meant = path.file_name().and_then(|name| alike(folder.unwrap_or(Path::new(".")), name.to_str()?));
    let local = meant.is_some() || folder.is_none_or(Path::is_dir);
    if !local {
        return error.into();
    }
    let meant = meant.map(|name| folder.map_or_else(|| Path::new(&name).to_owned(), |folder| folder.join(&name)));
    let meant = meant.map_or_else(String::new, |path| format!(" (did you mean {}?)", path.display()));
    LoadError::NotHere { name: wanted.repo.clone(), meant, source: Box::new(error) }
}

/// The folder or weights file whose name is most like this one.
fn alike(folder: &Path, name: &str) -> Option<String> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let names = entries.filter_map(|entry| {
        let known = entry.file_name().into_string().ok()?;
        let fits = entry.path().is_dir() || super::checkpoint::is_weights_name(&known);
        (fits && !known.starts_with('.')).then(|| (strsim::jaro_winkler(name, &known), known))
    });
    names.filter(|(score, _)| *score > ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}
