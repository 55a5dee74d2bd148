//! Takes each attention head out in turn, and lists those that an answer depends on.
//!
//! `cargo run --release --example which_head`

#![expect(clippy::print_stdout, reason = "an example prints what it finds")]

use llmdbg::{Debugger, Error};

/// Blocks and heads of the bundled model.
const HEADS: (usize, usize) = (4, 4);

fn main() -> Result<(), Error> {
    let mut debugger = Debugger::open("tiny-gpt2", "When Mary and John went to the store, John gave a drink to")?;
    let wanted = "logit(\" Mary\") - logit(\" John\")";
    debugger.command("run")?;
    let all = debugger.number(wanted)?;
    let mut found = Vec::new();
    for layer in 0..HEADS.0 {
        for head in 0..HEADS.1 {
            debugger.command(&format!("ablate L{layer}H{head}"))?;
            found.push((all - debugger.number(wanted)?, format!("L{layer}H{head}")));
            debugger.command("undo")?;
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("{wanted} = {all:.3}; without a head it loses:");
    for (loss, head) in found.iter().take(5) {
        println!("{head}  {loss:.3}");
    }
    Ok(())
}
