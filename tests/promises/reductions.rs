//! Promise: what the language makes of many numbers is what 64 bits make of them, on every device: to one part in a million, over
//! ten million elements and over a vocabulary of 256,000.

use llmdbg::lang::eval::{Datum, FUNCTIONS};
use llmdbg::tensor::{Device, Value};

use crate::common::{Bench, NURSE, vulkan};

/// What is promised, relative to the number itself: about eight times the rounding of one number in 32 bits. Sums of 32 bits in a
/// row miss it by a hundred times.
const EXACT: f64 = 1e-6;

const ROWS: usize = 2500;
const COLUMNS: usize = 4000;
const VOCABULARY: usize = 256_000;

/// Numbers without a pattern in `low..high`.
fn numbers(count: usize, mut state: u32, low: f32, high: f32) -> Vec<f32> {
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        low + (state >> 8) as f32 / (1 << 24) as f32 * (high - low)
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn wide(data: &[f32]) -> Vec<f64> {
    data.iter().map(|x| f64::from(*x)).collect()
}

fn logprobs(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::MIN, f64::max);
    let whole = most + logits.iter().map(|x| (x - most).exp()).sum::<f64>().ln();
    logits.iter().map(|x| x - whole).collect()
}

fn probabilities(logits: &[f64]) -> Vec<f64> {
    logprobs(logits).into_iter().map(f64::exp).collect()
}

/// What the variables of the test hold: `$x` and `$y` are matrices, `$l`, `$p` and `$q` lines over a vocabulary.
struct Data {
    x: Vec<f64>,
    y: Vec<f64>,
    l: Vec<f64>,
    p: Vec<f64>,
    q: Vec<f64>,
}

fn data() -> [(&'static str, Vec<f32>); 5] {
    // The means are not zero: what cancels in a sum is no measure of it.
    let (x, y) = (numbers(ROWS * COLUMNS, 1, -2.0, 3.0), numbers(ROWS * COLUMNS, 2, -1.0, 2.5));
    let (l, other) = (numbers(VOCABULARY, 3, -12.0, 12.0), numbers(VOCABULARY, 4, -2.0, 2.0));
    let shares = |l: &[f32]| probabilities(&wide(l)).into_iter().map(|x| x as f32).collect::<Vec<f32>>();
    let (mut p, q) = (shares(&l), shares(&other));
    (p[7], p[VOCABULARY - 1]) = (0.0, 0.0);
    [("x", x), ("y", y), ("l", l), ("p", p), ("q", q)]
}

fn bench(device: &Device, data: &[(&'static str, Vec<f32>)]) -> Bench {
    let mut bench = Bench::on("gpt2", &[NURSE], device, 1 << 30);
    bench.run("run");
    for (name, data) in data {
        let shape: &[usize] = if data.len() == VOCABULARY { &[VOCABULARY] } else { &[ROWS, COLUMNS] };
        let value = Value::from_f32(data.clone(), shape, device);
        bench.console.session.variables.insert((*name).into(), Datum::Tensor(value));
    }
    bench
}

type Case = (&'static str, Vec<f64>);

/// A function of all elements, of each row and of each column of one matrix.
fn over(texts: [&'static str; 3], x: &[f64], of: impl Fn(&[f64]) -> f64) -> Vec<Case> {
    over_two(texts, x, x, |x, _| of(x))
}

fn over_two(texts: [&'static str; 3], x: &[f64], y: &[f64], of: impl Fn(&[f64], &[f64]) -> f64) -> Vec<Case> {
    let column = |x: &[f64], i: usize| x[i..].iter().step_by(COLUMNS).copied().collect::<Vec<f64>>();
    let rows = x.chunks(COLUMNS).zip(y.chunks(COLUMNS)).map(|(x, y)| of(x, y)).collect();
    let columns = (0..COLUMNS).map(|i| of(&column(x, i), &column(y, i))).collect();
    let [all, by_rows, by_columns] = texts;
    vec![(all, vec![of(x, y)]), (by_rows, rows), (by_columns, columns)]
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn variance(x: &[f64]) -> f64 {
    let mean = mean(x);
    x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / x.len() as f64
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt()
}

fn least(x: &[f64]) -> f64 {
    x.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(x: &[f64]) -> f64 {
    x.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn place(x: &[f64], of: f64) -> f64 {
    x.iter().position(|x| *x == of).unwrap() as f64
}

fn sorted(x: &[f64]) -> Vec<f64> {
    let mut x = x.to_vec();
    x.sort_by(f64::total_cmp);
    x
}

/// `-sum p log(p / q)`, elements of 0 left out.
fn divergence(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p.ln() - q.ln())).sum()
}

/// What a function must give; none for one that reduces nothing.
fn cases(function: &str, d: &Data) -> Option<Vec<Case>> {
    let half = |x: &[f64]| {
        let x = sorted(x);
        let place = (x.len() - 1) as f64 / 2.0;
        (x[place.floor() as usize] + x[place.ceil() as usize]) / 2.0
    };
    Some(match function {
        "sum" => over(["sum($x)", "sum($x, 1)", "sum($x, 0)"], &d.x, |x| x.iter().sum()),
        "mean" => over(["mean($x)", "mean($x, 1)", "mean($x, 0)"], &d.x, mean),
        "mean_over" => vec![("mean_over($x, 0, 1)", vec![mean(&d.x)])],
        "var" => over(["var($x)", "var($x, 1)", "var($x, 0)"], &d.x, variance),
        "std" => over(["std($x)", "std($x, 1)", "std($x, 0)"], &d.x, |x| variance(x).sqrt()),
        "norm" => over(["norm($x)", "norm($x, 1)", "norm($x, 0)"], &d.x, |x| dot(x, x).sqrt()),
        "min" => over(["min($x)", "min($x, 1)", "min($x, 0)"], &d.x, least),
        "max" => over(["max($x)", "max($x, 1)", "max($x, 0)"], &d.x, most),
        "absmax" => over(["absmax($x)", "absmax($x, 1)", "absmax($x, 0)"], &d.x, |x| most(x).max(-least(x))),
        "argmax" => vec![("argmax($l)", vec![place(&d.l, most(&d.l))])],
        "argmin" => vec![("argmin($l)", vec![place(&d.l, least(&d.l))])],
        "any" => vec![("any($x > 2.9999)", vec![1.0]), ("any($x > 3)", vec![0.0])],
        "all" => vec![("all($x > -2.0001)", vec![1.0]), ("all($x > -1.9999)", vec![0.0])],
        "count" => over(["count($x > 1)", "count($x > 1, 1)", "count($x > 1, 0)"], &d.x, |x| {
            x.iter().filter(|x| **x > 1.0).count() as f64
        }),
        "dot" => over_two(["dot($x, $y)", "dot($x, $y, 1)", "dot($x, $y, 0)"], &d.x, &d.y, dot),
        "dist" => over_two(["dist($x, $y)", "dist($x, $y, 1)", "dist($x, $y, 0)"], &d.x, &d.y, distance),
        "cos" => over_two(["cos($x, $y)", "cos($x, $y, 1)", "cos($x, $y, 0)"], &d.x, &d.y, |x, y| {
            dot(x, y) / (dot(x, x) * dot(y, y)).sqrt()
        }),
        "softmax" => vec![
            ("softmax($l)", probabilities(&d.l)),
            ("sum(softmax($l))", vec![1.0]),
            ("sum(softmax($x[0:50], 0))", vec![COLUMNS as f64]),
        ],
        "log_softmax" => vec![("log_softmax($l)", logprobs(&d.l)), ("sum(exp(log_softmax($x[0:50], 1)))", vec![50.0])],
        "entropy" => vec![("entropy($p)", vec![-divergence(&d.p, &vec![1.0; VOCABULARY])])],
        "kl" => vec![
            ("kl($p, $q)", vec![divergence(&d.p, &d.q)]),
            ("kl($q, softmax($l))", {
                let p: Vec<f64> = probabilities(&d.l).into_iter().map(|p| f64::from(p as f32)).collect();
                vec![divergence(&d.q, &p)]
            }),
        ],
        "cumsum" => {
            // Of what is positive, so that no sum is near zero.
            let running = d.q.iter().scan(0.0, |sum, x| {
                *sum += x;
                Some(*sum)
            });
            vec![("cumsum($q)", running.collect())]
        }
        "topk" => vec![("topk($l, 100)", sorted(&d.l).into_iter().rev().take(100).collect())],
        "sort" => vec![("sort($l)", sorted(&d.l))],
        "quantile" => vec![("quantile($l, 0.5)", vec![half(&d.l)])],
        "prob" | "logprob" | "rank" | "loss" => Vec::new(), // of the logits of each device: below
        // Of each element alone, of order and shape, of the model's own numbers.
        "abs" | "sqrt" | "exp" | "log" | "tanh" | "relu" | "sign" | "round" | "nan" | "inf" | "finite" | "where" => {
            return None;
        }
        "shape" | "transpose" | "reshape" | "concat" | "tok" | "text" | "label" | "logit" | "param" => return None,
        "lens" | "result" | "kv" | "grad" => return None,
        other => panic!("say here what {other} must give over many elements, or that it reduces nothing"),
    })
}

/// What functions of a prediction must give, of the logits that the device computes.
fn of_logits(bench: &mut Bench) -> Vec<Case> {
    let (logits, tokens) = (bench.numbers("logits"), bench.numbers("tokens"));
    let lines: Vec<Vec<f64>> = logits.chunks(logits.len() / tokens.len()).map(logprobs).collect();
    let next = lines.iter().zip(&tokens[1..]).map(|(line, next)| line[*next as usize]);
    let loss = -mean(&next.collect::<Vec<f64>>());
    let last = &lines[tokens.len() - 1];
    let before = last.iter().filter(|x| **x > last[5]).count();
    vec![
        ("loss", vec![loss]),
        ("logprob", last.clone()),
        ("logprob(5)", vec![last[5]]),
        ("prob", last.iter().map(|x| x.exp()).collect()),
        ("prob(5)", vec![last[5].exp()]),
        ("rank(5)", vec![before as f64]),
    ]
}

fn check(bench: &mut Bench, text: &str, wanted: &[f64]) {
    let found = bench.numbers(text);
    assert_eq!(found.len(), wanted.len(), "{text}");
    let off = |(found, wanted): (&f64, &f64)| (found - wanted).abs() / wanted.abs().max(f64::MIN_POSITIVE);
    let worst = found.iter().zip(wanted).map(off).fold(0.0, |most: f64, x| if x <= most { most } else { x });
    let device = bench.console.session.run.device();
    assert!(worst <= EXACT, "{text} on {device:?}: off by {worst:e}, such as {} for {}", found[0], wanted[0]);
}

#[test]
fn f3_every_function_that_reduces_is_exact_on_every_device() {
    let data = data();
    let mut benches = [bench(&Device::cpu(), &data), bench(&vulkan(), &data)];
    let [x, y, l, p, q] = data.map(|(_, data)| wide(&data));
    let data = Data { x, y, l, p, q };
    for function in FUNCTIONS {
        for (text, wanted) in cases(function.name, &data).into_iter().flatten() {
            benches.iter_mut().for_each(|bench| check(bench, text, &wanted));
        }
    }
    for bench in &mut benches {
        for (text, wanted) in of_logits(bench) {
            check(bench, text, &wanted);
        }
    }
}

/// Squares of 3e38 overflow 32 bits and those of 1e-25 vanish in them; sums of the large ones overflow too.
#[test]
fn the_largest_and_smallest_numbers_have_norms_and_means() {
    for device in [Device::cpu(), vulkan()] {
        let mut bench = Bench::on("gpt2", &[NURSE], &device, 1 << 30);
        for (size, count) in [(3e38f32, 40_000), (1e-25, 40_000), (3e38, 40), (1e-25, 40)] {
            let value = Value::from_f32(vec![size; count], &[2, count / 2], &device);
            bench.console.session.variables.insert("x".into(), Datum::Tensor(value));
            let size = f64::from(size);
            for (text, wanted) in [
                ("mean($x)", size),
                ("norm($x)", size * (count as f64).sqrt()),
                ("mean($x, 1)[0]", size),
                ("std($x) + absmax($x)", size),
                ("norm($x[:, 0:1], 1)[1]", size),
                ("cos($x, $x)", 1.0),
            ] {
                let found = bench.number(text);
                assert!(
                    (found - wanted).abs() <= EXACT * wanted,
                    "{text} of {count} on {device:?}: {found:e} for {wanted:e}"
                );
            }
        }
    }
}
