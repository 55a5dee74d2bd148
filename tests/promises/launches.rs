//! Promise: a graphics device is asked for little: one launch for most ops, and it is waited for only where a number is
//! shown. Launches are counted in the log of cubecl, which writes a line for each.

use std::process::Stdio;

use llmdbg::answer::view::{PanelRequest, PanelView};
use llmdbg::tensor::device_reads;

use crate::common::{Bench, ex, llmdbg_in, vulkan};
use crate::parity::fixture;

/// Launches of a batch session on a fixture.
fn launches(model: &str, tokens: &str, commands: &[&str]) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let log = "[profiling.logger]\nlevel = \"minimal\"\nstdout = true\n";
    std::fs::write(folder.path().join("cubecl.toml"), log).unwrap();
    let path = fixture(model);
    let mut all = vec!["-batch", "-nx", "--device", "vulkan", path.to_str().unwrap(), "--tokens", tokens];
    all.extend(ex(commands));
    let ran = llmdbg_in(folder.path(), &all, Stdio::null());
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    let count = ran.out.lines().filter(|line| line.starts_with("Executing ")).count();
    assert!(count > 0, "nothing is logged: {}", ran.out);
    count
}

#[test]
fn a_block_takes_at_most_25_launches_for_one_token_and_for_a_prompt() {
    for (model, most) in [("llama", 25), ("gpt2", 25), ("qwen3", 28), ("gemma2", 32), ("gpt_neox", 26)] {
        for tokens in ["5", "5,6,7,8,9,10,11,12"] {
            let until = |site: &str| launches(model, tokens, &[&format!("until {site}")]);
            let (before, after) = (until("L1.resid_pre"), until("L1.resid_post"));
            // The statistics that are shown are of few numbers, which are read: they take no launch.
            assert!(after - before <= most, "{model}, {tokens}: {} launches for a block", after - before);
        }
    }
}

#[test]
fn statistics_of_a_large_value_take_at_most_3_launches_and_a_second_look_none() {
    let run = launches("gpt2", &ids(60), &["run"]);
    let summary = |times: usize| {
        launches(
            "gpt2",
            &ids(60),
            &vec!["run"; 1].into_iter().chain(vec!["info site logits"; times]).collect::<Vec<_>>(),
        )
    };
    let (once, twice) = (summary(1), summary(2));
    assert!(once <= run + 3 && twice <= once + 1, "{run}, {once}, {twice} launches");
}

fn ids(count: usize) -> String {
    (1..=count).map(|id| id.to_string()).collect::<Vec<_>>().join(",")
}

#[test]
fn a_pass_that_nobody_asks_about_waits_for_nothing_and_a_step_of_the_screen_once() {
    for (model, routed) in [("llama", 0), ("gpt2", 0), ("mixtral", 2)] {
        let mut bench = Bench::on(model, &["The nurse and the dog"], &vulkan(), 1 << 30);
        let before = device_reads();
        for _ in 0..bench.console.session.run.program.ops.len() {
            bench.console.session.run.advance().unwrap();
        }
        assert_eq!(device_reads() - before, routed, "{model}: reads of a pass");
        let mut bench = Bench::on(model, &["The nurse and the dog"], &vulkan(), 1 << 30);
        bench.run("start");
        for _ in 0..40 {
            let before = device_reads();
            bench.run("step");
            let run = &bench.console.session.run;
            let Some(op) = run.cursor.checked_sub(1) else { continue };
            let routing = u64::from(run.program.ops[op].site.ends_with("mlp.out") && routed > 0);
            for view in [PanelView::Auto, PanelView::Heat, PanelView::Histogram] {
                let request = PanelRequest { op, cells: (20, 40), view, gradient: false, from: None };
                bench.console.panel(&request).unwrap();
            }
            let site = bench.console.session.run.program.ops[op].site.clone();
            assert!(device_reads() - before <= 1 + routing, "{model}: {} reads at {site}", device_reads() - before);
        }
    }
}
