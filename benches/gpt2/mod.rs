//! A model with the shapes of GPT-2 small and random weights, in memory, and sessions on it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use llmdbg::answer::Answer;
use llmdbg::commands::Console;
use llmdbg::debugger::{Direction, Motion, Reason, Session, Settings};
use llmdbg::model::chat::Templates;
use llmdbg::model::config::HfConfig;
use llmdbg::model::role::{Role, WeightId};
use llmdbg::model::spec::{
    Act, Attention, Blind, Count, Embed, Head, Layer, Logits, Mlp, ModelSpec, Norm, Placement, Positions, Residual,
};
use llmdbg::model::{Input, LoadReport, Model, ModelSource, SpecialTokens, Weights};
use llmdbg::tensor::{Device, Precision, Value};

const LAYERS: usize = 12;
const WIDTH: usize = 768;
const MLP: usize = 4 * WIDTH;
const VOCAB: usize = 50257;
const POSITIONS: usize = 1024;

/// The model. The same weights every time.
pub fn model() -> Model {
    model_in(Precision::F32)
}

/// The same model, with weights and values that are held in a precision.
pub fn model_in(precision: Precision) -> Model {
    let device = Device::cpu();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut loaded = Vec::new();
    let mut tensor = |id: WeightId, shape: &[usize], around: f32, spread: f32| {
        let data = (0..shape.iter().product()).map(|_| around + spread * random.next()).collect();
        let value = match *shape {
            // As the loader keeps them.
            [from, to] if id.layer.is_some() => Value::linear(data, from, to, &device),
            _ => Value::from_f32(data, shape, &device),
        };
        loaded.push((id, vec![value.held_in(precision)]));
    };
    tensor(WeightId::global(Role::W_E), &[VOCAB, WIDTH], 0.0, 0.035);
    tensor(WeightId::global(Role::W_pos), &[POSITIONS, WIDTH], 0.0, 0.035);
    for layer in 0..LAYERS {
        for (gain, bias) in [(Role::Ln1W, Role::Ln1B), (Role::Ln2W, Role::Ln2B)] {
            tensor(WeightId::block(layer, gain), &[WIDTH], 1.0, 0.0);
            tensor(WeightId::block(layer, bias), &[WIDTH], 0.0, 0.0);
        }
        for (weight, bias, from, to) in [
            (Role::W_Q, Role::b_Q, WIDTH, WIDTH),
            (Role::W_K, Role::b_K, WIDTH, WIDTH),
            (Role::W_V, Role::b_V, WIDTH, WIDTH),
            (Role::W_O, Role::b_O, WIDTH, WIDTH),
            (Role::W_in, Role::b_in, WIDTH, MLP),
            (Role::W_out, Role::b_out, MLP, WIDTH),
        ] {
            tensor(WeightId::block(layer, weight), &[from, to], 0.0, 0.035);
            tensor(WeightId::block(layer, bias), &[to], 0.0, 0.0);
        }
    }
    tensor(WeightId::global(Role::LnFinalW), &[WIDTH], 1.0, 0.0);
    tensor(WeightId::global(Role::LnFinalB), &[WIDTH], 0.0, 0.0);
    Model {
        spec: spec(),
        weights: Weights::of_values(loaded, Vec::new(), true, &device).computing_in(precision),
        tokenizer: None,
        no_tokenizer: String::new(),
        special: SpecialTokens::default(),
        chat: Templates::default(),
        prompt: None,
        config: HfConfig::parse("config.json", b"{}").expect("an empty configuration"),
        origin: ModelSource::Memory { name: "random", files: &[] },
        placement: (&device).into(),
        report: LoadReport {
            files: Vec::new(),
            parameters: 0,
            bytes: 0,
            dtypes: Vec::new(),
            ignored: Vec::new(),
            replaced: Vec::new(),
            notes: Vec::new(),
            seconds: 0.0,
        },
        files: Arc::default(),
    }
}

fn spec() -> ModelSpec {
    let n_heads = 12;
    let head_dim = WIDTH / n_heads;
    ModelSpec {
        family: "gpt2".into(),
        d_model: WIDTH,
        n_layers: LAYERS,
        n_heads,
        n_kv_heads: n_heads,
        head_dim,
        v_head_dim: head_dim,
        d_mlp: MLP,
        vocab: VOCAB,
        max_positions: POSITIONS,
        norm: Norm::layer_norm(1e-5),
        placement: Placement::Pre,
        final_norm: true,
        embed: Embed::plain(WIDTH),
        layer_inputs: None,
        positions: Positions::Learned { rows: POSITIONS, count: Count::Seen },
        relative: None,
        ropes: Vec::new(),
        attention: Attention {
            causal: true,
            qkv_bias: true,
            out_bias: true,
            latent: None,
            gate: false,
            qk_norm: None,
            rotates_first: false,
            sinks: false,
            value_norm: None,
            growth: None,
            clip: None,
            softcap: None,
            blind: Blind::All,
        },
        mlp: Mlp { gated: false, act: Act::GeluTanh, bias: true, out_bias: true },
        encoder: None,
        experts: None,
        layers: (0..LAYERS).map(|i| Layer::plain(i, 1.0 / (head_dim as f64).sqrt())).collect(),
        residual: Residual::default(),
        head: Head::CausalLm(Logits::plain(true)),
    }
}

/// A session on so many tokens, everything recorded.
pub fn session(model: &Model, length: usize) -> Session {
    session_within(model, length, u64::MAX)
}

/// A session on so many tokens, with a budget for the recording.
pub fn session_within(model: &Model, length: usize, record_budget: u64) -> Session {
    let tokens = (0..length as u32).map(|i| i * 37 % VOCAB as u32).collect();
    let input = Input::from_tokens(model, vec![tokens]).expect("the tokens fit");
    let settings = Settings { record_budget };
    Session::new(model.clone(), input, &settings, Arc::new(AtomicBool::new(false)))
}

/// The whole pass from the beginning, without a stop.
pub fn forward(session: &mut Session) {
    session.start();
    let stop = session.travel(&Motion::Continue, Direction::Forward).expect("the pass runs");
    assert_eq!(stop.reason, Reason::End);
}

/// A pass over the prompt, and one for each of so many tokens after it.
pub fn generate(session: &mut Session, tokens: usize) {
    session.start();
    let stop = session.travel(&Motion::Pass(tokens as u64), Direction::Forward).expect("it runs");
    assert_eq!((stop.reason, stop.at.pass), (Reason::End, tokens));
}

/// The whole pass from the beginning, stopping at each op.
pub fn steps(session: &mut Session) {
    session.start();
    for _ in 0..session.run.program.ops.len() {
        session.travel(&Motion::Step(1), Direction::Forward).expect("the pass runs");
    }
}

/// Uniform numbers from -1 to 1 (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// The whole pass from the beginning by the `step` command, which summarises the output of each op.
pub fn step_commands(console: &mut Console) {
    command(console, "start");
    for _ in 0..console.session.run.program.ops.len() {
        command(console, "step");
    }
}

/// A condition that never holds on the attention pattern of every layer.
pub fn break_on_patterns(console: &mut Console) {
    for layer in 0..LAYERS {
        command(console, &format!("break L{layer}.attn.pattern if max($) > 2"));
    }
}

/// A hundred breakpoints with conditions that never hold: eight sites of each layer, and four in front.
pub fn hundred_breakpoints(console: &mut Console) {
    let sites = ["attn.q", "attn.pattern", "attn.z", "attn.out", "mlp.pre", "mlp.post", "mlp.out", "resid_post"];
    for layer in 0..LAYERS {
        for site in sites {
            command(console, &format!("break L{layer}.{site} if max($) > 1e9"));
        }
    }
    for site in ["embed", "pos_embed", "ln_final.out", "logits"] {
        command(console, &format!("break {site} if max($) > 1e9"));
    }
}

/// A command that succeeds.
pub fn command(console: &mut Console, line: &str) {
    let answer = console.execute(line, false).answer;
    assert!(!matches!(answer, Answer::Error(_)), "{line}: {answer:?}");
}
