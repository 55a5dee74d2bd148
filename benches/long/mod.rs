//! What a token costs in a long generation.

#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use criterion::Criterion;
use llmdbg::debugger::{Session, Settings};
use llmdbg::model::role::{Role, WeightId};
use llmdbg::model::spec::{Count, Positions};
use llmdbg::model::{Input, Weights, bundled, load};
use llmdbg::program::Kernel;
use llmdbg::tensor::{Device, Value, compute_here};

/// A long generation: what a token costs at the beginning and at the end of it, and how much of that is attention,
/// which reads a longer cache each time. All else should cost the same.
pub fn generation(_: &mut Criterion) {
    const TOKENS: usize = 2000;
    const PART: usize = 100;
    compute_here();
    let mut session = session(TOKENS + 8);
    session.start();
    // Seconds for each token, in attention and elsewhere.
    let mut times = vec![[0.0; 2]; TOKENS];
    let ops = session.run.program.ops.len();
    while session.run.mark() != session.run.end_of(TOKENS) {
        let attends = |op: usize| {
            matches!(session.run.program.ops[op].kernel, Kernel::Scores { .. } | Kernel::Pattern { .. } | Kernel::Mix)
        };
        let (pass, op) = (session.run.pass, session.run.cursor);
        let kind = usize::from(op == ops || !attends(op));
        let from = Instant::now();
        session.run.advance().expect("it goes on");
        // Choosing a token belongs to the pass that it opens.
        let token = if op == ops { pass } else { pass.wrapping_sub(1) };
        if let Some(time) = times.get_mut(token) {
            time[kind] += from.elapsed().as_secs_f64();
        }
    }
    let mean =
        |part: &[[f64; 2]], kind: usize| part.iter().map(|time| time[kind]).sum::<f64>() / part.len() as f64 * 1e6;
    let (first, last) = (&times[..PART], &times[TOKENS - PART..]);
    for (name, kind) in [("attention", 0), ("all else", 1)] {
        let (first, last) = (mean(first, kind), mean(last, kind));
        println!(
            "{TOKENS} tokens, {name}: {first:.0} us for each of the first {PART}, {last:.0} us for each of the last, {:.2} times",
            last / first
        );
    }
    let whole = |part| mean(part, 0) + mean(part, 1);
    println!(
        "{TOKENS} tokens, whole: {:.0} us, {:.0} us, {:.2} times",
        whole(first),
        whole(last),
        whole(last) / whole(first)
    );
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
    let mut session = Session::new(model, input, Device::cpu(), &settings, Arc::new(AtomicBool::new(false)));
    session.run.sampling.stop = false;
    session
}
