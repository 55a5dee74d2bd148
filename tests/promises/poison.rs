//! Promise: weights that are NaN, infinite, zero, far too large or far too small are looked at and explained like others, or what
//! cannot be is refused; nothing goes on without end and nothing falls over.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use llmdbg::commands::ALL;
use llmdbg::tensor::Device;

use crate::common::{Bench, model};
use crate::parity::fixture;

const POISONS: [&str; 6] = ["nan", "inf", "-inf", "0", "3e38", "1e-42"];

/// How long a session of all commands may take: it takes two or three seconds.
const LIMIT: Duration = Duration::from_secs(150);

/// Numbers that look like chance, from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n as u64) as usize
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Every command that the table of the program gives as an example of looking, explaining and comparing, for a model of two blocks.
fn commands() -> Vec<String> {
    let groups = ALL.groups.iter().filter(|group| ["looking", "explaining", "comparing"].contains(&group.name));
    let lines =
        groups.flat_map(|group| group.commands).flat_map(|command| command.examples).flat_map(|text| text.lines());
    let mut found: Vec<String> = Vec::new();
    for line in lines.filter(|line| !line.starts_with("shell") && *line != "run") {
        let line = line.replace("L3", "L1").replace("L2", "L1").replace("tiny-gpt2", fixture("gpt2").to_str().unwrap());
        let line = line.replace("\" Mary\"", "5").replace("\" John\"", "7");
        if !found.contains(&line) {
            found.push(line);
        }
    }
    found
}

/// What a session on a model prints for these lines: `Err` with the last line that was reached if it does not end.
fn session(folder: &Path, name: &str, lines: &[String]) -> Result<String, String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_llmdbg"))
        .args([
            "--no-tui",
            "-q",
            "-nx",
            "--device",
            "cpu",
            fixture(name).to_str().unwrap(),
            "--tokens",
            "3,9,4,9,12,5,7,3,9,4",
        ])
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env("XDG_STATE_HOME", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let text: String = lines.iter().enumerate().map(|(i, line)| format!("echo @@{i}\\n\n{line}\n")).collect();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let writing = std::thread::spawn(move || input.write_all(format!("{text}echo @@end\\n\n").as_bytes()));
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        err.read_to_string(&mut text).map(|_| text)
    });
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut part = [0; 1 << 16];
        while let Ok(count @ 1..) = out.read(&mut part) {
            text.extend_from_slice(&part[..count]);
            _ = send.send(String::from_utf8_lossy(&text).into_owned());
        }
    });
    let begin = Instant::now();
    let mut said = String::new();
    let ended = loop {
        while let Ok(more) = receive.try_recv() {
            said = more;
        }
        match child.try_wait().unwrap() {
            Some(_) => break true,
            None if begin.elapsed() > LIMIT => break false,
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    if !ended {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    _ = writing.join();
    if let Ok(more) = receive.recv_timeout(Duration::from_millis(200)) {
        said = more;
    }
    let all = said + &reading.join().unwrap().unwrap_or_default();
    let last =
        all.rmatch_indices("@@").find_map(|(at, _)| all[at + 2..].split_whitespace().next()).unwrap_or("nothing");
    let reached = last.parse().ok().and_then(|i: usize| lines.get(i)).map_or(last, String::as_str).to_string();
    match ended && all.contains("@@end") {
        true => Ok(all),
        false => Err(format!("does not end after {reached:?}")),
    }
}

#[test]
fn poisoned_weights_are_looked_at_by_every_command_to_its_end() {
    let all = commands();
    assert!(all.len() > 90, "{}", all.len());
    let mut wrong = Vec::new();
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for (seed, name) in ["gpt2", "llama", "mixtral", "gemma2", "bert-mlm", "bert-seqcls"].into_iter().enumerate() {
            let all = &all;
            running.push(scope.spawn(move || {
                let mut random = Random(seed as u64 + 1);
                let weights: Vec<String> =
                    model(name, &Device::cpu()).weights.ids().iter().map(ToString::to_string).collect();
                let mut wrong = Vec::new();
                for _ in 0..2 {
                    let folder = tempfile::tempdir().unwrap();
                    let (weight, poison) = (random.of(&weights), random.of(&POISONS));
                    let place = ["", "[0]", "[-1]"][random.below(3)];
                    let mut lines = vec![format!("set param(\"{weight}\"){place} = {poison}"), "run".into()];
                    // Another order each time: what is left behind differs.
                    let turn = random.below(all.len());
                    lines.extend(all[turn..].iter().chain(&all[..turn]).cloned());
                    let what = format!("{name} with {}", lines[0]);
                    match session(folder.path(), name, &lines) {
                        Err(why) => wrong.push(format!("{what}: {why}")),
                        Ok(said) => {
                            let bad = ["internal error", "panicked"].iter().find_map(|word| said.find(word));
                            if let Some(at) = bad {
                                let from = said[..at].rfind("@@").unwrap_or(0);
                                wrong.push(format!("{what}: {}", &said[from..(at + 200).min(said.len())]));
                            }
                        }
                    }
                }
                wrong
            }));
        }
        running.into_iter().for_each(|one| wrong.extend(one.join().unwrap()));
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Eigenvalues of NaN were looked for without end, and Ctrl-C was not answered.
#[test]
fn circuits_of_weights_that_are_not_finite_are_refused_by_name() {
    for poison in ["nan", "inf", "-inf"] {
        for (weight, named) in [("W_E", "W_U W_E"), ("L0.attn.W_V", "blocks.0.attn.W_V")] {
            let mut bench = Bench::new("gpt2", &["The nurse"]);
            bench.run(&format!("set param(\"{weight}\") = {poison}"));
            for command in ["circuits", "circuits L0H1"] {
                let said = bench.fail(command);
                assert!(said.contains(named) && said.contains("not finite"), "{poison} in {weight}, {command}: {said}");
            }
        }
        let mut bench = Bench::new("gpt2", &["The nurse"]);
        bench.run(&format!("set param(\"L1.attn.W_Q\")[0] = {poison}"));
        for command in ["circuits -composition q", "circuits L1H0", "spectrum param(\"L1.attn.W_Q\")[0]"] {
            assert!(bench.fail(command).contains("not finite"), "{command}");
        }
    }
    // What is finite is decomposed at any size. The product of tables is in 32 bits and overflows.
    for (poison, ends) in [("3e38", false), ("1e-42", true), ("0", true)] {
        let mut bench = Bench::new("gpt2", &["The nurse"]);
        bench.run(&format!("set param(\"L0.attn.W_V\") = {poison}"));
        bench.table("circuits");
        bench.run("undo");
        bench.run(&format!("set param(\"W_E\") = {poison}"));
        assert_eq!(matches!(bench.outcome("circuits").answer, llmdbg::answer::Answer::Table(_)), ends, "{poison}");
    }
}

/// A number that is NaN is not made better by more points, or by a fit.
#[test]
fn attributions_of_nan_end() {
    let mut bench = Bench::new("gpt2", &["The nurse and the dog"]);
    bench.run("set param(\"L1.mlp.W_out\")[0] = nan");
    bench.run("run");
    let begin = Instant::now();
    bench.text("attr ig -target logit[5] -steps auto");
    for method in ["kernelshap -samples 40", "lime"] {
        let said = bench.fail(&format!("attr {method} -target logit[5]"));
        assert!(said.contains("not finite (NaN or infinite) for") && said.contains("nothing can be fitted"), "{said}");
    }
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

/// The other branch has not come to this pass: there was a panic.
#[test]
fn patching_in_a_later_pass_is_refused() {
    let mut bench = Bench::new("gpt2", &["The nurse and the dog"]);
    bench.script("run\nset tokens[1] = 5\ngenerate 3");
    for more in ["", "-site attn.z", "-site mlp_out -both", "-to L1H0.q", "-minimal"] {
        let said = bench.fail(&format!("patch main -metric logit[5] {more}"));
        assert!(said.contains("works in the pass of the prompt: go back with \"goto #0\""), "{more}: {said}");
    }
}
