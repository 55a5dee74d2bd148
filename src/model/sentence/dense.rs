//! Layers after the pooling of a sentence embedding, each in a folder of its own.

use super::{Asked, NoEmbedding, Sentences};
use crate::model::checkpoint::{Checkpoint, CheckpointFiles};
use crate::model::config::HfConfig;
use crate::model::error::LoadError;
use crate::model::families::torch_activation;
use crate::model::spec::{Act, Dense, Head, ModelSpec, Sentence};

impl Sentences {
    /// Adds the weights of the layers after the pooling to those of the model.
    pub fn add_weights(&mut self, files: &CheckpointFiles, all: &mut Checkpoint) -> Result<(), LoadError> {
        if self.colbert {
            let of_linear = all.entries().iter().find(|entry| entry.name == OF_COLBERT).map(|entry| &entry.shape[..]);
            let &[output, input] = of_linear.unwrap_or_default() else {
                let what = format!("the architecture is HF_ColBERT, and there is no matrix {OF_COLBERT:?}");
                return Err(LoadError::BadConfig { path: files.path_of("config.json"), message: what });
            };
            let dense = vec![Dense { input, output, bias: false, act: Act::Linear }];
            self.after = Some(Sentence { poolings: Vec::new(), dense, normalize: true, skip: 0 });
            self.folders = vec![String::new()];
            return Ok(());
        }
        if self.after.is_none() {
            return Ok(());
        }
        for (index, folder) in self.folders.iter().enumerate() {
            let names = ["model.safetensors", "pytorch_model.bin"].map(|name| format!("{folder}/{name}"));
            let mut found = names.iter().map(|name| files.open_weights(name));
            let Some(file) = found.find_map(Result::transpose).transpose()? else {
                return Err(LoadError::NoWeights {
                    path: files.path_of(folder),
                    hint: "; modules.json asks for a Dense step there: get its weights too".into(),
                });
            };
            all.add(file, |name| Some(dense_name(index, name.strip_prefix("linear.")?)));
        }
        Ok(())
    }

    /// Whether the first layer after the pooling reads what the pooling gives, and each other one what the one before
    /// it gives.
    pub fn check(&self, spec: &ModelSpec) -> Result<(), LoadError> {
        let Head::Bare { sentence: Some(sentence) } = &spec.head else { return Ok(()) };
        let mut width = spec.d_model * sentence.poolings.len().max(1);
        for (layer, folder) in sentence.dense.iter().zip(&self.folders) {
            if layer.input != width {
                let message = format!("\"in_features\" is {}, and what it reads is {width} wide", layer.input);
                return Err(LoadError::BadConfig { path: format!("{folder}/config.json"), message });
            }
            width = layer.output;
        }
        Ok(())
    }
}

/// The projection of vectors of tokens in files of ColBERT itself.
pub const OF_COLBERT: &str = "linear.weight";

/// The name under which a weight of a layer after the pooling is added to those of the model.
pub fn dense_name(index: usize, suffix: &str) -> String {
    format!("dense.{index}.{suffix}")
}

/// What the configuration of a layer says that reads and gives this.
pub(super) fn read(config: &HfConfig, expected: &str) -> Result<Dense, NoEmbedding> {
    for key in ["module_input_name", "module_output_name"] {
        if let Some(of) = config.str(&[key])?.filter(|of| *of != expected) {
            return Err(Asked::DenseOf(of.to_owned()).into());
        }
    }
    if config.flag(&["use_residual"], false)? {
        return Err(Asked::Residual.into());
    }
    // The class of an activation of torch, with its path.
    let name = config.str(&["activation_function"])?.unwrap_or("torch.nn.modules.activation.Tanh");
    let act = torch_activation(name).ok_or_else(|| Asked::Activation(name.to_owned()))?;
    let (input, output) = (config.size(&["in_features"])?, config.size(&["out_features"])?);
    Ok(Dense { input, output, bias: config.flag(&["bias"], true)?, act })
}
