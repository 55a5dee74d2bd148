//! Times of single passes on demand, for `compare.py`: reads lines `WHAT LENGTH`, answers each with milliseconds. `WHAT` is
//! `forward`, `steps`, `commands`, `conditions`, `hundred` (false conditions on a hundred breakpoints), `back` (one op back by its
//! command), `edit` (a head of layer 10 ablated after a pass, by its command), `generate` and `generate-unrecorded` (so many tokens after a prompt of
//! sixteen), or `ops`, which prints the time of each kind of op instead.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

#[path = "../gpt2/mod.rs"]
mod gpt2;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, Write};
use std::time::Instant;

use llmdbg::commands::Console;
use llmdbg::debugger::{Direction, Motion, Session};
use llmdbg::tensor::compute_here;

/// Tokens of the prompt of a generation.
const PROMPT: usize = 16;

fn main() -> io::Result<()> {
    compute_here();
    let model = gpt2::model();
    let mut plain: HashMap<usize, Console> = HashMap::new();
    let mut conditional: HashMap<usize, Console> = HashMap::new();
    let mut hundred: HashMap<usize, Console> = HashMap::new();
    let mut edited: HashMap<usize, Console> = HashMap::new();
    let mut generating: HashMap<u64, Session> = HashMap::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (what, length) = line.split_once(' ').unwrap_or(("forward", &line));
        let Ok(length) = length.parse() else { continue };
        let console = || Console::new(gpt2::session(&model, length), "random");
        let plain = plain.entry(length).or_insert_with(console);
        let conditional = conditional.entry(length).or_insert_with(|| {
            let mut console = console();
            gpt2::break_on_patterns(&mut console);
            console
        });
        if what == "hundred" {
            hundred.entry(length).or_insert_with(|| {
                let mut console = console();
                gpt2::hundred_breakpoints(&mut console);
                console
            });
        }
        let edited = edited.entry(length).or_insert_with(console);
        match what {
            "back" if edited.session.run.cursor == 0 => gpt2::command(edited, "run"),
            "edit" => {
                // A branch for each edit would keep every recording.
                *edited = console();
                gpt2::command(edited, "run");
            }
            _ => {}
        }
        if let Some(recorded) = what.strip_prefix("generate") {
            let budget = if recorded.is_empty() { u64::MAX } else { 0 };
            let session = generating.entry(budget).or_insert_with(|| gpt2::session_within(&model, PROMPT, budget));
            let begin = Instant::now();
            gpt2::generate(session, length);
            answer(begin)?;
            continue;
        }
        let begin = Instant::now();
        match what {
            "forward" => gpt2::forward(&mut plain.session),
            "steps" => gpt2::steps(&mut plain.session),
            "commands" => gpt2::step_commands(plain),
            "conditions" => gpt2::forward(&mut conditional.session),
            "hundred" => gpt2::forward(&mut hundred.get_mut(&length).expect("made before").session),
            "back" => gpt2::command(edited, "reverse-step"),
            "edit" => gpt2::command(edited, "ablate L10H3"),
            "ops" => by_kind(&mut plain.session),
            _ => {}
        }
        answer(begin)?;
    }
    Ok(())
}

fn answer(begin: Instant) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{:.3}", begin.elapsed().as_secs_f64() * 1e3)?;
    out.flush()
}

/// One pass, with the time of the ops of each name added up over the layers.
fn by_kind(session: &mut Session) {
    session.start();
    let mut times: BTreeMap<String, f64> = BTreeMap::new();
    for op in 0..session.run.program.ops.len() {
        let site = session.run.program.ops[op].site.clone();
        let name = match site.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')) {
            Some((_, name)) => name.to_owned(),
            None => site,
        };
        let begin = Instant::now();
        session.travel(&Motion::Step(1), Direction::Forward).expect("the pass runs");
        *times.entry(name).or_default() += begin.elapsed().as_secs_f64() * 1e3;
    }
    let mut times: Vec<_> = times.into_iter().collect();
    times.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (name, time) in times {
        println!("{time:9.3} ms  {name}");
    }
}
