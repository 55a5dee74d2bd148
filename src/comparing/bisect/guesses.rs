//! Guesses at why an op differs. Each is tried: the op is run as guessed, and a guess is a reason only if that gives
//! the other side's value.

use super::variants::variants;
use super::{Known, Reason};
use crate::model::role::WeightId;
use crate::program::{Context, Kernel, Op, execute};
use crate::tensor::{Device, Kind, Value};

/// One op of a stretch, what it reads and what it gives here.
pub struct Guesses<'a> {
    pub known: &'a Known<'a>,
    pub number: usize,
    pub op: &'a Op,
    pub inputs: Vec<Value>,
    pub ours: Vec<f64>,
    /// Shape of that, without the row.
    pub shape: Vec<usize>,
}

impl<'a> Guesses<'a> {
    pub fn of(known: &'a Known<'a>, number: usize) -> Option<Guesses<'a>> {
        let (stretch, value) = (known.stretch, known.stretch.value(number));
        let op = &stretch.program().ops[number];
        if value.kind() != Kind::Float {
            return None;
        }
        let ours = value.read_f64().ok()?;
        Some(Guesses { known, number, op, inputs: stretch.inputs(number), ours, shape: value.shape()[1..].to_vec() })
    }

    /// The first guess that turns ours into theirs.
    pub fn first(&self) -> Option<Reason> {
        let others = variants(&self.op.kernel).into_iter().map(|(kernel, reason)| (self.left_as(&kernel), reason));
        self.weights_there()
            .or_else(|| self.known.best(others))
            .or_else(|| self.of_kernel())
            .or_else(|| self.of_projection())
            .or_else(|| self.of_numbers(self.theirs().filter(|_| !self.known.faint)?))
            .or_else(|| self.other_kernel_there())
    }

    fn of_kernel(&self) -> Option<Reason> {
        match &self.op.kernel {
            Kernel::Rotate { rope } => self.of_rotation(*rope),
            Kernel::Scores { scale, softcap, reach } => self.of_scores(*scale, *softcap, *reach),
            Kernel::PositionEmbed => self.of_positions(),
            Kernel::Mix => self.of_keys(),
            Kernel::Embed { .. } => self.of_embedding(),
            Kernel::Unembed { .. } => self.of_head(),
            Kernel::HeadNorm { .. } | Kernel::Gain { .. } | Kernel::LayerNormNormalized | Kernel::RmsNormalized => {
                self.of_norm()
            }
            Kernel::Add => self.of_sum(),
            Kernel::Gated(_) => {
                let swapped: Vec<Value> = self.inputs.iter().rev().cloned().collect();
                self.gives_theirs(self.op, &swapped).then_some(Reason::GateAndUpSwapped)
            }
            _ => None,
        }
    }

    /// What the other side has of this op; `None` inside of the stretch.
    pub(super) fn theirs(&self) -> Option<&[f64]> {
        (self.number == self.known.stretch.last()).then_some(self.known.theirs)
    }

    pub(super) fn device(&self) -> Device {
        self.known.stretch.value(self.number).device()
    }

    /// Whether the other side's value comes out if this op gives something else.
    pub(super) fn explains(&self, guess: &[f64]) -> bool {
        self.explain_together(&[(self.number, guess.to_vec())])
    }

    /// The same for several ops of the stretch.
    pub(super) fn explain_together(&self, guesses: &[(usize, Vec<f64>)]) -> bool {
        if let [(number, guess)] = guesses
            && *number == self.known.stretch.last()
        {
            return self.known.is_theirs(guess);
        }
        let given = |number: usize| guesses.iter().find(|(of, _)| *of == number).map(|(_, guess)| guess);
        self.known.explains(&|number| given(number).is_some(), &|number, op, _| {
            let (data, own) = (given(number)?, self.known.stretch.value(number));
            let data: Vec<f32> = data.iter().map(|x| *x as f32).collect();
            (data.len() == own.count()).then(|| Value::from_f32(data, own.shape(), &own.device()).with_axes(&op.axes))
        })
    }

    /// What an op gives for other inputs; `None` if these do not fit it.
    pub(super) fn run(&self, op: &Op, inputs: &[Value]) -> Option<Vec<f64>> {
        self.run_in(op, inputs, self.known.context)
    }

    pub(super) fn run_in(&self, op: &Op, inputs: &[Value], context: &Context) -> Option<Vec<f64>> {
        execute(op, inputs, self.known.weights, context).and_then(|value| value.read_f64()).ok()
    }

    /// Whether the other side's value comes out if this op is another, or reads something else.
    pub(super) fn gives_theirs(&self, op: &Op, inputs: &[Value]) -> bool {
        self.run(op, inputs).is_some_and(|guess| self.explains(&guess))
    }

    /// Whether the other side's value comes out if all ops of this kind in the stretch compute something else.
    pub(super) fn alike(&self, compute: &dyn Fn(&Op, &[Value]) -> Option<Value>) -> bool {
        let alike = |number: usize| self.known.stretch.program().ops[number].kernel == self.op.kernel;
        self.known.explains(&alike, &|_, op, inputs| compute(op, inputs))
    }

    /// The same if the whole stretch is run in another context.
    pub(super) fn in_context(&self, context: &Context) -> bool {
        self.known.explains_by(self.left_in_context(context))
    }

    /// How far from the other side's value the stretch then is.
    pub(super) fn left_in_context(&self, context: &Context) -> f64 {
        self.known.left(&|_| true, &|_, op, inputs| execute(op, inputs, self.known.weights, context).ok())
    }

    pub(super) fn as_kernel(&self, kernel: &Kernel) -> bool {
        self.known.explains_by(self.left_as(kernel))
    }

    /// How far from the other side's value the stretch is if all ops of this kind are of that one.
    fn left_as(&self, kernel: &Kernel) -> f64 {
        let ops = &self.known.stretch.program().ops;
        let alike = |number: usize| ops[number].kernel == self.op.kernel;
        self.known.left(&alike, &|_, op, inputs| {
            let op = Op { kernel: kernel.clone(), ..op.clone() };
            execute(&op, inputs, self.known.weights, self.known.context).ok()
        })
    }

    /// Whether the op with one weight changed gives theirs.
    pub(super) fn with_weight(&self, id: WeightId, change: &dyn Fn(&[f32], &[usize]) -> Option<Vec<f32>>) -> bool {
        let Ok(whole) = self.known.weights.value(id) else { return false };
        let Ok(data) = whole.read_f32() else { return false };
        let Some(changed) = change(&data, whole.shape()) else { return false };
        let value = Value::from_f32(changed, whole.shape(), &self.device());
        let weights = self.known.weights.standing_in(id, &value);
        let guess = execute(self.op, &self.inputs, &weights, self.known.context);
        guess.and_then(|guess| guess.read_f64()).is_ok_and(|guess| self.explains(&guess))
    }
}
