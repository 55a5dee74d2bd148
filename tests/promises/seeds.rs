//! The seeds of the fuzz targets, and what fuzzing has found, are given to the parsers again, whole and changed at random: a
//! file may be refused, and nothing else may happen.

use std::fs;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

#[path = "../../fuzz/targets.rs"]
mod targets;

use targets::{TARGETS, Target, fixtures};

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fixtures().join("../../fuzz/seeds").join(target);
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut seeds: Vec<_> = entries.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect();
    seeds.sort();
    assert!(seeds.len() > 2, "{}", folder.display());
    seeds
}

/// Far more than any seed takes, on any machine.
const MOST_TIME: Duration = Duration::from_secs(5);

#[test]
fn every_seed_is_loaded_or_refused() {
    for (name, _) in TARGETS {
        let target = Target::new(name);
        for (seed, data) in seeds(name) {
            let start = Instant::now();
            target.run(&data);
            assert!(start.elapsed() < MOST_TIME, "{seed}: {:?}", start.elapsed());
        }
    }
}

/// Changed bytes, a cut, a part twice. `LLMDBG_FUZZ_CASES=N` asks for more.
#[test]
fn seeds_changed_at_random_are_loaded_or_refused() {
    let cases = std::env::var("LLMDBG_FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100);
    for (name, _) in TARGETS {
        let (target, seeds) = (Target::new(name), seeds(name));
        let change = (any::<prop::sample::Index>(), any::<u8>(), 0u8..4);
        let plan = (any::<prop::sample::Index>(), prop::collection::vec(change, 1..8));
        let mut runner = TestRunner::new(Config::with_cases(cases));
        let result = runner.run(&plan, |(seed, changes)| {
            let mut data = seeds[seed.index(seeds.len())].1.clone();
            for (at, byte, kind) in changes {
                if data.is_empty() {
                    break;
                }
                let at = at.index(data.len());
                match kind {
                    0 | 1 => data[at] = byte,
                    2 => data.truncate(at + 1),
                    _ => {
                        let part = data[at..(at + usize::from(byte)).min(data.len())].to_vec();
                        data.splice(at..at, part);
                    }
                }
            }
            target.run(&data);
            Ok(())
        });
        assert!(result.is_ok(), "{name}: {result:?}");
    }
}
