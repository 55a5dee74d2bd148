//! Promise: looking changes nothing. Breakpoints, stepping, recording and an edit taken back leave every bit as it was.

use llmdbg::tensor::Device;

use crate::common::{Bench, NURSE, vulkan};

fn plain(model: &str, device: &Device) -> Vec<Vec<u64>> {
    let mut bench = Bench::on(model, &[NURSE], device, 1 << 30);
    bench.run("run");
    bench.everything()
}

#[test]
fn an_ablation_taken_back_leaves_bit_identical_logits() {
    for device in [Device::cpu(), vulkan()] {
        for model in ["gpt2", "llama"] {
            let wanted = plain(model, &device);
            for before in ["run", "start", "start\nuntil L1.attn.z", "start\nuntil L1.mlp.pre"] {
                let mut bench = Bench::on(model, &[NURSE], &device, 1 << 30);
                bench.script(before);
                bench.run("ablate L1H0");
                if before != "run" {
                    bench.run("continue");
                }
                assert!(bench.numbers("L1.attn.z[head=0]").iter().all(|z| *z == 0.0));
                assert_ne!(bench.everything().last(), wanted.last());
                bench.run("undo");
                assert_eq!(bench.everything(), wanted, "{model} after {before:?}");
            }
        }
    }
}

#[test]
fn a_hundred_breakpoints_and_steps_op_by_op_leave_every_bit_as_it_was() {
    let conditions = [
        "max($) > 1e9",
        "any(nan($))",
        "mean($) == 12345",
        "std($) < -1 || sum($ > 1e9) > 3",
        "max($ - $) > 0.5",
        "quantile($, q=0.5) > 1e9",
    ];
    for device in [Device::cpu(), vulkan()] {
        let wanted = plain("gpt2", &device);
        let mut bench = Bench::on("gpt2", &[NURSE], &device, 1 << 30);
        let sites = bench.console.session.run.program.sites().to_vec();
        for i in 0..100 {
            let site = &sites[1 + i % (sites.len() - 1)];
            bench.run(&format!("break {site} if {}", conditions[i % conditions.len()]));
        }
        bench.run("start");
        for position in 1..=sites.len() {
            let stop = bench.stop("step");
            assert!(stop.ids.is_empty(), "{:?}", stop.lines);
            assert_eq!(bench.cursor(), position);
        }
        assert_eq!(bench.everything(), wanted, "on {}", device.name());
    }
}

#[test]
fn a_tiny_recording_budget_costs_time_and_no_bits() {
    for (model, device) in [("gpt2", Device::cpu()), ("llama", Device::cpu()), ("gpt2", vulkan())] {
        let wanted = plain(model, &device);
        let mut bench = Bench::on(model, &[NURSE], &device, 20 << 10);
        bench.run("run");
        let ops = wanted.len();
        let said = bench.text("info record");
        let kept = bench.console.session.run.branch().status().kept;
        assert!(kept < ops, "the budget of 20 KiB is too small for {model}");
        assert!(said.starts_with(&format!("branch main: {ops} of {ops} ops computed, {kept} kept, ")), "{said}");
        assert!(said.contains(" of a budget of 20.0 KiB\n"), "{said}");
        assert!(
            said.contains("over the budget: block boundaries are kept as far as they fit, all else is computed again")
        );
        for op in (0..ops).rev() {
            let value = bench.console.session.run.value(op).unwrap();
            assert_eq!(llmdbg::tensor::bits(&value).unwrap(), wanted[op], "op {op} of {model}");
        }
        let said = bench.text("info record");
        assert!(said.contains(" values have been computed again, with the same bits"), "{said}");
        let (status, budget) = (bench.console.session.run.branch().status(), bench.console.session.run.budget());
        let boundaries: u64 = wanted.iter().map(|bits| bits.len() as u64 * 4).sum();
        assert!(status.bytes <= budget.max(boundaries), "{status:?}");
    }
}

#[test]
fn looking_with_every_kind_of_command_leaves_every_bit_as_it_was() {
    let wanted = plain("gpt2", &Device::cpu());
    let mut bench = Bench::new("gpt2", &[NURSE]);
    bench.script(
        "start
        display max($cursor)
        display/t $cursor
        until L0.attn.pattern
        p/h $cursor[head=1]
        p topk($cursor[0, -1], 3)
        x/8 L0.attn.q
        p lens(L0.resid_pre)
        p sort(L0.attn.q[0, 0])
        p param(\"W_E\")[0]",
    );
    bench.script("bt\nlist\ninfo sites\ninfo weights\ninfo tokens\nfinish\nreverse-finish\nreverse-next\ncontinue");
    bench.script("p loss\np logit\np rank(\" the\")\np result(1, 2)\np all(L0.attn.result)\nfocus pos=2 head=1");
    assert_eq!(bench.everything(), wanted);
}
