//! From a specification to ops, in the order of `docs/sites.md`.

mod attention;
mod block;
mod cross;
mod head;
mod latent;
mod mixer;
mod mlp;
mod selective;

use std::collections::HashMap;

use super::{Along, Kernel, Module, Op, Part, Program, Side};
use crate::model::required_weights::norm_roles;
use crate::model::role::{ENCODER, Role, RolePlace, Stack, WeightId};
use crate::model::site_name::InBlock;
use crate::model::spec::{Adds, Gain, LayerInputs, ModelSpec, Norm, NormKind, Positions, Projection, Relative};
use crate::tensor::Axis::{self, Dim, Pos, Row};

/// Compiles a specification. The program does not depend on weights or input.
pub fn compile(spec: &ModelSpec) -> Program {
    let mut ops = Vec::new();
    if let Some(encoder) = &spec.encoder {
        let mut builder = Builder::new(&encoder.spec, Stack::Encoder, ops);
        builder.shares_embedding = encoder.shares_embedding;
        builder.stack();
        ops = builder.ops;
    }
    let source = ops.len().checked_sub(1);
    let mut builder = Builder::new(spec, Stack::Main, ops);
    if let Some(source) = source {
        builder.source_keys(source);
    }
    let once = builder.ops.len();
    builder.stack();
    finish(builder.ops, once, (spec.n_layers, spec.n_heads))
}

struct Builder<'a> {
    spec: &'a ModelSpec,
    /// Which stack is built: `spec` is that of this one.
    of: Stack,
    /// Whether its token embedding is that of the main stack.
    shares_embedding: bool,
    ops: Vec<Op>,
    /// The op of what all layers add to scores by distance.
    pos_bias: Option<usize>,
    /// Keys and values that scores and mixing of each block read.
    keys: HashMap<usize, [usize; 2]>,
    /// Keys and values that the cross attention of each block reads.
    source_keys: Vec<[usize; 2]>,
    /// What blocks get of the tokens.
    layer_inputs: Option<usize>,
}

/// What the output of an op looks like, in one row.
enum Out {
    Positions,
    /// So many features of a kind for each position.
    Rows(Axis, usize),
    /// The features of so many heads of a width for each position.
    Heads(usize, usize),
    /// One number of so many heads for each position.
    EachHead(usize),
    /// A matrix of so many heads: features of keys, features of values.
    State(usize, usize, usize),
    /// A row of so many elements for each of so many features: features, elements.
    FeatureStates(usize, usize),
    /// Queries and keys of each head.
    Scores,
    /// So many features of a kind.
    Vector(Axis, usize),
}

impl Builder<'_> {
    /// After the ops of another stack.
    fn new(spec: &ModelSpec, of: Stack, ops: Vec<Op>) -> Builder<'_> {
        Builder {
            spec,
            of,
            shares_embedding: false,
            ops,
            pos_bias: None,
            keys: HashMap::new(),
            source_keys: Vec::new(),
            layer_inputs: None,
        }
    }

    fn stack(&mut self) {
        let embedded = self.embedding();
        let last = (0..self.spec.n_layers).fold(embedded, |input, layer| self.block(layer, input));
        self.head(last);
    }

    fn push(&mut self, site: String, kernel: Kernel, inputs: &[usize], weights: Vec<WeightId>, out: Out) -> usize {
        let along = if self.of == Stack::Encoder { Along::Source } else { Along::Text };
        self.push_along(along, site, kernel, inputs, weights, out)
    }

    fn push_along(
        &mut self,
        along: Along,
        site: String,
        kernel: Kernel,
        inputs: &[usize],
        mut weights: Vec<WeightId>,
        out: Out,
    ) -> usize {
        let spec = self.spec;
        let mut keys = 1;
        let (mut axes, heads, width) = match out {
            Out::EachHead(heads) => (vec![Row, Pos, Axis::Head], heads, 1),
            Out::State(heads, of_keys, width) => {
                keys = of_keys;
                (vec![Row, Axis::Head, Axis::Key, Dim], heads, width)
            }
            Out::FeatureStates(features, of_keys) => {
                keys = of_keys;
                (vec![Row, Dim, Axis::Key], 1, features)
            }
            Out::Positions => (vec![Row, Pos], 1, 1),
            Out::Rows(axis, width) => (vec![Row, Pos, axis], 1, width),
            Out::Heads(heads, width) => (vec![Row, Pos, Axis::Head, Dim], heads, width),
            Out::Scores => (vec![Row, Axis::Head, Axis::Q, Axis::K], spec.n_heads, 1),
            Out::Vector(axis, width) => (vec![Row, axis], 1, width),
        };
        match along {
            Along::Text => {}
            Along::Source => axes.iter_mut().for_each(|axis| *axis = axis.of_source()),
            Along::Across => {
                axes.iter_mut().filter(|axis| **axis == Axis::K).for_each(|axis| *axis = Axis::SourceK);
            }
        }
        let cached = match kernel {
            // What is of the source does not grow.
            _ if along != Along::Text => Vec::new(),
            Kernel::Scores { .. } | Kernel::Mix => vec![inputs[1]],
            Kernel::RelativeScores { of: Side::Key, .. } => vec![inputs[0]],
            Kernel::Convolution { .. } => vec![inputs[0]],
            _ => Vec::new(),
        };
        let (mut layer, mut part) = Part::parse(&site).unzip();
        assert!(
            part.is_some() || InBlock::parse(&site).is_none(),
            "{site} is a site of a block, and not one of its parts"
        );
        let place = match layer {
            Some(_) => RolePlace::Block,
            None if self.ops.iter().any(|op| op.layer.is_some()) => RolePlace::After,
            None => RolePlace::Before,
        };
        // What only the pass of the prompt computes comes before all blocks.
        layer = layer.filter(|_| along != Along::Source);
        let place = if along == Along::Source { RolePlace::Before } else { place };
        let mut site = site;
        if self.of == Stack::Encoder {
            part = None;
            site.insert_str(0, ENCODER);
            let shared = |id: &WeightId| self.shares_embedding && id.role == Role::W_E;
            weights.iter_mut().filter(|id| !shared(id)).for_each(|id| *id = id.of(Stack::Encoder));
        }
        let inputs = inputs.to_vec();
        let carried = None;
        self.ops.push(Op {
            site,
            module: 0,
            kernel,
            along,
            inputs,
            cached,
            carried,
            weights,
            axes,
            heads,
            width,
            keys,
            layer,
            part,
            place,
        });
        self.ops.len() - 1
    }

    fn stream(&self) -> Out {
        Out::Rows(Dim, self.spec.d_model)
    }

    fn embedding(&mut self) -> usize {
        let spec = self.spec;
        let global = |role| vec![WeightId::global(role)];
        let width = spec.embed.width;
        // Positions and types are as wide as what they are added to.
        let added = if spec.embed.project == Some(Projection::OfSum) { width } else { spec.d_model };
        let tokens = self.push("tokens".into(), Kernel::Tokens, &[], vec![], Out::Positions);
        let embed = Kernel::Embed { scale: spec.embed.scale, masks: spec.embed.masks };
        let mut parts = vec![self.push("embed".into(), embed, &[tokens], global(Role::W_E), Out::Rows(Dim, width))];
        if let Some(LayerInputs { width, .. }) = spec.layer_inputs {
            let all = || Out::Rows(Dim, spec.n_layers * width);
            let rows = Kernel::Embed { scale: (width as f64).sqrt(), masks: None };
            let rows = self.push("ple.embed".into(), rows, &[tokens], global(Role::W_ple), all());
            let linear = Kernel::Linear { heads: None, clip: None, factor: 1.0 };
            let projected = self.push("ple.proj".into(), linear, &[parts[0]], global(Role::PleProjW), all());
            let kernel = Kernel::LayerInputs { norm: spec.norm, factor: 1.0 / (spec.d_model as f64).sqrt(), width };
            let inputs = [projected, rows];
            self.layer_inputs = Some(self.push("ple.inputs".into(), kernel, &inputs, global(Role::PleNormW), all()));
        }
        let of_positions = match spec.positions {
            Positions::Learned { .. } => Some((Kernel::PositionEmbed, global(Role::W_pos))),
            Positions::Sines { waves, .. } => Some((Kernel::Sines { waves }, vec![])),
            Positions::None | Positions::Alibi(_) => None,
        };
        if let Some((kernel, weights)) = of_positions {
            parts.push(self.push("pos_embed".into(), kernel, &[], weights, Out::Rows(Dim, added)));
        }
        if spec.embed.token_types > 0 {
            let (kernel, weights) = (Kernel::TypeEmbed, global(Role::W_type));
            parts.push(self.push("type_embed".into(), kernel, &[], weights, Out::Rows(Dim, added)));
        }
        // The order of addition is transformers': BERT adds types before positions.
        if let [token, position, types] = parts[..] {
            parts = vec![token, types, position];
        }
        if spec.embed.norm {
            // The sum is not a site: the ops of the norm read its parts.
            parts = vec![self.norm("embed_ln", &spec.norm, &parts, [Role::EmbedLnW, Role::EmbedLnB], None, added)];
        }
        if let Some(Relative { buckets, adds: Adds::Numbers, .. }) = spec.relative {
            let (kernel, weights) = (Kernel::RelativeBias { buckets }, global(Role::W_rel));
            self.pos_bias = Some(self.push("pos_bias".into(), kernel, &[], weights, Out::Scores));
        }
        let (kernel, weights) = match (spec.embed.project, &parts[..]) {
            (Some(Projection::OfSum), _) => {
                (Kernel::Project, [Role::EmbedProjW, Role::EmbedProjB].map(WeightId::global).to_vec())
            }
            (Some(Projection::OfTokens), _) => (Kernel::Project, global(Role::EmbedProjW)),
            (None, _) if spec.embed.zero_padding => (Kernel::ZeroPadding, vec![]),
            (None, [_]) => (Kernel::Same, vec![]),
            (None, _) => (Kernel::Add, vec![]),
        };
        self.push(Part::ResidPre.site(0), kernel, &parts, weights, self.stream())
    }

    /// The three ops of a norm over the sum of `inputs`; returns its output.
    fn norm(
        &mut self,
        path: &str,
        norm: &Norm,
        inputs: &[usize],
        [gain, bias]: [Role; 2],
        layer: Option<usize>,
        width: usize,
    ) -> usize {
        let (scale, normalized) = match norm.kind {
            NormKind::LayerNorm => (Kernel::LayerNormScale { eps: norm.eps }, Kernel::LayerNormNormalized),
            NormKind::Rms => (Kernel::RmsScale { eps: norm.eps }, Kernel::RmsNormalized),
        };
        let id = |role| layer.map_or(WeightId::global(role), |layer| WeightId::block(layer, role));
        let weights: Vec<WeightId> = norm_roles(norm, gain, bias).map(id).collect();
        let scale = self.push(format!("{path}.scale"), scale, inputs, vec![], Out::Rows(Axis::None, 1));
        let mut with_scale = vec![scale];
        with_scale.extend_from_slice(inputs);
        let rows = || Out::Rows(Dim, width);
        let normalized = self.push(format!("{path}.normalized"), normalized, &with_scale, vec![], rows());
        let gain = match norm.gain {
            Gain::None => Kernel::Same,
            gain => Kernel::Gain { one_plus: gain == Gain::OnePlus },
        };
        self.push(format!("{path}.out"), gain, &[normalized], weights, rows())
    }
}

/// A weight, and its bias if it has one.
fn with_bias(id: impl Fn(Role) -> WeightId, weight: Role, bias: Role, has_bias: bool) -> Vec<WeightId> {
    [weight].into_iter().chain(has_bias.then_some(bias)).map(id).collect()
}

/// The module of keys and values of what an encoder gives, for all blocks.
const SOURCE_KEYS: &str = "source_keys";

/// The modules that hold the output of an op, outermost first, without the whole model: `blocks.5`, `blocks.5.attn`.
fn modules_around(op: &Op) -> Vec<String> {
    if op.along == Along::Source && op.part.is_some() {
        return vec![SOURCE_KEYS.into()];
    }
    let parts: Vec<&str> = op.site.split('.').collect();
    let is_list = |n: &usize| parts[n - 1] == "blocks";
    (1..parts.len()).filter(|n| !is_list(n)).map(|n| parts[..n].join(".")).collect()
}

/// Builds the module tree from the site names and the tables that look things up.
pub(super) fn finish(mut ops: Vec<Op>, once: usize, (n_layers, n_heads): (usize, usize)) -> Program {
    let mut modules = vec![Module { path: String::new(), parent: None, depth: 0, start: 0, end: ops.len() }];
    let mut index = HashMap::new();
    let mut readers = vec![Vec::new(); ops.len()];
    let mut cached = vec![false; ops.len()];
    for (i, op) in ops.iter_mut().enumerate() {
        // The numbers of modules are those of this list.
        op.module = 0;
        index.insert(op.site.clone(), i);
        for &input in &op.inputs {
            if readers[input].last() != Some(&i) {
                readers[input].push(i);
            }
        }
        op.cached.iter().for_each(|&input| cached[input] = true);
        for path in modules_around(op) {
            let found = modules.iter().rposition(|module| module.path == path);
            op.module = found.unwrap_or_else(|| {
                let parent = op.module;
                let depth = modules[parent].depth + 1;
                modules.push(Module { path, parent: Some(parent), depth, start: i, end: i + 1 });
                modules.len() - 1
            });
            modules[op.module].end = i + 1;
        }
    }
    let parts = ops.iter().enumerate().filter(|(_, op)| op.part.is_some());
    let parts = parts.filter_map(|(i, op)| Some((Part::parse(&op.site)?, i))).collect();
    let sites = ops.iter().map(|op| op.site.clone()).collect();
    let module_paths = modules.iter().skip(1).map(|module| module.path.clone()).collect();
    Program { ops, modules, sites, module_paths, index, parts, readers, cached, once, n_layers, n_heads }
}
