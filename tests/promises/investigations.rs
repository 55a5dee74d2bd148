//! Promise: `investigate` names the right cause first in at least 80 of 100 seeded faults, confirms nothing wrong, confirms nothing of a
//! healthy model, and leaves the session as it was.

use std::path::Path;

use llmdbg::answer::{Cell, Table};
use llmdbg::model::role::Role::{W_O, W_in, W_out};
use llmdbg::model::role::WeightId;
use llmdbg::model::spec::Act;
use llmdbg::model::{Input, Model};
use llmdbg::tensor::{Device, Value};

use crate::common::{Bench, NURSE, cell_text, ex, llmdbg_in, model};
use crate::faults::kinds::FAULTS;
use crate::faults::ran;

const GIVES: &str = "When Mary and John went to the store, John gave a drink to";

/// Rows in a state: what was found.
fn in_state(table: &Table, state: &str) -> Vec<String> {
    let rows = table.rows.iter().filter(|row| cell_text(&row[2]) == state);
    rows.map(|row| cell_text(&row[1]).to_string()).collect()
}

fn confirmed(table: &Table) -> Vec<String> {
    in_state(table, "confirmed")
}

/// A seeded fault: how it is made, the symptom, and parts of the cause that has to be named. Anything confirmed has to contain one of
/// them.
struct Seeded {
    what: String,
    bench: Bench,
    line: String,
    cause: Vec<String>,
}

fn seeded(what: &str, bench: Bench, line: &str, cause: &[&str]) -> Seeded {
    Seeded { what: what.into(), bench, line: line.into(), cause: cause.iter().map(|part| part.to_string()).collect() }
}

/// A trained model with a weight changed in its files, so to say: no edit tells of it.
fn damaged(change: impl Fn(&mut Model)) -> Bench {
    let mut faulty = model("tiny-gpt2", &Device::cpu());
    change(&mut faulty);
    let input = Input::from_texts(&faulty, &[GIVES], true).unwrap();
    let mut bench = Bench::of("tiny-gpt2", faulty, input, 1 << 30);
    bench.run("run");
    bench
}

fn weight(model: &mut Model, id: WeightId, change: impl Fn(usize, f32) -> f32) {
    let whole = model.weights.value(id).unwrap();
    let data: Vec<f32> = whole.read_f32().unwrap().into_iter().enumerate().map(|(i, x)| change(i, x)).collect();
    model.weights.replace(id, Value::from_f32(data, whole.shape(), &Device::cpu())).unwrap();
}

fn edited(setup: &str) -> Bench {
    let mut bench = Bench::new("tiny-gpt2", &[GIVES]);
    bench.run("run");
    bench.script(setup);
    if !bench.console.session.run.at_end() {
        bench.run("continue");
    }
    bench
}

/// Faults of weights, in the session and in the files, with and without a sound model at hand.
fn faults_of_weights() -> Vec<Seeded> {
    let mut all = Vec::new();
    let edits = [
        ("set param(\"L2.attn.W_Q\")[1, 7] = 0 / 0", "nan", "blocks.2.attn.W_Q"),
        ("set param(\"L1.mlp.W_in\")[3, 4] = 1e300 * 1e300", "nan", "blocks.1.mlp.W_in"),
        ("set L1.resid_pre[0, 0] = 1e300 * 1e300", "nan", "L1.resid_pre"),
        ("set param(\"L1.mlp.W_out\") *= 30", "expected \" Mary\"", "L1.mlp.W_out"),
        ("set param(\"L1.attn.W_V\") *= -1", "expected \" Mary\"", "L1.attn.W_V"),
        ("ablate L0H0\nablate L0H2", "expected \" Mary\"", "ablate L0H"),
        ("set logits *= -1", "nonsense", "set logits"),
        ("set param(\"W_U\") *= -1", "nonsense", "W_U"),
    ];
    for (edit, symptom, cause) in edits {
        // The same place as an edit and as a finding write it.
        let (short, long) = (cause.replace("blocks.", "L"), cause.replace("L1.", "blocks.1.").replace("set ", ""));
        all.push(seeded(edit, edited(edit), &format!("investigate {symptom}"), &[cause, &short, &long]));
    }
    let (first, second) = (WeightId::block(1, W_in), WeightId::block(2, W_out));
    let files: [(&str, &str, &dyn Fn(&mut Model), &[&str]); 10] = [
        (
            "an element that is NaN",
            "nan",
            &|m| weight(m, first, |i, x| if i == 70 { f32::NAN } else { x }),
            &["blocks.1.mlp.W_in"],
        ),
        (
            "an infinite element",
            "nan",
            &|m| weight(m, second, |i, x| if i == 3 { f32::INFINITY } else { x }),
            &["blocks.2.mlp.W_out"],
        ),
        (
            "NaN in two weights",
            "nan",
            &|m| {
                weight(m, first, |i, x| if i == 70 { f32::NAN } else { x });
                weight(m, second, |i, x| if i == 3 { f32::NAN } else { x });
            },
            &["blocks.1.mlp.W_in", "blocks.2.mlp.W_out"],
        ),
        (
            "a matrix that is zero",
            "expected \" Mary\"",
            &|m| weight(m, WeightId::block(0, W_O), |_, _| 0.0),
            &["blocks.0.attn.W_O"],
        ),
        ("a matrix that is negated", "nonsense", &|m| weight(m, first, |_, x| -x), &["blocks.1.mlp.W_in"]),
        (
            "a matrix thirty times as large",
            "nonsense",
            &|m| weight(m, second, |_, x| 30.0 * x),
            &["blocks.2.mlp.W_out"],
        ),
        (
            "products beyond the largest number",
            "nan",
            &|m| weight(m, second, |_, x| 1e38 * x),
            &["blocks.2.mlp.W_out", "blocks.2.mlp.out"],
        ),
        ("eps of the norms", "nonsense", &|m| m.spec.norm.eps = 30.0, &["eps"]),
        ("the activation", "nonsense", &|m| m.spec.mlp.act = Act::Sigmoid, &["GeluTanh", "mlp.post"]),
        (
            "no scale of scores",
            "nonsense",
            &|m| m.spec.layers.iter_mut().for_each(|layer| layer.scale = 8.0),
            &["attn.scores"],
        ),
    ];
    for (what, symptom, change, cause) in files {
        all.push(seeded(what, damaged(change), &format!("investigate {symptom}"), cause));
    }
    all
}

/// A text that begins with the token that the tokenizer puts there anyhow, and what the model would say without it.
fn doubled_beginning() -> Option<Seeded> {
    let mut bench = Bench::new("llama", &["<|begin_of_text|>The dog"]);
    bench.script("run\ntokens erase 0");
    let wanted = bench.number("argmax(logits[-1])") as u32;
    bench.run("checkout main");
    let token = bench.console.session.run.model.tokenizer.as_ref().unwrap().token_text(wanted);
    let differs = bench.number("argmax(logits[-1])") as u32 != wanted;
    let line = format!("investigate expected {}", llmdbg::lang::strings::quoted(&token));
    differs.then(|| seeded("a doubled beginning", bench, &line, &["twice"]))
}

fn faults_of_inputs() -> Vec<Seeded> {
    let of = |text: &str| {
        let mut bench = Bench::new("tiny-gpt2", &[text]);
        bench.run("run");
        bench
    };
    vec![
        seeded(
            "a space at the end",
            of(&format!("{GIVES} ")),
            "investigate expected \" Mary\"",
            &["ends with a space", "white space"],
        ),
        seeded("a line end at the end", of(&format!("{GIVES}\n")), "investigate expected \" Mary\"", &["white space"]),
        seeded("a tab at the end", of(&format!("{GIVES}\t")), "investigate expected \" Mary\"", &["white space"]),
        seeded("a token without its space", of(GIVES), "investigate expected \"Mary\"", &["another space in front"]),
        seeded(
            "a token in another case",
            of(&format!("{GIVES} Mary.")),
            "investigate expected \" the\"",
            &["another case"],
        ),
    ]
}

#[test]
fn causes_of_seeded_faults_are_named_first_and_confirmed() {
    let mut all = faults_of_weights();
    all.extend(faults_of_inputs());
    all.extend(doubled_beginning());
    let (right, wrong, missed) = scored(all);
    println!("{right} right, {} missed, {} wrong\n{}", missed.len(), wrong.len(), missed.join("\n"));
    assert!(wrong.is_empty(), "confirmed and wrong:\n{}", wrong.join("\n"));
    let count = right + missed.len();
    assert!(right * 100 >= count * 80, "{right} of {count}:\n{}", missed.join("\n"));
}

/// How many causes are named first, what was confirmed and is none, and what was not named first.
fn scored(all: Vec<Seeded>) -> (usize, Vec<String>, Vec<String>) {
    let (mut right, mut wrong, mut missed) = (0, Vec::new(), Vec::new());
    for Seeded { what, mut bench, line, cause } in all {
        let table = bench.table(&line);
        let is_it = |found: &String| cause.iter().any(|part| found.contains(part.as_str()));
        let confirmed = confirmed(&table);
        wrong.extend(confirmed.iter().filter(|found| !is_it(found)).map(|found| format!("{what}: {line}: {found}")));
        match confirmed.first().is_some_and(is_it) {
            true => right += 1,
            false => missed.push(format!("{what}: {line}: {}\n{:?}", table.title, table.rows)),
        }
    }
    (right, wrong, missed)
}

/// Faults of the kinds that `bisect` is tested with, against a dump of the sound model: nothing but values is known of it.
#[test]
fn what_makes_two_sides_differ_is_named_and_confirmed_by_putting_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let cpu = Device::cpu();
    let (mut right, mut wrong, mut missed) = (0, Vec::new(), Vec::new());
    for fault in FAULTS {
        let Some(name) = fault.families.first() else { continue };
        let file = folder.path().join("sound.safetensors");
        let mut sound = ran(name, model(name, &cpu));
        sound.run(&format!("save activations {}", file.display()));
        let mut faulty = model(name, &cpu);
        (fault.make)(&mut faulty, 0);
        let mut bench = ran(name, faulty);
        let table = bench.table(&format!("investigate differs from {}", file.display()));
        let sites: Vec<String> = fault.site.replace('*', "0").split('|').map(String::from).collect();
        let is_it = |found: &String| sites.iter().any(|site| found.contains(site.as_str()));
        let confirmed = confirmed(&table);
        wrong.extend(confirmed.iter().filter(|found| !is_it(found)).map(|found| format!("{}: {found}", fault.what)));
        match confirmed.first().is_some_and(is_it) {
            true => right += 1,
            false => missed.push(format!("{} of {name}: {}\n{:?}", fault.what, table.title, table.rows)),
        }
    }
    println!("{right} right, {} missed, {} wrong\n{}", missed.len(), wrong.len(), missed.join("\n"));
    assert!(wrong.is_empty(), "confirmed and wrong:\n{}", wrong.join("\n"));
    let count = right + missed.len();
    assert!(right * 100 >= count * 80, "{right} of {count}:\n{}", missed.join("\n"));
}

/// The weights of another model in the session are put back, one by one.
#[test]
fn a_base_model_in_the_session_decides_about_weights() {
    for (name, role) in [("gpt2", "blocks.1.mlp.W_out"), ("llama", "blocks.0.attn.W_V")] {
        let mut bench = Bench::new(name, &[NURSE]);
        bench.run("run");
        let top = bench.number("argmax(logits[-1])") as u32;
        let base = crate::parity::fixture(name);
        let id = WeightId::parse(role).unwrap();
        let mut faulty = model(name, &Device::cpu());
        weight(&mut faulty, id, |_, x| -4.0 * x);
        let input = Input::from_texts(&faulty, &[NURSE], true).unwrap();
        let mut bench = Bench::of(name, faulty, input, 1 << 30);
        bench.script(&format!("run\nload {} as sound", base.display()));
        let token = bench.console.session.run.model.tokenizer.as_ref().unwrap().token_text(top);
        assert_ne!(bench.number("argmax(logits[-1])") as u32, top, "{name}: the fault changes the prediction");
        let table = bench.table(&format!("investigate expected {token:?}"));
        let first = confirmed(&table).first().cloned().unwrap_or_else(|| panic!("{} {:?}", table.title, table.rows));
        assert!(first.contains(role) && first.contains("sound"), "{first}");
        assert!(confirmed(&table).iter().all(|found| found.contains(role)), "{:?}", confirmed(&table));
        assert!(bench.text("info models").contains("sound"), "the base is given back");
    }
}

/// With the adapter off, what the base model says comes first again.
#[test]
fn an_adapter_is_the_cause_of_what_it_changes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lora");
    let mut tried = 0;
    for name in ["gpt2", "llama", "bloom"] {
        let mut bench = Bench::new(name, &[NURSE]);
        bench.run("run");
        let top = bench.number("argmax(logits[-1])") as u32;
        bench.run(&format!("lora load {}", folder.join(name).display()));
        if bench.number("argmax(logits[-1])") as u32 == top {
            continue;
        }
        tried += 1;
        let token = bench.console.session.run.model.tokenizer.as_ref().unwrap().token_text(top);
        let table = bench.table(&format!("investigate expected {token:?}"));
        assert!(
            confirmed(&table).first().is_some_and(|found| found.contains("the adapter")),
            "{name}: {} {:?}",
            table.title,
            table.rows
        );
        assert_eq!(bench.console.session.run.branch().name, "lora");
    }
    assert!(tried >= 1);
}

#[test]
fn groups_repetitions_and_slow_passes_are_investigated() {
    let prompts = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prompts").join(name);
    let mut bench = Bench::new("tiny-gpt2", &[GIVES]);
    let line = format!(
        "investigate group gap logit(\" she\") - logit(\" he\") by who in {}",
        prompts("occupations.txt").display()
    );
    let table = bench.table(&line);
    assert!(confirmed(&table)[0].contains("who nurse - plumber"), "{} {:?}", table.title, table.rows);
    assert!(in_state(&table, "evidence").iter().any(|found| found.contains("L0H1")), "{:?}", table.rows);
    // The verb makes no difference.
    let table =
        bench.table(&line.replace("by who", "by verb").replace("logit(\" she\") - logit(\" he\")", "logit(\" the\")"));
    assert!(!confirmed(&table).iter().any(|found| found.contains("who")), "{:?}", table.rows);

    // A condition at every op.
    let mut bench = Bench::new("tiny-gpt2", &[GIVES]);
    bench.script("run\nbreak L*.** if quantile($, q=0.5) + quantile($, q=0.9) + quantile($, q=0.1) > 1e9");
    let table = bench.table("investigate slow");
    assert!(
        confirmed(&table).first().is_some_and(|found| found.contains("breakpoint 1")),
        "{} {:?}",
        table.title,
        table.rows
    );
    assert_eq!(bench.console.session.stops.len(), 1);

    let mut bench = Bench::new("tiny-gpt2", &[GIVES]);
    bench.script("run\nset param(\"W_U\") = 0\nset generation stop off");
    let table = bench.table("investigate repeats");
    assert!(confirmed(&table).first().is_some_and(|found| found.contains("W_U")), "{} {:?}", table.title, table.rows);
}

/// Of a sound model nothing is confirmed: neither if another token is expected than it predicts, nor if it is said to be nonsense.
#[test]
fn nothing_is_confirmed_of_healthy_models() {
    let cases = [
        ("tiny-gpt2", GIVES, " John"),
        ("tiny-gpt2", "The nurse said that", " the"),
        ("tiny-bert", "I loved this film", "NEGATIVE"),
        ("gpt2", NURSE, " the"),
        ("llama", NURSE, "a"),
        ("bert-mlm", "the dog [MASK]", "the"),
        ("gemma2", NURSE, "a"),
        ("qwen3_moe", NURSE, "a"),
        ("mamba", NURSE, "a"),
        ("bert-seqcls", NURSE, "LABEL_0"),
    ];
    for (name, text, token) in cases {
        let mut bench = Bench::new(name, &[text]);
        bench.run("run");
        for line in [
            format!("investigate expected {token:?}"),
            "investigate nan".into(),
            "investigate nonsense".into(),
            "investigate repeats".into(),
        ] {
            if let llmdbg::answer::Answer::Table(table) = bench.outcome(&line).answer {
                assert!(confirmed(&table).is_empty(), "{name}: {line}: {:?}", table.rows);
            }
        }
        bench.run("branch same");
        let table = bench.table("investigate differs from same");
        assert!(confirmed(&table).is_empty(), "{name}: {:?}", table.rows);
        assert!(table.title.contains("Nothing to investigate"), "{}", table.title);
    }
}

/// Values, edits, branches, stop points, other models, variables and settings.
fn state(bench: &mut Bench) -> (Vec<String>, Vec<Vec<u64>>, usize) {
    let said = [
        "info branches",
        "info edits",
        "info breakpoints",
        "info models",
        "show generation",
        "show record-budget",
        "when",
    ];
    let mut lines: Vec<String> = said.map(|line| bench.text(line)).to_vec();
    lines.push(format!("{:?}", bench.console.session.variables.keys().collect::<Vec<_>>()));
    (lines, bench.everything(), bench.console.session.history.len())
}

#[test]
fn the_session_is_as_it_was() {
    let mut bench = edited(
        "load tiny-gpt2 as other\nset $x = 3\nbreak L1.mlp.post if max($) > 1e9\nset param(\"L1.mlp.W_in\")[3] = nan",
    );
    let before = state(&mut bench);
    for line in ["nan", "expected \" Mary\"", "nonsense", "repeats", "slow", "differs from other", "differs from main"]
    {
        bench.run(&format!("investigate {line}"));
        assert_eq!(state(&mut bench), before, "{line}");
    }
    // In the middle of a pass, and before any.
    for setup in ["start\nuntil L2.attn.z", ""] {
        let mut bench = Bench::new("tiny-gpt2", &[GIVES]);
        bench.script(setup);
        let place = bench.console.session.run.mark();
        let live = bench.console.session.run.live;
        bench.run("investigate expected \" John\"");
        assert_eq!((bench.console.session.run.mark(), bench.console.session.run.live), (place, live));
    }
}

/// The script holds what was measured as assertions, and ends with status 0.
#[test]
fn a_script_repeats_what_was_found_and_a_page_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let faults = [
        ("set param(\"L1.mlp.W_in\")[3] = nan", "nan"),
        ("set param(\"L1.attn.W_V\") *= -1", "expected \" Mary\""),
        ("set param(\"L1.attn.W_V\") *= -1", "differs from main"),
        ("set logits *= -1", "nonsense"),
    ];
    for (fault, symptom) in faults {
        let mut bench = edited(fault);
        let table = bench.table(&format!("investigate {symptom}"));
        assert!(!confirmed(&table).is_empty(), "{symptom}: {:?}", table.rows);
        bench.run(&format!("save investigation {}", at("again.ldb")));
        bench.run(&format!("save investigation {}", at("page.html")));
        let script = std::fs::read_to_string(at("again.ldb")).unwrap();
        assert!(script.contains("assert "), "{script}");
        let source = format!("source {}", at("again.ldb"));
        let arguments =
            [&["-batch", "-nx", "--device", "cpu", "-p", GIVES][..], &ex(&["run", fault, &source])].concat();
        let again = llmdbg_in(folder.path(), &arguments, std::process::Stdio::null());
        assert_eq!(again.status, 0, "{symptom}: {}\n{script}", again.err);
        let page = std::fs::read_to_string(at("page.html")).unwrap();
        assert!(page.contains("Confirmed: ") && page.contains("<table>") && !page.contains("http"), "{page}");
    }
    assert!(
        Bench::new("gpt2", &[NURSE])
            .fail(&format!("save investigation {}", at("x.ldb")))
            .contains("nothing was investigated yet")
    );
}

#[test]
fn symptoms_are_recognised_in_words_and_mistakes_are_told() {
    let mut b = edited("set param(\"L1.attn.W_V\") *= -1");
    let named = b.table("investigate expected \" Mary\"");
    let described = b.table("investigate why does it not predict \" Mary\" as it should");
    assert_eq!(confirmed(&named), confirmed(&described));
    assert!(b.table("investigate where does it get infinities from").title.starts_with("Nothing to investigate"));
    assert!(b.fail("investigate").contains("expected a symptom"));
    assert!(b.fail("investigate qqq").contains("no symptom is described"));
    assert!(b.fail("investigate expected").contains("expected the token"));
    assert!(b.fail("investigate expected \" Xyzzyx\"").contains("Xyzzyx"));
    assert!(b.fail("investigate differs from nowhere").contains("nowhere is not a branch"));
    assert!(b.fail("investigate differs from edit1").contains("does not differ from itself"));
    assert!(b.fail("investigate group gap loss").contains("EXPR by FIELD in FILE"));
    assert!(b.fail("investigate group gap loss by who in none.txt").contains("none.txt"));
}

const PLAN: &str = r#"
[symptom.low]
about = "a low loss"
measure = "loss"
what = "the loss"
cured = "$after > $before"

[[step]]
name = "a head"
symptoms = ["low"]
run = "heads L0 -all"
when = 'Head == "L0H0"'
suspect = "{Head} writes {output}"
[[step.experiment]]
changes = "without it"
run = ["ablate {Head}"]
"#;

#[test]
fn a_plan_of_the_users_is_followed_and_a_malformed_one_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.toml");
    let line = format!("investigate -plan {} low", file.display());
    let mut b = edited("");
    std::fs::write(&file, PLAN).unwrap();
    let table = b.table(&line);
    assert!(confirmed(&table)[0].starts_with("L0H0 writes "), "{:?}", table.rows);
    let broken = [
        ("run = \"heads L0 -all\"", "run = \"heads L0 -all", 11, ""),
        ("run = \"heads L0 -all\"", "run = \"frobnicate\"", 11, "there is no command \"frobnicate\""),
        ("run = \"heads L0 -all\"", "run = \"shell ls\"", 11, "a plan cannot run shell"),
        ("when = 'Head == \"L0H0\"'", "when = 'Head ~ 3'", 12, "expected ==, !="),
        ("when = 'Head == \"L0H0\"'", "when = 'Head matches \"(\"'", 12, "unclosed group"),
        ("symptoms = [\"low\"]", "symptoms = [\"high\"]", 10, "there is no symptom \"high\"; there are low"),
        ("suspect = \"{Head} writes {output}\"", "suspect = \"{Head\"", 8, "no closing brace"),
        ("run = [\"ablate {Head}\"]", "run = [\"ablate {Head|upper}\"]", 16, "there is no filter \"upper\""),
        ("run = [\"ablate {Head}\"]", "", 14, "an experiment has commands to run"),
        ("what = \"the loss\"", "what = \"the loss\"\ncolour = \"red\"", 6, "unknown field"),
        ("measure = \"loss\"", "", 2, "needs one of measure"),
    ];
    for (from, to, at, words) in broken {
        assert!(PLAN.contains(from));
        std::fs::write(&file, PLAN.replace(from, to)).unwrap();
        let told = b.fail(&line);
        assert!(told.contains(&format!("plan.toml:{at}: ")) && told.contains(words), "{to}: {told}");
    }
    std::fs::remove_file(&file).unwrap();
    assert!(b.fail(&line).contains("cannot read"));
}

/// The table at 80 columns: the verdict first, then step, finding and state, then what to type next.
#[test]
fn the_answer_reads_as_an_argument() {
    let table = edited("set param(\"L1.attn.W_V\") *= -1").table("investigate nonsense");
    let lines = llmdbg::answer::text::lines(&table.clone().into(), Some(80));
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    let at = |start: &str| {
        lines.iter().position(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {lines:#?}"))
    };
    assert!(at("Confirmed: ") == 0 && at("Step") < at("next: "), "{lines:#?}");
    assert_eq!(&table.columns[..3], ["Step", "Found", "State"]);
    let last = table.rows.last().unwrap();
    assert!(cell_text(&last[0]) == "next" && cell_text(&last[1]).starts_with("save investigation"));
    // Every verdict has its experiment.
    for row in table.rows.iter().filter(|row| ["confirmed", "refuted"].contains(&cell_text(&row[2]))) {
        assert!(row[5] != Cell::Text(String::new()), "{row:?}");
    }
}
