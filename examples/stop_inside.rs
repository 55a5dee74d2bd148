//! Stops inside a forward pass where a condition over tensors holds, and reads what is there.
//!
//! `cargo run --release --example stop_inside [MODEL] [PROMPT]`

#![expect(clippy::print_stdout, reason = "an example prints what it finds")]

use llmdbg::{Debugger, Error};

fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let model = args.next().unwrap_or("tiny-gpt2".into());
    let prompt = args.next().unwrap_or("When Mary and John went to the store, John gave a drink to".into());
    let mut debugger = Debugger::open(&model, &prompt)?;
    debugger.command("rbreak attn.pattern$")?;
    let mut stop = debugger.text("run")?;
    while !stop.starts_with("Pass finished") {
        println!("{stop}");
        println!("  strongest attention from the last position: {:.3}", debugger.number("max($cursor[q=-1])")?);
        stop = debugger.text("continue")?;
    }
    println!("{stop}");
    Ok(())
}
