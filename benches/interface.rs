//! From a key to its frame while the engine runs a long pass: update, layout and drawing of a program with 96 layers, 64 heads
//! and 2,000 tokens. Prints percentiles; the goal is 16 ms at the 99th.

#![allow(clippy::print_stdout, missing_docs, reason = "it prints what it measures")]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use llmdbg::frontend::tui::measure;

fn interface(c: &mut Criterion) {
    let mut group = c.benchmark_group("interface");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    type Size = fn() -> std::io::Result<(u16, u16)>;
    let sizes: [(&str, Size); 3] =
        [("80x24", || Ok((80, 24))), ("120x40", || Ok((120, 40))), ("200x60", || Ok((200, 60)))];
    for (name, size) in sizes {
        let mut held = measure::Large::new(size).expect("a size that is given");
        group.bench_function(format!("key to frame, {name}"), |b| b.iter(|| held.key_to_frame()));
        let mut times: Vec<Duration> = (0..2000).map(|_| held.key_to_frame()).collect();
        times.sort();
        let at = |percent: usize| times[times.len() * percent / 100 - usize::from(percent == 100)];
        println!("{name}: median {:?}, 99th percentile {:?}, largest {:?}", at(50), at(99), at(100));
    }
    group.finish();
}

criterion_group!(benches, interface);
criterion_main!(benches);
