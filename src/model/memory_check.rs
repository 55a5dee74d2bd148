//! What fits into memory: how much weights may take, and whether a pass fits, before it begins.

use std::path::Path;

use super::error::{InputError, LoadError};
use super::file;
use super::load::Model;
use super::role::RolePlace;
use super::spec::ModelSpec;
use super::text::bytes;
use super::weights::Store;
use crate::tensor::{Device, is_large};

/// Memory that can be taken without swapping, in bytes: what the system says is available, within the limit of the
/// control group, if there is one, and within the limit of this process. `None` if that is not known.
pub fn available() -> Option<u64> {
    let system = file::read_text(Path::new("/proc/meminfo")).ok().and_then(|text| kilobytes(&text, "MemAvailable:"));
    let read = |name: &str| file::read_text(Path::new(&format!("/sys/fs/cgroup/{name}"))).ok();
    let group = match (read("memory.max"), read("memory.current"), read("memory.stat")) {
        (Some(max), Some(current), stat) => left_of_group(&max, &current, &stat.unwrap_or_default()),
        _ => None,
    };
    system.into_iter().chain(group).chain(left_of_process()).min()
}

/// What is left of the addresses that this process may use (`ulimit -v`), if they are limited.
fn left_of_process() -> Option<u64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current?;
    let used = kilobytes(&file::read_text(Path::new("/proc/self/status")).ok()?, "VmSize:")?;
    Some(limit.saturating_sub(used))
}

/// What takes less is not worth asking the system.
const SMALL: u64 = 64 << 20;

/// The bytes that are free, if they are fewer than `needed`.
pub fn too_little(needed: u64) -> Option<u64> {
    if needed > SMALL { available().filter(|available| needed > *available) } else { None }
}

/// Bytes that blocks of values in pieces take while an op computes them: several of 4 MiB on each of a few threads.
const BLOCKS: u64 = 64 << 20;

/// Bytes that a pass over `rows` of `length` tokens takes at least: what a layer holds at one time, scores, pattern and
/// logits if they are held, and up to `kept` bytes of what the layers before have recorded. Values on a graphics device
/// are not counted: it does not say what it has left.
fn of_pass(model: &Model, spec: &ModelSpec, rows: usize, length: usize, kept: u64) -> u64 {
    let product = |factors: &[usize]| factors.iter().fold(1_u64, |all, &factor| all.saturating_mul(factor as u64));
    let placement = &model.placement;
    let here = |block: &usize| placement.device(RolePlace::Block, Some(*block)).is_cpu();
    let blocks = (0..spec.n_layers).filter(here).count() as u64;
    let cpu = Device::cpu();
    let held = |shape: &[usize]| if is_large(shape, &cpu) { BLOCKS } else { product(shape).saturating_mul(4) };
    let tokens = product(&[4, rows, length]);
    // The hidden neurons with the gate and its activation, or queries, keys and values, and the stream around them.
    let widest = |of: &dyn Fn(usize) -> usize| (0..spec.n_layers).map(of).max().unwrap_or(0);
    let of_heads = |layer| {
        let (kv, keys, values) = (spec.kv_heads_of(layer), spec.head_dim_of(layer), spec.value_dim_of(layer));
        keys.saturating_mul(spec.n_heads + kv).saturating_add(values.saturating_mul(kv))
    };
    let (heads, d_mlp) = (widest(&of_heads), widest(&|layer| spec.mlp_of(layer)));
    let at_once = tokens.saturating_mul((3 * d_mlp).max(heads) as u64 + 4 * spec.d_model as u64);
    let attention = held(&[rows, spec.n_heads, length, length]).saturating_mul(2);
    let layer = tokens.saturating_mul((3 * d_mlp + 2 * heads + 8 * spec.d_model) as u64);
    let before = layer.saturating_mul(blocks.saturating_sub(1)).min(kept);
    let in_block = if blocks == 0 { 0 } else { at_once.saturating_add(attention) };
    let head = spec.is_causal_lm() && placement.last().is_cpu();
    let logits = if head { held(&[rows, length, spec.vocab]) } else { 0 };
    [in_block, before, logits].into_iter().fold(0, u64::saturating_add)
}

/// Refuses a pass that takes more memory than is free, of which up to `kept` bytes are for what is recorded, and says
/// how many tokens fit.
pub fn check_pass(model: &Model, rows: usize, length: usize, kept: u64) -> Result<(), InputError> {
    check_stack(model, &model.spec, rows, length, kept)
}

/// The same for what an encoder reads besides a decoder.
pub fn check_source(model: &Model, rows: usize, length: usize) -> Result<(), InputError> {
    match &model.spec.encoder {
        Some(encoder) => check_stack(model, &encoder.spec, rows, length, 0),
        None => Ok(()),
    }
}

fn check_stack(model: &Model, spec: &ModelSpec, rows: usize, length: usize, kept: u64) -> Result<(), InputError> {
    let needed = of_pass(model, spec, rows, length, kept);
    match too_little(needed) {
        Some(available) => Err(InputError::TooMuch {
            rows: if rows == 1 { String::new() } else { format!("{rows} rows of ") },
            tokens: length,
            needed: bytes(needed),
            available: bytes(available),
            fit: longest(length, |length| of_pass(model, spec, rows, length, kept) <= available),
        }),
        None => Ok(()),
    }
}

/// The largest number below `too_many` that fits, where more never take less.
fn longest(too_many: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut fit, mut too_many) = (0, too_many);
    while fit + 1 < too_many {
        let between = fit + (too_many - fit) / 2;
        if fits(between) { fit = between } else { too_many = between }
    }
    fit
}

/// The bytes of a line such as `MemAvailable:   123 kB`.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// What is left of the limit of a control group. Pages of files count as free: they are given back when they are
/// needed.
fn left_of_group(max: &str, current: &str, stat: &str) -> Option<u64> {
    let max: u64 = max.trim().parse().ok()?;
    let current: u64 = current.trim().parse().ok()?;
    let files = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")).and_then(|n| n.trim().parse().ok());
    Some(max.saturating_sub(current.saturating_sub(files.unwrap_or(0))))
}

/// The memory that the weights of a model may take by default, of which `reserved` bytes are for what is recorded: what
/// is free without that, less a tenth.
pub fn weight_budget(reserved: u64) -> u64 {
    let free = |available: u64| available.saturating_sub(reserved.min(available / 2)) / 10 * 9;
    available().map_or(u64::MAX, free)
}

/// Refuses a model of which a weight alone takes more than the budget for all of them.
///
/// # Errors
/// [`LoadError::WeightBudget`].
pub fn check(path: &str, store: &Store) -> Result<(), LoadError> {
    let budget = store.cache().budget();
    let counted = store.sizes().filter(|(_, device, _)| store.cache().counts(device));
    match counted.max_by_key(|(.., size)| *size) {
        Some((id, _, size)) if size > budget => Err(LoadError::WeightBudget {
            path: path.to_owned(),
            weight: id.to_string(),
            needed: bytes(size),
            budget: bytes(budget),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_that_fits_is_found() {
        for most in [0, 1, 2, 500, 998] {
            assert_eq!(longest(999, |length| length <= most), most);
        }
    }

    #[test]
    fn memory_is_what_the_system_and_the_control_group_leave() {
        assert_eq!(kilobytes("MemTotal: 9 kB\nMemAvailable:   2048 kB\n", "MemAvailable:"), Some(2 << 20));
        assert_eq!(kilobytes("nothing", "VmSize:"), None);
        assert_eq!(left_of_group("1000\n", "700\n", "anon 5\ninactive_file 200\n"), Some(500));
        assert_eq!(left_of_group("max\n", "700\n", ""), None);
        assert!(available().is_none_or(|bytes| bytes > 0));
    }
}
