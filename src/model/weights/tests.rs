//! Edits, pieces and vocabularies of other sizes.

use super::*;

fn matrix(from: f32, rows: usize, width: usize) -> Value {
    let data = (0..rows * width).map(|i| from + i as f32).collect();
    Value::from_f32(data, &[rows, width], &Device::cpu())
}

fn weights() -> Weights {
    let embedding = vec![matrix(0.0, 2, 3), matrix(6.0, 1, 3)];
    let id = WeightId::block(0, Role::W_Q);
    let values = [(WeightId::global(Role::W_E), embedding), (id, vec![matrix(0.0, 3, 3)])];
    Weights::of_values(values, Vec::new(), true, &Device::cpu())
}

fn elements(weights: &Weights, id: WeightId) -> Vec<f32> {
    weights.whole(id).unwrap().unwrap().read_f32().unwrap()
}

#[test]
fn an_edit_takes_precedence_and_can_be_taken_away() {
    let mut edited = weights();
    let id = WeightId::block(0, Role::W_Q);
    let before = edited.clone();
    edited.replace(id, matrix(100.0, 3, 3)).unwrap();
    let first = |weights: &Weights| elements(weights, id)[0];
    assert_eq!((first(&before), first(&edited)), (0.0, 100.0));
    assert_eq!(edited.overlay().ids(), [id]);
    let mut overlay = edited.overlay().clone();
    assert!(overlay.remove(id) && !overlay.remove(id));
    assert_eq!(first(&Weights { overlay, ..edited.clone() }), 0.0);
}

#[test]
fn changes_are_applied_in_their_order_when_the_weight_is_asked_for() {
    struct Times(f32);
    impl Delta for Times {
        fn apply(&self, value: &Value) -> Result<Value, TensorError> {
            let data = value.read_f32()?.into_iter().map(|x| x * self.0 + 1.0).collect();
            Ok(Value::from_f32(data, value.shape(), &Device::cpu()))
        }
    }
    let mut edited = weights();
    for id in [WeightId::block(0, Role::W_Q), WeightId::global(Role::W_U)] {
        edited.change(id, Arc::new(Times(2.0))).unwrap();
        let once = edited.clone();
        edited.change(id, Arc::new(Times(10.0))).unwrap();
        assert_eq!((elements(&once, id)[3], elements(&edited, id)[3]), (7.0, 71.0));
        assert_eq!(edited.as_loaded(id).unwrap().read_f32().unwrap()[3], 3.0);
    }
    assert_eq!(elements(&edited, WeightId::global(Role::W_E))[3], 3.0);
}

#[test]
fn vocabulary_matrices_stay_split() {
    let mut weights = weights();
    let id = WeightId::global(Role::W_U);
    weights.replace(id, matrix(50.0, 3, 3)).unwrap();
    let rows = |piece| weights.piece(id, piece).unwrap().shape()[0];
    assert_eq!((weights.pieces(id), rows(0), rows(1)), (2, 2, 1));
    assert_eq!(elements(&weights, id)[8], 58.0);
    assert_eq!(elements(&weights, WeightId::global(Role::W_E))[8], 8.0);
}

#[test]
fn another_vocabulary_leaves_rows_out_or_adds_zeros() {
    let id = WeightId::global(Role::W_E);
    let fewer = weights().with_vocabulary(2);
    assert_eq!((fewer.shape(id), elements(&fewer, id).len()), (Some(&[2, 3][..]), 6));
    let more = weights().with_vocabulary(5);
    assert_eq!(elements(&more, id)[6..], [6.0, 7.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(more.rows(id, &[4, 2]).unwrap().read_f32().unwrap(), [0.0, 0.0, 0.0, 6.0, 7.0, 8.0]);
    assert_eq!(more.rows(id, &[5]).unwrap_err().to_string(), "index 5 is out of range: axis W_E has 0..4");
}

#[test]
fn a_value_of_another_shape_is_refused() {
    assert_eq!(
        weights().replace(WeightId::block(0, Role::W_Q), matrix(0.0, 2, 3)).unwrap_err().to_string(),
        "blocks.0.attn.W_Q: shapes [2, 3] and [3, 3] do not fit together"
    );
}
