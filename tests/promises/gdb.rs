//! Promise (F26, F28): what fingers that know gdb type does what they expect, or says what there is instead.

use std::process::Stdio;

use crate::common::{Bench, ex, llmdbg_in, table_row};

fn bench() -> Bench {
    Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to"])
}

#[test]
fn f28_frames_are_the_modules_around_the_cursor() {
    let mut b = bench();
    b.run("until L2.attn.pattern");
    assert!(b.text("frame").starts_with("#0  blocks.2.attn.pattern, op "));
    assert!(b.text("up").starts_with("#1  blocks.2.attn, ops "));
    assert!(b.text("up").starts_with("#2  blocks.2, ops "));
    assert!(b.text("down").starts_with("#1  blocks.2.attn"));
    assert!(b.text("frame L2").starts_with("#2  blocks.2,"));
    assert!(b.fail("frame L3").contains("the cursor is not in a frame L3"));
    assert!(b.fail("frame 9").contains("\"backtrace\" lists them"));
    assert!(b.text("up 9").contains("tiny-gpt2, pass 0"));
    assert!(b.fail("up").contains("you cannot go up"));
    // What is selected is what info, list and finish are about; a motion selects the innermost one.
    b.run("frame 1");
    assert!(b.text("info frame").starts_with("Frame 1: blocks.2.attn, ops "));
    let locals = b.table("info locals");
    assert!(locals.rows.iter().all(|row| crate::common::cell_text(&row[0]).starts_with("blocks.2.attn.")));
    let max = b.number("max(L2.attn.pattern)");
    assert!((crate::common::cell_number(&table_row(&locals, "blocks.2.attn.pattern")[3]) - max).abs() < 1e-12);
    let args = b.table("info args");
    assert!(args.rows.iter().all(|row| !crate::common::cell_text(&row[0]).contains("attn.")), "{:?}", args.rows);
    let end = b.after("blocks.2.attn.out");
    b.run("frame 2");
    b.run("finish");
    let module = b.console.session.run.program.module_of("blocks.2").unwrap();
    assert_eq!(b.cursor(), b.console.session.run.program.modules[module].end);
    assert!(b.cursor() > end);
    assert!(b.text("frame").starts_with("#0  blocks.2.resid_post"));
    assert!(b.fail("down").contains("Bottom (innermost) frame"));
}

#[test]
fn f28_info_line_scope_and_program() {
    let mut b = bench();
    assert!(b.text("info program").starts_with("The program is not running"));
    b.script("break L1.attn.z\nrun");
    assert!(b.text("info program").ends_with("It stopped at breakpoint 1."));
    let op = b.console.session.run.program.op_of("blocks.2.attn.z").unwrap();
    assert!(b.text("info line L2.attn.z").starts_with(&format!("blocks.2.attn.z is op {op} of ")));
    assert!(b.text("info scope L2").contains("names of block 2: ") && b.text("info scope").contains("attn.pattern"));
    assert!(b.fail("info registers").contains("info locals"));
}

#[test]
fn f28_clear_and_delete_breakpoints() {
    let mut b = bench();
    b.script("break L1.attn.z\nbreak L2\ntbreak L2\nwatch norm(L1.attn.z)");
    assert_eq!(b.text("clear L2"), "Deleted breakpoints 2 3");
    assert!(b.fail("clear L2").contains("No breakpoint at L2."));
    b.run("until L1.attn.z");
    assert_eq!(b.text("clear"), "Deleted breakpoint 1");
    b.script("break L0\nbreak L1");
    b.run("delete breakpoints 5");
    assert_eq!(b.table("info breakpoints").rows.len(), 2);
    b.run("delete breakpoints");
    assert_eq!(b.text("info breakpoints"), "No breakpoints.");
}

/// Every op that reads a site, by what the program says of it, and no other.
#[test]
fn f28_read_and_access_watchpoints() {
    for (command, also) in [("rwatch", false), ("awatch", true)] {
        let mut b = bench();
        let program = b.console.session.run.program.clone();
        let op = program.op_of("blocks.1.resid_mid").unwrap();
        let mut wanted: Vec<usize> =
            (0..program.ops.len()).filter(|at| program.ops[*at].inputs.contains(&op) || (also && *at == op)).collect();
        b.run(&format!("{command} L1.resid_mid"));
        let mut met = Vec::new();
        let mut stop = b.stop("run");
        while !stop.ids.is_empty() {
            assert!(stop.lines.iter().any(|line| line.contains("blocks.1.resid_mid was ")), "{:?}", stop.lines);
            met.push(b.cursor() - 1);
            stop = b.stop("continue");
        }
        wanted.sort_unstable();
        assert_eq!(met, wanted, "{command}");
        assert!(b.text("info breakpoints").contains(if also { "access watchpoint" } else { "read watchpoint" }));
    }
    let mut b = bench();
    assert!(b.fail("rwatch L1").contains("expected one site"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("points.ldb");
    b.script(&format!("rwatch L1.resid_mid if max($) > 1\nsave breakpoints {}", file.display()));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "rwatch L1.resid_mid if max($) > 1\n");
}

/// A block that is skipped is the identity, bit for bit, until that is undone.
#[test]
fn f28_a_skipped_block_is_the_identity() {
    let mut b = bench();
    b.run("run");
    let before = b.everything();
    b.run("skip L2");
    assert_eq!(b.bits("L2.resid_post"), b.bits("L2.resid_pre"));
    assert_ne!(b.bits("L1.resid_post"), b.bits("L1.resid_pre"));
    b.run("undo");
    assert_eq!(b.everything(), before);
    b.run("skip L2.mlp");
    assert_eq!(b.bits("L2.resid_post"), b.bits("L2.resid_mid"));
    assert_ne!(b.bits("L2.resid_mid"), b.bits("L2.resid_pre"));
    assert!(b.fail("skip L2.ln1").contains("only a block, its attention or its MLP"));
}

#[test]
fn f28_find_last_and_short_names() {
    let mut b = bench();
    b.run("run");
    let count = b.number("count(L1.attn.pattern > 0.5)");
    assert!(b.text("find L1.attn.pattern > 0.5").starts_with(&format!("{count} of ")));
    let first = b.numbers("tokens")[1];
    let found = b.table(&format!("find tokens, {first}"));
    assert_eq!(found.columns, ["pos"]);
    assert!(crate::common::cell_text(&found.rows[0][0]).starts_with("1 \""));
    let mut b = bench();
    assert!(b.fail("last max($cursor)").contains("has not stopped anywhere before"));
    b.run("until L1.attn.pattern");
    let then = b.number("max($cursor)");
    b.run("until L2.attn.pattern");
    let now = b.number("max($cursor)");
    let text = b.text("last max($cursor)");
    let of = |line: usize| text.lines().nth(line).unwrap().rsplit(' ').next().unwrap().parse::<f64>().unwrap();
    assert!(text.starts_with("at the last stop, after blocks.1.attn.pattern: "), "{text}");
    assert!((of(0) - then).abs() < 1e-3 && (of(1) - now).abs() < 1e-3, "{text} {then} {now}");
    let at = b.cursor();
    b.script("si\nni\nrsi\nrni");
    assert_eq!(b.cursor(), at);
    assert_eq!(b.text("call 1 + 1"), "$1 = 2");
    for line in ["set confirm off", "set pagination off", "set width 0", "set height 0"] {
        assert_eq!(b.text(line), "");
    }
    assert!(b.text("show version").starts_with("llmdbg "));
    assert!(b.fail("attach 3").contains("target remote SOCKET goes to a session"));
}

#[test]
fn f28_functions_of_the_user_are_for_conditions_too() {
    let mut b = bench();
    b.run("function peak(x) = max(abs(x))");
    b.run("break L*.attn.z if peak($) > 1e9");
    assert!(b.stop("run").ids.is_empty());
    b.run("condition 1 peak($) > 0");
    assert_eq!(b.stop("run").ids, [1]);
    assert_eq!(b.number("peak(L0.attn.z)"), b.number("max(abs(L0.attn.z))"));
    assert!(b.text("info functions").contains("peak(x) = max(abs(x))"));
    assert!(b.fail("print peak(L0.attn.z, 2)").contains("peak takes 1 argument, found 2"));
    assert!(b.fail("function max(x) = x").contains("is a function of the program"));
}

#[test]
fn f28_what_was_typed_is_listed() {
    let ran = llmdbg_in(
        std::path::Path::new("."),
        &["-nx", "--no-tui", "--device", "cpu", "tiny-gpt2"],
        Stdio::from(file_of("print 1 + 1\nstep\nshow commands\nquit\n")),
    );
    assert!(ran.out.contains("    1  print 1 + 1\n    2  step\n    3  show commands"), "{}\n{}", ran.out, ran.err);
}

fn file_of(text: &str) -> std::fs::File {
    use std::io::{Seek, Write};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn f28_guesses_are_near() {
    let mut b = bench();
    assert!(!b.fail("info zframe").contains("trace"));
    assert!(b.fail("info breakpionts").contains("did you mean breakpoints?"));
    assert!(b.fail("brek L1").contains("did you mean break?"));
    for word in ["zzz", "hander", "wxyz"] {
        assert!(!b.fail(word).contains("did you mean"), "{word}");
    }
}

#[test]
fn f26_help_names_its_groups_and_apropos_finds_settings_and_options() {
    let mut b = bench();
    let help = b.text("help");
    assert!(help.contains("help stopping") && help.contains("help GROUP"), "{help}");
    assert_eq!(b.text("help groups"), help);
    assert_eq!(b.text("help Moving"), b.text("help moving"));
    assert!(b.text("help stopping").contains("rwatch"));
    assert!(b.text("help settings").contains("generation temperature"));
    let first = |b: &mut Bench, word: &str| {
        let table = b.table(&format!("apropos {word}"));
        crate::common::cell_text(&table.rows[0][0]).to_string()
    };
    assert_eq!(first(&mut b, "temperature"), "set generation temperature");
    assert_eq!(first(&mut b, "chat"), "chat");
    assert_eq!(first(&mut b, "break"), "break");
    let all = b.text("apropos -all sampl");
    assert!(all.contains("topic") && all.contains("attr -samples N"), "{all}");
    assert!(b.text("apropos attn.pattern").contains("blocks.*.attn.pattern"));
    assert!(b.text("apropos zzzz").starts_with("Nothing has to do with zzzz"));
    _ = ex(&[]);
}

/// F27: a shape is not an index, and a breakpoint is called the same when it is set and when it stops.
#[test]
fn f27_stops_say_what_they_are_at() {
    let mut b = bench();
    assert!(b.text("break L2.attn.pattern").contains("Breakpoint 1 at L2.attn.pattern"));
    let stop = b.stop("run").lines.join("\n");
    assert!(stop.starts_with("Breakpoint 1, blocks.2.attn.pattern 4 heads x 14 q x 14 k  min "), "{stop}");
    b.run("tbreak L3");
    let stop = b.stop("continue").lines.join("\n");
    assert!(stop.starts_with("Temporary breakpoint 2 at L3, blocks.2.resid_post 14 pos x "), "{stop}");
    assert_eq!(b.text("break L3H1"), "Breakpoint 3 at L3H1 (blocks.3.attn.z, head 1)");
}

/// F22: rows of a batch are reached as one guesses.
#[test]
fn f22_rows_of_a_batch() {
    let mut b = Bench::new("tiny-gpt2", &["When Mary went to the store", "Then John gave a drink to"]);
    b.run("run");
    b.run("focus row=1");
    let second = b.bits("L1.resid_post[-1]");
    b.run("focus row 0");
    assert_ne!(b.bits("L1.resid_post[-1]"), second);
    assert_eq!(b.bits("L1.resid_post[row=1, -1]"), second);
    assert_eq!(b.bits("L1.resid_post[row=1][-1]"), second);
    assert_eq!(b.bits("L1.resid_post[row=-1, pos=-1]"), second);
    assert!(b.text("focus row 1").starts_with("row 1,"));
    assert!(b.fail("focus 1").contains("focus row=1 pos=3 head=2"));
    assert!(b.fail("print (L1.resid_post + 1)[row=1]").contains("SITE[row=1]"));
}
