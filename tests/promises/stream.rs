//! `stream` adds up: what each block's attention and MLP write is what `dla` finds of them, and all of it is the logit.

use llmdbg::answer::Table;

use crate::altered::{Copy, Tensor, ran};
use crate::common::{Bench, cell_number, cell_text};

/// Sums of shares in 64 bits, of values that were computed in 32: the same parts in another order.
const TOLERANCE: f64 = 1e-9;

fn row<'a>(table: &'a Table, name: &str) -> Option<&'a [llmdbg::answer::Cell]> {
    table.rows.iter().find(|row| cell_text(&row[0]) == name).map(Vec::as_slice)
}

#[test]
fn each_block_writes_what_its_components_write_and_the_last_row_is_the_logit() {
    for name in ["gpt2", "llama", "gemma2", "gptj"] {
        let ids: Vec<u32> = (1..12).collect();
        let device = llmdbg::tensor::Device::cpu();
        let model = crate::common::model(name, &device);
        let layers = model.spec.n_layers;
        let input = llmdbg::model::Input::from_tokens(&model, vec![ids]).unwrap();
        let mut b = Bench::of(name, model, input, 1 << 30);
        b.run("run");
        let (stream, components) = (b.table("stream -target 5 -foil 9"), b.table("dla -target 5 -foil 9 -all"));
        let share = |name: &str| row(&components, name).map_or(0.0, |row| cell_number(&row[1]));
        let mut before = cell_number(&row(&stream, "embed").unwrap()[1]);
        for layer in 0..layers {
            let row = row(&stream, &format!("L{layer}")).unwrap();
            let (total, attention, mlp) = (cell_number(&row[1]), cell_number(&row[2]), cell_number(&row[4]));
            assert!((total - before - attention - mlp).abs() < TOLERANCE, "{name} L{layer}");
            let found = share(&format!("L{layer}.attn.out"));
            assert!((attention - found).abs() < TOLERANCE, "{name} L{layer}: {attention} {found}");
            before = total;
        }
        let last = cell_number(&row(&stream, "final").unwrap()[1]);
        let logits = b.numbers("logits[pos=-1]");
        let wanted = logits[5] - logits[9];
        // Gemma caps its logits, and dla explains them before the cap.
        let explained = if name == "gemma2" { last } else { wanted };
        assert!((last - explained).abs() < 1e-4 * (1.0 + explained.abs()), "{name}: {last} {wanted}");
    }
}

#[test]
fn a_model_of_thirty_blocks_has_a_row_for_each_and_the_sum_is_the_logit() {
    let deep = Copy::of("llama").set("num_hidden_layers", 30).tensors(|all| {
        let block: Vec<Tensor> = all.iter().filter(|tensor| tensor.name.contains("layers.0.")).cloned().collect();
        let again = |layer: usize, tensor: &Tensor| Tensor {
            name: tensor.name.replace("layers.0.", &format!("layers.{layer}.")),
            ..tensor.clone()
        };
        all.extend((2..30).flat_map(|layer| block.iter().map(move |tensor| again(layer, tensor))));
    });
    let mut b = ran(deep.load().unwrap());
    let table = b.table("stream");
    assert_eq!(table.rows.len(), 32);
    let mut totals: Vec<f64> = table.rows.iter().map(|row| cell_number(&row[1])).collect();
    let last = totals.pop().unwrap();
    let target = b.number("max(logits[pos=-1])");
    assert!((last - target).abs() < 1e-4 * (1.0 + target.abs()), "{last} {target}");
}
