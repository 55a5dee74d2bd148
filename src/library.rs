//! The library: a model under control, from Rust.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::answer::{Answer, text};
use crate::commands::Console;
use crate::debugger::{Error, Result, Session, Settings};
use crate::lang::eval::Datum;
use crate::lang::parse_expr;
use crate::model::{self, DeviceList, Devices, Input, ModelSource, WeightCache, bundled};
use crate::tensor::{DeviceChoice, Precision};

/// Bytes that recordings may take unless [`Debugger::open_on`] is followed by `set record-budget`.
const RECORD_BUDGET: u64 = 1 << 30;

/// A model that runs on a prompt, op by op, and stops where it is asked to.
///
/// Everything that can be typed at the prompt of the program is a [`command`](Debugger::command); what it leaves behind is read with
/// [`value`](Debugger::value) and [`number`](Debugger::number), which take the expressions of the program's language.
pub struct Debugger {
    console: Console,
}

/// The elements of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Length of each axis; empty for a single number.
    pub shape: Vec<usize>,
    /// Name of each axis, such as `head`; empty where an axis has none.
    pub axes: Vec<&'static str>,
    /// The elements, in row-major order.
    pub data: Vec<f32>,
}

impl Debugger {
    /// Opens a model on a prompt, on the CPU. `model` is what the program takes: a folder, a file, `org/name` of the Hugging Face
    /// hub, or the name of a bundled model.
    ///
    /// # Errors
    /// What is wrong with the checkpoint, or the prompt.
    pub fn open(model: &str, prompt: &str) -> Result<Debugger> {
        Debugger::open_on(model, &[prompt], DeviceChoice::Cpu)
    }

    /// Opens a model on a batch of prompts, on a [`DeviceChoice`], or on several devices that share its blocks:
    /// `"gpu:0,gpu:1".parse::<DeviceList>()` chooses as `--device` does.
    ///
    /// # Errors
    /// What is wrong with the checkpoint, a prompt or the device.
    pub fn open_on(model: &str, prompts: &[&str], device: impl Into<DeviceList>) -> Result<Debugger> {
        let devices = Devices::open(&device.into(), None)?;
        let source = bundled::find(model).map_or_else(|| ModelSource::parse(model), |bundled| bundled.source());
        let cache = WeightCache::for_devices(devices.each(), RECORD_BUDGET);
        let loaded = model::open(&source, &devices, Precision::F32, &cache)?;
        let input = Input::from_texts(&loaded, prompts, true)?;
        let settings = Settings { record_budget: RECORD_BUDGET };
        let session = Session::new(loaded, input, &settings, Arc::new(AtomicBool::new(false)));
        Ok(Debugger { console: Console::new(session, model) })
    }

    /// Runs one command line, as typed at the prompt of the program: `run`, `break L2.attn.pattern if max($) > 0.5`, `ablate L0H3`.
    ///
    /// # Errors
    /// With the message that the prompt shows, if it fails.
    pub fn command(&mut self, line: &str) -> Result<Answer> {
        match self.console.execute(line, false).answer {
            Answer::Error(error) => Err(Error::Refused(error.message)),
            answer => Ok(answer),
        }
    }

    /// Runs one command line, and gives its answer as the lines that plain mode prints.
    ///
    /// # Errors
    /// As [`command`](Debugger::command).
    pub fn text(&mut self, line: &str) -> Result<String> {
        Ok(text::lines(&self.command(line)?, None).join("\n"))
    }

    /// Starts the pass if none is under way, and runs to a site, `L2.attn.pattern`, or the end of a module, `L2`.
    ///
    /// # Errors
    /// If there is no such place ahead.
    pub fn run_to(&mut self, place: &str) -> Result<()> {
        if !self.console.session.run.live {
            self.command("start")?;
        }
        self.command(&format!("until {place}")).map(|_| ())
    }

    /// The value of an expression: a site as it is now, `L2.attn.pattern[head=3, q=-1]`, or anything made of sites.
    ///
    /// # Errors
    /// If it cannot be parsed or evaluated: a site that has not been computed yet, for one.
    pub fn value(&mut self, expression: &str) -> Result<Tensor> {
        match self.console.evaluate(&parse_expr(expression, 0)?)? {
            Datum::Tensor(value) => Ok(Tensor {
                shape: value.shape().to_vec(),
                axes: value.axes().iter().map(|axis| axis.name()).collect(),
                data: value.read_f32()?,
            }),
            Datum::Num(number) => Ok(Tensor { shape: Vec::new(), axes: Vec::new(), data: vec![number as f32] }),
            other => Err(Error::refused(format!("{expression} is {}, not a value", other.described()))),
        }
    }

    /// The value of an expression that is one number, such as `logit(" Mary") - logit(" John")`.
    ///
    /// # Errors
    /// If it cannot be evaluated, or is not one number.
    pub fn number(&mut self, expression: &str) -> Result<f64> {
        let parsed = parse_expr(expression, 0)?;
        Ok(self.console.evaluate(&parsed)?.number(parsed.span)?)
    }
}
