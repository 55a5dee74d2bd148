//! Runs a batch of prompts and follows one token through the blocks of each: the logit lens, by hand.
//!
//! `cargo run --release --example compare_prompts`

#![expect(clippy::print_stdout, reason = "an example prints what it finds")]

use llmdbg::{Debugger, DeviceChoice, Error};

fn main() -> Result<(), Error> {
    let prompts = ["The nurse said that", "The pilot said that"];
    let mut debugger = Debugger::open_on("tiny-gpt2", &prompts, DeviceChoice::Auto)?;
    debugger.command("run")?;
    for (row, prompt) in prompts.iter().enumerate() {
        debugger.command(&format!("focus row={row}"))?;
        println!("{prompt}: P(\" she\") after each block");
        for block in 0..4 {
            let probability = format!("softmax(lens(L{block}.resid_post[pos=-1]))[\" she\"]");
            println!("  block {block}: {:.4}", debugger.number(&probability)?);
        }
    }
    Ok(())
}
