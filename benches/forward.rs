//! Forward passes over a model of GPT-2 small's shapes with everything recorded; the same with stops, with a condition on
//! every attention pattern, and through commands; the summary and the clones of one value; and what a token costs in a
//! long generation.

mod gpt2;
mod long;

use criterion::{Criterion, criterion_group, criterion_main};
use llmdbg::commands::Console;
use llmdbg::tensor::{Device, Precision, Value, compute_here};

fn passes(c: &mut Criterion) {
    compute_here();
    let model = gpt2::model();
    let mut group = c.benchmark_group("forward");
    group.sample_size(20);
    for length in [1, 64, 256] {
        let mut session = gpt2::session(&model, length);
        group.bench_function(format!("{length} tokens"), |b| b.iter(|| gpt2::forward(&mut session)));
    }
    let mut session = gpt2::session(&model, 64);
    group.bench_function("64 tokens, op by op", |b| b.iter(|| gpt2::steps(&mut session)));
    let mut console = Console::new(gpt2::session(&model, 64), "random");
    group.bench_function("64 tokens, step commands", |b| b.iter(|| gpt2::step_commands(&mut console)));
    let mut console = Console::new(gpt2::session(&model, 64), "random");
    gpt2::break_on_patterns(&mut console);
    group.bench_function("64 tokens, false condition on every pattern", |b| {
        b.iter(|| gpt2::forward(&mut console.session));
    });
    let mut session = gpt2::session(&model, 16);
    group.bench_function("16 tokens and 16 more", |b| b.iter(|| gpt2::generate(&mut session, 16)));
    let halves = gpt2::model_in(Precision::F16);
    for length in [1, 64] {
        let mut session = gpt2::session(&halves, length);
        group.bench_function(format!("{length} tokens in f16"), |b| b.iter(|| gpt2::forward(&mut session)));
    }
    group.finish();
}

/// What interactive work costs: stops that do not hold, one op back, an edit late in the model.
fn commands(c: &mut Criterion) {
    compute_here();
    let model = gpt2::model();
    let mut group = c.benchmark_group("commands");
    group.sample_size(20);
    let mut plain = Console::new(gpt2::session(&model, 64), "random");
    group.bench_function("run, 64 tokens", |b| b.iter(|| gpt2::command(&mut plain, "run")));
    let mut stops = Console::new(gpt2::session(&model, 64), "random");
    gpt2::hundred_breakpoints(&mut stops);
    group.bench_function("run with a hundred false conditions", |b| b.iter(|| gpt2::command(&mut stops, "run")));
    gpt2::command(&mut plain, "run");
    group.bench_function("reverse-step", |b| {
        b.iter(|| {
            gpt2::command(&mut plain, "reverse-step");
            if plain.session.run.cursor == 0 {
                plain.session.run.cursor = plain.session.run.program.ops.len();
            }
        });
    });
    gpt2::command(&mut plain, "run");
    group.bench_function("edit in layer 10, and its undo", |b| {
        b.iter(|| {
            gpt2::command(&mut plain, "ablate L10H3");
            gpt2::command(&mut plain, "undo");
        });
    });
    group.finish();
}

fn values(c: &mut Criterion) {
    let data = (0..1 << 20).map(|i| (i as f32 * 0.37).sin()).collect();
    let value = Value::from_f32(data, &[1 << 10, 1 << 10], &Device::cpu()).whole();
    c.bench_function("summary of a million numbers", |b| b.iter(|| value.summary().expect("host memory")));
    c.bench_function("a thousand clones of a value", |b| b.iter(|| vec![value.clone(); 1000]));
}

criterion_group!(benches, passes, commands, values, long::generation);
criterion_main!(benches);
