//! All names of one model's program: sites, modules, and the module paths of its checkpoint.

use std::collections::HashMap;
use std::sync::Arc;

use crate::lang::SiteTable;
use crate::model::role::Role;
use crate::model::weights::Weights;
use crate::program::Program;

/// The names that locations and expressions can use.
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
            let Some((path, _)) = file.name.rsplit_once('.') else { continue };
            // A fused projection feeds several sites; the module's own output is none of them alone.
            let [only] = file.uses.as_slice() else { continue };
            let id = *only;
            // Nor is the output of one expert, or of the norm of one head, a value of its own.
            if id.index.is_some() {
                continue;
            }
            let prefix = id.layer.map(|layer| format!("blocks.{layer}.")).unwrap_or_default();
            let gated = program.op_of(&format!("{prefix}mlp.pre_linear")).is_some();
            let Some(output) = output_of(id.role, gated) else { continue };
            let site = format!("{prefix}{output}");
            if program.op_of(&site).is_some() {
                aliases.insert(path.to_string(), site);
            }
        }
        let on_request = (0..program.n_layers()).map(|layer| format!("blocks.{layer}.attn.result")).collect();
        Names { program: program.clone(), aliases, on_request }
    }
}

impl SiteTable for Names {
    fn n_layers(&self) -> usize {
        self.program.n_layers()
    }

    fn n_heads(&self, layer: usize) -> Option<usize> {
        (layer < self.program.n_layers()).then_some(self.program.n_heads())
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

/// The site that the module holding this weight computes, if that has one.
fn output_of(role: Role, gated: bool) -> Option<&'static str> {
    Some(match role {
        Role::W_E => "embed",
        Role::W_pos => "pos_embed",
        Role::W_type => "type_embed",
        Role::EmbedLnW | Role::EmbedLnB => "embed_ln.out",
        Role::Ln1W | Role::Ln1B => "ln1.out",
        Role::W_Q | Role::b_Q => "attn.q",
        Role::W_K | Role::b_K => "attn.k",
        Role::W_V | Role::b_V => "attn.v",
        Role::QNormW | Role::QNormB => "attn.q_norm",
        Role::KNormW | Role::KNormB => "attn.k_norm",
        Role::W_O | Role::b_O => "attn.out",
        Role::AttnPostLnW | Role::AttnPostLnB => "attn_post_ln.out",
        Role::Ln2W | Role::Ln2B => "ln2.out",
        Role::W_router => "mlp.router",
        Role::W_in | Role::b_in if gated => "mlp.pre_linear",
        Role::W_in | Role::b_in | Role::W_gate | Role::b_gate => "mlp.pre",
        Role::W_out | Role::b_out => "mlp.out",
        Role::MlpPostLnW | Role::MlpPostLnB => "mlp_post_ln.out",
        Role::LnFinalW | Role::LnFinalB => "ln_final.out",
        Role::W_U | Role::b_U => "logits",
        Role::MlmW | Role::MlmB => "mlm.pre",
        Role::MlmLnW | Role::MlmLnB => "mlm_ln.out",
        Role::PoolerW | Role::PoolerB => "pooler.pre",
        Role::PoolerLnW | Role::PoolerLnB => "pooler.out",
        Role::ClassifierW | Role::ClassifierB => "logits",
        Role::EmbedProjW
        | Role::EmbedProjB
        | Role::SharedIn
        | Role::SharedGate
        | Role::SharedOut
        | Role::SharedMix
        | Role::UnembedProjW => return None,
    })
}
