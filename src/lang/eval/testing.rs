//! A scope of small known values, for the tests of evaluation.

use super::{CachePart, Datum, Scope, condition, evaluate};
use crate::lang::{History, LangError, SiteRef, SiteTable, Unavailable, parse_expr};
use crate::tensor::{Axis, Device, TensorError, Value};

const VOCABULARY: [&str; 4] = ["When", " Mary", " and", " John"];
const INPUT: [usize; 4] = [0, 1, 2, 1];

/// Two blocks, two heads, four tokens; the cursor is in block 1.
pub struct Small {
    names: Vec<String>,
    modules: Vec<String>,
    tracked: bool,
}

impl Default for Small {
    fn default() -> Self {
        let mut names: Vec<String> = ["tokens", "v", "m", "odd", "long", "half", "skewed"].map(String::from).to_vec();
        let mut modules = Vec::new();
        for i in 0..2 {
            names.extend(["attn.pattern", "attn.z", "resid_post"].map(|part| format!("blocks.{i}.{part}")));
            modules.extend([format!("blocks.{i}"), format!("blocks.{i}.attn")]);
        }
        names.push("logits".into());
        Self { names, modules, tracked: false }
    }
}

fn float(data: &[f32], shape: &[usize], axes: &[Axis]) -> Value {
    Value::from_f32(data.to_vec(), shape, &Device::cpu()).with_axes(axes)
}

fn counted(from: usize, shape: &[usize], axes: &[Axis]) -> Value {
    let count = shape.iter().product::<usize>();
    float(&(from..from + count).map(|x| x as f32).collect::<Vec<_>>(), shape, axes)
}

impl Small {
    pub fn for_gradients() -> Self {
        Self { tracked: true, ..Self::default() }
    }

    pub fn named(&self, name: &str) -> Value {
        match name {
            "tokens" => Value::from_i64(INPUT.map(|t| t as i64).to_vec(), &[4], &Device::cpu()).with_axes(&[Axis::Pos]),
            "v" => float(&[1.0, -2.0, 3.0], &[3], &[Axis::Dim]),
            "m" => counted(1, &[2, 3], &[Axis::Pos, Axis::Dim]),
            "odd" => float(&[1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY], &[4], &[Axis::None]),
            "long" => counted(0, &[100], &[Axis::None]),
            "half" => float(&[0.5, 0.5, 0.0], &[3], &[Axis::Vocab]),
            "skewed" => float(&[0.25, 0.75, 0.0], &[3], &[Axis::Vocab]),
            "logits" => counted(0, &[4, 4], &[Axis::Pos, Axis::Vocab]),
            name if name.ends_with("pattern") => {
                let row = |q: usize| (0..4).map(move |k| if k <= q { 1.0 / (q + 1) as f32 } else { 0.0 });
                let data: Vec<f32> = (0..2).flat_map(|_| (0..4).flat_map(row)).collect();
                float(&data, &[2, 4, 4], &[Axis::Head, Axis::Q, Axis::K])
            }
            name if name.ends_with("attn.z") => counted(0, &[4, 2, 2], &[Axis::Pos, Axis::Head, Axis::Dim]),
            name => counted(name.len() + usize::from(name.contains('1')), &[4, 2], &[Axis::Pos, Axis::Dim]),
        }
    }
}

impl SiteTable for Small {
    fn n_layers(&self) -> usize {
        2
    }
    fn n_heads(&self, _: usize) -> Option<usize> {
        Some(2)
    }
    fn names(&self) -> &[String] {
        &self.names
    }
    fn modules(&self) -> &[String] {
        &self.modules
    }
    fn alias(&self, _: &str) -> Option<String> {
        None
    }
}

impl Scope for Small {
    fn device(&self) -> Device {
        Device::cpu()
    }
    fn table(&self, run: Option<&str>) -> Result<&dyn SiteTable, Unavailable> {
        run.map_or(Ok(self), |run| Err(format!("no run {run}").into()))
    }
    fn block(&self) -> Option<usize> {
        Some(1)
    }
    fn site(&mut self, site: &SiteRef) -> Result<Value, Unavailable> {
        Ok(self.named(&site.text))
    }
    fn all_rows(&mut self, site: &SiteRef) -> Result<Value, Unavailable> {
        let one = self.named(&site.text);
        let shape: Vec<usize> = std::iter::once(1).chain(one.shape().iter().copied()).collect();
        let axes: Vec<Axis> = std::iter::once(Axis::Row).chain(one.axes().iter().copied()).collect();
        let row = one.reshape(&shape)?.with_axes(&axes);
        let ten = row.full_like(10.0);
        let other = row.binary(crate::tensor::ops::BinaryOp::Mul, &ten)?;
        Ok(Value::concat(&[row, other], 0)?)
    }
    fn grad(&mut self, site: &SiteRef) -> Result<Value, Unavailable> {
        match site.text.as_str() {
            "m" => Err("no gradient at m: give backward first".into()),
            name => Ok(self.named(name).full_like(0.5)),
        }
    }
    fn grad_param(&mut self, name: &str) -> Result<Value, Unavailable> {
        Ok(self.param(name)?.full_like(0.25))
    }
    fn history(&mut self, entry: History) -> Result<Datum, Unavailable> {
        Ok(Datum::Num(match entry {
            History::Last => 7.0,
            History::Back(n) => 7.0 - f64::from(n),
            History::Number(n) => f64::from(n),
        }))
    }
    fn variable(&mut self, name: &str) -> Datum {
        match name {
            "x" => Datum::Num(42.0),
            "seven" => Datum::Tensor(float(&[7.0], &[], &[])),
            _ => Datum::Void,
        }
    }
    fn cursor(&mut self) -> Result<Value, Unavailable> {
        Ok(float(&[5.0, 6.0], &[2], &[Axis::Dim]))
    }
    fn param(&mut self, name: &str) -> Result<Value, Unavailable> {
        match name {
            "W_U" => Ok(counted(1, &[2, 2], &[Axis::Dim, Axis::Vocab])),
            "lost" => Err(TensorError::Read { message: "device lost".into() }.into()),
            name => Err(format!("no weight {name}").into()),
        }
    }
    fn token_positions(&mut self, text: &str, _: Axis) -> Vec<usize> {
        (0..INPUT.len()).filter(|&i| VOCABULARY[INPUT[i]] == text).collect()
    }
    fn token_id(&mut self, text: &str) -> Result<usize, Unavailable> {
        VOCABULARY.iter().position(|t| *t == text).ok_or_else(|| format!("no token {text:?}").into())
    }
    fn token_text(&mut self, id: usize) -> Result<String, Unavailable> {
        VOCABULARY.get(id).map(|t| t.to_string()).ok_or_else(|| format!("no token {id}").into())
    }
    fn label_index(&mut self, text: &str) -> Result<usize, Unavailable> {
        ["NEGATIVE", "POSITIVE"].iter().position(|l| *l == text).ok_or_else(|| format!("no label {text}").into())
    }
    fn logits(&mut self) -> Result<Value, Unavailable> {
        Ok(counted(0, &[4], &[Axis::Vocab]))
    }
    fn cache(&mut self, _layer: usize, _part: CachePart) -> Result<Value, Unavailable> {
        Err("nothing is cached yet".into())
    }

    fn loss(&mut self) -> Result<Datum, Unavailable> {
        Ok(Datum::Num(0.25))
    }
    fn lens(&mut self, x: &Value) -> Result<Value, Unavailable> {
        Ok(x.binary(crate::tensor::ops::BinaryOp::Mul, &x.full_like(2.0))?)
    }
    fn result(&mut self, layer: usize, head: usize) -> Result<Value, Unavailable> {
        Ok(float(&[layer as f32, head as f32], &[2], &[Axis::Dim]))
    }
    fn tracked(&self) -> bool {
        self.tracked
    }
}

pub fn evaluated(text: &str, scope: &mut Small) -> Result<Datum, LangError> {
    evaluate(&parse_expr(text, 0).unwrap_or_else(|e| panic!("{text}: {e}")), scope)
}

fn datum(text: &str) -> Datum {
    evaluated(text, &mut Small::default()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

pub fn num(text: &str) -> f64 {
    datum(text).number(Default::default()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

pub fn numbers(text: &str) -> Vec<f64> {
    match datum(text) {
        Datum::Tensor(value) => value.read_f64().expect("reads"),
        other => panic!("{text}: {}", other.described()),
    }
}

pub fn shape(text: &str) -> Vec<usize> {
    match datum(text) {
        Datum::Tensor(value) => value.shape().to_vec(),
        other => panic!("{text}: {}", other.described()),
    }
}

pub fn string(text: &str) -> String {
    match datum(text) {
        Datum::Str(found) => found,
        other => panic!("{text}: {}", other.described()),
    }
}

pub fn void(text: &str) -> bool {
    matches!(datum(text), Datum::Void)
}

/// Checks elements to the precision of 32 bits.
pub fn near(text: &str, expected: &[f64]) {
    let found = numbers(text);
    let close = found.len() == expected.len()
        && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0));
    assert!(close, "{text}: {found:?}, expected {expected:?}");
}

pub fn holds(text: &str) -> bool {
    condition(&parse_expr(text, 0).expect(text), &mut Small::default()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The error of evaluating `text`, as a condition where it has a value.
pub fn fails(text: &str) -> LangError {
    let expr = parse_expr(text, 0).unwrap_or_else(|e| panic!("{text}: {e}"));
    let mut scope = Small::default();
    match evaluate(&expr, &mut scope) {
        Err(error) => error,
        Ok(_) => condition(&expr, &mut scope).expect_err(text),
    }
}
