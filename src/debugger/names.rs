//! All names of one model's program: sites, modules, and the module paths of its checkpoint.

use std::collections::HashMap;
use std::sync::Arc;

use crate::dumps::reader;
use crate::lang::SiteTable;
use crate::model::Weights;
use crate::model::dictionary::Stage;
use crate::model::role::{ENCODER, Role};
use crate::program::{Kernel, Part, Program};

pub struct Names {
    program: Arc<Program>,
    aliases: HashMap<String, String>,
    on_request: Vec<String>,
}

impl Names {
    /// Collects the names of a program and of the checkpoint that its weights came from.
    pub fn new(program: &Arc<Program>, weights: &Weights) -> Names {
        let mut aliases = HashMap::new();
        for file in weights.files() {
            // A fused projection feeds several sites; the module's own output is none of them alone.
            let [only] = file.uses.as_slice() else { continue };
            let id = *only;
            // Nor is the output of one expert, or of the norm of one head, a separate value.
            if id.index.is_some() {
                continue;
            }
            // These are used inside an op, whose output is not theirs.
            let inside = matches!(
                id.role,
                Role::EmbedProjW
                    | Role::EmbedProjB
                    | Role::b_choice
                    | Role::ExpertScale
                    | Role::SharedIn
                    | Role::SharedGate
                    | Role::SharedOut
                    | Role::SharedMix
                    | Role::UnembedProjW
                    | Role::MixRate
                    | Role::MixStep
                    | Role::MixNormW
                    | Role::MixSkip
                    | Role::MixStepW
            );
            if let Some(op) = reader(id, program).filter(|_| !inside) {
                let paths = [&file.name, file.file_name()].map(|name| name.rsplit_once('.'));
                aliases.extend(paths.into_iter().flatten().map(|(path, _)| (path.to_string(), op.site.clone())));
            }
        }
        // SAELens names what dictionaries compute by the site: `blocks.5.resid_post.acts`.
        for op in &program.ops {
            let Kernel::Dictionary(Stage::Out, _) = op.kernel else { continue };
            let behind = &program.ops[op.inputs[0]];
            let own = op.site.trim_end_matches(Stage::Out.name());
            let named = |stage: Stage| (format!("{}.{}", behind.site, stage.name()), format!("{own}{}", stage.name()));
            aliases.extend(Stage::ALL.map(named));
        }
        let on_request = (0..program.n_layers())
            .map(|layer| Part::Result.site(layer))
            .filter(|site| program.source_of(site).is_some())
            .collect();
        Names { program: program.clone(), aliases, on_request }
    }
}

impl SiteTable for Names {
    fn n_layers(&self) -> usize {
        self.program.n_layers()
    }

    fn encoder_layers(&self) -> usize {
        self.program.encoder_layers()
    }

    fn encoder_heads(&self) -> usize {
        self.program.op_of(&format!("{ENCODER}{}", Part::Z.site(0))).map_or(0, |op| self.program.ops[op].heads)
    }

    fn n_heads(&self, layer: usize) -> Option<usize> {
        self.program.block_op(layer, Part::Z).map(|_| self.program.n_heads())
    }

    fn names(&self) -> &[String] {
        self.program.sites()
    }

    fn on_request(&self) -> &[String] {
        &self.on_request
    }

    fn modules(&self) -> &[String] {
        self.program.module_paths()
    }

    fn alias(&self, path: &str) -> Option<String> {
        self.aliases.get(path).cloned()
    }
}
