//! What is in memory of weights that can be read again, within a budget.
//!
//! A pass uses all weights once, in a cycle: to drop what was used longest ago would drop just what comes next, and
//! nothing would ever be found. So what was used last is dropped first, but for a share of the budget that keeps the
//! newest, where a debugger stays for a while; and what two whole cycles have not asked for.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::weight::Weight;
use crate::model::memory_check;
use crate::model::role::WeightId;
use crate::tensor::Device;

/// The part of the budget that holds what was used last.
const NEWEST: u64 = 4;

/// Weights of all models of a session that are in memory now. Clone is a handle.
#[derive(Clone, Debug)]
pub struct WeightCache(Arc<Shared>);

struct Shared {
    budget: u64,
    /// Whether the budget is for weights on every device, and not only for those in the memory of the CPU.
    all: bool,
    inner: Mutex<Resident>,
    next: AtomicU64,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.budget)
    }
}

/// A weight, or some rows of one, on one of the devices of a store, in one of the stores that share a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub owner: u64,
    pub id: WeightId,
    pub piece: usize,
    /// The number of the device.
    pub device: usize,
}

#[derive(Default)]
struct Resident {
    weights: HashMap<Key, Slot>,
    /// Bytes of all of them.
    bytes: u64,
    /// Bytes of those that the budget is for.
    counted: u64,
    /// Uses so far.
    clock: u64,
    read: u64,
    read_again: u64,
    /// What has been read before, with its bytes.
    seen: HashMap<Key, u64>,
}

struct Slot {
    weight: Weight,
    bytes: u64,
    /// Whether the budget is for it.
    counted: bool,
    used: u64,
}

/// What is held of the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Residency {
    /// Bytes that all weights take in the form in which they are held.
    pub held: u64,
    /// Bytes of those that are in memory now.
    pub resident: u64,
    /// Bytes that they may take; [`u64::MAX`] without a limit.
    pub budget: u64,
    /// Bytes read so far.
    pub read: u64,
    /// Of those, the ones that had been read before and were dropped since.
    pub read_again: u64,
}

impl WeightCache {
    /// A cache of at most `budget` bytes on all devices together.
    pub fn new(budget: u64) -> WeightCache {
        WeightCache::of(budget, true)
    }

    fn of(budget: u64, all: bool) -> WeightCache {
        WeightCache(Arc::new(Shared { budget, all, inner: Mutex::default(), next: AtomicU64::new(0) }))
    }

    /// One that drops nothing.
    pub fn unlimited() -> WeightCache {
        WeightCache::new(u64::MAX)
    }

    /// A cache for weights on some devices, next to recordings of up to `recorded` bytes. Its budget is for weights in
    /// the memory of the CPU: graphics devices do not say what they have left.
    pub fn for_devices(devices: &[Device], recorded: u64) -> WeightCache {
        match devices.iter().any(Device::is_cpu) {
            true => WeightCache::of(memory_check::weight_budget(recorded), false),
            false => WeightCache::unlimited(),
        }
    }

    /// Whether the budget is for weights on a device.
    pub fn counts(&self, device: &Device) -> bool {
        self.0.all || device.is_cpu()
    }

    pub fn budget(&self) -> u64 {
        self.0.budget
    }

    /// A new owner of weights, which are forgotten with it.
    pub fn owner(&self) -> Owner {
        Owner { cache: self.clone(), number: self.0.next.fetch_add(1, Ordering::Relaxed) }
    }

    fn inner(&self) -> MutexGuard<'_, Resident> {
        // Nothing is left half done by a panic: each step leaves the table sound.
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The weight, if it is in memory.
    pub fn get(&self, key: Key) -> Option<Weight> {
        let mut inner = self.inner();
        inner.clock += 1;
        let now = inner.clock;
        let slot = inner.weights.get_mut(&key)?;
        slot.used = now;
        Some(slot.weight.clone())
    }

    pub fn contains(&self, key: Key) -> bool {
        self.inner().weights.contains_key(&key)
    }

    /// Drops weights until `bytes` more on a device fit, as far as that is possible.
    pub fn make_room(&self, bytes: u64, device: &Device) {
        if !self.counts(device) {
            return;
        }
        let mut inner = self.inner();
        while inner.counted.saturating_add(bytes) > self.0.budget {
            let Some(key) = inner.next_to_drop(self.0.budget / NEWEST) else { return };
            inner.remove(key);
        }
    }

    /// Keeps a weight that was read, if it fits.
    pub fn put(&self, key: Key, weight: &Weight) {
        let (bytes, device) = (weight.bytes(), weight.device());
        let counted = self.counts(&device);
        self.make_room(bytes, &device);
        let mut inner = self.inner();
        inner.read += bytes;
        if inner.seen.insert(key, bytes).is_some() {
            inner.read_again += bytes;
        }
        if !counted || inner.counted.saturating_add(bytes) <= self.0.budget {
            inner.clock += 1;
            let slot = Slot { weight: weight.clone(), bytes, counted, used: inner.clock };
            inner.remove(key);
            inner.bytes += bytes;
            inner.counted += if counted { bytes } else { 0 };
            inner.weights.insert(key, slot);
        }
    }

    /// Drops everything: what a device failed to take is read again when it is needed.
    pub fn clear(&self) {
        let mut inner = self.inner();
        inner.weights.clear();
        (inner.bytes, inner.counted) = (0, 0);
    }

    /// What is in memory, for all who share the cache; `held` is 0.
    pub fn residency(&self) -> Residency {
        let inner = self.inner();
        Residency {
            held: 0,
            resident: inner.bytes,
            budget: self.0.budget,
            read: inner.read,
            read_again: inner.read_again,
        }
    }
}

impl Resident {
    /// The weight to drop: one that two cycles have not asked for, else the newest that is older than the last
    /// `newest` bytes, else the oldest.
    fn next_to_drop(&self, newest: u64) -> Option<Key> {
        let counted = self.weights.iter().filter(|(_, slot)| slot.counted);
        let mut by_use: Vec<(u64, Key, u64)> = counted.map(|(key, slot)| (slot.used, *key, slot.bytes)).collect();
        by_use.sort_unstable_by_key(|(used, ..)| *used);
        let &(oldest, oldest_key, _) = by_use.first()?;
        let cycle = self.seen.len() as u64;
        if self.clock - oldest > 2 * cycle {
            return Some(oldest_key);
        }
        let mut passed = 0;
        let beyond = by_use.iter().rev().find(|(_, _, bytes)| {
            passed += bytes;
            passed > newest
        });
        Some(beyond.map_or(oldest_key, |(_, key, _)| *key))
    }

    fn remove(&mut self, key: Key) {
        if let Some(slot) = self.weights.remove(&key) {
            self.bytes -= slot.bytes;
            self.counted -= if slot.counted { slot.bytes } else { 0 };
        }
    }
}

/// Whose weights these are. What is in the cache of an owner goes with it.
#[derive(Debug)]
pub struct Owner {
    cache: WeightCache,
    number: u64,
}

impl Owner {
    pub fn cache(&self) -> &WeightCache {
        &self.cache
    }

    pub fn key(&self, id: WeightId, piece: usize, device: usize) -> Key {
        Key { owner: self.number, id, piece, device }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let mut inner = self.cache.inner();
        let gone: Vec<Key> = inner.weights.keys().filter(|key| key.owner == self.number).copied().collect();
        gone.into_iter().for_each(|key| inner.remove(key));
        inner.seen.retain(|key, _| key.owner != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::role::Role;
    use crate::tensor::Value;

    fn weight(numbers: usize) -> Weight {
        Weight::Dense(Value::from_f32(vec![0.0; numbers], &[numbers], &Device::cpu()))
    }

    /// Uses the blocks of a model in turn, each of 400 bytes; how many of them were read.
    fn pass(owner: &Owner, blocks: std::ops::Range<usize>) -> usize {
        let mut read = 0;
        for block in blocks {
            let key = owner.key(WeightId::block(block, Role::W_in), 0, 0);
            if owner.cache().get(key).is_none() {
                owner.cache().make_room(400, &Device::cpu());
                owner.cache().put(key, &weight(100));
                read += 1;
            }
            assert!(owner.cache().residency().resident <= owner.cache().budget());
        }
        read
    }

    #[test]
    fn a_cycle_that_does_not_fit_reads_again_little_more_than_what_does_not_fit() {
        let owner = WeightCache::new(8 * 400).owner();
        assert_eq!(pass(&owner, 0..10), 10);
        let again: Vec<usize> = (0..6).map(|_| pass(&owner, 0..10)).collect();
        assert!(again.iter().all(|read| *read <= 4), "{again:?}");
    }

    #[test]
    fn where_one_stays_everything_is_found_after_two_cycles() {
        let owner = WeightCache::new(8 * 400).owner();
        pass(&owner, 0..10);
        (0..12).for_each(|_| _ = pass(&owner, 4..10));
        assert_eq!(pass(&owner, 4..10), 0);
    }

    #[test]
    fn what_an_owner_had_goes_with_it_and_what_does_not_fit_is_not_kept() {
        let cache = WeightCache::new(1000);
        let (one, other) = (cache.owner(), cache.owner());
        pass(&one, 0..1);
        pass(&other, 0..1);
        assert_eq!(cache.residency().resident, 800);
        drop(one);
        assert_eq!(cache.residency().resident, 400);
        cache.put(other.key(WeightId::block(5, Role::W_in), 0, 0), &weight(1000));
        assert!(cache.residency().resident <= 1000);
        assert_eq!((cache.residency().read, cache.residency().read_again), (4800, 0));
    }
}
