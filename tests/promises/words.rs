//! Promises: every command does what its line in the manual says, through the batch frontend, with its answer read.

use std::process::Stdio;

use crate::common::{NURSE, ex, llmdbg_in};
use crate::parity::fixture;

/// Runs commands on the gpt2 fixture and finds each text in what is printed, in this order.
fn says(commands: &[&str], wanted: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let model = fixture("gpt2");
    let mut arguments = vec!["-batch", "-nx", "--device", "cpu", model.to_str().unwrap(), "-p", NURSE];
    arguments.extend(ex(commands));
    let ran = llmdbg_in(folder.path(), &arguments, Stdio::null());
    assert_eq!(ran.status, 0, "{commands:?}\n{}{}", ran.out, ran.err);
    let mut rest = ran.out.as_str();
    for text in wanted {
        let at = rest.find(text).unwrap_or_else(|| panic!("{text:?} is not in, or not in this order:\n{}", ran.out));
        rest = &rest[at + text.len()..];
    }
}

#[test]
fn motions_end_where_they_say() {
    says(&["start"], &["at op 0 of 49, pass 0; next: tokens"]);
    says(&["run"], &["Pass finished: 49 ops", "at the end of pass 0 (op 49 of 49)"]);
    says(&["start", "step 3", "s"], &["at op 3 of 49", "at op 4 of 49"]);
    says(&["start", "n 3", "next"], &["at op 3 of 49 in blocks.0", "at op 24 of 49"]);
    says(
        &["until L0.attn.scores", "fin"],
        &["at op 11 of", "blocks.0.attn.out 8 pos x 32 dim", "Value returned is $1"],
    );
    says(
        &["u L1.attn.z", "advance L1.mlp"],
        &["blocks.1.attn.z 8 pos x 4 heads x 8 dim", "in blocks.1.mlp, pass 0; next: blocks.1.mlp.pre"],
    );
    says(
        &["break L*.attn.z", "r", "c", "c"],
        &["Breakpoint 1, blocks.0.attn.z", "Breakpoint 1, blocks.1.attn.z", "Pass finished"],
    );
    says(&["break L*.attn.z", "run", "c 2"], &["Breakpoint 1, blocks.0.attn.z", "Pass finished"]);
    says(
        &["start", "layer", "layer 1"],
        &["in blocks.0, pass 0; next: blocks.0.resid_pre", "in blocks.1, pass 0; next: blocks.1.resid_pre"],
    );
    says(&["run", "token", "generate 2"], &["Pass 1 finished", "Pass 3 finished"]);
    says(&["run", "rs 2", "rev step"], &["at op 47 of 49", "at op 46 of 49"]);
    says(&["start", "layer 1", "rn", "rf", "rl"], &["next: blocks.0.resid_pre", "No more reverse-execution history."]);
    says(
        &["break L0", "run", "delete", "run", "rc"],
        &["Breakpoint 1", "Pass finished", "No more reverse-execution history."],
    );
    says(
        &["run", "goto L0.attn.q", "goto +2", "goto -1"],
        &["blocks.0.attn.q 8 pos", "blocks.0.attn.v 8 pos", "blocks.0.attn.k 8 pos"],
    );
    says(
        &["run", "goto L0.attn.q", "back", "forward"],
        &["Pass finished", "blocks.0.attn.q", "Pass finished", "blocks.0.attn.q"],
    );
    says(&["run", "print $_exitcode"], &["$1 = 0"]);
    says(&["run", "kill", "when"], &["The run is over", "No pass has been started"]);
}

#[test]
fn locations_name_places() {
    says(&["break L1.attn.pattern", "run"], &["Breakpoint 1, blocks.1.attn.pattern"]);
    says(&["break L1.attn", "run"], &["next: blocks.1.attn.q"]);
    says(&["break -before L1.attn.z", "run"], &["next: blocks.1.attn.z"]);
    says(&["break -after L0.mlp", "run"], &["Breakpoint 1, blocks.0.mlp.out"]);
    says(&["break L1H3", "run", "focus"], &["blocks.1.attn.z", "head 3"]);
    says(
        &["rbreak /resid_(pre|mid)/", "run"],
        &["Breakpoint 4 at blocks.1.resid_mid", "Breakpoint 1, blocks.0.resid_pre"],
    );
    says(
        &["run", "token", "goto #0", "goto #1"],
        &["Pass 1 finished", "at op 0 of 49, pass 0", "pass 1; next: tokens"],
    );
    says(&["break L0.attn.z pos=2", "run", "focus"], &["pos 2"]);
}

#[test]
fn stop_points_are_kept_counted_and_listed() {
    says(&["tbreak L0.attn.z", "run", "info breakpoints"], &["Temporary breakpoint 1", "No breakpoints."]);
    says(
        &["break L0.attn.z", "condition 1 1 < 0", "run", "condition 1", "run"],
        &["Pass finished", "Breakpoint 1, blocks.0.attn.z"],
    );
    says(&["break L*.attn.z", "ignore 1 1", "run"], &["Breakpoint 1, blocks.1.attn.z"]);
    says(&["break L*.attn.z", "enable once 1", "run", "c"], &["Breakpoint 1, blocks.0.attn.z", "Pass finished"]);
    says(&["break L*.attn.z", "enable delete 1", "run", "info b"], &["Breakpoint 1", "No breakpoints."]);
    says(&["break L*.attn.z", "enable count 1 1", "run", "c"], &["Breakpoint 1, blocks.0", "Pass finished"]);
    says(&["break L0", "disable", "run", "enable 1", "run"], &["Pass finished", "Breakpoint 1"]);
    says(&["watch max(resid_post)", "run"], &["Watchpoint 1", "Old value = ", "New value = "]);
    says(&["catch overflow 2", "run"], &["Catchpoint 1 (overflow 2)"]);
    says(&["dprintf L0.attn.z,\"z %.1f\\n\",0.5", "run"], &["z 0.5", "Pass finished"]);
    says(&["trace L*.attn.z count", "run", "info trace"], &["Pass finished", "blocks.0.attn.z      1"]);
    says(&["run", "catch pass", "generate 1"], &["Catchpoint 1 (pass)"]);
}

#[test]
fn values_are_shown_as_asked() {
    says(&["run", "print 1 + 2", "p $ * 2", "p $$", "p $1"], &["$1 = 3", "$2 = 6", "$3 = 3", "$4 = 3"]);
    says(
        &["run", "p/s L0.attn.z", "p/t logits[-1]", "p/3t logits[-1]"],
        &["$1 = f32[pos=8, head=4, dim=8]", "rank", "rank"],
    );
    says(&["run", "p/r logits[-1, 0:2]", "p/a L0.attn.pattern[0]", "p/g L0.mlp.post"], &["\n", "[", "$"]);
    says(&["run", "x/3 L0.mlp.post[0]", "whatis L0.mlp.post"], &["[0]:  ", "f32 [pos=8, neuron="]);
    says(
        &["ptype L0.attn.z"],
        &[
            "blocks.0.attn.z [pos=8, head=4, dim=8], op 12 of 49",
            "reads blocks.0.attn.pattern",
            "read by blocks.0.attn.out",
        ],
    );
    says(
        &["display max($cursor)", "run", "undisplay", "start"],
        &["1: max($cursor)", "Pass finished", "1: max($cursor) = "],
    );
    says(&["run", "output 1 + 1", "printf \"%d %s\\n\", 3, \"x\"", "echo hi\\n"], &["2", "3 x", "hi"]);
    says(
        &["until L0.attn.z", "print shape($cursor)", "print L0.attn.z#0[0, 0, 0] - $cursor[0, 0, 0]"],
        &["[8, 4, 8]", "= 0"],
    );
    says(&["until L1.attn.z", "bt", "list", "info sites"], &["blocks.1.attn.z", "blocks.1.attn", "->", "tokens"]);
}

#[test]
fn edits_change_what_they_name() {
    says(
        &["until L0.attn.z", "set $cursor[head=0] = 0", "print max(abs($cursor[head=0]))"],
        &["Changed blocks.0.attn.z.", "= 0"],
    );
    says(
        &["run", "set L0.attn.z[0] += 1", "set L0.attn.z *= 2", "info edits"],
        &["branch edit1", "branch edit2", "set L0.attn.z[0] += 1"],
    );
    says(
        &["set tokens[1] = \" the\"", "set prompt the king", "run", "info tokens"],
        &["Changed the input", "Changed the input", "\"ing\"  281"],
    );
    says(&["run", "tokens insert 1 \" the\"", "tokens erase 1"], &["Changed the input", "Changed the input"]);
    says(
        &["set param(\"L0.mlp.W_in\")[0] = 0", "run", "print max(abs(param(\"L0.mlp.W_in\")[0]))"],
        &["Changed weight", "= 0"],
    );
    says(&["run", "token", "set kv(0, k)[pos=0] = 0"], &["Changed the cache of blocks.0.attn.k"]);
    says(&["set $x = 3", "print $x * 2"], &["= 6"]);
    says(
        &["run", "ablate L0H1", "ablate L0.mlp.post[neuron=0:3] mean", "undo", "redo"],
        &["branch edit1", "branch edit2", "Took back: ablate L0.mlp", "Made again: ablate L0.mlp"],
    );
    says(&["until L1.mlp.pre", "return 0", "print max(abs(L1.mlp.out))"], &["Left blocks.1.mlp", "= 0"]);
    says(
        &["run", "steer L0.resid_post 0.5", "drop edits", "info branches"],
        &["Changed blocks.0.resid_post", "Dropped 1 edit", "└─ edit2"],
    );
    says(
        &["run", "ablate L0H1", "branch -m x", "checkout main", "checkout x"],
        &["is now x", "On branch main", "On branch x"],
    );
    says(
        &["run", "checkpoint a", "start", "restart a", "info checkpoints"],
        &["Checkpoint 1 (a)", "Pass finished", "main"],
    );
    says(
        &["run", "ablate L0H1", "save edits e.json", "undo", "load edits e.json"],
        &["Wrote 1 edit", "Changed blocks.0.attn.z"],
    );
    says(&["run", "export model copy", "save activations a.safetensors"], &["Wrote 28 tensors", "Wrote 49 sites"]);
}
