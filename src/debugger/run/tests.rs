//! What grows is not copied: a token leaves the passes before it where they are, and an edit copies those that it
//! changes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::debugger::pass::Pass;
use crate::debugger::{Ablation, Branch, Change, Direction, Edit, Mark, Motion, Session, Settings, Target};
use crate::model::{Input, bundled, load};
use crate::program::Part;
use crate::tensor::Device;
use crate::tensor::ops::Slice;

/// A session at the end of the pass of its `tokens`th token.
fn generated(tokens: u64) -> Session {
    let source = bundled::find(bundled::DEFAULT).unwrap().source();
    let model = load(&source, &Device::cpu()).unwrap();
    let input = Input::from_tokens(&model, vec![vec![1, 2, 3]]).unwrap();
    let settings = Settings { record_budget: 1 << 30 };
    let mut session = Session::new(model, input, &settings, Arc::new(AtomicBool::new(false)));
    session.run.sampling.stop = false;
    session.start();
    session.travel(&Motion::Pass(tokens), Direction::Forward).unwrap();
    session
}

fn places(branch: &Branch) -> Vec<*const Pass> {
    branch.passes.iter().map(Arc::as_ptr).collect()
}

/// An edit of a head in a pass.
fn ablated(session: &Session, pass: usize) -> Edit {
    let op = session.run.program.block_op(1, Part::Z).unwrap();
    Edit {
        from: Mark { pass, op },
        target: Target::Op(op),
        change: Change::Ablate { slices: vec![Slice::All, Slice::At(0)], by: Ablation::Zero },
        lasting: false,
        text: "ablate L1H0".into(),
    }
}

#[test]
fn a_token_leaves_the_passes_before_it_where_they_are() {
    let mut session = generated(8);
    let before = places(session.run.branch());
    session.travel(&Motion::Pass(8), Direction::Forward).unwrap();
    let branch = session.run.branch();
    assert_eq!((branch.passes(), &places(branch)[..before.len()]), (17, &before[..]));
    assert!(branch.passes.iter().all(|pass| Arc::strong_count(pass) == 1));
    // One choice of settings for all of them.
    assert!(branch.settings.iter().all(|settings| Arc::ptr_eq(settings, &branch.settings[0])));
}

#[test]
fn a_token_that_cannot_follow_changes_nothing() {
    let mut session = generated(4);
    let before = (places(session.run.branch()), session.run.branch().text().length());
    session.run.model = Arc::new({
        let mut model = (*session.run.model).clone();
        model.spec.max_positions = before.1;
        model
    });
    assert!(session.travel(&Motion::Pass(1), Direction::Forward).is_err());
    let branch = session.run.branch();
    assert_eq!((places(branch), branch.text().length(), branch.settings.len()), (before.0, before.1, 4));
}

#[test]
fn an_edit_copies_the_passes_that_it_changes_and_no_others() {
    let mut session = generated(12);
    let before = places(session.run.branch());
    let edit = ablated(&session, 9);
    let opened = session.run.edit(vec![edit]).unwrap().branch;
    assert!(opened.is_some());
    let after = places(session.run.branch());
    assert_eq!(after[..9], before[..9]);
    assert!(after[9..].iter().zip(&before[9..]).all(|(after, before)| after != before));
    session.run.undo().unwrap();
    assert_eq!(places(session.run.branch()), before);
}

#[test]
fn another_branch_shares_what_it_does_not_compute() {
    let mut session = generated(6);
    session.run.copy_branch("same").unwrap();
    let [first, copy] = &session.run.branches[..] else { panic!("two branches") };
    assert_eq!(places(first), places(copy));
    session.run.jump(1, Mark { pass: 3, op: 5 }).unwrap();
    assert_eq!(places(&session.run.branches[0]), places(&session.run.branches[1]));
}

/// Passes that are affected alike share an answer; each has the one that asking for it alone gives.
#[test]
fn what_a_change_affects_is_found_for_each_pass() {
    let session = generated(12);
    let (program, branch) = (&session.run.program, session.run.branch());
    let weights = (0..13).map(|pass| Mark { pass, op: program.block_op(0, Part::MlpOutput).unwrap() });
    let logits = program.op_of("logits").unwrap();
    let key = program.block_op(1, Part::K).unwrap();
    let cases = [
        weights.collect(),
        vec![Mark { pass: 4, op: logits }],
        vec![Mark { pass: 3, op: key }, Mark { pass: 7, op: logits }],
        vec![Mark { pass: 12, op: 0 }],
        Vec::new(),
    ];
    for changed in cases {
        let (mut carried, mut anew) = (vec![false; program.ops.len()], false);
        let found = branch.affected(program, &changed);
        assert_eq!(found.len(), 13);
        for (pass, found) in found.iter().enumerate() {
            let mut first: Vec<usize> = changed.iter().filter(|at| at.pass == pass).map(|at| at.op).collect();
            first.extend(anew.then_some(0));
            let wanted = program.affected_by(&first, &carried);
            carried.iter_mut().zip(&wanted).for_each(|(carried, affected)| *carried |= affected);
            anew = wanted[logits];
            assert_eq!(found[..], wanted[..], "{changed:?}, pass {pass}");
        }
    }
}
