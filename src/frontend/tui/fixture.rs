//! A session that never ran, for tests: a small GPT-2 with 4 layers, 4 heads and 15 tokens, and panels of its values.

use std::sync::Arc;

use super::glyphs::{ASCII, Glyphs, UNICODE};
use super::keymap::Keymap;
use super::panes::Panes;
use super::state::{Colours, State};
use crate::answer::{Answer, ErrorView, MapView, Reason, Scale, StopView, Summary, Table, TokenView};
use crate::engine::messages::{
    Breakpoint, Focus, ModuleLine, OpFlags, OpLine, Panel, PanelContent, PanelRequest, PanelView, Snapshot, TopItem,
};
use crate::term::ColorDepth;

const WORDS: [&str; 15] = [
    "When", " Mary", " and", " John", " went", " to", " the", " store", ",", " John", " gave", " a", " drink", " to",
    "\n",
];

const BLOCK: [(&str, &str); 20] = [
    ("resid_pre", "15x128"),
    ("ln1.scale", "15x1"),
    ("ln1.normalized", "15x128"),
    ("ln1.out", "15x128"),
    ("attn.q", "15x4x32"),
    ("attn.k", "15x4x32"),
    ("attn.v", "15x4x32"),
    ("attn.scores", "4x15x15"),
    ("attn.pattern", "4x15x15"),
    ("attn.z", "15x4x32"),
    ("attn.out", "15x128"),
    ("attn_out", "15x128"),
    ("resid_mid", "15x128"),
    ("ln2.scale", "15x1"),
    ("ln2.out", "15x128"),
    ("mlp.pre", "15x512"),
    ("mlp.post", "15x512"),
    ("mlp.out", "15x128"),
    ("mlp_out", "15x128"),
    ("resid_post", "15x128"),
];

fn program() -> (Vec<OpLine>, Vec<ModuleLine>) {
    let mut ops = Vec::new();
    let mut modules: Vec<ModuleLine> = Vec::new();
    let module = |path: &str, depth, parent, start, end| {
        let label = path.rsplit('.').next().unwrap_or_default().to_string();
        ModuleLine { path: path.to_string(), label, depth, parent, start, end }
    };
    let op = |site: &str, label: &str, module, shape: &str| {
        let [site, label, shape] = [site, label, shape].map(str::to_string);
        OpLine { site, label, module, shape }
    };
    modules.push(module("", 0, None, 0, 0));
    for (site, shape) in [("tokens", "15"), ("embed", "15x128"), ("pos_embed", "15x128")] {
        ops.push(op(site, site, 0, shape));
    }
    for layer in 0..4 {
        let (path, start) = (format!("blocks.{layer}"), ops.len());
        let block = modules.len();
        modules.push(module(&path, 1, Some(0), start, start + BLOCK.len()));
        modules.push(module(&format!("{path}.attn"), 2, Some(block), start + 4, start + 11));
        modules.push(module(&format!("{path}.mlp"), 2, Some(block), start + 15, start + 18));
        for (name, shape) in BLOCK {
            let inner = match name.split_once('.') {
                Some(("attn", label)) => (block + 1, label),
                Some(("mlp", label)) => (block + 2, label),
                _ => (block, name),
            };
            ops.push(op(&format!("{path}.{name}"), inner.1, inner.0, shape));
        }
    }
    for (site, shape) in [("ln_final.scale", "15x1"), ("ln_final.out", "15x128"), ("logits", "15x8192")] {
        ops.push(op(site, site, 0, shape));
    }
    modules[0].end = ops.len();
    (ops, modules)
}

/// The session stopped before the op `site`, or at the end of the pass where there is no such op.
pub fn snapshot_at(site: &str) -> Snapshot {
    let (ops, modules) = program();
    let cursor = ops.iter().position(|op| op.site == site).unwrap_or(ops.len());
    let flag = |op| OpFlags { computed: op < cursor, ..OpFlags::default() };
    let mut flags: Vec<OpFlags> = (0..ops.len()).map(flag).collect();
    let at = |name: &str| ops.iter().position(|op| op.site == name).expect("a site of the fixture");
    flags[at("blocks.2.attn.scores")].breakpoint = Some(Breakpoint { number: 2, hit: true, enabled: true });
    flags[at("blocks.3.mlp.post")].breakpoint = Some(Breakpoint { number: 3, hit: false, enabled: false });
    flags[at("blocks.2.attn.q")].edited = true;
    let tokens = WORDS.iter().enumerate().map(|(pos, text)| TokenView {
        pos,
        id: pos as u32 + 100,
        text: text.to_string(),
        bytes: text.as_bytes().to_vec(),
        real: true,
        ..TokenView::default()
    });
    Snapshot {
        model: "tiny-gpt2".to_string(),
        dimensions: "4L 4H d128 f32".to_string(),
        device: "cpu".to_string(),
        device_reason: "device: cpu (asked for)".to_string(),
        branch: "main".to_string(),
        live: true,
        cursor,
        ops: Arc::new(ops),
        modules: Arc::new(modules),
        flags,
        tokens: tokens.collect(),
        rows: 1,
        focus: Focus { row: 0, pos: Some(13), head: 1 },
        heads: 4,
        layers: 4,
        breakpoints: 2,
        recorded: 1 << 20,
        ..Snapshot::default()
    }
}

pub fn stop() -> StopView {
    StopView {
        reason: Reason::Breakpoint,
        ids: vec![2],
        site: "blocks.2.attn.scores".to_string(),
        module: "blocks.2.attn".to_string(),
        op: 51,
        pass: 0,
        lines: vec![
            "Breakpoint 2, blocks.2.attn.scores (4x15x15)".to_string(),
            "  min -8.132 max 9.401 mean -1.204 nan 0 -inf 420".to_string(),
        ],
        errors: vec![],
        value: None,
        displays: Vec::new(),
    }
}

/// What an engine would answer to `request`.
pub fn panel(snapshot: &Snapshot, request: &PanelRequest) -> Panel {
    let op = &snapshot.ops[request.op];
    let square = op.site.ends_with("pattern") || op.site.ends_with("scores");
    let content = match request.view {
        PanelView::Heat | PanelView::Numbers | PanelView::Auto if square => {
            attention(op.site.ends_with("scores"), request.cells)
        }
        PanelView::Heat | PanelView::Numbers | PanelView::Auto if op.site != "logits" => activations(request.cells),
        PanelView::Heads => PanelContent::Heads(
            (0..4)
                .filter_map(|_| match attention(op.site.ends_with("scores"), request.cells) {
                    PanelContent::Heat { map, masked, .. } => Some((map, masked)),
                    _ => None,
                })
                .collect(),
        ),
        PanelView::TopK | PanelView::Auto => PanelContent::TopK(
            (0..10)
                .map(|rank| {
                    let (label, value) = (format!(" word{rank}"), 9.5 - 1.25 * rank as f64);
                    TopItem { index: 4 * rank, label, value, chance: Some(0.5f64.powi(rank as i32 + 1)) }
                })
                .collect(),
        ),
        _ => PanelContent::Vector { axis: "dim".to_string(), data: (0..32).map(wave).collect(), pool: 4 },
    };
    let content = match (content, request.from) {
        (PanelContent::Heat { mut map, masked, focus_row, whole, .. }, Some(from)) => {
            map.pool = [1, 1];
            let last = (whole.0.saturating_sub(map.rows), whole.1.saturating_sub(map.columns));
            PanelContent::Heat { map, masked, focus_row, first: (from.0.min(last.0), from.1.min(last.1)), whole }
        }
        (content, _) => content,
    };
    let summary = match &content {
        PanelContent::Heat { map, .. } => map.summary.clone(),
        _ => summary(&(0..32).map(wave).collect::<Vec<_>>()),
    };
    Panel { op: request.op, title: format!("{} head 1", op.site), shape: op.shape.clone(), summary, content }
}

/// What an engine would answer to a command that fills a pane: a table with bars, a grid, or a text.
pub fn answer(line: &str) -> Answer {
    let cells = |n: usize| {
        let bar = if n.is_multiple_of(2) { "+" } else { "-" }.repeat(2 + n);
        (format!("L{n}.resid_pre"), format!("\" word{n}\" 0.{n}1"), 0.125 * n as f64, bar)
    };
    match line {
        _ if line.contains("-grid") => {
            let data: Vec<f64> = (0..16).map(|index| wave(index).abs()).collect();
            let names = |start: &str| (0..4).map(|index| format!("{start}{index}")).collect();
            Answer::Map(map(data, names("L"), names(""), false, ["layer", "head"]))
        }
        "info record" => {
            Answer::Text("branch main: 51 of 86 ops computed, 51 kept, 1.0 MiB\nall branches: 1.0 MiB".into())
        }
        "info difference" => {
            Answer::Error(ErrorView { message: "nothing has been compared yet".into(), ..ErrorView::default() })
        }
        _ => {
            let table = Table::new(["At", "Likeliest", "Value", ""]).title(format!("{line} at pos 13 \" to\""));
            table.rows((0..5).map(cells)).into()
        }
    }
}

fn wave(index: usize) -> f64 {
    (index as f64 * 0.7).sin() * (1.0 + index as f64 / 8.0)
}

/// A causal map of 15 by 15: a pattern with rows that sum to one, or scores of both signs.
fn attention(signed: bool, cells: (usize, usize)) -> PanelContent {
    let size = WORDS.len();
    let rows = size.min(cells.0);
    let mut data = vec![if signed { f64::NEG_INFINITY } else { 0.0 }; rows * size];
    let mut masked = vec![true; rows * size];
    for row in 0..rows {
        let weights: Vec<f64> = (0..=row).map(|column| 1.0 / (1.0 + ((row * 7 + column * 5) % 11) as f64)).collect();
        let sum: f64 = weights.iter().sum();
        for (column, weight) in weights.iter().enumerate() {
            masked[row * size + column] = false;
            data[row * size + column] = if signed { wave(row + 2 * column) } else { weight / sum };
        }
    }
    let labels: Vec<String> = WORDS.iter().map(|word| word.to_string()).collect();
    PanelContent::Heat {
        map: map(data, labels[..rows].to_vec(), labels, signed, ["q", "k"]),
        masked,
        focus_row: Some(13.min(rows - 1)),
        first: (0, 0),
        whole: (size, size),
    }
}

/// Positions by dimensions, with a NaN and an infinity.
fn activations(cells: (usize, usize)) -> PanelContent {
    let (rows, columns) = (WORDS.len().min(cells.0), 32.min(cells.1));
    let mut data: Vec<f64> = (0..rows * columns).map(|index| wave(index % 37)).collect();
    data[0] = f64::NAN;
    if let Some(last) = data.last_mut() {
        *last = f64::INFINITY;
    }
    let rows = WORDS[..rows].iter().map(|word| word.to_string()).collect();
    let columns = (0..columns).map(|column| (4 * column).to_string()).collect();
    let mut map = map(data, rows, columns, true, ["pos", "dim"]);
    map.pool = [1, 4];
    PanelContent::Heat { map, masked: Vec::new(), focus_row: Some(0), first: (0, 0), whole: (WORDS.len(), 128) }
}

fn map(data: Vec<f64>, rows: Vec<String>, columns: Vec<String>, signed: bool, axes: [&str; 2]) -> MapView {
    let summary = summary(&data);
    let map = MapView::grid("fixture", (axes[0], rows), (axes[1], columns), data);
    MapView { summary, scale: if signed { Scale::Diverging } else { Scale::Sequential }, ..map }
}

fn summary(data: &[f64]) -> Summary {
    let finite: Vec<f64> = data.iter().copied().filter(|value| value.is_finite()).collect();
    let max = finite.iter().copied().fold(f64::MIN, f64::max);
    let min = finite.iter().copied().fold(f64::MAX, f64::min);
    Summary {
        count: data.len() as u64,
        nan: data.iter().filter(|value| value.is_nan()).count() as u64,
        neg_inf: data.iter().filter(|value| **value == f64::NEG_INFINITY).count() as u64,
        pos_inf: data.iter().filter(|value| **value == f64::INFINITY).count() as u64,
        min,
        max,
        mean: finite.iter().sum::<f64>() / finite.len() as f64,
        absmax: max.max(-min),
        ..Summary::default()
    }
}

/// A state before the model is loaded.
pub fn state(depth: ColorDepth) -> State {
    let glyphs: &'static Glyphs = if depth == ColorDepth::Mono { &ASCII } else { &UNICODE };
    let colours = Colours { depth, user: None };
    let mut state = State::new("tiny-gpt2".to_string(), colours, glyphs, Keymap::new(None).0, Panes::new(None).0);
    // Most tests are about keys.
    state.typing = false;
    state.rest();
    state
}
