//! A session driven by command lines, and the built program, as a user meets them.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use llmdbg::answer::{Answer, Cell, StopView, Table, text};
use llmdbg::commands::{Console, Outcome};
use llmdbg::debugger::{Mark, Session, Settings};
use llmdbg::model::{Devices, Input, Model, ModelSource, WeightCache, bundled, load, load_within};
use llmdbg::tensor::{Device, DeviceChoice, Precision, bits};

use crate::parity::fixture;

/// The second prompt of the causal fixtures' references; eight tokens of the gpt2 fixture: The, n, ur, se, and, the, do, g.
pub const NURSE: &str = "The nurse and the dog";

/// A fixture or a bundled model.
pub fn model(name: &str, device: &Device) -> Model {
    load(&source(name), device).expect("the model loads")
}

/// The same on devices as `--device` names them.
pub fn model_over(name: &str, devices: &str) -> Model {
    let devices =
        Devices::open(&devices.parse().expect("devices"), None).expect("Vulkan (Mesa's software one will do)");
    load_within(&source(name), &devices, Precision::F32, &WeightCache::unlimited()).expect("the model loads")
}

fn source(name: &str) -> ModelSource {
    bundled::find(name).map_or_else(|| ModelSource::Path(fixture(name)), |bundled| bundled.source())
}

/// A software adapter will do.
pub fn vulkan() -> Device {
    Device::open(DeviceChoice::Vulkan(0)).expect("a Vulkan adapter (Mesa's software one will do)")
}

/// A session and its console.
pub struct Bench {
    pub console: Console,
}

impl Bench {
    /// On the CPU, everything recorded.
    pub fn new(name: &str, texts: &[&str]) -> Bench {
        Bench::on(name, texts, &Device::cpu(), 1 << 30)
    }

    pub fn on(name: &str, texts: &[&str], device: &Device, record_budget: u64) -> Bench {
        let model = model(name, device);
        let input = Input::from_texts(&model, texts, true).expect("the prompt fits");
        Bench::of(name, model, input, record_budget)
    }

    /// On devices as `--device` names them.
    pub fn over(name: &str, texts: &[&str], devices: &str, record_budget: u64) -> Bench {
        let model = model_over(name, devices);
        let input = Input::from_texts(&model, texts, true).expect("the prompt fits");
        Bench::of(name, model, input, record_budget)
    }

    /// On the CPU, where only the largest weight fits into memory, and `record_budget` bytes of recordings.
    pub fn tight(name: &str, texts: &[&str], record_budget: u64) -> Bench {
        let largest = model(name, &Device::cpu()).weights.store().sizes().map(|(.., bytes)| bytes).max();
        let cache = WeightCache::new(largest.expect("it has weights"));
        let model =
            load_within(&source(name), &(&Device::cpu()).into(), Precision::F32, &cache).expect("the model loads");
        let input = Input::from_texts(&model, texts, true).expect("the prompt fits");
        Bench::of(name, model, input, record_budget)
    }

    pub fn of(name: &str, model: Model, input: Input, record_budget: u64) -> Bench {
        let settings = Settings { record_budget };
        let session = Session::new(model, input, &settings, Arc::new(AtomicBool::new(false)));
        Bench { console: Console::new(session, name) }
    }

    pub fn outcome(&mut self, line: &str) -> Outcome {
        self.console.execute(line, false)
    }

    /// A command that succeeds.
    pub fn run(&mut self, line: &str) -> Answer {
        match self.outcome(line).answer {
            Answer::Error(error) => panic!("{line}: {}", error.message),
            answer => answer,
        }
    }

    /// Commands that succeed, one a line.
    pub fn script(&mut self, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.run(line);
        }
    }

    /// What a command that succeeds shows.
    pub fn text(&mut self, line: &str) -> String {
        let Outcome { answer, printed, .. } = self.outcome(line);
        assert!(!matches!(answer, Answer::Error(_)), "{line}: {answer:?}");
        printed.into_iter().chain(text::lines(&answer, None)).collect::<Vec<_>>().join("\n")
    }

    /// The message of a command that fails.
    pub fn fail(&mut self, line: &str) -> String {
        match self.outcome(line).answer {
            Answer::Error(error) => error.message,
            answer => panic!("{line} succeeds: {answer:?}"),
        }
    }

    pub fn stop(&mut self, line: &str) -> StopView {
        match self.run(line) {
            Answer::Stop(stop) => stop,
            answer => panic!("{line}: {answer:?}"),
        }
    }

    pub fn table(&mut self, line: &str) -> Table {
        match self.run(line) {
            Answer::Table(table) => table,
            answer => panic!("{line}: {answer:?}"),
        }
    }

    /// Shape and elements of an expression, without a number in the history.
    pub fn value(&mut self, expr: &str) -> (Vec<usize>, Vec<f64>) {
        match self.run(&format!("output/r {expr}")) {
            Answer::Value(view) => (view.shape, view.data.expect("raw values are whole")),
            answer => panic!("{expr}: {answer:?}"),
        }
    }

    pub fn numbers(&mut self, expr: &str) -> Vec<f64> {
        self.value(expr).1
    }

    pub fn number(&mut self, expr: &str) -> f64 {
        let (shape, data) = self.value(expr);
        assert_eq!(shape, [0_usize; 0], "{expr}");
        data[0]
    }

    /// The exact bits of an expression.
    pub fn bits(&mut self, expr: &str) -> Vec<u64> {
        self.numbers(expr).into_iter().map(f64::to_bits).collect()
    }

    /// The exact bits of every op of every pass of the current timeline, wherever the cursor is, all rows.
    pub fn everything(&mut self) -> Vec<Vec<u64>> {
        let run = &mut self.console.session.run;
        let (ops, passes, branch) = (run.program.ops.len(), run.branch().passes(), run.current);
        (0..ops * passes)
            .map(|i| run.value_in_any(branch, Mark::new(i / ops, i % ops)).expect("computes"))
            .map(|value| bits(&value).expect("reads"))
            .collect()
    }

    pub fn cursor(&self) -> usize {
        self.console.session.run.cursor
    }

    /// The position just after a site.
    pub fn after(&self, site: &str) -> usize {
        self.console.session.run.program.op_of(site).expect("a site") + 1
    }
}

/// What the built program did.
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

/// Runs the built program with the arguments, in `folder`.
pub fn llmdbg_in(folder: &Path, arguments: &[&str], stdin: Stdio) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_llmdbg"))
        .args(arguments)
        .current_dir(folder)
        .env("RUST_BACKTRACE", "1")
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .env("HF_HUB_CACHE", "/nonexistent/hub")
        .env("HF_HUB_OFFLINE", "1")
        .stdin(stdin)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { status: output.status.code().expect("a status"), out: text(output.stdout), err: text(output.stderr) }
}

/// `llmdbg -batch -nx --device cpu MODEL ...` on a fixture or a path.
pub fn batch(model: &str, arguments: &[&str]) -> Ran {
    let path = fixture(model);
    let mut all = vec!["-batch", "-nx", "--device", "cpu", path.to_str().unwrap()];
    all.extend(arguments);
    llmdbg_in(Path::new("."), &all, Stdio::null())
}

/// The same with `--json`: the objects, one a line.
pub fn json(model: &str, arguments: &[&str]) -> (Vec<serde_json::Value>, Ran) {
    let mut all = vec!["--json"];
    all.extend(arguments);
    let ran = batch(model, &all);
    let object = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    (ran.out.lines().map(object).collect(), ran)
}

/// `-ex` before each command.
pub fn ex<'a>(commands: &[&'a str]) -> Vec<&'a str> {
    commands.iter().flat_map(|command| ["-ex", *command]).collect()
}

/// The text of a cell.
pub fn cell_text(cell: &Cell) -> &str {
    match cell {
        Cell::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

/// The number in a cell.
pub fn cell_number(cell: &Cell) -> f64 {
    match cell {
        Cell::Num(x) => *x,
        Cell::Int(x) => *x as f64,
        other => panic!("{other:?}"),
    }
}

/// The row of a table whose first cell is that text.
pub fn table_row<'a>(table: &'a Table, name: &str) -> &'a [Cell] {
    let found = table.rows.iter().find(|row| cell_text(&row[0]) == name);
    found.unwrap_or_else(|| panic!("no row {name}: {} {:?}", table.title, table.rows))
}

/// Writes 32-bit floats under names, as a safetensors file.
pub fn write_values(path: &Path, values: &[(&str, Vec<usize>, Vec<f32>)]) {
    let bytes: Vec<Vec<u8>> =
        values.iter().map(|(_, _, data)| data.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let views = values.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap();
        ((*name).to_string(), view)
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}
