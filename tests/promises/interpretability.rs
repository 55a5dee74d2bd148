//! Lenses, direct logit attribution and scores of heads are what their formulas give on values of transformers
//! (tools/fixtures/interpretability/formulas.py, in float64).

use std::collections::BTreeMap;

use llmdbg::analysis::repeated_tokens::on_repeated_tokens;
use llmdbg::answer::{Answer, Cell, Table};
use llmdbg::model::Input;
use llmdbg::tensor::Device;
use serde::Deserialize;

use crate::common::Bench;

/// Values are f32 from another library, through a norm and a product over the model's width: the same floor as for a
/// forward pass, relative to values of order 1.
const CLOSE: f64 = 2e-4;

#[derive(Deserialize)]
struct Decoder {
    text: String,
    target: usize,
    foil: usize,
    lens: Vec<Vec<f64>>,
    value: f64,
    direct: BTreeMap<String, f64>,
    heads: BTreeMap<String, f64>,
    scores: BTreeMap<String, Vec<BTreeMap<String, f64>>>,
}

#[derive(Deserialize)]
struct Encoder {
    text: String,
    pos: usize,
    lens: Vec<Vec<f64>>,
}

const DECODERS: [&str; 4] = ["gpt2", "llama", "gemma2", "opt"];

fn read<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    let path = format!("{}/tests/fixtures/interpretability/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn column(table: &Table, name: &str) -> Vec<Cell> {
    let at = table.columns.iter().position(|column| column == name).unwrap_or_else(|| panic!("no {name}: {table:?}"));
    table.rows.iter().map(|row| row[at].clone()).collect()
}

fn numbers(table: &Table, name: &str) -> Vec<f64> {
    let number = |cell: Cell| match cell {
        Cell::Num(x) => x,
        Cell::Int(n) => n as f64,
        other => panic!("{other:?} is not a number"),
    };
    column(table, name).into_iter().map(number).collect()
}

fn texts(table: &Table, name: &str) -> Vec<String> {
    column(table, name).into_iter().map(|cell| if let Cell::Text(text) = cell { text } else { String::new() }).collect()
}

fn close(found: f64, wanted: f64, what: &str) {
    assert!((found - wanted).abs() <= CLOSE * (1.0 + wanted.abs()), "{what}: {found} instead of {wanted}");
}

/// What a table of the lens should hold for a target.
fn check_lens(table: &Table, lens: &[Vec<f64>], target: usize, foil: Option<usize>, name: &str) {
    assert_eq!(table.rows.len(), lens.len(), "{name}");
    let last = lens.last().unwrap();
    for (row, logprobs) in lens.iter().enumerate() {
        close(numbers(table, "P(target)")[row], logprobs[target].exp(), &format!("{name} P at {row}"));
        // Ranks of tokens closer than rounding may differ: count those that are clearly likelier.
        let clearly = |margin: f64| logprobs.iter().filter(|x| **x > logprobs[target] + margin).count() as f64;
        let rank = numbers(table, "Rank")[row];
        assert!((clearly(1e-4)..=clearly(-1e-4)).contains(&rank), "{name} rank at {row}: {rank}");
        let entropy: f64 = -logprobs.iter().map(|x| x.exp() * x).sum::<f64>();
        close(numbers(table, "Entropy")[row], entropy, &format!("{name} entropy at {row}"));
        let divergence: f64 = last.iter().zip(logprobs).map(|(p, q)| p.exp() * (p - q)).sum();
        close(numbers(table, "KL to final")[row], divergence, &format!("{name} divergence at {row}"));
        if let Some(foil) = foil {
            close(
                numbers(table, "Over foil")[row],
                logprobs[target] - logprobs[foil],
                &format!("{name} foil at {row}"),
            );
        }
    }
}

#[test]
fn the_logit_lens_is_that_of_the_models_own_head() {
    for name in DECODERS {
        let wanted: Decoder = read(name);
        let mut b = Bench::new(name, &[&wanted.text]);
        b.run("run");
        let table = b.table(&format!("lens -target {} -foil {}", wanted.target, wanted.foil));
        check_lens(&table, &wanted.lens, wanted.target, Some(wanted.foil), name);
        // The last row is the model's own prediction, and without a target the likeliest token is followed.
        let own = b.number(&format!("prob[{}]", wanted.target));
        close(*numbers(&table, "P(target)").last().unwrap(), own, name);
        assert_eq!(numbers(&b.table("lens"), "P(target)"), numbers(&table, "P(target)"));
    }
    let wanted: Encoder = read("bert-mlm");
    let mut b = Bench::new("bert-mlm", &[&wanted.text]);
    b.run("run");
    let target = (0..wanted.lens[0].len()).max_by(|a, b| wanted.lens[2][*a].total_cmp(&wanted.lens[2][*b])).unwrap();
    let table = b.table(&format!("lens -pos {} -target {target}", wanted.pos));
    check_lens(&table, &wanted.lens, target, None, "bert-mlm");
}

#[test]
fn a_lens_over_positions_agrees_with_the_lens_at_each() {
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    b.run("run");
    let Answer::Map(map) = b.run("lens -map -target 5") else { panic!("no map") };
    let grid = b.table("lens -grid");
    for pos in 0..map.columns {
        let alone = b.table(&format!("lens -pos {pos} -target 5 -tokens 1"));
        let chances = numbers(&alone, "P(target)");
        for (point, chance) in chances.iter().enumerate() {
            close(map.data[point * map.columns + pos], *chance, "map");
            let likeliest = &texts(&alone, "Likeliest")[point];
            let Cell::Text(named) = &grid.rows[point][1 + pos] else { panic!("no token") };
            assert!(likeliest.contains(named.as_str()), "{likeliest} {named}");
        }
    }
}

#[test]
fn a_lens_stops_where_the_pass_has_come_to() {
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    assert!(b.fail("lens").contains("no pass has been started"));
    b.script("until L1.attn.q");
    let table = b.table("lens -target 3");
    assert_eq!(texts(&table, "At"), ["L0.resid_pre", "L1.resid_pre"]);
    assert!(table.title.contains("has come no further") && table.columns.contains(&"KL to last".to_string()));
    assert!(b.fail("dla").contains("has not come to its logits"));
    let mut b = Bench::new("bert-seqcls", &["fine"]);
    b.run("run");
    assert!(b.fail("lens").contains("needs a model that predicts tokens"));
    assert!(b.fail("dla").contains("predicts no tokens"));
    let mut b = Bench::new("bert-mlm", &["fine"]);
    b.run("run");
    assert!(b.fail("dla").contains("not affine"));
}

#[test]
fn direct_logit_attribution_is_the_formula_and_adds_up() {
    for name in DECODERS {
        let wanted: Decoder = read(name);
        let mut b = Bench::new(name, &[&wanted.text]);
        b.run("run");
        let question = format!("-target {} -foil {}", wanted.target, wanted.foil);
        let table = b.table(&format!("dla {question}"));
        let found: BTreeMap<String, f64> =
            texts(&table, "Component").into_iter().zip(numbers(&table, "Share")).collect();
        for (part, share) in &wanted.direct {
            // A norm behind attention or MLP splits its share into the part and, where it has one, its bias.
            close(found[part], *share, &format!("{name} {part}"));
        }
        close(found.values().sum(), wanted.value, &format!("{name} sum"));
        for (part, share) in found.iter().filter(|(part, _)| !wanted.direct.contains_key(*part)) {
            close(*share, 0.0, &format!("{name} {part}"));
        }
        // By way of each token: what all heads add, and the rest, which add up to the same.
        let sources = b.table(&format!("dla {question} -by position"));
        close(numbers(&sources, "Share").iter().sum(), wanted.value, &format!("{name} by position"));
        let rest = numbers(&sources, "Share").pop().unwrap();
        close(rest, wanted.value - wanted.heads.values().sum::<f64>(), &format!("{name} without heads"));
        let table = b.table(&format!("dla {question} -by head -top 100"));
        let heads: BTreeMap<String, f64> = texts(&table, "Head").into_iter().zip(numbers(&table, "Share")).collect();
        assert_eq!(heads.len(), wanted.heads.len());
        for (head, share) in &wanted.heads {
            close(heads[head], *share, &format!("{name} {head}"));
        }
    }
}

#[test]
fn neurons_and_sources_add_up_to_what_they_are_parts_of() {
    use llmdbg::analysis::direct::{Component, Split, direct};
    for name in ["gpt2", "llama", "falcon", "qwen3"] {
        let mut b = Bench::new(name, &[crate::common::NURSE]);
        if name == "gpt2" {
            // The bias of the second layer is no neuron's.
            b.script("set param(\"L0.mlp.b_out\") = 0\nset param(\"L1.mlp.b_out\") = 0");
        }
        b.run("run");
        let last = b.console.session.focus_pos();
        let found = direct(&mut b.console.session, last, &[(7, 1.0)], Split::Neurons).unwrap();
        let mut compared = 0;
        for part in &found.parts {
            match &part.component {
                Component::Head(..) => close(part.sources.iter().sum(), part.share, name),
                Component::Site(site) if site.ends_with("mlp.out") => {
                    let of_layer = found.neurons.iter().filter(|(layer, ..)| Some(*layer) == part.layer);
                    close(of_layer.map(|one| one.2).sum(), part.share, &format!("{name} {site}"));
                    compared += 1;
                }
                _ => {}
            }
        }
        assert_eq!(compared, 2, "{name}");
    }
}

#[test]
fn a_later_pass_is_explained_like_the_whole_text_at_once() {
    let mut b = Bench::new("llama", &[crate::common::NURSE]);
    b.script("generate 2");
    let position = b.console.session.row_length() - 1;
    let cached = b.table(&format!("dla -by head -target 9 -top 100 -pos {position}"));
    let (names, shares) = (texts(&cached, "Head"), numbers(&cached, "Share"));
    let ids: Vec<String> = {
        let session = &b.console.session;
        session.run.branch().text().rows[0].ids[..=position].iter().map(u32::to_string).collect()
    };
    let tokens: Vec<u32> = ids.iter().map(|id| id.parse().unwrap()).collect();
    let device = Device::cpu();
    let model = crate::common::model("llama", &device);
    let input = Input::from_tokens(&model, vec![tokens]).unwrap();
    let mut whole = Bench::of("llama", model, input, 1 << 30);
    whole.run("run");
    let table = whole.table("dla -by head -target 9 -top 100");
    let at_once: BTreeMap<String, f64> = texts(&table, "Head").into_iter().zip(numbers(&table, "Share")).collect();
    for (name, share) in names.iter().zip(shares) {
        close(share, at_once[name], name);
    }
}

#[test]
fn explain_names_what_the_parts_say() {
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    b.run("run");
    let table = b.table("explain");
    let steps = texts(&table, "");
    assert_eq!(steps[0], "predicts");
    let heads = b.table("dla -by head -top 1");
    let adds: Vec<(String, f64)> = table
        .rows
        .iter()
        .filter(|row| row[0] == Cell::Text("adds".into()))
        .map(|row| match (&row[1], &row[3]) {
            (Cell::Text(at), Cell::Num(share)) => (at.clone(), *share),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(adds.windows(2).all(|pair| pair[0].1.abs() >= pair[1].1.abs()), "{adds:?}");
    let best = (texts(&heads, "Head")[0].clone(), numbers(&heads, "Share")[0]);
    if let Some((_, share)) = adds.iter().find(|(at, _)| *at == best.0) {
        close(*share, best.1, &best.0);
    }
}

#[test]
fn scores_of_heads_are_those_of_detect_head() {
    for name in DECODERS {
        let wanted: Decoder = read(name);
        let mut b = Bench::new(name, &[&wanted.text]);
        b.run("run");
        let table = b.table("heads");
        let heads = texts(&table, "Head");
        for (layer, all) in &wanted.scores {
            for (head, scores) in all.iter().enumerate() {
                let row = heads.iter().position(|known| *known == format!("{layer}H{head}")).unwrap();
                for (score, value) in scores {
                    let found = numbers(&table, score)[row];
                    close(found, *value, &format!("{name} {layer}H{head} {score}"));
                }
            }
        }
        let Answer::Map(map) = b.run("heads -grid first") else { panic!("no map") };
        assert_eq!(map.data, numbers(&table, "first"));
        let sorted = numbers(&b.table("heads -sort entropy"), "entropy");
        assert!(sorted.windows(2).all(|pair| pair[0] >= pair[1]));
        assert_eq!(b.table("heads L1").rows.len(), table.rows.len() / map.rows);
    }
}

#[test]
fn random_tokens_twice_leave_the_session_as_it_was_and_follow_the_seed() {
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    b.run("run");
    let before = b.everything();
    let one = b.table("heads -repeated 8 -seed 3");
    assert_eq!(b.everything(), before);
    assert_eq!(b.table("heads -repeated 8 -seed 3"), one);
    assert_ne!(b.table("heads -repeated 8 -seed 4"), one);
    assert!(b.fail("heads -repeated 5000").contains("5000") || b.fail("heads -repeated 5000").contains("tokens"));
    assert!(b.fail("heads -repeated 0").contains("at least 1"));
}

#[test]
fn an_expression_is_evaluated_in_every_block() {
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    b.script("until L1.attn.q");
    let table = b.table("layers norm(resid_pre[-1])");
    let each: Vec<f64> = (0..2).map(|layer| b.number(&format!("norm(L{layer}.resid_pre[-1])"))).collect();
    assert_eq!(numbers(&table, "Value"), each.iter().map(|x| f64::from(*x as f32)).collect::<Vec<_>>());
    assert_eq!(b.table("layers").rows.len(), 2, "the blocks that the pass has come to");
    b.run("continue");
    let Answer::Map(map) = b.run("layers attn.pattern[head=1, q=-1]") else { panic!("no map") };
    assert_eq!(
        (map.rows, map.data.clone()),
        (2, {
            let mut all = b.numbers("L0.attn.pattern[head=1, q=-1]");
            all.extend(b.numbers("L1.attn.pattern[head=1, q=-1]"));
            all
        })
    );
    assert!(b.fail("layers attn.pattern").contains("a number or a vector"));
    assert!(b.fail("layers nonsense").contains("nonsense"));
}

/// Two texts of one length, the second in a branch that is current.
fn corrupted() -> Bench {
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    b.script("run\nset tokens[2] = 77");
    if !b.console.session.run.at_end() {
        b.run("continue");
    }
    b
}

const METRIC: &str = "logit(5) - logit(9)";

#[test]
fn patching_brings_back_what_setting_the_value_by_hand_does() {
    let mut b = corrupted();
    let here = b.number(METRIC);
    let clean = {
        b.run("checkout main");
        let clean = b.number(METRIC);
        b.run("checkout edit1");
        clean
    };
    let before = (b.everything(), b.text("info branches"));
    let other = b.run(&format!("patch sweep -from main -metric \"{METRIC}\" -over layer,pos"));
    let Answer::Map(same) = other else { panic!("no map") };
    let Answer::Map(map) = b.run(&format!("patch main -metric \"{METRIC}\"")) else { panic!("no map") };
    assert_eq!((b.everything(), b.text("info branches")), before, "the session is as it was");
    assert_eq!((map.rows, map.columns), (2, 8));
    assert_eq!(same.data, map.data);
    // By hand, at some places.
    for (layer, pos) in [(0, 2), (1, 2), (1, 5), (1, 7), (0, 7)] {
        let mut hand = corrupted();
        hand.run(&format!("set L{layer}.resid_pre[pos={pos}] = L{layer}.resid_pre@main[pos={pos}]"));
        let share = (hand.number(METRIC) - here) / (clean - here);
        close(map.data[layer * 8 + pos], share, &format!("L{layer} pos {pos}"));
    }
    // What the logits of the last position read is all there is.
    let Answer::Map(map) = b.run(&format!("patch main -metric \"{METRIC}\" -site resid_post")) else {
        panic!("no map")
    };
    close(map.data[8 + 7], 1.0, "the last stream");
    (0..7).for_each(|pos| close(map.data[8 + pos], 0.0, "other positions"));
    let Answer::Map(map) = b.run(&format!("patch main -metric \"{METRIC}\" -site attn.z")) else { panic!("no map") };
    let mut hand = corrupted();
    hand.run("set L1.attn.z[head=3] = L1.attn.z@main[head=3]");
    close(map.data[4 + 3], (hand.number(METRIC) - here) / (clean - here), "a head");
}

#[test]
fn the_fast_approximation_is_the_gradient_times_the_change() {
    let mut b = corrupted();
    let Answer::Map(map) = b.run(&format!("patch main -metric \"{METRIC}\" -approx -site mlp_out")) else {
        panic!("no map")
    };
    let here = b.number(METRIC);
    b.run("checkout main");
    let clean = b.number(METRIC);
    b.run("checkout edit1");
    b.run(&format!("backward {METRIC}"));
    for (layer, pos) in [(0, 2), (0, 7), (1, 7)] {
        let site = format!("L{layer}.mlp_out");
        let moved = b.number(&format!("sum(grad({site})[pos={pos}] * ({site}@main[pos={pos}] - {site}[pos={pos}]))"));
        close(map.data[layer * 8 + pos], moved / (clean - here), &site);
    }
}

#[test]
fn what_cannot_be_patched_is_refused_with_what_to_do() {
    let mut b = corrupted();
    assert!(b.fail("patch nowhere -metric loss").contains("choose from main, edit1, zero, mean"));
    assert!(b.fail("patch edit1 -metric loss").contains("the current branch"));
    assert!(b.fail("patch main").contains("-metric"));
    assert!(b.fail("patch main -metric loss -site nonsense").contains("nonsense"));
    assert!(b.fail("patch main -metric loss -site attn.z -over layer,k").contains("attn.z has no k"));
    assert!(b.fail("patch main -metric loss -site attn.z -over head,head").contains("head is given twice"));
    assert!(b.fail("patch main -metric loss -site tokens").contains("no numbers"));
    assert!(b.fail("patch mean -metric loss -site attn.pattern").contains("no mean over positions"));
    assert!(b.fail("patch main -metric 3").contains("the number does not depend on"));
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    b.script("run\ntokens insert 2 \"a\"");
    if !b.console.session.run.at_end() {
        b.run("run");
    }
    assert!(b.fail("patch main -metric loss").contains("different lengths"));
}

/// The model on random tokens is the model that is there: with its edits, or refused where these are of positions of the present text.
#[test]
fn random_tokens_are_run_with_the_edits_in_force() {
    let edits = [
        "ablate L0H1",
        "ablate L0.mlp.out mean",
        "set L0.attn.z[head=2] = 0",
        "set L0.mlp.out[:, 3] += 0.5",
        "set param(\"L0.attn.W_V\") *= 2",
    ];
    for edit in edits {
        let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
        b.script("run");
        let plain = b.table("heads -repeated 8 -seed 3");
        b.run(edit);
        let table = b.table("heads -repeated 8 -seed 3");
        assert!(table.title.contains("with the edits in force"), "{}", table.title);
        assert_ne!(table.rows, plain.rows, "{edit}");
        // The same by hand: a session on these tokens, with this edit.
        let found = on_repeated_tokens(&b.console.session, 8, 3).unwrap();
        let device = Device::cpu();
        let model = crate::common::model("gpt2", &device);
        let input = Input::from_tokens(&model, vec![found.ids.clone()]).unwrap();
        let mut alone = Bench::of("gpt2", model, input, 1 << 30);
        alone.script(&format!("run\n{edit}\nrun"));
        for (layer, pattern) in &found.patterns {
            let wanted = alone.numbers(&format!("L{layer}.attn.pattern"));
            let given = pattern.read_f64().unwrap();
            let furthest = given.iter().zip(&wanted).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
            assert!(furthest < 1e-6 && given.len() == wanted.len(), "{edit} L{layer}: {furthest}");
        }
    }
    for edit in ["set L0.attn.z[pos=2] = 0", "set L0.attn.z[2, 1] = 0", "set L0.mlp.out = L0.mlp.out * 2"] {
        let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
        b.script(&format!("run\n{edit}"));
        let told = b.fail("heads -repeated 8");
        assert!(told.contains(&format!("the edit \"{edit}\" changes positions of the current text")), "{told}");
    }
}
