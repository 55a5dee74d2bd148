//! Scopes and variables: values nested by their named axes, a page at a time.

use serde_json::{Value, json};

use super::{Adapter, Failure, failure};
use crate::answer::{Answer, ValueView, numbers, text};

/// How many elements are given at once, whatever is asked for.
const PAGE: usize = 1000;

/// What the number of a variable refers to.
#[derive(Clone, Debug)]
pub enum Reference {
    Output,
    Inputs,
    Weights,
    Registers,
    Displays,
    /// The entries of a value along one of its axes; those of the axes before it are chosen.
    Value {
        expression: String,
        shape: Vec<usize>,
        axes: Vec<String>,
        chosen: Vec<usize>,
    },
}

impl Adapter<'_> {
    fn refer(&mut self, reference: Reference) -> usize {
        self.references.push(reference);
        self.references.len()
    }

    /// The op whose value was computed last; the first one before anything has run.
    pub(super) fn op(&self) -> usize {
        let cursor = self.client.as_ref().map_or(0, |client| client.snapshot().cursor);
        cursor.saturating_sub(1)
    }

    pub(super) fn scopes(&mut self) -> Result<Value, Failure> {
        let live = self.client()?.snapshot().live;
        let mut scopes = Vec::new();
        let mut add = |adapter: &mut Self, name: &str, hint: &str, reference, expensive: bool| {
            let reference = adapter.refer(reference);
            scopes.push(json!({
                "name": name, "presentationHint": hint, "variablesReference": reference, "expensive": expensive,
            }));
        };
        if live {
            add(self, "Output", "returnValue", Reference::Output, false);
            add(self, "Inputs", "arguments", Reference::Inputs, false);
            add(self, "Weights", "locals", Reference::Weights, true);
            add(self, "Displays", "locals", Reference::Displays, false);
        }
        add(self, "Registers", "registers", Reference::Registers, false);
        Ok(json!({"scopes": scopes}))
    }

    pub(super) fn variables(&mut self, given: &Value) -> Result<Value, Failure> {
        let start = given["start"].as_u64().unwrap_or(0) as usize;
        let count = given["count"].as_u64().filter(|count| *count > 0).map_or(PAGE, |count| count as usize).min(PAGE);
        let reference = self.reference(given)?.clone();
        let op = self.listing.ops.get(self.op()).cloned().unwrap_or_default();
        let variables = match reference {
            Reference::Output => vec![self.variable(&op.site, &op.site)],
            Reference::Inputs => op.reads.iter().map(|site| self.variable(site, site)).collect(),
            Reference::Weights => {
                op.weights.iter().map(|name| self.variable(name, &format!("param({name:?})"))).collect()
            }
            Reference::Registers => self.registers()?,
            Reference::Displays => self.displays(),
            Reference::Value { expression, shape, axes, chosen } => {
                self.entries(&expression, &shape, &axes, &chosen, start, count)?
            }
        };
        Ok(json!({"variables": variables}))
    }

    fn reference(&self, given: &Value) -> Result<&Reference, Failure> {
        let number = given["variablesReference"].as_u64().unwrap_or(0) as usize;
        let found = number.checked_sub(1).and_then(|at| self.references.get(at));
        found.ok_or_else(|| Failure("this variable is of an earlier stop".into()))
    }

    /// A variable whose value is that of an expression.
    fn variable(&mut self, name: &str, expression: &str) -> Value {
        match self.query(&format!("output {expression}")) {
            Ok(answer) => {
                let mut shown = self.shown(&answer, expression);
                shown["name"] = json!(name);
                valued(shown)
            }
            Err(Failure(why)) => {
                let hint = json!({"attributes": ["failedEvaluation"]});
                let why = why.lines().next().unwrap_or_default();
                json!({"name": name, "value": why, "variablesReference": 0, "presentationHint": hint})
            }
        }
    }

    /// What an answer shows: `result`, `type`, and how to look into it.
    pub(super) fn shown(&mut self, answer: &Answer, expression: &str) -> Value {
        let lines = text::lines(answer, None);
        let Answer::Value(view) = answer else {
            return json!({"result": lines.join("\n"), "variablesReference": 0, "evaluateName": expression});
        };
        let kind = kind_of(view);
        let summary = lines.first().map_or("", |line| line.strip_prefix(&kind).unwrap_or(line)).trim().to_string();
        let mut shown = json!({"result": summary, "type": kind, "variablesReference": 0, "evaluateName": expression});
        if let Some(first) = view.shape.first() {
            let (shape, axes) = (view.shape.clone(), view.axes.clone());
            let expression = expression.to_string();
            shown["indexedVariables"] = json!(first);
            shown["variablesReference"] =
                json!(self.refer(Reference::Value { expression, shape, axes, chosen: vec![] }));
        }
        shown
    }

    /// The entries of a value along an axis.
    fn entries(
        &mut self,
        expression: &str,
        shape: &[usize],
        axes: &[String],
        chosen: &[usize],
        start: usize,
        count: usize,
    ) -> Result<Vec<Value>, Failure> {
        let axis = chosen.len();
        let Some(&length) = shape.get(axis) else { return failure("this is one number") };
        let end = length.min(start.saturating_add(count));
        let start = start.min(end);
        let named = |index: usize| match axes.get(axis).map_or("", String::as_str) {
            "" => format!("[{index}]"),
            name => format!("{name}={index}"),
        };
        let before: String = chosen.iter().map(|index| format!("{index}, ")).collect();
        if axis + 1 == shape.len() {
            if start == end {
                return Ok(Vec::new());
            }
            let answer = self.query(&format!("output/r ({expression})[{before}{start}:{end}]"))?;
            let Answer::Value(ValueView { data: Some(data), dtype, .. }) = answer else {
                return failure("it has no elements");
            };
            let element = |(at, x): (usize, &f64)| {
                let index = start + at;
                json!({
                    "name": named(index),
                    "value": numbers::raw(*x, &dtype),
                    "type": dtype,
                    "evaluateName": format!("({expression})[{before}{index}]"),
                    "variablesReference": 0,
                })
            };
            return Ok(data.iter().enumerate().map(element).collect());
        }
        let rest: Vec<String> = (axis + 1..shape.len())
            .map(|axis| match axes.get(axis).map_or("", String::as_str) {
                "" => shape[axis].to_string(),
                name => format!("{name}={}", shape[axis]),
            })
            .collect();
        let mut found = Vec::new();
        for index in start..end {
            let mut chosen = chosen.to_vec();
            chosen.push(index);
            let (shape, axes) = (shape.to_vec(), axes.to_vec());
            let reference = self.refer(Reference::Value { expression: expression.into(), shape, axes, chosen });
            found.push(json!({
                "name": named(index),
                "value": format!("[{}]", rest.join(", ")),
                "evaluateName": format!("({expression})[{before}{index}]"),
                "indexedVariables": shape_after(axis, &self.references),
                "variablesReference": reference,
            }));
        }
        Ok(found)
    }

    fn registers(&mut self) -> Result<Vec<Value>, Failure> {
        let snapshot = self.client()?.snapshot().clone();
        let focus = snapshot.focus;
        let registers = [
            ("op", format!("{} of {}", snapshot.cursor, snapshot.ops.len())),
            ("pass", snapshot.pass.to_string()),
            ("branch", snapshot.branch.clone()),
            ("row", focus.row.to_string()),
            ("pos", focus.pos.map_or("last".into(), |pos| pos.to_string())),
            ("head", focus.head.to_string()),
            ("device", snapshot.device.clone()),
            ("edits", snapshot.edits.to_string()),
            ("recorded", format!("{} bytes", snapshot.recorded)),
        ];
        let register = |(name, value): (&str, String)| json!({"name": name, "value": value, "variablesReference": 0});
        Ok(registers.into_iter().map(register).collect())
    }

    fn displays(&self) -> Vec<Value> {
        let displays = self.last_stop.iter().flat_map(|stop| &stop.displays);
        let display = |(number, expression, answer): &(usize, String, Box<Answer>)| {
            let value = text::lines(answer, None).join("\n");
            json!({"name": format!("{number}: {expression}"), "value": value, "variablesReference": 0})
        };
        displays.map(display).collect()
    }

    /// What a variable of a reference can be watched, or changed, as.
    pub(super) fn expression_of(&self, given: &Value) -> Result<String, Failure> {
        let name = given["name"].as_str().unwrap_or_default();
        if given["variablesReference"].as_u64().unwrap_or(0) == 0 {
            return Ok(name.to_string());
        }
        match self.reference(given)? {
            Reference::Output | Reference::Inputs => Ok(name.to_string()),
            Reference::Weights => Ok(format!("param({name:?})")),
            Reference::Value { expression, chosen, .. } => {
                let index = name.rsplit(['=', '[']).next().unwrap_or_default().trim_end_matches(']');
                let index: usize = index.parse().map_err(|_| Failure(format!("{name} is not an entry")))?;
                let before: String = chosen.iter().map(|index| format!("{index}, ")).collect();
                Ok(format!("{expression}[{before}{index}]"))
            }
            Reference::Registers | Reference::Displays => failure(format!("{name} is not a value of the model")),
        }
    }

    /// Changes what is written as an expression; gives what it is now.
    pub(super) fn change(&mut self, expression: &str, given: &Value) -> Result<Value, Failure> {
        let value = given["value"].as_str().unwrap_or_default();
        if expression.contains(['\n', '\r']) || value.contains(['\n', '\r']) {
            return failure("a value is one line");
        }
        let said = self.command(&format!("set {expression} = {value}"))?;
        let said = text::lines(&said, None).join("\n");
        self.after.push_back(super::After::Event("output", json!({"category": "console", "output": said + "\n"})));
        if self.takes_invalidated {
            self.after.push_back(super::After::Event("invalidated", json!({"areas": ["variables", "stacks"]})));
        }
        let answer = self.query(&format!("output {expression}"))?;
        Ok(valued(self.shown(&answer, expression)))
    }
}

/// What is called a result in one message is called a value in others.
fn valued(mut shown: Value) -> Value {
    if let Some(result) = shown.as_object_mut().and_then(|shown| shown.remove("result")) {
        shown["value"] = result;
    }
    shown
}

/// How many entries the next axis has.
fn shape_after(axis: usize, references: &[Reference]) -> usize {
    match references.last() {
        Some(Reference::Value { shape, .. }) => shape.get(axis + 1).copied().unwrap_or(0),
        _ => 0,
    }
}

/// `f32[head=4, q=14]`; of a number, its type.
fn kind_of(view: &ValueView) -> String {
    if view.shape.is_empty() {
        return view.dtype.to_string();
    }
    let axis = |(length, name): (&usize, &String)| {
        if name.is_empty() { length.to_string() } else { format!("{name}={length}") }
    };
    let axes: Vec<String> = view.shape.iter().zip(&view.axes).map(axis).collect();
    format!("{}[{}]", view.dtype, axes.join(", "))
}
