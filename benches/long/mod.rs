//! What a token costs in a long generation.

#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use criterion::Criterion;
use llmdbg::debugger::{Session, Settings};
use llmdbg::model::role::{Role, WeightId};
use llmdbg::model::spec::{Count, Positions};
use llmdbg::model::{Input, Weights, bundled, load};
use llmdbg::program::Kernel;
use llmdbg::tensor::{Device, Value, awake, compute_here};

const PARTS: [&str; 5] = ["scores", "pattern", "mix", "other ops", "token"];

/// A long generation: what a token costs at the beginning and at the end of it, and how much of that is attention,
/// which reads a longer cache each time. All else, and choosing the token, should cost the same.
pub fn generation(_: &mut Criterion) {
    compute_here();
    awake(generate);
}

fn generate() {
    const TOKENS: usize = 2000;
    const PART: usize = 100;
    let mut session = session(TOKENS + 8);
    session.start();
    // Seconds for each token: in the kernels of attention, in all other ops, and for choosing it and opening its pass.
    let mut times = vec![[0.0; PARTS.len()]; TOKENS];
    let ops = session.run.program.ops.len();
    while session.run.mark() != session.run.end_of(TOKENS) {
        let (pass, op) = (session.run.pass, session.run.cursor);
        let kind = match session.run.program.ops.get(op).map(|op| &op.kernel) {
            Some(Kernel::Scores { .. }) => 0,
            Some(Kernel::Pattern { .. }) => 1,
            Some(Kernel::Mix) => 2,
            Some(_) => 3,
            None => 4,
        };
        let from = Instant::now();
        session.run.advance().expect("it goes on");
        // Choosing a token belongs to the pass that it opens.
        let token = if op == ops { pass } else { pass.wrapping_sub(1) };
        if let Some(time) = times.get_mut(token) {
            time[kind] += from.elapsed().as_secs_f64();
        }
    }
    let (first, last) = (&times[..PART], &times[TOKENS - PART..]);
    // Medians: every few tokens the kernel provides new memory for what is recorded, which takes longer than they do.
    let usual = |part: &[[f64; PARTS.len()]], kinds: Range<usize>| {
        let mut sums: Vec<f64> = part.iter().map(|time| time[kinds.clone()].iter().sum::<f64>() * 1e6).collect();
        sums.sort_by(f64::total_cmp);
        sums[sums.len() / 2]
    };
    let all = PARTS.iter().enumerate().map(|(i, name)| (*name, i..i + 1));
    for (name, kinds) in all.chain([("attention", 0..3), ("all else", 3..5), ("whole", 0..5)]) {
        let (first, last) = (usual(first, kinds.clone()), usual(last, kinds));
        let times = last / first;
        println!(
            "{TOKENS} tokens, {name}: {first:.0} us for one of the first {PART}, {last:.0} us for one of the last, {times:.2} times"
        );
    }
}

/// A session on the bundled model with a table of `positions` positions in place of its short one, everything recorded,
/// in which a text never ends.
fn session(positions: usize) -> Session {
    let source = bundled::find(bundled::DEFAULT).expect("it is bundled").source();
    let mut model = load(&source, &Device::cpu()).expect("it loads");
    model.spec.max_positions = positions;
    model.spec.positions = Positions::Learned { rows: positions, count: Count::Seen };
    let id = WeightId::global(Role::W_pos);
    let table = model.weights.value(id).expect("it has positions");
    let width = table.shape()[1];
    let rows = table.read_f32().expect("host memory").into_iter().cycle().take(positions * width).collect();
    let longer = Value::from_f32(rows, &[positions, width], &Device::cpu());
    let of = |known| if known == id { longer.clone() } else { model.weights.value(known).expect("it is listed") };
    let values: Vec<(WeightId, Vec<Value>)> = model.weights.ids().into_iter().map(|id| (id, vec![of(id)])).collect();
    model.weights = Weights::of_values(values, Vec::new(), true, &Device::cpu());
    let input = Input::from_tokens(&model, vec![vec![1, 2, 3]]).expect("the tokens fit");
    let settings = Settings { record_budget: u64::MAX };
    let mut session = Session::new(model, input, &settings, Arc::new(AtomicBool::new(false)));
    session.run.sampling.stop = false;
    session
}
