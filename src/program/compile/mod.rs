//! From a specification to ops, in the order of `docs/sites.md`.

mod attention;
mod block;
mod head;
mod latent;
mod mixer;
mod mlp;
mod selective;

use std::collections::HashMap;

use super::{Kernel, Module, Op, Part, Program, Side};
use crate::model::required_weights::norm_roles;
use crate::model::role::{Role, RolePlace, WeightId};
use crate::model::spec::{Adds, Gain, LayerInputs, ModelSpec, Norm, NormKind, Positions, Projection, Relative};
use crate::tensor::Axis::{self, Dim, Pos, Row};

/// Compiles a specification. The program does not depend on weights or input.
pub fn compile(spec: &ModelSpec) -> Program {
    let mut builder = Builder { spec, ops: Vec::new(), pos_bias: None, keys: HashMap::new(), layer_inputs: None };
    let embedded = builder.embedding();
    let last = (0..spec.n_layers).fold(embedded, |input, layer| builder.block(layer, input));
    builder.head(last);
    finish(builder.ops, spec)
}

struct Builder<'a> {
    spec: &'a ModelSpec,
    ops: Vec<Op>,
    /// The op of what all layers add to scores by distance.
    pos_bias: Option<usize>,
    /// Keys and values that scores and mixing of each block read.
    keys: HashMap<usize, [usize; 2]>,
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
    fn push(&mut self, site: String, kernel: Kernel, inputs: &[usize], weights: Vec<WeightId>, out: Out) -> usize {
        let spec = self.spec;
        let mut keys = 1;
        let (axes, heads, width) = match out {
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
        let cached = match kernel {
            Kernel::Scores { .. } | Kernel::Mix => vec![inputs[1]],
            Kernel::RelativeScores { of: Side::Key, .. } => vec![inputs[0]],
            Kernel::Convolution { .. } => vec![inputs[0]],
            _ => Vec::new(),
        };
        let (layer, part) = Part::parse(&site).unzip();
        assert!(
            part.is_some() || !site.starts_with("blocks."),
            "{site} is a site of a block, and not one of its parts"
        );
        let place = match layer {
            Some(_) => RolePlace::Block,
            None if self.ops.iter().any(|op| op.layer.is_some()) => RolePlace::After,
            None => RolePlace::Before,
        };
        let inputs = inputs.to_vec();
        let carried = None;
        self.ops.push(Op {
            site,
            module: 0,
            kernel,
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
        if matches!(spec.positions, Positions::Learned { .. }) {
            let (kernel, weights) = (Kernel::PositionEmbed, global(Role::W_pos));
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

/// The modules that hold a site, outermost first, without the whole model: `blocks.5`, `blocks.5.attn`.
fn modules_around(site: &str) -> Vec<String> {
    let parts: Vec<&str> = site.split('.').collect();
    let first = if parts[0] == "blocks" { 2 } else { 1 };
    (first..parts.len()).map(|n| parts[..n].join(".")).collect()
}

/// Builds the module tree from the site names and the tables that look things up.
fn finish(mut ops: Vec<Op>, spec: &ModelSpec) -> Program {
    let mut modules = vec![Module { path: String::new(), parent: None, depth: 0, start: 0, end: ops.len() }];
    let mut index = HashMap::new();
    let mut readers = vec![Vec::new(); ops.len()];
    let mut cached = vec![false; ops.len()];
    for (i, op) in ops.iter_mut().enumerate() {
        index.insert(op.site.clone(), i);
        for &input in &op.inputs {
            if readers[input].last() != Some(&i) {
                readers[input].push(i);
            }
        }
        op.cached.iter().for_each(|&input| cached[input] = true);
        for path in modules_around(&op.site) {
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
    let parts = ops.iter().enumerate().filter_map(|(i, op)| Some(((op.layer?, op.part?), i))).collect();
    let sites = ops.iter().map(|op| op.site.clone()).collect();
    let module_paths = modules.iter().skip(1).map(|module| module.path.clone()).collect();
    let (n_layers, n_heads) = (spec.n_layers, spec.n_heads);
    Program { ops, modules, sites, module_paths, index, parts, readers, cached, n_layers, n_heads }
}
