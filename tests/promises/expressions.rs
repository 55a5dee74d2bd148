//! Promise: `print` and its kin compute what the words say, checked against sums done here.

use llmdbg::answer::{Answer, Cell};

use crate::common::{Bench, NURSE};

/// Between two float32 computations of the same sum in another order.
const CLOSE: f64 = 1e-4;

fn finished(model: &str) -> Bench {
    let mut bench = Bench::new(model, &[NURSE]);
    bench.run("run");
    bench
}

fn near(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= CLOSE * (1.0 + b.abs()), "element {i}: {a} against {b}");
    }
}

#[test]
fn slices_take_the_elements_that_their_axes_name() {
    let mut b = finished("gpt2");
    let (shape, all) = b.value("L0.attn.pattern");
    assert_eq!(shape, [4, 8, 8]);
    let entry = |h: usize, q: usize, k: usize| all[(h * 8 + q) * 8 + k];
    assert_eq!(b.number("L0.attn.pattern[3, -1, 2]"), entry(3, 7, 2));
    assert_eq!(b.number("L0.attn.pattern[k=2, head=3, q=-1]"), entry(3, 7, 2));
    assert_eq!(b.numbers("L0.attn.pattern[head=1, q=4]"), (0..8).map(|k| entry(1, 4, k)).collect::<Vec<_>>());
    let (shape, some) = b.value("L0.attn.pattern[1:3, :, -2:]");
    assert_eq!(shape, [2, 8, 2]);
    assert_eq!(some[..4], [entry(1, 0, 6), entry(1, 0, 7), entry(1, 1, 6), entry(1, 1, 7)]);
    assert_eq!(b.value("L0.attn.pattern[..., 0]").0, [4, 8]);
    assert_eq!(b.numbers("L0.attn.pattern[0, ::-1, 0]"), (0..8).rev().map(|q| entry(0, q, 0)).collect::<Vec<_>>());
    // Every row of a pattern is a distribution, and no token attends to a later one.
    near(&b.numbers("sum(L0.attn.pattern, k)"), &[1.0; 32]);
    for q in 0..8 {
        assert!((q + 1..8).all(|k| entry(0, q, k) == 0.0));
    }
    assert_eq!(b.numbers("max(L0.attn.pattern, k)").len(), 32);
    let best = all.iter().copied().fold(f64::MIN, f64::max);
    assert_eq!(b.number("max(L0.attn.pattern)"), best);
    assert_eq!(b.number("sum(L0.attn.scores == -inf)"), 4.0 * 28.0);
}

#[test]
fn a_token_is_an_index_where_it_stands_once() {
    let mut b = finished("gpt2");
    assert_eq!(b.bits("L0.attn.pattern[head=0, q=\" and\"]"), b.bits("L0.attn.pattern[head=0, q=4]"));
    assert_eq!(b.bits("logits[\"g\", \" the\"]"), b.bits("logits[7, 261]"));
    assert_eq!(b.bits("L1.resid_post[pos=\" the\":]"), b.bits("L1.resid_post[5:]"));
    assert_eq!(b.number("tokens[\" do\"]"), 314.0);
    assert_eq!(b.number("tok(\" the\")"), 261.0);
    assert_eq!(b.text("output text(261)"), "\" the\"");
    assert!(b.fail("p logits[\" king\"]").starts_with("no token \" king\" on axis pos\n"));
    let mut twice = Bench::new("gpt2", &["The dog the dog"]);
    twice.run("run");
    let tokens: Vec<f64> = twice.numbers("tokens");
    let places: Vec<String> = (0..tokens.len()).filter(|&i| tokens[i] == 314.0).map(|i| i.to_string()).collect();
    assert_eq!(places.len(), 2);
    let message = format!("token \" do\" is ambiguous: it stands at {}", places.join(", "));
    assert_eq!(twice.fail("p logits[\" do\"]"), format!("{message}\np logits[\" do\"]\n         ^~~~~"));
}

#[test]
fn printed_values_have_numbers_and_names() {
    let mut b = finished("gpt2");
    assert_eq!(b.text("p 6 * 7"), "$1 = 42");
    assert_eq!(b.text("p $ + 1"), "$2 = 43");
    assert_eq!(b.text("p $$ + $1"), "$3 = 84");
    assert_eq!(b.text("p $$2"), "$4 = 42");
    assert_eq!(b.text("output $3"), "84");
    assert_eq!(b.text("p"), "$5 = 42");
    b.script("set $x = 5\nset $x *= 3\nset $kept = L0.attn.q[0]");
    assert_eq!(b.text("p $x"), "$6 = 15");
    assert_eq!(b.text("p $nothing"), "void");
    b.run("set L0.attn.q = 0");
    assert_eq!(b.bits("$kept"), b.bits("L0.attn.q@main[0]"), "a variable keeps the value that it was given");
    assert!(b.numbers("L0.attn.q").iter().all(|x| *x == 0.0));
    assert!(b.fail("p $99").starts_with("history has not yet reached that value: it has 6\n"));
}

#[test]
fn the_lens_of_the_last_residual_stream_is_the_logits() {
    for model in ["gpt2", "llama", "llama-legacy"] {
        let mut b = finished(model);
        near(&b.numbers("lens(L-1.resid_post)"), &b.numbers("logits"));
        let (shape, _) = b.value("lens(L0.resid_post[pos=-1])");
        assert_eq!(shape.len(), 1);
    }
}

#[test]
fn the_heads_of_a_layer_add_up_to_its_output() {
    for (model, bias) in
        [("gpt2", " + param(\"L0.attn.b_O\")"), ("llama", ""), ("bert-seqcls", " + param(\"L0.attn.b_O\")")]
    {
        let mut b = finished(model);
        near(&b.numbers(&format!("sum(L0.attn.result, head){bias}")), &b.numbers("L0.attn.out"));
        assert_eq!(b.bits("result(0, 2)"), b.bits("L0.attn.result[head=2]"));
    }
}

#[test]
fn predictions_agree_with_the_logits() {
    let mut b = finished("gpt2");
    let logits = b.numbers("logits[-1]");
    let total: f64 = logits.iter().map(|x| x.exp()).sum();
    let the = 261;
    assert_eq!(b.number("logit(\" the\")"), logits[the]);
    near(&[b.number("prob(\" the\")")], &[logits[the].exp() / total]);
    near(&[b.number("logprob(\" the\")")], &[(logits[the].exp() / total).ln()]);
    assert_eq!(b.number("rank(\" the\")"), logits.iter().filter(|x| **x > logits[the]).count() as f64);
    near(&b.numbers("prob"), &logits.iter().map(|x| x.exp() / total).collect::<Vec<_>>());
    assert_eq!(b.bits("logit"), b.bits("logits[-1]"));
    // The focus moves what they speak of.
    b.run("focus pos=2");
    assert_eq!(b.bits("logit"), b.bits("logits[2]"));
    let mut classes = finished("bert-seqcls");
    assert_eq!(classes.number("logit(\"neutral\")"), classes.number("logits[label(\"neutral\")]"));
    near(&[classes.number("sum(prob)")], &[1.0]);
}

#[test]
fn the_loss_is_the_mean_surprise_of_the_tokens_that_follow() {
    for model in ["gpt2", "llama"] {
        let mut b = finished(model);
        let (shape, logits) = b.value("logits");
        let tokens = b.numbers("tokens");
        let [length, vocab] = shape[..] else { panic!("{shape:?}") };
        let surprise = |pos: usize| {
            let row = &logits[pos * vocab..(pos + 1) * vocab];
            row.iter().map(|x| x.exp()).sum::<f64>().ln() - row[tokens[pos + 1] as usize]
        };
        let wanted = (0..length - 1).map(surprise).sum::<f64>() / (length - 1) as f64;
        near(&[b.number("loss")], &[wanted]);
    }
}

#[test]
fn a_weight_is_the_same_by_role_and_by_its_name_in_the_file() {
    let mut gpt2 = finished("gpt2");
    assert_eq!(gpt2.bits("param(\"W_E\")"), gpt2.bits("param(\"transformer.wte.weight\")"));
    assert_eq!(gpt2.value("param(\"W_U\")").0, [32, 384]);
    assert_eq!(gpt2.bits("transpose(param(\"W_U\"))"), gpt2.bits("param(\"W_E\")"), "tied");
    assert_eq!(gpt2.bits("param(\"L0.mlp.W_in\")"), gpt2.bits("param(\"transformer.h.0.mlp.c_fc.weight\")"));
    // One fused matrix in the file; a head's query weights are a slice of it.
    assert_eq!(gpt2.value("param(\"L0.attn.W_Q\")").0, [4, 32, 8]);
    let fused = "param(\"transformer.h.0.attn.c_attn.weight\")";
    assert_eq!(gpt2.bits("param(\"L0.attn.W_Q\")[1]"), gpt2.bits(&format!("{fused}[:, 8:16]")));
    assert_eq!(gpt2.bits("param(\"L0.attn.W_V\")[3]"), gpt2.bits(&format!("{fused}[:, 88:96]")));
    let mut llama = finished("llama");
    let file = "transpose(param(\"model.layers.1.mlp.down_proj.weight\"))";
    assert_eq!(llama.bits("param(\"L-1.mlp.W_out\")"), llama.bits(file));
    assert_eq!(llama.value("param(\"L0.attn.W_K\")").0, [2, 32, 8]);
}

#[test]
fn all_of_a_site_is_every_row_and_the_site_alone_the_focused_one() {
    let mut b = Bench::new("gpt2", &[NURSE, "the king said"]);
    b.run("run");
    let (shape, all) = b.value("all(L0.attn.q)");
    assert_eq!(shape, [2, 8, 4, 8]);
    assert_eq!(b.numbers("L0.attn.q"), all[..256]);
    b.run("focus row=1");
    assert_eq!(b.numbers("L0.attn.q"), all[256..]);
    let tokens = b.table("print/t topk(logit, 3)");
    assert_eq!(tokens.rows.len(), 3);
    let mut alone = Bench::new("gpt2", &["the king said"]);
    alone.run("run");
    near(&b.numbers("logit"), &alone.numbers("logit"));
}

#[test]
fn a_dump_goes_on_when_it_is_repeated() {
    let mut b = finished("gpt2");
    let data = b.numbers("L0.resid_pre");
    let mut shown = Vec::new();
    let mut take = |answer: Answer| match answer {
        Answer::Text(text) => shown.extend(text.lines().flat_map(|line| {
            let (_, elements) = line.split_once(":  ").expect("an address");
            elements.split_whitespace().map(|x| x.parse::<f32>().expect("a number")).collect::<Vec<_>>()
        })),
        answer => panic!("{answer:?}"),
    };
    take(b.run("x/10 L0.resid_pre"));
    take(b.console.execute("x/10 L0.resid_pre", true).answer);
    take(b.console.execute("x/10 L0.resid_pre", true).answer);
    assert_eq!(shown, data[..30].iter().map(|x| *x as f32).collect::<Vec<_>>(), "raw elements keep every digit");
    assert_eq!(b.text("x/2 tokens[1:]"), "[0]:  269  319");
    b.run("x/6 tokens");
    b.run("x");
    assert_eq!(b.fail("x"), "tokens ends here: it has 8 elements");
}

#[test]
fn displays_are_shown_at_every_stop_until_they_are_taken_away() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.script("start\ndisplay max($cursor)\ndisplay/t $cursor");
    let stop = b.stop("until L0.attn.pattern");
    assert_eq!(stop.displays.len(), 2);
    let Answer::Value(view) = &*stop.displays[0].2 else { panic!("{:?}", stop.displays) };
    assert_eq!(view.data.as_deref(), Some(&[1.0][..]));
    assert!(matches!(&*stop.displays[1].2, Answer::Table(table) if table.rows.len() == 10));
    b.run("undisplay 1");
    let stop = b.stop("step");
    assert_eq!(stop.displays.iter().map(|display| display.0).collect::<Vec<_>>(), [2]);
    assert_eq!(b.fail("undisplay 1"), "no display 1\nundisplay 1\n          ^");
    b.run("undisplay");
    assert!(b.stop("step").displays.is_empty());
}

#[test]
fn printf_and_whatis_say_what_a_value_is() {
    let mut b = finished("gpt2");
    assert_eq!(b.text("printf \"%d of %s: %.3f%%\\n\", tokens[0], text(275), 100 / 3"), "275 of The: 33.333%");
    assert_eq!(b.text("whatis logits"), "f32 [pos=8, vocab=384] on cpu, 12288 bytes");
    assert_eq!(b.text("whatis L0.attn.pattern > 0.5"), "bool [head=4, q=8, k=8] on cpu, 256 bytes");
    assert_eq!(b.text("whatis \"a\""), "the string \"a\"");
    assert_eq!(b.text("whatis 3"), "the number 3");
    let top = b.table("p/t logits[-1]");
    assert_eq!(top.columns, ["rank", "token", "value"]);
    let best = b.number("max(logits[-1])");
    assert_eq!(top.rows[0][2], Cell::Num(best));
}
