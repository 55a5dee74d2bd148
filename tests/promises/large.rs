//! Promise (F10, F12, F29): answers suit models of 30 blocks. They fit every width from 60 columns, list what matters, say what is left
//! out and how to see it, and `-top`, `-sort` and `-all` mean the same everywhere.

use std::fs;
use std::path::Path;

use llmdbg::answer::Answer;
use llmdbg::answer::text::{lines, wrapped_lines};
use llmdbg::model::{Input, ModelSource, load};
use llmdbg::tensor::Device;
use unicode_width::UnicodeWidthStr;

use crate::common::{Bench, cell_number, cell_text, write_values};
use crate::parity::fixture;

const BLOCKS: usize = 30;

/// The llama fixture with 30 blocks, each of which has the weights of one of its two, moved a little.
fn large(folder: &Path, change: impl Fn(&mut serde_json::Value)) {
    let of = fixture("llama");
    for file in fs::read_dir(&of).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if !name.starts_with("reference") && name != "model.safetensors" {
            fs::copy(of.join(&name), folder.join(&name)).unwrap();
        }
    }
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(of.join("config.json")).unwrap()).unwrap();
    config["num_hidden_layers"] = BLOCKS.into();
    change(&mut config);
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let bytes = fs::read(of.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut seed = 1u32;
    let mut values = Vec::new();
    let mut all = tensors.tensors();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, tensor) in all {
        let data: Vec<f32> = tensor.data().chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        let blocks = match name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.')) {
            None => vec![(name.clone(), 0)],
            Some((block, rest)) => {
                let first: usize = block.parse().unwrap();
                (first..BLOCKS).step_by(2).map(|block| (format!("model.layers.{block}.{rest}"), block)).collect()
            }
        };
        for (name, block) in blocks {
            let mut moved = data.clone();
            for x in moved.iter_mut().filter(|_| block > 1) {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *x *= 1.0 + (f64::from(seed) / f64::from(u32::MAX) - 0.5) as f32;
            }
            values.push((name, tensor.shape().to_vec(), moved));
        }
    }
    let values: Vec<(&str, Vec<usize>, Vec<f32>)> =
        values.iter().map(|(name, shape, data)| (name.as_str(), shape.clone(), data.clone())).collect();
    write_values(&folder.join("model.safetensors"), &values);
}

fn bench(folder: &Path) -> Bench {
    let model = load(&ModelSource::Path(folder.to_path_buf()), &Device::cpu()).unwrap();
    let input = Input::from_texts(&model, &["The nurse and the dog saw the nurse and the dog"], true).unwrap();
    let mut bench = Bench::of("large", model, input, 1 << 30);
    bench.run("run");
    bench
}

fn sound() -> (tempfile::TempDir, Bench) {
    let folder = tempfile::tempdir().unwrap();
    large(folder.path(), |_| {});
    let bench = bench(folder.path());
    (folder, bench)
}

/// The line that says how many rows are left out.
fn left_out(answer: &Answer) -> Option<usize> {
    let last = lines(answer, None).pop()?;
    let count = last.strip_prefix("... ")?.split_once(" more row")?.0.parse().unwrap();
    assert!(last.contains("-all shows"), "{last}");
    Some(count)
}

#[test]
fn f10_every_table_fits_every_width_from_60_columns() {
    let (_folder, mut b) = sound();
    b.script("break L20.attn.pattern if max($) > 2\nbreak L7\nablate L3H1");
    let commands = [
        "heads",
        "heads -all",
        "heads L3 -all",
        "heads -grid first",
        "dla",
        "dla -by head",
        "dla -by position",
        "dla -by neuron",
        "explain",
        "lens",
        "lens -all",
        "lens -grid",
        "lens -map",
        "layers",
        "layers -all",
        "diff main",
        "diff main -all",
        "bisect main",
        "diagnose",
        "activations",
        "circuits",
        "info breakpoints",
        "info weights",
        "info sites",
        "info settings",
        "info model",
        "info modules",
        "info branches",
        "info edits",
        "backtrace",
        "list",
        "help",
        "help stopping",
        "help gdb",
        "help all",
        "apropos attention",
        "neuron L20N3",
        "patch main -metric loss -site attn.z",
        "info tokens",
        "info passes",
        "find L3.attn.pattern > 0.5",
        "info locals",
        "tokens",
        "print/t prob",
        "print/h L3.attn.pattern[head=0]",
    ];
    for line in commands {
        let answer = b.outcome(line).answer;
        if matches!(answer, Answer::Error(_) | Answer::Value(_)) {
            assert!(line == "tokens", "{line}: {answer:?}");
            continue;
        }
        for width in [60, 80, 100, 120, 200] {
            for shown in wrapped_lines(&answer, Some(width)) {
                assert!(shown.width() <= width, "{line} at {width}: {shown:?}");
            }
        }
    }
}

#[test]
fn f12_the_answer_to_a_question_about_30_blocks_fits_a_screen() {
    let (_folder, mut b) = sound();
    b.run("ablate L3H1");
    for (line, rows) in [
        ("heads", 4 * BLOCKS),
        ("dla", 2 * BLOCKS + 1),
        ("dla -by head", 4 * BLOCKS),
        ("lens", BLOCKS + 1),
        ("layers", BLOCKS),
        ("activations", BLOCKS),
        ("circuits", 4 * BLOCKS),
    ] {
        let answer = b.run(line);
        let shown = lines(&answer, Some(80));
        // The tokens by way of which a head adds take a second line.
        let most = if line == "dla -by head" { 36 } else { 26 };
        assert!(shown.len() <= most, "{line}: {shown:#?}");
        let Answer::Table(table) = &answer else { panic!("{line}") };
        assert_eq!(table.rows.len(), rows, "{line}: JSON has every row");
        let listed = table.shown().len();
        assert_eq!(left_out(&answer), Some(rows - listed), "{line}");
        assert!((12..=15).contains(&listed), "{line}: {listed}");
        // All of them, in the order of the model.
        let all = b.run(&format!("{line} -all"));
        let Answer::Table(all) = &all else { panic!("{line}") };
        assert_eq!((all.shown().len(), all.rest()), (rows, None), "{line}");
        assert_eq!(all.rows, table.rows, "{line}");
    }
    let diff = b.run("diff main");
    assert!(left_out(&diff).is_some_and(|left| left > 100), "{:?}", left_out(&diff));
}

/// What is listed are the largest, and what is not is summed.
#[test]
fn f12_dla_lists_the_largest_parts_and_the_sum_of_the_rest() {
    let (_folder, mut b) = sound();
    let Answer::Table(table) = b.run("dla") else { panic!() };
    let share = |row: usize| cell_number(&table.rows[row][1]);
    let shown = table.shown();
    let least = shown.iter().map(|row| share(*row).abs()).fold(f64::INFINITY, f64::min);
    let rest: Vec<usize> = (0..table.rows.len()).filter(|row| !shown.contains(row)).collect();
    assert!(rest.iter().all(|row| share(*row).abs() <= least));
    let sum: f64 = rest.iter().map(|row| share(*row)).sum();
    assert!((table.rest().unwrap().sum.unwrap() - sum).abs() < 1e-9);
    let last = lines(&Answer::Table(table), None).pop().unwrap();
    assert!(last.contains("which add up to"), "{last}");
}

#[test]
fn f12_top_sort_and_all_mean_the_same_everywhere() {
    let (_folder, mut b) = sound();
    b.run("ablate L3H1");
    for (line, column) in [
        ("heads", "entropy"),
        ("dla", "Share"),
        ("lens", "Entropy"),
        ("layers", "Value"),
        ("diff main", "RMS"),
        ("circuits", "Matching"),
        ("activations", "Growth"),
    ] {
        let table = b.table(&format!("{line} -top 3 -sort {column}"));
        assert_eq!(table.rows.len(), 3, "{line}");
        assert!(table.rest().is_some(), "{line}");
        let all = b.table(&format!("{line} -all"));
        let at = all.columns.iter().position(|name| name == column).unwrap();
        let mut numbers: Vec<f64> = all.rows.iter().map(|row| cell_number(&row[at])).filter(|x| !x.is_nan()).collect();
        numbers.sort_by(|a, b| b.total_cmp(a));
        let top: Vec<f64> = table.rows.iter().map(|row| cell_number(&row[at])).collect();
        assert_eq!(top, numbers[..3], "{line}");
        // The beginning of a name, in any case, and a word that is no column.
        assert_eq!(b.table(&format!("{line} -top 3 -sort {}", column.to_uppercase())), table);
        assert!(b.fail(&format!("{line} -sort nonsense")).contains("no column is called nonsense"), "{line}");
    }
}

#[test]
fn f12_one_cause_in_30_blocks_is_one_line() {
    let (_folder, mut b) = sound();
    let other = tempfile::tempdir().unwrap();
    large(other.path(), |config| {
        for key in ["rope_theta", "rope_parameters"] {
            match config.get_mut(key) {
                Some(serde_json::Value::Object(rope)) => drop(rope.insert("rope_theta".into(), 300.0.into())),
                _ if key == "rope_theta" => config[key] = 300.0.into(),
                _ => {}
            }
        }
    });
    b.run(&format!("load {} as other", other.path().display()));
    let table = b.table("bisect other");
    let about: Vec<&str> =
        table.rows.iter().map(|row| cell_text(&row[0])).filter(|site| site.contains("30 blocks: 0 to 29")).collect();
    assert!(!about.is_empty() && table.rows.len() <= 4, "{:?}", table.rows);
    let reason = cell_text(table.rows[0].last().unwrap());
    assert!(reason.contains("the base of the rotation is 300 there"), "{reason}");
    let all = b.table("bisect other -all");
    assert!(all.rows.len() > 10 * BLOCKS);
}

#[test]
fn f10_diagnose_is_paragraphs() {
    let (_folder, mut b) = sound();
    b.script("set param(\"L3.mlp.W_out\") = 0\nrun");
    let text = b.text("diagnose");
    let paragraph = "warning: a weight matrix is zero\n  blocks.3.mlp.W_out: 1, normally at most 0.99\n  Why it matters: it was never trained or \
                     never loaded, and its block does nothing.\n  To see it: info weights blocks.3.mlp.W_out";
    assert!(text.contains(paragraph), "{text}");
    let table = b.table("diagnose");
    assert_eq!(table.columns[1], "Finding", "JSON has columns");
}

#[test]
fn f29_grids_name_their_largest_cells_and_no_level_is_a_sign() {
    let (_folder, mut b) = sound();
    b.run("ablate L3H1");
    let text = b.text("patch main -metric loss -site attn.z");
    let largest = text.lines().find(|line| line.starts_with("largest: ")).unwrap();
    assert!(largest.contains("L3, head 1: "), "{largest}");
    let ramp = text.lines().find(|line| line.contains("\" is ")).unwrap();
    let ramp = ramp.split('"').nth(1).unwrap();
    assert!(!ramp.contains('-') && !ramp.contains('+'), "{ramp}");
    assert!(!text.contains("0 0  1 1"), "{text}");
}
