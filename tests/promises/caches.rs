//! Promises: a cache of TransformerLens, as it is or of processed weights, is told for what it is, and compared as far as that goes.

use std::path::{Path, PathBuf};

use llmdbg::model::Input;
use llmdbg::tensor::Device;

use crate::common::{Bench, cell_number as number, cell_text as text, model, table_row as row, write_values as write};
use crate::faults::culprits;

/// The text of `tools/fixtures/caches.py`.
const IDS: [u32; 8] = [5, 17, 33, 60, 101, 7, 250, 12];

/// A fixture's model at the end of that text, with its cache under the name `theirs`.
fn beside_cache(name: &str, file: &Path) -> (Bench, String) {
    let device = Device::cpu();
    let loaded = model(name, &device);
    let input = Input::from_tokens(&loaded, vec![IDS.to_vec()]).unwrap();
    let mut b = Bench::of(name, loaded, input, 1 << 30);
    b.run("run");
    let told = b.text(&format!("load-dump {} as theirs", file.display()));
    (b, told)
}

fn cache(name: &str, kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/caches/{name}-{kind}.safetensors"))
}

const PROCESSED: &str = "is a TransformerLens cache of a model with processed weights";

/// A mask is the least number of f32 there, and minus infinity here.
#[test]
fn a_cache_of_the_model_as_it_is_agrees_everywhere() {
    for name in ["gpt2", "llama"] {
        let (mut b, told) = beside_cache(name, &cache(name, "raw"));
        assert!(!told.contains(PROCESSED), "{told}");
        let table = b.table("diff theirs -all");
        assert!(table.title.contains("all agree within 2e-4"), "{name}: {}", table.title);
        assert_eq!(number(&row(&table, "blocks.0.attn.scores")[7]), 0.0);
        assert!(table.rows.len() > 35, "{name}: {}", table.rows.len());
        let bisected = b.table("bisect theirs");
        assert_eq!(culprits(&bisected), [], "{name}");
        assert!(bisected.title.contains("nothing is introduced beyond rounding"), "{}", bisected.title);
        assert!(b.table("bisect theirs -first").title.contains("the last one agrees"));
    }
}

#[test]
fn a_cache_of_processed_weights_has_one_reason() {
    for (name, parts) in [
        ("gpt2", &["(center_writing_weights)", "(fold_ln)", "(fold_value_biases)", "(center_unembed)"][..]),
        // A model with RMS norms and without biases: its stream keeps its mean, and values have nothing to lose.
        ("llama", &["(fold_ln)", "(center_unembed)"][..]),
    ] {
        let (mut b, told) = beside_cache(name, &cache(name, "processed"));
        let all = ["(center_writing_weights)", "(fold_ln)", "(fold_value_biases)", "(center_unembed)"];
        for part in all {
            assert_eq!(told.contains(part), parts.contains(&part), "{name}: {told}");
        }
        let table = b.table("diff theirs -all");
        assert!(table.title.lines().nth(1).unwrap().contains(PROCESSED), "{}", table.title);
        assert!(table.title.contains("all agree within 2e-4"), "{name}: {}", table.title);
        let bisected = b.table("bisect theirs");
        assert_eq!(culprits(&bisected), [], "{name}: {:?}", culprits(&bisected));
        assert_eq!(bisected.title.matches(PROCESSED).count(), 1, "{}", bisected.title);
        assert!(b.table("bisect theirs -first").title.contains("the last one agrees"));
        // A stop beside it agrees too, and the values stay what they are in the file.
        b.run("set compare theirs");
        assert!(b.stop("start").lines.iter().all(|line| !line.contains("apart by") || line.contains("rounding")));
        b.run("catch diverge");
        assert!(b.stop("continue").lines[0].starts_with("Pass finished"));
        let mean = b.number("absmax(mean(logits@theirs, axis=-1))");
        assert!(mean < 1e-6 && b.number("absmax(mean(logits, axis=-1))") > 1e-3, "{mean}");
    }
}

/// What TransformerLens does to weights is no excuse for what else is wrong.
#[test]
fn a_fault_beside_processed_weights_is_found() {
    for (fault, site) in [
        ("set param(\"L1.attn.W_O\") *= 1.05", "blocks.1.attn_out"),
        ("set param(\"L0.attn.W_V\") *= 0.5", "blocks.0.attn.v"),
        ("set param(\"L1.mlp.W_in\") *= 2", "blocks.1.mlp.pre"),
        ("set param(\"L0.attn.W_Q\") *= 2", "blocks.0.attn.q"),
        ("set param(\"W_U\") *= 2", "logits"),
    ] {
        let (mut b, _) = beside_cache("gpt2", &cache("gpt2", "processed"));
        b.run(fault);
        let told = b.table("bisect theirs");
        let found = culprits(&told);
        assert_eq!(found.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), [site], "{fault}: {found:?}");
        let diff = b.table("diff theirs");
        assert!(diff.title.contains(&format!("of the size at {site}:")), "{fault}: {}", diff.title);
        assert_eq!(text(&diff.rows[0][0]), site);
    }
}

/// Versions before 4 give the output of a norm under the name `hook_normalized`, gain and bias included.
#[test]
fn older_caches_call_the_output_of_a_norm_normalized() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("older.safetensors");
    let (mut b, _) = beside_cache("gpt2", &cache("gpt2", "raw"));
    let mut values = Vec::new();
    for (site, hook) in [
        ("blocks.0.ln1.out", "blocks.0.ln1.hook_normalized"),
        ("blocks.0.ln2.out", "blocks.0.ln2.hook_normalized"),
        ("ln_final.out", "ln_final.hook_normalized"),
        ("blocks.1.resid_pre", "blocks.1.hook_resid_pre"),
    ] {
        let (shape, data) = b.value(site);
        values.push((hook, shape, data.into_iter().map(|x| x as f32).collect()));
    }
    write(&file, &values);
    b.run(&format!("load-dump {} as older", file.display()));
    let table = b.table("diff older -all");
    assert!(table.title.contains("all agree within 2e-4"), "{}", table.title);
    assert_eq!(number(&row(&table, "blocks.0.ln1.out")[1]), 0.0);
    assert_eq!(culprits(&b.table("bisect older")), []);
}
